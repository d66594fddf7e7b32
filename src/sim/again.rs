//! What a [wire](super::wire) sends again when nobody answers, and when it gives up.
//!
//! As in *net/ipv4/tcp_timer.c*: what is not acknowledged is sent again after 200 ms and a round trip
//! (`TCP_RTO_MIN`), then after twice that, and so on up to 120 s (`TCP_RTO_MAX`); after 924.6 s (`tcp_retries2`
//! of 15, `retransmits_timed_out`) the connection is given up with ETIMEDOUT, and an orphan, closed by its
//! owner, after 102.2 s (8 times, `tcp_orphan_retries`). Who has nothing to send learns nothing.

use super::hosts::{Name, Parcel};
use super::kernel::Kernel;
use super::queue::NIL;
use crate::choice::EventId;

const RTO_MIN: u64 = 200_000_000;
const RTO_MAX: u64 = 120_000_000_000;
/// Documentation/networking/ip-sysctl: "a hypothetical timeout of 924.6 seconds" for `tcp_retries2`.
const GIVES_UP: u64 = 924_600_000_000;
/// An orphan: eight retransmissions, 0.2 s of 2^9 - 1.
const ORPHAN_GIVES_UP: u64 = 102_200_000_000;
/// `tcp_synack_retries` (tcp(7)).
const SYNACK_RETRIES: u32 = 5;

impl Kernel {
    // ---- the timer

    fn rto(&mut self, conn: usize, tries: u32) -> u64 {
        let link = self.wire(conn).link;
        let round_trip = self.m.net.at(link).latency.saturating_mul(2);
        let first = RTO_MIN.saturating_add(round_trip).min(RTO_MAX);
        first.saturating_mul(1 << tries.min(20)).min(RTO_MAX)
    }

    /// Something of this side is unanswered: it will try again.
    pub(super) fn watch(&mut self, conn: usize, side: usize) {
        let stream = &self.m.tcp.conns[conn].sides[side];
        if stream.gone || stream.dead || self.way(conn, side).timer.is_some() {
            return;
        }
        let now = self.m.now;
        let way = self.way(conn, side);
        if way.acked == way.queued {
            return;
        }
        if way.tries == 0 {
            way.since = now;
        }
        let (tries, event) = (way.tries, self.wire(conn).event);
        let at = now.saturating_add(self.rto(conn, tries));
        let again = Parcel::Again {
            conn: conn as u32,
            side: side as u8,
        };
        let name = Name::new(event, 4 + side, tries).event();
        self.way(conn, side).timer = Some(self.m.net.add(at, name, again));
    }

    pub(super) fn stop_timer(&mut self, conn: usize, side: usize) {
        if let Some(timer) = self.way(conn, side).timer.take() {
            self.m.net.remove(timer);
        }
    }

    /// The retransmission timer of a side has run out.
    pub(super) fn sends_again(&mut self, conn: usize, side: usize) {
        let now = self.m.now;
        let orphan = !self.m.tcp.conns[conn].sides[side].is_open();
        let limit = if orphan { ORPHAN_GIVES_UP } else { GIVES_UP };
        let way = self.way(conn, side);
        way.timer = None;
        if now - way.since >= limit {
            way.cut();
            self.m.tcp.conns[conn].times_out(side);
            return self.settle(conn);
        }
        way.tries += 1;
        let upto = way.sent;
        if self.recorder.on {
            let event = self.wire(conn).event;
            let object = self.m.tcp.stream_name(conn as u32, side as u8);
            self.note_of(event, Some(object), || "sends again".to_owned());
        }
        self.sends_up_to(conn, side, upto);
        self.watch(conn, side);
    }

    /// A link was lost: who waits for room on the other side asks for it by and by.
    pub(super) fn probe_over(&mut self, link: usize) {
        for conn in 0..self.m.tcp.conns_in_use() {
            if self.m.tcp.conns[conn].wire != NIL && self.wire(conn).link == link {
                self.watch(conn, 0);
                self.watch(conn, 1);
            }
        }
    }

    // ---- the third step of the handshake

    /// The client knows that it is connected; the server will, by the next parcel.
    pub(super) fn opens_over(&mut self, conn: usize) {
        let id = conn as u32;
        let event = self.wire(conn).event;
        self.remind(conn, event, 0);
        self.posts(conn, 0, Parcel::Established { conn: id });
    }

    fn remind(&mut self, conn: usize, event: EventId, times: u32) {
        let at = self.m.now.saturating_add(1_000_000_000 << times);
        let conn_id = conn as u32;
        let unanswered = Parcel::Unanswered {
            conn: conn_id,
            times,
        };
        let name = Name::new(event, 6, times).event();
        self.wire(conn).opening = Some(self.m.net.add(at, name, unanswered));
    }

    pub(super) fn established_arrives(&mut self, conn: usize) {
        let parcel = Parcel::Established { conn: conn as u32 };
        if !self.gets_lost(conn, 0, parcel) {
            self.is_established(conn, 0);
        }
    }

    /// Something of side `from` arrives: if it is the first that the server hears, the connection stands in
    /// the listener's queue from now on.
    pub(super) fn is_established(&mut self, conn: usize, from: usize) -> bool {
        let stream = &self.m.tcp.conns[conn];
        if from == 1 || stream.established || stream.sides[1].gone {
            return true;
        }
        match self.queue_up(conn) {
            Ok(()) => {
                if let Some(opening) = self.wire(conn).opening.take() {
                    self.m.net.remove(opening);
                }
                true
            }
            // The queue is full: what completes the handshake is dropped, and comes again (`tcp_v4_syn_recv_sock`).
            Err(true) => false,
            Err(false) => {
                if let Some(opening) = self.wire(conn).opening.take() {
                    self.m.net.remove(opening);
                }
                self.reset_over(conn, 1);
                self.leave(conn as u32, 1);
                false
            }
        }
    }

    /// The third step has not come: the second is repeated, `tcp_synack_retries` times.
    pub(super) fn unanswered(&mut self, conn: usize, times: u32) {
        self.wire(conn).opening = None;
        if times >= SYNACK_RETRIES {
            self.m.tcp.conns[conn].sides[1].gone = true;
            return self.leave(conn as u32, 1);
        }
        let wire = self.wire(conn);
        let (event, link, end) = (wire.event, wire.link, wire.end ^ 1);
        self.remind(conn, event, times + 1);
        // The client answers what it has answered before, if that gets to it.
        if !self.m.net.is_lost(link, end, self.m.now) {
            self.posts(conn, 0, Parcel::Established { conn: conn as u32 });
        }
    }
}
