//! Executions that would never end: a check does not hang in them.

use std::time::Duration;

use proactor::Handle;
use proactor::check::{Checker, Failure, Sim, busy};
use proactor::sim::{Invariant, Oracle};

fn failure(oracle: Oracle, model: fn(&Sim)) -> Box<Failure> {
    let failure = Checker::new()
        .max_steps(5_000)
        .run(model)
        .expect_err("it never ends");
    let text = failure.to_string();
    assert_eq!(failure.invariant(), Some(Invariant::I7), "{text}");
    assert_eq!(failure.oracle(), Some(oracle), "{text}");
    assert!(text.contains("`Checker::max_steps`"), "{text}");
    failure
}

#[test]
fn a_task_that_sleeps_and_sleeps_never_ends() {
    let failure =
        failure(Oracle::Endless, |sim| {
            let handle = sim.proactor().handle();
            drop(sim.proactor().spawn(async move {
                while handle.sleep(Duration::from_millis(1)).await.is_ok() {}
            }));
            let _ = sim.proactor().run();
        });
    let text = failure.to_string();
    assert!(text.contains("timer(at "), "{text}");
    assert!(text.contains("task spawned"), "{text}");
    assert!(text.contains("tests/check/endless.rs:"), "{text}");
}

#[test]
fn handlers_that_post_each_other_are_a_livelock() {
    fn again(proactor: Handle) {
        proactor.post(move || again(proactor));
    }
    let failure = failure(Oracle::Livelock, |sim| {
        again(sim.proactor().handle());
        let _ = sim.proactor().run();
    });
    let text = failure.to_string();
    assert!(text.contains("keep each other awake"), "{text}");
}

#[test]
fn a_loop_around_poll_is_a_livelock() {
    failure(
        Oracle::Livelock,
        |sim| while sim.proactor().poll().is_ok() {},
    );
}

#[test]
fn a_task_that_tries_again_after_every_error_is_a_livelock() {
    failure(Oracle::Livelock, |sim| {
        let handle = sim.proactor().handle();
        let listener = proactor::net::TcpListener::bind(sim.proactor(), "10.0.0.1:7");
        drop(listener);
        drop(sim.proactor().spawn(async move {
            while proactor::net::TcpStream::connect(&handle, "10.0.0.1:7")
                .await
                .is_err()
            {}
        }));
        let _ = sim.proactor().run();
    });
}

#[test]
fn a_long_run_that_ends_is_none() {
    let summary = Checker::new().executions(2).random(false).deviations(1);
    let summary = summary.run(|sim| {
        let handle = sim.proactor().handle();
        let task = sim.proactor().spawn(async move {
            for _ in 0..20_000 {
                let _ = handle.sleep(Duration::from_micros(1)).await;
            }
        });
        sim.proactor().run().expect("it runs");
        assert!(task.is_finished());
    });
    summary.unwrap_or_else(|failure| panic!("{failure}"));
}

/// After a verdict nothing completes any more; who waits with an end comes to it.
#[test]
fn a_run_with_an_end_comes_to_it_after_a_verdict_though_a_guard_holds_it() {
    for workers in [1, 2] {
        let failure = Checker::new()
            .workers(workers)
            .handler_budget(Duration::from_millis(1))
            .run(|sim| {
                let _guard = sim.proactor().work_guard();
                sim.proactor().post(|| busy(Duration::from_secs(1)));
                let _ = sim.proactor().run_for(Duration::from_secs(10));
                assert!(sim.now() >= Duration::from_secs(10), "its time has come");
                // Nor does who asks for it again and again go on for ever.
                while sim.proactor().run_for(Duration::from_secs(10)).is_ok() {}
            })
            .expect_err("the handler takes too long");
        assert_eq!(failure.oracle(), Some(Oracle::OverBudget), "{failure}");
    }
}
