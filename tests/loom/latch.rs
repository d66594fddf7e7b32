//! The state of a strand.

use crate::explore::{Bound, convicts, holds};

world!(ships: "../../src/strand/latch.rs" as latch, "models/latch.rs", strand);
world!(lends_twice: "../../src/strand/latch.rs" as latch, "models/latch.rs", strand, REFUSES_REENTRY: bool = false);

#[test]
fn the_state_of_a_strand_is_lent_to_one_at_a_time() {
    let name = "state: handlers of one strand on two threads";
    holds(name, Bound::None, || ships::models::lent(true));
    let twin = "state, lent without asking who is inside";
    convicts(twin, Bound::None, || ships::models::lent(false));
}

#[test]
fn the_state_of_a_strand_is_refused_further_in() {
    let name = "state: asked for again from within";
    holds(name, Bound::None, ships::models::asked_for_again);
    let twin = "state, lent again from within";
    convicts(twin, Bound::None, lends_twice::models::asked_for_again);
}
