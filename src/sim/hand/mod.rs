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
//! The same objects have the other face: [`Hand::try_read`], [`Hand::try_write`], [`Hand::try_accept`] do at once
//! what can be done or say [`WouldBlock`](std::io::ErrorKind::WouldBlock), and [`Hand::wait`] tells where it is
//! worth a try. Both faces may be used at the same time, as on a real kernel: whoever comes first gets
//! the bytes.

mod ask;
mod error;
mod ready;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::kernel::Kernel;
use super::op::{self, State, Verb};
use super::trace::TraceEvent;
use super::violation::Violation;
use super::world::Config;
use super::{errno, handles};
use crate::choice::EventId;
use crate::time::nanos;

/// Every operation is the body's own.
fn event_of(op: OpId) -> EventId {
    EventId::ROOT.child(op.0 - 1)
}

/// The first address of one in words.
fn first(addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    addr.to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"))
}

pub use ask::{Alternative, Decision};
use ask::{Ask, Asks};
pub use error::HandError;
pub use ready::{Interest, Ready};
use request::Lent;
pub use request::{Completion, Done, Event, File, Listener, Object, OpId, Request, Stream};

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
}

/// An operation that the kernel has.
struct Held {
    place: u32,
    lent: Lent,
}

/// Something that the kernel may do next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Hand out the completion of an operation that had its effect: it can be reaped then.
    Complete(OpId),
    /// Let the late effect of an operation happen.
    Effect(OpId),
    /// Process the late cancel of an operation.
    Cancel(OpId),
    /// Move time to the next deadline.
    Clock,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Complete(op) => write!(f, "complete {op}"),
            Step::Effect(op) => write!(f, "effect of {op}"),
            Step::Cancel(op) => write!(f, "cancel of {op}"),
            Step::Clock => f.write_str("clock"),
        }
    }
}

/// A step that is possible now.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Enabled {
    /// What to give to [`Hand::step`].
    pub step: Step,
    /// For people: `the completion of recv(c1 client, 64)`.
    pub words: String,
}

impl fmt::Display for Enabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.words)
    }
}

/// Who has the buffer of an operation, and may touch it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The kernel, since the operation was submitted: it may read or write it at any moment.
    Kernel,
    /// The queue of completions: the kernel is done with it; it is yours when you [reap](Hand::reap) it.
    Queue,
    /// You: it was reaped.
    You,
}

impl Hand {
    /// A fresh kernel.
    #[must_use]
    pub fn new(config: Config) -> Hand {
        Hand {
            kernel: Kernel::new(config, Box::new(Asks::default())),
            held: HashMap::new(),
            free: Vec::new(),
            places: 0,
            ready: VecDeque::new(),
            submitted: 0,
        }
    }

    // ---- objects

    /// A listener at an address, with a backlog of 128.
    ///
    /// # Errors
    ///
    /// As bind(2): the address is in use. As the address parser: it is none.
    pub fn listen(&mut self, addr: impl ToSocketAddrs) -> io::Result<Listener> {
        self.listen_with(addr, 128)
    }

    /// As [`Hand::listen`], with a backlog of so many connections that wait for an accept.
    ///
    /// # Errors
    ///
    /// As [`Hand::listen`].
    pub fn listen_with(&mut self, addr: impl ToSocketAddrs, backlog: u32) -> io::Result<Listener> {
        let addr = first(addr)?;
        let raw = self.kernel.listen(addr, backlog, false);
        raw.map(Listener).map_err(errno::error)
    }

    /// A socket that is not connected yet: for [`Request::connect`].
    ///
    /// # Errors
    ///
    /// As socket(2): all numbers are taken.
    pub fn socket(&mut self) -> io::Result<Stream> {
        self.kernel.socket(None).map(Stream).map_err(errno::error)
    }

    /// A user event that is not set.
    ///
    /// # Errors
    ///
    /// As eventfd(2): all numbers are taken.
    pub fn event(&mut self) -> io::Result<Event> {
        self.kernel.event().map(Event).map_err(errno::error)
    }

    /// Sets an event: one wait takes it, at once or late, as [decided](Hand::decide).
    ///
    /// # Errors
    ///
    /// It is closed; or the plan was not legal (it went the kind way).
    pub fn set(&mut self, event: Event) -> Result<(), HandError> {
        self.open_handle(event.0)?;
        let mut ask = Decision::planned;
        self.asking(&mut ask, |kernel| kernel.set(event.0));
        self.legal(None)
    }

    /// Where an object is bound.
    ///
    /// # Errors
    ///
    /// As getsockname(2): it is closed, or no socket.
    pub fn local_addr(&self, object: impl Into<Object>) -> io::Result<SocketAddr> {
        self.kernel
            .local_addr(object.into().raw())
            .map_err(errno::error)
    }

    /// Where a stream leads to.
    ///
    /// # Errors
    ///
    /// As getpeername(2): it is closed, or not connected (any more).
    pub fn peer_addr(&self, stream: Stream) -> io::Result<SocketAddr> {
        self.kernel.peer_addr(stream.0).map_err(errno::error)
    }

    /// `c1 client`, `listener 10.0.0.1:7`, `file /etc/motd`, `closed handle 5`.
    #[must_use]
    pub fn name(&self, object: impl Into<Object>) -> String {
        self.kernel.m.object_name(object.into().raw())
    }

    /// Closes an object. What a peer sees of it is as close(2) has it: the end of the stream, or a
    /// reset if there was something left to read.
    ///
    /// # Errors
    ///
    /// It is closed already; or operations are in flight on it: cancel and reap them first.
    pub fn close(&mut self, object: impl Into<Object>) -> Result<(), HandError> {
        let raw = object.into().raw();
        let handle = self.open_handle(raw)?;
        if handle.in_flight > 0 {
            return Err(HandError::Busy {
                in_flight: handle.in_flight,
                object: self.kernel.m.object_name(raw),
            });
        }
        self.kernel.close(raw);
        Ok(())
    }

    fn open_handle(&self, raw: i32) -> Result<&handles::Handle, HandError> {
        self.kernel.m.handles.get(raw).ok_or(HandError::Closed {
            number: handles::Handles::number(raw),
        })
    }

    /// Puts a file there, with the directories above it.
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) {
        self.kernel.m.files.add_file(path, bytes);
    }

    /// What a file holds now.
    #[must_use]
    pub fn file(&mut self, path: &str) -> Option<Vec<u8>> {
        self.kernel.m.files.content(path)
    }

    // ---- operations

    /// Starts an operation. Its buffer is the kernel's from now on, until the completion is reaped.
    ///
    /// Some operations have their effect at once, inside this call; the peer may see it before you
    /// see the completion.
    ///
    /// # Errors
    ///
    /// Nothing was submitted: the object is closed, or too many operations are in flight (65,536).
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
        if let Some(object) = request.object {
            self.open_handle(object)?;
        }
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
            event: event_of(op),
            cause: EventId::ROOT,
            location: request.location,
        };
        // Kept before the kernel sees it, and left alone until it is handed out or the kernel is gone.
        self.held.insert(op, Held { place, lent });
        self.asks().names.insert(event_of(op), op);
        self.asking(&mut ask, |kernel| {
            // SAFETY: what is lent is on the heap, in `held`, which is dropped after the kernel and
            // touched again only once the operation was handed out; what is sent is initialised.
            unsafe { kernel.submit(place, &asked) };
        });
        self.legal(Some(op)).map(|()| op)
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

    /// What the kernel may do next. The first is what a kind one does; none: nothing will ever happen
    /// by itself.
    #[must_use]
    pub fn enabled(&self) -> Vec<Enabled> {
        let m = &self.kernel.m;
        let steps = super::decide::Steps {
            machine: m,
            clock: self.kernel.next_deadline().is_some(),
        };
        (0..steps.len())
            .filter_map(|index| {
                let step = steps.step(index);
                let op = || Some(OpId(m.ops[steps.target(step)? as usize].token as u32));
                Some(Enabled {
                    step: match step {
                        super::decide::Step::Complete(_) => Step::Complete(op()?),
                        super::decide::Step::Effect(_) => Step::Effect(op()?),
                        super::decide::Step::Cancel(_) => Step::Cancel(op()?),
                        super::decide::Step::Clock => Step::Clock,
                    },
                    words: steps.text(step),
                })
            })
            .collect()
    }

    /// Makes one step.
    ///
    /// # Errors
    ///
    /// [`NotEnabled`](HandError::NotEnabled), with the reason: nothing happened.
    /// [`NotLegal`](HandError::NotLegal): the step was made, but not as [planned](Hand::decide).
    pub fn step(&mut self, step: Step) -> Result<(), HandError> {
        self.step_with(step, Decision::planned)
    }

    /// As [`Hand::step`]; at each decision that the kernel makes meanwhile `ask` is asked for the index
    /// of an alternative.
    ///
    /// # Errors
    ///
    /// As [`Hand::step`]; an index beyond the alternatives is not legal.
    pub fn step_with(
        &mut self,
        step: Step,
        mut ask: impl FnMut(&Decision) -> usize,
    ) -> Result<(), HandError> {
        let Some(place) = self.take(step) else {
            return Err(self.not_enabled(step));
        };
        let op = match step {
            Step::Complete(op) => {
                self.hand_out(op, place);
                return Ok(());
            }
            Step::Effect(op) => {
                self.asking(&mut ask, |kernel| kernel.effect_or_wait(place));
                Some(op)
            }
            Step::Cancel(op) => {
                self.kernel.m.ops[place as usize].cancel_pending = false;
                self.asking(&mut ask, |kernel| kernel.cancel_wins(place));
                Some(op)
            }
            Step::Clock => {
                self.asking(&mut ask, Kernel::clock);
                None
            }
        };
        self.legal(op)
    }

    /// The kernel's place of the operation that a step is about, taken out of the list of what is enabled.
    fn take(&mut self, step: Step) -> Option<u32> {
        let m = &mut self.kernel.m;
        let (list, op) = match step {
            Step::Complete(op) => (&mut m.done, op),
            Step::Effect(op) => (&mut m.armed, op),
            Step::Cancel(op) => (&mut m.cancels, op),
            // It has none.
            Step::Clock => return self.kernel.next_deadline().map(|_| u32::MAX),
        };
        let place = self.held.get(&op)?.place;
        list.remove(|&id| id == place)
    }

    fn hand_out(&mut self, op: OpId, place: u32) {
        let verb = self.kernel.m.ops[place as usize].verb;
        let (_, result) = self.kernel.hand_out(place);
        self.asks().names.remove(&event_of(op));
        self.free.push(place);
        let Some(held) = self.held.remove(&op) else {
            return;
        };
        // SAFETY: handed out: the kernel has let go of it, and has written so many bytes.
        let (done, buf) = unsafe { held.lent.back(verb, result) };
        self.ready.push_back(Completion {
            op,
            result: if result < 0 {
                Err(errno::error(-result))
            } else {
                Ok(done)
            },
            buf,
        });
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

    fn not_enabled(&self, step: Step) -> HandError {
        let why = match step {
            Step::Complete(op) => self.explain(op),
            Step::Effect(op) => match self.held.get(&op) {
                Some(_) => format!("{}; no late effect is due", self.explain(op)),
                None => self.explain(op),
            },
            Step::Cancel(op) => match self.held.get(&op) {
                Some(_) => format!("{}; no cancel of it is pending", self.explain(op)),
                None => self.explain(op),
            },
            Step::Clock => {
                "there is no deadline; time can still be moved with `advance`".to_owned()
            }
        };
        HandError::NotEnabled { step, why }
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
        self.kernel.busy(nanos(time), None, location);
    }

    // ---- decisions

    /// Plans a decision: `recv: half` takes the alternative `half` the next time that the kernel decides at
    /// `recv`. Several are taken in their order. See [`Site`](crate::choice::Site) for the names of all sites and
    /// [`Decision::alternatives`] for the words of one.
    ///
    /// # Errors
    ///
    /// There is no such site. Whether the alternative is legal shows when it is decided.
    pub fn decide(&mut self, plan: &str) -> Result<(), HandError> {
        let planned = ask::parse(plan)?;
        self.asks().plan.push(planned);
        Ok(())
    }

    /// What was planned and has not come up yet.
    #[must_use]
    pub fn undecided(&mut self) -> Vec<String> {
        let plan = self.asks().plan.iter();
        plan.map(|(site, word)| format!("{}: {word}", site.name()))
            .collect()
    }

    /// The decisions of the last submission, cancel, step or try: what could have been, and what
    /// was picked.
    #[must_use]
    pub fn decisions(&mut self) -> &[Decision] {
        &self.asks().made
    }

    fn asks(&mut self) -> &mut Asks {
        match self.kernel.decider.chooser_as() {
            Some(asks) => asks,
            None => unreachable!("the kernel of a hand has the hand's own chooser"),
        }
    }

    fn asking<R>(&mut self, ask: &mut Ask<'_>, body: impl FnOnce(&mut Kernel) -> R) -> R {
        ask::asking(&mut self.kernel, ask, body)
    }

    /// Whether all decisions of the last call were legal.
    fn legal(&mut self, op: Option<OpId>) -> Result<(), HandError> {
        match self.asks().refused.take() {
            None => Ok(()),
            Some((asked, decision)) => Err(HandError::NotLegal {
                op,
                asked,
                decision,
            }),
        }
    }

    fn next_op(&mut self) -> OpId {
        self.submitted += 1;
        OpId(self.submitted)
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
