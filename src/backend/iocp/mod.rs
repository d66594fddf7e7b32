//! The backend on a completion port: Windows' own, or a simulated one.
//!
//! `port` is the seam: the calls of the operating system, with their contract. Above it stands all policy: `driver` is
//! the [`Lane`], `entries` has the overlapped structures, `objects` what is open, `desk` how a packet and
//! a wake reach the lane that they are for (all lanes share one port), `results` what the kernel's numbers mean,
//! `watcher` wakes somebody else's executor. Below it are the calls of Windows (`windows`), and on any system a port of
//! the simulated kernel's (`sim`): one and the same driver is above both.
//!
//! **Needs Windows 10 or Server 2016**, as Rust's standard library does. It was run under Wine 8, not on Windows itself.

mod desk;
#[cfg(feature = "check")]
pub(crate) mod door;
mod driver;
mod entries;
#[cfg(test)]
mod fake;
mod objects;
mod ord;
mod port;
mod results;
mod shared;
#[cfg(feature = "check")]
mod sim;
#[cfg(feature = "check")]
mod sim_errors;
mod watcher;
#[cfg(windows)]
mod windows;

// What `desk` is made of; in `tests/loom` it is loom's.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard, OnceLock};
    pub(super) use std::thread::{Thread, current};

    pub(super) use crate::atomics::{Arc, AtomicPtr, AtomicU8};
}

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use self::driver::Driver;
use self::port::{Handle, Port, Sort, code};
use self::shared::Shared;
use super::{Backend, Code, Lane, ListenOptions, Raw, whole_seconds};

/// A completion port as a backend.
struct Iocp<P: Port> {
    shared: Arc<Shared<P>>,
}

impl<P: Port> Iocp<P> {
    fn over(port: P) -> Iocp<P> {
        Iocp {
            shared: Arc::new(Shared::new(port)),
        }
    }

    fn driver(&self, index: usize) -> Driver<P> {
        let desk = self.shared.desk(index);
        Driver::new(Arc::clone(&self.shared), desk)
    }

    /// A handle that was just opened becomes an object.
    fn adopt(&self, handle: Handle, sort: Sort, v6: bool) -> io::Result<Raw> {
        match self.shared.adopt(handle, sort, v6) {
            error if error < 0 => Err(results::error(error.unsigned_abs())),
            raw => Ok(Raw(raw)),
        }
    }

    /// Asks the port something about a handle.
    fn on<T>(&self, raw: Raw, ask: impl FnOnce(&P, Handle) -> Result<T, u32>) -> io::Result<T> {
        let known = self.shared.objects.known(raw);
        let answer = match known {
            Some(known) => ask(&self.shared.port, known.handle),
            None => Err(code::WSAENOTSOCK),
        };
        answer.map_err(results::error)
    }
}

/// A completion port of Windows'.
#[cfg(windows)]
pub(crate) fn real() -> io::Result<impl Backend> {
    Ok(Iocp::over(windows::WinPort::new()?))
}

/// Any address of the family, and any port: ConnectEx wants a socket that is bound.
fn unspecified(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

impl<P: Port> Backend for Iocp<P> {
    fn describe(&self) -> String {
        self.shared.port.describe()
    }

    fn lane(&self, index: usize) -> io::Result<Box<dyn Lane>> {
        Ok(Box::new(self.driver(index)))
    }

    fn wake(&self, index: usize) {
        self.shared.wake(index);
    }

    fn now(&self) -> u64 {
        self.shared.port.now()
    }

    fn error(&self, code: i32) -> io::Error {
        results::error(code.unsigned_abs())
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw> {
        let handle = match self.shared.port.listen(addr, options) {
            Ok(handle) => handle,
            Err(code::NOT_SUPPORTED) if options.reuse_port => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "there is no SO_REUSEPORT on Windows, for listeners that share an address or are sharded: \
                     open one, whose connections go to all workers in turn",
                ));
            }
            Err(error) => return Err(results::error(error)),
        };
        self.adopt(handle, Sort::Socket, addr.is_ipv6())
    }

    fn stream(&self, addr: SocketAddr, local: Option<SocketAddr>) -> io::Result<Raw> {
        let local = local.unwrap_or_else(|| unspecified(addr));
        let handle = self
            .shared
            .port
            .socket(addr.is_ipv6(), Some(local))
            .map_err(results::error)?;
        self.adopt(handle, Sort::Socket, addr.is_ipv6())
    }

    fn local_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.on(raw, |port, socket| port.local_addr(socket))
    }

    fn peer_addr(&self, raw: Raw) -> io::Result<SocketAddr> {
        self.on(raw, |port, socket| port.peer_addr(socket))
    }

    fn set_nodelay(&self, raw: Raw, on: bool) -> io::Result<()> {
        self.on(raw, |port, socket| port.set_nodelay(socket, on))
    }

    fn nodelay(&self, raw: Raw) -> io::Result<bool> {
        self.on(raw, |port, socket| port.nodelay(socket))
    }

    fn set_linger(&self, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
        let seconds = linger.map(whole_seconds);
        self.on(raw, |port, socket| port.set_linger(socket, seconds))
    }

    fn linger(&self, raw: Raw) -> io::Result<Option<Duration>> {
        self.on(raw, |port, socket| port.linger(socket))
            .map(|seconds| seconds.map(Duration::from_secs))
    }

    fn event(&self) -> io::Result<Raw> {
        let raw = self.shared.objects.event();
        raw.ok_or_else(|| results::error(code::WSAEMFILE))
    }

    fn set(&self, raw: Raw) -> io::Result<()> {
        if let Some(wait) = self.shared.objects.set(raw) {
            // SAFETY: a wait is in flight until its lane has heard of its end, which it hears of from us; so its entry
            // is there (I4).
            let entry = unsafe { &*wait };
            entry.leave(driver::SET as u32, 0);
            self.shared.bring(entry);
        }
        Ok(())
    }

    fn close(&self, raw: Raw) {
        self.shared.close(raw);
    }

    fn does(&self, code: Code) -> bool {
        match code {
            Code::Open
            | Code::Sync
            | Code::SetLen
            | Code::Rename
            | Code::Remove
            | Code::CreateDir => self.shared.port.does(code),
            _ => true,
        }
    }

    fn perform(&self, code: Code, raw: Raw, paths: &[u8], flags: u32, offset: u64) -> i32 {
        let shared = &*self.shared;
        let file = shared.objects.known(raw).map(|known| known.handle);
        match shared.port.perform(code, file, paths, flags, offset) {
            Ok(handle) if code == Code::Open => shared.adopt(Handle(handle), Sort::File, false),
            Ok(_) => 0,
            Err(error) => match results::ended(code, false, 0, error) {
                results::Ended::Done(result) => result,
                // Nobody can cancel it: whatever that was, it has not been done.
                results::Ended::Undone => results::failed(error),
            },
        }
    }
}
