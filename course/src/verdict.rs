//! What a grader says, and how long it may take to say it.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use proactor::sim::Invariant;

/// The longest that one execution may take. One takes less than a millisecond: who needs so much more has a loop
/// that never lets the kernel make a step, and nothing inside this program could stop that.
const PATIENCE: Duration = Duration::from_secs(1);

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing breaks it; what was tried, in words.
    Passes(String),
    /// A `todo!()` was met: where, and how the kernel came there.
    NotYet(String),
    /// It breaks an invariant: which, and the story.
    Wrong(Invariant, String),
    /// An execution did not come to its end in this time, after so many that did.
    Endless(Duration, u64),
}

impl Verdict {
    /// What a program ends with that says so: 0 passes, 1 is wrong, 2 is not written yet, 3 never ends.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Verdict::Passes(_) => 0,
            Verdict::Wrong(..) => 1,
            Verdict::NotYet(_) => 2,
            Verdict::Endless(..) => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passes(shown) => write!(f, "It passes.\n{shown}"),
            Verdict::NotYet(place) => write!(f, "Not written yet.\n{place}"),
            Verdict::Wrong(invariant, story) => {
                match invariant {
                    // Which one the story says, in words.
                    Invariant::Always => {
                        writeln!(f, "Not yet right: a promise of the exercise is broken.")?;
                    }
                    // "No handler panics" is not what the learner has to hear: the message is.
                    Invariant::Panic => writeln!(f, "Not yet right: something panicked.")?,
                    named => writeln!(f, "Not yet right: {named}, {}.", named.promise())?,
                }
                write!(f, "{story}")
            }
            Verdict::Endless(time, ended) => {
                writeln!(
                    f,
                    "It never ends: I9, a handler keeps within its time budget.\n  After {time:?} the answer was still \
                     running, and had not let the kernel make a step: a loop without a way out, or a call that blocks its \
                     thread (a lock, a channel, a sleep)."
                )?;
                match ended {
                    0 => write!(
                        f,
                        "  It was the first execution, in which the kernel does nothing unusual."
                    ),
                    ended => write!(
                        f,
                        "  {ended} executions had come to their ends before: it takes something that a kernel may do and \
                         seldom does."
                    ),
                }
            }
        }
    }
}

/// An answer that waits to be checked.
#[must_use = "an answer is checked when it is `grade`d"]
pub struct Check {
    run: Box<dyn FnOnce(&Ended) -> Verdict + Send>,
    ended: Ended,
}

/// Counts the executions that came to an end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended(Arc<AtomicU64>);

impl Ended {
    /// Runs one, and counts it once it has ended; by a panic, too.
    pub(crate) fn count<R>(&self, execution: impl FnOnce() -> R) -> R {
        struct Counts<'a>(&'a AtomicU64);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let _counts = Counts(&self.0);
        execution()
    }
}

impl Check {
    pub(crate) fn new(run: impl FnOnce(&Ended) -> Verdict + Send + 'static) -> Check {
        Check {
            run: Box::new(run),
            ended: Ended::default(),
        }
    }

    /// Checks it, as long as no execution takes longer than this. One that does is left running on a thread of its own.
    #[must_use]
    pub fn within(self, patience: Duration) -> Verdict {
        let (say, heard) = mpsc::channel();
        let Check { run, ended } = self;
        let counted = ended.clone();
        // A report takes the name of a thread for that of a test, but for this one.
        let grader = thread::Builder::new().name("main".to_owned());
        let grader = grader.spawn(move || {
            // Nobody may be there to hear it any more.
            let _ = say.send(run(&counted));
        });
        let grader = match grader {
            Ok(grader) => grader,
            Err(error) => panic!("there is no thread for the check: {error}"),
        };
        let mut before = 0;
        loop {
            match heard.recv_timeout(patience) {
                Ok(verdict) => return verdict,
                // The channel ends without a verdict by a panic only.
                Err(mpsc::RecvTimeoutError::Disconnected) => match grader.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(()) => unreachable!("who ends without a panic has said its verdict"),
                },
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            let now = ended.0.load(Ordering::Relaxed);
            if now == before {
                return Verdict::Endless(patience, now);
            }
            before = now;
        }
    }
}

/// Checks an answer and says what came of it: the `main` of an exercise.
pub fn grade(check: Check) -> ExitCode {
    let verdict = check.within(PATIENCE);
    // Who has heard enough (`| head`) may close the pipe.
    let _ = writeln!(io::stdout(), "{verdict}");
    ExitCode::from(verdict.code())
}
