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

use std::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;

use super::entries::Entry;

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
        let mut newest = self.mail.load(Ordering::Relaxed);
        loop {
            entry.link.store(newest, Ordering::Relaxed);
            // Release: what was written to the entry is visible to the lane that takes it.
            match self.mail.compare_exchange_weak(
                newest,
                entry_ptr,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        !self.mail.load(Ordering::Relaxed).is_null()
    }

    /// The lane takes its mail, the oldest first.
    pub(super) fn take_mail(&self, mut each: impl FnMut(&Entry)) {
        let mut newest = self.mail.swap(std::ptr::null_mut(), Ordering::Acquire);
        let mut oldest: *mut Entry = std::ptr::null_mut();
        // SAFETY: entries in the mail are in flight, so their table is there (I4), and they are ours since the swap.
        while let Some(entry) = unsafe { newest.as_ref() } {
            let older = entry.link.load(Ordering::Relaxed);
            entry.link.store(oldest, Ordering::Relaxed);
            (oldest, newest) = (newest, older);
        }
        // SAFETY: as above. The next is read first: `each` ends the entry's flight.
        while let Some(entry) = unsafe { oldest.as_ref() } {
            oldest = entry.link.load(Ordering::Relaxed);
            each(entry);
        }
    }

    /// Makes the lane's current or next wait return. From any thread. `post` ends a sleep in the port.
    pub(super) fn ring(&self, post: impl FnOnce()) {
        // Release: what the caller did before is visible to the lane that takes the mark.
        match (self.state.swap(RUNG, Ordering::AcqRel), self.watcher.get()) {
            (WATCHED, Some(watcher)) => {
                watcher.fetch(watcher.state.swap(RUNG, Ordering::AcqRel), post);
            }
            (state, _) => self.fetch(state, post),
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
        self.state.load(Ordering::Relaxed) == RUNG && self.rise()
    }

    /// The lane, about to sleep there. False if it has been rung: then it must not.
    pub(super) fn doze(&self, bed: Bed) -> bool {
        if bed == Bed::Aside {
            let mut sleeper = lock(&self.sleeper);
            let me = std::thread::current();
            if sleeper.as_ref().is_none_or(|it| it.id() != me.id()) {
                *sleeper = Some(me);
            }
        }
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state == RUNG {
                return false;
            }
            match self.state.compare_exchange_weak(
                state,
                bed as u8,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
    }

    /// The lane, after it slept: was it rung? Takes the mark. (The packet may still come, for nothing.)
    pub(super) fn rise(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == RUNG
    }

    /// Whether it has been rung; the mark stays.
    pub(super) fn is_rung(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNG
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
            seats.aside.push(std::thread::current());
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
        let me = std::thread::current().id();
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
        call_next(seats);
        None
    }
}

/// Whoever has the seat. Dropped, also by a panic, the port is to be watched by another, if anybody sleeps.
pub(super) struct Seated<'a>(&'a Seat);

impl Drop for Seated<'_> {
    fn drop(&mut self) {
        let mut seats = lock(&self.0.0);
        seats.taken = false;
        call_next(seats);
    }
}

fn call_next(mut seats: MutexGuard<'_, Seats>) {
    let next = seats.aside.pop();
    drop(seats);
    if let Some(next) = next {
        next.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A thread that sleeps beside a seat which another leaves then, and rises, wanting it or not.
    fn called(wants_it: bool) -> (bool, usize) {
        let seat = Arc::new(Seat::default());
        let seated = seat.take();
        let (is_aside, hears) = mpsc::channel();
        let (leaves, has_left) = mpsc::channel::<()>();
        let theirs = Arc::clone(&seat);
        let other = std::thread::spawn(move || {
            assert!(theirs.take().is_none());
            is_aside.send(()).expect("it is heard");
            has_left.recv().expect("it is told");
            let seated = theirs.rise(wants_it);
            (
                seated.is_some(),
                theirs.is_taken(),
                seated.map(std::mem::forget),
            )
        });
        hears.recv().expect("it sleeps");
        // Another one sleeps longer: it is called last.
        lock(&seat.0).aside.insert(0, std::thread::current());
        drop(seated);
        assert!(!seat.is_taken());
        leaves.send(()).expect("it waits");
        let (has_it, is_taken, _) = other.join().expect("no panic");
        assert_eq!(has_it, is_taken);
        let aside = lock(&seat.0).aside.len();
        (has_it, aside)
    }

    #[test]
    fn who_is_called_to_the_seat_has_it_or_calls_the_next() {
        assert_eq!(called(true), (true, 1));
        assert_eq!(called(false), (false, 0));
    }

    #[test]
    fn who_was_not_called_does_not_get_it() {
        let seat = Seat::default();
        let seated = seat.take();
        assert!(seat.take().is_none());
        assert!(seat.rise(true).is_none());
        assert!(lock(&seat.0).aside.is_empty());
        drop(seated);
        assert!(seat.take().is_some());
    }
}
