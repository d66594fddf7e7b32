//! What the workers have to say: a deadlock, a race, and in the trace who begins and goes on.

use std::panic::Location;

use super::Workers;
use super::clocks::Access;
use super::run::Piece;
use super::seat::Seat;
use crate::choice::EventId;
use crate::sim::words::place;
use crate::sim::{Oracle, Violation};

impl Workers {
    /// I7: every handler that has begun waits for another.
    pub(super) fn report_deadlock(&self) {
        let mut message =
            "deadlock: every worker waits for what only another handler could do".to_owned();
        let waiting = self.waiting.borrow();
        let mut first = None;
        for seat in waiting.iter().map(|seat| &self.seats[*seat]) {
            if let Some((point, at)) = seat.place.get() {
                message.push_str(&format!("\n  {point} waits at {}", place(at)));
                first = first.or(Some((seat.event.get(), at)));
            }
        }
        let (event, at) = first.map_or((None, None), |(event, at)| (event, Some(at)));
        let event = event.unwrap_or(EventId::ROOT);
        self.world
            .report(Violation::new(Oracle::Deadlock, message, event, at));
    }

    /// The trace says that a handler goes on.
    pub(super) fn tell_go_on(&self, seat: &Seat) {
        let (Some(event), Some((point, at))) = (seat.event.get(), seat.place.get()) else {
            return;
        };
        let text = || format!("goes on with {point}");
        self.world
            .with(|kernel| kernel.segment(event, text, Some(at)));
    }

    pub(super) fn tell_begin(&self, piece: &Piece) {
        if let Some((event, text)) = piece.name() {
            let text = || text.to_owned();
            self.world.with(|kernel| kernel.segment(event, text, None));
        }
    }

    /// Two accesses that nothing orders.
    pub(super) fn report_race(
        &self,
        event: EventId,
        what: &'static str,
        at: &'static Location<'static>,
        other: &Access,
    ) {
        let message = format!(
            "nothing orders {what} at {} and {} at {}: no strand, no lock, and neither handler is the \
             cause of the other",
            place(at),
            other.what,
            place(other.location)
        );
        self.world
            .report(Violation::new(Oracle::Race, message, event, Some(at)));
    }
}
