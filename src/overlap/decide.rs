//! Whose turn it is: who could go on, and what the chooser says to that.

use std::panic::Location;

use super::seat::{Seat, State};
use super::turns::{Turn, Turns};
use super::{PATIENCE, Workers};
use crate::choice::{EventId, Key};
use crate::sim::kernel::Kernel;
use crate::switch::Point;

impl Workers {
    /// Who goes on when the handler of this seat has ended or waits. None: nothing is under way.
    pub(super) fn who_is_next(&self, index: usize) -> Option<Turn> {
        if self.begun.get() == 0 {
            return None;
        }
        self.decide(index, None).or_else(|| {
            self.report_deadlock();
            let first = *self.waiting.borrow().first()?;
            self.seats[first].gives_up.set(true);
            Some(Turn::Seat(first))
        })
    }

    /// Asks whose turn it is; nobody's but of the one who asks: `None`. At a `place` that is the handler
    /// of the seat, which may go on; else it has ended, or waits.
    pub(super) fn decide(
        &self,
        index: usize,
        place: Option<(Point, &'static Location<'static>)>,
    ) -> Option<Turn> {
        let local = self.local.get()?;
        let mut turns = self.scratch.borrow_mut();
        turns.clear();
        self.who_could(&mut turns);
        let (handlers, wait) = self.goal.get();
        let may_begin = self.begun.get() < self.seats.len()
            && self.accepts.get()
            && !self.quiet.get()
            && local.pause(handlers).is_none();
        let goes_on = usize::from(place.is_some());
        let mut over = self.quiet.get();
        let picked = self.world.with(|kernel| {
            over = over || kernel.is_over();
            if may_begin && !over && (local.has_pending() || kernel.can_step(wait)) {
                turns.push(Turn::Piece);
            }
            let count = turns.len() + goes_on;
            if count < 2 || over || kernel.is_kind() {
                return 0;
            }
            let seat = &self.seats[index];
            let waits = matches!(seat.state.get(), State::Left | State::Blocked);
            let left = seat.event.get().filter(|_| waits);
            let event = left.unwrap_or(local.step.get());
            let key = Key {
                event,
                occurrence: self.occurrence(seat, event),
            };
            let those = Turns {
                turns: &turns,
                place,
                seats: &self.seats,
            };
            kernel.choose_turn(key, count, &those, place.map(|(_, at)| at))
        });
        match picked.checked_sub(goes_on) {
            Some(picked) => turns.get(picked).copied(),
            None if over => {
                drop(turns);
                self.drains();
                None
            }
            None => self.after_patience(&self.seats[index], &turns),
        }
    }

    /// How many-th decision this is that is asked for the event.
    pub(super) fn occurrence(&self, seat: &Seat, event: EventId) -> u32 {
        let occurrence = match seat.asked.get() {
            Some((asked, times)) if asked == event => times,
            _ => {
                self.remember(seat);
                let occurrences = self.occurrences.borrow();
                occurrences.get(&event.0).copied().unwrap_or(0)
            }
        };
        seat.asked.set(Some((event, occurrence + 1)));
        occurrence
    }

    /// A task comes back to the event that it consumed last: its decisions are counted on.
    pub(super) fn remember(&self, seat: &Seat) {
        if let Some((event, times)) = seat.asked.get() {
            self.occurrences.borrow_mut().insert(event.0, times);
        }
    }

    /// Those who were left and could go on, longest ago first.
    pub(super) fn who_could(&self, turns: &mut Vec<Turn>) {
        let waiting = self.waiting.borrow();
        for &index in waiting.iter() {
            let state = self.seats[index].state.get();
            if state == State::Left || state == State::Blocked && self.probe(index) {
                turns.push(Turn::Seat(index));
            }
        }
    }

    /// Whether a blocked handler could go on: it looks itself, on its own stack.
    pub(super) fn probe(&self, index: usize) -> bool {
        self.probing.set(true);
        let _ = self.enter(index, None);
        self.probing.set(false);
        self.seats[index].state.set(State::Blocked);
        self.seats[index].could.get()
    }

    /// The running handler has come to a point and goes on; unless it does nothing else.
    pub(super) fn after_patience(&self, seat: &Seat, turns: &[Turn]) -> Option<Turn> {
        seat.points.set(seat.points.get() + 1);
        if seat.points.get() < PATIENCE {
            return None;
        }
        self.world.with(Kernel::spins);
        seat.points.set(PATIENCE - PATIENCE / 10);
        turns.first().copied()
    }
}
