//! How much of what random executions can do none of them has done yet: the Good–Turing estimate of the unseen mass.
//!
//! After I. J. Good, *The population frequencies of species and the estimation of population parameters* (Biometrika
//! 1953), and for tests after M. Böhme, *STADS: software testing as species discovery* (TOSEM 2018): if of `n`
//! executions `s` came to what no other came to, about `s / n` of further ones would come to something new. The *classes*
//! (STADS' species) are hashes of what each operation ended with, whatever the order in which they ended
//! ([`Outcome::class`](super::execution::Outcome)): by their digests nearly all executions differ, and that says nothing.
//!
//! Departure: of many classes a sample is kept, those with the lowest hashes. So memory is bounded, and the sample is
//! the same however executions are shared out among threads.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::choice::events::AsItIs;

/// Classes that are kept, at most.
const MOST: usize = 1 << 12;

/// Whether a class was seen once, or more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Once,
    More,
}

/// What the executions so far came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classes {
    seen: HashMap<u64, Times, BuildHasherDefault<AsItIs>>,
    /// Classes are kept whose hash, shifted so that this many bits are left of it, is 0.
    halvings: u32,
    executions: u64,
}

impl PartialEq for Classes {
    fn eq(&self, other: &Classes) -> bool {
        (self.halvings, self.executions, &self.seen)
            == (other.halvings, other.executions, &other.seen)
    }
}

impl Eq for Classes {}

impl Classes {
    /// One more execution, of this class.
    #[inline]
    pub(crate) fn add(&mut self, class: u64) {
        self.executions += 1;
        self.is_seen(spread(class), Times::Once);
    }

    /// Those of another thread.
    pub(crate) fn merge(&mut self, other: Classes) {
        self.executions += other.executions;
        self.halvings = self.halvings.max(other.halvings);
        self.keep_the_lowest();
        for (class, times) in other.seen {
            self.is_seen(class, times);
        }
    }

    #[inline]
    fn is_seen(&mut self, class: u64, times: Times) {
        if !self.keeps(class) {
            return;
        }
        let known = self.seen.len();
        self.seen
            .entry(class)
            .and_modify(|known| *known = Times::More)
            .or_insert(times);
        if self.seen.len() > known && known == MOST {
            self.halves();
        }
    }

    #[inline]
    fn keeps(&self, class: u64) -> bool {
        class.leading_zeros() >= self.halvings
    }

    #[cold]
    fn halves(&mut self) {
        while self.seen.len() > MOST {
            self.halvings += 1;
            self.keep_the_lowest();
        }
    }

    fn keep_the_lowest(&mut self) {
        let halvings = self.halvings;
        self.seen
            .retain(|class, _| class.leading_zeros() >= halvings);
    }

    /// The estimate.
    pub(crate) fn unseen(&self) -> Unseen {
        let once = self.seen.values().filter(|it| **it == Times::Once).count();
        let scale = 1u64 << self.halvings;
        Unseen {
            executions: self.executions,
            once: (once as u64).saturating_mul(scale).min(self.executions),
            exact: self.halvings == 0,
        }
    }
}

/// Hashes of few operations may lie close together.
fn spread(class: u64) -> u64 {
    let x = (class ^ class >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    (x ^ x >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// How much is unseen, by Good and Turing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unseen {
    pub(crate) executions: u64,
    /// Those that came to what no other came to.
    pub(crate) once: u64,
    /// Counted, and not estimated by a sample.
    pub(crate) exact: bool,
}

impl Unseen {
    /// The probability that another execution would come to something new.
    pub(crate) fn share(self) -> f64 {
        match self.executions {
            0 => 1.0,
            executions => self.once as f64 / executions as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every sequence of so many draws from a distribution, with its probability.
    fn draws(chances: &[f64], count: usize) -> Vec<(Vec<usize>, f64)> {
        let mut all = vec![(Vec::new(), 1.0)];
        for _ in 0..count {
            let longer = |(drawn, chance): (Vec<usize>, f64)| {
                chances.iter().enumerate().map(move |(class, one)| {
                    let mut drawn = drawn.clone();
                    drawn.push(class);
                    (drawn, chance * one)
                })
            };
            all = all.into_iter().flat_map(longer).collect();
        }
        all
    }

    #[test]
    fn its_expectation_is_the_unseen_mass_of_one_execution_less() {
        // Good's theorem, by enumerating all draws: E[once / n] = E[mass unseen after n - 1].
        let chances = [0.5, 0.25, 0.125, 0.0625, 0.0625];
        for count in 1..=6 {
            let estimate = |(drawn, chance): (Vec<usize>, f64)| {
                let mut classes = Classes::default();
                drawn.iter().for_each(|class| classes.add(*class as u64));
                classes.unseen().share() * chance
            };
            let unseen = |(drawn, chance): (Vec<usize>, f64)| {
                let new = (0..chances.len()).filter(|class| !drawn.contains(class));
                new.map(|class| chances[class]).sum::<f64>() * chance
            };
            let estimated: f64 = draws(&chances, count).into_iter().map(estimate).sum();
            let truth: f64 = draws(&chances, count - 1).into_iter().map(unseen).sum();
            assert!((estimated - truth).abs() < 1e-12, "{estimated} of {truth}");
        }
    }

    #[test]
    fn memory_is_bounded_and_a_sample_tells_nearly_the_same() {
        // 100,000 executions: half of them of one class, the other half each of its own.
        let mut classes = Classes::default();
        for n in 0..50_000u64 {
            classes.add(u64::MAX);
            classes.add(n);
        }
        assert!(classes.seen.len() <= MOST);
        let unseen = classes.unseen();
        assert!(!unseen.exact);
        assert_eq!(unseen.executions, 100_000);
        // The standard error of a sample of some 3,000 is 2 in 100 of it.
        assert!((unseen.share() - 0.5).abs() < 0.04, "{unseen:?}");
    }

    #[test]
    fn it_is_the_same_however_executions_are_shared_out() {
        let class = |n: u64| n.wrapping_mul(n) % 30_011;
        let of = |threads: usize| {
            let mut parts = vec![Classes::default(); threads];
            (0..60_000).for_each(|n| parts[(n / 64 % threads as u64) as usize].add(class(n)));
            let mut all = Classes::default();
            parts.into_iter().for_each(|part| all.merge(part));
            all
        };
        assert_eq!(of(1), of(3));
        assert_eq!(of(1).unseen(), of(7).unseen());
    }
}
