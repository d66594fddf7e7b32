//! [`Checker`]: a check with other bounds and budgets than the usual ones.

mod carried_out;
mod refused;
mod told;

use std::panic::Location;
use std::time::Duration;

use super::env::{self, Wishes};
use super::failure::Failure;
use super::fuzz::Fuzz;
use super::portfolio::Strategy;
use super::regressions::Regressions;
use super::sim::{Model, Sim};
use super::summary::Summary;
use crate::sim::{Config, Door, Level, Oracle, Personality};

/// A check whose bounds and budgets are chosen.
///
/// ```
/// use proactor::check::Checker;
///
/// let summary = Checker::new()
///     .executions(1_000)
///     .deviations(3)
///     .run(|sim| sim.file("/etc/motd", b"hello"))
///     .expect("nothing can fail here");
/// println!("{summary}");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a checker does nothing until it is `run`"]
pub struct Checker {
    name: Option<String>,
    executions: u64,
    deviations: usize,
    random: bool,
    strategy: Strategy,
    seed: u64,
    threads: Option<usize>,
    time: Option<Duration>,
    memory: usize,
    repeat_every: u64,
    reduced: bool,
    drops: bool,
    promised: bool,
    workers: usize,
    races: bool,
    goals: Vec<String>,
    /// The one execution to repeat.
    replay: Option<String>,
    /// Whether failures are kept beside the test.
    regressions: bool,
    kept: Option<Regressions>,
    /// Nobody is told how far it is.
    quiet: bool,
    /// Which part of the random executions, from 0, of how many.
    part: Option<(u64, u64)>,
    require_goals: bool,
    /// A panic was not to be denied.
    forgives_panics: bool,
    config: Config,
}

impl Default for Checker {
    fn default() -> Checker {
        Checker::new()
    }
}

impl Checker {
    /// What [`check`](super::check) does: 10,000 executions, at most 2 deviations in the bounded
    /// search, the rest random, on all cores.
    pub fn new() -> Checker {
        Checker {
            name: None,
            executions: 10_000,
            deviations: 2,
            random: true,
            strategy: Strategy::Portfolio,
            seed: 0,
            threads: None,
            time: None,
            memory: 256 << 20,
            repeat_every: 64,
            reduced: true,
            drops: true,
            promised: false,
            workers: 1,
            races: true,
            goals: Vec::new(),
            replay: None,
            regressions: false,
            kept: None,
            quiet: false,
            part: None,
            require_goals: false,
            forgives_panics: false,
            config: Config::default(),
        }
    }

    /// A name for reports. A replay of one named check is ignored by those of other names, so give
    /// names where a test holds several checks.
    pub fn name(mut self, name: &str) -> Checker {
        // It stands in replay strings, between single quotes.
        let clean = |c: char| {
            if c.is_alphanumeric() || "-_.:/".contains(c) {
                c
            } else {
                '-'
            }
        };
        self.name = Some(name.chars().map(clean).collect());
        self
    }

    /// How many executions may be spent, at least 1. Where random ones follow, they get half of them
    /// and what the bounded search leaves.
    pub fn executions(mut self, executions: u64) -> Checker {
        self.executions = executions;
        self
    }

    /// The bound of the deviation-bounded search.
    pub fn deviations(mut self, deviations: usize) -> Checker {
        self.deviations = deviations;
        self
    }

    /// Whether random executions follow the bounded search. They do unless told otherwise.
    pub fn random(mut self, random: bool) -> Checker {
        self.random = random;
        self
    }

    /// How random executions are drawn: by turns under each strategy, unless told otherwise.
    pub fn strategy(mut self, strategy: Strategy) -> Checker {
        self.strategy = strategy;
        self
    }

    /// Whether a reduced search comes between the bounded search and random executions. It does unless told
    /// otherwise, where one is possible: with one worker, without [losses of power](Checker::power_losses), and
    /// through the [plain door](Checker::door).
    ///
    /// Of executions that differ only in the order of steps that touch nothing in common it runs one
    /// (source-DPOR with sleep sets). All handlers are taken to touch something in common, so only the kernel's own
    /// steps (late effects, cancels, scripted peers) are reduced; under
    /// [a promise](Checker::strands_share_only_tracked) handlers are as well. Outcomes other than kind ones
    /// are bounded as in the bounded search; orders are not. It proves something when it comes to its end: if random
    /// executions follow, it gets a sixteenth of what the bounded search leaves of the budget, and up to half of it if a
    /// tenth of the search seems to be behind by then.
    pub fn reduced(mut self, reduced: bool) -> Checker {
        self.reduced = reduced;
        self
    }

    /// Whether the proactor is dropped at every point of the kind run: before each of its steps, one execution each. It
    /// is unless told otherwise, or the [bound](Checker::deviations) is 0.
    ///
    /// What a program that shuts down in the middle does is what happens: the call that runs the proactor does not come
    /// back, the model is left there (what it has on its stack is dropped, a future that is blocked on first), and then
    /// the proactor is dropped. What is in flight is cancelled and waited for, no handler runs any more, every object is
    /// closed. All [oracles](super#oracles) hold as ever; what the model would have asserted after its `run` counts for
    /// nothing, and scripted peers expect nothing more.
    ///
    /// It finds what only ends in good order: a cycle that the last handler would have broken, a `Drop` that counts on an
    /// answer, a guard that panics. Of a run with more than 1,000 steps it takes 1,000, evenly spread. Handlers that are
    /// suspended in the middle (of [several workers](Checker::workers)) come to their ends first.
    ///
    /// The stack is left by an unwinding: a `Drop` there that panics without asking
    /// [`panicking`](std::thread::panicking) ends the process, as it does in every panic.
    ///
    /// ```
    /// use proactor::check::Checker;
    /// use proactor::net::{TcpListener, TcpStream};
    /// use std::sync::{Arc, Mutex};
    ///
    /// /// Keeps a connection, and is told of its end by a callback that keeps it.
    /// struct Session(TcpStream, Mutex<Option<Box<dyn FnOnce() + Send>>>);
    ///
    /// let failure = Checker::new()
    ///     .run(|sim| {
    ///         let proactor = sim.proactor();
    ///         let listener = TcpListener::bind(proactor, "10.0.0.1:80").unwrap();
    ///         let last = listener.clone();
    ///         TcpStream::connect(proactor, "10.0.0.1:80").then(move |stream| {
    ///             if stream.is_err() {
    ///                 last.close(); // Nobody else will come.
    ///             }
    ///         });
    ///         listener.accept().then(|accepted| {
    ///             let Ok((stream, _)) = accepted else { return };
    ///             let session = Arc::new(Session(stream, Mutex::default()));
    ///             let itself = session.clone();
    ///             *session.1.lock().unwrap() = Some(Box::new(move || drop(itself)));
    ///             let read = session.0.read(vec![0; 16]);
    ///             // Here the cycle is broken; if this is never called it stays.
    ///             read.then(move |_| session.1.lock().unwrap().take().unwrap()());
    ///         });
    ///         proactor.run().unwrap();
    ///     })
    ///     .unwrap_err();
    /// assert!(failure.to_string().contains("the proactor is dropped before"));
    /// ```
    pub fn drops(mut self, drops: bool) -> Checker {
        self.drops = drops;
        self
    }

    /// Promises that handlers on different strands share nothing but what the checker tracks: operations and
    /// what they are on (connections, files, events), posts to strands, and time. A
    /// [`StrandCell`](crate::StrandCell) is looked at by one strand, so it may hold what it likes. Not tracked, and so
    /// not to be shared between strands, are [`sync`](crate::sync), atomics, locks and channels of std.
    ///
    /// The reduced search then takes handlers on different strands that touch nothing in common for
    /// independent, and runs one of their orders. (Handlers and tasks on no strand stay dependent with all. The
    /// model's own body must share nothing with handlers between two calls of `poll` and its kin.)
    /// Whatever the [`Summary`] says on that ground names the promise. It is spot-tested: of a sample of
    /// executions two steps that are said to be independent are run in both orders, and must submit the same,
    /// come to the same, make the same steps possible, and leave the same [`Sim::digest`]. Where they do not, the check
    /// fails: [`FailureKind::Dependent`](super::FailureKind::Dependent).
    ///
    /// A check with several workers, with losses of power, or behind a completion port is refused: there a handler is
    /// no step, a loss of power depends on all that came before, and the driver's own timers and events are not
    /// tracked.
    ///
    /// ```
    /// use proactor::Strand;
    /// use proactor::check::Checker;
    /// use std::time::Duration;
    ///
    /// let summary = Checker::new()
    ///     .strands_share_only_tracked()
    ///     .run(|sim| {
    ///         for _ in 0..2 {
    ///             let strand = Strand::new(sim.proactor());
    ///             sim.proactor().sleep(Duration::from_secs(1)).on(&strand).then(|_| ());
    ///         }
    ///         sim.proactor().run().unwrap();
    ///     })
    ///     .unwrap();
    /// assert!(summary.to_string().contains("under the promise"));
    /// ```
    pub fn strands_share_only_tracked(mut self) -> Checker {
        self.promised = true;
        self
    }

    /// The seed of the random executions and of [`Sim::rng`]. 0 unless told otherwise, so that a
    /// test does the same each time.
    pub fn seed(mut self, seed: u64) -> Checker {
        self.seed = seed;
        self
    }

    /// How often at most the kernel lets one operation suffer a fault.
    pub fn faults_per_operation(mut self, faults: u32) -> Checker {
        self.config.faults_per_operation = faults;
        self
    }

    /// How many threads run executions, at least 1. The answer does not depend on it.
    pub fn threads(mut self, threads: usize) -> Checker {
        self.threads = Some(threads);
        self
    }

    /// How many simulated workers run the handlers of the model's proactor: 1 unless told otherwise, at
    /// least 1. It is the check's, never the machine's, and part of replay strings.
    ///
    /// With several, handlers overlap: one may give way to another wherever it starts or cancels an
    /// operation, posts or dispatches a handler, looks at a `StrandCell`, uses something of [`sync`](crate::sync), or reads the
    /// clock; nowhere else. What a task or a strand runs never overlaps with itself. A std lock may be
    /// held in a handler, but not across a call of the library: all workers are one thread, which would
    /// block (a warning says where). A thread-local that is borrowed across such a call is found
    /// borrowed by others. Nothing overlaps with the model's own body, nor with the future of
    /// [`block_on`](crate::Proactor::block_on).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use proactor::check::Checker;
    ///
    /// let failure = Checker::new()
    ///     .workers(2)
    ///     .run(|sim| {
    ///         let counter = Arc::new(AtomicU32::new(0));
    ///         for _ in 0..2 {
    ///             let (counter, proactor) = (counter.clone(), sim.proactor().handle());
    ///             sim.proactor().post(move || {
    ///                 let before = counter.load(Relaxed);
    ///                 proactor.post(|| ()); // the other handler may run here
    ///                 counter.store(before + 1, Relaxed);
    ///             });
    ///         }
    ///         let _ = sim.proactor().run();
    ///         assert_eq!(counter.load(Relaxed), 2);
    ///     })
    ///     .expect_err("an update is lost");
    /// assert!(failure.deviations().len() <= 2);
    /// ```
    pub fn workers(mut self, workers: usize) -> Checker {
        self.workers = workers;
        self
    }

    /// Whether two accesses of a [`Shared`](crate::sync::Shared) that nothing orders, one of them a
    /// write, are a failure by themselves, although no order of them did any harm. They are unless told
    /// otherwise. Only with several [`workers`](Checker::workers).
    pub fn races(mut self, races: bool) -> Checker {
        self.races = races;
        self
    }

    /// How the findings of an oracle are taken: denied ones fail the check, warnings are told in its
    /// [`Summary`], and what is allowed is not looked at. Without this as the
    /// [catalogue](super#oracles) says. A panic is a failure whatever is said here: the check is refused.
    ///
    /// ```
    /// use proactor::check::Checker;
    /// use proactor::net::{TcpListener, TcpStream};
    /// use proactor::sim::{Level, Oracle};
    ///
    /// let failure = Checker::new()
    ///     .oracle(Oracle::ConcurrentReads, Level::Deny)
    ///     .run(|sim| {
    ///         let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
    ///         TcpStream::connect(sim.proactor(), "10.0.0.1:7").then(|stream| drop(stream));
    ///         listener.accept().then(move |accepted| {
    ///             if let Ok((stream, _)) = accepted {
    ///                 for _ in 0..2 {
    ///                     let open = stream.clone();
    ///                     stream.read(vec![0; 4]).then(move |_| drop(open));
    ///                 }
    ///             }
    ///             listener.close();
    ///         });
    ///         let _ = sim.proactor().run();
    ///     })
    ///     .unwrap_err();
    /// assert_eq!(failure.oracle(), Some(Oracle::ConcurrentReads));
    /// ```
    pub fn oracle(mut self, oracle: Oracle, level: Level) -> Checker {
        self.forgives_panics |= oracle == Oracle::Panic && level != Level::Deny;
        self.config.levels.set(oracle, level);
        self
    }

    /// Declares a goal: a [`reachable!`](crate::reachable) or [`sometimes!`](crate::sometimes) of this name
    /// that some execution is to reach. Only so is one told that no execution even came by.
    pub fn goal(mut self, name: &str) -> Checker {
        self.goals.push(name.to_owned());
        self
    }

    /// Whether a goal that no execution reached is a failure
    /// ([`FailureKind::Unreached`](super::FailureKind::Unreached)), and not only told. So is a check that
    /// has no goal at all. Not unless told so.
    pub fn require_goals(mut self, require: bool) -> Checker {
        self.require_goals = require;
        self
    }

    /// Which kernel is simulated: [`Any`](Personality::Any) of them unless told otherwise, so that what passes
    /// may move between kernels. Another one has some of [the transitions](crate::sim::legality) only: a
    /// failure that is left tells that this very kernel can do it. Part of replay strings.
    ///
    /// ```
    /// use proactor::check::Checker;
    /// use proactor::sim::Personality;
    ///
    /// // What a readiness kernel does not know: a cancel that comes too late for what waits.
    /// let summary = Checker::new()
    ///     .personality(Personality::Readiness)
    ///     .run(|sim| {
    ///         let sleep = sim.proactor().sleep(std::time::Duration::from_secs(1));
    ///         let cancel = sleep.then(|result| assert!(result.is_err(), "it was cancelled"));
    ///         cancel.cancel();
    ///         sim.proactor().run().unwrap();
    ///     })
    ///     .unwrap();
    /// assert!(summary.to_string().contains("on the readiness kernel"));
    /// ```
    pub fn personality(mut self, personality: Personality) -> Checker {
        self.config.personality = personality;
        self
    }

    /// Through what operations come to the simulated kernel: [`Door::Plain`] unless told otherwise. Behind
    /// [`Door::Port`] they go through this crate's driver for completion ports, as on Windows: for handlers that are to
    /// run there. Executions take longer, and are not [reduced](Checker::reduced).
    ///
    /// ```
    /// use proactor::check::Checker;
    /// use proactor::fs::File;
    /// use proactor::sim::{Door, Personality};
    ///
    /// Checker::new()
    ///     .door(Door::Port)
    ///     .personality(Personality::Port)
    ///     .executions(100)
    ///     .run(|sim| {
    ///         sim.file("/etc/motd", b"hello");
    ///         File::open(sim.proactor(), "/etc/motd").then(|file| {
    ///             let Ok(file) = file else { return };
    ///             file.read_at(Vec::with_capacity(9), 2).then(|(read, bytes)| {
    ///                 // A read may fail, and may be short.
    ///                 assert!(read.is_err() || b"llo".starts_with(&bytes));
    ///             });
    ///         });
    ///         sim.proactor().run().unwrap();
    ///     })
    ///     .unwrap();
    /// ```
    pub fn door(mut self, door: Door) -> Checker {
        self.config.door = door;
        self
    }

    /// Ends the campaign after that time, finished or not. How far it comes then depends on the
    /// machine.
    pub fn time(mut self, time: Duration) -> Checker {
        self.time = Some(time);
        self
    }

    /// Of the random executions the `part`th, from 1, of `of` parts, each of the whole budget: for other
    /// machines, which then run others. See [more machines](super#more-machines).
    pub fn part(mut self, part: u64, of: u64) -> Checker {
        self.part = Some((part.wrapping_sub(1), of));
        self
    }

    /// Repeats the one execution that this line names, and nothing else: what
    /// [`Failure::replay`] gives. `PROACTOR_REPLAY` wins over it. A line that can't be read is refused.
    ///
    /// ```
    /// use proactor::check::{Checker, Sim};
    ///
    /// let model = |sim: &Sim| assert!(sim.read_file("/etc/motd").is_some());
    /// let failure = Checker::new().run(model).unwrap_err();
    /// let line = failure.replay().unwrap();
    /// let again = Checker::new().replay(line).run(model).unwrap_err();
    /// assert_eq!(again.executions(), 1);
    /// ```
    pub fn replay(mut self, line: &str) -> Checker {
        self.replay = Some(line.to_owned());
        self
    }

    /// Whether failures are kept, to be run first from then on: in `proactor-regressions/NAME.txt` beside
    /// the source file `NAME.rs` that calls [`run`](Checker::run), a line each, under the check's
    /// [name](Checker::name) or the test's. Commit it, as the next to find the failure need not search. Not
    /// unless told so; [`check`](super::check) does.
    ///
    /// Only for programs that stand where cargo puts tests, and while their source does. A line whose decisions
    /// no longer exist is *stale*: it is told in the [`Summary`], and is no failure.
    pub fn regressions(mut self, keep: bool) -> Checker {
        self.regressions = keep;
        self
    }

    /// How many bytes the bounded search may keep. 256 MiB unless told otherwise.
    pub fn memory(mut self, bytes: usize) -> Checker {
        self.memory = bytes;
        self
    }

    /// One in so many executions, drawn by its number, is run a second time under the same decisions, to see
    /// that the model does the same; the kind one always is. 64 unless told otherwise; 1: all; 0: none but
    /// the kind one.
    ///
    /// Where a model reads a real clock, real random numbers, addresses or the order of a `HashMap`, the
    /// report says at which step, in which handler and line two runs first part.
    pub fn repeat_every(mut self, executions: u64) -> Checker {
        self.repeat_every = executions;
        self
    }

    /// After so many steps of the kernel (effects, completions, moves of the clock) an execution counts
    /// as endless, which is a failure: I7, a livelock. A million unless told otherwise.
    ///
    /// A model that loops without ever running its proactor makes no steps: nothing can stop that.
    pub fn max_steps(mut self, steps: u64) -> Checker {
        self.config.max_steps = steps;
        self
    }

    /// What one handler, or one poll of a task, may [declare](super::busy) to take. One that takes more is
    /// a failure, I9. No bound unless told otherwise.
    pub fn handler_budget(mut self, budget: Duration) -> Checker {
        self.config.handler_budget = Some(budget);
        self
    }

    /// How often in one execution the power may be lost: before any step at which that makes a difference,
    /// with any legal part of what was not synced. 0 unless told otherwise. What comes after it,
    /// [`Sim::boot`] says.
    pub fn power_losses(mut self, losses: u32) -> Checker {
        self.config.power_losses = losses;
        self
    }

    /// What the simulated kernel is made with.
    pub fn config(mut self, config: Config) -> Checker {
        self.config = config;
        self
    }

    /// Checks the model. The environment variables of the [module](super) win over what was said
    /// here.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if an execution breaks an invariant or panics, if the model does not do the same
    /// twice, if a replay is stale, or if the check can't be run as asked for.
    #[track_caller]
    pub fn run<F>(mut self, model: F) -> Result<Summary, Box<Failure>>
    where
        F: Fn(&Sim) + Send + Sync + 'static,
    {
        self.kept = self.keeps(Location::caller());
        self.run_boxed(Box::new(model))
    }

    /// The same of any model. Compiled once, in this crate: a campaign is much code, and checks are many.
    fn run_boxed(self, model: Box<dyn Fn(&Sim) + Send + Sync>) -> Result<Summary, Box<Failure>> {
        let wishes = self.wishes()?;
        let model = self.model(model);
        self.check(&model, wishes)
    }

    /// The model as something to fuzz: each execution is decided by an input's bytes, one a decision. One
    /// thread each; make it once and run it often, since it keeps its memory.
    ///
    /// With cargo-fuzz: `fuzz_target!(|data: &[u8]| FUZZ.with_borrow_mut(|fuzz| fuzz.run(data)))`. With
    /// proptest and bolero let them generate [`Choices`](super::Choices).
    pub fn fuzz<F>(self, model: F) -> Fuzz<F>
    where
        F: Fn(&Sim) + Send + Sync + 'static,
    {
        let model = self.model(model);
        Fuzz::new(self, model)
    }

    /// Where its failures are kept.
    fn keeps(&self, location: &Location<'_>) -> Option<Regressions> {
        if !self.regressions || super::beside_the_build().is_none() {
            return None;
        }
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main");
        Regressions::beside(location, self.name.as_deref().or(test).unwrap_or("-"))
    }

    /// What the environment asks for.
    fn wishes(&self) -> Result<Wishes, Box<Failure>> {
        let refused = |why: String| Failure::refused(self.name.as_deref(), &why);
        let mut wishes = Wishes::read().map_err(refused)?;
        if let (None, Some(line)) = (&wishes.replay, &self.replay) {
            wishes.replay = Some(env::replay(line, "the replay").map_err(refused)?);
        }
        Ok(wishes)
    }

    pub(super) fn seed_of_models(&self) -> u64 {
        self.seed
    }

    /// Checks a [`Program`](super::program::Program) of a few threads.
    ///
    /// # Errors
    ///
    /// As of [`run`](Checker::run).
    #[track_caller]
    pub fn run_program(
        mut self,
        program: super::program::Program,
    ) -> Result<Summary, Box<Failure>> {
        self.kept = self.keeps(Location::caller());
        let wishes = self.wishes()?;
        self.check(&program, wishes)
    }

    /// A model, as something to be run as often as one likes.
    pub(crate) fn model<F>(&self, model: F) -> Model<F>
    where
        F: Fn(&Sim) + Send + Sync,
    {
        let races = self.races && self.config.levels.get(Oracle::Race) != Level::Allow;
        Model::new(self.config.clone(), model)
            .with_workers(self.workers, races)
            .with_promise(self.promised)
    }

    pub(crate) fn title(&self) -> Option<&str> {
        self.name.as_deref()
    }
}
