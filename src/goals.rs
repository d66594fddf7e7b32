//! Goals: what a check should have come by, told where it never did.
//!
//! A check that passes may have tested nothing: no execution ever filled the queue, or took the retry.
//! [`sometimes!`](crate::sometimes) and [`reachable!`](crate::reachable) say in the code what should come
//! up; a check counts it over all its executions and threads, and its summary names what never did.
//!
//! Outside of a check each is one load and one branch. Inside, a hit counts in a table of its thread: no
//! lock, no allocation once its place is known. (A goal that no execution comes by can't tell of itself:
//! [`Checker::goal`](crate::check::Checker::goal) declares one that is expected.)

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Says that `condition` should hold here in some execution of a check. Not evaluated outside of one.
///
/// ```
/// use proactor::check::Checker;
/// use proactor::net::{TcpListener, TcpStream};
///
/// let summary = Checker::new()
///     .run(|sim| {
///         let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
///         let handle = sim.proactor().handle();
///         drop(sim.proactor().spawn(async move {
///             let connected = TcpStream::connect(&handle, "10.0.0.1:7").await;
///             proactor::sometimes!(connected.is_err(), "a connect fails");
///             listener.close();
///         }));
///         sim.proactor().run().unwrap();
///     })
///     .unwrap();
/// assert!(summary.unreached().is_empty());
/// ```
#[macro_export]
macro_rules! sometimes {
    ($condition:expr, $name:expr) => {
        if $crate::goals::is_collecting() {
            static GOAL: $crate::goals::Goal = $crate::goals::Goal::new($name);
            GOAL.came_by($condition);
        }
    };
}

/// Says that some execution of a check should come by here.
///
/// ```
/// use proactor::check::Checker;
///
/// let failure = Checker::new()
///     .goal("the timer is late")
///     .require_goals(true)
///     .run(|sim| {
///         if sim.proactor().run().is_err() {
///             proactor::reachable!("the timer is late");
///         }
///     })
///     .unwrap_err();
/// assert!(failure.to_string().contains("the timer is late"));
/// ```
#[macro_export]
macro_rules! reachable {
    ($name:expr) => {
        $crate::sometimes!(true, $name)
    };
}

/// One place in the code: what the macros make of it.
#[doc(hidden)]
#[derive(Debug)]
pub struct Goal {
    name: &'static str,
    /// Its place in the tables, from 1. 0: nobody has come by yet.
    number: AtomicU32,
    location: OnceLock<&'static Location<'static>>,
}

static GOALS: Mutex<Vec<&'static Goal>> = Mutex::new(Vec::new());

thread_local! {
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
    static COUNTS: RefCell<Vec<Count>> = const { RefCell::new(Vec::new()) };
}

/// How often an execution came by a goal, and how often its condition held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) tried: u64,
    pub(crate) met: u64,
}

/// Whether this thread runs executions of a check.
#[doc(hidden)]
#[inline]
#[must_use]
pub fn is_collecting() -> bool {
    COLLECTING.get()
}

impl Goal {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Goal {
        Goal {
            name,
            number: AtomicU32::new(0),
            location: OnceLock::new(),
        }
    }

    #[doc(hidden)]
    #[inline]
    #[track_caller]
    pub fn came_by(&'static self, met: bool) {
        let number = match self.number.load(Ordering::Relaxed) {
            0 => self.register(Location::caller()),
            number => number,
        };
        COUNTS.with_borrow_mut(|counts| {
            let at = number as usize - 1;
            if counts.len() <= at {
                counts.resize(at + 1, Count::default());
            }
            counts[at].tried += 1;
            counts[at].met += u64::from(met);
        });
    }

    #[cold]
    fn register(&'static self, location: &'static Location<'static>) -> u32 {
        let mut goals = GOALS.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.number.load(Ordering::Relaxed);
        if number != 0 {
            return number;
        }
        goals.push(self);
        let _ = self.location.set(location);
        let number = u32::try_from(goals.len()).unwrap_or(u32::MAX);
        self.number.store(number, Ordering::Relaxed);
        number
    }
}

/// While this lives the goals of this thread are counted.
#[cfg(feature = "check")]
pub(crate) struct Collecting(());

#[cfg(feature = "check")]
impl Collecting {
    pub(crate) fn begin() -> Collecting {
        COUNTS.with_borrow_mut(Vec::clear);
        COLLECTING.set(true);
        Collecting(())
    }

    /// Runs something that is not counted.
    pub(crate) fn pause<R>(&self, run: impl FnOnce() -> R) -> R {
        COLLECTING.set(false);
        let result = run();
        COLLECTING.set(true);
        result
    }

    /// What was counted.
    pub(crate) fn end(self) -> Counts {
        Counts(COUNTS.with_borrow_mut(std::mem::take))
    }
}

#[cfg(feature = "check")]
impl Drop for Collecting {
    fn drop(&mut self) {
        COLLECTING.set(false);
    }
}

/// Counts by goal.
#[cfg(feature = "check")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(Vec<Count>);

/// A goal that was come by, and how often.
#[cfg(feature = "check")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    pub(crate) location: Option<&'static Location<'static>>,
    pub(crate) count: Count,
}

#[cfg(feature = "check")]
impl Counts {
    /// Adds those of another thread.
    pub(crate) fn add(&mut self, other: &Counts) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), Count::default());
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            mine.tried += theirs.tried;
            mine.met += theirs.met;
        }
    }

    /// Those that were come by, by their places in the source.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let goals = GOALS.lock().unwrap_or_else(PoisonError::into_inner);
        let come_by = goals
            .iter()
            .zip(&self.0)
            .filter(|(_, count)| count.tried > 0);
        let mut seen: Vec<Seen> = come_by
            .map(|(goal, count)| Seen {
                name: goal.name,
                location: goal.location.get().copied(),
                count: *count,
            })
            .collect();
        // They are numbered as threads came by.
        seen.sort_by_key(|seen| {
            (
                seen.location.map(|at| (at.file(), at.line(), at.column())),
                seen.name,
            )
        });
        seen
    }
}

#[cfg(all(test, feature = "check"))]
mod tests {
    use super::*;

    #[test]
    fn goals_are_counted_only_while_somebody_collects() {
        let run = |condition: bool| {
            crate::sometimes!(condition, "it holds");
            crate::reachable!("it is reached");
        };
        run(true);
        let collecting = Collecting::begin();
        run(false);
        run(true);
        let counts = collecting.end();
        run(true);
        let seen = counts.seen();
        let said: Vec<_> = seen
            .iter()
            .map(|it| (it.name, it.count.tried, it.count.met))
            .collect();
        assert_eq!(said, [("it holds", 2, 1), ("it is reached", 2, 2)]);
        let lines: Vec<_> = seen
            .iter()
            .filter_map(|it| it.location)
            .map(Location::line)
            .collect();
        assert_eq!(lines[1], lines[0] + 1);
        let mut sum = Counts::default();
        sum.add(&counts);
        sum.add(&counts);
        assert_eq!(sum.seen()[0].count, Count { tried: 4, met: 2 });
        assert_eq!(Collecting::begin().end().seen(), []);
    }
}
