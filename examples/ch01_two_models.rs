//! Chapter 1 of the book: the same two words between the same two sockets, by readiness and by completion.
//!
//! ```text
//! cargo run --example ch01_two_models
//! ```

use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use proactor::sim::hand::{Interest, OpId, Owner, Request, Step, Stream};
use proactor::sim::{Config, Hand};

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", story()?);
    Ok(())
}

/// What the book prints.
pub(crate) fn story() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    writeln!(out, "by readiness")?;
    by_readiness(&mut out)?;
    writeln!(out, "\nby completion")?;
    by_completion(&mut out)?;
    Ok(out)
}

// ANCHOR: readiness
fn by_readiness(out: &mut String) -> Result<(), Box<dyn Error>> {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    let mut buffer = [0; 16];

    let early = hand.try_read(server, &mut buffer);
    writeln!(out, "  try_read: {}", early.unwrap_err().kind())?;

    hand.try_write(client, b"hello")?;
    let ready = hand.wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    writeln!(out, "  wait: readable is {}", ready[0].readable)?;

    let count = hand.try_read(server, &mut buffer)?;
    writeln!(out, "  try_read: {count} bytes, copied during this call")?;
    Ok(())
}
// ANCHOR_END: readiness

// ANCHOR: completion
fn by_completion(out: &mut String) -> Result<(), Box<dyn Error>> {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;

    let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
    writeln!(out, "  submit recv: the buffer is {}", whose(&hand, recv))?;

    let send = hand.submit(Request::send(client, "hello"))?;
    writeln!(out, "  bytes arrive: the buffer is {}", whose(&hand, recv))?;

    hand.step(Step::Complete(recv))?;
    writeln!(
        out,
        "  the completion is queued: the buffer is {}",
        whose(&hand, recv)
    )?;

    let done = hand.reap().expect("it was queued");
    writeln!(
        out,
        "  reap: {} bytes, the buffer is {}",
        done.buf.len(),
        whose(&hand, recv)
    )?;
    hand.step(Step::Complete(send))?;
    Ok(())
}
// ANCHOR_END: completion

fn whose(hand: &Hand, op: OpId) -> &'static str {
    match hand.owner(op) {
        Some(Owner::Kernel) => "the kernel's",
        Some(Owner::Queue) => "in the queue",
        _ => "yours again",
    }
}

/// A client and a server that are connected.
fn connected(hand: &mut Hand) -> Result<(Stream, Stream), Box<dyn Error>> {
    let listener = hand.listen("10.0.0.1:7")?;
    let client = hand.socket()?;
    let connect = hand.submit(Request::connect(client, "10.0.0.1:7".parse()?))?;
    hand.step(Step::Complete(connect))?;
    hand.reap();
    let (server, _) = hand.try_accept(listener)?;
    Ok((client, server))
}
