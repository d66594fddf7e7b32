//! Exercise 3, to the chapter *Your first proactor*: an echo server that says goodbye.
//!
//! ```text
//! cargo run --example ex03_echo
//! cargo run --example course -- hint 3
//! ```

use std::process::ExitCode;

use proactor::net::TcpStream;
use proactor_course::first_proactor::{GOODBYE, check};

/// Sends back whatever the client says. When the client has ended its side, sends [`GOODBYE`] and closes.
///
/// If anything fails on the way the client must not take that for an end in good order: `hang_up` resets the
/// connection.
pub fn serve(stream: TcpStream) {
    // TODO: start a read, and give it a handler with `.then(move |(read, buffer)| …)`.
    todo!("serve {stream:?}, and end with {GOODBYE:?}")
}

/// The client sees a reset, once the stream is dropped.
#[allow(dead_code, reason = "you will need it")]
fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

fn main() -> ExitCode {
    proactor_course::grade(check(serve))
}
