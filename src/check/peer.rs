//! Scripted peers: the other end of a connection, without writing handler code.
//!
//! Why not tasks on the model's proactor: a peer is another host. On the same proactor its operations would
//! count against the model's limits, take turns on its workers, be cancelled by its teardown and hold
//! up its `run`. So scripts are acted inside the kernel (`sim::peers`); this is their face.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use crate::Event;
use crate::choice::EventId;
use crate::net::ToAddr;
use crate::proactor::Handle;
use crate::sim::errno;
use crate::sim::peers::{Act, ListenerId, PeerId};
use crate::sim::{Oracle, Violation, World};
use crate::time::nanos;

/// The other end of a connection, which follows a script.
///
/// Each method adds a line to the script and returns at once; the lines are acted one after the other, in virtual time,
/// while the model's proactor runs, and to their end when the model has returned. When each step happens is
/// the kernel's decision, like everything else. When the handle is dropped the script is complete; at its end the
/// connection is closed, if the script has not done so.
///
/// An expectation that is not met fails the check ([`Oracle::Always`]), at the line of the test
/// that expects it, with what came instead. A connection that the *kernel* has reset, or on which it has failed a receive
/// or a send for want of memory, as it may, is no such failure: then the script just ends. See also [`Peer::lenient`].
///
/// What a peer does itself suffers none of the kernel's free faults (its sends are whole, its connects are not refused
/// at random); the model's operations on the same connection do.
///
/// ```
/// use proactor::compose;
/// use proactor::net::TcpListener;
///
/// fn accept(listener: TcpListener) {
///     listener.accept().then(move |accepted| {
///         match accepted {
///             Ok((stream, _)) => compose::read_exact(&stream, vec![0; 4]).then(move |(read, buf)| {
///                 if read.is_ok() {
///                     compose::write_all(&stream, buf).then(move |_| drop(stream));
///                 }
///             }),
///             Err(error) if error.kind() == std::io::ErrorKind::NotConnected => return, // it was closed
///             Err(error) if proactor::is_canceled(&error) => return, // it was closed meanwhile
///             Err(_) => return accept(listener), // no descriptor is left: try again
///         };
///         accept(listener);
///     });
/// }
///
/// proactor::check(|sim| {
///     let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
///     accept(listener.clone());
///     let peer = sim.connect("10.0.0.1:7");
///     peer.send("ping").expect("ping").expect_end();
///     let over = peer.over().unwrap();
///     sim.proactor().block_on(over.wait()).unwrap().unwrap();
///     listener.close();
///     sim.proactor().run().unwrap();
/// });
/// ```
pub struct Peer {
    world: World,
    id: Option<PeerId>,
    handle: Handle,
}

impl Peer {
    #[track_caller]
    pub(super) fn connect(world: &World, handle: Handle, addr: &dyn ToAddr) -> Peer {
        let location = Location::caller();
        let id = match addr.to_addr() {
            Ok(addr) => world.outside(|kernel| kernel.peer(Act::Connect(addr), location)),
            Err(error) => {
                refused(world, &error, location);
                None
            }
        };
        Peer {
            world: world.clone(),
            id,
            handle,
        }
    }

    #[track_caller]
    fn does(&self, act: Act) -> &Peer {
        if let Some(id) = self.id {
            let location = Location::caller();
            self.world
                .outside(|kernel| kernel.peer_does(id, act, location));
        }
        self
    }

    /// Sends these bytes. A send that fails, since the model has closed or reset the connection, is no failure
    /// by itself: the next expectation sees why.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> &Peer {
        self.does(Act::Send(bytes.as_ref().to_vec()))
    }

    /// Sends byte after byte, `every` so often.
    #[track_caller]
    pub fn slow_drip(&self, bytes: impl AsRef<[u8]>, every: Duration) -> &Peer {
        for byte in bytes.as_ref() {
            self.does(Act::Send(vec![*byte]));
            self.does(Act::Stall(nanos(every)));
        }
        self
    }

    /// Receives exactly these bytes next, in however many pieces. Not one more is read.
    #[track_caller]
    pub fn expect(&self, bytes: impl AsRef<[u8]>) -> &Peer {
        self.does(Act::Expect(bytes.as_ref().to_vec()))
    }

    /// Sees the end of the stream next, and neither a byte before nor a reset.
    #[track_caller]
    pub fn expect_end(&self) -> &Peer {
        self.does(Act::ExpectEnd)
    }

    /// Sees the connection reset. What is still received before that is skipped.
    #[track_caller]
    pub fn expect_reset(&self) -> &Peer {
        self.does(Act::ExpectReset)
    }

    /// Reads once, at most so many bytes: what comes is [`received`](Peer::received). The end is as good.
    #[track_caller]
    pub fn read_some(&self, most: usize) -> &Peer {
        self.does(Act::ReadSome(most))
    }

    /// Sends no more: the model sees the end behind what was sent.
    #[track_caller]
    pub fn half_close(&self) -> &Peer {
        self.does(Act::HalfClose)
    }

    /// Closes with a reset (SO_LINGER with 0 seconds).
    #[track_caller]
    pub fn reset(&self) -> &Peer {
        self.does(Act::Reset)
    }

    /// Closes. If something was left unread the model sees a reset, as from any host.
    #[track_caller]
    pub fn close(&self) -> &Peer {
        self.does(Act::Close)
    }

    /// Does nothing for so long.
    #[track_caller]
    pub fn stall(&self, time: Duration) -> &Peer {
        self.does(Act::Stall(nanos(time)))
    }

    /// From here on a connection that ends, is reset or refused where something else was expected ends the script
    /// and is no failure. For models that may give up a connection by right.
    pub fn lenient(&self) -> &Peer {
        if let Some(id) = self.id {
            self.world.outside(|kernel| kernel.peer_is_lenient(id));
        }
        self
    }

    /// What [`read_some`](Peer::read_some) has received so far.
    #[must_use]
    pub fn received(&self) -> Vec<u8> {
        self.id.map_or_else(Vec::new, |id| {
            self.world.outside(|kernel| kernel.peer_received(id))
        })
    }

    /// An event of the model's proactor that is set once the script is over. The handle is taken: the
    /// script is complete.
    ///
    /// ```
    /// # use proactor::net::TcpListener;
    /// proactor::check(|sim| {
    ///     let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").unwrap();
    ///     let server = listener.clone(); // that says nothing, and accepts until it has a connection
    ///     drop(sim.proactor().spawn(async move {
    ///         while server.accept().await.is_err_and(|error| !proactor::is_canceled(&error)) {}
    ///     }));
    ///     let peer = sim.connect("10.0.0.1:7");
    ///     peer.lenient().expect_end();
    ///     let over = peer.over().unwrap();
    ///     sim.proactor().block_on(over.wait()).unwrap().unwrap();
    ///     listener.close();
    /// });
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Event::new`].
    pub fn over(self) -> io::Result<Event> {
        let event = Event::new(&self.handle)?;
        match (self.id, event.raw()) {
            (Some(id), Some(raw)) => self.world.outside(|kernel| kernel.peer_tells(id, raw.0)),
            _ => event.set()?,
        }
        Ok(event)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // On another thread than the simulation's: its end comes with the run's.
            let _ = self.world.enter(|kernel| {
                kernel.touches_all();
                kernel.peer_is_complete(id);
            });
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").finish_non_exhaustive()
    }
}

/// A scripted server: each [`accept`](PeerListener::accept) is a [`Peer`] for the next connection that the model makes.
///
/// Once it is dropped, and all its peers were connected to, the port is closed.
///
/// ```
/// use proactor::check::Checker;
/// use proactor::net::TcpStream;
///
/// // One deviation: with two the kernel may reset the one connection that the script has an accept for.
/// let checker = Checker::new().deviations(1).random(false);
/// let model = |sim: &proactor::check::Sim| {
///     let server = sim.listen("10.0.0.9:80");
///     server.accept().expect("hello").send("good day").half_close().expect_end();
///     let handle = sim.proactor().handle();
///     drop(sim.proactor().spawn(async move {
///         let stream = loop {
///             if let Ok(stream) = TcpStream::connect(&handle, "10.0.0.9:80").await {
///                 break stream;
///             }
///         };
///         if proactor::compose::write_all(&stream, "hello").await.0.is_ok() {
///             let _ = proactor::compose::read_to_end(&stream, Vec::new(), 64).await;
///         }
///     }));
///     sim.proactor().run().unwrap();
/// };
/// checker.run(model).unwrap();
/// ```
///
/// (A model that never connects leaves such a script waiting, which is a failure too: I7 names it.)
pub struct PeerListener {
    world: World,
    id: Option<ListenerId>,
    handle: Handle,
}

impl PeerListener {
    #[track_caller]
    pub(super) fn bind(world: &World, handle: Handle, addr: &dyn ToAddr) -> PeerListener {
        let location = Location::caller();
        let bound = addr.to_addr().and_then(|addr| {
            let listener = world.outside(|kernel| kernel.peer_listener(addr));
            listener.map_err(errno::error)
        });
        PeerListener {
            world: world.clone(),
            id: bound.map_err(|error| refused(world, &error, location)).ok(),
            handle,
        }
    }

    /// Where it listens: with port 0 the kernel has chosen one. Nothing: it could not be bound.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        let id = self.id?;
        self.world.outside(|kernel| kernel.peer_listener_addr(id))
    }

    /// A peer for the next connection.
    #[track_caller]
    pub fn accept(&self) -> Peer {
        let location = Location::caller();
        let id = self.id.and_then(|id| {
            self.world
                .outside(|kernel| kernel.peer_accept(id, location))
        });
        Peer {
            world: self.world.clone(),
            id,
            handle: self.handle,
        }
    }
}

impl Drop for PeerListener {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let _ = self.world.enter(|kernel| {
                kernel.touches_all();
                kernel.peer_listener_dropped(id);
            });
        }
    }
}

impl fmt::Debug for PeerListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerListener").finish_non_exhaustive()
    }
}

/// A script that can't even begin fails the check where it was asked for.
fn refused(world: &World, error: &io::Error, location: &'static Location<'static>) {
    let message = format!("a scripted peer can't begin: {error}");
    world.report(Violation::new(
        Oracle::Always,
        message,
        EventId::ROOT,
        Some(location),
    ));
}
