//! An operation on its way to its worker: cancelled before it gets there, or in a slot from then on.
//!
//! One word, so that a cancel from any thread and the start on the worker agree: either the worker
//! finds it cancelled, or the cancel learns the slot, and is sent after it.

use super::ord;
use super::sync::AtomicU64;

const QUEUED: u64 = 0;
const CANCELED: u64 = u64::MAX;

/// See the head of this file.
pub(crate) struct Started(AtomicU64);

impl Started {
    pub(crate) fn new() -> Started {
        Started(AtomicU64::new(QUEUED))
    }

    /// The operation starts with this token, which is neither 0 nor the largest number. False: it was
    /// cancelled before it came so far.
    pub(crate) fn set(&self, first: u64) -> bool {
        debug_assert!(first != QUEUED && first != CANCELED);
        self.0
            .compare_exchange(QUEUED, first, ord::SETTLE, ord::SEE_SETTLED)
            .is_ok()
    }

    /// Cancels it if it is still on its way; else says with which token it started.
    pub(crate) fn cancel(&self) -> Option<u64> {
        match self
            .0
            .compare_exchange(QUEUED, CANCELED, ord::SETTLE, ord::SEE_SETTLED)
        {
            Ok(_) | Err(CANCELED) => None,
            Err(first) => Some(first),
        }
    }
}
