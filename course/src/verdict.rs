//! What a grader says, and how long it may take to say it.

use std::fmt;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proactor::sim::Invariant;

/// The longest that a check of an exercise may take. One takes less than a second: who needs more has a loop
/// that never lets the kernel make a step, and nothing inside this program could stop that.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing breaks it; what was tried, in words.
    Passes(String),
    /// A `todo!()` was met: where, and how the kernel came there.
    NotYet(String),
    /// It breaks an invariant: which, and the story.
    Wrong(Invariant, String),
    /// It did not come to an end in this time.
    Endless(Duration),
}

impl Verdict {
    /// What a program ends with that says so: 0 passes, 1 is wrong, 2 is not written yet, 3 never ends.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Verdict::Passes(_) => 0,
            Verdict::Wrong(..) => 1,
            Verdict::NotYet(_) => 2,
            Verdict::Endless(_) => 3,
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
                    "" => writeln!(f, "Not yet right.")?,
                    promise => writeln!(f, "Not yet right: {invariant}, {promise}.")?,
                }
                write!(f, "{story}")
            }
            Verdict::Endless(time) => write!(
                f,
                "It never ends.\nAfter {time:?} the answer was still running, and had not let the kernel make \
                 a step: a loop without a way out, or a call that blocks its thread (a lock, a channel, a \
                 sleep). I9 (a handler keeps within its time budget) is broken beyond measure."
            ),
        }
    }
}

/// An answer that waits to be checked.
#[must_use = "an answer is checked when it is `grade`d"]
pub struct Check(Box<dyn FnOnce() -> Verdict + Send>);

impl Check {
    pub(crate) fn new(check: impl FnOnce() -> Verdict + Send + 'static) -> Check {
        Check(Box::new(check))
    }

    /// Checks it, for at most so long. What runs longer is left running on a thread of its own.
    #[must_use]
    pub fn within(self, patience: Duration) -> Verdict {
        let (say, heard) = mpsc::channel();
        let grader = thread::Builder::new().name("main".to_owned());
        let grader = grader.spawn(move || {
            // Nobody may be there to hear it any more.
            let _ = say.send((self.0)());
        });
        match (grader, heard.recv_timeout(patience)) {
            (_, Ok(verdict)) => verdict,
            (Ok(grader), Err(mpsc::RecvTimeoutError::Disconnected)) => match grader.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => Verdict::Endless(patience),
            },
            (_, Err(_)) => Verdict::Endless(patience),
        }
    }
}

/// Checks an answer and says what came of it: the `main` of an exercise.
pub fn grade(check: Check) -> ExitCode {
    let verdict = check.within(PATIENCE);
    println!("{verdict}");
    ExitCode::from(verdict.code())
}
