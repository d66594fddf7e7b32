//! Loom's side of the seam that the lock-free modules are written against.

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::Arc;
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64};

/// A turn of a loop that waits for another thread: without it loom would never run that one.
pub(crate) fn pause() {
    loom::thread::yield_now();
}
