//! The tour: one small server, checked on the simulated kernel, then run on this machine's own.
//!
//! ```text
//! cargo run --example tour
//! ```
//!
//! The server answers frames: a length byte, then so many bytes, which come back reversed. It exists
//! twice: [`forgetful`] has the bug that everybody writes once, [`mended`] has not.

use std::process::ExitCode;
use std::time::Instant;

use proactor::check::{Checker, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::{Handle, IoBuf, Proactor, compose};

/// Serves one connection, in callback style.
pub(crate) type Serve = fn(TcpStream);

/// Takes what one read brought for the whole frame. Every test on a quiet machine passes.
pub(crate) fn forgetful(stream: TcpStream) {
    stream
        .read(Vec::with_capacity(256))
        .then(move |(read, frame)| {
            if let Ok(1..) = read {
                reply(stream, &frame[1..], forgetful);
            }
        });
}

/// Reads the length, then exactly so many bytes.
pub(crate) fn mended(stream: TcpStream) {
    compose::read_exact(&stream, vec![0].slice(..1)).then(move |(read, length)| {
        if read.is_err() {
            return; // the client has finished: dropping the stream closes it
        }
        let body = vec![0; usize::from(length[0])].slice(..usize::from(length[0]));
        compose::read_exact(&stream, body).then(move |(read, body)| {
            if read.is_ok() {
                reply(stream, &body, mended);
            }
        });
    });
}

fn reply(stream: TcpStream, body: &[u8], next: Serve) {
    let frame = frame(body.iter().rev());
    compose::write_all(&stream, frame).then(move |(written, _)| {
        if written.is_ok() {
            next(stream);
        }
    });
}

/// A client, in async style: asks once, and the answer must be right if there is one.
async fn ask(stream: &TcpStream, word: &[u8]) -> std::io::Result<()> {
    compose::write_all(stream, frame(word.iter())).await.0?;
    let (read, length) = compose::read_exact(stream, vec![0].slice(..1)).await;
    read?;
    let (read, answer) = compose::read_exact(stream, vec![0; usize::from(length[0])]).await;
    read?;
    let right: Vec<u8> = word.iter().rev().copied().collect();
    assert_eq!(
        answer,
        right,
        "the answer to {:?} is wrong",
        String::from_utf8_lossy(word)
    );
    Ok(())
}

fn frame<'a>(body: impl ExactSizeIterator<Item = &'a u8>) -> Vec<u8> {
    std::iter::once(body.len() as u8)
        .chain(body.copied())
        .collect()
}

/// The world that is checked: this server, one client. A kernel may refuse or reset the connection;
/// then there is no answer. A wrong answer is never right.
pub(crate) fn world(sim: &Sim, serve: Serve) {
    let proactor = sim.proactor();
    let listener =
        TcpListener::bind(proactor, "10.0.0.1:7").expect("a fresh kernel has this address free");
    let accept = listener.accept();
    accept.then(move |accepted| {
        drop(listener); // one client is all; if it can't be let in it is turned away
        if let Ok((stream, _)) = accepted {
            serve(stream);
        }
    });
    let client = async {
        let stream = TcpStream::connect(proactor, "10.0.0.1:7").await?;
        ask(&stream, b"stressed").await
    };
    let _ = proactor.block_on(client);
}

fn main() -> ExitCode {
    println!(
        "1. The forgetful server on the simulated kernel, under every behaviour that is legal:\n"
    );
    match Checker::new()
        .name("tour/forgetful")
        .run(|sim| world(sim, forgetful))
    {
        Err(failure) => println!("{failure}"),
        Ok(summary) => {
            println!("The planted bug was not found. That is a bug in the checker.\n{summary}");
            return ExitCode::FAILURE;
        }
    }

    println!("\n2. The mended server, the same search:\n");
    match Checker::new()
        .name("tour/mended")
        .run(|sim| world(sim, mended))
    {
        Ok(summary) => println!("{summary}"),
        Err(failure) => {
            println!("{failure}");
            return ExitCode::FAILURE;
        }
    }

    println!("\n3. The mended server on this machine's own kernel, the very same handlers:\n");
    let proactor = match Proactor::new() {
        Ok(proactor) => proactor,
        Err(why) => {
            println!("skipped: {why}");
            return ExitCode::SUCCESS;
        }
    };
    match serve_for_real(&proactor) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

const CLIENTS: usize = 32;
const QUESTIONS: usize = 500;

fn serve_for_real(proactor: &Proactor) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(proactor, "127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    println!("{} at {addr}", proactor.describe());
    accept(listener.clone());
    let begin = Instant::now();
    let handle = proactor.handle();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            proactor.spawn(async move {
                let stream = TcpStream::connect(&handle, addr).await?;
                for _ in 0..QUESTIONS {
                    ask(&stream, b"desserts").await?;
                }
                std::io::Result::Ok(())
            })
        })
        .collect();
    proactor.block_on(async {
        for client in clients {
            client.await??;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    })??;
    println!(
        "{} answers to {CLIENTS} clients, each of them right, in {:.0?}",
        CLIENTS * QUESTIONS,
        begin.elapsed()
    );
    listener.close();
    proactor.run()?;
    let left = handle_count(&proactor.handle());
    println!("left open at the end: {left}");
    if left == 0 {
        Ok(())
    } else {
        Err("something was left open".into())
    }
}

fn accept(listener: TcpListener) {
    listener.accept().then(move |accepted| {
        if let Ok((stream, _)) = accepted {
            mended(stream);
            accept(listener);
        }
    });
}

fn handle_count(proactor: &Handle) -> usize {
    proactor.stats().objects + proactor.stats().operations
}
