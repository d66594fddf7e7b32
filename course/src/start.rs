//! Exercise 0: a server that greets. It comes solved; what is graded is that the greeting arrives whole.

use proactor::check::Sim;
use proactor::net::TcpStream;

use crate::checked::{World, converse, expect, in_all, serve_one};
use crate::verdict::Check;

/// What every client is to hear.
pub const GREETING: &str = "welcome aboard\n";

/// Checks a function that greets a client and closes the connection.
pub fn check(greet: fn(TcpStream)) -> Check {
    in_all(vec![
        World::new("ex00_start/quiet", move |sim| world(sim, greet, true)).without_faults(),
        World::new("ex00_start", move |sim| world(sim, greet, false)),
    ])
}

fn world(sim: &Sim, greet: fn(TcpStream), is_quiet: bool) {
    let proactor = sim.proactor();
    serve_one(proactor, greet);
    let heard = proactor.block_on(converse(proactor, &[]));
    expect(
        sim,
        heard.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        GREETING.as_bytes(),
        is_quiet,
    );
}
