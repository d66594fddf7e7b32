//! The campaign: the kind run twice, every single deviation, the owner dropped at every point, the rest of the
//! deviation-bounded search, the reduced one, then seeded random executions, until something fails or the budget is spent.
//!
//! It only finds. What a failure means is told by [`super::shrink`] and [`super::report`], what was
//! covered by [`super::summary`].

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::bounded::{Lost, Records, Scripted, Tree};
use super::crew::Crew;
use super::diamond;
use super::dpor::{self, Dpor};
use super::dropping::{self, Dropping, Points};
use super::execution::{Fault, Outcome, Script, Subject, Tally};
use super::findings::{DROPPED, Findings, Gatherer, Number, RANDOM, REDUCED};
use super::portfolio::{Portfolio, Strategy};
use super::progress::Progress;
use super::repeat::{self, Repeat};
use super::scheduled::{Known, Learner};
use super::summary::deviations;
use super::unseen::Classes;
use crate::choice::Chooser;
use crate::choice::random::seed_of;
use crate::sim::matrix::Matrix;

/// How much of a budget of executions the bounded search may take if random ones come after it.
const BOUNDED_SHARE: u64 = 2;

/// How much of what is left the reduced search may take if random executions come after it: it proves something
/// only when it comes to its end, it runs on one thread, and its executions cost more.
const REDUCED_SHARE: u64 = 16;

/// It may take as much as the bounded search if by then so much of it seems to be behind.
const REDUCED_BEHIND: f64 = 0.1;

/// Of so many executions of the reduced search two steps are run in both orders, then of a sample.
const FIRST_PAIRS: u64 = 8;

/// After so many executions of the reduced search it is told how far it is, and the time is looked at.
const TOLD: u64 = 64;

/// What a campaign may spend.
pub(crate) struct Plan {
    /// Executions, all stages together (the repeated kind run apart).
    pub(crate) executions: u64,
    /// The bound of the bounded search.
    pub(crate) deviations: usize,
    /// Whether the proactor is dropped at every point of the kind run.
    pub(crate) drops: bool,
    /// Whether random executions follow.
    pub(crate) random: bool,
    /// Whether a reduced search comes before them.
    pub(crate) reduced: bool,
    /// How they are drawn.
    pub(crate) strategy: Strategy,
    pub(crate) seed: u64,
    /// The number of the first random execution: others are run elsewhere.
    pub(crate) first: u64,
    pub(crate) threads: usize,
    pub(crate) deadline: Option<Instant>,
    /// Bytes that the bounded search may keep.
    pub(crate) memory: usize,
    /// One in so many executions is run a second time; 0: only the kind one.
    pub(crate) repeat_every: u64,
    /// Who is told how far it is.
    pub(crate) progress: Progress,
}

/// What a campaign has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// By number of deviations.
    pub(crate) levels: Vec<LevelDone>,
    /// The points at which the proactor was dropped, if there are any.
    pub(crate) drops: Option<Points>,
    /// The reduced search, if there was one.
    pub(crate) reduced: Option<Reduced>,
    /// Random executions.
    pub(crate) random: u64,
    /// Why it ended before the bound, if it did.
    pub(crate) cut: Option<Cut>,
    /// Decisions offered and taken. Without a failure the same on any number of cores.
    pub(crate) tally: Tally,
    /// The same for what was found beside failures.
    pub(crate) findings: Findings,
    /// And for what operations were offered.
    pub(crate) matrix: Matrix,
    /// What random executions came to.
    pub(crate) classes: Classes,
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
    /// Outcomes that are not kind, at most so many in one execution; no value: all were allowed.
    pub(crate) outcomes: Option<usize>,
    /// Under the promise that strands share only what is tracked.
    pub(crate) promised: bool,
    /// Pairs of steps that were run in both orders, to see that they are independent.
    pub(crate) pairs: u64,
}

impl Reduced {
    /// Whether there is no other execution.
    pub(crate) fn is_all(&self) -> bool {
        self.whole && self.outcomes.is_none()
    }
}

/// What ended a search before its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Executions,
    Time,
    Memory,
}

impl Done {
    /// Whether the bounded search has run all that there is.
    fn is_exhausted(&self) -> bool {
        self.levels.iter().all(|level| level.whole)
            && self.levels.last().is_some_and(|level| level.run == 0)
    }

    /// All executions that were run.
    pub(crate) fn executions(&self) -> u64 {
        let levels = self.levels.iter().map(|level| level.run).sum::<u64>();
        let reduced = self
            .reduced
            .map_or(0, |it| it.count.traces + it.count.blocked);
        let drops = self.drops.map_or(0, |points| points.run);
        levels + drops + reduced + self.random
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
    /// Two steps that were said to touch nothing in common do; in words.
    Dependent(String),
}

/// Spends the plan.
pub(crate) fn search<S: Subject>(subject: &S, plan: &Plan) -> (Done, Option<Found>) {
    let mut done = Done::default();
    if let Some(found) = repeat::kind_twice(subject, plan.seed) {
        // A fault of the kind run is found again, and counted, as level 0.
        if matches!(found, Found::Difference(_)) {
            return (done, Some(found));
        }
    }
    let crew = Crew {
        threads: plan.threads,
        deadline: plan.deadline,
        progress: &plan.progress,
    };
    let mut bounded = Bounded::new(subject, plan);
    let mut found = bounded.search(subject, plan, &crew, &mut done, plan.deviations.min(1));
    if found.is_none() && plan.drops && plan.deviations > 0 && subject.has_owner() {
        found = bounded.drops(subject, plan, &crew, &mut done);
    }
    if found.is_none() {
        found = bounded.search(subject, plan, &crew, &mut done, plan.deviations);
    }
    if found.is_some() || !(plan.random || subject.promises()) {
        return (done, found);
    }
    if subject.tells_all() && plan.reduced && (subject.promises() || !done.is_exhausted()) {
        let found = reduced(subject, plan, &mut done);
        let is_all = done.reduced.is_some_and(|it| it.is_all());
        if found.is_some() || is_all && !subject.may_differ() {
            // What there is has been run: random executions would only repeat it.
            done.cut = None;
            return (done, found);
        }
    }
    if !plan.random {
        return (done, None);
    }
    let found = random(subject, plan, &crew, &mut done);
    (done, found)
}

/// What a thread keeps between executions.
struct Worker<S: Subject, C> {
    bench: S::Bench,
    chooser: Option<Box<C>>,
    gatherer: Gatherer,
    classes: Classes,
    /// For executions that are run a second time: whoever counts is not to count them twice.
    again: Option<(S::Bench, Option<Box<Repeat>>)>,
}

/// How an execution ended that does not simply pass.
enum Ended {
    Fault(Box<Fault>),
    /// Run again, it came to something else.
    Differs,
}

impl<S: Subject, C: Chooser + Default + Explorer> Worker<S, C> {
    fn new(subject: &S) -> Worker<S, C> {
        Worker {
            bench: subject.bench(),
            chooser: None,
            gatherer: Gatherer::begin(),
            classes: Classes::default(),
            again: None,
        }
    }

    fn chooser(&mut self) -> &mut C {
        self.chooser.get_or_insert_with(Box::default)
    }

    fn run(&mut self, subject: &S, plan: &Plan, seed: u64, number: Number) -> Option<Ended> {
        let chooser = self.chooser.take().unwrap_or_default();
        let (outcome, chooser) = subject.run(&mut self.bench, chooser, seed);
        if number.0 == RANDOM {
            self.classes.add(outcome.class);
        }
        if outcome.news {
            let script = chooser.script(seed);
            self.gatherer.news(subject, &self.bench, number, script);
        }
        let differs = repeat::is_sampled(number.1, plan.repeat_every)
            && self.comes_to_something_else(subject, &chooser.script(seed), &outcome);
        self.chooser = Some(chooser);
        if differs {
            return Some(Ended::Differs);
        }
        outcome.fault.map(Ended::Fault)
    }

    /// Whether an execution comes to something else when it is run again.
    #[cold]
    fn comes_to_something_else(&mut self, subject: &S, script: &Script, first: &Outcome) -> bool {
        let (bench, kept) = self.again.get_or_insert_with(|| (subject.bench(), None));
        let mut chooser = kept.take().unwrap_or_default();
        chooser.begin(&script.deviations, script.drops);
        let (second, chooser) = self
            .gatherer
            .uncounted(|| subject.run(bench, chooser, script.seed));
        let differs = repeat::differ(first, &second) || !chooser.is_done();
        *kept = Some(chooser);
        differs
    }

    /// What its executions came to.
    fn end(mut self, subject: &S) -> Kept {
        Kept {
            tally: self.chooser().take_tally(),
            matrix: subject.matrix(&self.bench),
            findings: self.gatherer.end(subject, &self.bench),
            classes: self.classes,
        }
    }
}

/// What the executions of one thread came to.
struct Kept {
    tally: Tally,
    matrix: Matrix,
    findings: Findings,
    classes: Classes,
}

/// What the strategies of a campaign have in common.
trait Explorer {
    /// The last execution.
    fn script(&self, seed: u64) -> Script;
    /// What was offered and taken so far.
    fn take_tally(&mut self) -> Tally;
}

impl Explorer for Scripted {
    fn script(&self, seed: u64) -> Script {
        Script::new(seed, self.deviations().to_vec())
    }

    fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }
}

impl Explorer for Dropping {
    fn script(&self, seed: u64) -> Script {
        dropping::script(seed, self.deviations())
    }

    fn take_tally(&mut self) -> Tally {
        // What it was offered the kind run was too.
        Tally::default()
    }
}

impl Explorer for Portfolio {
    fn script(&self, seed: u64) -> Script {
        Script::new(seed, self.deviations().to_vec())
    }

    fn take_tally(&mut self) -> Tally {
        self.tally()
    }
}

impl Done {
    /// What the threads of a stage came to.
    fn gather(&mut self, kept: Vec<Kept>) {
        for kept in kept {
            self.tally.add(&kept.tally);
            self.matrix.add(&kept.matrix);
            self.findings.add(kept.findings);
            self.classes.merge(kept.classes);
        }
    }
}

/// What ended a chunk early.
enum Hit {
    Fault(Script, Box<Fault>),
    Lost(Script, Lost),
    Differs(Script),
}

impl Hit {
    fn new(ended: Ended, script: Script) -> Hit {
        match ended {
            Ended::Fault(fault) => Hit::Fault(script, fault),
            Ended::Differs => Hit::Differs(script),
        }
    }

    /// What the campaign finds with the execution of this number.
    fn found<S: Subject>(self, subject: &S, number: u64) -> Found {
        match self {
            Hit::Fault(script, fault) => Found::Fault {
                script,
                fault,
                number,
            },
            Hit::Lost(script, lost) => {
                Found::Difference(repeat::lost_decision(subject, &script, &lost))
            }
            Hit::Differs(script) => Found::Difference(repeat::sampled(subject, &script, number)),
        }
    }
}

/// The deviation-bounded search, level by level.
struct Bounded {
    tree: Tree,
    /// Executions that it may still take.
    budget: u64,
    /// It came to its end, or to that of something else.
    over: bool,
}

impl Bounded {
    fn new<S: Subject>(subject: &S, plan: &Plan) -> Bounded {
        let others = plan.random || subject.promises();
        let share = if others { BOUNDED_SHARE } else { 1 };
        Bounded {
            tree: Tree::new(plan.memory),
            budget: plan.executions.div_ceil(share),
            over: false,
        }
    }

    /// All levels that were not searched yet, up to this one.
    fn search<S: Subject>(
        &mut self,
        subject: &S,
        plan: &Plan,
        crew: &Crew<'_>,
        done: &mut Done,
        last: usize,
    ) -> Option<Found> {
        while !self.over && self.tree.depth() <= last {
            let found = self.level(subject, plan, crew, done);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The next level.
    fn level<S: Subject>(
        &mut self,
        subject: &S,
        plan: &Plan,
        crew: &Crew<'_>,
        done: &mut Done,
    ) -> Option<Found> {
        let tree = &self.tree;
        let items = tree.items();
        let run = items.min(self.budget);
        if run == 0 {
            if items > 0 {
                done.cut.get_or_insert(Cut::Executions);
            }
            done.levels.push(LevelDone {
                run,
                of: items,
                whole: items == 0 && tree.is_whole(),
            });
            self.over = true;
            return None;
        }
        let depth = tree.depth();
        plan.progress
            .stage(|| format!("with {}", deviations(depth)), Some(run));
        let deeper = depth < plan.deviations;
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
                    let number = (tree.depth(), index);
                    let ended = worker.run(subject, plan, plan.seed, number);
                    if let Some(lost) = worker.chooser().lost() {
                        let hit = Hit::Lost(worker.chooser().script(plan.seed), lost);
                        return ((records, Some(hit)), true);
                    }
                    if let Some(ended) = ended {
                        let hit = Hit::new(ended, worker.chooser().script(plan.seed));
                        return ((records, Some(hit)), true);
                    }
                    records.push(worker.chooser().counts());
                    if index + 1 < range.end {
                        tree.advance(&mut cursor);
                    }
                }
                bytes.fetch_add(records.size(), Ordering::Relaxed);
                ((records, None), false)
            },
            |worker| worker.end(subject),
        );
        done.gather(haul.kept);
        if matches!(haul.chunks.last(), Some((_, Some(_)))) {
            let above: u64 = haul.chunks.iter().map(|(records, _)| records.len()).sum();
            let number = done.executions() + above + 1;
            done.levels.push(LevelDone {
                run: above + 1,
                of: items,
                whole: false,
            });
            let hit = haul.chunks.into_iter().last().and_then(|(_, hit)| hit);
            return hit.map(|hit| hit.found(subject, number));
        }
        self.budget -= haul.done;
        let whole = haul.done == items && tree.is_whole();
        done.levels.push(LevelDone {
            run: haul.done,
            of: items,
            whole,
        });
        if haul.done < items {
            let cut = if haul.done < run {
                Cut::Time
            } else {
                Cut::Executions
            };
            done.cut.get_or_insert(cut);
            self.over = true;
        } else if deeper {
            let records = haul.chunks.iter().map(|(records, _)| records);
            self.tree.grow(records);
            if !self.tree.is_whole() {
                done.cut.get_or_insert(Cut::Memory);
            }
        } else {
            self.over = true;
        }
        None
    }

    /// The kind run with the proactor dropped at each of its points: on this search's budget.
    fn drops<S: Subject>(
        &mut self,
        subject: &S,
        plan: &Plan,
        crew: &Crew<'_>,
        done: &mut Done,
    ) -> Option<Found> {
        let most = self.budget.min(plan.executions / dropping::SHARE);
        let points = Points::of(subject, plan.seed, most);
        if points.of == 0 {
            return None;
        }
        plan.progress
            .stage(|| "the proactor dropped".to_owned(), Some(points.run));
        let haul = crew.each(
            points.run,
            || Worker::<S, Dropping>::new(subject),
            |worker, range| {
                for index in range {
                    worker.chooser().begin(Some(points.nth(index)));
                    if let Some(ended) = worker.run(subject, plan, plan.seed, (DROPPED, index)) {
                        let hit = Hit::new(ended, worker.chooser().script(plan.seed));
                        return (Some((index, hit)), true);
                    }
                }
                (None, false)
            },
            |worker| worker.end(subject),
        );
        done.gather(haul.kept);
        self.budget -= haul.done;
        let before = done.executions();
        let hit = haul.chunks.into_iter().last().flatten();
        done.drops = Some(Points {
            run: hit.as_ref().map_or(haul.done, |(index, _)| index + 1),
            ..points
        });
        if haul.done < points.run {
            done.cut.get_or_insert(Cut::Time);
        }
        hit.map(|(index, hit)| hit.found(subject, before + index + 1))
    }
}

/// The reduced search: on a sixteenth of what is left of the budget if random executions follow, or on half of it
/// if it may come to its end with that.
fn reduced<S: Subject>(subject: &S, plan: &Plan, done: &mut Done) -> Option<Found> {
    let before = done.executions();
    let left = plan.executions - before;
    let (sure, budget) = match plan.random {
        true => (left.div_ceil(REDUCED_SHARE), left.div_ceil(BOUNDED_SHARE)),
        false => (left, left),
    };
    let mut bench = subject.bench();
    let mut dpor = Box::new(Dpor::with_outcomes(
        subject
            .may_differ()
            .then_some(u32::try_from(plan.deviations).unwrap_or(u32::MAX)),
    ));
    let mut whole = false;
    let mut found = None;
    let mut pairs = 0;
    let mut gatherer = Gatherer::begin();
    plan.progress
        .stage(|| "the reduced search".to_owned(), None);
    for run in 0..budget {
        let late = plan.deadline.is_some_and(|end| Instant::now() >= end);
        let is_far = run == sure && dpor.progress() < REDUCED_BEHIND;
        if run % TOLD == 0 && late || is_far {
            break;
        }
        if run % TOLD == TOLD - 1 {
            plan.progress.add(TOLD);
        }
        dpor.begin();
        let (outcome, back) = subject.run(&mut bench, dpor, plan.seed);
        dpor = back;
        let script = |dpor: &Dpor| Script::new(plan.seed, dpor.deviations());
        if outcome.news {
            gatherer.news(subject, &bench, (REDUCED, run), script(&dpor));
        }
        let failing = outcome.fault.map(|fault| (script(&dpor), fault));
        let is_sampled =
            failing.is_none() && (run < FIRST_PAIRS || repeat::is_sampled(run, plan.repeat_every));
        let pair = is_sampled.then(|| dpor.pair(seed_of(plan.seed, run)));
        if let Some(pair) = pair.flatten() {
            pairs += 1;
            let differ = gatherer.uncounted(|| diamond::differ(subject, &pair, plan.seed));
            found = differ.map(Found::Dependent);
        }
        whole = !dpor.advance();
        if found.is_some() {
            break;
        }
        if dpor.lost() {
            found = Some(Found::Difference(
                "Under the choices of an earlier execution the program offered others.".to_owned(),
            ));
        } else if let Some((script, fault)) = failing {
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
    done.matrix.add(&subject.matrix(&bench));
    done.findings.add(gatherer.end(subject, &bench));
    done.reduced = Some(Reduced {
        count: dpor.count,
        whole,
        outcomes: dpor.is_bounded().then_some(plan.deviations),
        promised: subject.promises(),
        pairs,
    });
    found
}

fn random<S: Subject>(subject: &S, plan: &Plan, crew: &Crew<'_>, done: &mut Done) -> Option<Found> {
    let run = plan.executions - done.executions();
    let known = learn(subject, plan.seed);
    plan.progress
        .stage(|| "random executions".to_owned(), Some(run));
    let haul = crew.each(
        run,
        || Worker::<S, Portfolio>::new(subject),
        |worker, range| {
            for index in range {
                let drawn = plan.first.saturating_add(index);
                let seed = seed_of(plan.seed, drawn);
                worker.chooser().begin(plan.strategy, &known, drawn, seed);
                if let Some(ended) = worker.run(subject, plan, seed, (RANDOM, index)) {
                    let hit = Hit::new(ended, worker.chooser().script(seed));
                    return (Some((index, hit)), true);
                }
            }
            (None, false)
        },
        |worker| worker.end(subject),
    );
    done.gather(haul.kept);
    if let Some(Some((index, hit))) = haul.chunks.into_iter().last() {
        let number = done.executions() + index + 1;
        done.random = index + 1;
        return Some(hit.found(subject, number));
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
