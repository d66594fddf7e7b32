//! Source-DPOR with sleep sets: of the orders that differ only in steps that do not touch the same thing,
//! one is run.
//!
//! Abdulla, Aronis, Jonsson and Sagonas, *Source sets: a foundation for optimal dynamic partial order
//! reduction* (JACM 2017), algorithm 1. After each execution every *race* in it is looked at: two
//! dependent steps that nothing between them orders. Before the first of the two something must be tried
//! that leads to the second without the first: an *initial* of what would have happened then. Steps whose
//! every continuation was run go to sleep, and are woken by a dependent one.
//!
//! What two steps touch decides whether they are dependent: the same object, one of them changing it. A
//! step also touches those that it starts. Departures from the paper:
//!
//! - a step may have outcomes. All of them are run wherever the step is; a step sleeps only after all of
//!   them, and what it touches is then what any of them touched (waking too often is sound);
//! - races are looked at once an execution has ended, not at each step: the same are found;
//! - if an initial of the reversal sleeps at the place, nothing is added: what it leads to was run;
//! - an initial that is not enabled at the place is not added: the first of the two steps made it possible.
//!
//! Outcomes may be bounded: at most so many in one execution that are not the kind one. What a step comes to
//! does not change with the order of those it is independent of, so the bound says the same of two
//! executions that are alike, and reduction loses nothing of what it allows. (A bound on *orders* would: two
//! executions that are alike overtake differently often. There is none.)
//!
//! On the simulated kernel an effect that may be late is so ([`Site::EffectLate`]): it is a step by itself,
//! and having it at once is having it as the next step. Only where the rest of the step that submitted it
//! touches what the effect does (another operation on the same stream that can't wait, say) at once is
//! something else, and tried as well.
//!
//! A step may disable another for good: a cancel takes the last deadline away, and time never moves. What an
//! execution does not hold no race tells of, so whatever a step disables is tried instead of it.
//!
//! An execution begins as the one before it did. Of what is the same nothing is written down or learned
//! again: what its steps touched is known, and its races were looked at.
//!
//! An execution in which everything enabled sleeps is *blocked*: another one was, or will be, the same. It
//! costs and counts nothing.

mod races;

use std::collections::HashMap;

use self::races::Scratch;
use super::diamond::{Of, Pair};
use super::execution::{Deviation, Tally};
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};

/// Explores one execution of each class.
#[derive(Default)]
pub(crate) struct Dpor {
    /// The choices of the current execution, with what is left to be tried at each.
    path: Vec<Node>,
    /// The place of the next choice.
    at: usize,
    /// The steps of the current execution, and from the one before it those that are to be made again.
    steps: Vec<Done>,
    /// What they touched.
    touched: Vec<(u64, bool)>,
    /// How many steps have been made.
    made: usize,
    /// So many steps were made before what is different from the execution before; the last of them may be what
    /// is. 0: all is, from before the first one on.
    fresh: usize,
    /// What was touched since [`Dpor::since`].
    marks: Marks,
    /// Everything enabled sleeps: the rest of the execution is of no interest.
    blocked: bool,
    /// The program offered other choices than before: it is not deterministic.
    lost: bool,
    /// Effects that are late in the current execution.
    lates: Vec<Late>,
    /// Outcomes other than kind ones that an execution may have; no value: as many as it likes.
    outcomes: Option<u32>,
    /// How many the current one has.
    used: u32,
    /// The bound has left some out.
    bounded: bool,
    pub(crate) count: Count,
    pub(crate) tally: Tally,
    scratch: Scratch,
    /// Places that are over, for those to come.
    spare: Vec<Place>,
    /// What sleepers touch, those of earlier places first.
    sleepers: Vec<(u64, bool)>,
}

/// An effect that is late.
#[derive(Clone, Copy)]
struct Late {
    event: EventId,
    /// Its place in `path`.
    node: usize,
    /// The step under way: how many there were by then.
    step: usize,
    /// How much was touched by then.
    touched: usize,
}

/// Steps of a pair that is run in both orders stand so near to each other.
const NEAR: usize = 8;

/// What was run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Executions that came to their end, one of each class.
    pub(crate) traces: u64,
    /// Executions that were given up, being like another.
    pub(crate) blocked: u64,
}

enum Node {
    Step(Place),
    Outcome {
        of: Of,
        count: u32,
        chosen: u32,
        /// How many outcomes before it were not kind.
        used: u32,
    },
    /// An effect that may be late. `at_once`: that would be something else.
    Late {
        of: Of,
        late: bool,
        at_once: bool,
    },
}

/// A place in the execution at which one of several steps is made.
#[derive(Default)]
struct Place {
    enabled: Vec<EventId>,
    chosen: usize,
    /// What is to be tried here, or was.
    backtrack: Vec<EventId>,
    /// Steps, every continuation of which was run: from before, then from here.
    asleep: Vec<Sleeper>,
    /// How many of them are from before.
    inherited: usize,
    /// How much `Dpor::sleepers` held when it began.
    sleepers: usize,
    /// What the chosen step touches, all outcomes together.
    touches: Vec<(u64, bool)>,
}

/// A step that sleeps.
#[derive(Clone, Copy)]
struct Sleeper {
    event: EventId,
    marks: Marks,
    /// Where in `Dpor::sleepers` what it touches begins and ends.
    touches: (usize, usize),
}

/// One step of the current execution.
#[derive(Clone, Copy)]
struct Done {
    event: EventId,
    /// Its place in `path`.
    node: usize,
    /// Where what it touched begins.
    touched: usize,
}

fn dependent(one: &[(u64, bool)], two: &[(u64, bool)]) -> bool {
    one.iter().any(|(object, write)| {
        two.iter()
            .any(|(other, overwrite)| object == other && (*write || *overwrite))
    })
}

/// What is touched, roughly: a bit for each object, which others may have as well. Mostly it says by itself that
/// two steps have nothing in common.
#[derive(Clone, Copy, Default)]
struct Marks {
    touched: u128,
    written: u128,
}

impl Marks {
    fn bit(object: u64) -> u128 {
        1 << (object.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57)
    }

    fn of(touches: &[(u64, bool)]) -> Marks {
        let mut marks = Marks::default();
        for (object, write) in touches {
            marks.add(*object, *write);
        }
        marks
    }

    fn add(&mut self, object: u64, write: bool) {
        let bit = Marks::bit(object);
        self.touched |= bit;
        self.written |= if write { bit } else { 0 };
    }

    /// Whether it may have been touched in this way.
    fn may_have(&self, object: u64, write: bool) -> bool {
        let marks = if write { self.written } else { self.touched };
        marks & Marks::bit(object) != 0
    }

    /// False: they are independent.
    fn may_depend(&self, other: &Marks) -> bool {
        self.written & other.touched | self.touched & other.written != 0
    }
}

impl Place {
    fn sleeps(&self, event: EventId) -> bool {
        self.asleep.iter().any(|sleeper| sleeper.event == event)
    }
}

impl Dpor {
    /// A search of executions with at most so many outcomes that are not kind.
    pub(crate) fn with_outcomes(outcomes: Option<u32>) -> Dpor {
        Dpor {
            outcomes,
            ..Dpor::default()
        }
    }

    /// Whether some outcomes were left out.
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Begins an execution.
    pub(crate) fn begin(&mut self) {
        self.at = 0;
        self.used = 0;
        self.made = 0;
        self.blocked = false;
        self.marks = Marks::default();
        // What is different begins with the first step that is not kept; or before all of them.
        let kept = self.fresh.saturating_sub(1);
        let touched = match self.fresh {
            0 => 0,
            _ => self.steps.get(kept).map_or(0, |step| step.touched),
        };
        self.steps.truncate(kept);
        self.touched.truncate(touched);
        self.lates.retain(|late| late.step < self.fresh);
    }

    /// Where the execution deviated from the kind one, by the places of its choices.
    pub(crate) fn deviations(&self) -> Vec<Deviation> {
        let mut deviations = Vec::new();
        let mut position = 0;
        for node in &self.path {
            let alternative = match node {
                // A step that nothing could come before was no choice.
                Node::Step(place) if place.enabled.len() < 2 => continue,
                Node::Step(place) => place.chosen as u32,
                Node::Outcome { chosen, .. } => *chosen,
                Node::Late { late, .. } => u32::from(*late),
            };
            if alternative != 0 {
                deviations.push(Deviation {
                    position,
                    alternative,
                });
            }
            position += 1;
        }
        deviations
    }

    /// A pair of steps of the execution that has just ended, of which it is said here that they
    /// are independent; which, `draw` says. (Before [`advance`](Dpor::advance).)
    pub(crate) fn pair(&self, draw: u64) -> Option<Pair> {
        // Not neighbours alone: the completion of an effect mostly follows it at once.
        let moved = |early: usize, late: usize| {
            let (step, other) = (self.steps[early], self.steps[late]);
            let Node::Step(place) = &self.path[step.node] else {
                return false;
            };
            place.enabled.contains(&other.event)
                && (early..late).all(|before| {
                    self.steps[before].event != other.event
                        && !dependent(self.touches_of(before), self.touches_of(late))
                })
        };
        let mut pairs = Vec::new();
        for late in 1..self.steps.len() {
            let from = late.saturating_sub(NEAR);
            pairs.extend(
                (from..late)
                    .filter(|early| moved(*early, late))
                    .map(|it| (it, late)),
            );
        }
        let (first, second) = *pairs.get(draw.checked_rem(pairs.len() as u64)? as usize)?;
        let (mut steps, mut outcomes) = (vec![EventId::ROOT], HashMap::new());
        for node in &self.path {
            match node {
                Node::Step(place) => steps.push(place.enabled[place.chosen]),
                Node::Outcome { of, chosen, .. } => {
                    outcomes.insert(*of, *chosen);
                }
                Node::Late { of, late, .. } => {
                    outcomes.insert(*of, u32::from(*late));
                }
            }
        }
        Some(Pair {
            steps,
            outcomes,
            first: first + 1,
            second: second + 1,
        })
    }

    /// Whether the program did something else than before under the same choices.
    pub(crate) fn lost(&self) -> bool {
        self.lost
    }

    /// Whether the execution was given up.
    #[cfg(test)]
    pub(crate) fn blocked(&self) -> bool {
        self.blocked
    }

    /// The execution has ended: learns from it. True if there is another.
    pub(crate) fn advance(&mut self) -> bool {
        if self.blocked {
            self.count.blocked += 1;
        } else {
            self.count.traces += 1;
        }
        self.lost |= self.at < self.path.len();
        for at in self.fresh.saturating_sub(1)..self.steps.len() {
            let (from, to) = self.range(at);
            let Node::Step(place) = &mut self.path[self.steps[at].node] else {
                continue;
            };
            for touch in &self.touched[from..to] {
                if !place.touches.contains(touch) {
                    place.touches.push(*touch);
                }
            }
        }
        if !self.blocked {
            self.disabled_before(&[]);
        }
        self.at_once();
        self.races();
        let is_next = self.is_next();
        // The step at the last place, or the one under way there, is what is different next.
        let last = self.path.len();
        self.fresh = self.steps.partition_point(|step| step.node < last);
        is_next
    }

    /// Goes on to the next execution, if there is one.
    fn is_next(&mut self) -> bool {
        while let Some(node) = self.path.last_mut() {
            match node {
                Node::Outcome {
                    count,
                    chosen,
                    used,
                    ..
                } => {
                    if *chosen + 1 < *count {
                        if self.outcomes.is_none_or(|most| *used < most) {
                            *chosen += 1;
                            return true;
                        }
                        self.bounded = true;
                    }
                }
                Node::Late { late, at_once, .. } => {
                    if *late && *at_once {
                        *late = false;
                        return true;
                    }
                }
                Node::Step(place) => {
                    let from = self.sleepers.len();
                    self.sleepers.append(&mut place.touches);
                    place.asleep.push(Sleeper {
                        event: place.enabled[place.chosen],
                        marks: Marks::of(&self.sleepers[from..]),
                        touches: (from, self.sleepers.len()),
                    });
                    let next = place
                        .backtrack
                        .iter()
                        .find(|event| !place.sleeps(**event))
                        .and_then(|event| place.enabled.iter().position(|it| it == event));
                    if let Some(next) = next {
                        place.chosen = next;
                        return true;
                    }
                }
            }
            if let Some(Node::Step(place)) = self.path.pop() {
                self.sleepers.truncate(place.sleepers);
                self.spare.push(place);
            }
        }
        false
    }

    /// How much of the search is behind, from 0 to 1, if all that is open is as large as what stands beside it: a
    /// guess, since neither that is known nor what races will add. (Knuth, *Estimating the efficiency of backtrack
    /// programs*, 1975, of one path; weighted as by Kilby and others, *Estimating search tree size*, AAAI 2006.)
    pub(crate) fn progress(&self) -> f64 {
        let (mut behind, mut share) = (0.0, 1.0);
        for node in &self.path {
            let (tried, all) = match node {
                Node::Step(place) => {
                    let tried = place.asleep.len() - place.inherited;
                    (tried, place.backtrack.len().max(tried + 1))
                }
                Node::Outcome {
                    count,
                    chosen,
                    used,
                    ..
                } => match self.outcomes {
                    Some(most) if *used >= most => (0, 1),
                    _ => (*chosen as usize, *count as usize),
                },
                Node::Late { late, at_once, .. } => (usize::from(!late), 1 + usize::from(*at_once)),
            };
            let one = share / all as f64;
            behind += one * tried as f64;
            share = one;
        }
        behind
    }

    fn range(&self, step: usize) -> (usize, usize) {
        let end = self
            .steps
            .get(step + 1)
            .map_or(self.touched.len(), |next| next.touched);
        (self.steps[step].touched, end)
    }

    fn touches_of(&self, step: usize) -> &[(u64, bool)] {
        let (from, to) = self.range(step);
        &self.touched[from..to]
    }

    /// What sleeps where the next step is made.
    fn asleep(&self, asleep: &mut Vec<Sleeper>) {
        asleep.clear();
        let Some(last) = self.steps.len().checked_sub(1) else {
            return;
        };
        let Node::Step(place) = &self.path[self.steps[last].node] else {
            return;
        };
        let touches = self.touches_of(last);
        let marks = Marks::of(touches);
        let sleeps_on = |sleeper: &&Sleeper| {
            let (from, to) = sleeper.touches;
            !(sleeper.marks.may_depend(&marks) && dependent(&self.sleepers[from..to], touches))
        };
        asleep.extend(place.asleep.iter().filter(sleeps_on));
    }

    /// What could have been done instead of the last step, and now can't any more, is tried there: it may
    /// never happen in this execution, and then no race tells of it.
    fn disabled_before(&mut self, enabled: &[EventId]) {
        let Some(last) = self.steps.last() else {
            return;
        };
        let Node::Step(before) = &mut self.path[last.node] else {
            return;
        };
        for at in 0..before.enabled.len() {
            let event = before.enabled[at];
            let gone = event != last.event && !enabled.contains(&event);
            if gone && !before.backtrack.contains(&event) && !before.sleeps(event) {
                before.backtrack.push(event);
            }
        }
    }

    fn step(&mut self, count: usize, steps: &dyn Alternatives) -> usize {
        if self.blocked {
            return 0;
        }
        let node = self.at;
        self.at += 1;
        if node == self.path.len() {
            let mut place = self.spare.pop().unwrap_or_default();
            place.enabled.clear();
            place.backtrack.clear();
            place.touches.clear();
            self.asleep(&mut place.asleep);
            place.inherited = place.asleep.len();
            place.sleepers = self.sleepers.len();
            let enabled =
                (0..count).map(|index| steps.process(index).unwrap_or(EventId(index as u64)));
            place.enabled.extend(enabled);
            let awake = (place.enabled.iter()).position(|event| !place.sleeps(*event));
            let Some(chosen) = awake else {
                self.spare.push(place);
                self.at -= 1;
                self.blocked = true;
                return 0;
            };
            place.chosen = chosen;
            place.backtrack.push(place.enabled[chosen]);
            self.disabled_before(&place.enabled);
            self.path.push(Node::Step(place));
        }
        let (chosen, event) = match &self.path[node] {
            Node::Step(place) if place.enabled.len() == count => {
                (place.chosen, place.enabled[place.chosen])
            }
            _ => {
                self.lost = true;
                return 0;
            }
        };
        self.made += 1;
        if !self.repeats() {
            self.marks = Marks::default();
            self.steps.push(Done {
                event,
                node,
                touched: self.touched.len(),
            });
        }
        chosen
    }

    /// Whether what is under way is as in the execution before.
    fn repeats(&self) -> bool {
        self.made < self.fresh
    }
}

impl Chooser for Dpor {
    fn choose(&mut self, site: Site, key: Key, count: usize, steps: &dyn Alternatives) -> usize {
        let choice = match site {
            Site::EffectLate if count == 2 => self.late(site, key),
            _ if site.is_order() => self.step(count, steps),
            _ => self.outcome(site, key, count),
        };
        self.tally.count(site, choice)
    }

    fn tracks(&self) -> bool {
        true
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, _: Site, _: Key, steps: &dyn Alternatives) {
        self.step(1, steps);
    }

    fn touches(&mut self, object: u64, write: bool) {
        if self.blocked || self.repeats() {
            return;
        }
        let touch = (object, write);
        if self.marks.may_have(object, write) && self.touched[self.since()..].contains(&touch) {
            return;
        }
        self.marks.add(object, write);
        self.touched.push(touch);
    }

    fn over(&self) -> bool {
        self.blocked
    }
}

impl Dpor {
    /// From where on something was touched by the step under way, or since the last late effect in it: what
    /// comes after that is looked at by itself.
    fn since(&self) -> usize {
        let step = self.steps.last().map_or(0, |step| step.touched);
        let late = self.lates.last().map_or(0, |late| late.touched);
        step.max(late)
    }

    /// Which outcome the step under way has: each in its turn.
    fn outcome(&mut self, site: Site, key: Key, count: usize) -> usize {
        if self.blocked {
            return 0;
        }
        let node = self.at;
        self.at += 1;
        if node == self.path.len() {
            self.path.push(Node::Outcome {
                of: Of { site, key },
                count: count as u32,
                chosen: 0,
                used: self.used,
            });
        }
        match self.path[node] {
            Node::Outcome {
                count: known,
                chosen,
                ..
            } if known as usize == count => {
                self.used += u32::from(chosen != 0);
                chosen as usize
            }
            _ => {
                self.lost = true;
                0
            }
        }
    }

    /// Whether an effect is late: it is, unless that has been tried.
    fn late(&mut self, site: Site, key: Key) -> usize {
        if self.blocked {
            return 0;
        }
        let node = self.at;
        self.at += 1;
        if node == self.path.len() {
            self.path.push(Node::Late {
                of: Of { site, key },
                late: true,
                at_once: false,
            });
        }
        let Node::Late { late, .. } = self.path[node] else {
            self.lost = true;
            return 0;
        };
        if late && !self.repeats() {
            self.marks = Marks::default();
            self.lates.push(Late {
                event: key.event,
                node,
                step: self.steps.len(),
                touched: self.touched.len(),
            });
        }
        usize::from(late)
    }
}

#[cfg(test)]
mod tests;
