//! What is learned from an execution that has ended: its races, and late effects that would be something else at once.

use super::{Dpor, Marks, Node, dependent};
use crate::choice::EventId;

/// Memory of the race analysis.
#[derive(Default)]
pub(super) struct Scratch {
    /// For each step, those that happened before it: so many words of bits each.
    before: Vec<u64>,
    words: usize,
    marks: Vec<Marks>,
    seen: Vec<u64>,
    suffix: Vec<usize>,
    initials: Vec<EventId>,
}

impl Dpor {
    /// Finds the races of the execution, and sees to it that each is tried the other way round.
    pub(super) fn races(&mut self) {
        let count = self.steps.len();
        let mut scratch = std::mem::take(&mut self.scratch);
        // Of the steps that were made before in the same way all is known.
        let mut first = self.fresh.saturating_sub(1);
        if count > 64 * scratch.words {
            scratch.words = count.div_ceil(64);
            first = 0;
        }
        let words = scratch.words;
        scratch.before.resize(count * words, 0);
        scratch.marks.truncate(first);
        for step in first..count {
            scratch.marks.push(Marks::of(self.touches_of(step)));
        }
        for late in first..count {
            scratch.seen.clear();
            scratch.seen.resize(words, 0);
            for early in (0..late).rev() {
                if !scratch.marks[early].may_depend(&scratch.marks[late])
                    || scratch.seen[early / 64] >> (early % 64) & 1 != 0
                    || !dependent(self.touches_of(early), self.touches_of(late))
                {
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

    /// Finds the late effects that would be something else if they were not late.
    pub(super) fn at_once(&mut self) {
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
}
