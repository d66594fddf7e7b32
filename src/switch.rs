//! Switch points: the closed list of places at which a simulated worker may give way to another.
//!
//! On a real kernel workers are threads, and every function here is one load and one branch. In a
//! simulation several workers share one thread, each on a coroutine of its own (DESIGN §6): whoever
//! runs them installs a [`Switcher`] for the thread, and is asked at each of these points whether
//! somebody else goes on first. Nothing of ours may be borrowed when one is called.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

/// What is about to be done where a worker may give way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub(crate) enum Point {
    /// An operation is started.
    Submit,
    /// A cancel is asked for.
    Cancel,
    /// A handler is posted, to a worker or a strand.
    Post,
    /// A handler is dispatched to a strand.
    Dispatch,
    /// The state of a strand is looked at.
    StrandCell,
    /// A lock, channel or atomic of `sync` is used. What it is called.
    Sync(&'static str),
    /// The clock is read.
    Clock,
}

/// Who runs the simulated workers of a thread.
pub(crate) trait Switcher {
    /// The running handler is at `point`: others may go on first.
    fn point(&self, point: Point, location: &'static Location<'static>);

    /// The running handler can't go on until `ready`: others go on. False: nobody ever can, or the
    /// execution is being drained; the caller is to give up with an error, or to panic with one.
    fn block(
        &self,
        point: Point,
        location: &'static Location<'static>,
        ready: &mut dyn FnMut() -> bool,
    ) -> bool;
}

thread_local! {
    /// Whether a switcher is installed: what the fast path looks at.
    static INSTALLED: Cell<bool> = const { Cell::new(false) };
    static SWITCHER: RefCell<Option<Rc<dyn Switcher>>> = const { RefCell::new(None) };
}

/// Whether this thread is inside a simulation.
#[inline]
pub(crate) fn is_simulated() -> bool {
    INSTALLED.get()
}

/// Installs a switcher for this thread, or takes it away; the one before.
pub(crate) fn install(switcher: Option<Rc<dyn Switcher>>) -> Option<Rc<dyn Switcher>> {
    INSTALLED.set(switcher.is_some());
    SWITCHER.replace(switcher)
}

/// A place at which others may go on first.
#[inline]
#[track_caller]
pub(crate) fn point(point: Point) {
    if INSTALLED.get() {
        ask(point, Location::caller());
    }
}

/// The same, in the name of a place elsewhere: where a polled future was made, or a dropped guard.
#[inline]
pub(crate) fn point_at(point: Point, location: &'static Location<'static>) {
    if INSTALLED.get() {
        ask(point, location);
    }
}

#[cold]
fn ask(point: Point, location: &'static Location<'static>) {
    // Out of the cell: others that go on meanwhile come here as well.
    let switcher = SWITCHER.with_borrow(Clone::clone);
    if let Some(switcher) = switcher {
        switcher.point(point, location);
    }
}

/// Lets others go on until `ready`. False: it never will be; see [`Switcher::block`]. Only inside a
/// simulation.
#[cold]
#[track_caller]
pub(crate) fn block_until(point: Point, mut ready: impl FnMut() -> bool) -> bool {
    let switcher = SWITCHER.with_borrow(Clone::clone);
    match switcher {
        Some(switcher) => switcher.block(point, Location::caller(), &mut ready),
        None => ready(),
    }
}
