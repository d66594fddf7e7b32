//! Who holds a lock in a simulation, and what is said of one that will never be released.
//!
//! All of this is read and written by simulated workers only.

use std::cell::Cell;
use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

use super::{on_drop, order};
use crate::switch;

/// The simulated workers that hold one lock.
///
/// They all run on the thread of their simulation. A lock may, against all advice, be shared with
/// threads outside: those never show up here, or under another thread's number.
pub(super) struct Holders {
    /// Where the last of them got it.
    location: AtomicPtr<Location<'static>>,
    count: AtomicU32,
    thread: AtomicU32,
    /// The simulated worker that got it last, from 1. 0: none.
    worker: AtomicU32,
}

impl Holders {
    pub(super) const fn none() -> Holders {
        Holders {
            location: AtomicPtr::new(ptr::null_mut()),
            count: AtomicU32::new(0),
            thread: AtomicU32::new(0),
            worker: AtomicU32::new(0),
        }
    }

    /// Whether simulated workers of this very thread hold it. Only they go on when a simulation is
    /// asked to wait.
    pub(super) fn are_ours(&self) -> bool {
        self.count.load(Relaxed) > 0 && self.thread.load(Relaxed) == this_thread()
    }

    /// Whether who wants it has to wait on; if so, whoever asks is told for whom.
    pub(super) fn are_waited_for(&self) -> bool {
        let ours = self.are_ours();
        if ours {
            let worker = self.worker.load(Relaxed).checked_sub(1);
            switch::held_by(worker.map(|worker| worker as usize), self.location());
        }
        ours
    }

    /// One more holder: a simulated worker has just got the lock.
    pub(super) fn hold(&self, how: How, location: &'static Location<'static>) {
        let at = order::at(self);
        order::acquired(at);
        if how == How::Write {
            order::acquired(at + 1);
        }
        let others = if self.are_ours() && how == How::Read {
            self.count.load(Relaxed)
        } else {
            0
        };
        self.location
            .store(ptr::from_ref(location).cast_mut(), Relaxed);
        self.thread.store(this_thread(), Relaxed);
        let worker = switch::worker().map_or(0, |worker| worker as u32 + 1);
        self.worker.store(worker, Relaxed);
        self.count.store(others + 1, Relaxed);
    }

    /// One holder less: its guard is being dropped, and the lock is still held.
    #[cold]
    pub(super) fn release(&self, how: How) {
        // A guard from before the simulation is none of its workers'.
        let Some(location) = self.location().filter(|_| self.are_ours()) else {
            return;
        };
        let name = match how {
            How::Mutex => "MutexGuard::drop",
            How::Read => "RwLockReadGuard::drop",
            How::Write => "RwLockWriteGuard::drop",
        };
        // Still locked at the switch point: who only tries may fail meanwhile.
        on_drop(name, location, || {
            // Writers see what readers did; readers do not see each other.
            order::released(order::at(self) + usize::from(how == How::Read));
            match how {
                How::Read => drop(self.count.fetch_sub(1, Relaxed)),
                // It is the only one.
                How::Mutex | How::Write => self.count.store(0, Relaxed),
            }
        });
    }

    /// A writer becomes a reader.
    pub(super) fn downgrade(&self) {
        order::released(order::at(self));
    }

    /// The lock can't be had, and never will be.
    #[cold]
    #[track_caller]
    pub(super) fn never_released(&self, call: &str) -> ! {
        let since = match self.location() {
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

    /// Where the last one got it.
    fn location(&self) -> Option<&'static Location<'static>> {
        // SAFETY: `hold` alone writes it, from a `&'static Location`.
        unsafe { self.location.load(Relaxed).as_ref() }
    }
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Mutex,
    Read,
    Write,
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
