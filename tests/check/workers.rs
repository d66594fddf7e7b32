//! Several simulated workers: handlers that overlap, what that finds, and how it ends.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use proactor::check::{Checker, Failure, FailureKind, Sim, Summary};
use proactor::choice::Site;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Invariant;
use proactor::sync::{PerExecution, PerWorker, Shared};
use proactor::{Handle, RunEnd, Strand};

use crate::models::{echo_by_handlers, echo_by_task, echo_client, frame, one_read, whole_frame};

fn two() -> Checker {
    Checker::new().workers(2)
}

#[track_caller]
fn passes(outcome: Result<Summary, Box<Failure>>) -> Summary {
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Adds one to a counter in two steps, with something of the library between them.
fn add_one(counter: &AtomicU32, proactor: &Handle) {
    let before = counter.load(Relaxed);
    proactor.post(|| ());
    counter.store(before + 1, Relaxed);
}

/// Two handlers that nothing serialises add one each.
fn count(sim: &Sim) {
    let counter = Arc::new(AtomicU32::new(0));
    for _ in 0..2 {
        let (counter, proactor) = (counter.clone(), sim.proactor().handle());
        sim.proactor().post(move || add_one(&counter, &proactor));
    }
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
}

/// The same, by one task.
fn count_in_a_task(sim: &Sim) {
    let counter = Arc::new(AtomicU32::new(0));
    let (shared, proactor) = (counter.clone(), sim.proactor().handle());
    drop(sim.proactor().spawn(async move {
        for _ in 0..2 {
            add_one(&shared, &proactor);
            proactor
                .sleep(Duration::from_millis(1))
                .await
                .expect("it ends");
        }
    }));
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
}

#[test]
fn a_lost_update_is_found_with_one_deviation_and_told() {
    let failure = two()
        .name("count")
        .run(count)
        .expect_err("an update is lost");
    assert_eq!(failure.kind(), FailureKind::Broken);
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    let text = failure.to_string();
    for said in [
        "check `count` fails with 2 workers",
        "which a kernel and workers may do",
        "0.1 handler posted: gives way before a post: an idle worker takes the next",
        "goes on with a post",
        "handler begins",
        "workers.rs:",
        ";workers=2;",
        ";worker@",
    ] {
        assert!(text.contains(said), "no `{said}` in\n{text}");
    }
}

/// The same, by two handlers on one strand.
fn count_on_a_strand(sim: &Sim) {
    let strand = Strand::new(sim.proactor());
    let (counter, total) = (Arc::new(AtomicU32::new(0)), Arc::new(Shared::new(0)));
    for _ in 0..2 {
        let (counter, total) = (counter.clone(), total.clone());
        let proactor = sim.proactor().handle();
        strand.post(move || {
            add_one(&counter, &proactor);
            total.set(total.get() + 1);
        });
    }
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
    assert_eq!(total.get(), 2, "an update is lost");
}

#[test]
fn on_a_strand_none_is_lost_in_the_same_search_and_no_access_is_a_race() {
    let summary = passes(two().name("count").run(count_on_a_strand));
    assert_eq!(summary.proved(), Some(2), "{summary}");
    assert!(summary.coverage(Site::Worker).1 > 0, "{summary}");
}

#[test]
fn one_worker_loses_none_and_a_task_is_serialised() {
    let summary = passes(Checker::new().run(count));
    assert!(!summary.to_string().contains("worker"), "{summary}");
    assert_eq!(summary.coverage(Site::Worker), (0, 0));
    let summary = passes(two().run(count_in_a_task));
    assert_eq!(summary.proved(), Some(2));
    assert!(
        summary.to_string().contains("passes with 2 workers"),
        "{summary}"
    );
}

#[test]
fn random_executions_find_it_too_and_shrink_it_to_the_same() {
    let failure = two()
        .deviations(0)
        .run(count)
        .expect_err("an update is lost");
    assert_eq!(failure.deviations().len(), 1, "{failure}");
}

#[test]
fn three_handlers_overlap_only_as_far_as_there_are_workers() {
    for workers in [2, 3] {
        let most = Arc::new(AtomicU32::new(0));
        let seen = most.clone();
        let model = move |sim: &Sim| {
            let inside = Arc::new(AtomicU32::new(0));
            for _ in 0..4 {
                let (inside, seen) = (inside.clone(), seen.clone());
                let proactor = sim.proactor().handle();
                sim.proactor().post(move || {
                    let now = inside.fetch_add(1, Relaxed) + 1;
                    seen.fetch_max(now, Relaxed);
                    let _ = proactor.now();
                    inside.fetch_sub(1, Relaxed);
                });
            }
            sim.proactor().run().expect("it runs");
        };
        passes(Checker::new().workers(workers).run(model));
        assert_eq!(most.load(Relaxed), workers as u32);
    }
}

#[test]
fn a_replay_repeats_it_and_one_for_other_workers_is_refused() {
    // The variable is the process': in a child, as people use it.
    let failure = two()
        .name("count")
        .run(count)
        .expect_err("an update is lost");
    let recorded = failure.replay().expect("it can be repeated");
    let (passed, said) = crate::replaying::child("workers::counted", recorded);
    assert!(!passed && said.contains("an update is lost"), "{said}");
    assert!(said.contains("Found by replaying"), "{said}");
    let alone = recorded.replace("workers=2;", "");
    let (passed, said) = crate::replaying::child("workers::counted", &alone);
    assert!(!passed, "{said}");
    assert!(
        said.contains("recorded with 1 worker on") && said.contains("this check has 2 workers on"),
        "{said}"
    );
    assert!(said.contains("Set `workers(1)`"), "{said}");
}

/// What the child process runs.
#[test]
#[ignore = "fails by design; the test above runs it in a process of its own"]
fn counted() {
    passes(two().name("count").run(count));
}

#[test]
fn no_workers_at_all_are_refused() {
    let failure = Checker::new().workers(0).run(|_| ()).expect_err("refused");
    assert_eq!(failure.kind(), FailureKind::Refused);
    assert!(
        failure.to_string().contains("`workers` must be at least 1"),
        "{failure}"
    );
}

#[test]
fn what_works_with_one_worker_works_with_two() {
    let echo = |serve: fn(&proactor::Proactor)| {
        move |sim: &Sim| {
            serve(sim.proactor());
            echo_client(sim.proactor());
            drop(sim.proactor().run());
        }
    };
    passes(
        two()
            .name("frames")
            .executions(6_000)
            .run(|sim| frame(sim, whole_frame)),
    );
    two()
        .name("frames")
        .run(|sim| frame(sim, one_read))
        .expect_err("the old bug is found too");
    // The client gives up on a fault: what may not happen is anything else.
    for serve in [echo_by_handlers as fn(&proactor::Proactor), echo_by_task] {
        let outcome = two().deviations(1).random(false).run(echo(serve));
        let broken = outcome.err().and_then(|failure| failure.invariant());
        assert!(
            matches!(broken, None | Some(Invariant::Panic)),
            "{broken:?}"
        );
    }
}

#[test]
fn a_task_is_never_polled_by_two_and_loses_no_wake() {
    let summary = passes(two().deviations(3).run(|sim| {
        let (said, inside) = (Arc::new(AtomicBool::new(false)), AtomicBool::new(false));
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let (heard, left, proactor) = (said.clone(), waker.clone(), sim.proactor().handle());
        let task = sim.proactor().spawn(poll_fn(move |cx| {
            assert!(!inside.swap(true, Relaxed), "polled while it is polled");
            // Others see the waker from here on, and may use it before this poll has ended.
            *left.lock().expect("no panic") = Some(cx.waker().clone());
            let _ = proactor.now();
            let ready = heard.load(Relaxed);
            let _ = proactor.now();
            inside.store(false, Relaxed);
            if ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        let proactor = sim.proactor().handle();
        sim.proactor().post(move || {
            said.store(true, Relaxed);
            let _ = proactor.now();
            let waker = waker.lock().expect("no panic").take();
            waker.into_iter().for_each(Waker::wake);
        });
        let end = sim.proactor().run().expect("it runs");
        assert_eq!(end, RunEnd::OutOfWork, "a wake was lost");
        assert!(task.is_finished());
    }));
    assert_eq!(summary.proved(), Some(3), "{summary}");
}

#[test]
fn accesses_that_nothing_orders_are_told_without_any_deviation() {
    let failure = two()
        .run(|sim| {
            let total = Arc::new(Shared::new(0));
            for _ in 0..2 {
                let total = total.clone();
                sim.proactor().post(move || total.set(1));
            }
            sim.proactor().run().expect("it runs");
        })
        .expect_err("nothing orders the two");
    assert_eq!(failure.invariant(), Some(Invariant::Race));
    assert_eq!(failure.deviations().len(), 0, "{failure}");
    let message = failure.message().expect("it has one");
    assert!(
        message.contains("nothing orders Shared::set at"),
        "{message}"
    );
    assert_eq!(
        message.matches("tests/check/workers.rs:").count(),
        2,
        "{message}"
    );
}

#[test]
fn causes_order_accesses() {
    let summary = passes(two().run(|sim| {
        let total = Arc::new(Shared::new(1));
        total.set(2);
        // A post, a completion, a task's polls, its end and who awaits it.
        let (proactor, shared) = (sim.proactor().handle(), total.clone());
        sim.proactor().post(move || {
            shared.set(3);
            let (again, then) = (shared.clone(), proactor);
            proactor.post(move || {
                again.with(|it| *it += 1);
                let sleep = then.sleep(Duration::from_millis(1));
                sleep.then(move |_| {
                    again.set(5);
                    let last = again.clone();
                    let task = then.spawn(async move {
                        last.set(6);
                        then.sleep(Duration::from_millis(1)).await.expect("it ends");
                        last.set(7);
                    });
                    drop(then.spawn(async move {
                        task.await.expect("it ends");
                        again.set(again.get() + 1);
                    }));
                });
            });
        });
        sim.proactor().run().expect("it runs");
        assert_eq!(total.get(), 8);
    }));
    assert_eq!(summary.proved(), Some(2));
}

#[test]
fn a_check_then_act_on_shared_state_loses_updates() {
    let model = |sim: &Sim| {
        let total = Arc::new(Shared::new(0));
        for _ in 0..2 {
            let total = total.clone();
            sim.proactor().post(move || total.set(total.get() + 1));
        }
        sim.proactor().run().expect("it runs");
        assert_eq!(total.get(), 2, "an update is lost");
    };
    let failure = two()
        .races(false)
        .run(model)
        .expect_err("an update is lost");
    assert_eq!(failure.invariant(), Some(Invariant::Panic), "{failure}");
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    assert!(
        failure.to_string().contains("gives way before Shared::set"),
        "{failure}"
    );
}

#[test]
fn locks_in_two_orders_are_a_deadlock_that_names_both() {
    let failure = two()
        .races(false)
        .run(|sim| {
            let locks = [Arc::new(Shared::new(())), Arc::new(Shared::new(()))];
            for first in [0, 1] {
                let locks = locks.clone();
                sim.proactor().post(move || {
                    locks[first].with(|()| locks[1 - first].with(|()| ()));
                });
            }
            let _ = sim.proactor().run();
        })
        .expect_err("they wait for each other");
    assert_eq!(failure.invariant(), Some(Invariant::I7), "{failure}");
    let message = failure.message().expect("it has one");
    assert!(message.contains("deadlock"), "{message}");
    assert_eq!(
        message.matches("Shared::with waits at").count(),
        2,
        "{message}"
    );
}

/// Says that it was dropped, and whether that was an unwinding.
struct Mark(Arc<Mutex<Vec<(&'static str, bool)>>>, &'static str);

impl Drop for Mark {
    fn drop(&mut self) {
        let mark = (self.1, std::thread::panicking());
        self.0.lock().expect("no panic").push(mark);
    }
}

#[test]
fn after_a_panic_the_others_end_in_peace_and_run_goes_on_after_it() {
    let overlapped = Arc::new(AtomicBool::new(false));
    let seen = overlapped.clone();
    passes(two().run(move |sim| {
        let marks = Arc::new(Mutex::new(Vec::new()));
        let left = Arc::new(AtomicBool::new(false));
        let (mark, inside) = (Mark(marks.clone(), "calm"), left.clone());
        let proactor = sim.proactor().handle();
        sim.proactor().post(move || {
            inside.store(true, Relaxed);
            let _ = proactor.now();
            inside.store(false, Relaxed);
            drop(mark);
        });
        let (mark, seen) = (Mark(marks.clone(), "angry"), seen.clone());
        sim.proactor().post(move || {
            let _mark = mark;
            seen.fetch_or(left.load(Relaxed), Relaxed);
            std::panic::resume_unwind(Box::new("angry"));
        });
        let last = Mark(marks.clone(), "last");
        sim.proactor().post(move || drop(last));
        let run = || sim.proactor().run();
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it is passed on");
        assert_eq!(panic.downcast_ref(), Some(&"angry"));
        let marks = || marks.lock().expect("no panic").clone();
        assert!(marks().contains(&("calm", false)) && marks().contains(&("angry", true)));
        assert_eq!(sim.proactor().run().expect("it goes on"), RunEnd::OutOfWork);
        assert!(marks().contains(&("last", false)));
    }));
    assert!(
        overlapped.load(Relaxed),
        "one was suspended when the other panicked"
    );
}

#[test]
fn a_failing_execution_is_drained_without_unwinding_anybody() {
    let marks = Arc::new(Mutex::new(Vec::new()));
    let kept = marks.clone();
    let failure = two().run(move |sim| {
        let left = Arc::new(AtomicBool::new(false));
        let (mark, inside) = (Mark(kept.clone(), "left"), left.clone());
        let proactor = sim.proactor().handle();
        sim.proactor().post(move || {
            let _mark = mark;
            inside.store(true, Relaxed);
            let _ = proactor.now();
            inside.store(false, Relaxed);
            // The end of the story: library calls still answer.
            proactor.sleep(Duration::from_secs(1)).then(|_| ());
        });
        sim.proactor()
            .post(move || assert!(!left.load(Relaxed), "overlaps"));
        let _ = sim.proactor().run();
    });
    let failure = failure.expect_err("they overlap");
    assert_eq!(failure.message(), Some("overlaps"), "{failure}");
    let marks = marks.lock().expect("no panic");
    assert!(marks.iter().all(|(_, unwinding)| !unwinding), "{marks:?}");
}

#[test]
fn who_spins_until_another_has_acted_sees_it_and_who_spins_for_ever_is_told() {
    passes(two().run(|sim| {
        let flag = Arc::new(AtomicBool::new(false));
        let (seen, proactor) = (flag.clone(), sim.proactor().handle());
        sim.proactor().post(move || {
            while !seen.load(Relaxed) {
                let _ = proactor.now();
            }
        });
        sim.proactor().post(move || flag.store(true, Relaxed));
        sim.proactor().run().expect("it runs");
    }));
    let failure = two().max_steps(5_000).run(|sim| {
        let proactor = sim.proactor().handle();
        sim.proactor().post(move || {
            loop {
                let _ = proactor.now();
            }
        });
        let _ = sim.proactor().run();
    });
    let failure = failure.expect_err("it never ends");
    assert_eq!(failure.invariant(), Some(Invariant::I7), "{failure}");
    assert!(
        failure.message().is_some_and(|it| it.contains("livelock")),
        "{failure}"
    );
}

#[test]
fn statics_are_fresh_in_each_execution_and_on_each_worker() {
    static SERVED: PerExecution<AtomicU32> = PerExecution::new(|| AtomicU32::new(0));
    static LOCAL: PerWorker<AtomicU32> = PerWorker::new(|| AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let seen = most.clone();
    passes(two().run(move |sim| {
        for _ in 0..2 {
            let (proactor, seen) = (sim.proactor().handle(), seen.clone());
            sim.proactor().post(move || {
                let mine = LOCAL.with(|local| local.fetch_add(1, Relaxed));
                let _ = proactor.now();
                assert_eq!(
                    LOCAL.with(|local| local.load(Relaxed)),
                    mine + 1,
                    "not shared"
                );
                SERVED.with(|served| served.fetch_add(1, Relaxed));
                seen.fetch_max(mine + 1, Relaxed);
            });
        }
        sim.proactor().run().expect("it runs");
        assert_eq!(SERVED.with(|served| served.load(Relaxed)), 2);
        assert_eq!(
            LOCAL.with(|local| local.load(Relaxed)),
            0,
            "the body is no worker"
        );
    }));
    assert_eq!(
        most.load(Relaxed),
        2,
        "one worker ran both, in some execution"
    );
}

#[test]
fn what_is_received_is_after_what_was_sent() {
    let model = |ordered: bool| {
        move |sim: &Sim| {
            let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").expect("it is free");
            let total = Arc::new(Shared::new(0));
            let (proactor, sender) = (sim.proactor().handle(), total.clone());
            drop(sim.proactor().spawn(async move {
                let Ok(stream) = TcpStream::connect(&proactor, "10.0.0.1:7").await else {
                    return;
                };
                if ordered {
                    sender.set(1);
                }
                let _ = stream.write(vec![1]).await;
                if !ordered {
                    sender.set(1);
                }
            }));
            drop(sim.proactor().spawn(async move {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                if let (Ok(1), _) = stream.read(Vec::with_capacity(1)).await {
                    total.set(2);
                }
            }));
            let _ = sim.proactor().poll();
            let _ = sim.proactor().run_for(Duration::from_secs(200));
        }
    };
    let checker = || two().deviations(1).random(false);
    // A client that is refused leaves the server waiting, and a late one is dropped with the test.
    let broken = |ordered| {
        checker()
            .run(model(ordered))
            .err()
            .and_then(|it| it.invariant())
    };
    assert_eq!(broken(true), None);
    assert_eq!(broken(false), Some(Invariant::Race));
}
