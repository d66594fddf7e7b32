//! Several machines in one held kernel, and the links between them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::super::hosts::{HERE, HOSTS, address};
use super::super::kernel::Kernel;
use super::super::words::nanos;
use super::{Hand, HandError};

/// A named machine of a held kernel, with an address of its own. A copy is the same one.
///
/// ```
/// use proactor::sim::hand::{Request, Step};
/// use proactor::sim::{Config, Hand};
/// use std::time::Duration;
///
/// let mut hand = Hand::new(Config::default());
/// let (web, db) = (hand.host("web")?, hand.host("db")?);
/// hand.set_latency(web, db, Duration::from_millis(2))?;
/// hand.listen(db.addr(5432))?;
/// let socket = hand.socket_at(web.addr(0))?;
/// let connect = hand.submit(Request::connect(socket, db.addr(5432)))?;
///
/// // The first step of the handshake goes there, the second comes back.
/// hand.step(Step::Clock)?;
/// hand.step(Step::Clock)?;
/// assert_eq!(hand.now(), Duration::from_millis(4));
/// hand.step(Step::Complete(connect))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Host(u16);

impl Host {
    /// Its address: 10.0.0.1 of the first that was named, 10.0.0.2 of the second, and so on.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        IpAddr::V4(address(self.0))
    }

    /// That address with a port.
    #[must_use]
    pub fn addr(self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(), port)
    }
}

impl Hand {
    /// The host of this name, with the next address if it is a new one. A listener is on the host whose address it is
    /// bound to, a socket on that of its [local address](Hand::socket_at); all others are [here](Hand::here).
    ///
    /// # Errors
    ///
    /// There are 250 already.
    pub fn host(&mut self, name: &str) -> Result<Host, HandError> {
        let host = self.kernel.host(name);
        host.map(Host).ok_or(HandError::NoAddress { most: HOSTS })
    }

    /// The host without a name, of all sockets that are at no named one's address: 10.0.0.254.
    #[must_use]
    pub fn here(&self) -> Host {
        Host(HERE)
    }

    /// The name of a host; `here` of the one that has none. Nothing: it is another kernel's.
    #[must_use]
    pub fn host_name(&self, host: Host) -> Option<String> {
        self.kernel
            .m
            .net
            .has_host(host.0)
            .then(|| self.kernel.host_name(host.0))
    }

    /// Everything between the two takes so long, one way, in virtual time; the kernel may take a multiple of it
    /// (`latency: 2`, `latency: 10`). What is under way shows as [`Step::Clock`](super::Step::Clock).
    ///
    /// # Errors
    ///
    /// It is one host, or one of another kernel; or the plan was not legal (it went the kind way). So it is for all that
    /// is said of links here.
    pub fn set_latency(&mut self, a: Host, b: Host, latency: Duration) -> Result<(), HandError> {
        self.with_link(a, b, |kernel, a, b| {
            kernel.set_latency(a, b, nanos(latency))
        })
    }

    /// The link between the two is lost for so long, or, if that is nothing, until it is [healed](Hand::heal):
    /// nothing arrives, and nobody is told.
    ///
    /// # Errors
    ///
    /// As [`Hand::set_latency`].
    pub fn lose(&mut self, a: Host, b: Host, time: Option<Duration>) -> Result<(), HandError> {
        let time = time.map_or(u64::MAX, nanos);
        self.with_link(a, b, |kernel, a, b| kernel.lose(a, b, true, time))
    }

    /// As [`Hand::lose`], one way: what comes back still arrives.
    ///
    /// # Errors
    ///
    /// As [`Hand::set_latency`].
    pub fn lose_one_way(
        &mut self,
        from: Host,
        to: Host,
        time: Option<Duration>,
    ) -> Result<(), HandError> {
        let time = time.map_or(u64::MAX, nanos);
        self.with_link(from, to, |kernel, from, to| {
            kernel.lose(from, to, false, time)
        })
    }

    /// The link is there again. What waited is sent at its next try.
    ///
    /// # Errors
    ///
    /// As [`Hand::set_latency`].
    pub fn heal(&mut self, a: Host, b: Host) -> Result<(), HandError> {
        self.with_link(a, b, Kernel::heal)
    }

    /// From now on it may be decided that something is lost (`link: this`), or the link one way or both for as long as
    /// `most`.
    ///
    /// # Errors
    ///
    /// As [`Hand::set_latency`].
    pub fn may_be_lost(&mut self, a: Host, b: Host, most: Duration) -> Result<(), HandError> {
        self.with_link(a, b, |kernel, a, b| {
            kernel.set_may_be_lost(a, b, nanos(most))
        })
    }

    /// The host forgets every connection that it has, as if its kernel had restarted. Its own streams fail at once; the
    /// other ends are half-open until they send something.
    ///
    /// # Errors
    ///
    /// It is a host of another kernel; or the plan was not legal.
    pub fn reset_connections(&mut self, host: Host) -> Result<(), HandError> {
        self.known(host)?;
        self.planned(|kernel| kernel.reset_connections(host.0));
        self.legal(None)
    }

    fn known(&self, host: Host) -> Result<(), HandError> {
        let known = self.kernel.m.net.has_host(host.0);
        known.then_some(()).ok_or(HandError::NoSuchHost)
    }

    fn with_link(
        &mut self,
        a: Host,
        b: Host,
        change: impl FnOnce(&mut Kernel, u16, u16),
    ) -> Result<(), HandError> {
        self.known(a)?;
        self.known(b)?;
        if a == b {
            return Err(HandError::NoLink {
                host: self.kernel.host_name(a.0),
            });
        }
        self.planned(|kernel| change(kernel, a.0, b.0));
        self.legal(None)
    }
}
