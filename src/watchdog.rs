//! The watchdog: names a handler that holds up its worker in real time (I9).
//!
//! Its thread looks once in a budget at what each worker runs, asleep in between. What it finds twice has
//! run for a budget at least, and is named before it has run for two. Workers write down what they run
//! only while a watchdog is on: three stores a handler. Without one nothing is written.
//!
//! A simulation has no use for it: there a handler [declares](crate::check::busy) its cost.

use std::fmt;
use std::io;
use std::io::Write;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::op::home::{HomeRef, lock};
use crate::op::running::Sample;

/// A handler, or the poll of a task, that has run for longer than
/// [`Builder::watchdog`](crate::Builder::watchdog) allows, and runs still.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Overrun {
    /// The operation whose end it handles, by its kind; or `post`, `task`, `block_on`.
    pub what: &'static str,
    /// The initiating call. (What caused that in turn, a real kernel does not keep.)
    pub location: Option<&'static Location<'static>>,
    /// The worker's thread.
    pub thread: String,
    /// The budget that it is over.
    pub budget: Duration,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the handler of `{}`", self.what)?;
        if let Some(location) = self.location {
            write!(f, " started at {location}")?;
        }
        write!(
            f,
            " has held up thread `{}` for more than {:?} (I9): move what blocks or computes to \
             Handle::offload, or do it in pieces",
            self.thread, self.budget
        )
    }
}

/// Who is told.
#[derive(Clone)]
pub(crate) struct Report(pub(crate) Arc<dyn Fn(&Overrun) + Send + Sync>);

impl Default for Report {
    fn default() -> Report {
        // Nothing can be done if nobody listens.
        Report(Arc::new(|overrun| {
            let _ = writeln!(io::stderr(), "proactor: {overrun}");
        }))
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Report")
    }
}

/// The watchdog of one proactor. Dropped, its thread ends.
pub(crate) struct Watchdog(Arc<Bell>);

#[derive(Default)]
struct Bell {
    over: Mutex<bool>,
    rung: Condvar,
}

impl Watchdog {
    /// Watches these workers.
    pub(crate) fn start(
        homes: Vec<HomeRef>,
        budget: Duration,
        report: Report,
    ) -> io::Result<Watchdog> {
        let bell = Arc::new(Bell::default());
        let theirs = bell.clone();
        std::thread::Builder::new()
            .name("proactor-watchdog".into())
            .spawn(move || watch(&theirs, &homes, budget, &report))?;
        Ok(Watchdog(bell))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *lock(&self.0.over) = true;
        self.0.rung.notify_all();
    }
}

fn watch(bell: &Bell, homes: &[HomeRef], budget: Duration, report: &Report) {
    let mut watched: Vec<_> = homes.iter().map(|home| (home, Seen::default())).collect();
    let mut over = lock(&bell.over);
    loop {
        let waited = bell
            .rung
            .wait_timeout_while(over, budget, |over| !*over)
            .unwrap_or_else(PoisonError::into_inner);
        if !waited.1.timed_out() {
            return;
        }
        drop(waited);
        for (home, seen) in &mut watched {
            let Some(sample) = seen.is_again(home.home.running.look()) else {
                continue;
            };
            if !home.is_alive() {
                continue;
            }
            let owner = lock(&home.home.owner).clone();
            let overrun = Overrun {
                what: sample.name,
                location: sample.location,
                thread: owner.map_or_else(String::new, |owner| owner.name),
                budget,
            };
            // A callback that panics has said so: the watch goes on.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (report.0)(&overrun))) {
                std::mem::forget(payload);
            }
        }
        over = lock(&bell.over);
    }
}

/// What was seen of a worker the last time.
#[derive(Default)]
struct Seen {
    last: Option<Sample>,
    named: bool,
}

impl Seen {
    /// What is still the same as the last time, once.
    fn is_again(&mut self, now: Option<Sample>) -> Option<Sample> {
        if now.is_some() && now == self.last {
            return now.filter(|_| !std::mem::replace(&mut self.named, true));
        }
        *self = Seen {
            last: now,
            named: false,
        };
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_named_when_it_is_seen_again_and_only_once() {
        let mut seen = Seen::default();
        let sample = |version| {
            Some(Sample {
                version,
                name: "read",
                location: None,
            })
        };
        assert_eq!(seen.is_again(sample(2)), None);
        assert_eq!(seen.is_again(sample(4)), None, "another one of the kind");
        assert_eq!(seen.is_again(sample(4)), sample(4));
        assert_eq!(seen.is_again(sample(4)), None);
        assert_eq!(seen.is_again(None), None);
        assert_eq!(seen.is_again(None), None, "nothing runs for long");
        assert_eq!(seen.is_again(sample(6)), None);
        assert_eq!(seen.is_again(sample(6)), sample(6));
    }

    #[test]
    fn what_runs_is_read_whole_or_not_at_all() {
        use crate::op::running::Running;
        use std::sync::atomic::{AtomicBool, Ordering};
        static NAMES: [&str; 2] = ["a", "b"];
        let places = [Location::caller(), here()];
        let running = Running::new();
        assert_eq!(running.look(), None);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if let Some(sample) = running.look() {
                        let which = NAMES.iter().position(|name| *name == sample.name);
                        assert_eq!(sample.location, which.map(|which| places[which]));
                    }
                }
            });
            for round in 0..200_000 {
                running.is(&NAMES[round % 2], Some(places[round % 2]));
                if round % 3 == 0 {
                    running.is_nothing();
                }
            }
            over.store(true, Ordering::Relaxed);
        });

        #[track_caller]
        fn here() -> &'static Location<'static> {
            Location::caller()
        }
    }
}
