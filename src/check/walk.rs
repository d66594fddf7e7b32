//! The random walk: each enabled step is as likely as the others.
//!
//! What everybody compares with. Its executions are far from equally likely: of two threads with 5 steps
//! each, one that runs to its end before the other begins has a probability of 1/32, although it is one
//! of 252.

use super::dice::Dice;
use super::scheduled::{Known, Scheduler};
use crate::choice::Alternatives;

#[derive(Default)]
pub(crate) struct Walk;

impl Scheduler for Walk {
    fn begin(&mut self, _: &Known, _: &mut dyn Dice) {}

    fn pick(&mut self, count: usize, _: &dyn Alternatives, dice: &mut dyn Dice) -> usize {
        if count < 2 { 0 } else { dice.below(count) }
    }
}
