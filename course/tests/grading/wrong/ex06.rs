//! Mistakes in reading frames.

use std::io::{self, ErrorKind};

use proactor::compose::{self, Interrupted};
use proactor::net::TcpStream;
use proactor::sim::Invariant;
use proactor_course::framing::{LONGEST, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex06",
        &[
            Mistake {
                what: "a header is one read",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::OneRead).await),
                invariant: Invariant::Always,
                told: "one sees the frames that were sent (the peer has sent [\"ahoy\", \"\", \"sail!\"]",
            },
            Mistake {
                what: "every end is in good order",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::AnyEnd).await),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (you see the end in good order after []",
            },
            Mistake {
                what: "no end is",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::NoEnd).await),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (your frames end with an error",
            },
            Mistake {
                what: "an empty frame is the end",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::EmptyEnds).await),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (you see the end in good order after [\"ahoy\"]",
            },
            Mistake {
                what: "any length is believed",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::Believes).await),
                invariant: Invariant::Always,
                told: "which is an error of kind InvalidData",
            },
            Mistake {
                what: "the longest is too long",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::OneShort).await),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (your frames end with an error after []",
            },
            Mistake {
                what: "the lowest byte first",
                check: || check(async |stream: &TcpStream| next(stream, Flaw::LowestFirst).await),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (your frames end with an error after []",
            },
        ],
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    OneRead,
    AnyEnd,
    NoEnd,
    EmptyEnds,
    Believes,
    OneShort,
    LowestFirst,
}

async fn next(stream: &TcpStream, flaw: Flaw) -> io::Result<Option<Vec<u8>>> {
    let (read, header) = match flaw {
        Flaw::OneRead => stream.read(vec![0; 4]).await,
        _ => compose::read_exact(stream, vec![0; 4]).await,
    };
    let done = match &read {
        Ok(count) => *count as u64,
        Err(error) => Interrupted::in_error(error).map_or(1, |it| it.done),
    };
    match (read, flaw) {
        (_, Flaw::OneRead) if done == 0 => return Ok(None),
        (Err(_), Flaw::AnyEnd) => return Ok(None),
        (Err(error), Flaw::NoEnd) => return Err(error),
        (Err(error), _) if error.kind() == ErrorKind::UnexpectedEof && done == 0 => {
            return Ok(None);
        }
        (Err(error), _) => return Err(error),
        (Ok(_), _) => {}
    }
    let mut header: Vec<u8> = header;
    header.resize(4, 0);
    if flaw == Flaw::LowestFirst {
        header.reverse();
    }
    let length = header
        .iter()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    match flaw {
        Flaw::EmptyEnds if length == 0 => return Ok(None),
        // As long as it fits into this test's memory.
        Flaw::Believes if length < 1 << 20 => {}
        Flaw::OneShort if length >= LONGEST => return Err(ErrorKind::InvalidData.into()),
        _ if length > LONGEST => return Err(ErrorKind::InvalidData.into()),
        _ => {}
    }
    let (read, body) = compose::read_exact(stream, vec![0; length]).await;
    match read {
        Err(_) if flaw == Flaw::AnyEnd => Ok(None),
        Err(error) => Err(error),
        Ok(_) => Ok(Some(body)),
    }
}
