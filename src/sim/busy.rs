//! Declared cost: a handler says how long it takes, time moves, and its budget is checked (I9).
//!
//! A simulated handler takes no time of its own. What it declares passes as it would while a real one
//! computes: deadlines that come meanwhile are due at their times, and their completions, like all others,
//! wait until it has returned.

use std::panic::Location;

use super::kernel::Kernel;
use super::oracle::Oracle;
use super::words::{duration, nanos};
use crate::choice::EventId;

/// One run of a handler, or one poll of a task: what a budget is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment {
    /// The event whose handler runs.
    pub(crate) event: EventId,
    /// How many-th handler of its worker.
    pub(crate) number: usize,
}

/// What the running segment has declared so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Declared {
    by: Option<Segment>,
    nanos: u64,
}

impl Kernel {
    /// `segment` takes `cost` nanoseconds. None: code that runs outside of any handler, and has no budget.
    pub(crate) fn busy(
        &mut self,
        cost: u64,
        segment: Option<Segment>,
        location: &'static Location<'static>,
    ) {
        if self.verdict.is_some() {
            return;
        }
        self.touches_all();
        self.note(|| format!("busy for {}", duration(cost)));
        let until = self.m.now.saturating_add(cost);
        while self.next_deadline().is_some_and(|at| at <= until) {
            self.clock();
        }
        self.set_time(until);
        self.busy = self.busy.saturating_add(cost);
        let Some(segment) = segment else { return };
        if self.declared.by != Some(segment) {
            self.declared = Declared {
                by: Some(segment),
                nanos: 0,
            };
        }
        self.declared.nanos = self.declared.nanos.saturating_add(cost);
        let Some(budget) = self.config.handler_budget.map(nanos) else {
            return;
        };
        if self.declared.nanos > budget {
            let message = format!(
                "a handler takes {}, more than its budget of {}: everything else on its worker waits meanwhile; \
                 offload what takes long, or do it in pieces",
                duration(self.declared.nanos),
                duration(budget)
            );
            self.fail(Oracle::OverBudget, message, segment.event, Some(location));
        }
    }
}
