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
use crate::backend::{Code, Origin, Tag, Token};
use crate::choice::EventId;

/// What to do when the operation in a slot is complete.
pub(crate) struct VTable {
    /// Takes over the slot with its result; called once an activation, on the home worker.
    ///
    /// # Safety
    ///
    /// The slot is `DONE`, and its payload is of the type that this vtable was made for.
    pub(crate) complete: unsafe fn(&Local, &'static Slot, i32),
    /// For an operation that no lane has: whether a cancel ends it now.
    ///
    /// # Safety
    ///
    /// As `complete`, but the slot is `PENDING`.
    pub(crate) stop_external: Option<unsafe fn(&Local, &'static Slot) -> bool>,
    /// What stands in its place once the proactor is torn down: handlers are not called any more.
    pub(crate) at_teardown: Option<&'static VTable>,
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

/// The number of no slot.
pub(crate) const NONE: u32 = u32::MAX;

const PAYLOAD_WORDS: usize = 17;

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

/// One operation's place. 256 bytes, four cache lines.
#[repr(C, align(64))]
pub(crate) struct Slot {
    pub(crate) vtable: Cell<&'static VTable>,
    /// Of the current activation; a free slot has the one that its next will get.
    generation: Cell<u64>,
    /// The generation at which the operation started: what a cancel handle knows it by.
    pub(crate) first: Cell<u64>,
    pub(crate) origin: OriginCells,
    /// The object that the current activation is on, if any.
    pub(crate) object: Cell<Option<&'static Object>>,
    /// Neighbours among the object's operations; `next` is the free list's link in a free slot.
    pub(crate) prev: Cell<u32>,
    pub(crate) next: Cell<u32>,
    index: u32,
    pub(crate) result: Cell<i32>,
    life: Life,
    pub(crate) stop: Cell<Stop>,
    pub(crate) has_deadline: Cell<bool>,
    /// No lane has it: it is completed by a message (a signal, an event).
    pub(crate) external: Cell<bool>,
    pub(crate) code: Cell<Code>,
    /// The task of this worker that waits, or [`NOBODY`]. While a waker waits: [`SOMEBODY`].
    task: Cell<u64>,
    waker: UnsafeCell<Option<std::task::Waker>>,
    payload: UnsafeCell<MaybeUninit<[u64; PAYLOAD_WORDS]>>,
}

const _: () = assert!(size_of::<Slot>() == 256);

impl Slot {
    fn new(index: u32) -> Slot {
        Slot {
            vtable: Cell::new(&VACANT),
            generation: Cell::new(1),
            first: Cell::new(0),
            origin: OriginCells {
                event: Cell::new(EventId::ROOT),
                cause: Cell::new(EventId::ROOT),
                location: Cell::new(Location::caller()),
                writable: Cell::new(false),
                may_be_ready: Cell::new(false),
            },
            object: Cell::new(None),
            prev: Cell::new(NONE),
            next: Cell::new(NONE),
            index,
            result: Cell::new(0),
            life: Life::new(),
            stop: Cell::new(Stop::No),
            has_deadline: Cell::new(false),
            external: Cell::new(false),
            code: Cell::new(Code::Nop),
            task: Cell::new(NOBODY),
            waker: UnsafeCell::new(None),
            payload: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// The token of the current activation.
    #[inline]
    pub(crate) fn token(&self) -> Token {
        Token::new(self.index, self.generation.get(), Tag::Operation)
    }

    /// The token of the timer that bounds the whole operation.
    #[inline]
    pub(crate) fn deadline_token(&self) -> Token {
        Token::new(self.index, self.first.get(), Tag::Deadline)
    }

    #[inline]
    pub(crate) fn life(&self) -> u8 {
        self.life.get()
    }

    #[inline]
    pub(crate) fn set_life(&self, to: u8) {
        self.life.set(to);
    }

    /// Its completion has come: it is `DONE` from now on. False: it waits for none.
    #[inline]
    pub(crate) fn completes(&self) -> bool {
        self.life.complete()
    }

    #[inline]
    pub(crate) fn is_activation(&self, generation: u64) -> bool {
        self.generation.get() == generation
    }

    /// The next activation of the same operation gets a generation of its own.
    #[inline]
    pub(crate) fn next_activation(&self) {
        self.generation.set(self.generation.get() + 1);
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

/// What a free slot has. A completion for it can't pass the generation check.
static VACANT: VTable = VTable {
    complete: vacant,
    stop_external: None,
    at_teardown: None,
    orphaned: false,
    name: "nothing",
};

unsafe fn vacant(_: &Local, slot: &'static Slot, _: i32) {
    debug_assert!(false, "a completion reached the free slot {}", slot.index());
}

/// All slots of one worker: chunks that double in size and are never given back, and a free list.
pub(crate) struct Slots {
    /// Every slot by its number: one look-up, whichever chunk it is in.
    table: Cell<&'static [&'static Slot]>,
    /// From here on none has been used since the last [`Slots::begin`].
    fresh: Cell<u32>,
    free: Cell<u32>,
    in_use: Cell<u32>,
}

/// No operation starts as a later one. (The margin is for the activations of one composed operation.)
const LAST_GENERATION: u64 = Token::GENERATION_MAX - (1 << 32);
const FIRST_CHUNK: u32 = 64;
/// How many slots a worker can have.
pub(crate) const CAPACITY: u32 = 1 << Token::INDEX_BITS;

impl Slots {
    pub(crate) fn new() -> Slots {
        Slots {
            table: Cell::new(&[]),
            fresh: Cell::new(0),
            free: Cell::new(NONE),
            in_use: Cell::new(0),
        }
    }

    /// The slot with this number, if there is one.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&'static Slot> {
        self.table.get().get(index as usize).copied()
    }

    /// A free slot, `SUBMITTING` from now on; none if all [`CAPACITY`] are in use.
    #[inline]
    pub(crate) fn take(&self) -> Option<&'static Slot> {
        let slot = match self.get(self.free.get()) {
            Some(slot) => {
                self.free.set(slot.next.get());
                slot
            }
            None => self.take_fresh()?,
        };
        self.in_use.set(self.in_use.get() + 1);
        slot.next.set(NONE);
        slot.first.set(slot.generation.get());
        slot.stop.set(Stop::No);
        slot.set_life(life::SUBMITTING);
        Some(slot)
    }

    /// Gives a slot back whose payload was taken. Its generation is over.
    #[inline]
    pub(crate) fn give_back(&self, slot: &'static Slot) {
        let next = slot.generation.get() + 1;
        slot.generation.set(next);
        slot.set_life(life::FREE);
        slot.vtable.set(&VACANT);
        self.in_use.set(self.in_use.get() - 1);
        // A slot whose generations are nearly used up is retired: a token never names two operations.
        if next < LAST_GENERATION {
            slot.next.set(self.free.get());
            self.free.set(slot.index);
        } else if slot.index == NONE {
            // SAFETY: `extra` leaked this box; its operation is over, and no number leads to it.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(slot).cast_mut()) });
        }
    }

    /// A slot without a number, for one operation that the kernel never sees. It is freed when it
    /// is given back.
    #[cold]
    pub(crate) fn extra(&self) -> &'static Slot {
        let slot = Box::leak(Box::new(Slot::new(NONE)));
        slot.generation.set(Token::GENERATION_MAX);
        self.in_use.set(self.in_use.get() + 1);
        slot
    }

    pub(crate) fn in_use(&self) -> u32 {
        self.in_use.get()
    }

    /// Every slot that is not free.
    pub(crate) fn busy(&self) -> impl Iterator<Item = &'static Slot> {
        self.table
            .get()
            .iter()
            .copied()
            .filter(|slot| slot.life() != life::FREE)
    }

    /// All slots are free, and a new proactor moves in: it is to get the same numbers in the same
    /// order as any other would, so that a simulation repeats itself.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.in_use.get(), 0);
        self.free.set(NONE);
        self.fresh.set(0);
    }

    #[cold]
    fn take_fresh(&self) -> Option<&'static Slot> {
        loop {
            let index = self.fresh.get();
            if index as usize == self.table.get().len() {
                self.grow()?;
            }
            self.fresh.set(index + 1);
            let slot = self.get(index)?;
            if slot.generation.get() < LAST_GENERATION {
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
        let slots: &'static [Slot] = Box::leak((made..made + size).map(Slot::new).collect());
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
            assert!(std::ptr::eq(slots.get(slot.index()).unwrap(), *slot));
            assert_eq!(slots.in_use(), 1_000);
            assert!(slot.index() < 1_024 + number as u32);
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
        assert_eq!(again.index(), token.index());
        assert!(!again.is_activation(token.generation()));
    }

    #[test]
    fn a_slot_is_retired_before_its_generation_wraps() {
        let slots = Slots::new();
        let slot = slots.take().unwrap();
        slot.generation.set(LAST_GENERATION);
        slots.give_back(slot);
        assert_ne!(slots.take().unwrap().index(), slot.index());
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
            assert_eq!(slot.index(), old.index());
            assert_ne!(slot.token(), *old);
        }
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
