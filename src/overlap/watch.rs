//! The watchdog: says which handler blocks the thread that all simulated workers are played by.
//!
//! Real time, and a warning only: no execution turns out differently for it. A thread of its own looks
//! once in a while at those that run executions. Where one has come to no switch point for
//! [`PATIENCE`], it names the places at which handlers are suspended: one of them may hold a std lock
//! that the running one waits for.

use std::io::Write;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

/// How long a handler may run without coming to a switch point before that is told.
const PATIENCE: Duration = Duration::from_secs(5);

/// Seats whose handlers are named; those of more workers are not.
const SEATS: usize = 16;

/// A place in the source, or none.
#[derive(Default)]
struct Place(AtomicPtr<Location<'static>>);

impl Place {
    fn set(&self, place: Option<&'static Location<'static>>) {
        let place = place.map_or(std::ptr::null_mut(), |place| {
            std::ptr::from_ref(place).cast_mut()
        });
        self.0.store(place, Ordering::Relaxed);
    }

    fn get(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null, or made from a reference that lives for ever to what nobody writes to.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
}

/// What the watchdog sees of a thread.
#[derive(Default)]
struct Seen {
    busy: AtomicBool,
    /// Counts what happens.
    beats: AtomicU64,
    /// The switch point that was come to last.
    last: Place,
    /// Where handlers are suspended, by seat.
    suspended: [Place; SEATS],
}

impl Seen {
    fn warning(&self) -> String {
        let mut text = format!(
            "proactor: for {PATIENCE:?} a handler on simulated workers has come to no switch point"
        );
        if let Some(at) = self.last.get() {
            text.push_str(&format!(
                "; the last one was at {}:{}",
                at.file(),
                at.line()
            ));
        }
        for at in self.suspended.iter().filter_map(Place::get) {
            text.push_str(&format!("\n  suspended at {}:{}", at.file(), at.line()));
        }
        text.push_str(
            "\n  A std lock that a suspended handler holds blocks the others for ever: use those of \
             `proactor::sync`, or hold it across no call of the library.",
        );
        text
    }
}

static THREADS: Mutex<Vec<Weak<Seen>>> = Mutex::new(Vec::new());

/// What a thread shows to the watchdog.
pub(super) struct Beat(Arc<Seen>);

impl Default for Beat {
    fn default() -> Beat {
        let seen = Arc::<Seen>::default();
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.push(Arc::downgrade(&seen));
        drop(threads);
        static DOG: Once = Once::new();
        // A machine that has no thread to spare has no watchdog.
        DOG.call_once(|| {
            let dog = std::thread::Builder::new().name("proactor-watchdog".to_owned());
            drop(dog.spawn(watch));
        });
        Beat(seen)
    }
}

impl Beat {
    /// An execution begins.
    pub(super) fn begins(&self) {
        self.0.busy.store(true, Ordering::Relaxed);
        self.beats();
    }

    /// It has ended.
    pub(super) fn rests(&self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }

    fn beats(&self) {
        // This thread alone writes.
        let beats = self.0.beats.load(Ordering::Relaxed);
        self.0.beats.store(beats + 1, Ordering::Relaxed);
    }

    /// The running handler is at a switch point.
    #[inline]
    pub(super) fn at(&self, place: &'static Location<'static>) {
        self.0.last.set(Some(place));
        self.beats();
    }

    /// The handler on this seat is suspended there.
    #[inline]
    pub(super) fn leaves(&self, seat: usize, place: &'static Location<'static>) {
        if let Some(suspended) = self.0.suspended.get(seat) {
            suspended.set(Some(place));
        }
    }

    /// The handler on this seat runs.
    #[inline]
    pub(super) fn enters(&self, seat: usize) {
        if let Some(suspended) = self.0.suspended.get(seat) {
            suspended.set(None);
        }
        self.beats();
    }
}

/// What the watchdog knows of a thread from its looks before.
struct Known {
    beats: u64,
    looks: u32,
}

impl Known {
    /// One look, once a second. The warning, once each time it is due.
    fn looks(&mut self, seen: &Seen) -> Option<String> {
        let beats = seen.beats.load(Ordering::Relaxed);
        if !seen.busy.load(Ordering::Relaxed) || beats != self.beats {
            *self = Known { beats, looks: 0 };
            return None;
        }
        self.looks = self.looks.saturating_add(1);
        (u64::from(self.looks) == PATIENCE.as_secs()).then(|| seen.warning())
    }
}

fn watch() {
    let mut known: Vec<(Weak<Seen>, Known)> = Vec::new();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let threads = THREADS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        known.retain(|(thread, _)| thread.strong_count() > 0);
        for thread in threads {
            let Some(seen) = thread.upgrade() else {
                continue;
            };
            let at = known.iter().position(|(other, _)| other.ptr_eq(&thread));
            let at = at.unwrap_or_else(|| {
                known.push((thread, Known { beats: 0, looks: 0 }));
                known.len() - 1
            });
            if let Some(warning) = known[at].1.looks(&seen) {
                // Nothing can be done if nobody listens.
                let _ = writeln!(std::io::stderr(), "{warning}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_to_no_switch_point_is_named_once_with_those_that_are_suspended() {
        let beat = Beat::default();
        let mut known = Known { beats: 0, looks: 0 };
        beat.begins();
        let here = Location::caller();
        beat.at(here);
        beat.leaves(1, here);
        beat.leaves(0, here);
        beat.enters(0);
        let warnings: Vec<String> = (0..20).filter_map(|_| known.looks(&beat.0)).collect();
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        let suspended = format!("suspended at {}:{}", here.file(), here.line());
        assert_eq!(warning.matches(&suspended).count(), 1, "{warning}");
        beat.at(here);
        assert!((0..4).all(|_| known.looks(&beat.0).is_none()));
        beat.rests();
        assert!((0..20).all(|_| known.looks(&beat.0).is_none()));
    }
}
