//! Composed operations: several single ones in a row, as one operation with one result.
//!
//! Each is a plain function that returns an [`Operation`](crate::Operation): it has one slot, one
//! buffer, one handler, one cancel handle and one timeout for the whole. If it stops before its goal
//! (cancelled, timed out, closed, the stream ended, an error) its error carries [`Interrupted`]: how
//! far it had come, and why it stopped. An operation that was cancelled or timed out too late, when
//! its goal was reached, is `Ok`.

mod copy;
mod exact;
mod read_to_end;

pub use crate::op::interrupted::{Cause, Interrupted};
pub use copy::{Copy, copy};
pub use exact::{ReadExact, WriteAll, read_exact, read_exact_at, write_all, write_all_at};
pub use read_to_end::{ReadToEnd, read_to_end};

use crate::backend::Note;
use crate::fs::File;
use crate::net::{ReadHalf, TcpStream, WriteHalf};
use crate::op::kind::{HANDLE_CLOSED, Outcome, unread_bytes};
use crate::op::object::ObjectRef;
use crate::op::slots::Stop;

/// Something to read a stream of bytes from. Sealed.
#[expect(
    private_bounds,
    reason = "sealed: what can be read is the crate's own matter"
)]
pub trait Source: Object {}

/// Something to write a stream of bytes to. Sealed.
#[expect(
    private_bounds,
    reason = "sealed: what can be written is the crate's own matter"
)]
pub trait Sink: Object {}

trait Object {
    fn object(&self) -> ObjectRef;
}

impl Object for TcpStream {
    fn object(&self) -> ObjectRef {
        TcpStream::object(self)
    }
}

impl Object for ReadHalf {
    fn object(&self) -> ObjectRef {
        self.stream().object()
    }
}

impl Object for WriteHalf {
    fn object(&self) -> ObjectRef {
        self.stream().object()
    }
}

impl Object for File {
    fn object(&self) -> ObjectRef {
        File::object(self)
    }
}

impl Source for TcpStream {}
impl Source for ReadHalf {}
impl Sink for TcpStream {}
impl Sink for WriteHalf {}

/// The error of a composed operation that stopped after `done` bytes, its last step having ended so.
#[cold]
fn interrupted(outcome: &Outcome<'_>, done: u64, when_zero: Cause) -> std::io::Error {
    let cause = match (outcome.result, outcome.stop) {
        (crate::backend::CANCELED, Stop::No) => Cause::Error(outcome.error()),
        (HANDLE_CLOSED, _) => Cause::Closed,
        (0, _) => when_zero,
        (crate::backend::CANCELED | 1.., stop) => match stop {
            Stop::TimedOut => Cause::TimedOut,
            Stop::Closed => Cause::Closed,
            Stop::Canceled | Stop::Teardown | Stop::No => Cause::Canceled,
        },
        (_, _) => Cause::Error(outcome.error()),
    };
    Interrupted::error(done, cause)
}

/// What the result of a composed read is counted as when nobody wants it.
fn unread(result: &std::io::Result<usize>) -> Option<Note> {
    match result {
        Ok(n) => unread_bytes(*n),
        Err(error) => {
            let interrupted = error.get_ref()?.downcast_ref::<Interrupted>()?;
            unread_bytes(usize::try_from(interrupted.done).ok()?)
        }
    }
}
