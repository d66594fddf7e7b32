//! [`Host`] and [`Link`]: several machines in one simulation, as a test sees them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::hosts::address;
use super::words::nanos;
use super::world::World;

/// A named machine with an address of its own. Clones are the same one.
///
/// One proactor plays the code of all hosts: a listener lives on the host whose address it is bound to, a
/// connection's client on the host of its local address, which
/// [`TcpStream::connect_from`](crate::net::TcpStream::connect_from) names. All other sockets, among them those at
/// the loopback and unspecified addresses, are *here*, on the one host without a name, which calls others from
/// 10.0.0.254.
///
/// Made by [`World::host`] and [`Sim::host`](crate::check::Sim::host).
///
/// ```
/// use proactor::net::{TcpListener, TcpStream};
/// use std::time::Duration;
///
/// let model = |sim: &proactor::check::Sim| {
///     let (web, db) = (sim.host("web"), sim.host("db"));
///     web.link(&db).latency(Duration::from_millis(2));
///     let proactor = sim.proactor();
///     let listener = TcpListener::bind(proactor, db.addr(5432)).unwrap();
///     let connect = TcpStream::connect_from(proactor, web.addr(0), db.addr(5432));
///     if let Ok(stream) = proactor.block_on(connect).unwrap() {
///         assert_eq!(stream.local_addr().unwrap().ip(), web.ip());
///         assert!(sim.now() >= Duration::from_millis(4), "a handshake goes there and back");
///     }
/// };
/// proactor::check::Checker::new().executions(200).run(model).unwrap();
/// ```
#[derive(Clone)]
pub struct Host {
    world: World,
    host: u16,
}

impl Host {
    pub(super) fn new(world: World, host: u16) -> Host {
        Host { world, host }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.world.outside(|kernel| kernel.host_name(self.host))
    }

    /// Its address: 10.0.0.1 of the first that was named in a world, 10.0.0.2 of the second, and so on.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        IpAddr::V4(address(self.host))
    }

    /// That address with a port.
    #[must_use]
    pub fn addr(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip(), port)
    }

    /// The link to another host. There is one between any two; at first it takes no time and loses nothing.
    ///
    /// # Panics
    ///
    /// If it is the same host, or one of another world.
    #[track_caller]
    pub fn link(&self, other: &Host) -> Link {
        assert!(
            self.host != other.host,
            "a host has no link to itself: {} was given twice",
            self.name()
        );
        assert!(
            self.world.is_same(&other.world),
            "{} and {} are hosts of two worlds: nothing links them",
            self.name(),
            other.name()
        );
        Link {
            world: self.world.clone(),
            ends: [self.host, other.host],
        }
    }

    /// The host forgets every connection that it has, as if its kernel had restarted.
    ///
    /// Its own streams fail at once, with [`ConnectionReset`](std::io::ErrorKind::ConnectionReset). The other
    /// ends are not told: each is *half-open* until it sends something, which is answered by a reset. Who only waits
    /// for bytes waits for ever; that is for a timeout to find. Listeners stay.
    pub fn reset_connections(&self) {
        self.world
            .outside(|kernel| kernel.reset_connections(self.host));
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Host) -> bool {
        self.host == other.host && self.world.is_same(&other.world)
    }
}

impl Eq for Host {}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Host").field(&self.ip()).finish()
    }
}

/// The way between two hosts, as [`Host::link`] gives it. What is said of it holds from then on, for connections that
/// exist as well.
///
/// Connections over a link that takes time or may be lost have a send buffer at one end and a receive buffer at the
/// other, of [`Config::stream_buffer`](super::Config::stream_buffer) bytes each.
///
/// ```
/// use proactor::choice::Kind;
/// use proactor::sim::{Config, World};
/// use std::time::Duration;
///
/// let world = World::new(Config::default(), Box::new(Kind));
/// let (a, b) = (world.host("a"), world.host("b"));
/// let link = a.link(&b);
/// link.latency(Duration::from_millis(20));
/// link.lose_one_way(); // what `a` sends; what `b` sends still arrives
/// link.heal();
/// ```
#[derive(Clone)]
#[must_use = "a link does nothing by itself"]
pub struct Link {
    world: World,
    ends: [u16; 2],
}

impl Link {
    /// How long everything takes from one host to the other, in virtual time. The kernel may take twice or ten times as
    /// long (a deviation of the site [`Latency`](crate::choice::Site::Latency)); in a direction of a
    /// connection nothing overtakes.
    pub fn latency(&self, latency: Duration) -> &Link {
        let [a, b] = self.ends;
        self.world
            .outside(|kernel| kernel.set_latency(a, b, nanos(latency)));
        self
    }

    /// The link is lost: nothing arrives any more, and nobody is told. What is sent waits, and is sent again after
    /// 200 ms, 400 ms and so on up to every 120 s. After a quarter of an hour with something unacknowledged a connection
    /// ends with [`TimedOut`](std::io::ErrorKind::TimedOut), after 127 s an attempt to connect; a connection that is idle
    /// never notices.
    pub fn lose(&self) -> &Link {
        let [a, b] = self.ends;
        self.world
            .outside(|kernel| kernel.lose(a, b, true, u64::MAX));
        self
    }

    /// As [`lose`](Link::lose), for so long.
    pub fn lose_for(&self, time: Duration) -> &Link {
        let [a, b] = self.ends;
        self.world
            .outside(|kernel| kernel.lose(a, b, true, nanos(time)));
        self
    }

    /// As [`lose`](Link::lose), for what the host sends whose `link` this is; the other one's still arrives.
    pub fn lose_one_way(&self) -> &Link {
        let [a, b] = self.ends;
        self.world
            .outside(|kernel| kernel.lose(a, b, false, u64::MAX));
        self
    }

    /// The link is there again. What waited is sent at its next try.
    pub fn heal(&self) -> &Link {
        let [a, b] = self.ends;
        self.world.outside(|kernel| kernel.heal(a, b));
        self
    }

    /// From now on the kernel may lose what is sent, or the link, one way or both, for as long as `most`: deviations
    /// of the site [`Link`](crate::choice::Site::Link). In each execution it does so at most
    /// [`Config::faults_per_operation`](super::Config::faults_per_operation) times a link. A kind kernel never does.
    pub fn may_be_lost(&self, most: Duration) -> &Link {
        let [a, b] = self.ends;
        self.world
            .outside(|kernel| kernel.set_may_be_lost(a, b, nanos(most)));
        self
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self
            .ends
            .map(|host| Host::new(self.world.clone(), host).ip());
        f.debug_struct("Link")
            .field("from", &a)
            .field("to", &b)
            .finish()
    }
}
