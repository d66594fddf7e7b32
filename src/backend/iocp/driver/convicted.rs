//! Each [`Mistake`] of the driver, convicted on the simulated port: what is well with the driver as it is goes wrong with
//! it, in one of a few hundred random runs at the latest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::mistake::{Mistake, making};
use crate::net::{TcpListener, TcpStream};
use crate::sim::tests::Random;
use crate::sim::{Config, Door, World};
use crate::{Proactor, is_canceled};

/// In 256: how often a run deviates.
const ODDS: u64 = 85;

/// Runs `body` behind the port. What was wrong.
fn run(seed: u64, body: fn(&Proactor)) -> Result<(), String> {
    let config = Config {
        door: Door::Port,
        faults_per_operation: 0,
        ..Config::default()
    };
    let world = World::new(config, Box::new(Random::new(seed, ODDS)));
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let proactor = Proactor::builder()
            .simulated(&world)
            .build()
            .expect("the world is this thread's");
        body(&proactor);
        drop(proactor);
        world.finish();
    }));
    match (ran, world.violation()) {
        (_, Some(violation)) => Err(violation.to_string()),
        (Ok(()), None) => Ok(()),
        (Err(panic), None) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
            .unwrap_or_default()),
    }
}

const SEEDS: u64 = 300;

#[track_caller]
fn convicts(mistake: Mistake, body: fn(&Proactor)) {
    for seed in 0..SEEDS {
        assert_eq!(run(seed, body), Ok(()), "seed {seed}, without the mistake");
    }
    let found = (0..SEEDS).find_map(|seed| making(mistake, || run(seed, body)).err());
    assert!(found.is_some(), "{mistake:?} goes unseen");
}

fn pair(proactor: &Proactor) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(proactor, "127.0.0.1:0").expect("an address");
    let addr = listener.local_addr().expect("it listens");
    proactor
        .block_on(async move {
            let client = TcpStream::connect(proactor, addr).await.expect("connects");
            let (server, _) = listener.accept().await.expect("accepts");
            (client, server)
        })
        .expect("it runs")
}

/// Bytes go there and back, whatever is ready at once.
fn echoes(proactor: &Proactor) {
    let (client, server) = pair(proactor);
    let got = proactor.block_on(async {
        for round in 0..4_u8 {
            let (sent, _) = client.write(vec![round; 3]).await;
            assert_eq!(sent.expect("it is sent"), 3);
            let (_, buf) = server.read(Vec::with_capacity(8)).await;
            assert_eq!(buf, [round; 3]);
        }
    });
    got.expect("it runs");
}

/// A receive that is asked to end, beside bytes that come: it has them, or it was cancelled and the next has them.
/// What was lent stays where it is for ever: a driver that takes a receive for ended too early leaves it with the kernel.
fn cancels(proactor: &Proactor) {
    let (client, server) = pair(proactor);
    let got = proactor.block_on(async {
        for round in 0..4_u8 {
            let mut read = server.read(Vec::with_capacity(8));
            let handle = read.cancel_handle();
            let read = proactor.spawn(read.into_future());
            let (sent, _) = client.write(vec![round; 3]).await;
            assert_eq!(sent.expect("it is sent"), 3);
            handle.cancel();
            let buf = match read.await.expect("it ends") {
                (Ok(_), buf) => buf.leak(),
                (Err(error), buf) => {
                    buf.leak();
                    assert!(is_canceled(&error), "{error}");
                    server.read(Vec::with_capacity(8)).await.1.leak()
                }
            };
            assert_eq!(buf, [round; 3]);
        }
    });
    got.expect("it runs");
}

/// A receive that nothing comes for ends cancelled.
fn gives_up(proactor: &Proactor) {
    let (_client, server) = pair(proactor);
    let (result, _) = proactor
        .block_on(
            server
                .read(Vec::with_capacity(8))
                .timeout(Duration::from_secs(1)),
        )
        .expect("it runs");
    assert_eq!(
        result.expect_err("nothing comes").kind(),
        std::io::ErrorKind::TimedOut
    );
}

/// The peer resets.
fn is_reset(proactor: &Proactor) {
    let (client, server) = pair(proactor);
    client.set_linger(Some(Duration::ZERO)).expect("it is open");
    client.close();
    let (result, _) = proactor
        .block_on(server.read(Vec::with_capacity(8)))
        .expect("it runs");
    assert_eq!(
        result.expect_err("it was reset").kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[test]
fn a_packet_for_a_success_that_was_thought_skipped() {
    convicts(Mistake::SkipsOnEveryHandle, echoes);
}

#[test]
fn no_packet_for_a_success_that_skips_it() {
    convicts(Mistake::WaitsForever, echoes);
}

#[test]
fn an_abort_that_is_told_as_a_reset() {
    convicts(Mistake::AbortIsAReset, gives_up);
}

#[test]
fn a_reset_that_is_told_as_the_end() {
    convicts(Mistake::ResetIsTheEnd, is_reset);
}

#[test]
fn found_is_no_end_and_the_overlapped_is_not_used_again() {
    convicts(Mistake::FoundIsTheEnd, cancels);
}

#[test]
fn not_found_is_no_end_either() {
    convicts(Mistake::NotFoundIsTheEnd, cancels);
}
