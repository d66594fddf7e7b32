//! Lent buffers: the only place that touches user memory, and the oracle over it (I2).
//!
//! From submit to completion a lent buffer is the kernel's. What may be written is *poisoned* at submit (but
//! for what is written by then already: until the submitter goes on nobody can look): its bytes are saved,
//! and a pattern stands there until the kernel writes. A pattern that changed, or that somebody computed
//! with, gives a premature reader or writer away. At completion everything beyond what the kernel wrote is
//! put back, because a real kernel leaves it alone and programs may rely on that. What is sent is *copied* at submit; the copy is compared with it when the kernel takes the bytes
//! and again at completion (io_uring_enter(2): the memory must stay stable until the completion). What
//! was received is copied as well, over what was saved of it, and compared at completion.
//!
//! Copies, not fingerprints: for messages of ordinary size copying and comparing takes a quarter of the
//! instructions of hashing twice, it misses nothing, and it knows which byte it was. It costs as much
//! memory as is lent.
//!
//! What is saved may be uninitialised (the spare capacity of a `Vec`): it is only ever copied,
//! as `MaybeUninit`; what is compared the kernel or the submitter has written.

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

    /// The first `n` bytes of one that is not in pieces.
    #[inline(always)]
    pub(super) fn first(self, n: u32) -> Lent {
        debug_assert!(self.pieces == PLAIN && n <= self.len);
        Lent { len: n, ..self }
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
    #[inline(always)]
    unsafe fn ranges(self, from: u32, to: u32, mut body: impl FnMut(*mut u8, usize)) {
        let (from, to) = (from as usize, to as usize);
        if from >= to {
            return;
        }
        // SAFETY: `from < to <= len` of a buffer that is lent.
        unsafe {
            if self.pieces == PLAIN {
                body(self.ptr.add(from), to - from);
            } else {
                self.ranges_of_pieces(from, to, &mut body);
            }
        }
    }

    /// # Safety
    ///
    /// As [`Lent::ranges`], and there are pieces.
    #[cold]
    #[inline(never)]
    unsafe fn ranges_of_pieces(self, from: usize, to: usize, body: &mut dyn FnMut(*mut u8, usize)) {
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
    #[inline(always)]
    pub(super) unsafe fn write(self, at: u32, bytes: &[u8]) {
        let mut from = bytes.as_ptr();
        // SAFETY: the caller's promise; kernel memory and lent memory never overlap. The ranges are together
        // as long as `bytes`.
        unsafe {
            self.ranges(at, at + bytes.len() as u32, |ptr, len| {
                copy(from, ptr, len);
                from = from.add(len);
            });
        }
    }

    /// Copies from the place `at` of the buffer to the kernel's `bytes`.
    ///
    /// # Safety
    ///
    /// The buffer is lent, initialised, and at least `at + bytes.len()` long.
    #[inline(always)]
    pub(super) unsafe fn read(self, at: u32, bytes: &mut [u8]) {
        let mut to = bytes.as_mut_ptr();
        // SAFETY: as in `write`.
        unsafe {
            self.ranges(at, at + bytes.len() as u32, |ptr, len| {
                copy(ptr, to, len);
                to = to.add(len);
            });
        }
    }

    /// Copies the first `into.len()` bytes.
    ///
    /// # Safety
    ///
    /// The buffer is lent and at least that long.
    #[inline]
    pub(super) unsafe fn copy(self, into: &mut [MaybeUninit<u8>]) {
        let mut done = 0;
        // SAFETY: the caller's promise. The copy is untyped: what was uninitialised stays so.
        unsafe {
            self.ranges(0, into.len() as u32, |ptr, len| {
                let to = into[done..done + len].as_mut_ptr();
                std::ptr::copy_nonoverlapping(ptr.cast::<MaybeUninit<u8>>(), to, len);
                done += len;
            });
        }
    }

    /// Fills the buffer with the pattern, from `from` on.
    ///
    /// # Safety
    ///
    /// The buffer is lent and writable.
    #[inline(always)]
    pub(super) unsafe fn poison(self, from: u32, pattern: u8) {
        // SAFETY: the caller's promise.
        unsafe { self.ranges(from, self.len, |ptr, len| fill(ptr, pattern, len)) };
    }

    /// Whether a short buffer holds the pattern from `from` on.
    ///
    /// # Safety
    ///
    /// The buffer is lent, [fits](Short::fits) and was poisoned; `from` is not behind its end.
    #[inline(always)]
    pub(super) unsafe fn is_poisoned(self, from: u32, pattern: u8) -> bool {
        debug_assert!(Short::fits(self) && from <= self.len);
        // SAFETY: the caller's promise; the pattern initialised every byte.
        unsafe {
            let rest = self.ptr.add(from as usize);
            is_filled(rest, pattern, (self.len - from) as usize)
        }
    }

    /// The place of the first byte from `from` on that no longer holds the pattern.
    ///
    /// # Safety
    ///
    /// The buffer is lent and was poisoned.
    #[inline]
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

    /// The place of the first byte that differs from its copy.
    ///
    /// # Safety
    ///
    /// The buffer is lent; as many bytes of it as there are in `copy`, and those, are initialised.
    #[inline]
    pub(super) unsafe fn changed(self, copy: &[MaybeUninit<u8>]) -> Option<u32> {
        let mut at = 0;
        let mut found = None;
        // SAFETY: the caller's promise.
        unsafe {
            self.ranges(0, copy.len() as u32, |ptr, len| {
                let bytes = std::slice::from_raw_parts(ptr, len);
                let copy = std::slice::from_raw_parts(copy[at..at + len].as_ptr().cast(), len);
                if found.is_none() && bytes != copy {
                    let inside = bytes.iter().zip(copy).position(|(byte, was)| byte != was);
                    found = inside.map(|inside| (at + inside) as u32);
                }
                at += len;
            });
        }
        found
    }

    /// A hash of the buffer.
    ///
    /// # Safety
    ///
    /// The buffer is lent and initialised.
    #[inline(always)]
    pub(super) unsafe fn fingerprint(self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe {
            match self.pieces {
                PLAIN => self.fingerprint_of_plain(),
                _ => self.fingerprint_of_pieces(),
            }
        }
    }

    /// # Safety
    ///
    /// As [`Lent::fingerprint`], and there are pieces.
    #[cold]
    #[inline(never)]
    unsafe fn fingerprint_of_pieces(self) -> u64 {
        let mut hash = u64::from(self.len);
        // SAFETY: the caller's promise.
        unsafe { self.ranges(0, self.len, |ptr, len| hash = fingerprint(hash, ptr, len)) };
        hash
    }

    /// The same of one that is not in pieces, in line.
    ///
    /// # Safety
    ///
    /// The same.
    #[inline(always)]
    pub(super) unsafe fn fingerprint_of_plain(self) -> u64 {
        debug_assert!(self.pieces == PLAIN);
        // SAFETY: the caller's promise.
        unsafe { fingerprint(u64::from(self.len), self.ptr, self.len as usize) }
    }

    /// Puts back what was saved, from `from` on.
    ///
    /// # Safety
    ///
    /// The buffer is lent, writable, and was copied to `saved`.
    #[inline]
    pub(super) unsafe fn restore(self, from: u32, saved: &[MaybeUninit<u8>]) {
        let mut at = from as usize;
        // SAFETY: the caller's promise; an untyped copy, as in `copy`.
        unsafe {
            self.ranges(from, self.len, |ptr, len| {
                std::ptr::copy_nonoverlapping(saved[at..at + len].as_ptr(), ptr.cast(), len);
                at += len;
            });
        }
    }
}

/// Room for the copy of a short buffer: one cache line, in the operation itself.
#[derive(Clone, Copy)]
pub(super) struct Short([MaybeUninit<u8>; Short::LEN as usize]);

impl Short {
    const LEN: u32 = 64;

    pub(super) const EMPTY: Short = Short([MaybeUninit::uninit(); Short::LEN as usize]);

    /// Whether it has room for that.
    #[inline(always)]
    pub(super) fn fits(lent: Lent) -> bool {
        lent.pieces == PLAIN && lent.len <= Short::LEN
    }

    /// Copies the first `len` bytes.
    ///
    /// # Safety
    ///
    /// The buffer is lent, fits, and is at least that long.
    #[inline(always)]
    pub(super) unsafe fn copy(&mut self, lent: Lent, len: u32) {
        debug_assert!(Short::fits(lent) && len <= lent.len);
        // SAFETY: the caller's promise.
        unsafe { copy_short(lent.ptr, self.0.as_mut_ptr().cast(), len as usize) };
    }

    /// Copies the bytes of one buffer to the start of another, and to here.
    ///
    /// # Safety
    ///
    /// Both are lent and fit; the second is writable and not shorter.
    #[inline(always)]
    pub(super) unsafe fn hand_over(&mut self, from: Lent, to: Lent) {
        debug_assert!(Short::fits(from) && Short::fits(to) && from.len <= to.len);
        let (copy, len) = (self.0.as_mut_ptr().cast(), from.len as usize);
        // SAFETY: the caller's promise. No two operations are lent the same memory.
        unsafe { copy_short_twice(from.ptr, to.ptr, copy, len) };
    }

    /// Whether the first `len` bytes are as they were copied.
    ///
    /// # Safety
    ///
    /// The buffer is lent, fits, and is at least that long; its first `len` bytes and their copy are initialised.
    #[inline(always)]
    pub(super) unsafe fn is_same(&self, lent: Lent, len: u32) -> bool {
        debug_assert!(Short::fits(lent) && len <= lent.len);
        // SAFETY: the caller's promise.
        unsafe { are_same(lent.ptr, self.0.as_ptr().cast(), len as usize) }
    }

    /// The whole copy.
    #[inline]
    pub(super) fn of(&self, lent: Lent) -> &[MaybeUninit<u8>] {
        &self.0[..lent.len as usize]
    }
}

/// Calls `piece` with the places of pieces of 16 bytes that together cover `len`, which is 16 to 64: from either
/// end, so that they overlap in the middle. In line: a call of `memcpy` or `memcmp` costs as much as four of them,
/// with what has to be kept over it.
#[inline(always)]
fn sixteens(len: usize, mut piece: impl FnMut(usize)) {
    debug_assert!((16..=Short::LEN as usize).contains(&len));
    piece(0);
    piece(len - 16);
    if len > 32 {
        piece(16);
        piece(len - 32);
    }
}

/// Copies a short range in line.
///
/// # Safety
///
/// Both are `len` long, at most 64, and do not overlap.
#[inline(always)]
unsafe fn copy_short(from: *const u8, to: *mut u8, len: usize) {
    type Sixteen = MaybeUninit<[u8; 16]>;
    // SAFETY: the caller's promise; each piece lies inside. An untyped copy: what was uninitialised stays so.
    unsafe {
        if len < 16 {
            return std::ptr::copy_nonoverlapping(from, to, len);
        }
        sixteens(len, |at| {
            let piece = from.add(at).cast::<Sixteen>().read_unaligned();
            to.add(at).cast::<Sixteen>().write_unaligned(piece);
        });
    }
}

/// The same to two places.
///
/// # Safety
///
/// As [`copy_short`], of both.
#[inline(always)]
unsafe fn copy_short_twice(from: *const u8, to: *mut u8, other: *mut u8, len: usize) {
    type Sixteen = MaybeUninit<[u8; 16]>;
    // SAFETY: as in `copy_short`.
    unsafe {
        if len < 16 {
            std::ptr::copy_nonoverlapping(from, to, len);
            return std::ptr::copy_nonoverlapping(from, other, len);
        }
        sixteens(len, |at| {
            let piece = from.add(at).cast::<Sixteen>().read_unaligned();
            to.add(at).cast::<Sixteen>().write_unaligned(piece);
            other.add(at).cast::<Sixteen>().write_unaligned(piece);
        });
    }
}

/// Fills a range with a pattern, a short one in line.
///
/// # Safety
///
/// It may be written.
#[inline(always)]
unsafe fn fill(to: *mut u8, pattern: u8, len: usize) {
    // SAFETY: the caller's promise; each piece lies inside.
    unsafe {
        if !(16..=64).contains(&len) {
            return to.write_bytes(pattern, len);
        }
        sixteens(len, |at| {
            to.add(at).cast::<[u8; 16]>().write_unaligned([pattern; 16]);
        });
    }
}

/// The same as [`copy_short`], of any length.
///
/// # Safety
///
/// Both are `len` long, and do not overlap.
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if len <= 64 {
            copy_short(from, to, len);
        } else {
            std::ptr::copy_nonoverlapping(from, to, len);
        }
    }
}

/// Copies of buffers that are not short, by operation. The memory is kept.
#[derive(Default)]
pub(super) struct Copies(Vec<Vec<MaybeUninit<u8>>>);

impl Copies {
    /// Room for a copy of `len` bytes.
    pub(super) fn room(&mut self, id: u32, len: u32) -> &mut [MaybeUninit<u8>] {
        let (id, len) = (id as usize, len as usize);
        if self.0.len() <= id {
            self.0.resize_with(id + 1, Vec::new);
        }
        let copy = &mut self.0[id];
        if copy.len() < len {
            copy.resize(len, MaybeUninit::uninit());
        }
        &mut copy[..len]
    }

    /// The copy that was made of `len` bytes.
    pub(super) fn of(&self, id: u32, len: u32) -> &[MaybeUninit<u8>] {
        &self.0[id as usize][..len as usize]
    }

    /// The same, to be written over.
    pub(super) fn of_mut(&mut self, id: u32, len: u32) -> &mut [MaybeUninit<u8>] {
        &mut self.0[id as usize][..len as usize]
    }
}

/// A hash of a range: one folded multiplication for 16 bytes, as in wyhash. Whoever wants two runs to look alike
/// may find two contents that do; nobody has to be kept from that.
///
/// # Safety
///
/// It is `len` long and initialised.
#[inline(always)]
unsafe fn fingerprint(seed: u64, from: *const u8, len: usize) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = seed ^ ODD;
    let mut fold = |[low, high]: [u64; 2]| {
        let product = u128::from(low ^ ODD) * u128::from(high ^ hash);
        hash = product as u64 ^ (product >> 64) as u64 ^ low;
    };
    // SAFETY: the caller's promise; each piece lies inside.
    unsafe {
        let piece = |at: usize| from.add(at).cast::<[u64; 2]>().read_unaligned();
        match len {
            0..16 => {
                let mut short = [0u8; 16];
                std::ptr::copy_nonoverlapping(from, short.as_mut_ptr(), len);
                fold(short.as_ptr().cast::<[u64; 2]>().read_unaligned());
            }
            16..=64 => sixteens(len, |at| fold(piece(at))),
            _ => {
                (0..len - 16).step_by(16).for_each(|at| fold(piece(at)));
                fold(piece(len - 16));
            }
        }
    }
    hash
}

/// Whether two short ranges are the same, in line.
///
/// # Safety
///
/// Both are `len` long, at most 64, and initialised.
#[inline(always)]
unsafe fn are_same(a: *const u8, b: *const u8, len: usize) -> bool {
    // SAFETY: the caller's promise; each piece lies inside.
    unsafe {
        if len < 16 {
            return std::slice::from_raw_parts(a, len) == std::slice::from_raw_parts(b, len);
        }
        let mut differs = 0;
        sixteens(len, |at| {
            let read = |from: *const u8| from.add(at).cast::<u128>().read_unaligned();
            differs |= read(a) ^ read(b);
        });
        differs == 0
    }
}

/// Whether a short range holds the pattern throughout, in line.
///
/// # Safety
///
/// It is `len` long, at most 64, and initialised.
#[inline(always)]
unsafe fn is_filled(range: *const u8, pattern: u8, len: usize) -> bool {
    // SAFETY: the caller's promise; each piece lies inside.
    unsafe {
        if len < 16 {
            return std::slice::from_raw_parts(range, len)
                .iter()
                .all(|&byte| byte == pattern);
        }
        let expected = u128::from_ne_bytes([pattern; 16]);
        let mut differs = 0;
        sixteens(len, |at| {
            differs |= range.add(at).cast::<u128>().read_unaligned() ^ expected
        });
        differs == 0
    }
}

#[inline(always)]
fn all_are(bytes: &[u8], pattern: u8) -> bool {
    // In blocks without an early exit, which the compiler turns into vector instructions.
    let blocks = bytes.chunks_exact(64);
    let rest = blocks.remainder();
    for block in blocks {
        if block.iter().fold(0, |all, &byte| all | (byte ^ pattern)) != 0 {
            return false;
        }
    }
    let words = rest.chunks_exact(8);
    let last = words.remainder();
    let pattern_8 = u64::from_ne_bytes([pattern; 8]);
    let differs = words.fold(0, |all, word| {
        all | word.try_into().map_or(0, u64::from_ne_bytes) ^ pattern_8
    });
    differs == 0 && last.iter().all(|&byte| byte == pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poison_is_seen_through_and_taken_away() {
        let mut bytes: Vec<u8> = (0..200).collect();
        let lent = Lent::plain(bytes.as_mut_ptr(), 200);
        let mut saved = Copies::default();
        // SAFETY: `bytes` lives on and is reached only through `lent` here.
        unsafe {
            lent.copy(saved.room(3, 200));
            lent.poison(0, 7);
            assert_eq!(lent.spoiled(0, 7), None);
            lent.write(0, &[1, 2, 3]);
            assert_eq!(lent.spoiled(0, 7), Some(0));
            assert_eq!(lent.spoiled(3, 7), None);
            lent.write(150, &[9]);
            assert_eq!(lent.spoiled(3, 7), Some(150));
            lent.restore(3, saved.of(3, 200));
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
        let mut copies = Copies::default();
        // SAFETY: the pieces live on and are reached only through `lent` here.
        unsafe {
            let lent = Lent::vectored(pieces.as_mut_ptr().cast(), 3);
            assert_eq!(lent.len(), 8);
            lent.copy(copies.room(0, 8));
            assert_eq!(lent.changed(copies.of(0, 8)), None);
            lent.write(4, &[4]);
            assert_eq!(lent.changed(copies.of(0, 8)), Some(4));
            lent.write(1, &[1, 2, 3, 4]);
            assert_eq!(lent.changed(copies.of(0, 8)), Some(1));
            lent.read(1, &mut back);
        }
        assert_eq!((a, b, back), ([0, 1, 2], [3, 4, 0, 0, 0], [1, 2, 3, 4]));
    }

    #[test]
    fn a_copy_sees_every_byte() {
        for len in [1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100] {
            let mut bytes = vec![0u8; len];
            let lent = Lent::plain(bytes.as_mut_ptr(), len as u32);
            let mut copies = Copies::default();
            for at in 0..len {
                // SAFETY: `bytes` lives on and is reached only through `lent` here.
                unsafe {
                    lent.copy(copies.room(2, len as u32));
                    lent.write(at as u32, &[255 - at as u8]);
                    assert_eq!(lent.changed(copies.of(2, len as u32)), Some(at as u32));
                    assert_eq!(lent.changed(&copies.of(2, len as u32)[..at]), None);
                    if Short::fits(lent) {
                        let mut short = Short::EMPTY;
                        short.copy(lent, len as u32);
                        assert!(short.is_same(lent, len as u32));
                        lent.write(at as u32, &[77]);
                        assert!(!short.is_same(lent, len as u32));
                        assert!(short.is_same(lent, at as u32));
                        lent.poison(0, 9);
                        assert!(lent.is_poisoned(0, 9));
                        lent.write(at as u32, &[77]);
                        assert!(!lent.is_poisoned(0, 9));
                        assert!(lent.is_poisoned(at as u32 + 1, 9));
                    }
                }
            }
        }
    }

    #[test]
    fn a_fingerprint_sees_every_byte() {
        for len in [1, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100] {
            let bytes = vec![0u8; len];
            // SAFETY: of the whole slice.
            let print = |bytes: &[u8]| unsafe { fingerprint(5, bytes.as_ptr(), bytes.len()) };
            for at in 0..len {
                let mut other = bytes.clone();
                other[at] = 1;
                assert_ne!(print(&bytes), print(&other), "{len} {at}");
            }
        }
    }
}
