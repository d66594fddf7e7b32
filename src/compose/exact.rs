//! [`read_exact`] and [`write_all`]: a transfer that goes on until the whole buffer is done.

use std::io;

use super::{Cause, Sink, Source, interrupted, unread};
use crate::backend::{Code, Note};
use crate::buf::{IoBuf, IoBufMut};
use crate::fs::File;
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, Steps, offset};
use crate::op::object::ObjectRef;
use crate::op::slots::Stop;

/// Fills the buffer to its capacity (of a `Vec`, cut it to measure: `buf.slice(..n)`).
///
/// If the stream ends first the error is of kind [`io::ErrorKind::UnexpectedEof`] and carries
/// [`Interrupted`](super::Interrupted); what had come is in the buffer.
///
/// ```
/// # use proactor::{IoBuf, Proactor, compose, net::{TcpListener, TcpStream}};
/// # let Ok(proactor) = Proactor::new() else { return };
/// # let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
/// # let addr = listener.local_addr().unwrap();
/// let word = proactor.block_on(async {
///     let accept = listener.accept();
///     let client = TcpStream::connect(&proactor, addr).await?;
///     let (server, _) = accept.await?;
///     compose::write_all(&client, "proactor").await.0?;
///     let (read, buf) = compose::read_exact(&server, Vec::with_capacity(8).slice(..8)).await;
///     read.map(|_| buf.into_inner())
/// });
/// assert_eq!(word.unwrap().unwrap(), b"proactor");
/// ```
#[track_caller]
pub fn read_exact<B: IoBufMut>(from: &impl Source, buf: B) -> Operation<ReadExact<B>> {
    Operation::new(ReadExact {
        object: from.object(),
        buf,
        done: 0,
        code: Code::Recv,
        offset: 0,
    })
}

/// Fills the buffer to its capacity from byte `offset` of a file. As [`read_exact`].
#[track_caller]
pub fn read_exact_at<B: IoBufMut>(file: &File, buf: B, offset: u64) -> Operation<ReadExact<B>> {
    Operation::new(ReadExact {
        object: file.object(),
        buf,
        done: 0,
        code: Code::ReadAt,
        offset,
    })
}

/// Sends the whole buffer.
#[track_caller]
pub fn write_all<B: IoBuf>(to: &impl Sink, buf: B) -> Operation<WriteAll<B>> {
    Operation::new(WriteAll {
        object: to.object(),
        buf,
        done: 0,
        code: Code::Send,
        offset: 0,
    })
}

/// Writes the whole buffer at byte `offset` of a file.
#[track_caller]
pub fn write_all_at<B: IoBuf>(file: &File, buf: B, offset: u64) -> Operation<WriteAll<B>> {
    Operation::new(WriteAll {
        object: file.object(),
        buf,
        done: 0,
        code: Code::WriteAt,
        offset,
    })
}

/// The kind of [`read_exact`].
pub struct ReadExact<B> {
    object: ObjectRef,
    buf: B,
    done: usize,
    code: Code,
    offset: u64,
}

impl<B: IoBufMut> Steps for ReadExact<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "read_exact";
    const COMPOSED: bool = true;

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let ptr = self.buf.io_mut_ptr().wrapping_add(self.done);
        let len = self.buf.io_capacity().saturating_sub(self.done);
        let mut activation = Activation::lending(&self.object, self.code, ptr, len)?;
        if self.code == Code::ReadAt {
            activation.op.offset = offset(self.offset.saturating_add(self.done as u64));
        }
        Ok(activation)
    }

    fn next(&mut self, result: i32, stop: Stop) -> bool {
        self.done += usize::try_from(result).unwrap_or(0);
        result > 0 && stop == Stop::No && self.done < self.buf.io_capacity()
    }

    fn finish(mut self, outcome: Outcome<'_>) -> Self::Out {
        let wanted = self.buf.io_capacity();
        if self.done > 0 {
            // SAFETY: the kernel has written `done` bytes, one transfer behind the other, and the
            // capacity is the same as then (IoBufMut's contract).
            unsafe { self.buf.set_io_len(self.done) };
        }
        let result = if self.done == wanted && outcome.result >= 0 {
            Ok(wanted)
        } else {
            Err(interrupted(&outcome, self.done as u64, Cause::EndOfFile))
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

/// The kind of [`write_all`].
pub struct WriteAll<B> {
    object: ObjectRef,
    buf: B,
    done: usize,
    code: Code,
    offset: u64,
}

impl<B: IoBuf> Steps for WriteAll<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "write_all";
    const COMPOSED: bool = true;

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let ptr = self.buf.io_ptr().cast_mut().wrapping_add(self.done);
        let len = self.buf.io_len().saturating_sub(self.done);
        let mut activation = Activation::lending(&self.object, self.code, ptr, len)?;
        if self.code == Code::WriteAt {
            activation.op.offset = offset(self.offset.saturating_add(self.done as u64));
        }
        Ok(activation)
    }

    fn next(&mut self, result: i32, stop: Stop) -> bool {
        self.done += usize::try_from(result).unwrap_or(0);
        result > 0 && stop == Stop::No && self.done < self.buf.io_len()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        let wanted = self.buf.io_len();
        let result = if self.done == wanted && outcome.result >= 0 {
            Ok(wanted)
        } else {
            Err(interrupted(&outcome, self.done as u64, Cause::WriteZero))
        };
        (result, self.buf)
    }
}
