//! Where a strategy's random numbers come from: a seed; in tests, one number after the other, so that the
//! probability of what it finds is exact.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Random numbers.
pub(crate) trait Dice {
    /// Begins the numbers of this seed, if they are numbers of a seed.
    fn begin(&mut self, _seed: u64) {}

    /// One of `0..count`, each as likely. `count` is at least 1.
    fn below(&mut self, count: usize) -> usize;

    /// 64 random bits.
    fn word(&mut self) -> u64;
}

/// Numbers from a seed, by the generator and the arithmetic of [`super::random`].
pub(crate) struct Seeded(Xoshiro256PlusPlus);

impl Seeded {
    pub(crate) fn new(seed: u64) -> Seeded {
        Seeded(Xoshiro256PlusPlus::seed_from_u64(seed))
    }
}

impl Dice for Seeded {
    fn begin(&mut self, seed: u64) {
        *self = Seeded::new(seed);
    }

    #[inline]
    fn below(&mut self, count: usize) -> usize {
        crate::choice::random::below(self.0.next_u64(), count)
    }

    #[inline]
    fn word(&mut self) -> u64 {
        self.0.next_u64()
    }
}

/// Every sequence of numbers in turn, with its probability.
///
/// An odometer over the draws, as in TigerBeetle's `exhaustigen`: after a run the last number that can grow
/// grows, and those behind it are forgotten.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Every {
    digits: Vec<(usize, usize)>,
    at: usize,
}

#[cfg(test)]
impl Every {
    /// Begins the next sequence. False: there is none.
    pub(crate) fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((digit, count)) = self.digits.pop() {
            if digit + 1 < count {
                self.digits.push((digit + 1, count));
                return true;
            }
        }
        false
    }

    /// The probability of the sequence that was drawn.
    pub(crate) fn probability(&self) -> f64 {
        self.digits
            .iter()
            .map(|(_, count)| 1.0 / *count as f64)
            .product()
    }
}

#[cfg(test)]
impl Dice for Every {
    fn below(&mut self, count: usize) -> usize {
        if self.at == self.digits.len() {
            self.digits.push((0, count));
        }
        let (digit, known) = self.digits[self.at];
        assert_eq!(known, count, "the same numbers led to another draw");
        self.at += 1;
        digit
    }

    fn word(&mut self) -> u64 {
        panic!("64 bits are too many to try them all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sequence_comes_once_and_their_probabilities_are_one() {
        let mut every = Every::default();
        let (mut seen, mut total) = (std::collections::HashSet::new(), 0.0);
        loop {
            let first = every.below(3);
            let second = if first == 1 { every.below(4) } else { 9 };
            assert!(seen.insert((first, second)));
            total += every.probability();
            if !every.advance() {
                break;
            }
        }
        assert_eq!(seen.len(), 2 + 4);
        assert!((total - 1.0_f64).abs() < 1e-12);
    }
}
