//! Whose turn it is: who could go on, and what the chooser says to that.

use std::cell::RefMut;
use std::panic::Location;

use super::seat::{Seat, State};
use super::turns::{Turn, Turns};
use super::{PATIENCE, Workers};
use crate::choice::{EventId, Key};
use crate::sim::kernel::Kernel;
use crate::switch::Point;

impl Workers {
    /// Who goes on when the handler of this seat has ended or waits. None: nothing is under way.
    #[inline(never)]
    pub(super) fn who_is_next(&self, index: usize) -> Option<Turn> {
        if self.begun.get() == 0 {
            return None;
        }
        self.decide::<false>(index, None).or_else(|| {
            self.report_deadlock();
            let first = *self.waiting.borrow().first()?;
            self.seats[first].gives_up.set(true);
            Some(Turn::Seat(first))
        })
    }

    /// Asks whose turn it is; nobody's but of the one who asks: `None`. At a `place` that is the handler
    /// of the seat, which may go on; else it has ended, or waits.
    ///
    /// Made for each of the two, `AT_POINT` or not: so that each is one piece of code.
    #[inline(always)]
    pub(super) fn decide<const AT_POINT: bool>(
        &self,
        index: usize,
        place: Option<(&Point, &'static Location<'static>)>,
    ) -> Option<Turn> {
        let local = self.local.get()?;
        let may_begin = self.begun.get() < self.seats.len()
            && self.accepts.get()
            && local.pause(self.goal.get().0).is_none();
        let is_ready = may_begin && local.has_pending();
        let waiting = self.waiting.borrow();
        // Few wait for more than their turn.
        let able = (self.blocked.get() > 0).then(|| self.who_could(&waiting));
        let seated = able.as_ref().map_or(&waiting[..], |able| &able[..]);
        let mut over = self.quiet.get();
        let mut piece = false;
        let turn = self.world.with(|kernel| {
            over = over || kernel.is_over();
            piece = may_begin && !over && (is_ready || kernel.can_step(self.goal.get().1));
            if AT_POINT && seated.is_empty() && !piece {
                // The usual case, of a handler that is alone.
                return None;
            }
            let those = Turns {
                seated,
                piece,
                place,
                seats: &self.seats,
            };
            let count = those.len();
            let picked = if count < 2 || over || kernel.is_kind() {
                0
            } else {
                let seat = &self.seats[index];
                let waits = !AT_POINT && matches!(seat.state.get(), State::Left | State::Blocked);
                let left = seat.event.get().filter(|_| waits);
                let event = left.unwrap_or(local.step.get());
                let occurrence = match kernel.reads_keys() {
                    true => self.occurrence(seat, event),
                    false => 0,
                };
                let key = Key { event, occurrence };
                kernel.choose_turn(key, count, &those, place.map(|(_, at)| at))
            };
            if AT_POINT && picked == 0 {
                return None;
            }
            those.turn(picked)
        });
        if turn.is_some() || !AT_POINT {
            return turn;
        }
        if over {
            drop(waiting);
            self.drains();
            return None;
        }
        let seat = &self.seats[index];
        seat.points.set(seat.points.get() + 1);
        if seat.points.get() < PATIENCE {
            return None;
        }
        let first = seated.first().map(|seat| Turn::Seat(*seat));
        self.loses_patience(seat, first.or_else(|| piece.then_some(Turn::Piece)))
    }

    /// How many-th decision this is that is asked for the event.
    fn occurrence(&self, seat: &Seat, event: EventId) -> u32 {
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
    #[inline]
    pub(super) fn remember(&self, seat: &Seat) {
        if let Some((event, times)) = seat.asked.get() {
            self.keeps(event, times);
        }
    }

    #[inline(never)]
    fn keeps(&self, event: EventId, times: u32) {
        self.occurrences.borrow_mut().insert(event.0, times);
    }

    /// Those who were left and could go on, longest ago first.
    #[cold]
    fn who_could(&self, waiting: &[usize]) -> RefMut<'_, Vec<usize>> {
        let could = |index: &usize| match self.seats[*index].state.get() {
            State::Left => true,
            State::Blocked => self.probe(*index),
            _ => false,
        };
        let mut able = self.scratch.borrow_mut();
        able.clear();
        able.extend(waiting.iter().copied().filter(could));
        able
    }

    /// Whether a blocked handler could go on: it looks itself, on its own stack.
    pub(super) fn probe(&self, index: usize) -> bool {
        self.probing.set(true);
        let _ = self.come_back_to(index);
        self.probing.set(false);
        self.seats[index].state.set(State::Blocked);
        self.seats[index].could.get()
    }

    /// The running handler goes on from point to point and does nothing else: somebody else's turn.
    #[cold]
    fn loses_patience(&self, seat: &Seat, first: Option<Turn>) -> Option<Turn> {
        self.world.with(Kernel::spins);
        seat.points.set(PATIENCE - PATIENCE / 10);
        first
    }
}
