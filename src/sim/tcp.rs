//! TCP: addresses, listeners with a backlog, the handshake, accepting, closing.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::{Op, State, Verb};
use super::oracle::Oracle;
use super::queue::{List, NIL};
use super::stream::Conn;
use super::transitions::{Does, Rule};
use crate::choice::EventId;

/// `tcp_syn_retries` is 6: a connection attempt that nobody answers ends after 127 s (tcp(7)).
const SYN_TIMEOUT: u64 = 127_000_000_000;
/// `net.core.somaxconn` (listen(2)): a larger backlog is cut to it.
const SOMAXCONN: u32 = 4096;
/// `net.ipv4.ip_local_port_range` (ip(7)).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// A socket that listens.
pub(super) struct Listener {
    open: bool,
    pub(super) addr: SocketAddr,
    backlog: usize,
    reuse_port: bool,
    /// Connections whose handshake is done, by their place in `Tcp::conns`: accepted in this order.
    queue: VecDeque<u32>,
    accepts: List,
    /// Connection attempts whose SYN was dropped because the backlog is full.
    attempts: List,
}

/// Everything that TCP knows. Places are reused with their memory.
#[derive(Default)]
pub(super) struct Tcp {
    pub(super) conns: Vec<Conn>,
    free_conns: Vec<u32>,
    /// Places from here on are fresh in this run.
    used_conns: usize,
    next_number: u32,
    pub(super) listeners: Vec<Listener>,
    used_listeners: usize,
    ports_given: u16,
    /// Where sockets are bound that are not connected. Place 0 stands for the first.
    bound: Vec<SocketAddr>,
    free_bound: Vec<u32>,
}

impl Tcp {
    pub(super) fn clear(&mut self) {
        self.free_conns.clear();
        self.used_conns = 0;
        self.next_number = 0;
        self.used_listeners = 0;
        self.ports_given = 0;
        self.bound.clear();
        self.free_bound.clear();
    }

    fn new_conn(&mut self, client: SocketAddr, server: SocketAddr) -> u32 {
        let place = self.free_conns.pop().unwrap_or_else(|| {
            self.used_conns += 1;
            if self.conns.len() < self.used_conns {
                self.conns.push(Conn::new(client, server));
            }
            self.used_conns as u32 - 1
        });
        self.next_number += 1;
        self.conns[place as usize].open(self.next_number, client, server);
        place
    }

    pub(super) fn free_conn(&mut self, conn: u32) {
        self.free_conns.push(conn);
    }

    fn listeners(&self) -> &[Listener] {
        &self.listeners[..self.used_listeners]
    }

    fn new_port(&mut self) -> u16 {
        loop {
            let port = EPHEMERAL.start() + self.ports_given % (EPHEMERAL.len() as u16);
            self.ports_given = (self.ports_given + 1) % EPHEMERAL.len() as u16;
            if !self
                .listeners()
                .iter()
                .any(|listener| listener.open && listener.addr.port() == port)
            {
                return port;
            }
        }
    }

    /// Who listens at `addr`: an exact address before a wildcard; among several that share a port
    /// (SO_REUSEPORT) one by the number of connections so far, as a hash would spread them.
    fn find(&self, addr: SocketAddr) -> Option<u32> {
        for wildcard in [false, true] {
            let matches = |listener: &&Listener| {
                listener.open
                    && listener.addr.port() == addr.port()
                    && if wildcard {
                        covers(listener.addr.ip(), addr.ip())
                    } else {
                        listener.addr.ip() == addr.ip()
                    }
            };
            let count = self.listeners().iter().filter(matches).count();
            if count > 0 {
                let nth = self.next_number as usize % count;
                let found = (0u32..)
                    .zip(self.listeners())
                    .filter(|(_, listener)| matches(listener))
                    .nth(nth);
                return found.map(|(place, _)| place);
            }
        }
        None
    }

    /// Binds a socket. A port of 0 gets one now, as without IP_BIND_ADDRESS_NO_PORT (ip(7)).
    fn bind(&mut self, local: SocketAddr) -> Result<u32, i32> {
        if is_nobodys(local.ip()) {
            return Err(errno::EADDRNOTAVAIL);
        }
        let port = match local.port() {
            0 => self.new_port(),
            port => port,
        };
        let local = SocketAddr::new(local.ip(), port);
        if self.is_taken(local) {
            return Err(errno::EADDRINUSE);
        }
        Ok(match self.free_bound.pop() {
            Some(place) => {
                self.bound[place as usize] = local;
                place
            }
            None => {
                self.bound.push(local);
                self.bound.len() as u32 - 1
            }
        })
    }

    /// Whether a socket without SO_REUSEADDR can't have this address (`inet_csk_get_port`): somebody
    /// listens there, is bound there, or has a connection from there.
    fn is_taken(&self, local: SocketAddr) -> bool {
        let meets = |other: SocketAddr| {
            other.port() == local.port()
                && (other.ip() == local.ip()
                    || covers(other.ip(), local.ip())
                    || covers(local.ip(), other.ip()))
        };
        let listens = |listener: &Listener| listener.open && meets(listener.addr);
        let bound = |(place, addr): (usize, &SocketAddr)| {
            !self.free_bound.contains(&(place as u32)) && meets(*addr)
        };
        self.listeners().iter().any(listens)
            || self.bound.iter().enumerate().any(bound)
            || self.conns[..self.used_conns]
                .iter()
                .any(|conn| conn.is_at(meets))
    }

    /// The socket has another place, or is gone.
    fn unbind(&mut self, bound: u32) {
        if bound != NIL {
            self.free_bound.push(bound);
        }
    }

    fn full(&self, listener: u32) -> bool {
        // `sk_acceptq_is_full` (include/net/sock.h) compares with >, so one more than the backlog fits.
        let listener = &self.listeners[listener as usize];
        listener.queue.len() > listener.backlog
    }

    /// Where a connect goes.
    pub(super) fn target(&self, op: &Op) -> SocketAddr {
        // SAFETY: called for operations that are in flight only; a connect lends its address.
        let addr = unsafe { op.lent.ptr().cast::<SocketAddr>().read_unaligned() };
        // Linux takes the unspecified address for this host (ip(7)).
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => {
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), addr.port())
            }
            IpAddr::V6(ip) if ip.is_unspecified() => {
                SocketAddr::new(Ipv6Addr::LOCALHOST.into(), addr.port())
            }
            _ => addr,
        }
    }

    pub(super) fn has_connections(&self, listener: u32) -> bool {
        !self.listeners[listener as usize].queue.is_empty()
    }

    pub(super) fn listener_name(&self, listener: u32) -> String {
        format!("listener {}", self.listeners[listener as usize].addr)
    }

    pub(super) fn stream_name(&self, conn: u32, side: u8) -> String {
        let conn = &self.conns[conn as usize];
        let who = if conn.sides[usize::from(side)].scripted {
            ["scripted client", "scripted server"]
        } else {
            ["client", "server"]
        };
        format!("c{} {}", conn.number, who[usize::from(side)])
    }
}

/// A listener at the unspecified address hears every address of its family; `::` hears IPv4 too,
/// unless `net.ipv6.bindv6only` is set (ipv6(7)).
fn covers(listening: IpAddr, addr: IpAddr) -> bool {
    listening.is_unspecified() && (listening.is_ipv6() || addr.is_ipv4())
}

/// Addresses that nobody ever has: those set aside for documentation (RFC 5737, RFC 3849), and those that stand
/// for many. All others are this machine's.
fn is_nobodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_documentation() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.segments()[..2] == [0x2001, 0xdb8],
    }
}

impl Kernel {
    /// Opens a listening socket, or says which error bind or listen would give.
    pub(crate) fn listen(
        &mut self,
        addr: SocketAddr,
        backlog: u32,
        reuse_port: bool,
    ) -> Result<i32, i32> {
        let taken = |listener: &Listener| {
            listener.open
                && listener.addr.port() == addr.port()
                && !(reuse_port && listener.reuse_port)
                && (listener.addr.ip() == addr.ip()
                    || covers(listener.addr.ip(), addr.ip())
                    || covers(addr.ip(), listener.addr.ip()))
        };
        if is_nobodys(addr.ip()) {
            return Err(errno::EADDRNOTAVAIL);
        }
        let tcp = &mut self.m.tcp;
        if addr.port() != 0 && tcp.listeners().iter().any(taken) {
            return Err(errno::EADDRINUSE);
        }
        let port = if addr.port() == 0 {
            tcp.new_port()
        } else {
            addr.port()
        };
        let place = tcp
            .listeners()
            .iter()
            .position(|listener| !listener.open)
            .unwrap_or_else(|| {
                tcp.used_listeners += 1;
                if tcp.listeners.len() < tcp.used_listeners {
                    tcp.listeners.push(Listener {
                        open: false,
                        addr,
                        backlog: 0,
                        reuse_port: false,
                        queue: VecDeque::new(),
                        accepts: List::default(),
                        attempts: List::default(),
                    });
                }
                tcp.used_listeners - 1
            });
        let raw = self
            .m
            .handles
            .insert(Object::Listener(place as u32), EventId::ROOT, None)
            .ok_or(errno::EMFILE)?;
        let listener = &mut self.m.tcp.listeners[place];
        listener.open = true;
        listener.addr = SocketAddr::new(addr.ip(), port);
        listener.backlog = backlog.min(SOMAXCONN) as usize;
        listener.reuse_port = reuse_port;
        listener.queue.clear();
        listener.accepts = List::default();
        listener.attempts = List::default();
        Ok(raw)
    }

    /// Opens a socket that can be connected, from `local` if that is given, or says which error bind
    /// would give.
    pub(crate) fn socket(&mut self, local: Option<SocketAddr>) -> Result<i32, i32> {
        let bound = match local {
            Some(local) => self.m.tcp.bind(local)?,
            None => NIL,
        };
        let object = Object::Socket {
            connecting: false,
            bound,
        };
        let handle = self.m.handles.insert(object, EventId::ROOT, None);
        handle.ok_or(errno::EMFILE)
    }

    /// getsockname(2)
    pub(crate) fn local_addr(&self, raw: i32) -> Result<SocketAddr, i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { bound: NIL, .. } => {
                Ok(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0))
            }
            Object::Socket { bound, .. } => Ok(self.m.tcp.bound[bound as usize]),
            Object::Listener(listener) => Ok(self.m.tcp.listeners[listener as usize].addr),
            Object::Stream { conn, side } => {
                Ok(self.m.tcp.conns[conn as usize].sides[usize::from(side)].addr)
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    /// getpeername(2)
    pub(crate) fn peer_addr(&self, raw: i32) -> Result<SocketAddr, i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Err(errno::ENOTCONN),
            Object::Stream { conn, side } => {
                let conn = &self.m.tcp.conns[conn as usize];
                // `inet_getname`: a connection that was torn down has no peer any more.
                match conn.sides[usize::from(side)].dead {
                    true => Err(errno::ENOTCONN),
                    false => Ok(conn.sides[usize::from(side ^ 1)].addr),
                }
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    /// TCP_NODELAY; has no effect but to be remembered: the simulation delays nothing for Nagle.
    pub(crate) fn set_nodelay(&mut self, raw: i32, on: bool) -> Result<(), i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Ok(()),
            Object::Stream { conn, side } => {
                self.m.tcp.conns[conn as usize].sides[usize::from(side)].nodelay = on;
                Ok(())
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    pub(crate) fn nodelay(&self, raw: i32) -> Result<bool, i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Ok(false),
            Object::Stream { conn, side } => {
                Ok(self.m.tcp.conns[conn as usize].sides[usize::from(side)].nodelay)
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    /// SO_LINGER, in seconds. Only zero makes a difference: nobody waits for a close here.
    pub(crate) fn set_linger(&mut self, raw: i32, seconds: Option<u64>) -> Result<(), i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Ok(()),
            Object::Stream { conn, side } => {
                self.m.tcp.conns[conn as usize].sides[usize::from(side)].linger = seconds;
                Ok(())
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    pub(crate) fn linger(&self, raw: i32) -> Result<Option<u64>, i32> {
        match self.m.handles.object(raw) {
            Object::Closed => Err(errno::EBADF),
            Object::Socket { .. } | Object::Listener(_) => Ok(None),
            Object::Stream { conn, side } => {
                Ok(self.m.tcp.conns[conn as usize].sides[usize::from(side)].linger)
            }
            Object::File { .. } | Object::Event(_) => Err(errno::ENOTSOCK),
        }
    }

    // ---- connect

    pub(super) fn connect_possible(&self, op: &Op) -> bool {
        let fresh = |object| matches!(object, Object::Socket { connecting, .. } if !connecting);
        if !fresh(self.m.handles.object(op.handle)) {
            return true;
        }
        self.m
            .tcp
            .find(self.m.tcp.target(op))
            .is_none_or(|listener| !self.m.tcp.full(listener))
    }

    /// The handshake. `None`: nobody answers, and the attempt runs into its timeout.
    pub(super) fn connect(&mut self, id: u32) -> Option<i32> {
        let op = &self.m.ops[id as usize];
        let (handle, event) = (op.handle, op.event);
        let bound = match self.m.handles.object(handle) {
            Object::Socket { connecting, bound } if !connecting => bound,
            Object::Socket { .. } => return Some(-errno::EALREADY),
            Object::Stream { .. } | Object::Listener(_) => return Some(-errno::EISCONN),
            Object::File { .. } | Object::Event(_) => return Some(-errno::ENOTSOCK),
            Object::Closed => return Some(-errno::EBADF),
        };
        let target = self.m.tcp.target(op);
        if is_nobodys(target.ip()) {
            // No route (`ip_route_connect`).
            return Some(-errno::ENETUNREACH);
        }
        let Some(listener) = self.m.tcp.find(target) else {
            return Some(-errno::ECONNREFUSED);
        };
        match self.pick(Rule::Connect, id) {
            Does::Error(error) => return Some(-error),
            Does::NoAnswer => {
                self.m.ops[id as usize].state = State::Wait;
                self.m.ops[id as usize].listener = NIL;
                self.attempt(id);
                return None;
            }
            _ => {}
        }
        let client = match bound {
            NIL => SocketAddr::new(target.ip(), self.m.tcp.new_port()),
            bound => self.m.tcp.bound[bound as usize],
        };
        self.m.tcp.unbind(bound);
        let conn = self.m.tcp.new_conn(client, target);
        if let Some(handle) = self.m.handles.get_mut(handle) {
            handle.object = Object::Stream { conn, side: 0 };
            handle.event = event;
            handle.location = self.m.ops[id as usize].location;
        }
        // Connected before anybody accepts: the kernel finishes the handshake by itself (listen(2)).
        self.m.tcp.listeners[listener as usize]
            .queue
            .push_back(conn);
        self.settle_listener(listener);
        Some(0)
    }

    /// A connection attempt that has not been answered: it ends by itself one day.
    fn attempt(&mut self, id: u32) {
        self.set_connecting(id, true);
        self.m
            .timers
            .push(&mut self.m.ops, id, self.m.now.saturating_add(SYN_TIMEOUT));
    }

    fn set_connecting(&mut self, id: u32, connecting: bool) {
        if let Some(handle) = self.m.handles.get_mut(self.m.ops[id as usize].handle)
            && let Object::Socket { bound, .. } = handle.object
        {
            handle.object = Object::Socket { connecting, bound };
        }
    }

    /// The timeout of a connection attempt came; the clock has taken it out of its heap.
    pub(super) fn attempt_timed_out(&mut self, id: u32) {
        self.leave_listener(id);
        self.finish(id, -errno::ETIMEDOUT);
    }

    // ---- accept

    pub(super) fn accept_possible(&self, op: &Op) -> bool {
        match self.m.handles.object(op.handle) {
            Object::Listener(listener) => !self.m.tcp.listeners[listener as usize].queue.is_empty(),
            _ => true,
        }
    }

    pub(super) fn accept(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let (event, location) = (op.event, op.location);
        let listener = match self.m.handles.object(op.handle) {
            Object::Listener(listener) => listener as usize,
            Object::Closed => return -errno::EBADF,
            Object::File { .. } | Object::Event(_) => return -errno::ENOTSOCK,
            _ => return -errno::EINVAL,
        };
        let Some(&conn) = self.m.tcp.listeners[listener].queue.front() else {
            return -errno::EINVAL;
        };
        if let Does::Error(error) = self.pick(Rule::Accept, id) {
            return -error;
        }
        let Some(raw) = self
            .m
            .handles
            .insert(Object::Stream { conn, side: 1 }, event, location)
        else {
            return -errno::EMFILE;
        };
        self.m.tcp.listeners[listener].queue.pop_front();
        raw
    }

    // ---- waiting

    pub(super) fn wait_on_listener(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let accepting = op.verb == Verb::Accept;
        let listener = match self.m.handles.object(op.handle) {
            Object::Listener(listener) => Some(listener),
            _ => self.m.tcp.find(self.m.tcp.target(op)),
        };
        let Some(place) = listener else { return };
        self.m.ops[id as usize].listener = place;
        let listener = &mut self.m.tcp.listeners[place as usize];
        if accepting {
            listener.accepts.push(&mut self.m.ops, id);
        } else {
            listener.attempts.push(&mut self.m.ops, id);
            self.attempt(id);
        }
    }

    pub(super) fn leave_listener(&mut self, id: u32) {
        let op = &mut self.m.ops[id as usize];
        let (verb, place) = (op.verb, std::mem::replace(&mut op.listener, NIL));
        if let Some(listener) = self.m.tcp.listeners.get_mut(place as usize) {
            let line = if verb == Verb::Accept {
                &mut listener.accepts
            } else {
                &mut listener.attempts
            };
            line.unlink(&mut self.m.ops, id);
        }
        if verb == Verb::Connect {
            self.set_connecting(id, false);
            self.m.timers.remove(&mut self.m.ops, id);
        }
    }

    /// Lets accepts that wait take connections, and connection attempts the places that get free.
    fn settle_listener(&mut self, place: u32) {
        loop {
            let listener = &self.m.tcp.listeners[place as usize];
            let next = match (listener.accepts.first(), listener.attempts.first()) {
                (Some(accept), _) if !listener.open || !listener.queue.is_empty() => accept,
                (_, Some(attempt)) if !listener.open || !self.m.tcp.full(place) => attempt,
                _ => return,
            };
            self.leave_listener(next);
            self.advance(next);
        }
    }

    pub(super) fn settle_listener_of(&mut self, handle: i32) {
        if let Object::Listener(listener) = self.m.handles.object(handle) {
            self.settle_listener(listener);
        }
    }

    /// The socket listens no more: who is in the backlog is reset, who knocks is refused
    /// (`inet_csk_listen_stop`).
    fn stop_listening(&mut self, place: u32) {
        self.m.tcp.listeners[place as usize].open = false;
        while let Some(conn) = self.m.tcp.listeners[place as usize].queue.pop_front() {
            self.abort(conn, 1);
        }
        self.settle_listener(place);
    }

    /// shutdown(2) of a listener: `tcp_disconnect`, if the reading side is meant.
    pub(super) fn shutdown_listener(&mut self, handle: i32, place: u32, how: u32) -> i32 {
        if how != 1 {
            if let Some(handle) = self.m.handles.get_mut(handle) {
                handle.object = Object::Socket {
                    connecting: false,
                    bound: NIL,
                };
            }
            self.stop_listening(place);
        }
        0
    }

    // ---- close

    /// close(2). Nothing may be in flight on the handle: then it stays open, and I4 is broken.
    pub(crate) fn close(&mut self, raw: i32) {
        self.puts(raw);
        let Some(handle) = self.m.handles.get(raw) else {
            let message = format!(
                "handle {} was closed twice",
                super::handles::Handles::number(raw)
            );
            return self.fail(Oracle::ClosedTwice, message, EventId::ROOT, None);
        };
        let (object, in_flight, event, location) = (
            handle.object,
            handle.in_flight,
            handle.event,
            handle.location,
        );
        if in_flight > 0 {
            let name = self.m.object_name(raw);
            let message = format!("{name} was closed with {in_flight} operations in flight");
            return self.fail(Oracle::UseAfterClose, message, event, location);
        }
        if self.recorder.on {
            let name = self.m.object_name(raw);
            self.recorder.close(event, name, self.m.now);
        }
        self.m.handles.remove(raw);
        if !matches!(object, Object::Socket { .. }) {
            // (A socket that never came to anything may be one of endless attempts.)
            self.progress = self.steps;
        }
        match object {
            Object::Listener(listener) => self.stop_listening(listener),
            Object::Stream { conn, side } => self.close_side(conn, side),
            Object::File { node, .. } => self.m.files.release(node),
            Object::Socket { bound, .. } => self.m.tcp.unbind(bound),
            Object::Event(event) => self.m.events.release(event),
            Object::Closed => {}
        }
    }
}
