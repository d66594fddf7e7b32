//! `run` and its kin.

use std::time::Duration;

use proactor::{Proactor, RunEnd, RunError};

use crate::kernels::{in_any_order, on_every_kernel, on_the_real_kernel, on_the_simulated_kernel};
use crate::tools::{Told, pair, room};

const MS: Duration = Duration::from_millis(1);

#[test]
fn run_without_work_is_out_of_work() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(proactor.run_one().unwrap(), 0);
        assert_eq!(proactor.poll().unwrap(), 0);
        assert_eq!(proactor.run_for(Duration::from_secs(3600)).unwrap(), 0);
    });
}

#[test]
fn posts_run_in_the_order_in_which_they_were_made() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let told = Told::nothing();
        for number in 0..3 {
            let (tell, handle) = (told.clone(), proactor.handle());
            proactor.post(move || {
                tell.tell(number);
                for inner in [10, 20] {
                    let tell = tell.clone();
                    handle.post(move || tell.tell(inner + number));
                }
                tell.tell(number);
            });
        }
        proactor.run().unwrap();
        assert_eq!(told.take(), [0, 0, 1, 1, 2, 2, 10, 20, 11, 21, 12, 22]);
    });
}

#[test]
fn run_one_runs_one_handler() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let (one, two, three) = (told.clone(), told.clone(), told.clone());
        proactor.post(move || one.tell("post"));
        server.read(room(8)).then(move |_| two.tell("read"));
        client.write("x").then(move |_| three.tell("write"));
        for ran in 1..=3 {
            assert_eq!(proactor.run_one().unwrap(), 1);
            assert_eq!(told.count(), ran);
        }
        assert_eq!(proactor.run_one().unwrap(), 0);
    });
}

#[test]
fn poll_runs_what_is_ready_and_waits_for_nothing() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let told = Told::nothing();
        let tell = told.clone();
        proactor.sleep(Duration::from_secs(3600)).then(|_| {});
        proactor.post(move || tell.tell(()));
        assert_eq!(proactor.poll().unwrap(), 1);
        assert_eq!(proactor.poll().unwrap(), 0);
        told.only();
        assert_eq!(proactor.stats().operations, 1);
    });
}

#[test]
fn run_for_comes_back_when_the_time_is_over() {
    fn slept(proactor: &Proactor) -> Vec<u32> {
        let told = Told::nothing();
        for ms in [1, 2, 3_600_000] {
            let tell = told.clone();
            proactor.sleep(ms * MS).then(move |_| tell.tell(ms));
        }
        let begin = proactor.now();
        assert_eq!(proactor.run_for(200 * MS).unwrap(), 2);
        let ran = proactor.now() - begin;
        assert!(
            ran >= 200 * MS && ran < Duration::from_secs(1_000),
            "{ran:?}"
        );
        let slept = told.take();
        assert_eq!(proactor.run_for(Duration::ZERO).unwrap(), 0);
        assert_eq!(proactor.stats().operations, 1);
        slept
    }
    on_every_kernel(|kernel| {
        // Two workers have a clock's queue each, and one may be kept from its processor for longer than 1 ms.
        let mut either = slept(&kernel.proactor());
        either.sort_unstable();
        assert_eq!(either, [1, 2]);
        assert_eq!(slept(&kernel.proactor_with_one_worker()), [1, 2]);
    });
}

#[test]
fn run_for_comes_back_although_handlers_keep_coming() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        fn again(handle: proactor::Handle) {
            handle.post(move || again(handle));
        }
        again(proactor.handle());
        assert!(proactor.run_for(5 * MS).unwrap() > 0);
    });
}

#[test]
fn poll_comes_back_although_handlers_keep_coming() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        fn post_again(handle: proactor::Handle) {
            handle.post(move || post_again(handle));
        }
        post_again(proactor.handle());
        assert_eq!(proactor.poll().unwrap(), 1);
        assert_eq!(proactor.poll().unwrap(), 1);
        // Nor do completions that come at once hold it up: one round of what is under way.
        fn sleep_again(handle: proactor::Handle) {
            handle
                .sleep(Duration::ZERO)
                .then(move |_| sleep_again(handle));
        }
        sleep_again(proactor.handle());
        assert!(proactor.poll().unwrap() <= 3);
        proactor.stop();
    });
}

#[test]
fn stop_ends_run_after_the_running_handler_until_restart() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let told = Told::nothing();
        let (handle, one, two) = (proactor.handle(), told.clone(), told.clone());
        proactor.post(move || {
            handle.stop();
            one.tell("the handler that stops goes on to its end");
        });
        proactor.post(move || two.tell("after restart"));
        proactor.sleep(MS).then(|_| {});
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        told.only();
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert_eq!(
            (proactor.run_one().unwrap(), proactor.poll().unwrap()),
            (0, 0)
        );
        assert_eq!(proactor.run_for(MS).unwrap(), 0);
        proactor.restart();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.only(), "after restart");
    });
}

#[test]
fn stop_before_run_stops_it_at_once() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        proactor.post(move || tell.tell(()));
        proactor.stop();
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert!(told.take().is_empty());
    });
}

#[test]
fn stop_interrupts_block_on() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        proactor.sleep(MS).then(move |_| handle.stop());
        let blocked = proactor.block_on(std::future::pending::<()>());
        assert!(matches!(blocked, Err(RunError::Stopped)), "{blocked:?}");
        proactor.restart();
        assert_eq!(proactor.block_on(async { 1 }).unwrap(), 1);
    });
}

#[test]
fn a_work_guard_keeps_run_waiting_until_it_is_dropped() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let guard = proactor.work_guard();
        let told = Told::nothing();
        let tell = told.clone();
        let handle = proactor.handle();
        proactor.sleep(MS).then(move |_| {
            handle.post(move || {
                tell.tell(());
                drop(guard);
            });
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        told.only();
    });
}

/// Nobody is left who could drop it: a simulation is alone in its world, and says so.
#[test]
fn a_work_guard_that_nobody_can_drop_is_stuck_in_a_simulation() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        let guard = proactor.work_guard();
        assert!(matches!(proactor.run(), Err(RunError::Stuck(_))));
        drop(guard);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_guard_of_a_dead_proactor_guards_nothing() {
    on_every_kernel(|kernel| {
        let old = kernel.proactor();
        let (handle, early) = (old.handle(), old.work_guard());
        drop(old);
        let late = handle.work_guard();
        // It lives where the old one lived.
        let proactor = kernel.proactor();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let mine = proactor.work_guard();
        drop((late, early));
        proactor.sleep(MS).then(move |_| drop(mine));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_run_whose_tasks_wait_for_something_else_is_parked() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let waits = proactor.spawn(std::future::pending::<()>());
        drop(proactor.spawn(std::future::pending::<()>()));
        drop(proactor.spawn(async {}));
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(2));
        waits.abort();
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(1));
    });
}

#[test]
fn block_on_runs_everything_else_meanwhile_and_no_longer() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (one, two) = (told.clone(), told.clone());
        proactor.post(move || one.tell("meanwhile"));
        proactor
            .sleep(Duration::from_secs(3600))
            .then(move |_| two.tell("later"));
        // Neither Send nor 'static.
        let local = std::rc::Rc::new(5);
        let borrowed = &local;
        let output = proactor.block_on(async {
            proactor.sleep(MS).await.unwrap();
            **borrowed + 1
        });
        assert_eq!(output.unwrap(), 6);
        assert_eq!(told.only(), "meanwhile");
        assert_eq!(proactor.stats().operations, 1);
    });
}

#[test]
fn run_inside_a_handler_is_refused() {
    on_every_kernel(|kernel| {
        let proactor = std::sync::Arc::new(kernel.proactor());
        let (told, mine) = (Told::nothing(), proactor.clone());
        let tell = told.clone();
        proactor.post(move || {
            tell.tell(matches!(mine.run(), Err(RunError::Nested)));
            tell.tell(matches!(mine.run_one(), Err(RunError::Nested)));
            tell.tell(matches!(mine.run_for(MS), Err(RunError::Nested)));
            tell.tell(matches!(mine.poll(), Err(RunError::Nested)));
            tell.tell(matches!(mine.block_on(async {}), Err(RunError::Nested)));
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), [true; 5]);
        let nested = proactor
            .block_on(async { proactor.run() })
            .unwrap()
            .unwrap_err();
        let text = nested.to_string();
        assert!(
            text.contains("inside a handler") && text.contains("spawn a task, or offload"),
            "{text}"
        );
    });
}

#[test]
fn another_proactor_can_not_run_inside_a_handler_either() {
    on_the_real_kernel(|kernel| {
        let (outer, inner) = (kernel.proactor(), kernel.proactor());
        let told = Told::nothing();
        let tell = told.clone();
        outer.post(move || {
            tell.tell(matches!(inner.run(), Err(RunError::Nested)));
            drop(inner);
        });
        outer.run().unwrap();
        assert!(told.only());
    });
}

/// Its own it can't drop there: somebody runs it and so has it.
#[test]
fn another_proactor_may_be_dropped_inside_a_handler_with_all_that_it_has_in_flight() {
    on_the_real_kernel(|kernel| {
        let (outer, inner) = (kernel.proactor(), kernel.proactor());
        let (client, server) = pair(&inner);
        let told = Told::nothing();
        let (tell, read) = (told.clone(), server.read(room(8)));
        struct Tells(Told<&'static str>);
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.tell("dropped");
            }
        }
        let guard = Tells(told.clone());
        read.then(move |_| drop((guard, client)));
        let handle = outer.handle();
        outer.post(move || {
            drop(inner);
            tell.tell("goes on");
            handle.sleep(MS).then(move |_| tell.tell("and on"));
        });
        assert_eq!(outer.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), ["dropped", "goes on", "and on"]);
    });
}

#[test]
fn a_stuck_simulation_names_who_waits_and_who_started_it() {
    use proactor::choice::Kind;
    use proactor::sim::{Config, Invariant, World};
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = proactor::Proactor::builder()
        .simulated(&world)
        .build()
        .unwrap();
    let (_client, server) = pair(&proactor);
    let line = line!() + 1;
    server.read(room(8)).then(|_| {});
    let Err(RunError::Stuck(who)) = proactor.run() else {
        panic!("not stuck")
    };
    assert!(who.contains("read on handle"), "{who}");
    assert!(who.contains(&format!("running.rs:{line}")), "{who}");
    let violation = world.violation().unwrap();
    assert_eq!(violation.invariant, Invariant::I7);
    assert_eq!(violation.location.unwrap().line(), line);
}

#[test]
fn ready_handlers_and_completions_do_not_starve_each_other() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        fn again(handle: proactor::Handle) {
            handle.post(move || again(handle));
        }
        again(proactor.handle());
        let handle = proactor.handle();
        let (client, server) = pair(&proactor);
        server.read(room(1)).then(move |_| handle.stop());
        client.write("x").then(|_| {});
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
    });
}
