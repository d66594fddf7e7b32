//! Simulated workers: several workers of one proactor, played by one thread, whose handlers overlap.
//!
//! Each piece of work (a completion's handler, a posted one, the poll of a task) begins on a stack of
//! its own ([`fiber`]) and can be left at a switch point ([`switch`](crate::switch)), for another that
//! has been left before or for the next piece of work. Which, is a decision of the simulated kernel's
//! chooser: the first alternative is always to go on. As many pieces are under way at a time as there
//! are workers; a wait for the kernel happens between two pieces, as on a port that they share.
//!
//! With one worker none of this exists: the worker's own loop runs handlers where it stands.
//!
//! # How it ends
//!
//! A call of `run` or its kin returns when every handler that has begun has ended. After a panic, or a
//! violation, handlers are not interrupted any more: they run to their ends one after the other, and
//! the kernel answers what they start with errors. One that comes to [`DRAIN`] more switch points all
//! the same is unwound there; one that survives that is leaked with its stack, and that is said.
//!
//! # Limits
//!
//! All workers are one thread. A std lock that a handler holds at a switch point blocks the thread if
//! another handler wants it (`watch` names both); a thread-local that it has borrowed there
//! is still borrowed. Nothing overlaps with the test's own body, nor with the future of `block_on`.

mod clocks;
mod fiber;
mod run;
#[cfg(test)]
mod tests;
mod turns;
mod watch;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{Location, resume_unwind};
use std::rc::Rc;

use crate::choice::{EventId, Key};
use crate::op::home::Local;
use crate::sim::steps::Until;
use crate::sim::{Invariant, Violation, World};
use crate::switch::{Point, Switcher};
use clocks::{Clocks, Map};
use fiber::{Fiber, Left, Pool};
use run::Piece;
use turns::{Turn, Turns};
use watch::Beat;

/// Switch points that a handler may come to after the end of the story before it is unwound.
const DRAIN: u32 = 10_000;

/// Switch points in a row after which a handler that others could take turns with has to give way:
/// who spins until another has done something sees it done, as on a real machine.
const PATIENCE: u32 = 1_000;

/// No seat.
const NOBODY: usize = usize::MAX;

thread_local! {
    static POOL: Pool<Piece> = const { Pool::new() };
    /// The workers of the execution that is under way on this thread.
    static WORKERS: RefCell<Option<Rc<Workers>>> = const { RefCell::new(None) };
}

/// The workers of one simulated kernel. They stay from one execution to the next.
pub(crate) struct Workers {
    world: World,
    seats: RefCell<Vec<Seat>>,
    /// Who has been left, longest ago first.
    waiting: RefCell<Vec<usize>>,
    /// Whose stack this is, if it is one of ours.
    running: Cell<usize>,
    /// Pieces that have begun and not ended.
    begun: Cell<usize>,
    /// Whose turn it is, if the one who gave way has decided that.
    next: Cell<Option<Turn>>,
    local: Cell<Option<&'static Local>>,
    /// How far the call of `run` goes, and whether further pieces may begin.
    goal: Cell<(usize, Until)>,
    accepts: Cell<bool>,
    /// A handler has panicked: the others end first, without interruption.
    quiet: Cell<bool>,
    /// A blocked handler is only asked whether it could go on.
    probing: Cell<bool>,
    traced: Cell<bool>,
    races: Cell<bool>,
    occurrences: RefCell<Map<u32>>,
    scratch: RefCell<Vec<Turn>>,
    clocks: RefCell<Clocks>,
    beat: Beat,
}

/// One worker's place.
#[derive(Default)]
struct Seat {
    fiber: Option<Fiber<Piece>>,
    state: State,
    /// What the handler was caused by, and where it is, since it was left last.
    event: Option<EventId>,
    place: Option<(Point, &'static Location<'static>)>,
    /// Switch points in a row.
    points: u32,
    /// It is to give up what it waits for, since that will never come.
    gives_up: bool,
    /// It was unwound at a switch point.
    unwound: bool,
    /// The answer of a blocked one that was asked whether it could go on.
    could: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    Idle,
    Running,
    Left,
    Blocked,
    Leaked,
}

/// The payload that unwinds a handler that does not end by itself.
struct Drained;

/// While this lives, its workers are those of the thread.
pub(crate) struct Installed {
    before: (Option<Rc<dyn Switcher>>, Option<Rc<Workers>>),
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(workers) = WORKERS.replace(self.before.1.take()) {
            workers.beat.rests();
        }
        crate::switch::install(self.before.0.take());
    }
}

impl Workers {
    /// So many workers for the handlers of proactors on this kernel, at least 2.
    pub(crate) fn new(world: &World, count: usize) -> Rc<Workers> {
        let mut seats = Vec::new();
        seats.resize_with(count, Seat::default);
        world.with(|kernel| kernel.workers = count);
        Rc::new(Workers {
            world: world.clone(),
            seats: RefCell::new(seats),
            waiting: RefCell::default(),
            running: Cell::new(NOBODY),
            begun: Cell::new(0),
            next: Cell::new(None),
            local: Cell::new(None),
            goal: Cell::new((0, Until::Now)),
            accepts: Cell::new(false),
            quiet: Cell::new(false),
            probing: Cell::new(false),
            traced: Cell::new(false),
            races: Cell::new(true),
            occurrences: RefCell::default(),
            scratch: RefCell::default(),
            clocks: RefCell::default(),
            beat: Beat::default(),
        })
    }

    /// Another execution begins on this thread. `races`: accesses that nothing orders are told.
    pub(crate) fn install(self: &Rc<Workers>, races: bool) -> Installed {
        self.traced
            .set(self.world.with(|kernel| kernel.is_traced()));
        self.races.set(races);
        self.occurrences.borrow_mut().clear();
        self.clocks.borrow_mut().all_are_done();
        self.beat.begins();
        Installed {
            before: (
                crate::switch::install(Some(self.clone())),
                WORKERS.replace(Some(self.clone())),
            ),
        }
    }

    fn of_this_thread() -> Option<Rc<Workers>> {
        WORKERS.with_borrow(Clone::clone)
    }

    /// Begins a piece of work on a free worker. Comes back when there is a free one again and its turn
    /// has come, or when nothing is under way any more.
    fn begin(&self, piece: Piece) {
        let free = |seat: &Seat| seat.state == State::Idle;
        let index = self.seats.borrow().iter().position(free);
        let pooled = index.map(|index| self.seats.borrow_mut()[index].fiber.take());
        let fiber = pooled.map(|pooled| pooled.map_or_else(|| POOL.with(Pool::take), Ok));
        let (Some(index), Some(Ok(fiber))) = (index, fiber) else {
            // No memory for a stack: it runs as with one worker.
            return piece.run_here();
        };
        if self.traced.get() && !self.waiting.borrow().is_empty() {
            self.tell_begin(&piece);
        }
        let mut seats = self.seats.borrow_mut();
        seats[index] = Seat::default();
        seats[index].fiber = Some(fiber);
        drop(seats);
        self.begun.set(self.begun.get() + 1);
        self.clocks.borrow_mut().begins(index);
        self.take_turns(index, Some(piece));
    }

    /// Everything that has begun comes to its end. Nothing else begins.
    fn finish(&self) {
        self.accepts.set(false);
        while self.begun.get() > 0 {
            self.go_on();
        }
    }

    /// Somebody who was left goes on.
    fn go_on(&self) {
        if let Some(Turn::Seat(seat)) = self.who_is_next(EventId::ROOT) {
            self.take_turns(seat, None);
        }
    }

    /// Runs one after the other, as decided, until a piece of work is to begin or all have ended.
    fn take_turns(&self, mut seat: usize, mut piece: Option<Piece>) {
        let mut panicked: Option<Box<dyn Any + Send>> = None;
        loop {
            self.waiting.borrow_mut().retain(|waiting| *waiting != seat);
            let left = self.enter(seat, piece.take());
            let decided = self.next.take();
            let event = self
                .local
                .get()
                .map_or(EventId::ROOT, |local| local.step.get());
            let leaked = self.seats.borrow()[seat].state == State::Leaked;
            if leaked {
                self.leak(seat);
            } else if let Left::Ended(panic) = left {
                self.seats.borrow_mut()[seat].state = State::Idle;
                self.begun.set(self.begun.get() - 1);
                if let Some(panic) = panic.filter(|panic| !panic.is::<Drained>()) {
                    self.quiet.set(true);
                    panicked.get_or_insert(panic);
                }
            }
            match decided.or_else(|| self.who_is_next(event)) {
                Some(Turn::Seat(next)) => seat = next,
                Some(Turn::Piece) | None => break,
            }
            if self.traced.get() {
                self.tell_go_on(seat);
            }
        }
        if let Some(panic) = panicked {
            self.quiet.set(false);
            resume_unwind(panic);
        }
    }

    /// Runs the handler of this seat until it ends or is left.
    fn enter(&self, seat: usize, piece: Option<Piece>) -> Left {
        let fiber = self.seats.borrow_mut()[seat].fiber.take();
        let Some(mut fiber) = fiber else {
            return Left::Ended(None);
        };
        self.seats.borrow_mut()[seat].state = State::Running;
        let outside = self.running.replace(seat);
        self.beat.enters(seat);
        let left = match piece {
            Some(piece) => fiber.begin(piece),
            None => fiber.go_on(),
        };
        self.running.set(outside);
        self.seats.borrow_mut()[seat].fiber = Some(fiber);
        left
    }

    /// Who goes on when a handler has ended or waits. None: nothing is under way.
    fn who_is_next(&self, event: EventId) -> Option<Turn> {
        match self.decide(event, None) {
            Some(turn) => Some(turn),
            None if self.begun.get() == 0 => None,
            None => {
                self.report_deadlock();
                let first = *self.waiting.borrow().first()?;
                self.seats.borrow_mut()[first].gives_up = true;
                Some(Turn::Seat(first))
            }
        }
    }

    /// Asks whose turn it is. At a switch point, `None` is who asks; else it is nobody.
    fn decide(
        &self,
        event: EventId,
        place: Option<(Point, &'static Location<'static>)>,
    ) -> Option<Turn> {
        let mut turns = std::mem::take(&mut *self.scratch.borrow_mut());
        turns.clear();
        self.who_could(&mut turns);
        let (handlers, wait) = self.goal.get();
        let local = self.local.get()?;
        let mut begins = self.accepts.get()
            && !self.quiet.get()
            && self.begun.get() < self.seats.borrow().len()
            && local.pause(handlers).is_none();
        let decided = self.world.with(|kernel| {
            let quiet = self.quiet.get() || kernel.is_over();
            begins = begins && !kernel.is_over() && (local.has_pending() || kernel.can_step(wait));
            if begins {
                turns.push(Turn::Piece);
            }
            let goes_on = usize::from(place.is_some());
            let count = turns.len() + goes_on;
            let mut picked = 0;
            if count > 1 && !quiet && !kernel.is_kind() {
                let mut occurrences = self.occurrences.borrow_mut();
                let occurrence = occurrences.entry(event.0).or_insert(0);
                let key = Key {
                    event,
                    occurrence: *occurrence,
                };
                *occurrence += 1;
                let seats = self.seats.borrow();
                let those = Turns {
                    turns: &turns,
                    place,
                    seats: &seats,
                };
                picked = kernel.choose_turn(key, count, &those, place.map(|(_, at)| at));
            }
            match picked.checked_sub(goes_on) {
                Some(index) => turns.get(index).copied(),
                None => None,
            }
        });
        // A handler that goes on and on without a decision to the contrary.
        let decided = match decided {
            None if place.is_some() => self.after_patience(&turns),
            decided => decided,
        };
        *self.scratch.borrow_mut() = turns;
        decided
    }

    /// Those who were left and could go on, longest ago first.
    fn who_could(&self, turns: &mut Vec<Turn>) {
        let mut at = 0;
        loop {
            let Some(&seat) = self.waiting.borrow().get(at) else {
                break;
            };
            let state = self.seats.borrow()[seat].state;
            if state == State::Left || state == State::Blocked && self.probe(seat) {
                turns.push(Turn::Seat(seat));
            }
            at += 1;
        }
    }

    /// Whether a blocked handler could go on: it looks itself, on its own stack.
    fn probe(&self, seat: usize) -> bool {
        self.probing.set(true);
        let _ = self.enter(seat, None);
        self.probing.set(false);
        let mut seats = self.seats.borrow_mut();
        seats[seat].state = State::Blocked;
        seats[seat].could
    }

    /// The running handler has come to a point and goes on; unless it does nothing else.
    fn after_patience(&self, turns: &[Turn]) -> Option<Turn> {
        let mut seats = self.seats.borrow_mut();
        let seat = &mut seats[self.running.get()];
        seat.points += 1;
        if seat.points < PATIENCE {
            return None;
        }
        self.world.with(crate::sim::kernel::Kernel::spins);
        seat.points = PATIENCE - PATIENCE / 10;
        turns.first().copied()
    }

    /// Leaves the running handler, which is at `place`, until its turn comes again.
    fn leave(&self, local: &Local, state: State, place: (Point, &'static Location<'static>)) {
        let running = self.running.get();
        {
            let mut seats = self.seats.borrow_mut();
            let seat = &mut seats[running];
            seat.state = state;
            seat.event = Some(local.step.get());
            seat.place = Some(place);
            seat.points = 0;
        }
        self.waiting.borrow_mut().push(running);
        self.beat.leaves(running, place.1);
        let frame = local.take_frame();
        fiber::pause();
        local.set_frame(frame);
    }

    /// After the end of the story a handler comes to a switch point.
    fn drains(&self) {
        let mut seats = self.seats.borrow_mut();
        let seat = &mut seats[self.running.get()];
        seat.points += 1;
        if seat.points <= DRAIN {
            return;
        }
        seat.points = 0;
        if !std::mem::replace(&mut seat.unwound, true) {
            drop(seats);
            resume_unwind(Box::new(Drained));
        }
        seat.state = State::Leaked;
        drop(seats);
        if let Some(local) = self.local.get() {
            let _never_to_go_on = local.take_frame();
        }
        fiber::pause();
    }

    /// A handler can't be ended: its stack is left as it is.
    fn leak(&self, seat: usize) {
        let mut seats = self.seats.borrow_mut();
        seats[seat] = Seat::default();
        drop(seats);
        self.begun.set(self.begun.get() - 1);
        // Nothing can be done if nobody listens.
        let _ = writeln!(
            std::io::stderr(),
            "proactor: after the end of a failing execution a handler ran on and on, and survived \
             being unwound: it is leaked, with all that it holds"
        );
    }

    /// I7: every handler that has begun waits for another.
    fn report_deadlock(&self) {
        let mut message =
            "deadlock: every worker waits for what only another handler could do".to_owned();
        let waiting = self.waiting.borrow();
        let seats = self.seats.borrow();
        let mut first = None;
        for seat in waiting.iter().map(|seat| &seats[*seat]) {
            if let Some((point, at)) = seat.place {
                message.push_str(&format!("\n  {point} waits at {}:{}", at.file(), at.line()));
                first = first.or(Some((seat.event, at)));
            }
        }
        let (event, at) = first.map_or((None, None), |(event, at)| (event, Some(at)));
        self.world.report(Violation {
            invariant: Invariant::I7,
            message,
            event: event.unwrap_or(EventId::ROOT),
            location: at,
        });
    }

    /// The trace says that a handler goes on.
    fn tell_go_on(&self, seat: usize) {
        let seats = self.seats.borrow();
        let seat = &seats[seat];
        let (Some(event), Some((point, at))) = (seat.event, seat.place) else {
            return;
        };
        let text = || format!("goes on with {point}");
        self.world
            .with(|kernel| kernel.segment(event, text, Some(at)));
    }

    fn tell_begin(&self, piece: &Piece) {
        if let Some((event, text)) = piece.name() {
            let text = || text.to_owned();
            self.world.with(|kernel| kernel.segment(event, text, None));
        }
    }

    /// The seat and the event of the running handler, whose clock knows of its cause.
    fn clocked(&self, clocks: &mut Clocks) -> Option<(usize, EventId)> {
        let seat = self.running.get();
        if seat == NOBODY || self.probing.get() {
            return None;
        }
        let event = self.local.get()?.step.get();
        clocks.caused_by(seat, event);
        Some((seat, event))
    }
}

impl Switcher for Workers {
    fn point(&self, point: Point, location: &'static Location<'static>) {
        let Some(local) = self.local.get() else {
            return;
        };
        if self.running.get() == NOBODY || self.probing.get() || std::thread::panicking() {
            return;
        }
        if self.quiet.get() || self.world.with(|kernel| kernel.is_over()) {
            return self.drains();
        }
        self.beat.at(location);
        let place = (point, location);
        if let Some(turn) = self.decide(local.step.get(), Some(place)) {
            self.next.set(Some(turn));
            self.leave(local, State::Left, place);
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
        loop {
            if ready() {
                return true;
            }
            if std::mem::take(&mut self.seats.borrow_mut()[running].gives_up) {
                return false;
            }
            self.leave(local, State::Blocked, (point, location));
            while self.probing.get() {
                let could = ready();
                self.seats.borrow_mut()[running].could = could;
                fiber::pause();
            }
        }
    }

    fn settle(&self) {
        if self.running.get() == NOBODY {
            return self.finish();
        }
        self.accepts.set(false);
        while self.begun.get() > 1 && !std::thread::panicking() {
            let point = Point::Sync("the end of all other handlers");
            self.block(point, Location::caller(), &mut || self.begun.get() == 1);
        }
    }

    fn released(&self, id: u64) {
        let mut clocks = self.clocks.borrow_mut();
        if clocks.is_used()
            && let Some((seat, _)) = self.clocked(&mut clocks)
        {
            clocks.released(seat, id);
        }
    }

    fn acquired(&self, id: u64) {
        let mut clocks = self.clocks.borrow_mut();
        if clocks.is_used()
            && let Some((seat, _)) = self.clocked(&mut clocks)
        {
            clocks.acquired(seat, id);
        }
    }

    fn accessed(&self, id: u64, writes: bool, what: &'static str, at: &'static Location<'static>) {
        if !self.races.get() {
            return;
        }
        let mut clocks = self.clocks.borrow_mut();
        let Some((seat, event)) = self.clocked(&mut clocks) else {
            return;
        };
        let Some(other) = clocks.accessed(seat, id, writes, what, at, event) else {
            return;
        };
        drop(clocks);
        let message = format!(
            "nothing orders {what} at {}:{} and {} at {}:{}: no strand, no lock, and neither handler \
             is the cause of the other",
            at.file(),
            at.line(),
            other.what,
            other.location.file(),
            other.location.line()
        );
        self.world.report(Violation {
            invariant: Invariant::Race,
            message,
            event,
            location: Some(at),
        });
    }

    fn forget(&self, id: u64) {
        self.clocks.borrow_mut().forget(id);
    }

    fn worker(&self) -> Option<usize> {
        Some(self.running.get()).filter(|seat| *seat != NOBODY)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for seat in self.seats.get_mut() {
            if let Some(fiber) = seat.fiber.take() {
                // At the end of the thread the pool may be gone: then so is the fiber.
                let _ = POOL.try_with(|pool| pool.give_back(fiber));
            }
        }
    }
}
