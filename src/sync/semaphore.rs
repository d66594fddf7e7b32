//! [`Semaphore`]: so many at a time, first come first served.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use super::line::{Line, Place, Polled};
use super::{lock, on_drop, order};
use crate::switch::{self, Point};

/// Limits how many do something at a time.
///
/// First come, first served: who waits is never overtaken, by [`try_acquire`](Semaphore::try_acquire)
/// neither, so one that wants many permits gets them in the end.
///
/// May be used from any thread and in any runtime. In a simulation each use is a switch point.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if proactor::Proactor::new().is_err() { return Ok(()) }
/// use proactor::sync::{Arc, Semaphore};
///
/// let proactor = proactor::Proactor::new()?;
/// let uploads = Arc::new(Semaphore::new(2));
/// let tasks = [1, 2, 3].map(|n| {
///     let (uploads, proactor) = (uploads.clone(), proactor.handle());
///     proactor.clone().spawn(async move {
///         let _permit = uploads.acquire().await.unwrap();
///         proactor.sleep(std::time::Duration::from_millis(1)).await.unwrap(); // two at a time
///         n
///     })
/// });
/// # proactor.block_on(async { for task in tasks { task.await.unwrap(); } })?;
/// # Ok(())
/// # }
/// ```
pub struct Semaphore {
    state: Mutex<State>,
}

struct State {
    line: Line,
    closed: bool,
}

/// The semaphore was closed.
///
/// ```
/// let semaphore = proactor::sync::Semaphore::new(0);
/// semaphore.close();
/// assert_eq!(semaphore.try_acquire().unwrap_err().to_string(), "the semaphore is closed");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

/// Why [`Semaphore::try_acquire`] gave no permit.
///
/// ```
/// use proactor::sync::{Semaphore, TryAcquireError};
/// assert_eq!(Semaphore::new(0).try_acquire().unwrap_err(), TryAcquireError::NoPermits);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TryAcquireError {
    /// The semaphore was closed.
    Closed,
    /// Not so many are free, or others wait.
    NoPermits,
}

impl Semaphore {
    /// The most permits that there may be.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// A semaphore with so many free permits.
    ///
    /// # Panics
    ///
    /// If there are more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    ///
    /// ```
    /// static UPLOADS: proactor::sync::Semaphore = proactor::sync::Semaphore::new(4);
    /// assert_eq!(UPLOADS.available_permits(), 4);
    /// ```
    #[must_use]
    #[track_caller]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Semaphore::MAX_PERMITS, "too many permits");
        Semaphore {
            state: Mutex::new(State {
                line: Line::new(permits),
                closed: false,
            }),
        }
    }

    /// How many are free.
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(2);
    /// let _permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// ```
    #[track_caller]
    pub fn available_permits(&self) -> usize {
        switch::point(Point::Sync("Semaphore::available_permits"));
        lock(&self.state).line.free
    }

    /// Waits for a permit. It is given back when it is dropped.
    ///
    /// Ends with [`Closed`] once the semaphore is closed. Cancel-safe: if it is dropped after a permit
    /// was given to it, the next in the line gets that; but its place in the line is lost.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let semaphore = proactor::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// let mut acquire = pin!(semaphore.acquire());
    /// assert!(acquire.as_mut().poll(&mut cx).is_pending());
    /// drop(permit);
    /// assert!(acquire.as_mut().poll(&mut cx).is_ready());
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Waits for several permits at once. See [`acquire`](Semaphore::acquire).
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let semaphore = proactor::sync::Semaphore::new(3);
    /// assert!(pin!(semaphore.acquire_many(4)).poll(&mut cx).is_pending());
    /// ```
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            wants: permits,
            place: None,
            location: Location::caller(),
        }
    }

    /// As [`acquire_many`](Semaphore::acquire_many), with a permit that may go anywhere.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # if proactor::Proactor::new().is_err() { return Ok(()) }
    /// use proactor::sync::{Arc, Semaphore};
    ///
    /// let connections = Arc::new(Semaphore::new(100));
    /// # let proactor = proactor::Proactor::new()?;
    /// # let handle = proactor.handle();
    /// # proactor.block_on(async {
    /// let permit = connections.acquire_owned(1).await?;
    /// handle.spawn(async move {
    ///     let _permit = permit; // until the connection ends
    /// });
    /// # Ok::<_, proactor::sync::Closed>(())
    /// # })??;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: &Arc<Self>, permits: usize) -> AcquireOwned {
        AcquireOwned {
            semaphore: self.clone(),
            wants: permits,
            place: None,
            location: Location::caller(),
        }
    }

    /// A permit, if one is free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`].
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert!(semaphore.try_acquire().is_err());
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Permit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Several permits, if so many are free and nobody waits.
    ///
    /// # Errors
    ///
    /// [`TryAcquireError`].
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(3);
    /// assert_eq!(semaphore.try_acquire_many(3).unwrap().count(), 3);
    /// ```
    #[track_caller]
    pub fn try_acquire_many(&self, permits: usize) -> Result<Permit<'_>, TryAcquireError> {
        switch::point(Point::Sync("Semaphore::try_acquire"));
        {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(TryAcquireError::Closed);
            }
            if !state.line.take(permits) {
                return Err(TryAcquireError::NoPermits);
            }
        }
        order::acquired(order::at(self));
        Ok(Permit {
            semaphore: self,
            count: permits,
            location: Location::caller(),
        })
    }

    /// More permits than there were.
    ///
    /// # Panics
    ///
    /// If more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS) would be free.
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        switch::point(Point::Sync("Semaphore::add_permits"));
        assert!(self.give_back(permits), "too many permits");
    }

    /// No more permits: all who wait, and all who come, get [`Closed`]. Permits that were given stay.
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(1);
    /// semaphore.close();
    /// assert!(semaphore.is_closed() && semaphore.try_acquire().is_err());
    /// ```
    #[track_caller]
    pub fn close(&self) {
        switch::point(Point::Sync("Semaphore::close"));
        order::released(order::at(self));
        let waiters = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.line.send_away()
        };
        for waker in waiters {
            waker.wake();
        }
    }

    /// Whether it was closed.
    ///
    /// ```
    /// assert!(!proactor::sync::Semaphore::new(1).is_closed());
    /// ```
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        switch::point(Point::Sync("Semaphore::is_closed"));
        lock(&self.state).closed
    }

    fn poll(
        &self,
        place: &mut Place,
        wants: usize,
        location: &'static Location<'static>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Closed>> {
        switch::point_at(Point::Sync("Semaphore::acquire"), location);
        let (polled, old) = {
            let mut state = lock(&self.state);
            if state.closed && place.is_none() {
                (Polled::Away, None)
            } else {
                state.line.poll(place, wants, cx)
            }
        };
        drop(old);
        let result = match polled {
            Polled::Waits => return Poll::Pending,
            Polled::Got => Ok(()),
            Polled::Away => Err(Closed),
        };
        order::acquired(order::at(self));
        Poll::Ready(result)
    }

    /// A future that waits is dropped.
    fn leave(&self, place: Place, location: &'static Location<'static>) {
        let Some(number) = place else { return };
        on_drop("Acquire::drop", location, || {
            let (_given, old) = lock(&self.state).line.leave(number);
            drop(old);
            self.serve();
        });
    }

    /// False, and nothing is done: there would be too many.
    fn give_back(&self, permits: usize) -> bool {
        order::released(order::at(self));
        {
            let line = &mut lock(&self.state).line;
            let free = line.free.checked_add(permits);
            let Some(free) = free.filter(|&free| free <= Semaphore::MAX_PERMITS) else {
                return false;
            };
            line.free = free;
        }
        self.serve();
        true
    }

    fn serve(&self) {
        loop {
            let next = lock(&self.state).line.serve();
            let Some(waker) = next else { return };
            waker.wake();
        }
    }
}

/// The future of [`Semaphore::acquire`].
///
/// ```
/// let semaphore = proactor::sync::Semaphore::new(1);
/// let acquire: proactor::sync::Acquire<'_> = semaphore.acquire();
/// # drop(acquire);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    wants: usize,
    place: Place,
    location: &'static Location<'static>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (wants, location) = (this.wants, this.location);
        this.semaphore
            .poll(&mut this.place, wants, location, cx)
            .map_ok(|()| Permit {
                semaphore: this.semaphore,
                count: wants,
                location,
            })
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        self.semaphore.leave(self.place, self.location);
    }
}

/// The future of [`Semaphore::acquire_owned`].
///
/// ```
/// use proactor::sync::{AcquireOwned, Arc, Semaphore};
/// let acquire: AcquireOwned = Arc::new(Semaphore::new(1)).acquire_owned(1);
/// # drop(acquire);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct AcquireOwned {
    semaphore: Arc<Semaphore>,
    wants: usize,
    place: Place,
    location: &'static Location<'static>,
}

impl Future for AcquireOwned {
    type Output = Result<OwnedPermit, Closed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (wants, location) = (this.wants, this.location);
        this.semaphore
            .poll(&mut this.place, wants, location, cx)
            .map_ok(|()| OwnedPermit {
                semaphore: this.semaphore.clone(),
                count: wants,
                location,
            })
    }
}

impl Drop for AcquireOwned {
    fn drop(&mut self) {
        self.semaphore.leave(self.place, self.location);
    }
}

/// Permits of a [`Semaphore`], given back on drop.
///
/// ```
/// let semaphore = proactor::sync::Semaphore::new(1);
/// let permit: proactor::sync::Permit<'_> = semaphore.try_acquire().unwrap();
/// drop(permit);
/// assert_eq!(semaphore.available_permits(), 1);
/// ```
#[must_use = "a permit is given back as soon as it is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
    location: &'static Location<'static>,
}

impl Permit<'_> {
    /// How many.
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(2);
    /// assert_eq!(semaphore.try_acquire_many(2).unwrap().count(), 2);
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives them back.
    ///
    /// ```
    /// let semaphore = proactor::sync::Semaphore::new(1);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert_eq!(semaphore.available_permits(), 0);
    /// ```
    pub fn forget(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        on_drop("Permit::drop", self.location, || {
            self.semaphore.give_back(self.count);
        });
    }
}

/// As [`Permit`], but it keeps the semaphore alive and may go anywhere.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if proactor::Proactor::new().is_err() { return Ok(()) }
/// # let proactor = proactor::Proactor::new()?;
/// use proactor::sync::{Arc, OwnedPermit, Semaphore};
/// let semaphore = Arc::new(Semaphore::new(1));
/// let permit: OwnedPermit = proactor.block_on(semaphore.acquire_owned(1))??;
/// std::thread::spawn(move || drop(permit)).join().unwrap();
/// assert_eq!(semaphore.available_permits(), 1);
/// # Ok(())
/// # }
/// ```
#[must_use = "a permit is given back as soon as it is dropped"]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
    location: &'static Location<'static>,
}

impl OwnedPermit {
    /// How many.
    ///
    /// ```
    /// # fn count(permit: proactor::sync::OwnedPermit) -> usize {
    /// permit.count()
    /// # }
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        on_drop("OwnedPermit::drop", self.location, || {
            self.semaphore.give_back(self.count);
        });
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (free, closed) = {
            let state = lock(&self.state);
            (state.line.free, state.closed)
        };
        f.debug_struct("Semaphore")
            .field("available_permits", &free)
            .field("closed", &closed)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryAcquireError::Closed => Closed.fmt(f),
            TryAcquireError::NoPermits => f.write_str("no permits are free"),
        }
    }
}

impl Error for Closed {}
impl Error for TryAcquireError {}
