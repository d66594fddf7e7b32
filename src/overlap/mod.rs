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
mod decide;
mod fiber;
mod points;
mod run;
mod seat;
mod tell;
#[cfg(test)]
mod tests;
mod turns;
mod watch;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use crate::op::home::Local;
use crate::sim::World;
use crate::sim::steps::Until;
use crate::switch::{self, Switcher};
use clocks::{Clocks, Map};
use fiber::{Left, Pool};
use run::Piece;
use seat::{Seat, State};
use turns::Turn;
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
