//! One step after the other: which comes next, time, and what it means when there is none.

use std::fmt::Write;

use super::decide::{Step, Steps};
use super::kernel::{CLOCK, Kernel};
use super::op::Verb;
use super::oracle::Oracle;
use super::trace::What;
use super::words::{duration, place};
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
    /// The power is lost: nothing will come until the next life.
    PowerLost,
    /// The proactor is to be dropped: nothing comes until it is.
    Dropped,
}

/// After so many polls in a row that found nothing, time begins to run: who polls without end sees time
/// pass, as on a real machine, while a chain of handlers stays ahead of every timer.
const PATIENCE: u32 = 1_000;

/// So many steps may overtake the first of a line. A real kernel hands out in the end what is queued,
/// whatever else comes; an endless run in which it does not is nobody's mistake.
const FAIR: u32 = 1_000;

/// How many steps the first of each line of enabled steps has waited: completions, late effects, cancels.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Waits([u32; 3]);

impl Waits {
    /// The step that must not be overtaken any more.
    #[inline(always)]
    pub(super) fn due(&self, lines: [usize; 3]) -> Option<usize> {
        let [done, armed, cancels] = self.0;
        if done.max(armed).max(cancels) < FAIR {
            return None;
        }
        let due = (0..3).find(|line| self.0[*line] >= FAIR && lines[*line] > 0)?;
        Some(lines[..due].iter().sum())
    }

    #[inline(always)]
    pub(super) fn picked(&mut self, lines: [usize; 3], step: usize) {
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

/// How far time runs at such a poll.
const POLL: u64 = 1_000_000;

impl Kernel {
    /// Makes steps until there is a completion to hand out.
    pub(crate) fn step(&mut self, until: Until) -> Stepped {
        self.step_in_line(until)
    }

    /// The same, where it is frequent.
    #[inline(always)]
    pub(crate) fn step_in_line(&mut self, until: Until) -> Stepped {
        loop {
            if self.is_off() {
                return self.step_without_power();
            }
            if self.verdict.is_some() {
                return self.step_after_verdict(until);
            }
            if self.is_out_of_patience() {
                self.report_endless();
                continue;
            }
            if self.decider.kind
                && let Some(id) = self.m.done.pop()
            {
                return self.completion(id);
            }
            let deadline = self.next_deadline();
            let others = self.m.done.len() + self.m.armed.len() + self.m.cancels.len();
            // Ahead of what is enabled the clock may go, but not past what the caller waits for.
            let clock = deadline.is_some_and(|deadline| match until {
                Until::Time(time) => deadline <= time,
                Until::Event => true,
                // What arrives now needs no time.
                Until::Now => others > 0 || deadline <= self.m.now,
            });
            let count = others + usize::from(clock);
            if self.may_end_early()
                && let Some(stepped) = self.ends_before(count, clock, until)
            {
                return stepped;
            }
            if count == 0 {
                match self.nothing_enabled(until, deadline) {
                    Some(stepped) => return stepped,
                    None => continue,
                }
            }
            let picked = self.next_step(count, clock);
            let step = Steps {
                machine: &self.m,
                clock,
            }
            .step(picked);
            self.decider.coverage.takes(Steps::rule(step), 0);
            if self.decider.tracks {
                self.touches_by_step(step);
            }
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

    /// Makes the step that a look makes which finds nothing, where it is sure that there is nothing: with nothing in
    /// flight or expected, on a machine that runs on. Whether it did.
    pub(crate) fn idles(&mut self) -> bool {
        let nothing =
            self.in_flight == 0 && !self.is_ready_above() && self.first_deadline().is_none();
        let is_over = self.is_over() || self.is_out_of_patience() || self.may_end_early();
        if !nothing || is_over || self.idle_polls + 1 >= PATIENCE {
            return false;
        }
        self.idle_polls += 1;
        true
    }

    #[cold]
    #[inline(never)]
    fn step_after_verdict(&mut self, until: Until) -> Stepped {
        // The story is over. No handler hears of anything more (one that tries again after
        // every error would never end); a teardown, which waits with an end, drains.
        if until == Until::Event {
            return Stepped::Stuck;
        }
        // Nor does one that keeps something ready for itself go on for ever.
        let polls = until == Until::Now;
        if polls && self.is_late_again() {
            return Stepped::Over;
        }
        let stepped = self.drained_completion();
        if let (Stepped::Nothing, Until::Time(end)) = (stepped, until) {
            // Whoever waits for that time, be it for nothing, comes to it; not again and again.
            if self.is_late_again() {
                return Stepped::Over;
            }
            self.set_time(end);
        }
        stepped
    }

    /// Counts the waits since the verdict that found nothing, or that went on at once: are they too many?
    fn is_late_again(&mut self) -> bool {
        self.late_polls = self.late_polls.saturating_add(1);
        self.late_polls > PATIENCE
    }

    /// The next of what was under way at the end of the story, or when the power was lost.
    pub(super) fn drained_completion(&mut self) -> Stepped {
        self.drain();
        while let Some(id) = self.m.done.pop() {
            let stepped = self.completion(id);
            if stepped != Stepped::Nothing {
                return stepped;
            }
        }
        Stepped::Nothing
    }

    /// No step is enabled: perhaps time runs, and one is then (`None`).
    #[cold]
    #[inline(never)]
    fn nothing_enabled(&mut self, until: Until, deadline: Option<u64>) -> Option<Stepped> {
        match until {
            Until::Time(time) => {
                self.set_time(time);
                Some(Stepped::Nothing)
            }
            Until::Now => {
                self.idle_polls = self.idle_polls.saturating_add(1);
                if self.idle_polls < PATIENCE {
                    return Some(Stepped::Nothing);
                }
                let next = self.m.now.saturating_add(POLL);
                if deadline.is_some_and(|deadline| deadline <= next) {
                    self.clock();
                    return None;
                }
                let progress = self.progress;
                self.set_time(next);
                if deadline.is_none() {
                    // Polling alone is none.
                    self.progress = progress;
                }
                Some(Stepped::Nothing)
            }
            Until::Event => {
                // What only scripted peers wait for may come when the model goes on.
                if self.in_flight_of_the_model() + self.waits_above().len() > 0 {
                    self.report_stuck();
                }
                Some(Stepped::Stuck)
            }
        }
    }

    #[inline(always)]
    fn completion(&mut self, id: u32) -> Stepped {
        self.idle_polls = 0;
        let (token, result) = self.hand_out(id);
        if self.peers.acting > 0 && self.peer_hears(id, result) {
            return Stepped::Nothing;
        }
        Stepped::Completion(token, result)
    }

    /// Whether this life ends before the next of so many steps.
    #[cold]
    fn ends_before(&mut self, count: usize, clock: bool, until: Until) -> Option<Stepped> {
        let steps = Steps {
            machine: &self.m,
            clock: clock || count == 0 && self.next_deadline().is_some(),
        };
        let first = match steps.len() {
            0 => None,
            _ => steps.target(steps.step(0)),
        };
        let (clock, looks) = (steps.clock, count == 0);
        if self.is_dropped_before(first, clock, looks, until) {
            return Some(Stepped::Dropped);
        }
        let may = count > 0 && self.may_lose_power();
        let fails = may && first.is_some_and(|first| self.power_fails(first));
        fails.then_some(Stepped::PowerLost)
    }

    /// Which of the enabled steps: the oldest completion, unless the chooser deviates.
    #[inline]
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
        let picked = match self.decider.draw(Site::NextStep, || count) {
            Some(picked) => picked,
            None => {
                let key = self.key_to_read(Site::NextStep, first);
                let steps = Steps {
                    machine: &self.m,
                    clock,
                };
                self.decider.choose(Site::NextStep, key, count, &steps)
            }
        };
        self.waits.picked(lines, picked);
        if self.recorder.on {
            self.record_next_step(picked, first, clock);
        }
        picked
    }

    #[cold]
    #[inline(never)]
    fn record_next_step(&mut self, picked: usize, first: u32, clock: bool) {
        let steps = Steps {
            machine: &self.m,
            clock,
        };
        let text = steps.label(picked);
        let target = steps.target(steps.step(picked)).unwrap_or(first);
        let (site, deviation) = (Site::NextStep, picked != 0);
        self.record(target, What::Decision { site, deviation }, text);
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
        self.touches_all();
        self.m.now = time;
        self.steps += 1;
        self.progress = self.steps;
        self.mix(EventId::ROOT, CLOCK, time);
        if self.recorder.on {
            let (root, text) = (EventId::ROOT, format!("clock: {}", duration(time)));
            self.recorder
                .push(root, root, What::Clock, None, text, None, time);
        }
    }

    /// I8: everything that the proactor kept has been dropped, and somebody holds this handle still.
    #[cold]
    pub(crate) fn still_held(&mut self, raw: i32) {
        let Some(handle) = self.m.handles.get(raw) else {
            return;
        };
        let (event, location) = (handle.event, handle.location);
        let mut message = format!("{} is still held at the end", self.m.object_name(raw));
        if let Some(at) = location {
            let _ = write!(message, ", opened at {}", place(at));
        }
        message.push_str(
            ": by a cycle, by a static, or by something outside of the model that outlives it",
        );
        self.fail(Oracle::Leak, message, event, location);
    }

    /// I8: the end of a run. Everything that was opened must be closed, everything started must have ended.
    pub(super) fn account(&mut self) {
        // Of a machine that is off nothing is left to be accounted for.
        if self.is_over() || self.in_flight() == 0 && self.m.handles.open() == 0 {
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
            self.fail(Oracle::Leak, message, event, location);
        }
    }
}
