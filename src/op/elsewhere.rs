//! The slow way round: operations that are started, awaited or cancelled away from their worker.

use std::sync::Arc;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::home::{HomeRef, lock};
use super::started;
use crate::backend::Token;

/// Where an operation that a message starts has got to: what a cancel handle made before needs.
pub(crate) struct Started {
    pub(crate) home: HomeRef,
    at: started::Started,
}

impl Started {
    pub(crate) fn new(home: HomeRef) -> Started {
        Started {
            home,
            at: started::Started::new(),
        }
    }

    /// The operation starts with this token. False: it was cancelled before it came so far.
    pub(crate) fn set(&self, first: Token) -> bool {
        self.at.set(first.0)
    }

    /// Cancels it if it is still on its way; else says with which token it started.
    pub(crate) fn cancel(&self) -> Option<Token> {
        self.at.cancel().map(Token)
    }
}

/// Where a worker puts the output for a future that is polled elsewhere.
pub(crate) struct Fetched<T> {
    state: Mutex<FetchedState<T>>,
    started: Arc<Started>,
}

struct FetchedState<T> {
    output: Option<T>,
    waker: Option<Waker>,
    abandoned: bool,
    /// There will be no output: a panic has taken it.
    lost: bool,
}

/// The duty to put an output there. If it is dropped undone, a method of the buffer panicked when the
/// output was made.
pub(crate) struct Delivery<T>(Option<Arc<Fetched<T>>>);

impl<T> Delivery<T> {
    pub(crate) fn put(mut self, output: T) {
        if let Some(to) = self.0.take() {
            to.put(output);
        }
    }
}

impl<T> Drop for Delivery<T> {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            let waker = {
                let mut state = lock(&to.state);
                state.lost = true;
                state.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<T> Fetched<T> {
    pub(crate) fn delivery(self: &Arc<Self>) -> Delivery<T> {
        Delivery(Some(self.clone()))
    }

    pub(crate) fn new(home: HomeRef) -> Arc<Fetched<T>> {
        Arc::new(Fetched {
            state: Mutex::new(FetchedState {
                output: None,
                waker: None,
                abandoned: false,
                lost: false,
            }),
            started: Arc::new(Started::new(home)),
        })
    }

    pub(crate) fn started(&self) -> Arc<Started> {
        self.started.clone()
    }

    pub(crate) fn put(&self, output: T) {
        let (waker, unwanted) = {
            let mut state = lock(&self.state);
            if state.abandoned {
                (None, Some(output))
            } else {
                state.output = Some(output);
                (state.waker.take(), None)
            }
        };
        // User code (a buffer's Drop, a waker) runs outside the lock.
        drop(unwanted);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// # Panics
    ///
    /// If the output was lost to a panic on the worker.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<T> {
        let mut state = lock(&self.state);
        match state.output.take() {
            Some(output) => Poll::Ready(output),
            None if state.lost => {
                panic!("a method of the lent buffer panicked, and the output is lost")
            }
            None => {
                let old = state.waker.replace(cx.waker().clone());
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }

    /// Nobody will ask any more: the output is thrown away. For cancelling it on the way.
    pub(crate) fn abandon(&self) -> Arc<Started> {
        let (output, waker) = {
            let mut state = lock(&self.state);
            state.abandoned = true;
            (state.output.take(), state.waker.take())
        };
        drop((output, waker));
        self.started()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        lock(&self.state).abandoned
    }
}
