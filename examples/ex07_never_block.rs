//! Exercise 7, to the chapter *Never block*: answers that cost 50 ms, and handlers that cost nothing.
//!
//! ```text
//! cargo run --example ex07_never_block
//! cargo run --example course -- hint 7
//! ```

use std::process::ExitCode;

use proactor::net::TcpStream;
use proactor_course::never_block::{BUSY, LENGTH, check};

/// Answers requests, of [`LENGTH`] bytes each, one after the other, until the client has ended its side: each with its
/// `never_block::digest(&request)`, or with [`BUSY`] where the pool has no place left.
///
/// A digest takes 50 ms. A handler may take 1 ms. If the connection fails, `hang_up` and let the stream go.
pub fn serve(stream: TcpStream) {
    // TODO: read a request exactly, have it digested elsewhere, answer, and begin again.
    todo!("answer {stream:?}: requests of {LENGTH} bytes, by their digests or {BUSY:?}")
}

/// The client sees a reset, once the stream is dropped.
#[allow(dead_code, reason = "you will need it")]
fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

fn main() -> ExitCode {
    proactor_course::grade(check(serve))
}
