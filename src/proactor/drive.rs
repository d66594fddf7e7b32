//! [`Drive`]: a proactor inside another runtime.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Proactor;
use super::team::{Others, end_of};
use crate::backend::{Notified, Until};
use crate::worker::{Goal, Paused, RunEnd, RunError};

/// How many handlers run before the other runtime gets its turn.
const TURN: usize = 256;

/// [`Proactor::run`] as a future: made by [`Proactor::drive`].
#[must_use = "a future does nothing unless it is polled"]
pub struct Drive<'a> {
    proactor: &'a Proactor,
    /// The other workers, which run from the first poll on until it is ready or dropped.
    others: Option<Others>,
    begun: bool,
    /// It stays on the thread that polls it: a worker belongs to one.
    not_send: PhantomData<*const ()>,
}

impl Proactor {
    /// The same as [`run`](Proactor::run), as a future that another runtime polls: it is woken by a
    /// completion, a post or the next deadline. It is `!Send`: spawn it on a local set or await it in
    /// a current-thread runtime's `block_on`.
    ///
    /// Cancel-safe: dropped, nothing is lost; what is in flight stays so.
    ///
    /// # Errors
    ///
    /// Its output is as [`run`](Proactor::run)'s.
    pub fn drive(&self) -> Drive<'_> {
        Drive {
            proactor: self,
            others: None,
            begun: false,
            not_send: PhantomData,
        }
    }
}

impl Future for Drive<'_> {
    type Output = Result<RunEnd, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inside = self.proactor.enter()?;
        let local = inside.local;
        if !self.begun {
            self.others = self.proactor.others(&inside)?;
            self.begun = true;
        }
        if let Some(crew) = &*local.crew.borrow() {
            // It may have gone to rest at the last poll.
            crew.rise(0);
        }
        local.home.is_awake();
        let is_virtual = local.is_virtual.get();
        let wait = if is_virtual { Until::Event } else { Until::Now };
        let paused = local.work(Goal {
            handlers: TURN,
            wait,
            main: false,
            alone: false,
        });
        if !matches!(paused, Ok(Paused::Goal)) {
            self.begun = false;
            let paused = end_of(self.others.take(), &inside, paused)?;
            return Poll::Ready(Ok(paused.end()));
        }
        let has_more = !local.ready.borrow().is_empty() || !local.batch.borrow().is_empty();
        if has_more || !local.home.falls_asleep() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let waker = cx.waker().clone();
        let notified = local
            .lane
            .borrow_mut()
            .as_mut()
            .map(|lane| lane.notify(waker, Until::Event));
        // User code, which may start or close something: the lane is free again.
        match notified.transpose().map_err(RunError::Backend)? {
            Some(Notified::Now(waker)) => waker.wake(),
            Some(Notified::Later(replaced)) => drop(replaced),
            None => {}
        }
        Poll::Pending
    }
}

impl fmt::Debug for Drive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Drive").field(self.proactor).finish()
    }
}
