//! Exercise 7: a server whose answers cost 50 ms each, and whose handlers cost nothing.

use std::io;
use std::time::Duration;

use proactor::check::{self, Sim};
use proactor::net::{TcpListener, TcpStream};
use proactor::{Proactor, compose};

use crate::checked::{ADDRESS, UNBROKEN, World, in_all, promise};
use crate::verdict::Check;

/// So long is every request, and every answer.
pub const LENGTH: usize = 8;

/// The answer to whom the pool has no place for.
pub const BUSY: [u8; LENGTH] = *b"come bac";

/// The answer to a request. On a real machine it would take 50 ms of a processor; in a simulation it says so.
#[must_use]
pub fn digest(request: &[u8]) -> [u8; LENGTH] {
    check::busy(Duration::from_millis(50));
    hash(request)
}

/// What a handler may take.
const BUDGET: Duration = Duration::from_millis(1);

/// Checks a handler that answers a client's requests, one after the other, until the client has ended.
pub fn check(serve: fn(TcpStream)) -> Check {
    in_all(vec![
        World::new("ex07_never_block/quiet", move |sim| world(sim, serve, true))
            .without_faults()
            .budget(BUDGET),
        World::new("ex07_never_block", move |sim| world(sim, serve, false)).budget(BUDGET),
    ])
}

/// To each request its answer, and nothing else.
const ANSWERED: &str = "a request is answered by its digest, or by BUSY";
/// And not by `BUSY` alone.
const SERVED: &str = "who finds room in the pool is given a digest";

/// Three clients, one of them with two requests, a fourth that does not stay for its answer, and a pool in which one job
/// runs and one waits.
fn world(sim: &Sim, serve: fn(TcpStream), is_quiet: bool) {
    let built = Proactor::builder()
        .simulated(sim.world())
        .offload_threads(1)
        .offload_queue(1)
        .build();
    let proactor =
        built.unwrap_or_else(|error| panic!("a simulated proactor can be built: {error}"));
    let listener = TcpListener::bind(&proactor, ADDRESS);
    let listener = listener.unwrap_or_else(|error| panic!("nobody else is here: {error}"));
    accept(listener.clone(), serve);
    let requests: [&[&[u8; LENGTH]]; 3] =
        [&[b"pilchard", b"mackerel"], &[b"sardines"], &[b"anchovis"]];
    let clients = requests.map(|requests| proactor.spawn(client(proactor.handle(), requests)));
    drop(proactor.spawn(leaver(proactor.handle())));
    let ends = proactor.block_on(async {
        let mut ends = Vec::new();
        for client in clients {
            ends.push(
                client
                    .await
                    .unwrap_or_else(|error| Err(io::Error::other(error))),
            );
        }
        ends
    });
    let ends = ends.unwrap_or_else(|error| panic!("nothing stops it: {error}"));
    let mut digests = 0;
    for end in ends {
        match end {
            Ok(Heard::Digests(count)) => digests += count,
            Ok(Heard::Wrong(what)) => promise(sim, false, ANSWERED, || what),
            Err(error) => promise(sim, !is_quiet, UNBROKEN, || {
                format!("a client was not answered: {error}")
            }),
        }
    }
    promise(sim, !is_quiet || digests > 0, SERVED, || {
        "the pool was empty, and nobody was given a digest".to_owned()
    });
    listener.close();
    let _ = proactor.run();
}

fn accept(listener: TcpListener, serve: fn(TcpStream)) {
    listener.accept().then(move |accepted| match accepted {
        Err(error) if proactor::is_canceled(&error) => {} // closed
        other => {
            if let Ok((stream, _)) = other {
                serve(stream);
            }
            accept(listener, serve);
        }
    });
}

/// Asks, and is gone.
async fn leaver(handle: proactor::Handle) -> io::Result<()> {
    let stream = TcpStream::connect(&handle, ADDRESS).await?;
    stream.set_linger(Some(Duration::ZERO))?;
    compose::write_all(&stream, "stowaway").await.0?;
    Ok(())
}

/// What a client has heard.
enum Heard {
    /// So many digests.
    Digests(u32),
    /// Something that is no answer.
    Wrong(String),
}

/// Asks one thing after the other.
async fn client(
    handle: proactor::Handle,
    requests: &'static [&'static [u8; LENGTH]],
) -> io::Result<Heard> {
    let mut digests = 0;
    let stream = TcpStream::connect(&handle, ADDRESS).await?;
    for request in requests {
        compose::write_all(&stream, request.as_slice()).await.0?;
        let (heard, answer) = compose::read_exact(&stream, vec![0; LENGTH]).await;
        heard?;
        let expected = hash(*request);
        if answer != expected && answer != BUSY {
            return Ok(Heard::Wrong(format!(
                "the answer to {:?} is {answer:?}: it should be {expected:?}, its digest, or BUSY",
                String::from_utf8_lossy(*request)
            )));
        }
        digests += u32::from(answer == expected);
    }
    stream.shutdown(std::net::Shutdown::Write).await?;
    let (heard, rest) = compose::read_to_end(&stream, Vec::new(), LENGTH).await;
    heard?;
    Ok(match rest.is_empty() {
        true => Heard::Digests(digests),
        false => Heard::Wrong(format!(
            "the client has ended, and hears {rest:?} behind its last answer"
        )),
    })
}

/// FNV-1a, for want of something slower.
fn hash(request: &[u8]) -> [u8; LENGTH] {
    let start = 0xcbf2_9ce4_8422_2325_u64;
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    request.iter().fold(start, mix).to_be_bytes()
}
