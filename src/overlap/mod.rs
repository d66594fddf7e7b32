//! Simulated workers: several workers of one proactor, played by one thread, whose handlers overlap.
//!
//! Each piece of work (a completion's handler, a posted one, the poll of a task) begins on a stack of
//! its own ([`fiber`]) and can be left at a switch point ([`switch`](crate::switch)), for another that
//! has been left before or for the next piece of work. Which, is a decision of the simulated kernel's
//! chooser: the first alternative is always to go on. As many pieces are under way at a time as there
//! are workers; a wait for the kernel happens between two pieces, as on a port that they share.
//!
//! Who gives way stays where it is and resumes the other from there, which comes back to it when its turn
//! has come again: one change of stacks, where by way of the loop it would be two, with two returns that no
//! processor foretells (13 of 27 ns). While a trace is written the loop runs all of them, so that it can say
//! what begins and goes on.
//!
//! A handler that has ended leaves its stack to the next piece of work, if that is ready and this stack is the one
//! that it would begin on: no change of stacks then, and none of what stands around one.
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

use crate::op::home::{Local, Ready};
use crate::scoped::{self, Scoped};
use crate::sim::World;
use crate::sim::steps::Until;
use crate::switch;
use clocks::{Clocks, Map};
use fiber::{Fiber, Left, Pool};
use run::{Begin, Piece};
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

/// Instead of a seat: the loop that all of them run in.
const LOOP: usize = usize::MAX - 1;

thread_local! {
    static POOL: Pool<Begin> = const { Pool::new() };
    /// The workers of the execution that is under way on this thread.
    static WORKERS: Scoped<Workers> = const { Scoped::new() };
}

/// The workers of one simulated kernel. They stay from one execution to the next.
pub(crate) struct Workers {
    world: World,
    seats: Box<[Seat]>,
    /// Who has been left, longest ago first.
    waiting: RefCell<Vec<usize>>,
    /// How many of them wait for more than their turn.
    blocked: Cell<usize>,
    /// Whose stack this is, if it is one of ours.
    running: Cell<usize>,
    /// Pieces that have begun and not ended.
    begun: Cell<usize>,
    /// Whose turn it is, if the one who gave way has decided that.
    next: Cell<Option<Turn>>,
    /// The seat whose turn it is, and which waits no longer, if the one who gave way has seen to that; or
    /// [`LOOP`].
    resumes: Cell<usize>,
    local: Cell<Option<&'static Local>>,
    /// How far the call of `run` goes, and whether further pieces may begin.
    goal: Cell<(usize, Until)>,
    accepts: Cell<bool>,
    /// How many of those that were ready when the loop last looked have not begun.
    round: Cell<usize>,
    /// A handler has panicked: the others end first, without interruption.
    quiet: Cell<bool>,
    /// With what.
    panicked: Cell<Option<Box<dyn Any + Send>>>,
    /// A blocked handler is only asked whether it could go on.
    probing: Cell<bool>,
    traced: Cell<bool>,
    occurrences: RefCell<Map<u32>>,
    scratch: RefCell<Vec<usize>>,
    clocks: RefCell<Clocks>,
    beat: Beat,
}

/// The payload that unwinds a handler that does not end by itself.
struct Drained;

impl Workers {
    /// So many workers for the handlers of proactors on this kernel, at least 2.
    pub(crate) fn new(world: &World, count: usize) -> Rc<Workers> {
        world.with(|kernel| kernel.workers = count);
        Rc::new(Workers {
            world: world.clone(),
            seats: (0..count).map(|_| Seat::default()).collect(),
            waiting: RefCell::default(),
            blocked: Cell::new(0),
            running: Cell::new(NOBODY),
            begun: Cell::new(0),
            next: Cell::new(None),
            resumes: Cell::new(NOBODY),
            local: Cell::new(None),
            goal: Cell::new((0, Until::Now)),
            accepts: Cell::new(false),
            round: Cell::new(0),
            quiet: Cell::new(false),
            panicked: Cell::new(None),
            probing: Cell::new(false),
            traced: Cell::new(false),
            occurrences: RefCell::default(),
            scratch: RefCell::default(),
            clocks: RefCell::new(Clocks::of(count)),
            beat: Beat::default(),
        })
    }

    /// An execution, during which they are this thread's. `races`: accesses that nothing orders are told.
    pub(crate) fn within<R>(&self, races: bool, execution: impl FnOnce() -> R) -> R {
        /// It has ended, however it did.
        struct Rests<'a>(&'a Beat);
        impl Drop for Rests<'_> {
            fn drop(&mut self) {
                self.0.rests();
            }
        }
        self.traced
            .set(self.world.with(|kernel| kernel.is_traced()));
        self.occurrences.borrow_mut().clear();
        self.beat.begins();
        let _rests = Rests(&self.beat);
        let inside = || switch::within(self, races, execution);
        scoped::within(&WORKERS, self, inside)
    }

    /// Nobody is inside a handler: what was done is before all that comes.
    fn all_are_done(&self) {
        self.clocks.borrow_mut().all_are_done();
        switch::track(false);
    }

    /// Begins a piece of work on a free worker. Comes back when there is a free one again and its turn
    /// has come, or when nothing is under way any more.
    fn begin(&self, local: &'static Local, work: Ready) {
        let piece = Piece(work);
        let free = |seat: &Seat| seat.state.get() == State::Idle;
        let index = self.seats.iter().position(free);
        let fiber = index.map(|index| {
            let own = self.seats[index].fiber.take();
            own.map_or_else(|| POOL.with(Pool::take), Ok)
        });
        let (Some(index), Some(Ok(fiber))) = (index, fiber) else {
            // No memory for a stack: it runs as with one worker.
            return piece.run_here(local);
        };
        if self.traced.get() && self.begun.get() > 0 {
            self.tell_begin(local, &piece);
        }
        self.takes_seat(index, &piece);
        self.seats[index].piece.set(Some(piece));
        self.take_turns(index, Some(fiber));
    }

    /// A piece of work is to begin on this seat.
    #[inline(always)]
    fn takes_seat(&self, index: usize, piece: &Piece) {
        self.seats[index].begins(piece);
        self.begun.set(self.begun.get() + 1);
        // Before the first access all clocks are those of a handler that begins.
        if switch::is_tracked() {
            self.clocks.borrow_mut().begins(index);
        }
    }

    /// The piece of work on this seat has ended, and its stack is the running one: the next one, if it is to begin
    /// there, as it would by way of the loop. If not, what was decided is left to whoever sees to the end.
    #[inline]
    fn next_here(&self, local: &'static Local, index: usize) -> Option<Piece> {
        let seat = &self.seats[index];
        let begun = self.begun.get() - 1;
        if self.round.get() == 0 || !self.accepts.get() || self.traced.get() {
            return None;
        }
        if begun > 0 {
            seat.state.set(State::Idle);
            self.begun.set(begun);
            let turn = self.who_is_next(index);
            self.begun.set(begun + 1);
            seat.state.set(State::Running);
            if turn != Some(Turn::Piece) {
                self.next.set(turn.or(Some(Turn::Piece)));
                return None;
            }
        }
        // The loop takes the first that is free.
        let mut lower = self.seats[..index].iter();
        let is_first = !lower.any(|seat| seat.state.get() == State::Idle);
        let next = match is_first && local.pause(self.goal.get().0).is_none() {
            true => self.next_ready(local),
            false => None,
        };
        let Some(next) = next else {
            self.next.set(Some(Turn::Piece));
            return None;
        };
        if !seat.once.get() {
            self.remember(seat);
        }
        self.begun.set(begun);
        let piece = Piece(next);
        self.takes_seat(index, &piece);
        self.beat.enters(index);
        Some(piece)
    }

    /// The next of those that were ready when the loop last looked.
    #[inline]
    fn next_ready(&self, local: &Local) -> Option<Ready> {
        let left = self.round.get().checked_sub(1)?;
        self.round.set(left);
        local.ready.borrow_mut().pop_front()
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

    /// Runs one after the other, as decided, until a piece of work is to begin or all have ended. `begins`:
    /// the stack of the first one, whose piece of work has not begun.
    fn take_turns(&self, first: usize, begins: Option<Box<Fiber<Begin>>>) {
        let left = match begins {
            Some(fiber) => self.enter(first, fiber, |fiber| fiber.begin(Begin)),
            None => self.come_back_to(first),
        };
        let mut index = self.whose_turn(first, left);
        while index != LOOP {
            let left = self.come_back_to(index);
            index = self.whose_turn(index, left);
        }
        if self.quiet.get()
            && let Some(panic) = self.panicked.take()
        {
            self.quiet.set(false);
            resume_unwind(panic);
        }
    }

    /// The handler of `host`, which gives way to that of `first`, stays where it is and runs it, and whoever
    /// comes after it, until its own turn has come: a change from one handler to the other is one of stacks
    /// then, there or back. If it is the turn of a handler that hosts this one, or of the loop, it suspends
    /// itself, and those below see to the rest.
    #[inline(always)]
    fn hosts(&self, host: usize, first: usize) {
        let seat = &self.seats[host];
        let mut next = first;
        if !self.seats[first].hosts.get() {
            seat.hosts.set(true);
            loop {
                let left = self.come_back_to(next);
                next = self.whose_turn(next, left);
                if next == host {
                    seat.hosts.set(false);
                    seat.state.set(State::Running);
                    self.beat.enters(host);
                    return;
                }
                if next == LOOP || self.seats[next].hosts.get() {
                    break;
                }
            }
            seat.hosts.set(false);
        }
        self.resumes.set(next);
        fiber::pause();
    }

    /// The handler of this seat has come back: who goes on; or the loop does ([`LOOP`]).
    #[inline(always)]
    fn whose_turn(&self, index: usize, left: Left) -> usize {
        match self.resumes.replace(NOBODY) {
            NOBODY => self.came_back(index, left),
            // Who gave way has seen to it.
            next => next,
        }
    }

    /// The same, of one that has ended, or waits.
    #[inline(never)]
    fn came_back(&self, index: usize, left: Left) -> usize {
        let seat = &self.seats[index];
        let decided = self.next.take();
        let mut ended = false;
        if seat.state.get() == State::Leaked {
            self.leak(seat);
        } else if left == Left::Ended {
            ended = true;
            seat.state.set(State::Idle);
            self.begun.set(self.begun.get() - 1);
        }
        let next = decided.or_else(|| self.who_is_next(index));
        if ended && !seat.once.get() {
            self.remember(seat);
        }
        match next {
            Some(Turn::Seat(next)) => {
                self.goes_on(next);
                next
            }
            Some(Turn::Piece) | None => LOOP,
        }
    }

    /// The handler of this seat waits no longer.
    fn goes_on(&self, index: usize) {
        let mut waiting = self.waiting.borrow_mut();
        if let Some(at) = waiting.iter().position(|waiting| *waiting == index) {
            waiting.remove(at);
        }
        drop(waiting);
        if self.seats[index].state.get() == State::Blocked {
            self.blocked.set(self.blocked.get() - 1);
        }
        if self.traced.get() {
            self.tell_go_on(&self.seats[index]);
        }
    }

    /// Runs the handler of this seat, which was left, until it ends or is left again.
    #[inline(always)]
    fn come_back_to(&self, index: usize) -> Left {
        match self.seats[index].fiber.take() {
            Some(fiber) => self.enter(index, fiber, Fiber::go_on),
            None => Left::Ended,
        }
    }

    #[inline(always)]
    fn enter(
        &self,
        index: usize,
        mut fiber: Box<Fiber<Begin>>,
        run: impl FnOnce(&mut Fiber<Begin>) -> Left,
    ) -> Left {
        let seat = &self.seats[index];
        seat.state.set(State::Running);
        let outside = self.running.replace(index);
        self.beat.enters(index);
        let left = run(&mut fiber);
        self.running.set(outside);
        if left == Left::Ended
            && let Some(panic) = fiber.take_panic()
        {
            self.panics(panic);
        }
        seat.fiber.set(Some(fiber));
        left
    }

    /// A handler has ended with a panic. The first one is passed on, when all others have ended.
    #[cold]
    fn panics(&self, panic: Box<dyn Any + Send>) {
        if panic.is::<Drained>() {
            return;
        }
        self.quiet.set(true);
        self.accepts.set(false);
        let first = self.panicked.take().unwrap_or(panic);
        self.panicked.set(Some(first));
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
