//! A cancel from another thread, against the start of its operation and its completion.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/op/started.rs" as started, "models/started.rs", op);
world!(settles_relaxed: "../../src/op/started.rs" as started, "models/started.rs", op, SETTLE: Ordering = Ordering::Relaxed);
world!(sees_relaxed: "../../src/op/started.rs" as started, "models/started.rs", op, SEE_SETTLED: Ordering = Ordering::Relaxed);

#[test]
fn a_cancel_stops_the_start_or_learns_the_slot() {
    let name = "cancel: against the start of its operation";
    holds(name, Bound::None, ships::models::cancel_against_start);
    let twin = "cancel, settling relaxed";
    convicts(
        twin,
        Bound::None,
        settles_relaxed::models::cancel_against_start,
    );
    let twin = "cancel, seeing the slot relaxed";
    convicts(
        twin,
        Bound::None,
        sees_relaxed::models::cancel_against_start,
    );
}

#[test]
fn a_cancel_hits_only_the_activation_it_was_aimed_at() {
    let name = "cancel: against completion and the slot's next operation";
    holds(name, Bound::None, || {
        ships::models::cancel_against_completion(true)
    });
    let twin = "cancel, its generation not compared";
    convicts(twin, Bound::None, || {
        ships::models::cancel_against_completion(false)
    });
}
