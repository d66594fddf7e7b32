//! Mistakes in the echo server.

use proactor::compose;
use proactor::net::TcpStream;
use proactor::sim::Invariant;
use proactor_course::first_proactor::{GOODBYE, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex03",
        &[
            Mistake {
                what: "one write",
                check: || check(one_write),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (",
            },
            Mistake {
                what: "a failure looks like an end",
                check: || check(silent_failure),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (",
            },
            Mistake {
                what: "no bytes are taken for nothing yet",
                check: || check(reads_on),
                invariant: Invariant::I7,
                told: "eof-spin",
            },
            Mistake {
                what: "one read is taken for all",
                check: || check(one_read),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (",
            },
            Mistake {
                what: "goes on and on",
                check: || check(again),
                invariant: Invariant::I7,
                told: "endless: after 5,0",
            },
            Mistake {
                what: "a panic of its own",
                check: || check(unwraps),
                invariant: Invariant::Panic,
                told: "hit by a reset",
            },
            Mistake {
                what: "nobody is ever answered",
                check: || check(drop),
                invariant: Invariant::Always,
                told: "nothing has failed, so the connection is not broken (",
            },
        ],
    );
}

fn hang_up(stream: &TcpStream) {
    let _ = stream.set_linger(Some(std::time::Duration::ZERO));
}

fn goodbye(stream: TcpStream) {
    compose::write_all(&stream, GOODBYE).then(move |(written, _)| {
        if written.is_err() {
            hang_up(&stream);
        }
    });
}

fn again(stream: TcpStream) {
    let handle = stream.handle();
    handle.post(move || again(stream));
}

fn unwraps(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read.expect("hit by a reset") {
            0 => goodbye(stream),
            _ => {
                compose::write_all(&stream, buffer).then(move |(written, _)| match written {
                    Ok(_) => unwraps(stream),
                    Err(_) => hang_up(&stream),
                });
            }
        });
}

fn one_write(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(0) => goodbye(stream),
            Ok(_) => {
                stream
                    .write(buffer)
                    .then(move |(written, _)| match written {
                        Ok(_) => one_write(stream),
                        Err(_) => hang_up(&stream),
                    });
            }
            Err(_) => hang_up(&stream),
        });
}

fn silent_failure(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(0) => goodbye(stream),
            Ok(_) => {
                compose::write_all(&stream, buffer).then(move |(written, _)| {
                    if written.is_ok() {
                        silent_failure(stream);
                    }
                });
            }
            Err(_) => {}
        });
}

fn reads_on(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(_) => {
                compose::write_all(&stream, buffer).then(move |(written, _)| match written {
                    Ok(_) => reads_on(stream),
                    Err(_) => hang_up(&stream),
                });
            }
            Err(_) => hang_up(&stream),
        });
}

fn one_read(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(64))
        .then(move |(read, buffer)| match read {
            Ok(_) => {
                compose::write_all(&stream, buffer).then(move |(written, _)| match written {
                    Ok(_) => goodbye(stream),
                    Err(_) => hang_up(&stream),
                });
            }
            Err(_) => hang_up(&stream),
        });
}
