//! Chapter 0 of the book: the first thing to run. One request, one read, and a kernel that has a choice.
//!
//! ```text
//! cargo run --example ch00_hello_kernel
//! ```

use std::error::Error;
use std::fmt::Write;

use proactor::sim::hand::{Request, Step};
use proactor::sim::{Config, Hand};

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", story()?);
    Ok(())
}

// ANCHOR: hello
/// A request of ten bytes, read with one receive, twice: as on your machine, and as on somebody's.
pub(crate) fn story() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for plan in ["recv: full", "recv: half"] {
        let mut hand = Hand::new(Config::default());
        let (client, server) = hand.connection("10.0.0.1:7")?;
        hand.decide(plan)?;
        hand.submit(Request::send(client, "GET /index"))?;
        let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
        hand.step(Step::Complete(recv))?;
        let request = hand.reap().expect("just handed out").buf;
        writeln!(out, "{plan:<10}  {:?}", String::from_utf8(request)?)?;
    }
    Ok(out)
}
// ANCHOR_END: hello
