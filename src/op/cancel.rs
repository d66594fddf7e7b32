//! [`Cancel`]: the handle that asks an operation to end early.

use std::fmt;
use std::sync::Arc;

use super::elsewhere::Started;
use super::home::{Home, Message};
use super::slots::{Slot, Stop};
use crate::backend::Token;
use crate::observe;
use crate::switch::{self, Point};

/// Asks an operation that has been started to end early. Copies are cheap; dropping one does nothing.
///
/// A cancel is a request. The truth comes in the operation's own output: done, done in part, or
/// cancelled ([`is_canceled`](crate::is_canceled)). It can only hit the operation that it was made
/// for (I6): after that one's completion it has no effect.
#[derive(Clone)]
pub struct Cancel(Target);

// Two words: so it comes back in registers, and costs nothing where it is dropped at once.
#[derive(Clone)]
enum Target {
    /// The operation that started with this token, on this home. A token is given only once there,
    /// whatever proactors live there in turn.
    InSlot(&'static Home, Token),
    /// Started from elsewhere: the slot is known when the worker has got there. None: it is over.
    Elsewhere(Option<Arc<Started>>),
}

const _: () = assert!(size_of::<Cancel>() == 16);

impl Cancel {
    pub(super) const NOTHING: Cancel = Cancel(Target::Elsewhere(None));

    #[inline]
    pub(super) fn of_slot(home: &'static Home, slot: &Slot) -> Cancel {
        Cancel(Target::InSlot(home, slot.first()))
    }

    pub(super) fn of_started(started: Arc<Started>) -> Cancel {
        Cancel(Target::Elsewhere(Some(started)))
    }

    /// Asks. From any thread, any number of times.
    #[track_caller]
    pub fn cancel(&self) {
        switch::point(Point::Cancel);
        observe::tell(|it| it.cancels());
        let (home, first) = match &self.0 {
            Target::InSlot(home, first) => (*home, *first),
            Target::Elsewhere(Some(started)) => match started.cancel() {
                Some(first) => (started.home.home, first),
                None => return,
            },
            Target::Elsewhere(None) => return,
        };
        match home.here() {
            Some(local) => local.stop_operation(first, Stop::Canceled),
            None => home.send(Message::Cancel(first)),
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel").finish_non_exhaustive()
    }
}
