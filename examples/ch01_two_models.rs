//! Chapter 1 of the book: a reactor's habit that a proactor does not forgive; and the same two words between the same
//! two sockets, by readiness and by completion.
//!
//! ```text
//! cargo run --example ch01_two_models
//! ```

use std::error::Error;
use std::fmt::Write;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use proactor::Handle;
use proactor::check::{Checker, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::hand::{Interest, OpId, Owner, Request, Step};
use proactor::sim::{Config, Hand, Level, Oracle};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", lost()?);
    print!("{}", story()?);
    Ok(())
}

// ---- the trap

// ANCHOR: glance
/// What the client says within a millisecond. Nothing: then it is the turn of others, and one looks again later.
async fn glance(proactor: &Handle, stream: &TcpStream) -> Option<io::Result<Vec<u8>>> {
    let mut read = pin!(stream.read(Vec::with_capacity(16)).into_future());
    let mut moment = pin!(proactor.sleep(Duration::from_millis(1)).into_future());
    poll_fn(|context| {
        if let Poll::Ready((read, said)) = read.as_mut().poll(context) {
            return Poll::Ready(Some(read.map(|_| said)));
        }
        moment.as_mut().poll(context).map(|_| None)
    })
    .await
}
// ANCHOR_END: glance

/// A client that says two things, with a pause, and a server that glances at it until it has ended.
fn world(sim: &Sim) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("nobody else is here");
    let client = sim.connect("10.0.0.1:7");
    let pause = Duration::from_micros(500);
    client.lenient().stall(pause).send("hello");
    client.stall(pause).send("again");
    drop(client);
    let _ = proactor.block_on(async {
        let (stream, _) = listener.accept().await?;
        loop {
            if let Some(said) = glance(proactor, &stream).await
                && said?.is_empty()
            {
                return io::Result::Ok(()); // the client has ended
            }
        }
    });
}

/// What the checker says of it. It is told to take a lost result for a failure.
pub(crate) fn lost() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new()
        .name("ch01/glance")
        .oracle(Oracle::LostResult, Level::Deny);
    match checker.run(world) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the lost bytes were not found".into()),
    }
}

// ---- the two models

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
    let (client, server) = hand.connection("10.0.0.1:7")?;
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
    let (client, server) = hand.connection("10.0.0.1:7")?;

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
