//! An entry, as far as the desk knows it, with what the driver would write to it.

use crate::sync::{AtomicPtr, UnsafeCell};

pub(crate) struct Entry {
    pub(crate) link: AtomicPtr<Entry>,
    /// Whose it is.
    pub(crate) lane: usize,
    number: usize,
    /// What the packet said. Loom sees who reads it too early.
    left: UnsafeCell<usize>,
}

// SAFETY: who may touch what is left, and when, is what the models are about.
unsafe impl Sync for Entry {}
// SAFETY: as above.
unsafe impl Send for Entry {}

impl Entry {
    pub(crate) fn new(lane: usize, number: usize) -> Entry {
        Entry {
            link: AtomicPtr::default(),
            lane,
            number,
            left: UnsafeCell::new(0),
        }
    }

    pub(crate) fn leave(&self) {
        // SAFETY: whoever dequeued the packet has it to itself until the lane takes it.
        self.left.with_mut(|left| unsafe { *left = self.number });
    }

    /// Its number, out of what was left.
    pub(crate) fn left(&self) -> usize {
        // SAFETY: the lane has taken it.
        self.left.with(|left| unsafe { *left })
    }
}
