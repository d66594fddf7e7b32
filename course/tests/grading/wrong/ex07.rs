//! Mistakes with work that takes long.

use std::io::ErrorKind;

use proactor::compose;
use proactor::net::TcpStream;
use proactor::sim::Invariant;
use proactor_course::never_block::{BUSY, LENGTH, check, digest};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex07",
        &[
            Mistake {
                what: "digests in the handler",
                check: || check(|stream| serve(stream, Flaw::InTheHandler)),
                invariant: Invariant::I9,
                told: "over-budget",
            },
            Mistake {
                what: "digests in the handler when the pool is full",
                check: || check(|stream| serve(stream, Flaw::InTheHandlerIfFull)),
                invariant: Invariant::I9,
                told: "over-budget",
            },
            Mistake {
                what: "hangs up when the pool is full",
                check: || check(|stream| serve(stream, Flaw::HangsUpIfFull)),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (a client was not answered",
            },
            Mistake {
                what: "a pool is never full",
                check: || check(|stream| serve(stream, Flaw::Unwraps)),
                invariant: Invariant::Panic,
                told: "the offload pool is full",
            },
            Mistake {
                what: "answers once",
                check: || check(|stream| serve(stream, Flaw::Once)),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (a client was not answered",
            },
            Mistake {
                what: "is always busy",
                check: || check(|stream| serve(stream, Flaw::AlwaysBusy)),
                invariant: Invariant::Always,
                told: "who finds room in the pool is given a digest (",
            },
        ],
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    InTheHandler,
    InTheHandlerIfFull,
    HangsUpIfFull,
    Unwraps,
    Once,
    AlwaysBusy,
}

fn serve(stream: TcpStream, flaw: Flaw) {
    compose::read_exact(&stream, vec![0; LENGTH]).then(move |(read, request)| {
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return,
            Err(_) => return hang_up(&stream),
        }
        match flaw {
            Flaw::InTheHandler => return answer(stream, digest(&request), flaw),
            Flaw::AlwaysBusy => return answer(stream, BUSY, flaw),
            _ => {}
        }
        let again = request.clone();
        let digested = stream.handle().offload(move || digest(&request));
        digested.then(move |digested| match (digested, flaw) {
            (Ok(digest), _) => answer(stream, digest, flaw),
            (Err(_), Flaw::InTheHandlerIfFull) => answer(stream, digest(&again), flaw),
            (Err(error), Flaw::Unwraps) => panic!("{error}"),
            (Err(_), Flaw::HangsUpIfFull) => hang_up(&stream),
            (Err(_), _) => answer(stream, BUSY, flaw),
        });
    });
}

fn answer(stream: TcpStream, answer: [u8; LENGTH], flaw: Flaw) {
    compose::write_all(&stream, answer.to_vec()).then(move |(written, _)| match written {
        Ok(_) if flaw == Flaw::Once => {}
        Ok(_) => serve(stream, flaw),
        Err(_) => hang_up(&stream),
    });
}

fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}
