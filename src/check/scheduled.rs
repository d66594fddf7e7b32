//! Strategies for the order of steps: what they share.
//!
//! A [`Scheduler`] picks which of several enabled steps comes next; the outcomes of steps (a short read,
//! an error) are drawn as in [`super::random`], weights and all. Schedulers speak of *chains* where the
//! literature speaks of threads: steps of which each is the first thing that the handler of the one before
//! submitted.

use super::dice::{Dice, Seeded};
use super::execution::{Deviation, Tally};
use crate::choice::events::{ByEvent, ByNumber};
use crate::choice::{Alternatives, Chooser, EventId, Key, Random, Site};

/// Picks the next step.
pub(crate) trait Scheduler: Default + Send + 'static {
    /// Begins another execution of a program about which this is known.
    fn begin(&mut self, known: &Known, dice: &mut dyn Dice);

    /// Which of `count` enabled steps comes next. It is called for every step, also if there is but one.
    fn pick(&mut self, count: usize, steps: &dyn Alternatives, dice: &mut dyn Dice) -> usize;
}

/// What one kind execution tells about a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// How many steps it had.
    pub(crate) steps: usize,
    /// How many steps of each chain, and how many of them on each object.
    pub(crate) chains: ByEvent<Count>,
}

/// The steps of one chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) steps: usize,
    pub(crate) on: ByNumber<usize>,
}

/// The name of a chain: the first event of it that was seen.
pub(crate) type Chain = EventId;

/// Finds the chains of steps.
#[derive(Default)]
pub(crate) struct Chains {
    of: ByEvent<Chain>,
}

impl Chains {
    pub(crate) fn clear(&mut self) {
        self.of.clear();
    }

    /// The chain of a step. `cause` is asked of one that was not seen before.
    #[inline]
    pub(crate) fn of(&mut self, event: EventId, cause: impl FnOnce() -> Option<EventId>) -> Chain {
        match self.of.get(&event) {
            Some(chain) => *chain,
            None => self.first_of(event, cause()),
        }
    }

    fn first_of(&mut self, event: EventId, cause: Option<EventId>) -> Chain {
        let chain = match cause {
            // The first thing that the cause's handler submitted goes on with its chain. The root's
            // submissions are the beginnings: a body that submits ten operations starts ten chains.
            Some(cause) if cause != EventId::ROOT && cause.child(0) == event => {
                self.of.get(&cause).copied().unwrap_or(cause)
            }
            _ => event,
        };
        self.of.insert(event, chain);
        chain
    }

    /// The chain of the step at this place.
    pub(crate) fn at(&mut self, index: usize, steps: &dyn Alternatives) -> Chain {
        match steps.event(index) {
            Some(event) => self.of(event, || steps.cause(index)),
            None => EventId(index as u64),
        }
    }
}

/// A scheduler for orders, and drawn outcomes.
pub(crate) struct Scheduled<S> {
    outcomes: Random,
    scheduler: S,
    dice: Box<dyn Dice + Send>,
}

impl<S: Scheduler> Scheduled<S> {
    pub(crate) fn new() -> Scheduled<S> {
        Scheduled {
            outcomes: Random::default(),
            scheduler: S::default(),
            dice: Box::new(Seeded::new(0)),
        }
    }

    /// With a scheduler that is made up like this.
    #[cfg(test)]
    pub(crate) fn with(make: impl Fn(&mut S)) -> Scheduled<S> {
        let mut scheduled = Scheduled::new();
        make(&mut scheduled.scheduler);
        scheduled
    }

    /// Begins another execution.
    pub(crate) fn begin(&mut self, known: &Known, seed: u64) {
        self.outcomes.begin(seed);
        // Of its own: so the outcomes of a seed do not depend on how many orders were picked.
        self.dice.begin(!seed);
        self.scheduler.begin(known, &mut *self.dice);
    }

    /// Begins another execution, whose orders are picked by these dice.
    #[cfg(test)]
    pub(crate) fn begin_with(&mut self, known: &Known, dice: Box<dyn Dice + Send>) {
        self.outcomes.begin(0);
        self.dice = dice;
        self.scheduler.begin(known, &mut *self.dice);
    }

    pub(crate) fn deviations(&self) -> &[Deviation] {
        self.outcomes.deviations()
    }

    pub(crate) fn tally(&mut self) -> Tally {
        Tally::of(&mut self.outcomes)
    }
}

impl<S: Scheduler> Chooser for Scheduled<S> {
    fn reads_keys(&self) -> bool {
        false
    }

    fn choose(&mut self, site: Site, key: Key, count: usize, steps: &dyn Alternatives) -> usize {
        if !site.is_order() {
            return self.outcomes.choose(site, key, count, steps);
        }
        let picked = self.scheduler.pick(count, steps, &mut *self.dice);
        self.outcomes.draws().record(site, picked)
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, _: Site, _: Key, steps: &dyn Alternatives) {
        self.scheduler.pick(1, steps, &mut *self.dice);
    }
}

/// Runs kind and learns about the program.
#[derive(Default)]
pub(crate) struct Learner {
    known: Known,
    chains: Chains,
}

impl Learner {
    pub(crate) fn known(self) -> Known {
        self.known
    }

    fn step(&mut self, steps: &dyn Alternatives) {
        let chain = self.chains.at(0, steps);
        let count = self.known.chains.entry(chain).or_default();
        count.steps += 1;
        if let Some((object, _)) = steps.object(0) {
            *count.on.entry(object).or_default() += 1;
        }
        self.known.steps += 1;
    }
}

impl Chooser for Learner {
    fn choose(&mut self, site: Site, _: Key, _: usize, steps: &dyn Alternatives) -> usize {
        if site.is_order() {
            self.step(steps);
        }
        0
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, _: Site, _: Key, steps: &dyn Alternatives) {
        self.step(steps);
    }
}
