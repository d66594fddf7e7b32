//! What happened, step by step: for reports, for snapshots, for comparing two styles.

use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;

use super::violation::Violation;
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
    /// What is no operation and may start some: a handler was posted, a task was spawned, a future is
    /// blocked on. It is the `nth` (from 0) of its cause.
    Began {
        /// Counts together with the submissions of that cause.
        nth: u32,
    },
    /// An object was closed.
    Close,
    /// The kernel chose.
    Decision {
        /// Where.
        site: Site,
        /// Not the kind alternative.
        deviation: bool,
    },
    /// A handler begins or goes on while others are suspended: several simulated workers.
    Segment,
    /// What the proactor has to say.
    Note,
    /// The power was lost, or something with it.
    Power,
    /// An oracle spoke: the execution fails.
    Violation,
    /// An oracle spoke, for the first time about this place, and the execution goes on.
    Warning,
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
    /// Of a submission: a hash of the bytes that it lends to be sent or written.
    pub(crate) content: u64,
}

/// The place among its operation's children of the deadline that `.timeout(d)` armed for it.
pub(super) const TIMEOUT: u32 = u32::MAX;

/// The places of scripted peers among the children of the root begin here.
pub(super) const PEERS: u32 = 1 << 31;

/// Events that are kept. Of an endless run the last ones say enough.
const ROOM: usize = 100_000;

/// Collects the trace, if it is wanted.
pub(super) struct Recorder {
    pub(super) on: bool,
    events: Vec<TraceEvent>,
    /// Events that were let go of, from the beginning.
    forgotten: usize,
    /// How often each event has submitted so far.
    children: HashMap<EventId, u32>,
}

impl Recorder {
    pub(super) fn new(on: bool) -> Recorder {
        Recorder {
            on,
            events: Vec::new(),
            forgotten: 0,
            children: HashMap::new(),
        }
    }

    pub(super) fn reset(&mut self, on: bool) {
        self.on = on;
        self.events.clear();
        self.forgotten = 0;
        self.children.clear();
    }

    pub(super) fn events(&self) -> &[TraceEvent] {
        &self.events
    }

    pub(super) fn forgotten(&self) -> usize {
        self.forgotten
    }

    /// How many-th submission of its cause an event is.
    pub(super) fn nth(&mut self, event: EventId, cause: EventId) -> u32 {
        if event == cause.child(TIMEOUT) {
            return TIMEOUT;
        }
        let expected = self.children.entry(cause).or_default();
        // Usually the next one; what was refused before it came to the kernel counts as well.
        let near = (*expected..expected.saturating_add(1024)).chain(0..*expected);
        let nth = near
            .into_iter()
            .find(|&nth| cause.child(nth) == event)
            .unwrap_or(*expected);
        *expected = nth + 1;
        nth
    }

    #[allow(clippy::too_many_arguments)] // one for each field of the record
    pub(super) fn push(
        &mut self,
        event: EventId,
        cause: EventId,
        what: What,
        object: Option<String>,
        text: String,
        location: Option<&'static Location<'static>>,
        at: u64,
    ) {
        if matches!(what, What::Complete { .. } | What::Segment) {
            super::debugger::comes(event);
        }
        let lane = match what {
            What::Submit { .. } | What::Began { .. } | What::Segment => Lane::User,
            What::CancelAsked | What::Close | What::Note => Lane::User,
            What::Clock => Lane::Clock,
            _ => Lane::Kernel,
        };
        if self.events.len() == ROOM {
            self.events.drain(..ROOM / 2);
            self.forgotten += ROOM / 2;
        }
        self.events.push(TraceEvent {
            event,
            cause,
            lane,
            what,
            object,
            text,
            location,
            at,
            content: 0,
        });
    }

    /// The bytes that the event's submission lends have this hash.
    pub(super) fn content(&mut self, event: EventId, hash: u64) {
        let submission =
            |it: &&mut TraceEvent| it.event == event && matches!(it.what, What::Submit { .. });
        if let Some(submission) = self.events.iter_mut().rev().find(submission) {
            submission.content = hash;
        }
    }

    pub(super) fn began(
        &mut self,
        event: EventId,
        cause: EventId,
        nth: u32,
        text: String,
        location: &'static Location<'static>,
        at: u64,
    ) {
        self.children.insert(cause, nth.saturating_add(1));
        let what = What::Began { nth };
        self.push(event, cause, what, None, text, Some(location), at);
    }

    pub(super) fn close(&mut self, event: EventId, name: String, at: u64) {
        let text = format!("close({name})");
        self.push(event, event, What::Close, Some(name), text, None, at);
    }

    /// An oracle spoke.
    pub(super) fn verdict(&mut self, violation: &Violation, what: What, at: u64) {
        let text = format!("{}: {}", violation.oracle, violation.message);
        let event = violation.event;
        self.push(event, event, what, None, text, violation.location, at);
    }

    /// Submissions, effects and completions only, one line each.
    pub(super) fn kernel_trace(&self) -> String {
        let names = EventNames::of(&self.events);
        let mut text = String::new();
        for event in &self.events {
            let what = match event.what {
                What::Submit { .. } => "submit",
                What::Effect => "effect",
                What::Complete { .. } => "complete",
                _ => continue,
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "{} {what} {}", names.get(event.event), event.text);
        }
        text
    }
}

/// Printable names of events: the path of submissions that leads to each.
///
/// `0.1.2` is the second submission made by the handler of the first submission of the body, which is
/// `0`; posted handlers and spawned tasks count like submissions. A run of equal steps is written once:
/// `0.1.2^5` is `0.1.2.2.2.2.2`. `0.1.timeout` is the deadline of `0.1`, `peer1` a scripted peer. A trace so long that its
/// beginning was forgotten has names that begin with `…`.
#[derive(Clone, Debug, Default)]
pub struct EventNames(HashMap<EventId, String>);

impl EventNames {
    /// The names of the events in a trace.
    #[must_use]
    pub fn of(trace: &[TraceEvent]) -> EventNames {
        // name, and its last step with the number of repetitions
        let mut paths: HashMap<EventId, (String, u32, u32)> = HashMap::new();
        paths.insert(EventId::ROOT, ("0".to_owned(), 0, 0));
        for event in trace {
            let (What::Submit { nth } | What::Began { nth }) = event.what else {
                continue;
            };
            let stranger = || ("…".to_owned(), 0, 0);
            if nth == TIMEOUT {
                let (stem, ..) = paths.get(&event.cause).cloned().unwrap_or_else(stranger);
                paths.insert(event.event, (format!("{stem}.timeout"), 0, 0));
                continue;
            }
            if event.cause == EventId::ROOT && nth >= PEERS {
                paths.insert(event.event, (format!("peer{}", nth - PEERS + 1), 0, 0));
                continue;
            }
            let step = nth + 1;
            let (stem, last, times) = paths.get(&event.cause).cloned().unwrap_or_else(stranger);
            let path = match (last == step, times) {
                (true, 1) => (format!("{stem}^2"), step, 2),
                (true, _) => {
                    let base = stem.rfind('^').map_or(stem.as_str(), |at| &stem[..at]);
                    (format!("{base}^{}", times + 1), step, times + 1)
                }
                (false, _) => (format!("{stem}.{step}"), step, 1),
            };
            paths.insert(event.event, path);
        }
        EventNames(
            paths
                .into_iter()
                .map(|(event, (name, ..))| (event, name))
                .collect(),
        )
    }

    /// The name of an event; the start of its id if the trace does not know it.
    #[must_use]
    pub fn get(&self, event: EventId) -> String {
        self.0
            .get(&event)
            .cloned()
            .unwrap_or_else(|| format!("{event:?}"))
    }
}
