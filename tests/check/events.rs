//! Events under check: who waits is named, and a set orders what was done before it.

use std::sync::Arc;

use proactor::check::Checker;
use proactor::sim::Invariant;
use proactor::sync::Shared;
use proactor::{Event, Strand};

#[test]
fn a_wait_that_nobody_ends_is_named() {
    let failure = Checker::new().deviations(0).executions(1).run(|sim| {
        let event = Event::new(sim.proactor()).unwrap();
        event.wait().then(|_| {});
        let _ = sim.proactor().run();
    });
    let failure = failure.expect_err("nobody sets it");
    assert_eq!(failure.invariant(), Some(Invariant::I7));
    let text = failure.to_string();
    assert!(
        text.contains("wait(event 3) waits for somebody to set the event, started at"),
        "{text}"
    );
}

#[test]
fn what_was_done_before_a_set_is_seen_after_its_wait() {
    let checked = Checker::new().workers(2).executions(2_000).run(|sim| {
        let proactor = sim.proactor();
        let event = Event::new(proactor).unwrap();
        let datum = Arc::new(Shared::new(0));
        let (mine, setter) = (datum.clone(), event.clone());
        Strand::new(proactor).post(move || {
            mine.set(1);
            setter.set().unwrap();
        });
        event.wait().on(&Strand::new(proactor)).then(move |waited| {
            waited.unwrap();
            assert_eq!(datum.get(), 1);
        });
        proactor.run().unwrap();
    });
    if let Err(failure) = checked {
        panic!("{failure}");
    }
}
