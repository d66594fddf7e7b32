//! A cell that belongs to the thread that made it: shareable, cheap to enter, checked.
//!
//! Why not a mutex: the simulated kernel is entered twice an operation, and its author counts
//! nanoseconds; and two threads in one deterministic kernel would be a bug that a mutex hides.

use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local!(static NUMBER: Cell<u64> = const { Cell::new(0) });

/// A number for each thread that is never used twice (the address of a thread local would be).
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if NUMBER.get() == 0 {
        NUMBER.set(NEXT.fetch_add(1, Ordering::Relaxed));
    }
    NUMBER.get()
}

/// Somebody else's thread tried to enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongThread {
    owner: String,
}

impl fmt::Display for WrongThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = std::thread::current();
        write!(
            f,
            "this simulated kernel belongs to thread {}, and was used from thread {}",
            self.owner,
            current.name().unwrap_or("(unnamed)")
        )
    }
}

impl std::error::Error for WrongThread {}

/// See the head of this file.
pub(super) struct ThreadBound<T> {
    owner: u64,
    owner_name: String,
    entered: Cell<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: `value` and `entered` are reached only through `with`, which lets one thread in for the
// cell's whole life, and through `drop`, which has exclusive access; dropping a `T: Send` elsewhere is
// what `Send` allows.
unsafe impl<T: Send> Send for ThreadBound<T> {}
// SAFETY: as above: another thread gets no further than the comparison of two plain numbers.
unsafe impl<T: Send> Sync for ThreadBound<T> {}

impl<T> ThreadBound<T> {
    pub(super) fn new(value: T) -> ThreadBound<T> {
        let owner_name = std::thread::current()
            .name()
            .unwrap_or("(unnamed)")
            .to_owned();
        ThreadBound {
            owner: thread_number(),
            owner_name,
            entered: Cell::new(false),
            value: UnsafeCell::new(value),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn wrong_thread(&self) -> WrongThread {
        WrongThread {
            owner: self.owner_name.clone(),
        }
    }

    /// Runs `body` on the value. None: this is [another thread](ThreadBound::wrong_thread).
    ///
    /// # Panics
    ///
    /// When called inside another `with` of the same cell.
    #[inline(always)]
    pub(super) fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> Option<R> {
        // A thread without a number made no cell.
        if self.owner != NUMBER.get() {
            return None;
        }
        assert!(
            !self.entered.replace(true),
            "the simulated kernel was entered from inside its own chooser"
        );
        let _leave = Leave(&self.entered);
        // SAFETY: only the owner's thread comes here, and `entered` was false: no other reference
        // to the value lives, and none can be made before `_leave` is dropped.
        Some(body(unsafe { &mut *self.value.get() }))
    }
}

/// Leaves the cell, also when the body panicked.
struct Leave<'a>(&'a Cell<bool>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_thread_is_told_both_names() {
        let cell = std::sync::Arc::new(ThreadBound::new(5));
        assert_eq!(cell.with(|value| *value), Some(5));
        let other = std::sync::Arc::clone(&cell);
        let message = std::thread::Builder::new()
            .name("intruder".into())
            .spawn(move || {
                assert_eq!(other.with(|_| ()), None);
                other.wrong_thread().to_string()
            })
            .unwrap()
            .join()
            .unwrap();
        let owner = std::thread::current()
            .name()
            .unwrap_or("(unnamed)")
            .to_owned();
        assert!(
            message.contains("intruder") && message.contains(&owner),
            "{message}"
        );
    }

    #[test]
    fn entering_twice_panics_and_leaves_the_cell_usable() {
        let cell = ThreadBound::new(5);
        let inner = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cell.with(|_| cell.with(|_| ()))
        }));
        assert!(inner.is_err());
        assert_eq!(cell.with(|value| *value), Some(5));
    }
}
