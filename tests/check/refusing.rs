//! Checks that can't be run as asked for, and models that can't be checked: each says what to do.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use proactor::Proactor;
use proactor::check::{Checker, FailureKind, check};
use proactor::choice::Kind;
use proactor::sim::{Config, World};

#[test]
fn bounds_and_budgets_of_zero_are_refused() {
    for (checker, advice) in [
        (
            Checker::new().executions(0),
            "`executions` must be at least 1",
        ),
        (Checker::new().threads(0), "`threads` must be at least 1"),
        (
            Checker::new().max_steps(0),
            "`max_steps` must be at least 1",
        ),
        (Checker::new().time(Duration::ZERO), "give `time` some"),
        (
            Checker::new().deviations(0).random(false),
            "raise `deviations`",
        ),
    ] {
        let failure = checker.run(|_| ()).expect_err(advice);
        assert_eq!(failure.kind(), FailureKind::Refused);
        assert!(failure.to_string().contains(advice), "{failure}");
    }
    let only_random = Checker::new().deviations(0).executions(1).run(|_| ());
    assert!(only_random.is_ok());
}

#[test]
fn a_check_inside_a_check_is_refused() {
    let failure = Checker::new()
        .run(|_| check(|_| ()))
        .expect_err("it is refused");
    let message = failure.message().expect("it panics with the refusal");
    assert!(
        message.contains("inside another check's model"),
        "{message}"
    );
    assert!(message.contains("give it a test of its own"), "{message}");
}

#[test]
fn a_check_inside_run_is_refused() {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build();
    let proactor = proactor.expect("it can be simulated");
    let (say, said) = std::sync::mpsc::channel();
    proactor.post(move || {
        let refused = Checker::new().run(|_| ()).expect_err("it is refused");
        say.send(refused).expect("the test listens");
    });
    proactor.run().expect("it runs");
    let failure = said.recv().expect("the handler ran");
    assert_eq!(failure.kind(), FailureKind::Refused);
    assert!(
        failure
            .to_string()
            .contains("Call it from a test's own body"),
        "{failure}"
    );
}

#[test]
fn a_model_that_does_not_do_the_same_twice_is_told_where_it_differs() {
    let runs = AtomicU32::new(0);
    let failure = Checker::new()
        .run(move |sim| {
            // The mistake: state that outlives an execution.
            let run = runs.fetch_add(1, Ordering::Relaxed);
            let pause = Duration::from_millis(u64::from(run));
            sim.proactor().sleep(pause).then(|_| ());
            let _ = sim.proactor().run();
        })
        .expect_err("it differs");
    assert_eq!(failure.kind(), FailureKind::NonDeterministic);
    let text = failure.to_string();
    assert!(text.contains("the model is not deterministic"), "{text}");
    assert!(
        text.contains("once   0.1 timer(at 2 ms) at tests/check/refusing.rs:"),
        "{text}"
    );
    assert!(text.contains("again  0.1 timer(at 3 ms)"), "{text}");
    assert!(text.contains("make all state inside the model"), "{text}");
}
