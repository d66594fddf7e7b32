//! What happened, step by step: for reports, for snapshots, for comparing two styles.

use std::panic::Location;

use crate::choice::{EventId, Site};

/// Who acts in an event of the trace.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Lane {
    /// Handlers and tasks: they submit and ask for cancels.
    User,
    /// The kernel: effects, completions, decisions.
    Kernel,
    /// The clock.
    Clock,
}

/// What an event of the trace is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// An operation was submitted: the `nth` (from 0) by its cause.
    Submit {
        /// Counts the submissions of one cause.
        nth: u32,
    },
    /// An operation had its effect on the kernel's objects.
    Effect,
    /// The completion was handed out.
    Complete {
        /// A count or handle from 0 up, or a negated error number.
        result: i32,
    },
    /// Somebody asked for a cancel.
    CancelAsked,
    /// The kernel processed a cancel.
    Cancelled,
    /// Time moved.
    Clock,
    /// An object was closed.
    Close,
    /// The kernel chose.
    Decision {
        /// Where.
        site: Site,
        /// Not the kind alternative.
        deviation: bool,
    },
    /// What the proactor has to say.
    Note,
    /// An oracle spoke.
    Violation,
}

/// One line of the full trace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TraceEvent {
    /// The operation that it is about.
    pub event: EventId,
    /// The operation whose handler submitted that operation: following causes gives the logical stack.
    pub cause: EventId,
    /// Who acts.
    pub lane: Lane,
    /// What happens.
    pub what: What,
    /// The object that is acted upon: `c1 client`, `listener 127.0.0.1:80`, `file /etc/motd`.
    pub object: Option<String>,
    /// In words: `recv(c1 client, 64)`, `= 12`.
    pub text: String,
    /// The initiating call in user code.
    pub location: Option<&'static Location<'static>>,
    /// Virtual nanoseconds.
    pub at: u64,
}
