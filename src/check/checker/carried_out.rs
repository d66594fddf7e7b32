//! A check is carried out: what was met before, the campaign; or one execution again.

use std::time::{Duration, Instant};

use super::super::campaign::{Done, Found, Plan, search};
use super::super::env::{self, Wishes};
use super::super::execution::Subject;
use super::super::failure::{Failure, FailureKind};
use super::super::progress::Progress;
use super::super::regressions::{Known, Regressions, Use};
use super::super::replay::{Fate, Keyed, Replay};
use super::super::shrink::shrink;
use super::super::stop::stop_at;
use super::super::summary::{Summary, Warned, deviations};
use super::Checker;
use crate::sim::words::plural;

impl Checker {
    /// Everything, for any subject and any wishes.
    pub(crate) fn check<S: Subject>(
        mut self,
        subject: &S,
        mut wishes: Wishes,
    ) -> Result<Summary, Box<Failure>> {
        self.may_begin()?;
        if let Some(replay) = wishes.replay.take() {
            if replay.name.is_some() && replay.name != self.name {
                let said = "not run: PROACTOR_REPLAY is set, and meant for the check";
                let said = format!("{said} `{}`", replay.name.unwrap_or_default());
                return Ok(self.summary(subject, Done::default(), Some(said)));
            }
            self.may_repeat(&replay)?;
            if let Some(step) = wishes.stop
                && let Err(why) = stop_at(subject, &replay, &step)
            {
                return Err(Failure::refused(self.name.as_deref(), &why));
            }
            return self.repeat(subject, &replay);
        }
        self.takes(wishes);
        self.checks_something()?;
        let kept = self.kept.take();
        let known = match &kept {
            Some(kept) => self.run_known(subject, kept)?,
            None => Vec::new(),
        };
        match self.campaign(subject) {
            Ok(summary) => Ok(Summary { known, ..summary }),
            Err(mut failure) => {
                if let Some(kept) = kept.filter(|kept| kept.writes) {
                    failure.keep(&kept);
                }
                Err(failure)
            }
        }
    }

    /// Wishes from outside come before what the test says.
    fn takes(&mut self, wishes: Wishes) {
        self.seed = wishes.seed.unwrap_or(self.seed);
        self.executions = wishes.executions.unwrap_or(self.executions);
        self.strategy = wishes.strategy.unwrap_or(self.strategy);
        if let Some(bound) = wishes.deviations {
            self.deviations = usize::try_from(bound).unwrap_or(usize::MAX);
        }
        if let Some(threads) = wishes.threads {
            self.threads = Some(usize::try_from(threads).unwrap_or(usize::MAX));
        }
        self.time = wishes.seconds.map(Duration::from_secs).or(self.time);
        self.part = wishes.part.or(self.part);
        self.quiet |= wishes.quiet;
        match wishes.regressions {
            None => {}
            Some(Use::Off) => self.kept = None,
            Some(Use::Read) => {
                if let Some(kept) = &mut self.kept {
                    kept.writes = false;
                }
            }
        }
    }

    /// Runs what the check has met before. What there is to say of it, if none of that fails.
    fn run_known<S: Subject>(
        &self,
        subject: &S,
        kept: &Regressions,
    ) -> Result<Vec<String>, Box<Failure>> {
        let mut said = Vec::new();
        let mut passes = 0;
        let known = kept.known().unwrap_or_else(|error| {
            said.push(format!("{} can't be read: {error}", kept.shown()));
            Vec::new()
        });
        for Known { at, replay } in known {
            let replay = match env::replay(&replay, &at) {
                Ok(replay) => replay,
                Err(why) => {
                    said.push(why.lines().next().unwrap_or_default().to_owned());
                    continue;
                }
            };
            if replay.setting != self.setting() {
                said.push(format!(
                    "{at} is stale: recorded with {}, and this check has {}",
                    replay.setting.in_words(),
                    self.setting().in_words()
                ));
                continue;
            }
            let keyed = Box::new(Keyed::new(&replay.deviations));
            let (outcome, keyed) = subject.run(&mut subject.bench(), keyed, replay.seed);
            let stale = stale(&replay, keyed.fates());
            match (outcome.fault, stale) {
                (Some(fault), stale) => {
                    let deviations = replay.deviations.clone();
                    return Err(match shrink(subject, replay.seed, deviations, &fault) {
                        Some(shrunk) => {
                            let found = format!("Found by {at}, where it was met before.");
                            self.tell(replay.seed, &shrunk, &found, stale.as_deref(), 1)
                        }
                        None => self.not_deterministic(&format!(
                            "{at} failed with {}\nRun again, it did not.",
                            fault.invariant
                        )),
                    });
                }
                (None, Some(_)) => said.push(format!(
                    "{at} is stale: its decisions no longer come up. Take the line out"
                )),
                (None, None) => passes += 1,
            }
        }
        if passes > 0 {
            let failures = plural(passes, "failure");
            said.insert(0, format!("{failures} of {} no more", kept.shown()));
        }
        Ok(said)
    }

    fn campaign<S: Subject>(self, subject: &S) -> Result<Summary, Box<Failure>> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let plan = Plan {
            executions: self.executions,
            deviations: self.deviations,
            random: self.random,
            drops: self.drops,
            reduced: self.reduced,
            strategy: self.strategy,
            seed: self.seed,
            first: (self.part).map_or(0, |(part, _)| part.saturating_mul(self.executions)),
            threads: self.threads.unwrap_or_else(cores),
            deadline: self.time.map(|time| Instant::now() + time),
            memory: self.memory,
            repeat_every: self.repeat_every,
            progress: match self.quiet {
                true => Progress::quiet(),
                false => Progress::on_terminal(self.name.as_deref()),
            },
        };
        let (done, found) = search(subject, &plan);
        // Its line goes before anything else is said.
        drop(plan);
        match found {
            None => {
                let require = self.require_goals;
                let summary = self.summary(subject, done, None);
                if require && let Some(why) = summary.misses_goals() {
                    return Err(Failure::plain(
                        FailureKind::Unreached,
                        summary.name.as_deref(),
                        "passes, but its goals were not reached",
                        &why,
                    ));
                }
                Ok(summary)
            }
            Some(Found::Difference(why)) => Err(self.not_deterministic(&why)),
            Some(Found::Dependent(why)) => Err(self.dependent(&why)),
            Some(Found::Fault {
                script,
                fault,
                number,
            }) => Err(self.explain(subject, &done, &script, &fault, number)),
        }
    }

    /// Repeats one execution.
    fn repeat<S: Subject>(self, subject: &S, replay: &Replay) -> Result<Summary, Box<Failure>> {
        let keyed = Box::new(Keyed::new(&replay.deviations));
        let mut bench = subject.bench();
        let (outcome, keyed) = subject.run(&mut bench, keyed, replay.seed);
        let stale = stale(replay, keyed.fates());
        match (outcome.fault, stale) {
            (None, None) => {
                let said = format!(
                    "replayed the execution of PROACTOR_REPLAY, with all of its {}",
                    deviations(replay.deviations.len())
                );
                let warned = subject
                    .warnings(&bench)
                    .0
                    .into_iter()
                    .map(|warning| Warned {
                        warning,
                        replay: replay.to_string(),
                    });
                let mut summary = self.summary(subject, Done::default(), Some(said));
                summary.warned = warned.collect();
                Ok(summary)
            }
            (None, Some(stale)) => Err(Failure::plain(
                FailureKind::Stale,
                self.name.as_deref(),
                "replays a stale PROACTOR_REPLAY, which passes",
                &format!(
                    "{stale}\nThe code has changed since, so this says nothing: unset the variable to check anew."
                ),
            )),
            (Some(fault), stale) => {
                let shrunk = shrink(subject, replay.seed, replay.deviations.clone(), &fault);
                match shrunk {
                    Some(shrunk) => {
                        let found = "Found by replaying PROACTOR_REPLAY.";
                        Err(self.tell(replay.seed, &shrunk, found, stale.as_deref(), 1))
                    }
                    None => Err(self.not_deterministic(&format!(
                        "The replay failed with {}: {}\nRun again, it did not.",
                        fault.invariant,
                        fault.message.lines().next().unwrap_or("")
                    ))),
                }
            }
        }
    }
}

/// Says which deviations of a replay no longer exist.
fn stale(replay: &Replay, fates: &[Fate]) -> Option<String> {
    let gone: Vec<String> = replay
        .deviations
        .iter()
        .zip(fates)
        .filter_map(|(deviation, fate)| match fate {
            Fate::Taken(_) => None,
            Fate::KeyGone => Some(format!("  {deviation}: that decision never came up")),
            Fate::WordGone(words) => {
                let words = words.join(", ");
                Some(format!("  {deviation}: that decision offered only {words}"))
            }
        })
        .collect();
    (!gone.is_empty()).then(|| format!("Stale, left out:\n{}", gone.join("\n")))
}
