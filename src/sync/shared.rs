//! [`Shared`]: state of several handlers that something else keeps in order.

use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::switch::{self, Point};

/// A value that several handlers access, one call at a time.
///
/// On a real kernel it is a mutex that each call locks. That makes a call whole, and nothing more: what
/// one call has read may be stale in the next. Whoever needs several calls to be one (a check, and an
/// act that rests on it) orders the handlers: by a strand, by one task, by a lock of
/// [`sync`](crate::sync).
///
/// In a check with several [workers](crate::check::Checker::workers) each call is a place where other
/// handlers may come between. And two calls, one of them a write, that nothing orders (no strand,
/// post, completion, wake or lock) are told as a race, even if no harm came of it in this execution.
///
/// ```
/// use proactor::sync::Shared;
///
/// let total = Shared::new(40);
/// total.set(total.get() + 1);
/// total.with(|total| *total += 1);
/// assert_eq!(total.get(), 42);
/// ```
pub struct Shared<T> {
    /// Its number in simulations, once it has one.
    id: AtomicU64,
    value: Mutex<T>,
}

impl<T> Shared<T> {
    /// With this value.
    pub const fn new(value: T) -> Shared<T> {
        Shared {
            id: AtomicU64::new(0),
            value: Mutex::new(value),
        }
    }

    /// A copy of the value.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.lock("Shared::get", false).clone()
    }

    /// Replaces the value.
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T) {
        let before = std::mem::replace(&mut *self.lock("Shared::set", true), value);
        // User code, which may want the value: not under the lock.
        drop(before);
    }

    /// Does something with the value. Counts as a write.
    ///
    /// Other accesses wait meanwhile: inside, be short and start nothing.
    ///
    /// # Panics
    ///
    /// In a simulation, if it is called inside itself, or if others wait for each other's values: after
    /// the deadlock has been told. On a real kernel that hangs.
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> R {
        act(&mut self.lock("Shared::with", true))
    }

    /// The value itself: nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    #[track_caller]
    fn lock(&self, what: &'static str, writes: bool) -> MutexGuard<'_, T> {
        if switch::is_simulated() {
            return self.lock_simulated(what, writes, Location::caller());
        }
        // A panic in `with` leaves what it leaves: the value is the user's.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn lock_simulated(
        &self,
        what: &'static str,
        writes: bool,
        location: &'static Location<'static>,
    ) -> MutexGuard<'_, T> {
        switch::point_at(Point::Sync(what), location);
        loop {
            match self.value.try_lock() {
                Ok(value) => {
                    switch::accessed_at(|| self.id(), writes, what, location);
                    return value;
                }
                Err(TryLockError::Poisoned(poisoned)) => {
                    switch::accessed_at(|| self.id(), writes, what, location);
                    return poisoned.into_inner();
                }
                Err(TryLockError::WouldBlock) => {}
            }
            let is_free = || !matches!(self.value.try_lock(), Err(TryLockError::WouldBlock));
            assert!(
                switch::block_until_at(Point::Sync(what), location, is_free),
                "{what} at {location} waits for a `Shared::with` that never ends: of itself, or of a \
                 handler that waits as well"
            );
        }
    }

    /// Given when it is first needed: so `new` is const, and a number is never used twice.
    fn id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
        // One thread plays all workers of a simulation.
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
        id
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value.try_lock() {
            Ok(value) => f.debug_tuple("Shared").field(&*value).finish(),
            Err(_) => f.write_str("Shared(in use)"),
        }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let id = *self.id.get_mut();
        if id != 0 {
            switch::forget(id);
        }
    }
}
