//! The checker with everything under it: servers on a proactor on the simulated kernel.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::env::Wishes;
use super::sim::Model;
use super::{Checker, FailureKind, Sim};
use crate::RunEnd;
use crate::compose::{read_exact, write_all};
use crate::net::{TcpListener, TcpStream};
use crate::sim::Invariant;

/// Frames of four bytes, sent back.
fn serve(stream: TcpStream, read_whole: bool) {
    if read_whole {
        read_exact(&stream, Vec::with_capacity(4)).then(move |(read, frame)| match read {
            Ok(_) => answer(stream, frame),
            Err(_) => cut_off(&stream),
        });
    } else {
        // The mistake: one read need not bring a whole frame.
        stream
            .read(Vec::with_capacity(4))
            .then(move |(read, frame)| match read {
                Ok(n) if n > 0 => answer(stream, frame),
                _ => cut_off(&stream),
            });
    }
}

/// Sends a frame and closes.
fn answer(stream: TcpStream, frame: Vec<u8>) {
    write_all(&stream, frame).then(move |(sent, _)| {
        if sent.is_err() {
            cut_off(&stream);
        }
    });
}

/// A conversation that was cut off must not end like a whole one.
fn cut_off(stream: &TcpStream) {
    let _ = stream.set_linger(Some(Duration::ZERO));
}

/// Serves who comes first; an accept that fails is followed by another while somebody holds the listener.
fn accept(listener: &Arc<TcpListener>, read_whole: bool) {
    let held = Arc::downgrade(listener);
    listener.accept().then(move |accepted| match accepted {
        Ok((stream, _)) => serve(stream, read_whole),
        Err(_) => {
            if let Some(listener) = held.upgrade() {
                accept(&listener, read_whole);
            }
        }
    });
}

/// A client that sends a frame and waits for its echo; faults of the network are no failure.
fn echo(sim: &Sim, read_whole: bool) {
    let listener = TcpListener::bind(sim.proactor(), "127.0.0.1:7").expect("the address is free");
    let listener = Arc::new(listener);
    accept(&listener, read_whole);
    let handle = sim.proactor().handle();
    let client = sim.proactor().spawn(async move {
        let connected = TcpStream::connect(&handle, "127.0.0.1:7").await;
        let Ok(stream) = connected else {
            // Nobody will come any more.
            return listener.close();
        };
        let (sent, _) = write_all(&stream, b"ping".to_vec()).await;
        if sent.is_err() {
            return;
        }
        let (read, answer) = read_exact(&stream, Vec::with_capacity(4)).await;
        match read {
            Ok(_) => assert_eq!(answer, b"ping"),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                panic!("the answer ends after {} bytes", answer.len())
            }
            Err(_) => {}
        }
    });
    drop(client);
    match sim.proactor().run() {
        Ok(RunEnd::OutOfWork) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_forgotten_short_read_is_found_and_told() {
    let failure = Checker::new()
        .name("echo")
        .run(|sim| echo(sim, false))
        .expect_err("it fails");
    let text = failure.to_string();
    assert_eq!(failure.kind(), FailureKind::Broken, "{text}");
    // A short read alone resets the connection, which the client forgives: it takes a peer that
    // had not yet sent the rest.
    assert_eq!(failure.deviations().len(), 2, "{text}");
    assert!(
        failure
            .message()
            .is_some_and(|it| it.starts_with("the answer ends after")),
        "{text}"
    );
}

#[test]
fn the_mended_server_passes() {
    let summary = Checker::new()
        .name("echo")
        .run(|sim| echo(sim, true))
        .unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(summary.proved(), Some(2));
}

#[test]
fn a_lost_operation_is_named() {
    let failure = Checker::new()
        .run(|sim| {
            let listener = TcpListener::bind(sim.proactor(), "127.0.0.1:7").expect("free");
            let accept = listener.accept();
            accept.then(move |_| drop(listener));
            let _ = sim.proactor().run();
        })
        .expect_err("nobody connects");
    let text = failure.to_string();
    assert_eq!(failure.invariant(), Some(Invariant::I7), "{text}");
    assert!(text.contains("src/check/models.rs"), "{text}");
}

#[test]
fn a_check_inside_a_handler_is_refused_with_advice() {
    let failure = Arc::new(std::sync::Mutex::new(None));
    let seen = failure.clone();
    let world = crate::sim::World::new(Default::default(), Box::new(crate::choice::Kind));
    let proactor = crate::Proactor::builder()
        .simulated(&world)
        .build()
        .expect("simulated");
    proactor.post(move || {
        let outcome = Checker::new().run(|_| ());
        *seen.lock().expect("no panic") = Some(outcome.expect_err("refused"));
    });
    proactor.run().expect("it runs");
    let failure = failure.lock().expect("no panic").take().expect("it ran");
    assert_eq!(failure.kind(), FailureKind::Refused);
    assert!(
        failure
            .to_string()
            .contains("in a handler or a task of a running proactor")
    );
}

#[test]
fn an_order_that_only_looks_certain_is_found() {
    let model = |sim: &Sim| {
        let ended = Arc::new(AtomicUsize::new(0));
        for millis in [2, 1] {
            let ended = ended.clone();
            let sleep = sim.proactor().sleep(Duration::from_millis(millis));
            sleep.then(move |_| {
                // The mistake: that the handler of the shorter sleep always runs first.
                let before = ended.fetch_add(1, Ordering::Relaxed);
                assert_eq!(
                    before,
                    usize::from(millis == 2),
                    "the longer sleep ended first"
                );
            });
        }
        let _ = sim.proactor().run();
    };
    let failure = Checker::new()
        .name("sleeps")
        .run(model)
        .expect_err("it fails");
    let text = failure.to_string();
    assert_eq!(failure.deviations().len(), 2, "{text}");
    assert!(
        text.contains("It passes if any one of them does not happen."),
        "{text}"
    );
    // The replay leads back to the same report, but for how it was found.
    let replay = failure
        .replay()
        .expect("it has one")
        .parse()
        .expect("well formed");
    let wishes = Wishes {
        replay: Some(replay),
        ..Wishes::default()
    };
    let model = Model::new(Default::default(), model);
    let again = Checker::new()
        .name("sleeps")
        .check(&model, wishes)
        .expect_err("it fails again");
    assert_eq!(again.deviations(), failure.deviations());
    assert_eq!(again.replay(), failure.replay());
}
