//! The same echo server several times over.

use std::io;

mod by_hand;
mod callback;
mod coroutine;
mod guarded;
mod tokio;

/// A way to write an echo server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    /// A loop written for this one job on the io-uring crate.
    Hand,
    /// `proactor`, `.then(handler)`.
    Callback,
    /// `proactor`, `spawn` and `.await`.
    Async,
    /// tokio's current-thread runtime.
    Tokio,
    /// As `Callback`, with two workers: each has every other connection.
    TwoWorkers,
    /// As `Callback`, with state for each connection, on so many workers, guarded in this way.
    Guarded(Guard, usize),
}

/// What keeps two handlers of a connection from touching its state at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// There is but one worker, and the state goes from handler to handler.
    Alone,
    Strand,
    Mutex,
}

impl Server {
    pub const ALL: [Server; 5] = [
        Server::Hand,
        Server::Callback,
        Server::Async,
        Server::Tokio,
        Server::TwoWorkers,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Server::Hand => "hand",
            Server::Callback => "callback",
            Server::Async => "async",
            Server::Tokio => "tokio",
            Server::TwoWorkers => "2-workers",
            Server::Guarded(Guard::Alone, _) => "alone",
            Server::Guarded(Guard::Strand, 1) => "strand",
            Server::Guarded(Guard::Strand, _) => "strand-2",
            Server::Guarded(Guard::Mutex, 1) => "mutex",
            Server::Guarded(Guard::Mutex, _) => "mutex-2",
        }
    }

    /// Guarded in each way.
    pub const GUARDED: [Server; 5] = [
        Server::Guarded(Guard::Alone, 1),
        Server::Guarded(Guard::Strand, 1),
        Server::Guarded(Guard::Mutex, 1),
        Server::Guarded(Guard::Strand, 2),
        Server::Guarded(Guard::Mutex, 2),
    ];

    pub fn from_name(name: &str) -> Option<Server> {
        (Server::ALL.into_iter())
            .chain(Server::GUARDED)
            .find(|server| server.name() == name)
    }

    /// How many workers it has.
    pub fn workers(self) -> usize {
        match self {
            Server::TwoWorkers => 2,
            Server::Guarded(_, workers) => workers,
            _ => 1,
        }
    }

    /// Serves `connections` until `requests` have been answered, then ends the process.
    pub fn run(self, connections: usize, requests: u64) -> io::Result<()> {
        match self {
            Server::Hand => by_hand::run(connections, requests),
            Server::Callback => callback::run(1, requests),
            Server::TwoWorkers => callback::run(2, requests),
            Server::Async => coroutine::run(requests),
            Server::Tokio => tokio::run(requests),
            Server::Guarded(guard, workers) => guarded::run(guard, workers, requests),
        }
    }
}
