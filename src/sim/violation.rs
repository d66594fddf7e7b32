//! What an oracle says when an invariant is broken.

use std::fmt;
use std::panic::Location;

use super::oracle::Oracle;
use crate::choice::EventId;

/// The invariants of the design, by the names that docs, oracles and reports share.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Invariant {
    /// Every operation has exactly one terminal completion.
    I1,
    /// Nobody touches a lent buffer until its terminal completion.
    I2,
    /// Handlers of one strand never overlap, and run in the order in which they were posted.
    I3,
    /// Nothing that the kernel may still touch is freed, and nothing closed is used.
    I4,
    /// Work in flight is bounded, and the bound never holds back a cancel or a timer.
    I5,
    /// A timer ends only the operation that it was armed for; a cancel hits only its activation.
    I6,
    /// No completion is lost, and a run that can't go on says so.
    I7,
    /// Closing has its effect once; handles, buffers, timers and tasks are accounted for at the end.
    I8,
    /// A handler keeps within its time budget.
    I9,
    /// The bytes of a stream keep their order.
    Order,
    /// Two handlers that nothing orders do not access the same datum, one of them writing.
    Race,
    /// A handler, a task or the body of a test panicked.
    Panic,
    /// What a test itself says must always hold.
    Always,
}

impl Invariant {
    /// `I1` to `I9`, `order`, `race`, `panic` or `always`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Invariant::I1 => "I1",
            Invariant::I2 => "I2",
            Invariant::I3 => "I3",
            Invariant::I4 => "I4",
            Invariant::I5 => "I5",
            Invariant::I6 => "I6",
            Invariant::I7 => "I7",
            Invariant::I8 => "I8",
            Invariant::I9 => "I9",
            Invariant::Order => "order",
            Invariant::Race => "race",
            Invariant::Panic => "panic",
            Invariant::Always => "always",
        }
    }

    /// The promise that was broken, in a line.
    #[must_use]
    pub const fn promise(self) -> &'static str {
        match self {
            Invariant::I1 => "every operation has exactly one terminal completion",
            Invariant::I2 => "nobody touches a lent buffer until its terminal completion",
            Invariant::I3 => "handlers of one strand never overlap, and run in order",
            Invariant::I4 => {
                "nothing that the kernel may still touch is freed, and nothing closed is used"
            }
            Invariant::I5 => {
                "work in flight is bounded, and the bound never holds back a cancel or a timer"
            }
            Invariant::I6 => "a timer or a cancel ends only the operation that it was meant for",
            Invariant::I7 => "no completion is lost, and a run that can't go on says so",
            Invariant::I8 => "handles, operations and timers are all accounted for at the end",
            Invariant::I9 => "a handler keeps within its time budget",
            Invariant::Order => "one operation at a time moves the bytes of a stream's direction",
            Invariant::Race => "accesses of shared data, one of them a write, are ordered",
            Invariant::Panic => "no handler panics",
            Invariant::Always => "what the test says must always hold",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An invariant that was broken: which, how, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Who found it.
    pub oracle: Oracle,
    /// Which one.
    pub invariant: Invariant,
    /// How, in words. May be several lines.
    pub message: String,
    /// The operation, or the handler, that it was found at.
    pub event: EventId,
    /// The initiating call of that operation in user code, where there is one.
    pub location: Option<&'static Location<'static>>,
}

impl Violation {
    /// A finding of this oracle.
    #[must_use]
    pub fn new(
        oracle: Oracle,
        message: String,
        event: EventId,
        location: Option<&'static Location<'static>>,
    ) -> Violation {
        Violation {
            oracle,
            invariant: oracle.invariant(),
            message,
            event,
            location,
        }
    }

    /// What stays the same while a failing run is shrunk: the invariant, the oracle and the place in the
    /// code.
    ///
    /// ```
    /// use proactor::choice::EventId;
    /// use proactor::sim::{Oracle, Violation};
    ///
    /// let violation = Violation::new(Oracle::Leak, "1 handle open".into(), EventId::ROOT, None);
    /// assert_eq!(violation.signature(), "I8 leak");
    /// ```
    #[must_use]
    pub fn signature(&self) -> String {
        match self.location {
            Some(at) => {
                let (file, line) = (at.file(), at.line());
                format!("{} {} at {file}:{line}", self.invariant, self.oracle)
            }
            None => format!("{} {}", self.invariant, self.oracle),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({}): {}",
            self.invariant,
            self.invariant.promise(),
            self.message
        )?;
        match self.location {
            Some(at) => write!(f, "\n  started at {at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Violation {}
