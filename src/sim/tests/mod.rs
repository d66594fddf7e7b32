//! The kernel worked by hand: a small driver, scripted and random choosers; the tests by subject.

mod cancel;
mod divergence;
mod freedoms;
mod hosts;
mod legality;
mod memory;
mod oracles;
mod plain;
mod resets;
mod smells;
mod soak;
mod speed;
mod tcp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::Location;

use super::op::{Request, Verb};
use super::steps::{Stepped, Until};
use super::{Config, World};
use crate::choice::{Alternatives, Chooser, EventId, Key, Kind, Site};

pub(super) const ADDR: &str = "127.0.0.1:80";

/// Deviates where the script says: at the `skip`-th offer of `site`, alternative `pick`.
pub(super) struct Script(Vec<(Site, usize, usize)>);

impl Chooser for Script {
    fn choose(
        &mut self,
        site: Site,
        _: Key,
        count: usize,
        alternatives: &dyn Alternatives,
    ) -> usize {
        // Labels and words must exist for everything that is offered.
        for index in 0..count {
            assert!(!alternatives.label(index).is_empty() && !alternatives.word(index).is_empty());
        }
        let Some(at) = self.0.iter().position(|entry| entry.0 == site) else {
            return 0;
        };
        if self.0[at].1 > 0 {
            self.0[at].1 -= 1;
            return 0;
        }
        let pick = self.0.remove(at).2;
        assert!(
            pick < count,
            "{site:?} offers {count} alternatives, the script wants {pick}"
        );
        pick
    }
}

/// Deviates with a probability of `odds` in 256, by a tiny generator.
pub(crate) struct Random {
    state: u64,
    odds: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, odds: u64) -> Random {
        Random {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            odds,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 33
    }
}

impl Chooser for Random {
    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        if self.next() % 256 < self.odds {
            self.next() as usize % count
        } else {
            0
        }
    }
}

/// A world and the buffers that are lent to it.
pub(super) struct Hand {
    pub(super) world: World,
    lent: HashMap<u32, Vec<u8>>,
    addrs: HashMap<u32, Box<SocketAddr>>,
    next: u32,
}

impl Hand {
    pub(super) fn new(chooser: impl Chooser) -> Hand {
        Hand::with(
            Config {
                trace: true,
                ..Config::default()
            },
            chooser,
        )
    }

    pub(super) fn with(config: Config, chooser: impl Chooser) -> Hand {
        Hand {
            world: World::new(config, Box::new(chooser)),
            lent: HashMap::new(),
            addrs: HashMap::new(),
            next: 0,
        }
    }

    pub(super) fn kind() -> Hand {
        Hand::new(Kind)
    }

    pub(super) fn script(script: &[(Site, usize, usize)]) -> Hand {
        Hand::new(Script(script.to_vec()))
    }

    #[track_caller]
    pub(super) fn submit(
        &mut self,
        verb: Verb,
        handle: i32,
        flags: u32,
        offset: u64,
        bytes: Vec<u8>,
    ) -> u32 {
        self.try_submit(verb, handle, flags, offset, bytes, false).0
    }

    #[track_caller]
    pub(super) fn try_submit(
        &mut self,
        verb: Verb,
        handle: i32,
        flags: u32,
        offset: u64,
        mut bytes: Vec<u8>,
        may_be_ready: bool,
    ) -> (u32, Option<i32>) {
        let id = self.next;
        self.next += 1;
        let request = Request {
            verb,
            vectored: false,
            writable: true,
            may_be_ready,
            handle,
            len: bytes.len() as u32,
            flags,
            ptr: bytes.as_mut_ptr(),
            offset,
            token: u64::from(id),
            event: EventId::ROOT.child(id),
            cause: EventId::ROOT,
            location: Location::caller(),
        };
        self.lent.insert(id, bytes);
        // SAFETY: the buffer stays in `lent`, its heap memory unmoved, as long as the world is entered.
        (
            id,
            self.world
                .with(|kernel| unsafe { kernel.submit(id, &request) }),
        )
    }

    #[track_caller]
    pub(super) fn recv(&mut self, handle: i32, len: usize) -> u32 {
        self.submit(Verb::Recv, handle, 0, 0, vec![0; len])
    }

    #[track_caller]
    pub(super) fn send(&mut self, handle: i32, bytes: &[u8]) -> u32 {
        self.submit(Verb::Send, handle, 0, 0, bytes.to_vec())
    }

    #[track_caller]
    pub(super) fn timer(&mut self, deadline: u64) -> u32 {
        self.submit(Verb::Timer, -1, 0, deadline, Vec::new())
    }

    pub(super) fn accept(&mut self, listener: i32) -> u32 {
        self.submit(Verb::Accept, listener, 0, 0, Vec::new())
    }

    pub(super) fn shutdown(&mut self, handle: i32, how: u32) -> u32 {
        self.submit(Verb::Shutdown, handle, how, 0, Vec::new())
    }

    pub(super) fn listen(&mut self, backlog: u32) -> i32 {
        self.world
            .with(|kernel| kernel.listen(ADDR.parse().unwrap(), backlog, false))
            .unwrap()
    }

    /// A socket, and the connect of it.
    #[track_caller]
    pub(super) fn connect(&mut self, addr: &str) -> (i32, u32) {
        let socket = self.world.with(|kernel| kernel.socket(None)).unwrap();
        (socket, self.connect_socket(socket, addr))
    }

    /// The same from a local address.
    #[track_caller]
    pub(super) fn connect_from(&mut self, local: SocketAddr, addr: SocketAddr) -> (i32, u32) {
        let socket = self
            .world
            .with(|kernel| kernel.socket(Some(local)))
            .unwrap();
        (socket, self.connect_socket(socket, &addr.to_string()))
    }

    #[track_caller]
    pub(super) fn connect_socket(&mut self, socket: i32, addr: &str) -> u32 {
        let mut addr: Box<SocketAddr> = Box::new(addr.parse().unwrap());
        let id = self.next;
        self.next += 1;
        let request = Request {
            verb: Verb::Connect,
            vectored: false,
            writable: false,
            may_be_ready: false,
            handle: socket,
            len: 0,
            flags: 0,
            ptr: (&raw mut *addr).cast(),
            offset: 0,
            token: u64::from(id),
            event: EventId::ROOT.child(id),
            cause: EventId::ROOT,
            location: Location::caller(),
        };
        self.addrs.insert(id, addr);
        // SAFETY: the address stays boxed in `addrs`.
        self.world
            .with(|kernel| unsafe { kernel.submit(id, &request) });
        id
    }

    pub(super) fn cancel(&mut self, id: u32) {
        self.world.with(|kernel| kernel.cancel(id, u64::from(id)));
    }

    pub(super) fn close(&mut self, handle: i32) {
        self.world.close(handle);
    }

    pub(super) fn step(&mut self, until: Until) -> Stepped {
        self.world.with(|kernel| kernel.step(until))
    }

    /// The next completion.
    #[track_caller]
    pub(super) fn next(&mut self) -> (u32, i32) {
        // After a violation only a wait with an end, such as a teardown's, drains.
        let until = if self.world.failed() {
            Until::Now
        } else {
            Until::Event
        };
        match self.step(until) {
            Stepped::Completion(token, result) => (token as u32, result),
            other => panic!("{other:?}, {:?}", self.world.violation()),
        }
    }

    /// The next completion, which must be that of `id`.
    #[track_caller]
    pub(super) fn result(&mut self, id: u32) -> i32 {
        let (seen, result) = self.next();
        assert_eq!(seen, id);
        result
    }

    pub(super) fn buffer(&self, id: u32) -> &[u8] {
        &self.lent[&id]
    }

    /// A pointer into a buffer that is lent, as a faulty program would keep one.
    pub(super) fn poke(&mut self, id: u32, at: usize) {
        self.lent.get_mut(&id).unwrap()[at] ^= 0x55;
    }

    /// A listener and a connection to it: listener, client, server.
    pub(super) fn pair(&mut self) -> (i32, i32, i32) {
        let listener = self.listen(8);
        let (client, server) = self.pair_at(listener);
        (listener, client, server)
    }

    pub(super) fn pair_at(&mut self, listener: i32) -> (i32, i32) {
        let (client, connect) = self.connect(ADDR);
        let accept = self.accept(listener);
        assert_eq!(self.result(connect), 0);
        (client, self.result(accept))
    }

    /// Nothing is wrong, and nothing is left over.
    #[track_caller]
    pub(super) fn end(self, handles: &[i32]) {
        handles.iter().for_each(|&handle| self.world.close(handle));
        self.world.finish();
        if let Some(violation) = self.world.violation() {
            panic!("{violation}\n{}", self.world.kernel_trace());
        }
    }
}
