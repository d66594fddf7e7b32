//! POS: every step has a random priority of its own, and those that race with what was done draw again.
//!
//! Yuan, Yang and Gu, *Partial order aware concurrency sampling* (CAV 2018). Of the enabled steps the one
//! with the highest priority goes first; then all enabled steps that touch the same object, one of the two
//! changing it, get new priorities. Steps on other objects keep theirs, so that an order of independent
//! steps is not drawn over and over. Departures:
//!
//! - a step whose object is not known races with all: between handlers that may share anything each step
//!   then is drawn anew, which is the random walk;
//! - a priority belongs to an event; a handler that could give way draws at each of its switch points.

use super::dice::Dice;
use super::scheduled::{Known, Scheduler};
use crate::choice::events::ByEvent;
use crate::choice::{Alternatives, EventId};

#[derive(Default)]
pub(crate) struct Pos {
    priorities: ByEvent<u64>,
}

impl Scheduler for Pos {
    fn begin(&mut self, _: &Known, _: &mut dyn Dice) {
        self.priorities.clear();
    }

    fn pick(&mut self, count: usize, steps: &dyn Alternatives, dice: &mut dyn Dice) -> usize {
        let event = |index| steps.event(index).unwrap_or(EventId(index as u64));
        let mut picked = 0;
        let mut highest = 0;
        for index in 0..count {
            let priority = *self
                .priorities
                .entry(event(index))
                .or_insert_with(|| dice.word() | 1);
            if priority > highest {
                (picked, highest) = (index, priority);
            }
        }
        for index in 0..count {
            if index == picked || steps.races(index, picked) {
                self.priorities.remove(&event(index));
            }
        }
        picked
    }
}
