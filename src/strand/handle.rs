//! [`Strand`]: what people hold.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::node::Node;
use super::posted;
use super::turn::{BATCH, Inner, Inside};
use crate::op::home::{Local, current};
use crate::proactor::Handle;
use crate::switch::{self, Point};

/// Handlers that run one at a time, in order, without a lock: on however many workers.
///
/// Give a connection a strand, run the handlers of its operations [`on`](crate::Operation::on) it,
/// [`post`](Strand::post) to it from elsewhere, and keep its state in a
/// [`StrandCell`](crate::StrandCell). Clones are the same strand.
///
/// # What it guarantees
///
/// - **Exclusion** (I3). Of all handlers of a strand no two run at the same time, whichever way they
///   came to it, and on whichever worker.
/// - **Order** (I3). If the post of `a` happens before the post of `b`, `a` runs before `b`. What one
///   thread posts runs in the order in which it did; what handlers of the strand post, in the order
///   of those handlers. Posts that race have some order, the same for all. An operation posts its
///   handler when its completion is collected: operations that complete in another order than they
///   were started in have their handlers in that other order.
/// - **Visibility.** What a handler wrote is seen by every later handler of the strand, on whatever
///   thread, and what was written before a post by the handler that was posted. No fence is needed.
/// - **A strand is no thread.** Its handlers run where it became busy or where their operation is at
///   home, and share that worker with others. A handler that blocks blocks the worker. A thread-local
///   is not the strand's.
/// - **No nesting.** [`dispatch`](Strand::dispatch) runs a function inside the call only if the caller
///   is in a handler of that very strand. Inside a handler of strand A, a dispatch to B is a post to B:
///   A's handler never waits for B, and no handler of B ever runs inside one of A. So strands can't
///   lock each other out.
/// - **Fairness.** After 32 handlers of one strand, whatever else is ready on the worker gets its
///   turn, and the kernel is asked. A handler posted to an idle strand so waits for at most 32 handlers
///   of each busy strand on the same worker, however many are queued there.
/// - **Panics.** A panic of a handler resumes on `run`'s caller. Those behind it are not lost: the
///   next `run` goes on with them.
/// - **The end.** Dropping the last handle changes nothing for what was posted: it still runs. After
///   [`stop`](crate::Handle::stop) posts are taken, and run after a
///   [`restart`](crate::Proactor::restart). Once the proactor has been dropped, what is posted, or was
///   and had not run, is dropped uninvoked (in a simulation the trace says so).
///
/// A task is a strand of its own: its polls never overlap. To run one on a strand with others, see
/// [`spawn_on`](crate::Handle::spawn_on).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(proactor) = proactor::Proactor::builder().workers(2).build() else { return Ok(()) };
/// use proactor::{Strand, StrandCell};
/// use std::sync::Arc;
///
/// let strand = Strand::new(&proactor);
/// let sum = Arc::new(StrandCell::new(&strand, 0));
/// for n in 1..=4 {
///     let sum = sum.clone();
///     strand.post(move || sum.with(|sum| *sum += n));
/// }
/// proactor.run()?;
/// assert_eq!(Arc::into_inner(sum).unwrap().into_inner(), 10);
/// # Ok(())
/// # }
/// ```
///
/// # Beside it
///
/// There are three ways to keep the handlers of a connection off each other's toes. What they cost is
/// measured side by side (README, and `cargo run --profile bench -p proactor-benches -- strands`).
///
/// - **One worker.** Every handler has the worker to itself: nothing is needed, and nothing is
///   cheaper. State goes from handler to handler by value, or stands in an `Arc` behind a lock that nobody
///   ever waits for. Take it while one core is enough, and run a proactor a core, each with its own
///   connections, when it is not: echo and its like gain nothing from more.
/// - **A strand a connection.** Take it where handlers of one connection may run on several workers, or
///   where what has to be kept apart is more than one handler long: it keeps order as well as exclusion,
///   across all steps of a composed operation and across posts from anywhere; nobody waits for it,
///   so no worker stands still; and the check finds what is not on it. It costs a queue that an
///   operation goes through, and a turn of the worker's loop when it was busy.
/// - **A mutex a connection.** Take it for a few words that are read and written in one go, by handlers
///   whose order does not matter. It keeps no order: what was posted first may come second. Who waits
///   for it holds up its worker and all other connections there, it must not be held across an
///   operation, and two of them taken in two orders lock each other out.
#[derive(Clone)]
pub struct Strand(pub(super) Arc<Inner>);

/// What a strand has counted; see [`Strand::stats`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct StrandStats {
    /// Its depth: handlers that waited behind the last one that its worker ran or looked at. What was
    /// posted since the worker last looked is not among them.
    pub waiting: usize,
    /// Handlers and task steps that have begun.
    pub ran: u64,
    /// The longest time from a post to the begin of its handler, on the clock of the worker's loop,
    /// which is read once a turn of the loop: both ends are those of a turn. A post from a thread that
    /// runs no worker counts from when a worker found it.
    pub longest_wait: Duration,
}

impl Strand {
    /// A strand for handlers of this proactor. It costs one allocation.
    #[must_use]
    #[track_caller]
    pub fn new(proactor: &Handle) -> Strand {
        Strand(Inner::new(proactor.for_new(), Location::caller()))
    }

    /// Calls `handler` on the strand, after what was posted before; never inside this call. From any
    /// thread. A closure of up to ten words costs no allocation in the steady state.
    ///
    /// If the proactor is gone the handler is dropped uninvoked, inside this call.
    #[inline]
    #[track_caller]
    pub fn post<F: FnOnce() + Send + 'static>(&self, handler: F) {
        if switch::is_simulated() {
            switch::point(Point::Post);
        }
        self.push(handler, Location::caller());
    }

    /// Calls `handler` at once, inside this call, if the caller is in a handler of this strand: ahead
    /// of what waits. Otherwise as [`post`](Strand::post).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(proactor) = proactor::Proactor::new() else { return Ok(()) };
    /// let strand = proactor::Strand::new(&proactor);
    /// let inside = strand.clone();
    /// strand.dispatch(move || {
    ///     let mut ran = false;
    ///     let (sender, receiver) = std::sync::mpsc::channel();
    ///     inside.dispatch(move || sender.send("at once").unwrap());
    ///     assert_eq!(receiver.try_recv(), Ok("at once"));
    /// });
    /// proactor.run()?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    #[track_caller]
    pub fn dispatch<F: FnOnce() + Send + 'static>(&self, handler: F) {
        if switch::is_simulated() {
            switch::point(Point::Dispatch);
        }
        if self.is_inside() {
            handler();
        } else {
            self.push(handler, Location::caller());
        }
    }

    /// Whether the caller is in a handler of this strand, or in a task's step on it.
    #[inline]
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.0.is_inside()
    }

    /// What it has counted. From any thread; what is read while it runs may be a moment old.
    #[must_use]
    pub fn stats(&self) -> StrandStats {
        let counts = &self.0.counts;
        StrandStats {
            waiting: counts.waiting.load(Ordering::Relaxed),
            ran: counts.ran.load(Ordering::Relaxed),
            longest_wait: Duration::from_nanos(counts.longest_wait.load(Ordering::Relaxed)),
        }
    }

    #[inline]
    fn push<F: FnOnce() + Send + 'static>(&self, handler: F, location: &'static Location<'static>) {
        let local = current();
        let node = posted::new(local, handler, location);
        // SAFETY: a fresh node, which goes back to a pool when it has been taken out.
        unsafe { self.0.post(local, node) };
    }

    /// As [`Inner::post`].
    ///
    /// # Safety
    ///
    /// The node is valid until it has been run or dropped, and in no queue.
    #[inline]
    pub(crate) unsafe fn post_node(&self, node: *mut Node) {
        // SAFETY: the caller's promise.
        unsafe { self.0.post(current(), node) }
    }

    /// Goes inside if nothing of the strand runs or waits.
    #[inline]
    pub(super) fn enter<'a>(&'a self, local: &'a Local) -> Option<Inside<'a>> {
        self.0.enter(local)
    }
}

const _: () = assert!(BATCH == 32, "the documentation says 32");

impl fmt::Debug for Strand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strand")
            .field("made_at", &format_args!("{}", self.0.made_at))
            .field("waiting", &self.stats().waiting)
            .finish_non_exhaustive()
    }
}
