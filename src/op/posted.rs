//! A posted handler, in a spare block: a small closure costs no allocation.
//!
//! What `Box<dyn FnOnce() + Send>` is, but for where it stands.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

use super::home::Local;
use super::spare::{self, Block};

/// How many bytes a closure may have and stand in the block itself.
const ROOM: usize = spare::SIZE - size_of::<Head>();

/// What stands first in a block: what the closure behind it is.
#[repr(C, align(16))]
struct Head(&'static Acts);

const _: () = assert!(align_of::<Head>() == size_of::<Head>());

/// What can be done with the closure. Either is done once, and leaves the block empty.
struct Acts {
    run: unsafe fn(NonNull<Block>, &Local),
    drop: unsafe fn(NonNull<Block>),
}

/// A handler that was posted and has not run. Dropped, it is dropped uninvoked.
pub(crate) struct Posted(NonNull<Block>);

// SAFETY: the block is this one's alone, and what stands in it is Send (`new`).
unsafe impl Send for Posted {}

impl Posted {
    /// `local`: the worker whose thread this is, if it is one's.
    #[inline]
    pub(crate) fn new<F: FnOnce() + Send + 'static>(local: Option<&Local>, handler: F) -> Posted {
        let block = local.map_or_else(spare::take, |local| local.spare.take());
        // SAFETY: the block is ours alone, 64-aligned, and has room for a head and for what `Closure` says fits
        // behind it.
        unsafe {
            block.cast::<Head>().write(Head(Closure::<F>::ACTS));
            if Closure::<F>::FITS {
                Closure::<F>::place(block).write(handler);
            } else {
                Closure::<Box<F>>::place(block).write(Box::new(handler));
            }
            Posted(NonNull::new_unchecked(block))
        }
    }

    /// On its worker.
    #[inline]
    pub(crate) fn run(self, local: &Local) {
        let block = ManuallyDrop::new(self).0;
        // SAFETY: `new` has filled the block, and nobody has emptied it: who does takes the Posted.
        unsafe {
            let Head(acts) = block.cast::<Head>().as_ref();
            (acts.run)(block, local);
        }
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        // SAFETY: as in `run`.
        unsafe {
            let Head(acts) = self.0.cast::<Head>().as_ref();
            (acts.drop)(self.0);
        }
    }
}

struct Closure<F>(PhantomData<F>);

impl<F> Closure<F> {
    const FITS: bool = size_of::<F>() <= ROOM && align_of::<F>() <= align_of::<Head>();

    /// Where it stands.
    ///
    /// # Safety
    ///
    /// The block is one.
    #[inline(always)]
    unsafe fn place(block: *mut Block) -> *mut F {
        // SAFETY: the head is smaller than a block.
        unsafe { block.cast::<Head>().add(1).cast() }
    }
}

impl<F: FnOnce() + Send + 'static> Closure<F> {
    const ACTS: &'static Acts = &Acts {
        run: Self::run,
        drop: Self::drop,
    };

    /// Takes it out of its block, which is to be given back.
    ///
    /// # Safety
    ///
    /// `new` has filled the block with an `F`, and nobody has emptied it.
    #[inline(always)]
    unsafe fn take(block: NonNull<Block>) -> F {
        // SAFETY: the caller's promise: it was written by the same rule.
        unsafe {
            if Self::FITS {
                ptr::read(Self::place(block.as_ptr()))
            } else {
                *ptr::read(Closure::<Box<F>>::place(block.as_ptr()))
            }
        }
    }

    unsafe fn run(block: NonNull<Block>, local: &Local) {
        // SAFETY: the caller's promise. The block goes back before the call, which will want one for what it posts.
        let handler = unsafe {
            let handler = Self::take(block);
            local.spare.give_back(block.as_ptr());
            handler
        };
        handler();
    }

    unsafe fn drop(block: NonNull<Block>) {
        // SAFETY: as in `run`.
        let handler = unsafe {
            let handler = Self::take(block);
            spare::give_back(block.as_ptr());
            handler
        };
        drop(handler);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::op::home::Home;

    /// Runs one and drops another, of a closure with so many bytes beside what it counts with.
    fn both<const BYTES: usize>() {
        let home = Home::take();
        // SAFETY: the home was just taken; nobody else knows it.
        let local = unsafe { home.home.local() };
        let (ran, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let handler = || {
            let (ran, alive, bytes) = (ran.clone(), alive.clone(), [7u8; BYTES]);
            move || {
                assert_eq!(bytes, [7; BYTES]);
                drop(alive);
                ran.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (here, elsewhere) = (
            Posted::new(Some(local), handler()),
            Posted::new(None, handler()),
        );
        let dropped = Posted::new(Some(local), handler());
        assert_eq!(Arc::strong_count(&alive), 4);
        here.run(local);
        elsewhere.run(local);
        drop(dropped);
        assert_eq!(
            (ran.load(Ordering::Relaxed), Arc::strong_count(&alive)),
            (2, 1)
        );
        home.home.end_incarnation();
        home.home.give_back();
    }

    #[test]
    fn what_fits_and_what_does_not_is_run_or_dropped_once() {
        both::<0>();
        both::<{ ROOM - 16 }>();
        both::<{ ROOM - 15 }>();
        both::<4096>();
    }

    #[test]
    fn a_closure_of_nothing_and_one_with_a_large_alignment_run() {
        #[repr(align(64))]
        struct Wide([u8; 64]);
        let home = Home::take();
        // SAFETY: the home was just taken; nobody else knows it.
        let local = unsafe { home.home.local() };
        Posted::new(Some(local), || ()).run(local);
        let wide = Wide([3; 64]);
        Posted::new(Some(local), move || {
            let wide = wide;
            assert_eq!((&raw const wide).addr() % 64, 0);
            assert_eq!(wide.0, [3; 64]);
        })
        .run(local);
        home.home.end_incarnation();
        home.home.give_back();
    }
}
