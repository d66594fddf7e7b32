//! Exercise 6, to the chapter *Short reads and framing*: frames out of a stream that has none.
//!
//! ```text
//! cargo run --example ex06_framing
//! cargo run --example course -- hint 6
//! ```

use std::io;
use std::process::ExitCode;

use proactor::net::TcpStream;
use proactor_course::framing::{LONGEST, check};

/// The next frame of a stream: four bytes that say how long it is, the highest first, and so many bytes.
///
/// `None` is the end in good order, between two frames. An end anywhere else is an error of the kind
/// `UnexpectedEof`, a frame of more than [`LONGEST`] bytes one of the kind `InvalidData`; nobody waits for its bytes, or
/// makes room for them.
pub async fn next_frame(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    // TODO: read the length, look at it, read the body. `proactor::compose` has what you need.
    todo!("a frame of {stream:?}, of at most {LONGEST} bytes")
}

fn main() -> ExitCode {
    proactor_course::grade(check(next_frame))
}
