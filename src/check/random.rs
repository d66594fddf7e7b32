//! Seeded random executions whose weights are themselves drawn from the seed.
//!
//! A random walk over the decisions, with the swarm testing of Groce, Zhang, Eide, Chen and Regehr
//! (*Swarm testing*, ISSTA 2012): each execution first draws, for every kind of decision, how often
//! it deviates, and that is often "never". Executions so differ in *which* freedoms the kernel
//! uses and not only in when, which finds what needs many faults of one kind and none of another.
//! Departures: features are weighted, not only on or off; the order of steps is one of them.
//!
//! # The generator
//!
//! Its name is `x256pp`: xoshiro256++ of `rand_xoshiro`, seeded through `seed_from_u64`. Every number
//! is made from whole 64-bit outputs by the arithmetic in this file, not by distributions of `rand`,
//! so a seed means the same next year. Whoever changes a draw gives the generator a new name.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::execution::{Deviation, Tally};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// The generator's name in seeds and replay strings.
pub(crate) const GENERATOR: &str = "x256pp";

/// How often an outcome deviates, in 1/2^32. Drawn once an execution for each kind of decision.
const OUTCOME_WEIGHTS: [u64; 8] = [0, 0, 0, 1 << 26, 1 << 28, 1 << 29, 1 << 30, 1 << 31];

/// How often an order deviates. Orders harm less than faults, and bugs hide in them: higher.
const ORDER_WEIGHTS: [u64; 4] = [0, 1 << 29, 1 << 31, 1 << 32];

/// How often the power is lost. It is asked for where a loss makes a difference, once a step, and one loss is
/// what there is: most executions should have one, early or late.
const CRASH_WEIGHTS: [u64; 4] = [1 << 26, 1 << 28, 1 << 29, 1 << 30];

/// How often an unsynced change is lost, once the power is.
const LOSS_WEIGHTS: [u64; 4] = [1 << 29, 1 << 30, 1 << 31, 1 << 32];

/// How often a handler gives way where it could. Most orders of two handlers take few switches.
const TURN_WEIGHTS: [u64; 4] = [0, 1 << 28, 1 << 30, 1 << 31];

/// How the weight of a site is drawn: with the generator, or by its number beside it, so that the seeds
/// of checks without the younger sites mean what they meant; those are drawn when they are first asked for.
#[derive(Clone, Copy)]
enum Drawn {
    Outcome,
    Order,
    Turn(u64),
    Crash(u64),
    Loss(u64),
    YoungOutcome(u64),
    YoungOrder(u64),
}

/// Stands for a weight that is not drawn yet.
const LATER: u64 = u64::MAX;

/// By site.
const DRAWN: [Drawn; Site::ALL.len()] = {
    let mut drawn = [Drawn::Outcome; Site::ALL.len()];
    let mut at = 0;
    while at < drawn.len() {
        let site = Site::ALL[at];
        drawn[at] = match site {
            Site::Worker => Drawn::Turn(site as u64),
            Site::Crash => Drawn::Crash(site as u64),
            Site::Loss => Drawn::Loss(site as u64),
            _ if at > Site::Worker as usize && site.is_order() => Drawn::YoungOrder(site as u64),
            _ if at > Site::Worker as usize => Drawn::YoungOutcome(site as u64),
            _ if site.is_order() => Drawn::Order,
            _ => Drawn::Outcome,
        };
        at += 1;
    }
    drawn
};

/// How many sites, the first ones, have weights that are drawn with the generator.
const OLD: usize = Site::Worker as usize;

/// What those are drawn from, all of one length, so that drawing them takes no branch.
const OLD_WEIGHTS: [[u64; 8]; OLD] = {
    let mut weights = [OUTCOME_WEIGHTS; OLD];
    let mut at = 0;
    while at < OLD {
        match DRAWN[at] {
            Drawn::Outcome => {}
            Drawn::Order => {
                // Each twice: as likely as it was.
                let mut twice = 0;
                while twice < 8 {
                    weights[at][twice] = ORDER_WEIGHTS[twice / 2];
                    twice += 1;
                }
            }
            _ => panic!("a weight that is drawn beside the generator"),
        }
        at += 1;
    }
    weights
};

/// The seed of the `index`th execution of a campaign.
pub(crate) fn seed_of(campaign: u64, index: u64) -> u64 {
    // SplitMix64's output function over a stream of its own for each campaign.
    let mut x = campaign.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Decides by the numbers of a seed, and remembers where it deviated.
pub(crate) struct Random {
    generator: Xoshiro256PlusPlus,
    seed: u64,
    weights: [u64; Site::ALL.len()],
    position: u32,
    deviations: Vec<Deviation>,
    pub(crate) tally: Tally,
}

impl Default for Random {
    fn default() -> Random {
        Random {
            generator: Xoshiro256PlusPlus::seed_from_u64(0),
            seed: 0,
            weights: [0; Site::ALL.len()],
            position: 0,
            deviations: Vec::new(),
            tally: Tally::default(),
        }
    }
}

impl Random {
    /// Begins another execution.
    pub(crate) fn begin(&mut self, seed: u64) {
        // In registers until it is done.
        let mut generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (old, young) = self.weights.split_at_mut(OLD);
        for (weight, drawn) in old.iter_mut().zip(&OLD_WEIGHTS) {
            *weight = of(drawn, generator.next_u64());
        }
        young.fill(LATER);
        self.seed = seed;
        self.generator = generator;
        self.position = 0;
        self.deviations.clear();
    }

    #[inline]
    fn weight(&mut self, site: Site) -> u64 {
        match self.weights[site as usize] {
            LATER => self.draw(site),
            weight => weight,
        }
    }

    /// The weight of a site that is asked for the first time.
    #[cold]
    fn draw(&mut self, site: Site) -> u64 {
        let beside = |number| seed_of(!self.seed, number);
        let weight = match DRAWN[site as usize] {
            Drawn::Outcome | Drawn::Order => self.weights[site as usize],
            Drawn::Turn(number) => of(&TURN_WEIGHTS, beside(number)),
            Drawn::Crash(number) => of(&CRASH_WEIGHTS, beside(number)),
            Drawn::Loss(number) => of(&LOSS_WEIGHTS, beside(number)),
            Drawn::YoungOutcome(number) => of(&OUTCOME_WEIGHTS, beside(number)),
            Drawn::YoungOrder(number) => of(&ORDER_WEIGHTS, beside(number)),
        };
        self.weights[site as usize] = weight;
        weight
    }

    /// Writes down a choice that somebody else has made.
    #[inline]
    pub(crate) fn record(&mut self, site: Site, choice: usize) -> usize {
        let here = self.position;
        self.position += 1;
        if choice != 0 {
            self.deviations.push(Deviation {
                position: here,
                alternative: choice as u32,
            });
        }
        self.tally.count(site, choice)
    }

    /// Where the execution deviated.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }
}

impl Chooser for Random {
    fn reads_keys(&self) -> bool {
        false
    }

    #[inline]
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let here = self.position;
        self.position += 1;
        let draw = self.generator.next_u64();
        let weight = self.weight(site);
        // Low half: whether. High half: which.
        let choice = if (draw & 0xffff_ffff) < weight {
            let which = below(draw & 0xffff_ffff_0000_0000, count - 1) + 1;
            self.deviations.push(Deviation {
                position: here,
                alternative: which as u32,
            });
            which
        } else {
            0
        };
        self.tally.count(site, choice)
    }
}

/// One of the weights, by the top of these bits.
#[inline]
fn of(weights: &[u64], bits: u64) -> u64 {
    weights[below(bits, weights.len())]
}

/// Maps 64 random bits to `0..count`, by their top. Uneven by less than `count` / 2^32.
#[inline]
pub(crate) fn below(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::super::toys::Nameless;
    use super::*;
    use crate::choice::EventId;

    fn choices(seed: u64, site: Site, count: usize, decisions: usize) -> Vec<usize> {
        let mut random = Random::default();
        random.begin(seed);
        let key = Key {
            event: EventId::ROOT,
            occurrence: 0,
        };
        (0..decisions)
            .map(|_| random.choose(site, key, count, &Nameless))
            .collect()
    }

    #[test]
    fn a_seed_means_the_same_next_year() {
        assert_eq!(seed_of(0, 0), 0xe220_a839_7b1d_cdaf);
        let mut random = Random::default();
        random.begin(7);
        let weights = Site::ALL[..12]
            .iter()
            .map(|site| random.weight(*site).checked_ilog2().unwrap_or(0));
        assert!(weights.eq([0, 0, 29, 26, 31, 26, 29, 0, 31, 0, 0, 28]));
        assert_eq!(
            choices(7, Site::ReadSize, 5, 12),
            [1, 3, 1, 0, 1, 0, 1, 0, 0, 0, 2, 4]
        );
    }

    #[test]
    fn every_alternative_is_drawn_and_some_executions_never_deviate() {
        let mut seen = [0; 4];
        let mut quiet = 0;
        for index in 0..1_000 {
            let choices = choices(seed_of(1, index), Site::RecvSize, 4, 20);
            quiet += u32::from(choices.iter().all(|choice| *choice == 0));
            for choice in choices {
                seen[choice] += 1;
            }
        }
        assert!(seen.iter().all(|times| *times > 500), "{seen:?}");
        assert!(
            (375..650).contains(&quiet),
            "{quiet} of 1,000 without deviation"
        );
    }

    #[test]
    fn deviations_are_remembered_by_place() {
        let mut random = Random::default();
        let key = Key {
            event: EventId::ROOT,
            occurrence: 0,
        };
        for seed in 0..100 {
            random.begin(seed);
            let choices: Vec<usize> = (0..50)
                .map(|_| random.choose(Site::NextStep, key, 3, &Nameless))
                .collect();
            let mut rebuilt = vec![0; 50];
            for deviation in random.deviations() {
                rebuilt[deviation.position as usize] = deviation.alternative as usize;
            }
            assert_eq!(choices, rebuilt);
        }
    }
}
