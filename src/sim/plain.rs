//! The most frequent effects of all, in a straight line: a kind kernel, nobody who records, a connection on
//! which nothing is out of the ordinary, and room, or bytes, enough.
//!
//! What happens is what [`stream`](super::stream) does, step for step, but with one borrow of the operation
//! and one of its connection for all of it. Whatever is special is left to that file, untouched: it is the
//! one that says what is right. (`sim::tests::plain` holds the two against each other: a kernel that
//! records takes the long way.)

use super::conn::Conn;
use super::kernel::{EFFECT, Kernel, Machine, mixed};
use super::op::{Op, Verb};
use super::queue::NIL;

impl Kernel {
    /// The effect of a receive or a send that is in no list and of which nobody but the kernel knows yet,
    /// and what follows from it for those that wait; or it waits itself. False: nothing was done, and it is for
    /// `stream` to do.
    #[inline(always)]
    pub(super) fn transfers_plainly(&mut self, id: u32) -> bool {
        debug_assert!(self.decider.kind);
        if self.recorder.on {
            return false;
        }
        let room = self.config.stream_buffer;
        let Machine { ops, tcp, .. } = &mut self.m;
        let op = &mut ops[id as usize];
        // No connection's number is so high.
        let Some(conn) = tcp.conns.get_mut(op.conn as usize) else {
            return false;
        };
        if conn.wire != NIL || conn.settling {
            return false;
        }
        let side = usize::from(op.side & 1);
        if op.verb != Verb::Send {
            return self.receives_plainly(id, side);
        }
        let len = op.lent.len();
        let (near, far) = (&conn.sides[side], &conn.sides[side ^ 1]);
        let direction = &mut conn.directions[side];
        let is_odd = near.write_shut || near.dead || near.error != 0 || far.refuses_bytes();
        if is_odd || len == 0 || direction.pipe.len() + len as usize > room {
            return false;
        }
        // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
        unsafe { direction.pipe.fill(op.lent, 0, len as usize) };
        direction.sent += u64::from(len);
        let waits = direction.recvs.first();
        let event = op.event.0;
        op.has_plainly_had_effect(len, self.busy);
        self.counts_plain_effect(id, event, len);
        if waits.is_some() {
            self.wakes_plainly(id);
        }
        true
    }

    /// The same of a receive.
    #[inline(always)]
    fn receives_plainly(&mut self, id: u32, side: usize) -> bool {
        let Machine { ops, tcp, .. } = &mut self.m;
        let op = &mut ops[id as usize];
        let conn = &mut tcp.conns[op.conn as usize];
        let Some(n) = bytes_for(op, conn, side) else {
            return waits_plainly(id, ops, conn, side);
        };
        let event = op.event.0;
        op.has_plainly_had_effect(n, self.busy);
        self.counts_plain_effect(id, event, n);
        true
    }

    /// Bytes have come in on the connection of the send `id`: those that wait for them get them.
    fn wakes_plainly(&mut self, id: u32) {
        let Op {
            conn: number, side, ..
        } = self.m.ops[id as usize];
        let side = usize::from(side & 1) ^ 1;
        loop {
            let Machine { ops, tcp, .. } = &mut self.m;
            let conn = &mut tcp.conns[number as usize];
            let Some(first) = conn.directions[side ^ 1].recvs.first() else {
                return;
            };
            let op = &mut ops[first as usize];
            // User code has run since its buffer was lent.
            if op.moved > 0 || op.cancel_pending || !op.is_surely_untouched() {
                break;
            }
            let Some(n) = bytes_for(op, conn, side) else {
                break;
            };
            let event = op.event.0;
            op.has_plainly_had_effect(n, self.busy);
            op.keeps_received(n);
            conn.directions[side ^ 1].recvs.unlink(ops, first);
            self.counts_plain_effect(first, event, n);
        }
        self.settle(number as usize);
    }

    /// What [`Kernel::finish`] does beside.
    #[inline(always)]
    fn counts_plain_effect(&mut self, id: u32, event: u64, moved: u32) {
        self.progress = self.steps;
        if cfg!(debug_assertions) {
            self.witness(id);
        }
        self.gets(id);
        self.m.done.push(id);
        self.steps += 1;
        self.digest = mixed(self.digest, event, EFFECT, u64::from(moved));
    }
}

/// Lets a receive wait that finds nothing, and nobody who waits. False: nothing was done.
#[inline(always)]
fn waits_plainly(id: u32, ops: &mut [Op], conn: &mut Conn, side: usize) -> bool {
    let (near, from) = (&conn.sides[side], &mut conn.directions[side ^ 1]);
    let is_odd = from.fin || near.dead || near.read_shut || from.recvs.first().is_some();
    if is_odd || from.pipe.len() > 0 || ops[id as usize].lent.len() == 0 {
        return false;
    }
    from.recvs.push(ops, id);
    true
}

/// Moves what is there into the buffer of a receive. None: nothing was done, since something is special.
#[inline(always)]
fn bytes_for(op: &Op, conn: &mut Conn, side: usize) -> Option<u32> {
    let from = &mut conn.directions[side ^ 1];
    let n = op.lent.len().min(from.pipe.len() as u32);
    let is_conserved = from.sent - from.taken == from.pipe.len() as u64;
    if n == 0 || from.sends.first().is_some() || !is_conserved {
        return None;
    }
    // SAFETY: the operation is in flight, so its buffer is lent; a recv may write it.
    unsafe { from.pipe.drain(op.lent, n as usize) };
    from.taken += u64::from(n);
    Some(n)
}
