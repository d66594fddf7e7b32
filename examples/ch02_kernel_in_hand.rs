//! Chapter 2 of the book: a program that relies on an order, and a kernel that does nothing unless you say so.
//!
//! ```text
//! cargo run --example ch02_kernel_in_hand
//! ```

use std::error::Error;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proactor::check::{Checker, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::hand::{Request, Step};
use proactor::sim::{Config, Hand};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", unasked()?);
    print!("{}\n{}", story()?, trace()?);
    Ok(())
}

// ---- the trap

// ANCHOR: ask
/// Asks how deep the water is, and notes so once that has been sent. The answer finds the note, and is believed.
fn ask(stream: TcpStream) {
    let asked = Arc::new(AtomicBool::new(false));
    let note = asked.clone();
    stream
        .write("how deep?")
        .then(move |(sent, _)| note.store(sent.is_ok(), Ordering::Relaxed));
    stream
        .read(Vec::with_capacity(16))
        .then(move |(read, _answer)| {
            let is_answer = matches!(read, Ok(1..));
            let asked = asked.load(Ordering::Relaxed);
            assert!(!is_answer || asked, "an answer, and nothing was asked");
            drop(stream); // which closes it
        });
}
// ANCHOR_END: ask

/// A pilot who knows, and a ship that asks.
fn world(sim: &Sim) {
    let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").expect("nobody else is here");
    let pilot = sim.connect("10.0.0.1:7");
    pilot.lenient().expect("how deep?").send("9 feet");
    drop(pilot);
    listener.accept().then(move |accepted| {
        drop(listener);
        if let Ok((stream, _)) = accepted {
            ask(stream);
        }
    });
    let _ = sim.proactor().run();
}

/// What the checker says of it, with a kernel on which nothing fails: only the orders are its own.
pub(crate) fn unasked() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch02/ask").faults_per_operation(0);
    match checker.run(world) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the answer that came first was not found".into()),
    }
}

// ---- a kernel in the hand

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
    let (client, server) = hand.connection("10.0.0.1:7")?;
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
    let (client, server) = hand.connection("10.0.0.1:7")?;
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
        let (client, server) = hand.connection("10.0.0.1:7")?;
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
/// A receive waits; then bytes come, and a cancel comes too late. What has happened, in the kernel's own words?
pub(crate) fn trace() -> Result<String, Box<dyn Error>> {
    let mut hand = Hand::new(Config {
        trace: true,
        ..Config::default()
    });
    let (client, server) = hand.connection("10.0.0.1:7")?;
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
