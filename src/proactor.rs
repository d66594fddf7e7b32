//! [`Proactor`] and [`Handle`]: running, stopping, tearing down; the one place that picks a backend.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::{Began, Until};
use crate::observe;
use crate::op::crew::Crew;
use crate::op::home::{STOPPED, lock};
use crate::task::Task;
use crate::watchdog::Watchdog;
use crate::worker::{Goal, Paused, RunEnd, RunError};

#[cfg(feature = "check")]
mod again;
mod builder;
mod drive;
pub(crate) mod dropped;
mod enter;
mod handle;
#[cfg(test)]
mod interrupted;
#[cfg(all(test, target_os = "linux"))]
mod older;
mod team;
mod teardown;

#[cfg(feature = "check")]
pub(crate) use again::Vacancy;
pub use builder::Builder;
pub use drive::Drive;
pub use handle::{Handle, Stats, WorkGuard};

use enter::{Inside, enter, not_nested};
use team::{Others, Team, end_of, mine_or_free, serve_once};

/// Owns everything that is started through it: operations, objects, tasks. Runs their handlers.
///
/// Handlers hold cheap, weak [`Handle`]s (`Proactor` derefs to one, so `&proactor` will do wherever
/// a `&Handle` is asked for). The owner is not `Clone`: a handler that held a share of its own
/// proactor would keep it alive for ever.
///
/// A worker belongs to the first thread that runs it. Dropping the proactor cancels what is in
/// flight, waits for the kernel to let go of it, drops the handlers uninvoked and closes every
/// object. Dropped on another thread than its worker's, that happens when the worker's thread next
/// runs a proactor or ends; until then the memory stays (I4).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if proactor::Proactor::new().is_err() { return Ok(()) }
/// let proactor = proactor::Proactor::new()?;
/// proactor.post(|| println!("hello from a handler"));
/// assert_eq!(proactor.run()?, proactor::RunEnd::OutOfWork);
/// # Ok(())
/// # }
/// ```
pub struct Proactor {
    handle: Handle,
    /// All workers, if there are several. Kept here, since one that ends with its thread forgets them.
    crew: Option<Arc<Crew>>,
    /// The threads of the other workers, once they have been run.
    team: Mutex<Option<Arc<Team>>>,
    /// Ends with it.
    _watchdog: Option<Watchdog>,
}

impl Proactor {
    fn with(handle: Handle) -> Proactor {
        Proactor {
            crew: handle.home.crew(),
            handle,
            team: Mutex::new(None),
            _watchdog: None,
        }
    }

    /// A proactor on the best kernel interface that this machine has.
    ///
    /// # Errors
    ///
    /// Where there is none: of kind [`io::ErrorKind::Unsupported`], with the cause (an old kernel, a
    /// sandbox, a sysctl, a limit) and what can be done about it.
    pub fn new() -> io::Result<Proactor> {
        Proactor::builder().build()
    }

    /// For more than the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A handle that may outlive it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Runs handlers and tasks until there is nothing left to do, or somebody calls
    /// [`stop`](Handle::stop).
    ///
    /// # Errors
    ///
    /// [`RunError::WrongThread`], [`RunError::Nested`], [`RunError::Backend`]; in a simulation also
    /// [`RunError::Stuck`].
    ///
    /// # Panics
    ///
    /// A panic of a handler or task is passed on. All else is left consistent: call `run` again and
    /// it goes on with the next completion.
    #[track_caller]
    pub fn run(&self) -> Result<RunEnd, RunError> {
        let inside = self.enter()?;
        let others = self.others(&inside)?;
        let paused = inside.local.work(Goal {
            handlers: usize::MAX,
            wait: Until::Event,
            main: false,
            alone: false,
        });
        match (others, paused) {
            (None, Ok(paused)) => Ok(paused.end()),
            (others, paused) => end_of(others, &inside, paused).map(Paused::end),
        }
    }

    /// Like [`run`](Proactor::run), but runs one worker only, on this thread: the one that belongs to
    /// it already, or else the first that belongs to nobody. For threads that people bring, one call
    /// for each of [`workers`](Builder::workers).
    ///
    /// It comes back when all workers that are run are out of work. A thread that ends takes its worker with
    /// it, and what is in flight there: let those that you bring live until the last has come back.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(proactor) = proactor::Proactor::builder().workers(2).build() else { return Ok(()) };
    /// proactor.post(|| println!("on one of two threads"));
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| proactor.run_worker().unwrap());
    ///     proactor.run_worker().unwrap();
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run); [`RunError::NoWorkerLeft`]; [`RunError::Unserved`] if there is work for
    /// a worker that nobody runs.
    ///
    /// # Panics
    ///
    /// A panic of a handler or task is passed on; the other workers come back with
    /// [`RunEnd::Stopped`], and one that nobody runs at that moment does so when it is run next.
    #[track_caller]
    pub fn run_worker(&self) -> Result<RunEnd, RunError> {
        let Some(crew) = &self.crew else {
            return self.run();
        };
        not_nested()?;
        let (index, home) = mine_or_free(crew)?;
        let before = crew.serve([index]);
        serve_once(crew, index, home, before)
    }

    /// Like [`run`](Proactor::run), but comes back after one handler or task step: 1, or 0 if there
    /// was nothing to do. Of several workers only the first is run.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    #[track_caller]
    pub fn run_one(&self) -> Result<usize, RunError> {
        self.run_some(Goal {
            handlers: 1,
            wait: Until::Event,
            main: false,
            alone: true,
        })
    }

    /// Like [`run`](Proactor::run), but for so long at most. How many handlers and task steps ran.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    #[track_caller]
    pub fn run_for(&self, duration: Duration) -> Result<usize, RunError> {
        let end = (self.handle.now() + duration).nanos();
        let inside = self.enter()?;
        let others = self.others(&inside)?;
        let local = inside.local;
        let before = local.handlers_run.get();
        let paused = loop {
            let ran = local.handlers_run.get();
            // Handlers that keep coming do not hold it up: the time is looked at between rounds.
            let paused = local.work(Goal {
                handlers: 64,
                wait: Until::Time(end),
                main: false,
                alone: false,
            });
            let none = local.handlers_run.get() == ran;
            if none || local.now() >= end || !matches!(paused, Ok(Paused::Goal)) {
                break paused;
            }
        };
        end_of(others, &inside, paused)?.end();
        Ok(match &*local.crew.borrow() {
            Some(crew) => crew.ran(),
            None => local.handlers_run.get() - before,
        })
    }

    /// Runs what is ready now, never waiting. How many handlers and task steps ran. Of several workers
    /// only the first is run.
    ///
    /// It comes back whatever they start: posts made meanwhile are for the next call, and so are
    /// completions beyond as many as there were operations in flight.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    #[track_caller]
    pub fn poll(&self) -> Result<usize, RunError> {
        self.run_some(Goal {
            handlers: usize::MAX,
            wait: Until::Now,
            main: false,
            alone: true,
        })
    }

    fn run_some(&self, goal: Goal) -> Result<usize, RunError> {
        let inside = self.enter()?;
        self.handle.home.home.unhalt();
        let before = inside.local.handlers_run.get();
        inside.local.work(goal)?.end();
        Ok(inside.local.handlers_run.get() - before)
    }

    /// Runs handlers and tasks until `future` is ready. It need be neither `Send` nor `'static`.
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// assert_eq!(proactor.block_on(async { 6 * 7 }).unwrap(), 42);
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run), and [`RunError::Stopped`].
    #[track_caller]
    pub fn block_on<F: IntoFuture>(&self, future: F) -> Result<F::Output, RunError> {
        let location = Location::caller();
        let inside = self.enter()?;
        let others = self.others(&inside)?;
        let local = inside.local;
        let waker = Task::main(self.handle.home).waker();
        local.main_ready.set(true);
        let event = local.at_root(|| local.begun(Began::BlockOn, location));
        local.begin_step(event);
        let mut future = std::pin::pin!(Some(future.into_future()));
        let mut step = (local.step.get(), local.nth.get());
        let mut output = None;
        let paused = loop {
            if local.main_ready.replace(false) {
                local.step.set(step.0);
                local.nth.set(step.1);
                if local.watched.get() {
                    local.home.running.is(&"block_on", Some(location));
                }
                let polled = future
                    .as_mut()
                    .as_pin_mut()
                    .map(|it| it.poll(&mut Context::from_waker(&waker)));
                observe::tell(|it| it.polled_main());
                if let Some(Poll::Ready(ready)) = polled {
                    output = Some(ready);
                    break Ok(Paused::Goal);
                }
                step = (local.step.get(), local.nth.get());
            }
            let paused = local.work(Goal {
                handlers: usize::MAX,
                wait: Until::Event,
                main: true,
                alone: false,
            });
            if !matches!(paused, Ok(Paused::Goal)) {
                break paused;
            }
        };
        if end_of(others, &inside, paused)? == Paused::Dropped {
            // Not by the unwinding: what it drops may panic.
            let dropped = catch_unwind(AssertUnwindSafe(|| future.set(None)));
            dropped::leave(dropped.err());
        }
        output.ok_or(RunError::Stopped)
    }

    /// After a [`stop`](Handle::stop), lets `run` and its kin work again.
    pub fn restart(&self) {
        self.handle.each(|home| {
            home.if_alive(|home| home.stopped.fetch_and(!STOPPED, Ordering::AcqRel));
        });
    }

    /// Goes inside the first worker.
    #[track_caller]
    fn enter(&self) -> Result<Inside, RunError> {
        enter(self.handle.home)
    }

    /// Has all other workers run as well, if there are any.
    fn others(&self, inside: &Inside) -> Result<Option<Others>, RunError> {
        let Some(crew) = inside.local.crew.borrow().clone() else {
            return Ok(None);
        };
        let mut team = lock(&self.team);
        let team = match &*team {
            Some(team) => Arc::clone(team),
            None => {
                let made = Team::new(&crew).map_err(RunError::Backend)?;
                Arc::clone(team.insert(Arc::new(made)))
            }
        };
        Ok(Some(Others::begin(crew, team, inside.local)))
    }
}

impl Deref for Proactor {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Proactor {
    fn drop(&mut self) {
        let mut panic = lock(&self.team).take().and_then(|team| team.dismiss());
        let mut homes = Vec::new();
        self.handle.each(|home| homes.push(home));
        for home in homes {
            let ended = catch_unwind(AssertUnwindSafe(|| teardown::worker(home)));
            panic = panic.or(ended.err());
        }
        teardown::pass_on(panic);
    }
}

impl fmt::Debug for Proactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proactor").field(&self.describe()).finish()
    }
}
