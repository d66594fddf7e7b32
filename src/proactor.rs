//! [`Proactor`] and [`Handle`]: running, stopping, tearing down; the one place that picks a backend.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::backend::{Backend, Began, Until};
use crate::op::Operation;
use crate::op::home::{Entered, Home, HomeRef, Local, Message, Owner, Ready, gone, lock};
use crate::op::slots::CAPACITY;
use crate::switch::{self, Point};
use crate::task::{self, JoinHandle, Task};
use crate::time::{Instant, Sleep};
use crate::worker::{Goal, Paused, RunEnd, RunError};

mod drive;
mod teardown;

pub use drive::Drive;

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
}

/// A cheap, copyable, weak reference to a [`Proactor`], for every thread and every handler.
///
/// Once the proactor has been dropped, what is asked through it fails with an error that says so.
#[derive(Clone, Copy)]
pub struct Handle {
    pub(crate) home: HomeRef,
}

/// Keeps [`Proactor::run`] waiting although nothing is in flight, until it is dropped.
#[must_use = "the guard holds only as long as it lives"]
pub struct WorkGuard {
    home: HomeRef,
}

/// What a proactor has counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Operations in flight, sleeps among them.
    pub operations: usize,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Objects open.
    pub objects: usize,
    /// Bytes that arrived for operations whose future had been dropped.
    pub discarded_bytes: u64,
    /// Handles that arrived for operations whose future had been dropped; each was closed.
    pub discarded_handles: u64,
}

/// Makes a [`Proactor`] to measure.
#[derive(Clone, Debug)]
pub struct Builder {
    max_operations: u32,
    backend: Choice,
}

#[derive(Clone)]
enum Choice {
    Best,
    #[cfg(feature = "check")]
    Simulated(crate::sim::World),
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Best => "best",
            #[cfg(feature = "check")]
            Choice::Simulated(_) => "simulated",
        })
    }
}

impl Proactor {
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
        Builder {
            max_operations: CAPACITY / 2,
            backend: Choice::Best,
        }
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
    pub fn run(&self) -> Result<RunEnd, RunError> {
        let (_inside, local) = self.enter()?;
        match local.work(Goal {
            handlers: usize::MAX,
            wait: Until::Event,
            main: false,
        })? {
            Paused::End(end) => Ok(end),
            Paused::Goal => Ok(RunEnd::OutOfWork),
        }
    }

    /// Like [`run`](Proactor::run), but comes back after one handler or task step: 1, or 0 if there
    /// was nothing to do.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    pub fn run_one(&self) -> Result<usize, RunError> {
        self.run_some(Goal {
            handlers: 1,
            wait: Until::Event,
            main: false,
        })
    }

    /// Like [`run`](Proactor::run), but for so long at most. How many handlers and task steps ran.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    pub fn run_for(&self, duration: Duration) -> Result<usize, RunError> {
        let end = (self.handle.now() + duration).nanos();
        let mut run = 0;
        loop {
            // Handlers that keep coming do not hold it up: the time is looked at between rounds.
            let ran = self.run_some(Goal {
                handlers: 64,
                wait: Until::Time(end),
                main: false,
            })?;
            run += ran;
            if ran == 0 || self.handle.now().nanos() >= end {
                return Ok(run);
            }
        }
    }

    /// Runs what is ready now, never waiting. How many handlers and task steps ran.
    ///
    /// # Errors
    ///
    /// As [`run`](Proactor::run).
    pub fn poll(&self) -> Result<usize, RunError> {
        self.run_some(Goal {
            handlers: usize::MAX,
            wait: Until::Now,
            main: false,
        })
    }

    fn run_some(&self, goal: Goal) -> Result<usize, RunError> {
        let (_inside, local) = self.enter()?;
        let before = local.handlers_run.get();
        let _ = local.work(goal)?;
        Ok(local.handlers_run.get() - before)
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
    pub fn block_on<F: Future>(&self, future: F) -> Result<F::Output, RunError> {
        let (_inside, local) = self.enter()?;
        let waker = Task::main(self.handle.home).waker();
        let mut future = std::pin::pin!(future);
        local.main_ready.set(true);
        let location = Location::caller();
        let mut step = (local.at_root(|| local.begun(Began::BlockOn, location)), 0);
        loop {
            if local.main_ready.replace(false) {
                local.step.set(step.0);
                local.nth.set(step.1);
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
                {
                    return Ok(output);
                }
                step = (local.step.get(), local.nth.get());
            }
            match local.work(Goal {
                handlers: usize::MAX,
                wait: Until::Event,
                main: true,
            })? {
                Paused::Goal => {}
                Paused::End(_) => return Err(RunError::Stopped),
            }
        }
    }

    /// After a [`stop`](Handle::stop), lets `run` and its kin work again.
    pub fn restart(&self) {
        self.handle
            .home
            .if_alive(|home| home.stopped.store(false, Ordering::Release));
    }

    /// Claims the worker for this thread, and goes inside.
    fn enter(&self) -> Result<(Entered, &'static Local), RunError> {
        if Entered::is_inside() {
            return Err(RunError::Nested);
        }
        teardown::of_this_thread();
        let home = self.handle.home.home;
        let caller = Owner::current();
        let mut owner = lock(&home.owner);
        if !self.handle.home.is_alive() {
            // The home may be another proactor's by now.
            return Err(RunError::Backend(io::Error::new(
                io::ErrorKind::NotConnected,
                "the thread that this worker belonged to has ended, and what was in flight with it: \
                 run a proactor on a thread that outlives it",
            )));
        }
        match &*owner {
            Some(owner) if owner.id != caller.id => {
                return Err(RunError::WrongThread {
                    owner: owner.name.to_string(),
                    caller: caller.name.to_string(),
                });
            }
            Some(_) => {}
            None => {
                teardown::remember(self.handle.home);
                *owner = Some(caller);
            }
        }
        // SAFETY: this thread owns the home, as of now or before.
        let local = unsafe { home.local() };
        Ok((Entered::new(local), local))
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
        teardown::proactor(self.handle.home);
    }
}

impl fmt::Debug for Proactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proactor").field(&self.describe()).finish()
    }
}

impl Handle {
    /// Calls `handler` on the worker, after what was posted before it. Never inside this call.
    #[track_caller]
    pub fn post<H: FnOnce() + Send + 'static>(&self, handler: H) {
        switch::point(Point::Post);
        let location = Location::caller();
        match self.home.here() {
            Some(local) => {
                let event = local.begun(Began::Post, location);
                local
                    .ready
                    .borrow_mut()
                    .push_back(Ready::Call(event, Box::new(handler)));
            }
            None => self.home.send(Message::Call(Box::new(handler), location)),
        }
    }

    /// Runs `future` on the worker as a task. Its first poll is not inside this call.
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let task = proactor.spawn(async { "done" });
    /// assert_eq!(proactor.block_on(task).unwrap(), Ok("done"));
    /// ```
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn(self.home, future)
    }

    /// An operation that ends after `duration`, never earlier.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Operation<Sleep> {
        Operation::new(Sleep::after(self.home, duration))
    }

    /// An operation that ends at `deadline` on this proactor's clock, never earlier; at once if that
    /// has passed.
    #[track_caller]
    pub fn sleep_until(&self, deadline: Instant) -> Operation<Sleep> {
        Operation::new(Sleep::until(self.home, deadline))
    }

    /// This proactor's clock: real time, or a simulation's virtual time.
    #[must_use]
    #[track_caller]
    pub fn now(&self) -> Instant {
        switch::point(Point::Clock);
        Instant::from_nanos(self.home.backend().map_or(0, |backend| backend.now()))
    }

    /// Makes `run` and its kin return [`RunEnd::Stopped`] as soon as the running handler has
    /// returned, and at once from then on, until [`restart`](Proactor::restart). What is in flight stays so.
    pub fn stop(&self) {
        if self
            .home
            .if_alive(|home| home.stopped.store(true, Ordering::Release))
        {
            self.home.send(Message::Run(Box::new(|_| {})));
        }
    }

    /// While the guard lives, `run` waits for more work instead of returning.
    pub fn work_guard(&self) -> WorkGuard {
        // A dead proactor's home may be another's by now, which is not to be kept running.
        self.home
            .if_alive(|home| home.guards.fetch_add(1, Ordering::AcqRel));
        WorkGuard { home: self.home }
    }

    /// One line on the kernel interface behind it.
    #[must_use]
    pub fn describe(&self) -> String {
        self.home
            .backend()
            .map_or_else(|error| error.to_string(), |backend| backend.describe())
    }

    /// Which operations wait, on which handle, and where they were started. From any thread; from
    /// another than the worker's it is answered when the running handler has returned.
    #[must_use]
    pub fn dump(&self) -> String {
        self.ask(Local::dump).unwrap_or_else(|why| why)
    }

    /// What it has counted. From another thread than the worker's, zeros if the worker does not answer.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.ask(|local| Stats {
            operations: local.slots.in_use() as usize,
            tasks: local.tasks.len(),
            objects: local.home.open_objects(),
            discarded_bytes: local.discarded_bytes.get(),
            discarded_handles: local.discarded_handles.get(),
        })
        .unwrap_or_default()
    }

    /// Has the worker's thread look something up.
    fn ask<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Local) -> T + Send + 'static,
    ) -> Result<T, String> {
        if let Some(local) = self.home.here() {
            return Ok(look(local));
        }
        let owner = lock(&self.home.home.owner);
        // Under the lock: without it another proactor may be moving in.
        if !self.home.is_alive() {
            return Err(gone().to_string());
        }
        if owner
            .as_ref()
            .is_none_or(|owner| owner.id == std::thread::current().id())
        {
            // SAFETY: this thread owns the home; or nobody does, and the lock keeps it so. It is this
            // proactor's home: who tears that down claims it first, under the lock.
            return Ok(look(unsafe { self.home.home.local() }));
        }
        let name = owner
            .as_ref()
            .map_or_else(String::new, |owner| owner.name.to_string());
        drop(owner);
        let (answer, answered) = std::sync::mpsc::channel();
        self.home.send(Message::Run(Box::new(move |local| {
            drop(answer.send(look(local)))
        })));
        answered.recv_timeout(Duration::from_secs(1)).map_err(|_| {
            format!("thread `{name}`, which the worker belongs to, did not answer: it is inside a handler, or does not run the proactor")
        })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("alive", &self.home.is_alive())
            .finish()
    }
}

impl Drop for WorkGuard {
    fn drop(&mut self) {
        if self
            .home
            .if_alive(|home| home.guards.fetch_sub(1, Ordering::AcqRel))
        {
            self.home.send(Message::Run(Box::new(|_| {})));
        }
    }
}

impl fmt::Debug for WorkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkGuard")
    }
}

impl Builder {
    /// How many operations may be in flight at once (default: half a million). One more ends with an
    /// error of kind [`io::ErrorKind::QuotaExceeded`]. Sleeps, timeouts and cancels are never held back (I5).
    #[must_use]
    pub fn max_operations(mut self, limit: u32) -> Builder {
        self.max_operations = limit.min(CAPACITY);
        self
    }

    /// On this simulated kernel.
    #[cfg(feature = "check")]
    #[must_use]
    pub fn simulated(mut self, world: &crate::sim::World) -> Builder {
        self.backend = Choice::Simulated(world.clone());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// As [`Proactor::new`]; a limit of zero operations is [`io::ErrorKind::InvalidInput`].
    pub fn build(self) -> io::Result<Proactor> {
        if self.max_operations == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "max_operations(0): a proactor that may start nothing is of no use; allow at least 1",
            ));
        }
        let backend: Arc<dyn Backend> = match self.backend {
            #[cfg(feature = "check")]
            Choice::Simulated(world) => Arc::new(crate::backend::sim::SimBackend::new(&world)),
            #[cfg(target_os = "linux")]
            Choice::Best => Arc::new(crate::backend::uring::Uring::new(
                crate::backend::uring::Options::default(),
            )?),
            #[cfg(not(target_os = "linux"))]
            Choice::Best => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "there is no backend for this platform yet: io_uring is Linux' own; handlers can be checked on the simulated kernel",
                ));
            }
        };
        let lane = backend.lane(0)?;
        let home = Home::take();
        // SAFETY: the home came out of the pool: nobody owns it or has a live handle to it.
        let local = unsafe { home.home.local() };
        local.begin(backend.clone(), lane, self.max_operations);
        *lock(&home.home.backend) = Some(backend);
        Ok(Proactor {
            handle: Handle { home },
        })
    }
}
