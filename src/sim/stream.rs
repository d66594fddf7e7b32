//! Connected streams: receiving, sending, half-close, and who waits for what.

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::{NONBLOCK, Op, State, Verb};
use super::oracle::Oracle;
use super::queue::{List, NIL};
use super::ready::Readiness;
use super::transitions::{Does, Rule};
use super::words::plural;

impl Kernel {
    /// What poll(2) would say of a side.
    pub(super) fn stream_readiness(&self, conn: usize, side: usize) -> Readiness {
        let (stream, buffer) = (&self.m.tcp.conns[conn], self.config.stream_buffer);
        let queued = match stream.wire {
            NIL => stream.directions[side].pipe.len(),
            _ => buffer - self.room_to_send(conn, side),
        };
        stream.readiness(side, queued, buffer)
    }

    /// The connection, and the side, that an operation in flight is on.
    #[inline(always)]
    pub(super) fn stream_of(&self, op: &Op) -> Option<(usize, usize)> {
        if op.conn != NIL {
            return Some((op.conn as usize, usize::from(op.side & 1)));
        }
        self.stream_by_now(op.handle)
    }

    /// The same, of a handle that had no connection when the operation was submitted.
    #[cold]
    #[inline(never)]
    fn stream_by_now(&self, handle: i32) -> Option<(usize, usize)> {
        match self.m.handles.object(handle) {
            Object::Stream { conn, side } => Some((conn as usize, usize::from(side))),
            _ => None,
        }
    }

    /// Why nothing is received from or sent to a handle that is no connection.
    #[cold]
    #[inline(never)]
    fn no_stream(&self, handle: i32, unconnected: i32) -> i32 {
        match self.m.handles.object(handle) {
            Object::File { .. } | Object::Event(_) => -errno::ENOTSOCK,
            Object::Closed => -errno::EBADF,
            _ => -unconnected,
        }
    }

    /// Whether a receive or a send that is in no list may have its effect. If not it waits.
    #[inline(always)]
    pub(super) fn transfer_is_due(&mut self, id: u32) -> bool {
        let op = &self.m.ops[id as usize];
        let possible = match op.verb {
            Verb::Recv => self.recv_possible(op),
            _ => self.send_possible(op),
        };
        if !possible {
            self.wait_on_stream(id);
        }
        possible
    }

    // ---- recv

    #[inline(always)]
    pub(super) fn recv_possible(&self, op: &Op) -> bool {
        let Some((conn, side)) = self.stream_of(op) else {
            return true;
        };
        let conn = &self.m.tcp.conns[conn];
        let (from, side) = (&conn.directions[side ^ 1], &conn.sides[side]);
        from.pipe.len() > 0 || from.fin || side.dead || side.read_shut || op.lent.len() == 0
    }

    /// In the order of `tcp_recvmsg_locked`: what is queued, the end, an error once, then the end.
    #[inline(always)]
    pub(super) fn recv<const CHOOSES: bool>(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        let Some((conn, side)) = self.stream_of(op) else {
            return self.no_stream(op.handle, errno::ENOTCONN);
        };
        if lent.len() == 0 {
            return 0;
        }
        let from = &self.m.tcp.conns[conn].directions[side ^ 1];
        let queued = from.pipe.len();
        if queued == 0 {
            return if from.fin {
                0
            } else {
                -self.m.tcp.conns[conn].take_error(side)
            };
        }
        let n = match self.pick_size::<CHOOSES>(Rule::Recv, id, lent.len().min(queued as u32)) {
            Ok(share) => share.bytes,
            Err(error) => return error,
        };
        let from = &mut self.m.tcp.conns[conn].directions[side ^ 1];
        // SAFETY: the operation is in flight, so its buffer is lent; a recv may write it.
        unsafe { from.pipe.drain(lent, n as usize) };
        from.taken += u64::from(n);
        if from.sent - from.taken != from.pipe.len() as u64 {
            self.lost_bytes(id, conn, side);
        }
        if self.m.tcp.conns[conn].wire != NIL {
            self.room_over(conn, side);
        }
        n as i32
    }

    /// What was sent is neither queued nor received.
    #[cold]
    #[inline(never)]
    fn lost_bytes(&mut self, id: u32, conn: usize, side: usize) {
        let from = &self.m.tcp.conns[conn].directions[side ^ 1];
        let (sent, taken, queued) = (from.sent, from.taken, from.pipe.len() as u64);
        let name = self.m.tcp.stream_name(conn as u32, side as u8);
        let message = format!(
            "{} were sent to {name}, {} of them have come out, and {} are queued",
            plural(sent, "byte"),
            plural(taken, "byte"),
            plural(queued, "byte"),
        );
        self.fail_at(Oracle::BytesConserved, message, id);
    }

    /// A planted bug: a byte that is on its way to this side disappears.
    #[cfg(test)]
    pub(super) fn lose_a_byte(&mut self, handle: i32) {
        if let Some((conn, side)) = self.stream_by_now(handle) {
            let mut byte = 0u8;
            let lent = super::lent::Lent::plain(&raw mut byte, 1);
            // SAFETY: `byte` outlives the call.
            unsafe {
                self.m.tcp.conns[conn].directions[side ^ 1]
                    .pipe
                    .drain(lent, 1)
            };
        }
    }

    // ---- send

    #[inline(always)]
    pub(super) fn send_possible(&self, op: &Op) -> bool {
        let Some((conn, side)) = self.stream_of(op) else {
            return true;
        };
        let stream = &self.m.tcp.conns[conn];
        let (near, far) = (&stream.sides[side], &stream.sides[side ^ 1]);
        near.write_shut
            || near.dead
            || op.lent.len() == 0
            || match stream.wire {
                NIL => {
                    stream.directions[side].pipe.len() < self.config.stream_buffer
                        || far.refuses_bytes()
                }
                _ => self.room_to_send(conn, side) > 0,
            }
    }

    /// In the order of `tcp_sendmsg_locked`: an error once, EPIPE, then what fits. `None`: it waits to send
    /// the rest.
    #[inline(always)]
    pub(super) fn send<const CHOOSES: bool>(&mut self, id: u32) -> Option<i32> {
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let Some((conn, side)) = self.stream_of(op) else {
            // `sk_stream_wait_connect`
            return Some(self.no_stream(op.handle, errno::EPIPE));
        };
        let stream = &mut self.m.tcp.conns[conn];
        let over = stream.sides[side].dead || stream.sides[side].write_shut;
        if moved > 0 && over {
            // What has moved is the result; the next operation hears of the error.
            return Some(moved as i32);
        }
        match stream.take_error(side) {
            0 => {}
            error => return Some(-error),
        }
        if over {
            return Some(-errno::EPIPE);
        }
        if lent.len() == 0 {
            return Some(0);
        }
        if stream.wire != NIL {
            return self.send_by_wire(id, conn, side);
        }
        let refused = stream.sides[side ^ 1].refuses_bytes();
        let space = self
            .config
            .stream_buffer
            .saturating_sub(stream.directions[side].pipe.len());
        let most = if refused {
            self.config.stream_buffer
        } else {
            space
        };
        let n = match self.share_of_send::<CHOOSES>(id, most) {
            Ok(n) => n,
            Err(error) => return Some(error),
        };
        let stream = &mut self.m.tcp.conns[conn];
        if refused {
            // The bytes leave; the other host answers with a RST, which the next operation meets.
            stream.killed(side);
            stream.killed(side ^ 1);
        } else {
            // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
            unsafe { stream.directions[side].pipe.fill(lent, moved, n as usize) };
            stream.directions[side].sent += u64::from(n);
            if n as usize == most && self.waits_to_send_rest(id, n) {
                return None;
            }
        }
        Some((moved + n) as i32)
    }

    #[cold]
    #[inline(never)]
    fn send_by_wire(&mut self, id: u32, conn: usize, side: usize) -> Option<i32> {
        let Op { lent, moved, .. } = self.m.ops[id as usize];
        let most = self.room_to_send(conn, side);
        let n = match self.share_of_send::<true>(id, most) {
            Ok(n) => n,
            Err(error) => return Some(error),
        };
        // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
        unsafe { self.send_over(conn, side, lent, moved, n as usize) };
        if n as usize == most && self.waits_to_send_rest(id, n) {
            return None;
        }
        Some((moved + n) as i32)
    }

    /// How much of what is left of a send leaves now, where there is room for `most`.
    #[inline(always)]
    fn share_of_send<const CHOOSES: bool>(&mut self, id: u32, most: usize) -> Result<u32, i32> {
        let op = &self.m.ops[id as usize];
        let fits = (op.lent.len() - op.moved).min(most.min(u32::MAX as usize) as u32);
        // Who has waited to send the rest (a port) is never short.
        if op.moved > 0 {
            return Ok(fits);
        }
        let share = self.pick_size::<CHOOSES>(Rule::Send, id, fits)?;
        Ok(share.bytes)
    }

    /// Whether a send that has just sent all that fits, `n` bytes, waits to send the rest.
    fn waits_to_send_rest(&mut self, id: u32, n: u32) -> bool {
        let op = &self.m.ops[id as usize];
        let (moved, left) = (op.moved, op.lent.len() - op.moved);
        if n == left || op.flags & NONBLOCK != 0 {
            return false;
        }
        if moved == 0 && self.pick(Rule::SendRest, id) != Does::Rest {
            return false;
        }
        self.moves_part(id, n);
        self.m.ops[id as usize].state = State::Wait;
        if let Some((line, ops)) = self.line(id) {
            line.push_first(ops, id);
        }
        true
    }

    // ---- shutdown

    pub(super) fn shutdown(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let (handle, how) = (op.handle, op.flags & !NONBLOCK);
        let (conn, side) = match self.m.handles.object(handle) {
            Object::Stream { conn, side } => (conn as usize, usize::from(side)),
            Object::Listener(listener) => return self.shutdown_listener(handle, listener, how),
            Object::Socket { .. } => return -errno::ENOTCONN,
            Object::File { .. } | Object::Event(_) => return -errno::ENOTSOCK,
            Object::Closed => return -errno::EBADF,
        };
        if how > 2 {
            return -errno::EINVAL;
        }
        let stream = &mut self.m.tcp.conns[conn];
        if stream.sides[side].dead || stream.has_ended(side) {
            // `inet_shutdown` in state TCP_CLOSE
            return -errno::ENOTCONN;
        }
        stream.smooth = false;
        if how != 1 {
            stream.sides[side].read_shut = true;
        }
        if how != 0 {
            self.ends_sending(conn, side);
        }
        0
    }

    /// The side sends nothing more.
    pub(super) fn ends_sending(&mut self, conn: usize, side: usize) {
        let stream = &mut self.m.tcp.conns[conn];
        stream.sides[side].write_shut = true;
        stream.smooth = false;
        match stream.wire {
            NIL => stream.directions[side].fin = true,
            _ => self.end_over(conn, side),
        }
    }

    // ---- waiting

    #[inline(always)]
    fn line(&mut self, id: u32) -> Option<(&mut List, &mut Vec<Op>)> {
        let op = &self.m.ops[id as usize];
        let verb = op.verb;
        let (conn, side) = self.stream_of(op)?;
        let directions = &mut self.m.tcp.conns[conn].directions;
        let list = if verb == Verb::Recv {
            &mut directions[side ^ 1].recvs
        } else {
            &mut directions[side].sends
        };
        Some((list, &mut self.m.ops))
    }

    #[inline(always)]
    pub(super) fn wait_on_stream(&mut self, id: u32) {
        match self.line(id) {
            Some((line, ops)) if line.first().is_none() => line.push(ops, id),
            Some(_) => self.wait_among_others(id),
            None => {}
        }
    }

    #[inline(never)]
    fn wait_among_others(&mut self, id: u32) {
        let first = self.line(id).and_then(|(line, _)| line.first());
        // Nobody gets between the two parts of a send.
        let open = first.is_some_and(|first| self.m.ops[first as usize].moved == 0);
        let ahead = open && self.goes_ahead(id);
        if let Some((line, ops)) = self.line(id) {
            if ahead {
                line.push_first(ops, id);
            } else {
                line.push(ops, id);
            }
        }
    }

    #[inline(always)]
    pub(super) fn leave_stream(&mut self, id: u32) {
        if let Some((list, ops)) = self.line(id) {
            list.unlink(ops, id);
        }
    }

    /// Lets everything that waits on the connection of an operation and has become possible have its
    /// effect, first come, first served in each direction.
    #[inline(always)]
    pub(super) fn settle_stream_of<const CHOOSES: bool>(&mut self, id: u32) {
        if let Some((conn, _)) = self.stream_of(&self.m.ops[id as usize])
            && !self.m.tcp.conns[conn].nobody_waits()
        {
            self.wake::<CHOOSES>(conn);
        }
    }

    /// The same, of a connection.
    pub(super) fn settle(&mut self, conn: usize) {
        self.wake::<true>(conn);
    }

    #[inline(never)]
    fn wake<const CHOOSES: bool>(&mut self, conn: usize) {
        // An effect settles the connection again: the outermost call does it, without recursion.
        if std::mem::replace(&mut self.m.tcp.conns[conn].settling, true) {
            return;
        }
        while let Some(mut id) = self.woken(conn) {
            if CHOOSES {
                id = self.who_takes_the_error(conn, id);
            }
            self.leave_stream(id);
            if !CHOOSES || self.transfer_comes(id) {
                self.check_before_effect(id);
                self.transfer::<CHOOSES>(id);
            }
        }
        self.m.tcp.conns[conn].settling = false;
    }

    /// An operation that waits on a connection without need.
    #[inline(always)]
    fn woken(&self, conn: usize) -> Option<u32> {
        if self.m.tcp.conns[conn].nobody_waits() {
            return None;
        }
        let directions = &self.m.tcp.conns[conn].directions;
        // Receives first: the error of a reset is theirs unless somebody decides otherwise.
        for direction in directions {
            if let Some(id) = direction.recvs.first()
                && self.recv_possible(&self.m.ops[id as usize])
            {
                return Some(id);
            }
        }
        for direction in directions {
            if let Some(id) = direction.sends.first()
                && self.send_possible(&self.m.ops[id as usize])
            {
                return Some(id);
            }
        }
        None
    }
}
