//! Connecting: where to, over which link, the three steps of the handshake, and how long it tries.
//!
//! A SYN that nobody answers is sent again after 1 s, 3 s, 7 s and so on, six times (`tcp_syn_retries`,
//! tcp(7)); after 127 s the attempt has timed out. One that finds the backlog full is dropped, like one
//! that a link loses (`tcp_conn_request`): a place that gets free is found by the next.

use std::net::{IpAddr, SocketAddr};

use super::errno;
use super::handles::Object;
use super::hosts::{HERE, HERE_ADDR, Name, Parcel};
use super::kernel::Kernel;
use super::op::{Op, State, Verb};
use super::queue::NIL;
use super::tcp::Route;
use super::transitions::{Does, Rule};

const SECOND: u64 = 1_000_000_000;
/// `tcp_syn_retries` (tcp(7)).
const SYN_RETRIES: u32 = 6;
/// A neighbour that does not answer is asked three times, one second apart (arp(7): `mcast_solicit`,
/// `retrans_time`), then the connect ends with EHOSTUNREACH (`ipv4_link_failure`).
const NO_NEIGHBOUR: u64 = 3 * SECOND;

/// In `Op::listener` of a connect: nobody will answer.
const SILENCE: u32 = NIL - 1;

impl Kernel {
    pub(super) fn connect_possible(&self, op: &Op) -> bool {
        let fresh = |object| matches!(object, Object::Socket { connecting, .. } if !connecting);
        if !fresh(self.m.handles.object(op.handle)) {
            return true;
        }
        let target = self.m.tcp.target(op);
        // Over a link it is the other host that finds out.
        self.link_of(op.handle, target).is_some()
            || self
                .m
                .listener_at(target)
                .is_none_or(|listener| !self.m.tcp.full(listener))
    }

    /// The host that a socket calls from, and what it is bound to.
    fn caller(&self, handle: i32) -> (u16, Option<SocketAddr>) {
        let local = match self.m.handles.object(handle) {
            Object::Socket { bound, .. } if bound != NIL => Some(self.m.tcp.bound[bound as usize]),
            _ => None,
        };
        let host = local.map_or(HERE, |local| self.m.net.host_of(local.ip()));
        (host, local)
    }

    /// The link that a connect from this socket goes over, and the caller's end of it, if it takes time or may be lost.
    fn link_of(&self, handle: i32, target: SocketAddr) -> Option<(usize, usize)> {
        let there = self.m.net.host_of(target.ip());
        self.m.net.far(self.caller(handle).0, there)
    }

    /// The handshake. `None`: it takes its time.
    pub(super) fn connect(&mut self, id: u32) -> Option<i32> {
        let handle = self.m.ops[id as usize].handle;
        match self.m.handles.object(handle) {
            Object::Socket { connecting, .. } if !connecting => {}
            Object::Socket { .. } => return Some(-errno::EALREADY),
            Object::Stream { .. } | Object::Listener(_) => return Some(-errno::EISCONN),
            Object::File { .. } | Object::Event(_) => return Some(-errno::ENOTSOCK),
            Object::Closed => return Some(-errno::EBADF),
        }
        let target = self.m.tcp.target(&self.m.ops[id as usize]);
        let from = self.caller(handle).0;
        match self.m.route(target) {
            Route::None => return Some(-errno::ENETUNREACH),
            Route::Nobody => {
                self.waits_for_answer(id, SILENCE);
                let at = self.m.now.saturating_add(NO_NEIGHBOUR);
                self.answers_at(id, at, errno::EHOSTUNREACH);
                return None;
            }
            // The loopback of another host is out of reach.
            Route::To(HERE) if from != HERE && target.ip().is_loopback() => {
                return Some(-errno::ECONNREFUSED);
            }
            Route::To(_) => {}
        }
        let far = self.link_of(handle, target).is_some();
        let listener = self.m.listener_at(target);
        if listener.is_none() && !far {
            return Some(-errno::ECONNREFUSED);
        }
        match self.pick(Rule::Connect, id) {
            Does::Error(error) => return Some(-error),
            Does::NoAnswer => {
                self.waits_for_answer(id, SILENCE);
                return None;
            }
            _ => {}
        }
        if far {
            self.waits_for_answer(id, NIL);
            self.sends_syn(id);
            return None;
        }
        let conn = self.connected(id, target);
        if let Some(listener) = listener {
            // Connected before anybody accepts: the kernel finishes the handshake by itself (listen(2)).
            self.enqueue(listener, conn);
        }
        Some(0)
    }

    /// The socket of a connect is a stream from now on.
    fn connected(&mut self, id: u32, target: SocketAddr) -> u32 {
        let op = &self.m.ops[id as usize];
        let (raw, event, location) = (op.handle, op.event, op.location);
        let client = match self.m.handles.object(raw) {
            Object::Socket { bound, .. } if bound != NIL => {
                let local = self.m.tcp.bound[bound as usize];
                self.m.tcp.unbind(bound);
                local
            }
            _ => {
                let here = self.m.net.host_of(target.ip()) == HERE;
                let ip = if here {
                    target.ip()
                } else {
                    IpAddr::V4(HERE_ADDR)
                };
                SocketAddr::new(ip, self.m.tcp.new_port())
            }
        };
        let conn = self.m.tcp.new_conn(event, client, target);
        if let Some(handle) = self.m.handles.get_mut(raw) {
            handle.object = Object::Stream { conn, side: 0 };
            handle.event = event;
            handle.location = location;
        }
        conn
    }

    // ---- trying

    /// The attempt is under way.
    fn waits_for_answer(&mut self, id: u32, how: u32) {
        let op = &mut self.m.ops[id as usize];
        op.state = State::Wait;
        op.listener = how;
        // How often the SYN was sent again: a connect has no offset.
        op.offset = 0;
        self.set_connecting(id, true);
        let next = self.m.now.saturating_add(SECOND);
        self.m.timers.push(&mut self.m.ops, id, next);
    }

    /// A connect that is impossible so far: the backlog is full.
    pub(super) fn wait_for_backlog(&mut self, id: u32) {
        self.waits_for_answer(id, NIL);
    }

    /// The attempt is over, one way or another.
    pub(super) fn stop_trying(&mut self, id: u32) {
        self.set_connecting(id, false);
        self.m.ops[id as usize].listener = NIL;
        self.m.timers.remove(&mut self.m.ops, id);
    }

    fn set_connecting(&mut self, id: u32, connecting: bool) {
        if let Some(handle) = self.m.handles.get_mut(self.m.ops[id as usize].handle)
            && let Object::Socket { bound, .. } = handle.object
        {
            handle.object = Object::Socket { connecting, bound };
        }
    }

    /// No answer yet: the clock has taken the attempt out of its heap.
    pub(super) fn try_again(&mut self, id: u32) {
        let op = &mut self.m.ops[id as usize];
        op.offset += 1;
        let (times, how, handle) = (op.offset as u32, op.listener, op.handle);
        if times > SYN_RETRIES {
            self.stop_trying(id);
            return self.finish(id, -errno::ETIMEDOUT);
        }
        let target = self.m.tcp.target(&self.m.ops[id as usize]);
        if how != SILENCE {
            if self.link_of(handle, target).is_some() {
                self.sends_syn(id);
            } else {
                let full = |listener| self.m.tcp.full(listener);
                if !self.m.listener_at(target).is_some_and(full) {
                    self.stop_trying(id);
                    return self.advance(id);
                }
            }
        }
        let next = self.m.now.saturating_add(SECOND << times);
        self.m.timers.push(&mut self.m.ops, id, next);
    }

    // ---- over a link

    fn sends_syn(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (event, order, nth) = (op.event, op.order, op.offset as u32);
        let target = self.m.tcp.target(op);
        let Some((link, end)) = self.link_of(op.handle, target) else {
            return;
        };
        let name = Name::new(event, 2, nth);
        match self.sets_out(link, end, name) {
            Some(at) => {
                self.m
                    .net
                    .add(at, name.event(), Parcel::Syn { op: id, order });
            }
            None => self.note_of(event, None, || "the connect is lost on the way".to_owned()),
        }
    }

    fn answers_at(&mut self, id: u32, at: u64, error: i32) {
        let (event, order) = (self.m.ops[id as usize].event, self.m.ops[id as usize].order);
        let answer = Parcel::Answer {
            op: id,
            order,
            error,
        };
        let nth = self.m.ops[id as usize].offset as u32;
        self.m.net.add(at, Name::new(event, 3, nth).event(), answer);
    }

    /// Whether a parcel is about a connect that still waits for it.
    fn is_awaited(&self, id: u32, order: u64) -> bool {
        let op = &self.m.ops[id as usize];
        op.verb == Verb::Connect && op.order == order && op.state == State::Wait
    }

    pub(super) fn syn_arrives(&mut self, id: u32, order: u64) {
        if !self.is_awaited(id, order) {
            return;
        }
        let op = &self.m.ops[id as usize];
        let (event, nth) = (op.event, op.offset as u32);
        let target = self.m.tcp.target(op);
        let Some((link, end)) = self.link_of(op.handle, target) else {
            // Nothing travels over the link any more: the answer is there at once.
            self.stop_trying(id);
            return self.advance(id);
        };
        if self.m.net.is_lost(link, end, self.m.now) {
            return self.note_of(event, None, || "the connect is lost on the way".to_owned());
        }
        let error = match self.m.listener_at(target) {
            Some(listener) if self.m.tcp.full(listener) => return,
            Some(_) => 0,
            None => errno::ECONNREFUSED,
        };
        let name = Name::new(event, 3, nth);
        match self.sets_out(link, end ^ 1, name) {
            Some(at) => self.answers_at(id, at, error),
            None => self.note_of(event, None, || "the answer is lost on the way".to_owned()),
        }
    }

    pub(super) fn answer_arrives(&mut self, id: u32, order: u64, error: i32) {
        if !self.is_awaited(id, order) {
            return;
        }
        let op = &self.m.ops[id as usize];
        let (event, handle) = (op.event, op.handle);
        let target = self.m.tcp.target(op);
        let way = self.link_of(handle, target);
        if let Some((link, end)) = way
            && self.m.net.is_lost(link, end ^ 1, self.m.now)
        {
            return self.note_of(event, None, || "the answer is lost on the way".to_owned());
        }
        if error != 0 {
            self.stop_trying(id);
            return self.finish(id, -error);
        }
        let caller = self.caller(handle).0;
        self.stop_trying(id);
        let conn = self.connected(id, target) as usize;
        let there = self.m.net.host_of(target.ip());
        let losses = self.config.faults_per_operation;
        let link = self.m.net.link(caller, there, losses);
        self.lay_wire(conn, link, usize::from(caller > there), event);
        self.m.tcp.conns[conn].established = false;
        self.finish(id, 0);
        self.opens_over(conn);
    }

    /// The server's side hears of a connection: it waits to be accepted. An error says that the
    /// backlog is full, or (false) that nobody listens any more.
    pub(super) fn queue_up(&mut self, conn: usize) -> Result<(), bool> {
        let server = self.m.tcp.conns[conn].sides[1].addr;
        let listener = self.m.listener_at(server).ok_or(false)?;
        if self.m.tcp.full(listener) {
            return Err(true);
        }
        self.m.tcp.conns[conn].established = true;
        self.enqueue(listener, conn as u32);
        Ok(())
    }

    /// A host has restarted, or so it looks from outside: it knows nothing any more of the
    /// connections that it had. Its own programs learn it at once, others when they send.
    pub(crate) fn reset_connections(&mut self, host: u16) {
        for conn in 0..self.m.tcp.conns_in_use() {
            let hosts = self.hosts_of(conn);
            for side in 0..2 {
                let stream = &self.m.tcp.conns[conn];
                if hosts[side] != host || !stream.sides[side].is_open() {
                    continue;
                }
                if stream.wire == NIL && hosts[side ^ 1] != host {
                    let (from, to, event) = (hosts[0], hosts[1], stream.event);
                    let link = self.m.net.link(from, to, self.config.faults_per_operation);
                    self.lay_wire(conn, link, usize::from(from > to), event);
                }
                self.forgets(conn, side);
                if side == 1 && (self.unqueue(conn as u32) || !self.m.tcp.conns[conn].established) {
                    // Nobody has a handle of it.
                    self.leave(conn as u32, side);
                }
            }
            if self.m.tcp.conns[conn].is_open() {
                self.settle(conn);
            }
        }
    }
}
