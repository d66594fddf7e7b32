//! SURW: the next *interesting* step is drawn by how many each chain has left, so that every order of the
//! interesting steps is equally likely.
//!
//! Zhao, Wang and others, *Selectively uniform concurrency testing* (ASPLOS 2025). What is interesting is
//! drawn for each execution: the steps on one object, or all steps. The chain that makes the next
//! interesting step is drawn with a weight of the interesting steps that it has left; until it has made it,
//! interesting steps of the others wait, and all else goes on as in a random walk. With every step
//! interesting, and chains that do not depend on each other, that makes each order equally likely (the
//! *URW* of the paper). Departures:
//!
//! - counts come from one kind execution; a chain that it did not have counts as one step, and so
//!   does one that has made more than was counted;
//! - the object is drawn among those of the kind execution's steps with a weight of their number of steps,
//!   and in one of four executions every step is interesting;
//! - if no chain can go on but by an interesting step that should wait, the drawing is repeated among
//!   those that can.

use super::dice::Dice;
use super::scheduled::{Chain, Chains, Known, Scheduler};
use crate::choice::Alternatives;
use crate::choice::events::ByEvent;

/// One of so many executions takes every step as interesting.
const ALL: usize = 4;

#[derive(Default)]
pub(crate) struct Surw {
    /// Take every step as interesting, always.
    pub(crate) all: bool,
    chains: Chains,
    /// What is interesting: the steps on this object; `None`: all.
    object: Option<u64>,
    /// Interesting steps that a chain has left.
    left: ByEvent<usize>,
    /// Whose interesting step comes next.
    intended: Option<Chain>,
    /// Memory for the enabled steps.
    enabled: Vec<Enabled>,
}

/// An enabled step: its place, its chain, whether it is interesting.
type Enabled = (usize, Chain, bool);

impl Scheduler for Surw {
    fn begin(&mut self, known: &Known, dice: &mut dyn Dice) {
        self.chains.clear();
        self.left.clear();
        self.intended = None;
        self.object = None;
        if !self.all && dice.below(ALL) != 0 {
            self.object = draw_object(known, dice);
        }
        for (chain, count) in &known.chains {
            let left = match self.object {
                None => count.steps,
                Some(object) => count.on.get(&object).copied().unwrap_or(0),
            };
            self.left.insert(*chain, left);
        }
    }

    fn pick(&mut self, count: usize, steps: &dyn Alternatives, dice: &mut dyn Dice) -> usize {
        let interesting = |index| match self.object {
            None => true,
            Some(object) => steps.object(index).is_none_or(|(other, _)| other == object),
        };
        let mut all = std::mem::take(&mut self.enabled);
        all.clear();
        all.extend((0..count).map(|index| {
            let chain = self.chains.at(index, steps);
            (index, chain, interesting(index))
        }));
        let weight = |chain: &Chain| self.left.get(chain).copied().unwrap_or(1).max(1);
        // Whoever is intended may be anybody that still has an interesting step, enabled or not.
        let waits = |intended: Option<Chain>, it: &Enabled| {
            it.2 && intended.is_some_and(|chain| chain != it.1)
        };
        if self.intended.is_none() || all.iter().all(|it| waits(self.intended, it)) {
            let total: usize = all.iter().filter(|it| it.2).map(|it| weight(&it.1)).sum();
            if total > 0 {
                let mut draw = dice.below(total);
                for it in all.iter().filter(|it| it.2) {
                    match draw.checked_sub(weight(&it.1)) {
                        Some(rest) => draw = rest,
                        None => {
                            self.intended = Some(it.1);
                            break;
                        }
                    }
                }
            }
        }
        let mut free = all.iter().filter(|it| !waits(self.intended, it));
        let nth = match free.clone().count() {
            0 | 1 => 0,
            many => dice.below(many),
        };
        let picked = free.nth(nth).copied().unwrap_or(all[0]);
        self.enabled = all;
        if picked.2 {
            self.intended = None;
            if let Some(left) = self.left.get_mut(&picked.1) {
                *left = left.saturating_sub(1);
            }
        }
        picked.0
    }
}

fn draw_object(known: &Known, dice: &mut dyn Dice) -> Option<u64> {
    let mut objects: Vec<(u64, usize)> = Vec::new();
    for count in known.chains.values() {
        for (object, steps) in &count.on {
            match objects.iter_mut().find(|it| it.0 == *object) {
                Some(it) => it.1 += steps,
                None => objects.push((*object, *steps)),
            }
        }
    }
    // The map's order is nobody's.
    objects.sort_unstable();
    let total: usize = objects.iter().map(|it| it.1).sum();
    if total == 0 {
        return None;
    }
    let mut draw = dice.below(total);
    for (object, steps) in objects {
        match draw.checked_sub(steps) {
            Some(rest) => draw = rest,
            None => return Some(object),
        }
    }
    None
}
