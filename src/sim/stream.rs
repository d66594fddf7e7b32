//! Connected streams: two directions with bounded buffers, half-close, end, reset.

use std::net::SocketAddr;

use super::errno;
use super::handles::Object;
use super::hosts::Name;
use super::kernel::Kernel;
use super::op::{NONBLOCK, Op, State, Verb};
use super::oracle::Oracle;
use super::pipe::Pipe;
use super::queue::{List, NIL};
use super::ready::Readiness;
use super::transitions::{Does, Rule};
use super::words::plural;
use crate::choice::EventId;

/// The reset of a side among its parcels: the last.
const RESETS: u32 = u32::MAX;

/// One end of a connection.
pub(super) struct Side {
    pub(super) addr: SocketAddr,
    /// It has a handle, or a place in a backlog.
    open: bool,
    /// It shut down or closed: nothing more will be sent.
    write_shut: bool,
    /// Its kernel knows nothing of the connection any more: whatever arrives is answered by a RST. (With a
    /// wire only: else both sides know the same.)
    pub(super) gone: bool,
    /// The connection was reset, in the eyes of this side.
    pub(super) dead: bool,
    /// `sk_err`: what the next operation reports, once.
    error: i32,
    read_shut: bool,
    pub(super) nodelay: bool,
    /// SO_LINGER, in seconds.
    pub(super) linger: Option<u64>,
    /// Its user is a scripted peer.
    pub(super) scripted: bool,
}

/// The way from one side (the index) to the other: what has arrived. Without a wire this is the buffer of
/// both kernels.
#[derive(Default)]
struct Direction {
    pipe: Pipe,
    /// Bytes that have come into the pipe, and of these the ones that came out or were thrown away with
    /// a reset or a close: what is between them is queued.
    sent: u64,
    taken: u64,
    /// Nothing will follow: the end has arrived.
    fin: bool,
    recvs: List,
    sends: List,
}

/// A connection.
pub(super) struct Conn {
    /// How many-th of the run, from 1: for people.
    pub(super) number: u32,
    pub(super) sides: [Side; 2],
    directions: [Direction; 2],
    settling: bool,
    /// Its place in `Tcp::wires`, or [`NIL`]: what one side does the other knows at once.
    pub(super) wire: u32,
    /// The server knows that it is connected: it was in the queue of the listener.
    pub(super) established: bool,
    /// The connect that made it.
    pub(super) event: EventId,
    /// The kernel has reset it, and neither side.
    pub(super) forced: bool,
}

impl Direction {
    /// Throws away what is on its way, but for the oldest bytes.
    fn lose(&mut self, but: usize) {
        self.taken += (self.pipe.len() - but) as u64;
        self.pipe.keep(but);
    }
}

impl Side {
    fn new(addr: SocketAddr, open: bool) -> Side {
        Side {
            addr,
            open,
            write_shut: false,
            gone: false,
            dead: false,
            error: 0,
            read_shut: false,
            nodelay: false,
            linger: None,
            scripted: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whoever sends it bytes gets a RST: it is closed, or shut down both ways, where Linux resets what
    /// comes in FIN_WAIT (`tcp_rcv_state_process`; RFC 1122, 4.2.2.13).
    pub(super) fn refuses_bytes(&self) -> bool {
        !self.open || self.read_shut && self.write_shut
    }
}

impl Conn {
    pub(super) fn new(client: SocketAddr, server: SocketAddr) -> Conn {
        let side = |addr| Side::new(addr, false);
        Conn {
            number: 0,
            sides: [side(client), side(server)],
            directions: Default::default(),
            settling: false,
            wire: NIL,
            established: true,
            event: EventId::ROOT,
            forced: false,
        }
    }

    /// A fresh connection in this one's memory.
    pub(super) fn open(
        &mut self,
        number: u32,
        event: EventId,
        client: SocketAddr,
        server: SocketAddr,
    ) {
        self.number = number;
        self.settling = false;
        self.forced = false;
        self.wire = NIL;
        self.established = true;
        self.event = event;
        for (side, addr) in self.sides.iter_mut().zip([client, server]) {
            *side = Side::new(addr, true);
        }
        for direction in &mut self.directions {
            direction.pipe.clear();
            (direction.sent, direction.taken) = (0, 0);
            direction.fin = false;
            direction.recvs = List::default();
            direction.sends = List::default();
        }
    }

    /// Somebody has a handle of it, or may get one.
    pub(super) fn is_open(&self) -> bool {
        self.sides.iter().any(Side::is_open)
    }

    /// Which sides will send nothing more.
    pub(super) fn ends(&self) -> [bool; 2] {
        [0, 1].map(|side: usize| self.sides[side].write_shut)
    }

    /// Both sides have ended, and this one knows it: its kernel keeps no state of the connection (TCP_CLOSE, or
    /// TIME_WAIT on its behalf).
    pub(super) fn has_ended(&self, side: usize) -> bool {
        self.sides[side].write_shut && self.directions[side ^ 1].fin
    }

    /// What a side has not read yet.
    pub(super) fn unread(&self, side: usize) -> usize {
        self.directions[side ^ 1].pipe.len()
    }

    /// Where what `from` sends arrives.
    pub(super) fn pipe(&mut self, from: usize) -> &mut Pipe {
        &mut self.directions[from].pipe
    }

    /// The end of the stream has come to `side`.
    pub(super) fn ends_for(&mut self, side: usize) {
        self.directions[side ^ 1].fin = true;
    }

    /// Nobody has answered for too long (`tcp_write_err`). An orphan goes without a word.
    pub(super) fn times_out(&mut self, side: usize) {
        let side = &mut self.sides[side];
        side.gone = true;
        if side.open && !side.dead {
            side.dead = true;
            side.error = errno::ETIMEDOUT;
        }
    }

    /// A RST reached `side` (`tcp_reset`): EPIPE if the end of the stream was seen before.
    pub(super) fn killed(&mut self, side: usize) {
        let fin = self.directions[side ^ 1].fin;
        let side = &mut self.sides[side];
        if side.open && !side.dead {
            side.dead = true;
            side.error = if fin { errno::EPIPE } else { errno::ECONNRESET };
        }
    }

    /// Whether an end of it is at an address that `meets` is asked about.
    pub(super) fn is_at(&self, meets: impl Fn(SocketAddr) -> bool) -> bool {
        self.sides.iter().any(|side| side.open && meets(side.addr))
    }

    /// SO_LINGER of zero, and not yet closed in both directions (`tcp_need_reset`).
    fn resets_by_wish(&self, side: usize) -> bool {
        self.sides[side].linger == Some(0) && !self.has_ended(side)
    }

    fn take_error(&mut self, side: usize) -> i32 {
        std::mem::take(&mut self.sides[side].error)
    }

    /// `tcp_poll` (net/ipv4/tcp.c).
    fn readiness(&self, side: usize, queued: usize, buffer: usize) -> Readiness {
        let (from, side) = (&self.directions[side ^ 1], &self.sides[side]);
        let ended = from.fin && from.pipe.len() == 0 || side.read_shut || side.dead;
        let sends_no_more = side.write_shut || side.dead;
        // `sk_stream_is_writeable`: the space that is left is at least half of what is queued.
        let space = buffer.saturating_sub(queued);
        Readiness {
            readable: from.pipe.len() > 0 || ended,
            writable: sends_no_more || space > 0 && space >= queued / 2,
            ended,
            hung_up: ended && sends_no_more,
            failed: side.error != 0,
        }
    }
}

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

    #[inline]
    fn stream_of(&self, handle: i32) -> Option<(usize, usize)> {
        match self.m.handles.object(handle) {
            Object::Stream { conn, side } => Some((conn as usize, usize::from(side))),
            _ => None,
        }
    }

    // ---- recv

    #[inline]
    pub(super) fn recv_possible(&self, op: &Op) -> bool {
        let Some((conn, side)) = self.stream_of(op.handle) else {
            return true;
        };
        let conn = &self.m.tcp.conns[conn];
        let (from, side) = (&conn.directions[side ^ 1], &conn.sides[side]);
        from.pipe.len() > 0 || from.fin || side.dead || side.read_shut || op.lent.len() == 0
    }

    /// In the order of `tcp_recvmsg_locked`: what is queued, the end, an error once, then the end.
    pub(super) fn recv(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        let Some((conn, side)) = self.stream_of(op.handle) else {
            return match self.m.handles.object(op.handle) {
                Object::File { .. } | Object::Event(_) => -errno::ENOTSOCK,
                Object::Closed => -errno::EBADF,
                _ => -errno::ENOTCONN,
            };
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
        let n = match self.pick_size(Rule::Recv, id, lent.len().min(queued as u32)) {
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
        if let Some((conn, side)) = self.stream_of(handle) {
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

    #[inline]
    pub(super) fn send_possible(&self, op: &Op) -> bool {
        let Some((conn, side)) = self.stream_of(op.handle) else {
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
    pub(super) fn send(&mut self, id: u32) -> Option<i32> {
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let Some((conn, side)) = self.stream_of(op.handle) else {
            return Some(match self.m.handles.object(op.handle) {
                Object::File { .. } | Object::Event(_) => -errno::ENOTSOCK,
                Object::Closed => -errno::EBADF,
                // `sk_stream_wait_connect`
                _ => -errno::EPIPE,
            });
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
        let wire = stream.wire != NIL;
        let refused = !wire && stream.sides[side ^ 1].refuses_bytes();
        let most = match wire {
            true => self.room_to_send(conn, side),
            // The other host answers what leaves with a RST.
            false if refused => self.config.stream_buffer,
            false => {
                let held = self.m.tcp.conns[conn].directions[side].pipe.len();
                self.config.stream_buffer.saturating_sub(held)
            }
        };
        let left = lent.len() - moved;
        let fits = left.min(u32::try_from(most).unwrap_or(u32::MAX));
        // Who has waited to send the rest (a port) is never short.
        let n = match moved {
            0 => match self.pick_size(Rule::Send, id, fits) {
                Ok(share) => share.bytes,
                Err(error) => return Some(error),
            },
            _ => fits,
        };
        let stream = &mut self.m.tcp.conns[conn];
        if refused {
            // The bytes leave; the RST that answers them the next operation meets.
            stream.killed(side);
            stream.killed(side ^ 1);
            return Some((moved + n) as i32);
        }
        if wire {
            // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
            unsafe { self.send_over(conn, side, lent, moved, n as usize) };
        } else {
            // SAFETY: as above.
            unsafe { stream.directions[side].pipe.fill(lent, moved, n as usize) };
            stream.directions[side].sent += u64::from(n);
        }
        if n == fits && n < left && self.sends_rest(id, moved) {
            self.moves_part(id, n);
            self.m.ops[id as usize].state = State::Wait;
            if let Some((line, ops)) = self.line(id) {
                line.push_first(ops, id);
            }
            return None;
        }
        Some((moved + n) as i32)
    }

    /// Whether a send that found too little room waits to send the rest.
    fn sends_rest(&mut self, id: u32, moved: u32) -> bool {
        self.m.ops[id as usize].flags & NONBLOCK == 0
            && (moved > 0 || self.pick(Rule::SendRest, id) == Does::Rest)
    }

    // ---- shutdown

    pub(super) fn shutdown(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let (handle, how) = (op.handle, op.flags);
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
        if how != 1 {
            stream.sides[side].read_shut = true;
        }
        if how != 0 {
            self.ends_sending(conn, side);
        }
        0
    }

    /// The side sends nothing more.
    fn ends_sending(&mut self, conn: usize, side: usize) {
        let stream = &mut self.m.tcp.conns[conn];
        stream.sides[side].write_shut = true;
        match stream.wire {
            NIL => stream.directions[side].fin = true,
            _ => self.end_over(conn, side),
        }
    }

    // ---- reset

    /// Offers that the connection under a recv or send is reset: a router forgot it, or the other host
    /// did (RFC 9293, 3.5.2). What was on its way is lost, both ways. True if it was.
    pub(super) fn offer_reset(&mut self, id: u32) -> bool {
        if self.decider.kind {
            return false;
        }
        let op = &self.m.ops[id as usize];
        if !matches!(op.verb, Verb::Recv | Verb::Send) || op.lent.len() == 0 {
            return false;
        }
        let Some((conn, side)) = self.stream_of(op.handle) else {
            return false;
        };
        let stream = &self.m.tcp.conns[conn];
        let over = stream
            .directions
            .iter()
            .all(|direction| direction.fin && direction.pipe.len() == 0);
        if stream.sides[side].dead || over {
            return false;
        }
        if self.pick(Rule::Reset, id) != Does::Reset {
            return false;
        }
        let stream = &mut self.m.tcp.conns[conn];
        for direction in &mut stream.directions {
            if direction.pipe.len() > 0 {
                direction.lose(0);
                // An end that stood behind lost bytes is lost with them.
                direction.fin = false;
            }
        }
        stream.forced = true;
        stream.killed(0);
        stream.killed(1);
        if stream.wire != NIL {
            self.silence(conn);
        }
        true
    }

    // ---- close

    pub(super) fn close_side(&mut self, conn: u32, side: u8) {
        let side = usize::from(side);
        if self.m.tcp.conns[conn as usize].directions[side ^ 1]
            .pipe
            .len()
            > 0
            || self.m.tcp.conns[conn as usize].resets_by_wish(side)
        {
            // Unread data: the peer must learn that it did not arrive (RFC 2525, 2.17). Or it was asked for
            // (socket(7), SO_LINGER). Both in `__tcp_close`.
            return self.abort(conn, side);
        }
        let near = &self.m.tcp.conns[conn as usize].sides[side];
        if !near.dead && !near.gone {
            self.ends_sending(conn as usize, side);
        }
        self.leave(conn, side);
    }

    /// Closes with a RST. What was sent before stays readable at the peer.
    pub(super) fn abort(&mut self, conn: u32, side: usize) {
        let stream = &mut self.m.tcp.conns[conn as usize];
        stream.directions[side ^ 1].lose(0);
        if stream.wire == NIL {
            stream.killed(side ^ 1);
            self.loses_unread(conn as usize, side);
        } else if !stream.sides[side].gone {
            self.reset_over(conn as usize, side);
        }
        self.leave(conn, side);
    }

    /// What a side that resets has sent and the peer has not read: some of it may not have left yet.
    fn loses_unread(&mut self, conn: usize, side: usize) {
        let stream = &self.m.tcp.conns[conn];
        let unread = stream.unread(side ^ 1);
        // (Behind an end there is nothing that could be lost alone.)
        if self.decider.kind || unread == 0 || stream.directions[side].fin {
            return;
        }
        let event = stream.event;
        let keep = match self.pick_for(Rule::Abort, Name::new(event, side, RESETS)) {
            Does::Half => unread / 2,
            Does::LosesParcel => 0,
            _ => unread,
        };
        self.m.tcp.conns[conn].directions[side].lose(keep);
    }

    /// The side has no handle any more, nor a place in a backlog.
    pub(super) fn leave(&mut self, conn: u32, side: usize) {
        self.m.tcp.conns[conn as usize].sides[side].open = false;
        if self.m.tcp.conns[conn as usize].sides[side ^ 1].open {
            self.settle(conn as usize);
        } else {
            self.cut_wire(conn as usize);
            self.m.tcp.free_conn(conn);
        }
    }

    // ---- waiting

    fn line(&mut self, id: u32) -> Option<(&mut List, &mut Vec<Op>)> {
        let op = &self.m.ops[id as usize];
        let verb = op.verb;
        let (conn, side) = self.stream_of(op.handle)?;
        let directions = &mut self.m.tcp.conns[conn].directions;
        let list = if verb == Verb::Recv {
            &mut directions[side ^ 1].recvs
        } else {
            &mut directions[side].sends
        };
        Some((list, &mut self.m.ops))
    }

    pub(super) fn wait_on_stream(&mut self, id: u32) {
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

    pub(super) fn leave_stream(&mut self, id: u32) {
        if let Some((list, ops)) = self.line(id) {
            list.unlink(ops, id);
        }
    }

    #[inline]
    pub(super) fn settle_handle(&mut self, handle: i32) {
        if let Some((conn, _)) = self.stream_of(handle) {
            self.settle(conn);
        }
    }

    /// Lets everything that waits on a connection and has become possible have its effect, first come,
    /// first served in each direction.
    pub(super) fn settle(&mut self, conn: usize) {
        // An effect settles the connection again: the outermost call does it, without recursion.
        if std::mem::replace(&mut self.m.tcp.conns[conn].settling, true) {
            return;
        }
        while let Some(id) = self.woken(conn) {
            let id = self.who_takes_the_error(conn, id);
            self.leave_stream(id);
            if self.offer_reset(id) {
                self.effect(id);
            } else {
                self.advance(id);
            }
        }
        self.m.tcp.conns[conn].settling = false;
    }

    /// When a connection dies under a receive and a send of one side: whichever wakes first.
    #[inline]
    fn who_takes_the_error(&mut self, conn: usize, id: u32) -> u32 {
        let stream = &self.m.tcp.conns[conn];
        if self.decider.kind || !stream.sides.iter().any(|side| side.dead) {
            return id;
        }
        let Some((_, side)) = self.stream_of(self.m.ops[id as usize].handle) else {
            return id;
        };
        let from = &stream.directions[side ^ 1];
        let send = stream.directions[side].sends.first();
        match send {
            Some(send)
                if from.recvs.first() == Some(id)
                    && stream.sides[side].error != 0
                    && from.pipe.len() == 0
                    && !from.fin
                    && self.pick(Rule::Error, id) == Does::Late =>
            {
                send
            }
            _ => id,
        }
    }

    /// An operation that waits on a connection without need.
    #[inline]
    fn woken(&self, conn: usize) -> Option<u32> {
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
