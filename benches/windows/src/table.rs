//! The table: each piece of work done by each runtime in turn, several times; medians, as ratios.

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::{BLOCK, BLOCKS, beside_compio, beside_tokio, ours};

/// How much longer than compio's ours may take: what is within it is noise, where others use the machine.
const BAR: f64 = 1.15;

type Echo = fn(usize, u64) -> io::Result<Duration>;
type Read = fn(&Path, usize, u64) -> io::Result<Duration>;

struct Runtime {
    name: &'static str,
    echo: Echo,
    read: Read,
}

const RUNTIMES: [Runtime; 3] = [
    Runtime {
        name: "proactor",
        echo: ours::echo,
        read: ours::read,
    },
    Runtime {
        name: "compio",
        echo: beside_compio::echo,
        read: beside_compio::read,
    },
    Runtime {
        name: "tokio",
        echo: beside_tokio::echo,
        read: beside_tokio::read,
    },
];

/// Prints the table. False: ours is behind compio. `quick`: only whether it all runs.
pub(crate) fn print(quick: bool) -> io::Result<bool> {
    let (rounds, times) = if quick { (1, 500) } else { (7, 4_000) };
    let file = std::env::temp_dir().join(format!("proactor-bench-{}", std::process::id()));
    std::fs::write(&file, vec![7; BLOCK * BLOCKS as usize])?;

    println!("One thread. Times as parts of compio's; microseconds for what they are worth.");
    print!("{:32}", "");
    for runtime in &RUNTIMES {
        print!("{:>20}", runtime.name);
    }
    println!();
    let mut good = true;
    for connections in [1, 16] {
        let name = format!("echo of 64 bytes, {connections} at once");
        let each = times / connections as u64;
        good &= row(&name, rounds, each * connections as u64, |runtime| {
            (runtime.echo)(connections, each)
        })?;
    }
    for at_once in [1, 16] {
        let name = format!("reads of 4 KiB, {at_once} at once");
        let each = times / at_once as u64;
        good &= row(&name, rounds, each * at_once as u64, |runtime| {
            (runtime.read)(&file, at_once, each)
        })?;
    }
    std::fs::remove_file(file)?;
    Ok(good || quick)
}

fn row(
    name: &str,
    rounds: usize,
    times: u64,
    run: impl Fn(&Runtime) -> io::Result<Duration>,
) -> io::Result<bool> {
    let mut taken = [const { Vec::new() }; RUNTIMES.len()];
    for _ in 0..rounds {
        for (runtime, taken) in RUNTIMES.iter().zip(&mut taken) {
            taken.push(run(runtime)?);
        }
    }
    let micros = taken.map(|mut taken| {
        taken.sort();
        taken[rounds / 2].as_secs_f64() * 1e6 / times as f64
    });
    print!("{name:32}");
    for each in micros {
        print!("{:>20}", format!("{:.2} ({each:.0} us)", each / micros[1]));
    }
    println!();
    Ok(micros[0] <= BAR * micros[1])
}
