//! The overlapped structures of a lane: a table beside the slots, at addresses that never change.
//!
//! The entry of an operation is found by the number of its slot, so there is nothing to search for and nothing to
//! allocate in the steady state: the table grows, by blocks, to the highest slot that was ever used.
//!
//! # Who touches what
//!
//! The overlapped is the kernel's while the operation is in flight. `desk` is written once, when the
//! block is made. `link`, `bytes` and `error` belong to whoever dequeued the packet, on whatever thread, until the lane
//! has taken the entry out of its [mail](super::desk). All else is the lane's alone.

use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use super::desk::Desk;
use super::port::{Addresses, Handle, Overlapped};
use crate::backend::{Code, Raw, Token};

/// An operation in flight, or room for one. The overlapped comes first: a packet's pointer is the entry's.
#[repr(C)]
pub(super) struct Entry {
    overlapped: UnsafeCell<Overlapped>,
    /// Where AcceptEx leaves what nobody reads.
    pub(super) addresses: UnsafeCell<MaybeUninit<Addresses>>,
    /// Whose mail it goes to.
    pub(super) desk: *const Desk,
    /// The next one in the mail.
    pub(super) link: AtomicPtr<Entry>,
    bytes: AtomicU32,
    error: AtomicU32,
    /// What is in flight here.
    pub(super) token: Cell<Option<Token>>,
    pub(super) code: Cell<Code>,
    pub(super) raw: Cell<Raw>,
    pub(super) handle: Cell<Handle>,
    /// Somebody asked us to end it.
    pub(super) cancelled: Cell<bool>,
    /// Of an accept: the socket that becomes the connection.
    pub(super) fresh: Cell<Option<Handle>>,
}

// SAFETY: see the head of this file for which thread touches what, and when.
unsafe impl Send for Entry {}
// SAFETY: as above.
unsafe impl Sync for Entry {}

impl Entry {
    fn new(desk: *const Desk) -> Entry {
        Entry {
            overlapped: UnsafeCell::new(Overlapped::at(0)),
            addresses: UnsafeCell::new(MaybeUninit::uninit()),
            desk,
            link: AtomicPtr::new(std::ptr::null_mut()),
            bytes: AtomicU32::new(0),
            error: AtomicU32::new(0),
            token: Cell::new(None),
            code: Cell::new(Code::Nop),
            raw: Cell::new(Raw::NONE),
            handle: Cell::new(Handle(0)),
            cancelled: Cell::new(false),
            fresh: Cell::new(None),
        }
    }

    /// The overlapped as calls get it. The pointer is good for all of the entry, since whoever dequeues the packet uses
    /// that: one to the field alone would not be.
    pub(super) fn whole(&self) -> *mut Overlapped {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// Leaves what the packet said, for the lane whose it is.
    pub(super) fn leave(&self, bytes: u32, error: u32) {
        self.bytes.store(bytes, Ordering::Relaxed);
        self.error.store(error, Ordering::Relaxed);
    }

    /// What was [left](Entry::leave): bytes and error.
    pub(super) fn left(&self) -> (u32, u32) {
        (
            self.bytes.load(Ordering::Relaxed),
            self.error.load(Ordering::Relaxed),
        )
    }
}

/// Entries of a block.
const BLOCK: usize = 64;

/// All entries of one lane.
pub(super) struct Entries {
    desk: Arc<Desk>,
    blocks: Vec<Option<Box<[Entry]>>>,
    /// How many are in flight.
    pub(super) busy: usize,
}

impl Entries {
    pub(super) fn new(desk: Arc<Desk>) -> Entries {
        Entries {
            desk,
            blocks: Vec::new(),
            busy: 0,
        }
    }

    /// The entry of a token's slot.
    #[inline]
    pub(super) fn of(&mut self, token: Token) -> &Entry {
        let index = token.index() as usize;
        if self.blocks.get(index / BLOCK).is_none_or(Option::is_none) {
            self.grow(index / BLOCK);
        }
        match &self.blocks[index / BLOCK] {
            Some(block) => &block[index % BLOCK],
            None => unreachable!("the block was just made"),
        }
    }

    /// The entry in which that activation is in flight.
    pub(super) fn find(&self, token: Token) -> Option<&Entry> {
        let index = token.index() as usize;
        let entry = &self.blocks.get(index / BLOCK)?.as_ref()?[index % BLOCK];
        (entry.token.get() == Some(token)).then_some(entry)
    }

    #[cold]
    fn grow(&mut self, block: usize) {
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, || None);
        }
        let desk = Arc::as_ptr(&self.desk);
        self.blocks[block] = Some((0..BLOCK).map(|_| Entry::new(desk)).collect());
    }
}

impl Drop for Entries {
    fn drop(&mut self) {
        if self.busy > 0 {
            // The kernel may still write to them, and another lane may put them into the mail (I4). (Desks are kept.)
            std::mem::forget(std::mem::take(&mut self.blocks));
        }
    }
}
