//! The readiness face of a held kernel: tries that don't wait, and waiting for what is worth a try.

use std::io;
use std::net::SocketAddr;
use std::ops::BitOr;
use std::panic::Location;
use std::time::Duration;

use super::super::errno;
use super::super::kernel::Kernel;
use super::super::op::{self, State, Verb};
use super::super::words::nanos;
use super::ask::Decision;
use super::request::{Event, Listener, Object, OpId, Request, Stream};
use super::{Hand, Held};

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

/// An attempt to connect that goes on by itself.
pub(super) struct Connecting {
    pub(super) op: OpId,
    pub(super) socket: i32,
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
        self.attempt(Verb::Recv, 0, stream.into(), buf.as_mut_ptr(), buf.len())
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
            0,
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
    pub fn try_accept(&mut self, listener: Listener) -> io::Result<(Stream, SocketAddr)> {
        let raw = self.call(Verb::Accept, 0, listener.into())?;
        let stream = Stream(raw);
        let peer = self.kernel.called_by(raw);
        Ok((stream, peer.map_err(errno::error)?))
    }

    /// Takes what an event [was set](Hand::set) to. Does not wait for that.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): it is not set. Else as read(2) of an eventfd(2).
    #[track_caller]
    pub fn try_take(&mut self, event: Event) -> io::Result<()> {
        self.call(Verb::Wait, 0, event.into()).map(|_| ())
    }

    /// Ends one direction of a stream, or both.
    ///
    /// # Errors
    ///
    /// As shutdown(2).
    #[track_caller]
    pub fn try_shutdown(&mut self, stream: Stream, how: std::net::Shutdown) -> io::Result<()> {
        let flags = super::request::how(how);
        self.call(Verb::Shutdown, flags, stream.into()).map(|_| ())
    }

    /// Begins to connect a [socket](Hand::socket). What can't be done at once goes on by itself, and is over
    /// when the socket is writable; whether it has failed [`take_error`](Hand::take_error) tells then (connect(2),
    /// EINPROGRESS). Closing the socket gives it up.
    ///
    /// ```
    /// use proactor::sim::hand::Interest;
    /// use proactor::sim::{Config, Hand};
    /// use std::time::Duration;
    ///
    /// let mut hand = Hand::new(Config::default());
    /// let far = hand.host("far")?;
    /// hand.set_latency(hand.here(), far, Duration::from_millis(5))?;
    /// let socket = hand.socket()?;
    /// let begun = hand.try_connect(socket, far.addr(80)).unwrap_err();
    /// assert_eq!(begun.kind(), std::io::ErrorKind::WouldBlock);
    ///
    /// let ready = hand.wait(&[(socket.into(), Interest::Write)], Duration::from_secs(1));
    /// assert!(ready[0].writable && ready[0].failed);
    /// let error = hand.take_error(socket)?.unwrap();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock): it has begun. Else as connect(2).
    #[track_caller]
    pub fn try_connect(&mut self, socket: Stream, addr: SocketAddr) -> io::Result<()> {
        let op = self.start(Request::connect(socket, addr), &mut Decision::planned)?;
        // What is over now fails here, and nowhere else.
        if let Some(&Held { place, .. }) = self.held.get(&op)
            && self.kernel.m.ops[place as usize].state == State::Done
        {
            self.kernel.m.done.remove(|&id| id == place);
            self.hand_out(op, place);
            let over = self.ready.pop_back();
            return over.map_or(Ok(()), |over| over.result.map(|_| ()));
        }
        let socket = socket.0;
        self.connecting.push(Connecting { op, socket });
        Err(errno::error(errno::EAGAIN))
    }

    /// The error that waits to be told on a socket, if there is one: told once (SO_ERROR of socket(7)).
    ///
    /// # Errors
    ///
    /// As getsockopt(2): it is closed, or no socket.
    pub fn take_error(&mut self, object: impl Into<Object>) -> io::Result<Option<io::Error>> {
        let raw = object.into().raw();
        let error = self.kernel.take_error(raw).map_err(errno::error)?;
        let error = self.errors.remove(&raw).unwrap_or(error);
        Ok((error != 0).then(|| errno::error(error)))
    }

    /// An attempt to connect is over.
    pub(super) fn connected(&mut self, socket: i32, result: i32) {
        if result < 0 {
            self.errors.insert(socket, -result);
        }
    }

    /// Gives up what [`Hand::try_connect`] has begun.
    pub(super) fn stop_connecting(&mut self, socket: i32) {
        while let Some(at) = self.connecting.iter().position(|it| it.socket == socket) {
            let op = self.connecting[at].op;
            let Some(place) = self.held.get(&op).map(|held| held.place) else {
                self.connecting.swap_remove(at);
                continue;
            };
            // It waits, or is late: else it would be over by now.
            self.kernel.withdraw(place);
            self.kernel.finish(place, -errno::ECANCELED);
            self.come_to_an_end();
        }
        self.errors.remove(&socket);
    }

    /// A call without a buffer on a descriptor with O_NONBLOCK.
    #[track_caller]
    fn call(&mut self, verb: Verb, flags: u32, object: Object) -> io::Result<i32> {
        self.attempt(verb, flags, object, std::ptr::null_mut(), 0)
    }

    /// A call on a descriptor with O_NONBLOCK. What is at `ptr` is lent during the call.
    #[track_caller]
    fn attempt(
        &mut self,
        verb: Verb,
        flags: u32,
        object: Object,
        ptr: *mut u8,
        len: usize,
    ) -> io::Result<i32> {
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
            flags,
            ptr,
            offset: 0,
            token: u64::from(op.0),
            event: self.event_of(op),
            cause: self.kernel.root(),
            location: Location::caller(),
        };
        let result = self.planned(|kernel| {
            // SAFETY: the buffer is the caller's for the whole call, and the operation is over when it
            // returns; what is sent is initialised.
            unsafe { kernel.at_once(TRIES, &request) }
        });
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
    /// Edge-triggered readiness (EPOLLET) is not offered: a poller that is told of a level each time needs none.
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
                    self.planned(Kernel::clock);
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
        let op = self.next_op();
        let event = self.event_of(op);
        for (&(object, interest), nth) in interests.iter().zip(0..) {
            let reads = interest != Interest::Write;
            let raw = object.raw();
            let mut is = self.planned(|kernel| kernel.poll(TRIES, event.child(nth), raw, reads));
            is.failed |= self.errors.contains_key(&raw);
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
