//! What a check watches in handlers and strands: it is told of them here, by opaque numbers.
//!
//! On a real kernel, and in a simulation without a check, every function here is one load and one branch.
//! A check installs an [`Observer`] for its thread while an execution runs.

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;

use crate::backend::Raw;
use crate::choice::EventId;

/// A strand: its number, and the call that made it.
#[derive(Clone, Copy)]
pub(crate) struct Watched {
    pub(crate) strand: u64,
    pub(crate) made_at: &'static Location<'static>,
}

/// Who watches.
pub(crate) trait Observer {
    /// A strand was made.
    fn made(&self, strand: Watched);

    /// The running handler asks that an operation ends, which may be over.
    fn cancels(&self);

    /// The future that is blocked on was polled.
    fn polled_main(&self);

    /// A handler was put behind those of the strand. `handler` is its own until it begins or is dropped.
    fn posted(&self, strand: Watched, handler: usize);

    /// A handler of the strand begins: one that was posted, or, with 0, one that found the strand idle.
    fn begins(&self, strand: Watched, handler: usize);

    /// No handler of the strand runs any more.
    fn ends(&self, strand: Watched);

    /// A handler that was posted is dropped uninvoked.
    fn dropped(&self, strand: Watched, handler: usize);

    /// The strand that the running handler of this simulated worker is on, in words.
    fn strand_of(&self, worker: usize) -> Option<String>;

    /// A handler has ended, or the kernel has made a step: no handler runs on this worker.
    fn between_handlers(&self);

    /// The running handler is about to block its worker.
    fn blocks(&self, what: &'static str, location: &'static Location<'static>);

    /// At the end of a proactor a task waits for what nobody will do.
    fn parked(&self, event: EventId, location: Option<&'static Location<'static>>);

    /// At the end of a proactor, when all that it kept has been dropped, somebody still holds this.
    fn still_held(&self, raw: Raw);
}

thread_local! {
    static OBSERVED: Cell<bool> = const { Cell::new(false) };
    static BETWEEN: Cell<bool> = const { Cell::new(false) };
    static OBSERVER: RefCell<Option<Rc<dyn Observer>>> = const { RefCell::new(None) };
}

/// Installs an observer for this thread, or takes it away; the one before.
#[cfg(feature = "check")]
pub(crate) fn install(observer: Option<Rc<dyn Observer>>) -> Option<Rc<dyn Observer>> {
    OBSERVED.set(observer.is_some());
    OBSERVER.replace(observer)
}

/// Whether the observer has something to do between handlers: invariants of the model to look at, or to tell
/// what a handler touched.
#[cfg(feature = "check")]
pub(crate) fn has_between(has: bool) {
    BETWEEN.set(has);
}

/// Tells the observer that no handler runs on this worker, if that is of interest.
#[inline]
pub(crate) fn between_handlers() {
    if BETWEEN.get() {
        told(|it| it.between_handlers());
    }
}

/// Whether somebody watches this thread.
#[inline]
pub(crate) fn is_on() -> bool {
    OBSERVED.get()
}

/// Whether it is of interest when no handler runs.
#[inline]
pub(crate) fn looks_between_handlers() -> bool {
    BETWEEN.get()
}

/// Tells the observer, if there is one.
#[inline]
pub(crate) fn tell(act: impl FnOnce(&dyn Observer)) {
    if OBSERVED.get() {
        told(act);
    }
}

#[cold]
#[inline(never)]
fn told(act: impl FnOnce(&dyn Observer)) {
    // Out of the cell: what it runs may come here again.
    let observer = OBSERVER.with_borrow(Clone::clone);
    if let Some(observer) = observer {
        act(&*observer);
    }
}

/// The same, for who wants an answer.
#[cfg(feature = "check")]
pub(crate) fn ask<T>(act: impl FnOnce(&dyn Observer) -> Option<T>) -> Option<T> {
    OBSERVER.with_borrow(Clone::clone).and_then(|it| act(&*it))
}
