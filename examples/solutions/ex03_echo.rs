//! A solution of exercise 3.
//!
//! Each handler starts what comes next and returns; the stream moves from one to the next, so that it lives exactly
//! as long as there is something to do. Both writes are `write_all`, and every error ends in a reset: a client that
//! sees an end has heard everything.

use std::process::ExitCode;

use proactor::compose;
use proactor::net::TcpStream;
use proactor_course::first_proactor::{GOODBYE, check};

/// Sends back what the client says; then a goodbye, and the end.
pub fn serve(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(0) => {
                compose::write_all(&stream, GOODBYE).then(move |(written, _)| {
                    if written.is_err() {
                        hang_up(&stream);
                    }
                });
            }
            Ok(_) => {
                compose::write_all(&stream, buffer).then(move |(written, _)| match written {
                    Ok(_) => serve(stream),
                    Err(_) => hang_up(&stream),
                });
            }
            Err(_) => hang_up(&stream),
        });
}

fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

fn main() -> ExitCode {
    proactor_course::grade(check(serve))
}
