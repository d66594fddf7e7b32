//! One worker's place: the stack that its handler is on, and where that was left.

use std::cell::Cell;
use std::panic::Location;

use super::fiber::Fiber;
use super::run::{Begin, Piece};
use crate::choice::EventId;
use crate::switch::Point;

/// A worker, and where it got what another one waits for.
pub(super) type Held = (Option<usize>, Option<&'static Location<'static>>);

/// One worker's place. Aligned, so that finding one by its number is a shift.
#[derive(Default)]
#[repr(align(256))]
pub(super) struct Seat {
    /// Kept from one piece of work to the next.
    pub(super) fiber: Cell<Option<Box<Fiber<Begin>>>>,
    /// What it is to begin with.
    pub(super) piece: Cell<Option<Piece>>,
    /// The event of what it has begun with has no other piece, and it has not been left since.
    pub(super) once: Cell<bool>,
    pub(super) state: Cell<State>,
    /// What the handler was caused by, and where it is, since it was left last.
    pub(super) event: Cell<Option<EventId>>,
    pub(super) place: Cell<Option<(Point, &'static Location<'static>)>>,
    /// Which worker holds what it waits for, and where that one got it, as far as known.
    pub(super) waits_for: Cell<Option<Held>>,
    /// The event that decisions were asked for last, and how many.
    pub(super) asked: Cell<Option<(EventId, u32)>>,
    /// Its handler has given way, and runs others from where it stands ([`Workers::hosts`](super::Workers)).
    pub(super) hosts: Cell<bool>,
    /// Switch points in a row.
    pub(super) points: Cell<u32>,
    /// It is to give up what it waits for, since that will never come.
    pub(super) gives_up: Cell<bool>,
    /// It was unwound at a switch point.
    pub(super) unwound: Cell<bool>,
    /// The answer of a blocked one that was asked whether it could go on.
    pub(super) could: Cell<bool>,
}

impl Seat {
    /// Another handler takes it.
    pub(super) fn begins(&self, piece: &Piece) {
        self.once.set(piece.is_once());
        self.event.set(None);
        self.place.set(None);
        self.waits_for.set(None);
        self.asked.set(None);
        self.points.set(0);
        self.gives_up.set(false);
        self.unwound.set(false);
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum State {
    #[default]
    Idle,
    Running,
    Left,
    Blocked,
    Leaked,
}
