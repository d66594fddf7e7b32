//! Three ways to guard the state of a connection, side by side: one worker, a strand, a mutex.

use std::io;

use crate::child::{self, How};
use crate::servers::Server;
use crate::strands::Rounds;
use crate::table::{Size, echo_slope, per};

const CONNECTIONS: usize = 64;

/// Prints the table.
pub(crate) fn print(size: Size, valgrind: bool) -> io::Result<()> {
    let (rounds, requests) = match size {
        Size::Full => (9, 128_000),
        Size::Quick => (3, 12_800),
    };
    println!(
        "The state of a connection, guarded in three ways: the echo of 64 bytes, 64 connections"
    );
    println!("guard      workers   instructions   allocations   CPU / request   requests/s");
    let mut runs: Vec<[Rounds; 2]> = Server::GUARDED.map(|_| Default::default()).into();
    // In turn: whatever else runs hits all alike.
    for _ in 0..rounds {
        for (server, [processor, wall]) in Server::GUARDED.into_iter().zip(&mut runs) {
            let run = child::echo(How::Plain, server, CONNECTIONS, requests)?.0;
            processor.add(per(run.processor, requests));
            wall.add(per(run.wall, requests));
        }
    }
    for (server, [processor, wall]) in Server::GUARDED.into_iter().zip(runs) {
        let (mut instructions, mut allocations) = ("-".to_owned(), "-".to_owned());
        // valgrind runs one thread at a time.
        if valgrind && server.workers() == 1 {
            let slope = echo_slope(size, server, CONNECTIONS)?;
            instructions = format!("{:.0}", slope.instructions);
            allocations = format!("{:.3}", slope.allocations.abs());
        }
        println!(
            "{:10} {:7} {instructions:>14} {allocations:>13} {:>12.0} ns {:>12.0}",
            server.name(),
            server.workers(),
            processor.median(),
            1e9 / wall.median(),
        );
    }
    Ok(())
}
