//! Seeded random executions whose weights are themselves drawn from the seed.
//!
//! A random walk over the decisions, with the swarm testing of Groce, Zhang, Eide, Chen and Regehr
//! (*Swarm testing*, ISSTA 2012): each execution first draws, for every kind of decision, how often
//! it deviates, and that is often "never". Executions so differ in *which* freedoms the kernel
//! uses and not only in when, which finds what needs many faults of one kind and none of another.
//! Departures: features are weighted, not only on or off; the order of steps is one of them.
//!
//! # Drawn ahead
//!
//! What is drawn is not whether a decision deviates, but how many decisions of its site do not before the next that
//! does. That is the same distribution, and most decisions then cost a comparison. The numbers depend on
//! nothing but the seed and the decisions before, so it is one execution whether the kernel draws them itself
//! ([`Chooser::lends`]) or asks.
//!
//! # The generator
//!
//! Its name is `x256pp`: xoshiro256++ of `rand_xoshiro`, seeded through `seed_from_u64`. Every number
//! is made from whole 64-bit outputs by the arithmetic in this file, not by distributions of `rand`, nor by
//! floating point, so a seed means the same next year, on every machine. Replay strings carry the name for what
//! [`Sim::rng`](crate::check::Sim::rng) gives; whoever changes a draw here changes which executions a seed finds, not
//! what a replay string means.

use std::fmt;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Alternatives, Chooser, Key, Site};

/// The generator's name in seeds and replay strings.
pub(crate) const GENERATOR: &str = "x256pp";

/// How often the decisions of a site deviate: never, or on average one in 1, 2, 4, 8 and so on.
///
/// ```
/// use proactor::choice::Weight;
///
/// assert_eq!(Weight::one_in(5), Weight::one_in(8));
/// assert_eq!(Weight::one_in(0), Weight::NEVER);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weight(u8);

impl Weight {
    /// None deviates.
    pub const NEVER: Weight = Weight(u8::MAX);

    /// Each deviates.
    pub const ALWAYS: Weight = Weight(0);

    /// One in so many deviates, rounded up to a power of two, at most 2^31; of 0 none.
    #[must_use]
    pub const fn one_in(decisions: u32) -> Weight {
        match decisions {
            0 => Weight::NEVER,
            _ => match decisions.checked_next_power_of_two() {
                Some(power) => Weight(power.trailing_zeros() as u8),
                None => Weight(31),
            },
        }
    }
}

/// By site, what its weight is drawn from; each weight as often as it is to be likely.
type Weights = [Weight; 8];

const fn weights(one_in: [u32; 8]) -> Weights {
    let mut weights = [Weight::NEVER; 8];
    let mut at = 0;
    while at < weights.len() {
        weights[at] = Weight::one_in(one_in[at]);
        at += 1;
    }
    weights
}

/// How often an outcome deviates. Drawn once an execution for each kind of decision.
const OUTCOME: Weights = weights([0, 0, 0, 64, 16, 8, 4, 2]);

/// How often an order deviates. Orders harm less than faults, and bugs hide in them: higher.
const ORDER: Weights = weights([0, 0, 8, 8, 2, 2, 1, 1]);

/// How often the power is lost. It is asked for where a loss makes a difference, once a step, and one loss is
/// what there is: most executions should have one, early or late.
const CRASH: Weights = weights([64, 64, 16, 16, 8, 8, 4, 4]);

/// How often an unsynced change is lost, once the power is.
const LOSS: Weights = weights([8, 8, 4, 4, 2, 2, 1, 1]);

/// How often a handler gives way where it could. Most orders of two handlers take few switches.
const TURN: Weights = weights([0, 0, 16, 16, 4, 4, 2, 2]);

/// By site.
const DRAWN: [&Weights; SITES] = {
    let mut drawn = [&OUTCOME; SITES];
    let mut at = 0;
    while at < SITES {
        drawn[at] = match Site::ALL[at] {
            Site::Worker => &TURN,
            Site::Crash => &CRASH,
            Site::Loss => &LOSS,
            site if site.is_order() => &ORDER,
            _ => &OUTCOME,
        };
        at += 1;
    }
    drawn
};

const SITES: usize = Site::ALL.len();

/// The seed of the `index`th execution of a campaign.
pub(crate) fn seed_of(campaign: u64, index: u64) -> u64 {
    // SplitMix64's output function over a stream of its own for each campaign.
    let mut x = campaign.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// One deviation by its place in an execution: good for this very program only (a replay string
/// names events instead, see `check::replay`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deviation {
    /// Which decision of the execution, from 0.
    pub(crate) position: u32,
    /// Which alternative, from 1.
    pub(crate) alternative: u32,
}

/// Decides by the numbers of a seed: the checker's
/// [`Strategy::Random`](crate::check::Strategy::Random), for a kernel that one holds by hand.
///
/// How often the decisions of each [`Site`] deviate is drawn from the seed as well, unless it is
/// [given](Random::weight).
///
/// ```
/// use proactor::choice::{Random, Site, Weight};
/// use proactor::sim::{Config, World};
///
/// // Steps in any order, one receive in eight or so is short, and nothing is reset.
/// let random = Random::new(42)
///     .weight(Site::NextStep, Weight::ALWAYS)
///     .weight(Site::RecvSize, Weight::one_in(8))
///     .weight(Site::Reset, Weight::NEVER);
/// let world = World::new(Config::default(), Box::new(random));
/// # assert!(world.violation().is_none());
/// ```
#[derive(Default)]
pub struct Random(Option<Box<Draws>>);

impl Random {
    /// Decides by the numbers of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        let mut draws = Box::<Draws>::default();
        draws.begin(seed);
        Random(Some(draws))
    }

    /// The decisions of this site deviate so often, whatever the seed says.
    #[must_use]
    pub fn weight(mut self, site: Site, weight: Weight) -> Random {
        self.draws().fixed[site as usize] = Some(weight);
        self
    }

    /// The numbers. (Never is one asked for while they are lent; that would find others.)
    #[inline]
    pub(crate) fn draws(&mut self) -> &mut Draws {
        self.0.get_or_insert_default()
    }

    /// Begins another execution, and remembers where it deviates.
    pub(crate) fn begin(&mut self, seed: u64) {
        let draws = self.draws();
        draws.remembers = true;
        draws.begin(seed);
    }

    /// Where the execution deviated.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        self.0.as_ref().map_or(&[], |draws| &draws.deviations)
    }

    /// How often each site was put, and how often it deviated, since this was asked last.
    pub(crate) fn take_counts(&mut self) -> [[u64; SITES]; 2] {
        let draws = self.draws();
        let counts = [draws.offered, draws.taken];
        (draws.offered, draws.taken) = ([0; SITES], [0; SITES]);
        counts
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.0.as_ref().map(|draws| draws.seed);
        f.debug_struct("Random").field("seed", &seed).finish()
    }
}

impl Chooser for Random {
    fn reads_keys(&self) -> bool {
        false
    }

    #[inline]
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        self.draws().draw(site, || count)
    }

    fn lends(&mut self) -> Option<Box<Draws>> {
        self.0.take()
    }

    fn gets_back(&mut self, draws: Box<Draws>) {
        self.0 = Some(draws);
    }
}

/// How many of the next orders are known before they are asked for.
pub(crate) const AHEAD: usize = 3;

/// The numbers of a [`Random`], and what came of them.
pub struct Draws {
    /// By site: how many decisions there were, in all executions, and which is the next that deviates.
    offered: [u64; SITES],
    due: [u64; SITES],
    generator: Xoshiro256PlusPlus,
    /// What the next orders of steps are made of.
    ahead: [u64; AHEAD],
    /// How many decisions this execution had.
    position: u32,
    remembers: bool,
    /// None: not drawn yet in this execution.
    weights: [Option<Weight>; SITES],
    fixed: [Option<Weight>; SITES],
    seed: u64,
    deviations: Vec<Deviation>,
    taken: [u64; SITES],
    /// What was offered before this execution.
    before: [u64; SITES],
}

impl Default for Draws {
    fn default() -> Draws {
        Draws {
            offered: [0; SITES],
            due: [0; SITES],
            generator: Xoshiro256PlusPlus::seed_from_u64(0),
            ahead: [0; AHEAD],
            position: 0,
            remembers: false,
            weights: [None; SITES],
            fixed: [None; SITES],
            seed: 0,
            deviations: Vec::new(),
            taken: [0; SITES],
            before: [0; SITES],
        }
    }
}

impl fmt::Debug for Draws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draws")
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Draws {
    /// Begins another execution.
    fn begin(&mut self, seed: u64) {
        self.generator = Xoshiro256PlusPlus::seed_from_u64(seed);
        self.seed = seed;
        self.ahead = [(); AHEAD].map(|()| self.generator.next_u64());
        // Whoever comes first of a site draws its weight.
        self.due = self.offered;
        self.before = self.offered;
        self.weights = [None; SITES];
        self.position = 0;
        self.deviations.clear();
    }

    /// Decides. How many alternatives there are is asked if it deviates.
    #[inline(always)]
    pub(crate) fn draw(&mut self, site: Site, count: impl FnOnce() -> usize) -> usize {
        let nth = self.offered[site as usize];
        if nth == self.due[site as usize] {
            return self.deviate(site, count());
        }
        self.offered[site as usize] = nth + 1;
        self.position += 1;
        0
    }

    /// Decides once at each of these sites, if none of them deviates: true. Else nothing is done.
    #[inline(always)]
    pub(crate) fn pass<const N: usize>(&mut self, sites: [Site; N]) -> bool {
        let is_due = |site: Site| self.offered[site as usize] == self.due[site as usize];
        if sites.into_iter().any(is_due) {
            return false;
        }
        for site in sites {
            self.offered[site as usize] += 1;
        }
        self.position += N as u32;
        true
    }

    /// The same of the next step, which is often drawn each time.
    #[inline(always)]
    pub(crate) fn order(&mut self, count: usize) -> usize {
        let at = Site::NextStep as usize;
        let always = self.weights[at] == Some(Weight::ALWAYS);
        if !always || self.remembers || count <= 2 {
            return self.draw(Site::NextStep, || count);
        }
        // As `deviate` does.
        self.offered[at] += 1;
        self.due[at] = self.offered[at];
        self.taken[at] += 1;
        self.position += 1;
        which(self.next_ahead(), count)
    }

    /// What the next order of steps is made of.
    #[inline(always)]
    fn next_ahead(&mut self) -> u64 {
        let [word, next, after] = self.ahead;
        self.ahead = [next, after, self.generator.next_u64()];
        word
    }

    /// Which of `count` steps probably comes next but `nth`, as far as that is known: its place now.
    #[inline]
    pub(crate) fn foresee(&self, nth: usize, count: usize) -> usize {
        let (site, at) = (Site::NextStep as usize, nth % AHEAD);
        match self.weights[site] {
            // (If the next deviates later, those in between are the oldest.)
            // (Each before it takes one from the front.)
            Some(Weight::ALWAYS) => which(self.ahead[at], count) + nth,
            _ => nth,
        }
    }

    #[inline(never)]
    fn deviate(&mut self, site: Site, count: usize) -> usize {
        let at = site as usize;
        let position = self.position;
        let nth = self.offered[at];
        self.offered[at] = nth + 1;
        self.position += 1;
        let weight = match self.weights[at] {
            Some(weight) => weight,
            None => {
                let weight = self.weight_of(site);
                self.weights[at] = Some(weight);
                self.due[at] = nth.saturating_add(self.gap(weight));
                if self.due[at] != nth {
                    return 0;
                }
                weight
            }
        };
        let choice = match (site, count) {
            (_, ..=2) => 1,
            (Site::NextStep, _) => which(self.next_ahead(), count),
            _ => which(self.generator.next_u64(), count),
        };
        self.taken[at] += 1;
        if self.remembers {
            self.deviations.push(Deviation {
                position,
                alternative: choice as u32,
            });
        }
        self.due[at] = (nth + 1).saturating_add(self.gap(weight));
        choice
    }

    /// The weight of a site that is asked for the first time.
    fn weight_of(&self, site: Site) -> Weight {
        let drawn = DRAWN[site as usize];
        let bits = seed_of(!self.seed, site as u64);
        self.fixed[site as usize].unwrap_or(drawn[below(bits, drawn.len())])
    }

    /// How many decisions do not deviate before the next one that does.
    ///
    /// A word is as many random digits as it has room for, each of so many bits as the weight has zeros: one
    /// decision deviates for each digit that is 0.
    #[inline]
    fn gap(&mut self, weight: Weight) -> u64 {
        let bits = u32::from(weight.0);
        if bits == 0 {
            return 0;
        }
        if weight == Weight::NEVER {
            return u64::MAX;
        }
        let (ones, digits) = DIGITS[bits as usize % DIGITS.len()];
        let mut gap = 0;
        loop {
            let word = self.generator.next_u64();
            // The top bits of digits that are 0, and of some above the first that is.
            let zeros = word.wrapping_sub(ones) & !word & ones << (bits - 1);
            if zeros != 0 {
                return gap + u64::from(zeros.trailing_zeros() / bits);
            }
            gap += digits;
        }
    }

    /// Writes down a choice that somebody else has made.
    #[inline]
    pub(crate) fn record(&mut self, site: Site, choice: usize) -> usize {
        let position = self.position;
        self.position += 1;
        self.offered[site as usize] += 1;
        self.taken[site as usize] += u64::from(choice != 0);
        if choice != 0 && self.remembers {
            self.deviations.push(Deviation {
                position,
                alternative: choice as u32,
            });
        }
        choice
    }

    /// How often each site was put in this execution.
    pub(crate) fn offered(&self) -> [u64; SITES] {
        let mut offered = self.offered;
        for (offered, before) in offered.iter_mut().zip(self.before) {
            *offered -= before;
        }
        offered
    }
}

/// By the bits of a digit: the lowest bit of each digit in a word, and how many digits it has.
const DIGITS: [(u64, u64); 32] = {
    let mut digits = [(0, 0); 32];
    let mut bits = 1;
    while bits < digits.len() {
        let mut at = 0;
        while at + bits <= 64 {
            digits[bits].0 |= 1 << at;
            digits[bits].1 += 1;
            at += bits;
        }
        bits += 1;
    }
    digits
};

/// One of the deviations among so many alternatives.
#[inline]
fn which(word: u64, count: usize) -> usize {
    match count {
        ..=2 => 1,
        _ => 1 + below(word, count - 1),
    }
}

/// Maps 64 random bits to `0..count`, by their top. Uneven by less than `count` / 2^64.
#[inline]
pub(crate) fn below(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(seed: u64, site: Site, count: usize, decisions: usize) -> Vec<usize> {
        let mut random = Random::new(seed);
        let draws = random.draws();
        (0..decisions).map(|_| draws.draw(site, || count)).collect()
    }

    #[test]
    fn a_seed_means_the_same_next_year() {
        assert_eq!(seed_of(0, 0), 0xe220_a839_7b1d_cdaf);
        let mut random = Random::new(7);
        let weights = Site::ALL[..12]
            .iter()
            .map(|site| random.draws().weight_of(*site).0);
        assert_eq!(
            weights.collect::<Vec<_>>(),
            [1, 4, 255, 6, 6, 2, 255, 4, 3, 3, 255, 4]
        );
        assert_eq!(
            choices(7, Site::ReadSize, 5, 12),
            [0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]
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
        for seed in 0..100 {
            random.begin(seed);
            let choices: Vec<usize> = (0..50)
                .map(|_| random.draws().draw(Site::NextStep, || 3))
                .collect();
            let mut rebuilt = vec![0; 50];
            for deviation in random.deviations() {
                rebuilt[deviation.position as usize] = deviation.alternative as usize;
            }
            assert_eq!(choices, rebuilt);
        }
    }

    #[test]
    fn a_gap_is_as_long_as_asking_each_time_would_have_it() {
        // Of so many decisions one in 2^bits deviates, and the gaps are geometric: whether the next one deviates
        // does not depend on how long ago the last did.
        for bits in [1, 2, 3, 4, 6, 9] {
            let weight = Weight::one_in(1 << bits);
            let mut random = Random::new(bits).weight(Site::RecvSize, weight);
            let (decisions, mut deviated, mut after, mut last) = (400_000, 0.0, 0.0, 0);
            for _ in 0..decisions {
                let choice = random.draws().draw(Site::RecvSize, || 2);
                deviated += choice as f64;
                after += (choice * last) as f64;
                last = choice;
            }
            let p = 0.5_f64.powi(bits as i32);
            let sigma = (decisions as f64 * p * (1.0 - p)).sqrt();
            assert!(
                (deviated - p * decisions as f64).abs() < 5.0 * sigma,
                "{bits}: {deviated}"
            );
            let sigma = (deviated * p * (1.0 - p)).sqrt();
            assert!(
                (after - p * deviated).abs() < 5.0 * sigma + 1.0,
                "{bits}: {after}"
            );
        }
        let draw = |weight| {
            let mut random = Random::new(3).weight(Site::RecvSize, weight);
            (0..9)
                .map(|_| random.draws().draw(Site::RecvSize, || 2))
                .sum::<usize>()
        };
        assert_eq!((draw(Weight::NEVER), draw(Weight::ALWAYS)), (0, 9));
        assert_eq!(Weight::one_in(u32::MAX), Weight::one_in(1 << 31));
    }

    #[test]
    fn who_passes_over_decisions_comes_to_the_same_ones() {
        let sites = [Site::Reset, Site::EffectLate, Site::RecvSize];
        for seed in 0..2_000 {
            let (mut passing, mut asking) = (Random::default(), Random::default());
            passing.begin(seed);
            asking.begin(seed);
            let mut passed = 0;
            for _ in 0..40 {
                let mut of = [0; 3];
                if passing.draws().pass(sites) {
                    passed += 1;
                } else {
                    of = sites.map(|site| passing.draws().draw(site, || 4));
                }
                let other = sites.map(|site| asking.draws().draw(site, || 4));
                assert_eq!(of, other);
                let order = passing.draws().order(9);
                assert_eq!(order, asking.draws().draw(Site::NextStep, || 9));
            }
            assert!(passed > 0 || seed > 0);
            assert_eq!(passing.deviations(), asking.deviations());
            assert_eq!(passing.draws().offered(), asking.draws().offered());
            assert_eq!(passing.take_counts(), asking.take_counts());
        }
        // The same where nobody remembers.
        let always = |seed| Random::new(seed).weight(Site::NextStep, Weight::ALWAYS);
        let (mut quick, mut slow) = (always(1), always(1));
        for _ in 0..100 {
            let drawn = slow.draws().draw(Site::NextStep, || 9);
            assert_eq!(quick.draws().order(9), drawn);
        }
        assert_eq!(quick.take_counts(), slow.take_counts());
        assert_eq!(quick.draws().position, slow.draws().position);
    }

    #[test]
    fn an_order_is_foreseen() {
        let mut random = Random::new(5).weight(Site::NextStep, Weight::ALWAYS);
        let draws = random.draws();
        draws.draw(Site::NextStep, || 50);
        for _ in 0..100 {
            let foreseen = [0, 1, 2].map(|nth| draws.foresee(nth, 50) - nth);
            let drawn = foreseen.map(|_| draws.draw(Site::NextStep, || 50));
            assert_eq!(drawn, foreseen);
        }
    }
}
