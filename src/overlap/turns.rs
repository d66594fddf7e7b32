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
    /// The seats that were left and could go on, longest ago first.
    pub(super) seated: &'a [usize],
    /// Whether an idle worker may take the next piece of work.
    pub(super) piece: bool,
    pub(super) place: Option<(&'a Point, &'static Location<'static>)>,
    pub(super) seats: &'a [Seat],
}

impl Turns<'_> {
    /// How many alternatives.
    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.place.is_some()) + self.seated.len() + usize::from(self.piece)
    }

    /// None: who asks goes on, or there is nobody.
    #[inline]
    pub(super) fn turn(&self, index: usize) -> Option<Turn> {
        let index = index.checked_sub(usize::from(self.place.is_some()))?;
        let seat = self.seated.get(index).map(|seat| Turn::Seat(*seat));
        seat.or_else(|| (self.piece && index == self.seated.len()).then_some(Turn::Piece))
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
            Turn::Seat(seat) => self.seats.get(seat)?.event.get(),
            Turn::Piece => None,
        }
    }
}
