//! A part of a lent buffer: what an operation sends, or where it receives.

use std::ops::{Bound, Deref, RangeBounds};

use super::{IoBuf, IoBufMut};

/// The part `begin..end` of a buffer, made by [`IoBuf::slice`]. Owns the whole buffer.
///
/// As the source of a send it is clamped to the initialised bytes. As the target of a receive it may
/// reach into the unused capacity; afterwards a growable buffer ends where the received bytes end, so
/// `buf.slice(buf.len()..)` appends.
#[derive(Clone, Debug)]
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    #[track_caller]
    pub(super) fn new(buf: B, range: impl RangeBounds<usize>) -> Slice<B> {
        let begin = match range.start_bound() {
            Bound::Included(&at) => at,
            Bound::Excluded(&at) => at.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&at) => at.saturating_add(1),
            Bound::Excluded(&at) => at,
            Bound::Unbounded => usize::MAX,
        };
        let len = buf.io_len();
        assert!(begin <= len, "a slice can't begin at byte {begin} of a buffer of {len} bytes");
        assert!(begin <= end, "a slice can't begin at byte {begin} and end at byte {end}");
        Slice { buf, begin, end }
    }

    /// The whole buffer back.
    pub fn into_inner(self) -> B {
        self.buf
    }

    /// The whole buffer.
    pub fn get_ref(&self) -> &B {
        &self.buf
    }

    /// Where the slice begins in the buffer.
    pub fn begin(&self) -> usize {
        self.begin
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    /// The initialised bytes of the slice.
    fn deref(&self) -> &[u8] {
        // SAFETY: IoBuf promises io_len initialised bytes at io_ptr; the slice stays within them.
        unsafe { std::slice::from_raw_parts(self.io_ptr(), self.io_len()) }
    }
}

// SAFETY: the memory is the inner buffer's, and so are its promises; begin never exceeds its length
// (checked at construction; a shorter length set later is clamped).
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn io_ptr(&self) -> *const u8 {
        self.buf.io_ptr().wrapping_add(self.begin)
    }

    fn io_len(&self) -> usize {
        self.buf.io_len().min(self.end).saturating_sub(self.begin)
    }
}

// SAFETY: as above, for the capacity.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn io_mut_ptr(&mut self) -> *mut u8 {
        self.buf.io_mut_ptr().wrapping_add(self.begin)
    }

    fn io_capacity(&self) -> usize {
        // A clone of a buffer may hold fewer bytes than its original: no room then, or there would be
        // a gap of bytes that nobody has written.
        if self.begin > self.buf.io_len() {
            return 0;
        }
        self.buf.io_capacity().min(self.end).saturating_sub(self.begin)
    }

    unsafe fn set_io_len(&mut self, n: usize) {
        if self.begin <= self.buf.io_len() {
            // SAFETY: what lies before `begin` is initialised, n bytes behind it were by the caller.
            unsafe { self.buf.set_io_len(self.begin + n) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiving_slice_reaches_into_the_capacity_and_appends() {
        let mut buf = Vec::with_capacity(10);
        buf.extend_from_slice(b"abc");
        let mut slice = buf.slice(3..7);
        assert_eq!(slice.io_len(), 0);
        assert_eq!(slice.io_capacity(), 4);
        // SAFETY: the two bytes are written first.
        unsafe {
            slice.io_mut_ptr().copy_from(b"de".as_ptr(), 2);
            slice.set_io_len(2);
        }
        assert_eq!(slice.into_inner(), b"abcde");
    }

    #[test]
    fn slices_of_slices_add_up() {
        let slice = vec![0, 1, 2, 3, 4, 5].slice(1..5).slice(1..=2);
        assert_eq!(&slice[..], [2, 3]);
    }

    #[test]
    #[should_panic(expected = "begin at byte 4 of a buffer of 3 bytes")]
    fn a_slice_can_not_begin_behind_the_bytes() {
        let _ = vec![1, 2, 3].slice(4..);
    }
}
