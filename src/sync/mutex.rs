//! [`Mutex`]: std's, with a switch point before each use.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::held::{Holders, How};
use crate::switch::{self, Point};

/// [`std::sync::Mutex`], which a simulation can schedule.
///
/// The same methods, the same poisoning. It blocks its thread like std's, so keep what you do under it
/// short, and never hold a guard across an `.await`.
///
/// In a simulation each call is a switch point, and a worker that would have to wait lets the others go
/// on. [`lock`](Mutex::lock) panics if the lock can never be had, with the places of both.
///
/// ```
/// use proactor::sync::{Arc, Mutex};
///
/// let total = Arc::new(Mutex::new(0));
/// std::thread::scope(|scope| {
///     for n in 1..=4 {
///         let total = total.clone();
///         scope.spawn(move || *total.lock().unwrap() += n);
///     }
/// });
/// assert_eq!(*total.lock().unwrap(), 10);
/// ```
pub struct Mutex<T: ?Sized> {
    holders: Holders,
    inner: std::sync::Mutex<T>,
}

/// What a [`Mutex`] guards, for as long as this lives. See [`std::sync::MutexGuard`].
///
/// ```
/// use proactor::sync::{Mutex, MutexGuard};
///
/// fn bump(mut guard: MutexGuard<'_, u32>) {
///     *guard += 1;
/// }
/// let mutex = Mutex::new(1);
/// bump(mutex.lock().unwrap());
/// assert_eq!(*mutex.lock().unwrap(), 2);
/// ```
#[must_use = "a mutex is unlocked as soon as its guard is dropped"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized> {
    // In this order: the simulation hears of it before the lock is free.
    unlock: Unlock<'a, T>,
    inner: std::sync::MutexGuard<'a, T>,
}

/// Tells the simulation that a guard is dropped.
struct Unlock<'a, T: ?Sized>(&'a Mutex<T>);

impl<T: ?Sized> Drop for Unlock<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if switch::is_simulated() {
            self.0.holders.release(How::Mutex);
        }
    }
}

impl<T> Mutex<T> {
    /// An unlocked mutex.
    ///
    /// ```
    /// static CONNECTIONS: proactor::sync::Mutex<Vec<u32>> = proactor::sync::Mutex::new(Vec::new());
    /// CONNECTIONS.lock().unwrap().push(1);
    /// ```
    #[inline]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex {
            holders: Holders::none(),
            inner: std::sync::Mutex::new(value),
        }
    }

    /// What it guarded. No switch point: nobody else has it any more.
    ///
    /// # Errors
    ///
    /// The value in a [`PoisonError`] if somebody panicked with the lock held.
    ///
    /// ```
    /// assert_eq!(proactor::sync::Mutex::new(7).into_inner().unwrap(), 7);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock can be had, and takes it.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`] if somebody panicked with the lock held.
    ///
    /// # Panics
    ///
    /// In a simulation, if nobody who could release the lock will ever go on; the message names where
    /// it is held and where it is waited for. (On a real kernel such a thread hangs; std says
    /// "deadlock or panic".) If the thread is panicking already the process ends instead, as it does
    /// whenever a destructor panics while unwinding.
    ///
    /// ```
    /// let mutex = proactor::sync::Mutex::new(String::new());
    /// mutex.lock().unwrap().push_str("hello");
    /// assert_eq!(*mutex.lock().unwrap(), "hello");
    /// ```
    ///
    /// A task can't hold it while it waits: the guard is not `Send`.
    ///
    /// ```compile_fail
    /// # fn on(proactor: &proactor::Handle, handle: proactor::Handle) {
    /// let mutex = proactor::sync::Mutex::new(0);
    /// drop(proactor.spawn(async move {
    ///     let guard = mutex.lock().unwrap();
    ///     let _ = handle.sleep(std::time::Duration::from_secs(1)).await;
    ///     drop(guard);
    /// }));
    /// # }
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        if switch::is_simulated() {
            return self.lock_simulated();
        }
        self.guard(self.inner.lock())
    }

    /// Takes the lock if nobody holds it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody does; the guard in a poison error if somebody panicked
    /// with it.
    ///
    /// ```
    /// let mutex = proactor::sync::Mutex::new(());
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let simulated = switch::is_simulated();
        if simulated {
            switch::point(Point::Sync("Mutex::try_lock"));
        }
        let locked = match self.inner.try_lock() {
            Ok(inner) => Ok(inner),
            Err(TryLockError::Poisoned(poisoned)) => Err(poisoned),
            Err(TryLockError::WouldBlock) => return Err(TryLockError::WouldBlock),
        };
        if simulated {
            self.holders.hold(How::Mutex, Location::caller());
        }
        self.guard(locked).map_err(TryLockError::Poisoned)
    }

    /// Whether somebody panicked with the lock held.
    ///
    /// ```
    /// assert!(!proactor::sync::Mutex::new(1).is_poisoned());
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Says that the value is fit for use again.
    ///
    /// ```
    /// # let mutex = proactor::sync::Mutex::new(1);
    /// # let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
    /// #     let _guard = mutex.lock();
    /// #     std::panic::resume_unwind(Box::new(()));
    /// # }));
    /// let mut guard = mutex.lock().unwrap_or_else(|poisoned| {
    ///     mutex.clear_poison();
    ///     poisoned.into_inner()
    /// });
    /// *guard = 0;
    /// assert!(!mutex.is_poisoned());
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// What it guards, without locking: the borrow proves that nobody else has it.
    ///
    /// # Errors
    ///
    /// The borrow in a [`PoisonError`] if somebody panicked with the lock held.
    ///
    /// ```
    /// let mut mutex = proactor::sync::Mutex::new(1);
    /// *mutex.get_mut().unwrap() = 2;
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    #[track_caller]
    fn lock_simulated(&self) -> LockResult<MutexGuard<'_, T>> {
        let point = Point::Sync("Mutex::lock");
        switch::point(point);
        self.lock_at_point(point)
    }

    /// Takes it in a simulation, where others went on first.
    #[track_caller]
    pub(super) fn lock_at_point(&self, point: Point) -> LockResult<MutexGuard<'_, T>> {
        let locked = loop {
            match self.inner.try_lock() {
                Ok(inner) => break Ok(inner),
                Err(TryLockError::Poisoned(poisoned)) => break Err(poisoned),
                // A thread outside of the simulation will release it.
                Err(TryLockError::WouldBlock) if !self.holders.are_ours() => {
                    break self.inner.lock();
                }
                Err(TryLockError::WouldBlock) => {
                    if !switch::block_until(point, || !self.holders.are_waited_for()) {
                        self.holders.never_released("Mutex::lock");
                    }
                }
            }
        };
        self.holders.hold(How::Mutex, Location::caller());
        self.guard(locked)
    }

    #[inline]
    pub(super) fn guard<'a>(
        &'a self,
        locked: LockResult<std::sync::MutexGuard<'a, T>>,
    ) -> LockResult<MutexGuard<'a, T>> {
        let unlock = Unlock(self);
        match locked {
            Ok(inner) => Ok(MutexGuard { unlock, inner }),
            Err(poisoned) => {
                let inner = poisoned.into_inner();
                Err(PoisonError::new(MutexGuard { unlock, inner }))
            }
        }
    }
}

#[cfg(test)]
impl<T: ?Sized> Mutex<T> {
    /// Whether a worker of this thread's simulation holds it.
    pub(super) fn holders_are_ours(&self) -> bool {
        self.holders.are_ours()
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Its mutex, and std's guard of that, for `Condvar`: in a simulation the lock is not told to be
    /// released.
    #[inline]
    pub(super) fn into_parts(self) -> (&'a Mutex<T>, std::sync::MutexGuard<'a, T>) {
        let mutex = self.unlock.0;
        std::mem::forget(self.unlock);
        (mutex, self.inner)
    }

    /// Unlocks; its mutex.
    #[inline]
    pub(super) fn unlock(self) -> &'a Mutex<T> {
        self.unlock.0
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}
