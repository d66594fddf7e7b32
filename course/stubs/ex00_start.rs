//! Exercise 0, to the chapter *Start here*: it comes solved, so that you see what passing looks like.
//!
//! ```text
//! cargo run --example ex00_start
//! ```
//!
//! Then break it: put `stream.write(GREETING)` in the place of `write_all`, and run it again.

use std::process::ExitCode;
use std::time::Duration;

use proactor::compose;
use proactor::net::TcpStream;
use proactor_course::start::{GREETING, check};

/// Greets a client, and hangs up.
pub fn greet(stream: TcpStream) {
    compose::write_all(&stream, GREETING).then(move |(written, _)| {
        if written.is_err() {
            // The client is to see that something went wrong, and no end in good order.
            let _ = stream.set_linger(Some(Duration::ZERO));
        }
        // The last handle of the stream is dropped here, which closes it.
    });
}

fn main() -> ExitCode {
    proactor_course::grade(check(greet))
}
