//! Who holds a lock in a simulation, and what is said of one that will never be released.
//!
//! All of this is written by simulated workers only: on a real kernel a guard knows that it is none of
//! theirs, and that is all.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use super::{on_drop, order};

/// The simulated workers that hold one lock.
///
/// They all run on the thread of their simulation. A lock may, against all advice, be shared with
/// threads outside: those never show up here, or under another thread's number.
pub(super) struct Holders {
    /// Where the last of them got it.
    location: AtomicPtr<Location<'static>>,
    count: AtomicU32,
    thread: AtomicU32,
}

impl Holders {
    pub(super) const fn none() -> Holders {
        Holders {
            location: AtomicPtr::new(ptr::null_mut()),
            count: AtomicU32::new(0),
            thread: AtomicU32::new(0),
        }
    }

    /// Whether simulated workers of this very thread hold it. Only they go on when a simulation is
    /// asked to wait.
    pub(super) fn are_ours(&self) -> bool {
        self.count.load(Relaxed) > 0 && self.thread.load(Relaxed) == this_thread()
    }

    /// One more holder: a simulated worker has just got the lock.
    pub(super) fn hold(&self, how: How, location: &'static Location<'static>) -> Hold<'_> {
        let at = order::at(self);
        order::acquired(at);
        if how == How::Write {
            order::acquired(at + 1);
        }
        self.location
            .store(ptr::from_ref(location).cast_mut(), Relaxed);
        self.thread.store(this_thread(), Relaxed);
        self.count.fetch_add(1, Relaxed);
        Hold {
            held: Some((self, location)),
            how,
        }
    }

    /// The lock can't be had, and never will be.
    #[cold]
    #[track_caller]
    pub(super) fn never_released(&self, call: &str) -> ! {
        let location = self.location.load(Relaxed);
        // SAFETY: `hold` alone writes it, from a `&'static Location`.
        let since = match unsafe { location.as_ref() } {
            Some(location) => location.to_string(),
            None => "a place unknown".to_owned(),
        };
        give_up(&format!(
            "{call} at {} can never return: the lock has been held since {since}, and nobody who could \
             release it goes on. Either this is a deadlock (a worker locks twice, or two wait for \
             each other), or the execution is being ended and its holder with it",
            Location::caller()
        ))
    }
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Mutex,
    Read,
    Write,
}

/// The part of a guard that the simulation sees. Dropped before std's guard is.
pub(super) struct Hold<'a> {
    /// By whom, and since where. None: on a real kernel.
    held: Option<(&'a Holders, &'static Location<'static>)>,
    how: How,
}

impl Hold<'_> {
    /// Of a thread, on a real kernel.
    #[inline]
    pub(super) fn real(how: How) -> Hold<'static> {
        Hold { held: None, how }
    }

    /// A writer becomes a reader.
    pub(super) fn downgrade(&mut self) {
        self.how = How::Read;
        if let Some((holders, _)) = self.held {
            order::released(order::at(holders));
        }
    }

    #[cold]
    fn release(&self, holders: &Holders, location: &'static Location<'static>) {
        let name = match self.how {
            How::Mutex => "MutexGuard::drop",
            How::Read => "RwLockReadGuard::drop",
            How::Write => "RwLockWriteGuard::drop",
        };
        // Still locked at the switch point: who only tries may fail meanwhile.
        on_drop(name, location, || {
            // Writers see what readers did; readers do not see each other.
            order::released(order::at(holders) + usize::from(self.how == How::Read));
            holders.count.fetch_sub(1, Relaxed);
        });
    }
}

impl Drop for Hold<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((holders, location)) = self.held {
            self.release(holders, location);
        }
    }
}

/// A blocking call that will never return ends here: with a panic, which is its documented contract;
/// and with the process where the thread is panicking already, for then the only other way is to hang.
#[cold]
#[track_caller]
pub(super) fn give_up(message: &str) -> ! {
    if std::thread::panicking() {
        eprintln!("{message}; this happened while a panic was unwinding, so the process ends");
        std::process::abort();
    }
    panic!("{message}")
}

/// A number for this thread, never 0.
fn this_thread() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local! {
        static NUMBER: Cell<u32> = const { Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        NUMBER.set(NEXT.fetch_add(1, Relaxed).max(1));
    }
    NUMBER.get()
}
