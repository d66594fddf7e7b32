//! One step after the other: which comes next, time, and what it means when there is none.

use std::fmt::Write;

use super::decide::{Step, Steps};
use super::kernel::{CLOCK, Kernel};
use super::op::{Op, State, Verb};
use super::trace::What;
use super::violation::Invariant;
use super::words::{duration, place, plural};
use crate::choice::{Alternatives, EventId, Site};

/// How long [`Kernel::step`] may let time run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Not at all.
    Now,
    /// To the next event, whenever that is.
    Event,
    /// At most to this time.
    Time(u64),
}

/// What [`Kernel::step`] brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stepped {
    /// A completion: token and result.
    Completion(u64, i32),
    /// Nothing until the time that was given, or a scripted peer made a step.
    Nothing,
    /// Nothing, and nothing can ever come.
    Stuck,
    /// There was a verdict, and the program polls on: the run is ended.
    Over,
}

/// After so many polls in a row that found nothing, time begins to run: who polls without end sees time
/// pass, as on a real machine, while a chain of handlers stays ahead of every timer.
const PATIENCE: u32 = 1_000;

/// So many steps may overtake the first of a line. A real kernel hands out in the end what is queued,
/// whatever else comes; an endless run in which it does not is nobody's mistake.
const FAIR: u32 = 1_000;

/// How many steps the first of each line of enabled steps has waited: completions, late effects, cancels.
#[derive(Clone, Copy, Default)]
pub(super) struct Waits([u32; 3]);

impl Waits {
    /// The step that must not be overtaken any more.
    fn due(&self, lines: [usize; 3]) -> Option<usize> {
        let due = (0..3).find(|line| self.0[*line] >= FAIR && lines[*line] > 0)?;
        Some(lines[..due].iter().sum())
    }

    fn picked(&mut self, lines: [usize; 3], step: usize) {
        let mut first = 0;
        for (waits, line) in self.0.iter_mut().zip(lines) {
            *waits = if line == 0 || step == first {
                0
            } else {
                *waits + 1
            };
            first += line;
        }
    }
}

/// Operations under way that the report of an endless run names.
const LAST: usize = 8;

/// How far time runs at such a poll.
const POLL: u64 = 1_000_000;

impl Kernel {
    /// Makes steps until there is a completion to hand out.
    pub(crate) fn step(&mut self, until: Until) -> Stepped {
        loop {
            if self.verdict.is_some() {
                // The story is over. No handler hears of anything more (one that tries again after
                // every error would never end); a teardown, which waits with an end, drains.
                if until == Until::Event {
                    return Stepped::Stuck;
                }
                // Nor does one that keeps something ready for itself go on for ever.
                self.late_polls = self
                    .late_polls
                    .saturating_add(u32::from(until == Until::Now));
                if until == Until::Now && self.late_polls > PATIENCE {
                    return Stepped::Over;
                }
                self.drain();
                while let Some(id) = self.m.done.pop() {
                    let stepped = self.completion(id);
                    if stepped != Stepped::Nothing {
                        return stepped;
                    }
                }
                return Stepped::Nothing;
            }
            if self.steps >= self.config.max_steps {
                self.report_endless();
                continue;
            }
            if self.decider.kind
                && let Some(id) = self.m.done.pop()
            {
                return self.completion(id);
            }
            let deadline = self.next_deadline();
            let others = Steps {
                machine: &self.m,
                clock: false,
            }
            .len()
                > 0;
            // Ahead of what is enabled the clock may go, but not past what the caller waits for.
            let clock = deadline.is_some_and(|deadline| match until {
                Until::Time(time) => deadline <= time,
                Until::Event => true,
                // What arrives now needs no time.
                Until::Now => others || deadline <= self.m.now,
            });
            let count = Steps {
                machine: &self.m,
                clock,
            }
            .len();
            if count == 0 {
                match until {
                    Until::Time(time) => {
                        self.set_time(time);
                        return Stepped::Nothing;
                    }
                    Until::Now => {
                        self.idle_polls = self.idle_polls.saturating_add(1);
                        if self.idle_polls < PATIENCE {
                            return Stepped::Nothing;
                        }
                        let next = self.m.now.saturating_add(POLL);
                        match deadline {
                            Some(deadline) if deadline <= next => self.clock(),
                            _ => {
                                self.set_time(next);
                                return Stepped::Nothing;
                            }
                        }
                        continue;
                    }
                    Until::Event => {
                        self.report_stuck();
                        return Stepped::Stuck;
                    }
                }
            }
            let picked = self.next_step(count, clock);
            let step = Steps {
                machine: &self.m,
                clock,
            }
            .step(picked);
            self.decider.coverage.takes(Steps::rule(step), 0);
            match step {
                Step::Complete(at) => {
                    if let Some(id) = self.m.done.take(at) {
                        return self.completion(id);
                    }
                }
                Step::Effect(at) => {
                    if let Some(id) = self.m.armed.take(at) {
                        self.effect_or_wait(id);
                    }
                }
                Step::Cancel(at) => {
                    if let Some(id) = self.m.cancels.take(at) {
                        self.m.ops[id as usize].cancel_pending = false;
                        self.cancel_wins(id);
                    }
                }
                Step::Clock => self.clock(),
            }
        }
    }

    fn completion(&mut self, id: u32) -> Stepped {
        self.idle_polls = 0;
        let (token, result) = self.hand_out(id);
        if self.peers.acting > 0 && self.peer_hears(id, result) {
            return Stepped::Nothing;
        }
        Stepped::Completion(token, result)
    }

    /// Which of the enabled steps: the oldest completion, unless the chooser deviates.
    fn next_step(&mut self, count: usize, clock: bool) -> usize {
        if self.decider.kind {
            return 0;
        }
        let steps = Steps {
            machine: &self.m,
            clock,
        };
        let Some(first) = steps.target(steps.step(0)) else {
            return 0;
        };
        let lines = [self.m.done.len(), self.m.armed.len(), self.m.cancels.len()];
        if let Some(due) = self.waits.due(lines).or((count < 2).then_some(0)) {
            if count < 2 && self.decider.follows {
                let event = self.m.ops[first as usize].event;
                self.decider.only(Site::NextStep, event, &steps);
            }
            self.waits.picked(lines, due);
            return due;
        }
        let key = self.key(Site::NextStep, first);
        let steps = Steps {
            machine: &self.m,
            clock,
        };
        let picked = self.decider.choose(Site::NextStep, key, count, &steps);
        self.waits.picked(lines, picked);
        if self.recorder.on {
            let (text, target) = (
                steps.label(picked),
                steps.target(steps.step(picked)).unwrap_or(first),
            );
            self.record(
                target,
                What::Decision {
                    site: Site::NextStep,
                    deviation: picked != 0,
                },
                text,
            );
        }
        picked
    }

    /// Time moves to the next deadline; everything that is due then is queued.
    pub(super) fn clock(&mut self) {
        let Some(deadline) = self.next_deadline() else {
            return;
        };
        self.set_time(deadline);
        while let Some((due, id)) = self.m.timers.first() {
            if due > self.m.now {
                break;
            }
            self.m.timers.remove(&mut self.m.ops, id);
            match self.m.ops[id as usize].verb {
                Verb::Connect => self.try_again(id),
                _ => self.finish(id, 0),
            }
        }
        self.arrivals();
    }

    pub(super) fn set_time(&mut self, time: u64) {
        if time <= self.m.now {
            return;
        }
        self.m.now = time;
        self.steps += 1;
        self.mix(EventId::ROOT, CLOCK, time);
        if self.recorder.on {
            let (root, text) = (EventId::ROOT, format!("clock: {}", duration(time)));
            self.recorder
                .push(root, root, What::Clock, None, text, None, time);
        }
    }

    /// Operations that have not been handed out, in the order of submission.
    fn under_way(&self) -> Vec<(u32, &Op)> {
        let mut ops: Vec<_> = (0u32..)
            .zip(&self.m.ops)
            .filter(|(_, op)| op.state != State::Free)
            .collect();
        ops.sort_unstable_by_key(|(_, op)| op.order);
        ops
    }

    /// I7: something is in flight, and nothing will ever end it.
    fn report_stuck(&mut self) {
        if self.in_flight() == 0 {
            return;
        }
        let mut message = format!(
            "stuck: {} for what will never come",
            match self.in_flight() {
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
        }
        self.report(super::Violation {
            invariant: Invariant::I7,
            message,
            event,
            location,
        });
    }

    /// I7: the run goes on and on.
    pub(super) fn report_endless(&mut self) {
        let mut message = format!(
            "livelock: after {} of the kernel the run has not ended; under way:",
            plural(self.steps, "step")
        );
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
        message
            .push_str("\nIf the run is not endless, only long, allow more: `Checker::max_steps`.");
        self.report(super::Violation {
            invariant: Invariant::I7,
            message,
            event,
            // Where an endless run is cut says nothing; it is the same failure wherever that is.
            location: None,
        });
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

    /// I8: the end of a run. Everything that was opened must be closed, everything started must have ended.
    pub(super) fn account(&mut self) {
        if self.verdict.is_some() || self.in_flight() == 0 && self.m.handles.open() == 0 {
            return;
        }
        let mut message = "left over at the end:".to_owned();
        let mut first = None;
        for (id, op) in self.under_way() {
            let _ = write!(message, "\n  {} is still in flight", self.m.describe(id));
            if let Some(location) = op.location {
                let _ = write!(message, ", started at {}", place(location));
            }
            first = first.or(Some((op.event, op.location)));
        }
        for (raw, handle) in self.m.handles.iter() {
            let _ = write!(message, "\n  {} is still open", self.m.object_name(raw));
            if let Some(location) = handle.location {
                let _ = write!(message, ", opened at {}", place(location));
            }
            first = first.or(Some((handle.event, handle.location)));
        }
        if let Some((event, location)) = first {
            self.report(super::Violation {
                invariant: Invariant::I8,
                message,
                event,
                location,
            });
        }
    }
}
