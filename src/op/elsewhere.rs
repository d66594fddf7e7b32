//! The slow way round: operations that are started, awaited or cancelled away from their worker.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::cancel::Cancel;
use super::handover::{self, Awaiting};
use super::home::{HomeRef, Message};
use super::kind::Kind;
use super::started;
use crate::backend::{Note, Token};

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

/// The future's end of an operation that its worker starts, or whose output its worker hands out.
pub(super) struct Away<T> {
    awaiting: Awaiting<Arrived<T>>,
    started: Arc<Started>,
}

/// The worker's end: the duty to hand an output over. Dropped without, the output is lost.
pub(super) struct Delivery<T> {
    handover: handover::Delivery<Arrived<T>>,
    home: HomeRef,
    unread: fn(&T) -> Option<Note>,
}

/// Both ends, for an operation of this kind that is at home there.
pub(super) fn away<K: Kind>(home: HomeRef) -> (Delivery<K::Output>, Away<K::Output>) {
    let (handover, awaiting) = handover::handover();
    let delivery = Delivery {
        handover,
        home,
        unread: K::unread,
    };
    let started = Arc::new(Started::new(home));
    (delivery, Away { awaiting, started })
}

impl<T> Delivery<T> {
    pub(super) fn put(self, output: T) {
        self.handover.put(Arrived {
            output: Some(output),
            home: self.home,
            unread: self.unread,
        });
    }

    /// Whether nobody will ask for the output.
    pub(super) fn is_abandoned(&self) -> bool {
        self.handover.is_abandoned()
    }

    /// Nobody will ever answer: the other end waits for as long as it likes.
    pub(super) fn forget(self) {
        self.handover.forget();
    }
}

impl<T> Away<T> {
    pub(super) fn started(&self) -> &Arc<Started> {
        &self.started
    }

    /// # Panics
    ///
    /// If the output was lost to a panic on the worker.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<T> {
        match std::task::ready!(self.awaiting.poll(cx)) {
            Ok(arrived) => Poll::Ready(arrived.read()),
            Err(handover::Lost) => {
                panic!("a method of the lent buffer panicked, and the output is lost")
            }
        }
    }

    /// Nobody will ask any more: the output is thrown away, and a cancel asked for.
    pub(super) fn let_go(self) {
        let Away { awaiting, started } = self;
        drop(awaiting);
        Cancel::of_started(started).cancel();
    }
}

/// An output on its way. If it is dropped unread, what was in it is counted as discarded.
struct Arrived<T> {
    output: Option<T>,
    home: HomeRef,
    unread: fn(&T) -> Option<Note>,
}

impl<T> Arrived<T> {
    fn read(mut self) -> T {
        match self.output.take() {
            Some(output) => output,
            None => unreachable!("an output is read once: `read` takes all of it"),
        }
    }
}

impl<T> Drop for Arrived<T> {
    fn drop(&mut self) {
        if let Some(note) = self.output.as_ref().and_then(self.unread) {
            match self.home.here() {
                Some(local) => local.note(note),
                None => self
                    .home
                    .send(Message::Run(Box::new(move |local| local.note(note)))),
            }
        }
    }
}
