//! The watchdog: handlers that hold up their worker are named (I9).
//!
//! They block until the watchdog has spoken: no clock is looked at.

use std::io::ErrorKind;
use std::panic::Location;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::{self, Checker};
use proactor::sim::Invariant;
use proactor::{Builder, Overrun, RunEnd};

use crate::kernels::{on_every_kernel, on_the_real_kernel};
use crate::tools::{Told, panic_quietly};

const MS: Duration = Duration::from_millis(1);

/// With a watchdog that sends what it finds.
fn watched(builder: Builder) -> (Builder, Arc<Mutex<Receiver<Overrun>>>) {
    let (found, heard) = channel();
    let builder = builder.watchdog(MS).on_overrun(move |overrun| {
        let _ = found.send(overrun.clone());
    });
    (builder, Arc::new(Mutex::new(heard)))
}

#[test]
fn a_handler_over_its_budget_is_named_while_it_runs() {
    on_the_real_kernel(|kernel| {
        let (builder, heard) = watched(kernel.builder());
        let proactor = builder.build().unwrap();
        let told = Told::nothing();
        let blocks = || {
            let (heard, tell) = (heard.clone(), told.clone());
            move || tell.tell(heard.lock().unwrap().recv().unwrap())
        };
        let mut lines = vec![("post", line!() + 1)];
        proactor.post(blocks());
        let block = blocks();
        lines.push(("sleep", line!() + 1));
        proactor.sleep(MS).then(move |_| block());
        let block = blocks();
        lines.push(("offload", line!() + 1));
        proactor.offload(|| ()).then(move |_| block());
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let (block, handle) = (blocks(), proactor.handle());
        lines.push(("sleep", line!() + 2));
        drop(proactor.spawn(async move {
            handle.sleep(MS).await.unwrap();
            block();
        }));
        proactor.run().unwrap();
        let block = blocks();
        lines.push(("task", line!() + 1));
        drop(proactor.spawn(async move { block() }));
        proactor.run().unwrap();
        let block = blocks();
        lines.push(("block_on", line!() + 1));
        proactor.block_on(async move { block() }).unwrap();
        let overruns = told.take();
        assert_eq!(overruns.len(), lines.len());
        for (what, line) in lines {
            let named = |overrun: &&Overrun| {
                let place: &Location<'_> = overrun.location.unwrap();
                overrun.what == what
                    && place.line() == line
                    && place.file().ends_with("watching.rs")
            };
            let overrun = overruns.iter().find(named);
            let overrun = overrun.unwrap_or_else(|| panic!("{what} at {line}: {overruns:?}"));
            assert!(
                overrun.thread.contains("named_while_it_runs"),
                "{overrun:?}"
            );
            let text = overrun.to_string();
            assert!(
                text.contains("Handle::offload") && text.contains(what),
                "{text}"
            );
        }
        assert!(
            heard.lock().unwrap().try_recv().is_err(),
            "each is named once"
        );
    });
}

#[test]
fn a_worker_that_waits_is_not_named_nor_is_one_that_nobody_runs() {
    on_the_real_kernel(|kernel| {
        let (builder, heard) = watched(kernel.builder());
        let proactor = builder.build().unwrap();
        // It sleeps for many budgets, with and without something to wait for.
        proactor.sleep(20 * MS).then(|_| {});
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        proactor.post(|| ());
        assert_eq!(proactor.run_one().unwrap(), 1);
        proactor.post(|| panic_quietly("on purpose"));
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| proactor.run())).unwrap_err();
        // Meanwhile somebody else runs another one for as long.
        let other = kernel.proactor();
        other.sleep(20 * MS).then(|_| {});
        other.run().unwrap();
        assert!(heard.lock().unwrap().try_recv().is_err());
    });
}

#[test]
fn a_callback_that_panics_does_not_end_the_watch() {
    on_the_real_kernel(|kernel| {
        let (found, heard) = channel();
        let builder = kernel.builder().watchdog(MS).on_overrun(move |_| {
            found.send(()).unwrap();
            panic_quietly("on purpose");
        });
        let proactor = builder.build().unwrap();
        let heard = Arc::new(Mutex::new(heard));
        for _ in 0..2 {
            let heard = heard.clone();
            proactor.post(move || heard.lock().unwrap().recv().unwrap());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_budget_of_no_time_is_refused() {
    on_every_kernel(|kernel| {
        let error = kernel
            .builder()
            .watchdog(Duration::ZERO)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

// ---- simulated: declared cost

#[test]
fn what_a_handler_declares_passes_and_what_comes_meanwhile_waits() {
    let summary = Checker::new().executions(500).run(|sim| {
        let proactor = sim.proactor();
        let told = Told::nothing();
        let (handle, tell) = (proactor.handle(), told.clone());
        proactor.post(move || {
            let begin = handle.now();
            for ms in [3, 1] {
                let tell = tell.clone();
                handle
                    .sleep(ms * MS)
                    .then(move |_| tell.tell((ms, handle.now() - begin)));
            }
            check::busy(5 * MS);
            assert_eq!(handle.now() - begin, 5 * MS);
        });
        proactor.run().unwrap();
        let mut told = told.take();
        told.sort_unstable();
        assert_eq!(told, [(1, 5 * MS), (3, 5 * MS)]);
        sim.busy(MS);
        assert_eq!(sim.now(), 6 * MS);
    });
    summary.unwrap();
    // For real it takes what it takes.
    check::busy(Duration::from_secs(3600));
}

#[test]
fn a_handler_that_declares_more_than_its_budget_is_a_violation_that_names_it() {
    let check = |handler: fn(proactor::Handle)| {
        Checker::new()
            .handler_budget(2 * MS)
            .executions(50)
            .run(move |sim| {
                let handle = sim.proactor().handle();
                sim.proactor().post(move || handler(handle));
                sim.proactor().run().unwrap();
            })
    };
    let line = line!() + 3;
    let failure = check(|_| {
        check::busy(2 * MS);
        check::busy(MS);
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.invariant(), Some(Invariant::I9), "{failure}");
    let text = failure.to_string();
    assert!(
        text.contains("3 ms") && text.contains("budget of 2 ms"),
        "{text}"
    );
    assert!(text.contains(&format!("watching.rs:{line}")), "{text}");
    // In pieces, as another handler, as a task that yields, or offloaded: within the budget.
    check(|handle| {
        check::busy(2 * MS);
        handle.post(|| check::busy(2 * MS));
        handle
            .offload(|| check::busy(50 * MS))
            .then(|done| done.unwrap());
        drop(handle.spawn(async move {
            check::busy(2 * MS);
            handle.sleep(MS).await.unwrap();
            check::busy(2 * MS);
        }));
    })
    .unwrap();
}

/// Its thread is taken for so long, and its end comes so much later; nobody else is held up.
#[test]
fn what_offloaded_work_declares_is_its_own_time() {
    let summary = Checker::new().executions(500).deviations(0).run(|sim| {
        let proactor = sim.proactor();
        let told = Told::nothing();
        let (one, two) = (told.clone(), told.clone());
        let handle = proactor.handle();
        proactor
            .offload(|| check::busy(10 * MS))
            .then(move |_| one.tell(("job", handle.now().since_start())));
        proactor
            .sleep(MS)
            .then(move |_| two.tell(("timer", handle.now().since_start())));
        proactor.run().unwrap();
        assert_eq!(told.count(), 2);
        for (what, at) in told.take() {
            assert!(
                what == "timer" && at >= MS || at >= 10 * MS,
                "{what} at {at:?}"
            );
        }
    });
    summary.unwrap();
}
