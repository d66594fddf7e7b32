//! An operation on its way to its worker: cancelled before it gets there, or in a slot from then on.
//!
//! One word, so that a cancel from any thread and the start on the worker agree: either the worker
//! finds it cancelled, or the cancel learns the slot, and is sent after it.

use super::ord;
use super::sync::AtomicU64;

const QUEUED: u64 = 0;
const CANCELED: u64 = u64::MAX;
const INDEX_BITS: u32 = 20;

/// See the head of this file.
pub(crate) struct Started(AtomicU64);

impl Started {
    pub(crate) fn new() -> Started {
        Started(AtomicU64::new(QUEUED))
    }

    /// The operation gets this slot, as this generation (from 1 up). False: it was cancelled before it
    /// came so far.
    pub(crate) fn set(&self, index: u32, first: u64) -> bool {
        debug_assert!(index >> INDEX_BITS == 0 && first > 0);
        self.0
            .compare_exchange(
                QUEUED,
                (first << INDEX_BITS) | u64::from(index),
                ord::SETTLE,
                ord::SEE_SETTLED,
            )
            .is_ok()
    }

    /// Cancels it if it is still on its way; else says in which slot it is, as which generation.
    pub(crate) fn cancel(&self) -> Option<(u32, u64)> {
        match self
            .0
            .compare_exchange(QUEUED, CANCELED, ord::SETTLE, ord::SEE_SETTLED)
        {
            Ok(_) | Err(CANCELED) => None,
            Err(slot) => Some(((slot & ((1 << INDEX_BITS) - 1)) as u32, slot >> INDEX_BITS)),
        }
    }
}
