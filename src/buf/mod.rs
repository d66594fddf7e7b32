//! Buffers that can be lent to a kernel: owned, stable in memory, given back with the result.
//!
//! An operation takes its buffer by value and the completion returns it: while the kernel may touch
//! the memory, nobody else can name it (I2). [`IoBuf`] is what can be sent from, [`IoBufMut`] what
//! can be received into, [`Slice`] a part of either.

mod slice;

pub use slice::Slice;

use std::ops::RangeBounds;
use std::sync::Arc;

/// A buffer whose bytes a kernel may read while it is lent.
///
/// # Safety
///
/// [`io_ptr`](IoBuf::io_ptr) must point at [`io_len`](IoBuf::io_len) initialised bytes which stay at
/// that address, unchanged and allocated, when the buffer value is moved, until it is dropped or
/// handed to its owner again. Nor does what the methods say change meanwhile: a composed operation
/// asks them before each of its steps. An array held inline (`[u8; 64]`) is no `IoBuf`: it moves.
///
/// The methods are called on the proactor's worker. They may start, cancel and drop what they like;
/// if one panics, the operation ends with an error.
///
/// ```
/// use proactor::IoBuf;
/// let greeting = String::from("hello");
/// assert_eq!(greeting.io_len(), 5);
/// ```
///
/// A borrowed text is a buffer too, if it is borrowed for ever: an operation that is started has to
/// own what the kernel may touch for as long as that takes, so it starts with a `'static` buffer only.
///
/// ```compile_fail,E0597
/// # fn stream() -> proactor::net::TcpStream { unimplemented!() }
/// let local = String::from("hello");
/// stream().write(local.as_str()).then(|_| {});
/// ```
///
/// Nor can it be looked at, or used for something else, as long as it is lent:
///
/// ```compile_fail,E0382
/// # fn stream() -> proactor::net::TcpStream { unimplemented!() }
/// let mut buf = vec![0; 64];
/// stream().read(buf).then(|_| {});
/// buf[0] = 1;
/// ```
// Not `'static` itself: where the compiler asks whether a task is `Send` it has forgotten which
// lifetime a borrow had, and `&str` has to be a buffer for any.
pub unsafe trait IoBuf: Send {
    /// Where the bytes are.
    fn io_ptr(&self) -> *const u8;

    /// How many initialised bytes there are.
    fn io_len(&self) -> usize;

    /// The part `range` of this buffer: what an operation on it will send, or fill.
    ///
    /// # Panics
    ///
    /// If the range begins behind the initialised bytes, or ends before it begins. (What it may end
    /// at is for the operation: a send needs initialised bytes, a receive only capacity. Both clamp.)
    ///
    /// ```
    /// use proactor::IoBuf;
    /// let word = String::from("proactor").slice(3..6);
    /// assert_eq!(&word[..], b"act");
    /// assert_eq!(word.into_inner(), "proactor");
    /// ```
    #[track_caller]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// A buffer that a kernel may write into while it is lent.
///
/// # Safety
///
/// [`io_mut_ptr`](IoBufMut::io_mut_ptr) must point at [`io_capacity`](IoBufMut::io_capacity) writable
/// bytes (initialised or not) that stay at that address when the value is moved, and that nothing
/// else reads or writes while the buffer is lent. It points where [`IoBuf::io_ptr`] points. The
/// capacity stays the same until [`set_io_len`](IoBufMut::set_io_len) or its owner changes it.
pub unsafe trait IoBufMut: IoBuf {
    /// Where to write.
    fn io_mut_ptr(&mut self) -> *mut u8;

    /// How many bytes may be written.
    fn io_capacity(&self) -> usize;

    /// A transfer has put `n` bytes at the start. A growable buffer now holds exactly those.
    ///
    /// # Safety
    ///
    /// The first `n` bytes are initialised, and `n` is at most the capacity.
    unsafe fn set_io_len(&mut self, n: usize);
}

// SAFETY: a Vec's heap block stays where it is when the Vec is moved; len bytes are initialised.
unsafe impl IoBuf for Vec<u8> {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: the whole capacity is owned and writable, and no other reference to it exists.
unsafe impl IoBufMut for Vec<u8> {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn io_capacity(&self) -> usize {
        self.capacity()
    }

    unsafe fn set_io_len(&mut self, n: usize) {
        // SAFETY: the caller initialised n bytes, within the capacity.
        unsafe { self.set_len(n) }
    }
}

// SAFETY: a boxed slice is a heap block that a move of the box leaves where it is.
unsafe impl IoBuf for Box<[u8]> {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as above; all of it is initialised and uniquely owned.
unsafe impl IoBufMut for Box<[u8]> {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn io_capacity(&self) -> usize {
        self.len()
    }

    unsafe fn set_io_len(&mut self, _: usize) {}
}

// SAFETY: what is borrowed neither moves nor changes while it is.
unsafe impl IoBuf for &[u8] {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: what is borrowed neither moves nor changes while it is.
unsafe impl IoBuf for &str {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: the shared block stays put and is immutable while this clone lives (Arc::get_mut needs to be the only one).
unsafe impl IoBuf for Arc<[u8]> {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

// SAFETY: as for Vec<u8>.
unsafe impl IoBuf for String {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

#[cfg(feature = "bytes")]
// SAFETY: Bytes is a reference-counted view of immutable memory that does not move with the handle.
unsafe impl IoBuf for bytes::Bytes {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

#[cfg(feature = "bytes")]
// SAFETY: BytesMut owns its part of a heap block; a move of the handle leaves it where it is.
unsafe impl IoBuf for bytes::BytesMut {
    fn io_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn io_len(&self) -> usize {
        self.len()
    }
}

#[cfg(feature = "bytes")]
// SAFETY: the spare capacity of a BytesMut is its own, writable, and shared with nobody.
unsafe impl IoBufMut for bytes::BytesMut {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    fn io_capacity(&self) -> usize {
        self.capacity()
    }

    unsafe fn set_io_len(&mut self, n: usize) {
        // SAFETY: the caller initialised n bytes, within the capacity.
        unsafe { self.set_len(n) }
    }
}

/// The longest single transfer that the kernels agree on: Linux moves at most 0x7fff_f000 bytes a
/// call (read(2), NOTES). A longer buffer is a legal request; the transfer is short.
pub(crate) const MAX_TRANSFER: usize = 0x7fff_f000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_leaves_the_bytes_where_they_are() {
        fn check(buf: impl IoBuf) {
            let before = buf.io_ptr();
            let moved = Box::new(buf);
            assert_eq!(before, moved.io_ptr());
            assert_eq!(moved.io_len(), 3);
        }
        check(vec![1, 2, 3]);
        check(vec![1, 2, 3].into_boxed_slice());
        check(String::from("abc"));
        check("abc");
        check(&b"abc"[..]);
        check(Arc::<[u8]>::from([1, 2, 3]));
        check(vec![1, 2, 3].slice(..));
    }

    #[test]
    fn a_vec_holds_exactly_what_was_read() {
        let mut buf = Vec::with_capacity(8);
        assert!(buf.io_capacity() >= 8);
        buf.extend_from_slice(b"old bytes");
        // SAFETY: four bytes are initialised.
        unsafe { buf.set_io_len(4) };
        assert_eq!(buf, b"old ");
    }

    #[cfg(feature = "bytes")]
    #[test]
    fn bytes_and_bytes_mut_are_buffers() {
        let mut buf = bytes::BytesMut::with_capacity(16);
        buf.extend_from_slice(b"abc");
        assert!(buf.io_capacity() >= 16);
        assert_eq!(buf.io_len(), 3);
        assert_eq!(buf.freeze().io_len(), 3);
    }
}
