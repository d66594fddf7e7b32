//! The decisions of simulated workers: whose turn it is. The workers themselves stand above the
//! kernel; here they are only asked for, and written down.

use std::panic::Location;

use super::kernel::Kernel;
use super::steps::Until;
use super::trace::What;
use crate::choice::{Alternatives, EventId, Key, Site};

/// What a decision of the workers adds to the digest beside its event.
const TURN: u64 = 5;

impl Kernel {
    /// Whether a worker that asks for a completion may get one, or may at least change something.
    pub(crate) fn can_step(&self, until: Until) -> bool {
        if self.verdict.is_some() {
            return false;
        }
        let queued = self.m.done.len() + self.m.armed.len() + self.m.cancels.len() > 0;
        let due = |at: u64| match until {
            Until::Now => false,
            Until::Event => true,
            Until::Time(end) => at <= end,
        };
        queued || self.m.timers.first().is_some_and(|(at, _)| due(at))
    }

    /// How far time may run while a handler is under way: to the next deadline. It is not stuck.
    pub(crate) fn horizon(&self, until: Until) -> Until {
        let Some((deadline, _)) = self.m.timers.first() else {
            return Until::Now;
        };
        match until {
            Until::Now => Until::Now,
            Until::Event => Until::Time(deadline),
            Until::Time(end) => Until::Time(end.min(deadline)),
        }
    }

    /// Whether nothing is chosen any more.
    pub(crate) fn is_over(&self) -> bool {
        self.verdict.is_some()
    }

    /// Whether the trace is wanted.
    pub(crate) fn is_traced(&self) -> bool {
        self.recorder.on
    }

    /// Whether anybody asks who goes on.
    pub(crate) fn is_kind(&self) -> bool {
        self.decider.kind
    }

    /// Who goes on, where a handler could give way: 0 is itself.
    pub(crate) fn choose_turn(
        &mut self,
        key: Key,
        count: usize,
        those: &dyn Alternatives,
        location: Option<&'static Location<'static>>,
    ) -> usize {
        if count < 2 || self.decider.kind || self.verdict.is_some() {
            return 0;
        }
        let picked = self.decider.choose(Site::Worker, key, count, those);
        if picked != 0 {
            self.mix(key.event, TURN, picked as u64);
        }
        if self.recorder.on {
            let what = What::Decision {
                site: Site::Worker,
                deviation: picked != 0,
            };
            let first = those.event(picked).unwrap_or(EventId::ROOT);
            let text = those.label(picked);
            self.recorder
                .push(key.event, first, what, None, text, location, self.m.now);
        }
        picked
    }

    /// A handler begins or goes on while others are suspended: for the trace.
    pub(crate) fn segment(
        &mut self,
        event: EventId,
        text: impl FnOnce() -> String,
        location: Option<&'static Location<'static>>,
    ) {
        if self.recorder.on {
            let (now, what) = (self.m.now, What::Segment);
            self.recorder
                .push(event, event, what, None, text(), location, now);
        }
    }

    /// A handler comes to one switch point after the other and never ends: its points count as steps.
    pub(crate) fn spins(&mut self) {
        self.steps += 1;
        if self.steps >= self.config.max_steps && self.verdict.is_none() {
            self.report_endless();
        }
    }
}
