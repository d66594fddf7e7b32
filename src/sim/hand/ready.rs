//! The readiness face of a held kernel: tries that don't wait, and waiting for what is worth a try.

use std::io;
use std::ops::BitOr;
use std::panic::Location;
use std::time::Duration;

use super::super::errno;
use super::super::op::{self, Verb};
use super::ask::Decision;
use super::request::{Listener, Object, Stream};
use super::{Hand, event_of};
use crate::choice::EventId;
use crate::time::nanos;

/// The kernel's place for tries: they are over before another begins.
const TRIES: u32 = 0;

/// What somebody wants to do with an object as soon as it does not have to wait.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Interest {
    /// Read, or accept.
    Read,
    /// Write.
    Write,
    /// Either.
    Both,
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        if self == other { self } else { Interest::Both }
    }
}

/// An object that is worth a try.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Ready {
    /// Which.
    pub object: Object,
    /// A read would give bytes, the end or an error; an accept a connection.
    pub readable: bool,
    /// A write would take bytes, or give an error.
    pub writable: bool,
    /// The peer sends no more (EPOLLRDHUP).
    pub ended: bool,
    /// Nothing moves either way any more (EPOLLHUP). Told without being asked for.
    pub hung_up: bool,
    /// An error waits to be reported (EPOLLERR). Told without being asked for.
    pub failed: bool,
}

impl Hand {
    /// Reads what is there, into `buf`: 0 is the end. Does not wait.
    ///
    /// ```
    /// # use proactor::sim::hand::{Interest, Request, Step};
    /// # use proactor::sim::{Config, Hand};
    /// # let mut hand = Hand::new(Config::default());
    /// # let listener = hand.listen("10.0.0.1:7")?;
    /// # let client = hand.socket()?;
    /// # let op = hand.submit(Request::connect(client, "10.0.0.1:7".parse()?))?;
    /// # hand.step(Step::Complete(op))?;
    /// let (server, _) = hand.try_accept(listener)?;
    /// let mut buf = [0; 64];
    /// let early = hand.try_read(server, &mut buf).unwrap_err();
    /// assert_eq!(early.kind(), std::io::ErrorKind::WouldBlock);
    ///
    /// hand.try_write(client, b"hello")?;
    /// let ready = hand.wait(&[(server.into(), Interest::Read)], std::time::Duration::ZERO);
    /// assert!(ready[0].readable);
    /// assert_eq!(hand.try_read(server, &mut buf)?, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): nothing is there. Else as recv(2).
    #[track_caller]
    pub fn try_read(&mut self, stream: Stream, buf: &mut [u8]) -> io::Result<usize> {
        self.attempt(Verb::Recv, stream.into(), buf.as_mut_ptr(), buf.len())
            .map(|count| count as usize)
    }

    /// Writes what there is room for. Does not wait.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): there is no room. Else as send(2).
    #[track_caller]
    pub fn try_write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<usize> {
        // The kernel only reads what is sent.
        self.attempt(
            Verb::Send,
            stream.into(),
            bytes.as_ptr().cast_mut(),
            bytes.len(),
        )
        .map(|count| count as usize)
    }

    /// Accepts a connection that waits. Does not wait for one.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): nobody has connected. Else as accept(2).
    #[track_caller]
    pub fn try_accept(&mut self, listener: Listener) -> io::Result<(Stream, std::net::SocketAddr)> {
        let raw = self.attempt(Verb::Accept, listener.into(), std::ptr::null_mut(), 0)?;
        let stream = Stream(raw);
        Ok((stream, self.peer_addr(stream)?))
    }

    /// A call on a descriptor with O_NONBLOCK. What is at `ptr` is lent during the call.
    #[track_caller]
    fn attempt(&mut self, verb: Verb, object: Object, ptr: *mut u8, len: usize) -> io::Result<i32> {
        self.open_handle(object.raw())?;
        let op = self.next_op();
        let request = op::Request {
            verb,
            vectored: false,
            // Nobody can touch it meanwhile: there is nothing to find out by poison.
            writable: false,
            may_be_ready: false,
            handle: object.raw(),
            len: u32::try_from(len).unwrap_or(u32::MAX),
            flags: 0,
            ptr,
            offset: 0,
            token: u64::from(op.0),
            event: event_of(op),
            cause: EventId::ROOT,
            location: Location::caller(),
        };
        let result = self.asking(&mut Decision::planned, |kernel| {
            // SAFETY: the buffer is the caller's for the whole call, and the operation is over when it
            // returns; what is sent is initialised.
            unsafe { kernel.at_once(TRIES, &request) }
        });
        self.legal(None)?;
        if result < 0 {
            return Err(errno::error(-result));
        }
        Ok(result)
    }

    /// Which of these objects are worth a try: level-triggered, as poll(2) and epoll(7) have it. If none is, time
    /// passes, for as long as `patience`, up to the first deadline that makes one ready.
    ///
    /// What it says is a hint. It may say *readable* of a stream or a listener although a try then gives
    /// `WouldBlock` (select(2), BUGS: what arrived is discarded on examination; accept(2), NOTES: the connection is gone before
    /// it is accepted): the decision `spurious: ready`. And an operation on the same object may take
    /// what was there.
    ///
    /// A closed object is never ready. An empty answer: nothing was ready, and will not be by itself.
    pub fn wait(&mut self, interests: &[(Object, Interest)], patience: Duration) -> Vec<Ready> {
        let end = self.kernel.m.now.saturating_add(nanos(patience));
        loop {
            let ready = self.look(interests);
            if !ready.is_empty() {
                return ready;
            }
            match self.kernel.next_deadline() {
                Some(deadline) if deadline <= end => {
                    let mut ask = Decision::planned;
                    self.asking(&mut ask, |kernel| kernel.clock());
                }
                _ => {
                    self.kernel.set_time(end);
                    return ready;
                }
            }
        }
    }

    fn look(&mut self, interests: &[(Object, Interest)]) -> Vec<Ready> {
        let mut found = Vec::new();
        let event = event_of(self.next_op());
        for (&(object, interest), nth) in interests.iter().zip(0..) {
            let reads = interest != Interest::Write;
            let mut ask = Decision::planned;
            let is = self.asking(&mut ask, |kernel| {
                kernel.poll(TRIES, event.child(nth), object.raw(), reads)
            });
            let ready = Ready {
                object,
                readable: is.readable && reads,
                writable: is.writable && interest != Interest::Read,
                ended: is.ended && reads,
                hung_up: is.hung_up,
                failed: is.failed,
            };
            if ready.readable || ready.writable || ready.ended || ready.hung_up || ready.failed {
                found.push(ready);
            }
        }
        found
    }
}
