//! Runs that can't go on, and runs that go on and on (I7): who waits for whom, and since when nothing
//! has got ahead.

use std::fmt::Write;

use super::handles::Object;
use super::kernel::Kernel;
use super::op::{Op, State, Verb};
use super::oracle::{Level, Oracle};
use super::words::{place, plural};
use crate::choice::EventId;

/// Operations under way that the report of an endless run names.
const LAST: usize = 8;

impl Kernel {
    /// Operations that have not been handed out, in the order of submission.
    pub(super) fn under_way(&self) -> Vec<(u32, &Op)> {
        let mut ops: Vec<_> = (0u32..)
            .zip(&self.m.ops)
            .filter(|(_, op)| op.state != State::Free)
            .collect();
        ops.sort_unstable_by_key(|(_, op)| op.order);
        ops
    }

    // ---- deadlock

    /// Something is in flight, and nothing will ever end it.
    #[cold]
    pub(super) fn report_stuck(&mut self) {
        let mut message = format!(
            "stuck: {} for what will never come",
            match self.in_flight() + self.waits_above().len() {
                1 => "1 operation waits".to_owned(),
                n => format!("{n} operations wait"),
            }
        );
        let waiting = self.under_way();
        let (event, location) = waiting
            .first()
            .map_or((EventId::ROOT, None), |(_, op)| (op.event, op.location));
        for (id, op) in &waiting {
            let _ = write!(
                message,
                "\n  {} waits {}",
                self.m.describe(*id),
                self.reason(op)
            );
            if let Some(location) = op.location {
                let _ = write!(message, ", started at {}", place(location));
            }
            if let Some(why) = self.why_not(op) {
                let _ = write!(message, "\n    {why}");
            }
        }
        for (_, event, location) in self.waits_above() {
            let _ = write!(
                message,
                "\n  {event:?} waits for somebody to set the event, started at {}",
                place(location)
            );
        }
        if let Some(circle) = self.circle(&waiting) {
            let said: Vec<String> = circle.iter().map(|id| self.m.describe(*id)).collect();
            let said = said.join(", ");
            let _ = write!(
                message,
                "\n  They wait in a circle, each for the handler of the next: {said}"
            );
        }
        self.fail(Oracle::Deadlock, message, event, location);
    }

    pub(super) fn reason(&self, op: &Op) -> &'static str {
        if let Some(reason) = self.reason_on_a_wire(op) {
            return reason;
        }
        match op.verb {
            Verb::Recv => "for bytes, or the end, from its peer",
            Verb::Send => "for its peer to read: the buffer of the stream is full",
            Verb::Accept => "for somebody to connect",
            Verb::Wait => "for somebody to set the event",
            Verb::Connect => "for a place in the backlog of the listener",
            _ => "for nothing that the kernel knows",
        }
    }

    /// Who would have to do something for an operation to end, and why that one does not.
    fn why_not(&self, op: &Op) -> Option<String> {
        match op.verb {
            Verb::Recv | Verb::Send => {
                let Object::Stream { conn, side } = self.m.handles.object(op.handle) else {
                    return None;
                };
                let (peer, name) = (side ^ 1, self.m.tcp.stream_name(conn, side ^ 1));
                let act = if op.verb == Verb::Recv {
                    "sends on"
                } else {
                    "receives on"
                };
                let Some((raw, handle)) = self.m.handles.iter().find(|(_, handle)| {
                    matches!(handle.object, Object::Stream { conn: c, side: s } if (c, s) == (conn, peer))
                }) else {
                    return Some(format!("nobody {act} {name}: it has not been accepted"));
                };
                let under_way: Vec<String> =
                    self.on_handle(raw).map(|id| self.m.describe(id)).collect();
                Some(match under_way.as_slice() {
                    [] => {
                        let opened = handle.location.map_or_else(String::new, |at| {
                            format!(", which came from {}", place(at))
                        });
                        format!("nobody {act} {name}{opened}: nothing is under way there")
                    }
                    some => format!(
                        "nobody {act} {name}: all that is under way there is {}",
                        some.join(", ")
                    ),
                })
            }
            Verb::Accept => Some("no connect is under way".to_owned()).filter(|_| {
                !self
                    .m
                    .ops
                    .iter()
                    .any(|op| op.state != State::Free && op.verb == Verb::Connect)
            }),
            Verb::Connect => Some("nobody accepts there".to_owned()),
            _ => None,
        }
    }

    /// What is under way on a handle.
    fn on_handle(&self, raw: i32) -> impl Iterator<Item = u32> {
        let ops = (0u32..).zip(&self.m.ops);
        ops.filter(move |(_, op)| op.state != State::Free && op.handle == raw)
            .map(|(id, _)| id)
    }

    /// An operation whose handler would have to act for this one to end: the first on the other side of
    /// its stream.
    fn waits_for(&self, op: &Op) -> Option<u32> {
        let Object::Stream { conn, side } = self.m.handles.object(op.handle) else {
            return None;
        };
        let is_peer = |object: Object| matches!(object, Object::Stream { conn: c, side: s } if (c, s) == (conn, side ^ 1));
        let (raw, _) = self
            .m
            .handles
            .iter()
            .find(|(_, handle)| is_peer(handle.object))?;
        self.on_handle(raw)
            .min_by_key(|id| self.m.ops[*id as usize].order)
    }

    /// Operations that wait for each other's handlers; the first one stands at the end again.
    fn circle(&self, waiting: &[(u32, &Op)]) -> Option<Vec<u32>> {
        let (mut chain, mut at) = (Vec::new(), waiting.first()?.0);
        for &(first, _) in waiting {
            chain.clear();
            at = first;
            while !chain.contains(&at) {
                chain.push(at);
                match self.waits_for(&self.m.ops[at as usize]) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            if chain.len() > 1 && chain.first() == Some(&at) {
                chain.push(at);
                return Some(chain);
            }
        }
        let _ = at;
        None
    }

    // ---- livelock

    /// The run has made as many steps as it may, or as many without progress.
    #[inline]
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.steps >= self.config.max_steps || self.steps - self.progress >= self.config.quiet_steps
    }

    /// The run goes on and on.
    #[cold]
    pub(super) fn report_endless(&mut self) {
        let quiet = self.steps - self.progress;
        let oracle = if quiet >= self.config.quiet_steps.min(self.config.max_steps) {
            Oracle::Livelock
        } else {
            Oracle::Endless
        };
        if self.config.levels.get(oracle) != Level::Deny {
            // It was asked for: the other bound remains, and then none.
            match oracle {
                Oracle::Livelock if self.steps < self.config.max_steps => {
                    (self.progress, self.config.quiet_steps) = (self.steps, u64::MAX);
                }
                _ => (self.config.max_steps, self.config.quiet_steps) = (u64::MAX, u64::MAX),
            }
        }
        let (what, since) = match oracle {
            Oracle::Livelock => (
                "livelock",
                format!(
                    "for {} of the kernel nothing has got ahead",
                    plural(quiet, "step")
                ),
            ),
            _ => (
                "endless",
                format!(
                    "after {} of the kernel the run has not ended",
                    plural(self.steps, "step")
                ),
            ),
        };
        let mut message = format!("{what}: {since}; under way:");
        let last = self.under_way();
        let event = last.last().map_or(EventId::ROOT, |(_, op)| op.event);
        let hidden = last.len().saturating_sub(LAST);
        for (id, op) in &last[hidden..] {
            let _ = write!(message, "\n  {}", self.m.describe(*id));
            if op.state == State::Done {
                let _ = write!(message, " {}", self.outcome(*id));
            }
            if let Some(location) = op.location {
                let _ = write!(message, ", started at {}", place(location));
            }
        }
        if last.is_empty() {
            message.push_str("\n  no operation: handlers or tasks keep each other awake");
        }
        message.push_str(match oracle {
            Oracle::Livelock => {
                "\nNo byte has moved since, nothing was opened or closed, and no time has passed. If the \
                 run is not endless, only long, allow more: `Config::quiet_steps`, `Checker::max_steps`."
            }
            _ => "\nIf the run is not endless, only long, allow more: `Checker::max_steps`.",
        });
        // Where an endless run is cut says nothing; it is the same failure wherever that is.
        self.fail(oracle, message, event, None);
    }
}
