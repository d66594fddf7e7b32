//! Chapter 7 of the book: one slow handler, and everybody who waits behind it.
//!
//! ```text
//! cargo run --example ch07_never_block
//! ```

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::{self, Checker, Sim};
use proactor::choice::Kind;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, World};
use proactor::{Proactor, compose};

fn main() -> Result<(), Box<dyn Error>> {
    println!("{}\n{}", over_budget()?, within_budget()?);
    println!("{}\n{}\n{}", latencies()?, full()?, nested()?);
    Ok(())
}

// ---- the trap

// ANCHOR: hash
/// What a password hash costs, on purpose. A simulated handler takes no time: it says how much it would.
const HASH: Duration = Duration::from_millis(50);

fn hash(password: &[u8]) -> u64 {
    check::busy(HASH);
    password
        .iter()
        .fold(7, |hash, byte| hash * 31 + u64::from(*byte))
}
// ANCHOR_END: hash

// ANCHOR: in_the_handler
/// Answers a password with its hash.
fn in_the_handler(stream: TcpStream) {
    compose::read_exact(&stream, vec![0; 6]).then(move |(read, password)| {
        if read.is_ok() {
            let answer = hash(&password).to_be_bytes().to_vec();
            compose::write_all(&stream, answer).then(move |_| drop(stream));
        }
    });
}
// ANCHOR_END: in_the_handler

// ANCHOR: offloaded
/// The same, hashed elsewhere; the handler only says so, and returns.
fn offloaded(stream: TcpStream) {
    compose::read_exact(&stream, vec![0; 6]).then(move |(read, password)| {
        if read.is_ok() {
            let hashed = stream.handle().offload(move || hash(&password));
            hashed.then(move |hash| match hash {
                Ok(hash) => {
                    let answer = hash.to_be_bytes().to_vec();
                    compose::write_all(&stream, answer).then(move |_| drop(stream));
                }
                Err(_) => hang_up(&stream), // the pool is full: better no answer than a late one
            });
        }
    });
}
// ANCHOR_END: offloaded

fn hang_up(stream: &TcpStream) {
    // Refused only if the connection is broken already.
    let _ = stream.set_linger(Some(Duration::ZERO));
}

fn world(sim: &Sim, serve: fn(TcpStream)) {
    let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").expect("nobody else is here");
    listener.accept().then(move |accepted| {
        drop(listener);
        if let Ok((stream, _)) = accepted {
            serve(stream);
        }
    });
    let client = sim.connect("10.0.0.1:7");
    client.lenient().send("secret").read_some(8);
    drop(client);
    let _ = sim.proactor().run();
}

/// What the book prints of the handler that hashes.
pub(crate) fn over_budget() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch07/in-the-handler");
    let checker = checker.handler_budget(Duration::from_millis(1));
    match checker.run(|sim| world(sim, in_the_handler)) {
        Err(failure) => Ok(failure.to_string()),
        Ok(_) => Err("the slow handler was not found".into()),
    }
}

/// And of the one that has it hashed.
pub(crate) fn within_budget() -> Result<String, Box<dyn Error>> {
    let checker = Checker::new().name("ch07/offloaded");
    let checker = checker.handler_budget(Duration::from_millis(1));
    Ok(checker.run(|sim| world(sim, offloaded))?.to_string())
}

// ---- who waits behind it

// ANCHOR: requests
/// A request comes every 5 ms, whatever became of the others. One in so many is a login.
const REQUESTS: u32 = 400;
const EVERY: Duration = Duration::from_millis(5);

/// How long the requests that are no logins took, from the moment at which they were due.
pub(crate) fn ordinary(one_in: u32, threads: Option<usize>) -> io::Result<Vec<Duration>> {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(threads.unwrap_or(1)).build()?;
    let took = Arc::new(Mutex::new(Vec::new()));
    for number in 0..REQUESTS {
        let (handle, took) = (proactor.handle(), took.clone());
        drop(proactor.spawn(async move {
            let due = EVERY * number;
            let _ = handle.sleep(due).await;
            if number % one_in == 0 {
                let login = || hash(b"secret");
                match threads {
                    Some(_) => drop(handle.offload(login).await),
                    None => drop(login()),
                }
            } else {
                let waited = handle.now().since_start() - due;
                took.lock().expect("nobody panics with it").push(waited);
            }
        }));
    }
    proactor.run().map_err(io::Error::other)?;
    let mut took = took.lock().expect("nobody panics with it").clone();
    took.sort();
    Ok(took)
}
// ANCHOR_END: requests

/// What the book prints of them.
pub(crate) fn latencies() -> Result<String, Box<dyn Error>> {
    let mut out = String::new();
    writeln!(
        out,
        "a login is   hashed                p50     p99   worst"
    )?;
    for one_in in [40, 20, 10, 8] {
        for (how, threads) in [("in the handler", None), ("on a thread", Some(2))] {
            let took = ordinary(one_in, threads)?;
            let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_millis();
            let (p50, p99, worst) = (at(50), at(99), at(100));
            writeln!(
                out,
                "one in {one_in:<4}  {how:<15} {p50:>6} ms{p99:>5} ms{worst:>5} ms"
            )?;
        }
    }
    Ok(out)
}

// ---- a pool has an end

// ANCHOR: full
/// More logins at once than the pool takes.
pub(crate) fn full() -> Result<String, Box<dyn Error>> {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(1).offload_queue(2).build()?;
    let mut out = String::new();
    proactor.block_on(async {
        let started = (0..4).map(|_| proactor.offload(|| hash(b"secret")).into_future());
        let started: Vec<_> = started.collect();
        for (login, number) in started.into_iter().zip(1..) {
            let end = match login.await {
                Ok(_) => format!("after {:?}", proactor.now().since_start()),
                Err(error) => error.to_string(),
            };
            out += &format!("login {number}: {end}\n");
        }
    })?;
    Ok(out)
}
// ANCHOR_END: full

// ---- a handler that waits for another

// ANCHOR: nested
/// A task that wants an answer now, and blocks on it.
pub(crate) fn nested() -> Result<String, Box<dyn Error>> {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build()?;
    let told = proactor.block_on(async { proactor.block_on(async { "the answer" }) })?;
    Ok(match told {
        Ok(answer) => answer.to_owned(),
        Err(error) => format!("{error}\n"),
    })
}
// ANCHOR_END: nested
