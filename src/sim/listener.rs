//! Listeners: their backlog, accepting from it, and what becomes of it when they close.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::Op;
use super::queue::{List, NIL};
use super::tcp::{Tcp, covers};
use super::transitions::{Does, Rule};
use crate::choice::EventId;

/// `net.core.somaxconn` (listen(2)): a larger backlog is cut to it.
const SOMAXCONN: u32 = 4096;

/// A socket that listens.
pub(super) struct Listener {
    pub(super) open: bool,
    pub(super) addr: SocketAddr,
    backlog: usize,
    pub(super) reuse_port: bool,
    /// Connections whose handshake is done, by their place in `Tcp::conns`: accepted in this order.
    queue: VecDeque<u32>,
    accepts: List,
}

impl Tcp {
    pub(super) fn has_connections(&self, listener: u32) -> bool {
        !self.listeners[listener as usize].queue.is_empty()
    }

    pub(super) fn full(&self, listener: u32) -> bool {
        // `sk_acceptq_is_full` (include/net/sock.h) compares with >, so one more than the backlog fits.
        let listener = &self.listeners[listener as usize];
        listener.queue.len() > listener.backlog
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
        if !self.m.has_address(addr.ip()) {
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
        Ok(raw)
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
        // A scripted peer gets the connection, and learns from its first operation that the kernel has reset it.
        let is_told_later = self.m.tcp.conns[conn as usize].forced && self.is_of_a_peer(id);
        if self.m.tcp.conns[conn as usize].sides[1].dead
            && !is_told_later
            && let Does::Error(error) = self.pick(Rule::AcceptReset, id)
        {
            self.m.tcp.listeners[listener].queue.pop_front();
            self.leave(conn, 1);
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
        let Object::Listener(place) = self.m.handles.object(self.m.ops[id as usize].handle) else {
            return;
        };
        self.m.ops[id as usize].listener = place;
        let others = self.m.tcp.listeners[place as usize].accepts.first();
        let ahead = others.is_some() && self.goes_ahead(id);
        let line = &mut self.m.tcp.listeners[place as usize].accepts;
        if ahead {
            line.push_first(&mut self.m.ops, id);
        } else {
            line.push(&mut self.m.ops, id);
        }
    }

    pub(super) fn leave_listener(&mut self, id: u32) {
        let place = std::mem::replace(&mut self.m.ops[id as usize].listener, NIL);
        if let Some(listener) = self.m.tcp.listeners.get_mut(place as usize) {
            listener.accepts.unlink(&mut self.m.ops, id);
        }
    }

    /// A connection stands at the end of the queue of a listener.
    pub(super) fn enqueue(&mut self, listener: u32, conn: u32) {
        self.m.tcp.listeners[listener as usize]
            .queue
            .push_back(conn);
        self.settle_listener(listener);
    }

    /// Lets accepts that wait take connections.
    fn settle_listener(&mut self, place: u32) {
        loop {
            let listener = &self.m.tcp.listeners[place as usize];
            let Some(accept) = listener.accepts.first() else {
                return;
            };
            if listener.open && listener.queue.is_empty() {
                return;
            }
            self.leave_listener(accept);
            self.advance(accept);
        }
    }

    pub(super) fn settle_listener_of(&mut self, handle: i32) {
        if let Object::Listener(listener) = self.m.handles.object(handle) {
            self.settle_listener(listener);
        }
    }

    /// The connection will not be accepted any more, if it waits for it.
    pub(super) fn unqueue(&mut self, conn: u32) -> bool {
        let used = self.m.tcp.used_listeners;
        self.m.tcp.listeners[..used].iter_mut().any(|listener| {
            let at = listener.queue.iter().position(|&it| it == conn);
            at.and_then(|at| listener.queue.remove(at)).is_some()
        })
    }

    /// The socket listens no more: who is in the backlog is reset (`inet_csk_listen_stop`), who knocks will
    /// be refused.
    pub(super) fn stop_listening(&mut self, place: u32) {
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
}
