//! An inbox for one reader: any thread leaves messages, its owner collects them in order.
//!
//! A stack of boxed letters that the reader turns round: the messages of one sender come in the order
//! in which it sent them. An inbox has *lives*, one after the other. A message is sent to one life,
//! and closing that is exact: each message was either left before, and is given back by
//! [`Inbox::close`], or is given back to its sender. For that a sender counts itself in at a gate, in
//! the same word that holds the number of the life, and a close waits for those inside: a few
//! instructions, without user code.

use std::ptr;

use super::ord;
use super::sync::{AtomicPtr, AtomicU64, UnsafeCell, pause};

/// The low bits of the gate count the senders inside; the number of the life is above them.
const INSIDE_BITS: u32 = 20;
const INSIDE: u64 = (1 << INSIDE_BITS) - 1;

/// See the head of this file.
pub(crate) struct Inbox<T> {
    gate: AtomicU64,
    newest: AtomicPtr<Letter<T>>,
}

struct Letter<T> {
    older: UnsafeCell<*mut Letter<T>>,
    message: UnsafeCell<T>,
}

// SAFETY: a letter is its sender's until it is left, and then of the one who takes the whole stack.
unsafe impl<T: Send> Send for Inbox<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Inbox<T> {}

/// While this lives no close comes in between.
struct Visit<'a>(&'a AtomicU64);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, ord::GO_OUT);
    }
}

impl<T> Inbox<T> {
    /// An empty one, open, in its life number 1.
    pub(crate) fn new() -> Inbox<T> {
        Inbox {
            gate: AtomicU64::new(1 << INSIDE_BITS),
            newest: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// The number of its life.
    #[inline]
    pub(crate) fn life(&self) -> u64 {
        self.gate.load(ord::SEE_OUT) >> INSIDE_BITS
    }

    /// Leaves a message. If that life is over the message comes back.
    pub(crate) fn send(&self, life: u64, message: T) -> Result<(), T> {
        let Some(_visit) = self.visit(life) else {
            return Err(message);
        };
        let letter = Box::into_raw(Box::new(Letter {
            older: UnsafeCell::new(ptr::null_mut()),
            message: UnsafeCell::new(message),
        }));
        let mut before = self.newest.load(ord::RELAXED);
        loop {
            // SAFETY: the letter has not been left yet: it is ours.
            unsafe { &*letter }.older.with_mut(|older| unsafe {
                // SAFETY: as above.
                *older = before;
            });
            match self.newest.compare_exchange_weak(
                before,
                letter,
                ord::LEAVE_MESSAGE,
                ord::RELAXED,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => before = now,
            }
        }
    }

    /// Begins the next life of one that was closed: its number.
    pub(crate) fn reopen(&self) -> u64 {
        (self.gate.fetch_add(1 << INSIDE_BITS, ord::SHUT) >> INSIDE_BITS) + 1
    }

    /// Does something unless that life is over; if it is done, no close comes in between. To be short:
    /// a close waits for it.
    pub(crate) fn while_open<R>(&self, life: u64, act: impl FnOnce() -> R) -> Option<R> {
        self.visit(life).map(|_visit| act())
    }

    /// Whether nothing has been left that the reader knows of.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.load(ord::RELAXED).is_null()
    }

    /// Takes what has been left, oldest first.
    pub(crate) fn collect(&self, into: &mut impl Extend<T>) {
        if !self.newest.load(ord::RELAXED).is_null() {
            into.extend(self.take_all());
        }
    }

    /// Ends this life: what is sent to it from now on is given back to its sender. What had been left
    /// is given back here. Nobody is told the number of the life that follows, so nothing is sent to it,
    /// until [`Inbox::reopen`] begins another.
    pub(crate) fn close(&self) -> Vec<T> {
        self.gate.fetch_add(1 << INSIDE_BITS, ord::SHUT);
        while ord::WAITS_FOR_SENDERS && self.gate.load(ord::SEE_OUT) & INSIDE != 0 {
            pause();
        }
        if self.is_empty() {
            // (Whoever has left something is out, and that has been seen.)
            return Vec::new();
        }
        self.take_all().collect()
    }

    fn visit(&self, life: u64) -> Option<Visit<'_>> {
        let gate = self.gate.fetch_add(1, ord::GO_IN);
        let visit = Visit(&self.gate);
        (gate >> INSIDE_BITS == life).then_some(visit)
    }

    fn take_all(&self) -> Letters<T> {
        let mut left = self.newest.swap(ptr::null_mut(), ord::COLLECT);
        let mut oldest = ptr::null_mut();
        while !left.is_null() {
            // SAFETY: the swap made the whole stack ours.
            unsafe { &*left }.older.with_mut(|older| unsafe {
                // SAFETY: as above.
                let next = *older;
                *older = oldest;
                oldest = left;
                left = next;
            });
        }
        Letters(oldest)
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// Letters that were taken, the oldest first.
struct Letters<T>(*mut Letter<T>);

impl<T> Iterator for Letters<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: made by Box::into_raw in `send`, and ours alone since it was taken.
        let letter = *unsafe { Box::from_raw(self.0) };
        self.0 = letter.older.into_inner();
        Some(letter.message.into_inner())
    }
}

impl<T> Drop for Letters<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
