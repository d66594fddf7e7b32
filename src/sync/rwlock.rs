//! [`RwLock`]: std's, with a switch point before each use.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};

use super::held::{Holders, How};
use crate::switch::{self, Point};

type StdRead<'a, T> = std::sync::RwLockReadGuard<'a, T>;
type StdWrite<'a, T> = std::sync::RwLockWriteGuard<'a, T>;

/// [`std::sync::RwLock`], which a simulation can schedule: many readers, or one writer.
///
/// The same methods, the same poisoning. In a simulation each call is a switch point, and a worker that
/// would have to wait lets the others go on. There a reader never waits behind a writer that waits
/// itself; on a real kernel it may, so a worker that takes a second read lock while it holds one may
/// hang there although the simulation passed.
///
/// ```
/// use proactor::sync::RwLock;
///
/// let routes = RwLock::new(vec!["/"]);
/// {
///     let (one, another) = (routes.read().unwrap(), routes.try_read().unwrap());
///     assert_eq!(one.len(), another.len());
/// }
/// routes.write().unwrap().push("/about");
/// ```
pub struct RwLock<T: ?Sized> {
    holders: Holders,
    inner: std::sync::RwLock<T>,
}

/// What a [`RwLock`] guards, to be read. See [`std::sync::RwLockReadGuard`].
///
/// ```
/// use proactor::sync::{RwLock, RwLockReadGuard};
///
/// fn twice(guard: RwLockReadGuard<'_, u32>) -> u32 {
///     *guard * 2
/// }
/// assert_eq!(twice(RwLock::new(4).read().unwrap()), 8);
/// ```
#[must_use = "a lock is released as soon as its guard is dropped"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // In this order: the simulation hears of it before the lock is free.
    _unlock: UnlockRead<'a>,
    inner: StdRead<'a, T>,
}

/// Tells the simulation that a reader's guard is dropped.
struct UnlockRead<'a>(&'a Holders);

impl Drop for UnlockRead<'_> {
    #[inline]
    fn drop(&mut self) {
        if switch::is_simulated() {
            self.0.release(How::Read);
        }
    }
}

/// What a [`RwLock`] guards, to be written. See [`std::sync::RwLockWriteGuard`].
///
/// ```
/// use proactor::sync::{RwLock, RwLockWriteGuard};
///
/// fn clear(mut guard: RwLockWriteGuard<'_, Vec<u32>>) {
///     guard.clear();
/// }
/// let lock = RwLock::new(vec![1]);
/// clear(lock.write().unwrap());
/// assert!(lock.read().unwrap().is_empty());
/// ```
#[must_use = "a lock is released as soon as its guard is dropped"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    unlock: UnlockWrite<'a>,
    inner: StdWrite<'a, T>,
}

/// Tells the simulation that a writer's guard is dropped.
struct UnlockWrite<'a>(&'a Holders);

impl Drop for UnlockWrite<'_> {
    #[inline]
    fn drop(&mut self) {
        if switch::is_simulated() {
            self.0.release(How::Write);
        }
    }
}

impl<T> RwLock<T> {
    /// An unlocked lock.
    ///
    /// ```
    /// static LIMIT: proactor::sync::RwLock<usize> = proactor::sync::RwLock::new(64);
    /// assert_eq!(*LIMIT.read().unwrap(), 64);
    /// ```
    #[inline]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock {
            holders: Holders::none(),
            inner: std::sync::RwLock::new(value),
        }
    }

    /// What it guarded. No switch point: nobody else has it any more.
    ///
    /// # Errors
    ///
    /// The value in a [`PoisonError`] if a writer panicked.
    ///
    /// ```
    /// assert_eq!(proactor::sync::RwLock::new(7).into_inner().unwrap(), 7);
    /// ```
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until no writer holds the lock, and takes it to read.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`] if a writer panicked.
    ///
    /// # Panics
    ///
    /// In a simulation, if the lock can never be had, as [`Mutex::lock`](super::Mutex::lock) does; on
    /// a real kernel if the thread holds it already and the system notices.
    ///
    /// ```
    /// assert_eq!(*proactor::sync::RwLock::new(7).read().unwrap(), 7);
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        if switch::is_simulated() {
            return self.read_simulated();
        }
        self.reader(self.inner.read())
    }

    /// Waits until nobody holds the lock, and takes it to write.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`] if a writer panicked.
    ///
    /// # Panics
    ///
    /// As [`read`](RwLock::read).
    ///
    /// ```
    /// let lock = proactor::sync::RwLock::new(7);
    /// *lock.write().unwrap() += 1;
    /// assert_eq!(*lock.read().unwrap(), 8);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        if switch::is_simulated() {
            return self.write_simulated();
        }
        self.writer(self.inner.write())
    }

    /// Takes the lock to read if no writer holds it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if one does; the guard in a poison error if one panicked.
    ///
    /// ```
    /// let lock = proactor::sync::RwLock::new(());
    /// let guard = lock.write().unwrap();
    /// assert!(lock.try_read().is_err());
    /// drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let simulated = switch::is_simulated();
        if simulated {
            switch::point(Point::Sync("RwLock::try_read"));
        }
        let locked = tried(self.inner.try_read()).ok_or(TryLockError::WouldBlock)?;
        if simulated {
            self.holders.hold(How::Read, Location::caller());
        }
        self.reader(locked).map_err(TryLockError::Poisoned)
    }

    /// Takes the lock to write if nobody holds it.
    ///
    /// # Errors
    ///
    /// [`TryLockError::WouldBlock`] if somebody does; the guard in a poison error if a writer panicked.
    ///
    /// ```
    /// let lock = proactor::sync::RwLock::new(());
    /// let guard = lock.read().unwrap();
    /// assert!(lock.try_write().is_err());
    /// drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let simulated = switch::is_simulated();
        if simulated {
            switch::point(Point::Sync("RwLock::try_write"));
        }
        let locked = tried(self.inner.try_write()).ok_or(TryLockError::WouldBlock)?;
        if simulated {
            self.holders.hold(How::Write, Location::caller());
        }
        self.writer(locked).map_err(TryLockError::Poisoned)
    }

    /// Whether a writer panicked.
    ///
    /// ```
    /// assert!(!proactor::sync::RwLock::new(1).is_poisoned());
    /// ```
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Says that the value is fit for use again.
    ///
    /// ```
    /// let lock = proactor::sync::RwLock::new(1);
    /// lock.clear_poison();
    /// assert!(!lock.is_poisoned());
    /// ```
    #[inline]
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// What it guards, without locking: the borrow proves that nobody else has it.
    ///
    /// # Errors
    ///
    /// The borrow in a [`PoisonError`] if a writer panicked.
    ///
    /// ```
    /// let mut lock = proactor::sync::RwLock::new(1);
    /// *lock.get_mut().unwrap() = 2;
    /// ```
    #[inline]
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }

    #[cold]
    #[track_caller]
    fn read_simulated(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let point = Point::Sync("RwLock::read");
        switch::point(point);
        let locked = loop {
            match tried(self.inner.try_read()) {
                Some(locked) => break locked,
                // Threads outside of the simulation will release it.
                None if !self.holders.are_ours() => break self.inner.read(),
                None => {
                    let free =
                        || !self.holders.are_waited_for() || tried(self.inner.try_read()).is_some();
                    if !switch::block_until(point, free) {
                        self.holders.never_released("RwLock::read");
                    }
                }
            }
        };
        self.holders.hold(How::Read, Location::caller());
        self.reader(locked)
    }

    #[cold]
    #[track_caller]
    fn write_simulated(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let point = Point::Sync("RwLock::write");
        switch::point(point);
        let locked = loop {
            match tried(self.inner.try_write()) {
                Some(locked) => break locked,
                None if !self.holders.are_ours() => break self.inner.write(),
                None => {
                    if !switch::block_until(point, || !self.holders.are_waited_for()) {
                        self.holders.never_released("RwLock::write");
                    }
                }
            }
        };
        self.holders.hold(How::Write, Location::caller());
        self.writer(locked)
    }

    #[inline]
    fn reader<'a>(
        &'a self,
        locked: LockResult<StdRead<'a, T>>,
    ) -> LockResult<RwLockReadGuard<'a, T>> {
        let _unlock = UnlockRead(&self.holders);
        match locked {
            Ok(inner) => Ok(RwLockReadGuard { _unlock, inner }),
            Err(poisoned) => {
                let inner = poisoned.into_inner();
                Err(PoisonError::new(RwLockReadGuard { _unlock, inner }))
            }
        }
    }

    #[inline]
    fn writer<'a>(
        &'a self,
        locked: LockResult<StdWrite<'a, T>>,
    ) -> LockResult<RwLockWriteGuard<'a, T>> {
        let unlock = UnlockWrite(&self.holders);
        match locked {
            Ok(inner) => Ok(RwLockWriteGuard { unlock, inner }),
            Err(poisoned) => {
                let inner = poisoned.into_inner();
                Err(PoisonError::new(RwLockWriteGuard { unlock, inner }))
            }
        }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on as a reader, without letting another writer in between.
    ///
    /// ```
    /// use proactor::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(0);
    /// let mut writer = lock.write().unwrap();
    /// *writer = 1;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!((*reader, *lock.read().unwrap()), (1, 1));
    /// ```
    #[track_caller]
    pub fn downgrade(writer: Self) -> RwLockReadGuard<'a, T> {
        switch::point(Point::Sync("RwLockWriteGuard::downgrade"));
        let RwLockWriteGuard { unlock, inner } = writer;
        let holders = unlock.0;
        std::mem::forget(unlock);
        holders.downgrade();
        RwLockReadGuard {
            _unlock: UnlockRead(holders),
            inner: StdWrite::downgrade(inner),
        }
    }
}

/// None: it would block.
#[inline]
fn tried<G>(result: TryLockResult<G>) -> Option<LockResult<G>> {
    match result {
        Ok(guard) => Some(Ok(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Some(Err(poisoned)),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}
