//! Each [`Mistake`] of the driver is convicted: what is well with the driver as it is goes wrong with it, in one of a few
//! hundred random runs on the simulated port at the latest, or else in a script of [`on_fake`].

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::mistake::{Mistake, making};
use super::on_fake;
use crate::net::{TcpListener, TcpStream};
use crate::sim::tests::Random;
use crate::sim::{Config, Door, World};
use crate::{Proactor, is_canceled};

/// How one is convicted.
#[derive(Clone, Copy)]
enum By {
    /// By random runs of this.
    Runs(fn(&Proactor)),
    /// By a port that is told what to do.
    Script(fn()),
}

/// How many random runs, at most.
const SEEDS: u64 = 300;

const TABLE: [(Mistake, By); 13] = [
    (
        Mistake::WritesAfterTheCall,
        By::Script(on_fake::a_packet_may_be_taken_before_its_call_returns),
    ),
    (Mistake::SkipsOnEveryHandle, By::Runs(echoes)),
    (Mistake::WaitsForever, By::Runs(echoes)),
    (Mistake::ResetIsTheEnd, By::Runs(is_reset)),
    (Mistake::AbortIsAReset, By::Runs(gives_up)),
    (
        Mistake::ResetIsAnAbort,
        By::Script(on_fake::a_reset_that_comes_before_the_cancel_is_a_reset),
    ),
    (
        Mistake::ForgetsTheMark,
        By::Script(on_fake::a_ring_before_a_wait_ends_it),
    ),
    (
        Mistake::ForgetsTheMark,
        By::Script(on_fake::a_ring_in_its_sleep_ends_it),
    ),
    (
        Mistake::TrustsThePost,
        By::Script(on_fake::a_post_that_fails_is_made_again),
    ),
    (
        Mistake::TrustsThePost,
        By::Script(on_fake::a_wake_that_could_not_be_posted_is_late_and_not_lost),
    ),
    (Mistake::FoundIsTheEnd, By::Runs(cancels)),
    (Mistake::NotFoundIsTheEnd, By::Runs(cancels)),
    (
        Mistake::FollowsForeignPackets,
        By::Script(on_fake::a_packet_with_anothers_key_ends_nothing),
    ),
];

#[test]
fn every_mistake_is_convicted() {
    let mut table = String::new();
    for mistake in Mistake::ALL {
        assert!(
            TABLE.iter().any(|(one, _)| *one == mistake),
            "{mistake:?} is not in the table"
        );
    }
    for (mistake, by) in TABLE {
        let (how, wrong) = match by {
            By::Runs(body) => {
                for seed in 0..SEEDS {
                    assert_eq!(run(seed, body), Ok(()), "seed {seed}, without {mistake:?}");
                }
                let wrong = (0..SEEDS).find_map(|seed| making(mistake, || run(seed, body)).err());
                ("random runs", wrong)
            }
            By::Script(holds) => {
                holds();
                let wrong = making(mistake, || caught(holds)).err();
                ("a script", wrong)
            }
        };
        let wrong = wrong.unwrap_or_else(|| panic!("{mistake:?} goes unseen"));
        _ = writeln!(table, "{mistake:?}, by {how}: {}", in_short(&wrong));
    }
    insta::assert_snapshot!(table);
}

/// On one line, without what another line of this file or another seed would make different.
fn in_short(wrong: &str) -> String {
    let words = wrong.split_whitespace().map(|word| {
        let is_id = word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('/');
        if is_id { "it" } else { word }
    });
    let text = words.collect::<Vec<_>>().join(" ");
    let end = text.find(" started at").unwrap_or(text.len());
    text[..end].trim_end_matches(',').to_owned()
}

/// What its panic says.
fn caught(body: impl FnOnce()) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()))
            .unwrap_or_default()
    })
}

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
    let ran = caught(|| {
        let proactor = Proactor::builder()
            .simulated(&world)
            .build()
            .expect("the world is this thread's");
        body(&proactor);
        drop(proactor);
        world.finish();
    });
    match world.violation() {
        Some(violation) => Err(violation.to_string()),
        None => ran,
    }
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
