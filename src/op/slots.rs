//! Slots: where operations live while the kernel may touch what they own.
//!
//! A slot owns an operation's kind (with its buffer) and handler, inline, at an address that never
//! changes: slots come in chunks that are never freed, only used again (I4 holds by construction: the
//! worst that a stray completion finds is a slot of another generation). Each activation has a
//! generation of its own, so a completion or a cancel can only hit the activation that it was made
//! for (I6).
//!
//! The *vtable is the state* of what happens at completion: call a handler, wake a future, or throw
//! the result away. Where it is in its life is an atomic byte of its own ([`life`]).

use std::cell::{Cell, UnsafeCell};
use std::mem::{MaybeUninit, align_of, size_of};
use std::panic::Location;

use super::home::Local;
pub(crate) use super::life;
use super::life::Life;
use super::object::Object;
use crate::backend::{Code, Op, Origin, Raw, Tag, Token};
use crate::choice::EventId;

/// What to do when the operation in a slot is complete.
pub(crate) struct VTable {
    /// Takes over the slot with its result; called once an activation, on the home worker.
    ///
    /// # Safety
    ///
    /// The activation in the slot is complete, and its payload is of the type that this vtable was made
    /// for.
    pub(crate) complete: unsafe fn(&Local, &'static Slot, i32),
    /// For an operation that no lane has: whether a cancel ends it now.
    ///
    /// # Safety
    ///
    /// As `complete`, but the slot is `PENDING`.
    pub(crate) stop_external: Option<unsafe fn(&Local, &'static Slot) -> bool>,
    /// What stands in its place once the proactor is torn down: handlers are not called any more.
    pub(crate) at_teardown: Option<&'static VTable>,
    /// What stands in its place if the initiating call panics: its future was never made.
    pub(crate) unreturned: Option<&'static VTable>,
    /// Its future is gone: the result is thrown away.
    pub(crate) orphaned: bool,
    /// What reports call the operation.
    pub(crate) name: &'static str,
}

// Numbers of no task (see `task`).
const NOBODY: u64 = u64::MAX - 2;
const SOMEBODY: u64 = u64::MAX - 3;

/// Who waits for the result of a slot.
pub(crate) enum Waiter {
    Nobody,
    /// A task of the same worker, by its id.
    Task(u64),
    /// Anybody else.
    Waker(std::task::Waker),
}

/// Why an operation was asked to end early. The first reason stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Stop {
    No,
    Canceled,
    TimedOut,
    Closed,
    Teardown,
}

/// Bits of [`Slot::special`].
pub(crate) mod special {
    /// A timer bounds the operation.
    pub(crate) const DEADLINE: u8 = 1;
    /// The kernel is simulated: the operation is an event, and a step of its own when it is over.
    pub(crate) const EVENT: u8 = 2;
    /// It is beyond its first activation.
    pub(crate) const FURTHER: u8 = 4;
    /// It is complete, and its handler, or next step, waits in the queue of its strand.
    pub(crate) const QUEUED: u8 = 8;
}

const PAYLOAD_WORDS: usize = 22;

/// An [`Origin`] that is written field by field, and read where it stands.
#[repr(C)]
pub(crate) struct OriginCells {
    pub(crate) event: Cell<EventId>,
    pub(crate) cause: Cell<EventId>,
    pub(crate) location: Cell<&'static Location<'static>>,
    pub(crate) writable: Cell<bool>,
    pub(crate) may_be_ready: Cell<bool>,
}

const _: () = assert!(size_of::<OriginCells>() == size_of::<Origin>());

impl OriginCells {
    /// # Safety
    ///
    /// No cell is set while the reference lives.
    #[inline]
    pub(crate) unsafe fn get(&self) -> &Origin {
        // SAFETY: both are repr(C) with the same fields in the same order, and Cell is transparent.
        unsafe { &*std::ptr::from_ref(self).cast::<Origin>() }
    }
}

/// One operation's place: five cache lines, of which a small one uses three.
#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(crate) vtable: Cell<&'static VTable>,
    /// Of the current activation; a free slot has the one that its next will get.
    token: Cell<Token>,
    /// The one with which an operation started that is [`special::FURTHER`].
    first: Cell<Token>,
    /// The free list's link, in a free slot.
    next_free: Cell<Option<&'static Slot>>,
    /// The object that the current activation is on, if any.
    pub(crate) object: Cell<Option<&'static Object>>,
    /// The task of this worker that waits, or [`NOBODY`]. While a waker waits: [`SOMEBODY`].
    task: Cell<u64>,
    pub(crate) result: Cell<i32>,
    life: Life,
    pub(crate) stop: Cell<Stop>,
    /// What is out of the ordinary about the operation: see [`special`].
    pub(crate) special: Cell<u8>,
    /// No lane has it: it is completed by a message (a signal, an event).
    pub(crate) external: Cell<bool>,
    /// What the current activation asked of the lane, which may look again until its completion.
    op: Cell<Op>,
    pub(crate) origin: OriginCells,
    payload: UnsafeCell<MaybeUninit<[u64; PAYLOAD_WORDS]>>,
    waker: UnsafeCell<Option<std::task::Waker>>,
    is_extra: bool,
}

const _: () = assert!(size_of::<Slot>() == 320);

impl Slot {
    fn new(token: Token, is_extra: bool) -> Slot {
        Slot {
            vtable: Cell::new(&VACANT),
            token: Cell::new(token),
            first: Cell::new(token),
            next_free: Cell::new(None),
            object: Cell::new(None),
            task: Cell::new(NOBODY),
            result: Cell::new(0),
            life: Life::new(),
            stop: Cell::new(Stop::No),
            special: Cell::new(0),
            external: Cell::new(false),
            op: Cell::new(Op::new(Code::Nop, Raw::NONE)),
            origin: OriginCells {
                event: Cell::new(EventId::ROOT),
                cause: Cell::new(EventId::ROOT),
                location: Cell::new(Location::caller()),
                writable: Cell::new(false),
                may_be_ready: Cell::new(false),
            },
            payload: UnsafeCell::new(MaybeUninit::uninit()),
            waker: UnsafeCell::new(None),
            is_extra,
        }
    }

    /// The token of the current activation.
    #[inline]
    pub(crate) fn token(&self) -> Token {
        self.token.get()
    }

    /// The token with which the operation started.
    #[inline]
    pub(crate) fn first(&self) -> Token {
        if self.is(special::FURTHER) {
            self.first.get()
        } else {
            self.token.get()
        }
    }

    /// The token of the timer that bounds the whole operation.
    #[inline]
    pub(crate) fn deadline_token(&self) -> Token {
        self.first().with_tag(Tag::Deadline)
    }

    /// Something is out of the ordinary from now on.
    pub(crate) fn mark(&self, bit: u8) {
        self.special.set(self.special.get() | bit);
    }

    #[inline]
    pub(crate) fn unmark(&self, bit: u8) {
        self.special.set(self.special.get() & !bit);
    }

    #[inline]
    pub(crate) fn is(&self, bit: u8) -> bool {
        self.special.get() & bit != 0
    }

    /// What the current activation is.
    pub(crate) fn code(&self) -> Code {
        self.op.get().code
    }

    /// Keeps what is asked of the lane.
    #[inline]
    pub(crate) fn set_op(&self, op: Op) {
        self.op.set(op);
    }

    /// What is asked of the lane, where it stays until the completion.
    ///
    /// # Safety
    ///
    /// It is not set while the reference lives.
    #[inline]
    pub(crate) unsafe fn op(&self) -> &Op {
        // SAFETY: the caller's promise.
        unsafe { &*self.op.as_ptr() }
    }

    #[inline]
    pub(crate) fn life(&self) -> u8 {
        self.life.get()
    }

    #[inline]
    pub(crate) fn set_life(&self, to: u8) {
        self.life.set(to);
    }

    /// The next activation of the same operation gets a generation of its own.
    #[inline]
    pub(crate) fn next_activation(&self) {
        if !self.is(special::FURTHER) {
            self.first.set(self.token.get());
            self.mark(special::FURTHER);
        }
        self.token.set(self.token.get().next());
    }

    /// Puts what the operation owns into the slot: inline if it fits, boxed otherwise.
    ///
    /// # Safety
    ///
    /// The slot's payload is empty. Every later access names the same `T` until it is taken.
    #[inline]
    pub(crate) unsafe fn put<T: Send + 'static>(&self, value: T) {
        let place = self.payload.get().cast::<u8>();
        // SAFETY: the payload is empty and large and aligned enough for what is written (I4: the
        // address is stable, so T may contain what the kernel reads); no reference to it is alive.
        unsafe {
            if fits_inline::<T>() {
                place.cast::<T>().write(value);
            } else {
                place.cast::<*mut T>().write(Box::into_raw(Box::new(value)));
            }
        }
    }

    /// Where the payload's value is.
    ///
    /// # Safety
    ///
    /// A `T` was put and not yet taken. The caller makes no second reference while it uses this one.
    #[inline]
    pub(crate) unsafe fn get<T: Send>(&self) -> *mut T {
        let place = self.payload.get().cast::<u8>();
        // SAFETY: a T was put here, inline or boxed by the same rule.
        unsafe {
            if fits_inline::<T>() {
                place.cast::<T>()
            } else {
                place.cast::<*mut T>().read()
            }
        }
    }

    /// Takes the payload's value out.
    ///
    /// # Safety
    ///
    /// A `T` was put and not yet taken.
    #[inline]
    pub(crate) unsafe fn take<T: Send>(&self) -> T {
        let place = self.payload.get().cast::<u8>();
        // SAFETY: a T was put here, inline or boxed by the same rule, and is not used afterwards.
        unsafe {
            if fits_inline::<T>() {
                place.cast::<T>().read()
            } else {
                *Box::from_raw(place.cast::<*mut T>().read())
            }
        }
    }

    /// Who waits is replaced; the old one is given back (dropping a waker is user code).
    #[inline]
    pub(crate) fn replace_waiter(&self, waiter: Waiter) -> Waiter {
        let before = self.take_waiter();
        match waiter {
            Waiter::Nobody => {}
            Waiter::Task(id) => self.task.set(id),
            Waiter::Waker(waker) => self.put_waker(waker),
        }
        before
    }

    /// A task of this worker waits, in place of whoever did.
    #[inline]
    pub(crate) fn set_task(&self, id: u64) {
        if self.task.get() == SOMEBODY {
            drop(self.take_waker());
        }
        self.task.set(id);
    }

    /// The spawned task that waits, if one does: it does not any more.
    #[inline]
    pub(crate) fn take_task(&self) -> Option<u64> {
        let id = self.task.get();
        // The others' numbers have this bit.
        if id >> 63 != 0 {
            return None;
        }
        self.task.set(NOBODY);
        Some(id)
    }

    /// Nobody waits any more; who did.
    #[inline]
    pub(crate) fn take_waiter(&self) -> Waiter {
        match self.task.replace(NOBODY) {
            NOBODY => Waiter::Nobody,
            SOMEBODY => self.take_waker(),
            id => Waiter::Task(id),
        }
    }

    #[cold]
    #[inline(never)]
    fn put_waker(&self, waker: std::task::Waker) {
        self.task.set(SOMEBODY);
        // SAFETY: only the home worker's thread comes here (Slot is reached through Local), and no
        // reference into the cell outlives this expression. There is no waker in it to be dropped.
        let before = unsafe { (*self.waker.get()).replace(waker) };
        debug_assert!(before.is_none());
    }

    #[cold]
    #[inline(never)]
    fn take_waker(&self) -> Waiter {
        // SAFETY: as in `put_waker`.
        match unsafe { (*self.waker.get()).take() } {
            Some(waker) => Waiter::Waker(waker),
            None => Waiter::Nobody,
        }
    }
}

const fn fits_inline<T>() -> bool {
    size_of::<T>() <= PAYLOAD_WORDS * 8 && align_of::<T>() <= 8
}

/// What a slot has that was never used.
static VACANT: VTable = VTable {
    complete: vacant,
    stop_external: None,
    at_teardown: None,
    unreturned: None,
    orphaned: false,
    name: "nothing",
};

unsafe fn vacant(_: &Local, slot: &'static Slot, _: i32) {
    debug_assert!(
        false,
        "a completion reached the free slot {:?}",
        slot.token()
    );
}

/// All slots of one worker: chunks that double in size and are never given back, and a free list.
pub(crate) struct Slots {
    /// Every slot by its number: one look-up, whichever chunk it is in.
    table: Cell<&'static [&'static Slot]>,
    /// From here on none has been used since the last [`Slots::begin`].
    fresh: Cell<u32>,
    free: Cell<Option<&'static Slot>>,
    /// How many more operations may start without a closer look: [`Slots::room_at_first`] less those in use.
    room: Cell<i64>,
    room_at_first: Cell<i64>,
}

/// The first generation of the upper half.
const LATE: u64 = 1 << 39;
const FIRST_CHUNK: u32 = 64;
/// How many slots a worker can have.
pub(crate) const CAPACITY: u32 = 1 << Token::INDEX_BITS;

impl Slots {
    pub(crate) fn new() -> Slots {
        Slots {
            table: Cell::new(&[]),
            fresh: Cell::new(0),
            free: Cell::new(None),
            room: Cell::new(0),
            room_at_first: Cell::new(0),
        }
    }

    /// The slot with this number, if there is one.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&'static Slot> {
        self.table.get().get(index as usize).copied()
    }

    /// The slot that has, or had, this token.
    #[inline]
    pub(crate) fn of(&self, token: Token) -> Option<&'static Slot> {
        self.get(token.index())
    }

    /// From now on [`take_quickly`](Slots::take_quickly) finds a slot only while fewer than this are in use.
    pub(crate) fn set_room(&self, room: u32) {
        let in_use = i64::from(self.in_use());
        self.room_at_first.set(room.into());
        self.room.set(i64::from(room) - in_use);
    }

    /// A slot that was used before, `SUBMITTING` from now on, if there is one and room for it.
    #[inline]
    pub(crate) fn take_quickly(&self) -> Option<&'static Slot> {
        let slot = self.free.get()?;
        self.room.set(self.room.get() - 1);
        if self.room.get() < 0 {
            return self.no_room();
        }
        self.take_free(slot);
        Some(slot)
    }

    #[cold]
    #[inline(never)]
    fn no_room(&self) -> Option<&'static Slot> {
        self.room.set(self.room.get() + 1);
        None
    }

    /// A free slot, `SUBMITTING` from now on; none if all [`CAPACITY`] are in use.
    pub(crate) fn take(&self) -> Option<&'static Slot> {
        let slot = match self.free.get() {
            Some(slot) => slot,
            None => self.fresh()?,
        };
        self.room.set(self.room.get() - 1);
        self.take_free(slot);
        Some(slot)
    }

    #[inline]
    fn take_free(&self, slot: &'static Slot) {
        self.free.set(slot.next_free.get());
        slot.stop.set(Stop::No);
        slot.special.set(0);
        slot.set_life(life::SUBMITTING);
    }

    /// Gives a slot back whose payload was taken. Its generation is over.
    #[inline]
    pub(crate) fn give_back(&self, slot: &'static Slot) {
        let next = slot.token.get().next();
        slot.token.set(next);
        // A slot whose generations are half used up is retired: a token never names two operations.
        // (The other half is for the activations of a composed operation that started just before.)
        if next.is_late() {
            return self.retire(slot);
        }
        slot.set_life(life::FREE);
        self.room.set(self.room.get() + 1);
        slot.next_free.set(self.free.get());
        self.free.set(Some(slot));
    }

    #[cold]
    #[inline(never)]
    fn retire(&self, slot: &'static Slot) {
        slot.set_life(life::FREE);
        self.room.set(self.room.get() + 1);
        if slot.is_extra {
            // SAFETY: `extra` leaked this box; its operation is over, and no number leads to it.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(slot).cast_mut()) });
        }
    }

    /// A slot without a number, for one operation that the kernel never sees. It is freed when it
    /// is given back.
    #[cold]
    pub(crate) fn extra(&self) -> &'static Slot {
        let token = Token::new(CAPACITY - 1, LATE, Tag::Operation);
        let slot = Box::leak(Box::new(Slot::new(token, true)));
        self.room.set(self.room.get() - 1);
        slot
    }

    pub(crate) fn in_use(&self) -> u32 {
        (self.room_at_first.get() - self.room.get()) as u32
    }

    /// Every slot that is not free.
    pub(crate) fn busy(&self) -> impl Iterator<Item = &'static Slot> {
        // Beyond these none has been used since the proactor moved in.
        let used = match self.in_use() {
            0 => 0,
            _ => self.fresh.get() as usize,
        };
        let used = self.table.get().iter().take(used);
        used.copied().filter(|slot| slot.life() != life::FREE)
    }

    /// All slots are free, and a new proactor moves in: it is to get the same numbers in the same
    /// order as any other would, so that a simulation repeats itself.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.in_use(), 0);
        self.free.set(None);
        self.fresh.set(0);
    }

    /// Puts a slot into the free list that was not used since [`Slots::begin`].
    #[cold]
    fn fresh(&self) -> Option<&'static Slot> {
        loop {
            let index = self.fresh.get();
            if index as usize == self.table.get().len() {
                self.grow()?;
            }
            self.fresh.set(index + 1);
            let slot = self.get(index)?;
            if !slot.token().is_late() {
                slot.next_free.set(None);
                return Some(slot);
            }
        }
    }

    fn grow(&self) -> Option<()> {
        let before = self.table.get();
        let made = before.len() as u32;
        let size = made.max(FIRST_CHUNK).min(CAPACITY - made);
        if size == 0 {
            return None;
        }
        let slot = |index| Slot::new(Token::new(index, 1, Tag::Operation), false);
        let slots: &'static [Slot] = Box::leak((made..made + size).map(slot).collect());
        // The old table stays as it is: somebody may be reading it. All old ones together are as
        // large as the new one, and slots are never given back anyway.
        self.table
            .set(Box::leak(before.iter().copied().chain(slots).collect()));
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_places_agree() {
        let slots = Slots::new();
        let taken: Vec<_> = (0..1_000).map(|_| slots.take().unwrap()).collect();
        for (number, slot) in taken.iter().enumerate() {
            assert!(std::ptr::eq(slots.of(slot.token()).unwrap(), *slot));
            assert_eq!(slots.in_use(), 1_000);
            assert!(slot.token().index() < 1_024 + number as u32);
        }
        assert!(slots.get(CAPACITY).is_none());
    }

    #[test]
    fn a_slot_used_again_has_another_generation() {
        let slots = Slots::new();
        let slot = slots.take().unwrap();
        let token = slot.token();
        slots.give_back(slot);
        let again = slots.take().unwrap();
        assert_eq!(again.token().index(), token.index());
        assert_ne!(again.token(), token);
    }

    #[test]
    fn a_slot_is_retired_before_its_generation_wraps() {
        let slots = Slots::new();
        let slot = slots.take().unwrap();
        let index = slot.token().index();
        slot.token.set(Token::new(index, LATE - 2, Tag::Operation));
        slots.give_back(slot);
        assert_eq!(slots.take().unwrap().token().index(), index);
        slots.give_back(slot);
        assert_ne!(slots.take().unwrap().token().index(), index);
    }

    #[test]
    fn a_new_tenant_gets_the_same_numbers_but_never_the_same_tokens() {
        let slots = Slots::new();
        let take = || -> Vec<_> { (0..3).map(|_| slots.take().unwrap()).collect() };
        let first = take();
        let tokens: Vec<_> = first.iter().map(|slot| slot.token()).collect();
        for slot in [first[1], first[0], first[2]] {
            slots.give_back(slot);
        }
        slots.begin();
        for (old, slot) in tokens.iter().zip(take()) {
            assert_eq!(slot.token().index(), old.index());
            assert_ne!(slot.token(), *old);
        }
    }

    #[test]
    fn without_room_no_slot_is_taken_quickly() {
        let slots = Slots::new();
        let used = slots.take().unwrap();
        slots.give_back(used);
        assert!(slots.take_quickly().is_none());
        slots.set_room(1);
        let slot = slots.take_quickly().unwrap();
        assert!(slots.take_quickly().is_none());
        assert_eq!(slots.in_use(), 1);
        slots.set_room(0);
        slots.give_back(slot);
        assert_eq!(slots.in_use(), 0);
        assert!(slots.take_quickly().is_none());
    }

    #[test]
    fn a_large_payload_is_boxed_and_comes_back() {
        let slots = Slots::new();
        let slot = slots.take().unwrap();
        let large = [7u64; 100];
        // SAFETY: put once, read and taken as the same type.
        unsafe {
            slot.put(large);
            assert_eq!((*slot.get::<[u64; 100]>())[99], 7);
            assert_eq!(slot.take::<[u64; 100]>(), large);
        }
        slots.give_back(slot);
    }
}
