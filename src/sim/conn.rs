//! What a connection is: two sides, and what is on its way between them.

use std::net::SocketAddr;

use super::errno;
use super::pipe::Pipe;
use super::queue::{List, NIL};
use super::ready::Readiness;
use crate::choice::EventId;

/// One end of a connection.
pub(super) struct Side {
    pub(super) addr: SocketAddr,
    /// It has a handle, or a place in a backlog.
    pub(super) open: bool,
    /// It shut down or closed: nothing more will be sent.
    pub(super) write_shut: bool,
    /// Its kernel knows nothing of the connection any more: whatever arrives is answered by a RST. (With a
    /// wire only: else both sides know the same.)
    pub(super) gone: bool,
    /// The connection was reset, in the eyes of this side.
    pub(super) dead: bool,
    /// `sk_err`: what the next operation reports, once.
    pub(super) error: i32,
    pub(super) read_shut: bool,
    pub(super) nodelay: bool,
    /// SO_LINGER, in seconds.
    pub(super) linger: Option<u64>,
    /// Its user is a scripted peer.
    pub(super) scripted: bool,
}

/// The way from one side (the index) to the other: what has arrived. Without a wire this is the buffer of
/// both kernels.
#[derive(Default)]
pub(super) struct Direction {
    pub(super) pipe: Pipe,
    /// Bytes that have come in, and of these the ones that came out or were thrown away with a reset or a
    /// close: what is between them is queued.
    pub(super) sent: u64,
    pub(super) taken: u64,
    /// Nothing will follow: the end has arrived.
    pub(super) fin: bool,
    pub(super) recvs: List,
    pub(super) sends: List,
}

/// A connection.
pub(super) struct Conn {
    /// How many-th of the run, from 1: for people.
    pub(super) number: u32,
    pub(super) sides: [Side; 2],
    pub(super) directions: [Direction; 2],
    pub(super) settling: bool,
    /// Both sides are open, neither has ended or died, and there is no wire. May be false of such a one too: who
    /// breaks it does not mend it.
    pub(super) smooth: bool,
    /// Its place in `Tcp::wires`, or [`NIL`]: what one side does the other knows at once.
    pub(super) wire: u32,
    /// The server knows that it is connected: it was in the queue of the listener.
    pub(super) established: bool,
    /// The connect that made it.
    pub(super) event: EventId,
    /// The kernel has reset it, and neither side; or it has failed a transfer.
    pub(super) forced: bool,
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
    #[inline]
    pub(super) fn refuses_bytes(&self) -> bool {
        !self.open || self.read_shut && self.write_shut
    }
}

impl Direction {
    /// Throws away what is on its way.
    pub(super) fn lose(&mut self) {
        self.pipe.clear();
        self.taken = self.sent;
    }

    /// Throws away all but the oldest `n` bytes.
    pub(super) fn keep(&mut self, n: usize) {
        self.pipe.keep(n);
        self.taken = self.sent - self.pipe.len() as u64;
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
            smooth: false,
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
        self.smooth = true;
        self.wire = NIL;
        self.established = true;
        self.event = event;
        self.forced = false;
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

    /// So many bytes of what `from` has sent arrive, from the `at`-th of `out` on.
    pub(super) fn arrive(&mut self, from: usize, out: &mut Pipe, at: usize, n: usize) {
        out.copy_to(at, n, &mut self.directions[from].pipe);
        self.directions[from].sent += n as u64;
    }

    /// The end of the stream has come to `side`.
    pub(super) fn ends_for(&mut self, side: usize) {
        self.smooth = false;
        self.directions[side ^ 1].fin = true;
    }

    /// Nobody has answered for too long (`tcp_write_err`). An orphan goes without a word.
    pub(super) fn times_out(&mut self, side: usize) {
        self.smooth = false;
        let side = &mut self.sides[side];
        side.gone = true;
        if side.open && !side.dead {
            side.dead = true;
            side.error = errno::ETIMEDOUT;
        }
    }

    /// A RST reached `side` (`tcp_reset`): EPIPE if the end of the stream was seen before.
    pub(super) fn killed(&mut self, side: usize) {
        self.smooth = false;
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
    pub(super) fn resets_by_wish(&self, side: usize) -> bool {
        self.sides[side].linger == Some(0) && !self.has_ended(side)
    }

    /// Whether it keeps what [`Conn::smooth`] says.
    pub(super) fn is_smooth(&self) -> bool {
        let is_whole = |side: &Side| {
            let is_shut = side.read_shut || side.write_shut;
            side.open && !side.dead && !side.gone && side.error == 0 && !is_shut
        };
        self.wire == NIL
            && !self.directions.iter().any(|it| it.fin)
            && self.sides.iter().all(is_whole)
    }

    /// Nobody waits on it: most often so.
    #[inline(always)]
    pub(super) fn nobody_waits(&self) -> bool {
        let [there, back] = &self.directions;
        List::are_empty([&there.recvs, &there.sends, &back.recvs, &back.sends])
    }

    #[inline]
    pub(super) fn take_error(&mut self, side: usize) -> i32 {
        std::mem::take(&mut self.sides[side].error)
    }

    /// `tcp_poll` (net/ipv4/tcp.c).
    pub(super) fn readiness(&self, side: usize, queued: usize, buffer: usize) -> Readiness {
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
