//! A channel for one value.
//!
//! May be used from any thread and in any runtime. In a simulation each use is a switch point.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if proactor::Proactor::new().is_err() { return Ok(()) }
//! use proactor::sync::oneshot;
//!
//! let proactor = proactor::Proactor::new()?;
//! let (sender, receiver) = oneshot::channel();
//! std::thread::spawn(move || sender.send(6 * 7));
//! assert_eq!(proactor.block_on(receiver)?, Ok(42));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

pub use std::sync::mpsc::{RecvError, TryRecvError};

use super::{lock, on_drop, order};
use crate::switch::{self, Point};

/// A channel for one value.
///
/// ```
/// let (sender, mut receiver) = proactor::sync::oneshot::channel();
/// sender.send("value").unwrap();
/// assert_eq!(receiver.try_recv(), Ok("value"));
/// ```
#[must_use]
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        state: Mutex::new(State {
            value: None,
            sender_gone: false,
            receiver_gone: false,
            receiving: None,
            closing: None,
        }),
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
}

struct State<T> {
    value: Option<T>,
    sender_gone: bool,
    receiver_gone: bool,
    /// The receiver waits for the value.
    receiving: Option<Waker>,
    /// The sender waits for the receiver to go.
    closing: Option<Waker>,
}

/// Sends the one value. Dropped without, it ends the receiver's wait with an error.
///
/// ```
/// use proactor::sync::oneshot::{self, TryRecvError};
/// let (sender, mut receiver) = oneshot::channel::<u8>();
/// drop(sender);
/// assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
/// ```
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
    location: &'static Location<'static>,
}

impl<T> Sender<T> {
    /// Sends it. Never waits.
    ///
    /// # Errors
    ///
    /// The value, if nobody will receive it.
    ///
    /// ```
    /// let (sender, receiver) = proactor::sync::oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send(1), Err(1));
    /// ```
    #[track_caller]
    pub fn send(self, value: T) -> Result<(), T> {
        switch::point(Point::Sync("oneshot::Sender::send"));
        let waker = {
            let mut state = lock(&self.channel.state);
            if state.receiver_gone {
                return Err(value);
            }
            state.value = Some(value);
            state.sender_gone = true;
            state.receiving.take()
        };
        order::released(order::at(&*self.channel));
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Whether nobody will receive any more.
    ///
    /// ```
    /// let (sender, receiver) = proactor::sync::oneshot::channel::<u8>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        switch::point(Point::Sync("oneshot::Sender::is_closed"));
        lock(&self.channel.state).receiver_gone
    }

    /// Waits until nobody will receive any more: then there is no need to go on with the work.
    /// Cancel-safe.
    ///
    /// ```
    /// # use std::pin::pin;
    /// # use std::task::{Context, Waker};
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// let (mut sender, receiver) = proactor::sync::oneshot::channel::<u8>();
    /// let mut closed = pin!(sender.closed());
    /// assert!(closed.as_mut().poll(&mut cx).is_pending());
    /// drop(receiver);
    /// assert!(closed.as_mut().poll(&mut cx).is_ready());
    /// ```
    pub fn closed(&mut self) -> impl Future<Output = ()> + Send + '_
    where
        T: Send,
    {
        std::future::poll_fn(|cx| {
            switch::point_at(Point::Sync("oneshot::Sender::closed"), self.location);
            let old = {
                let mut state = lock(&self.channel.state);
                if state.receiver_gone {
                    return Poll::Ready(());
                }
                state.closing.replace(cx.waker().clone())
            };
            drop(old);
            Poll::Pending
        })
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if lock(&self.channel.state).sender_gone {
            // It has sent: nothing is left to be told.
            return;
        }
        on_drop("oneshot::Sender::drop", self.location, || {
            let (receiving, closing) = {
                let mut state = lock(&self.channel.state);
                state.sender_gone = true;
                (state.receiving.take(), state.closing.take())
            };
            order::released(order::at(&*self.channel));
            drop(closing);
            if let Some(waker) = receiving {
                waker.wake();
            }
        });
    }
}

/// Receives the one value: a future. Dropped, it lets the sender know.
///
/// Ends with [`RecvError`] if the sender was dropped, or if the value was taken before. Cancel-safe as
/// `&mut receiver`.
///
/// ```
/// # use std::pin::Pin;
/// # use std::task::{Context, Poll, Waker};
/// # let mut cx = Context::from_waker(Waker::noop());
/// let (sender, mut receiver) = proactor::sync::oneshot::channel();
/// assert!(Pin::new(&mut receiver).poll(&mut cx).is_pending());
/// sender.send(1).unwrap();
/// assert_eq!(Pin::new(&mut receiver).poll(&mut cx), Poll::Ready(Ok(1)));
/// ```
#[must_use = "futures do nothing unless polled"]
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
    location: &'static Location<'static>,
}

impl<T> Receiver<T> {
    /// The value, if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if it may still come, `Disconnected` if not, or if it was taken before.
    ///
    /// ```
    /// use proactor::sync::oneshot::{self, TryRecvError};
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// # sender.send(1).unwrap();
    /// ```
    #[track_caller]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        switch::point(Point::Sync("oneshot::Receiver::try_recv"));
        let result = {
            let mut state = lock(&self.channel.state);
            match state.value.take() {
                Some(value) => Ok(value),
                None if state.sender_gone => Err(TryRecvError::Disconnected),
                None => return Err(TryRecvError::Empty),
            }
        };
        order::acquired(order::at(&*self.channel));
        result
    }

    /// Lets the sender know that its value is not wanted. One that was sent already can still be had.
    ///
    /// ```
    /// let (sender, mut receiver) = proactor::sync::oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(1), Err(1));
    /// ```
    #[track_caller]
    pub fn close(&mut self) {
        switch::point(Point::Sync("oneshot::Receiver::close"));
        let closing = self.channel.close().1;
        if let Some(waker) = closing {
            waker.wake();
        }
    }
}

impl<T> Channel<T> {
    /// The receiver goes: what it waited with, and the sender's waker.
    fn close(&self) -> (Option<Waker>, Option<Waker>) {
        order::released(order::at(self));
        let mut state = lock(&self.state);
        state.receiver_gone = true;
        (state.receiving.take(), state.closing.take())
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        switch::point_at(Point::Sync("oneshot::Receiver"), self.location);
        let (result, old) = {
            let mut state = lock(&self.channel.state);
            match state.value.take() {
                Some(value) => (Some(Ok(value)), None),
                None if state.sender_gone || state.receiver_gone => (Some(Err(RecvError)), None),
                None => (None, state.receiving.replace(cx.waker().clone())),
            }
        };
        drop(old);
        match result {
            Some(result) => {
                order::acquired(order::at(&*self.channel));
                Poll::Ready(result)
            }
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        on_drop("oneshot::Receiver::drop", self.location, || {
            let (receiving, closing) = self.channel.close();
            drop(receiving);
            if let Some(waker) = closing {
                waker.wake();
            }
        });
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("oneshot::Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("oneshot::Receiver").finish_non_exhaustive()
    }
}
