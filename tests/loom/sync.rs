//! Loom's side of the seam that the lock-free modules are written against.

use loom::sync::Notify;
use loom::thread::ThreadId;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64};
pub(crate) use loom::sync::{Mutex, MutexGuard};

/// A turn of a loop that waits for another thread: without it loom would never run that one.
pub(crate) fn pause() {
    loom::thread::yield_now();
}

/// A thread and its parker. Loom's own would not do: its `unpark` gets a thread out of whatever it waits for, a mutex
/// too, and is forgotten by one that waits for a mutex next.
#[derive(Clone)]
pub(crate) struct Thread {
    id: ThreadId,
    token: std::sync::Arc<Notify>,
}

loom::thread_local! {
    static ME: Thread = Thread {
        id: loom::thread::current().id(),
        token: std::sync::Arc::default(),
    };
}

pub(crate) fn current() -> Thread {
    ME.with(Thread::clone)
}

/// Sleeps until the token is there, or once for nothing.
pub(crate) fn park() {
    current().token.wait();
}

impl Thread {
    pub(crate) fn id(&self) -> ThreadId {
        self.id
    }

    pub(crate) fn unpark(&self) {
        self.token.notify();
    }
}

/// Written once. Loom has none.
pub(crate) struct OnceLock<T> {
    state: AtomicU8,
    value: UnsafeCell<Option<T>>,
}

const EMPTY: u8 = 0;
const TAKEN: u8 = 1;
const FULL: u8 = 2;

// SAFETY: written by the one that took it, and read, by whomever, once it is full.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(None),
        }
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        use std::sync::atomic::Ordering::{Relaxed, Release};
        if self
            .state
            .compare_exchange(EMPTY, TAKEN, Relaxed, Relaxed)
            .is_err()
        {
            return Err(value);
        }
        // SAFETY: nobody reads it before it is full, and it is taken once.
        self.value.with_mut(|place| unsafe { *place = Some(value) });
        self.state.store(FULL, Release);
        Ok(())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.state.load(std::sync::atomic::Ordering::Acquire) != FULL {
            return None;
        }
        // SAFETY: it is full, and never written again.
        self.value.with(|place| unsafe { (*place).as_ref() })
    }
}
