//! What a worker runs now, for another thread to read: written only while a watchdog is on.
//!
//! A sequence lock with one writer, the worker. Nothing is written anew for the handler that ran last
//! when the worker goes to sleep or leaves: it says that nothing runs.

use std::panic::Location;
use std::ptr::{from_ref, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

/// See [above](self).
pub(crate) struct Running {
    /// Odd while the others change.
    version: AtomicU64,
    /// Null: nothing runs.
    name: AtomicPtr<&'static str>,
    location: AtomicPtr<Location<'static>>,
}

/// What was found there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sample {
    /// Which of all the handlers that this worker has run.
    pub(crate) version: u64,
    /// What its operation is called, or `post`, `task`.
    pub(crate) name: &'static str,
    /// The initiating call.
    pub(crate) location: Option<&'static Location<'static>>,
}

impl Running {
    pub(crate) const fn new() -> Running {
        Running {
            version: AtomicU64::new(0),
            name: AtomicPtr::new(null_mut()),
            location: AtomicPtr::new(null_mut()),
        }
    }

    /// By the worker alone: this runs from now on.
    pub(crate) fn is(
        &self,
        name: &'static &'static str,
        location: Option<&'static Location<'static>>,
    ) {
        let location = location.map_or(null_mut(), |location| from_ref(location).cast_mut());
        self.set(from_ref(name).cast_mut(), location);
    }

    /// By the worker alone: nothing runs.
    pub(crate) fn is_nothing(&self) {
        self.set(null_mut(), null_mut());
    }

    fn set(&self, name: *mut &'static str, location: *mut Location<'static>) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        // Who sees one of the next two has to see the odd number as well.
        fence(Ordering::Release);
        self.name.store(name, Ordering::Relaxed);
        self.location.store(location, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// What runs. None: nothing, or something else from one moment to the next.
    pub(crate) fn look(&self) -> Option<Sample> {
        let version = self.version.load(Ordering::Acquire);
        let name = self.name.load(Ordering::Relaxed);
        let location = self.location.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        if version % 2 == 1 || self.version.load(Ordering::Relaxed) != version {
            return None;
        }
        // SAFETY: only what came from a &'static is ever stored.
        let (name, location) = unsafe { (name.as_ref(), location.as_ref()) };
        Some(Sample {
            version,
            name: name?,
            location,
        })
    }
}
