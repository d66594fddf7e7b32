//! Work that would hold up a worker: [`Handle::offload`] runs it elsewhere, its result is an operation.
//!
//! On a real kernel a bounded [`pool`] of threads runs it. In a simulation no thread does: when a job
//! begins and when it has ended are decisions of the simulated kernel, like everything else; the
//! bounds hold there as well ([`simulated`]).
//!
//! # When the pool is full
//!
//! So many jobs as [`Builder::offload_threads`](crate::Builder::offload_threads) says run at once, so
//! many as [`Builder::offload_queue`](crate::Builder::offload_queue) says wait, in order. One more ends
//! with [`OffloadError::Full`], its closure dropped and never run: whoever offloads faster than the pool
//! works is told so, instead of filling the memory.

mod pool;
mod simulated;

use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

pub(crate) use pool::{Bounds, Pool};
#[cfg(feature = "check")]
pub(crate) use simulated::declare;

use crate::backend::{Code, Op, Raw, Token};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, STOPPED, gone, lock};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, StandIn, Steps};
use crate::proactor::Handle;

impl Handle {
    /// An operation that runs `work` where it may block or compute for long, and ends with its result.
    ///
    /// `work` can't be stopped once it has begun. A cancel, a timeout or a dropped future that comes
    /// before that ends the operation at once, and `work` is dropped without being run. One that comes
    /// later changes nothing: the operation ends when `work` has returned, with its true outcome (that
    /// of a dropped future is dropped on the worker).
    ///
    /// When the proactor is dropped, work that has not begun is dropped. For work that runs the teardown
    /// waits, as for the kernel, and leaks with a warning if that takes too long.
    ///
    /// Costs one allocation.
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let sum = proactor.offload(|| (1..=1_000_000u64).sum::<u64>());
    /// assert_eq!(proactor.block_on(sum).unwrap().unwrap(), 500_000_500_000);
    /// ```
    ///
    /// # Errors
    ///
    /// [`OffloadError`], inside an [`io::Error`]: the pool is full, `work` panicked, the proactor was
    /// stopped. Also those of any operation: cancelled, timed out, the proactor dropped, too many
    /// operations; and that of the system if it gives not even one thread.
    #[track_caller]
    pub fn offload<F, T>(&self, work: F) -> Operation<Offload<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Operation::new(Offload::new(self.for_new(), work))
    }
}

/// Why offloaded work has no result: found in the [`io::Error`] that its operation ends with.
///
/// ```
/// use proactor::OffloadError;
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// let error = proactor.block_on(proactor.offload(|| -> u32 { panic!("out of luck") })).unwrap().unwrap_err();
/// assert!(matches!(OffloadError::in_error(&error), Some(OffloadError::Panicked { message }) if message == "out of luck"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffloadError {
    /// All threads are busy and as many jobs as may wait do. Of kind
    /// [`QuotaExceeded`](io::ErrorKind::QuotaExceeded).
    Full {
        /// How many may run at once.
        threads: usize,
        /// How many may wait.
        queue: usize,
    },
    /// The work panicked. Nothing else is harmed by that.
    Panicked {
        /// What the panic said.
        message: String,
    },
    /// [`stop`](Handle::stop) was called: nothing is begun until [`restart`](crate::Proactor::restart).
    Stopped,
}

impl OffloadError {
    /// What the error of an offloaded operation carries, if `error` is one.
    #[must_use]
    pub fn in_error(error: &io::Error) -> Option<&OffloadError> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for OffloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OffloadError::Full { threads, queue } => write!(
                f,
                "the offload pool is full: {threads} jobs run and {queue} wait; offload fewer at a time, \
                 or raise Builder::offload_threads or Builder::offload_queue"
            ),
            OffloadError::Panicked { message } => {
                write!(f, "the offloaded work panicked: {message}")
            }
            OffloadError::Stopped => f.write_str(
                "the proactor was stopped: no offloaded work is begun until Proactor::restart",
            ),
        }
    }
}

impl Error for OffloadError {}

impl From<OffloadError> for io::Error {
    fn from(error: OffloadError) -> io::Error {
        let kind = match &error {
            OffloadError::Full { .. } => io::ErrorKind::QuotaExceeded,
            OffloadError::Panicked { .. } | OffloadError::Stopped => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// The kind of [`Handle::offload`].
pub struct Offload<T> {
    home: HomeRef,
    job: Arc<dyn Job<T>>,
    /// What it waits as, once it does.
    token: Option<Token>,
    refused: Option<io::Error>,
}

/// The pool of the proactor that a worker belongs to.
fn pool_of(local: &Local) -> Option<Arc<Pool>> {
    local.has_used_pool.set(true);
    let pool = local.pool.borrow().clone()?;
    pool.downcast().ok()
}

/// How many jobs run, and how many wait.
pub(crate) fn counts(local: &Local) -> (usize, usize) {
    pool_of(local).map_or((0, 0), |pool| pool.counts())
}

impl<T: Send + 'static> Offload<T> {
    pub(crate) fn new(home: HomeRef, work: impl FnOnce() -> T + Send + 'static) -> Offload<T> {
        Offload {
            home,
            job: Arc::new(Once(Mutex::new(Stage::Waiting(work)))),
            token: None,
            refused: None,
        }
    }
}

impl<T: Send + 'static> Steps for Offload<T> {
    type Out = io::Result<T>;
    const NAME: &'static str = "offload";
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        if local.home.stopped.load(Ordering::Acquire) & STOPPED != 0 {
            self.refused = Some(OffloadError::Stopped.into());
            return Err(FAILED_EARLY);
        }
        Ok(Activation {
            op: Op::new(Code::Nop, Raw::NONE),
            object: None,
            writable: false,
        })
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        Some(self)
    }

    fn finish(self, outcome: Outcome<'_>) -> io::Result<T> {
        // What the work came to is the truth, whatever was asked for meanwhile.
        match (self.job.take(), self.refused) {
            (Some(result), _) => result,
            (None, Some(refused)) => Err(refused),
            (None, None) => Err(outcome.error()),
        }
    }

    fn discard(self, _: Outcome<'_>) {
        // Here, on the worker: a thread of the pool may hold the job for a moment longer.
        drop(self.job.take());
    }
}

impl<T: Send + 'static> StandIn for Offload<T> {
    fn arm(&mut self, local: &Local, token: Token) {
        self.token = Some(token);
        let entry = Entry {
            work: self.job.clone(),
            home: self.home,
            token,
        };
        let taken = match pool_of(local) {
            None => Err(gone()),
            Some(pool) if local.is_virtual.get() => pool.simulate(local, entry),
            Some(pool) => pool.push(entry),
        };
        if let Err(refused) = taken {
            self.refused = Some(refused);
            local.complete_external(token, FAILED_EARLY);
        }
    }

    fn stop(&mut self, local: &Local) -> bool {
        match (self.token, pool_of(local)) {
            (Some(token), Some(pool)) => pool.withdraw(&self.home, token),
            _ => true,
        }
    }
}

/// A job as the pool sees it: with its operation.
struct Entry {
    work: Arc<dyn Work>,
    home: HomeRef,
    token: Token,
}

impl Entry {
    fn is(&self, home: &HomeRef, token: Token) -> bool {
        self.token == token && std::ptr::eq(self.home.home, home.home)
    }
}

/// A job without the type of its result.
trait Work: Send + Sync {
    /// Does it, once. Never panics.
    fn run(&self);
}

/// A job.
trait Job<T>: Work {
    /// The result, if it has come to one; what was not run is dropped.
    fn take(&self) -> Option<io::Result<T>>;
}

struct Once<F, T>(Mutex<Stage<F, T>>);

enum Stage<F, T> {
    Waiting(F),
    /// It runs, or is over and its result taken.
    Away,
    Ended(io::Result<T>),
}

impl<F: FnOnce() -> T + Send, T: Send> Work for Once<F, T> {
    fn run(&self) {
        let stage = std::mem::replace(&mut *lock(&self.0), Stage::Away);
        let Stage::Waiting(work) = stage else { return };
        // What a panic leaves half done is the closure's own, and goes with it.
        let result = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
            let message = message(&*payload);
            // A payload whose Drop panics again.
            if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(again);
            }
            OffloadError::Panicked { message }.into()
        });
        *lock(&self.0) = Stage::Ended(result);
    }
}

impl<F: FnOnce() -> T + Send, T: Send> Job<T> for Once<F, T> {
    fn take(&self) -> Option<io::Result<T>> {
        // Dropping the closure is user code: after the lock.
        let stage = std::mem::replace(&mut *lock(&self.0), Stage::Away);
        match stage {
            Stage::Ended(result) => Some(result),
            Stage::Waiting(_) | Stage::Away => None,
        }
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic whose payload is no text")
        .to_owned()
}
