//! Exercise 2, to the chapter *A kernel you can hold*: a cancel is a question, and the answer comes later.
//!
//! ```text
//! cargo run --example ex02_kernel_in_hand
//! cargo run --example course -- hint 2
//! ```

use std::process::ExitCode;

use proactor::sim::hand::OpId;
use proactor_course::kernel_in_hand::{Inbox, Kernel, check};

/// Stops a receive that is in flight, and gives the bytes that it has brought all the same: none, as a rule.
///
/// - `kernel.cancel(op)` asks for the cancel.
/// - `kernel.next()` waits for the next completion, of whichever operation; `None`: nothing will ever come.
/// - A completion has `op`, `result` and `buf`.
///
/// Other operations are in flight on the same kernel. Their completions are not yours: keep them
/// with `inbox.put(completion)`.
pub fn stop(kernel: &mut Kernel, recv: OpId, inbox: &mut Inbox) -> Vec<u8> {
    // TODO: ask for the cancel, and come back when the receive has ended.
    todo!(
        "stop {recv}, which {:?} has, with {inbox:?}",
        kernel.owner(recv)
    )
}

fn main() -> ExitCode {
    proactor_course::grade(check(stop))
}
