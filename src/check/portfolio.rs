//! The portfolio: random executions by turns under each strategy, since each finds what others miss.
//!
//! In the studies of Thomson and others (SCTBench, TOPC 2016), of Zhao and others (SURW, ASPLOS 2025) and
//! in those of Coyote, which rotates its own, no strategy is the best on every program: sampling by counts
//! wins on wide ones, priorities on deep narrow ones. The `n`th execution is the `n`th member's.

use super::execution::{Deviation, Tally};
use super::pct::Pct;
use super::pos::Pos;
use super::scheduled::{Known, Scheduled};
use super::surw::Surw;
use super::walk::Walk;
use crate::choice::{Alternatives, Chooser, Draws, Key, Random, Site};

/// How random executions are drawn. Outcomes of steps (sizes, errors) are drawn with weights that are
/// themselves drawn for each execution; the strategies differ in the order of steps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum Strategy {
    /// All of those below but the walk, by turns.
    #[default]
    Portfolio,
    /// Mostly the kind order, with drawn weights of how often something else comes first.
    Random,
    /// Random priorities, and a few places at which the highest is lowered (PCT).
    Pct,
    /// A random priority for each step, drawn anew by those that race (POS).
    Pos,
    /// By how many steps on one object each chain has left (SURW).
    Surw,
    /// Each enabled step is as likely as the others.
    Walk,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Strategy; 6] = [
        Strategy::Portfolio,
        Strategy::Random,
        Strategy::Pct,
        Strategy::Pos,
        Strategy::Surw,
        Strategy::Walk,
    ];

    /// The members of the portfolio, in their turns.
    const MEMBERS: [Strategy; 4] = [
        Strategy::Random,
        Strategy::Pct,
        Strategy::Pos,
        Strategy::Surw,
    ];

    /// The word for it in `PROACTOR_STRATEGY` and in summaries.
    ///
    /// ```
    /// use proactor::check::Strategy;
    ///
    /// assert_eq!(Strategy::Pct.name(), "pct");
    /// assert_eq!(Strategy::from_name("surw"), Some(Strategy::Surw));
    /// ```
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Portfolio => "portfolio",
            Strategy::Random => "random",
            Strategy::Pct => "pct",
            Strategy::Pos => "pos",
            Strategy::Surw => "surw",
            Strategy::Walk => "walk",
        }
    }

    /// The strategy of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Strategy> {
        Strategy::ALL.into_iter().find(|it| it.name() == name)
    }

    /// Whose turn the execution of this number is.
    fn of(self, index: u64) -> Strategy {
        match self {
            Strategy::Portfolio => {
                let members = Strategy::MEMBERS.len() as u64;
                Strategy::MEMBERS[(index % members) as usize]
            }
            one => one,
        }
    }
}

/// Whoever's turn it is.
pub(crate) struct Portfolio {
    turn: Strategy,
    random: Random,
    pct: Scheduled<Pct>,
    pos: Scheduled<Pos>,
    surw: Scheduled<Surw>,
    walk: Scheduled<Walk>,
}

impl Default for Portfolio {
    fn default() -> Portfolio {
        Portfolio {
            turn: Strategy::Random,
            random: Random::default(),
            pct: Scheduled::new(),
            pos: Scheduled::new(),
            surw: Scheduled::new(),
            walk: Scheduled::new(),
        }
    }
}

impl Portfolio {
    /// Begins the execution of this number.
    pub(crate) fn begin(&mut self, strategy: Strategy, known: &Known, index: u64, seed: u64) {
        self.turn = strategy.of(index);
        match self.turn {
            Strategy::Random | Strategy::Portfolio => self.random.begin(seed),
            Strategy::Pct => self.pct.begin(known, seed),
            Strategy::Pos => self.pos.begin(known, seed),
            Strategy::Surw => self.surw.begin(known, seed),
            Strategy::Walk => self.walk.begin(known, seed),
        }
    }

    /// Where the execution deviated.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        match self.turn {
            Strategy::Random | Strategy::Portfolio => self.random.deviations(),
            Strategy::Pct => self.pct.deviations(),
            Strategy::Pos => self.pos.deviations(),
            Strategy::Surw => self.surw.deviations(),
            Strategy::Walk => self.walk.deviations(),
        }
    }

    /// Takes what was counted.
    pub(crate) fn tally(&mut self) -> Tally {
        let mut tally = Tally::of(&mut self.random);
        tally.add(&self.pct.tally());
        tally.add(&self.pos.tally());
        tally.add(&self.surw.tally());
        tally.add(&self.walk.tally());
        tally
    }
}

impl Chooser for Portfolio {
    fn reads_keys(&self) -> bool {
        false
    }

    #[inline]
    fn choose(&mut self, site: Site, key: Key, count: usize, steps: &dyn Alternatives) -> usize {
        match self.turn {
            Strategy::Random | Strategy::Portfolio => self.random.choose(site, key, count, steps),
            Strategy::Pct => self.pct.choose(site, key, count, steps),
            Strategy::Pos => self.pos.choose(site, key, count, steps),
            Strategy::Surw => self.surw.choose(site, key, count, steps),
            Strategy::Walk => self.walk.choose(site, key, count, steps),
        }
    }

    fn lends(&mut self) -> Option<Box<Draws>> {
        match self.turn {
            Strategy::Random | Strategy::Portfolio => self.random.lends(),
            _ => None,
        }
    }

    fn gets_back(&mut self, draws: Box<Draws>) {
        self.random.gets_back(draws);
    }

    fn follows(&self) -> bool {
        self.turn != Strategy::Random
    }

    fn only(&mut self, site: Site, key: Key, steps: &dyn Alternatives) {
        match self.turn {
            Strategy::Random | Strategy::Portfolio => {}
            Strategy::Pct => self.pct.only(site, key, steps),
            Strategy::Pos => self.pos.only(site, key, steps),
            Strategy::Surw => self.surw.only(site, key, steps),
            Strategy::Walk => self.walk.only(site, key, steps),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_each_member_has_its_turns() {
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::from_name(strategy.name()), Some(strategy));
        }
        let turns: Vec<_> = (0..5).map(|n| Strategy::Portfolio.of(n).name()).collect();
        assert_eq!(turns, ["random", "pct", "pos", "surw", "random"]);
        assert_eq!(Strategy::Walk.of(3), Strategy::Walk);
    }
}
