//! A kernel that one holds in the hand: submit, see what is enabled, step, reap; no proactor.
//!
//! This is the simulated kernel itself, one call at a time, for learning and for tests of its own. Nothing
//! happens unless you make it happen: an operation that could complete does so when you step it, time
//! moves when you move it, and where the kernel is free to choose, you choose. What you don't
//! choose goes the kind way.
//!
//! # A lesson
//!
//! ```
//! use proactor::sim::hand::{Owner, Request, Step};
//! use proactor::sim::{Config, Hand};
//!
//! let mut hand = Hand::new(Config::default());
//!
//! // A server that listens, a client that calls, and somebody who accepts the call.
//! let listener = hand.listen("10.0.0.1:7")?;
//! let client = hand.socket()?;
//! let connect = hand.submit(Request::connect(client, "10.0.0.1:7".parse()?))?;
//! let accept = hand.submit(Request::accept(listener))?;
//!
//! // Both can complete now, and the kernel may hand them out in either order. We say which.
//! assert_eq!(hand.enabled().len(), 2);
//! hand.step(Step::Complete(accept))?;
//! hand.step(Step::Complete(connect))?;
//! let server = hand.reap().unwrap().stream().unwrap();
//! assert!(hand.reap().unwrap().result.is_ok());
//!
//! // The server reads before there is anything to read: it lends the kernel its buffer.
//! let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
//! assert_eq!(hand.owner(recv), Some(Owner::Kernel));
//! assert_eq!(
//!     hand.step(Step::Complete(recv)).unwrap_err().to_string(),
//!     "complete op 3 is not enabled: op 3, recv(c1 server, 64), waits for bytes, or the end, from its peer"
//! );
//!
//! // The client sends 10 bytes. The kernel may take fewer, and the receive may get fewer: classes of
//! // outcomes, each with its word. We want the receive to get half.
//! hand.decide("recv: half")?;
//! let send = hand.submit(Request::send(client, "ten bytes!"))?;
//! hand.step(Step::Complete(recv))?;
//! assert_eq!(hand.owner(recv), Some(Owner::Queue));
//! let half = hand.reap().unwrap();
//! assert_eq!(half.buf, b"ten b");
//! assert_eq!(hand.owner(recv), Some(Owner::You));
//!
//! hand.step(Step::Complete(send))?;
//! assert_eq!(hand.reap().unwrap().bytes(), Some(10));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Who decides
//!
//! [`Hand::decide`] plans a decision ahead, by the words of reports: `recv: half`, `cancel: late`,
//! `late: late`. [`Hand::submit_with`], [`Hand::step_with`] and [`Hand::cancel_with`] ask a closure at each decision, with
//! the alternatives in front of it. [`Hand::decisions`] tells what the last call decided.
//!
//! # Readiness
//!
//! The same objects have the other face: [`Hand::try_read`], [`Hand::try_write`], [`Hand::try_accept`],
//! [`Hand::try_connect`], [`Hand::try_take`] do at once what can be done or say
//! [`WouldBlock`](std::io::ErrorKind::WouldBlock), and [`Hand::wait`] tells where it is worth a try. Both faces may be
//! used at the same time, as on a real kernel: whoever comes first gets the bytes.
//!
//! # Several machines, and the power
//!
//! [`Hand::host`] names another machine; links between them [take time](Hand::set_latency) and are
//! [lost](Hand::lose). [`Hand::lose_power`] takes everything away that is not on the disk. Handlers, strands and
//! scripted peers are not there: these are a [proactor](crate::Proactor::builder)'s and a [check](crate::check())'s.

mod ask;
mod disk;
mod error;
mod hosts;
mod objects;
mod ready;
mod request;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::kernel::Kernel;
use super::op::{self, State, Verb};
use super::trace::TraceEvent;
use super::violation::Violation;
use super::warnings::Warning;
use super::words::nanos;
use super::world::Config;
use crate::choice::EventId;

pub use ask::{Alternative, Decision};
use ask::{Ask, Asks};
pub use error::HandError;
pub use hosts::Host;
use ready::Connecting;
pub use ready::{Interest, Ready};
use request::Lent;
pub use request::{Completion, Done, Event, File, Listener, Object, OpId, Request, Stream};
pub use step::{Enabled, Step};

/// At most so many operations are in flight at a time.
const MOST: usize = 1 << 16;

/// A simulated kernel that is worked by hand. See the [module](self).
///
/// Dropping it with operations in flight is sound: their buffers are kept until the kernel is gone.
pub struct Hand {
    // Dropped first: after it nobody knows the addresses of what is lent.
    kernel: Kernel,
    held: HashMap<OpId, Held>,
    /// Places of the kernel that are free.
    free: Vec<u32>,
    places: u32,
    /// Completions that were handed out and not reaped.
    ready: VecDeque<Completion>,
    submitted: u32,
    /// Attempts to connect that [`Hand::try_connect`] has left to the kernel.
    connecting: Vec<Connecting>,
    /// How such attempts have failed, by socket: SO_ERROR.
    errors: HashMap<i32, i32>,
}

/// An operation that the kernel has.
struct Held {
    place: u32,
    lent: Lent,
}

/// Who has the buffer of an operation, and may touch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The kernel, since the operation was submitted: it may read or write it at any moment.
    Kernel,
    /// The queue of completions: the kernel is done with it; it is yours when you [reap](Hand::reap) it.
    Queue,
    /// You: it was reaped. (Or nobody: it was lost [with the power](Hand::lose_power).)
    You,
}

impl Hand {
    /// A fresh kernel.
    #[must_use]
    pub fn new(config: Config) -> Hand {
        let mut kernel = Kernel::new(config, Box::new(Asks::default()));
        // The power may be lost at any time.
        kernel.m.files.track();
        Hand {
            kernel,
            held: HashMap::new(),
            free: Vec::new(),
            places: 0,
            ready: VecDeque::new(),
            submitted: 0,
            connecting: Vec::new(),
            errors: HashMap::new(),
        }
    }

    // ---- operations

    /// Starts an operation. Its buffer is the kernel's from now on, until the completion is reaped.
    ///
    /// Some operations have their effect at once, inside this call; the peer may see it before you
    /// see the completion.
    ///
    /// # Errors
    ///
    /// Nothing was submitted: the object is closed, a path has a NUL byte, or too many operations are in flight
    /// (65,536).
    /// [`NotLegal`](HandError::NotLegal): it was submitted, but not as [planned](Hand::decide); the error has the
    /// operation's name.
    pub fn submit(&mut self, request: Request) -> Result<OpId, HandError> {
        self.submit_with(request, Decision::planned)
    }

    /// As [`Hand::submit`]; at each decision that the kernel makes meanwhile `ask` is asked for the index
    /// of an alternative.
    ///
    /// # Errors
    ///
    /// As [`Hand::submit`]; an index beyond the alternatives is not legal.
    pub fn submit_with(
        &mut self,
        request: Request,
        mut ask: impl FnMut(&Decision) -> usize,
    ) -> Result<OpId, HandError> {
        let op = self.start(request, &mut ask)?;
        self.legal(Some(op)).map(|()| op)
    }

    /// Starts an operation; whether its decisions were legal is still to be seen.
    fn start(&mut self, request: Request, ask: &mut Ask<'_>) -> Result<OpId, HandError> {
        if let Some(object) = request.object {
            self.open_handle(object)?;
        }
        request.check_paths()?;
        if self.held.len() >= MOST {
            return Err(HandError::Full { most: MOST });
        }
        let op = self.next_op();
        let place = self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places
        });
        let mut lent = request.lent;
        let (ptr, len, writable) = lent.lend();
        let asked = op::Request {
            verb: request.verb,
            vectored: false,
            writable,
            may_be_ready: false,
            handle: request.object.unwrap_or(-1),
            len,
            flags: request.flags,
            ptr,
            offset: request.offset,
            token: u64::from(op.0),
            event: self.event_of(op),
            cause: self.kernel.root(),
            location: request.location,
        };
        // Kept before the kernel sees it, and left alone until it is handed out or the kernel is gone.
        self.held.insert(op, Held { place, lent });
        let event = asked.event;
        self.asks().names.insert(event, op);
        self.asking(ask, |kernel| {
            // SAFETY: what is lent is on the heap, in `held`, which is dropped after the kernel and
            // touched again only once the operation was handed out; what is sent is initialised.
            unsafe { kernel.submit(place, &asked) };
        });
        Ok(op)
    }

    fn next_op(&mut self) -> OpId {
        self.submitted += 1;
        OpId(self.submitted)
    }

    /// Every operation is the body's own, of this life of the machine.
    fn event_of(&self, op: OpId) -> EventId {
        self.kernel.root().child(op.0 - 1)
    }

    /// Attempts to connect that nobody reaps are told their sockets as soon as they are over; and after a
    /// breach of a contract everything is over.
    fn come_to_an_end(&mut self) {
        if self.kernel.verdict.is_some() {
            self.kernel.drain();
        }
        while let Some((op, place)) = self.connecting.iter().find_map(|it| {
            let place = self.held.get(&it.op)?.place;
            let done = self.kernel.m.ops[place as usize].state == State::Done;
            done.then_some((it.op, place))
        }) {
            self.kernel.m.done.remove(|&id| id == place);
            self.hand_out(op, place);
        }
    }

    /// Asks that an operation ends soon. What becomes of it its own completion tells.
    ///
    /// # Errors
    ///
    /// There is no such operation; or the [plan](Hand::decide) was not legal (it was cancelled the kind way).
    pub fn cancel(&mut self, op: OpId) -> Result<(), HandError> {
        self.cancel_with(op, Decision::planned)
    }

    /// As [`Hand::cancel`]; `ask` decides what becomes of it.
    ///
    /// # Errors
    ///
    /// As [`Hand::cancel`].
    pub fn cancel_with(
        &mut self,
        op: OpId,
        mut ask: impl FnMut(&Decision) -> usize,
    ) -> Result<(), HandError> {
        if self.owner(op).is_none() {
            return Err(HandError::NoSuchOp { op });
        }
        if let Some(place) = self.held.get(&op).map(|held| held.place) {
            self.asking(&mut ask, |kernel| kernel.cancel(place, u64::from(op.0)));
        }
        self.legal(Some(op))
    }

    /// The completion that was handed out first and not reaped yet, with its buffer.
    pub fn reap(&mut self) -> Option<Completion> {
        self.ready.pop_front()
    }

    /// Who may touch the buffer of an operation now. Nothing: no such operation was ever submitted.
    #[must_use]
    pub fn owner(&self, op: OpId) -> Option<Owner> {
        if self.held.contains_key(&op) {
            Some(Owner::Kernel)
        } else if self.ready.iter().any(|completion| completion.op == op) {
            Some(Owner::Queue)
        } else {
            (op.0 <= self.submitted).then_some(Owner::You)
        }
    }

    /// What an operation does or waits for: `op 3, recv(c1 client, 64), waits for bytes, or the end, from
    /// its peer`.
    #[must_use]
    pub fn explain(&self, op: OpId) -> String {
        let Some(held) = self.held.get(&op) else {
            return match self.owner(op) {
                Some(Owner::Queue) => format!("{op} has completed: reap it"),
                Some(_) if self.kernel.power_losses() > 0 => {
                    format!("{op} was reaped, or lost with the power")
                }
                Some(_) => format!("{op} has completed and was reaped"),
                None => format!("there is no {op}"),
            };
        };
        let slot = &self.kernel.m.ops[held.place as usize];
        let what = self.kernel.m.describe(held.place);
        let cancel = if slot.cancel_pending {
            ", and a cancel of it waits to be processed"
        } else {
            ""
        };
        match slot.state {
            State::Armed => format!("{op}, {what}, has its effect later{cancel}"),
            State::Done => {
                let outcome = self.kernel.outcome(held.place);
                format!("{op}, {what}, has had its effect ({outcome}) and can complete")
            }
            State::Wait | State::Free => {
                let reason = match slot.verb {
                    Verb::Timer => "for the clock",
                    _ => self.kernel.reason(slot),
                };
                format!("{op}, {what}, waits {reason}{cancel}")
            }
        }
    }

    // ---- time

    /// The virtual time since the kernel began.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.kernel.m.now)
    }

    /// Lets so much time pass. Deadlines that come meanwhile are due: their operations can complete.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        let location = std::panic::Location::caller();
        self.planned(|kernel| kernel.busy(nanos(time), None, location));
    }

    // ---- what happened

    /// The full trace, empty unless [`Config::trace`].
    #[must_use]
    pub fn trace(&self) -> Vec<TraceEvent> {
        self.kernel.recorder.events().to_vec()
    }

    /// Submissions, effects and completions only, one line each. Empty unless [`Config::trace`].
    #[must_use]
    pub fn kernel_trace(&self) -> String {
        self.kernel.recorder.kernel_trace()
    }

    /// A rolling hash of everything that happened: equal calls and decisions give equal ones.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.kernel.digest
    }

    /// The first breach of a contract that an [oracle](super::Oracle) has seen: then every operation ends, with
    /// ECANCELED, and nothing happens any more.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.kernel.verdict.as_ref()
    }

    /// What oracles whose level is `warn` have found.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.kernel.warnings.list()
    }

    /// The end: everything must be closed and every operation completed.
    ///
    /// # Errors
    ///
    /// What is left over (I8).
    pub fn finish(mut self) -> Result<(), Violation> {
        self.kernel.account();
        self.kernel.verdict.take().map_or(Ok(()), Err)
    }
}
