//! The same echo server several times over.

use std::io;

mod by_hand;
mod callback;
mod coroutine;
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
        }
    }

    pub fn from_name(name: &str) -> Option<Server> {
        Server::ALL.into_iter().find(|server| server.name() == name)
    }

    /// Serves `connections` until `requests` have been answered, then ends the process.
    pub fn run(self, connections: usize, requests: u64) -> io::Result<()> {
        match self {
            Server::Hand => by_hand::run(connections, requests),
            Server::Callback => callback::run(1, requests),
            Server::TwoWorkers => callback::run(2, requests),
            Server::Async => coroutine::run(requests),
            Server::Tokio => tokio::run(requests),
        }
    }
}
