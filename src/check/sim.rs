//! [`Sim`], what a model gets: a proactor on a simulated kernel, and the kernel's outside.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::execution::{Fault, Outcome, Place, Story, Subject};
use super::observers::Observers;
use super::panics::Inside;
use super::peer::{Peer, PeerListener};
use super::story::lines;
use crate::choice::random::seed_of;
use crate::choice::{Chooser, EventId, Kind};
use crate::net::ToAddr;
use crate::observe::Observer;
use crate::op::home::current;
use crate::overlap::Workers;
use crate::proactor::Vacancy;
use crate::proactor::dropped::{self, Dropped};
use crate::sim::busy::Segment;
use crate::sim::matrix::Matrix;
use crate::sim::warnings::Warnings;
use crate::sim::world::Concluded;
use crate::sim::{Config, Door, Host, Invariant, Oracle, Violation, Warning, World};
use crate::sync::per_execution::Execution;
use crate::time::nanos;
use crate::{Handle, Proactor};

/// A simulated kernel with a proactor on it: all that a checked model may use of the outside world.
pub struct Sim {
    // Dropped first: its teardown drains through the kernel.
    proactor: OnceCell<Proactor>,
    /// Where the proactor of the execution before was.
    vacancy: Cell<Option<Vacancy>>,
    /// The proactor of the life that is under way.
    booted: Cell<Option<Handle>>,
    world: World,
    observers: Rc<Observers>,
    seed: u64,
    generators: Cell<u64>,
}

impl Sim {
    fn new(world: World, observers: Rc<Observers>) -> Sim {
        Sim {
            proactor: OnceCell::new(),
            vacancy: Cell::new(None),
            booted: Cell::new(None),
            world,
            observers,
            seed: 0,
            generators: Cell::new(0),
        }
    }

    /// An execution begins.
    fn begins(&mut self, seed: u64) {
        self.seed = seed;
        self.generators.set(0);
        self.booted.set(None);
    }

    /// It has ended. What has failed is thrown away whole; else the next one's proactor takes the place of this
    /// one's.
    fn ends(&mut self) {
        let proactor = self.proactor.take();
        if self.world.failed() {
            drop(proactor);
        } else if let Some(proactor) = proactor {
            self.vacancy.set(proactor.vacate());
        }
    }

    #[cold]
    fn proactor_on(world: &World) -> Proactor {
        let made = Proactor::builder().simulated(world).build();
        let proactor = made.unwrap_or_else(|error| {
            panic!("no proactor could be made on the simulated kernel: {error}")
        });
        // As those that follow in its place: it belongs to the thread of the kernel.
        if let Err(error) = proactor.claim() {
            panic!("no proactor could be run on the simulated kernel: {error}");
        }
        proactor
    }

    /// The proactor on the simulated kernel. It is torn down when the model returns.
    ///
    /// # Panics
    ///
    /// Inside [`boot`](Sim::boot), whose life has a proactor of its own.
    #[must_use]
    pub fn proactor(&self) -> &Proactor {
        self.proactor.get_or_init(|| {
            let again = self.vacancy.take().and_then(Vacancy::fill);
            again.unwrap_or_else(|| Sim::proactor_on(&self.world))
        })
    }

    /// One life of the machine: `life` runs on a fresh proactor, over the disk that earlier lives left. Then
    /// the proactor is torn down.
    ///
    /// From the first life on, what is not synced is not safe. A life that ends well leaves its page
    /// cache to the next one, as a process leaves it to the next. If the power is lost meanwhile
    /// ([`Checker::power_losses`](super::Checker::power_losses), [`World::lose_power`]), no handler hears of
    /// anything from then on, `run` and its kin come back with
    /// [`RunError::PowerLost`](crate::RunError::PowerLost), and what is left of the disk is what a legal
    /// crash leaves: the [fault model](crate::sim#the-fault-model) says which that are. What `life` does after
    /// that counts for nothing, be it a panic (of an `unwrap`): the machine was off.
    ///
    /// What the outside world has seen of a life, keep outside of it.
    ///
    /// ```
    /// use proactor::check::{Checker, Life};
    /// use proactor::fs::File;
    /// use std::sync::Mutex;
    ///
    /// let failure = Checker::new()
    ///     .power_losses(1)
    ///     .run(|sim| {
    ///         let told = Mutex::new(false);
    ///         let life = sim.boot(|proactor| {
    ///             proactor
    ///                 .block_on(async {
    ///                     let file = File::create(proactor, "/answer").await?;
    ///                     file.write_at("42", 0).await.0?;
    ///                     *told.lock().unwrap() = true; // not so fast: nothing was synced
    ///                     file.sync_all().await
    ///                 })
    ///                 .unwrap()
    ///         });
    ///         if let Life::PowerLost = life {
    ///             let found = sim.read_file("/answer");
    ///             assert!(!*told.lock().unwrap() || found.is_some_and(|found| found.len() == 2));
    ///         }
    ///     })
    ///     .unwrap_err();
    /// assert!(failure.to_string().contains("power lost"));
    /// ```
    ///
    /// # Panics
    ///
    /// If [`proactor`](Sim::proactor) was called: the machine runs already, and can't be booted.
    #[track_caller]
    pub fn boot<T>(&self, life: impl FnOnce(&Proactor) -> T) -> Life<T> {
        assert!(
            self.proactor.get().is_none(),
            "the machine runs already: a model that boots it does not use `Sim::proactor`"
        );
        self.world.boot();
        let proactor = Sim::proactor_on(&self.world);
        self.booted.set(Some(proactor.handle()));
        let lived = catch_unwind(AssertUnwindSafe(|| life(&proactor)));
        let is_lost = !self.world.has_power();
        self.booted.set(None);
        let torn_down = catch_unwind(AssertUnwindSafe(|| drop(proactor)));
        if is_lost {
            return Life::PowerLost;
        }
        match (lived, torn_down) {
            (Err(left), Err(panic)) if left.is::<Dropped>() => {
                dropped::leave(Some(panic));
            }
            (Err(panic), _) | (_, Err(panic)) => resume_unwind(panic),
            (Ok(value), Ok(())) => {
                self.world.finish();
                Life::Ended(value)
            }
        }
    }

    /// The power is lost, now: see [`World::lose_power`].
    pub fn lose_power(&self) {
        self.world.lose_power();
    }

    /// The time since the start, by the simulated clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.world.now())
    }

    /// Lets so much time pass, as if the model's own body took it. In a handler use [`busy`].
    #[track_caller]
    pub fn busy(&self, cost: Duration) {
        self.world.busy(nanos(cost));
    }

    /// The machine of this name: see [`Host`]. The first that is named has the address 10.0.0.1.
    ///
    /// # Panics
    ///
    /// If there are more than 250.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        self.world.host(name)
    }

    /// Puts a file into the simulated file system, with the directories above it.
    pub fn file(&self, path: &str, bytes: &[u8]) {
        self.world.add_file(path, bytes);
    }

    /// What a file holds now.
    #[must_use]
    pub fn read_file(&self, path: &str) -> Option<Vec<u8>> {
        self.world.file(path)
    }

    /// Puts a directory there.
    pub fn dir(&self, path: &str) {
        self.world.add_dir(path);
    }

    /// From now on files may take so many bytes together: a write that reaches the limit is short, the next
    /// one fails, the storage being full. Bytes that were never written take no room, nor do names.
    ///
    /// ```
    /// use proactor::fs::File;
    ///
    /// proactor::check(|sim| {
    ///     sim.disk_quota(10);
    ///     let written = sim.proactor().block_on(async {
    ///         let file = File::create(sim.proactor(), "/f").await.ok()?;
    ///         file.write_at(vec![7; 64], 0).await.0.ok()
    ///     });
    ///     assert!(written.unwrap().is_none_or(|written| written <= 10));
    /// });
    /// ```
    pub fn disk_quota(&self, bytes: u64) {
        self.world.disk_quota(bytes);
    }

    /// From now on this path may not be opened: permission denied.
    pub fn deny(&self, path: &str) {
        self.world.deny(path);
    }

    /// A random generator for the model's own data. The first call, the second and so on each give
    /// another one, and the same one whenever the execution is repeated.
    pub fn rng(&self) -> impl rand::Rng + Clone + Send + use<> {
        let nth = self.generators.get();
        self.generators.set(nth + 1);
        Xoshiro256PlusPlus::seed_from_u64(seed_of(!self.seed, nth))
    }

    /// What must hold at all times: `holds` is evaluated now, after every handler, after every step of the
    /// kernel that hands something out, and when the model returns. Where it does not, the execution fails
    /// ([`Invariant::Always`]), and the report tells the handler that ended last.
    ///
    /// With several [workers](super::Checker::workers) other handlers may be suspended in their middles when
    /// one ends: say only what holds at every call of the library, and look at nothing that such a
    /// handler may have borrowed or locked. What `holds` captures is dropped when the model returns.
    ///
    /// # Panics
    ///
    /// A panic of `holds` is a failure like any other.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
    /// use proactor::check::Checker;
    /// use proactor::sim::Invariant;
    ///
    /// let failure = Checker::new()
    ///     .run(|sim| {
    ///         let balance = Arc::new(AtomicI32::new(1));
    ///         let seen = balance.clone();
    ///         sim.always("nobody owes anything", move || seen.load(Relaxed) >= 0);
    ///         for _ in 0..2 {
    ///             let balance = balance.clone();
    ///             sim.proactor().post(move || drop(balance.fetch_sub(1, Relaxed)));
    ///         }
    ///         sim.proactor().run().unwrap();
    ///     })
    ///     .unwrap_err();
    /// assert_eq!(failure.invariant(), Some(Invariant::Always));
    /// ```
    #[track_caller]
    pub fn always(&self, name: &str, holds: impl Fn() -> bool + 'static) {
        let location = std::panic::Location::caller();
        self.observers.always(name, holds, location);
    }

    /// A hash of the model's own state, for the spot test of
    /// [`strands_share_only_tracked`](super::Checker::strands_share_only_tracked): it is asked after each
    /// handler, and two handlers that are said to share nothing must leave the same state in either order.
    /// What it captures is dropped when the model returns.
    ///
    /// It counts only what the model is held to: leave out what may differ, such as the order in a log.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    ///
    /// proactor::check(|sim| {
    ///     let total = Arc::new(AtomicU64::new(0));
    ///     let seen = total.clone();
    ///     sim.digest(move || seen.load(Relaxed));
    ///     sim.proactor().post(move || drop(total.fetch_add(1, Relaxed)));
    ///     sim.proactor().run().unwrap();
    /// });
    /// ```
    pub fn digest(&self, digest: impl Fn() -> u64 + 'static) {
        self.observers.digest(digest);
    }

    /// Of the proactor that runs now.
    fn handle(&self) -> Handle {
        let booted = self.booted.get();
        booted.unwrap_or_else(|| self.proactor().handle())
    }

    /// A scripted peer that connects to this address of the model, as any other host would: who is to be
    /// connected to must listen already. See [`Peer`].
    ///
    /// An address that is none, or where nobody listens, is a failure of the check at this call.
    #[track_caller]
    pub fn connect(&self, addr: impl ToAddr) -> Peer {
        Peer::connect(&self.world, self.handle(), &addr)
    }

    /// A scripted server at this address, for a model that connects to it. See [`PeerListener`].
    ///
    /// An address that is none, or taken, is a failure of the check at this call.
    #[track_caller]
    pub fn listen(&self, addr: impl ToAddr) -> PeerListener {
        PeerListener::bind(&self.world, self.handle(), &addr)
    }

    /// The simulated kernel itself.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }
}

/// How a life of the machine ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life<T> {
    /// By itself, with this.
    Ended(T),
    /// The power was lost.
    PowerLost,
}

/// The running handler takes so long: declares it, since computing costs no time in a simulation.
///
/// Virtual time moves on for what follows, and what comes meanwhile waits until the handler has returned.
/// Beyond [`Checker::handler_budget`](super::Checker::handler_budget) it is a failure (I9). Inside work that
/// was [offloaded](crate::Handle::offload) it is the time that the work takes, and holds nobody up.
///
/// Outside a simulation it does nothing, so that code may declare its cost and run for real.
///
/// ```
/// use proactor::check::{self, Checker};
/// use std::time::Duration;
///
/// let failure = Checker::new()
///     .handler_budget(Duration::from_millis(1))
///     .run(|sim| {
///         sim.proactor().post(|| check::busy(Duration::from_millis(5)));
///         sim.proactor().run().unwrap();
///     })
///     .unwrap_err();
/// assert!(failure.to_string().contains("I9"));
/// ```
#[track_caller]
pub fn busy(cost: Duration) {
    if crate::offload::declare(cost) {
        return;
    }
    if let Some(local) = current() {
        let segment = Segment {
            event: local.step.get(),
            number: local.handlers_run.get(),
        };
        let location = std::panic::Location::caller();
        if let Some(lane) = local.lane.borrow_mut().as_mut() {
            lane.busy(nanos(cost), segment, location);
        }
        // Others may have gone on meanwhile.
        crate::switch::point(crate::switch::Point::Clock);
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("now", &self.now())
            .field("seed", &self.seed)
            .finish()
    }
}

/// A model on a simulated kernel, as something to run again and again.
pub(crate) struct Model<F> {
    config: Config,
    workers: usize,
    races: bool,
    /// Strands are said to share only what is tracked.
    promised: bool,
    model: F,
}

/// What a thread keeps between two executions.
pub(crate) struct Bench {
    /// With the place of the last execution's proactor, if that left nothing.
    sim: Sim,
    /// If there are several.
    workers: Option<Rc<Workers>>,
}

#[cfg(test)]
impl Bench {
    /// Whether the next execution's proactor need not be made.
    pub(crate) fn is_kept(&self) -> bool {
        let vacancy = self.sim.vacancy.take();
        let is_kept = vacancy.is_some();
        self.sim.vacancy.set(vacancy);
        is_kept
    }
}

impl<F: Fn(&Sim) + Send + Sync> Model<F> {
    pub(crate) fn new(config: Config, model: F) -> Model<F> {
        Model {
            config: Config {
                trace: false,
                ..config
            },
            workers: 1,
            races: true,
            promised: false,
            model,
        }
    }

    /// With so many simulated workers.
    pub(crate) fn with_workers(mut self, workers: usize, races: bool) -> Model<F> {
        self.workers = workers;
        self.races = races;
        self
    }

    /// Whether strands share only what is tracked.
    pub(crate) fn with_promise(mut self, promised: bool) -> Model<F> {
        self.promised = promised;
        self
    }

    /// A bench around this kernel.
    fn bench_of(&self, world: World) -> Bench {
        Bench {
            workers: (self.workers > 1).then(|| Workers::new(&world, self.workers)),
            sim: Sim::new(world.clone(), Observers::new(&world, self.promised)),
        }
    }

    /// One execution from the start to the last breath of the kernel, which is fresh.
    fn execute(&self, bench: &mut Bench, seed: u64) -> Outcome {
        let Bench { sim, workers } = bench;
        let inside = Inside::enter();
        let _watched = sim.observers.install();
        let mut panicked = None;
        // What the kernel found first caused whatever panics later: it wins.
        let blame = |sim: &Sim, panic| (!sim.world.failed()).then_some(panic);
        let mut execution = || {
            // Dropped last: what the proactor's teardown drops may still use them.
            let _statics = Execution::begin();
            sim.begins(seed);
            let outcome = inside.catch_model(
                || sim.world.is_dropped(),
                || {
                    (self.model)(sim);
                    sim.observers.between_handlers();
                },
            );
            if let Err(panic) = outcome {
                panicked = blame(sim, panic);
                if let Some(panic) = &panicked {
                    // From here on the kernel chooses nothing and lets everything end.
                    let message = panic.message.clone();
                    let violation = Violation::new(Oracle::Panic, message, EventId::ROOT, None);
                    sim.world.report(violation);
                }
            }
            sim.observers.forget_always();
            sim.ends();
        };
        let end = inside.catch(|| match workers {
            Some(workers) => workers.within(self.races, execution),
            None => execution(),
        });
        if let Err(panic) = end {
            panicked = panicked.or_else(|| blame(sim, panic));
        }
        let Concluded {
            digest,
            class,
            violation,
            news,
        } = sim.world.conclude(panicked.is_none());
        let fault = match panicked {
            Some(panic) => Some(Fault {
                oracle: Oracle::Panic,
                invariant: Invariant::Panic,
                message: panic.message,
                place: panic.place,
                event: None,
            }),
            None => violation.map(|violation| {
                let violation = *violation;
                Fault {
                    oracle: violation.oracle,
                    invariant: violation.invariant,
                    place: violation.location.map(Place::of),
                    event: Some(violation.event),
                    message: violation.message,
                }
            }),
        };
        if fault.is_some() {
            sim.vacancy.set(None);
        }
        Outcome {
            digest,
            class,
            fault: fault.map(Box::new),
            news,
        }
    }
}

impl<F: Fn(&Sim) + Send + Sync> Subject for Model<F> {
    type Bench = Bench;

    fn tells_all(&self) -> bool {
        // Handlers that overlap are no steps, before a loss of power all that came before it counts, and what the driver
        // of a completion port has of its own, timers and events, nobody tells of.
        self.workers == 1 && self.config.power_losses == 0 && self.config.door == Door::Plain
    }

    fn may_differ(&self) -> bool {
        true
    }

    fn has_owner(&self) -> bool {
        true
    }

    fn promises(&self) -> bool {
        self.promised
    }

    fn bench(&self) -> Bench {
        self.bench_of(World::new(self.config.clone(), Box::new(Kind)))
    }

    fn run<C: Chooser>(&self, bench: &mut Bench, chooser: Box<C>, seed: u64) -> (Outcome, Box<C>) {
        bench.sim.world.runs_again(chooser);
        let outcome = self.execute(bench, seed);
        (outcome, taken_back(&bench.sim.world))
    }

    fn warnings(&self, bench: &Bench) -> (Vec<Warning>, u64) {
        let list = |warnings: &Warnings| (warnings.list().to_vec(), warnings.more());
        bench.sim.world.with_warnings(list)
    }

    fn matrix(&self, bench: &Bench) -> Matrix {
        bench.sim.world.matrix()
    }

    fn trace<C: Chooser>(&self, chooser: Box<C>, seed: u64) -> (Outcome, Box<C>, Story) {
        let world = World::new(
            Config {
                trace: true,
                ..self.config.clone()
            },
            chooser,
        );
        let mut bench = self.bench_of(world.clone());
        let outcome = self.execute(&mut bench, seed);
        let trace = world.trace();
        let story = Story {
            lines: lines(&trace),
            forgotten: world.forgotten(),
            warnings: world.warnings(),
        };
        (outcome, taken_back(&world), story)
    }
}

/// The chooser that the kernel was given.
fn taken_back<C: Chooser>(world: &World) -> Box<C> {
    let chooser: Box<dyn std::any::Any> = world.take_chooser();
    match chooser.downcast() {
        Ok(chooser) => chooser,
        Err(_) => panic!("the model took the chooser out of its kernel, or reset it: it must not"),
    }
}
