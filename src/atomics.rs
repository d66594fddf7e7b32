//! What the lock-free modules are made of: the atomics and cells of `std`, under names that a model
//! checker has as well.
//!
//! A lock-free module says `use super::{ord, sync}` and nothing else of the kind. Here `sync` is this
//! module; in `tests/loom` the very same source file finds loom's. Its memory orderings are named
//! constants of `super::ord`, so that a test can weaken one and see it convicted.

pub(crate) use std::hint::spin_loop as pause;
pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64};

/// A cell whose accesses loom can see. The closures must not make two references that alias.
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[inline(always)]
    pub(crate) const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
        look(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
        change(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
