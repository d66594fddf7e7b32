//! Panics of a model: caught, kept with their place in the source, and silent.
//!
//! A search may meet thousands of panics on its way to the shortest failure. The hook that is put
//! before the program's own, once, swallows those of threads that are inside an execution and
//! passes on all others.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

use super::execution::Place;
use crate::proactor::dropped::{self, Dropped};

thread_local! {
    /// Whether this thread is inside an execution.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    /// The panics of the execution so far: a later one never hides the first.
    static SEEN: RefCell<Vec<Panic>> = const { RefCell::new(Vec::new()) };
}

/// A panic that was caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) place: Option<Place>,
}

/// Whether this thread is inside an execution.
pub(crate) fn is_inside() -> bool {
    INSIDE.get()
}

/// Marks the thread as inside an execution until it is dropped.
pub(crate) struct Inside(());

impl Inside {
    pub(crate) fn enter() -> Inside {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if !swallow(info) {
                    before(info);
                }
            }));
        });
        INSIDE.set(true);
        SEEN.with_borrow_mut(Vec::clear);
        Inside(())
    }

    /// Runs the model, which is left if its proactor is dropped. What it does after that counts for nothing, but
    /// for what was dropped with it.
    pub(crate) fn catch_model(
        &self,
        is_dropped: impl FnOnce() -> bool,
        model: impl FnOnce(),
    ) -> Result<(), Panic> {
        let caught = catch_unwind(AssertUnwindSafe(model));
        dropped::takes_leave();
        let Err(payload) = caught else {
            return Ok(());
        };
        match payload.downcast::<Dropped>() {
            Ok(dropped) => match dropped.panic {
                None => Ok(()),
                Some(payload) => Err(said(&*payload)),
            },
            Err(_) if is_dropped() => Ok(()),
            Err(payload) => Err(said(&*payload)),
        }
    }

    /// Runs a part of the execution.
    pub(crate) fn catch<R>(&self, part: impl FnOnce() -> R) -> Result<R, Panic> {
        // What a panic leaves half done is thrown away with the execution, but for what the model
        // itself shares between executions; it is told so in `check`.
        catch_unwind(AssertUnwindSafe(part)).map_err(|payload| said(&*payload))
    }
}

/// What a panic that was caught has said, and where.
fn said(payload: &(dyn Any + Send)) -> Panic {
    let message = text(payload)
        .unwrap_or("a panic whose payload is no text")
        .to_owned();
    let place = SEEN.with_borrow(|seen| {
        seen.iter()
            .find(|panic| panic.message == message)
            .and_then(|panic| panic.place.clone())
    });
    Panic { message, place }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Notes a panic of an execution; false for one that is none of ours.
fn swallow(info: &PanicHookInfo<'_>) -> bool {
    if !INSIDE.try_with(Cell::get).unwrap_or(false) {
        return false;
    }
    crate::sim::debugger::fails();
    let message = text(info.payload())
        .unwrap_or("a panic whose payload is no text")
        .to_owned();
    let place = info.location().map(Place::of);
    // The runtime is about to abort the process: whoever reads its last words needs the first ones.
    let dying = place
        .as_ref()
        .is_none_or(|place| place.file.contains("core/src/panicking"))
        && (message.contains("in a destructor during cleanup")
            || message.contains("cannot unwind"));
    SEEN.try_with(|seen| {
        let Ok(mut seen) = seen.try_borrow_mut() else {
            return;
        };
        if dying {
            if dropped::takes_leave() {
                eprintln!(
                    "proactor: a `Drop` panicked while the check left the model, to drop its proactor before one of \
                     its steps: let it ask `std::thread::panicking` first; or check without, by \
                     `Checker::drops(false)`"
                );
            }
            for panic in seen.iter() {
                match &panic.place {
                    Some(place) => {
                        eprintln!("proactor: before that, at {place}: {}", panic.message)
                    }
                    None => eprintln!("proactor: before that: {}", panic.message),
                }
            }
        }
        seen.push(Panic { message, place });
    })
    .is_ok()
        && !dying
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message_and_place() {
        let inside = Inside::enter();
        let panic = inside.catch(|| todo!("the rest")).expect_err("it panics");
        assert_eq!(panic.message, "not yet implemented: the rest");
        assert!(
            panic
                .place
                .is_some_and(|place| place.file.ends_with("panics.rs"))
        );
        let number = 7;
        let panic = inside.catch(|| panic!("{number}")).expect_err("it panics");
        assert_eq!(panic.message, "7");
        let panic = inside
            .catch(|| std::panic::panic_any(7))
            .expect_err("it panics");
        assert_eq!(panic.message, "a panic whose payload is no text");
        assert_eq!(inside.catch(|| 7), Ok(7));
    }

    #[test]
    fn a_panic_that_travels_keeps_its_first_place() {
        let inside = Inside::enter();
        let panic = inside
            .catch(|| {
                let first = catch_unwind(|| panic!("first")).expect_err("it panics");
                let _second = catch_unwind(|| panic!("second"));
                std::panic::resume_unwind(first);
            })
            .expect_err("it panics");
        assert_eq!(panic.message, "first");
        assert!(panic.place.is_some());
    }

    #[test]
    fn only_the_thread_inside_is_silent() {
        assert!(!is_inside());
        let inside = Inside::enter();
        assert!(is_inside());
        assert!(std::thread::spawn(|| !is_inside()).join().unwrap_or(false));
        drop(inside);
        assert!(!is_inside());
    }
}
