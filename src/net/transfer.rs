//! Receives and sends: the kinds that carry a lent buffer to a stream and back.

use std::io;

use crate::backend::{Code, Note, Segment};
use crate::buf::{IoBuf, IoBufMut};
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, Steps, unread_bytes};
use crate::op::object::ObjectRef;

/// The kind of [`TcpStream::read`](super::TcpStream::read).
pub struct Read<B> {
    pub(super) object: ObjectRef,
    pub(super) buf: B,
}

impl<B: IoBufMut> Steps for Read<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "read";

    #[inline]
    fn home(&self) -> HomeRef {
        self.object.home()
    }

    #[inline]
    fn here(&self) -> Option<&'static Local> {
        self.object.here()
    }

    #[inline]
    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        Activation::lending(
            &self.object,
            Code::Recv,
            self.buf.io_mut_ptr(),
            self.buf.io_capacity(),
        )
    }

    #[inline]
    fn finish(mut self, outcome: Outcome<'_>) -> Self::Out {
        let result = outcome.bytes();
        if let Ok(n) = result {
            // SAFETY: the kernel has written n bytes at the start of the buffer, which had room for them.
            unsafe { self.buf.set_io_len(n) };
        }
        (result, self.buf)
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        unread_bytes(*out.0.as_ref().ok()?)
    }

    fn discard(self, outcome: Outcome<'_>) {
        outcome.discard_bytes();
    }
}

/// The kind of [`TcpStream::write`](super::TcpStream::write).
pub struct Write<B> {
    pub(super) object: ObjectRef,
    pub(super) buf: B,
}

impl<B: IoBuf> Steps for Write<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "write";

    #[inline]
    fn home(&self) -> HomeRef {
        self.object.home()
    }

    #[inline]
    fn here(&self) -> Option<&'static Local> {
        self.object.here()
    }

    #[inline]
    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        Activation::lending(
            &self.object,
            Code::Send,
            self.buf.io_ptr().cast_mut(),
            self.buf.io_len(),
        )
    }

    #[inline]
    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        (outcome.bytes(), self.buf)
    }
}

/// How many pieces of a vectored transfer stand in the slot itself.
const INLINE: usize = 4;
/// At most so many go to the kernel in one call; the transfer is short then (IOV_MAX, readv(2)).
const MAX_SEGMENTS: usize = 1024;

enum Segments {
    Inline([Segment; INLINE], u8),
    Heap(Vec<Segment>),
}

// SAFETY: the pointers are into buffers that the same kind owns, and those are Send.
unsafe impl Send for Segments {}

impl Segments {
    fn new(pieces: impl ExactSizeIterator<Item = Segment>) -> Segments {
        let nothing = Segment {
            ptr: std::ptr::null_mut(),
            len: 0,
        };
        if pieces.len() > INLINE {
            return Segments::Heap(pieces.take(MAX_SEGMENTS).collect());
        }
        let mut inline = [nothing; INLINE];
        let count = pieces.len() as u8;
        for (place, piece) in inline.iter_mut().zip(pieces) {
            *place = piece;
        }
        Segments::Inline(inline, count)
    }

    fn as_mut(&mut self) -> &mut [Segment] {
        match self {
            Segments::Inline(inline, count) => &mut inline[..usize::from(*count)],
            Segments::Heap(heap) => heap,
        }
    }
}

fn vectored(object: &ObjectRef, code: Code, segments: &mut Segments) -> Result<Activation, i32> {
    let mut activation = Activation::on(object, code)?;
    let segments = segments.as_mut();
    activation.op.ptr = segments.as_mut_ptr().cast();
    activation.op.len = segments.len() as u32;
    Ok(activation)
}

/// The kind of [`TcpStream::read_vectored`](super::TcpStream::read_vectored).
pub struct ReadVectored<B> {
    object: ObjectRef,
    bufs: Vec<B>,
    segments: Segments,
}

impl<B: IoBufMut> ReadVectored<B> {
    pub(super) fn new(object: ObjectRef, mut bufs: Vec<B>) -> Self {
        let segments = Segments::new(bufs.iter_mut().map(|buf| Segment {
            ptr: buf.io_mut_ptr(),
            len: buf.io_capacity(),
        }));
        ReadVectored {
            object,
            bufs,
            segments,
        }
    }
}

impl<B: IoBufMut> Steps for ReadVectored<B> {
    type Out = (io::Result<usize>, Vec<B>);
    const NAME: &'static str = "read_vectored";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = vectored(&self.object, Code::RecvVectored, &mut self.segments)?;
        activation.writable = true;
        Ok(activation)
    }

    fn finish(mut self, outcome: Outcome<'_>) -> Self::Out {
        let result = outcome.bytes();
        if let Ok(n) = result {
            let mut left = n;
            // What the kernel was told, not what a buffer says now; those behind IOV_MAX got nothing.
            let lens = self
                .segments
                .as_mut()
                .iter()
                .map(|segment| segment.len)
                .chain(std::iter::repeat(0));
            for (buf, len) in self.bufs.iter_mut().zip(lens) {
                let here = left.min(len);
                // SAFETY: the kernel fills each buffer before the next; `here` bytes are this one's share.
                unsafe { buf.set_io_len(here) };
                left -= here;
            }
        }
        (result, self.bufs)
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        unread_bytes(*out.0.as_ref().ok()?)
    }

    fn discard(self, outcome: Outcome<'_>) {
        outcome.discard_bytes();
    }
}

/// The kind of [`TcpStream::write_vectored`](super::TcpStream::write_vectored).
pub struct WriteVectored<B> {
    object: ObjectRef,
    bufs: Vec<B>,
    segments: Segments,
}

impl<B: IoBuf> WriteVectored<B> {
    pub(super) fn new(object: ObjectRef, bufs: Vec<B>) -> Self {
        let segments = Segments::new(bufs.iter().map(|buf| Segment {
            ptr: buf.io_ptr().cast_mut(),
            len: buf.io_len(),
        }));
        WriteVectored {
            object,
            bufs,
            segments,
        }
    }
}

impl<B: IoBuf> Steps for WriteVectored<B> {
    type Out = (io::Result<usize>, Vec<B>);
    const NAME: &'static str = "write_vectored";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        vectored(&self.object, Code::SendVectored, &mut self.segments)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        (outcome.bytes(), self.bufs)
    }
}
