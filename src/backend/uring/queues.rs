//! The two queues of a kernel's ring, mapped: entries are written and read where the kernel has them.
//!
//! The io-uring crate makes the ring and maps it as well, but copies each entry on its way in and out;
//! that costs more than the queues themselves. So they are mapped a second time here, and this file
//! alone touches them. What stands where is as io_uring_setup(2) and io_uring(7) have it.
//!
//! One rule holds on either side: who owns an index stores it with Release once the entries up to it
//! are written, or read; the other side loads it with Acquire before it looks at them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::refused::Refused;
use super::ring::{Cqe, Sqe};

/// What the kernel said at setup: `struct io_uring_params`.
#[repr(C)]
pub(super) struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread: [u32; 2],
    features: u32,
    other: [u32; 4],
    sq: SqOffsets,
    cq: CqOffsets,
}

/// Where the parts of the submission queue stand in the mapping: `struct io_sqring_offsets`.
#[repr(C)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    other: [u32; 3],
}

/// The same of the completion queue: `struct io_cqring_offsets`.
#[repr(C)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    other: [u32; 3],
}

const _: () = assert!(size_of::<Params>() == 120);

const FEAT_SINGLE_MMAP: u32 = 1;
const SETUP_NO_SQARRAY: u32 = 1 << 16;
const OFF_RINGS: libc::off_t = 0;
const OFF_ENTRIES: libc::off_t = 0x1000_0000;
const FLAG_OVERFLOW: u32 = 1 << 1;
const FLAG_TASKRUN: u32 = 1 << 2;

/// A piece of the ring's memory. It stays until it is dropped, whatever becomes of the descriptor.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(ring: BorrowedFd<'_>, offset: libc::off_t, len: usize) -> io::Result<Mapping> {
        // SAFETY: mmap(2) chooses an address where nothing of ours is.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                ring.as_raw_fd(),
                offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, len })
    }

    /// The address of what stands at `offset`.
    fn at<T>(&self, offset: u32) -> NonNull<T> {
        debug_assert!(offset as usize + size_of::<T>() <= self.len);
        // SAFETY: the kernel's offsets lie within what it had us map.
        unsafe { self.start.byte_add(offset as usize) }.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this very piece was mapped, and who has pointers into it goes with it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// Both queues, from the side of the one thread that uses them.
pub(super) struct Queues {
    // Submissions. The tail is ours: this is how far entries are written, whatever the kernel was told.
    tail: u32,
    /// How far it may go: a queue's length before where the kernel was when we last looked.
    limit: u32,
    mask: u32,
    slots: NonNull<Entry>,
    shared_tail: NonNull<AtomicU32>,
    shared_head: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    // Completions. The head is ours.
    cq_head: u32,
    cq_mask: u32,
    cqes: NonNull<RawCqe>,
    shared_cq_tail: NonNull<AtomicU32>,
    shared_cq_head: NonNull<AtomicU32>,
    // What the pointers point into.
    _rings: Mapping,
    _entries: Mapping,
}

/// A submission entry's place: what we use of it, and what is for ever zero.
#[repr(C)]
struct Entry {
    sqe: Sqe,
    zeros: [u64; 3],
}

/// `struct io_uring_cqe`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawCqe {
    user_data: u64,
    result: i32,
    flags: u32,
}

const _: () = assert!(size_of::<Entry>() == 64 && size_of::<RawCqe>() == 16);

impl Queues {
    /// Maps the queues of a ring.
    ///
    /// # Safety
    ///
    /// `params` is what the kernel wrote when it made `ring`, whose entries have the plain sizes, and
    /// nobody else uses its queues.
    pub(super) unsafe fn map(ring: BorrowedFd<'_>, params: &Params) -> io::Result<Queues> {
        if params.features & FEAT_SINGLE_MMAP == 0 {
            let missing = Refused::Missing("IORING_FEAT_SINGLE_MMAP (5.4)");
            return Err(missing.into());
        }
        let (entries, completions) = (params.sq_entries, params.cq_entries);
        let with_array = params.flags & SETUP_NO_SQARRAY == 0;
        let array = params.sq.array as usize + entries as usize * size_of::<u32>();
        let cqes = params.cq.cqes as usize + completions as usize * size_of::<RawCqe>();
        let len = if with_array { cqes.max(array) } else { cqes };
        let rings = Mapping::new(ring, OFF_RINGS, len)?;
        let places = Mapping::new(ring, OFF_ENTRIES, entries as usize * size_of::<Entry>())?;
        if with_array {
            // Entry i stands at place i, for ever.
            let array: NonNull<u32> = rings.at(params.sq.array);
            for i in 0..entries {
                // SAFETY: the array has that many places, and the kernel reads none of them yet.
                unsafe { array.add(i as usize).write(i) };
            }
        }
        let shared_tail: NonNull<AtomicU32> = rings.at(params.sq.tail);
        let shared_cq_head: NonNull<AtomicU32> = rings.at(params.cq.head);
        // SAFETY: both are indices of ours in the mapping.
        let (tail, cq_head) = unsafe {
            (
                shared_tail.as_ref().load(Ordering::Relaxed),
                shared_cq_head.as_ref().load(Ordering::Relaxed),
            )
        };
        Ok(Queues {
            tail,
            limit: tail.wrapping_add(entries),
            mask: entries - 1,
            slots: places.at(0),
            shared_tail,
            shared_head: rings.at(params.sq.head),
            flags: rings.at(params.sq.flags),
            cq_head,
            cq_mask: completions - 1,
            cqes: rings.at(params.cq.cqes),
            shared_cq_tail: rings.at(params.cq.tail),
            shared_cq_head,
            _rings: rings,
            _entries: places,
        })
    }

    /// How many entries the submission queue holds.
    pub(super) fn capacity(&self) -> u32 {
        self.mask + 1
    }

    /// How many entries the kernel has not taken yet, as far as we know.
    #[inline]
    pub(super) fn unsubmitted(&self) -> u32 {
        // As many as are not room.
        self.mask + 1 - self.limit.wrapping_sub(self.tail)
    }

    /// Writes an entry behind the others. False if there is no room. The kernel sees it after
    /// [`publish`](Queues::publish).
    #[inline]
    pub(super) fn push_with(&mut self, fill: impl FnOnce(&mut Sqe)) -> bool {
        if self.tail == self.limit {
            return false;
        }
        let place = self.tail & self.mask;
        // SAFETY: a power of two many places are mapped, of zeros or former entries. The kernel has
        // taken what stood here, and reads it again only after the tail has passed it.
        fill(unsafe { self.slots.add(place as usize).cast().as_mut() });
        self.tail = self.tail.wrapping_add(1);
        true
    }

    /// Shows the kernel what was pushed.
    #[inline]
    pub(super) fn publish(&self) {
        // SAFETY: the index is mapped. It is ours to write.
        unsafe { self.shared_tail.as_ref() }.store(self.tail, Ordering::Release);
    }

    /// Looks how far the kernel has taken entries.
    #[inline]
    pub(super) fn look(&mut self) {
        // SAFETY: the index is mapped.
        let head = unsafe { self.shared_head.as_ref() }.load(Ordering::Acquire);
        self.limit = head.wrapping_add(self.mask + 1);
    }

    /// Whether completions are there.
    #[inline]
    pub(super) fn ready(&self) -> bool {
        self.cq_tail() != self.cq_head
    }

    #[inline]
    fn cq_tail(&self) -> u32 {
        // SAFETY: the index is mapped.
        unsafe { self.shared_cq_tail.as_ref() }.load(Ordering::Acquire)
    }

    /// How many completions are there.
    #[inline]
    pub(super) fn completions(&self) -> u32 {
        self.cq_tail().wrapping_sub(self.cq_head)
    }

    /// Takes out the first `count` completions; so many are there.
    #[inline]
    pub(super) fn reap(&mut self, count: u32, mut each: impl FnMut(Cqe)) {
        debug_assert!(count <= self.completions());
        let mut head = self.cq_head;
        let end = head.wrapping_add(count);
        while head != end {
            // SAFETY: a power of two many are mapped; what is before the tail is written, and stays
            // until we pass it.
            let cqe = unsafe { self.cqes.add((head & self.cq_mask) as usize).read() };
            head = head.wrapping_add(1);
            each(Cqe {
                user_data: cqe.user_data,
                result: cqe.result,
            });
        }
        self.cq_head = head;
        // SAFETY: the index is mapped. It is ours to write.
        unsafe { self.shared_cq_head.as_ref() }.store(head, Ordering::Release);
    }

    /// Whether the kernel keeps completions that found the queue full.
    #[inline]
    pub(super) fn overflowed(&self) -> bool {
        self.flags() & FLAG_OVERFLOW != 0
    }

    /// Whether the kernel has something to do in an enter: of a ring that was asked to say so.
    #[inline]
    pub(super) fn has_news(&self) -> bool {
        self.flags() & (FLAG_OVERFLOW | FLAG_TASKRUN) != 0
    }

    #[inline]
    fn flags(&self) -> u32 {
        // SAFETY: the word is mapped.
        unsafe { self.flags.as_ref() }.load(Ordering::Relaxed)
    }
}
