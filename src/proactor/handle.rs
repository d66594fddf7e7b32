//! [`Handle`]: what everybody else holds of a proactor.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::backend::Began;
use crate::offload;
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, Message, Ready, STOPPED, gone, lock};
use crate::op::posted::Posted;
use crate::strand::Strand;
use crate::switch::{self, Point};
use crate::task::{self, JoinHandle};
use crate::time::{Instant, Sleep};

/// A cheap, copyable, weak reference to a [`Proactor`](crate::Proactor), for every thread and every handler.
///
/// Once the proactor has been dropped, what is asked through it fails with an error that says so.
///
/// What is started through it is at home with the worker that runs on the calling thread; called from
/// elsewhere, with each worker in turn. [`worker`](Handle::worker) and
/// [`TcpStream::handle`](crate::net::TcpStream::handle) give handles of one worker only.
#[derive(Clone, Copy)]
pub struct Handle {
    /// The first worker's.
    pub(crate) home: HomeRef,
    /// The one worker that is meant, and 1; 0: any.
    only: u32,
}

/// Keeps [`Proactor::run`](crate::Proactor::run) waiting although nothing is in flight, until it is dropped.
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
    /// Offloaded jobs that run.
    pub offloaded_running: usize,
    /// Offloaded jobs that wait for a thread.
    pub offloaded_waiting: usize,
    /// Bytes that arrived for operations whose future had been dropped.
    pub discarded_bytes: u64,
    /// Handles that arrived for operations whose future had been dropped; each was closed.
    pub discarded_handles: u64,
}

impl Handle {
    pub(crate) fn new(home: HomeRef) -> Handle {
        Handle { home, only: 0 }
    }

    /// Of the worker that something is at home with.
    pub(crate) fn of(home: HomeRef) -> Handle {
        match home.crew() {
            Some(crew) => Handle {
                home: crew.members()[0],
                only: home.index() as u32 + 1,
            },
            None => Handle::new(home),
        }
    }

    /// Where something that is started now is to be at home.
    pub(crate) fn for_new(&self) -> HomeRef {
        match self.only {
            0 => self.home.for_new(),
            only => self
                .home
                .crew()
                .map_or(self.home, |crew| crew.members()[only as usize - 1]),
        }
    }

    /// Every worker that is meant.
    pub(super) fn each(&self, mut act: impl FnMut(HomeRef)) {
        match self.home.crew() {
            None => act(self.home),
            Some(crew) => {
                let members = crew.members().iter().enumerate();
                members
                    .filter(|(index, _)| self.only == 0 || self.only as usize == index + 1)
                    .for_each(|(_, home)| act(*home));
            }
        }
    }

    /// How many workers the proactor has; 1 if it has been dropped.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.home.crew().map_or(1, |crew| crew.members().len())
    }

    /// A handle of the worker with this number, from 0: what is started through it is at home there.
    /// None if there is no such worker.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let Ok(proactor) = proactor::Proactor::builder().workers(2).build() else { return Ok(()) };
    /// let second = proactor.worker(1).unwrap();
    /// second.post(|| println!("{:?}", std::thread::current().name()));
    /// proactor.run().unwrap();
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn worker(&self, index: usize) -> Option<Handle> {
        (index < self.workers()).then(|| Handle {
            home: self.home,
            only: index as u32 + 1,
        })
    }

    /// Calls `handler` on a worker, never inside this call: on the one that runs on this thread, else
    /// on each in turn. What was posted to the same worker before runs before it; where order
    /// matters among several workers, use a strand.
    #[track_caller]
    pub fn post<H: FnOnce() + Send + 'static>(&self, handler: H) {
        switch::point(Point::Post);
        let location = Location::caller();
        let home = self.for_new();
        match home.here() {
            Some(local) => {
                let event = local.begun(Began::Post, location);
                local.ready.borrow_mut().push_back(Ready::Call(
                    event,
                    location,
                    Posted::new(Some(local), handler),
                ));
            }
            None => match home.beside().filter(|local| !local.has_mail()) {
                // As if the message had been left, and read at once.
                Some(local) => {
                    local.post_from_outside(Posted::new(Some(local), handler), location);
                    local.home.wake_beside();
                }
                None => home.send(Message::Call(Posted::new(None, handler), location)),
            },
        }
    }

    /// Runs `future` on a worker as a task, which stays there: on the one that runs on this thread,
    /// else on each in turn. Its first poll is not inside this call.
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
        task::spawn(self.for_new(), None, future)
    }

    /// Runs `future` as a task whose every step runs on `strand`: never at the same time as one of its
    /// handlers, and in order with them. Between two steps, while it awaits, others of the strand run.
    ///
    /// (A task of [`spawn`](Handle::spawn) is a strand of its own: its steps never overlap each other.)
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// use proactor::{Strand, StrandCell};
    /// let strand = Strand::new(&proactor);
    /// let count = StrandCell::new(&strand, 1);
    /// let task = proactor.spawn_on(&strand, async move {
    ///     count.with(|count| *count += 1);
    ///     count.into_inner()
    /// });
    /// assert_eq!(proactor.block_on(task).unwrap(), Ok(2));
    /// ```
    #[track_caller]
    pub fn spawn_on<F>(&self, strand: &Strand, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        task::spawn(self.for_new(), Some(strand.clone()), future)
    }

    /// An operation that ends after `duration`, never earlier.
    #[track_caller]
    pub fn sleep(&self, duration: Duration) -> Operation<Sleep> {
        Operation::new(Sleep::after(self.for_new(), duration))
    }

    /// An operation that ends at `deadline` on this proactor's clock, never earlier; at once if that
    /// has passed.
    #[track_caller]
    pub fn sleep_until(&self, deadline: Instant) -> Operation<Sleep> {
        Operation::new(Sleep::until(self.for_new(), deadline))
    }

    /// This proactor's clock: real time, or a simulation's virtual time.
    #[must_use]
    #[track_caller]
    pub fn now(&self) -> Instant {
        switch::point(Point::Clock);
        Instant::from_nanos(self.home.backend().map_or(0, |backend| backend.now()))
    }

    /// Makes `run` and its kin return [`RunEnd::Stopped`](crate::RunEnd::Stopped) as soon as the running handler has
    /// returned, and at once from then on, until [`restart`](crate::Proactor::restart). What is in flight stays so.
    pub fn stop(&self) {
        self.each(|home| {
            if home.if_alive(|home| home.stopped.fetch_or(STOPPED, Ordering::AcqRel)) {
                home.wake();
            }
        });
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
        let several = self.workers() > 1;
        let mut text = String::new();
        self.each(|home| {
            if several {
                text.push_str(&format!("worker {}:\n", home.index()));
            }
            text.push_str(&ask(home, Local::dump).unwrap_or_else(|why| why));
        });
        text
    }

    /// What it has counted. From another thread than the worker's, zeros if the worker does not answer.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        self.each(|home| {
            let stats = ask(home, Stats::of).unwrap_or_default();
            sum.operations += stats.operations;
            sum.tasks += stats.tasks;
            sum.objects += stats.objects;
            // All workers have the same pool: both numbers from the same look at it.
            if stats.offloaded_running + stats.offloaded_waiting > 0 {
                sum.offloaded_running = stats.offloaded_running;
                sum.offloaded_waiting = stats.offloaded_waiting;
            }
            sum.discarded_bytes += stats.discarded_bytes;
            sum.discarded_handles += stats.discarded_handles;
        });
        sum
    }
}

impl Stats {
    fn of(local: &Local) -> Stats {
        let (offloaded_running, offloaded_waiting) = offload::counts(local);
        Stats {
            operations: local.slots.in_use() as usize,
            tasks: local.tasks.len(),
            objects: local.home.open_objects(),
            offloaded_running,
            offloaded_waiting,
            discarded_bytes: local.discarded_bytes.get(),
            discarded_handles: local.discarded_handles.get(),
        }
    }
}

/// Has a worker's thread look something up.
fn ask<T: Send + 'static>(
    home: HomeRef,
    look: impl FnOnce(&Local) -> T + Send + 'static,
) -> Result<T, String> {
    if let Some(local) = home.here() {
        return Ok(look(local));
    }
    let owner = lock(&home.home.owner);
    // Under the lock: without it another proactor may be moving in.
    if !home.is_alive() {
        return Err(gone().to_string());
    }
    if owner
        .as_ref()
        .is_none_or(|owner| owner.id == std::thread::current().id())
    {
        // SAFETY: this thread owns the home; or nobody does, and the lock keeps it so. It is this
        // proactor's home: who tears that down claims it first, under the lock.
        return Ok(look(unsafe { home.home.local() }));
    }
    let name = owner
        .as_ref()
        .map_or_else(String::new, |owner| owner.name.to_string());
    drop(owner);
    let (answer, answered) = std::sync::mpsc::channel();
    home.send(Message::Run(Box::new(move |local| {
        drop(answer.send(look(local)))
    })));
    if let Some(crew) = home.crew() {
        crew.nudge();
    }
    answered.recv_timeout(Duration::from_secs(1)).map_err(|_| {
        format!("thread `{name}`, which the worker belongs to, did not answer: it is inside a handler, or does not run the proactor\n")
    })
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
            match self.home.crew() {
                Some(crew) => crew.wake(|_| true),
                None => self.home.wake(),
            }
        }
    }
}

impl fmt::Debug for WorkGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkGuard")
    }
}
