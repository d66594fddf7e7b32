//! Where packets reach the lane whose operation they end, and how a lane that sleeps is woken.
//!
//! All lanes share one port, so a packet comes to whoever dequeues it. Operations belong to their lane: what is
//! another's goes into that lane's *mail*, a list through the entries themselves, so that delivering allocates
//! nothing and can't fail.
//!
//! # Who sleeps where
//!
//! One at a time sleeps in the port: it has *the seat*. Windows would wake any of several, and then a wake meant
//! for one could be taken by another, time and again. The others sleep beside it, each on its own thread's
//! parker, and are woken one by one. Whoever leaves the seat wakes one of those, so that the port is watched for as long as anybody
//! sleeps (the leader and its followers of POSA2). With one lane there is nobody else.
//!
//! A lane that does not sleep looks at the port without the seat, and may take the packet that was to wake who has it.
//! Then it posts another.
//!
//! # No wake is lost
//!
//! A desk is awake, asleep, or rung. A wake makes it rung, whatever it was, and only if it was asleep has the sleeper
//! to be fetched; a lane that wants to sleep and finds the desk rung does not. What is in the mail was put there before
//! the desk was rung. Fetching one from the port takes a post, and a post can fail; see
//! [`longest_sleep`](super::port::Port::longest_sleep).

use std::sync::PoisonError;

use super::entries::Entry;
use super::ord;
use super::sync::{Arc, AtomicPtr, AtomicU8, Mutex, MutexGuard, OnceLock, Thread, current};

const AWAKE: u8 = 0;
/// In the port.
const SEATED: u8 = 1;
/// On its thread's parker.
const ASIDE: u8 = 2;
/// Somebody else's executor runs, and a [watcher](super::watcher) sleeps in its place.
const WATCHED: u8 = 3;
const RUNG: u8 = 4;

/// Where a lane sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Bed {
    Seat = SEATED,
    Aside = ASIDE,
    Watched = WATCHED,
}

/// One lane, from everybody else's side.
#[derive(Default)]
pub(super) struct Desk {
    /// The newest first.
    mail: AtomicPtr<Entry>,
    state: AtomicU8,
    /// Whose parker it sleeps on.
    sleeper: Mutex<Option<Thread>>,
    /// The desk of its watcher.
    watcher: OnceLock<Arc<Desk>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Puts an entry, whose operation is over, into the mail. [`ring`](Desk::ring) is to follow.
    pub(super) fn put(&self, entry: &Entry) {
        let entry_ptr = std::ptr::from_ref(entry).cast_mut();
        let mut newest = self.mail.load(ord::RELAXED);
        loop {
            entry.link.store(newest, ord::RELAXED);
            match self
                .mail
                .compare_exchange_weak(newest, entry_ptr, ord::LEAVE_MAIL, ord::RELAXED)
            {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        !self.mail.load(ord::RELAXED).is_null()
    }

    /// The lane takes its mail, the oldest first.
    pub(super) fn take_mail(&self, mut each: impl FnMut(&Entry)) {
        let mut newest = self.mail.swap(std::ptr::null_mut(), ord::TAKE_MAIL);
        let mut oldest: *mut Entry = std::ptr::null_mut();
        // SAFETY: entries in the mail are in flight, so their table is there (I4), and they are ours since the swap.
        while let Some(entry) = unsafe { newest.as_ref() } {
            let older = entry.link.load(ord::RELAXED);
            entry.link.store(oldest, ord::RELAXED);
            (oldest, newest) = (newest, older);
        }
        // SAFETY: as above. The next is read first: `each` ends the entry's flight.
        while let Some(entry) = unsafe { oldest.as_ref() } {
            oldest = entry.link.load(ord::RELAXED);
            each(entry);
        }
    }

    /// Makes the lane's current or next wait return. From any thread. `post` ends a sleep in the port.
    pub(super) fn ring(&self, post: impl FnOnce()) {
        let state = self.state.swap(RUNG, ord::RING);
        if state != WATCHED {
            self.fetch(state, post);
        } else if let Some(watcher) = self.watcher.get() {
            watcher.fetch(watcher.state.swap(RUNG, ord::RING), post);
        }
    }

    /// Ends a sleep.
    fn fetch(&self, state: u8, post: impl FnOnce()) {
        match state {
            // The packet is only to end the sleep: whose it is the mark says.
            SEATED => post(),
            ASIDE => {
                if let Some(thread) = &*lock(&self.sleeper) {
                    thread.unpark();
                }
            }
            _ => {}
        }
    }

    /// The lane, before a wait: was it rung? Takes the mark.
    #[inline]
    pub(super) fn take(&self) -> bool {
        // The load keeps the common case free of a locked instruction.
        self.state.load(ord::RELAXED) == RUNG && self.rise()
    }

    /// The lane, about to sleep there. False if it has been rung: then it must not.
    pub(super) fn doze(&self, bed: Bed) -> bool {
        if bed == Bed::Aside {
            let mut sleeper = lock(&self.sleeper);
            let me = current();
            if sleeper.as_ref().is_none_or(|it| it.id() != me.id()) {
                *sleeper = Some(me);
            }
        }
        let mut state = self.state.load(ord::RELAXED);
        loop {
            if state == RUNG && ord::LOOKS_BEFORE_SLEEP {
                return false;
            }
            let now = self
                .state
                .compare_exchange_weak(state, bed as u8, ord::DOZE, ord::RELAXED);
            match now {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// The lane, after it slept: was it rung? Takes the mark. (The packet may still come, for nothing.)
    pub(super) fn rise(&self) -> bool {
        self.state.swap(AWAKE, ord::RISE) == RUNG
    }

    /// Whether it has been rung; the mark stays.
    pub(super) fn is_rung(&self) -> bool {
        self.state.load(ord::RELAXED) == RUNG
    }

    /// From now on this one sleeps in its place while it is [watched](Bed::Watched).
    pub(super) fn watched_by(&self, watcher: Arc<Desk>) {
        // A lane has one as long as it lives.
        let _ = self.watcher.set(watcher);
    }
}

/// The seat in the port, and who sleeps beside it.
#[derive(Default)]
pub(super) struct Seat(Mutex<Seats>);

#[derive(Default)]
struct Seats {
    taken: bool,
    aside: Vec<Thread>,
}

impl Seat {
    /// Takes the seat. None: another has it, and from now on whoever leaves it may wake this thread.
    pub(super) fn take(&self) -> Option<Seated<'_>> {
        let mut seats = lock(&self.0);
        if seats.taken {
            seats.aside.push(current());
            return None;
        }
        seats.taken = true;
        Some(Seated(self))
    }

    /// Somebody has it.
    pub(super) fn is_taken(&self) -> bool {
        lock(&self.0).taken
    }

    /// This thread sleeps beside it no more. If it was called to the seat it has it now, if it wants it: else another is
    /// called.
    pub(super) fn rise(&self, wants_it: bool) -> Option<Seated<'_>> {
        let me = current().id();
        let mut seats = lock(&self.0);
        let before = seats.aside.len();
        seats.aside.retain(|thread| thread.id() != me);
        let was_called = before == seats.aside.len();
        if !was_called || seats.taken {
            return None;
        }
        if wants_it {
            seats.taken = true;
            return Some(Seated(self));
        }
        if ord::PASSES_CALL_ON {
            call_next(seats);
        }
        None
    }

    /// The packet of a wake was taken by somebody who did not sleep: it was for who does. `post` posts another.
    pub(super) fn pass_wake_on(&self, post: impl FnOnce()) {
        if self.is_taken() && ord::PASSES_WAKE_ON {
            post();
        }
    }

    /// A lane sleeps: in the port, or beside it until it is called to the seat. What came of `in_port`, if
    /// it was in the port, and whether it was rung. It may come back early, with neither.
    ///
    /// `aside` sleeps on this thread's parker; `is_over` says afterwards whether it is not to sleep on.
    pub(super) fn rest<T>(
        &self,
        desk: &Desk,
        aside: impl FnOnce(),
        is_over: impl FnOnce() -> bool,
        in_port: impl FnOnce() -> T,
    ) -> (Option<T>, bool) {
        let mut seated = self.take();
        if seated.is_none() {
            if desk.doze(Bed::Aside) {
                aside();
            }
            let rung = desk.rise();
            // If there is something to do here, another is to have the seat. Else it is taken at once: nobody else was
            // called to it.
            seated = self.rise(!rung && !is_over());
            if seated.is_none() {
                return (None, rung);
            }
        }
        let slept = desk.doze(Bed::Seat).then(in_port);
        let rung = desk.rise();
        drop(seated);
        (slept, rung)
    }

    /// The watcher of `lane`, at its own `desk`, sleeps in the lane's place, unless that is rung. What came of `in_port`,
    /// if it was in the port.
    pub(super) fn watch<T>(
        &self,
        desk: &Desk,
        lane: &Desk,
        aside: impl FnOnce(),
        in_port: impl FnOnce() -> T,
    ) -> Option<T> {
        let seated = self.take();
        let bed = match seated {
            Some(_) => Bed::Seat,
            None => Bed::Aside,
        };
        let mut slept = None;
        if !lane.is_rung() && desk.doze(bed) {
            match bed {
                Bed::Seat => slept = Some(in_port()),
                _ => aside(),
            }
        }
        desk.rise();
        if seated.is_none() {
            drop(self.rise(false));
        }
        slept
    }
}

/// Whoever has the seat. Dropped, also by a panic, the port is to be watched by another, if anybody sleeps.
pub(super) struct Seated<'a>(&'a Seat);

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let mut seats = lock(&self.0.0);
        seats.taken = false;
        if ord::CALLS_NEXT {
            call_next(seats);
        }
    }
}

fn call_next(mut seats: MutexGuard<'_, Seats>) {
    let next = seats.aside.pop();
    drop(seats);
    if let Some(next) = next {
        next.unpark();
    }
}
