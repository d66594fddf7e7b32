//! What a check finds, and what it proves.

use proactor::check::{Checker, FailureKind, Strategy};
use proactor::sim::Invariant;

use crate::models::{frame, one_read, whole_frame};

#[test]
fn a_planted_bug_is_found_with_the_shortest_story() {
    let failure = Checker::new()
        .name("frames")
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found");
    assert_eq!(failure.kind(), FailureKind::Broken);
    assert_eq!(failure.invariant(), Some(Invariant::Panic));
    assert_eq!(
        failure.message(),
        Some("the answer ends after 1 of 4 bytes")
    );
    // A short read alone ends in a reset, which the client forgives: it takes a client whose write is
    // short, and the rest of it late, after the server has closed.
    let [short, late] = failure.deviations() else {
        panic!("{failure}");
    };
    assert!(late.contains("effect later"), "{failure}");
    assert!(short.contains("short (1 of 4 bytes)"), "{failure}");
}

#[test]
fn random_executions_alone_find_it_and_tell_the_same_story() {
    let bounded = Checker::new()
        .name("frames")
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found");
    let random = Checker::new()
        .name("frames")
        .deviations(0)
        .strategy(Strategy::Random)
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found");
    assert!(random.executions() > 1);
    assert_eq!(random.invariant(), bounded.invariant());
    assert!(random.deviations().len() <= 3, "{random}");
}

#[test]
fn the_mended_server_is_proved_up_to_the_bound() {
    let summary = Checker::new()
        .name("frames")
        .executions(20_000)
        .run(|sim| frame(sim, whole_frame))
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(summary.proved(), Some(2), "{summary}");
}

#[test]
fn a_model_that_panics_before_it_runs_anything_fails_where_it_panics() {
    let failure = Checker::new()
        .run(|sim| {
            let config = sim.read_file("/etc/config");
            config.expect("there is a configuration");
        })
        .expect_err("it panics");
    assert_eq!(failure.invariant(), Some(Invariant::Panic));
    let text = failure.to_string();
    assert!(text.contains("there is a configuration"), "{text}");
    assert!(text.contains("tests/check/finding.rs:"), "{text}");
    assert!(text.contains("It fails without any deviation"), "{text}");
}

#[test]
fn an_operation_that_waits_for_ever_is_named_with_its_place() {
    let failure = Checker::new()
        .run(|sim| {
            let listener = proactor::net::TcpListener::bind(sim.proactor(), "10.0.0.1:7");
            let listener = listener.expect("the address is free");
            listener.accept().then(|_| ());
            let _ = sim.proactor().run();
        })
        .expect_err("nobody connects");
    assert_eq!(failure.invariant(), Some(Invariant::I7));
    let message = failure.message().expect("it has one");
    assert!(message.contains("1 operation waits for"), "{message}");
    assert!(message.contains("tests/check/finding.rs:"), "{message}");
}
