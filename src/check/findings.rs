//! What the executions of a check came to beside failures: warnings, each once, with how often it came up
//! and the first execution that brought it; and the goals that were reached.

use super::execution::{Script, Subject};
use crate::goals::{Collecting, Counts};
use crate::sim::Warning;

/// Which execution: the stage (a level of the bounded search, or random), and its number there.
pub(crate) type Number = (usize, u64);

/// The stage in which the proactor is dropped.
pub(crate) const DROPPED: usize = usize::MAX - 2;

/// The stage of the reduced search.
pub(crate) const REDUCED: usize = usize::MAX - 1;

/// The stage of random executions.
pub(crate) const RANDOM: usize = usize::MAX;

/// A warning, and the first execution that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) warning: Warning,
    pub(crate) number: Number,
    pub(crate) script: Script,
}

/// What the executions of one thread came to, or those of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) warnings: Vec<First>,
    /// Warnings that were not kept: there was no room.
    pub(crate) more: u64,
    pub(crate) goals: Counts,
}

impl Findings {
    /// Adds those of other executions. The result does not depend on how they are shared out.
    pub(crate) fn add(&mut self, other: Findings) {
        self.more += other.more;
        self.goals.add(&other.goals);
        for first in other.warnings {
            let is_it = |known: &&mut First| {
                known.warning.oracle == first.warning.oracle
                    && known.warning.location == first.warning.location
            };
            match self.warnings.iter_mut().find(is_it) {
                Some(known) => {
                    let count = known.warning.count + first.warning.count;
                    if first.number < known.number {
                        *known = first;
                    }
                    known.warning.count = count;
                }
                None => self.warnings.push(first),
            }
        }
        self.warnings.sort_by_key(|first| first.number);
    }
}

/// Gathers what the executions on one bench come to.
pub(crate) struct Gatherer {
    /// Which execution brought each of the bench's warnings.
    firsts: Vec<(Number, Script)>,
    goals: Collecting,
}

impl Gatherer {
    /// For the executions of this thread from now on.
    pub(crate) fn begin() -> Gatherer {
        Gatherer {
            firsts: Vec::new(),
            goals: Collecting::begin(),
        }
    }

    /// This execution brought warnings that the bench did not know.
    #[cold]
    pub(crate) fn news<S: Subject>(
        &mut self,
        subject: &S,
        bench: &S::Bench,
        number: Number,
        script: Script,
    ) {
        let known = subject.warnings(bench).0.len();
        self.firsts.resize(known, (number, script));
    }

    /// Runs something whose goals do not count.
    pub(crate) fn uncounted<R>(&self, run: impl FnOnce() -> R) -> R {
        self.goals.pause(run)
    }

    /// What it came to.
    pub(crate) fn end<S: Subject>(self, subject: &S, bench: &S::Bench) -> Findings {
        let (warnings, more) = subject.warnings(bench);
        let firsts = warnings.into_iter().zip(self.firsts);
        let first = |(warning, (number, script))| First {
            warning,
            number,
            script,
        };
        Findings {
            warnings: firsts.map(first).collect(),
            more,
            goals: self.goals.end(),
        }
    }
}
