//! Spare blocks of memory: what is posted stands in one, and nothing is allocated in the steady state.
//!
//! Each worker has a pool of its own, and so has each thread that runs none. A thread that only posts
//! gets its blocks back from the workers that emptied them by way of a depot, in whole chains: its lock
//! is taken once in [`KEPT`] blocks.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::home::lock;

/// How large a block is: two cache lines, so that what is small is in one.
pub(crate) const SIZE: usize = 128;

/// How many spare blocks a pool keeps.
const KEPT: usize = 256;

/// How many chains of so many blocks wait for a pool that has none: 2 MiB of them.
const CHAINS: usize = 64;

/// Memory with nothing in it, or what its holder has put there. While it is spare its first word is the
/// next one's address.
#[repr(C, align(64))]
pub(crate) struct Block([MaybeUninit<u8>; SIZE]);

/// Spare blocks.
pub(crate) struct Pool {
    first: Cell<*mut Block>,
    count: Cell<usize>,
}

static DEPOT: Mutex<Vec<Chain>> = Mutex::new(Vec::new());

/// How many chains are in the depot: so that nobody locks it for nothing.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// [`KEPT`] spare blocks.
struct Chain(*mut Block);

// SAFETY: spare blocks are memory with nothing in it, and the chain is its holder's alone.
unsafe impl Send for Chain {}

thread_local! {
    static POOL: Pool = const { Pool::new() };
}

/// A block for a thread that runs no worker.
pub(crate) fn take() -> *mut Block {
    // A thread that is ending has no pool any more.
    POOL.try_with(Pool::take).unwrap_or_else(|_| allocate())
}

/// Gives a block back on a thread that runs no worker.
///
/// # Safety
///
/// The block was taken, from whatever pool, and nothing is in it any more.
pub(crate) unsafe fn give_back(block: *mut Block) {
    // A thread that is ending has no pool any more.
    let kept = POOL.try_with(|pool| {
        // SAFETY: the caller's promise.
        unsafe { pool.give_back(block) };
    });
    if kept.is_err() {
        // SAFETY: as above.
        unsafe { free(block) };
    }
}

#[cold]
fn allocate() -> *mut Block {
    Box::into_raw(Box::<Block>::new_uninit()).cast()
}

/// # Safety
///
/// As [`give_back`].
#[cold]
unsafe fn free(block: *mut Block) {
    // SAFETY: all blocks were made as this box.
    drop(unsafe { Box::from_raw(block.cast::<MaybeUninit<Block>>()) });
}

impl Pool {
    pub(crate) const fn new() -> Pool {
        Pool {
            first: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
        }
    }

    /// The caller's alone until it is given back, to whatever pool.
    #[inline]
    pub(crate) fn take(&self) -> *mut Block {
        let first = self.first.get();
        if first.is_null() {
            return self.fetch();
        }
        // SAFETY: the first word of a spare block is the next one.
        self.first.set(unsafe { first.cast::<*mut Block>().read() });
        self.count.set(self.count.get() - 1);
        first
    }

    /// # Safety
    ///
    /// The block was taken, from whatever pool, and nothing is in it any more.
    #[inline]
    pub(crate) unsafe fn give_back(&self, block: *mut Block) {
        if self.count.get() == KEPT && !self.leave() {
            // SAFETY: the caller's promise.
            return unsafe { free(block) };
        }
        // SAFETY: nobody else uses the memory.
        unsafe { block.cast::<*mut Block>().write(self.first.get()) };
        self.first.set(block);
        self.count.set(self.count.get() + 1);
    }

    /// A block from the depot, with its chain, or a new one.
    #[cold]
    #[inline(never)]
    fn fetch(&self) -> *mut Block {
        if WAITING.load(Ordering::Relaxed) > 0 {
            let mut depot = lock(&DEPOT);
            if let Some(Chain(first)) = depot.pop() {
                WAITING.store(depot.len(), Ordering::Relaxed);
                drop(depot);
                self.first.set(first);
                self.count.set(KEPT);
                return self.take();
            }
        }
        allocate()
    }

    /// Leaves all that it has, which is a chain, in the depot. False: that is full.
    #[cold]
    #[inline(never)]
    fn leave(&self) -> bool {
        let mut depot = lock(&DEPOT);
        let has_room = depot.len() < CHAINS;
        if has_room {
            depot.push(Chain(self.first.replace(ptr::null_mut())));
            WAITING.store(depot.len(), Ordering::Relaxed);
            self.count.set(0);
        }
        has_room
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut block = self.first.get();
        while !block.is_null() {
            // SAFETY: the first word of a spare block is the next one; it is the pool's alone.
            unsafe {
                let next = block.cast::<*mut Block>().read();
                free(block);
                block = next;
            }
        }
    }
}
