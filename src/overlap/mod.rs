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
use crate::switch::{self, Point, Switcher};
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
    seats: Box<[Seat]>,
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
    fiber: Cell<Option<Fiber<Piece>>>,
    state: Cell<State>,
    /// What the handler was caused by, and where it is, since it was left last.
    event: Cell<Option<EventId>>,
    place: Cell<Option<(Point, &'static Location<'static>)>>,
    /// The event that decisions were asked for last, and how many.
    asked: Cell<Option<(EventId, u32)>>,
    /// Switch points in a row.
    points: Cell<u32>,
    /// It is to give up what it waits for, since that will never come.
    gives_up: Cell<bool>,
    /// It was unwound at a switch point.
    unwound: Cell<bool>,
    /// The answer of a blocked one that was asked whether it could go on.
    could: Cell<bool>,
}

impl Seat {
    /// Another handler takes it.
    fn begins(&self, fiber: Fiber<Piece>) {
        self.fiber.set(Some(fiber));
        self.event.set(None);
        self.place.set(None);
        self.asked.set(None);
        self.points.set(0);
        self.gives_up.set(false);
        self.unwound.set(false);
    }
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
        switch::install(self.before.0.take());
    }
}

impl Workers {
    /// So many workers for the handlers of proactors on this kernel, at least 2.
    pub(crate) fn new(world: &World, count: usize) -> Rc<Workers> {
        world.with(|kernel| kernel.workers = count);
        Rc::new(Workers {
            world: world.clone(),
            seats: (0..count).map(|_| Seat::default()).collect(),
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
        self.beat.begins();
        Installed {
            before: (
                switch::install(Some(self.clone())),
                WORKERS.replace(Some(self.clone())),
            ),
        }
    }

    /// Nobody is inside a handler: what was done is before all that comes.
    fn all_are_done(&self) {
        self.clocks.borrow_mut().all_are_done();
        switch::track(false);
    }

    fn of_this_thread() -> Option<Rc<Workers>> {
        WORKERS.with_borrow(Clone::clone)
    }

    /// Begins a piece of work on a free worker. Comes back when there is a free one again and its turn
    /// has come, or when nothing is under way any more.
    fn begin(&self, piece: Piece) {
        let free = |seat: &Seat| seat.state.get() == State::Idle;
        let index = self.seats.iter().position(free);
        let fiber = index.map(|index| {
            let own = self.seats[index].fiber.take();
            own.map_or_else(|| POOL.with(Pool::take), Ok)
        });
        let (Some(index), Some(Ok(fiber))) = (index, fiber) else {
            // No memory for a stack: it runs as with one worker.
            return piece.run_here();
        };
        if self.traced.get() && self.begun.get() > 0 {
            self.tell_begin(&piece);
        }
        self.seats[index].begins(fiber);
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
        let first = self.waiting.borrow().first().copied();
        if let Some(Turn::Seat(seat)) = first.and_then(|first| self.who_is_next(first)) {
            self.goes_on(seat);
            self.take_turns(seat, None);
        }
    }

    /// Runs one after the other, as decided, until a piece of work is to begin or all have ended.
    fn take_turns(&self, mut index: usize, mut piece: Option<Piece>) {
        let mut panicked: Option<Box<dyn Any + Send>> = None;
        loop {
            // Which event a handler is about can be told only while it is there.
            let once = piece.as_ref().is_some_and(Piece::is_once);
            let mut ended = false;
            let left = self.enter(index, piece.take());
            let seat = &self.seats[index];
            let decided = self.next.take();
            if seat.state.get() == State::Leaked {
                self.leak(seat);
            } else if let Left::Ended(panic) = left {
                ended = true;
                seat.state.set(State::Idle);
                self.begun.set(self.begun.get() - 1);
                if let Some(panic) = panic.filter(|panic| !panic.is::<Drained>()) {
                    self.quiet.set(true);
                    panicked.get_or_insert(panic);
                }
            }
            let next = decided.or_else(|| self.who_is_next(index));
            if ended && !once {
                self.remember(seat);
            }
            match next {
                Some(Turn::Seat(next)) => index = next,
                Some(Turn::Piece) | None => break,
            }
            self.goes_on(index);
        }
        if let Some(panic) = panicked {
            self.quiet.set(false);
            resume_unwind(panic);
        }
    }

    /// The handler of this seat waits no longer.
    fn goes_on(&self, index: usize) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(at) = waiting.iter().position(|waiting| *waiting == index) {
            waiting.remove(at);
        }
        drop(waiting);
        if self.traced.get() {
            self.tell_go_on(&self.seats[index]);
        }
    }

    /// Runs the handler of this seat until it ends or is left.
    fn enter(&self, index: usize, piece: Option<Piece>) -> Left {
        let seat = &self.seats[index];
        let Some(mut fiber) = seat.fiber.take() else {
            return Left::Ended(None);
        };
        seat.state.set(State::Running);
        let outside = self.running.replace(index);
        self.beat.enters(index);
        let left = match piece {
            Some(piece) => fiber.begin(piece),
            None => fiber.go_on(),
        };
        self.running.set(outside);
        seat.fiber.set(Some(fiber));
        left
    }

    /// Who goes on when the handler of this seat has ended or waits. None: nothing is under way.
    fn who_is_next(&self, index: usize) -> Option<Turn> {
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
    fn decide(
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
    fn remember(&self, seat: &Seat) {
        if let Some((event, times)) = seat.asked.get() {
            self.occurrences.borrow_mut().insert(event.0, times);
        }
    }

    /// Those who were left and could go on, longest ago first.
    fn who_could(&self, turns: &mut Vec<Turn>) {
        let waiting = self.waiting.borrow();
        for &index in waiting.iter() {
            let state = self.seats[index].state.get();
            if state == State::Left || state == State::Blocked && self.probe(index) {
                turns.push(Turn::Seat(index));
            }
        }
    }

    /// Whether a blocked handler could go on: it looks itself, on its own stack.
    fn probe(&self, index: usize) -> bool {
        self.probing.set(true);
        let _ = self.enter(index, None);
        self.probing.set(false);
        self.seats[index].state.set(State::Blocked);
        self.seats[index].could.get()
    }

    /// The running handler has come to a point and goes on; unless it does nothing else.
    fn after_patience(&self, seat: &Seat, turns: &[Turn]) -> Option<Turn> {
        seat.points.set(seat.points.get() + 1);
        if seat.points.get() < PATIENCE {
            return None;
        }
        self.world.with(crate::sim::kernel::Kernel::spins);
        seat.points.set(PATIENCE - PATIENCE / 10);
        turns.first().copied()
    }

    /// Leaves the running handler, which is at `place`, until its turn comes again.
    fn leave(&self, local: &Local, state: State, place: (Point, &'static Location<'static>)) {
        let index = self.running.get();
        let seat = &self.seats[index];
        seat.state.set(state);
        seat.event.set(Some(local.step.get()));
        seat.place.set(Some(place));
        seat.points.set(0);
        self.waiting.borrow_mut().push(index);
        self.beat.leaves(index, place.1);
        let frame = local.frame();
        fiber::pause();
        local.set_frame(frame);
    }

    /// After the end of the story a handler comes to a switch point.
    fn drains(&self) {
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
    fn leak(&self, seat: &Seat) {
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

    /// I7: every handler that has begun waits for another.
    fn report_deadlock(&self) {
        let mut message =
            "deadlock: every worker waits for what only another handler could do".to_owned();
        let waiting = self.waiting.borrow();
        let mut first = None;
        for seat in waiting.iter().map(|seat| &self.seats[*seat]) {
            if let Some((point, at)) = seat.place.get() {
                message.push_str(&format!("\n  {point} waits at {}:{}", at.file(), at.line()));
                first = first.or(Some((seat.event.get(), at)));
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
    fn tell_go_on(&self, seat: &Seat) {
        let (Some(event), Some((point, at))) = (seat.event.get(), seat.place.get()) else {
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
        self.beat.at(location);
        let place = (point, location);
        if let Some(turn) = self.decide(self.running.get(), Some(place)) {
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
            if self.seats[running].gives_up.replace(false) {
                return false;
            }
            self.leave(local, State::Blocked, (point, location));
            while self.probing.get() {
                let could = ready();
                self.seats[running].could.set(could);
                fiber::pause();
            }
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
        if !self.races.get() {
            return;
        }
        let mut clocks = self.clocks.borrow_mut();
        let Some((seat, event)) = self.clocked(&mut clocks) else {
            return;
        };
        switch::track(true);
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
        for seat in &self.seats {
            if let Some(fiber) = seat.fiber.take() {
                // At the end of the thread the pool may be gone: then so is the fiber.
                let _ = POOL.try_with(|pool| pool.give_back(fiber));
            }
        }
    }
}
