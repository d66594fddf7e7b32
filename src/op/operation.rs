//! [`Operation`]: lazy until it is given a handler or awaited, then in its slot until its completion.
//!
//! It turns into a future, but is none: see [`InFlight`] for why that pays. `.await` and
//! [`Proactor::block_on`](crate::Proactor::block_on) take it as it is. What takes a future by its
//! trait, such as [`Handle::spawn`](crate::Handle::spawn), wants it turned into one: by
//! [`into_future`](IntoFuture::into_future), which starts it at once, or by an `async` block that
//! awaits it, and so starts it as the task's own.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::time::Duration;

use super::callback;
use super::cancel::Cancel;
use super::in_flight::{InFlight, already_polled};
use super::kind::Kind;
use super::slots::VTable;
use super::start::{NEVER, Terms};
use crate::time::nanos;

/// Something asked of the kernel, or several things in a row: not started yet, and free to drop.
///
/// Start it with [`then`](Operation::then) and a handler, or `.await` it: one operation, two ways to
/// hear of its end. The buffer that it was given comes back with its output.
///
/// What `.await` polls is [`InFlight`]: where a future is wanted (`join`, `select`, `Box::pin`), say
/// [`into_future`](IntoFuture::into_future), which starts it.
///
/// It can't be started twice, nor forgotten without a word of the compiler's:
///
/// ```compile_fail,E0382
/// # fn stream() -> proactor::net::TcpStream { unimplemented!() }
/// let read = stream().read(vec![0; 64]);
/// read.then(|_| {});
/// read.then(|_| {});
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # fn stream() -> proactor::net::TcpStream { unimplemented!() }
/// stream().write("never sent");
/// ```
///
/// # Cancel safety
///
/// Dropped before that, nothing has happened. Dropped after: see [`InFlight`]. To cancel and *not* lose
/// what was done, use [`cancel_handle`](Operation::cancel_handle) and keep awaiting.
#[must_use = "an operation does nothing until it is given a handler with `.then` or awaited"]
pub struct Operation<K: Kind> {
    state: State<K>,
    terms: Terms,
}

// A tag of its own and no niche: the compiler then sees through a fresh operation that it is Idle.
#[repr(u8)]
enum State<K: Kind> {
    /// Not started.
    Idle(K),
    /// Started for the sake of a cancel handle.
    Started(InFlight<K>),
    /// On its way from one to the other.
    Neither,
}

impl<K: Kind> Operation<K> {
    #[inline]
    #[track_caller]
    pub(crate) fn new(kind: K) -> Operation<K> {
        Operation {
            state: State::Idle(kind),
            terms: Terms {
                timeout: NEVER,
                location: Location::caller(),
            },
        }
    }

    /// As if the initiating call stood there.
    pub(crate) fn started_at(mut self, location: &'static Location<'static>) -> Operation<K> {
        self.terms.location = location;
        self
    }

    /// Bounds the whole operation: `duration` after its start a cancel is asked for. If it had moved
    /// bytes by then a single operation is `Ok(n)`; if not, it is [`std::io::ErrorKind::TimedOut`]. A
    /// composed one ends with an error of that kind which carries
    /// [`Interrupted`](crate::compose::Interrupted). The timer is this operation's alone: it can never
    /// end another (I6).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let late = proactor.block_on(proactor.sleep(Duration::from_secs(60)).timeout(Duration::from_millis(1))).unwrap();
    /// assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    /// ```
    #[inline]
    pub fn timeout(mut self, duration: Duration) -> Operation<K> {
        self.terms.timeout = self.terms.timeout.min(nanos(duration));
        self
    }
}

/// Started, it belongs to the kernel for as long as that takes: from here on nothing may be borrowed.
impl<K: Kind + 'static> Operation<K> {
    /// Starts it; `handler` is called with its output, on the proactor's worker, once, and never
    /// inside this call. If the proactor is torn down first the handler is dropped instead, after the
    /// operation has drained.
    ///
    /// May be called from any thread; away from the worker that runs it costs an allocation and a wake.
    /// The handler may run on another one, so what only one thread may touch does not get into it:
    ///
    /// ```compile_fail,E0277
    /// # fn stream() -> proactor::net::TcpStream { unimplemented!() }
    /// let count = std::rc::Rc::new(std::cell::Cell::new(0));
    /// stream().read(vec![0; 64]).then(move |_| count.set(count.get() + 1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn then<H>(self, handler: H) -> Cancel
    where
        H: FnOnce(K::Output) + Send + 'static,
    {
        // Taken apart without running Drop, which has nothing to do on an operation that was not
        // started: only so does the operation stay in registers.
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and not dropped.
        match unsafe { std::ptr::read(&this.state) } {
            State::Idle(kind) => {
                callback::start(kind, handler, callback::of_handler::<K, H>(), this.terms)
            }
            State::Started(in_flight) => started_already(in_flight),
            State::Neither => already_polled(),
        }
    }

    /// Starts it, with what its completion goes by: `vtable` is one for a `Both<K, H>`.
    #[inline]
    #[track_caller]
    pub(crate) fn start_with<H: Send + 'static>(
        self,
        handler: H,
        vtable: &'static VTable,
    ) -> Cancel {
        match self.state {
            State::Idle(kind) => callback::start(kind, handler, vtable, self.terms),
            State::Started(in_flight) => started_already(in_flight),
            State::Neither => already_polled(),
        }
    }

    /// Starts it, and gives a handle that can ask for a cancel while somebody else awaits: cancel,
    /// then await, and the output is the true outcome.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let mut sleep = proactor.sleep(Duration::from_secs(3600));
    /// let result = proactor.block_on(async {
    ///     let cancel = sleep.cancel_handle();
    ///     cancel.cancel();
    ///     sleep.await
    /// });
    /// assert!(proactor::is_canceled(&result.unwrap().unwrap_err()));
    /// ```
    #[track_caller]
    pub fn cancel_handle(&mut self) -> Cancel {
        let state = match std::mem::replace(&mut self.state, State::Neither) {
            State::Idle(kind) => State::Started(InFlight::start(kind, self.terms)),
            state => state,
        };
        self.state = state;
        match &self.state {
            State::Started(in_flight) => in_flight.cancel_handle(),
            State::Idle(_) | State::Neither => Cancel::NOTHING,
        }
    }
}

impl<K: Kind + 'static> IntoFuture for Operation<K> {
    type Output = K::Output;
    type IntoFuture = InFlight<K>;

    /// Starts it.
    #[inline]
    fn into_future(self) -> InFlight<K> {
        // As in `then`.
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, and not dropped.
        match unsafe { std::ptr::read(&this.state) } {
            State::Idle(kind) => InFlight::start(kind, this.terms),
            State::Started(in_flight) => in_flight,
            State::Neither => already_polled(),
        }
    }
}

/// `then` on an operation that has a cancel handle.
#[cold]
#[inline(never)]
#[track_caller]
fn started_already<K: Kind>(in_flight: InFlight<K>) -> ! {
    drop(in_flight);
    already_polled()
}

impl<K: Kind> fmt::Debug for Operation<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Operation({} at {})", K::NAME, self.terms.location)
    }
}
