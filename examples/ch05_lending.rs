//! Chapter 5 of the book: what is lent, for how long, and how to lend a part.
//!
//! ```text
//! cargo run --example ch05_lending
//! ```

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use proactor::check::{Checker, Sim};
use proactor::choice::Kind;
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::hand::{OpId, Owner, Request, Step};
use proactor::sim::{Config, Hand, World};
use proactor::{IoBuf, Proactor, compose};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}\n{}", one_page()?, one_each()?);
    println!("{}\n{}", cancelled()?, parts()?);
    Ok(())
}

// ---- a buffer that its owner keeps

// ANCHOR: member
/// A buffer that a connection keeps as a member, and lends from there.
#[derive(Clone)]
struct Member(Arc<[AtomicU8; 16]>);

impl Member {
    fn write(&self, text: &str) -> Self {
        for (byte, place) in text.bytes().zip(self.0.iter()) {
            place.store(byte, Ordering::Relaxed);
        }
        self.clone()
    }
}

// SAFETY: the address is stable. That nobody changes the bytes while they are lent is promised here, and not kept:
// this is the mistake that the chapter is about. (They are atomics, so that it is no undefined behaviour.)
unsafe impl IoBuf for Member {
    fn io_ptr(&self) -> *const u8 {
        self.0.as_ptr().cast()
    }

    fn io_len(&self) -> usize {
        16
    }
}
// ANCHOR_END: member

// ANCHOR: one_page
/// Two lines to one client, both formatted in the same member.
async fn greet(stream: TcpStream) -> io::Result<()> {
    let member = Member(Arc::default());
    let hello = member.write("hello, who's it?");
    let sent = stream.write(hello).into_future();
    let prompt = member.write("your password:  ");
    sent.await.0?;
    stream.write(prompt).await.0?;
    Ok(())
}
// ANCHOR_END: one_page

// ANCHOR: one_each
/// Two lines, each in a buffer of its own, which the operation owns.
async fn greet_owned(stream: TcpStream) -> io::Result<()> {
    let hello = String::from("hello, who's it?");
    let sent = compose::write_all(&stream, hello).into_future();
    let prompt = String::from("your password:  ");
    sent.await.0?;
    compose::write_all(&stream, prompt).await.0?;
    Ok(())
}
// ANCHOR_END: one_each

fn world(sim: &Sim, greet: impl AsyncFn(TcpStream) -> io::Result<()>) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("nobody else is here");
    let client = sim.connect("10.0.0.1:7");
    client.lenient().expect("hello, who's it?your password:  ");
    let _ = proactor.block_on(async {
        let (stream, _) = listener.accept().await?;
        greet(stream).await
    });
}

/// What the book prints of the member.
pub(crate) fn one_page() -> Result<String, Box<dyn Error>> {
    match Checker::new()
        .name("ch05/member")
        .run(|sim| world(sim, greet))
    {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the overwritten buffer was not found".into()),
    }
}

/// And of buffers that move.
pub(crate) fn one_each() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch05/owned");
    Ok(checker.run(|sim| world(sim, greet_owned))?.to_string())
}

// ---- when it is yours again

// ANCHOR: cancelled
/// A receive is cancelled, and wins or loses. Whose is the buffer?
pub(crate) fn cancelled() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for bytes_came_first in [false, true] {
        let mut hand = Hand::new(Config::default());
        let (client, server) = hand.connection("10.0.0.1:7")?;
        let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
        if bytes_came_first {
            hand.submit(Request::send(client, "hello"))?;
        }
        hand.cancel(recv)?;
        writeln!(out, "after the cancel:     {}", whose(&hand, recv))?;
        hand.step(Step::Complete(recv))?;
        writeln!(out, "after the completion: {}", whose(&hand, recv))?;
        let done = hand.reap().expect("just handed out");
        let end = match done.result {
            Ok(_) => format!("{} bytes", done.buf.len()),
            Err(error) if proactor::is_canceled(&error) => "cancelled".to_owned(),
            Err(error) => error.to_string(),
        };
        writeln!(out, "after the reap:       {}: {end}", whose(&hand, recv))?;
    }
    Ok(out)
}
// ANCHOR_END: cancelled

fn whose(hand: &Hand, op: OpId) -> &'static str {
    match hand.owner(op) {
        Some(Owner::Kernel) => "the kernel's",
        Some(Owner::Queue) => "in the queue",
        _ => "yours",
    }
}

// ---- a part of a buffer

// ANCHOR: parts
/// Reads that append to one buffer, and what each may fill.
pub(crate) fn parts() -> Result<String, Box<dyn Error>> {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build()?;
    world.add_file("/greeting", b"hello, world");
    let told = proactor.block_on(async {
        let mut out = String::new();
        let file = File::open(&proactor, "/greeting").await?;
        let (read, empty) = file.read_at(Vec::new(), 0).await;
        out += &format!("no capacity:       {}\n", read?);
        let (read, buffer) = file.read_at(Vec::with_capacity(64).slice(..5), 0).await;
        let buffer: Vec<u8> = buffer.into_inner();
        out += &format!("slice(..5):        {} {:?}\n", read?, text(&buffer));
        let end = buffer.len();
        let (read, buffer) = file.read_at(buffer.slice(end..), end as u64).await;
        let buffer = buffer.into_inner();
        out += &format!("slice(len..):      {} {:?}\n", read?, text(&buffer));
        let full = vec![b'-'; 16];
        let (read, full) = file.read_at(full, 0).await;
        out += &format!("16 bytes of dash:  {} {:?}\n", read?, text(&full));
        drop(empty);
        io::Result::Ok(out)
    });
    Ok(told??)
}
// ANCHOR_END: parts

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
