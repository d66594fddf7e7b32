//! Where a slot is in its life, as one atomic byte.
//!
//! Only these transitions happen: Free → Submitting → Pending → Done → Free, and Done → Submitting
//! while a composed operation takes a result in: Pending again with its next activation, Done again
//! if there is none. User code (a buffer's methods) runs only while it is Submitting; a panic there
//! leaves it Pending, with an error for a completion.
//!
//! Pending is set *before* the operation goes to the kernel, when all that the slot holds is in it:
//! where workers share a port, another of them may take the completion before the initiating call
//! has returned. A kernel's queues order a submission before its completion, and a token completes
//! once, so no two ever take the same completion: plain loads and stores are enough.

use super::ord;
use super::sync::AtomicU8;

pub(crate) const FREE: u8 = 0;
pub(crate) const SUBMITTING: u8 = 1;
pub(crate) const PENDING: u8 = 2;
pub(crate) const DONE: u8 = 3;

/// The life cycle of one slot.
pub(crate) struct Life(AtomicU8);

impl Life {
    /// Of a free slot.
    pub(crate) fn new() -> Life {
        Life(AtomicU8::new(FREE))
    }

    #[inline]
    pub(crate) fn get(&self) -> u8 {
        self.0.load(ord::OBSERVE)
    }

    #[inline]
    pub(crate) fn set(&self, to: u8) {
        self.0.store(to, ord::PUBLISH);
    }
}
