//! The life of a slot, where another worker may take the completion before the initiating call has
//! returned.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/op/life.rs" as life, "models/life.rs", op);
world!(publishes_relaxed: "../../src/op/life.rs" as life, "models/life.rs", op, PUBLISH: Ordering = Ordering::Relaxed);
world!(observes_relaxed: "../../src/op/life.rs" as life, "models/life.rs", op, OBSERVE: Ordering = Ordering::Relaxed);

#[test]
fn a_completion_taken_elsewhere_finds_all_that_the_slot_holds() {
    let name = "slot: completed elsewhere before the initiating call returned";
    holds(name, Bound::None, || {
        ships::models::completed_elsewhere(true)
    });
    let twin = "slot, Pending only after the operation went to the kernel";
    convicts(twin, Bound::None, || {
        ships::models::completed_elsewhere(false)
    });
}

#[test]
fn a_slot_used_again_is_seen_free_of_its_last_operation() {
    let name = "slot: given back elsewhere, and used again";
    holds(name, Bound::None, ships::models::used_again);
    let twin = "slot, set free relaxed";
    convicts(twin, Bound::None, publishes_relaxed::models::used_again);
    let twin = "slot, seen free relaxed";
    convicts(twin, Bound::None, observes_relaxed::models::used_again);
}
