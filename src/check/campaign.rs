//! The campaign: the kind run twice, the deviation-bounded search, then seeded random executions,
//! until something fails or the budget is spent.
//!
//! It only finds. What a failure means is told by [`super::shrink`] and [`super::report`], what was
//! covered by [`super::summary`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::bounded::{Lost, Records, Scripted, Tree};
use super::crew::Crew;
use super::dpor::{self, Dpor};
use super::execution::{Fault, Script, Subject, Tally};
use super::portfolio::{Portfolio, Strategy};
use super::random::seed_of;
use super::scheduled::{Known, Learner};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// How much of a budget of executions the bounded search may take if random ones come after it.
const BOUNDED_SHARE: u64 = 2;

/// What a campaign may spend.
pub(crate) struct Plan {
    /// Executions, all stages together (the repeated kind run apart).
    pub(crate) executions: u64,
    /// The bound of the bounded search.
    pub(crate) deviations: usize,
    /// Whether random executions follow.
    pub(crate) random: bool,
    /// How they are drawn.
    pub(crate) strategy: Strategy,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) deadline: Option<Instant>,
    /// Bytes that the bounded search may keep.
    pub(crate) memory: usize,
}

/// What a campaign has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// By number of deviations.
    pub(crate) levels: Vec<LevelDone>,
    /// The reduced search, if there was one.
    pub(crate) reduced: Option<Reduced>,
    /// Random executions.
    pub(crate) random: u64,
    /// Why it ended before the bound, if it did.
    pub(crate) cut: Option<Cut>,
    /// Decisions offered and taken. Without a failure the same on any number of cores.
    pub(crate) tally: Tally,
}

/// One level of the bounded search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LevelDone {
    /// Executions run.
    pub(crate) run: u64,
    /// Executions that there are, as far as known.
    pub(crate) of: u64,
    /// Whether all were run and there are no others.
    pub(crate) whole: bool,
}

/// The search in which of the orders that can't be told apart one is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reduced {
    pub(crate) count: dpor::Count,
    /// Whether it came to its end: there is nothing else.
    pub(crate) whole: bool,
}

/// What ended a search before its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Executions,
    Time,
    Memory,
}

impl Done {
    /// All executions that were run.
    pub(crate) fn executions(&self) -> u64 {
        let levels = self.levels.iter().map(|level| level.run).sum::<u64>();
        let reduced = self
            .reduced
            .map_or(0, |it| it.count.traces + it.count.blocked);
        levels + reduced + self.random
    }
}

/// What a campaign finds.
#[derive(Debug)]
pub(crate) enum Found {
    /// An execution that fails, and its number, from 1.
    Fault {
        script: Script,
        fault: Box<Fault>,
        number: u64,
    },
    /// The same decisions led to two different executions; in words.
    Difference(String),
}

/// Spends the plan.
pub(crate) fn search<S: Subject>(subject: &S, plan: &Plan) -> (Done, Option<Found>) {
    let mut done = Done::default();
    if let Some(found) = kind_twice(subject, plan.seed) {
        // A fault of the kind run is found again, and counted, as level 0.
        if matches!(found, Found::Difference(_)) {
            return (done, Some(found));
        }
    }
    let crew = Crew {
        threads: plan.threads,
        deadline: plan.deadline,
    };
    let found = bounded(subject, plan, &crew, &mut done);
    if found.is_some() || !plan.random {
        return (done, found);
    }
    if subject.tells_all() {
        let found = reduced(subject, plan, &mut done);
        if found.is_some() || done.reduced.is_some_and(|it| it.whole) {
            // What there is has been run: random executions would only repeat it.
            done.cut = None;
            return (done, found);
        }
    }
    let found = random(subject, plan, &crew, &mut done);
    (done, found)
}

/// What a thread keeps between executions.
struct Worker<S: Subject, C> {
    bench: S::Bench,
    chooser: Option<Box<C>>,
}

impl<S: Subject, C: Chooser + Default> Worker<S, C> {
    fn new(subject: &S) -> Worker<S, C> {
        Worker {
            bench: subject.bench(),
            chooser: None,
        }
    }

    fn chooser(&mut self) -> &mut C {
        self.chooser.get_or_insert_with(Box::default)
    }

    fn run(&mut self, subject: &S, seed: u64) -> Option<Box<Fault>> {
        let chooser = self.chooser.take().unwrap_or_default();
        let (outcome, chooser) = subject.run(&mut self.bench, chooser, seed);
        self.chooser = Some(chooser);
        outcome.fault
    }
}

/// What ended a chunk early.
enum Hit {
    Fault(Script, Box<Fault>),
    Lost(Lost),
}

fn bounded<S: Subject>(subject: &S, plan: &Plan, crew: &Crew, done: &mut Done) -> Option<Found> {
    let mut tree = Tree::new(plan.memory);
    let share = if plan.random { BOUNDED_SHARE } else { 1 };
    let mut budget = plan.executions.div_ceil(share);
    while tree.depth() <= plan.deviations {
        let items = tree.items();
        let run = items.min(budget);
        if run == 0 {
            if items > 0 {
                done.cut.get_or_insert(Cut::Executions);
            }
            done.levels.push(LevelDone {
                run,
                of: items,
                whole: items == 0 && tree.is_whole(),
            });
            break;
        }
        let deeper = tree.depth() < plan.deviations;
        let bytes = AtomicUsize::new(0);
        let haul = crew.each(
            run,
            || Worker::<S, Scripted>::new(subject),
            |worker, range| {
                // Chunks are taken in order: one that finds no room stands behind enough others.
                let record = deeper && bytes.load(Ordering::Relaxed) <= tree.room();
                let mut records = Records::new(&range, record);
                let mut cursor = tree.seek(range.start);
                for index in range.clone() {
                    worker
                        .chooser()
                        .begin(record, |script| tree.write(&cursor, script));
                    let fault = worker.run(subject, plan.seed);
                    if let Some(lost) = worker.chooser().lost() {
                        return ((records, Some(Hit::Lost(lost))), true);
                    }
                    if let Some(fault) = fault {
                        let deviations = worker.chooser().deviations().to_vec();
                        let script = Script {
                            seed: plan.seed,
                            deviations,
                        };
                        return ((records, Some(Hit::Fault(script, fault))), true);
                    }
                    records.push(worker.chooser().counts());
                    if index + 1 < range.end {
                        tree.advance(&mut cursor);
                    }
                }
                bytes.fetch_add(records.size(), Ordering::Relaxed);
                ((records, None), false)
            },
            |mut worker| std::mem::take(&mut worker.chooser().tally),
        );
        haul.kept.iter().for_each(|tally| done.tally.add(tally));
        if let Some((_, Some(hit))) = haul.chunks.last() {
            let above: u64 = haul.chunks.iter().map(|(records, _)| records.len()).sum();
            let number = done.executions() + above + 1;
            done.levels.push(LevelDone {
                run: above + 1,
                of: items,
                whole: false,
            });
            return Some(match hit {
                Hit::Fault(script, fault) => Found::Fault {
                    script: script.clone(),
                    fault: fault.clone(),
                    number,
                },
                Hit::Lost(lost) => Found::Difference(describe_lost(lost)),
            });
        }
        budget -= haul.done;
        let whole = haul.done == items && tree.is_whole();
        done.levels.push(LevelDone {
            run: haul.done,
            of: items,
            whole,
        });
        if haul.done < run {
            done.cut.get_or_insert(Cut::Time);
            break;
        }
        if haul.done < items {
            done.cut.get_or_insert(Cut::Executions);
            break;
        }
        if !deeper {
            break;
        }
        tree.grow(haul.chunks.iter().map(|(records, _)| records));
        if !tree.is_whole() {
            done.cut.get_or_insert(Cut::Memory);
        }
    }
    None
}

/// The reduced search, on half of what is left of the budget.
fn reduced<S: Subject>(subject: &S, plan: &Plan, done: &mut Done) -> Option<Found> {
    let budget = (plan.executions - done.executions()).div_ceil(BOUNDED_SHARE);
    let before = done.executions();
    let mut bench = subject.bench();
    let mut dpor = Box::<Dpor>::default();
    let mut whole = false;
    let mut found = None;
    for run in 0..budget {
        let late = plan.deadline.is_some_and(|end| Instant::now() >= end);
        if run % 64 == 0 && late {
            break;
        }
        dpor.begin();
        let (outcome, back) = subject.run(&mut bench, dpor, plan.seed);
        dpor = back;
        let script = Script {
            seed: plan.seed,
            deviations: dpor.deviations(),
        };
        whole = !dpor.advance();
        if dpor.lost() {
            found = Some(Found::Difference(
                "Under the choices of an earlier execution the program offered others.".to_owned(),
            ));
        } else if let Some(fault) = outcome.fault {
            found = Some(Found::Fault {
                script,
                fault,
                number: before + run + 1,
            });
        }
        if whole || found.is_some() {
            break;
        }
    }
    done.tally.add(&dpor.tally);
    done.reduced = Some(Reduced {
        count: dpor.count,
        whole,
    });
    found
}

fn random<S: Subject>(subject: &S, plan: &Plan, crew: &Crew, done: &mut Done) -> Option<Found> {
    let run = plan.executions - done.executions();
    let known = learn(subject, plan.seed);
    let haul = crew.each(
        run,
        || Worker::<S, Portfolio>::new(subject),
        |worker, range| {
            for index in range {
                let seed = seed_of(plan.seed, index);
                worker.chooser().begin(plan.strategy, &known, index, seed);
                if let Some(fault) = worker.run(subject, seed) {
                    let deviations = worker.chooser().deviations().to_vec();
                    return (Some((index, Script { seed, deviations }, fault)), true);
                }
            }
            (None, false)
        },
        |mut worker| worker.chooser().tally(),
    );
    haul.kept.iter().for_each(|tally| done.tally.add(tally));
    if let Some(Some((index, script, fault))) = haul.chunks.into_iter().last() {
        let number = done.executions() + index + 1;
        done.random = index + 1;
        return Some(Found::Fault {
            script,
            fault,
            number,
        });
    }
    done.random = haul.done;
    if haul.done < run {
        done.cut.get_or_insert(Cut::Time);
    }
    None
}

/// What the kind execution tells the strategies.
fn learn<S: Subject>(subject: &S, seed: u64) -> Known {
    let mut bench = subject.bench();
    let (_, learner) = subject.run(&mut bench, Box::<Learner>::default(), seed);
    learner.known()
}

/// Always kind, and writes down what it was asked.
#[derive(Default)]
struct Witness {
    asked: Vec<(Site, Key, usize)>,
}

impl Chooser for Witness {
    fn choose(&mut self, site: Site, key: Key, count: usize, _: &dyn Alternatives) -> usize {
        self.asked.push((site, key, count));
        0
    }
}

/// Runs the program twice without deviation: all else rests on its doing the same both times.
fn kind_twice<S: Subject>(subject: &S, seed: u64) -> Option<Found> {
    let mut bench = subject.bench();
    let (first, one) = subject.run(&mut bench, Box::<Witness>::default(), seed);
    let (second, two) = subject.run(&mut bench, Box::<Witness>::default(), seed);
    let same_fault = match (&first.fault, &second.fault) {
        (None, None) => true,
        (Some(one), Some(two)) => one.same_kind(two),
        _ => false,
    };
    if !same_fault || first.digest != second.digest || one.asked != two.asked {
        return Some(Found::Difference(first_difference(
            subject, seed, &one, &two,
        )));
    }
    let script = Script {
        seed,
        deviations: Vec::new(),
    };
    first.fault.map(|fault| Found::Fault {
        script,
        fault,
        number: 1,
    })
}

/// Says where two kind runs part.
fn first_difference<S: Subject>(subject: &S, seed: u64, one: &Witness, two: &Witness) -> String {
    let story = || subject.trace(Box::<Witness>::default(), seed).2;
    let (first, second) = (story(), story());
    let (mut a, mut b) = (first.lines.iter(), second.lines.iter());
    let mut step = 0;
    loop {
        step += 1;
        let (a, b) = (a.next(), b.next());
        if a.is_none() && b.is_none() {
            break;
        }
        if a != b {
            let say = |line: Option<&super::execution::Line>| match line {
                Some(line) => match &line.place {
                    Some(place) => format!("{} ({place})", line.text),
                    None => line.text.clone(),
                },
                None => "nothing: the run was over".to_owned(),
            };
            return format!(
                "They part at step {step}:\n  once   {}\n  again  {}",
                say(a),
                say(b)
            );
        }
    }
    let say = |asked: Option<&(Site, Key, usize)>| match asked {
        Some((site, key, count)) => {
            format!(
                "`{}` for event {:?}, {count} alternatives",
                site.name(),
                key.event
            )
        }
        None => "nothing: the run was over".to_owned(),
    };
    for decision in 0..one.asked.len().max(two.asked.len()) {
        let (a, b) = (one.asked.get(decision), two.asked.get(decision));
        if a != b {
            let decision = decision + 1;
            return format!(
                "They part at decision {decision} of the kernel:\n  once   {}\n  again  {}",
                say(a),
                say(b)
            );
        }
    }
    "The kernel was asked the same and did the same; the difference is in sizes, or in what the \
     program found wrong."
        .to_owned()
}

fn describe_lost(lost: &Lost) -> String {
    let position = lost.position + 1;
    match lost.offered {
        0 => {
            format!("Decision {position} of the kernel, which came up once, did not come up again.")
        }
        n => format!(
            "Decision {position} of the kernel had more alternatives once; run again it had {n}."
        ),
    }
}
