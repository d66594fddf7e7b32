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
//! An execution in which everything enabled sleeps is *blocked*: another one was, or will be, the same. It
//! costs and counts nothing.

use std::collections::HashMap;

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
    /// The steps of the current execution.
    steps: Vec<Done>,
    /// What they touched.
    touched: Vec<(u64, bool)>,
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
    /// Steps, every continuation of which was run: from here, or before.
    asleep: Vec<Sleeper>,
    /// What the chosen step touches, all outcomes together.
    touches: Vec<(u64, bool)>,
}

#[derive(Clone)]
struct Sleeper {
    event: EventId,
    touches: Vec<(u64, bool)>,
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

/// Memory of the race analysis.
#[derive(Default)]
struct Scratch {
    /// For each step, those that happened before it: so many words of bits each.
    before: Vec<u64>,
    seen: Vec<u64>,
    suffix: Vec<usize>,
    initials: Vec<EventId>,
}

fn dependent(one: &[(u64, bool)], two: &[(u64, bool)]) -> bool {
    one.iter().any(|(object, write)| {
        two.iter()
            .any(|(other, overwrite)| object == other && (*write || *overwrite))
    })
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
        self.lates.clear();
        self.steps.clear();
        self.touched.clear();
        self.blocked = false;
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
        for at in 0..self.steps.len() {
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
                    let event = place.enabled[place.chosen];
                    let touches = std::mem::take(&mut place.touches);
                    place.asleep.push(Sleeper { event, touches });
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
                self.spare.push(place);
            }
        }
        false
    }

    /// Finds the late effects that would be something else if they were not late.
    fn at_once(&mut self) {
        for index in 0..self.lates.len() {
            let late = self.lates[index];
            let end = self
                .steps
                .get(late.step)
                .map_or(self.touched.len(), |next| next.touched);
            let rest = &self.touched[late.touched..end];
            if rest.is_empty() {
                continue;
            }
            // That of the effect: the next step of the operation.
            let step = (late.step..self.steps.len()).find(|at| self.steps[*at].event == late.event);
            let effect = step.map_or(&[][..], |step| self.touches_of(step));
            if dependent(rest, effect) || dependent(rest, &[(late.event.0, true)]) {
                let node = &mut self.path[late.node];
                if let Node::Late { at_once, .. } = node {
                    *at_once = true;
                }
            }
        }
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

    /// Finds the races of the execution, and sees to it that each is tried the other way round.
    fn races(&mut self) {
        let count = self.steps.len();
        let words = count.div_ceil(64);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.before.clear();
        scratch.before.resize(count * words, 0);
        for late in 0..count {
            scratch.seen.clear();
            scratch.seen.resize(words, 0);
            for early in (0..late).rev() {
                if scratch.seen[early / 64] >> (early % 64) & 1 != 0 {
                    continue;
                }
                if !dependent(self.touches_of(early), self.touches_of(late)) {
                    continue;
                }
                scratch.seen[early / 64] |= 1 << (early % 64);
                for word in 0..words {
                    scratch.seen[word] |= scratch.before[early * words + word];
                }
                self.reverse(early, late, words, &mut scratch);
            }
            scratch.before[late * words..][..words].copy_from_slice(&scratch.seen);
        }
        self.scratch = scratch;
    }

    /// `early` and `late` race: before `early` something is tried that leads to `late` without it.
    fn reverse(&mut self, early: usize, late: usize, words: usize, scratch: &mut Scratch) {
        // What started a step comes before it in every order: that is no race.
        if self
            .touches_of(early)
            .contains(&(self.steps[late].event.0, true))
        {
            return;
        }
        let happened_before = |before: &[u64], one: usize, two: usize| {
            before[two * words + one / 64] >> (one % 64) & 1 != 0
        };
        // What would have happened all the same: all that `early` does not lead to. Then `late`. Of it,
        // the steps that nothing else of it leads to.
        scratch.suffix.clear();
        scratch.initials.clear();
        for step in early + 1..=late {
            let last = step == late;
            if !last && happened_before(&scratch.before, early, step) {
                continue;
            }
            let led_to = scratch.suffix.iter().any(|earlier| match last {
                // What happened before `late` is not yet written down, but for what was seen so far.
                true => dependent(self.touches_of(*earlier), self.touches_of(late)),
                false => happened_before(&scratch.before, *earlier, step),
            });
            if !led_to {
                scratch.initials.push(self.steps[step].event);
            }
            scratch.suffix.push(step);
        }
        let Node::Step(place) = &mut self.path[self.steps[early].node] else {
            return;
        };
        let known = |event: &EventId| place.backtrack.contains(event) || place.sleeps(*event);
        if scratch.initials.iter().any(known) {
            return;
        }
        let enabled = |event: &&EventId| place.enabled.contains(event);
        if let Some(event) = scratch.initials.iter().rev().find(enabled).copied() {
            place.backtrack.push(event);
        }
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
        let sleepers = place.asleep.iter();
        asleep.extend(
            sleepers
                .filter(|sleeper| !dependent(&sleeper.touches, touches))
                .cloned(),
        );
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
        self.steps.push(Done {
            event,
            node,
            touched: self.touched.len(),
        });
        chosen
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
        if !self.blocked && !self.touched[self.since()..].contains(&(object, write)) {
            self.touched.push((object, write));
        }
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
        if late {
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
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::check::execution::Subject;
    use crate::check::program::{Cell, Machine, Program};
    use crate::check::random::{below, seed_of};

    /// All that a search came to.
    #[derive(Debug, Default)]
    struct Explored {
        count: Count,
        finals: HashSet<Vec<i64>>,
        forms: HashSet<Vec<(usize, EventId, usize)>>,
    }

    impl Dpor {
        /// Foata's normal form of the execution: each step in the first layer that what it depends on allows.
        fn form(&self, outcomes: &[(usize, usize)]) -> Vec<(usize, EventId, usize)> {
            let mut layers: Vec<usize> = Vec::new();
            for late in 0..self.steps.len() {
                let layer = (0..late)
                    .filter(|early| dependent(self.touches_of(*early), self.touches_of(late)))
                    .map(|early| layers[early] + 1)
                    .max();
                layers.push(layer.unwrap_or(0));
            }
            let mut form: Vec<_> = (0..self.steps.len())
                .map(|step| {
                    let chosen = outcomes.iter().filter(|(of, _)| *of == step);
                    let word = chosen.fold(0, |word, (_, chosen)| word * 16 + chosen + 1);
                    (layers[step], self.steps[step].event, word)
                })
                .collect();
            form.sort_unstable();
            form
        }
    }

    fn reduced(program: &Program) -> Explored {
        let mut explored = Explored::default();
        let mut machine = Machine::default();
        let mut dpor = Box::<Dpor>::default();
        loop {
            dpor.begin();
            dpor = program.run(&mut machine, dpor, 0).1;
            assert!(!dpor.lost());
            if !dpor.blocked() {
                let mut step = 0;
                let mut outcomes = Vec::new();
                for node in &dpor.path {
                    match node {
                        Node::Step(_) => step += 1,
                        Node::Outcome { chosen, .. } => {
                            outcomes.push((step - 1, *chosen as usize));
                        }
                        Node::Late { .. } => {}
                    }
                }
                assert!(
                    explored.forms.insert(dpor.form(&outcomes)),
                    "one class was run twice"
                );
                explored.finals.insert(machine.cells().to_vec());
            }
            if !dpor.advance() {
                explored.count = dpor.count;
                return explored;
            }
        }
    }

    /// Every execution there is. Its classes are told apart by a [`Dpor`] that only watches.
    #[derive(Default)]
    struct Naive {
        digits: Vec<(usize, usize)>,
        at: usize,
        watch: Dpor,
        outcomes: Vec<(usize, usize)>,
    }

    impl Chooser for Naive {
        fn choose(&mut self, site: Site, _: Key, count: usize, steps: &dyn Alternatives) -> usize {
            if self.at == self.digits.len() {
                self.digits.push((0, count));
            }
            let picked = self.digits[self.at].0;
            self.at += 1;
            if site.is_order() {
                self.watch.steps.push(Done {
                    event: steps.event(picked).expect("steps have events"),
                    node: 0,
                    touched: self.watch.touched.len(),
                });
            } else {
                self.outcomes.push((self.watch.steps.len() - 1, picked));
            }
            picked
        }

        fn follows(&self) -> bool {
            true
        }

        fn only(&mut self, _: Site, _: Key, steps: &dyn Alternatives) {
            self.watch.steps.push(Done {
                event: steps.event(0).expect("steps have events"),
                node: 0,
                touched: self.watch.touched.len(),
            });
        }

        fn touches(&mut self, object: u64, write: bool) {
            if !self.watch.steps.is_empty() {
                self.watch.touched.push((object, write));
            }
        }
    }

    /// Nothing, if there are more than so many.
    fn naive(program: &Program, most: u64) -> Option<Explored> {
        let mut explored = Explored::default();
        let mut machine = Machine::default();
        let mut naive = Box::<Naive>::default();
        loop {
            naive.at = 0;
            naive.outcomes.clear();
            naive.watch.begin();
            naive = program.run(&mut machine, naive, 0).1;
            explored.count.traces += 1;
            if explored.count.traces > most {
                return None;
            }
            explored.forms.insert(naive.watch.form(&naive.outcomes));
            explored.finals.insert(machine.cells().to_vec());
            loop {
                let Some((digit, count)) = naive.digits.pop() else {
                    return Some(explored);
                };
                if digit + 1 < count {
                    naive.digits.push((digit + 1, count));
                    break;
                }
            }
        }
    }

    /// One writes, `count` read.
    fn readers(count: usize) -> Program {
        let mut program = Program::new();
        let x = program.cell(0);
        program
            .thread("writer")
            .step([x.write()], move |step| step.set(x, 1));
        let seen = program.cells(count, 0);
        for seen in seen {
            program
                .thread("reader")
                .step([x.read(), seen.write()], move |step| {
                    step.set(seen, step.get(x));
                });
        }
        program
    }

    /// Writers count up along an array; a reader looks for the last zero.
    fn lastzero(count: usize, reader_first: bool) -> Program {
        let mut program = Program::new();
        let array = program.cells(count + 1, 0);
        let reader = |program: &mut Program, array: Vec<Cell>| {
            program
                .thread("reader")
                .step([], move |step| step.keep(0, count as i64))
                .step_on(
                    {
                        let array = array.clone();
                        move |kept| vec![array[kept[0] as usize].read()]
                    },
                    move |step| {
                        if step.get(array[step.kept(0) as usize]) != 0 {
                            step.keep(0, step.kept(0) - 1);
                            step.jump(1);
                        }
                    },
                );
        };
        if reader_first {
            reader(&mut program, array.clone());
        }
        for at in 1..=count {
            let (from, to) = (array[at - 1], array[at]);
            program
                .thread("writer")
                .step([from.read()], move |step| step.keep(0, step.get(from)))
                .step([to.write()], move |step| step.set(to, step.kept(0) + 1));
        }
        if !reader_first {
            reader(&mut program, array);
        }
        program
    }

    #[test]
    fn the_closed_forms_are_met() {
        for count in 1..=8 {
            assert_eq!(reduced(&readers(count)).count.traces, 1 << count);
        }
        // (N+3) 2^(N-2)
        for (count, traces) in [(2, 5), (3, 12), (4, 28), (5, 64), (6, 144)] {
            for reader_first in [true, false] {
                let explored = reduced(&lastzero(count, reader_first));
                assert_eq!(explored.count.traces, traces, "{count}, {reader_first}");
                println!("lastzero({count}): {:?}", explored.count);
            }
        }
    }

    #[test]
    fn strands_that_share_nothing_have_one_order_and_one_strand_all_of_them() {
        let indep = |strands: usize, steps: usize| {
            let mut program = Program::new();
            for _ in 0..strands {
                let cell = program.cell(0);
                let mut thread = program.thread("alone");
                for _ in 0..steps {
                    thread = thread.step([cell.write()], move |step| {
                        step.add(cell, 1);
                    });
                }
            }
            program
        };
        for (strands, steps) in [(2, 3), (2, 5), (3, 3), (4, 4)] {
            let count = reduced(&indep(strands, steps)).count;
            assert_eq!(
                count,
                Count {
                    traces: 1,
                    blocked: 0
                }
            );
        }
        let orders = |program: &Program| naive(program, 10_000).map(|all| all.count.traces);
        assert_eq!(orders(&indep(2, 3)), Some(20));
        assert_eq!(orders(&indep(3, 3)), Some(1_680));

        let fanin = |posters: i64| {
            let mut program = Program::new();
            let strand = program.strand();
            let order = program.cell(0);
            let (handler, code) = program.handler(strand, "handler");
            code.step([order.write()], move |step| {
                step.set(order, step.get(order) * 10 + step.kept(0));
            });
            for poster in 1..=posters {
                program.thread("poster").step([strand.post()], move |step| {
                    step.keep(0, poster);
                    step.post(handler);
                });
            }
            program
        };
        for (posters, orders) in [(2, 2), (3, 6), (4, 24), (5, 120), (6, 720)] {
            let explored = reduced(&fanin(posters));
            assert_eq!(explored.finals.len(), orders);
            assert_eq!(explored.count.traces, orders as u64);
        }
    }

    /// A program of a few threads whose steps read and write a few cells, take a lock, wait, or choose.
    fn generated(seed: u64) -> Program {
        let mut draws = 0;
        let mut draw = move |count: usize| {
            draws += 1;
            below(seed_of(seed, draws), count)
        };
        let mut program = Program::new();
        let cells = program.cells(3, 0);
        let lock = program.lock();
        let strand = program.strand();
        let (handler, code) = program.handler(strand, "handler");
        let cell = cells[draw(3)];
        code.step([cell.write()], move |step| {
            let value = step.get(cell) * 3 + step.kept(0) + 1;
            step.set(cell, value % 1_000);
        });
        let threads = 2 + draw(2);
        for name in 0..threads {
            let steps = 1 + draw(if threads == 2 { 4 } else { 3 });
            let mut thread = program.thread(&format!("thread {name}"));
            let mut locked = false;
            for at in 0..steps {
                let (from, to) = (cells[draw(3)], cells[draw(3)]);
                let salt = (name * 10 + at) as i64 + 1;
                thread = match draw(8) {
                    0 | 1 => thread.step([from.read()], move |step| {
                        step.keep(0, step.kept(0) * 5 + step.get(from));
                    }),
                    2 | 3 => thread.step([to.write()], move |step| {
                        step.set(to, (step.kept(0) + salt) % 1_000);
                    }),
                    4 => thread.step([from.read(), to.write()], move |step| {
                        step.set(to, (step.get(from) * 7 + salt) % 1_000);
                    }),
                    5 => thread.step([to.write()], move |step| {
                        let more = step.choose(2) as i64;
                        step.set(to, (step.get(to) + more * salt) % 1_000);
                    }),
                    6 if !locked => {
                        locked = true;
                        thread.lock(lock)
                    }
                    6 => {
                        locked = false;
                        thread.unlock(lock)
                    }
                    _ => thread.step([strand.post()], move |step| step.post(handler)),
                };
            }
            if locked {
                thread.unlock(lock);
            }
        }
        program
    }

    #[test]
    fn reduced_and_naive_search_come_to_the_same() {
        let mut sizes = BTreeMap::new();
        for seed in 0..3_000 {
            let program = generated(seed);
            let Some(all) = naive(&program, 1_000) else {
                continue;
            };
            let some = reduced(&program);
            assert_eq!(all.finals, some.finals, "seed {seed}: other ends");
            assert_eq!(all.forms, some.forms, "seed {seed}: other classes");
            assert_eq!(some.count.traces, some.forms.len() as u64);
            *sizes.entry(all.count.traces.ilog2()).or_insert(0) += 1;
        }
        println!("executions of naive search, by powers of two: {sizes:?}");
        assert!(sizes.values().sum::<i32>() > 2_000);
    }
}
