//! Locks, channels and atomics that a simulation can schedule.
//!
//! `use proactor::sync::Mutex` in place of `use std::sync::Mutex`, and nothing else changes: on a real
//! kernel it *is* std's. In a simulation of several workers each use is a *switch point*, at which
//! another worker may go on first, and a call that has to wait lets the others go on instead of
//! blocking the one thread that they all share. So the checker finds the orders in which your handlers
//! break, and deadlocks are failures that name both places.
//!
//! # What to use
//!
//! | to | use | waits by |
//! |---|---|---|
//! | keep the state of one connection | a strand, not a lock | - |
//! | share state among handlers, briefly | [`Mutex`], [`RwLock`], [`atomic`] | blocking its thread |
//! | find out whether a datum is shared without an order | [`Shared`] | blocking its thread |
//! | have a static that each execution of a check gets anew | [`PerExecution`], [`PerWorker`] | - |
//! | wait on a thread of your own | [`Condvar`] | blocking its thread |
//! | wait in a task for something to change | [`Notify`] | a future |
//! | limit how many do something at a time | [`Semaphore`] | a future |
//! | hand one value over | [`oneshot`] | a future |
//! | queue values for one consumer, with a bound | [`mpsc`] | a future |
//!
//! Handlers must not block their worker: what waits by blocking is for short critical sections and for
//! threads of your own, what waits by a future is for tasks. All may be used from any thread, and the
//! futures in any runtime.
//!
//! ```
//! use proactor::sync::{Arc, Notify, atomic::{AtomicBool, Ordering}};
//! # use std::pin::pin;
//! # use std::task::{Context, Waker};
//!
//! let (stop, changed) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
//! let task = {
//!     let (stop, changed) = (stop.clone(), changed.clone());
//!     async move {
//!         while !stop.load(Ordering::Acquire) {
//!             changed.notified().await;
//!         }
//!     }
//! };
//! # let mut task = pin!(task);
//! # let mut cx = Context::from_waker(Waker::noop());
//! # assert!(task.as_mut().poll(&mut cx).is_pending());
//! stop.store(true, Ordering::Release);
//! changed.notify_one();
//! # assert!(task.as_mut().poll(&mut cx).is_ready());
//! ```
//!
//! # What the futures promise
//!
//! - They do nothing before they are polled, but for [`Notify::notified`], which hears of every
//!   [`notify_waiters`](Notify::notify_waiters) from its making on.
//! - Who began to wait first is served first, and nobody overtakes those who wait.
//! - Dropping one loses nothing: what it was given and did not take goes to the next.
//!
//! # What the simulation does
//!
//! - It is sequentially consistent: what weaker memory orderings allow beyond that is the business of
//!   loom.
//! - A blocking call that can never return panics, and its message names where the lock is held and
//!   where it is waited for. The same happens to waits that are left over when an execution is ended.
//! - Nobody waits for a lock in order: whoever goes on first has it. Std's makes no promise either.
//! - Condition variables wake in order, and never for no reason. A timeout is over when nobody else can
//!   go on; the virtual clock does not move for it.
//! - A reader of an [`RwLock`] never waits behind a waiting writer.
//! - `Arc`, `Once`, `OnceLock`, `LazyLock` and `Barrier` are not scheduled: a `LazyLock` is safe to use
//!   if making its value uses nothing that may switch.
//!
//! Keep what an execution shares inside the execution: a lock that is shared with threads outside of
//! the simulation is waited for as on a real kernel, which no seed repeats.
//!
//! # What it costs
//!
//! On a real kernel one load and one branch a call, and 16 bytes a lock. No allocation but in the lines
//! of those who wait, whose memory is kept.

pub mod atomic;
mod condvar;
mod held;
mod line;
pub mod mpsc;
mod mutex;
mod notify;
pub mod oneshot;
mod order;
pub(crate) mod per_execution;
mod rwlock;
mod semaphore;
mod shared;
#[cfg(test)]
mod tests;

pub use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult, Weak};

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use per_execution::{PerExecution, PerWorker};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{
    Acquire, AcquireOwned, Closed, OwnedPermit, Permit, Semaphore, TryAcquireError,
};
pub use shared::Shared;

use std::panic::Location;

use crate::switch::{self, Point};

/// What is inside, whoever panicked: our own state is whole wherever a waker of somebody's may panic.
/// Never held over a switch point, a wake or the drop of anything that is not ours.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A switch point in a destructor, and then what the destructor does: even if the point unwinds, and
/// without a point while a panic does.
fn on_drop(name: &'static str, location: &'static Location<'static>, then: impl FnOnce()) {
    struct Then<F: FnOnce()>(Option<F>);

    impl<F: FnOnce()> Drop for Then<F> {
        fn drop(&mut self) {
            if let Some(then) = self.0.take() {
                then();
            }
        }
    }

    let _then = Then(Some(then));
    if switch::is_simulated() && !std::thread::panicking() {
        switch::point_at(Point::Sync(name), location);
    }
}
