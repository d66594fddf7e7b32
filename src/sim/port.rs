//! The kernel below the driver of a completion port: what it is asked beside operations.
//!
//! Timers and events are that driver's own there, so the kernel is told what else could happen.

use std::panic::Location;

use super::hosts::Name;
use super::kernel::Kernel;
use super::op::State;
use super::transitions::{Does, Rule};
use crate::choice::EventId;

/// Through what operations come to the simulated kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Door {
    /// They are the kernel's own, plainly.
    #[default]
    Plain,
    /// Through this crate's driver for Windows' completion ports, over a simulated port: overlapped structures, packets,
    /// successes that bring none, error numbers of Windows'. Slower. It is what the driver is checked with, and a second
    /// opinion on handlers that are to run there.
    Port,
}

/// What the kernel knows of the driver above it.
#[derive(Default)]
pub(super) struct Above {
    /// It has something to hand out.
    ready: bool,
    /// Its first timer.
    deadline: Option<u64>,
    /// Handles that were associated, looks that could have brought more.
    handles: u32,
    looks: u32,
    /// Its waits for events: their tokens, their events, and where they were started.
    waits: Vec<(u64, EventId, &'static Location<'static>)>,
}

impl Above {
    pub(super) fn reset(&mut self) {
        self.ready = false;
        self.deadline = None;
        (self.handles, self.looks) = (0, 0);
        self.waits.clear();
    }
}

/// What was chosen for a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Associated {
    pub(crate) skips: bool,
    /// Somebody posts a packet of his own.
    pub(crate) foreign: bool,
}

impl Kernel {
    /// What the driver above has: something to hand out, and its first timer.
    pub(crate) fn above(&mut self, ready: bool, deadline: Option<u64>) {
        self.above.ready = ready;
        self.above.deadline = deadline;
    }

    /// An event of the driver's was set: there may be something to hand out.
    pub(crate) fn is_set_above(&mut self) {
        self.above.ready = true;
    }

    /// Whether an `.await` may be ready at its first poll.
    pub(crate) fn offers_ready(&self) -> bool {
        self.config.ready_at_first_poll
    }

    pub(super) fn is_ready_above(&self) -> bool {
        self.above.ready
    }

    /// The earliest point in time at which something happens by itself, here or in the driver.
    #[inline]
    pub(super) fn first_deadline(&self) -> Option<u64> {
        let deadlines = [self.next_deadline(), self.above.deadline];
        deadlines.into_iter().flatten().min()
    }

    /// A wait for an event of the driver's begins.
    pub(crate) fn waits_for_event(
        &mut self,
        token: u64,
        event: EventId,
        location: &'static Location<'static>,
    ) {
        self.above.waits.push((token, event, location));
    }

    /// It has ended.
    pub(crate) fn has_waited(&mut self, token: u64) {
        self.above.waits.retain(|(it, _, _)| *it != token);
    }

    pub(super) fn waits_above(&self) -> &[(u64, EventId, &'static Location<'static>)] {
        &self.above.waits
    }

    /// A handle is associated with the port.
    pub(crate) fn associates(&mut self) -> Associated {
        let nth = self.above.handles;
        self.above.handles += 1;
        let does = self.pick_for(Rule::PortSkip, Name::new(EventId::ROOT, 0, nth));
        Associated {
            skips: does != Does::Late,
            foreign: does == Does::Zero,
        }
    }

    /// A packet was taken: whether the next may come with it.
    pub(crate) fn brings_more(&mut self) -> bool {
        let nth = self.above.looks;
        self.above.looks += 1;
        self.pick_for(Rule::PortBatch, Name::new(EventId::ROOT, 1, nth)) == Does::Ahead
    }

    /// Whether the operation in this slot is under way: neither over nor unknown.
    pub(crate) fn is_under_way(&self, id: u32, token: u64) -> bool {
        self.m
            .ops
            .get(id as usize)
            .is_some_and(|op| op.token == token && matches!(op.state, State::Wait | State::Armed))
    }

    /// An operation that is the driver's own began: a timer, a wait for an event.
    pub(crate) fn began_above(
        &mut self,
        event: EventId,
        cause: EventId,
        what: &str,
        location: &'static Location<'static>,
    ) {
        if self.recorder.on {
            let nth = self.recorder.nth(event, cause);
            self.recorder
                .began(event, cause, nth, what.to_owned(), location, self.m.now);
        }
    }
}
