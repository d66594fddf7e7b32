//! What a packet's numbers mean: results of the seam, and errors for people.
//!
//! Winsock has numbers of its own for what the kernel says in its: a call that fails gives 10054 for what a packet
//! calls 64. Which of them an operation ends with would depend on how fast it was, so they are made one here.
//!
//! - **An abort** is one if we asked for it. Else somebody else has, or the thread that it began on is gone (page
//!   *Canceling Pending I/O Operations*): nobody's reason, so it is to be done again.
//! - **A reset** is an error, whatever was asked for, and never the end of a stream.
//! - **The end of a file** is an error there and 0 bytes here. So is the end that a receive finds after a shutdown.
//! - What has moved is never hidden: an abort of a transfer that has moved bytes is that many bytes.

use std::io;

use super::driver::mistake::{Mistake, makes};
use super::port::code;
use crate::backend::{CANCELED, Code};

/// How an operation has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    /// With this result of the seam.
    Done(i32),
    /// Nothing was done, and nobody asked for that.
    Undone,
}

/// The end of an operation, from what its packet, or the call that started it, says.
pub(super) fn ended(code: Code, cancelled: bool, bytes: u32, error: u32) -> Ended {
    use super::port::code as win32;
    let moved = match code {
        Code::Connect | Code::Accept => 0,
        _ => bytes.min(i32::MAX as u32) as i32,
    };
    match error {
        0 => Ended::Done(moved),
        win32::NETNAME_DELETED | win32::WSAECONNRESET
            if code == Code::Recv && makes(Mistake::ResetIsTheEnd) =>
        {
            Ended::Done(0)
        }
        win32::NETNAME_DELETED | win32::WSAECONNRESET
            if cancelled && makes(Mistake::ResetIsAnAbort) =>
        {
            Ended::Done(CANCELED)
        }
        win32::OPERATION_ABORTED if makes(Mistake::AbortIsAReset) => {
            Ended::Done(-(win32::WSAECONNRESET as i32))
        }
        win32::HANDLE_EOF if code == Code::ReadAt => Ended::Done(0),
        // A receive after this side was shut down finds the end, as elsewhere. (As std has it.)
        win32::WSAESHUTDOWN | win32::PIPE_NOT_CONNECTED
            if matches!(code, Code::Recv | Code::RecvVectored) =>
        {
            Ended::Done(0)
        }
        win32::OPERATION_ABORTED if moved > 0 => Ended::Done(moved),
        win32::OPERATION_ABORTED if !cancelled => Ended::Undone,
        win32::OPERATION_ABORTED => Ended::Done(CANCELED),
        // What is pending on a socket that is closed, which we do only where we have cancelled it.
        win32::CONNECTION_ABORTED | win32::HANDLES_CLOSED if cancelled => match moved {
            0 => Ended::Done(CANCELED),
            moved => Ended::Done(moved),
        },
        _ => Ended::Done(failed(winsock(code, error))),
    }
}

/// A failure as a result of the seam. What would read as a success, or as cancelled, is some other failure.
pub(super) fn failed(error: u32) -> i32 {
    match i32::try_from(error) {
        Ok(error) if error > 0 && error != -CANCELED => -error,
        _ => -(code::GEN_FAILURE as i32),
    }
}

/// The one number for a failure.
fn winsock(op: Code, error: u32) -> u32 {
    let is_accept = op == Code::Accept;
    match error {
        // The peer has given up before it was accepted: the next may still come.
        code::NETNAME_DELETED
        | code::WSAECONNRESET
        | code::CONNECTION_INVALID
        | code::UNEXPECTED_NETWORK_ERROR
        | code::WSAENOTCONN
            if is_accept =>
        {
            code::WSAECONNABORTED
        }
        code::NETNAME_DELETED if is_of_socket(op) => code::WSAECONNRESET,
        code::CONNECTION_ABORTED | code::HANDLES_CLOSED => code::WSAECONNABORTED,
        code::SEM_TIMEOUT if is_of_socket(op) => code::WSAETIMEDOUT,
        code::CONNECTION_REFUSED => code::WSAECONNREFUSED,
        code::CONNECTION_INVALID => code::WSAENOTCONN,
        code::NETWORK_UNREACHABLE => code::WSAENETUNREACH,
        code::HOST_UNREACHABLE => code::WSAEHOSTUNREACH,
        // Sending after this side was shut down.
        code::WSAESHUTDOWN | code::PIPE_NOT_CONNECTED
            if matches!(op, Code::Send | Code::SendVectored) =>
        {
            code::BROKEN_PIPE
        }
        error => error,
    }
}

fn is_of_socket(op: Code) -> bool {
    matches!(
        op,
        Code::Recv
            | Code::Send
            | Code::RecvVectored
            | Code::SendVectored
            | Code::Accept
            | Code::Connect
            | Code::Shutdown
    )
}

/// The error behind one of these numbers.
pub(super) fn error(number: u32) -> io::Error {
    #[cfg(windows)]
    {
        io::Error::from_raw_os_error(number as i32)
    }
    #[cfg(not(windows))]
    {
        // Another system's number means nothing here: its kind does.
        io::Error::new(kind(number), format!("Windows error {number}"))
    }
}

/// What std makes of these numbers on Windows (library/std/src/sys/io/error/windows.rs).
#[cfg(any(not(windows), test))]
fn kind(number: u32) -> io::ErrorKind {
    match number {
        2 | 3 => io::ErrorKind::NotFound,
        5 | 10013 => io::ErrorKind::PermissionDenied,
        8 | 14 => io::ErrorKind::OutOfMemory,
        80 | 183 => io::ErrorKind::AlreadyExists,
        87 | 10022 => io::ErrorKind::InvalidInput,
        109 | 232 => io::ErrorKind::BrokenPipe,
        112 => io::ErrorKind::StorageFull,
        123 | 206 => io::ErrorKind::InvalidFilename,
        145 => io::ErrorKind::DirectoryNotEmpty,
        170 => io::ErrorKind::ResourceBusy,
        223 => io::ErrorKind::FileTooLarge,
        267 => io::ErrorKind::NotADirectory,
        336 => io::ErrorKind::IsADirectory,
        10035 => io::ErrorKind::WouldBlock,
        10048 => io::ErrorKind::AddrInUse,
        10049 => io::ErrorKind::AddrNotAvailable,
        10051 => io::ErrorKind::NetworkUnreachable,
        10053 => io::ErrorKind::ConnectionAborted,
        10054 => io::ErrorKind::ConnectionReset,
        10057 => io::ErrorKind::NotConnected,
        10060 => io::ErrorKind::TimedOut,
        10061 => io::ErrorKind::ConnectionRefused,
        10065 => io::ErrorKind::HostUnreachable,
        50 => io::ErrorKind::Unsupported,
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_a_packet_say_one_thing_in_one_way() {
        use io::ErrorKind::{
            BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected,
            TimedOut,
        };
        let of = |code, error| match ended(code, false, 0, error) {
            Ended::Done(result) => error_kind(result),
            Ended::Undone => unreachable!("it is no abort"),
        };
        for (code, both, kind) in [
            (Code::Recv, [64, 10054], Some(ConnectionReset)),
            (Code::Send, [64, 10054], Some(ConnectionReset)),
            (Code::Send, [233, 10058], Some(BrokenPipe)),
            (Code::Send, [1229, 10057], Some(NotConnected)),
            (Code::Recv, [233, 10058], None),
            (Code::RecvVectored, [233, 10058], None),
            (Code::Accept, [64, 10054], Some(ConnectionAborted)),
            (Code::Accept, [1229, 10057], Some(ConnectionAborted)),
            (Code::Accept, [59, 10054], Some(ConnectionAborted)),
            (Code::Connect, [1225, 10061], Some(ConnectionRefused)),
            (Code::Connect, [121, 10060], Some(TimedOut)),
            (Code::ReadAt, [38, 38], None),
        ] {
            assert_eq!(
                both.map(|error| of(code, error)),
                [kind; 2],
                "{code:?}, {both:?}"
            );
        }
    }

    /// None: done, with nothing moved.
    fn error_kind(result: i32) -> Option<io::ErrorKind> {
        (result != 0).then(|| kind(result.unsigned_abs()))
    }

    #[test]
    fn a_failure_never_reads_as_a_success_or_as_cancelled() {
        assert_eq!(failed(5), -5);
        for error in [0, CANCELED.unsigned_abs(), 1 << 31, u32::MAX] {
            assert_eq!(failed(error), -31, "{error}");
        }
    }
}
