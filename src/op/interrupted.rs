//! The error of a composed operation that stopped early: what it had done by then, and why.

use std::error::Error;
use std::fmt;
use std::io;

/// A composed operation stopped before its goal. Inside the [`io::Error`] that it ends with:
///
/// ```
/// use proactor::compose::{Cause, Interrupted};
/// # fn look(error: &std::io::Error) {
/// if let Some(stopped) = Interrupted::in_error(error) {
///     println!("{} bytes were done when it stopped: {}", stopped.done, stopped.cause);
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Interrupted {
    /// Bytes moved before it stopped. For a receive they are at the start of the buffer.
    pub done: u64,
    /// Why it stopped.
    pub cause: Cause,
}

/// Why a composed operation stopped early. What one cause is called is never used for another.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Its cancel handle was used, or its future dropped.
    Canceled,
    /// Its [`timeout`](crate::Operation::timeout) passed.
    TimedOut,
    /// Its object was closed on this side.
    Closed,
    /// The stream ended before what was asked for had come.
    EndOfFile,
    /// The other side takes no more bytes: a write moved none.
    WriteZero,
    /// There was more than the caller's limit allows.
    Limit,
    /// The kernel reported this error.
    Error(io::Error),
}

impl Interrupted {
    /// What a composed operation's error carries, if `error` is one.
    #[must_use]
    pub fn in_error(error: &io::Error) -> Option<&Interrupted> {
        error.get_ref()?.downcast_ref()
    }

    #[cold]
    pub(crate) fn error(done: u64, cause: Cause) -> io::Error {
        let kind = match &cause {
            Cause::TimedOut => io::ErrorKind::TimedOut,
            Cause::EndOfFile => io::ErrorKind::UnexpectedEof,
            Cause::WriteZero => io::ErrorKind::WriteZero,
            Cause::Limit => io::ErrorKind::FileTooLarge,
            Cause::Error(error) => error.kind(),
            Cause::Canceled | Cause::Closed => io::ErrorKind::Other,
        };
        io::Error::new(kind, Interrupted { done, cause })
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = if self.done == 1 { "byte" } else { "bytes" };
        write!(f, "stopped after {} {bytes}: {}", self.done, self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Canceled => f.write_str("cancelled"),
            Cause::TimedOut => f.write_str("timed out"),
            Cause::Closed => f.write_str("the handle was closed on this side"),
            Cause::EndOfFile => f.write_str("the stream ended"),
            Cause::WriteZero => f.write_str("the other side takes no more bytes"),
            Cause::Limit => f.write_str("there was more than the limit allows"),
            Cause::Error(error) => error.fmt(f),
        }
    }
}

impl Error for Interrupted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Cause::Error(error) => Some(error),
            _ => None,
        }
    }
}
