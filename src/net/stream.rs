//! [`TcpStream`]: a connection, its two halves, and how it is made and shut down.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::ToAddr;
use super::transfer::{Read, ReadVectored, Write, WriteVectored};
use crate::backend::{Code, ConnectAddr, Op};
use crate::buf::{IoBuf, IoBufMut};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, gone};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, Steps};
use crate::op::object::{ObjectHandle, ObjectRef};
use crate::proactor::Handle;

/// A TCP connection. Clones are handles of the same connection; the last one dropped closes it: what
/// is pending on it is cancelled, and the descriptor goes with the last completion.
///
/// A stream carries bytes, not messages: a read may return fewer bytes than were sent or asked for.
/// [`compose`](crate::compose) has operations that go on until all is done. Two reads (or two writes) in flight
/// at once on one stream may be served in either order.
#[derive(Clone)]
pub struct TcpStream {
    handle: ObjectHandle,
}

impl TcpStream {
    pub(crate) fn new(handle: ObjectHandle) -> TcpStream {
        TcpStream { handle }
    }

    pub(crate) fn object(&self) -> ObjectRef {
        self.handle.get()
    }

    /// Connects to `addr`.
    ///
    /// The operation's errors are connect(2)'s: [`io::ErrorKind::ConnectionRefused`] if nobody listens
    /// there. An address that is none is [`io::ErrorKind::InvalidInput`].
    ///
    /// Cancel-safe: dropped, the half-made connection is closed.
    #[track_caller]
    pub fn connect(proactor: &Handle, addr: impl ToAddr) -> Operation<Connect> {
        Operation::new(Connect::new(proactor, None, addr.to_addr()))
    }

    /// Connects to `addr` from the address `local` of this machine, which decides the way on a machine
    /// that has several, and in a simulation which of its hosts calls. Port 0 takes any free one.
    ///
    /// The operation's errors are those of [`connect`](TcpStream::connect), and bind(2)'s:
    /// [`io::ErrorKind::AddrNotAvailable`] if this machine has no such address,
    /// [`io::ErrorKind::AddrInUse`] if the port is taken, or not free again yet after an earlier connection.
    /// Two addresses of which one is IPv4 and the other IPv6 are [`io::ErrorKind::InvalidInput`].
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// use proactor::net::{TcpListener, TcpStream};
    /// let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
    /// let addr = listener.local_addr().unwrap();
    /// let connect = TcpStream::connect_from(&proactor, "127.0.0.2:0", addr);
    /// let stream = proactor.block_on(connect).unwrap().unwrap();
    /// assert_eq!(stream.local_addr().unwrap().ip().to_string(), "127.0.0.2");
    /// ```
    ///
    /// Cancel-safe: dropped, the half-made connection is closed.
    #[track_caller]
    pub fn connect_from(
        proactor: &Handle,
        local: impl ToAddr,
        addr: impl ToAddr,
    ) -> Operation<Connect> {
        let (local, addr) = match (local.to_addr(), addr.to_addr()) {
            (Ok(local), Ok(addr)) if local.is_ipv4() != addr.is_ipv4() => {
                let message = format!(
                    "{local} and {addr} are not of one family: no connection can join them"
                );
                (
                    None,
                    Err(io::Error::new(io::ErrorKind::InvalidInput, message)),
                )
            }
            (Ok(local), addr) => (Some(local), addr),
            (Err(error), _) => (None, Err(error)),
        };
        Operation::new(Connect::new(proactor, local, addr))
    }

    /// Receives into the start of `buf`, at most its capacity. `Ok(0)` means that the peer has ended
    /// its side, or that the buffer has no capacity. A `Vec` then holds exactly what was received.
    ///
    /// Cancel-safe in that nothing breaks; but bytes that arrive for a dropped future are lost, and counted.
    #[inline]
    #[track_caller]
    pub fn read<B: IoBufMut>(&self, buf: B) -> Operation<Read<B>> {
        Operation::new(Read {
            object: self.handle.get(),
            buf,
        })
    }

    /// Sends from the start of `buf`; how many bytes the kernel has taken. It may be fewer than all.
    #[inline]
    #[track_caller]
    pub fn write<B: IoBuf>(&self, buf: B) -> Operation<Write<B>> {
        Operation::new(Write {
            object: self.handle.get(),
            buf,
        })
    }

    /// Receives into several buffers, each filled before the next.
    #[track_caller]
    pub fn read_vectored<B: IoBufMut>(&self, bufs: Vec<B>) -> Operation<ReadVectored<B>> {
        Operation::new(ReadVectored::new(self.handle.get(), bufs))
    }

    /// Sends from several buffers, one after the other.
    #[track_caller]
    pub fn write_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> Operation<WriteVectored<B>> {
        Operation::new(WriteVectored::new(self.handle.get(), bufs))
    }

    /// Ends one side of the connection, or both (shutdown(2)): after `Write` the peer reads to the end.
    #[track_caller]
    pub fn shutdown(&self, how: std::net::Shutdown) -> Operation<Shutdown> {
        Operation::new(Shutdown {
            object: self.handle.get(),
            how,
        })
    }

    /// Of the worker that it is at home with, where the handlers of its operations run. A task that
    /// serves the connection belongs there as well: from another worker every operation would go by
    /// a message.
    ///
    /// ```
    /// # fn serve(stream: proactor::net::TcpStream) {
    /// let task = stream.handle().spawn(async move {
    ///     let (read, buf) = stream.read(Vec::with_capacity(64)).await;
    ///     read.map(|_| buf)
    /// });
    /// # drop(task);
    /// # }
    /// ```
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::of(self.object().home())
    }

    /// Whether small writes go out at once (TCP_NODELAY).
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.object()
            .with_raw(|backend, raw| backend.set_nodelay(raw, on))
    }

    /// See [`set_nodelay`](TcpStream::set_nodelay).
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.object().with_raw(|backend, raw| backend.nodelay(raw))
    }

    /// What becomes of sent bytes that the peer has not acknowledged when this side closes (SO_LINGER).
    ///
    /// - `None`, the default: they go on their way in the background, and so does the end of the stream.
    /// - A time of zero: closing *resets*. What the kernel has not sent yet is thrown away, and the peer's
    ///   reads give [`io::ErrorKind::ConnectionReset`], never an end of file.
    /// - A longer time, in whole seconds, rounded up: as `None`. Elsewhere close(2) would wait so long for
    ///   the peer's acknowledgement, and leave the rest to the background then; here nobody waits for a close,
    ///   neither a handler nor a worker. If the time matters, let the peer say that it has got all: shut down the
    ///   writing side, read to the end with a [timeout](Operation::timeout), then close.
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// # use proactor::net::{TcpListener, TcpStream};
    /// # let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
    /// # let addr = listener.local_addr().unwrap();
    /// # let stream = proactor.block_on(TcpStream::connect(&proactor, addr)).unwrap().unwrap();
    /// use std::time::Duration;
    /// stream.set_linger(Some(Duration::ZERO)).unwrap();
    /// stream.close(); // the peer is told at once, and not that all was well
    /// ```
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        self.object()
            .with_raw(|backend, raw| backend.set_linger(raw, linger))
    }

    /// See [`set_linger`](TcpStream::set_linger).
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.object().with_raw(|backend, raw| backend.linger(raw))
    }

    /// This side's address.
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.object()
            .with_raw(|backend, raw| backend.local_addr(raw))
    }

    /// The other side's address.
    ///
    /// # Errors
    ///
    /// If it has been closed, the peer has reset the connection, or the proactor was dropped.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.object()
            .with_raw(|backend, raw| backend.peer_addr(raw))
    }

    /// Closes it for all its handles: what is pending is cancelled, and the descriptor goes with the
    /// last completion. Once is enough (I8).
    pub fn close(&self) {
        self.object().close();
    }

    /// A half to read with and one to write with, for two owners. The connection is closed when both
    /// are dropped. (Dropping the write half alone does not end the stream: [`WriteHalf::shutdown`] does.)
    #[must_use]
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (ReadHalf(self.clone()), WriteHalf(self))
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}

/// The reading half of a [`TcpStream`].
#[derive(Debug)]
pub struct ReadHalf(TcpStream);

/// The writing half of a [`TcpStream`].
#[derive(Debug)]
pub struct WriteHalf(TcpStream);

impl ReadHalf {
    /// As [`TcpStream::read`].
    #[track_caller]
    pub fn read<B: IoBufMut>(&self, buf: B) -> Operation<Read<B>> {
        self.0.read(buf)
    }

    /// As [`TcpStream::read_vectored`].
    #[track_caller]
    pub fn read_vectored<B: IoBufMut>(&self, bufs: Vec<B>) -> Operation<ReadVectored<B>> {
        self.0.read_vectored(bufs)
    }

    /// The whole connection.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}

impl WriteHalf {
    /// As [`TcpStream::write`].
    #[track_caller]
    pub fn write<B: IoBuf>(&self, buf: B) -> Operation<Write<B>> {
        self.0.write(buf)
    }

    /// As [`TcpStream::write_vectored`].
    #[track_caller]
    pub fn write_vectored<B: IoBuf>(&self, bufs: Vec<B>) -> Operation<WriteVectored<B>> {
        self.0.write_vectored(bufs)
    }

    /// Ends this side: the peer reads to the end.
    #[track_caller]
    pub fn shutdown(&self) -> Operation<Shutdown> {
        self.0.shutdown(std::net::Shutdown::Write)
    }

    /// The whole connection.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.0
    }
}

/// The kind of [`TcpStream::connect`] and [`TcpStream::connect_from`].
pub struct Connect {
    home: HomeRef,
    addr: Option<ConnectAddr>,
    local: Option<SocketAddr>,
    handle: Option<ObjectHandle>,
    failed: Option<io::Error>,
}

impl Connect {
    fn new(proactor: &Handle, local: Option<SocketAddr>, addr: io::Result<SocketAddr>) -> Connect {
        let (addr, failed) = match addr {
            Ok(addr) => (
                Some(ConnectAddr {
                    addr,
                    scratch: [0; 4],
                }),
                None,
            ),
            Err(error) => (None, Some(error)),
        };
        Connect {
            home: proactor.for_new(),
            addr,
            local,
            handle: None,
            failed,
        }
    }
}

impl Steps for Connect {
    type Out = io::Result<TcpStream>;
    const NAME: &'static str = "connect";

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let Some(addr) = &mut self.addr else {
            return Err(FAILED_EARLY);
        };
        let opened = self
            .home
            .backend()
            .and_then(|backend| backend.stream(addr.addr, self.local));
        match opened {
            Ok(raw) => {
                let handle = self.handle.insert(local.open_object(self.home, raw));
                let op = Op {
                    ptr: std::ptr::from_mut(addr).cast(),
                    ..Op::new(Code::Connect, raw)
                };
                Ok(Activation {
                    op,
                    object: Some(handle.get().object),
                    writable: false,
                })
            }
            Err(error) => {
                self.failed = Some(error);
                Err(FAILED_EARLY)
            }
        }
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        match (self.failed, self.handle) {
            (Some(error), _) if outcome.result == FAILED_EARLY => Err(error),
            (_, Some(handle)) if outcome.result >= 0 => Ok(TcpStream::new(handle)),
            _ if outcome.result >= 0 => Err(gone()),
            _ => Err(outcome.error()),
        }
    }
}

/// The kind of [`TcpStream::shutdown`].
pub struct Shutdown {
    object: ObjectRef,
    how: std::net::Shutdown,
}

impl Steps for Shutdown {
    type Out = io::Result<()>;
    const NAME: &'static str = "shutdown";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Shutdown)?;
        activation.op.flags = match self.how {
            std::net::Shutdown::Read => 0,
            std::net::Shutdown::Write => 1,
            std::net::Shutdown::Both => 2,
        };
        Ok(activation)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        outcome.unit()
    }
}
