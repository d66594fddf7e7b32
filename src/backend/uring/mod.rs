//! The io_uring backend: a ring a worker.
//!
//! **Needs Linux 5.11**: waits with a deadline (IORING_FEAT_EXT_ARG) and IORING_OP_SHUTDOWN came
//! with it. Better from 6.1 on, where a ring has a single issuer and its completions are worked off
//! in the enter that asks for them (SINGLE_ISSUER, DEFER_TASKRUN). What the kernel has is probed at
//! run time, see [`Uring::new`]; where io_uring is refused, [`Refused`] names the cause.
//!
//! The parts: `driver` is the [`Lane`](super::Lane) with all its policies, over the `ring` trait;
//! `kernel` is that trait on the real thing, and the only file that names the io-uring crate, with
//! `queues`, the ring's memory;
//! `encode` turns operations into entries; `bell` wakes a sleeping lane, `notify` somebody else's
//! executor.
//!
//! Sockets and files stay in blocking mode: with O_NONBLOCK the kernel would end a receive with
//! EAGAIN in place of waiting for data.

mod bell;
mod clock;
mod driver;
mod encode;
#[cfg(test)]
mod fake;
mod headers;
mod kernel;
mod linger;
mod notify;
mod queues;
mod refused;
mod ring;

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

pub(crate) use self::refused::Refused;

use self::bell::Bell;
use self::clock::Clock;
use self::driver::Driver;
use self::kernel::{KernelRing, Lacks, Level, Size};
use super::{Backend, Code, Lane, ListenOptions, Op, Raw, Token};

/// How large the rings are. Neither bounds the number of operations in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Entries of a submission queue: how many operations one system call can start.
    pub(crate) submissions: u32,
    /// Entries of a completion queue: beyond them the kernel allocates, and the lane fetches.
    pub(crate) completions: u32,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            submissions: 256,
            completions: 4096,
        }
    }
}

/// Linux' io_uring.
pub(crate) struct Uring {
    level: Level,
    lacks: Lacks,
    size: Size,
    clock: Clock,
    /// The bells of the lanes, by their numbers.
    bells: RwLock<Vec<Option<Arc<Bell>>>>,
}

impl Uring {
    /// Finds out what this kernel has, by making a small ring and asking it.
    pub(crate) fn new(options: Options) -> Result<Uring, Refused> {
        let mut refusal = None;
        for level in Level::ALL {
            match Uring::at(level, options) {
                Ok(uring) => return Ok(uring),
                Err(error) => {
                    // EINVAL: flags that this kernel does not know. Anything else is not about flags.
                    let unknown = error.raw_os_error() == Some(libc::EINVAL);
                    refusal = Some(error);
                    if !unknown {
                        break;
                    }
                }
            }
        }
        Err(match refusal {
            Some(error) => match error.downcast() {
                Ok(refused) => refused,
                Err(error) => Refused::from_setup(error),
            },
            None => Refused::NotThere,
        })
    }

    /// A backend at exactly this level.
    fn at(level: Level, options: Options) -> io::Result<Uring> {
        let size = Size {
            submissions: options.submissions.max(1),
            completions: options.completions,
        };
        let clock = Clock::start();
        let lacks = KernelRing::new(
            level,
            Size {
                submissions: 1,
                completions: 2,
            },
            clock,
        )?
        .probe()?;
        Ok(Uring {
            level,
            lacks,
            size,
            clock,
            bells: RwLock::default(),
        })
    }

    /// As if the kernel were so old that it has no operations for which there is another way.
    #[cfg(test)]
    pub(crate) fn without_recent_operations(mut self) -> Uring {
        self.lacks = Lacks {
            create_dir: true,
            set_len: true,
        };
        self
    }

    fn driver(&self, index: usize) -> io::Result<Driver<KernelRing>> {
        let ring = KernelRing::new(self.level, self.size, self.clock)?;
        let bell = Arc::new(Bell::new()?);
        let mut bells = self.bells.write().unwrap_or_else(PoisonError::into_inner);
        if bells.len() <= index {
            bells.resize(index + 1, None);
        }
        bells[index] = Some(Arc::clone(&bell));
        Ok(Driver::new(ring, bell))
    }
}

/// [`submit_natively`](super::submit_natively), on Linux.
///
/// # Safety
///
/// As there.
#[inline(always)]
pub(super) unsafe fn submit(lane: &mut dyn Lane, token: Token, asked: Op, op: &Op) {
    debug_assert!(lane.is_native());
    // SAFETY: the lane is native: this is its type.
    let driver = unsafe { &mut *std::ptr::from_mut(lane).cast::<Driver<KernelRing>>() };
    driver.submit_now(token, &asked, op);
}

/// Asks socket2 something about a socket.
fn on_socket<T>(raw: Raw, ask: impl FnOnce(SockRef<'_>) -> io::Result<T>) -> io::Result<T> {
    // SAFETY: the descriptor is open for the duration of the call: the caller of the seam holds the
    // object.
    let socket = unsafe { BorrowedFd::borrow_raw(raw.0) };
    ask(SockRef::from(&socket))
}

fn tcp(addr: SocketAddr) -> io::Result<Socket> {
    // Close-on-exec, in blocking mode.
    Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))
}

fn socket_addr(addr: socket2::SockAddr) -> io::Result<SocketAddr> {
    addr.as_socket()
        .ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

impl Backend for Uring {
    fn describe(&self) -> String {
        format!(
            "io_uring ({}; {} submissions, {} completions a ring)",
            self.level.describe(),
            self.size.submissions,
            self.size.completions
        )
    }

    fn lane(&self, index: usize) -> io::Result<Box<dyn Lane>> {
        Ok(Box::new(self.driver(index)?))
    }

    fn wake(&self, index: usize) {
        let bells = self.bells.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(bell)) = bells.get(index) {
            bell.ring();
        }
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn error(&self, code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    fn event(&self) -> io::Result<Raw> {
        Ok(Raw(bell::eventfd()?.into_raw_fd()))
    }

    fn set(&self, raw: Raw) -> io::Result<()> {
        // Its user keeps it open for the length of this call (`ObjectRef::with_raw`).
        bell::write_one(&raw.0);
        Ok(())
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw> {
        let socket = tcp(addr)?;
        socket.set_reuse_address(options.reuse_address)?;
        socket.set_reuse_port(options.reuse_port)?;
        socket.bind(&addr.into())?;
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        Ok(Raw(socket.into_raw_fd()))
    }

    fn stream(&self, addr: SocketAddr, local: Option<SocketAddr>) -> io::Result<Raw> {
        let socket = tcp(addr)?;
        if let Some(local) = local {
            socket.bind(&local.into())?;
        }
        Ok(Raw(socket.into_raw_fd()))
    }

    fn local_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        on_socket(raw, |socket| socket_addr(socket.local_addr()?))
    }

    fn peer_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        on_socket(raw, |socket| socket_addr(socket.peer_addr()?))
    }

    fn set_nodelay(&self, raw: Raw, on: bool) -> io::Result<()> {
        on_socket(raw, |socket| socket.set_tcp_nodelay(on))
    }

    fn nodelay(&self, raw: Raw) -> io::Result<bool> {
        on_socket(raw, |socket| socket.tcp_nodelay())
    }

    fn set_linger(&self, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
        on_socket(raw, |socket| linger::set(&socket, raw, linger))
    }

    fn linger(&self, raw: Raw) -> io::Result<Option<Duration>> {
        on_socket(raw, |socket| socket.linger())
    }

    fn close(&self, raw: Raw) {
        close_now(raw);
    }

    fn does(&self, code: Code) -> bool {
        match code {
            Code::CreateDir => !self.lacks.create_dir,
            Code::SetLen => !self.lacks.set_len,
            _ => true,
        }
    }

    fn perform(&self, code: Code, raw: Raw, paths: &[u8], _: u32, offset: u64) -> i32 {
        let result = match code {
            // SAFETY: it touches no memory of ours; the descriptor is open, or the kernel says so.
            Code::SetLen => unsafe { libc::ftruncate(raw.0, offset as libc::off_t) },
            Code::CreateDir => {
                // Whoever asks has looked: there is no NUL in it.
                let path = CString::new(paths).unwrap_or_default();
                // SAFETY: the path is a local that ends with a NUL.
                unsafe { libc::mkdir(path.as_ptr(), offset as libc::mode_t) }
            }
            _ => return -libc::EINVAL,
        };
        match result {
            -1 => -io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO),
            result => result,
        }
    }
}

/// Closes a descriptor that the seam handed out, without the ring.
fn close_now(raw: Raw) {
    linger::never_wait(raw);
    // SAFETY: the descriptor is ours: the seam gave it out as a number and takes it back here, once.
    drop(unsafe { OwnedFd::from_raw_fd(raw.0) });
}
