//! The error numbers of the simulated kernel: Linux' own (`include/uapi/asm-generic/errno*.h`), spelt
//! out here so that the simulation needs no operating system below it.

use std::io;

/// Names and numbers in one place, so that a trace can print what a test compares.
macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        $($(#[$doc])* pub(crate) const $name: i32 = $number;)*

        /// The symbol of an error number.
        pub(crate) fn name(code: i32) -> &'static str {
            match code {
                $($number => stringify!($name),)*
                _ => "an unknown error",
            }
        }
    };
}

errors! {
    ENOENT = 2,
    EIO = 5,
    EBADF = 9,
    EAGAIN = 11,
    ENOMEM = 12,
    EACCES = 13,
    EBUSY = 16,
    EEXIST = 17,
    ENOTDIR = 20,
    EISDIR = 21,
    EINVAL = 22,
    ENFILE = 23,
    EMFILE = 24,
    EFBIG = 27,
    ENOSPC = 28,
    ESPIPE = 29,
    EPIPE = 32,
    ENAMETOOLONG = 36,
    ENOTEMPTY = 39,
    ENOTSOCK = 88,
    EADDRINUSE = 98,
    EADDRNOTAVAIL = 99,
    ENETUNREACH = 101,
    ECONNABORTED = 103,
    ECONNRESET = 104,
    ENOBUFS = 105,
    EISCONN = 106,
    ENOTCONN = 107,
    ETIMEDOUT = 110,
    ECONNREFUSED = 111,
    EHOSTUNREACH = 113,
    EALREADY = 114,
    ECANCELED = 125,
}

/// The error behind one of these numbers.
pub(crate) fn error(code: i32) -> io::Error {
    #[cfg(target_os = "linux")]
    {
        io::Error::from_raw_os_error(code)
    }
    #[cfg(not(target_os = "linux"))]
    {
        // Other systems number their errors differently: the kind is what they share. A cancel has none.
        #[cfg(windows)]
        if code == ECANCELED {
            return io::Error::from_raw_os_error(995); // as `op::kind::canceled`: ERROR_OPERATION_ABORTED
        }
        let kind = match code {
            ENOENT => io::ErrorKind::NotFound,
            EACCES => io::ErrorKind::PermissionDenied,
            EBUSY => io::ErrorKind::ResourceBusy,
            EEXIST => io::ErrorKind::AlreadyExists,
            ENOTDIR => io::ErrorKind::NotADirectory,
            EISDIR => io::ErrorKind::IsADirectory,
            EINVAL => io::ErrorKind::InvalidInput,
            EFBIG => io::ErrorKind::FileTooLarge,
            ENOSPC => io::ErrorKind::StorageFull,
            ESPIPE => io::ErrorKind::NotSeekable,
            EPIPE => io::ErrorKind::BrokenPipe,
            ENAMETOOLONG => io::ErrorKind::InvalidFilename,
            ENOTEMPTY => io::ErrorKind::DirectoryNotEmpty,
            EADDRINUSE => io::ErrorKind::AddrInUse,
            EAGAIN => io::ErrorKind::WouldBlock,
            EADDRNOTAVAIL => io::ErrorKind::AddrNotAvailable,
            ECONNABORTED => io::ErrorKind::ConnectionAborted,
            ECONNRESET => io::ErrorKind::ConnectionReset,
            EHOSTUNREACH => io::ErrorKind::HostUnreachable,
            ENETUNREACH => io::ErrorKind::NetworkUnreachable,
            ENOMEM => io::ErrorKind::OutOfMemory,
            ENOTCONN => io::ErrorKind::NotConnected,
            ETIMEDOUT => io::ErrorKind::TimedOut,
            ECONNREFUSED => io::ErrorKind::ConnectionRefused,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, name(code))
    }
}
