//! Falling asleep and being woken.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/op/wake.rs" as wake, "models/wake.rs", op);
world!(does_not_look: "../../src/op/wake.rs" as wake, "models/wake.rs", op, LOOKS_BEFORE_SLEEP: bool = false);
world!(rings_relaxed: "../../src/op/wake.rs" as wake, "models/wake.rs", op, RING: Ordering = Ordering::Relaxed);
world!(wakes_up_relaxed: "../../src/op/wake.rs" as wake, "models/wake.rs", op, WAKE_UP: Ordering = Ordering::Relaxed);

#[test]
fn no_wake_is_lost() {
    let name = "sleep: one sender, two messages";
    holds(name, Bound::None, || {
        ships::models::no_wake_is_lost(1, 2, true)
    });
    let name = "sleep: two senders";
    holds(name, Bound::Preemptions(3), || {
        ships::models::no_wake_is_lost(2, 1, true)
    });
    let twin = "sleep, without a look before";
    convicts(twin, Bound::None, || {
        does_not_look::models::no_wake_is_lost(1, 1, true)
    });
    let twin = "sleep, rung relaxed";
    convicts(twin, Bound::None, || {
        rings_relaxed::models::no_wake_is_lost(1, 1, true)
    });
    let twin = "sleep, waking up relaxed";
    convicts(twin, Bound::None, || {
        wakes_up_relaxed::models::no_wake_is_lost(1, 1, true)
    });
    let twin = "sleep, a sender that does not wake the sleeper";
    convicts(twin, Bound::None, || {
        ships::models::no_wake_is_lost(1, 1, false)
    });
}

#[test]
fn a_batch_of_messages_is_one_wake() {
    let name = "sleep: one wake for a batch";
    holds(name, Bound::None, ships::models::one_wake_for_a_batch);
}
