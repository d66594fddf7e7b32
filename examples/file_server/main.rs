//! An HTTP/1.1 static file server.
//!
//! ```text
//! cargo run --release --example file_server -- ROOT [--addr 127.0.0.1:8080] [--style callback|async]
//! ```
//!
//! Where to read on:
//!
//! - `request.rs`, `response.rs`: HTTP, without any I/O
//! - `exchange.rs`: what a connection decides, without any I/O
//! - `connection.rs`: a connection in callback style; `connection_async.rs`: its async twin
//! - `server.rs`: accepting, counting, shutting down
//!
//! `tests/file_server/` runs the same files on the simulated kernel, `tests/peers/` with real HTTP
//! clients on this machine's own.

mod connection;
mod connection_async;
mod exchange;
mod request;
mod response;
mod server;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use proactor::net::TcpListener;
use proactor::{Proactor, signal};

use exchange::{Limits, Site};
use server::{Serve, Server};

const USAGE: &str = "usage: file_server ROOT [--addr 127.0.0.1:8080] [--style callback|async]";

/// How long responses in flight may take after ctrl-c.
const GRACE: Duration = Duration::from_secs(10);

struct Arguments {
    root: PathBuf,
    addr: String,
    serve: Serve,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args_os().skip(1).map(PathBuf::from)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("file_server: {message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("file_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let Arguments { root, addr, serve } = arguments;
    let proactor = Proactor::new()?;
    let listener = TcpListener::bind(&proactor, addr.as_str())
        .map_err(|error| format!("can't listen at {addr}: {error}"))?;
    println!(
        "http://{}/ serves {}",
        listener.local_addr()?,
        root.display()
    );

    let limits = Limits::default();
    let server = Server::start(&proactor, listener, Site { root, limits }, serve);
    let handle = proactor.handle();
    signal::ctrl_c(&proactor).then(move |result| {
        match result {
            Ok(()) => eprintln!(
                "finishing responses in flight, at most {} s",
                GRACE.as_secs()
            ),
            Err(error) => eprintln!("file_server: can't wait for ctrl-c: {error}"),
        }
        server.stop();
        handle.stop();
    });
    proactor.run()?;
    proactor.restart();
    proactor.run_for(GRACE)?;
    Ok(())
}

/// `None`: help was asked for.
fn parse(arguments: impl IntoIterator<Item = PathBuf>) -> Result<Option<Arguments>, String> {
    let mut root = None;
    let mut addr = String::from("127.0.0.1:8080");
    let mut serve: Serve = connection::serve;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        // A path that is not UTF-8 is no option.
        match argument.to_str().unwrap_or_default() {
            "--help" | "-h" => return Ok(None),
            "--addr" => {
                let value = arguments.next().ok_or("--addr needs an address")?;
                addr = value.to_string_lossy().into_owned();
            }
            "--style" => {
                serve = match arguments.next().as_deref().and_then(|style| style.to_str()) {
                    Some("callback") => connection::serve,
                    Some("async") => connection_async::serve,
                    _ => return Err("--style is callback or async".into()),
                }
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            _ if root.is_some() => return Err("one ROOT, please".into()),
            _ => root = Some(argument),
        }
    }
    let root = root.ok_or("ROOT is missing: the directory to serve")?;
    match root.metadata() {
        Ok(metadata) if metadata.is_dir() => Ok(Some(Arguments { root, addr, serve })),
        Ok(_) => Err(format!("{} is not a directory", root.display())),
        Err(error) => {
            let why = io::Error::from(error.kind());
            Err(format!("{}: {why}", root.display()))
        }
    }
}
