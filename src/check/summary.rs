//! What a check that found nothing has shown, in words: what was proved up to which bound, what was
//! only sampled, and what was not looked at.

use std::fmt;

use super::campaign::{Cut, Done, Reduced};
use super::dropping::Points;
use super::execution::Place;
use super::matrix::Matrix;
use super::portfolio::Strategy;
use super::setting::Setting;
use super::unseen::Unseen;
use crate::choice::Site;
use crate::goals::{Count, Counts};
use crate::sim::Warning;
pub(crate) use crate::sim::words::grouped;
use crate::sim::words::plural;
use crate::sim::{OutcomeClass, Personality, legality};

/// What a check has shown. Its [`Display`](fmt::Display) says it in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub(crate) name: Option<String>,
    pub(crate) done: Done,
    /// The bound that was asked for.
    pub(crate) bound: usize,
    pub(crate) seed: u64,
    /// How the random ones were drawn.
    pub(crate) strategy: Strategy,
    /// Which part of the random ones, from 0, of how many.
    pub(crate) part: Option<(u64, u64)>,
    pub(crate) setting: Setting,
    /// Instead of a campaign.
    pub(crate) replayed: Option<String>,
    /// What came of failures that were met before.
    pub(crate) known: Vec<String>,
    pub(crate) warned: Vec<Warned>,
    pub(crate) more_warnings: u64,
    pub(crate) goals: Vec<Goal>,
}

/// What an oracle whose level is `warn` has found: once, with how often, and how to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warned {
    pub(crate) warning: Warning,
    pub(crate) replay: String,
}

impl Warned {
    /// What was found: by whom, where, and in how many places of all executions.
    #[must_use]
    pub fn warning(&self) -> &Warning {
        &self.warning
    }

    /// The value of `PROACTOR_REPLAY` that repeats the first execution in which it was found: the one with
    /// the fewest deviations.
    #[must_use]
    pub fn replay(&self) -> &str {
        &self.replay
    }
}

/// A goal, and how often it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    name: String,
    place: Option<Place>,
    count: Count,
}

/// The goals that were come by, and those that were declared and were not.
pub(crate) fn goals(counts: &Counts, declared: &[String]) -> Vec<Goal> {
    let seen = counts.seen().into_iter().map(|seen| Goal {
        name: seen.name.to_owned(),
        place: seen.location.map(Place::of),
        count: seen.count,
    });
    let mut goals: Vec<Goal> = seen.collect();
    for name in declared {
        if goals.iter().all(|goal| goal.name != *name) {
            goals.push(Goal {
                name: name.clone(),
                place: None,
                count: Count::default(),
            });
        }
    }
    goals
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        match (&self.place, self.count.tried) {
            (Some(place), tried) => write!(f, " at {place}, come by {}", plural(tried, "time")),
            (None, _) => write!(f, ", which no execution came by"),
        }
    }
}

impl Summary {
    /// How many executions were run: none of them failed.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.done.executions()
    }

    /// How many executions have exactly `deviations` deviations and were run.
    #[must_use]
    pub fn executions_with(&self, deviations: usize) -> u64 {
        self.done
            .levels
            .get(deviations)
            .map_or(0, |level| level.run)
    }

    /// At how many points of the kind run the proactor [was dropped](super::Checker::drops), and how many there are.
    #[must_use]
    pub fn dropped(&self) -> (u64, u64) {
        self.done
            .drops
            .map_or((0, 0), |points| (points.run, points.of))
    }

    /// How many of the executions were random ones.
    #[must_use]
    pub fn random_executions(&self) -> u64 {
        self.done.random
    }

    /// The greatest `n` such that *every* execution with at most `n` deviations was run.
    #[must_use]
    pub fn proved(&self) -> Option<usize> {
        self.done
            .levels
            .iter()
            .take_while(|level| level.whole)
            .count()
            .checked_sub(1)
    }

    /// What oracles whose level is `warn` have found over all executions, the first ones first.
    #[must_use]
    pub fn warnings(&self) -> &[Warned] {
        &self.warned
    }

    /// The names of the goals that no execution reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<&str> {
        self.missed().map(|goal| goal.name.as_str()).collect()
    }

    fn missed(&self) -> impl Iterator<Item = &Goal> {
        self.goals.iter().filter(|goal| goal.count.met == 0)
    }

    /// Why it fails if goals are required.
    pub(crate) fn misses_goals(&self) -> Option<String> {
        if self.goals.is_empty() {
            return Some(
                "Goals are required, and there are none: no execution came by a `sometimes!` or a \
                 `reachable!`. Declare what is expected: `Checker::goal`."
                    .to_owned(),
            );
        }
        let missed: Vec<String> = self
            .missed()
            .map(|goal| format!("never reached: {goal}"))
            .collect();
        if missed.is_empty() {
            return None;
        }
        let executions = plural(self.executions(), "execution");
        Some(format!(
            "{}\nThere were {executions}: allow more, let the model do more, or take the goal out.",
            missed.join("\n")
        ))
    }

    /// Which outcomes were offered to which kinds of operations, and how often they were taken.
    ///
    /// The runs in which the proactor [is dropped](super::Checker::drops) count as well: what they cancel shows.
    #[must_use]
    pub fn matrix(&self) -> Matrix {
        Matrix::new(self.done.matrix.clone(), self.setting.personality)
    }

    /// About how likely one more random execution is to come to something that none has come to: the Good–Turing
    /// estimate. Two executions come to the same if each operation ended with the same in both, whatever the order in
    /// which they ended. `None` if there were no random ones.
    #[must_use]
    pub fn unseen(&self) -> Option<f64> {
        (self.done.random > 0).then(|| self.done.classes.unseen().share())
    }

    /// How often a decision of this kind was offered, and how often the kernel deviated there.
    #[must_use]
    pub fn coverage(&self, site: Site) -> (u64, u64) {
        (
            self.done.tally.offered[site as usize],
            self.done.tally.taken[site as usize],
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "proactor: check `{name}` passes")?,
            None => write!(f, "proactor: the check passes")?,
        }
        write!(f, "{}", self.setting)?;
        if let Some(replayed) = &self.replayed {
            write!(f, "\n  {replayed}")?;
            return self.findings(f);
        }
        for known in &self.known {
            write!(f, "\n  known    {known}")?;
        }
        if let Some(bound) = self.proved() {
            let run: u64 = self.done.levels[..=bound]
                .iter()
                .map(|level| level.run)
                .sum();
            let exhausted = self.done.levels[bound].run == 0;
            match (bound, run) {
                (0, _) => write!(f, "\n  proved   the execution without any deviation")?,
                (_, 1) => write!(f, "\n  proved   the one execution that there is")?,
                _ if exhausted => write!(
                    f,
                    "\n  proved   every execution that there is: {}, none fails",
                    grouped(run)
                )?,
                _ => write!(
                    f,
                    "\n  proved   every execution with at most {}: {}, none fails",
                    deviations(bound),
                    grouped(run)
                )?,
            }
        }
        for (bound, level) in self
            .done
            .levels
            .iter()
            .enumerate()
            .filter(|(_, it)| !it.whole)
        {
            if level.run > 0 {
                let of = if level.of > level.run {
                    format!("{} of ", grouped(level.run))
                } else {
                    String::new()
                };
                write!(
                    f,
                    "\n  sampled  {of}{} with {}, the first ones, none fails",
                    plural(level.of.max(level.run), "execution"),
                    deviations(bound)
                )?;
            }
        }
        if let Some(points) = self.done.drops {
            drops(f, points)?;
        }
        if let Some(reduced) = self.done.reduced {
            self.reduced(f, reduced)?;
        }
        if self.done.random > 0 {
            write!(
                f,
                "\n  sampled  {} ({}seed {:#x}{}), none fails",
                plural(self.done.random, "random execution"),
                match self.strategy {
                    Strategy::Portfolio => String::new(),
                    one => format!("{}, ", one.name()),
                },
                self.seed,
                match self.part {
                    None => String::new(),
                    Some((part, of)) => format!(", part {} of {of}", part + 1),
                }
            )?;
            unseen(f, self.done.classes.unseen())?;
        }
        self.not_covered(f)?;
        self.freedoms(f)?;
        self.never_taken(f)?;
        self.findings(f)
    }
}

impl Summary {
    /// What the reduced search has shown, and on what ground.
    fn reduced(&self, f: &mut fmt::Formatter<'_>, reduced: Reduced) -> fmt::Result {
        let executions = match reduced.outcomes {
            None => "every execution".to_owned(),
            Some(0) => "every order of steps with kind outcomes".to_owned(),
            Some(most) => format!(
                "every order with at most {}",
                plural(most as u64, "outcome deviation")
            ),
        };
        if reduced.count.traces == 0 && !reduced.whole {
            // There was nothing left of the budget for it.
            return Ok(());
        }
        let traces = plural(reduced.count.traces, "trace");
        if reduced.whole {
            write!(f, "\n  proved   {executions}, reduced to {traces}")?;
        } else {
            write!(
                f,
                "\n  sampled  {traces}, no two of them alike, of {executions}"
            )?;
        }
        if reduced.promised {
            f.write_str(",\n           under the promise that strands share only what is tracked")?;
            if reduced.pairs > 0 {
                let pairs = plural(reduced.pairs, "pair");
                write!(f, " (spot-tested: {pairs} of steps in both orders)")?;
            }
        }
        f.write_str(", none fails")
    }

    fn not_covered(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.done.cut {
            None => return Ok(()),
            Some(Cut::Executions) => "the budget of executions ended: raise `executions`",
            Some(Cut::Time) => "the time was up",
            Some(Cut::Memory) => "the memory for the search was full",
        };
        let next = self.proved().map_or(0, |bound| bound + 1);
        if next > self.bound {
            return write!(
                f,
                "\n  not      all random executions that the budget allows ({why})"
            );
        }
        write!(
            f,
            "\n  not      all executions with {} ({why})",
            deviations(next)
        )
    }

    /// What was offered to operations, and never taken.
    fn never_taken(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matrix = self.matrix();
        let never = matrix.never_taken();
        let mut lead = "\n  never    ";
        for (operation, outcome, times) in never.iter().take(MOST_NEVER) {
            let times = plural(*times, "time");
            write!(f, "{lead}{operation} {outcome} (offered {times})")?;
            lead = ", ";
        }
        match never.len().saturating_sub(MOST_NEVER) {
            0 => Ok(()),
            more => write!(f, " and {more} more: see `Summary::matrix`"),
        }
    }

    /// Warnings and goals.
    fn findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Warned { warning, replay } in &self.warned {
            let times = plural(warning.count, "time");
            write!(f, "\n  warning  {} ({times})", warning.oracle)?;
            if let Some(at) = warning.location {
                write!(f, " at {}", Place::of(at))?;
            }
            for line in warning.message.lines() {
                write!(f, "\n           {line}")?;
            }
            write!(f, "\n           PROACTOR_REPLAY='{replay}'")?;
        }
        if self.more_warnings > 0 {
            let times = plural(self.more_warnings, "time");
            write!(
                f,
                "\n  warning  {times} at other places: there were too many to keep"
            )?;
        }
        if self.goals.is_empty() {
            return Ok(());
        }
        let missed: Vec<String> = self.missed().map(Goal::to_string).collect();
        let (all, reached) = (self.goals.len(), self.goals.len() - missed.len());
        write!(f, "\n  goals    {reached} of {all} reached")?;
        for goal in missed {
            write!(f, "\n           never: {goal}")?;
        }
        Ok(())
    }

    /// One line a kind of decision: offered, taken.
    fn freedoms(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offered: Vec<Site> = Site::ALL
            .into_iter()
            .filter(|site| self.coverage(*site).0 > 0)
            .collect();
        if offered.is_empty() {
            return write!(
                f,
                "\n  note     the kernel had nothing to decide: this check says no more than one run"
            );
        }
        let words = offered.iter().map(|site| {
            let (_, taken) = self.coverage(*site);
            let never = if taken == 0 { ", never taken" } else { "" };
            format!(
                "{} ({}{never})",
                site.name(),
                freedom(*site, self.setting.personality)
            )
        });
        let mut line = String::new();
        for (index, word) in words.enumerate() {
            let lead = if index == 0 {
                "\n  over     "
            } else {
                ",\n           "
            };
            line.push_str(lead);
            line.push_str(&word);
        }
        f.write_str(&line)
    }
}

/// Outcomes that were never taken and are named.
const MOST_NEVER: usize = 4;

/// How much of random executions is unseen, in words.
fn unseen(f: &mut fmt::Formatter<'_>, unseen: Unseen) -> fmt::Result {
    let Unseen {
        once,
        executions,
        exact,
    } = unseen;
    let share = 100.0 * unseen.share();
    let share = match once {
        0 => format!("less than {}", percent(100.0 / executions.max(1) as f64)),
        _ => format!("about {}", percent(share)),
    };
    let about = if exact { "" } else { "about " };
    write!(
        f,
        "\n  unseen   {share} of further ones would come to something new ({about}{} of {} came to what no other did, \
         orders apart)",
        grouped(once),
        grouped(executions)
    )
}

/// With as many digits as say something.
fn percent(share: f64) -> String {
    match share {
        10.0.. => format!("{share:.0}%"),
        1.0.. => format!("{share:.1}%"),
        _ => format!("{share:.2}%"),
    }
}

/// The kind run with its proactor dropped on the way.
fn drops(f: &mut fmt::Formatter<'_>, points: Points) -> fmt::Result {
    let Points { run, of } = points;
    let executions = plural(run, "execution");
    match run {
        0 => write!(
            f,
            "\n  not      the proactor dropped at any of the kind run's {} points (the budget of executions is \
             too small: raise `executions`)",
            grouped(of)
        ),
        _ if run == of => write!(
            f,
            "\n  proved   the proactor dropped at every point of the kind run: {executions}, none fails"
        ),
        _ => write!(
            f,
            "\n  sampled  the proactor dropped at {} of {} points of the kind run, none fails",
            grouped(run),
            grouped(of)
        ),
    }
}

/// The outcome classes of a decision, in words: what "every execution" ranges over.
fn freedom(site: Site, personality: Personality) -> String {
    match site {
        Site::NextStep => "which completion, effect or timer comes next".to_owned(),
        Site::Worker => "which handler goes on where one may give way".to_owned(),
        _ => {
            let mut words: Vec<&str> = Vec::new();
            for transition in legality().transitions().filter(|it| it.site == Some(site)) {
                let has = |it: &&OutcomeClass| it.personalities.has(personality);
                for outcome in transition.outcomes.iter().filter(has) {
                    if !words.contains(&outcome.word) {
                        words.push(outcome.word);
                    }
                }
            }
            words.join(", ")
        }
    }
}

pub(crate) fn deviations(count: usize) -> String {
    match count {
        0 => "no deviation".to_owned(),
        1 => "1 deviation".to_owned(),
        n => format!("{n} deviations"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::campaign::{Plan, search};
    use super::super::progress::Progress;
    use super::super::toys::faults;
    use super::*;

    fn summary(plan: &Plan, ops: u32) -> String {
        let (done, found) = search(&faults(ops, 4), plan);
        assert!(found.is_none());
        let name = Some("toy".to_owned());
        Summary {
            name,
            done,
            bound: plan.deviations,
            seed: plan.seed,
            strategy: plan.strategy,
            setting: Setting::default(),
            replayed: None,
            part: None,
            known: Vec::new(),
            warned: Vec::new(),
            more_warnings: 0,
            goals: Vec::new(),
        }
        .to_string()
    }

    fn plan() -> Plan {
        Plan {
            executions: 10_000,
            deviations: 2,
            drops: true,
            random: true,
            reduced: true,
            strategy: Strategy::Portfolio,
            seed: 42,
            first: 0,
            threads: 1,
            deadline: None,
            memory: 1 << 20,
            repeat_every: 0,
            progress: Progress::quiet(),
        }
    }

    #[test]
    fn it_says_what_was_proved_and_what_was_sampled() {
        assert_eq!(
            summary(&plan(), 10),
            "proactor: check `toy` passes\n  \
               proved   every execution with at most 2 deviations: 436, none fails\n  \
               sampled  9,564 random executions (seed 0x2a), none fails\n  \
               unseen   about 19% of further ones would come to something new (1,780 of 9,564 came to what no \
               other did, orders apart)\n  \
               over     recv (full, 1, half, n-1)"
        );
    }

    #[test]
    fn it_says_what_was_not_looked_at() {
        assert_eq!(
            summary(
                &Plan {
                    executions: 200,
                    ..plan()
                },
                10
            ),
            "proactor: check `toy` passes\n  \
               proved   every execution with at most 1 deviation: 31, none fails\n  \
               sampled  69 of 405 executions with 2 deviations, the first ones, none fails\n  \
               sampled  100 random executions (seed 0x2a), none fails\n  \
               unseen   about 35% of further ones would come to something new (35 of 100 came to what no other \
               did, orders apart)\n  \
               not      all executions with 2 deviations (the budget of executions ended: raise `executions`)\n  \
               over     recv (full, 1, half, n-1)"
        );
        assert_eq!(
            summary(
                &Plan {
                    random: false,
                    memory: 1_000,
                    ..plan()
                },
                10
            )
            .lines()
            .nth(3),
            Some(
                "  not      all executions with 2 deviations (the memory for the search was full)"
            )
        );
    }

    #[test]
    fn it_warns_of_a_check_without_decisions() {
        let text = summary(
            &Plan {
                random: false,
                ..plan()
            },
            0,
        );
        assert!(
            text.contains("proved   the one execution that there is"),
            "{text}"
        );
        assert!(text.contains("nothing to decide"), "{text}");
    }
}
