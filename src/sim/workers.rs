//! The decisions of simulated workers: whose turn it is. The workers themselves stand above the
//! kernel; here they are only asked for, and written down.

use std::panic::Location;

use super::handles::Object;
use super::kernel::Kernel;
use super::op::Verb;
use super::steps::Until;
use super::trace::What;
use super::transitions::Rule;
use crate::choice::{Alternatives, EventId, Key, Site};
use crate::switch;

/// Through what one handler's data get to another's: a connection, a file, all that listens. Numbers
/// beyond those of events' counters and of addresses.
const CHANNEL: u64 = 0xc4a0_0000_0000_0000;

/// What a decision of the workers adds to the digest beside its event.
const TURN: u64 = 5;

impl Kernel {
    /// Whether a worker that asks for a completion may get one, or may at least change something.
    pub(crate) fn can_step(&self, until: Until) -> bool {
        if self.is_over() {
            return false;
        }
        let queued = self.m.done.len() + self.m.armed.len() + self.m.cancels.len() > 0;
        let due = |at: u64| match until {
            Until::Now => false,
            Until::Event => true,
            Until::Time(end) => at <= end,
        };
        queued || self.is_ready_above() || self.first_deadline().is_some_and(due)
    }

    /// How far time may run while a handler is under way: to the next deadline. It is not stuck.
    pub(crate) fn horizon(&self, until: Until) -> Until {
        let Some(deadline) = self.first_deadline() else {
            return Until::Now;
        };
        match until {
            Until::Now => Until::Now,
            Until::Event => Until::Time(deadline),
            Until::Time(end) => Until::Time(end.min(deadline)),
        }
    }

    /// Whether nothing is chosen any more.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.verdict.is_some() || self.is_off()
    }

    /// Handlers are suspended while a worker asks for the next completion, or not.
    pub(crate) fn holds_power(&mut self, held: bool) {
        self.power.held = held;
    }

    /// What orders those who put something into this object before those who get it out.
    fn channel(&self, raw: i32) -> Option<u64> {
        match self.m.handles.object(raw) {
            Object::Stream { conn, .. } => Some(CHANNEL | 1 << 32 | u64::from(conn)),
            Object::File { node, .. } => Some(CHANNEL | 2 << 32 | u64::from(node)),
            Object::Event(event) => Some(CHANNEL | 3 << 32 | u64::from(event)),
            Object::Socket { .. } | Object::Listener(_) => Some(CHANNEL),
            Object::Closed => None,
        }
    }

    /// A handler puts something into the object: what it has done so far is before what comes of that.
    #[inline]
    pub(super) fn puts(&self, raw: i32) {
        if switch::is_simulated() {
            self.tell_puts(raw);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_puts(&self, raw: i32) {
        if let Some(channel) = self.channel(raw) {
            switch::released(channel);
        }
    }

    /// An operation has had its effect: its handler is after those who put into the object what it got.
    #[inline]
    pub(super) fn gets(&self, id: u32) {
        if switch::is_simulated() {
            self.tell_gets(id);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_gets(&self, id: u32) {
        let op = &self.m.ops[id as usize];
        if matches!(
            op.verb,
            Verb::Recv | Verb::Accept | Verb::ReadAt | Verb::Length | Verb::Wait
        ) && let Some(channel) = self.channel(op.handle)
        {
            switch::passes(channel, op.event);
        }
    }

    /// Whether the trace is wanted.
    pub(crate) fn is_traced(&self) -> bool {
        self.recorder.on
    }

    /// Whether anybody asks who goes on.
    pub(crate) fn is_kind(&self) -> bool {
        self.decider.kind
    }

    /// Whether anybody reads how many-th decision it is that is asked for an event.
    #[inline]
    pub(crate) fn reads_keys(&self) -> bool {
        self.decider.keyed
    }

    /// Who goes on, where a handler could give way: 0 is itself. There are at least 2, and the story is
    /// not over.
    #[inline(always)]
    pub(crate) fn choose_turn(
        &mut self,
        key: Key,
        count: usize,
        those: &dyn Alternatives,
        location: Option<&'static Location<'static>>,
    ) -> usize {
        let picked = self.decider.choose(Site::Worker, key, count, those);
        let switches = usize::from(picked != 0);
        self.decider.coverage.takes(Rule::Segment, switches);
        if picked != 0 {
            self.mix(key.event, TURN, picked as u64);
        }
        if self.recorder.on {
            self.record_turn(key, picked, those, location);
        }
        picked
    }

    #[cold]
    fn record_turn(
        &mut self,
        key: Key,
        picked: usize,
        those: &dyn Alternatives,
        location: Option<&'static Location<'static>>,
    ) {
        let what = What::Decision {
            site: Site::Worker,
            deviation: picked != 0,
        };
        let first = those.event(picked).unwrap_or(EventId::ROOT);
        let text = those.label(picked);
        self.recorder
            .push(key.event, first, what, None, text, location, self.m.now);
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
        if self.is_out_of_patience() && self.verdict.is_none() {
            self.report_endless();
        }
    }
}
