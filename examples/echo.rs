//! A TCP echo server in callback style.
//!
//! ```text
//! cargo run --release --example echo -- [--addr 127.0.0.1:7007]
//! ```
//!
//! A client for it: `nc 127.0.0.1 7007`. Ctrl-c ends it: nobody new is let in, and who is connected
//! has five seconds to finish.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use proactor::buf::{IoBuf, Slice};
use proactor::net::{TcpListener, TcpStream};
use proactor::{Proactor, signal};

fn main() -> Result<(), Box<dyn Error>> {
    let addr = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => String::from("127.0.0.1:7007"),
        [option, addr] if option == "--addr" => addr.clone(),
        _ => return Err("usage: echo [--addr 127.0.0.1:7007]".into()),
    };
    let proactor = Proactor::new()?;
    let listener = Arc::new(TcpListener::bind(&proactor, addr.as_str())?);
    println!("echo at {}", listener.local_addr()?);
    accept(listener.clone());

    let handle = proactor.handle();
    signal::ctrl_c(&proactor).then(move |_| {
        listener.close();
        handle.stop();
    });
    proactor.run()?;
    proactor.restart();
    proactor.run_for(Duration::from_secs(5))?;
    Ok(())
}

/// Lets one client in, then the next.
fn accept(listener: Arc<TcpListener>) {
    listener.accept().then(move |result| match result {
        Ok((stream, _)) => {
            receive(stream, Vec::with_capacity(4096));
            accept(listener);
        }
        Err(error) if proactor::is_canceled(&error) => {} // closed by ctrl-c
        Err(error) => {
            eprintln!("echo: {error}");
            accept(listener);
        }
    });
}

/// Receives what the client sends. The buffer is lent to the kernel, and comes back.
fn receive(stream: TcpStream, buf: Vec<u8>) {
    stream.read(buf).then(move |(result, buf)| match result {
        Ok(0) => {} // the client has finished: dropping the stream closes it
        Ok(_) => send(stream, buf.slice(..)),
        Err(error) => eprintln!("echo: {error}"),
    });
}

/// Sends it back. A write may take less than all of it.
fn send(stream: TcpStream, rest: Slice<Vec<u8>>) {
    stream.write(rest).then(move |(result, rest)| match result {
        Ok(n) if n < rest.len() => send(stream, rest.slice(n..).flatten()),
        Ok(_) => receive(stream, rest.into_inner()),
        Err(error) => eprintln!("echo: {error}"),
    });
}
