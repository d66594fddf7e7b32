//! The calls of Windows behind the seam: [`Port`] on a real completion port.
//!
//! `queue` is the port itself, `transfers` what starts an operation, `sockets` and `files` what opens and asks,
//! `version` what this system says it is. All policy is the driver's, above the seam; what is here is one
//! call of the system's a function, and what its page says of it.
//!
//! Needs Windows 10 or Server 2016, as Rust's standard library does. Run under Wine 8, not on Windows itself: what
//! differs there stands at the head of `tests/behaviour/wine.rs`.

mod files;
#[cfg(test)]
mod on_windows;
mod queue;
mod sockets;
mod transfers;
mod version;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use windows_sys::Win32::Foundation::{GetLastError, HANDLE};

use self::queue::Queue;
use self::sockets::Sockets;
use super::port::{
    Addresses, Call, Cancelled, Dequeued, Handle, Overlapped, Packet, Piece, Port, Sleep, Sort,
    Started, code, milliseconds,
};
use crate::backend::{Code, ListenOptions};

/// A completion port of Windows'.
pub(super) struct WinPort {
    queue: Queue,
    sockets: Sockets,
    begun: Instant,
}

impl WinPort {
    pub(super) fn new() -> io::Result<WinPort> {
        Ok(WinPort {
            queue: Queue::new()?,
            sockets: Sockets::new(),
            begun: Instant::now(),
        })
    }
}

impl Handle {
    /// As calls of the kernel's want it.
    fn raw(self) -> HANDLE {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
}

/// What the last call on this thread failed with. (WSAGetLastError is the same number.)
fn last_error() -> u32 {
    // SAFETY: it reads a number of this thread's.
    unsafe { GetLastError() }
}

/// The number of an error of the standard library's or socket2's.
fn number(error: &io::Error) -> u32 {
    match error.raw_os_error() {
        Some(number) => number.cast_unsigned(),
        // It is one that the library makes up, of arguments that make no sense to it.
        None => code::WSAEINVAL,
    }
}

impl Port for WinPort {
    fn describe(&self) -> String {
        version::describe()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn socket(&self, v6: bool, local: Option<SocketAddr>) -> Result<Handle, u32> {
        sockets::socket(v6, local).map_err(|error| number(&error))
    }

    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> Result<Handle, u32> {
        sockets::listen(addr, options)
    }

    fn local_addr(&self, socket: Handle) -> Result<SocketAddr, u32> {
        sockets::ask(socket, |socket| socket.local_addr()).and_then(sockets::addr)
    }

    fn peer_addr(&self, socket: Handle) -> Result<SocketAddr, u32> {
        sockets::ask(socket, |socket| socket.peer_addr()).and_then(sockets::addr)
    }

    fn set_nodelay(&self, socket: Handle, on: bool) -> Result<(), u32> {
        sockets::ask(socket, |socket| socket.set_tcp_nodelay(on))
    }

    fn nodelay(&self, socket: Handle) -> Result<bool, u32> {
        sockets::ask(socket, |socket| socket.tcp_nodelay())
    }

    fn set_linger(&self, socket: Handle, seconds: Option<u64>) -> Result<(), u32> {
        self.sockets.set_linger(socket, seconds)
    }

    fn linger(&self, socket: Handle) -> Result<Option<u64>, u32> {
        let time = sockets::ask(socket, |socket| socket.linger())?;
        Ok(time.map(|time| time.as_secs()))
    }

    fn associate(&self, handle: Handle, key: usize) -> Result<(), u32> {
        self.queue.associate(handle, key)
    }

    fn skip_on_success(&self, handle: Handle, sort: Sort) -> bool {
        (sort == Sort::File || self.sockets.can_skip()) && queue::skip(handle)
    }

    fn close(&self, handle: Handle, sort: Sort) {
        match sort {
            Sort::Socket => self.sockets.close(handle),
            Sort::File => files::close(handle),
        }
    }

    unsafe fn recv(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
        // SAFETY: passed on.
        unsafe { transfers::recv(call, socket, pieces) }
    }

    unsafe fn send(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
        // SAFETY: passed on.
        unsafe { transfers::send(call, socket, pieces) }
    }

    unsafe fn accept(
        &self,
        call: Call<'_>,
        listener: Handle,
        fresh: Handle,
        addresses: *mut Addresses,
    ) -> Started {
        match self.sockets.accept_ex(listener) {
            // SAFETY: passed on.
            Ok(accept) => unsafe { transfers::accept(accept, call, listener, fresh, addresses) },
            Err(error) => Started::Failed(error),
        }
    }

    fn update_accept(&self, fresh: Handle, listener: Handle) -> Result<(), u32> {
        sockets::update_accept(fresh, listener)
    }

    unsafe fn connect(&self, call: Call<'_>, socket: Handle, to: SocketAddr) -> Started {
        match self.sockets.connect_ex(socket) {
            // SAFETY: passed on.
            Ok(connect) => unsafe { transfers::connect(connect, call, socket, to) },
            Err(error) => Started::Failed(error),
        }
    }

    fn update_connect(&self, socket: Handle) -> Result<(), u32> {
        sockets::update_connect(socket)
    }

    fn shutdown(&self, socket: Handle, how: u32) -> Result<(), u32> {
        sockets::shutdown(socket, how)
    }

    unsafe fn read_file(&self, call: Call<'_>, file: Handle, ptr: *mut u8, len: u32) -> Started {
        // SAFETY: passed on.
        unsafe { transfers::read_file(call, file, ptr, len) }
    }

    unsafe fn write_file(&self, call: Call<'_>, file: Handle, ptr: *const u8, len: u32) -> Started {
        // SAFETY: passed on.
        unsafe { transfers::write_file(call, file, ptr, len) }
    }

    fn file_len(&self, file: Handle) -> Result<u64, u32> {
        files::len(file)
    }

    fn cancel(&self, handle: Handle, overlapped: *mut Overlapped) -> Cancelled {
        transfers::cancel(handle, overlapped)
    }

    fn post(&self, key: usize, number: usize) -> Result<(), u32> {
        self.queue.post(key, number)
    }

    fn dequeue(&self, packets: &mut [Packet], sleep: Sleep) -> Result<Dequeued, u32> {
        self.queue.dequeue(
            packets,
            match sleep {
                Sleep::No => 0,
                Sleep::Forever => queue::FOREVER,
                Sleep::Until(time) => {
                    milliseconds(Duration::from_nanos(time.saturating_sub(self.now())))
                }
            },
        )
    }

    fn perform(
        &self,
        code: Code,
        file: Option<Handle>,
        paths: &[u8],
        flags: u32,
        offset: u64,
    ) -> Result<usize, u32> {
        files::perform(code, file, paths, flags, offset)
    }
}
