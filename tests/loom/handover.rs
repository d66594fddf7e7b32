//! An output handed to a future on another thread.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/op/handover.rs" as handover, "models/handover.rs", op);
world!(hands_over_relaxed: "../../src/op/handover.rs" as handover, "models/handover.rs", op, HAND_OVER: Ordering = Ordering::Relaxed);
world!(looks_relaxed: "../../src/op/handover.rs" as handover, "models/handover.rs", op, LOOK: Ordering = Ordering::Relaxed);
world!(does_not_look: "../../src/op/handover.rs" as handover, "models/handover.rs", op, LOOKS_AFTER_WAKER: bool = false);

#[test]
fn an_output_arrives_and_wakes_who_waits() {
    let name = "output: awaited";
    holds(name, Bound::None, ships::models::awaited);
    let twin = "output, handed over relaxed";
    convicts(twin, Bound::None, hands_over_relaxed::models::awaited);
    let twin = "output, looked for relaxed";
    convicts(twin, Bound::None, looks_relaxed::models::awaited);
    let twin = "output, without a look after the waker";
    convicts(twin, Bound::None, does_not_look::models::awaited);
}

#[test]
fn an_output_nobody_wants_is_dropped_once() {
    let name = "output: abandoned, before or after it came";
    holds(name, Bound::None, || ships::models::abandoned(true));
    let name = "output: lost, or abandoned";
    holds(name, Bound::None, || ships::models::abandoned(false));
    let twin = "output, abandoned relaxed";
    convicts(twin, Bound::None, || {
        hands_over_relaxed::models::abandoned(true)
    });
}
