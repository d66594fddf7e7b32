//! Chapter 2 of the book: a kernel that does nothing unless you say so.
//!
//! ```text
//! cargo run --example ch02_kernel_in_hand
//! ```

use std::error::Error;
use std::fmt::Write;

use proactor::sim::hand::{Request, Step, Stream};
use proactor::sim::{Config, Hand};

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}\n{}", story()?, trace()?);
    Ok(())
}

/// What the book prints.
pub(crate) fn story() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    order(&mut out)?;
    writeln!(out)?;
    halves(&mut out)?;
    writeln!(out)?;
    cancel(&mut out)?;
    Ok(out)
}

// ANCHOR: order
/// Two sends can complete. Which one is told first is nobody's promise.
fn order(out: &mut String) -> Result<(), Box<dyn Error>> {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.submit(Request::send(client, "ping"))?;
    let second = hand.submit(Request::send(server, "pong"))?;

    writeln!(out, "enabled:")?;
    for enabled in hand.enabled() {
        writeln!(out, "  {}", enabled.words)?;
    }
    hand.step(Step::Complete(second))?;
    let told = hand.reap().expect("just handed out");
    writeln!(out, "we let {} be first: it was submitted last", told.op)?;
    Ok(())
}
// ANCHOR_END: order

// ANCHOR: halves
/// Ten bytes are there. A receive may bring all of them, or one, or half.
fn halves(out: &mut String) -> Result<(), Box<dyn Error>> {
    let mut hand = Hand::new(Config::default());
    let (client, server) = connected(&mut hand)?;
    hand.submit(Request::send(client, "ten bytes!"))?;

    let recv = hand.submit_with(Request::recv(server, Vec::with_capacity(64)), |decision| {
        let words = decision.alternatives.iter().map(|it| it.word.as_str());
        let words: Vec<&str> = words.collect();
        let _ = writeln!(
            out,
            "the kernel asks at {}: {}",
            decision.site.name(),
            words.join(", ")
        );
        decision.find("half").unwrap_or(0)
    })?;
    hand.step(Step::Complete(recv))?;
    let got = hand.reap().expect("just handed out").buf;
    writeln!(out, "received: {:?}", String::from_utf8(got)?)?;
    Ok(())
}
// ANCHOR_END: halves

// ANCHOR: cancel
/// A cancel is a question. The operation answers it by its own completion.
fn cancel(out: &mut String) -> Result<(), Box<dyn Error>> {
    for answer in ["kind", "late"] {
        let mut hand = Hand::new(Config::default());
        let (client, server) = connected(&mut hand)?;
        let recv = hand.submit(Request::recv(server, Vec::with_capacity(64)))?;
        if answer == "late" {
            // The bytes are there before the cancel is looked at.
            hand.submit(Request::send(client, "too late"))?;
        }
        hand.cancel(recv)?;
        writeln!(out, "{}", hand.explain(recv))?;
        hand.step(Step::Complete(recv))?;
        let done = hand.reap().expect("just handed out");
        match done.result {
            Ok(_) => writeln!(out, "  and brings {} bytes, cancel or not", done.buf.len())?,
            Err(error) => writeln!(out, "  and ends with {:?}", error.to_string())?,
        }
    }
    Ok(())
}
// ANCHOR_END: cancel

// ANCHOR: trace
/// Two receives wait; then bytes come. What has happened, in the kernel's own words?
pub(crate) fn trace() -> Result<String, Box<dyn Error>> {
    let mut hand = Hand::new(Config {
        trace: true,
        ..Config::default()
    });
    let (client, server) = connected(&mut hand)?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(4)))?;
    hand.submit(Request::send(client, "too many"))?;
    hand.cancel(recv)?;
    while let Some(next) = hand.enabled().first().map(|it| it.step) {
        hand.step(next)?;
        hand.reap();
    }
    Ok(hand.kernel_trace())
}
// ANCHOR_END: trace

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
