//! Checks behind a completion port: handlers that hold there, and a mistake that only a kernel shows.

use proactor::check::{Checker, Failure, Sim, Summary};
use proactor::compose::{read_exact, write_all};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Door, Personality};

fn behind_a_port(model: fn(&Sim)) -> Result<Summary, Box<Failure>> {
    Checker::new()
        .door(Door::Port)
        .personality(Personality::Port)
        .executions(2_000)
        .run(model)
}

/// A server that answers one question of four bytes; `whole`: it waits for all of it.
fn asks(sim: &Sim, whole: bool) {
    let proactor = sim.proactor();
    let Ok(listener) = TcpListener::bind(proactor, "10.0.0.1:7") else {
        return;
    };
    let last = listener.clone();
    let accepting = listener.accept().then(move |accepted| match accepted {
        Ok((stream, _)) => {
            let answer = {
                let stream = stream.clone();
                move |(read, question): (std::io::Result<usize>, Vec<u8>)| {
                    if read.is_ok() {
                        assert_eq!(question, b"ping", "half a question");
                        write_all(&stream, question).then(move |_| drop(stream));
                    }
                }
            };
            let room = Vec::with_capacity(4);
            if whole {
                read_exact(&stream, room).then(answer);
            } else {
                stream.read(room).then(answer);
            }
        }
        Err(_) => last.close(),
    });
    TcpStream::connect(proactor, "10.0.0.1:7").then(move |stream| match stream {
        Ok(stream) => {
            write_all(&stream, b"ping".to_vec()).then(move |(sent, _)| {
                if sent.is_ok() {
                    read_exact(&stream, Vec::with_capacity(4)).then(move |_| drop(stream));
                }
            });
        }
        Err(_) => accepting.cancel(),
    });
    let _ = proactor.run();
}

#[test]
fn handlers_that_hold_are_silent_and_what_was_not_tracked_is_not_claimed() {
    let summary = behind_a_port(|sim| asks(sim, true)).expect("it waits for all");
    let text = summary.to_string();
    assert!(summary.executions() >= 2_000, "{text}");
    // What a port's driver has of its own is not tracked: nothing is reduced.
    assert!(!text.contains("trace"), "{text}");
}

#[test]
fn a_short_read_is_found_there_too() {
    let failure = behind_a_port(|sim| asks(sim, false)).expect_err("a question may come in parts");
    let text = failure.to_string();
    assert!(text.contains("half a question"), "{text}");
    assert!(text.contains("recv"), "{text}");
}
