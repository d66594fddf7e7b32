//! What a grader says, and how long it may take to say it.

use std::fmt;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use proactor::sim::Invariant;

/// The longest that a check of an exercise may take. One takes less than a second: who needs more has a loop
/// that never lets the kernel make a step, and nothing inside this program could stop that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing breaks it; what was tried, in words.
    Passes(String),
    /// A `todo!()` was met: where, and how the kernel came there.
    NotYet(String),
    /// It breaks an invariant: which, and the story.
    Wrong(Invariant, String),
    /// It did not come to an end in this time, after so many executions that did.
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
                let promise = match invariant {
                    // "No handler panics" is not what the learner has to hear: the message is.
                    Invariant::Panic => "",
                    invariant => invariant.promise(),
                };
                match promise {
                    "" => writeln!(
                        f,
                        "Not yet right: a promise of the exercise is broken, or something panicked."
                    )?,
                    promise => writeln!(f, "Not yet right: {invariant}, {promise}.")?,
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
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Check {
    pub(crate) fn new(run: impl FnOnce(&Ended) -> Verdict + Send + 'static) -> Check {
        Check {
            run: Box::new(run),
            ended: Ended::default(),
        }
    }

    /// Checks it, for at most so long. What runs longer is left running on a thread of its own.
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
        match (grader, heard.recv_timeout(patience)) {
            (_, Ok(verdict)) => verdict,
            (Ok(grader), Err(mpsc::RecvTimeoutError::Disconnected)) => match grader.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => Verdict::Endless(patience, 0),
            },
            (_, Err(_)) => Verdict::Endless(patience, ended.0.load(Ordering::Relaxed)),
        }
    }
}

/// Checks an answer and says what came of it: the `main` of an exercise.
pub fn grade(check: Check) -> ExitCode {
    let verdict = check.within(PATIENCE);
    println!("{verdict}");
    ExitCode::from(verdict.code())
}
