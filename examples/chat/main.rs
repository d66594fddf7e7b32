//! A chat server for line clients, on all cores.
//!
//! ```text
//! cargo run --release --example chat [-- 127.0.0.1:7007]
//! nc 127.0.0.1 7007
//! ```
//!
//! Where to read on:
//!
//! - `lines.rs`: lines out of bytes, without any I/O
//! - `connection.rs`: a connection, on a strand of its own; `outbox.rs`: its queue of outgoing lines
//! - `room.rs`: who is there, on a strand of its own
//! - `server.rs`: accepting, and ending
//!
//! `tests/chat/` runs the same files on the simulated kernel with two workers, and takes one
//! `.on(&strand)` out: then the checker finds lines that are mixed up.

mod connection;
mod lines;
mod outbox;
mod room;
mod server;

use std::process::ExitCode;

use proactor::net::TcpListener;
use proactor::{Proactor, signal};

use connection::Limits;
use server::Server;

const USAGE: &str = "usage: chat [ADDRESS], which is 127.0.0.1:7007 if it is left out";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let addr = arguments.next().unwrap_or("127.0.0.1:7007".to_owned());
    if addr == "--help" || addr == "-h" {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    if arguments.next().is_some() || addr.starts_with('-') {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match serve(&addr) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(addr: &str) -> Result<(), Box<dyn std::error::Error>> {
    let proactor = Proactor::builder().workers_auto().build()?;
    let listener = TcpListener::bind(&proactor, addr)
        .map_err(|error| format!("can't listen at {addr}: {error}"))?;
    let at = listener.local_addr()?;
    println!(
        "chat at {at} on {} worker(s): nc {} {}",
        proactor.workers(),
        at.ip(),
        at.port()
    );
    let server = Server::start(&proactor, listener, Limits::default(), connection::send);
    signal::ctrl_c(&proactor).then(move |result| {
        if let Err(error) = result {
            eprintln!("chat: can't wait for ctrl-c: {error}");
        }
        server.stop();
    });
    // Until ctrl-c has come and all have left.
    proactor.run()?;
    Ok(())
}
