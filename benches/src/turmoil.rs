//! The simulated kernel beside [turmoil](https://docs.rs/turmoil): the same echo, in one process, in turn.
//!
//! turmoil simulates hosts and a network below tokio's API, not a kernel: no decision is taken of what
//! an operation may bring, and nothing watches the buffers. It is what people use for this today. Its time
//! goes in ticks, and by its default links a message takes several: they are measured, and links
//! without latency, which are the fastest that it can do.

use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter::processor_time;
use crate::pairs;
use crate::sim::Mode;
use crate::table::{Size, per};

/// How many times less a message is to cost than on turmoil, in the kind schedule.
const BARS: [(usize, f64); 2] = [(1, 15.0), (64, 3.0)];

/// Prints the comparison. False: something is over its bar.
pub fn print(size: Size) -> Result<bool, Box<dyn Error>> {
    let (rounds, messages) = match size {
        Size::Full => (5, 100_000),
        Size::Quick => (3, 10_000),
    };
    println!();
    println!(
        "the same echo on turmoil, one process, in turn: processor time of a message one way;"
    );
    println!("turmoil's hosts by its default links, and by links without latency");
    println!(
        "{:>11} {:>10} {:>10} {:>10} {:>10} | {:>7} {:>5} {:>7} | {:>7} {:>7}",
        "connections",
        "turmoil",
        "at once",
        "kind",
        "random",
        "kind",
        "bar",
        "at once",
        "random",
        "at once"
    );
    let mut good = true;
    for (connections, bar) in BARS {
        let mut costs = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            for (latency, costs) in [true, false].into_iter().zip(&mut costs[..2]) {
                costs.push(time(messages, || echo(connections, messages, latency))?);
            }
            for (mode, costs) in [Mode::Kind, Mode::Random].into_iter().zip(&mut costs[2..]) {
                // Shorter runs say little of what is fast.
                let messages = 10 * messages;
                costs.push(time(messages, || {
                    pairs::echo(mode, connections, messages, || {}).map(drop)
                })?);
            }
        }
        let [turmoil, at_once, kind, random] = costs.map(|mut costs| {
            costs.sort_by(f64::total_cmp);
            costs[costs.len() / 2]
        });
        good &= turmoil / kind >= bar;
        println!(
            "{connections:>11} {turmoil:>7.0} ns {at_once:>7.0} ns {kind:>7.1} ns {random:>7.1} ns | \
             {:>7.1} {bar:>5} {:>7.1} | {:>7.1} {:>7.1}",
            turmoil / kind,
            at_once / kind,
            turmoil / random,
            at_once / random,
        );
    }
    Ok(good)
}

/// Nanoseconds of each message one way.
fn time(
    round_trips: u64,
    run: impl FnOnce() -> Result<(), Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    let before = processor_time();
    run()?;
    Ok(per(processor_time() - before, 2 * round_trips))
}

/// `messages` there and back, on so many connections of two hosts.
fn echo(connections: usize, messages: u64, latency: bool) -> Result<(), Box<dyn Error>> {
    let mut builder = turmoil::Builder::new();
    builder.simulation_duration(Duration::MAX).rng_seed(1);
    if !latency {
        builder
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::ZERO);
    }
    let mut simulation = builder.build();
    simulation.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:7").await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut buffer = [0; MESSAGE];
                while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    simulation.client("client", async move {
        let mut clients = Vec::new();
        for index in 0..connections {
            let mut stream = TcpStream::connect("server:7").await?;
            clients.push(tokio::spawn(async move {
                let mut buffer = [index as u8; MESSAGE];
                for _ in 0..messages / connections as u64 {
                    stream.write_all(&buffer).await?;
                    stream.read_exact(&mut buffer).await?;
                }
                std::io::Result::Ok(())
            }));
        }
        for client in clients {
            client.await??;
        }
        Ok(())
    });
    simulation.run()
}
