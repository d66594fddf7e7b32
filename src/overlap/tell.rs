//! What the workers have to say: a deadlock, a race, and in the trace who begins and goes on.

use std::panic::Location;

use super::Workers;
use super::clocks::Access;
use super::run::Piece;
use super::seat::Seat;
use crate::choice::EventId;
use crate::observe;
use crate::op::home::Local;
use crate::sim::words::place;
use crate::sim::{Oracle, Violation};

/// ` since src/main.rs:7`
fn since_when(place_of: Option<&'static Location<'static>>) -> String {
    place_of.map_or_else(String::new, |at| format!(" since {}", place(at)))
}

impl Workers {
    /// I7: every handler that has begun waits for another.
    pub(super) fn report_deadlock(&self) {
        let mut message =
            "deadlock: every worker waits for what only another handler could do".to_owned();
        let waiting = self.waiting.borrow();
        let mut first = None;
        for &index in waiting.iter() {
            let seat = &self.seats[index];
            let Some((point, at)) = seat.place.get() else {
                continue;
            };
            let worker = index + 1;
            message.push_str(&format!(
                "\n  worker {worker}: {point} waits at {}",
                place(at)
            ));
            match seat.waits_for.get() {
                Some((Some(other), since)) if other == index => {
                    message.push_str(&format!(", for what it holds itself{}", since_when(since)));
                }
                Some((Some(other), since)) => {
                    let other = other + 1;
                    message.push_str(&format!(
                        ", for worker {other}, which has it{}",
                        since_when(since)
                    ));
                }
                Some((None, since)) => {
                    message.push_str(&format!(", for what somebody has{}", since_when(since)));
                }
                None => {}
            }
            if let Some(strand) = observe::ask(|it| it.strand_of(index)) {
                message.push_str(&format!("\n    it is {strand}"));
            }
            first = first.or(Some((seat.event.get(), at)));
        }
        if let Some(circle) = self.circle(&waiting) {
            let names: Vec<String> = circle
                .iter()
                .map(|index| format!("worker {}", index + 1))
                .collect();
            message.push_str(&format!(
                "\n  They wait in a circle, each for the next: {}",
                names.join(", ")
            ));
        }
        let (event, at) = first.map_or((None, None), |(event, at)| (event, Some(at)));
        let event = event.unwrap_or(EventId::ROOT);
        self.world
            .report(Violation::new(Oracle::Deadlock, message, event, at));
    }

    /// Workers that wait for each other; the first one stands at the end again.
    fn circle(&self, waiting: &[usize]) -> Option<Vec<usize>> {
        for &first in waiting {
            let (mut chain, mut at) = (vec![first], first);
            while let Some((Some(next), _)) = self.seats[at].waits_for.get() {
                chain.push(next);
                if next == first {
                    return Some(chain);
                }
                if chain.len() > waiting.len() || !waiting.contains(&next) {
                    break;
                }
                at = next;
            }
        }
        None
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

    pub(super) fn tell_begin(&self, local: &Local, piece: &Piece) {
        if let Some((event, text)) = piece.name(local) {
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
