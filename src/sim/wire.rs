//! Connections over a link that takes time or may be lost: bytes that are sent, under way, arrived and
//! acknowledged.
//!
//! Such a connection has two buffers a direction: the sender's keeps what has not been acknowledged, the
//! receiver's is the [`pipe`](super::pipe) of the stream, as on a connection without a wire. A position counts
//! the bytes of a direction, and the end as one more.

use super::handles::Object;
use super::hosts::{Arrival, Name, Parcel};
use super::kernel::Kernel;
use super::lent::Lent;
use super::op::Op;
use super::pipe::Pipe;
use super::queue::NIL;
use crate::choice::EventId;

/// One direction.
#[derive(Default)]
pub(super) struct Way {
    /// What was accepted from the sender and not acknowledged: from position `acked` on.
    pub(super) out: Pipe,
    pub(super) acked: u64,
    /// What has arrived in order.
    pub(super) arrived: u64,
    pub(super) sent: u64,
    /// All that was accepted.
    pub(super) queued: u64,
    /// The last position is the end.
    pub(super) fin: bool,
    /// Nothing overtakes within a direction: a segment that comes early waits for those before it.
    pub(super) last_arrival: u64,
    pub(super) timer: Option<Arrival>,
    /// Since when an acknowledgement is missing, and how often it was sent again.
    pub(super) since: u64,
    pub(super) tries: u32,
    pub(super) parcels: u32,
}

/// What a connection over a link has more than another one.
pub(super) struct Wire {
    /// The connect that made it: what its parcels belong to.
    pub(super) event: EventId,
    pub(super) link: usize,
    /// The end of the link at which side 0 is.
    pub(super) end: usize,
    pub(super) ways: [Way; 2],
    /// The server's side waits for the third step of the handshake.
    pub(super) opening: Option<Arrival>,
}

impl Way {
    /// The position after the last byte.
    pub(super) fn data_end(&self) -> u64 {
        self.queued - u64::from(self.fin)
    }

    fn clear(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        *self = Way {
            out,
            ..Way::default()
        };
    }

    /// What has not left yet never will.
    pub(super) fn cut(&mut self) {
        if self.sent < self.queued {
            self.fin = false;
            self.queued = self.sent;
        }
    }
}

impl Kernel {
    #[inline]
    pub(super) fn wire(&mut self, conn: usize) -> &mut Wire {
        let wire = self.m.tcp.conns[conn].wire;
        &mut self.m.tcp.wires[wire as usize]
    }

    pub(super) fn way(&mut self, conn: usize, from: usize) -> &mut Way {
        &mut self.wire(conn).ways[from]
    }

    /// Gives a connection a wire. What it has sent so far has arrived, and is known to have.
    pub(super) fn lay_wire(&mut self, conn: usize, link: usize, end: usize, event: EventId) {
        let place = self.m.tcp.free_wires.pop().unwrap_or_else(|| {
            self.m.tcp.wires.push(Wire {
                event,
                link,
                end,
                ways: Default::default(),
                opening: None,
            });
            self.m.tcp.wires.len() as u32 - 1
        });
        let ends = self.m.tcp.conns[conn].ends();
        let wire = &mut self.m.tcp.wires[place as usize];
        (wire.event, wire.link, wire.end) = (event, link, end);
        wire.opening = None;
        for (way, ended) in wire.ways.iter_mut().zip(ends) {
            way.clear();
            way.fin = ended;
            let so_far = u64::from(ended);
            (way.acked, way.arrived, way.sent, way.queued) = (so_far, so_far, so_far, so_far);
        }
        self.m.tcp.conns[conn].wire = place;
        self.m.tcp.conns[conn].smooth = false;
    }

    /// Every connection between two hosts has a wire from now on.
    pub(super) fn wire_all(&mut self, a: u16, b: u16) {
        for conn in 0..self.m.tcp.conns_in_use() {
            let stream = &self.m.tcp.conns[conn];
            if stream.wire == NIL && stream.is_open() {
                let (hosts, event) = (self.hosts_of(conn), stream.event);
                if hosts == [a, b] || hosts == [b, a] {
                    let link = self.m.net.link(a, b, self.config.faults_per_operation);
                    let end = usize::from(hosts[0] > hosts[1]);
                    self.lay_wire(conn, link, end, event);
                }
            }
        }
    }

    /// The hosts of both sides.
    pub(super) fn hosts_of(&self, conn: usize) -> [u16; 2] {
        let sides = &self.m.tcp.conns[conn].sides;
        [0, 1].map(|side: usize| self.m.net.host_of(sides[side].addr.ip()))
    }

    /// The connection is no more: nothing of it arrives, and its wire is another's.
    pub(super) fn cut_wire(&mut self, conn: usize) {
        let wire = std::mem::replace(&mut self.m.tcp.conns[conn].wire, NIL);
        if wire != NIL {
            self.m.net.forget(conn as u32);
            self.m.tcp.free_wires.push(wire);
        }
    }

    /// Nothing of what is under way arrives any more: the connection was forgotten on both sides.
    pub(super) fn silence(&mut self, conn: usize) {
        self.m.net.forget(conn as u32);
        self.wire(conn).opening = None;
        for side in 0..2 {
            let way = self.way(conn, side);
            way.timer = None;
            way.cut();
            way.acked = way.queued;
            way.arrived = way.queued;
            way.out.clear();
            self.m.tcp.conns[conn].sides[side].gone = true;
        }
        if !self.m.tcp.conns[conn].established {
            self.leave(conn as u32, 1);
        }
    }

    /// Side `from` sends something.
    pub(super) fn posts(&mut self, conn: usize, from: usize, parcel: Parcel) {
        let wire = self.wire(conn);
        let way = &mut wire.ways[from];
        way.parcels += 1;
        let (event, link, end) = (wire.event, wire.link, wire.end ^ from);
        let name = Name::new(event, from, wire.ways[from].parcels);
        match self.sets_out(link, end, name) {
            Some(at) => {
                let way = self.way(conn, from);
                way.last_arrival = at.max(way.last_arrival);
                let at = way.last_arrival;
                self.m.net.add(at, name.event(), parcel);
            }
            None => self.is_lost(conn, from, parcel),
        }
    }

    /// Whether a parcel of side `from` that would arrive now does not.
    pub(super) fn gets_lost(&mut self, conn: usize, from: usize, parcel: Parcel) -> bool {
        let wire = self.wire(conn);
        let (link, end) = (wire.link, wire.end ^ from);
        let lost = self.m.net.is_lost(link, end, self.m.now);
        if lost {
            self.is_lost(conn, from, parcel);
        }
        lost
    }

    fn is_lost(&mut self, conn: usize, from: usize, parcel: Parcel) {
        if self.recorder.on {
            let event = self.wire(conn).event;
            let object = self.m.tcp.stream_name(conn as u32, from as u8);
            let text = match parcel {
                Parcel::Data { .. } => "what it sends is lost on the way",
                Parcel::Reset { .. } => "its reset is lost on the way",
                _ => "its acknowledgement is lost on the way",
            };
            self.note_of(event, Some(object), || text.to_owned());
        }
        if let Parcel::Ack { to, .. } = parcel {
            // It may have been what a full peer waits for: that one asks again, by and by.
            self.watch(conn, usize::from(to));
        }
    }

    /// What keeps an operation from its end that a link has to do with.
    pub(super) fn reason_on_a_wire(&self, op: &Op) -> Option<&'static str> {
        let Object::Stream { conn, side } = self.m.handles.object(op.handle) else {
            return None;
        };
        let stream = &self.m.tcp.conns[conn as usize];
        let wire = self.m.tcp.wires.get(stream.wire as usize)?;
        let (near, far) = (usize::from(side), usize::from(side ^ 1));
        let lost = |from: usize| self.m.net.is_lost(wire.link, wire.end ^ from, self.m.now);
        if stream.sides[far].gone {
            Some("for its peer, whose kernel has forgotten the connection: it is half-open")
        } else if lost(near) || lost(far) {
            Some("for its peer, over a link that is lost")
        } else {
            None
        }
    }

    // ---- sending

    /// How much more a send can leave with its kernel.
    pub(super) fn room_to_send(&self, conn: usize, side: usize) -> usize {
        let wire = self.m.tcp.conns[conn].wire;
        let way = &self.m.tcp.wires[wire as usize].ways[side];
        self.config.stream_buffer.saturating_sub(way.out.len())
    }

    /// Takes `n` bytes for the other side.
    ///
    /// # Safety
    ///
    /// As [`Pipe::fill`].
    pub(super) unsafe fn send_over(
        &mut self,
        conn: usize,
        side: usize,
        from: Lent,
        start: u32,
        n: usize,
    ) {
        let way = self.way(conn, side);
        // SAFETY: the caller's promise.
        unsafe { way.out.fill(from, start, n) };
        way.queued += n as u64;
        self.transmit(conn, side);
    }

    /// Nothing will follow.
    pub(super) fn end_over(&mut self, conn: usize, side: usize) {
        let way = self.way(conn, side);
        if !way.fin {
            way.fin = true;
            way.queued += 1;
            self.transmit(conn, side);
        }
    }

    /// The side closes with a RST: what it has sent arrives before it, what it has not is lost.
    pub(super) fn reset_over(&mut self, conn: usize, side: usize) {
        self.stop_timer(conn, side);
        self.way(conn, side).cut();
        self.m.tcp.conns[conn].sides[side].gone = true;
        let to = side as u8 ^ 1;
        let conn_id = conn as u32;
        self.posts(conn, side, Parcel::Reset { conn: conn_id, to });
    }

    /// Sends what the receiver has room for.
    fn transmit(&mut self, conn: usize, side: usize) {
        let unread = self.m.tcp.conns[conn].unread(side ^ 1) as u64;
        let capacity = self.config.stream_buffer as u64;
        let way = self.way(conn, side);
        let window = way.arrived + capacity.saturating_sub(unread);
        let mut upto = way.data_end().min(window);
        if way.fin && upto == way.data_end() {
            upto += 1;
        }
        if upto > way.sent {
            way.sent = upto;
            self.sends_up_to(conn, side, upto);
        }
        if self.way(conn, side).acked < self.way(conn, side).sent {
            self.watch(conn, side);
        }
    }

    pub(super) fn sends_up_to(&mut self, conn: usize, side: usize, upto: u64) {
        let parcel = Parcel::Data {
            conn: conn as u32,
            from: side as u8,
            upto,
        };
        self.posts(conn, side, parcel);
    }

    /// The side has read: a sender who waits for room is told.
    #[cold]
    pub(super) fn room_over(&mut self, conn: usize, side: usize) {
        let way = self.way(conn, side ^ 1);
        if way.queued > way.sent && !self.m.tcp.conns[conn].sides[side].gone {
            self.acknowledges(conn, side);
        }
    }

    fn acknowledges(&mut self, conn: usize, side: usize) {
        let upto = self.way(conn, side ^ 1).arrived;
        let parcel = Parcel::Ack {
            conn: conn as u32,
            to: side as u8 ^ 1,
            upto,
        };
        self.posts(conn, side, parcel);
    }

    // ---- arriving

    /// What side `from` has sent comes to the other one.
    pub(super) fn data_arrives(&mut self, conn: usize, from: usize, upto: u64) {
        let parcel = Parcel::Data {
            conn: conn as u32,
            from: from as u8,
            upto,
        };
        if self.gets_lost(conn, from, parcel) || !self.is_established(conn, from) {
            return;
        }
        let to = from ^ 1;
        let side = &self.m.tcp.conns[conn].sides[to];
        let (nobody, refuses) = (side.gone || side.dead, side.refuses_bytes());
        let way = self.way(conn, from);
        let (news, data) = (way.arrived..upto, way.data_end().min(upto));
        if nobody || refuses && news.start < data {
            // Nobody is there who could take it (`tcp_v4_send_reset`), or it is in FIN_WAIT and will not
            // (`tcp_rcv_state_process`, LINUX_MIB_TCPABORTONDATA).
            self.reset_over(conn, to);
            self.m.tcp.conns[conn].killed(to);
            return self.settle(conn);
        }
        if !news.is_empty() {
            let Wire { ways, .. } = &mut self.m.tcp.wires[self.m.tcp.conns[conn].wire as usize];
            let way = &mut ways[from];
            let stream = &mut self.m.tcp.conns[conn];
            let n = data.saturating_sub(way.arrived) as usize;
            let at = (way.arrived - way.acked) as usize;
            stream.arrive(from, &mut way.out, at, n);
            way.arrived = upto;
            if way.fin && upto == way.queued {
                stream.ends_for(to);
            }
        }
        self.acknowledges(conn, to);
        self.settle(conn);
    }

    /// Side `to` learns what has arrived.
    pub(super) fn ack_arrives(&mut self, conn: usize, to: usize, upto: u64) {
        let parcel = Parcel::Ack {
            conn: conn as u32,
            to: to as u8,
            upto,
        };
        if self.gets_lost(conn, to ^ 1, parcel) {
            return;
        }
        let side = &self.m.tcp.conns[conn].sides[to];
        if side.gone || side.dead {
            return;
        }
        let now = self.m.now;
        let way = self.way(conn, to);
        (way.tries, way.since) = (0, now);
        if upto > way.acked {
            let bytes = upto.min(way.data_end()).saturating_sub(way.acked);
            way.out.skip(bytes as usize);
            way.acked = upto;
        }
        self.stop_timer(conn, to);
        self.transmit(conn, to);
        self.settle(conn);
    }

    /// A RST comes to side `to`.
    pub(super) fn reset_arrives(&mut self, conn: usize, to: usize) {
        let parcel = Parcel::Reset {
            conn: conn as u32,
            to: to as u8,
        };
        if self.gets_lost(conn, to ^ 1, parcel) {
            return;
        }
        self.stop_timer(conn, to);
        self.way(conn, to).cut();
        self.m.tcp.conns[conn].killed(to);
        self.m.tcp.conns[conn].sides[to].gone = true;
        if to == 1 && !self.m.tcp.conns[conn].established {
            // It never got as far as to the queue of the listener.
            return self.leave(conn as u32, to);
        }
        self.settle(conn);
    }

    /// The kernel of a side forgets the connection: its program learns it, the other side does not.
    pub(super) fn forgets(&mut self, conn: usize, side: usize) {
        self.m.tcp.conns[conn].killed(side);
        if self.m.tcp.conns[conn].wire != NIL {
            self.stop_timer(conn, side);
            self.way(conn, side).cut();
            self.m.tcp.conns[conn].sides[side].gone = true;
        }
    }
}
