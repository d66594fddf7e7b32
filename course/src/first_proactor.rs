//! Exercise 3: an echo server that says goodbye.

use proactor::check::Sim;
use proactor::net::TcpStream;

use crate::checked::{World, converse, expect, in_all, serve_one};
use crate::verdict::Check;

/// The last thing that a client is to hear.
pub const GOODBYE: &str = "goodbye\n";

/// Checks a handler that sends back what a client says, and, when that has ended, [`GOODBYE`] and the end.
pub fn check(serve: fn(TcpStream)) -> Check {
    in_all(vec![
        World::new("ex03_echo/quiet", move |sim| world(sim, serve, true)).without_faults(),
        World::new("ex03_echo", move |sim| world(sim, serve, false)),
    ])
}

fn world(sim: &Sim, serve: fn(TcpStream), is_quiet: bool) {
    let proactor = sim.proactor();
    serve_one(proactor, serve);
    let heard = proactor.block_on(converse(proactor, &["ahoy", ", "]));
    let expected = ["ahoy, ", GOODBYE].concat();
    expect(
        sim,
        heard.unwrap_or_else(|error| Err(std::io::Error::other(error))),
        expected.as_bytes(),
        is_quiet,
    );
}
