//! [`Notify`]: tasks wait until somebody says that something has changed.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use super::line::{Line, Place, Polled};
use super::{lock, on_drop, order};
use crate::switch::{self, Point};

/// Wakes tasks that wait for something to change.
///
/// [`notify_one`](Notify::notify_one) wakes the one that has waited longest; if nobody waits the next
/// that does returns at once. So with one waiter nothing is lost: change, then notify; wait in a loop
/// that looks first. [`notify_waiters`](Notify::notify_waiters) wakes everybody who waits now.
///
/// May be used from any thread and in any runtime. In a simulation each use is a switch point.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # if proactor::Proactor::new().is_err() { return Ok(()) }
/// use proactor::sync::{Arc, Notify};
///
/// let proactor = proactor::Proactor::new()?;
/// let ready = Arc::new(Notify::new());
/// let notifier = ready.clone();
/// std::thread::spawn(move || notifier.notify_one());
/// proactor.block_on(async { ready.notified().await })?;
/// # Ok(())
/// # }
/// ```
pub struct Notify {
    state: Mutex<State>,
}

struct State {
    /// One free permit: a notification that nobody waited for.
    line: Line,
    /// How often all were notified.
    broadcasts: u64,
}

impl Notify {
    /// Nobody waits, and nothing was notified.
    ///
    /// ```
    /// static CHANGED: proactor::sync::Notify = proactor::sync::Notify::new();
    /// CHANGED.notify_one();
    /// ```
    #[must_use]
    pub const fn new() -> Notify {
        Notify {
            state: Mutex::new(State {
                line: Line::new(0),
                broadcasts: 0,
            }),
        }
    }

    /// Waits for a notification.
    ///
    /// It stands in the line from its first poll, but hears of
    /// [`notify_waiters`](Notify::notify_waiters) from now on.
    ///
    /// Cancel-safe: if it is dropped after a notification was given to it, the next in the line gets
    /// that.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let notify = proactor::sync::Notify::new();
    /// let mut notified = pin!(notify.notified());
    /// assert!(notified.as_mut().poll(&mut cx).is_pending());
    /// notify.notify_one();
    /// assert!(notified.as_mut().poll(&mut cx).is_ready());
    /// ```
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        switch::point(Point::Sync("Notify::notified"));
        Notified {
            notify: self,
            broadcasts: lock(&self.state).broadcasts,
            place: None,
            done: false,
            location: Location::caller(),
        }
    }

    /// Wakes the one that has waited longest. If nobody waits, the next that does returns at once;
    /// several such notifications are one.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let notify = proactor::sync::Notify::new();
    /// notify.notify_one();
    /// notify.notify_one();
    /// assert!(pin!(notify.notified()).poll(&mut cx).is_ready());
    /// assert!(pin!(notify.notified()).poll(&mut cx).is_pending());
    /// ```
    #[track_caller]
    pub fn notify_one(&self) {
        switch::point(Point::Sync("Notify::notify_one"));
        order::released(order::at(self));
        let next = lock(&self.state).notify_one();
        if let Some(waker) = next {
            waker.wake();
        }
    }

    /// Wakes everybody who waits now, and nobody who comes later.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let notify = proactor::sync::Notify::new();
    /// let (one, other) = (notify.notified(), notify.notified());
    /// notify.notify_waiters();
    /// assert!(pin!(one).poll(&mut cx).is_ready() && pin!(other).poll(&mut cx).is_ready());
    /// assert!(pin!(notify.notified()).poll(&mut cx).is_pending());
    /// ```
    #[track_caller]
    pub fn notify_waiters(&self) {
        switch::point(Point::Sync("Notify::notify_waiters"));
        order::released(order::at(self));
        let waiters = {
            let mut state = lock(&self.state);
            state.broadcasts += 1;
            state.line.send_away()
        };
        for waker in waiters {
            waker.wake();
        }
    }
}

impl State {
    fn notify_one(&mut self) -> Option<std::task::Waker> {
        // At most one is kept. If somebody waits none was, and this one goes to them.
        self.line.free = 1;
        self.line.serve()
    }
}

/// The future of [`Notify::notified`].
///
/// ```
/// let notify = proactor::sync::Notify::new();
/// let notified: proactor::sync::Notified<'_> = notify.notified();
/// # drop(notified);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// How often all had been notified when this was made.
    broadcasts: u64,
    place: Place,
    done: bool,
    location: &'static Location<'static>,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(());
        }
        switch::point_at(Point::Sync("Notify::notified"), this.location);
        let (polled, old) = {
            let mut state = lock(&this.notify.state);
            if this.place.is_none() && state.broadcasts != this.broadcasts {
                (Polled::Away, None)
            } else {
                state.line.poll(&mut this.place, 1, cx)
            }
        };
        drop(old);
        if let Polled::Waits = polled {
            return Poll::Pending;
        }
        this.done = true;
        order::acquired(order::at(this.notify));
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        let Some(number) = self.place else { return };
        on_drop("Notified::drop", self.location, || {
            let mut state = lock(&self.notify.state);
            let (given, old) = state.line.leave(number);
            let next = if given { state.notify_one() } else { None };
            drop(state);
            drop(old);
            if let Some(waker) = next {
                waker.wake();
            }
        });
    }
}

impl Default for Notify {
    fn default() -> Self {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}
