//! The kernel: how operations start, wait, have their effect and end.

use std::panic::Location;

use super::busy::Declared;
use super::clock::Timers;
use super::decide::{Decider, Menu};
use super::errno;
use super::events::Events;
use super::files::Files;
use super::handles::{Handles, Object};
use super::hosts::Net;
use super::lent::{Copies, Lent};
use super::op::{NONBLOCK, Op, Request, State, Verb};
use super::oracle::Oracle;
use super::peers::Peers;
use super::plain::{self, Plainly};
use super::port::{Above, Door};
use super::power::Power;
use super::queue::Queue;
use super::smells::{self, Hole, direction};
use super::steps::Waits;
use super::tcp::Tcp;
use super::trace::{Recorder, TIMEOUT, What};
use super::transitions::{Does, Rule};
use super::violation::Violation;
use super::warnings::Warnings;
use super::words::duration;
use super::world::Config;
use crate::choice::{Chooser, EventId, Key, Site};

/// Everything that is simulated: what the steps change.
pub(super) struct Machine {
    pub(super) ops: Vec<Op>,
    pub(super) handles: Handles,
    pub(super) tcp: Tcp,
    pub(super) net: Net,
    pub(super) files: Files,
    pub(super) events: Events,
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
            Verb::Nop | Verb::Job => verb.to_owned(),
            Verb::Timer if op.event == op.cause.child(TIMEOUT) => {
                format!("timeout(at {})", duration(op.offset))
            }
            Verb::Timer => format!("timer(at {})", duration(op.offset)),
            Verb::Accept | Verb::Sync | Verb::Length | Verb::Wait => format!("{verb}({object})"),
            Verb::Connect => format!("connect({object}, {})", self.tcp.target(op)),
            Verb::Open | Verb::Rename | Verb::Remove | Verb::CreateDir => {
                format!("{verb}({})", self.files.path_of(op))
            }
            Verb::Shutdown => {
                format!(
                    "shutdown({object}, {})",
                    ["read", "write", "both"][(op.flags & !NONBLOCK).min(2) as usize]
                )
            }
            Verb::Recv | Verb::Send | Verb::Append => {
                format!("{verb}({object}, {})", op.lent.len())
            }
            Verb::SetLen => format!("{verb}({object}, {})", op.offset),
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
            Object::Event(_) => format!("event {}", Handles::number(raw)),
        }
    }
}

/// The simulated kernel: the machine, who decides, and who watches.
pub(crate) struct Kernel {
    pub(super) config: Config,
    pub(super) decider: Decider,
    pub(super) recorder: Recorder,
    pub(super) m: Machine,
    pub(super) peers: Peers,
    pub(super) verdict: Option<Violation>,
    /// All is kind, or drawn, nobody looks on, nothing has been found, and buffers are guarded. May be false of such
    /// a one too.
    pub(super) is_plain: bool,
    pub(super) power: Power,
    /// The operations that were under way at the verdict have been ended.
    pub(super) drained: bool,
    pub(super) copies: Copies,
    pub(super) in_flight: usize,
    /// What the running handler says that it takes.
    pub(super) declared: Declared,
    /// What all handlers have said that they take, in nanoseconds.
    pub(super) busy: u64,
    /// Bytes that are lent to be sent or written.
    pub(super) to_send: u64,
    /// The step at which there was progress last.
    pub(super) progress: u64,
    /// Findings whose level is `warn`, and whether this execution brought a new one.
    pub(super) warnings: Warnings,
    pub(super) news: bool,
    /// Bytes that were received for nobody.
    pub(super) holes: Vec<Hole>,
    /// The slot of an operation whose result, which is discarded next, nobody waits for.
    pub(crate) unwanted: Option<u32>,
    pub(super) submissions: u64,
    pub(super) steps: u64,
    pub(super) completions: u64,
    pub(super) digest: u64,
    /// What the operations ended with, in whatever order.
    pub(super) class: u64,
    /// How long steps have been overtaken.
    pub(super) waits: Waits,
    /// Polls in a row that found nothing.
    pub(super) idle_polls: u32,
    /// Polls since the verdict.
    pub(super) late_polls: u32,
    /// How many workers its handlers have. More than one overlap.
    pub(crate) workers: usize,
    /// A lane was made and has not been dropped.
    pub(crate) lane_taken: bool,
    /// What it knows of the driver above it.
    pub(super) above: Above,
}

/// What one effect of a transfer moves.
pub(super) struct Share {
    pub(super) bytes: u32,
    /// The operation goes on after that.
    pub(super) rest: bool,
}

/// What a step adds to the digest beside its event.
pub(super) const SUBMIT: u64 = 1;
pub(super) const EFFECT: u64 = 2;
pub(super) const COMPLETE: u64 = 3;
pub(super) const CLOCK: u64 = 4;

/// The digest after one more step.
#[inline]
pub(super) fn mixed(digest: u64, event: u64, what: u64, outcome: u64) -> u64 {
    let word = event ^ (outcome << 3 | what).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (digest.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// Whether [`Kernel::is_plain`] at the beginning.
fn is_plain(config: &Config, decider: &Decider) -> bool {
    let is_drawn = || decider.draws.is_some() && plain::offers_all(config);
    (decider.kind || is_drawn()) && !config.trace && config.poison
}

impl Kernel {
    pub(super) fn new(config: Config, chooser: Box<dyn Chooser>) -> Kernel {
        let mut decider = Decider::new(chooser);
        decider.begins(config.personality);
        let is_plain = is_plain(&config, &decider);
        let power = Power::new(config.power_losses, decider.drops);
        Kernel {
            recorder: Recorder::new(config.trace),
            m: Machine {
                ops: Vec::new(),
                handles: Handles::new(),
                tcp: Tcp::default(),
                net: Net::default(),
                files: Files::default(),
                events: Events::default(),
                timers: Timers::default(),
                done: Queue::default(),
                armed: Queue::default(),
                cancels: Queue::default(),
                now: 0,
            },
            is_plain,
            decider,
            config,
            peers: Peers::default(),
            verdict: None,
            power,
            drained: false,
            copies: Copies::default(),
            in_flight: 0,
            declared: Declared::default(),
            busy: 0,
            to_send: 0,
            progress: 0,
            warnings: Warnings::default(),
            news: false,
            holes: Vec::new(),
            unwanted: None,
            submissions: 0,
            steps: 0,
            completions: 0,
            digest: 0,
            class: 0,
            waits: Waits::default(),
            idle_polls: 0,
            late_polls: 0,
            workers: 1,
            lane_taken: false,
            above: Above::default(),
        }
    }

    /// A fresh kernel in this one's memory.
    pub(super) fn reset(&mut self, config: Config, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.config = config;
        self.runs_again(chooser)
    }

    /// The same, with the configuration that it has.
    pub(super) fn runs_again(&mut self, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        let old = self.decider.reset(chooser);
        self.decider.begins(self.config.personality);
        self.is_plain = is_plain(&self.config, &self.decider);
        self.recorder.reset(self.config.trace);
        if self.in_flight > 0 {
            // Also its places in the timer heap and in a listener's lines, which are emptied below.
            self.m.ops.fill(Op::free());
        }
        self.m.handles.clear();
        self.m.tcp.clear();
        self.m.net.clear();
        self.m.files.clear();
        self.m.events.clear();
        self.m.timers.clear();
        self.m.done.clear();
        self.m.armed.clear();
        self.m.cancels.clear();
        self.m.now = 0;
        self.power = Power::new(self.config.power_losses, self.decider.drops);
        self.peers.clear();
        self.verdict = None;
        self.drained = false;
        self.in_flight = 0;
        self.declared = Declared::default();
        self.busy = 0;
        self.to_send = 0;
        self.progress = 0;
        self.news = false;
        self.holes.clear();
        self.unwanted = None;
        self.submissions = 0;
        self.steps = 0;
        self.completions = 0;
        self.digest = 0;
        self.class = 0;
        self.waits = Waits::default();
        self.idle_polls = 0;
        self.late_polls = 0;
        self.lane_taken = false;
        self.above.reset();
        old
    }

    /// Another chooser decides from now on.
    #[cfg(test)]
    pub(super) fn is_decided_by(&mut self, chooser: Box<dyn Chooser>) {
        self.decider.reset(chooser);
        self.decider.begins(self.config.personality);
        self.is_plain = is_plain(&self.config, &self.decider);
    }

    /// The end of a run: what is left over becomes a violation.
    pub(super) fn ends(&mut self) {
        self.end_peers();
        self.account();
    }

    /// How many operations have been submitted and not handed out.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Something that the proactor wants in the trace.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.recorder.on {
            let (root, now) = (EventId::ROOT, self.m.now);
            self.recorder
                .push(root, root, What::Note, None, text(), None, now);
        }
    }

    /// Something began that is no operation, and whose handler may start some.
    pub(crate) fn began(
        &mut self,
        event: EventId,
        cause: EventId,
        nth: u32,
        text: &str,
        location: &'static Location<'static>,
    ) {
        if self.recorder.on {
            self.recorder
                .began(event, cause, nth, text.to_owned(), location, self.m.now);
        }
    }

    #[inline(always)]
    pub(super) fn mix(&mut self, event: EventId, what: u64, outcome: u64) {
        self.digest = mixed(self.digest, event.0, what, outcome);
    }

    /// Starts an operation in the slot `id`, which the caller gives and may reuse once the completion was
    /// handed out. `Some`: it is complete already (only if `may_be_ready`).
    ///
    /// # Safety
    ///
    /// What `request.ptr` points at stays valid, unmoved and untouched by others until the completion
    /// was handed out or taken from here, or this kernel is never entered again. For a sending operation
    /// it is initialised.
    #[inline(never)]
    pub(crate) unsafe fn submit(&mut self, id: u32, request: &Request) -> Option<i32> {
        if self.m.ops.len() <= id as usize {
            self.more_ops(id as usize);
        }
        // SAFETY: the caller's promise.
        unsafe {
            let plainly = match request.verb {
                Verb::Recv if !request.vectored => self.receive_plainly(id, request),
                Verb::Send if !request.vectored => self.send_plainly(id, request),
                _ => Plainly::NotPlain,
            };
            match plainly {
                Plainly::Started(result) => result,
                Plainly::NotPlain => self.submit_at_length(id, request),
            }
        }
    }

    /// The same of whatever is not plain.
    ///
    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    pub(crate) unsafe fn submit_at_length(&mut self, id: u32, request: &Request) -> Option<i32> {
        let index = id as usize;
        if self.m.ops.len() <= index {
            self.more_ops(index);
        }
        let lent = if request.vectored {
            // SAFETY: the caller lends `len` pieces at `ptr`.
            unsafe { Lent::vectored(request.ptr, request.len) }
        } else {
            Lent::plain(request.ptr, request.len)
        };
        let op = &mut self.m.ops[index];
        if op.state != State::Free {
            self.submitted_again(id, request);
            return None;
        }
        op.begin(
            request,
            lent,
            self.submissions,
            self.config.faults_per_operation,
        );
        let handle = self.m.handles.get_mut(request.handle);
        let mut is_crowded = false;
        if let Some(handle) = handle {
            handle.in_flight += 1;
            let direction = direction(request.verb);
            handle.busy += direction;
            is_crowded = smells::is_crowded(handle.busy, direction);
            if let Object::Stream { conn, side } = handle.object {
                op.conn = conn;
                op.side = side;
            }
        } else if request.verb.is_on_handle() {
            self.begins(id, request, lent.len());
            self.submitted_to_closed(id, request);
            return None;
        }
        self.begins(id, request, lent.len());
        if is_crowded {
            self.crowded(id);
        }
        if self.is_over() && self.too_late(id) {
            return None;
        }
        self.puts(request.handle);
        if self.config.poison && matches!(request.verb, Verb::Send | Verb::WriteAt | Verb::Append) {
            // SAFETY: lent by the caller, and initialised.
            unsafe { self.look_at_content(id) };
        }
        match request.verb {
            Verb::Recv | Verb::Send if !self.decider.kind => self.start_chosen_transfer(id),
            Verb::Recv | Verb::Send => self.start_odd_transfer(id),
            _ => self.start(id),
        }
        if request.may_be_ready
            && let Some(result) = self.ready_at_once(id)
        {
            return Some(result);
        }
        // Last: only from here on anybody but the kernel runs.
        if self.config.poison && lent.len() > 0 {
            // SAFETY: lent by the caller until the completion, which was not handed out.
            unsafe { self.guard(id) };
        }
        None
    }

    #[cold]
    #[inline(never)]
    fn more_ops(&mut self, index: usize) {
        self.m.ops.resize(index + 1, Op::free());
    }

    /// A submission is counted, hashed, recorded.
    #[inline(always)]
    fn begins(&mut self, id: u32, request: &Request, len: u32) {
        self.submissions += 1;
        self.in_flight += 1;
        self.idle_polls = 0;
        self.mix(request.event, SUBMIT, request.verb as u64);
        if self.recorder.on {
            self.record_submit(id);
        }
        self.look_at_submission(id, request.verb, len);
    }

    #[cold]
    #[inline(never)]
    fn record_submit(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let nth = self.recorder.nth(op.event, op.cause);
        let text = self.m.describe(id);
        self.record(id, What::Submit { nth }, text);
    }

    #[cold]
    #[inline(never)]
    fn submitted_again(&mut self, id: u32, request: &Request) {
        let message = format!(
            "{} was submitted again while it is in flight",
            self.m.describe(id)
        );
        let location = Some(request.location);
        self.fail(Oracle::OneCompletion, message, request.event, location);
    }

    #[cold]
    #[inline(never)]
    fn submitted_to_closed(&mut self, id: u32, request: &Request) {
        let message = format!(
            "{} was submitted after the handle was closed",
            self.m.describe(id)
        );
        let location = Some(request.location);
        self.fail(Oracle::UseAfterClose, message, request.event, location);
        self.finish(id, -errno::EBADF);
    }

    /// What was just submitted is complete already, if it is decided so.
    pub(super) fn ready_at_once(&mut self, id: u32) -> Option<i32> {
        if self.m.ops[id as usize].state != State::Done || !self.ready_at_first_poll(id) {
            return None;
        }
        // Not always the newest: its effect may have let others have theirs.
        self.m.done.remove_newest(|&done| done == id);
        Some(self.hand_out(id).1)
    }

    // ---- starting

    /// Starts a receive or a send where nothing is chosen, in another than the plain way.
    #[inline(never)]
    fn start_odd_transfer(&mut self, id: u32) {
        if self.transfer_is_due(id) {
            self.transfer::<false>(id);
        }
    }

    #[inline(never)]
    fn start_chosen_transfer(&mut self, id: u32) {
        if self.decider.tracks {
            self.touches_by_submission(id);
        }
        // Nobody but the kernel ran since the buffer was lent: there is nothing to be checked.
        if self.transfer_comes(id) {
            self.transfer::<true>(id);
        }
    }

    #[inline(never)]
    fn start(&mut self, id: u32) {
        if self.decider.tracks {
            self.touches_by_submission(id);
        }
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
                if self.is_due(id) {
                    self.effect(id);
                }
            }
        }
    }

    /// Lets an operation that is in no list have its effect, now or late, or wait for it to be possible.
    #[inline]
    pub(super) fn advance(&mut self, id: u32) {
        if self.is_due(id) {
            self.check_before_effect(id);
            self.effect(id);
        }
    }

    /// Whether an operation that is in no list has its effect now. If not it waits, or is late.
    #[inline(always)]
    fn is_due(&mut self, id: u32) -> bool {
        if !self.possible(id) {
            self.wait_in_line(id);
            return false;
        }
        !self.is_late(id)
    }

    /// Whether an operation, whose effect is possible, is to have it later.
    #[inline(always)]
    pub(super) fn is_late(&mut self, id: u32) -> bool {
        !self.decider.kind && self.may_be_late(id)
    }

    #[inline(never)]
    fn may_be_late(&mut self, id: u32) -> bool {
        let late = self.late(id);
        if late {
            self.m.ops[id as usize].state = State::Armed;
            self.m.armed.push(id);
        }
        late
    }

    /// Whether the effect, be it an error, could happen now.
    #[inline(always)]
    pub(super) fn possible(&self, id: u32) -> bool {
        let op = &self.m.ops[id as usize];
        match op.verb {
            Verb::Recv => self.recv_possible(op),
            Verb::Send => self.send_possible(op),
            _ => self.possible_beside_transfers(op),
        }
    }

    #[inline(never)]
    fn possible_beside_transfers(&self, op: &Op) -> bool {
        match op.verb {
            Verb::Accept => self.accept_possible(op),
            Verb::Connect => self.connect_possible(op),
            Verb::Wait => self.wait_possible(op),
            Verb::Timer => false,
            _ => true,
        }
    }

    /// The effect of an operation whose effect is possible, and what follows from it for others.
    pub(super) fn effect(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Recv | Verb::Send => self.transfer::<true>(id),
            verb => self.effect_beside_transfers(id, verb),
        }
    }

    /// The effect of a receive or a send. `CHOOSES`: unless it is known that all is kind.
    #[inline(always)]
    pub(super) fn transfer<const CHOOSES: bool>(&mut self, id: u32) {
        if CHOOSES && self.decider.tracks {
            self.touches_by_effect(id);
        }
        let result = match self.m.ops[id as usize].verb {
            Verb::Recv => Some(self.recv::<CHOOSES>(id)),
            _ => self.send::<CHOOSES>(id),
        };
        if let Some(result) = result {
            self.has_had_effect(id, result);
        }
        self.settle_stream_of::<CHOOSES>(id);
    }

    #[inline(never)]
    fn effect_beside_transfers(&mut self, id: u32, verb: Verb) {
        if self.decider.tracks {
            self.touches_by_effect(id);
        }
        let result = match verb {
            Verb::Accept => self.accept(id),
            Verb::Connect => match self.connect(id) {
                Some(result) => result,
                None => return,
            },
            Verb::Shutdown => self.shutdown(id),
            Verb::ReadAt => match self.read_at(id) {
                Some(result) => result,
                None => return,
            },
            Verb::WriteAt | Verb::Append => match self.write_at(id, verb == Verb::Append) {
                Some(result) => result,
                None => return,
            },
            Verb::SetLen => self.set_len(id),
            Verb::Open => self.open(id),
            Verb::Rename => self.rename(id),
            Verb::Remove => self.remove(id),
            Verb::CreateDir => self.create_dir(id),
            Verb::Sync => self.sync(id),
            Verb::Length => self.length(id),
            Verb::Wait => self.wait(id),
            Verb::Recv | Verb::Send | Verb::Nop | Verb::Timer | Verb::Job => 0,
        };
        self.has_had_effect(id, result);
        if verb == Verb::Shutdown {
            self.settle_stream_of::<true>(id);
        } else if verb == Verb::Accept {
            self.settle_listener_of(self.m.ops[id as usize].handle);
        }
    }

    /// A transfer has moved `n` bytes and is not over.
    pub(super) fn moves_part(&mut self, id: u32, n: u32) {
        let op = &mut self.m.ops[id as usize];
        op.moved += n;
        let (event, moved) = (op.event, op.moved);
        self.copy_received(id, moved);
        self.steps += 1;
        self.progress = self.steps;
        self.mix(event, EFFECT, u64::from(moved));
        if self.recorder.on {
            let text = format!("{moved} bytes, and not over");
            self.record(id, What::Effect, text);
        }
    }

    #[inline(always)]
    fn has_had_effect(&mut self, id: u32, result: i32) {
        self.gets(id);
        self.finish_in_line(id, result);
    }

    /// The operation has its result: queues the completion. It is in no list any more.
    pub(super) fn finish(&mut self, id: u32, result: i32) {
        self.finish_in_line(id, result);
    }

    /// The same, where it is frequent.
    #[inline(always)]
    fn finish_in_line(&mut self, id: u32, result: i32) {
        let op = &mut self.m.ops[id as usize];
        if op.state == State::Done || op.state == State::Free {
            return self.ended_twice(id);
        }
        op.state = State::Done;
        op.result = result;
        op.ready = self.busy;
        let (event, cancel_pending) = (op.event, op.cancel_pending);
        if result > 0 {
            self.progress = self.steps;
        }
        if cfg!(debug_assertions) {
            self.witness(id);
        }
        self.copy_received(id, result.max(0) as u32);
        self.m.done.push(id);
        self.steps += 1;
        self.mix(event, EFFECT, result as u32 as u64);
        if cancel_pending {
            self.cancel_finds_nothing(id);
        }
        if self.recorder.on {
            self.record_effect(id);
        }
    }

    #[cold]
    #[inline(never)]
    fn cancel_finds_nothing(&mut self, id: u32) {
        self.m.ops[id as usize].cancel_pending = false;
        self.m.cancels.remove(|&other| other == id);
    }

    #[cold]
    #[inline(never)]
    fn record_effect(&mut self, id: u32) {
        let text = self.outcome(id);
        self.record(id, What::Effect, text);
    }

    /// Hands the completion out: the buffer goes back, the slot is free.
    #[inline(always)]
    pub(super) fn hand_out(&mut self, id: u32) -> (u64, i32) {
        if !self.m.ops[id as usize].is_surely_as_left() {
            self.check_and_restore(id);
        }
        if self.recorder.on {
            self.record_complete(id);
        }
        self.look_at_completion(id);
        let op = &mut self.m.ops[id as usize];
        op.state = State::Free;
        let (token, event, result, verb) = (op.token, op.event, op.result, op.verb);
        self.in_flight -= 1;
        self.steps += 1;
        self.completions += 1;
        self.mix(event, COMPLETE, result as u32 as u64);
        // A sum: their order makes no difference.
        let end = mixed(0, event.0, COMPLETE, result as u32 as u64);
        self.class = self.class.wrapping_add(end);
        self.decider.counter.ends(verb, result);
        (token, result)
    }

    #[cold]
    #[inline(never)]
    fn record_complete(&mut self, id: u32) {
        let (text, result) = (self.outcome(id), self.m.ops[id as usize].result);
        self.record(id, What::Complete { result }, text);
    }

    /// `= 12`, `= c2 server`, `= ECONNRESET`
    pub(super) fn outcome(&self, id: u32) -> String {
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
    #[inline]
    pub(super) fn key(&mut self, site: Site, id: u32) -> Key {
        let op = &mut self.m.ops[id as usize];
        let occurrence = op.seen[site as usize];
        op.seen[site as usize] = occurrence.saturating_add(1);
        Key {
            event: op.event,
            occurrence: u32::from(occurrence),
        }
    }

    /// The same of a site whose keys have no part in the digest: nobody counts where nobody reads them.
    #[inline]
    pub(super) fn key_to_read(&mut self, site: Site, id: u32) -> Key {
        if self.decider.keyed {
            return self.key(site, id);
        }
        Key {
            event: self.m.ops[id as usize].event,
            occurrence: 0,
        }
    }

    /// Which outcome of a transition it is, for an operation.
    #[inline]
    pub(super) fn pick(&mut self, rule: Rule, id: u32) -> Does {
        if self.decider.kind {
            return rule.transition().kind(self.config.personality);
        }
        self.pick_among(rule, id, u16::MAX, 0)
    }

    /// How much of `of` bytes a transfer moves, or the error that it ends with.
    #[inline(always)]
    pub(super) fn pick_size<const CHOOSES: bool>(
        &mut self,
        rule: Rule,
        id: u32,
        of: u32,
    ) -> Result<Share, i32> {
        let all = Share {
            bytes: of,
            rest: false,
        };
        if !CHOOSES || self.decider.kind {
            return Ok(all);
        }
        // Once in two parts, and not a third.
        let parts = u32::from(self.m.ops[id as usize].moved == 0);
        match self.pick_among(rule, id, rule.transition().sizes(of, parts > 0), of) {
            Does::Error(error) => Err(-error),
            does => Ok(does.size(of).map_or(all, |bytes| Share {
                bytes,
                rest: does == Does::Part,
            })),
        }
    }

    // In line, because then what the transition is made of is known.
    #[inline(always)]
    fn pick_among(&mut self, rule: Rule, id: u32, possible: u16, of: u32) -> Does {
        let transition = rule.transition();
        let faults = self.m.ops[id as usize].faults > 0;
        let mask = transition.mask(self.config.personality, faults) & possible;
        if mask == 0 {
            // Another personality's.
            return transition.kind(self.config.personality);
        }
        let menu = Menu::new(transition, mask, of);
        let picked = match transition.site {
            Some(site) if menu.is_choice() => {
                let picked = match self.decider.draw(site, || menu.len()) {
                    Some(picked) => picked,
                    None => {
                        let key = self.key_to_read(site, id);
                        self.decider.choose(site, key, menu.len(), &menu)
                    }
                };
                if self.recorder.on {
                    self.record_decision(id, site, picked, &menu);
                }
                picked
            }
            _ => 0,
        };
        let place = menu.place(picked);
        self.decider.coverage.takes(rule, place);
        if menu.is_choice() {
            let verb = self.m.ops[id as usize].verb;
            self.decider.counter.takes(verb, rule, mask, place);
        }
        let outcome = &transition.outcomes[place];
        if outcome.fault {
            self.m.ops[id as usize].faults -= 1;
        }
        outcome.does
    }

    #[cold]
    #[inline(never)]
    fn record_decision(&mut self, id: u32, site: Site, picked: usize, menu: &Menu) {
        let text = crate::choice::Alternatives::label(menu, picked);
        let deviation = picked != 0;
        self.record(id, What::Decision { site, deviation }, text);
    }

    /// Whether an operation that has to wait comes before those that wait already.
    pub(super) fn goes_ahead(&mut self, id: u32) -> bool {
        let waits = self.m.ops[id as usize].flags & NONBLOCK == 0;
        waits && !self.decider.kind && self.pick(Rule::Line, id) == Does::Ahead
    }

    fn late(&mut self, id: u32) -> bool {
        self.m.ops[id as usize].flags & NONBLOCK == 0 && self.pick(Rule::Late, id) == Does::Late
    }

    fn ready_at_first_poll(&mut self, id: u32) -> bool {
        if self.config.door == Door::Port {
            return self.pick(Rule::PortCall, id) == Does::Ready;
        }
        self.config.ready_at_first_poll && self.pick(Rule::Ready, id) == Does::Ready
    }

    pub(super) fn record(&mut self, id: u32, what: What, text: String) {
        if self.is_off() {
            // Nobody hears of it, and nothing comes of it.
            return;
        }
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
