//! Lent buffers: the only place that touches user memory, and the oracle over it (I2).
//!
//! From submit to completion a lent buffer is the kernel's. What may be written is *poisoned* at submit: its
//! bytes are saved, and a pattern stands there until the kernel writes. A pattern that changed, or that
//! somebody computed with, gives a premature reader or writer away. At completion everything beyond
//! what the kernel wrote is put back, because a real kernel leaves it alone and programs may rely on
//! that. What is sent is *fingerprinted* at submit; it is checked when the kernel takes the bytes and
//! again at completion (io_uring_enter(2): the memory must stay stable until the completion).
//!
//! The saved bytes may be uninitialised (the spare capacity of a `Vec`): they are only ever copied,
//! as `MaybeUninit`, never looked at.

use std::mem::MaybeUninit;

/// One piece of a vectored operation: the layout of `struct iovec`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Piece {
    ptr: *mut u8,
    len: usize,
}

impl Piece {
    /// For whoever has the same structure under another name.
    pub(crate) const LEN_OFFSET: usize = std::mem::offset_of!(Piece, len);
}

/// A lent buffer: one range, or several.
#[derive(Clone, Copy)]
pub(super) struct Lent {
    ptr: *mut u8,
    len: u32,
    /// How many [`Piece`]s stand at `ptr`, or `PLAIN`.
    pieces: u32,
}

// SAFETY: a `Lent` is an address and two numbers. Whoever follows it does so in an unsafe function of this
// file, whose contract says from which calls it may be reached.
unsafe impl Send for Lent {}

const PLAIN: u32 = u32::MAX;

/// Linux transfers at most this much in one call (`MAX_RW_COUNT`).
const MOST: u64 = 0x7fff_f000;

impl Lent {
    pub(super) const NONE: Lent = Lent {
        ptr: std::ptr::null_mut(),
        len: 0,
        pieces: PLAIN,
    };

    pub(super) fn plain(ptr: *mut u8, len: u32) -> Lent {
        Lent {
            ptr,
            len: len.min(MOST as u32),
            pieces: PLAIN,
        }
    }

    /// Several ranges; their lengths are added up here, once.
    ///
    /// # Safety
    ///
    /// `count` pieces stand at `ptr`.
    pub(super) unsafe fn vectored(ptr: *mut u8, count: u32) -> Lent {
        let mut total = 0u64;
        for at in 0..count as usize {
            // SAFETY: the caller's promise. Read unaligned: nothing is assumed of the pointer.
            total = total
                .saturating_add(unsafe { ptr.cast::<Piece>().add(at).read_unaligned() }.len as u64);
        }
        Lent {
            ptr,
            len: total.min(MOST) as u32,
            pieces: count,
        }
    }

    #[inline]
    pub(super) fn len(self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) fn ptr(self) -> *mut u8 {
        self.ptr
    }

    /// Calls `body` with each range of the bytes from `from` to `to`, in order.
    ///
    /// # Safety
    ///
    /// The buffer is lent at this moment.
    #[inline]
    unsafe fn ranges(self, from: u32, to: u32, mut body: impl FnMut(*mut u8, usize)) {
        let (from, to) = (from as usize, to as usize);
        if from >= to {
            return;
        }
        if self.pieces == PLAIN {
            // SAFETY: `from < to <= len` of a buffer that is lent.
            return body(unsafe { self.ptr.add(from) }, to - from);
        }
        let mut start = 0;
        for at in 0..self.pieces as usize {
            // SAFETY: the pieces are lent with the buffer.
            let piece = unsafe { self.ptr.cast::<Piece>().add(at).read_unaligned() };
            let end = start + piece.len;
            let (low, high) = (from.max(start), to.min(end));
            if low < high {
                // SAFETY: inside the piece.
                body(unsafe { piece.ptr.add(low - start) }, high - low);
            }
            start = end;
        }
    }

    /// Copies the kernel's `bytes` to the place `at` of the buffer.
    ///
    /// # Safety
    ///
    /// The buffer is lent, writable, and at least `at + bytes.len()` long.
    pub(super) unsafe fn write(self, at: u32, mut bytes: &[u8]) {
        // SAFETY: the caller's promise; kernel memory and lent memory never overlap.
        unsafe {
            self.ranges(at, at + bytes.len() as u32, |ptr, len| {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), ptr, len);
                bytes = &bytes[len..];
            });
        }
    }

    /// Copies from the place `at` of the buffer to the kernel's `bytes`.
    ///
    /// # Safety
    ///
    /// The buffer is lent, initialised, and at least `at + bytes.len()` long.
    pub(super) unsafe fn read(self, at: u32, bytes: &mut [u8]) {
        let mut done = 0;
        // SAFETY: the caller's promise; kernel memory and lent memory never overlap.
        unsafe {
            self.ranges(at, at + bytes.len() as u32, |ptr, len| {
                std::ptr::copy_nonoverlapping(ptr, bytes[done..].as_mut_ptr(), len);
                done += len;
            });
        }
    }

    /// Saves the whole buffer and fills it with the pattern.
    ///
    /// # Safety
    ///
    /// The buffer is lent and writable.
    pub(super) unsafe fn poison(self, pattern: u8, saved: &mut Vec<MaybeUninit<u8>>) {
        saved.clear();
        // SAFETY: the caller's promise. The copy is untyped: what was uninitialised stays so.
        unsafe {
            self.ranges(0, self.len, |ptr, len| {
                saved.extend_from_slice(std::slice::from_raw_parts(
                    ptr.cast::<MaybeUninit<u8>>(),
                    len,
                ));
                std::ptr::write_bytes(ptr, pattern, len);
            });
        }
    }

    /// The place of the first byte from `from` on that no longer holds the pattern.
    ///
    /// # Safety
    ///
    /// The buffer is lent and was poisoned.
    pub(super) unsafe fn spoiled(self, from: u32, pattern: u8) -> Option<u32> {
        let mut at = from;
        let mut found = None;
        // SAFETY: the caller's promise; the pattern initialised every byte.
        unsafe {
            self.ranges(from, self.len, |ptr, len| {
                let bytes = std::slice::from_raw_parts(ptr, len);
                if found.is_none() && !all_are(bytes, pattern) {
                    let inside = bytes.iter().position(|&byte| byte != pattern).unwrap_or(0);
                    found = Some(at + inside as u32);
                }
                at += len as u32;
            });
        }
        found
    }

    /// Puts back what was saved, from `from` on.
    ///
    /// # Safety
    ///
    /// The buffer is lent and was poisoned with this `saved`.
    pub(super) unsafe fn restore(self, from: u32, saved: &[MaybeUninit<u8>]) {
        let mut at = from as usize;
        // SAFETY: the caller's promise; an untyped copy, as in `poison`.
        unsafe {
            self.ranges(from, self.len, |ptr, len| {
                std::ptr::copy_nonoverlapping(saved[at..at + len].as_ptr(), ptr.cast(), len);
                at += len;
            });
        }
    }

    /// A hash of the first `len` bytes.
    ///
    /// # Safety
    ///
    /// The buffer is lent and its first `len` bytes are initialised.
    pub(super) unsafe fn fingerprint(self, len: u32) -> u64 {
        let mut hash = u64::from(len);
        // SAFETY: the caller's promise.
        unsafe {
            self.ranges(0, len, |ptr, len| {
                hash = fingerprint(hash, std::slice::from_raw_parts(ptr, len));
            });
        }
        hash
    }
}

fn all_are(bytes: &[u8], pattern: u8) -> bool {
    // In blocks without an early exit, which the compiler turns into vector instructions.
    let blocks = bytes.chunks_exact(64);
    let rest = blocks.remainder();
    for block in blocks {
        if block.iter().fold(0, |all, &byte| all | (byte ^ pattern)) != 0 {
            return false;
        }
    }
    rest.iter().fold(0, |all, &byte| all | (byte ^ pattern)) == 0
}

fn fingerprint(seed: u64, bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    // Four lanes, so that large buffers are not bound by the latency of one multiplication.
    let mut lanes = [seed, seed ^ ODD, seed.rotate_left(17), seed.rotate_left(41)];
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let mut blocks = bytes.chunks_exact(32);
    for block in &mut blocks {
        for (lane, bytes) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            *lane = (*lane ^ word(bytes)).wrapping_mul(ODD).rotate_left(29);
        }
    }
    let mut words = blocks.remainder().chunks_exact(8);
    for bytes in &mut words {
        lanes[0] = (lanes[0] ^ word(bytes)).wrapping_mul(ODD).rotate_left(29);
    }
    for &byte in words.remainder() {
        lanes[1] = (lanes[1] ^ u64::from(byte))
            .wrapping_mul(ODD)
            .rotate_left(29);
    }
    lanes.into_iter().fold(0, |all, lane| {
        (all ^ lane).wrapping_mul(ODD).rotate_left(29)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_is_seen_through_and_taken_away() {
        let mut bytes: Vec<u8> = (0..200).collect();
        let lent = Lent::plain(bytes.as_mut_ptr(), 200);
        let mut saved = Vec::new();
        // SAFETY: `bytes` lives on and is reached only through `lent` here.
        unsafe {
            lent.poison(7, &mut saved);
            assert_eq!(lent.spoiled(0, 7), None);
            lent.write(0, &[1, 2, 3]);
            assert_eq!(lent.spoiled(0, 7), Some(0));
            assert_eq!(lent.spoiled(3, 7), None);
            lent.write(150, &[9]);
            assert_eq!(lent.spoiled(3, 7), Some(150));
            lent.restore(3, &saved);
        }
        assert_eq!(bytes[..5], [1, 2, 3, 3, 4]);
        assert_eq!(bytes[150], 150);
    }

    #[test]
    fn pieces_are_one_buffer() {
        let (mut a, mut b) = ([0u8; 3], [0u8; 5]);
        let mut pieces = [
            Piece {
                ptr: a.as_mut_ptr(),
                len: 3,
            },
            Piece {
                ptr: a.as_mut_ptr(),
                len: 0,
            },
            Piece {
                ptr: b.as_mut_ptr(),
                len: 5,
            },
        ];
        let mut back = [0; 4];
        // SAFETY: the pieces live on and are reached only through `lent` here.
        unsafe {
            let lent = Lent::vectored(pieces.as_mut_ptr().cast(), 3);
            assert_eq!(lent.len(), 8);
            let before = lent.fingerprint(8);
            lent.write(1, &[1, 2, 3, 4]);
            assert_ne!(lent.fingerprint(8), before);
            lent.read(1, &mut back);
        }
        assert_eq!((a, b, back), ([0, 1, 2], [3, 4, 0, 0, 0], [1, 2, 3, 4]));
    }

    #[test]
    fn a_fingerprint_sees_every_byte() {
        for len in [1, 7, 8, 31, 32, 33, 64, 100] {
            let bytes = vec![0u8; len];
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] = 1;
                assert_ne!(fingerprint(5, &bytes), fingerprint(5, &other), "{len} {at}");
            }
        }
    }
}
