//! The simulated kernel's error numbers as Windows would say them: in a packet, and from a call.

use super::port::code;
use crate::backend::Code;
use crate::sim::errno;

pub(super) const INVALID_PARAMETER: u32 = 87;

/// What GetLastError or WSAGetLastError say.
pub(super) fn of_call(error: i32) -> u32 {
    match error {
        errno::ENOENT => 2,
        errno::EIO => 1117,
        errno::EBADF => 6,
        errno::EAGAIN => 10035,
        errno::ENOMEM => 8,
        errno::EACCES => 5,
        errno::EBUSY => 170,
        errno::EEXIST => 183,
        errno::ENOTDIR => 267,
        errno::EISDIR => 336,
        errno::EINVAL => INVALID_PARAMETER,
        errno::ENFILE | errno::EMFILE => code::WSAEMFILE,
        errno::EFBIG => 223,
        errno::ENOSPC => 112,
        errno::ESPIPE => 132,
        errno::EPIPE => code::WSAESHUTDOWN,
        errno::ENAMETOOLONG => 206,
        errno::ENOTEMPTY => 145,
        errno::ENOTSOCK => code::WSAENOTSOCK,
        errno::EADDRINUSE => 10048,
        errno::EADDRNOTAVAIL => 10049,
        errno::ENETUNREACH => code::WSAENETUNREACH,
        errno::ECONNABORTED => code::WSAECONNABORTED,
        errno::ECONNRESET => code::WSAECONNRESET,
        errno::ENOBUFS => 10055,
        errno::EISCONN => 10056,
        errno::ENOTCONN => 10057,
        errno::ETIMEDOUT => code::WSAETIMEDOUT,
        errno::ECONNREFUSED => code::WSAECONNREFUSED,
        errno::EHOSTUNREACH => code::WSAEHOSTUNREACH,
        errno::EALREADY => 10037,
        errno::ECANCELED => code::OPERATION_ABORTED,
        _ => code::GEN_FAILURE,
    }
}

/// What RtlNtStatusToDosError makes of the status in a packet.
pub(super) fn of_packet(error: i32, op: Code) -> u32 {
    match error {
        errno::ECONNRESET => code::NETNAME_DELETED,
        // A connection that waits at a listener and is given up.
        errno::ECONNABORTED if op == Code::Accept => code::NETNAME_DELETED,
        errno::ECONNABORTED => code::CONNECTION_ABORTED,
        errno::ETIMEDOUT => code::SEM_TIMEOUT,
        errno::ECONNREFUSED => code::CONNECTION_REFUSED,
        errno::ENETUNREACH => code::NETWORK_UNREACHABLE,
        errno::EHOSTUNREACH => code::HOST_UNREACHABLE,
        errno::EPIPE => code::BROKEN_PIPE,
        error => of_call(error),
    }
}
