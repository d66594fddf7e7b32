//! [`copy`]: everything from one stream into another.

use std::io;

use super::{Cause, Sink, Source, interrupted};
use crate::backend::Code;
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, Steps};
use crate::op::object::ObjectRef;
use crate::op::slots::Stop;

/// What is read before it is written: large enough that the calls are few, small enough for a cache.
const BUFFER: usize = 64 * 1024;

/// Copies from one stream into another until the first ends; how many bytes were written. Memory is
/// one buffer of 64 KiB: nothing more is read until all that was read is written.
///
/// Both have to be streams of one proactor: else the error is of kind [`io::ErrorKind::InvalidInput`].
///
/// If it stops early, [`Interrupted::done`](super::Interrupted::done) counts the bytes written;
/// bytes read and not yet written are lost with the operation, and counted as discarded.
#[track_caller]
pub fn copy(from: &impl Source, to: &impl Sink) -> Operation<Copy> {
    Operation::new(Copy {
        from: from.object(),
        to: to.object(),
        buf: Vec::new(),
        written: 0,
        total: 0,
        ended: false,
    })
}

/// The kind of [`copy`].
pub struct Copy {
    from: ObjectRef,
    to: ObjectRef,
    buf: Vec<u8>,
    /// Of what is in the buffer, so much has been written.
    written: usize,
    total: u64,
    ended: bool,
}

impl Copy {
    fn is_writing(&self) -> bool {
        self.written < self.buf.len()
    }
}

impl Steps for Copy {
    type Out = io::Result<u64>;
    const NAME: &'static str = "copy";
    const COMPOSED: bool = true;

    fn home(&self) -> HomeRef {
        self.from.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        if !std::ptr::eq(self.from.home().home, self.to.home().home) {
            return Err(FAILED_EARLY);
        }
        if self.is_writing() {
            let mut activation = Activation::on(&self.to, Code::Send)?;
            activation.op.ptr = self.buf.as_mut_ptr().wrapping_add(self.written);
            activation.op.len = (self.buf.len() - self.written) as u32;
            Ok(activation)
        } else {
            let mut activation = Activation::on(&self.from, Code::Recv)?;
            self.buf.clear();
            self.buf.reserve(BUFFER);
            self.written = 0;
            activation.op.ptr = self.buf.as_mut_ptr();
            activation.op.len = BUFFER as u32;
            activation.writable = true;
            Ok(activation)
        }
    }

    fn next(&mut self, result: i32, stop: Stop) -> bool {
        let Ok(moved) = usize::try_from(result) else {
            return false;
        };
        if self.is_writing() {
            self.written += moved;
            self.total += moved as u64;
        } else {
            // SAFETY: the kernel has written so many bytes at the start, within the capacity.
            unsafe { self.buf.set_len(moved) };
            self.ended = moved == 0;
        }
        moved > 0 && stop == Stop::No
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        if outcome.result == FAILED_EARLY {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "copy needs two streams of one proactor",
            ));
        }
        if self.ended && outcome.result == 0 {
            return Ok(self.total);
        }
        Outcome {
            result: (self.buf.len() - self.written) as i32,
            ..outcome
        }
        .discard_bytes();
        Err(interrupted(&outcome, self.total, Cause::WriteZero))
    }

    fn discard(self, outcome: Outcome<'_>) {
        Outcome {
            result: (self.buf.len() - self.written) as i32,
            ..outcome
        }
        .discard_bytes();
    }
}
