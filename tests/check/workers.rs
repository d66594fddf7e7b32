//! Several simulated workers: handlers that overlap, what that finds, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use proactor::check::{Checker, FailureKind, Sim};
use proactor::sim::Invariant;

/// Two handlers add one to a counter: read, something of the library, write.
fn count(sim: &Sim) {
    let counter = Arc::new(AtomicU32::new(0));
    for _ in 0..2 {
        let (counter, proactor) = (counter.clone(), sim.proactor().handle());
        sim.proactor().post(move || {
            let before = counter.load(Relaxed);
            proactor.post(|| ());
            counter.store(before + 1, Relaxed);
        });
    }
    sim.proactor().run().expect("it runs");
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
}

#[test]
fn a_lost_update_is_found_and_told() {
    let failure = Checker::new()
        .name("count")
        .workers(2)
        .run(count)
        .expect_err("an update is lost");
    assert_eq!(failure.kind(), FailureKind::Broken);
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    println!("{failure}");
}

#[test]
fn one_worker_loses_none() {
    let summary = Checker::new().run(count);
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(!summary.to_string().contains("worker"), "{summary}");
}
