//! The table: every server in one run, beside the loop written by hand.

use std::io;
use std::time::Duration;

use crate::child::{self, How, Run};
use crate::servers::Server;
use crate::{callgrind, locks, sim, switches};

/// How long it may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Minutes, for figures to be quoted.
    Full,
    /// Seconds: does it all run, and is nothing far off?
    Quick,
}

/// Instructions a request that the library promises at 64 connections.
fn bar(server: Server, connections: usize) -> Option<u64> {
    match (server, connections) {
        (Server::Callback, 64) => Some(420),
        (Server::Async, 64) => Some(620),
        _ => None,
    }
}

/// Prints the tables. False: something is over its bar.
pub fn print(size: Size) -> io::Result<bool> {
    let valgrind = callgrind::installed();
    if !valgrind {
        println!("valgrind is not installed: no instruction counts");
    }
    let mut good = true;
    for connections in [1, 64] {
        good &= echo(size, connections, valgrind)?;
    }
    good &= sim::print(size, valgrind)?;
    good &= switches::print(size, valgrind)?;
    good &= locks::print(size, valgrind)?;
    Ok(good)
}

/// The cost of one more request, in instructions and allocations: the difference of two run lengths.
pub struct Slope {
    pub instructions: f64,
    pub allocations: f64,
}

/// Two runs under callgrind, `a` and `b` long.
pub fn slope(a: (Run, u64, u64), b: (Run, u64, u64)) -> Slope {
    let requests = (b.2 - a.2) as f64;
    Slope {
        instructions: (b.1 as f64 - a.1 as f64) / requests,
        allocations: (b.0.allocations as f64 - a.0.allocations as f64) / requests,
    }
}

/// Run lengths for [`slope`].
pub fn lengths(size: Size, connections: usize) -> (u64, u64) {
    let base = match (size, connections) {
        (Size::Full, 1) => 2_000,
        (Size::Full, _) => 200 * connections as u64,
        (Size::Quick, 1) => 500,
        (Size::Quick, _) => 20 * connections as u64,
    };
    (base, 11 * base)
}

fn echo(size: Size, connections: usize, valgrind: bool) -> io::Result<bool> {
    // Processor time is noisy where the machine is shared: rounds in turn, and of each the median.
    let (rounds, requests) = match (size, connections) {
        (Size::Full, 1) => (5, 10_000),
        (Size::Full, _) => (5, 2_000 * connections as u64),
        (Size::Quick, 1) => (1, 2_000),
        (Size::Quick, _) => (1, 200 * connections as u64),
    };
    let mut runs = vec![Vec::new(); Server::ALL.len()];
    for _ in 0..rounds {
        for (server, runs) in Server::ALL.into_iter().zip(&mut runs) {
            runs.push(child::echo(How::Plain, server, connections, requests)?.0);
        }
    }
    let medians: Vec<_> = runs
        .into_iter()
        .map(|mut runs| {
            runs.sort_by_key(|run| run.processor);
            runs[runs.len() / 2]
        })
        .collect();

    println!();
    println!(
        "TCP echo, 64-byte messages, {connections} connection{}, one thread (but for `2-workers`)",
        if connections == 1 { "" } else { "s" }
    );
    println!(
        "{:10} {:>12} {:>7} {:>10} {:>9} {:>11} {:>11}",
        "", "instructions", "bar", "allocs", "CPU", "", ""
    );
    println!(
        "{:10} {:>12} {:>7} {:>10} {:>9} {:>11} {:>11}",
        "server", "/ request", "", "/ request", "/ request", "CPU / hand", "requests/s"
    );
    let mut good = true;
    let hand = per(medians[0].processor, requests);
    for (server, run) in Server::ALL.into_iter().zip(medians) {
        let (mut instructions, mut allocations) = ("-".to_owned(), "-".to_owned());
        let bar = bar(server, connections);
        // valgrind runs one thread at a time, and lets none run while another waits for its ring.
        if valgrind && server != Server::TwoWorkers {
            let slope = echo_slope(size, server, connections)?;
            instructions = format!("{:.0}", slope.instructions);
            allocations = format!("{:.3}", slope.allocations.abs());
            good &= bar.is_none_or(|bar| slope.instructions <= bar as f64);
        }
        let processor = per(run.processor, requests);
        println!(
            "{:10} {instructions:>12} {:>7} {allocations:>10} {processor:>6.0} ns {:>11.2} {:>11.0}",
            server.name(),
            bar.map_or(String::new(), |bar| format!("{bar}")),
            processor / hand,
            requests as f64 / run.wall.as_secs_f64(),
        );
    }
    Ok(good)
}

/// Runs a server twice under callgrind.
pub(crate) fn echo_slope(size: Size, server: Server, connections: usize) -> io::Result<Slope> {
    let (short, long) = lengths(size, connections);
    let mut ends = Vec::new();
    for requests in [short, long] {
        let name = format!("{}-{connections}-{requests}", server.name());
        let (run, out) = child::echo(How::Callgrind(&name), server, connections, requests)?;
        let total = callgrind::read(&out.expect("under callgrind"))?.total;
        ends.push((run, total, requests));
    }
    Ok(slope(ends[0], ends[1]))
}

/// Nanoseconds of each.
pub fn per(time: Duration, count: u64) -> f64 {
    time.as_nanos() as f64 / count as f64
}
