//! Exercise 1, to the chapter *Ready or done?*: whose is the buffer now?
//!
//! ```text
//! cargo run --example ex01_ready_or_done
//! cargo run --example course -- hint 1
//! ```

use std::process::ExitCode;

use proactor_course::ready_or_done::{Event, check};

/// May the program touch its buffer now, after all that has happened to it so far?
///
/// The events stand in the order in which they happened. Some belong to a reactor (`Ready`, `Tried`), some to a
/// proactor (`Submitted`, `CancelAsked`, `Queued`, `Reaped`), and `Arrived` happens to both. It is one buffer, and
/// it may be lent more than once.
pub fn may_touch(story: &[Event]) -> bool {
    // TODO: decide by the events. Your answer is compared after every story of up to 7 events.
    todo!("whose is the buffer after {story:?}?")
}

fn main() -> ExitCode {
    proactor_course::grade(check(may_touch))
}
