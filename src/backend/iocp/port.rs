//! What the driver knows of a completion port: plain types of our own, and the trait that the calls of the
//! operating system stand behind.
//!
//! Nothing here names a system call's crate, so it compiles everywhere. The simulated port (`sim.rs`) stands behind
//! the trait, and the calls of Windows (`windows.rs`) behind the same one, below the very same driver. The contract is Win32's, as learn.microsoft.com documents it; the page is named where a rule
//! is not obvious.
//!
//! # Who owns what
//!
//! - **An [`Overlapped`] lives in the driver's table**, at an address that never
//!   changes, in memory that is not freed while anything is in flight: a table that still has something in
//!   flight when its lane goes is leaked. From the call that gets it until the end of the operation it
//!   is the kernel's, and nobody else reads or writes it (page *OVERLAPPED structure*). The end is exactly one of:
//!   - the call returned [`Started::Failed`]: there is no packet, and never will be;
//!   - the call returned [`Started::Done`] on a handle that [skips](Port::skip_on_success): no packet either;
//!   - else its packet came out of [`Port::dequeue`]. That may be on another thread, and **before the call
//!     that started it has returned**: the driver writes whatever the one who dequeues has to read before it
//!     makes the call.
//! - **Lent memory** (what the pieces, the path, the accept's addresses point at) is the kernel's for as long
//!   as the overlapped is. The array of [`Piece`]s and socket addresses are not: they are read before the call returns
//!   (page *WSARecv*: the service provider captures the WSABUF structures).
//! - **A handle** is the driver's from the call that returned it until [`Port::close`], once, when nothing is
//!   in flight on it. Its [`Port::close`] may come from any thread.
//! - **Foreign packets**: whoever knows the port can post to it. A packet is the driver's if its key is one that
//!   it gave to [`Port::associate`] or [`Port::post`]; any other is passed over, and its pointer not touched.
//!
//! # Errors
//!
//! Numbers are Win32's and Winsock's, in one space ([`code`]), as GetLastError and WSAGetLastError give them. In a
//! packet it is what RtlNtStatusToDosError makes of the overlapped's `Internal`: a reset connection is 64
//! there, and 10054 from a call that fails. The driver tells them apart, by what the operation was.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::{Code, ListenOptions, Op, Origin, Token};

/// A HANDLE or a SOCKET: `usize` wide, though only 32 bits count (page *Interprocess Communication Between
/// 32-bit and 64-bit Applications*).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub(super) struct Handle(pub(super) usize);

/// What a handle is: closesocket or CloseHandle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Socket,
    File,
}

/// The layout of OVERLAPPED on 64 bits: what `minwinbase.h` has, with the union as its two halves.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Overlapped {
    /// An NTSTATUS; the kernel's.
    pub(super) internal: usize,
    /// Bytes moved; the kernel's.
    pub(super) internal_high: usize,
    /// Of files: where. Else 0.
    pub(super) offset: u32,
    pub(super) offset_high: u32,
    /// Always 0: we wait for packets.
    pub(super) event: usize,
}

impl Overlapped {
    pub(super) const fn at(offset: u64) -> Overlapped {
        Overlapped {
            internal: 0,
            internal_high: 0,
            offset: offset as u32,
            offset_high: (offset >> 32) as u32,
            event: 0,
        }
    }
}

/// The layout of WSABUF.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Piece {
    pub(super) len: u32,
    pub(super) ptr: *mut u8,
}

/// Room for what AcceptEx writes of addresses: for each of the two 16 bytes more than the largest
/// (`sockaddr_in6` has 28; page *AcceptEx*).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Addresses(pub(super) [u8; 2 * Addresses::EACH]);

impl Addresses {
    /// What `dwLocalAddressLength` and `dwRemoteAddressLength` are.
    pub(super) const EACH: usize = 28 + 16;
}

/// What every call that starts an operation gets.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    /// In the table, and free until this call. Never null.
    pub(super) overlapped: *mut Overlapped,
    /// Which activation it is, and who started it: a real port has no use for them.
    pub(super) token: Token,
    pub(super) origin: &'a Origin,
}

/// How a call that starts an operation returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Started {
    /// It is done, with so many bytes. A packet comes all the same, unless the handle
    /// [skips](Port::skip_on_success).
    Done(u32),
    /// ERROR_IO_PENDING: a packet comes, or has come.
    Pending,
    /// Any other error. No packet comes.
    Failed(u32),
}

/// One OVERLAPPED_ENTRY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Packet {
    /// As given to [`Port::associate`] or [`Port::post`].
    pub(super) key: usize,
    /// As given to the call, or to [`Port::post`]: then it is a number that nobody follows.
    pub(super) overlapped: *mut Overlapped,
    pub(super) bytes: u32,
    /// 0, or the error of the operation.
    pub(super) error: u32,
}

// SAFETY: a packet is numbers; who follows the pointer looks at the key first.
unsafe impl Send for Packet {}

impl Packet {
    pub(super) const NONE: Packet = Packet {
        key: 0,
        overlapped: std::ptr::null_mut(),
        bytes: 0,
        error: 0,
    };
}

/// What came out of [`Port::dequeue`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dequeued {
    /// So many packets, from the first place on; at least one.
    Packets(usize),
    /// WAIT_TIMEOUT, or an APC ran (WAIT_IO_COMPLETION).
    Nothing,
    /// What [`crate::backend::Waited`] says of the simulated kernel.
    Stuck,
    Over,
    PowerLost,
    Dropped,
}

/// How long [`Port::dequeue`] may sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sleep {
    /// Not at all: a timeout of 0.
    No,
    /// INFINITE.
    Forever,
    /// Until [`Port::now`] is this. Win32 counts in milliseconds: a real port rounds up, so that it does not
    /// come back before, and never to INFINITE.
    Until(u64),
}

/// Which calls of cancelling there are: CancelIoEx.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancelled {
    /// It was found and marked. **Not a promise**: its packet says how it ended, done or aborted.
    Found,
    /// ERROR_NOT_FOUND: nothing that can be cancelled. **Not a completion either**: its packet is on its way, or the
    /// driver below the kernel's handle can't cancel.
    NotFound,
}

/// A completion port and the calls whose ends come out of it. Shared by all lanes; every method may be called
/// from every thread, at once. None blocks but [`dequeue`](Port::dequeue) and [`perform`](Port::perform).
///
/// Errors are of [`code`]'s numbering.
pub(super) trait Port: Send + Sync + 'static {
    /// Which one: a line for people.
    fn describe(&self) -> String;

    /// Nanoseconds since the port was made, of the clock that [`Sleep::Until`] counts by.
    fn now(&self) -> u64;

    /// [`post`](Port::post) may fail when it matters: a wake is late by no more than this then, since nobody sleeps for
    /// longer. None: a post that fails here is never the only wake.
    fn longest_sleep(&self) -> Option<Duration> {
        Some(Duration::from_millis(500))
    }

    // --- Handles ---------------------------------------------------------------------------------------

    /// A TCP socket, WSASocketW with WSA_FLAG_OVERLAPPED and WSA_FLAG_NO_HANDLE_INHERIT, bound to `local`
    /// (of that family, perhaps unspecified and with port 0). None: not bound, for [`accept`](Port::accept).
    fn socket(&self, v6: bool, local: Option<SocketAddr>) -> Result<Handle, u32>;

    /// A socket with `options`, bound and listening.
    /// `reuse_address` is not SO_REUSEADDR there, which would let two listen at once; without it, SO_EXCLUSIVEADDRUSE.
    /// `reuse_port` can't be had: [`code::NOT_SUPPORTED`].
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> Result<Handle, u32>;

    fn local_addr(&self, socket: Handle) -> Result<SocketAddr, u32>;

    fn peer_addr(&self, socket: Handle) -> Result<SocketAddr, u32>;

    fn set_nodelay(&self, socket: Handle, on: bool) -> Result<(), u32>;

    fn nodelay(&self, socket: Handle) -> Result<bool, u32>;

    /// SO_LINGER in whole seconds, or off.
    fn set_linger(&self, socket: Handle, seconds: Option<u64>) -> Result<(), u32>;

    fn linger(&self, socket: Handle) -> Result<Option<u64>, u32>;

    /// CreateIoCompletionPort on an overlapped handle, once in its life: packets of all that is started on it
    /// from now on carry this key.
    fn associate(&self, handle: Handle, key: usize) -> Result<(), u32>;

    /// SetFileCompletionNotificationModes(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE):
    /// from now on what is [`Started::Done`] brings no packet. False: it can't be had on this handle (a socket
    /// whose provider is no IFS one, page *SetFileCompletionNotificationModes*), and packets come as ever.
    fn skip_on_success(&self, handle: Handle, sort: Sort) -> bool;

    /// closesocket or CloseHandle; never waits for a linger. Nothing is in flight on it, unless all is being
    /// torn down: then what is ends with [`code::OPERATION_ABORTED`], [`code::CONNECTION_ABORTED`] or
    /// [`code::HANDLES_CLOSED`], as packets.
    fn close(&self, handle: Handle, sort: Sort);

    // --- What starts an operation ---------------------------------------------------------------------------
    //
    // # Safety
    //
    // Of all of them: the overlapped and the lent memory are as this file's head says. They are neither read nor written by
    // anybody else until the end.

    /// WSARecv. Nothing and 0 bytes: the peer has shut its side.
    unsafe fn recv(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started;

    /// WSASend.
    unsafe fn send(&self, call: Call<'_>, socket: Handle, pieces: &[Piece]) -> Started;

    /// AcceptEx into `fresh`, a socket of the listener's family that is neither bound nor connected;
    /// receives no data. `addresses` is lent.
    unsafe fn accept(
        &self,
        call: Call<'_>,
        listener: Handle,
        fresh: Handle,
        addresses: *mut Addresses,
    ) -> Started;

    /// SO_UPDATE_ACCEPT_CONTEXT, when the accept has succeeded: before it `fresh` has no addresses and can't be
    /// shut down (page *AcceptEx*).
    fn update_accept(&self, fresh: Handle, listener: Handle) -> Result<(), u32>;

    /// ConnectEx. The socket is bound (page *ConnectEx*: else WSAEINVAL).
    unsafe fn connect(&self, call: Call<'_>, socket: Handle, to: SocketAddr) -> Started;

    /// SO_UPDATE_CONNECT_CONTEXT, when the connect has succeeded.
    fn update_connect(&self, socket: Handle) -> Result<(), u32>;

    /// shutdown(2) of Winsock, which does not block: `how` 0 receives, 1 sends, 2 both.
    fn shutdown(&self, socket: Handle, how: u32) -> Result<(), u32>;

    /// ReadFile at the overlapped's offset. At the end it is [`code::HANDLE_EOF`], at once or in a packet.
    unsafe fn read_file(&self, call: Call<'_>, file: Handle, ptr: *mut u8, len: u32) -> Started;

    /// WriteFile at the overlapped's offset; at the end, whatever is written meanwhile, if that is
    /// `u64::MAX` (page *WriteFile*).
    unsafe fn write_file(&self, call: Call<'_>, file: Handle, ptr: *const u8, len: u32) -> Started;

    /// GetFileSizeEx.
    fn file_len(&self, file: Handle) -> Result<u64, u32>;

    /// CancelIoEx of one operation. Other than not found there is no error that means anything.
    fn cancel(&self, handle: Handle, overlapped: *mut Overlapped) -> Cancelled;

    // --- The queue ------------------------------------------------------------------------------------------

    /// PostQueuedCompletionStatus. It may fail (no memory): then nothing was posted.
    fn post(&self, key: usize, number: usize) -> Result<(), u32>;

    /// GetQueuedCompletionStatusEx, not alertable: up to as many packets as there is room for. Errors end the worker.
    fn dequeue(&self, packets: &mut [Packet], sleep: Sleep) -> Result<Dequeued, u32>;

    // --- What there is no overlapped form of -----------------------------------------------------------------

    /// Whether [`other`](Port::other) does this. Else it is [`perform`](Port::perform)ed on a thread of the
    /// offload pool.
    fn does(&self, code: Code) -> bool {
        let _ = code;
        false
    }

    /// CreateFileW with FILE_FLAG_OVERLAPPED ([`Code::Open`]: the result is the handle), FlushFileBuffers
    /// ([`Code::Sync`]), SetEndOfFile or FileEndOfFileInfo ([`Code::SetLen`]), MoveFileExW ([`Code::Rename`]),
    /// DeleteFileW or RemoveDirectoryW ([`Code::Remove`]), CreateDirectoryW ([`Code::CreateDir`]), on the calling
    /// thread, for as long as it takes. `paths`, `flags` and `offset` are what [`Code`] says of the operation:
    /// bytes of [`std::ffi::OsStr::as_encoded_bytes`], no NUL at the end.
    fn perform(
        &self,
        code: Code,
        file: Option<Handle>,
        paths: &[u8],
        flags: u32,
        offset: u64,
    ) -> Result<usize, u32>;

    /// Starts an operation that has no overlapped form there, but has one on the simulated kernel. Its packet carries
    /// `key`; that of a [`Code::Open`] has the handle in `bytes`.
    ///
    /// # Safety
    ///
    /// As of all that start one; and what `op` lends is lent.
    unsafe fn other(&self, call: Call<'_>, key: usize, file: Option<Handle>, op: &Op) -> Started {
        let _ = (call, key, file);
        unreachable!("{:?} is not done by a port", op.code)
    }
}

/// The numbers of errors that mean something to the driver.
pub(super) mod code {
    /// The end of a file, of ReadFile.
    pub(crate) const HANDLE_EOF: u32 = 38;
    /// Not there on this system.
    pub(crate) const NOT_SUPPORTED: u32 = 50;
    /// STATUS_LOCAL_DISCONNECT, STATUS_CONNECTION_RESET: in a packet of a socket, the connection is reset.
    pub(crate) const NETNAME_DELETED: u32 = 64;
    /// Wine, of an accept whose connection is gone (STATUS_UNEXPECTED_NETWORK_ERROR).
    pub(crate) const UNEXPECTED_NETWORK_ERROR: u32 = 59;
    /// Wine, of a receive whose socket is closed (STATUS_HANDLES_CLOSED).
    pub(crate) const HANDLES_CLOSED: u32 = 676;
    /// CancelIoEx, the thread's or the handle's end: STATUS_CANCELLED.
    pub(crate) const OPERATION_ABORTED: u32 = 995;
    #[cfg(windows)]
    pub(crate) const IO_PENDING: u32 = 997;
    /// STATUS_CONNECTION_REFUSED.
    pub(crate) const CONNECTION_REFUSED: u32 = 1225;
    pub(crate) const NETWORK_UNREACHABLE: u32 = 1231;
    pub(crate) const HOST_UNREACHABLE: u32 = 1232;
    /// STATUS_CONNECTION_ABORTED: by this side, and of what is pending on a socket that is closed.
    pub(crate) const CONNECTION_ABORTED: u32 = 1236;
    /// Something does not work.
    pub(crate) const GEN_FAILURE: u32 = 31;
    pub(crate) const BROKEN_PIPE: u32 = 109;
    /// STATUS_PIPE_DISCONNECTED: in a packet of a socket, this side of it is shut down.
    pub(crate) const PIPE_NOT_CONNECTED: u32 = 233;
    /// STATUS_INVALID_CONNECTION: in a packet of a socket, nobody is at its other end.
    pub(crate) const CONNECTION_INVALID: u32 = 1229;
    /// STATUS_IO_TIMEOUT: in a packet of a socket, nobody has answered.
    pub(crate) const SEM_TIMEOUT: u32 = 121;
    #[cfg(windows)]
    pub(crate) const WAIT_TIMEOUT: u32 = 258;

    pub(crate) const WSAEINVAL: u32 = 10022;
    pub(crate) const WSAENOTSOCK: u32 = 10038;
    pub(crate) const WSAEMFILE: u32 = 10024;
    pub(crate) const WSAENOTCONN: u32 = 10057;
    pub(crate) const WSAESHUTDOWN: u32 = 10058;
    pub(crate) const WSAECONNABORTED: u32 = 10053;
    pub(crate) const WSAECONNRESET: u32 = 10054;
    pub(crate) const WSAETIMEDOUT: u32 = 10060;
    pub(crate) const WSAECONNREFUSED: u32 = 10061;
    pub(crate) const WSAENETUNREACH: u32 = 10051;
    pub(crate) const WSAEHOSTUNREACH: u32 = 10065;
}

/// As Win32 wants it: whole milliseconds, rounded up, and not INFINITE.
#[cfg(any(windows, test))]
pub(super) fn milliseconds(left: Duration) -> u32 {
    let millis = left.as_nanos().div_ceil(1_000_000);
    u32::try_from(millis).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_never_too_short_and_never_for_ever() {
        let of = |nanos| milliseconds(Duration::from_nanos(nanos));
        assert_eq!((of(0), of(1), of(1_000_000), of(1_000_001)), (0, 1, 1, 2));
        assert_eq!(milliseconds(Duration::MAX), u32::MAX - 1);
    }
}
