//! Asking the chooser, or drawing for it: the alternatives of each site, with the words that people and replays read.

use super::kernel::Machine;
use super::matrix::{Counter, Matrix};
use super::plain::Passed;
use super::trace::TIMEOUT;
use super::transitions::{Does, OutcomeClass, Personality, Rule, Transition};
use super::world::Coverage;
use crate::choice::{Alternatives, Chooser, Draws, EventId, Key, Kind, Site};

/// The chooser, and how often it was asked.
pub(super) struct Decider {
    chooser: Box<dyn Chooser>,
    /// What the chooser has lent: it is not asked then.
    pub(super) draws: Option<Box<Draws>>,
    /// Every answer will be 0: nothing need be built to ask.
    pub(super) kind: bool,
    /// The chooser reads the keys of decisions.
    pub(super) keyed: bool,
    /// The chooser hears of steps that it has no choice of.
    pub(super) follows: bool,
    /// The chooser hears what each step touches.
    pub(super) tracks: bool,
    /// The chooser is asked whether the proactor is dropped.
    pub(super) drops: bool,
    pub(super) coverage: Coverage,
    /// Of all executions so far.
    pub(super) counter: Counter,
    pub(super) passed: Passed,
}

impl Decider {
    pub(super) fn new(mut chooser: Box<dyn Chooser>) -> Decider {
        Decider {
            draws: chooser.lends(),
            kind: chooser.is_kind(),
            keyed: chooser.reads_keys(),
            follows: chooser.follows(),
            tracks: chooser.tracks(),
            drops: chooser.drops(),
            chooser,
            coverage: Coverage::default(),
            counter: Counter::default(),
            passed: Passed::default(),
        }
    }

    /// Puts another chooser in place and forgets the counts.
    pub(super) fn reset(&mut self, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        let old = self.replace(chooser);
        self.coverage = Coverage::default();
        old
    }

    /// A run begins on a kernel of this personality.
    pub(super) fn begins(&mut self, personality: Personality) {
        self.passed.begins(personality);
    }

    pub(super) fn take(&mut self) -> Box<dyn Chooser> {
        self.replace(Box::new(Kind))
    }

    fn replace(&mut self, mut chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.passed.tell(&mut self.counter, &mut self.coverage);
        if let Some(draws) = self.draws.take() {
            self.coverage.offers(&draws.offered());
            self.chooser.gets_back(draws);
        }
        self.draws = chooser.lends();
        self.kind = chooser.is_kind();
        self.keyed = chooser.reads_keys();
        self.follows = chooser.follows();
        self.tracks = chooser.tracks();
        self.drops = chooser.drops();
        std::mem::replace(&mut self.chooser, chooser)
    }

    /// The chooser, if it is one of this type.
    pub(super) fn chooser_as<C: Chooser>(&mut self) -> Option<&mut C> {
        let chooser: &mut dyn std::any::Any = &mut *self.chooser;
        chooser.downcast_mut()
    }

    /// The step that is under way touches an object.
    pub(super) fn touches(&mut self, object: u64, write: bool) {
        self.chooser.touches(object, write);
    }

    /// Something comes of the step that is under way.
    pub(super) fn came(&mut self, word: u64) {
        self.chooser.came(word);
    }

    /// The model's own state.
    pub(super) fn state(&mut self, digest: u64) {
        self.chooser.state(digest);
    }

    /// A step is made that is the only one.
    pub(super) fn only(&mut self, site: Site, event: EventId, step: &dyn Alternatives) {
        let key = Key {
            event,
            occurrence: 0,
        };
        self.chooser.only(site, key, step);
    }

    /// How often each site was put so far, and what came of it.
    pub(super) fn coverage(&mut self) -> Coverage {
        self.passed.tell(&mut self.counter, &mut self.coverage);
        let mut coverage = self.coverage;
        if let Some(draws) = &self.draws {
            coverage.offers(&draws.offered());
        }
        coverage
    }

    /// What was offered, and taken, so far.
    pub(super) fn matrix(&mut self) -> Matrix {
        self.passed.tell(&mut self.counter, &mut self.coverage);
        self.counter.matrix()
    }

    /// The same of the next step.
    #[inline(always)]
    pub(super) fn draw_order(&mut self, count: usize) -> Option<usize> {
        let picked = self.draws.as_mut()?.order(count);
        if picked != 0 {
            self.coverage.deviates(Site::NextStep);
        }
        Some(picked)
    }

    /// Draws what the chooser would answer. None: it is to be asked.
    #[inline(always)]
    pub(super) fn draw(&mut self, site: Site, count: impl FnOnce() -> usize) -> Option<usize> {
        let picked = self.draws.as_mut()?.draw(site, count);
        if picked != 0 {
            self.coverage.deviates(site);
        }
        Some(picked)
    }

    #[inline]
    pub(super) fn choose(
        &mut self,
        site: Site,
        key: Key,
        count: usize,
        alternatives: &dyn Alternatives,
    ) -> usize {
        debug_assert!(count >= 2, "{site:?} was offered with {count} alternatives");
        if let Some(picked) = self.draw(site, || count) {
            return picked;
        }
        let picked = self.chooser.choose(site, key, count, alternatives);
        // A stale replay may ask for what is not there any more; the kernel then stays kind.
        let picked = if picked < count { picked } else { 0 };
        self.coverage.count(site, picked != 0);
        picked
    }
}

/// Some outcomes of a transition: those that are possible here and that the personality has, the kind one
/// first.
pub(super) struct Menu {
    transition: &'static Transition,
    /// Which of its outcomes, as bits. Never none.
    mask: u16,
    /// How many bytes are possible, if it is a transfer.
    of: u32,
}

/// How many bits are set in each byte.
static ONES: [u8; 256] = {
    let mut ones = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        ones[byte] = byte.count_ones() as u8;
        byte += 1;
    }
    ones
};

impl Menu {
    pub(super) fn new(transition: &'static Transition, mask: u16, of: u32) -> Menu {
        Menu {
            transition,
            mask,
            of,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        // By a table: the oldest x86-64 has no instruction for it.
        let [low, high] = self.mask.to_le_bytes();
        usize::from(ONES[usize::from(low)] + ONES[usize::from(high)])
    }

    /// Whether there is more than one.
    #[inline]
    pub(super) fn is_choice(&self) -> bool {
        self.mask & self.mask.wrapping_sub(1) != 0
    }

    /// The place of an alternative among all outcomes of the transition.
    #[inline]
    pub(super) fn place(&self, index: usize) -> usize {
        let mut mask = self.mask;
        for _ in 0..index {
            mask &= mask - 1;
        }
        mask.trailing_zeros() as usize
    }

    fn outcome(&self, index: usize) -> Option<&'static OutcomeClass> {
        (index < self.len()).then(|| &self.transition.outcomes[self.place(index)])
    }
}

impl Alternatives for Menu {
    fn label(&self, index: usize) -> String {
        let Some(outcome) = self.outcome(index) else {
            return String::new();
        };
        match (outcome.does.size(self.of), self.of) {
            (Some(size), of) if size == of => format!("full ({of} bytes)"),
            (Some(size), of) if outcome.does == Does::Part => {
                format!("in two parts ({size} of {of} bytes first)")
            }
            (Some(size), of) => format!("short ({size} of {of} bytes)"),
            (None, _) => outcome.label.to_owned(),
        }
    }

    fn word(&self, index: usize) -> String {
        self.outcome(index)
            .map_or(String::new(), |outcome| outcome.word.to_owned())
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// The place of a late cancel among its target's children.
pub(super) const LATE_CANCEL: u32 = TIMEOUT - 1;

/// Who moves time.
const THE_CLOCK: EventId = EventId(0x0c10_0c10_0c10_0c10);

/// What may come next: queued completions, late effects, pending cancels, the clock; in this order.
pub(super) struct Steps<'a> {
    pub(super) machine: &'a Machine,
    pub(super) clock: bool,
}

/// One enabled step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Hand out the completion at this place of the queue.
    Complete(usize),
    /// Let the late effect at this place happen.
    Effect(usize),
    /// Process the cancel at this place.
    Cancel(usize),
    /// Move time to the next deadline.
    Clock,
}

impl Steps<'_> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        let machine = self.machine;
        machine.done.len() + machine.armed.len() + machine.cancels.len() + usize::from(self.clock)
    }

    #[inline]
    pub(super) fn step(&self, index: usize) -> Step {
        let (done, armed) = (self.machine.done.len(), self.machine.armed.len());
        if index < done {
            Step::Complete(index)
        } else if index < done + armed {
            Step::Effect(index - done)
        } else if index < done + armed + self.machine.cancels.len() {
            Step::Cancel(index - done - armed)
        } else {
            Step::Clock
        }
    }

    /// The transition that a step is.
    pub(super) fn rule(step: Step) -> Rule {
        match step {
            Step::Complete(_) => Rule::Complete,
            Step::Effect(_) => Rule::LateEffect,
            Step::Cancel(_) => Rule::LateCancel,
            Step::Clock => Rule::Clock,
        }
    }

    /// The operation that a step is about.
    #[inline]
    pub(super) fn target(&self, step: Step) -> Option<u32> {
        match step {
            Step::Complete(at) => self.machine.done.get(at),
            Step::Effect(at) => self.machine.armed.get(at),
            Step::Cancel(at) => self.machine.cancels.get(at),
            Step::Clock if self.next_parcel().is_some() => None,
            Step::Clock => self.machine.timers.first().map(|(_, id)| id),
        }
    }

    /// What arrives next over a link, if that comes before every timer.
    fn next_parcel(&self) -> Option<EventId> {
        let arrival = self.machine.net.first()?;
        let timer = self.machine.timers.first();
        let first = timer.is_none_or(|(deadline, _)| arrival < deadline);
        first
            .then(|| self.machine.net.first_event())
            .flatten()
            .map(|(event, _)| event)
    }

    pub(super) fn text(&self, step: Step) -> String {
        if step == Step::Clock && self.next_parcel().is_some() {
            return "an arrival over a link".to_owned();
        }
        let op = self
            .target(step)
            .map_or(String::new(), |id| self.machine.describe(id));
        match step {
            Step::Complete(_) => format!("the completion of {op}"),
            Step::Effect(_) => format!("the late effect of {op}"),
            Step::Cancel(_) => format!("the late cancel of {op}"),
            Step::Clock => format!("the deadline of {op}"),
        }
    }
}

impl Alternatives for Steps<'_> {
    fn label(&self, index: usize) -> String {
        match index {
            0 => self.text(self.step(0)),
            _ => format!(
                "{} before {}",
                self.text(self.step(index)),
                self.text(self.step(0))
            ),
        }
    }

    fn word(&self, index: usize) -> String {
        self.event(index)
            .map_or(String::new(), |event| format!("{event:?}"))
    }

    fn event(&self, index: usize) -> Option<EventId> {
        let step = self.step(index);
        if step == Step::Clock
            && let Some(event) = self.next_parcel()
        {
            return Some(event);
        }
        let event = self.machine.ops[self.target(step)? as usize].event;
        // A late cancel may stand beside the late effect of its target: it needs a name of its own.
        Some(if matches!(step, Step::Cancel(_)) {
            event.child(LATE_CANCEL)
        } else {
            event
        })
    }

    fn process(&self, index: usize) -> Option<EventId> {
        match self.step(index) {
            // Whichever deadline is the first by now.
            Step::Clock => Some(THE_CLOCK),
            _ => self.event(index),
        }
    }

    fn cause(&self, index: usize) -> Option<EventId> {
        let target = self.target(self.step(index))?;
        Some(self.machine.ops[target as usize].cause)
    }

    fn object(&self, index: usize) -> Option<(u64, bool)> {
        let target = self.target(self.step(index))?;
        let handle = self.machine.ops[target as usize].handle;
        // Timers have none; they are all the clock's.
        Some((u64::try_from(handle).unwrap_or(u64::MAX), true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::transitions::Personality;

    #[test]
    fn a_menu_has_what_is_possible_and_the_personality_has() {
        let recv = Rule::Recv.transition();
        let menu = |of| {
            let mask = recv.mask(Personality::Any, true) & recv.sizes(of, true);
            Menu::new(recv, mask, of)
        };
        let words = |of| {
            let menu = menu(of);
            (0..menu.len()).map(|at| menu.word(at)).collect::<Vec<_>>()
        };
        assert_eq!(words(2)[..2], ["full", "1"]);
        assert_eq!(words(64)[..4], ["full", "1", "half", "n-1"]);
        assert_eq!(menu(64).label(1), "short (1 of 64 bytes)");
        assert_eq!(menu(64).label(0), "full (64 bytes)");
        assert_eq!(menu(3).label(2), "short (2 of 3 bytes)");
        assert_eq!(menu(3).word(99), "");
        let faultless = recv.mask(Personality::Any, false) & recv.sizes(64, true);
        assert_eq!(Menu::new(recv, faultless, 64).len(), 1);
    }
}
