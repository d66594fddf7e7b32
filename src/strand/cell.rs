//! [`StrandCell`]: state that belongs to a strand.

use std::fmt;
use std::panic::Location;

use super::handle::Strand;
use super::latch::Latch;
use crate::op::home::current;
use crate::switch::{self, Point};

/// State that only the handlers of one strand touch: no lock, and checked at each access.
///
/// [`with`](StrandCell::with) lends the value to a closure. It looks whether the running handler is one
/// of the strand's, which is a property of the handler and not of the thread; and whether the value is
/// lent already, further out. There is no guard to be held across an `.await`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let Ok(proactor) = proactor::Proactor::new() else { return Ok(()) };
/// use proactor::{Strand, StrandCell};
/// let strand = Strand::new(&proactor);
/// let names = StrandCell::new(&strand, Vec::new());
/// assert!(names.try_with(|_| ()).is_err(), "this is no handler of the strand");
/// strand.post(move || names.with(|names| names.push("Ada")));
/// proactor.run()?;
/// # Ok(())
/// # }
/// ```
pub struct StrandCell<T> {
    strand: Strand,
    latch: Latch<T, &'static Location<'static>>,
}

/// Why a [`StrandCell`] was refused to the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotOnStrand {
    /// The caller is in no handler of any strand.
    Outside {
        /// Where the cell's strand was made.
        strand: &'static Location<'static>,
    },
    /// The caller is in a handler of another strand.
    OtherStrand {
        /// Where the cell's strand was made.
        strand: &'static Location<'static>,
    },
    /// The value is lent already, further out in the same handler.
    Lent {
        /// The call of `with` that has it.
        at: &'static Location<'static>,
    },
}

impl fmt::Display for NotOnStrand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotOnStrand::Outside { strand } => write!(
                f,
                "a StrandCell was used outside its strand, which was made at {strand}: \
                 post or dispatch to the strand, or start the operation with .on(&strand)"
            ),
            NotOnStrand::OtherStrand { strand } => write!(
                f,
                "a StrandCell was used on another strand than its own, which was made at {strand}: \
                 post to that strand, and have it post the answer back"
            ),
            NotOnStrand::Lent { at } => write!(
                f,
                "a StrandCell was entered again, while it is lent at {at}: \
                 end that closure first, or post instead of dispatching from it"
            ),
        }
    }
}

impl std::error::Error for NotOnStrand {}

impl<T: Send> StrandCell<T> {
    /// The strand's state from now on.
    #[must_use]
    pub fn new(strand: &Strand, value: T) -> StrandCell<T> {
        StrandCell {
            strand: strand.clone(),
            latch: Latch::new(value),
        }
    }

    /// Lends the value to `look`.
    ///
    /// # Panics
    ///
    /// Outside the strand, on another one, or when it is lent already; the message names this call and
    /// the other place. [`try_with`](StrandCell::try_with) says it with an error.
    ///
    /// What it lends does not get out of the closure, where the strand would no longer guard it:
    ///
    /// ```compile_fail
    /// # fn look(cell: &proactor::StrandCell<String>) {
    /// let escaped: &mut String = cell.with(|value| value);
    /// escaped.push('!');
    /// # }
    /// ```
    #[inline]
    #[track_caller]
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        match self.try_with(look) {
            Ok(result) => result,
            Err(why) => refuse(why),
        }
    }

    /// Lends the value to `look`, if the caller may have it.
    ///
    /// # Errors
    ///
    /// Outside the strand, on another one, or when it is lent already.
    #[inline]
    #[track_caller]
    pub fn try_with<R>(&self, look: impl FnOnce(&mut T) -> R) -> Result<R, NotOnStrand> {
        if switch::is_simulated() {
            switch::point(Point::StrandCell);
        }
        if !self.strand.is_inside() {
            return Err(self.not_inside());
        }
        // SAFETY: the running handler is one of the strand's, as was just found.
        unsafe { self.latch.with(Location::caller(), look) }.map_err(|at| NotOnStrand::Lent { at })
    }

    /// The strand that it belongs to.
    #[must_use]
    pub fn strand(&self) -> &Strand {
        &self.strand
    }

    /// The value: who owns the cell needs no strand.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.latch.into_inner()
    }

    #[cold]
    fn not_inside(&self) -> NotOnStrand {
        let strand = self.strand.0.made_at;
        if current().is_some_and(|local| !local.strand_frame.get().is_null()) {
            NotOnStrand::OtherStrand { strand }
        } else {
            NotOnStrand::Outside { strand }
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn refuse(why: NotOnStrand) -> ! {
    panic!("{why} (this call: {})", Location::caller())
}

impl<T> fmt::Debug for StrandCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrandCell")
            .field("strand", &self.strand)
            .finish_non_exhaustive()
    }
}
