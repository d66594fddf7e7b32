//! The simulated kernel behind the seam: translates operations, tokens and errors.
//!
//! A lane's token names the kernel's slot directly: index and tag give the place, so that an operation and
//! the deadline armed for it have one each. There is one lane at a time; worlds with several
//! workers come later.
//!
//! A simulated wait never sleeps. It makes steps until there is one completion to hand out, so that
//! each handler runs between two steps of the kernel; when only time can help, time moves.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use super::{
    Backend, Code, Completion, ConnectAddr, LENGTH_OFFSET, Lane, ListenOptions, Note, Op, Origin,
    Raw, Submitted, Tag, Token, Until, Waited,
};
use crate::sim::World;
use crate::sim::errno;
use crate::sim::files;
use crate::sim::kernel::{Request, Verb};
use crate::sim::steps::{Stepped, Until as Till};

// The kernel reads the flags of an open as the seam has them.
const _: () = {
    use super::open_flags as seam;
    assert!(
        seam::READ == files::READ
            && seam::WRITE == files::WRITE
            && seam::TRUNCATE == files::TRUNCATE
    );
    assert!(seam::CREATE == files::CREATE && seam::CREATE_NEW == files::CREATE_NEW);
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

impl SimBackend {
    pub(crate) fn new(world: &World) -> SimBackend {
        SimBackend {
            world: world.clone(),
            bell: Arc::default(),
        }
    }

    /// Enters the world for a call that can fail.
    fn call<R>(
        &self,
        body: impl FnOnce(&mut crate::sim::kernel::Kernel) -> Result<R, i32>,
    ) -> io::Result<R> {
        self.world
            .enter(body)
            .map_err(io::Error::other)?
            .map_err(error)
    }
}

/// The error behind a number of [`errno`].
fn error(code: i32) -> io::Error {
    #[cfg(target_os = "linux")]
    {
        io::Error::from_raw_os_error(code)
    }
    #[cfg(not(target_os = "linux"))]
    {
        // Other systems number their errors differently: the kind is what they share.
        let kind = match code {
            errno::ENOENT => io::ErrorKind::NotFound,
            errno::EACCES => io::ErrorKind::PermissionDenied,
            errno::EEXIST => io::ErrorKind::AlreadyExists,
            errno::ENOTDIR => io::ErrorKind::NotADirectory,
            errno::EISDIR => io::ErrorKind::IsADirectory,
            errno::EINVAL => io::ErrorKind::InvalidInput,
            errno::EFBIG => io::ErrorKind::FileTooLarge,
            errno::ENOSPC => io::ErrorKind::StorageFull,
            errno::ESPIPE => io::ErrorKind::NotSeekable,
            errno::EPIPE => io::ErrorKind::BrokenPipe,
            errno::EADDRINUSE => io::ErrorKind::AddrInUse,
            errno::EADDRNOTAVAIL => io::ErrorKind::AddrNotAvailable,
            errno::ECONNRESET => io::ErrorKind::ConnectionReset,
            errno::ENOTCONN => io::ErrorKind::NotConnected,
            errno::ETIMEDOUT => io::ErrorKind::TimedOut,
            errno::ECONNREFUSED => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, errno::name(code))
    }
}

impl Backend for SimBackend {
    fn describe(&self) -> String {
        "the simulated kernel: one thread, virtual time, every freedom a decision".to_owned()
    }

    fn lane(&self, _: usize) -> io::Result<Box<dyn Lane>> {
        let taken = self
            .world
            .enter(|kernel| std::mem::replace(&mut kernel.lane_taken, true));
        if taken.map_err(io::Error::other)? {
            let message = "the simulated kernel has one worker at a time, and has it already";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(Box::new(SimLane {
            world: self.world.clone(),
            bell: Arc::clone(&self.bell),
        }))
    }

    fn wake(&self, _: usize) {
        self.bell.rung.store(true, Ordering::Release);
        let waker = self
            .bell
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn now(&self) -> u64 {
        self.world.now()
    }

    fn error(&self, code: i32) -> io::Error {
        error(code)
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw> {
        self.call(|kernel| kernel.listen(addr, options.backlog, options.reuse_port))
            .map(Raw)
    }

    fn stream(&self, _: SocketAddr) -> io::Result<Raw> {
        self.call(|kernel| kernel.socket()).map(Raw)
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

    fn close(&self, raw: Raw) {
        self.world.close(raw.0);
    }
}

/// The worker's side.
struct SimLane {
    world: World,
    bell: Arc<Bell>,
}

/// The kernel's slot for a token.
#[inline]
fn place(token: Token) -> u32 {
    token.index() << 1 | u32::from(token.has_tag(Tag::Deadline))
}

fn request(token: Token, op: &Op, origin: &Origin) -> Request {
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

impl Lane for SimLane {
    unsafe fn submit(&mut self, token: Token, op: &Op, origin: &Origin) -> Submitted {
        let request = request(token, op, origin);
        // SAFETY: the seam's contract is the kernel's.
        match self
            .world
            .with(|kernel| unsafe { kernel.submit(place(token), &request) })
        {
            Some(result) => Submitted::Ready(result),
            None => Submitted::Pending,
        }
    }

    fn cancel(&mut self, token: Token) {
        self.world
            .with(|kernel| kernel.cancel(place(token), token.0));
    }

    fn disarm(&mut self, token: Token) {
        self.world
            .with(|kernel| kernel.disarm(place(token), token.0));
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited> {
        self.world.empty_inbox();
        // A load first: the flag is rarely set, and an exchange costs more than all else here.
        let rung =
            self.bell.rung.load(Ordering::Relaxed) && self.bell.rung.swap(false, Ordering::Acquire);
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
        }
    }

    fn close(&mut self, raw: Raw) {
        self.world.close(raw.0);
    }

    fn in_flight(&self) -> usize {
        self.world.with(|kernel| kernel.in_flight())
    }

    fn notify(&mut self, waker: &Waker, until: Until) -> io::Result<()> {
        let idle = self
            .world
            .enter(|kernel| kernel.in_flight() == 0)
            .map_err(io::Error::other)?;
        if idle && until == Until::Event {
            let mut place = self
                .bell
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *place = Some(waker.clone());
            if !self.bell.rung.load(Ordering::Acquire) {
                return Ok(());
            }
            *place = None;
        }
        // A step is possible, or time can move, or the run is stuck: nothing that is worth waiting for.
        waker.wake_by_ref();
        Ok(())
    }

    fn note(&mut self, note: Note) {
        let text = match note {
            Note::DiscardedBytes(count) => {
                format!("{count} bytes that nobody waits for are discarded")
            }
            Note::DiscardedHandle => "a handle that nobody waits for is closed".to_owned(),
            Note::DroppedHandler => "a handler is dropped uninvoked".to_owned(),
        };
        self.world.with(|kernel| kernel.note(text));
    }
}

impl Drop for SimLane {
    fn drop(&mut self) {
        // On another thread there is nothing to give back: the world is as good as lost then.
        let _ = self.world.enter(|kernel| kernel.lane_taken = false);
    }
}
