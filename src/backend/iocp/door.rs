//! The driver of completion ports as a backend of the simulated kernel: [`Door::Port`](crate::sim::Door::Port).
//!
//! All that is no business of a port's (traces, notes, the checker's workers) goes the plain way.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use super::Iocp;
use super::driver::Driver;
use super::sim::SimPort;
use crate::backend::sim::{SimBackend, SimLane};
use crate::backend::{
    Backend, Code, Completion, Lane, ListenOptions, Note, Notified, Op, Origin, Raw, Submitted,
    Token, Until, Waited,
};
use crate::choice::EventId;
use crate::sim::World;
use crate::switch;

/// A [`World`] behind a completion port.
pub(crate) struct Door {
    world: World,
    port: Iocp<SimPort>,
    plain: SimBackend,
}

impl Door {
    pub(crate) fn new(world: &World) -> Door {
        Door {
            world: world.clone(),
            port: Iocp::over(SimPort::new(world)),
            plain: SimBackend::new(world),
        }
    }
}

impl Backend for Door {
    fn describe(&self) -> String {
        self.port.describe()
    }

    fn lane(&self, index: usize) -> io::Result<Box<dyn Lane>> {
        let plain = self.plain.sim_lane()?;
        Ok(Box::new(DoorLane {
            world: self.world.clone(),
            driver: self.port.driver(index),
            plain,
        }))
    }

    fn wake(&self, index: usize) {
        self.port.wake(index);
        self.plain.wake(index);
    }

    fn now(&self) -> u64 {
        self.plain.now()
    }

    fn root(&self) -> EventId {
        self.plain.root()
    }

    fn error(&self, code: i32) -> io::Error {
        self.port.error(code)
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw> {
        self.port.listen(addr, options)
    }

    fn stream(&self, addr: SocketAddr, local: Option<SocketAddr>) -> io::Result<Raw> {
        self.port.stream(addr, local)
    }

    fn local_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.port.local_addr(raw)
    }

    fn peer_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.port.peer_addr(raw)
    }

    fn set_nodelay(&self, raw: Raw, on: bool) -> io::Result<()> {
        self.port.set_nodelay(raw, on)
    }

    fn nodelay(&self, raw: Raw) -> io::Result<bool> {
        self.port.nodelay(raw)
    }

    fn set_linger(&self, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
        self.port.set_linger(raw, linger)
    }

    fn linger(&self, raw: Raw) -> io::Result<Option<Duration>> {
        self.port.linger(raw)
    }

    fn event(&self) -> io::Result<Raw> {
        self.port.event()
    }

    fn set(&self, raw: Raw) -> io::Result<()> {
        self.port.set(raw)?;
        if self.world.enter(|kernel| kernel.is_set_above()).is_err() {
            // On another thread: the lane comes by.
            self.plain.wake(0);
        }
        Ok(())
    }

    fn close(&self, raw: Raw) {
        self.port.close(raw);
    }

    fn does(&self, code: Code) -> bool {
        self.port.does(code)
    }
}

struct DoorLane {
    world: World,
    driver: Driver<SimPort>,
    plain: SimLane,
}

impl DoorLane {
    /// Tells the kernel what the driver has.
    fn tell(&self) {
        let (ready, deadline) = self.driver.has();
        let _ = self.world.enter(|kernel| kernel.above(ready, deadline));
    }
}

impl Lane for DoorLane {
    unsafe fn submit(&mut self, token: Token, op: &Op, origin: &Origin) -> Submitted {
        switch::causes(origin.event);
        let is_own = matches!(op.code, Code::Timer | Code::Wait | Code::Nop);
        let offers_ready = self.world.with(|kernel| {
            if is_own {
                let what = match op.code {
                    Code::Timer => "timer",
                    Code::Wait => "wait",
                    _ => "nop",
                };
                kernel.began_above(origin.event, origin.cause, what, origin.location);
            }
            if op.code == Code::Wait {
                kernel.waits_for_event(token.0, origin.event, origin.location);
            }
            kernel.offers_ready()
        });
        let origin = Origin {
            may_be_ready: origin.may_be_ready && offers_ready,
            ..*origin
        };
        // SAFETY: passed on.
        let submitted = unsafe { self.driver.submit(token, op, &origin) };
        if op.code == Code::Wait && submitted != Submitted::Pending {
            let _ = self.world.enter(|kernel| kernel.has_waited(token.0));
        }
        self.tell();
        submitted
    }

    fn cancel(&mut self, token: Token) {
        self.driver.cancel(token);
        self.tell();
    }

    fn disarm(&mut self, token: Token) {
        self.driver.disarm(token);
        self.tell();
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited> {
        self.world.empty_inbox();
        self.plain.hears();
        let before = batch.len();
        let waited = self.driver.wait(batch, until);
        let _ = self.world.enter(|kernel| {
            for completion in &batch[before..] {
                kernel.has_waited(completion.token.0);
            }
        });
        self.tell();
        waited
    }

    fn close(&mut self, raw: Raw) {
        self.driver.close(raw);
    }

    fn in_flight(&self) -> usize {
        self.driver.in_flight()
    }

    fn notify(&mut self, waker: Waker, until: Until) -> io::Result<Notified> {
        if self.driver.in_flight() > 0 {
            return Ok(Notified::Now(waker));
        }
        self.plain.notify(waker, until)
    }

    fn is_virtual(&self) -> bool {
        true
    }

    fn is_traced(&self) -> bool {
        self.plain.is_traced()
    }

    fn busy(
        &mut self,
        nanos: u64,
        segment: crate::sim::busy::Segment,
        location: &'static Location<'static>,
    ) {
        self.plain.busy(nanos, segment, location);
    }

    fn overlaps(&self) -> bool {
        self.plain.overlaps()
    }

    fn note(&mut self, note: Note) {
        self.plain.note(note);
    }
}
