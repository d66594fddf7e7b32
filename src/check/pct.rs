//! PCT: random priorities, and a few places at which the highest one is lowered.
//!
//! Burckhardt, Kothari, Musuvathi and Nagarakatte, *A randomized scheduler with probabilistic guarantees of
//! finding bugs* (ASPLOS 2010). A bug that takes d ordering constraints among n threads of k steps is found
//! with a probability of at least 1/(n k^(d-1)) an execution.
//!
//! Each chain gets a random priority when it is first seen, and of the enabled steps the one of the highest
//! goes first. At d - 1 steps, drawn beforehand among the k of a kind execution, the chain that would go
//! gets a priority below all others. Departures:
//!
//! - chains appear as the execution goes on: a new one takes its place among the others at random, which
//!   gives every order of priorities the same probability, as drawing them at the start does;
//! - places are drawn with replacement, as in the paper; a place that is drawn twice is one;
//! - k is that of the kind execution. One that is longer has no places behind it.
//! - d is itself drawn for each execution, 1 to 4, unless it is given.

use super::dice::Dice;
use super::scheduled::{Chain, Chains, Known, Scheduler};
use crate::choice::Alternatives;

/// The bug depth beyond which it does not draw: with each one more it takes k times as long.
const DEEPEST: usize = 4;

#[derive(Default)]
pub(crate) struct Pct {
    /// The depth, if it is not to be drawn.
    pub(crate) depth: Option<usize>,
    chains: Chains,
    /// From the highest priority to the lowest.
    order: Vec<Chain>,
    /// Those that were lowered, the j-th place's priority being j: the last of the list is the lowest.
    lowered: Vec<(usize, Chain)>,
    /// Steps before which the highest is lowered, from 1, with the number of the draw.
    places: Vec<usize>,
    step: usize,
    /// The chains of the enabled steps.
    enabled: Vec<Chain>,
}

impl Scheduler for Pct {
    fn begin(&mut self, known: &Known, dice: &mut dyn Dice) {
        self.chains.clear();
        self.order.clear();
        self.lowered.clear();
        self.places.clear();
        self.step = 0;
        let depth = self.depth.unwrap_or_else(|| 1 + dice.below(DEEPEST));
        for _ in 1..depth {
            self.places.push(1 + dice.below(known.steps.max(1)));
        }
    }

    fn pick(&mut self, count: usize, steps: &dyn Alternatives, dice: &mut dyn Dice) -> usize {
        self.step += 1;
        self.enabled.clear();
        for index in 0..count {
            let chain = self.chains.at(index, steps);
            self.enabled.push(chain);
            if !self.order.contains(&chain) && !self.lowered.iter().any(|it| it.1 == chain) {
                let place = dice.below(self.order.len() + 1);
                self.order.insert(place, chain);
            }
        }
        let mut picked = self.highest();
        for at in 0..self.places.len() {
            if self.places[at] == self.step {
                let chain = self.enabled[picked];
                self.order.retain(|it| *it != chain);
                self.lowered.retain(|it| it.1 != chain);
                self.lowered.push((at, chain));
                picked = self.highest();
            }
        }
        picked
    }
}

impl Pct {
    fn highest(&self) -> usize {
        let rank = |chain: Chain| match self.order.iter().position(|it| *it == chain) {
            Some(place) => (0, place),
            // Of the lowered ones the highest number is the highest priority: as in the paper, the i-th
            // place gives priority i.
            None => match self.lowered.iter().find(|it| it.1 == chain) {
                Some((number, _)) => (1, usize::MAX - number),
                None => (2, 0),
            },
        };
        (0..self.enabled.len())
            .min_by_key(|index| rank(self.enabled[*index]))
            .unwrap_or(0)
    }
}
