//! [`read_to_end`]: all that a peer sends until it ends its side, up to a limit.

use std::io;

use super::{Cause, Interrupted, Source, interrupted, unread};
use crate::backend::{Code, Note};
use crate::buf::MAX_TRANSFER;
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, Steps};
use crate::op::object::ObjectRef;
use crate::op::slots::Stop;

/// At least so much room is there for each transfer.
const CHUNK: usize = 8 * 1024;

/// Receives until the stream ends, behind what `buf` holds; how many bytes came. More than `limit`
/// bytes is an error of kind [`io::ErrorKind::FileTooLarge`] that carries
/// [`Interrupted`](super::Interrupted) with [`Cause::Limit`]; what had come is in the buffer.
#[track_caller]
pub fn read_to_end(from: &impl Source, buf: Vec<u8>, limit: usize) -> Operation<ReadToEnd> {
    Operation::new(ReadToEnd {
        object: from.object(),
        buf,
        done: 0,
        limit,
    })
}

/// The kind of [`read_to_end`].
pub struct ReadToEnd {
    object: ObjectRef,
    buf: Vec<u8>,
    done: usize,
    limit: usize,
}

impl Steps for ReadToEnd {
    type Out = (io::Result<usize>, Vec<u8>);
    const NAME: &'static str = "read_to_end";
    const COMPOSED: bool = true;

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Recv)?;
        // One byte more than is allowed tells "exactly the limit" from "more".
        let wanted = (self.limit - self.done).saturating_add(1);
        if self.buf.capacity() == self.buf.len() {
            self.buf.reserve(wanted.min(CHUNK.max(self.buf.len())));
        }
        let room = self.buf.capacity() - self.buf.len();
        activation.op.ptr = self.buf.as_mut_ptr().wrapping_add(self.buf.len());
        activation.op.len = room.min(wanted).min(MAX_TRANSFER) as u32;
        activation.writable = true;
        Ok(activation)
    }

    fn next(&mut self, result: i32, stop: Stop) -> bool {
        let received = usize::try_from(result).unwrap_or(0);
        // SAFETY: the kernel has written so many bytes behind the old ones, within the capacity.
        unsafe { self.buf.set_len(self.buf.len() + received) };
        self.done += received;
        received > 0 && stop == Stop::No && self.done <= self.limit
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        let done = self.done as u64;
        let result = match outcome.result {
            0 => Ok(self.done),
            1.. if self.done > self.limit => Err(Interrupted::error(done, Cause::Limit)),
            _ => Err(interrupted(&outcome, done, Cause::EndOfFile)),
        };
        (result, self.buf)
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        unread(&out.0)
    }

    fn discard(self, outcome: Outcome<'_>) {
        Outcome {
            result: i32::try_from(self.done).unwrap_or(i32::MAX),
            ..outcome
        }
        .discard_bytes();
    }
}
