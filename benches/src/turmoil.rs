//! The simulated kernel beside [turmoil](https://docs.rs/turmoil): the same echo, in one process, in turn.
//!
//! turmoil simulates hosts and a network below tokio's API, not a kernel: no decision is taken of what
//! an operation may bring, and nothing watches the buffers. It is what people use for this today. Its links
//! are set to no latency and no loss, which is the fastest that it can do.

use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter::processor_time;
use crate::sim::{self, Mode};
use crate::table::{Size, per};

/// How many times less a message is to cost than on turmoil, in the kind schedule.
const BARS: [(usize, f64); 2] = [(1, 15.0), (64, 3.0)];

/// Prints the comparison. False: something is over its bar.
pub fn print(size: Size) -> Result<bool, Box<dyn Error>> {
    let (rounds, messages) = match size {
        Size::Full => (5, 200_000),
        Size::Quick => (3, 20_000),
    };
    println!();
    println!("the same echo on turmoil, one process, in turn; processor time of a message one way");
    println!(
        "{:>11} {:>11} {:>11} {:>7} {:>11} {:>11} {:>7}",
        "connections", "turmoil", "kind", "times", "bar", "random", "times"
    );
    let mut good = true;
    for (connections, bar) in BARS {
        let mut costs = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            costs[0].push(time(messages, || echo(connections, messages))?);
            for (mode, costs) in [Mode::Kind, Mode::Random].into_iter().zip(&mut costs[1..]) {
                // Shorter runs say little of what is fast.
                let messages = 10 * messages;
                costs.push(time(messages, || {
                    sim::echo(mode, connections, messages, || {}).map(drop)
                })?);
            }
        }
        let [turmoil, kind, random] = costs.map(|mut costs| {
            costs.sort_by(f64::total_cmp);
            costs[costs.len() / 2]
        });
        good &= turmoil / kind >= bar;
        println!(
            "{connections:>11} {turmoil:>8.0} ns {kind:>8.1} ns {:>7.1} {:>11} {random:>8.1} ns {:>7.1}",
            turmoil / kind,
            format!("{bar:.0}"),
            turmoil / random,
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
fn echo(connections: usize, messages: u64) -> Result<(), Box<dyn Error>> {
    let mut simulation = turmoil::Builder::new()
        .simulation_duration(Duration::MAX)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .rng_seed(1)
        .build();
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
