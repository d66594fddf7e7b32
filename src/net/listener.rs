//! [`TcpListener`]: where connections come in.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::{TcpStream, ToAddr};
use crate::backend::{self, Code, Note};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, gone};
use crate::op::kind::{Activation, Outcome, Steps};
use crate::op::object::{ObjectHandle, ObjectRef};
use crate::proactor::Handle;

/// A TCP socket that listens. Clones are handles of the same socket; the last one dropped closes it.
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// use proactor::net::{TcpListener, TcpStream};
/// let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
/// let addr = listener.local_addr().unwrap();
/// listener.accept().then(|connection| println!("{:?}", connection.map(|(_, peer)| peer)));
/// proactor.block_on(TcpStream::connect(&proactor, addr)).unwrap().unwrap();
/// ```
#[derive(Clone)]
pub struct TcpListener {
    handle: ObjectHandle,
    /// What it accepts stays with its worker.
    sharded: bool,
}

/// How to open a [`TcpListener`].
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `bind`"]
pub struct ListenOptions {
    options: backend::ListenOptions,
    sharded: bool,
}

impl ListenOptions {
    /// A backlog of 1,024 connections; the address can be used again at once after a restart.
    pub fn new() -> ListenOptions {
        ListenOptions {
            options: backend::ListenOptions {
                backlog: 1024,
                reuse_address: true,
                reuse_port: false,
            },
            sharded: false,
        }
    }

    /// How many connections may wait to be accepted. (The kernel may allow fewer: listen(2).)
    pub fn backlog(mut self, connections: u32) -> ListenOptions {
        self.options.backlog = connections;
        self
    }

    /// Whether the address can be bound while connections of an earlier listener linger (SO_REUSEADDR).
    pub fn reuse_address(mut self, on: bool) -> ListenOptions {
        self.options.reuse_address = on;
        self
    }

    /// Whether several listeners may share the address, each getting part of the connections (SO_REUSEPORT).
    pub fn reuse_port(mut self, on: bool) -> ListenOptions {
        self.options.reuse_port = on;
        self
    }

    /// Whether what it accepts stays at home with the listener's own worker, instead of going to each
    /// worker in turn; off by default. It sets [`reuse_port`](ListenOptions::reuse_port) as well, so
    /// that each worker can have a listener of its own at one address:
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let Ok(proactor) = proactor::Proactor::builder().workers(2).build() else { return Ok(()) };
    /// use proactor::net::ListenOptions;
    /// let mut addr = "127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap();
    /// let mut listeners = Vec::new();
    /// for worker in (0..proactor.workers()).filter_map(|index| proactor.worker(index)) {
    ///     let listener = ListenOptions::new().sharded(true).bind(&worker, addr)?;
    ///     addr = listener.local_addr()?;
    ///     listeners.push(listener);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sharded(mut self, on: bool) -> ListenOptions {
        self.sharded = on;
        self.reuse_port(on)
    }

    /// Opens it, at once.
    ///
    /// # Errors
    ///
    /// What socket(2), bind(2) and listen(2) report: [`io::ErrorKind::AddrInUse`] above all. An address
    /// that is none is [`io::ErrorKind::InvalidInput`].
    pub fn bind(&self, proactor: &Handle, addr: impl ToAddr) -> io::Result<TcpListener> {
        let home = proactor.for_new();
        let backend = home.backend()?;
        let raw = backend.listen(addr.to_addr()?, self.options)?;
        Ok(TcpListener {
            handle: home.open_object(&*backend, raw)?,
            sharded: self.sharded,
        })
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions::new()
    }
}

impl TcpListener {
    /// Listens at `addr`, with the default [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// As [`ListenOptions::bind`].
    pub fn bind(proactor: &Handle, addr: impl ToAddr) -> io::Result<TcpListener> {
        ListenOptions::new().bind(proactor, addr)
    }

    /// The next connection that came in, and who made it. With several workers, each connection is at
    /// home with the next one in turn (see [`ListenOptions::sharded`]). A connection that was gone before it could be
    /// accepted is an error of kind [`io::ErrorKind::ConnectionAborted`]: accept again.
    ///
    /// Cancel-safe: a connection that arrives for a dropped future is closed, and counted.
    #[track_caller]
    pub fn accept(&self) -> Operation<Accept> {
        Operation::new(Accept {
            object: self.handle.get(),
            sharded: self.sharded,
        })
    }

    /// Of the worker that it is at home with.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::of(self.handle.get().home())
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// If it has been closed, or the proactor dropped.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle
            .get()
            .with_raw(|backend, raw| backend.local_addr(raw))
    }

    /// Closes it for all its handles: pending accepts are cancelled. Once is enough (I8).
    pub fn close(&self) {
        self.handle.get().close();
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TcpListener")
            .field(&self.local_addr().ok())
            .finish()
    }
}

/// The kind of [`TcpListener::accept`].
pub struct Accept {
    object: ObjectRef,
    sharded: bool,
}

impl Steps for Accept {
    type Out = io::Result<(TcpStream, SocketAddr)>;
    const NAME: &'static str = "accept";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        Activation::on(&self.object, Code::Accept)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        if outcome.result < 0 {
            return Err(outcome.error());
        }
        outcome.local.ok_or_else(gone)?;
        let raw = backend::Raw(outcome.result);
        let home = if self.sharded {
            self.object.home()
        } else {
            self.object.home().in_turn()
        };
        let handle = match home.here() {
            Some(local) => local.open_object(home, raw),
            None => {
                let backend = self.object.home().backend();
                let backend = backend.inspect_err(|_| outcome.discard_handle())?;
                home.open_object(&*backend, raw)?
            }
        };
        let stream = TcpStream::new(handle);
        // A peer that has reset the connection since has no address any more (getpeername(2)).
        let peer = stream
            .peer_addr()
            .map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted))?;
        Ok((stream, peer))
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        out.as_ref().ok().map(|_| Note::DiscardedHandle)
    }

    fn discard(self, outcome: Outcome<'_>) {
        outcome.discard_handle();
    }
}
