//! Mistakes in the greeting.

use std::time::Duration;

use proactor::compose;
use proactor::net::TcpStream;
use proactor::sim::Invariant;
use proactor_course::start::{GREETING, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex00",
        &[
            Mistake {
                what: "one write",
                check: || check(one_write),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (the client has heard \"w\" instead of",
            },
            Mistake {
                what: "a failure looks like an end",
                check: || check(silent_failure),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (",
            },
            Mistake {
                what: "a reset for everybody",
                check: || check(always_reset),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (",
            },
            Mistake {
                what: "the operation was never started",
                check: || check(never_started),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (the client has heard \"\" instead of",
            },
        ],
    );
}

fn one_write(stream: TcpStream) {
    stream.write(GREETING).then(move |(written, _)| {
        if written.is_err() {
            let _ = stream.set_linger(Some(Duration::ZERO));
        }
    });
}

fn silent_failure(stream: TcpStream) {
    let open = stream.clone();
    compose::write_all(&stream, GREETING).then(move |_| drop(open));
}

fn always_reset(stream: TcpStream) {
    compose::write_all(&stream, GREETING).then(move |_| {
        let _ = stream.set_linger(Some(Duration::ZERO));
    });
}

fn never_started(stream: TcpStream) {
    let _ = compose::write_all(&stream, GREETING);
}
