//! The server under `check` with two workers: whatever the kernel and the workers do, a client sees
//! every line whole, once, in its order.

use std::sync::{Arc, Mutex};

use proactor::check::{Checker, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::{RunEnd, compose};

use crate::connection::{self, Limits};
use crate::conversation::{PATIENCE, everything, hold};
use crate::server::Server;

#[test]
fn every_line_comes_whole_once_and_in_order() {
    for workers in [1, 2] {
        let summary = Checker::new()
            .name("chat")
            .workers(workers)
            .executions(20_000)
            .run(|sim| hold(sim, connection::send, everything))
            .unwrap_or_else(|failure| panic!("{failure}"));
        println!("{summary}");
    }
}

/// Three guests come at once, say a line and want a name, all the same one. The first leaves at once, and
/// the server stops; the others read to the end. What each has seen.
fn crowd(sim: &Sim) -> Vec<String> {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("the port is free");
    let limits = Limits {
        // Who does not read at once is too slow.
        waiting: 2,
        stall: PATIENCE,
        linger: PATIENCE,
        read: 16,
    };
    let server = Server::start(proactor, listener, limits, connection::send);
    let guest = |index: usize| {
        let (handle, server) = (proactor.handle(), server.clone());
        proactor.spawn(async move {
            let mut screen = Vec::new();
            let connected = TcpStream::connect(&handle, "10.0.0.1:7").await;
            if let Ok(stream) = connected {
                let said = format!("line {index}\n/name ada\n");
                let _ = compose::write_all(&stream, said.into_bytes()).await;
                if index > 0 {
                    (_, screen) = compose::read_to_end(&stream, screen, 4096).await;
                }
            }
            server.stop();
            String::from_utf8(screen).expect("all of it is ASCII")
        })
    };
    let guests: Vec<_> = (0..3).map(guest).collect();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let to = seen.clone();
    drop(proactor.spawn(async move {
        for guest in guests {
            let screen = guest.await.expect("it ends");
            to.lock().expect("no panic").push(screen);
        }
    }));
    assert_eq!(proactor.run().expect("it runs"), RunEnd::OutOfWork);
    let seen = seen.lock().expect("no panic");
    seen.clone()
}

#[test]
fn whoever_comes_and_goes_a_stop_sends_all_home() {
    let summary = Checker::new()
        .name("chat/crowd")
        .workers(2)
        .executions(20_000)
        .run(|sim| {
            for screen in crowd(sim) {
                let lines: Vec<&str> = screen.split_inclusive('\n').collect();
                for line in lines.iter().filter(|line| line.ends_with('\n')) {
                    assert!(line.starts_with("* ") || line.starts_with('<'), "{screen}");
                    // Two may have had the same name, one after the other; nobody says a line twice.
                    let said = line.split_once("> ").map_or("", |(_, said)| said);
                    let times = lines.iter().filter(|it| it.ends_with(said)).count();
                    assert!(said.is_empty() || times == 1, "{line}in\n{screen}");
                }
            }
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    println!("{summary}");
}
