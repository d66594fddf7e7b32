//! The simulated kernel behind the seam: translates operations, tokens and errors.
//!
//! A lane's token names the kernel's slot directly: index and tag give the place, so that an operation and
//! the deadline armed for it have one each. There is one lane at a time: several
//! simulated workers share it, as they would share a port, and take turns on one thread (`overlap`).
//!
//! A simulated wait never sleeps. It makes steps until there is one completion to hand out, so that
//! each handler runs between two steps of the kernel; when only time can help, time moves.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use super::{
    Backend, Began, Code, Completion, ConnectAddr, LENGTH_OFFSET, Lane, ListenOptions, Note,
    Notified, Op, Origin, Raw, Submitted, Tag, Token, Until, Waited, whole_seconds,
};
use crate::choice::EventId;
use crate::sim::World;
use crate::sim::errno::{self, error};
use crate::sim::files;
use crate::sim::kernel::Kernel;
use crate::sim::op::{Asked, Outline, Request, Verb};
use crate::sim::peers;
use crate::sim::plain::Plainly;
use crate::sim::steps::{Stepped, Until as Till};
use crate::sim::words::plural;
use crate::switch;

// The kernel reads the flags of an open as the seam has them.
const _: () = {
    use super::open_flags as seam;
    assert!(
        seam::READ == files::READ
            && seam::WRITE == files::WRITE
            && seam::TRUNCATE == files::TRUNCATE
    );
    assert!(seam::CREATE == files::CREATE && seam::CREATE_NEW == files::CREATE_NEW);
    assert!(seam::APPEND == files::APPEND && seam::DIRECTORY == files::DIRECTORY);
    assert!(super::CANCELED == -errno::ECANCELED);
    // And the pieces of a vectored operation.
    assert!(size_of::<super::Segment>() == size_of::<crate::sim::Piece>());
    assert!(std::mem::offset_of!(super::Segment, len) == crate::sim::Piece::LEN_OFFSET);
};

/// A [`World`] as a backend.
pub(crate) struct SimBackend {
    world: World,
    bell: Arc<Bell>,
}

/// What other threads may ring.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Bell {
    fn take_waker(&self) -> Option<Waker> {
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        waker.take()
    }
}

impl SimBackend {
    pub(crate) fn new(world: &World) -> SimBackend {
        SimBackend {
            world: world.clone(),
            bell: Arc::default(),
        }
    }

    pub(super) fn sim_lane(&self) -> io::Result<SimLane> {
        if !take_lane(&self.world)? {
            let message = "the simulated kernel has one worker at a time, and has it already";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(SimLane {
            world: self.world.clone(),
            bell: Arc::clone(&self.bell),
            is_taken: true,
            has_notified: false,
        })
    }

    /// Enters the world for a call that can fail.
    fn call<R>(
        &self,
        body: impl FnOnce(&mut crate::sim::kernel::Kernel) -> Result<R, i32>,
    ) -> io::Result<R> {
        self.world
            .enter(|kernel| {
                kernel.touches_all();
                body(kernel)
            })
            .map_err(io::Error::other)?
            .map_err(error)
    }
}

impl Backend for SimBackend {
    fn describe(&self) -> String {
        "the simulated kernel: one thread, virtual time, every freedom a decision".to_owned()
    }

    fn lane(&self, _: usize) -> io::Result<Box<dyn Lane>> {
        Ok(Box::new(self.sim_lane()?))
    }

    fn wake(&self, _: usize) {
        self.bell.rung.store(true, Ordering::Release);
        if let Some(waker) = self.bell.take_waker() {
            waker.wake();
        }
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn root(&self) -> EventId {
        self.world
            .enter(|kernel| kernel.root())
            .unwrap_or(EventId::ROOT)
    }

    fn error(&self, code: i32) -> io::Error {
        error(code)
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw> {
        self.call(|kernel| kernel.listen(addr, options.backlog, options.reuse_port))
            .map(Raw)
    }

    fn stream(&self, _: SocketAddr, local: Option<SocketAddr>) -> io::Result<Raw> {
        self.call(|kernel| kernel.socket(local)).map(Raw)
    }

    fn local_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.call(|kernel| kernel.local_addr(raw.0))
    }

    fn peer_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.call(|kernel| kernel.peer_addr(raw.0))
    }

    fn set_nodelay(&self, raw: Raw, on: bool) -> io::Result<()> {
        self.call(|kernel| kernel.set_nodelay(raw.0, on))
    }

    fn nodelay(&self, raw: Raw) -> io::Result<bool> {
        self.call(|kernel| kernel.nodelay(raw.0))
    }

    fn set_linger(&self, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
        let seconds = linger.map(whole_seconds);
        self.call(|kernel| kernel.set_linger(raw.0, seconds))
    }

    fn linger(&self, raw: Raw) -> io::Result<Option<Duration>> {
        self.call(|kernel| kernel.linger(raw.0))
            .map(|seconds| seconds.map(Duration::from_secs))
    }

    fn event(&self) -> io::Result<Raw> {
        self.call(Kernel::event).map(Raw)
    }

    fn set(&self, raw: Raw) -> io::Result<()> {
        if !self.world.set(raw.0) {
            // On another thread: the owner comes by.
            self.wake(0);
        }
        Ok(())
    }

    fn close(&self, raw: Raw) {
        self.world.close(raw.0);
    }
}

/// The worker's side.
pub(super) struct SimLane {
    world: World,
    bell: Arc<Bell>,
    /// It is the world's lane, and not one of before a reset.
    is_taken: bool,
    /// A waker may be at the bell.
    has_notified: bool,
}

impl SimLane {
    /// Whether it was rung; takes the mark.
    #[inline]
    pub(super) fn hears(&self) -> bool {
        // A load first: the flag is rarely set, and an exchange costs more than all else here.
        self.bell.rung.load(Ordering::Relaxed) && self.bell.rung.swap(false, Ordering::Acquire)
    }
}

/// A world has one lane at a time. Whether it had none.
fn take_lane(world: &World) -> io::Result<bool> {
    world
        .enter(|kernel| kernel.takes_lane())
        .map_err(io::Error::other)
}

/// The kernel's slot for a token: behind those of scripted peers.
#[inline]
pub(super) fn place(token: Token) -> u32 {
    peers::MOST + (token.index() << 1 | u32::from(token.has_tag(Tag::Deadline)))
}

/// What the seam is asked for, as the kernel looks at it.
struct Submission<'a> {
    token: Token,
    op: &'a Op,
    origin: &'a Origin,
}

impl Asked for Submission<'_> {
    #[inline(always)]
    fn outline(&self) -> Outline {
        Outline {
            may_be_ready: self.origin.may_be_ready,
            handle: self.op.raw.0,
            len: self.op.len,
            flags: self.op.flags,
        }
    }

    #[inline(always)]
    fn request(&self) -> Request {
        request(self.token, self.op, self.origin)
    }

    #[inline(always)]
    fn above(&self) -> usize {
        std::ptr::from_ref(self.origin).addr()
    }
}

#[inline(always)]
pub(super) fn request(token: Token, op: &Op, origin: &Origin) -> Request {
    let verb = match op.code {
        Code::Nop => Verb::Nop,
        Code::Timer => Verb::Timer,
        Code::Recv | Code::RecvVectored => Verb::Recv,
        Code::Send | Code::SendVectored => Verb::Send,
        Code::Accept => Verb::Accept,
        Code::Connect => Verb::Connect,
        Code::Shutdown => Verb::Shutdown,
        Code::ReadAt => Verb::ReadAt,
        Code::WriteAt => Verb::WriteAt,
        Code::Open => Verb::Open,
        Code::Sync => Verb::Sync,
        Code::Length => Verb::Length,
        Code::Wait => Verb::Wait,
        Code::Job => Verb::Job,
        Code::Append => Verb::Append,
        Code::SetLen => Verb::SetLen,
        Code::Rename => Verb::Rename,
        Code::Remove => Verb::Remove,
        Code::CreateDir => Verb::CreateDir,
    };
    let (ptr, len, offset) = match op.code {
        // SAFETY: the address of a field: the seam lends a ConnectAddr at `ptr`.
        Code::Connect => (
            unsafe { &raw mut (*op.ptr.cast::<ConnectAddr>()).addr }.cast(),
            0,
            0,
        ),
        Code::Length => (op.ptr, 256, LENGTH_OFFSET as u64),
        _ => (op.ptr, op.len, op.offset),
    };
    Request {
        verb,
        vectored: matches!(op.code, Code::RecvVectored | Code::SendVectored),
        writable: origin.writable,
        may_be_ready: origin.may_be_ready,
        handle: op.raw.0,
        len,
        flags: op.flags,
        ptr,
        offset,
        token: token.0,
        event: origin.event,
        cause: origin.cause,
        location: origin.location,
    }
}

/// Submits what is not plain. Out of line, with a request of its own: that of the plain is in registers.
///
/// # Safety
///
/// As [`Lane::submit`].
#[inline(never)]
unsafe fn submit_at_length(
    kernel: &mut Kernel,
    token: Token,
    op: &Op,
    origin: &Origin,
) -> Option<i32> {
    let request = request(token, op, origin);
    // SAFETY: the seam's contract is the kernel's.
    unsafe { kernel.submit_at_length(place(token), &request) }
}

/// The next completion, if it is not a plain one.
#[inline(never)]
fn next_at_length(kernel: &mut Kernel, until: Until) -> Option<Completion> {
    let until = match until {
        Until::Now => Till::Now,
        Until::Event => Till::Event,
        Until::Time(time) => Till::Time(time),
    };
    match kernel.in_flight_of_the_model() {
        0 => None,
        // If it brings nothing, nor will the one that a wait makes.
        _ => match kernel.step_in_line(until) {
            Stepped::Completion(token, result) => Some(Completion {
                token: Token(token),
                result,
            }),
            _ => None,
        },
    }
}

impl Lane for SimLane {
    unsafe fn submit(&mut self, token: Token, op: &Op, origin: &Origin) -> Submitted {
        switch::causes(origin.event);
        let submitted = self.world.enter_here(|kernel| {
            let asked = Submission { token, op, origin };
            // SAFETY: the seam's contract is the kernel's.
            let plainly = unsafe {
                match op.code {
                    Code::Recv => kernel.receive_plainly(place(token), &asked),
                    Code::Send => kernel.send_plainly(place(token), &asked),
                    _ => Plainly::NotPlain,
                }
            };
            match plainly {
                Plainly::Started(result) => result,
                // SAFETY: the same.
                Plainly::NotPlain => unsafe { submit_at_length(kernel, token, op, origin) },
            }
        });
        match submitted {
            Some(None) => Submitted::Pending,
            Some(Some(result)) => Submitted::Ready(result),
            // Which panics with the names of both threads.
            None => self.world.with(|_| Submitted::Pending),
        }
    }

    fn cancel(&mut self, token: Token) {
        // On another thread than the world's nothing was ever submitted: there is nothing to cancel.
        let _ = self
            .world
            .enter(|kernel| kernel.cancel(place(token), token.0));
    }

    fn disarm(&mut self, token: Token) {
        let _ = self
            .world
            .enter(|kernel| kernel.disarm(place(token), token.0));
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited> {
        self.world.empty_inbox();
        let rung = self.hears();
        let until = match until {
            Until::Now => Till::Now,
            _ if rung => Till::Now,
            Until::Event => Till::Event,
            Until::Time(time) => Till::Time(time),
        };
        match self
            .world
            .enter(|kernel| kernel.step(until))
            .map_err(io::Error::other)?
        {
            Stepped::Completion(token, result) => {
                batch.push(Completion {
                    token: Token(token),
                    result,
                });
                Ok(Waited::Returned)
            }
            Stepped::Nothing => Ok(Waited::Returned),
            Stepped::Stuck => Ok(Waited::Stuck),
            Stepped::Over => Ok(Waited::Over),
            Stepped::PowerLost => Ok(Waited::PowerLost),
            Stepped::Dropped => Ok(Waited::Dropped),
        }
    }

    fn next(&mut self, until: Until) -> Option<Completion> {
        if until == Until::Now || self.bell.rung.load(Ordering::Relaxed) || self.world.has_inbox() {
            return None;
        }
        let step = |kernel: &mut Kernel| match kernel.next_plainly() {
            Some((token, result)) => {
                let token = Token(token);
                Some(Completion { token, result })
            }
            None => next_at_length(kernel, until),
        };
        self.world.enter_here(step).flatten()
    }

    fn idles(&mut self) -> bool {
        if self.bell.rung.load(Ordering::Relaxed) || self.world.has_inbox() {
            return false;
        }
        self.world.enter_here(Kernel::idles).unwrap_or(false)
    }

    fn close(&mut self, raw: Raw) {
        self.world.close(raw.0);
    }

    fn in_flight(&self) -> usize {
        // It is the wait that says which thread it belongs to.
        self.world
            .enter(|kernel| kernel.in_flight_of_the_model())
            .unwrap_or_default()
    }

    fn notify(&mut self, waker: Waker, until: Until) -> io::Result<Notified> {
        let idle = self
            .world
            .enter(|kernel| kernel.in_flight_of_the_model() == 0)
            .map_err(io::Error::other)?;
        if idle && until == Until::Event {
            self.has_notified = true;
            let mut place = self
                .bell
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if !self.bell.rung.load(Ordering::Acquire) {
                return Ok(Notified::Later(place.replace(waker)));
            }
        }
        // A step is possible, or time can move, or the run is stuck: nothing that is worth waiting for.
        Ok(Notified::Now(waker))
    }

    fn is_virtual(&self) -> bool {
        true
    }

    fn is_traced(&self) -> bool {
        self.world
            .enter(|kernel| kernel.is_traced())
            .unwrap_or(false)
    }

    fn busy(
        &mut self,
        nanos: u64,
        segment: crate::sim::busy::Segment,
        location: &'static std::panic::Location<'static>,
    ) {
        // On another thread than the world's no handler of it runs.
        let _ = self
            .world
            .enter(|kernel| kernel.busy(nanos, Some(segment), location));
    }

    fn overlaps(&self) -> bool {
        self.world
            .enter(|kernel| kernel.workers > 1)
            .unwrap_or(false)
    }

    fn begins_again(&mut self) -> bool {
        if self.world.is_behind_a_port() {
            return false;
        }
        // Whoever made the world anew has taken the lane away from it.
        self.is_taken = take_lane(&self.world).unwrap_or(false);
        if !self.is_taken {
            return false;
        }
        if self.bell.rung.load(Ordering::Relaxed) {
            self.bell.rung.store(false, Ordering::Relaxed);
        }
        if std::mem::take(&mut self.has_notified) {
            // What is dropped here is user code; between two proactors it may do what it likes.
            drop(self.bell.take_waker());
        }
        true
    }

    fn note(&mut self, note: Note) {
        if let Note::Began { event, .. } = note {
            switch::causes(event);
        }
        let tell = |kernel: &mut Kernel| match note {
            Note::Unwanted(token) => kernel.unwanted = Some(place(token)),
            Note::DiscardedBytes(count) => {
                kernel.discarded(count);
                kernel.note(|| format!("{} discarded: nobody waits", plural(count, "byte")));
            }
            Note::DiscardedHandle => {
                kernel.discarded(0);
                kernel.note(|| "new handle closed: nobody waits".to_owned());
            }
            Note::DroppedHandler => kernel.note(|| "handler dropped, never called".to_owned()),
            Note::TearsDown => kernel.tears_down(),
            Note::Began {
                event,
                cause,
                nth,
                what,
                location,
            } => {
                let text = match what {
                    Began::Post => "handler posted",
                    Began::Task => "task spawned",
                    Began::BlockOn => "future blocked on",
                };
                kernel.began(event, cause, nth, text, location);
            }
        };
        let _ = self.world.enter(tell);
    }
}

impl Drop for SimLane {
    fn drop(&mut self) {
        if self.is_taken {
            // On another thread there is nothing to give back: the world is as good as lost then.
            let _ = self.world.enter(|kernel| kernel.lane_taken = false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::sync::atomic::AtomicUsize;

    use super::super::{Segment, open_flags};
    use super::*;
    use crate::choice::Kind;
    use crate::sim::Config;

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Rig {
        world: World,
        backend: SimBackend,
        lane: Box<dyn Lane>,
        submitted: u32,
    }

    impl Rig {
        fn new() -> Rig {
            let world = World::new(
                Config {
                    trace: true,
                    ..Config::default()
                },
                Box::new(Kind),
            );
            let backend = SimBackend::new(&world);
            let lane = backend.lane(0).unwrap();
            Rig {
                world,
                backend,
                lane,
                submitted: 0,
            }
        }

        /// # Safety
        ///
        /// As [`Lane::submit`].
        unsafe fn submit(&mut self, op: &Op) -> Token {
            let token = Token::new(self.submitted, 7, Tag::Operation);
            let origin = Origin {
                event: EventId::ROOT.child(self.submitted),
                cause: EventId::ROOT,
                location: Location::caller(),
                writable: true,
                may_be_ready: false,
            };
            self.submitted += 1;
            // SAFETY: the caller's promise.
            let submitted = unsafe { self.lane.submit(token, op, &origin) };
            assert_eq!(submitted, Submitted::Pending);
            token
        }

        fn next(&mut self) -> Completion {
            let mut batch = Vec::new();
            assert_eq!(
                self.lane.wait(&mut batch, Until::Event).unwrap(),
                Waited::Returned
            );
            assert_eq!(batch.len(), 1, "one completion a wait");
            batch[0]
        }
    }

    #[test]
    fn a_conversation_through_the_seam() {
        let mut rig = Rig::new();
        let options = ListenOptions {
            backlog: 4,
            reuse_address: true,
            reuse_port: false,
        };
        let listener = rig
            .backend
            .listen("127.0.0.1:0".parse().unwrap(), options)
            .unwrap();
        let addr = rig.backend.local_addr(listener).unwrap();
        let taken = rig.backend.listen(addr, options).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
        let client = rig.backend.stream(addr, None).unwrap();
        let mut to = ConnectAddr {
            addr,
            scratch: [0; 4],
        };
        let (mut a, mut b, mut c) = (*b"hello ", *b"world", [0u8; 20]);
        let mut pieces = [
            Segment {
                ptr: a.as_mut_ptr(),
                len: 6,
            },
            Segment {
                ptr: b.as_mut_ptr(),
                len: 5,
            },
        ];
        let mut path = b"/f\0".to_vec();
        let mut stat = vec![0u8; 256];
        // SAFETY: everything that is lent lives to the end of the test, and is left alone while it is lent.
        unsafe {
            rig.submit(&Op {
                ptr: (&raw mut to).cast(),
                ..Op::new(Code::Connect, client)
            });
            rig.submit(&Op::new(Code::Accept, listener));
            assert_eq!(rig.next().result, 0);
            let server = Raw(rig.next().result);
            assert_eq!(
                rig.backend.peer_addr(client).unwrap(),
                rig.backend.local_addr(server).unwrap()
            );
            let send = Op {
                ptr: pieces.as_mut_ptr().cast(),
                len: 2,
                ..Op::new(Code::SendVectored, client)
            };
            rig.submit(&send);
            rig.submit(&Op {
                ptr: c.as_mut_ptr(),
                len: 20,
                ..Op::new(Code::Recv, server)
            });
            assert_eq!((rig.next().result, rig.next().result), (11, 11));
            let flags = open_flags::READ | open_flags::WRITE | open_flags::CREATE;
            rig.submit(&Op {
                ptr: path.as_mut_ptr(),
                len: 2,
                flags,
                ..Op::new(Code::Open, Raw::NONE)
            });
            let file = Raw(rig.next().result);
            rig.submit(&Op {
                ptr: c.as_mut_ptr(),
                len: 11,
                offset: 3,
                ..Op::new(Code::WriteAt, file)
            });
            rig.submit(&Op {
                ptr: stat.as_mut_ptr(),
                ..Op::new(Code::Length, file)
            });
            assert_eq!((rig.next().result, rig.next().result), (11, 0));
            [listener, client, server]
                .into_iter()
                .for_each(|raw| rig.backend.close(raw));
            // As the last handle dropped on another thread would.
            let backend = &rig.backend;
            std::thread::scope(|scope| scope.spawn(move || backend.close(file)).join().unwrap());
        }
        assert_eq!(c[..11], *b"hello world");
        assert_eq!(stat[LENGTH_OFFSET..LENGTH_OFFSET + 8], 14u64.to_ne_bytes());
        assert_eq!(rig.world.file("/f").unwrap(), b"\0\0\0hello world");
        rig.world.finish();
        assert!(
            rig.world.violation().is_none(),
            "{:?}",
            rig.world.violation()
        );
    }

    #[test]
    fn waits_wakes_timers_and_being_stuck() {
        let mut rig = Rig::new();
        let mut batch = Vec::new();
        assert_eq!(
            rig.lane.wait(&mut batch, Until::Now).unwrap(),
            Waited::Returned
        );
        assert_eq!(
            rig.lane.wait(&mut batch, Until::Event).unwrap(),
            Waited::Stuck
        );
        assert!(!rig.world.failed(), "nothing waits: nothing is stuck");
        rig.backend.wake(0);
        assert_eq!(
            rig.lane.wait(&mut batch, Until::Event).unwrap(),
            Waited::Returned
        );
        assert_eq!(
            rig.lane.wait(&mut batch, Until::Time(500)).unwrap(),
            Waited::Returned
        );
        assert_eq!((batch.len(), rig.backend.now()), (0, 500));

        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        let later = rig.lane.notify(waker.clone(), Until::Event).unwrap();
        assert!(matches!(later, Notified::Later(None)));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        rig.backend.wake(0);
        rig.backend.wake(0);
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "one call, one wake");

        // SAFETY: a timer lends nothing.
        let timer = unsafe {
            rig.submit(&Op {
                offset: 900,
                ..Op::new(Code::Timer, Raw::NONE)
            })
        };
        rig.lane.cancel(Token::new(
            timer.index(),
            timer.generation() - 1,
            Tag::Operation,
        ));
        assert_eq!(rig.lane.in_flight(), 1);
        let now = rig.lane.notify(waker, Until::Event).unwrap();
        assert!(
            matches!(now, Notified::Now(_)),
            "time can move: that is a step"
        );
        batch.clear();
        assert_eq!(
            rig.lane.wait(&mut batch, Until::Now).unwrap(),
            Waited::Returned
        );
        assert!(batch.is_empty(), "the wake was before this wait");
        assert_eq!(
            rig.next(),
            Completion {
                token: timer,
                result: 0
            }
        );
        // SAFETY: a timer lends nothing.
        let timer = unsafe {
            rig.submit(&Op {
                offset: 1_000,
                ..Op::new(Code::Timer, Raw::NONE)
            })
        };
        rig.lane.disarm(timer);
        assert_eq!(rig.lane.in_flight(), 0);
    }

    #[test]
    fn one_lane_at_a_time_on_the_thread_of_the_world() {
        let rig = Rig::new();
        assert_eq!(
            rig.backend.lane(1).err().unwrap().kind(),
            io::ErrorKind::Unsupported
        );
        let Rig {
            world,
            backend,
            lane,
            ..
        } = rig;
        drop(lane);
        let mut lane = backend.lane(0).unwrap();
        let message = std::thread::spawn(move || {
            lane.wait(&mut Vec::new(), Until::Now)
                .unwrap_err()
                .to_string()
        });
        assert!(message.join().unwrap().contains("belongs to thread"));
        drop(world);
    }
}
