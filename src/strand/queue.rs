//! The queue of a strand and its state, in one word: idle, busy with nothing new, or the handler that
//! was posted last, from which the others are linked.
//!
//! Lock-free, and the posters never wait for the owner. *The owner* is who runs the handlers: a post
//! that finds the strand idle makes one (its caller has to see to it that somebody runs them), and
//! so does [`Queue::enter`]. From then on there is exactly one, until [`Queue::leave`] says that the
//! strand is idle again (I3: exclusion). Each post puts itself before the last one, and the owner
//! turns round what it takes, so they run in the order of the posts (I3: order).
//!
//! What the owner itself posts goes to the end of what it has taken, by plain stores
//! ([`Queue::post_inside`]). First it takes what others have posted since it looked: all that happened
//! before is seen then, and stays ahead.

use std::ptr;

use super::ord;
use super::sync::{AtomicPtr, UnsafeCell};

/// The owner is busy, and nothing was posted since it looked.
const BUSY: *mut Link = ptr::without_provenance_mut(1);

/// The place of a handler in a queue; the handler is around it.
pub(crate) struct Link {
    next: UnsafeCell<*mut Link>,
}

impl Link {
    pub(crate) fn new() -> Link {
        Link {
            next: UnsafeCell::new(ptr::null_mut()),
        }
    }

    /// # Safety
    ///
    /// Nobody else uses the link now.
    #[inline]
    unsafe fn set(link: *mut Link, next: *mut Link) {
        // SAFETY: the caller's promise.
        unsafe { &*link }.next.with_mut(|place| unsafe {
            // SAFETY: as above.
            *place = next;
        });
    }

    /// # Safety
    ///
    /// Nobody changes the link now.
    #[inline]
    unsafe fn get(link: *mut Link) -> *mut Link {
        // SAFETY: the caller's promise, here and inside.
        unsafe { (*link).next.with(|place| *place) }
    }
}

/// What the owner has taken, or posted itself, and not yet run, oldest first.
struct Taken {
    first: *mut Link,
    /// Of no meaning while there is no first.
    last: *mut Link,
    count: usize,
}

impl Taken {
    /// # Safety
    ///
    /// The chain from `first` to `last` belongs to the owner, who is the caller, as `self` does; `last` has
    /// no next.
    #[inline]
    unsafe fn append(&mut self, first: *mut Link, last: *mut Link, count: usize) {
        if self.first.is_null() {
            self.first = first;
        } else {
            // SAFETY: the owner's.
            unsafe { Link::set(self.last, first) };
        }
        self.last = last;
        self.count += count;
    }
}

/// See the head of this file.
pub(crate) struct Queue {
    /// Null: idle. [`BUSY`]. Else the newest of those posted since the owner looked.
    word: AtomicPtr<Link>,
    taken: UnsafeCell<Taken>,
}

// SAFETY: `taken`, and the links in it, are touched by the owner alone, which the word makes one at a
// time; a link that is posted is the queue's until it is taken (the contracts of the functions below).
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue {
            word: AtomicPtr::new(ptr::null_mut()),
            taken: UnsafeCell::new(Taken {
                first: ptr::null_mut(),
                last: ptr::null_mut(),
                count: 0,
            }),
        }
    }

    /// Puts a handler behind all that were posted before. True: the strand was idle, and the caller
    /// is its owner now.
    ///
    /// # Safety
    ///
    /// The link is valid until it has been taken out again, and in no queue.
    #[inline]
    pub(crate) unsafe fn post(&self, link: *mut Link) -> bool {
        let mut before = self.word.load(ord::RELAXED);
        loop {
            let next = if before == BUSY {
                ptr::null_mut()
            } else {
                before
            };
            // SAFETY: it is in no queue yet: the caller's.
            unsafe { Link::set(link, next) };
            match self
                .word
                .compare_exchange_weak(before, link, ord::POST, ord::RELAXED)
            {
                Ok(_) => return before.is_null(),
                Err(now) => before = now,
            }
        }
    }

    /// The same, by the owner. `see` is called once for each that others have posted since it looked.
    ///
    /// # Safety
    ///
    /// As of [`Queue::post`]; and the caller is the owner.
    #[inline]
    pub(crate) unsafe fn post_inside(&self, link: *mut Link, see: impl FnMut(*mut Link)) {
        // Relaxed: whatever was posted before this call, in whichever way, is the word's value by now.
        if self.word.load(ord::RELAXED) != BUSY && ord::LOOKS_FIRST {
            // SAFETY: passed on.
            unsafe { self.take(see) };
        }
        // SAFETY: it is in no queue yet: the caller's; and what was taken is the owner's.
        unsafe {
            Link::set(link, ptr::null_mut());
            self.taken.with_mut(|taken| (*taken).append(link, link, 1));
        }
    }

    /// True: the strand was idle, and the caller is its owner now.
    #[inline]
    pub(crate) fn enter(&self) -> bool {
        self.word
            .compare_exchange(ptr::null_mut(), BUSY, ord::ENTER, ord::RELAXED)
            .is_ok()
    }

    /// The next handler to run, left where it is; null if none is there. `see` is called once for each
    /// that was posted since, oldest first.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn first(&self, see: impl FnMut(*mut Link)) -> *mut Link {
        // SAFETY: the owner's.
        let first = self.taken.with(|taken| unsafe { (*taken).first });
        if !first.is_null() {
            return first;
        }
        if self.word.load(ord::RELAXED) == BUSY {
            return ptr::null_mut();
        }
        // SAFETY: passed on; then what was taken is the owner's.
        unsafe {
            self.take(see);
            self.taken.with(|taken| (*taken).first)
        }
    }

    /// Takes out the one that [`Queue::first`] has shown.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and there is one.
    #[inline]
    pub(crate) unsafe fn take_first(&self) {
        self.taken.with_mut(|taken| {
            // SAFETY: the owner's, and so is the link.
            unsafe {
                (*taken).first = Link::get((*taken).first);
                (*taken).count -= 1;
            }
        });
    }

    /// How many were taken and not yet run.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn known(&self) -> usize {
        // SAFETY: the owner's.
        self.taken.with(|taken| unsafe { (*taken).count })
    }

    /// The owner has run all it knows of. True: the strand is idle, and the caller its owner no longer.
    /// False: something was posted meanwhile.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and [`Queue::first`] has shown none.
    #[inline]
    pub(crate) unsafe fn leave(&self) -> bool {
        self.word
            .compare_exchange(BUSY, ptr::null_mut(), ord::LEAVE, ord::RELAXED)
            .is_ok()
            || !ord::LOOKS_AGAIN
    }

    /// Takes what others have posted, behind what was taken before.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and something was posted.
    #[inline(never)]
    unsafe fn take(&self, mut see: impl FnMut(*mut Link)) {
        let newest = self.word.swap(BUSY, ord::TAKE);
        let (mut first, mut left, mut count) = (ptr::null_mut(), newest, 0);
        while !left.is_null() && left != BUSY {
            // SAFETY: what was taken is the owner's.
            unsafe {
                let older = Link::get(left);
                Link::set(left, first);
                first = left;
                left = older;
            }
            count += 1;
        }
        let mut link = first;
        while !link.is_null() {
            see(link);
            // SAFETY: as above.
            link = unsafe { Link::get(link) };
        }
        if count > 0 {
            self.taken.with_mut(|taken| {
                // SAFETY: as above; the newest has no next any more.
                unsafe { (*taken).append(first, newest, count) };
            });
        }
    }
}
