//! A checker has decided that the proactor is dropped while it runs: who runs it is left, at once.
//!
//! What stands on the stack above the proactor's owner is dropped by an unwinding, which is no panic: no hook hears of it.
//! Then the owner drops the proactor.

use std::any::Any;
use std::cell::Cell;

thread_local! {
    /// Whether somebody is being left on this thread.
    static LEAVES: Cell<bool> = const { Cell::new(false) };
}

/// What the unwinding carries.
pub(crate) struct Dropped {
    /// The panic of what was dropped by then.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
}

/// Leaves, up to whoever owns the proactor.
#[cold]
pub(crate) fn leave(panic: Option<Box<dyn Any + Send>>) -> ! {
    LEAVES.set(true);
    std::panic::resume_unwind(Box::new(Dropped { panic }))
}

/// Whether somebody is being left on this thread; and from here on nobody is.
#[cfg(feature = "check")]
pub(crate) fn takes_leave() -> bool {
    LEAVES
        .try_with(|leaves| leaves.replace(false))
        .unwrap_or(false)
}
