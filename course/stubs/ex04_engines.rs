//! Exercise 4, to the chapter *Real engines and emulation*: a proactor's read, on a kernel that only says what is ready.
//!
//! ```text
//! cargo run --example ex04_engines
//! cargo run --example course -- hint 4
//! ```

use std::process::ExitCode;

use proactor_course::engines::{Done, Read, Readiness, check};

/// Waits for the next read that ends, takes it out of `waiting` and gives its end: [`Done`] has the read's `ticket`, its
/// `result` and its `buffer`. `None`: nothing waits, or nothing will ever come.
///
/// - `kernel.wait(&streams)` waits until a try may be worth it, and says on which of them. Empty: never.
/// - `kernel.try_read(stream, &mut buffer)` reads at once, or fails with `ErrorKind::WouldBlock`.
///
/// Who has initiated a read first on a stream has its first bytes; `waiting` is in that order.
#[allow(clippy::ptr_arg, reason = "until you take one out")]
pub fn next(kernel: &mut Readiness, waiting: &mut Vec<Read>) -> Option<Done> {
    // TODO: wait, try, and tell the end of a read from a hint that was false.
    todo!("{} reads wait: {:?}", waiting.len(), kernel.wait(&[]))
}

fn main() -> ExitCode {
    proactor_course::grade(check(next))
}
