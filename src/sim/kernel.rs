//! Operations: their states, how they start, have their effect, end, and are taken back.
//!
//! An operation is in one of three states, and the state alone fixes what a cancel may do:
//!
//! | state | meaning | a cancel |
//! |---|---|---|
//! | `Wait` | its effect is impossible so far | wins, or is processed late |
//! | `Armed` | its effect is possible and deliberately late | wins, comes after the effect, or is processed late |
//! | `Done` | it had its effect; the completion is queued | finds nothing: the result stands |

use std::mem::MaybeUninit;
use std::panic::Location;

use super::clock::Timers;
use super::decide::{Decider, Menu, Outcome};
use super::errno;
use super::files::Files;
use super::handles::{Handles, Object};
use super::lent::Lent;
use super::queue::{NIL, Queue};
use super::tcp::Tcp;
use super::trace::{Recorder, What};
use super::violation::{Invariant, Violation};
use super::world::Config;
use crate::choice::{Chooser, EventId, Key, Site};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Nop,
    /// At `offset` (virtual nanoseconds) completes with 0.
    Timer,
    Recv,
    Send,
    Accept,
    /// `ptr`: a [`std::net::SocketAddr`].
    Connect,
    /// `flags`: 0 read, 1 write, 2 both.
    Shutdown,
    ReadAt,
    WriteAt,
    /// `ptr`, `len`: the path. `flags`: see [`super::files`].
    Open,
    Sync,
    /// Leaves the length as a `u64` at byte `offset` of the `len` bytes at `ptr`.
    Length,
}

impl Verb {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Verb::Nop => "nop",
            Verb::Timer => "timer",
            Verb::Recv => "recv",
            Verb::Send => "send",
            Verb::Accept => "accept",
            Verb::Connect => "connect",
            Verb::Shutdown => "shutdown",
            Verb::ReadAt => "read_at",
            Verb::WriteAt => "write_at",
            Verb::Open => "open",
            Verb::Sync => "sync",
            Verb::Length => "length",
        }
    }
}

/// One operation, as it is submitted.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    /// `len` counts [`super::lent::Piece`]s at `ptr`.
    pub(crate) vectored: bool,
    /// The kernel may poison what it may write.
    pub(crate) writable: bool,
    /// The submitter can take the result at once.
    pub(crate) may_be_ready: bool,
    pub(crate) handle: i32,
    pub(crate) len: u32,
    pub(crate) flags: u32,
    pub(crate) ptr: *mut u8,
    pub(crate) offset: u64,
    /// Comes back with the completion; names the activation in a cancel.
    pub(crate) token: u64,
    pub(crate) event: EventId,
    pub(crate) cause: EventId,
    pub(crate) location: &'static Location<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Free,
    Wait,
    Armed,
    Done,
}

/// The slot of an operation.
#[derive(Clone, Copy)]
pub(super) struct Op {
    pub(super) token: u64,
    pub(super) event: EventId,
    pub(super) cause: EventId,
    pub(super) location: Option<&'static Location<'static>>,
    pub(super) lent: Lent,
    pub(super) offset: u64,
    /// How many-th submission of the run.
    pub(super) order: u64,
    /// The fingerprint of what is sent, or of what was received.
    print: u64,
    pub(super) handle: i32,
    pub(super) flags: u32,
    pub(super) result: i32,
    /// Neighbours in the list in which it waits.
    pub(super) prev: u32,
    pub(super) next: u32,
    /// Place in the timer heap.
    pub(super) heap: u32,
    /// [`Verb::Connect`]: the listener whose backlog is full.
    pub(super) listener: u32,
    pub(super) verb: Verb,
    pub(super) state: State,
    /// Free faults that it may still suffer.
    faults: u32,
    /// The pattern in its buffer, if it is poisoned.
    poison: Option<u8>,
    printed: bool,
    /// A cancel was asked for and waits to be processed.
    pub(super) cancel_pending: bool,
    may_be_ready: bool,
    /// How often each site was chosen for it.
    seen: [u8; Site::ALL.len()],
}

impl Op {
    pub(super) fn free() -> Op {
        Op {
            token: 0,
            event: EventId::ROOT,
            cause: EventId::ROOT,
            location: None,
            lent: Lent::NONE,
            offset: 0,
            order: 0,
            print: 0,
            handle: -1,
            flags: 0,
            result: 0,
            prev: NIL,
            next: NIL,
            heap: NIL,
            listener: NIL,
            verb: Verb::Nop,
            state: State::Free,
            faults: 0,
            poison: None,
            printed: false,
            cancel_pending: false,
            may_be_ready: false,
            seen: [0; Site::ALL.len()],
        }
    }
}

/// Everything that is simulated: what the steps change.
pub(super) struct Machine {
    pub(super) ops: Vec<Op>,
    pub(super) handles: Handles,
    pub(super) tcp: Tcp,
    pub(super) files: Files,
    pub(super) timers: Timers,
    pub(super) done: Queue<u32>,
    pub(super) armed: Queue<u32>,
    pub(super) cancels: Queue<u32>,
    pub(super) now: u64,
}

impl Machine {
    /// `recv(c1 client, 64)`
    pub(super) fn describe(&self, id: u32) -> String {
        let op = &self.ops[id as usize];
        let verb = op.verb.name();
        let object = self.object_name(op.handle);
        match op.verb {
            Verb::Nop => verb.to_owned(),
            Verb::Timer => format!("timer({} ns)", op.offset),
            Verb::Accept | Verb::Sync | Verb::Length => format!("{verb}({object})"),
            Verb::Connect => format!("connect({object}, {})", self.tcp.target(op)),
            Verb::Open => format!("open({})", self.files.path_of(op)),
            Verb::Shutdown => {
                format!(
                    "shutdown({object}, {})",
                    ["read", "write", "both"][op.flags.min(2) as usize]
                )
            }
            Verb::Recv | Verb::Send => format!("{verb}({object}, {})", op.lent.len()),
            Verb::ReadAt | Verb::WriteAt => {
                format!("{verb}({object}, {} at {})", op.lent.len(), op.offset)
            }
        }
    }

    /// `c1 client`, `listener 127.0.0.1:80`, `file /etc/motd`
    pub(super) fn object_name(&self, raw: i32) -> String {
        match self.handles.object(raw) {
            Object::Closed => format!("closed handle {}", Handles::number(raw)),
            Object::Socket { .. } => format!("socket {}", Handles::number(raw)),
            Object::Listener(listener) => self.tcp.listener_name(listener),
            Object::Stream { conn, side } => self.tcp.stream_name(conn, side),
            Object::File { node, .. } => format!("file {}", self.files.path(node)),
        }
    }
}

/// The simulated kernel: the machine, who decides, and who watches.
pub(crate) struct Kernel {
    pub(super) config: Config,
    pub(super) decider: Decider,
    pub(super) recorder: Recorder,
    pub(super) m: Machine,
    pub(super) verdict: Option<Violation>,
    /// The operations that were under way at the verdict have been ended.
    pub(super) drained: bool,
    /// What stood in poisoned buffers, by operation.
    saved: Vec<Vec<MaybeUninit<u8>>>,
    in_flight: usize,
    submissions: u64,
    /// The operation whose submission is under way.
    submitting: Option<u32>,
    pub(super) steps: u64,
    pub(super) completions: u64,
    pub(super) digest: u64,
    /// Polls in a row that found nothing.
    pub(super) idle_polls: u32,
    /// A lane was made and has not been dropped.
    pub(crate) lane_taken: bool,
}

/// What a step adds to the digest beside its event.
const SUBMIT: u64 = 1;
const EFFECT: u64 = 2;
const COMPLETE: u64 = 3;
pub(super) const CLOCK: u64 = 4;

impl Kernel {
    pub(super) fn new(config: Config, chooser: Box<dyn Chooser>) -> Kernel {
        Kernel {
            decider: Decider::new(chooser),
            recorder: Recorder::new(config.trace),
            m: Machine {
                ops: Vec::new(),
                handles: Handles::new(),
                tcp: Tcp::default(),
                files: Files::default(),
                timers: Timers::default(),
                done: Queue::default(),
                armed: Queue::default(),
                cancels: Queue::default(),
                now: 0,
            },
            config,
            verdict: None,
            drained: false,
            saved: Vec::new(),
            in_flight: 0,
            submissions: 0,
            submitting: None,
            steps: 0,
            completions: 0,
            digest: 0,
            idle_polls: 0,
            lane_taken: false,
        }
    }

    /// A fresh kernel in this one's memory.
    pub(super) fn reset(&mut self, config: Config, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        let old = self.decider.reset(chooser);
        self.recorder.reset(config.trace);
        if self.in_flight > 0 {
            self.m.ops.iter_mut().for_each(|op| op.state = State::Free);
        }
        self.m.handles.clear();
        self.m.tcp.clear();
        self.m.files.clear();
        self.m.timers.clear();
        self.m.done.clear();
        self.m.armed.clear();
        self.m.cancels.clear();
        self.m.now = 0;
        self.config = config;
        self.verdict = None;
        self.drained = false;
        self.in_flight = 0;
        self.submissions = 0;
        self.submitting = None;
        self.steps = 0;
        self.completions = 0;
        self.digest = 0;
        self.idle_polls = 0;
        self.lane_taken = false;
        old
    }

    /// How many operations have been submitted and not handed out.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Something that the proactor wants in the trace.
    pub(crate) fn note(&mut self, text: String) {
        if self.recorder.on {
            self.recorder.push(
                EventId::ROOT,
                EventId::ROOT,
                What::Note,
                None,
                text,
                None,
                self.m.now,
            );
        }
    }

    #[inline]
    pub(super) fn mix(&mut self, event: EventId, what: u64, outcome: u64) {
        let word = event.0 ^ (outcome << 3 | what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.digest = (self.digest.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }

    /// Starts an operation in the slot `id`, which the caller gives and may reuse once the completion was
    /// handed out. `Some`: it is complete already (only if `may_be_ready`).
    ///
    /// # Safety
    ///
    /// What `request.ptr` points at stays valid, unmoved and untouched by others until the completion
    /// was handed out or taken from here, or this kernel is never entered again. For a sending operation
    /// it is initialised.
    pub(crate) unsafe fn submit(&mut self, id: u32, request: &Request) -> Option<i32> {
        let index = id as usize;
        if self.m.ops.len() <= index {
            self.m.ops.resize(index + 1, Op::free());
        }
        if self.m.ops[index].state != State::Free {
            let message = format!(
                "{} was submitted again while it is in flight",
                self.m.describe(id)
            );
            self.fail(
                Invariant::I1,
                message,
                request.event,
                Some(request.location),
            );
            return None;
        }
        let lent = if request.vectored {
            // SAFETY: the caller lends `len` pieces at `ptr`.
            unsafe { Lent::vectored(request.ptr, request.len) }
        } else {
            Lent::plain(request.ptr, request.len)
        };
        let op = &mut self.m.ops[index];
        op.token = request.token;
        op.event = request.event;
        op.cause = request.cause;
        op.location = Some(request.location);
        op.lent = lent;
        op.offset = request.offset;
        op.order = self.submissions;
        op.handle = request.handle;
        op.flags = request.flags;
        op.verb = request.verb;
        op.state = State::Wait;
        op.faults = self.config.faults_per_operation;
        op.poison = None;
        op.printed = false;
        op.cancel_pending = false;
        op.may_be_ready = request.may_be_ready;
        op.seen = [0; Site::ALL.len()];
        self.submissions += 1;
        self.in_flight += 1;
        self.idle_polls = 0;
        self.mix(request.event, SUBMIT, request.verb as u64);
        if self.recorder.on {
            let nth = self.recorder.nth(request.event, request.cause);
            let text = self.m.describe(id);
            self.record(id, What::Submit { nth }, text);
        }
        if let Some(handle) = self.m.handles.get_mut(request.handle) {
            handle.in_flight += 1;
        } else if !matches!(request.verb, Verb::Nop | Verb::Timer | Verb::Open) {
            let message = format!(
                "{} was submitted after the handle was closed",
                self.m.describe(id)
            );
            self.fail(
                Invariant::I4,
                message,
                request.event,
                Some(request.location),
            );
            self.finish(id, -errno::EBADF);
            return None;
        }
        if self.verdict.is_some() {
            self.finish(id, -errno::ECANCELED);
            return None;
        }
        if self.config.poison && lent.len() > 0 {
            // SAFETY: just lent by the caller.
            unsafe { self.lend(id, request.writable) };
        }
        self.submitting = Some(id);
        self.start(id);
        self.submitting = None;
        if request.may_be_ready
            && self.m.ops[index].state == State::Done
            && self.ready_at_first_poll(id)
        {
            self.m.done.pop_newest();
            return Some(self.hand_out(id).1);
        }
        None
    }

    fn start(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Nop => self.finish(id, 0),
            Verb::Timer => {
                let deadline = self.m.ops[id as usize].offset;
                if deadline <= self.m.now {
                    self.finish(id, 0);
                } else {
                    self.m.timers.push(&mut self.m.ops, id, deadline);
                }
            }
            _ => {
                if self.offer_reset(id) {
                    self.effect(id);
                } else {
                    self.advance(id);
                }
            }
        }
    }

    /// Lets an operation that is in no list have its effect, now or late, or wait for it to be possible.
    pub(super) fn advance(&mut self, id: u32) {
        if !self.possible(id) {
            self.wait_in_line(id);
        } else if !self.decider.kind && self.late(id) {
            self.m.ops[id as usize].state = State::Armed;
            self.m.armed.push(id);
        } else {
            self.effect(id);
        }
    }

    /// Whether the effect, be it an error, could happen now.
    pub(super) fn possible(&self, id: u32) -> bool {
        let op = &self.m.ops[id as usize];
        match op.verb {
            Verb::Recv => self.recv_possible(op),
            Verb::Send => self.send_possible(op),
            Verb::Accept => self.accept_possible(op),
            Verb::Connect => self.connect_possible(op),
            Verb::Timer => false,
            _ => true,
        }
    }

    /// The effect of an operation whose effect is possible, and what follows from it for others.
    pub(super) fn effect(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, handle) = (op.verb, op.handle);
        self.check_at_effect(id);
        let result = match verb {
            Verb::Recv => self.recv(id),
            Verb::Send => self.send(id),
            Verb::Accept => self.accept(id),
            Verb::Connect => match self.connect(id) {
                Some(result) => result,
                None => return,
            },
            Verb::Shutdown => self.shutdown(id),
            Verb::ReadAt => self.read_at(id),
            Verb::WriteAt => self.write_at(id),
            Verb::Open => self.open(id),
            Verb::Sync => self.sync(id),
            Verb::Length => self.length(id),
            Verb::Nop | Verb::Timer => 0,
        };
        self.finish(id, result);
        if matches!(verb, Verb::Recv | Verb::Send | Verb::Shutdown) {
            self.settle_handle(handle);
        } else if verb == Verb::Accept {
            self.settle_listener_of(handle);
        }
    }

    /// The operation has its result: queues the completion. It is in no list any more.
    pub(super) fn finish(&mut self, id: u32, result: i32) {
        let op = &mut self.m.ops[id as usize];
        op.state = State::Done;
        op.result = result;
        let event = op.event;
        if op.cancel_pending {
            // It would find nothing.
            op.cancel_pending = false;
            self.m.cancels.remove(|&other| other == id);
        }
        self.m.done.push(id);
        self.steps += 1;
        self.mix(event, EFFECT, result as u32 as u64);
        if self.recorder.on {
            let text = self.outcome(id);
            self.record(id, What::Effect, text);
        }
        if self.m.ops[id as usize].poison.is_some() {
            self.print_received(id);
        }
    }

    /// Hands the completion out: the buffer goes back, the slot is free.
    pub(super) fn hand_out(&mut self, id: u32) -> (u64, i32) {
        self.check_at_completion(id);
        if self.recorder.on {
            let (text, result) = (self.outcome(id), self.m.ops[id as usize].result);
            self.record(id, What::Complete { result }, text);
        }
        let op = &mut self.m.ops[id as usize];
        op.state = State::Free;
        let (token, event, result, handle) = (op.token, op.event, op.result, op.handle);
        if let Some(handle) = self.m.handles.get_mut(handle) {
            handle.in_flight -= 1;
        }
        self.in_flight -= 1;
        self.steps += 1;
        self.completions += 1;
        self.mix(event, COMPLETE, result as u32 as u64);
        (token, result)
    }

    /// `= 12`, `= c2 server`, `= ECONNRESET`
    fn outcome(&self, id: u32) -> String {
        let op = &self.m.ops[id as usize];
        match op.result {
            error if error < 0 => format!("= {}", errno::name(-error)),
            raw if matches!(op.verb, Verb::Accept | Verb::Open) => {
                format!("= {}", self.m.object_name(raw))
            }
            count => format!("= {count}"),
        }
    }

    // ---- choices

    /// The key of the next choice of `site` for an operation.
    pub(super) fn key(&mut self, site: Site, id: u32) -> Key {
        let op = &mut self.m.ops[id as usize];
        let occurrence = op.seen[site as usize];
        op.seen[site as usize] = occurrence.saturating_add(1);
        Key {
            event: op.event,
            occurrence: u32::from(occurrence),
        }
    }

    /// One decision for an operation.
    pub(super) fn choose(&mut self, site: Site, id: u32, menu: &Menu) -> usize {
        if self.decider.kind || menu.len() < 2 {
            return 0;
        }
        let key = self.key(site, id);
        let picked = self.decider.choose(site, key, menu.len(), menu);
        if self.recorder.on {
            let text = crate::choice::Alternatives::label(menu, picked);
            self.record(
                id,
                What::Decision {
                    site,
                    deviation: picked != 0,
                },
                text,
            );
        }
        picked
    }

    /// One decision whose deviations are free faults: not offered to an operation that had its share.
    pub(super) fn choose_fault(&mut self, site: Site, id: u32, menu: &Menu) -> usize {
        if self.decider.kind || self.m.ops[id as usize].faults == 0 {
            return 0;
        }
        let picked = self.choose(site, id, menu);
        if picked != 0 {
            self.m.ops[id as usize].faults -= 1;
        }
        picked
    }

    /// How much of `of` bytes a transfer moves.
    pub(super) fn choose_size(&mut self, site: Site, id: u32, of: u32) -> u32 {
        if self.decider.kind || of < 2 {
            return of;
        }
        let menu = Menu::sizes(of);
        menu.size(self.choose_fault(site, id, &menu))
    }

    fn late(&mut self, id: u32) -> bool {
        let menu = Menu::new(&[
            Outcome::Named("now", "effect at once"),
            Outcome::Named("late", "effect later"),
        ]);
        self.choose(Site::EffectLate, id, &menu) == 1
    }

    fn ready_at_first_poll(&mut self, id: u32) -> bool {
        let menu = Menu::new(&[
            Outcome::Named("pending", "pending at first poll"),
            Outcome::Named("ready", "ready at first poll"),
        ]);
        self.config.ready_at_first_poll && self.choose(Site::ReadyAtFirstPoll, id, &menu) == 1
    }

    // ---- cancels

    /// Asks that an activation ends soon. One that is not in flight is ignored.
    pub(crate) fn cancel(&mut self, id: u32, token: u64) {
        let Some(op) = self.m.ops.get(id as usize).filter(|op| op.token == token) else {
            return;
        };
        let state = op.state;
        if state == State::Free || self.verdict.is_some() {
            return;
        }
        if self.recorder.on {
            let text = format!("cancel {}", self.m.describe(id));
            self.record(id, What::CancelAsked, text);
        }
        if state == State::Done || self.m.ops[id as usize].cancel_pending {
            return;
        }
        let won = Outcome::Named("won", "cancelled");
        let late = Outcome::Named("late", "the cancel is processed late");
        let picked = if self.decider.kind {
            won
        } else if state == State::Wait {
            [won, late][self.choose(Site::Cancel, id, &Menu::new(&[won, late]))]
        } else {
            let lost = Outcome::Named("lost", "too late: the effect came first");
            [won, late, lost][self.choose(Site::Cancel, id, &Menu::new(&[won, late, lost]))]
        };
        if picked == won {
            self.cancel_wins(id);
        } else if picked == late {
            self.m.ops[id as usize].cancel_pending = true;
            self.m.cancels.push(id);
        } else {
            self.m.armed.remove(|&other| other == id);
            self.effect_or_wait(id);
            if self.m.ops[id as usize].state == State::Wait {
                // What it was armed for is gone: then there is no effect for the cancel to lose to.
                self.cancel_wins(id);
            }
        }
    }

    /// A late effect happens, unless another operation took what it needs.
    pub(super) fn effect_or_wait(&mut self, id: u32) {
        self.m.ops[id as usize].state = State::Wait;
        if self.possible(id) {
            self.effect(id);
        } else {
            self.wait_in_line(id);
        }
    }

    /// Ends an operation that had no effect. The state is `Wait` or `Armed`.
    pub(super) fn cancel_wins(&mut self, id: u32) {
        self.withdraw(id);
        if self.recorder.on {
            self.record(id, What::Cancelled, String::new());
        }
        self.finish(id, -errno::ECANCELED);
    }

    /// Takes an operation that had no effect out of whatever list it is in.
    fn withdraw(&mut self, id: u32) {
        if self.m.ops[id as usize].state == State::Armed {
            self.m.armed.remove(|&other| other == id);
        } else {
            self.leave_line(id);
        }
    }

    fn wait_in_line(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Recv | Verb::Send => self.wait_on_stream(id),
            Verb::Accept | Verb::Connect => self.wait_on_listener(id),
            _ => {}
        }
    }

    fn leave_line(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Recv | Verb::Send => self.leave_stream(id),
            Verb::Accept | Verb::Connect => self.leave_listener(id),
            _ => {}
        }
        self.m.timers.remove(&mut self.m.ops, id);
    }

    /// Takes a timer back: no completion will come.
    pub(crate) fn disarm(&mut self, id: u32, token: u64) {
        let Some(op) = self.m.ops.get(id as usize).filter(|op| op.token == token) else {
            return;
        };
        if op.state == State::Free || op.verb != Verb::Timer {
            return;
        }
        if op.cancel_pending {
            self.m.cancels.remove(|&other| other == id);
        }
        if self.m.ops[id as usize].state == State::Done {
            self.m.done.remove(|&other| other == id);
        } else {
            self.m.timers.remove(&mut self.m.ops, id);
        }
        self.m.ops[id as usize].state = State::Free;
        self.in_flight -= 1;
    }

    // ---- the oracles over one operation

    /// # Safety
    ///
    /// The buffer of the operation was just lent.
    unsafe fn lend(&mut self, id: u32, writable: bool) {
        let index = id as usize;
        let op = &mut self.m.ops[index];
        match op.verb {
            Verb::Recv | Verb::ReadAt if writable => {
                // Any byte will do; one that differs between operations is hit by chance less often.
                let pattern = (op.event.0 >> 24) as u8 | 1;
                if self.saved.len() <= index {
                    self.saved.resize_with(index + 1, Vec::new);
                }
                // SAFETY: lent, and writable.
                unsafe { op.lent.poison(pattern, &mut self.saved[index]) };
                op.poison = Some(pattern);
            }
            Verb::Send | Verb::WriteAt => {
                // SAFETY: lent, and initialised, being sent.
                op.print = unsafe { op.lent.fingerprint(op.lent.len()) };
                op.printed = true;
            }
            _ => {}
        }
    }

    fn check_at_effect(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        if self.submitting == Some(id) || op.poison.is_none() && !op.printed {
            // Nobody but the kernel ran since the buffer was lent, or there is nothing to compare with.
            return;
        }
        let printed = op.printed;
        self.check_lent(id, 0, printed);
    }

    fn check_at_completion(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        if op.poison.is_some() {
            let moved = op.result.max(0) as u32;
            let lent = op.lent;
            self.check_lent(id, moved, moved > 0);
            // SAFETY: lent until this completion is handed out; poisoned at submit.
            unsafe { lent.restore(moved, &self.saved[id as usize]) };
        } else if op.printed {
            self.check_lent(id, 0, true);
        }
    }

    /// Poison from `from` on; and the fingerprint, if there is one to compare with.
    fn check_lent(&mut self, id: u32, from: u32, printed: bool) {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        // SAFETY: an operation that is not free has its buffer lent. Poison and the kernel's own writes
        // initialised what may be written, the submitter what is sent.
        let spoiled = op
            .poison
            .and_then(|pattern| unsafe { lent.spoiled(from, pattern) });
        let printed_len = if op.poison.is_some() {
            from
        } else {
            lent.len()
        };
        // SAFETY: as above.
        let changed = printed && unsafe { lent.fingerprint(printed_len) } != op.print;
        if let Some(at) = spoiled {
            let message = format!(
                "the buffer lent to {} was written to at byte {at} before its completion",
                self.m.describe(id)
            );
            self.fail_at(Invariant::I2, message, id);
        } else if changed {
            let message = format!(
                "the bytes lent to {} were changed before its completion",
                self.m.describe(id)
            );
            self.fail_at(Invariant::I2, message, id);
        }
    }

    /// Remembers what was received, so that completion can tell whether it was touched since.
    fn print_received(&mut self, id: u32) {
        let op = &mut self.m.ops[id as usize];
        if op.result > 0 {
            // SAFETY: lent, and the kernel has just written that many bytes.
            op.print = unsafe { op.lent.fingerprint(op.result as u32) };
        }
    }

    // ---- verdict

    pub(super) fn fail_at(&mut self, invariant: Invariant, message: String, id: u32) {
        let op = &self.m.ops[id as usize];
        let (event, location) = (op.event, op.location);
        self.fail(invariant, message, event, location);
    }

    fn fail(
        &mut self,
        invariant: Invariant,
        message: String,
        event: EventId,
        location: Option<&'static Location<'static>>,
    ) {
        self.report(Violation {
            invariant,
            message,
            event,
            location,
        });
    }

    /// Keeps the first violation; from then on the kernel drains.
    pub(super) fn report(&mut self, violation: Violation) {
        if self.verdict.is_some() {
            return;
        }
        if self.recorder.on {
            self.recorder.violation(&violation, self.m.now);
        }
        self.verdict = Some(violation);
    }

    /// Ends everything that is under way, in the order of submission. Once, after a verdict.
    pub(super) fn drain(&mut self) {
        if self.drained {
            return;
        }
        self.drained = true;
        let waiting = |op: &&Op| -> bool { matches!(op.state, State::Wait | State::Armed) };
        let mut left: Vec<(u64, u32)> = (0u32..)
            .zip(&self.m.ops)
            .filter(|(_, op)| waiting(op))
            .map(|(id, op)| (op.order, id))
            .collect();
        left.sort_unstable();
        for (_, id) in left {
            self.withdraw(id);
            self.finish(id, -errno::ECANCELED);
        }
    }

    pub(super) fn record(&mut self, id: u32, what: What, text: String) {
        let op = &self.m.ops[id as usize];
        let object = (op.handle >= 0).then(|| self.m.object_name(op.handle));
        self.recorder.push(
            op.event,
            op.cause,
            what,
            object,
            text,
            op.location,
            self.m.now,
        );
    }
}
