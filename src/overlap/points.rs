//! The switch points, as the running handler sees them: it gives way, waits, or drains to its end.

use std::io::Write;
use std::panic::{Location, resume_unwind};

use super::clocks::Clocks;
use super::fiber;
use super::seat::{Seat, State};
use super::turns::Turn;
use super::{DRAIN, Drained, NOBODY, Workers};
use crate::choice::EventId;
use crate::op::home::Local;
use crate::switch::{self, Point, Switcher};

impl Switcher for Workers {
    // Whole, with all that leads to the pause: see `switch::ask`.
    fn point(&self, point: &Point, location: &'static Location<'static>) {
        let Some(local) = self.local.get() else {
            return;
        };
        let index = self.running.get();
        if index == NOBODY || self.probing.get() || std::thread::panicking() {
            return;
        }
        self.beat.at(location);
        match self.decide::<true>(index, Some((point, location))) {
            None => {}
            Some(Turn::Seat(next)) if !self.traced.get() => {
                self.rests(local, index, State::Left, (*point, location));
                self.swaps(index, next);
                let frame = local.take_frame();
                self.hosts(index, next);
                local.set_frame(frame);
            }
            Some(turn) => {
                self.next.set(Some(turn));
                self.leave(local, State::Left, (*point, location), &mut || ());
            }
        }
    }

    fn block(
        &self,
        point: Point,
        location: &'static Location<'static>,
        ready: &mut dyn FnMut() -> bool,
    ) -> bool {
        let running = self.running.get();
        let Some(local) = self.local.get() else {
            return ready();
        };
        if running == NOBODY || self.probing.get() || std::thread::panicking() {
            return ready();
        }
        self.seats[running].waits_for.set(None);
        loop {
            if ready() {
                return true;
            }
            if self.seats[running].gives_up.replace(false) {
                return false;
            }
            self.leave(local, State::Blocked, (point, location), &mut || {
                while self.probing.get() {
                    let could = ready();
                    self.seats[running].could.set(could);
                    fiber::pause();
                }
            });
        }
    }

    fn settle(&self) -> bool {
        if self.running.get() == NOBODY {
            self.finish();
            return true;
        }
        self.accepts.set(false);
        while self.begun.get() > 1 && !std::thread::panicking() {
            let point = Point::Sync("the end of all other handlers");
            self.block(point, Location::caller(), &mut || self.begun.get() == 1);
        }
        self.begun.get() == 1
    }

    fn released(&self, id: u64) {
        let mut clocks = self.clocks.borrow_mut();
        if let Some((seat, _)) = self.clocked(&mut clocks) {
            clocks.released(seat, id);
        }
    }

    fn acquired(&self, id: u64) {
        let mut clocks = self.clocks.borrow_mut();
        if let Some((seat, _)) = self.clocked(&mut clocks) {
            clocks.acquired(seat, id);
        }
    }

    fn passes(&self, id: u64, event: EventId) {
        self.clocks.borrow_mut().passes(id, event.0);
    }

    fn accessed(&self, id: u64, writes: bool, what: &'static str, at: &'static Location<'static>) {
        let mut clocks = self.clocks.borrow_mut();
        let Some((seat, event)) = self.clocked(&mut clocks) else {
            return;
        };
        switch::track(true);
        let Some(other) = clocks.accessed(seat, id, writes, what, at, event) else {
            return;
        };
        drop(clocks);
        self.report_race(event, what, at, &other);
    }

    fn forget(&self, id: u64) {
        self.clocks.borrow_mut().forget(id);
    }

    fn held_by(&self, worker: Option<usize>, since: Option<&'static Location<'static>>) {
        let running = self.running.get();
        if running != NOBODY {
            self.seats[running].waits_for.set(Some((worker, since)));
        }
    }

    fn worker(&self) -> Option<usize> {
        Some(self.running.get()).filter(|seat| *seat != NOBODY)
    }
}

impl Workers {
    /// Leaves the running handler, which is at `place`, until its turn comes again. Before that it may be
    /// asked whether it could go on: `answer` is made while the frame is still that of who asks.
    #[inline(never)]
    pub(super) fn leave(
        &self,
        local: &Local,
        state: State,
        place: (Point, &'static Location<'static>),
        answer: &mut dyn FnMut(),
    ) {
        let index = self.running.get();
        self.rests(local, index, state, place);
        self.waiting.borrow_mut().push(index);
        if state == State::Blocked {
            self.blocked.set(self.blocked.get() + 1);
        }
        let frame = local.take_frame();
        fiber::pause();
        answer();
        local.set_frame(frame);
    }

    /// The seat is left in this state.
    #[inline(always)]
    fn rests(
        &self,
        local: &Local,
        index: usize,
        state: State,
        place: (Point, &'static Location<'static>),
    ) {
        let seat = &self.seats[index];
        seat.state.set(state);
        seat.event.set(Some(local.step.get()));
        seat.place.set(Some(place));
        if state == State::Left {
            seat.waits_for.set(None);
        }
        seat.points.set(0);
        seat.once.set(false);
        self.beat.leaves(index, place.1);
    }

    /// One waits from now on, and another, who could go on, does so.
    #[inline(always)]
    fn swaps(&self, waits: usize, goes_on: usize) {
        let mut waiting = self.waiting.borrow_mut();
        if let [only] = &mut waiting[..] {
            *only = waits;
            if self.blocked.get() > 0 {
                self.blocked.set(0);
            }
            return;
        }
        drop(waiting);
        self.goes_on(goes_on);
        self.waiting.borrow_mut().push(waits);
    }

    /// After the end of the story a handler comes to a switch point.
    pub(super) fn drains(&self) {
        let seat = &self.seats[self.running.get()];
        seat.points.set(seat.points.get() + 1);
        if seat.points.get() <= DRAIN {
            return;
        }
        seat.points.set(0);
        if !seat.unwound.replace(true) {
            resume_unwind(Box::new(Drained));
        }
        seat.state.set(State::Leaked);
        fiber::pause();
    }

    /// A handler can't be ended: its stack is left as it is.
    pub(super) fn leak(&self, seat: &Seat) {
        seat.state.set(State::Idle);
        drop(seat.fiber.take());
        self.begun.set(self.begun.get() - 1);
        // Nothing can be done if nobody listens.
        let _ = writeln!(
            std::io::stderr(),
            "proactor: after the end of a failing execution a handler ran on and on, and survived \
             being unwound: it is leaked, with all that it holds"
        );
    }

    /// The seat and the event of the running handler, whose clock knows of its cause.
    pub(super) fn clocked(&self, clocks: &mut Clocks) -> Option<(usize, EventId)> {
        let seat = self.running.get();
        if seat == NOBODY || self.probing.get() {
            return None;
        }
        let event = self.local.get()?.step.get();
        clocks.caused_by(seat, event);
        Some((seat, event))
    }
}
