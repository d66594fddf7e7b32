//! Sockets: opened, asked, told and closed; and the calls that Winsock gives out as pointers.

use std::ffi::c_void;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::windows::io::{
    AsRawSocket, BorrowedSocket, FromRawSocket, IntoRawSocket, OwnedSocket, RawSocket,
};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use windows_sys::Win32::Networking::WinSock::{
    IPPROTO_TCP, SIO_GET_EXTENSION_FUNCTION_POINTER, SO_EXCLUSIVEADDRUSE, SO_UPDATE_ACCEPT_CONTEXT,
    SO_UPDATE_CONNECT_CONTEXT, SOCKADDR, SOCKET, SOL_SOCKET, WSAEnumProtocolsW, WSAID_ACCEPTEX,
    WSAID_CONNECTEX, WSAIoctl, WSAPROTOCOL_INFOW, XP1_IFS_HANDLES, setsockopt,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::core::{BOOL, GUID};

use super::{last_error, number};
use crate::backend::ListenOptions;
use crate::backend::iocp::port::{Handle, code};
use crate::backend::linger::Lingering;

/// AcceptEx.
pub(super) type AcceptEx = unsafe extern "system" fn(
    SOCKET,
    SOCKET,
    *mut c_void,
    u32,
    u32,
    u32,
    *mut u32,
    *mut OVERLAPPED,
) -> BOOL;

/// ConnectEx.
pub(super) type ConnectEx = unsafe extern "system" fn(
    SOCKET,
    *const SOCKADDR,
    i32,
    *const c_void,
    u32,
    *mut u32,
    *mut OVERLAPPED,
) -> BOOL;

/// What all sockets of a port share.
pub(super) struct Sockets {
    accept_ex: OnceLock<AcceptEx>,
    connect_ex: OnceLock<ConnectEx>,
    can_skip: OnceLock<bool>,
    lingering: Lingering<usize>,
}

impl Sockets {
    pub(super) fn new() -> Sockets {
        Sockets {
            accept_ex: OnceLock::new(),
            connect_ex: OnceLock::new(),
            can_skip: OnceLock::new(),
            lingering: Lingering::new(),
        }
    }

    /// The provider's AcceptEx: asked of the first socket that wants it.
    pub(super) fn accept_ex(&self, socket: Handle) -> Result<AcceptEx, u32> {
        if let Some(accept) = self.accept_ex.get() {
            return Ok(*accept);
        }
        // SAFETY: AcceptEx is what the number names.
        let accept = unsafe { extension::<AcceptEx>(socket, &WSAID_ACCEPTEX)? };
        Ok(*self.accept_ex.get_or_init(|| accept))
    }

    /// The provider's ConnectEx.
    pub(super) fn connect_ex(&self, socket: Handle) -> Result<ConnectEx, u32> {
        if let Some(connect) = self.connect_ex.get() {
            return Ok(*connect);
        }
        // SAFETY: ConnectEx is what the number names.
        let connect = unsafe { extension::<ConnectEx>(socket, &WSAID_CONNECTEX)? };
        Ok(*self.connect_ex.get_or_init(|| connect))
    }

    /// Whether packets of what sockets do at once can be skipped: every provider of TCP hands out handles of the file
    /// system's (page *SetFileCompletionNotificationModes*).
    pub(super) fn can_skip(&self) -> bool {
        *self.can_skip.get_or_init(all_providers_have_handles)
    }

    pub(super) fn set_linger(&self, socket: Handle, seconds: Option<u64>) -> Result<(), u32> {
        // It counts in 16 bits.
        let time = seconds.map(|seconds| Duration::from_secs(seconds.min(u16::MAX.into())));
        ask(socket, |socket| socket.set_linger(time))?;
        self.lingering.has(socket.0, time);
        Ok(())
    }

    pub(super) fn close(&self, socket: Handle) {
        if self.lingering.forget(socket.0) {
            // A socket that has the option takes it back; were it otherwise, the close would be slow and right.
            let _ = ask(socket, |socket| socket.set_linger(None));
        }
        // SAFETY: it is the driver's, which gives it back once.
        drop(unsafe { OwnedSocket::from_raw_socket(socket.0 as RawSocket) });
    }
}

/// A call that is no export of Winsock's, but its provider's (page *WSAIoctl*).
///
/// # Safety
///
/// `F` is the type of the function that the number names.
unsafe fn extension<F: Copy>(socket: Handle, id: &GUID) -> Result<F, u32> {
    let mut found: Option<F> = None;
    let mut bytes = 0;
    // SAFETY: a number goes in, and a pointer comes out, for which there is room: an `Option` of a function's has
    // that layout.
    let result = unsafe {
        WSAIoctl(
            socket.0,
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            std::ptr::from_ref(id).cast(),
            size_of::<GUID>() as u32,
            (&raw mut found).cast(),
            size_of::<Option<F>>() as u32,
            &mut bytes,
            std::ptr::null_mut(),
            None,
        )
    };
    match result {
        0 => found.ok_or(code::NOT_SUPPORTED),
        _ => Err(last_error()),
    }
}

fn all_providers_have_handles() -> bool {
    let protocols = [IPPROTO_TCP, 0];
    let mut providers = vec![WSAPROTOCOL_INFOW::default(); 32];
    let mut bytes = size_of_val(&*providers) as u32;
    // SAFETY: there is room for so many bytes; the protocols end with a 0.
    let count =
        unsafe { WSAEnumProtocolsW(protocols.as_ptr(), providers.as_mut_ptr(), &mut bytes) };
    // Negative: it failed, or there are more of them.
    let Some(found) = usize::try_from(count).ok().and_then(|n| providers.get(..n)) else {
        return false;
    };
    found
        .iter()
        .all(|it| it.dwServiceFlags1 & XP1_IFS_HANDLES != 0)
}

/// A socket for overlapped operations, which no child inherits; bound if it is to be.
fn tcp(v6: bool, local: Option<SocketAddr>) -> io::Result<Socket> {
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if let Some(local) = local {
        socket.bind(&local.into())?;
    }
    Ok(socket)
}

/// It is the driver's from now on.
fn given(socket: Socket) -> Handle {
    Handle(socket.into_raw_socket() as usize)
}

pub(super) fn socket(v6: bool, local: Option<SocketAddr>) -> io::Result<Handle> {
    tcp(v6, local).map(given)
}

pub(super) fn listen(addr: SocketAddr, options: ListenOptions) -> Result<Handle, u32> {
    if options.reuse_port {
        return Err(code::NOT_SUPPORTED);
    }
    let of = |error: io::Error| number(&error);
    let socket = tcp(addr.is_ipv6(), None).map_err(of)?;
    if !options.reuse_address {
        let on: BOOL = 1;
        set(
            Handle(socket.as_raw_socket() as usize),
            SO_EXCLUSIVEADDRUSE,
            &on,
        )?;
    }
    socket.bind(&addr.into()).map_err(of)?;
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    socket.listen(backlog).map_err(of)?;
    Ok(given(socket))
}

/// Asks socket2 something about a socket.
pub(super) fn ask<T>(
    socket: Handle,
    ask: impl FnOnce(SockRef<'_>) -> io::Result<T>,
) -> Result<T, u32> {
    // SAFETY: the socket is open for the duration of the call: the driver has it.
    let socket = unsafe { BorrowedSocket::borrow_raw(socket.0 as RawSocket) };
    ask(SockRef::from(&socket)).map_err(|error| number(&error))
}

pub(super) fn addr(addr: SockAddr) -> Result<SocketAddr, u32> {
    addr.as_socket().ok_or(code::NOT_SUPPORTED)
}

pub(super) fn shutdown(socket: Handle, how: u32) -> Result<(), u32> {
    let how = match how {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        _ => Shutdown::Both,
    };
    ask(socket, |socket| socket.shutdown(how))
}

pub(super) fn update_accept(fresh: Handle, listener: Handle) -> Result<(), u32> {
    set(fresh, SO_UPDATE_ACCEPT_CONTEXT, &listener.0)
}

pub(super) fn update_connect(socket: Handle) -> Result<(), u32> {
    // SAFETY: the socket is open; there is no value.
    let result = unsafe {
        setsockopt(
            socket.0,
            SOL_SOCKET,
            SO_UPDATE_CONNECT_CONTEXT,
            std::ptr::null(),
            0,
        )
    };
    succeeded(result)
}

/// Sets an option that socket2 does not have.
fn set<T: Copy>(socket: Handle, option: i32, value: &T) -> Result<(), u32> {
    let value_ptr = std::ptr::from_ref(value).cast();
    // SAFETY: the socket is open, and so many bytes are read of the value.
    let result = unsafe {
        setsockopt(
            socket.0,
            SOL_SOCKET,
            option,
            value_ptr,
            size_of::<T>() as i32,
        )
    };
    succeeded(result)
}

fn succeeded(result: i32) -> Result<(), u32> {
    match result {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
