//! Connections that end: closing, resets by decision and by wish, what is lost with them and who learns it.

use super::hosts::Name;
use super::kernel::Kernel;
use super::op::Verb;
use super::queue::NIL;
use super::transitions::{Does, Rule};

/// The reset of a side among its parcels: the last.
const RESETS: u32 = u32::MAX;

impl Kernel {
    // ---- trouble

    /// Whether a receive or a send that is in no list has its effect now. If not it fails, waits, or is late.
    #[inline(always)]
    pub(super) fn transfer_comes(&mut self, id: u32) -> bool {
        if !self.decider.kind {
            match self.trouble(id) {
                Does::Reset => return true,
                Does::Error(error) => {
                    self.fails(id, error);
                    return false;
                }
                _ => {}
            }
        }
        self.transfer_is_due(id) && !self.is_late(id)
    }

    /// Offers that something goes wrong under a recv or send: the connection is reset, and is by then, or the
    /// operation alone fails.
    #[inline(never)]
    fn trouble(&mut self, id: u32) -> Does {
        let op = &self.m.ops[id as usize];
        if !matches!(op.verb, Verb::Recv | Verb::Send) || op.lent.len() == 0 {
            return Does::Go;
        }
        let Some((conn, side)) = self.stream_of(op) else {
            return Does::Go;
        };
        let stream = &self.m.tcp.conns[conn];
        let over = stream
            .directions
            .iter()
            .all(|direction| direction.fin && direction.pipe.len() == 0);
        if stream.sides[side].dead || over {
            return Does::Go;
        }
        let trouble = self.pick(Rule::Reset, id);
        if trouble == Does::Reset {
            self.force_reset(conn);
        }
        trouble
    }

    /// A router forgot the connection, or the other host did (RFC 9293, 3.5.2). What was on its way is lost,
    /// both ways.
    #[cold]
    fn force_reset(&mut self, conn: usize) {
        self.touches_all();
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
        if stream.wire != NIL {
            self.silence(conn);
        }
    }

    /// A transfer fails, and its stream is as it was. What a send has moved before is its result.
    #[cold]
    #[inline(never)]
    fn fails(&mut self, id: u32, error: i32) {
        self.touches_all();
        self.check_before_effect(id);
        let op = &self.m.ops[id as usize];
        let moved = op.moved;
        if let Some((conn, _)) = self.stream_of(op) {
            self.m.tcp.conns[conn].forced = true;
        }
        self.gets(id);
        self.finish(id, if moved > 0 { moved as i32 } else { -error });
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
        stream.directions[side ^ 1].lose();
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
        self.m.tcp.conns[conn].directions[side].keep(keep);
    }

    /// The side has no handle any more, nor a place in a backlog.
    pub(super) fn leave(&mut self, conn: u32, side: usize) {
        let stream = &mut self.m.tcp.conns[conn as usize];
        stream.sides[side].open = false;
        stream.smooth = false;
        if self.m.tcp.conns[conn as usize].sides[side ^ 1].open {
            self.settle(conn as usize);
        } else {
            self.cut_wire(conn as usize);
            self.m.tcp.free_conn(conn);
        }
    }

    // ---- the error

    /// When a connection dies under a receive and a send of one side: whichever wakes first.
    #[inline]
    pub(super) fn who_takes_the_error(&mut self, conn: usize, id: u32) -> u32 {
        let stream = &self.m.tcp.conns[conn];
        if self.decider.kind || !stream.sides.iter().any(|side| side.dead) {
            return id;
        }
        let Some((_, side)) = self.stream_of(&self.m.ops[id as usize]) else {
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
}
