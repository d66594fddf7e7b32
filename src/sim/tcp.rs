//! TCP: who has which address and port, sockets and their options, closing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::conn::Conn;
use super::errno;
use super::handles::Object;
use super::hosts::{HERE, HERE_ADDR};
use super::kernel::{Kernel, Machine};
use super::listener::Listener;
use super::op::Op;
use super::oracle::Oracle;
use super::queue::NIL;
use super::wire::Wire;
use crate::choice::EventId;

/// `net.ipv4.ip_local_port_range` (ip(7)).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

/// Everything that TCP knows. Places are reused with their memory.
#[derive(Default)]
pub(super) struct Tcp {
    pub(super) conns: Vec<Conn>,
    free_conns: Vec<u32>,
    /// Places from here on are fresh in this run.
    used_conns: usize,
    next_number: u32,
    pub(super) listeners: Vec<Listener>,
    pub(super) used_listeners: usize,
    ports_given: u16,
    pub(super) wires: Vec<Wire>,
    pub(super) free_wires: Vec<u32>,
    /// Where sockets are bound that are not connected. Place 0 stands for the first.
    pub(super) bound: Vec<SocketAddr>,
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
        self.free_wires.clear();
        self.free_wires.extend(0..self.wires.len() as u32);
    }

    pub(super) fn new_conn(
        &mut self,
        event: EventId,
        client: SocketAddr,
        server: SocketAddr,
    ) -> u32 {
        let place = self.free_conns.pop().unwrap_or_else(|| {
            self.used_conns += 1;
            if self.conns.len() < self.used_conns {
                self.conns.push(Conn::new(client, server));
            }
            self.used_conns as u32 - 1
        });
        self.next_number += 1;
        self.conns[place as usize].open(self.next_number, event, client, server);
        place
    }

    pub(super) fn free_conn(&mut self, conn: u32) {
        self.free_conns.push(conn);
    }

    /// Places from here on are fresh.
    pub(super) fn conns_in_use(&self) -> usize {
        self.used_conns
    }

    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners[..self.used_listeners]
    }

    pub(super) fn new_port(&mut self) -> u16 {
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

    /// Who listens at `addr`: an exact address before a wildcard, which hears the host that has none
    /// (`here`); among several that share a port (SO_REUSEPORT) one by the number of connections so far, as
    /// a hash would spread them.
    pub(super) fn find(&self, addr: SocketAddr, here: bool) -> Option<u32> {
        for wildcard in [false, true] {
            let matches = |listener: &&Listener| {
                listener.open
                    && listener.addr.port() == addr.port()
                    && if wildcard {
                        here && covers(listener.addr.ip(), addr.ip())
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
    pub(super) fn bind(&mut self, local: SocketAddr) -> Result<u32, i32> {
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
    pub(super) fn unbind(&mut self, bound: u32) {
        if bound != NIL {
            self.free_bound.push(bound);
        }
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
pub(super) fn covers(listening: IpAddr, addr: IpAddr) -> bool {
    listening.is_unspecified() && (listening.is_ipv6() || addr.is_ipv4())
}

/// Addresses that nobody ever has: those set aside for documentation (RFC 5737, RFC 3849), and those that stand
/// for many.
fn is_nobodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_documentation() || ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast() || ip.segments()[..2] == [0x2001, 0xdb8],
    }
}

/// How an address is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// It is this host's, in or out of sight.
    To(u16),
    /// It is on the net of the hosts, and nobody has it: the neighbour does not answer (arp(7)).
    Nobody,
    /// No route leads there.
    None,
}

impl Machine {
    /// Whether a socket can be bound to it. Until there is a named host this machine has every address
    /// that somebody can have.
    pub(super) fn has_address(&self, ip: IpAddr) -> bool {
        !is_nobodys(ip)
            && (!self.net.any_host()
                || self.net.host_of(ip) != HERE
                || self.is_always_here(ip)
                || ip.is_unspecified())
    }

    fn is_always_here(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || ip == IpAddr::V4(HERE_ADDR)
    }

    pub(super) fn route(&self, to: SocketAddr) -> Route {
        let ip = to.ip();
        if is_nobodys(ip) {
            return Route::None;
        }
        let host = self.net.host_of(ip);
        if host != HERE || !self.net.any_host() || self.is_always_here(ip) {
            return Route::To(host);
        }
        // A listener from before there were hosts still has its address. One at the unspecified address has
        // only those of its host.
        if self.listener_at(to).is_some() {
            return Route::To(HERE);
        }
        match ip {
            IpAddr::V4(ip) if ip.octets()[..3] == HERE_ADDR.octets()[..3] => Route::Nobody,
            _ => Route::None,
        }
    }

    /// Who listens there.
    pub(super) fn listener_at(&self, addr: SocketAddr) -> Option<u32> {
        let ip = addr.ip();
        let here = !self.net.any_host() || self.is_always_here(ip);
        self.tcp.find(addr, here)
    }
}

impl Kernel {
    /// Opens a socket that can be connected, from `local` if that is given, or says which error bind
    /// would give.
    pub(crate) fn socket(&mut self, local: Option<SocketAddr>) -> Result<i32, i32> {
        let bound = match local {
            Some(local) if !self.m.has_address(local.ip()) => return Err(errno::EADDRNOTAVAIL),
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
                let side = usize::from(side);
                match conn.sides[side].dead || conn.has_ended(side) {
                    true => Err(errno::ENOTCONN),
                    false => Ok(conn.sides[side ^ 1].addr),
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

    // ---- close

    /// close(2). Nothing may be in flight on the handle: then it stays open, and I4 is broken.
    pub(crate) fn close(&mut self, raw: i32) {
        if self.is_off() {
            // It went with the power.
            return;
        }
        self.touches_all();
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
