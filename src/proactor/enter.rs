//! Going inside: which thread runs a worker, and that it runs one at a time.

use std::io;

use std::panic::Location;

use super::teardown;
use crate::observe;
use crate::op::home::{Entered, HomeRef, Local, Owner, lock};
use crate::worker::RunError;

/// Inside a worker for as long as this lives.
pub(super) struct Inside {
    _entered: Entered,
    pub(super) local: &'static Local,
}

/// Claims the worker for this thread, unless it belongs to another, and goes inside.
#[inline]
#[track_caller]
pub(super) fn enter(home: HomeRef) -> Result<Inside, RunError> {
    not_nested()?;
    if let Some(local) = home.beside() {
        return Ok(Inside {
            _entered: Entered::new(local),
            local,
        });
    }
    enter_as_owner(home)
}

/// The same where it is not known yet whose the worker is.
#[inline(never)]
fn enter_as_owner(home: HomeRef) -> Result<Inside, RunError> {
    let mut owner = lock(&home.home.owner);
    if !home.is_alive() {
        // The home may be another proactor's by now.
        return Err(RunError::Backend(io::Error::new(
            io::ErrorKind::NotConnected,
            "the thread that this worker belonged to has ended, and what was in flight with it: \
             run a proactor on a thread that outlives it",
        )));
    }
    match &*owner {
        Some(owner) if owner.is_current() => {}
        Some(owner) => {
            return Err(RunError::WrongThread {
                owner: owner.name.to_string(),
                caller: Owner::current().name.to_string(),
            });
        }
        None => claim(home, &mut owner),
    }
    // SAFETY: this thread owns the home, as of now or before.
    let local = unsafe { home.home.local() };
    Ok(Inside {
        _entered: Entered::new(local),
        local,
    })
}

/// The worker, whose `owner` is locked, belongs to this thread from now on.
pub(super) fn claim(home: HomeRef, owner: &mut Option<Owner>) {
    teardown::remember(home);
    *owner = Some(Owner::current());
}

/// No proactor runs on this thread; those that others have dropped and this thread owns are gone.
#[track_caller]
pub(super) fn not_nested() -> Result<(), RunError> {
    if Entered::is_inside() {
        let at = Location::caller();
        observe::tell(|it| it.blocks("`run`, or one of its kin,", at));
        return Err(RunError::Nested);
    }
    teardown::of_this_thread();
    Ok(())
}
