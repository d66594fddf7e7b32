//! What a check tells in the end: a summary, or why it fails.

use super::super::campaign::Done;
use super::super::execution::{Fault, Script, Subject};
use super::super::failure::{Failure, FailureKind, Pages};
use super::super::page::{page, story};
use super::super::perfetto::perfetto;
use super::super::repeat::locate;
use super::super::replay::{Named, Naming, Replay};
use super::super::report::{Case, report};
use super::super::setting::Setting;
use super::super::shrink::{Shrunk, shrink};
use super::super::summary::{Summary, Warned, deviations, goals, grouped};
use super::Checker;

impl Checker {
    pub(super) fn summary<S: Subject>(
        self,
        subject: &S,
        mut done: Done,
        replayed: Option<String>,
    ) -> Summary {
        let findings = std::mem::take(&mut done.findings);
        let warned = findings.warnings.into_iter().map(|first| {
            let naming = Box::new(Naming::new(&first.script));
            let (_, naming) = subject.run(&mut subject.bench(), naming, first.script.seed);
            let replay = self.replay_of(first.script.seed, naming.named);
            Warned {
                warning: first.warning,
                replay: replay.to_string(),
            }
        });
        let setting = self.setting();
        Summary {
            warned: warned.collect(),
            more_warnings: findings.more,
            goals: goals(&findings.goals, &self.goals),
            name: self.name,
            done,
            bound: self.deviations,
            seed: self.seed,
            strategy: self.strategy,
            part: self.part,
            setting,
            replayed,
            known: Vec::new(),
        }
    }

    pub(super) fn dependent(&self, why: &str) -> Box<Failure> {
        let advice = if self.promised {
            "It was promised that strands share only what is tracked (`strands_share_only_tracked`), and these \
             two do share something else: an atomic, a lock, something of `sync`, a static. Take the promise \
             back, or keep it: let them speak by posts and operations."
        } else {
            "Nothing was promised, so this is a mistake of the checker's: please report it. Without the reduced \
             search (`reduced(false)`) the check does not depend on it."
        };
        Failure::plain(
            FailureKind::Dependent,
            self.name.as_deref(),
            "fails: two steps share what is not tracked",
            &format!("In the reduced search {why}\n{advice}"),
        )
    }

    pub(super) fn not_deterministic(&self, why: &str) -> Box<Failure> {
        let advice = "Under the same decisions of the kernel the model did not do the same. Look there, or \
                      before it, for a real clock (`Sim::now` and `Handle::now` are simulated), a random \
                      number (`Sim::rng` repeats itself), the order of a HashMap (a BTreeMap or an IndexMap has \
                      one), an order by addresses, a static that an execution leaves changed, another \
                      thread: make all state inside the model.";
        Failure::plain(
            FailureKind::NonDeterministic,
            self.name.as_deref(),
            "fails: the model is not deterministic",
            &format!("{why}\n{advice}"),
        )
    }

    /// Shrinks a failure and tells it.
    pub(in crate::check) fn explain<S: Subject>(
        &self,
        subject: &S,
        done: &Done,
        script: &Script,
        fault: &Fault,
        number: u64,
    ) -> Box<Failure> {
        let naming = Box::new(Naming::new(script));
        let (again, naming) = subject.run(&mut subject.bench(), naming, script.seed);
        let shrunk = match again.fault {
            Some(again) if again.same_kind(fault) => {
                shrink(subject, script.seed, naming.named, fault)
            }
            _ => None,
        };
        let Some(shrunk) = shrunk else {
            let place = locate(subject, script).unwrap_or_default();
            return self.not_deterministic(&format!(
                "Execution {number} failed with {}: {}\nRun again, it did not.\n{place}",
                fault.oracle,
                fault.message.lines().next().unwrap_or("")
            ));
        };
        let with = deviations(script.deviations.len());
        let which = if done.random > 0 {
            format!("a random one, with {with}")
        } else if script.drops {
            let run = done.drops.map_or(1, |points| points.run);
            format!("number {} in which the proactor is dropped", grouped(run))
        } else if done.reduced.is_some() {
            format!("one of the reduced search, with {with}")
        } else {
            let run = done.levels.last().map_or(1, |level| level.run);
            format!("number {} with {with}", grouped(run))
        };
        let found = format!(
            "Found by execution {} ({which}); shrinking took {} more.",
            grouped(number),
            grouped(shrunk.executions)
        );
        self.tell(script.seed, &shrunk, &found, None, number)
    }

    pub(super) fn tell(
        &self,
        seed: u64,
        shrunk: &Shrunk,
        found: &str,
        stale: Option<&str>,
        number: u64,
    ) -> Box<Failure> {
        let deviations = shrunk
            .deviations
            .iter()
            .map(|deviant| deviant.named.clone())
            .collect();
        let replay = self.replay_of(seed, deviations);
        let thread = std::thread::current();
        // Tests run on threads of their name; where they run on the main one it is unknown.
        let test = thread.name().filter(|name| *name != "main");
        let name = self.name.as_deref().or(test);
        let case = Case {
            name,
            test,
            shrunk,
            replay: &replay,
            found,
            stale,
        };
        let report = report(&case);
        let clean = |c: char| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        };
        let pages = Pages {
            name: name.unwrap_or("check").chars().map(clean).collect(),
            html: page(&case, &report.deviations),
            json: story(&case),
            perfetto: perfetto(&shrunk.story),
        };
        Box::new(Failure {
            pages: Some(pages),
            kind: FailureKind::Broken,
            report: report.text,
            fault: Some(shrunk.fault.clone()),
            deviations: report.deviations,
            replay: Some(replay.to_string()),
            executions: number,
        })
    }

    /// What its executions run on.
    pub(super) fn setting(&self) -> Setting {
        Setting {
            workers: self.workers,
            personality: self.config.personality,
            door: self.config.door,
        }
    }

    fn replay_of(&self, seed: u64, deviations: Vec<Named>) -> Replay {
        Replay {
            name: self.name.clone(),
            setting: self.setting(),
            seed,
            deviations,
        }
    }
}
