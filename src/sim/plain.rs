//! The most frequent submissions of all, in a straight line: a receive or a send, nobody who
//! records, a connection on which nothing is out of the ordinary, and room, or bytes, enough.
//!
//! What happens is what [`Kernel::submit`] and [`stream`](super::stream) do, step for step, but with one borrow of
//! the operation, its handle and its connection for all of it. Whether all is plain is found out first, before
//! anything is changed; whatever is special is left to those, which are the ones that say what is right.
//! (`sim::tests::plain` holds the two against each other: a kernel that records takes the long way.)
//!
//! All of it twice: on a kernel that is kind, and (`DRAWS`) on one whose decisions are drawn
//! ([`Draws`](crate::choice::Draws)). Most decisions there do not deviate, which is a comparison for each of them;
//! [`Passed`] counts them, so that [`Counter`] hears of them in the end. A transfer that is late or short is plain as
//! well ([`Fate`]).

use super::conn::{Conn, Direction};
use super::decide::{Decider, Menu};
use super::handles::{Handle, Object};
use super::kernel::{COMPLETE, EFFECT, Kernel, Machine, SUBMIT, mixed};
use super::lent::{Lent, Short};
use super::matrix::Counter;
use super::op::{Asked, Guard, Op, Outline, Request, State, Verb};
use super::queue::NIL;
use super::smells::direction;
use super::transitions::{Personality, Rule};
use super::world::{Config, Coverage};
use crate::choice::Site;
use crate::switch;

/// Whether a submission was plain.
pub(crate) enum Plainly {
    /// It was, and is done, as [`Kernel::submit`] says.
    Started(Option<i32>),
    /// Nothing was done: it is to be submitted at length.
    NotPlain,
}

impl Kernel {
    /// Starts a send, if all about it is plain, lets it have its effect, and who waits for what it sends. What is
    /// asked for is not vectored.
    ///
    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    pub(crate) unsafe fn send_plainly(&mut self, id: u32, asked: &impl Asked) -> Plainly {
        // SAFETY: the caller's promise.
        let is_done = unsafe {
            match self.decider.kind {
                true => self.sends_plainly::<false>(id, asked),
                false => self.suffers_faults() && self.sends_plainly::<true>(id, asked),
            }
        };
        match is_done {
            true => self.started_plainly(id, asked.outline()),
            false => Plainly::NotPlain,
        }
    }

    /// Whether what is submitted now may suffer faults. (What scripted peers submit does not.)
    #[inline(always)]
    fn suffers_faults(&self) -> bool {
        self.config.faults_per_operation > 0
    }

    /// Starts a receive, if all about it is plain: it has its effect, or waits. The rest is as of
    /// [`Kernel::send_plainly`].
    ///
    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    pub(crate) unsafe fn receive_plainly(&mut self, id: u32, asked: &impl Asked) -> Plainly {
        // SAFETY: the caller's promise.
        let is_done = unsafe {
            match self.decider.kind {
                true => self.receives_plainly::<false>(id, asked),
                false => self.suffers_faults() && self.receives_plainly::<true>(id, asked),
            }
        };
        match is_done {
            true => self.started_plainly(id, asked.outline()),
            false => Plainly::NotPlain,
        }
    }

    #[inline(always)]
    fn started_plainly(&mut self, id: u32, outline: Outline) -> Plainly {
        Plainly::Started(match outline.may_be_ready {
            true => self.ready_at_once(id),
            false => None,
        })
    }

    /// Hands out a completion, if that is all there is to the next step, or late effects before it: token and
    /// result. None: the next step is to be made at length.
    #[inline(always)]
    pub(crate) fn next_plainly(&mut self) -> Option<(u64, i32)> {
        if !self.is_plain || self.peers.acting > 0 || self.is_out_of_patience() {
            return None;
        }
        if !self.decider.kind {
            let id = self.drawn_plainly()?;
            return Some(self.hands_out_plainly::<true>(id));
        }
        let id = self.m.done.pop()?;
        self.looks_ahead(id);
        Some(self.hands_out_plainly::<false>(id))
    }

    /// Draws what comes next, as [`Kernel::step`] does, until it is a completion: which. Nothing but completions and
    /// late effects is enabled.
    #[inline(always)]
    fn drawn_plainly(&mut self) -> Option<u32> {
        loop {
            let lines = [self.m.done.len(), self.m.armed.len(), 0];
            let count = lines[0] + lines[1];
            let is_plain = self.m.cancels.len() == 0 && !self.may_end_early();
            if count == 0 || !is_plain || self.next_deadline().is_some() {
                return None;
            }
            let picked = match self.waits.due(lines) {
                Some(due) => due,
                None if count < 2 => 0,
                None => self.decider.draw_order(count)?,
            };
            self.waits.picked(lines, picked);
            if picked < lines[0] {
                self.decider.coverage.takes(Rule::Complete, 0);
                let id = self.m.done.take(picked)?;
                self.looks_ahead(id);
                return Some(id);
            }
            self.decider.coverage.takes(Rule::LateEffect, 0);
            let id = self.m.armed.take(picked - lines[0])?;
            if !self.comes_late_plainly(id) {
                self.effect_or_wait(id);
            }
            if !self.is_plain || self.is_out_of_patience() {
                return None;
            }
        }
    }

    #[inline(always)]
    fn hands_out_plainly<const DRAWS: bool>(&mut self, id: u32) -> (u64, i32) {
        self.idle_polls = 0;
        let Machine { ops, handles, .. } = &mut self.m;
        let op = &mut ops[id as usize];
        let Some(handle) = handles.get_mut(op.handle) else {
            return self.hand_out(id);
        };
        // Its handler waited for no other, and no oracle has anything to say of its result.
        if op.result <= 0 || op.ready != self.busy || !op.is_surely_as_left() {
            return self.hand_out(id);
        }
        handle.in_flight -= 1;
        handle.busy -= direction(op.verb);
        handle.zeros = 0;
        // That is what is sent or written.
        if op.guard == Guard::Copy {
            self.to_send -= u64::from(op.lent.len());
        }
        op.state = State::Free;
        self.in_flight -= 1;
        self.steps += 1;
        self.completions += 1;
        self.digest = mixed(self.digest, op.event.0, COMPLETE, op.result as u64);
        if DRAWS {
            // What a kind execution ends with, and how, nobody asks.
            let end = mixed(0, op.event.0, COMPLETE, op.result as u64);
            self.class = self.class.wrapping_add(end);
            self.decider.counter.ends(op.verb, op.result);
        }
        (op.token, op.result)
    }

    /// Whether no oracle but those over buffers has anything to say of such a submission, and nobody looks on.
    #[inline(always)]
    fn is_plainly_started(&self, outline: Outline) -> bool {
        self.is_plain
            && outline.flags == 0
            && outline.len != 0
            && self.in_flight < self.config.most_operations
            && !switch::is_simulated()
    }

    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    unsafe fn sends_plainly<const DRAWS: bool>(&mut self, id: u32, asked: &impl Asked) -> bool {
        let outline = asked.outline();
        let to_send = self.to_send + u64::from(outline.len);
        if !self.is_plainly_started(outline) || to_send > self.config.most_bytes {
            return false;
        }
        let Some(mut it) = Plain::of(&mut self.m, id, outline.handle) else {
            return false;
        };
        let queued = it.conn.directions[it.side].pipe.len() + outline.len as usize;
        if it.handle.busy > u64::from(u32::MAX) || queued > self.config.stream_buffer {
            return false;
        }
        let fate = match DRAWS {
            true => self.decider.fate::<SEND>(outline.len),
            false => Some(Fate::Whole),
        };
        let Some(fate) = fate else {
            return false;
        };
        // Nothing is in the way: from here on it is done.
        it.begins(
            &asked.request(),
            asked.above(),
            self.submissions,
            self.config.faults_per_operation,
        );
        let (op, number, side) = (it.op, it.number, it.side);
        let (lent, event) = (op.lent, op.event.0);
        let share = op.meets(fate, lent.len(), self.busy);
        // SAFETY: lent and initialised, the caller says.
        let content = unsafe {
            op.guard_sent(id, &mut self.copies);
            lent.fingerprint_of_plain()
        };
        self.to_send = to_send;
        self.counts_submission(event, Verb::Send);
        self.digest ^= content;
        if DRAWS && share == 0 {
            self.m.armed.push(id);
            return true;
        }
        self.counts_effect(id, event, share);
        // SAFETY: lent and initialised, as above.
        unsafe { self.arrives_plainly::<DRAWS>(number, side, lent.first(share)) };
        true
    }

    /// What `side` sends arrives, and who waits for it gets it.
    ///
    /// # Safety
    ///
    /// What is sent is lent, in one piece, and initialised.
    #[inline(always)]
    unsafe fn arrives_plainly<const DRAWS: bool>(&mut self, number: u32, side: usize, lent: Lent) {
        let len = lent.len();
        let Machine { ops, tcp, .. } = &mut self.m;
        let way = &mut tcp.conns[number as usize].directions[side];
        way.sent += u64::from(len);
        let Some(first) = way.recvs.first() else {
            // SAFETY: the caller's promise.
            return unsafe { way.pipe.fill(lent, 0, len as usize) };
        };
        let op = &mut ops[first as usize];
        let is_odd = DRAWS && (op.cancel_pending || op.moved > 0 || op.faults == 0);
        let fate = match DRAWS {
            _ if is_odd || !may_be_handed_over(way, op, lent) => None,
            false => Some(Fate::Whole),
            true => self.decider.fate::<RECEIVE>(len),
        };
        if let Some(Fate::Whole) = fate {
            // SAFETY: the caller's promise; a receive may be written, and is long enough.
            unsafe { op.gets(lent) };
            way.taken += u64::from(len);
            return self.has_got(number, side, first, len);
        }
        // SAFETY: the caller's promise.
        unsafe { way.pipe.fill(lent, 0, len as usize) };
        let next = op.next;
        match fate {
            Some(Fate::Part(n)) => {
                // SAFETY: the operation is in flight, so its buffer is lent; a receive may write it.
                unsafe { way.pipe.drain(op.lent, n as usize) };
                way.taken += u64::from(n);
                op.keeps_received(n);
                self.has_got(number, side, first, n);
            }
            Some(Fate::Late) => {
                op.state = State::Armed;
                way.recvs.pop(ops, next);
                self.m.armed.push(first);
            }
            _ if DRAWS => return self.settle(number as usize),
            _ => return self.wakes_plainly(number, side),
        }
        // Others that wait find bytes too.
        if next != NIL {
            self.settle(number as usize);
        }
    }

    /// A late effect, if all about it is plain. False: nothing was done.
    #[inline(always)]
    fn comes_late_plainly(&mut self, id: u32) -> bool {
        if switch::is_simulated() {
            return false;
        }
        let Machine { ops, tcp, .. } = &mut self.m;
        let op = &mut ops[id as usize];
        let (number, side, event) = (op.conn, usize::from(op.side & 1), op.event.0);
        let Some(conn) = tcp.conns.get_mut(number as usize) else {
            return false;
        };
        let is_plain = conn.smooth && op.moved == 0 && op.faults > 0 && !op.cancel_pending;
        if !is_plain || op.lent.len() == 0 || !Short::fits(op.lent) {
            return false;
        }
        match op.verb {
            Verb::Recv => {
                let way = &mut conn.directions[side ^ 1];
                let of = op.lent.len().min(way.pipe.len() as u32);
                if !is_flowing(way) || !op.is_surely_untouched() {
                    return false;
                }
                let Some(fate) = self.decider.fate_of_late::<RECEIVE>(of) else {
                    return false;
                };
                let n = op.meets(fate, of, self.busy);
                // SAFETY: the operation is in flight, so its buffer is lent; a receive may write it.
                unsafe { way.pipe.drain(op.lent, n as usize) };
                way.taken += u64::from(n);
                op.keeps_received(n);
                self.counts_effect(id, event, n);
            }
            Verb::Send => {
                let way = &conn.directions[side];
                let (lent, len) = (op.lent, op.lent.len());
                let queued = way.pipe.len() + len as usize;
                if queued > self.config.stream_buffer || !op.is_surely_as_lent() {
                    return false;
                }
                debug_assert!(
                    way.sends.first().is_none(),
                    "it waits although there is room"
                );
                let Some(fate) = self.decider.fate_of_late::<SEND>(len) else {
                    return false;
                };
                let share = op.meets(fate, len, self.busy);
                self.counts_effect(id, event, share);
                // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
                unsafe { self.arrives_plainly::<true>(number, side, lent.first(share)) };
            }
            _ => return false,
        }
        true
    }

    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    unsafe fn receives_plainly<const DRAWS: bool>(&mut self, id: u32, asked: &impl Asked) -> bool {
        let outline = asked.outline();
        if !self.is_plainly_started(outline) {
            return false;
        }
        let Some(mut it) = Plain::of(&mut self.m, id, outline.handle) else {
            return false;
        };
        let way = &it.conn.directions[it.side ^ 1];
        let is_empty = way.pipe.len() == 0;
        let is_odd = match is_empty {
            true => way.recvs.first().is_some(),
            false => !is_flowing(way),
        };
        if it.handle.busy as u32 != 0 || is_odd {
            return false;
        }
        let of = outline.len.min(way.pipe.len() as u32);
        let fate = match (DRAWS, is_empty) {
            (false, _) => Some(Fate::Whole),
            (true, true) => self.decider.waits(),
            (true, false) => self.decider.fate::<RECEIVE>(of),
        };
        let Some(fate) = fate else {
            return false;
        };
        // Nothing is in the way: from here on it is done.
        it.begins(
            &asked.request(),
            asked.above(),
            self.submissions,
            self.config.faults_per_operation,
        );
        let (op, number, side) = (it.op, it.number, it.side);
        let event = op.event.0;
        // SAFETY: lent, and a receive may write it, the caller says.
        let n = unsafe {
            let n = match is_empty {
                true => 0,
                false => op.meets(fate, of, self.busy),
            };
            let has_effect = !(is_empty || DRAWS && n == 0);
            if has_effect {
                let way = &mut it.conn.directions[side ^ 1];
                way.pipe.drain(op.lent, n as usize);
                way.taken += u64::from(n);
            }
            op.guard(id, &mut self.copies);
            n
        };
        self.counts_submission(event, Verb::Recv);
        if is_empty {
            let Machine { ops, tcp, .. } = &mut self.m;
            let way = &mut tcp.conns[number as usize].directions[side ^ 1];
            way.recvs.push(ops, id);
        } else if DRAWS && n == 0 {
            self.m.armed.push(id);
        } else {
            self.counts_effect(id, event, n);
        }
        true
    }

    /// A submission is counted and hashed.
    #[inline(always)]
    fn counts_submission(&mut self, event: u64, verb: Verb) {
        self.submissions += 1;
        self.in_flight += 1;
        self.idle_polls = 0;
        self.digest = mixed(self.digest, event, SUBMIT, verb as u64);
    }

    /// What [`Kernel::finish`] does beside.
    #[inline(always)]
    fn counts_effect(&mut self, id: u32, event: u64, moved: u32) {
        self.progress = self.steps;
        if cfg!(debug_assertions) {
            self.witness(id);
        }
        self.m.done.push(id);
        self.steps += 1;
        self.digest = mixed(self.digest, event, EFFECT, u64::from(moved));
    }

    /// The first of those that wait for what `side` sends has got `n` bytes.
    #[inline(always)]
    fn has_got(&mut self, number: u32, side: usize, first: u32, n: u32) {
        let Machine { ops, tcp, .. } = &mut self.m;
        let op = &mut ops[first as usize];
        op.has_plainly_had_effect(n, self.busy);
        let (event, next) = (op.event.0, op.next);
        let way = &mut tcp.conns[number as usize].directions[side];
        way.recvs.pop(ops, next);
        self.counts_effect(first, event, n);
    }

    /// Bytes of `side` have come in: those that wait for them get them.
    #[inline(never)]
    fn wakes_plainly(&mut self, number: u32, side: usize) {
        loop {
            let Machine { ops, tcp, .. } = &mut self.m;
            let way = &mut tcp.conns[number as usize].directions[side];
            let Some(first) = way.recvs.first() else {
                return;
            };
            let op = &mut ops[first as usize];
            if !waits_plainly(op) || way.pipe.len() == 0 || !is_flowing(way) {
                break;
            }
            // SAFETY: the operation is in flight, so its buffer is lent; a receive may write it.
            let n = unsafe { drain(way, op) };
            op.keeps_received(n);
            self.has_got(number, side, first, n);
        }
        self.settle(number as usize);
    }
}

/// What a plain submission is about.
struct Plain<'a> {
    op: &'a mut Op,
    handle: &'a mut Handle,
    conn: &'a mut Conn,
    /// The connection's place, and the side of it.
    number: u32,
    side: usize,
}

impl<'a> Plain<'a> {
    /// None: something is special.
    #[inline(always)]
    fn of(machine: &'a mut Machine, id: u32, handle: i32) -> Option<Plain<'a>> {
        let handle = machine.handles.get_mut(handle)?;
        let Object::Stream { conn: number, side } = handle.object else {
            return None;
        };
        let op = machine.ops.get_mut(id as usize)?;
        let conn = machine.tcp.conns.get_mut(number as usize)?;
        debug_assert!(!conn.smooth || conn.is_smooth() && !conn.settling);
        (conn.smooth && op.state == State::Free).then_some(Plain {
            op,
            handle,
            conn,
            number,
            side: usize::from(side & 1),
        })
    }

    #[inline(always)]
    fn begins(&mut self, request: &Request, above: usize, order: u64, faults: u32) {
        self.handle.in_flight += 1;
        self.handle.busy += direction(request.verb);
        let lent = Lent::plain(request.ptr, request.len);
        self.op.begin(request, lent, order, faults);
        self.op.conn = self.number;
        self.op.above = above;
        self.op.side = self.side as u8;
    }
}

/// Moves what has arrived into the buffer of a receive, as much as fits.
///
/// # Safety
///
/// The buffer is lent.
#[inline(always)]
unsafe fn drain(way: &mut Direction, op: &Op) -> u32 {
    let n = op.lent.len().min(way.pipe.len() as u32);
    // SAFETY: the caller's promise; a receive may write.
    unsafe { way.pipe.drain(op.lent, n as usize) };
    way.taken += u64::from(n);
    n
}

/// Whether nobody waits to send, and no byte is lost.
#[inline(always)]
fn is_flowing(way: &Direction) -> bool {
    way.sends.first().is_none() && way.sent - way.taken == way.pipe.len() as u64
}

/// Whether nobody has touched the buffer of a receive that waits. (User code has run since it was lent.)
#[inline(always)]
fn waits_plainly(op: &Op) -> bool {
    // A kind kernel processes a cancel at once, and a receive has one part.
    debug_assert!(op.moved == 0 && !op.cancel_pending);
    op.is_surely_untouched()
}

/// Whether what was just sent can be given to a receive that waits for it, past the empty pipe.
#[inline(always)]
fn may_be_handed_over(way: &Direction, op: &Op, lent: Lent) -> bool {
    let len = lent.len();
    let is_empty = way.pipe.len() == 0 && way.sent - way.taken == u64::from(len);
    let fits = Short::fits(lent) && Short::fits(op.lent) && len <= op.lent.len();
    is_empty && fits && way.sends.first().is_none() && waits_plainly(op)
}

/// Transfers of which every decision was passed over, and so was kind.
#[derive(Default)]
pub(super) struct Passed {
    personality: Personality,
    /// Receives that went on to wait, and transfers.
    waits: u64,
    receives: u64,
    sends: u64,
}

/// From so many bytes on every short transfer is another.
const EVERY_SIZE: u32 = 4;

/// Whether a kernel offers something at every site of a transfer: else the long way finds out what.
pub(super) fn offers_all(config: &Config) -> bool {
    let rules = [Rule::Reset, Rule::Late, Rule::Recv, Rule::Send];
    let offered = rules.map(|rule| offered(rule, config.personality));
    config.faults_per_operation > 0 && offered.iter().all(|offered| offered.count_ones() > 1)
}

/// The outcomes of a rule that a transfer of not too few bytes is offered, which suffered nothing so far.
fn offered(rule: Rule, personality: Personality) -> u16 {
    let transition = rule.transition();
    let mask = transition.mask(personality, true);
    match rule {
        Rule::Recv | Rule::Send => mask & transition.sizes(EVERY_SIZE, true),
        _ => mask,
    }
}

impl Passed {
    #[inline(always)]
    fn offered(&self, rule: Rule) -> u16 {
        offered(rule, self.personality)
    }

    /// Another run begins, on a kernel of this personality.
    pub(super) fn begins(&mut self, personality: Personality) {
        self.personality = personality;
    }

    /// What was passed over since this was called last.
    pub(super) fn tell(&mut self, counter: &mut Counter, coverage: &mut Coverage) {
        let of = [
            (Verb::Recv, Rule::Reset, self.waits + self.receives),
            (Verb::Recv, Rule::Late, self.receives),
            (Verb::Recv, Rule::Recv, self.receives),
            (Verb::Send, Rule::Reset, self.sends),
            (Verb::Send, Rule::Late, self.sends),
            (Verb::Send, Rule::Send, self.sends),
        ];
        if self.waits + self.receives + self.sends == 0 {
            return;
        }
        for (verb, rule, times) in of.into_iter().filter(|(.., times)| *times > 0) {
            coverage.takes(rule, 0);
            counter.is_kind(verb, rule, self.offered(rule), times);
        }
        (self.waits, self.receives, self.sends) = (0, 0, 0);
    }
}

/// Which transfer: the parameter of what is the same for both.
const RECEIVE: bool = false;
const SEND: bool = true;

/// What is decided of a transfer that is plain.
#[derive(Clone, Copy)]
enum Fate {
    /// It has its effect at once, on all bytes.
    Whole,
    /// On so many of them.
    Part(u32),
    /// Its effect is late.
    Late,
}

impl Op {
    /// It has its effect now, if that is its fate: on how many of so many bytes. 0: it is late. `busy`: what handlers
    /// have declared by now.
    #[inline(always)]
    fn meets(&mut self, fate: Fate, of: u32, busy: u64) -> u32 {
        let share = match fate {
            Fate::Whole => of,
            Fate::Part(n) => n,
            Fate::Late => {
                self.state = State::Armed;
                return 0;
            }
        };
        self.has_plainly_had_effect(share, busy);
        share
    }
}

impl Decider {
    /// Decides of a transfer that could move so many bytes and has suffered nothing. None: nothing was decided.
    #[inline(always)]
    fn fate<const WHICH: bool>(&mut self, of: u32) -> Option<Fate> {
        let (verb, rule, site) = transfer(WHICH);
        let draws = self.draws.as_mut()?;
        if of < EVERY_SIZE || !draws.pass([Site::Reset, Site::EffectLate, site]) {
            return self.odd_fate(verb, rule, site, of);
        }
        match WHICH {
            SEND => self.passed.sends += 1,
            RECEIVE => self.passed.receives += 1,
        }
        Some(Fate::Whole)
    }

    /// The same of one of which something deviates.
    #[inline(never)]
    fn odd_fate(&mut self, verb: Verb, rule: Rule, site: Site, of: u32) -> Option<Fate> {
        if !self.draws.as_mut()?.pass([Site::Reset]) {
            return None;
        }
        self.takes(verb, Rule::Reset, 0);
        let late = self.draw(Site::EffectLate, || 2)?;
        self.takes(verb, Rule::Late, late);
        match late {
            0 => self.size(verb, rule, site, of),
            _ => Some(Fate::Late),
        }
    }

    /// The same of one that was late: nothing but how much it moves.
    #[inline(always)]
    fn fate_of_late<const WHICH: bool>(&mut self, of: u32) -> Option<Fate> {
        let (verb, rule, site) = transfer(WHICH);
        match of {
            0 => None,
            _ => self.size(verb, rule, site, of),
        }
    }

    #[inline(always)]
    fn size(&mut self, verb: Verb, rule: Rule, site: Site, of: u32) -> Option<Fate> {
        let transition = rule.transition();
        let offered = self.passed.offered(rule) & transition.sizes(of, true);
        let menu = Menu::new(transition, offered, of);
        if !menu.is_choice() {
            self.coverage.takes(rule, 0);
            return Some(Fate::Whole);
        }
        let picked = self.draw(site, || menu.len())?;
        let place = menu.place(picked);
        self.coverage.takes(rule, place);
        self.counter.takes(verb, rule, offered, place);
        Some(match transition.outcomes[place].does.size(of) {
            Some(n) if picked > 0 => Fate::Part(n),
            _ => Fate::Whole,
        })
    }

    /// Decides that nothing happens to a receive that waits next. None: nothing was decided.
    #[inline(always)]
    fn waits(&mut self) -> Option<Fate> {
        if !self.draws.as_mut()?.pass([Site::Reset]) {
            return None;
        }
        self.passed.waits += 1;
        Some(Fate::Whole)
    }

    /// An outcome of what a plain transfer is offered.
    #[inline]
    fn takes(&mut self, verb: Verb, rule: Rule, place: usize) {
        self.coverage.takes(rule, place);
        let offered = self.passed.offered(rule);
        self.counter.takes(verb, rule, offered, place);
    }
}

#[inline(always)]
const fn transfer(which: bool) -> (Verb, Rule, Site) {
    match which {
        SEND => (Verb::Send, Rule::Send, Site::SendSize),
        RECEIVE => (Verb::Recv, Rule::Recv, Site::RecvSize),
    }
}
