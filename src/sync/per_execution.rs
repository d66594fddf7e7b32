//! [`PerExecution`] and [`PerWorker`]: statics that a simulation makes anew for each execution.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::switch::{self, Point};

/// A static that is made when it is first used: once in a program, and once in each execution of a
/// check.
///
/// On a real kernel it is a [`LazyLock`](std::sync::LazyLock). In a check each execution has a value
/// of its own, made fresh and dropped at its end, so that none finds what another has left: such a
/// static would make the model another one each time.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use proactor::sync::PerExecution;
///
/// static SERVED: PerExecution<AtomicU32> = PerExecution::new(|| AtomicU32::new(0));
///
/// proactor::check(|_| {
///     let before = SERVED.with(|served| served.fetch_add(1, Ordering::Relaxed));
///     assert_eq!(before, 0, "each execution counts from the start");
/// });
/// ```
pub struct PerExecution<T> {
    id: Id,
    make: fn() -> T,
    real: OnceLock<T>,
}

/// A static that each worker has a value of its own of: a thread-local on a real kernel.
///
/// In a check each simulated worker has one, in each execution; what is outside of all workers (the
/// model's own body) has one more. Which worker runs a handler is chance: what is kept here may serve
/// as a cache, and no more.
///
/// ```
/// use std::cell::Cell;
/// use proactor::sync::PerWorker;
///
/// static SEEN: PerWorker<Cell<u32>> = PerWorker::new(|| Cell::new(0));
///
/// SEEN.with(|seen| seen.set(seen.get() + 1));
/// assert_eq!(SEEN.with(Cell::get), 1);
/// ```
pub struct PerWorker<T> {
    id: Id,
    make: fn() -> T,
}

/// A number for each static, given when it is first used.
struct Id(AtomicU64);

impl Id {
    const fn new() -> Id {
        Id(AtomicU64::new(0))
    }

    fn get(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = self.0.load(Ordering::Relaxed);
        if id != 0 {
            return id;
        }
        let fresh = NEXT.fetch_add(1, Ordering::Relaxed);
        let first = self
            .0
            .compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed);
        first.err().unwrap_or(fresh)
    }
}

impl<T: Send + Sync + 'static> PerExecution<T> {
    /// `make` gives the value when it is first used.
    pub const fn new(make: fn() -> T) -> PerExecution<T> {
        PerExecution {
            id: Id::new(),
            make,
            real: OnceLock::new(),
        }
    }

    /// Does something with the value.
    ///
    /// # Panics
    ///
    /// If making the value asks for the value itself.
    #[track_caller]
    pub fn with<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        let key = (OF_ALL, self.id.get());
        match EXECUTION.with(|values| values.get(key, self.make)) {
            Some(value) => act(&value),
            None => act(self.real.get_or_init(self.make)),
        }
    }
}

impl<T: 'static> PerWorker<T> {
    /// `make` gives the value of each worker when that first uses it.
    pub const fn new(make: fn() -> T) -> PerWorker<T> {
        PerWorker {
            id: Id::new(),
            make,
        }
    }

    /// Does something with the value of the worker that runs here.
    ///
    /// # Panics
    ///
    /// If making the value asks for the value itself; at the end of a thread, when its values are gone.
    #[track_caller]
    pub fn with<R>(&self, act: impl FnOnce(&T) -> R) -> R {
        let id = self.id.get();
        // What runs on no worker has a value of its own.
        let worker = switch::worker().map_or(OF_ALL, |worker| worker as u64);
        let simulated = EXECUTION.with(|values| values.get((worker, id), self.make));
        let value = simulated.or_else(|| THREAD.with(|values| values.get((OF_ALL, id), self.make)));
        match value {
            Some(value) => act(&value),
            None => act(&(self.make)()),
        }
    }
}

impl<T> fmt::Debug for PerExecution<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerExecution").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PerWorker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerWorker").finish_non_exhaustive()
    }
}

/// Instead of a worker's number: the value is of no worker.
const OF_ALL: u64 = u64::MAX;

thread_local! {
    /// Of the execution that is under way on this thread.
    static EXECUTION: Values = const { Values::new(false) };
    /// Of this thread, outside of executions.
    static THREAD: Values = const { Values::new(true) };
}

/// The values of a scope.
struct Values {
    /// This is inside of it.
    inside: Cell<bool>,
    /// Oldest first.
    made: RefCell<Vec<(Key, Made)>>,
}

/// The worker, and the number of the static.
type Key = (u64, u64);

/// A value, or none while it is being made.
type Made = Option<Rc<dyn Any>>;

impl Values {
    const fn new(inside: bool) -> Values {
        Values {
            inside: Cell::new(inside),
            made: RefCell::new(Vec::new()),
        }
    }

    /// The value, made if there is none. None: this is outside of the scope.
    #[track_caller]
    fn get<T: 'static>(&self, key: Key, make: fn() -> T) -> Option<Rc<T>> {
        loop {
            let made = self.find(key)?;
            match made {
                Some(Some(value)) => return value.downcast().ok(),
                // Another handler has given way while it makes it.
                Some(None) => assert!(
                    switch::block_until(Point::Sync("a static"), || {
                        !matches!(self.find(key), Some(Some(None)))
                    }),
                    "what makes the value of a static asks for that value"
                ),
                None => break,
            }
        }
        self.put(key, None);
        let making = Making { values: self, key };
        let value = Rc::new(make());
        std::mem::forget(making);
        self.put(key, Some(value.clone()));
        Some(value)
    }

    #[allow(clippy::option_option)] // outside of the scope; not there; being made
    fn find(&self, key: Key) -> Option<Option<Made>> {
        if !self.inside.get() {
            return None;
        }
        let values = self.made.borrow();
        let value = values.iter().find(|(other, _)| *other == key);
        Some(value.map(|(_, made)| made.clone()))
    }

    fn put(&self, key: Key, made: Made) {
        let mut values = self.made.borrow_mut();
        values.retain(|(other, _)| *other != key);
        values.push((key, made));
    }
}

/// While a value is being made: if that panics, there is none.
struct Making<'a> {
    values: &'a Values,
    key: Key,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut values = self.values.made.borrow_mut();
        values.retain(|(other, _)| *other != self.key);
    }
}

/// An execution of a check, on this thread.
#[cfg(feature = "check")]
pub(crate) struct Execution(());

#[cfg(feature = "check")]
impl Execution {
    /// It begins: no static has a value.
    pub(crate) fn begin() -> Execution {
        EXECUTION.with(|values| {
            if !values.made.borrow().is_empty() {
                // A panic of one has kept them from being dropped.
                drop(values.made.take());
            }
            values.inside.set(true);
        });
        Execution(())
    }
}

#[cfg(feature = "check")]
impl Drop for Execution {
    /// It ends: the values are dropped, the newest first. That may panic: they are users'.
    fn drop(&mut self) {
        EXECUTION.with(|values| {
            // While they are dropped they may use each other, and make new ones.
            while let Some(value) = { values.made.borrow_mut().pop() } {
                drop(value);
            }
            values.inside.set(false);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    static NUMBER: PerExecution<AtomicU32> = PerExecution::new(|| AtomicU32::new(7));
    static NEXT: PerExecution<u32> =
        PerExecution::new(|| NUMBER.with(|number| number.load(Ordering::Relaxed) + 1));
    static LOCAL: PerWorker<Cell<u32>> = PerWorker::new(|| Cell::new(1));

    #[test]
    fn outside_of_executions_they_are_a_static_and_a_thread_local() {
        assert_eq!(NEXT.with(|next| *next), 8);
        LOCAL.with(|local| local.set(5));
        let other = || {
            (
                NUMBER.with(|it| it.fetch_add(1, Ordering::Relaxed)),
                LOCAL.with(Cell::get),
            )
        };
        assert_eq!(std::thread::spawn(other).join().ok(), Some((7, 1)));
        assert_eq!(other(), (8, 5));
    }

    #[cfg(feature = "check")]
    #[test]
    fn an_execution_has_values_of_its_own_that_it_drops_newest_first() {
        struct Mark(u32);
        static DROPPED: std::sync::Mutex<Vec<u32>> = std::sync::Mutex::new(Vec::new());
        impl Drop for Mark {
            fn drop(&mut self) {
                DROPPED.lock().expect("no panic").push(self.0);
            }
        }
        static ONE: PerExecution<Mark> = PerExecution::new(|| Mark(1));
        static TWO: PerExecution<Mark> = PerExecution::new(|| Mark(2));
        static LOCAL: PerWorker<Cell<u32>> = PerWorker::new(|| Cell::new(1));
        for _ in 0..2 {
            let execution = Execution::begin();
            assert_eq!(ONE.with(|mark| mark.0) + TWO.with(|mark| mark.0), 3);
            assert_eq!(LOCAL.with(|local| local.replace(2)), 1);
            assert_eq!(LOCAL.with(Cell::get), 2);
            drop(execution);
        }
        assert_eq!(*DROPPED.lock().expect("no panic"), [2, 1, 2, 1]);
    }

    #[cfg(feature = "check")]
    #[test]
    fn a_value_that_panics_when_it_is_dropped_leaves_nothing_to_the_next_execution() {
        struct Angry;
        impl Drop for Angry {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new(()));
            }
        }
        static OLDER: PerExecution<AtomicU32> = PerExecution::new(|| AtomicU32::new(0));
        static ANGRY: PerExecution<Angry> = PerExecution::new(|| Angry);
        let execution = Execution::begin();
        OLDER.with(|older| older.store(7, Ordering::Relaxed));
        ANGRY.with(|_| ());
        let ended = std::panic::AssertUnwindSafe(|| drop(execution));
        assert!(std::panic::catch_unwind(ended).is_err());
        let _next = Execution::begin();
        assert_eq!(OLDER.with(|older| older.load(Ordering::Relaxed)), 0);
    }

    #[cfg(feature = "check")]
    #[test]
    fn a_value_that_asks_for_itself_is_told_and_one_that_panics_is_made_again() {
        static SELF: PerExecution<u32> = PerExecution::new(|| SELF.with(|it| *it));
        static LATER: PerExecution<u32> = PerExecution::new(|| {
            let early = NUMBER.with(|number| number.fetch_add(1, Ordering::Relaxed)) == 7;
            if early {
                std::panic::resume_unwind(Box::new(()))
            } else {
                3
            }
        });
        let _execution = Execution::begin();
        let ask = std::panic::catch_unwind(|| SELF.with(|it| *it)).expect_err("it is told");
        let told = ask.downcast_ref::<&str>().copied().unwrap_or_default();
        assert!(told.contains("asks for that value"), "{told}");
        assert!(std::panic::catch_unwind(|| LATER.with(|it| *it)).is_err());
        assert_eq!(LATER.with(|it| *it), 3);
    }
}
