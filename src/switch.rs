//! Switch points: the closed list of places at which a simulated worker may give way to another.
//!
//! On a real kernel workers are threads, and every function here is one load and one branch. In a
//! simulation several workers share one thread, each on a coroutine of its own (DESIGN §6): whoever
//! runs them is the thread's [`Switcher`] meanwhile, and is asked at each of these points whether
//! somebody else goes on first. Nothing of ours may be borrowed when one is called.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;

use crate::choice::EventId;
use crate::scoped::{self, Scoped};

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

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Point::Submit => "the start of an operation",
            Point::Cancel => "a cancel",
            Point::Post => "a post",
            Point::Dispatch => "a dispatch",
            Point::StrandCell => "a look into its StrandCell",
            Point::Sync(what) => what,
            Point::Clock => "a look at the clock",
        })
    }
}

/// Who runs the simulated workers of a thread.
pub(crate) trait Switcher {
    /// The running handler is at `point`: others may go on first.
    fn point(&self, point: &Point, location: &'static Location<'static>);

    /// The running handler can't go on until `ready`: others go on. False: nobody ever can, or the
    /// execution is being drained; the caller is to give up with an error, or to panic with one.
    fn block(
        &self,
        point: Point,
        location: &'static Location<'static>,
        ready: &mut dyn FnMut() -> bool,
    ) -> bool;

    /// Everybody but the running handler comes to the end of what it has begun. False: that can't be
    /// waited for, since this is an unwinding.
    fn settle(&self) -> bool;

    /// All that the running handler has done so far happens before whoever acquires `id`.
    fn released(&self, id: u64);

    /// All that was done before `id` was released happens before what the running handler does next.
    fn acquired(&self, id: u64);

    /// What was done before `id` was released happens before the handler that `event` will run.
    fn passes(&self, id: u64, event: EventId);

    /// The running handler accesses the datum `id`. If nothing orders this and another access, and
    /// one of them writes, that is told.
    fn accessed(
        &self,
        id: u64,
        writes: bool,
        what: &'static str,
        location: &'static Location<'static>,
    );

    /// The datum `id` is gone.
    fn forget(&self, id: u64);

    /// What the running handler waits for is held by that worker, since it got it there.
    fn held_by(&self, worker: Option<usize>, since: Option<&'static Location<'static>>);

    /// The number of the worker whose handler runs, if one does.
    fn worker(&self) -> Option<usize>;
}

thread_local! {
    static SWITCHER: Scoped<dyn Switcher> = const { Scoped::new() };
    /// Whether accesses that nothing orders are to be told.
    static RACES: Cell<bool> = const { Cell::new(false) };
    /// Whether there are accesses to order: before the first one nobody need know of a release.
    static TRACKED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a simulation.
#[inline]
pub(crate) fn is_simulated() -> bool {
    scoped::is_some(&SWITCHER)
}

/// While `body` runs, this thread is inside the simulation of `switcher`. `races`: it wants to hear of
/// accesses.
#[cfg(feature = "check")]
pub(crate) fn within<R>(
    switcher: &(dyn Switcher + 'static),
    races: bool,
    body: impl FnOnce() -> R,
) -> R {
    /// What the simulation around this one had.
    struct Before(bool, bool);
    impl Drop for Before {
        fn drop(&mut self) {
            RACES.set(self.0);
            TRACKED.set(self.1);
        }
    }
    let _before = Before(RACES.replace(races), TRACKED.replace(false));
    scoped::within(&SWITCHER, switcher, body)
}

/// A place at which others may go on first.
#[inline]
#[track_caller]
pub(crate) fn point(point: Point) {
    if is_simulated() {
        ask(&point, Location::caller());
    }
}

/// From now on releases are told to the switcher, or no longer.
pub(crate) fn track(tracked: bool) {
    TRACKED.set(tracked);
}

/// Whether the switcher wants to know of causes and releases.
#[inline]
pub(crate) fn is_tracked() -> bool {
    TRACKED.get()
}

/// Tells the switcher something at which nobody gives way.
#[cold]
fn told<R>(act: impl FnOnce(&(dyn Switcher + 'static)) -> R) -> Option<R> {
    scoped::with(&SWITCHER, act)
}

/// Everybody else who is suspended comes to an end first: a teardown inside a handler. False: some
/// can't be waited for.
pub(crate) fn settle() -> bool {
    told(|switcher| switcher.settle()).unwrap_or(true)
}

/// What the running handler has done so far happens before whoever [acquires](acquired) `id`: the
/// unlock of a lock, a post to a strand. `id` is the address of what orders them, or an event's number.
#[inline]
pub(crate) fn released(id: u64) {
    if TRACKED.get() {
        told(|switcher| switcher.released(id));
    }
}

/// What happened before the [releases](released) of `id` happens before what the running handler does
/// next: the lock of a lock, the begin of a strand's batch.
#[inline]
pub(crate) fn acquired(id: u64) {
    if TRACKED.get() {
        told(|switcher| switcher.acquired(id));
    }
}

/// The running handler has made `event`: it happens before the handler that `event` will run.
#[inline]
pub(crate) fn causes(event: EventId) {
    released(event.0);
}

/// What happened before the [releases](released) of `id` happens before the handler that `event` will
/// run: its operation got what they gave.
#[inline]
pub(crate) fn passes(id: u64, event: EventId) {
    if TRACKED.get() {
        told(|switcher| switcher.passes(id, event));
    }
}

/// The running handler accesses a datum by a call at `location`. `id` gives its number.
#[inline]
pub(crate) fn accessed_at(
    id: impl FnOnce() -> u64,
    writes: bool,
    what: &'static str,
    location: &'static Location<'static>,
) {
    if RACES.get() {
        let id = id();
        told(|switcher| switcher.accessed(id, writes, what, location));
    }
}

/// The datum `id` is gone.
#[inline]
pub(crate) fn forget(id: u64) {
    if TRACKED.get() {
        told(|switcher| switcher.forget(id));
    }
}

/// What the running handler [waits](block_until) for is held by that worker, which got it at `since`.
#[cold]
pub(crate) fn held_by(worker: Option<usize>, since: Option<&'static Location<'static>>) {
    told(|switcher| switcher.held_by(worker, since));
}

/// As [`point`], in the name of a place elsewhere: where a polled future was made, or a dropped guard.
#[inline]
pub(crate) fn point_at(point: Point, location: &'static Location<'static>) {
    if is_simulated() {
        ask(&point, location);
    }
}

/// The number of the simulated worker whose handler runs here, from 0. None: there is but one, or
/// this is outside of its handlers.
#[inline]
pub(crate) fn worker() -> Option<usize> {
    scoped::with(&SWITCHER, |switcher| switcher.worker()).flatten()
}

// Nothing is to be done after the switcher's call, so that this can be a jump to it: whoever comes back to
// a stack mispredicts each return that is left there.
#[cold]
fn ask(point: &Point, location: &'static Location<'static>) {
    scoped::with(&SWITCHER, |switcher| switcher.point(point, location));
}

/// Lets others go on until `ready`. False: it never will be; see [`Switcher::block`]. Only inside a
/// simulation.
#[cold]
#[track_caller]
pub(crate) fn block_until(point: Point, ready: impl FnMut() -> bool) -> bool {
    block_until_at(point, Location::caller(), ready)
}

/// The same, for a call that was made at `location`.
#[cold]
pub(crate) fn block_until_at(
    point: Point,
    location: &'static Location<'static>,
    mut ready: impl FnMut() -> bool,
) -> bool {
    let blocked = scoped::with(&SWITCHER, |switcher| {
        switcher.block(point, location, &mut ready)
    });
    blocked.unwrap_or_else(ready)
}
