//! A solution of exercise 7.
//!
//! The handler of the read says what is to be done and returns; a thread of the pool does it, and its end is a completion
//! like any other. The pool has an end too: who is told so answers at once that there is no answer, and does not
//! digest in the handler after all.

use std::process::ExitCode;

use proactor::net::TcpStream;
use proactor::{OffloadError, compose};
use proactor_course::never_block::{BUSY, LENGTH, check, digest};

/// Answers requests with digests, which others compute.
pub fn serve(stream: TcpStream) {
    compose::read_exact(&stream, vec![0; LENGTH]).then(move |(read, request)| {
        match read {
            Ok(_) => {}
            // The end, or a failure: the client knows which.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return,
            Err(_) => return hang_up(&stream),
        }
        let digested = stream.handle().offload(move || digest(&request));
        digested.then(move |digested| match digested {
            Ok(digest) => answer(stream, digest),
            Err(error) => match OffloadError::in_error(&error) {
                Some(OffloadError::Full { .. }) => answer(stream, BUSY),
                _ => hang_up(&stream),
            },
        });
    });
}

fn answer(stream: TcpStream, answer: [u8; LENGTH]) {
    compose::write_all(&stream, answer.to_vec()).then(move |(written, _)| match written {
        Ok(_) => serve(stream),
        Err(_) => hang_up(&stream),
    });
}

fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

fn main() -> ExitCode {
    proactor_course::grade(check(serve))
}
