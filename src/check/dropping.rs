//! The owner dropped at every point: the kind run, but that the proactor is dropped before one of its steps.
//!
//! A run has as many points as it has steps. The `n`th execution is kind up to the `n`th point: there whoever runs the
//! proactor is left, what it has on its stack is dropped, then the proactor is. What was in flight is cancelled, waited for
//! and let go of; no handler runs any more. So what only ends in good order has nowhere to hide: a cycle that the
//! last handler would have broken, a `Drop` that counts on an answer, a guard that panics.

use super::execution::{Deviation, Outcome, Script, Subject};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// Points at which it is dropped, at most: of a longer run some, evenly spread.
const MOST: u64 = 1_000;

/// And on no more than one in so many executions of the budget.
pub(crate) const SHARE: u64 = 8;

/// Kind, but that it drops the proactor at a point.
#[derive(Default)]
pub(crate) struct Dropping {
    /// The point, from 0. `None`: at none.
    at: Option<u64>,
    points: u64,
    position: u32,
    deviations: Vec<Deviation>,
}

impl Dropping {
    /// Begins another execution: the proactor is dropped at this point.
    pub(crate) fn begin(&mut self, at: Option<u64>) {
        self.at = at;
        self.points = 0;
        self.position = 0;
        self.deviations.clear();
    }

    /// Where the execution deviated: among all that it was asked, whether the proactor is dropped too.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }
}

impl Chooser for Dropping {
    fn reads_keys(&self) -> bool {
        false
    }

    fn choose(&mut self, site: Site, _: Key, _: usize, _: &dyn Alternatives) -> usize {
        let position = self.position;
        self.position += 1;
        if site != Site::Drop {
            return 0;
        }
        let point = self.points;
        self.points += 1;
        if self.at != Some(point) {
            return 0;
        }
        self.deviations.push(Deviation {
            position,
            alternative: 1,
        });
        1
    }

    fn drops(&self) -> bool {
        true
    }
}

/// The points of a run at which the proactor is dropped: `run` of `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Points {
    pub(crate) run: u64,
    pub(crate) of: u64,
}

impl Points {
    /// Those of the kind run, as many of them as this budget allows.
    pub(crate) fn of<S: Subject>(subject: &S, seed: u64, budget: u64) -> Points {
        let (_, dropping): (Outcome, Box<Dropping>) =
            subject.run(&mut subject.bench(), Box::default(), seed);
        let of = dropping.points;
        Points {
            run: of.min(MOST).min(budget),
            of,
        }
    }

    /// The `n`th of those at which it is dropped.
    pub(crate) fn nth(self, n: u64) -> u64 {
        // (Neither is more than a run has steps, and that is far below the root of the largest number.)
        n * self.of / self.run
    }
}

/// The script of an execution in which the proactor may have been dropped.
pub(crate) fn script(seed: u64, deviations: &[Deviation]) -> Script {
    Script {
        seed,
        deviations: deviations.to_vec(),
        drops: true,
    }
}

#[cfg(test)]
mod tests;
