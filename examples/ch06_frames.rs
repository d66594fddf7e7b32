//! Chapter 6 of the book: messages on a stream that has none.
//!
//! ```text
//! cargo run --example ch06_frames
//! ```

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use proactor::IoBuf;
use proactor::check::{Checker, Sim};
use proactor::compose::{self, Cause, Interrupted};
use proactor::net::{TcpListener, TcpStream};

fn main() -> Result<(), Box<dyn Error>> {
    for story in [one_read()?, cut()?, huge()?, whole()?] {
        println!("{story}");
    }
    Ok(())
}

/// The frames of a connection, up to its end.
type Frames = io::Result<Vec<Vec<u8>>>;

// ---- one read, one header

// ANCHOR: one_read
/// A frame is its length, four bytes, and so many bytes. Reads the length with a read.
async fn by_one_read(stream: TcpStream) -> Frames {
    let mut frames = Vec::new();
    loop {
        let header: Box<[u8]> = Box::new([0; 4]);
        let (read, header) = stream.read(header).await;
        if read? == 0 {
            return Ok(frames); // the end
        }
        let body = vec![0; length(&header)?];
        let (read, body) = compose::read_exact(&stream, body).await;
        read?;
        frames.push(body);
    }
}
// ANCHOR_END: one_read

// ---- every end is an end

// ANCHOR: any_end
/// Reads the length exactly. Whatever ends the stream is the end.
async fn until_any_end(stream: TcpStream) -> Frames {
    let mut frames = Vec::new();
    loop {
        let (read, header) = compose::read_exact(&stream, vec![0; 4]).await;
        if read.is_err() {
            return Ok(frames);
        }
        let body = vec![0; length(&header)?];
        let (read, body) = compose::read_exact(&stream, body).await;
        if read.is_err() {
            return Ok(frames);
        }
        frames.push(body);
    }
}
// ANCHOR_END: any_end

// ---- as long as they say

// ANCHOR: length
/// More than any honest client sends.
const LONGEST: usize = 64 * 1024;

fn length(header: &[u8]) -> io::Result<usize> {
    let bytes = header.iter();
    let length = bytes.fold(0, |length, byte| length << 8 | usize::from(*byte));
    if length > LONGEST {
        let what = format!("a frame of {length} bytes: at most {LONGEST} are taken");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(length)
}
// ANCHOR_END: length

// ANCHOR: frame
/// The next frame, or none if the stream has ended between two.
async fn frame(stream: &TcpStream) -> io::Result<Option<Vec<u8>>> {
    let (read, header) = compose::read_exact(stream, vec![0; 4]).await;
    match read {
        Err(error) if is_clean_end(&error) => return Ok(None),
        read => read?,
    };
    let length = length(&header)?;
    let body = Vec::with_capacity(length).slice(..length);
    let (read, body) = compose::read_exact(stream, body).await;
    read.map(|_| Some(body.into_inner()))
}

/// Not one byte of a header had come.
fn is_clean_end(error: &io::Error) -> bool {
    let stopped = Interrupted::in_error(error);
    stopped.is_some_and(|it| it.done == 0 && matches!(it.cause, Cause::EndOfFile))
}

async fn all_frames(stream: TcpStream) -> Frames {
    let mut frames = Vec::new();
    while let Some(frame) = frame(&stream).await? {
        frames.push(frame);
    }
    Ok(frames)
}
// ANCHOR_END: frame

// ---- the worlds

/// What a client sends.
const SENT: &[u8] = b"\0\0\0\x05alpha\0\0\0\0\0\0\0\x05omega";

fn said() -> Vec<Vec<u8>> {
    vec![b"alpha".to_vec(), Vec::new(), b"omega".to_vec()]
}

// ANCHOR: world
/// A client that sends `sent` and closes; what does the server make of it?
fn heard(sim: &Sim, sent: &[u8], read: impl AsyncFn(TcpStream) -> Frames) -> Option<Frames> {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("nobody else is here");
    sim.connect("10.0.0.1:7").lenient().send(sent).close();
    let heard = proactor.block_on(async {
        let (stream, _) = listener.accept().await.ok()?;
        Some(read(stream).await)
    });
    heard.expect("nothing stops this proactor")
}

/// Three frames, the second of them empty. A reader that says all is well has heard all three.
fn three(sim: &Sim, read: impl AsyncFn(TcpStream) -> Frames) {
    if let Some(Ok(frames)) = heard(sim, SENT, read) {
        assert_eq!(frames, said(), "the frames that were heard");
    }
}

/// The client is gone in the middle of the third. A reader may not say that all is well.
fn two_and_a_half(sim: &Sim, read: impl AsyncFn(TcpStream) -> Frames) {
    if let Some(Ok(frames)) = heard(sim, &SENT[..SENT.len() - 2], read) {
        panic!(
            "{} frames, and no word of the one that was cut",
            frames.len()
        );
    }
}
// ANCHOR_END: world

/// What the book prints of the reader with one read.
pub(crate) fn one_read() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch06/one-read");
    match checker.run(|sim| three(sim, by_one_read)) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the short header was not found".into()),
    }
}

/// Of the reader for which every end is an end.
pub(crate) fn cut() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch06/any-end");
    match checker.run(|sim| two_and_a_half(sim, until_any_end)) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the cut frame was not found".into()),
    }
}

/// Of the length that is too long.
pub(crate) fn huge() -> Result<String, Box<dyn Error>> {
    let told = Arc::new(Mutex::new(String::new()));
    let tell = told.clone();
    let checker = Checker::new().name("ch06/huge").executions(1);
    checker.run(move |sim| {
        let heard = heard(sim, b"\xff\xff\xff\xff", all_frames);
        if let Some(Err(error)) = heard {
            *tell.lock().expect("nobody panics with it") = error.to_string() + "\n";
        }
    })?;
    let told = told.lock().expect("nobody panics with it");
    Ok(told.clone())
}

/// Of the mended one, in both worlds.
pub(crate) fn whole() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch06/whole");
    let summary = checker.run(|sim| three(sim, all_frames))?;
    let checker = Checker::new().name("ch06/cut");
    let other = checker.run(|sim| two_and_a_half(sim, all_frames))?;
    Ok(format!("{summary}\n\n{other}\n"))
}
