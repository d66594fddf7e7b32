//! Connected streams: two directions with bounded buffers, half-close, end, reset.

use std::net::SocketAddr;

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::{Op, Verb};
use super::oracle::Oracle;
use super::pipe::Pipe;
use super::queue::List;
use super::ready::Readiness;
use super::transitions::{Does, Rule};
use super::words::plural;

/// One end of a connection.
pub(super) struct Side {
    pub(super) addr: SocketAddr,
    /// It has a handle, or a place in a backlog.
    open: bool,
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

/// The way from one side (the index) to the other: send buffer, wire and receive buffer in one.
#[derive(Default)]
struct Direction {
    pipe: Pipe,
    /// Bytes that the sender has got rid of, and of these the ones that came out or were thrown away with
    /// a reset or a close: what is between them is queued.
    sent: u64,
    taken: u64,
    /// Nothing will follow: the sender shut down or closed.
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
    /// The kernel has reset it, and neither side.
    pub(super) forced: bool,
}

impl Direction {
    /// Throws away what is on its way.
    fn lose(&mut self) {
        self.pipe.clear();
        self.taken = self.sent;
    }
}

impl Conn {
    pub(super) fn new(client: SocketAddr, server: SocketAddr) -> Conn {
        let side = |addr| Side {
            addr,
            open: false,
            dead: false,
            error: 0,
            read_shut: false,
            nodelay: false,
            linger: None,
            scripted: false,
        };
        Conn {
            number: 0,
            sides: [side(client), side(server)],
            directions: Default::default(),
            settling: false,
            forced: false,
        }
    }

    /// A fresh connection in this one's memory.
    pub(super) fn open(&mut self, number: u32, client: SocketAddr, server: SocketAddr) {
        self.number = number;
        self.settling = false;
        self.forced = false;
        for (side, addr) in self.sides.iter_mut().zip([client, server]) {
            *side = Side {
                addr,
                open: true,
                dead: false,
                error: 0,
                read_shut: false,
                nodelay: false,
                linger: None,
                scripted: false,
            };
        }
        for direction in &mut self.directions {
            direction.pipe.clear();
            (direction.sent, direction.taken) = (0, 0);
            direction.fin = false;
            direction.recvs = List::default();
            direction.sends = List::default();
        }
    }

    /// A RST reached `side` (`tcp_reset`): EPIPE if the end of the stream was seen before.
    fn killed(&mut self, side: usize) {
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
        self.sides[side].linger == Some(0) && !self.directions.iter().all(|direction| direction.fin)
    }

    fn take_error(&mut self, side: usize) -> i32 {
        std::mem::take(&mut self.sides[side].error)
    }

    /// `tcp_poll` (net/ipv4/tcp.c).
    pub(super) fn readiness(&self, side: usize, buffer: usize) -> Readiness {
        let (from, to, side) = (
            &self.directions[side ^ 1],
            &self.directions[side],
            &self.sides[side],
        );
        let ended = from.fin && from.pipe.len() == 0 || side.read_shut || side.dead;
        let sends_no_more = to.fin || side.dead;
        // `sk_stream_is_writeable`: the space that is left is at least half of what is queued.
        let space = buffer.saturating_sub(to.pipe.len());
        Readiness {
            readable: from.pipe.len() > 0 || ended,
            writable: sends_no_more || space > 0 && space >= to.pipe.len() / 2,
            ended,
            hung_up: ended && sends_no_more,
            failed: side.error != 0,
        }
    }
}

impl Kernel {
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
            Ok(n) => n,
            Err(error) => return error,
        };
        let from = &mut self.m.tcp.conns[conn].directions[side ^ 1];
        // SAFETY: the operation is in flight, so its buffer is lent; a recv may write it.
        unsafe { from.pipe.drain(lent, n as usize) };
        from.taken += u64::from(n);
        if from.sent - from.taken != from.pipe.len() as u64 {
            self.lost_bytes(id, conn, side);
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
        let conn = &self.m.tcp.conns[conn];
        let to = &conn.directions[side];
        to.pipe.len() < self.config.stream_buffer
            || to.fin
            || conn.sides[side].dead
            || !conn.sides[side ^ 1].open
            || op.lent.len() == 0
    }

    /// In the order of `tcp_sendmsg_locked`: an error once, EPIPE, then what fits.
    pub(super) fn send(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        let Some((conn, side)) = self.stream_of(op.handle) else {
            return match self.m.handles.object(op.handle) {
                Object::File { .. } | Object::Event(_) => -errno::ENOTSOCK,
                Object::Closed => -errno::EBADF,
                // `sk_stream_wait_connect`
                _ => -errno::EPIPE,
            };
        };
        let stream = &mut self.m.tcp.conns[conn];
        match stream.take_error(side) {
            0 => {}
            error => return -error,
        }
        if stream.sides[side].dead || stream.directions[side].fin {
            return -errno::EPIPE;
        }
        if lent.len() == 0 {
            return 0;
        }
        let peer_open = stream.sides[side ^ 1].open;
        let space = self
            .config
            .stream_buffer
            .saturating_sub(stream.directions[side].pipe.len());
        let most = if peer_open {
            space
        } else {
            self.config.stream_buffer
        };
        let n = match self.pick_size(Rule::Send, id, lent.len().min(most as u32)) {
            Ok(n) => n,
            Err(error) => return error,
        };
        let stream = &mut self.m.tcp.conns[conn];
        if peer_open {
            // SAFETY: the operation is in flight, so its buffer is lent; what is sent is initialised.
            unsafe { stream.directions[side].pipe.fill(lent, n as usize) };
            stream.directions[side].sent += u64::from(n);
        } else {
            // The bytes leave; the other host answers with a RST, which the next operation meets.
            stream.killed(side);
        }
        n as i32
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
        if stream.sides[side].dead {
            // `inet_shutdown` in state TCP_CLOSE
            return -errno::ENOTCONN;
        }
        if how != 1 {
            stream.sides[side].read_shut = true;
        }
        if how != 0 {
            stream.directions[side].fin = true;
        }
        0
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
                direction.lose();
                // An end that stood behind lost bytes is lost with them.
                direction.fin = false;
            }
        }
        stream.forced = true;
        stream.killed(0);
        stream.killed(1);
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
        let stream = &mut self.m.tcp.conns[conn as usize];
        stream.directions[side].fin |= !stream.sides[side].dead;
        self.leave(conn, side);
    }

    /// Closes with a RST. What was sent before stays readable at the peer.
    pub(super) fn abort(&mut self, conn: u32, side: usize) {
        let stream = &mut self.m.tcp.conns[conn as usize];
        stream.directions[side ^ 1].lose();
        stream.killed(side ^ 1);
        self.leave(conn, side);
    }

    fn leave(&mut self, conn: u32, side: usize) {
        self.m.tcp.conns[conn as usize].sides[side].open = false;
        if self.m.tcp.conns[conn as usize].sides[side ^ 1].open {
            self.settle(conn as usize);
        } else {
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
        if let Some((list, ops)) = self.line(id) {
            list.push(ops, id);
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
    fn settle(&mut self, conn: usize) {
        // An effect settles the connection again: the outermost call does it, without recursion.
        if std::mem::replace(&mut self.m.tcp.conns[conn].settling, true) {
            return;
        }
        while let Some(id) = self.woken(conn) {
            self.leave_stream(id);
            if self.offer_reset(id) {
                self.effect(id);
            } else {
                self.advance(id);
            }
        }
        self.m.tcp.conns[conn].settling = false;
    }

    /// An operation that waits on a connection without need.
    #[inline]
    fn woken(&self, conn: usize) -> Option<u32> {
        let directions = &self.m.tcp.conns[conn].directions;
        // Receives first: the error of a reset is theirs, and an end that hides one is rarer.
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
