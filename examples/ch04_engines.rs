//! Chapter 4 of the book: what is below a proactor. An emulation over readiness, a pool of threads, three kernels.
//!
//! ```text
//! cargo run --example ch04_engines
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::time::Duration;

use proactor::check::{self, Checker, Sim};
use proactor::choice::Kind;
use proactor::fs::File;
use proactor::sim::hand::{Interest, Stream};
use proactor::sim::{Config, Hand, Personality, World, legality};
use proactor::{Handle, Proactor};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}\n{}", silent()?, honest()?);
    println!("{}\n{}\n{}", emulated()?, pool()?, kernels()?);
    Ok(())
}

// ---- three variants in three languages, and what the second does with an error

// ANCHOR: silent
/// A whole file, as in the article: whatever goes wrong, the reader gets nothing, and no word of it.
async fn read_silently(proactor: &Handle, path: &str) -> Vec<u8> {
    read(proactor, path).await.unwrap_or_default()
}

fn three_files(sim: &Sim) {
    for (path, text) in [("/1", "alpha"), ("/2", "beta"), ("/3", "gamma")] {
        sim.file(path, text.as_bytes());
    }
    let proactor = sim.proactor();
    let combined = proactor.block_on(async {
        let mut all = read_silently(proactor, "/1").await;
        all.extend(read_silently(proactor, "/2").await);
        all.extend(read_silently(proactor, "/3").await);
        all
    });
    let text = String::from_utf8(combined.unwrap()).unwrap();
    assert_eq!(
        text, "alphabetagamma",
        "this is written as the combined file"
    );
}
// ANCHOR_END: silent

async fn read(proactor: &Handle, path: &str) -> io::Result<Vec<u8>> {
    let file = File::open(proactor, path).await?;
    let mut all = Vec::new();
    loop {
        let (read, part) = file.read_at(Vec::with_capacity(64), all.len() as u64).await;
        match read? {
            0 => return Ok(all),
            _ => all.extend(part),
        }
    }
}

// ANCHOR: honest
fn three_files_honestly(sim: &Sim) {
    for (path, text) in [("/1", "alpha"), ("/2", "beta"), ("/3", "gamma")] {
        sim.file(path, text.as_bytes());
    }
    let proactor = sim.proactor();
    let combined = proactor.block_on(async {
        let mut all = read(proactor, "/1").await?;
        all.extend(read(proactor, "/2").await?);
        all.extend(read(proactor, "/3").await?);
        io::Result::Ok(all)
    });
    // An error: nothing is written, and whoever asked hears why.
    if let Ok(all) = combined.unwrap() {
        assert_eq!(all, b"alphabetagamma");
    }
}
// ANCHOR_END: honest

/// What the book prints of the silent variant.
pub(crate) fn silent() -> Result<String, Box<dyn Error>> {
    match Checker::new().name("ch04/silent").run(three_files) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the silent error was not found".into()),
    }
}

/// And of the honest one.
pub(crate) fn honest() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch04/honest");
    Ok(checker.run(three_files_honestly)?.to_string())
}

// ---- a proactor on a reactor

// ANCHOR: emulated
/// A proactor with one kind of operation, on a kernel that only says what is ready.
struct Emulated {
    hand: Hand,
    /// What was initiated and has not ended.
    waiting: VecDeque<Read>,
    /// Whether a read that finds nothing waits on.
    patient: bool,
}

struct Read {
    stream: Stream,
    buffer: Vec<u8>,
    handler: Handler,
}

type Handler = Box<dyn FnOnce(io::Result<usize>, Vec<u8>)>;

impl Emulated {
    /// The initiating function: remembers, and returns.
    fn read(&mut self, stream: Stream, buffer: Vec<u8>, handler: Handler) {
        self.waiting.push_back(Read {
            stream,
            buffer,
            handler,
        });
    }

    /// One turn of the reactor that is hidden inside: wait, do the I/O, call the handler.
    fn run_one(&mut self) {
        let Some(mut read) = self.waiting.pop_front() else {
            return;
        };
        let interest = (read.stream.into(), Interest::Read);
        self.hand.wait(&[interest], Duration::ZERO);
        let result = self.hand.try_read(read.stream, &mut read.buffer);
        match result {
            // Readiness is a hint. To a completion handler this error would mean nothing.
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.patient => {
                self.waiting.push_back(read);
            }
            result => (read.handler)(result, read.buffer),
        }
    }
}
// ANCHOR_END: emulated

/// What the book prints of it.
pub(crate) fn emulated() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for patient in [false, true] {
        let name = if patient { "patient" } else { "hasty" };
        writeln!(out, "{name}")?;
        let mut hand = Hand::new(Config::default());
        let (client, server) = hand.connection("10.0.0.1:7")?;
        hand.decide("spurious: ready")?;
        let mut engine = Emulated {
            hand,
            waiting: VecDeque::new(),
            patient,
        };
        let (tell, told) = std::sync::mpsc::channel();
        let handler = move |result: io::Result<usize>, buffer: Vec<u8>| {
            let _ = tell.send((result, buffer));
        };
        engine.read(server, vec![0; 16], Box::new(handler));
        engine.run_one();
        writeln!(out, "  the kernel says: readable. It is not.")?;
        if engine.waiting.is_empty() {
            let (result, _) = told.try_recv()?;
            let kind = result.map_err(|error| error.kind());
            writeln!(out, "  the handler is told: {kind:?}")?;
            continue;
        }
        writeln!(out, "  the read waits on, and no handler runs")?;
        engine.hand.try_write(client, b"hello")?;
        engine.run_one();
        let (result, buffer) = told.try_recv()?;
        let text = String::from_utf8_lossy(&buffer[..5]).into_owned();
        writeln!(out, "  the handler is told: {result:?}, {text:?}")?;
    }
    Ok(out)
}

// ---- a pool of threads

// ANCHOR: pool
const DISK: Duration = Duration::from_secs(1);
const LOOKUP: Duration = Duration::from_millis(1);

/// Four reads from a disk that has gone slow, and behind them a name to be looked up: when is it known?
fn looked_up(threads: usize) -> io::Result<Duration> {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(threads).build()?;
    let known = proactor.block_on(async {
        for _ in 0..4 {
            proactor.offload(|| check::busy(DISK)).then(|_| {});
        }
        let lookup = proactor.offload(|| check::busy(LOOKUP));
        lookup.await.map(|()| proactor.now().since_start())
    });
    known.map_err(io::Error::other)?
}
// ANCHOR_END: pool

/// What the book prints of it.
pub(crate) fn pool() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    for threads in [1, 2, 4, 5, 8] {
        let took = looked_up(threads)?;
        writeln!(out, "{threads} threads: the name is known after {took:?}")?;
    }
    Ok(out)
}

// ---- three kernels

// ANCHOR: kernels
/// Of some freedoms, what each kind of kernel has of them: from the table that the simulated kernel runs on.
pub(crate) fn kernels() -> Result<String, Box<dyn Error>> {
    let kernels = [Personality::Ring, Personality::Port, Personality::Readiness];
    let mut out = String::new();
    for name in ["recv", "send", "send more than fits", "write", "readiness"] {
        let all = legality();
        let mut found = all.transitions().filter(|it| it.name == name);
        let transition = found.next().ok_or(name)?;
        writeln!(out, "{name}")?;
        for kernel in kernels {
            let of_it = |it: &&_| has(it, kernel);
            let outcomes = transition.outcomes.iter().filter(of_it);
            let words: Vec<&str> = outcomes.map(|it| it.word).collect();
            let words = match words.is_empty() {
                true => "-".to_owned(),
                false => words.join(", "),
            };
            writeln!(out, "  {:<10} {words}", kernel.name())?;
        }
    }
    Ok(out)
}
// ANCHOR_END: kernels

fn has(outcome: &proactor::sim::OutcomeClass, kernel: Personality) -> bool {
    outcome.personalities.has(kernel)
}
