//! Panics of a learner's code outside of a checker: kept, with their place, instead of printed.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// A panic: what it said and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) place: String,
}

/// Runs something. A panic of it comes back instead of going on.
pub(crate) fn quietly<R>(run: impl FnOnce() -> R) -> Result<R, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                return before(info);
            }
            let place = info.location().map(ToString::to_string);
            let message = info.payload_as_str().unwrap_or("a panic without a text");
            SEEN.set(Some(Panic {
                message: message.to_owned(),
                place: place.unwrap_or_default(),
            }));
        }));
    });
    INSIDE.set(true);
    let end = catch_unwind(AssertUnwindSafe(run));
    INSIDE.set(false);
    end.map_err(|_| {
        SEEN.take().unwrap_or_else(|| Panic {
            message: String::new(),
            place: String::new(),
        })
    })
}

/// Whether this is what `todo!()` and `unimplemented!()` say.
pub(crate) fn is_todo(message: &str) -> bool {
    message.starts_with("not yet implemented") || message.starts_with("not implemented")
}
