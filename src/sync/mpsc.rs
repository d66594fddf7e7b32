//! A bounded channel: many senders, one receiver.
//!
//! A sender waits while the channel is full, so a slow consumer slows its producers down. May be used
//! from any thread and in any runtime. In a simulation each use is a switch point.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if proactor::Proactor::new().is_err() { return Ok(()) }
//! use proactor::sync::mpsc;
//!
//! let proactor = proactor::Proactor::new()?;
//! let (sender, mut receiver) = mpsc::channel(2);
//! proactor.spawn(async move {
//!     for n in 1..=4 {
//!         sender.send(n).await.unwrap();
//!     }
//! });
//! let total = proactor.block_on(async {
//!     let mut total = 0;
//!     while let Some(n) = receiver.recv().await {
//!         total += n;
//!     }
//!     total
//! })?;
//! assert_eq!(total, 10);
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

pub use std::sync::mpsc::{SendError, TryRecvError, TrySendError};

use super::line::{Line, Place, Polled};
use super::{Semaphore, lock, on_drop, order};
use crate::switch::{self, Point};

/// A channel that holds up to `capacity` values.
///
/// # Panics
///
/// If `capacity` is 0, or more than [`Semaphore::MAX_PERMITS`].
///
/// ```
/// let (sender, mut receiver) = proactor::sync::mpsc::channel(1);
/// sender.try_send("value").unwrap();
/// assert_eq!(receiver.try_recv(), Ok("value"));
/// ```
#[must_use]
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel needs room for at least 1 value");
    assert!(
        capacity <= Semaphore::MAX_PERMITS,
        "a channel's capacity is at most Semaphore::MAX_PERMITS"
    );
    let channel = Arc::new(Channel {
        state: Mutex::new(State {
            room: Line::new(capacity),
            values: VecDeque::new(),
            ended: false,
            closed: false,
            receiving: None,
        }),
        senders: AtomicUsize::new(1),
        capacity,
    });
    let location = Location::caller();
    let sender = Sender {
        channel: channel.clone(),
        location,
    };
    (sender, Receiver { channel, location })
}

struct Channel<T> {
    state: Mutex<State<T>>,
    senders: AtomicUsize,
    capacity: usize,
}

struct State<T> {
    /// A permit for each value that there is room for.
    room: Line,
    values: VecDeque<T>,
    /// All senders are gone.
    ended: bool,
    /// The receiver wants no more.
    closed: bool,
    receiving: Option<Waker>,
}

/// Sends values; clone it for more senders. The channel ends when all are dropped.
///
/// ```
/// use proactor::sync::mpsc::{self, TryRecvError};
/// let (sender, mut receiver) = mpsc::channel::<u8>(1);
/// drop(sender.clone());
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
/// ```
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
    location: &'static Location<'static>,
}

impl<T> Sender<T> {
    /// Waits for room and sends.
    ///
    /// Those who wait get room in the order in which they came. Ends with the value in a [`SendError`]
    /// if nobody will receive it. Cancel-safe: dropped before its end it has not sent the value, which
    /// is dropped with it. Polled again after its end it is ready at once.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let (sender, mut receiver) = proactor::sync::mpsc::channel(1);
    /// assert!(pin!(sender.send(1)).poll(&mut cx).is_ready());
    /// let mut second = pin!(sender.send(2));
    /// assert!(second.as_mut().poll(&mut cx).is_pending());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// assert!(second.as_mut().poll(&mut cx).is_ready());
    /// ```
    #[track_caller]
    pub fn send(&self, value: T) -> Send<'_, T> {
        Send {
            channel: &self.channel,
            value: Some(value),
            place: None,
            location: Location::caller(),
        }
    }

    /// Sends if there is room and nobody waits for it.
    ///
    /// # Errors
    ///
    /// The value in [`TrySendError::Full`], or in `Disconnected` if nobody will receive it.
    ///
    /// ```
    /// use proactor::sync::mpsc::{self, TrySendError};
    /// let (sender, receiver) = mpsc::channel(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(2), Err(TrySendError::Disconnected(2)));
    /// ```
    #[track_caller]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        switch::point(Point::Sync("mpsc::Sender::try_send"));
        let waker = {
            let mut state = lock(&self.channel.state);
            if state.closed {
                return Err(TrySendError::Disconnected(value));
            }
            if !state.room.take(1) {
                return Err(TrySendError::Full(value));
            }
            state.push(value)
        };
        self.channel.sent(waker);
        Ok(())
    }

    /// Whether nobody will receive any more.
    ///
    /// ```
    /// let (sender, receiver) = proactor::sync::mpsc::channel::<u8>(1);
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        switch::point(Point::Sync("mpsc::Sender::is_closed"));
        lock(&self.channel.state).closed
    }

    /// How many values it holds at most.
    ///
    /// ```
    /// assert_eq!(proactor::sync::mpsc::channel::<u8>(3).0.capacity(), 3);
    /// ```
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.channel.capacity
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.senders.fetch_add(1, Ordering::Relaxed);
        Sender {
            channel: self.channel.clone(),
            location: self.location,
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        on_drop("mpsc::Sender::drop", self.location, || {
            order::released(order::at(&*self.channel));
            if self.channel.senders.fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
            let waker = {
                let mut state = lock(&self.channel.state);
                state.ended = true;
                state.receiving.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        });
    }
}

/// The future of [`Sender::send`].
///
/// ```
/// let (sender, _receiver) = proactor::sync::mpsc::channel(1);
/// let send: proactor::sync::mpsc::Send<'_, u8> = sender.send(1);
/// # drop(send);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Send<'a, T> {
    channel: &'a Channel<T>,
    /// None: sent or given back.
    value: Option<T>,
    place: Place,
    location: &'static Location<'static>,
}

// The value is only ever moved.
impl<T> Unpin for Send<'_, T> {}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        switch::point_at(Point::Sync("mpsc::Sender::send"), this.location);
        let (polled, receiver, old) = {
            let mut state = lock(&this.channel.state);
            let (polled, old) = if state.closed || this.value.is_none() {
                (Polled::Away, None)
            } else {
                state.room.poll(&mut this.place, 1, cx)
            };
            let receiver = match polled {
                Polled::Got => this.value.take().and_then(|value| state.push(value)),
                Polled::Waits | Polled::Away => None,
            };
            (polled, receiver, old)
        };
        drop(old);
        match polled {
            Polled::Waits => Poll::Pending,
            Polled::Got => {
                order::acquired(order::at(this.channel) + 1);
                this.channel.sent(receiver);
                Poll::Ready(Ok(()))
            }
            Polled::Away => Poll::Ready(this.value.take().map_or(Ok(()), |v| Err(SendError(v)))),
        }
    }
}

impl<T> Drop for Send<'_, T> {
    fn drop(&mut self) {
        let Some(number) = self.place else { return };
        on_drop("mpsc::Send::drop", self.location, || {
            let (old, next) = {
                let mut state = lock(&self.channel.state);
                let (_given, old) = state.room.leave(number);
                (old, state.room.serve())
            };
            drop(old);
            if let Some(waker) = next {
                waker.wake();
            }
        });
    }
}

/// Receives values, in the order in which they were sent. Dropped, it drops those that are left and
/// lets the senders know.
///
/// ```
/// let (sender, receiver) = proactor::sync::mpsc::channel(1);
/// drop(receiver);
/// assert!(sender.try_send(1).is_err());
/// ```
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    location: &'static Location<'static>,
}

impl<T> Receiver<T> {
    /// Waits for the next value. None: the channel is empty, and nothing more will come.
    ///
    /// Cancel-safe: dropped before its end it has taken nothing.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Poll, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let (sender, mut receiver) = proactor::sync::mpsc::channel(1);
    /// assert!(pin!(receiver.recv()).poll(&mut cx).is_pending());
    /// sender.try_send(1).unwrap();
    /// drop(sender);
    /// assert_eq!(pin!(receiver.recv()).poll(&mut cx), Poll::Ready(Some(1)));
    /// assert_eq!(pin!(receiver.recv()).poll(&mut cx), Poll::Ready(None));
    /// ```
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv {
            receiver: self,
            location: Location::caller(),
        }
    }

    /// The next value, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if more may come, `Disconnected` if not.
    ///
    /// ```
    /// use proactor::sync::mpsc::{self, TryRecvError};
    /// let (_sender, mut receiver) = mpsc::channel::<u8>(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// ```
    #[track_caller]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        switch::point(Point::Sync("mpsc::Receiver::try_recv"));
        let (taken, next) = lock(&self.channel.state).pop();
        if let Taken::Nothing = taken {
            return Err(TryRecvError::Empty);
        }
        self.channel.received(next);
        match taken {
            Taken::Value(value) => Ok(value),
            _ => Err(TryRecvError::Disconnected),
        }
    }

    /// Wants no more: senders get their values back. Those that were sent already can still be
    /// received.
    ///
    /// ```
    /// let (sender, mut receiver) = proactor::sync::mpsc::channel(2);
    /// sender.try_send(1).unwrap();
    /// receiver.close();
    /// assert!(sender.try_send(2).is_err());
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn close(&mut self) {
        switch::point(Point::Sync("mpsc::Receiver::close"));
        self.channel.close();
    }

    /// How many values are there.
    ///
    /// ```
    /// let (sender, receiver) = proactor::sync::mpsc::channel(2);
    /// sender.try_send(1).unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn len(&self) -> usize {
        switch::point(Point::Sync("mpsc::Receiver::len"));
        lock(&self.channel.state).values.len()
    }

    /// Whether no value is there.
    ///
    /// ```
    /// let (_sender, receiver) = proactor::sync::mpsc::channel::<u8>(2);
    /// assert!(receiver.is_empty());
    /// ```
    #[must_use]
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        on_drop("mpsc::Receiver::drop", self.location, || {
            let (senders, values, waker) = {
                let mut state = lock(&self.channel.state);
                state.closed = true;
                let senders = state.room.send_away();
                let values = std::mem::take(&mut state.values);
                (senders, values, state.receiving.take())
            };
            for waker in senders {
                waker.wake();
            }
            drop((values, waker));
        });
    }
}

/// The future of [`Receiver::recv`].
///
/// ```
/// let (_sender, mut receiver) = proactor::sync::mpsc::channel(1);
/// let recv: proactor::sync::mpsc::Recv<'_, u8> = receiver.recv();
/// # drop(recv);
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
    location: &'static Location<'static>,
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        switch::point_at(Point::Sync("mpsc::Receiver::recv"), self.location);
        let channel = &*self.receiver.channel;
        let (taken, next, old) = {
            let mut state = lock(&channel.state);
            let (taken, next) = state.pop();
            let old = match taken {
                Taken::Nothing => state.receiving.replace(cx.waker().clone()),
                _ => None,
            };
            (taken, next, old)
        };
        drop(old);
        if let Taken::Nothing = taken {
            return Poll::Pending;
        }
        channel.received(next);
        match taken {
            Taken::Value(value) => Poll::Ready(Some(value)),
            _ => Poll::Ready(None),
        }
    }
}

/// What the receiver finds.
enum Taken<T> {
    Value(T),
    /// Not yet.
    Nothing,
    /// Never more.
    End,
}

impl<T> State<T> {
    /// There is room for it. Wake the receiver after the lock.
    fn push(&mut self, value: T) -> Option<Waker> {
        self.values.push_back(value);
        self.receiving.take()
    }

    /// Wake the sender after the lock: there is room for it.
    fn pop(&mut self) -> (Taken<T>, Option<Waker>) {
        match self.values.pop_front() {
            Some(value) => {
                self.room.free += 1;
                (Taken::Value(value), self.room.serve())
            }
            None if self.ended || self.closed => (Taken::End, None),
            None => (Taken::Nothing, None),
        }
    }
}

impl<T> Channel<T> {
    fn sent(&self, receiver: Option<Waker>) {
        order::released(order::at(self));
        if let Some(waker) = receiver {
            waker.wake();
        }
    }

    fn received(&self, sender: Option<Waker>) {
        order::acquired(order::at(self));
        order::released(order::at(self) + 1);
        if let Some(waker) = sender {
            waker.wake();
        }
    }

    fn close(&self) {
        let senders = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.room.send_away()
        };
        for waker in senders {
            waker.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpsc::Sender")
            .field("capacity", &self.channel.capacity)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpsc::Receiver")
            .field("capacity", &self.channel.capacity)
            .finish_non_exhaustive()
    }
}
