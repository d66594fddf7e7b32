//! Where a debugger stops: a function for a breakpoint, which is called at the step that somebody asked for.

use std::cell::Cell;

use crate::choice::EventId;

/// Where to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Nowhere,
    /// Where the execution fails: in the panic, or at the call in which an oracle speaks.
    AtFailure,
    /// When the completion of this operation is handed out, or this posted handler begins, for the first time.
    AtStep(EventId),
}

thread_local! {
    static WANTED: Cell<Stop> = const { Cell::new(Stop::Nowhere) };
}

/// From now on, on this thread, once.
pub(crate) fn stop(wanted: Stop) {
    WANTED.set(wanted);
}

/// The execution fails here.
#[cold]
pub(crate) fn fails() {
    if WANTED.try_with(Cell::get) == Ok(Stop::AtFailure) {
        stop(Stop::Nowhere);
        eprintln!("proactor: PROACTOR_BREAK: it fails here");
        proactor_break();
    }
}

/// What is caused by this event runs next. Asked of executions that are traced only.
#[cold]
pub(super) fn comes(event: EventId) {
    if WANTED.get() == Stop::AtStep(event) {
        stop(Stop::Nowhere);
        eprintln!("proactor: PROACTOR_BREAK: the step is here, its handler runs next");
        proactor_break();
    }
}

/// For a breakpoint.
#[inline(never)]
fn proactor_break() {
    // So that it is neither empty, nor one with others that do nothing.
    std::hint::black_box("proactor_break");
}
