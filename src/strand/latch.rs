//! A value and its latch: who is inside a strand may have it, but one at a time.
//!
//! The exclusion is the strand's. What is left to check is that the caller is inside it, and that it
//! has not got the value already: it may come here again from within, as by an inline dispatch.

use super::ord;
use super::sync::UnsafeCell;

/// See the head of this file. `P` names the place where the value was borrowed.
pub(crate) struct Latch<T, P> {
    borrowed_at: UnsafeCell<Option<P>>,
    value: UnsafeCell<T>,
}

// SAFETY: both cells are touched only by callers of `with`, whose contract makes that one thread at a
// time; T goes from thread to thread, so it has to be Send.
unsafe impl<T: Send, P: Send> Sync for Latch<T, P> {}

impl<T, P: Copy> Latch<T, P> {
    pub(crate) fn new(value: T) -> Latch<T, P> {
        Latch {
            borrowed_at: UnsafeCell::new(None),
            value: UnsafeCell::new(value),
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// Lends the value to `look`, unless it is lent already: then the place where that was.
    ///
    /// # Safety
    ///
    /// The caller is inside the strand that the value belongs to.
    #[inline]
    pub(crate) unsafe fn with<R>(&self, place: P, look: impl FnOnce(&mut T) -> R) -> Result<R, P> {
        // SAFETY: inside the strand: no other thread is here, and the reference does not leave.
        let borrowed_at = self.borrowed_at.with(|at| unsafe { *at });
        if let Some(at) = borrowed_at
            && ord::REFUSES_REENTRY
        {
            return Err(at);
        }
        let _lent = Lent::new(&self.borrowed_at, place);
        // SAFETY: inside the strand, and nobody in it has the value: it was not lent, and is now.
        Ok(self.value.with_mut(|value| look(unsafe { &mut *value })))
    }
}

/// While this lives the value is lent; also a panic gives it back.
struct Lent<'a, P>(&'a UnsafeCell<Option<P>>);

impl<'a, P> Lent<'a, P> {
    #[inline]
    fn new(at: &'a UnsafeCell<Option<P>>, place: P) -> Lent<'a, P> {
        // SAFETY: as in `Latch::with`.
        at.with_mut(|at| unsafe { *at = Some(place) });
        Lent(at)
    }
}

impl<P> Drop for Lent<'_, P> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `Latch::with`.
        self.0.with_mut(|at| unsafe { *at = None });
    }
}
