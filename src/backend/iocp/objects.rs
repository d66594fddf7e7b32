//! What is open: the numbers that the seam gives out, and the handles and events behind them.
//!
//! A [`Raw`] is a place in a table, not a handle: what a handle is (a socket, a file), whether it
//! skips packets, and events, which are no kernel objects here, have to be known by it. Looking a place up takes
//! no lock: the table grows by blocks that stay where they are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use super::desk::lock;
use super::entries::Entry;
use super::port::{Handle, Sort};
use crate::backend::Raw;

/// What a place holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    pub(super) handle: Handle,
    pub(super) sort: Sort,
    /// What succeeds at once brings no packet.
    pub(super) skips: bool,
    /// A socket of IPv6.
    pub(super) v6: bool,
}

const FREE: u32 = 0;
const OPEN: u32 = 1;
const IS_FILE: u32 = 2;
const SKIPS: u32 = 4;
const V6: u32 = 8;
const IS_EVENT: u32 = 16;

/// A place of the table.
#[derive(Default)]
struct Place {
    handle: AtomicUsize,
    flags: AtomicU32,
    event: Mutex<Event>,
}

/// A flag that somebody sets and one wait takes.
#[derive(Default)]
struct Event {
    set: bool,
    /// Entries of waits, which stay there until their lanes have heard.
    waits: VecDeque<*const Entry>,
}

// SAFETY: the pointers are handed on to the lanes whose they are; see `entries`.
unsafe impl Send for Event {}

const BLOCK: usize = 256;
/// So many objects there may be: 2^20.
const BLOCKS: usize = 4_096;

/// All that is open on one port.
pub(super) struct Objects {
    blocks: Box<[OnceLock<Box<[Place]>>]>,
    free: Mutex<Free>,
}

#[derive(Default)]
struct Free {
    places: Vec<u32>,
    /// From here on no place was ever used.
    next: u32,
}

impl Objects {
    pub(super) fn new() -> Objects {
        Objects {
            blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect(),
            free: Mutex::default(),
        }
    }

    /// None: too many are open.
    fn allocate(&self) -> Option<(Raw, &Place)> {
        let mut free = lock(&self.free);
        let number = match free.places.pop() {
            Some(number) => number,
            None if free.next as usize == BLOCK * BLOCKS => return None,
            None => {
                free.next += 1;
                free.next - 1
            }
        };
        let index = number as usize;
        let block = self.blocks[index / BLOCK]
            .get_or_init(|| (0..BLOCK).map(|_| Place::default()).collect());
        Some((Raw(number as i32), &block[index % BLOCK]))
    }

    #[inline]
    fn place(&self, raw: Raw) -> Option<&Place> {
        let index = usize::try_from(raw.0).ok()?;
        let block = self.blocks.get(index / BLOCK)?.get()?;
        Some(&block[index % BLOCK])
    }

    /// A handle is open from now on.
    pub(super) fn open(&self, known: Known) -> Option<Raw> {
        let (raw, place) = self.allocate()?;
        let mut flags = OPEN;
        if known.sort == Sort::File {
            flags |= IS_FILE;
        }
        if known.skips {
            flags |= SKIPS;
        }
        if known.v6 {
            flags |= V6;
        }
        place.handle.store(known.handle.0, Ordering::Relaxed);
        place.flags.store(flags, Ordering::Release);
        Some(raw)
    }

    /// The handle behind a number.
    #[inline]
    pub(super) fn known(&self, raw: Raw) -> Option<Known> {
        let place = self.place(raw)?;
        let flags = place.flags.load(Ordering::Acquire);
        if flags & (OPEN | IS_EVENT) != OPEN {
            return None;
        }
        Some(Known {
            handle: Handle(place.handle.load(Ordering::Relaxed)),
            sort: if flags & IS_FILE == 0 {
                Sort::Socket
            } else {
                Sort::File
            },
            skips: flags & SKIPS != 0,
            v6: flags & V6 != 0,
        })
    }

    /// Nothing is in flight on it any more, and its number may be another's. The handle, if it has one, is the caller's
    /// to close.
    pub(super) fn take(&self, raw: Raw) -> Option<Known> {
        let known = self.known(raw);
        let place = self.place(raw)?;
        if place.flags.swap(FREE, Ordering::AcqRel) != FREE {
            lock(&self.free).places.push(raw.0 as u32);
        }
        known
    }

    /// An event that is not set.
    pub(super) fn event(&self) -> Option<Raw> {
        let (raw, place) = self.allocate()?;
        *lock(&place.event) = Event::default();
        place.flags.store(OPEN | IS_EVENT, Ordering::Release);
        Some(raw)
    }

    fn event_of(&self, raw: Raw) -> Option<&Mutex<Event>> {
        let place = self.place(raw)?;
        let is_event = place.flags.load(Ordering::Acquire) == OPEN | IS_EVENT;
        is_event.then_some(&place.event)
    }

    /// Sets an event. The wait that takes it, if one waits: its lane is to hear of that.
    pub(super) fn set(&self, raw: Raw) -> Option<*const Entry> {
        let mut event = lock(self.event_of(raw)?);
        let wait = event.waits.pop_front();
        event.set |= wait.is_none();
        wait
    }

    /// Waits for an event. True: it was set, and the set is taken. None: that is no event.
    pub(super) fn wait(&self, raw: Raw, entry: &Entry) -> Option<bool> {
        let mut event = lock(self.event_of(raw)?);
        let taken = std::mem::take(&mut event.set);
        if !taken {
            event.waits.push_back(entry);
        }
        Some(taken)
    }

    /// Takes a wait back. False: it is over, and its lane will hear.
    pub(super) fn stop_waiting(&self, raw: Raw, entry: &Entry) -> bool {
        let Some(event) = self.event_of(raw) else {
            return false;
        };
        let waits = &mut lock(event).waits;
        let at = waits.iter().position(|it| std::ptr::eq(*it, entry));
        at.is_some_and(|at| waits.remove(at).is_some())
    }
}
