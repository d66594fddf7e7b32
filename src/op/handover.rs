//! One output, handed from the worker that made it to the thread that polls for it.
//!
//! The two ends share one byte. Who sets a bit by a read-modify-write learns what the other end had
//! done before, and so who owns the output and the waker: until [`OUTPUT`] is set the output is the
//! worker's, afterwards the future's; the waker is the future's until it sets [`WAITING`], and then
//! of whoever clears that, or sees it when the output comes.

use std::task::{Context, Poll, Waker};

use super::ord;
use super::sync::{Arc, AtomicU8, UnsafeCell};

/// The output is there, or never will be.
const OUTPUT: u8 = 1;
/// A waker is there.
const WAITING: u8 = 2;
/// Nobody will ask for the output.
const ABANDONED: u8 = 4;

struct Shared<T> {
    state: AtomicU8,
    /// None, once [`OUTPUT`] is set: lost, or taken.
    output: UnsafeCell<Option<T>>,
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: each cell has one owner at a time, as the head of this file says; what is in them is Send.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// Both ends.
pub(crate) fn handover<T>() -> (Delivery<T>, Awaiting<T>) {
    let shared = Arc::new(Shared {
        state: AtomicU8::new(0),
        output: UnsafeCell::new(None),
        waker: UnsafeCell::new(None),
    });
    (Delivery(Some(shared.clone())), Awaiting(shared))
}

/// The worker's end: the duty to hand an output over. Dropped without, the output is lost.
pub(crate) struct Delivery<T>(Option<Arc<Shared<T>>>);

impl<T> Delivery<T> {
    pub(crate) fn put(mut self, output: T) {
        if let Some(shared) = self.0.take() {
            shared.give(Some(output));
        }
    }

    /// Whether nobody will ask for the output.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|shared| shared.state.load(ord::LOOK) & ABANDONED != 0)
    }

    /// Nobody will ever answer: the other end waits for as long as it likes.
    pub(crate) fn forget(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.give(None);
        }
    }
}

impl<T> Shared<T> {
    fn give(&self, output: Option<T>) {
        self.output.with_mut(|place| {
            // SAFETY: OUTPUT is not set: it is the worker's end's, and nothing is in it.
            unsafe { *place = output };
        });
        let before = self.state.fetch_or(OUTPUT, ord::HAND_OVER);
        // User code (a waker, a buffer's Drop) runs outside the closures.
        if before & ABANDONED != 0 {
            // SAFETY: the future's end has gone, and has left the output to us.
            drop(self.output.with_mut(|place| unsafe { (*place).take() }));
        } else if before & WAITING != 0 {
            // SAFETY: the future's end set WAITING and has not cleared it: the waker is ours.
            let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// The future's end. Dropped, the output is thrown away when it comes.
pub(crate) struct Awaiting<T>(Arc<Shared<T>>);

/// The output was lost: what was to make it panicked.
pub(crate) struct Lost;

impl<T> Awaiting<T> {
    /// The output, if it is there; otherwise `cx` is woken when it comes. Once.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<T, Lost>> {
        let shared = &*self.0;
        if shared.state.load(ord::LOOK) & OUTPUT != 0 {
            return Poll::Ready(self.take());
        }
        let before = shared.state.fetch_and(!WAITING, ord::HAND_OVER);
        if before & OUTPUT != 0 {
            return Poll::Ready(self.take());
        }
        let waker = cx.waker().clone();
        // SAFETY: WAITING is clear, and OUTPUT was not set when it was cleared: the waker is ours.
        let old = shared
            .waker
            .with_mut(|place| unsafe { (*place).replace(waker) });
        let before = shared.state.fetch_or(WAITING, ord::HAND_OVER);
        drop(old);
        if before & OUTPUT != 0 && ord::LOOKS_AFTER_WAKER {
            return Poll::Ready(self.take());
        }
        Poll::Pending
    }

    fn take(&mut self) -> Result<T, Lost> {
        // SAFETY: OUTPUT is set: it is the future's end's.
        let output = self.0.output.with_mut(|place| unsafe { (*place).take() });
        output.ok_or(Lost)
    }
}

impl<T> Drop for Awaiting<T> {
    fn drop(&mut self) {
        let shared = &*self.0;
        let before = shared.state.fetch_or(ABANDONED, ord::HAND_OVER);
        if before & OUTPUT != 0 {
            // SAFETY: OUTPUT is set: it is the future's end's.
            drop(shared.output.with_mut(|place| unsafe { (*place).take() }));
        } else if before & WAITING != 0 {
            // SAFETY: when the output comes ABANDONED is seen, and the waker not touched: it is ours.
            drop(shared.waker.with_mut(|place| unsafe { (*place).take() }));
        }
    }
}
