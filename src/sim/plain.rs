//! The most frequent submissions of all, in a straight line: a receive or a send on a kind kernel, nobody who
//! records, a connection on which nothing is out of the ordinary, and room, or bytes, enough.
//!
//! What happens is what [`Kernel::submit`] and [`stream`](super::stream) do, step for step, but with one borrow of
//! the operation, its handle and its connection for all of it. Whether all is plain is found out first, before
//! anything is changed; whatever is special is left to those, which are the ones that say what is right.
//! (`sim::tests::plain` holds the two against each other: a kernel that records takes the long way.)

use super::conn::{Conn, Direction};
use super::handles::{Handle, Object};
use super::kernel::{COMPLETE, EFFECT, Kernel, Machine, SUBMIT, mixed};
use super::lent::{Lent, Short};
use super::op::{Asked, Guard, Op, Outline, Request, State, Verb};
use super::smells::direction;
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
        match unsafe { self.sends_plainly(id, asked) } {
            true => self.started_plainly(id, asked.outline()),
            false => Plainly::NotPlain,
        }
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
        match unsafe { self.receives_plainly(id, asked) } {
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

    /// Hands out the oldest completion, if that is all there is to the next step: token and result. None: nothing
    /// was done.
    #[inline(always)]
    pub(crate) fn next_plainly(&mut self) -> Option<(u64, i32)> {
        if !self.is_plain || self.peers.acting > 0 || self.is_out_of_patience() {
            return None;
        }
        let id = self.m.done.pop()?;
        self.idle_polls = 0;
        let Machine { ops, handles, .. } = &mut self.m;
        let op = &mut ops[id as usize];
        let Some(handle) = handles.get_mut(op.handle) else {
            return Some(self.hand_out(id));
        };
        // Its handler waited for no other, and no oracle has anything to say of its result.
        if op.result <= 0 || op.ready != self.busy || !op.is_surely_as_left() {
            return Some(self.hand_out(id));
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
        Some((op.token, op.result))
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
    unsafe fn sends_plainly(&mut self, id: u32, asked: &impl Asked) -> bool {
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
        // Nothing is in the way: from here on it is done.
        it.begins(
            &asked.request(),
            self.submissions,
            self.config.faults_per_operation,
        );
        let (op, number, side) = (it.op, it.number, it.side);
        let (lent, event, len) = (op.lent, op.event.0, op.lent.len());
        op.has_plainly_had_effect(len, self.busy);
        // SAFETY: lent and initialised, the caller says.
        let content = unsafe {
            op.guard_sent(id, &mut self.copies);
            lent.fingerprint_of_plain()
        };
        self.to_send = to_send;
        self.counts_submission(event, Verb::Send);
        self.digest ^= content;
        self.counts_effect(id, event, len);
        let Machine { ops, tcp, .. } = &mut self.m;
        let way = &mut tcp.conns[number as usize].directions[side];
        way.sent += u64::from(len);
        match way.recvs.first() {
            // SAFETY: as above.
            Some(first) if unsafe { is_handed_over(way, &mut ops[first as usize], lent) } => {
                self.has_got(number, side, first, len);
            }
            first => {
                // SAFETY: as above.
                unsafe { way.pipe.fill(lent, 0, len as usize) };
                if first.is_some() {
                    self.wakes_plainly(number, side);
                }
            }
        }
        true
    }

    /// # Safety
    ///
    /// As [`Kernel::submit`].
    #[inline(always)]
    unsafe fn receives_plainly(&mut self, id: u32, asked: &impl Asked) -> bool {
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
        // Nothing is in the way: from here on it is done.
        it.begins(
            &asked.request(),
            self.submissions,
            self.config.faults_per_operation,
        );
        let (op, number, side) = (it.op, it.number, it.side);
        let event = op.event.0;
        // SAFETY: lent, and a receive may write it, the caller says.
        let n = unsafe {
            let n = match is_empty {
                true => 0,
                false => drain(&mut it.conn.directions[side ^ 1], op),
            };
            if !is_empty {
                op.has_plainly_had_effect(n, self.busy);
            }
            op.guard(id, &mut self.copies);
            n
        };
        self.counts_submission(event, Verb::Recv);
        if is_empty {
            let Machine { ops, tcp, .. } = &mut self.m;
            let way = &mut tcp.conns[number as usize].directions[side ^ 1];
            way.recvs.push(ops, id);
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
    fn begins(&mut self, request: &Request, order: u64, faults: u32) {
        self.handle.in_flight += 1;
        self.handle.busy += direction(request.verb);
        let lent = Lent::plain(request.ptr, request.len);
        self.op.begin(request, lent, order, faults);
        self.op.conn = self.number;
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

/// Gives what was just sent to a receive that waits for it, past the empty pipe. False: nothing was done.
///
/// # Safety
///
/// What is sent is lent and initialised; the receive is in flight.
#[inline(always)]
unsafe fn is_handed_over(way: &mut Direction, op: &mut Op, lent: Lent) -> bool {
    let len = lent.len();
    let is_empty = way.pipe.len() == 0 && way.sent - way.taken == u64::from(len);
    let fits = Short::fits(lent) && Short::fits(op.lent) && len <= op.lent.len();
    if !is_empty || !fits || way.sends.first().is_some() || !waits_plainly(op) {
        return false;
    }
    // SAFETY: the caller's promise; a receive may be written, and is long enough.
    unsafe { op.gets(lent) };
    way.taken += u64::from(len);
    true
}
