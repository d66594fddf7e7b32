//! The alternatives of a decision whose turn it is, in words.

use std::panic::Location;

use super::Seat;
use crate::choice::{Alternatives, EventId};
use crate::switch::Point;

/// Who may go on instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Turn {
    /// The handler on this seat, which was left.
    Seat(usize),
    /// The next piece of work, on an idle worker.
    Piece,
}

/// The alternatives. At a switch point the first one is to go on; else somebody has ended or waits.
pub(super) struct Turns<'a> {
    pub(super) turns: &'a [Turn],
    pub(super) place: Option<(Point, &'static Location<'static>)>,
    pub(super) seats: &'a [Seat],
}

impl Turns<'_> {
    fn turn(&self, index: usize) -> Option<Turn> {
        let index = index.checked_sub(usize::from(self.place.is_some()))?;
        self.turns.get(index).copied()
    }
}

impl Alternatives for Turns<'_> {
    fn label(&self, index: usize) -> String {
        match (self.turn(index), self.place) {
            (None, _) => "goes on".to_owned(),
            // To whom, the report says: it knows the names.
            (Some(Turn::Seat(_)), Some((point, _))) => format!("gives way before {point} to"),
            (Some(Turn::Piece), Some((point, _))) => {
                format!("gives way before {point}: an idle worker takes the next piece of work")
            }
            (Some(Turn::Seat(_)), None) => "after it, first goes on".to_owned(),
            (Some(Turn::Piece), None) => {
                "after it, its worker takes the next piece of work while others are suspended"
                    .to_owned()
            }
        }
    }

    fn word(&self, index: usize) -> String {
        match self.turn(index) {
            None => "on".to_owned(),
            Some(Turn::Piece) => "next".to_owned(),
            Some(Turn::Seat(_)) => self
                .event(index)
                .map_or(String::new(), |event| format!("{event:?}")),
        }
    }

    fn event(&self, index: usize) -> Option<EventId> {
        match self.turn(index)? {
            Turn::Seat(seat) => self.seats.get(seat)?.event,
            Turn::Piece => None,
        }
    }
}
