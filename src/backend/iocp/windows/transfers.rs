//! The calls that start an operation, and the one that asks for its end.

use std::net::SocketAddr;

use socket2::SockAddr;
use windows_sys::Win32::Networking::WinSock::{SOCKADDR, WSABUF, WSARecv, WSASend};
use windows_sys::Win32::Storage::FileSystem::{ReadFile, WriteFile};
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

use super::last_error;
use super::sockets::{AcceptEx, ConnectEx};
use crate::backend::iocp::port::{
    Addresses, Call, Cancelled, Handle, Overlapped, Piece, Started, code,
};

// The seam's layouts are Windows'.
const _: () = {
    assert!(size_of::<Overlapped>() == size_of::<OVERLAPPED>());
    assert!(align_of::<Overlapped>() == align_of::<OVERLAPPED>());
    assert!(
        std::mem::offset_of!(Overlapped, offset) == std::mem::offset_of!(OVERLAPPED, Anonymous)
    );
    assert!(std::mem::offset_of!(Overlapped, event) == std::mem::offset_of!(OVERLAPPED, hEvent));
    assert!(size_of::<Piece>() == size_of::<WSABUF>());
    assert!(align_of::<Piece>() == align_of::<WSABUF>());
    assert!(std::mem::offset_of!(Piece, ptr) == std::mem::offset_of!(WSABUF, buf));
};

/// How a call returned, and with how many bytes if it did all at once.
fn started(succeeded: bool, bytes: u32) -> Started {
    if succeeded {
        return Started::Done(bytes);
    }
    match last_error() {
        code::IO_PENDING => Started::Pending,
        // Success, said by a failure: it must not read as one.
        0 => Started::Failed(code::GEN_FAILURE),
        error => Started::Failed(error),
    }
}

/// # Safety
///
/// As [`Port::recv`](crate::backend::iocp::port::Port::recv).
pub(super) unsafe fn recv(call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
    let (mut bytes, mut flags) = (0, 0);
    // SAFETY: passed on; the pieces have WSABUF's layout, and the number and the flags are written before it returns.
    let result = unsafe {
        WSARecv(
            socket.0,
            pieces.as_ptr().cast(),
            pieces.len() as u32,
            &mut bytes,
            &mut flags,
            call.overlapped.cast(),
            None,
        )
    };
    started(result == 0, bytes)
}

/// # Safety
///
/// As [`Port::send`](crate::backend::iocp::port::Port::send).
pub(super) unsafe fn send(call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started {
    let mut bytes = 0;
    // SAFETY: as above.
    let result = unsafe {
        WSASend(
            socket.0,
            pieces.as_ptr().cast(),
            pieces.len() as u32,
            &mut bytes,
            0,
            call.overlapped.cast(),
            None,
        )
    };
    started(result == 0, bytes)
}

/// # Safety
///
/// As [`Port::accept`](crate::backend::iocp::port::Port::accept).
pub(super) unsafe fn accept(
    accept_ex: AcceptEx,
    call: Call<'_>,
    listener: Handle,
    fresh: Handle,
    addresses: *mut Addresses,
) -> Started {
    let mut bytes = 0;
    let each = Addresses::EACH as u32;
    // SAFETY: passed on; there is room for both addresses and for no data.
    let result = unsafe {
        accept_ex(
            listener.0,
            fresh.0,
            addresses.cast(),
            0,
            each,
            each,
            &mut bytes,
            call.overlapped.cast(),
        )
    };
    started(result != 0, bytes)
}

/// # Safety
///
/// As [`Port::connect`](crate::backend::iocp::port::Port::connect).
pub(super) unsafe fn connect(
    connect_ex: ConnectEx,
    call: Call<'_>,
    socket: Handle,
    to: SocketAddr,
) -> Started {
    let to = SockAddr::from(to);
    let mut bytes = 0;
    // SAFETY: passed on; the address is read before it returns, and nothing is sent.
    let result = unsafe {
        connect_ex(
            socket.0,
            to.as_ptr().cast::<SOCKADDR>(),
            to.len(),
            std::ptr::null(),
            0,
            &mut bytes,
            call.overlapped.cast(),
        )
    };
    started(result != 0, bytes)
}

/// # Safety
///
/// As [`Port::read_file`](crate::backend::iocp::port::Port::read_file).
pub(super) unsafe fn read_file(call: Call<'_>, file: Handle, ptr: *mut u8, len: u32) -> Started {
    let mut bytes = 0;
    // SAFETY: passed on.
    let result = unsafe { ReadFile(file.raw(), ptr, len, &mut bytes, call.overlapped.cast()) };
    started(result != 0, bytes)
}

/// # Safety
///
/// As [`Port::write_file`](crate::backend::iocp::port::Port::write_file).
pub(super) unsafe fn write_file(call: Call<'_>, file: Handle, ptr: *const u8, len: u32) -> Started {
    let mut bytes = 0;
    // SAFETY: passed on.
    let result = unsafe { WriteFile(file.raw(), ptr, len, &mut bytes, call.overlapped.cast()) };
    started(result != 0, bytes)
}

pub(super) fn cancel(handle: Handle, overlapped: *mut Overlapped) -> Cancelled {
    // SAFETY: the handle is open; the overlapped is there, and only compared with those that are in flight.
    match unsafe { CancelIoEx(handle.raw(), overlapped.cast()) } {
        // ERROR_NOT_FOUND, most of all.
        0 => Cancelled::NotFound,
        _ => Cancelled::Found,
    }
}
