//! The objects of a held kernel: opening, naming and closing them.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use super::super::{errno, handles};
use super::request::{Event, Listener, Object, Request, Stream};
use super::{Hand, HandError, Step};

/// The first address of one in words.
pub(super) fn first(addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
    addr.to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no address"))
}

impl Hand {
    /// A listener at an address, with a backlog of 128.
    ///
    /// # Errors
    ///
    /// As bind(2): the address is in use. As the address parser: it is none.
    pub fn listen(&mut self, addr: impl ToSocketAddrs) -> io::Result<Listener> {
        self.listen_with(addr, 128)
    }

    /// As [`Hand::listen`], with a backlog of so many connections that wait for an accept.
    ///
    /// # Errors
    ///
    /// As [`Hand::listen`].
    pub fn listen_with(&mut self, addr: impl ToSocketAddrs, backlog: u32) -> io::Result<Listener> {
        let addr = first(addr)?;
        let raw = self.kernel.listen(addr, backlog, false);
        raw.map(Listener).map_err(errno::error)
    }

    /// A socket that is not connected yet: for [`Request::connect`](super::Request::connect).
    ///
    /// # Errors
    ///
    /// As socket(2): all numbers are taken.
    pub fn socket(&mut self) -> io::Result<Stream> {
        self.kernel.socket(None).map(Stream).map_err(errno::error)
    }

    /// As [`Hand::socket`], at a local address: that of a [host](Hand::host), say. A port of 0 gets one.
    ///
    /// # Errors
    ///
    /// As bind(2): nobody has the address, or it is in use. As the address parser: it is none.
    pub fn socket_at(&mut self, local: impl ToSocketAddrs) -> io::Result<Stream> {
        let raw = self.kernel.socket(Some(first(local)?));
        raw.map(Stream).map_err(errno::error)
    }

    /// A client and a server that are connected, in that order: what most lessons begin with. The address is free
    /// again afterwards. The kernel is kind meanwhile: [plan](Hand::decide) what comes after it.
    ///
    /// ```
    /// use proactor::sim::{Config, Hand};
    ///
    /// let mut hand = Hand::new(Config::default());
    /// let (client, server) = hand.connection("10.0.0.1:7")?;
    /// hand.try_write(client, b"hello")?;
    /// assert_eq!(hand.try_read(server, &mut [0; 16])?, 5);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Hand::listen`] and [`Hand::socket`]; too many operations are in flight; or the address is that of another
    /// [host](Hand::host), to which a connect takes its time.
    pub fn connection(&mut self, addr: impl ToSocketAddrs) -> io::Result<(Stream, Stream)> {
        let addr = first(addr)?;
        let listener = self.listen(addr)?;
        let client = self.socket()?;
        let connect = self.submit_with(Request::connect(client, addr), |_| 0);
        let connect = connect.map_err(io::Error::other)?;
        let told = self.step_with(Step::Complete(connect), |_| 0);
        told.map_err(io::Error::other)?;
        self.ready.retain(|done| done.op != connect);
        let (server, _) = self.try_accept(listener)?;
        self.close(listener).map_err(io::Error::other)?;
        Ok((client, server))
    }

    /// A user event that is not set.
    ///
    /// # Errors
    ///
    /// As eventfd(2): all numbers are taken.
    pub fn event(&mut self) -> io::Result<Event> {
        self.kernel.event().map(Event).map_err(errno::error)
    }

    /// Sets an event: one wait takes it, at once or late, as [decided](Hand::decide).
    ///
    /// # Errors
    ///
    /// It is closed; or the plan was not legal (it went the kind way).
    pub fn set(&mut self, event: Event) -> Result<(), HandError> {
        self.open_handle(event.0)?;
        self.planned(|kernel| kernel.set(event.0));
        self.legal(None)
    }

    /// How closing a stream goes: `None`, in good order in the background; zero, by a reset
    /// (socket(7), SO_LINGER).
    ///
    /// # Errors
    ///
    /// As setsockopt(2): it is closed.
    pub fn set_linger(&mut self, stream: Stream, linger: Option<Duration>) -> io::Result<()> {
        // SO_LINGER counts seconds.
        let seconds = linger.map(|linger| {
            let more = u64::from(linger.subsec_nanos() > 0);
            linger.as_secs().saturating_add(more)
        });
        let set = self.kernel.set_linger(stream.0, seconds);
        set.map_err(errno::error)
    }

    /// Where an object is bound.
    ///
    /// # Errors
    ///
    /// As getsockname(2): it is closed, or no socket.
    pub fn local_addr(&self, object: impl Into<Object>) -> io::Result<SocketAddr> {
        self.kernel
            .local_addr(object.into().raw())
            .map_err(errno::error)
    }

    /// Where a stream leads to.
    ///
    /// # Errors
    ///
    /// As getpeername(2): it is closed, or not connected (any more).
    pub fn peer_addr(&self, stream: Stream) -> io::Result<SocketAddr> {
        self.kernel.peer_addr(stream.0).map_err(errno::error)
    }

    /// `c1 client`, `listener 10.0.0.1:7`, `file /etc/motd`, `closed handle 5`.
    #[must_use]
    pub fn name(&self, object: impl Into<Object>) -> String {
        self.kernel.m.object_name(object.into().raw())
    }

    /// Closes an object. What a peer sees of it is as close(2) has it: the end of the stream, or a
    /// reset if there was something left to read.
    ///
    /// # Errors
    ///
    /// It is closed already; or operations are in flight on it: cancel and reap them first; or the plan was not
    /// legal (it was closed, the kind way).
    pub fn close(&mut self, object: impl Into<Object>) -> Result<(), HandError> {
        let raw = object.into().raw();
        self.open_handle(raw)?;
        self.stop_connecting(raw);
        let in_flight = self.open_handle(raw)?.in_flight;
        if in_flight > 0 {
            return Err(HandError::Busy {
                in_flight,
                object: self.kernel.m.object_name(raw),
            });
        }
        self.planned(|kernel| kernel.close(raw));
        self.legal(None)
    }

    pub(super) fn open_handle(&self, raw: i32) -> Result<&handles::Handle, HandError> {
        self.kernel.m.handles.get(raw).ok_or(HandError::Closed {
            number: handles::Handles::number(raw),
        })
    }
}
