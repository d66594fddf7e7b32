//! A TCP echo server in callback style.
//!
//! ```text
//! cargo run --release --example echo -- [--addr 127.0.0.1:7007]
//! ```
//!
//! A client for it: `nc 127.0.0.1 7007`. Ctrl-c ends it: nobody new is let in, and who is connected
//! has five seconds to finish.

use std::error::Error;
use std::time::Duration;

use proactor::net::{TcpListener, TcpStream};
use proactor::{Proactor, compose, signal};

fn main() -> Result<(), Box<dyn Error>> {
    let addr = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => String::from("127.0.0.1:7007"),
        [option, addr] if option == "--addr" => addr.clone(),
        _ => return Err("usage: echo [--addr 127.0.0.1:7007]".into()),
    };
    let proactor = Proactor::new()?;
    let listener = TcpListener::bind(&proactor, addr.as_str())?;
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
pub(crate) fn accept(listener: TcpListener) {
    listener.accept().then(move |result| match result {
        Ok((stream, _)) => {
            echo(stream, Vec::with_capacity(4096));
            accept(listener);
        }
        Err(error) if proactor::is_canceled(&error) => {} // closed by ctrl-c
        Err(error) => {
            eprintln!("echo: {error}");
            accept(listener);
        }
    });
}

/// Receives what the client sends, and sends it back. The buffer is lent to the kernel, and comes
/// back with the result.
fn echo(stream: TcpStream, buf: Vec<u8>) {
    stream.read(buf).then(move |(result, buf)| match result {
        Ok(0) => {} // the client has finished: dropping the stream closes it
        Ok(_) => {
            compose::write_all(&stream, buf).then(move |(result, buf)| match result {
                Ok(_) => echo(stream, buf),
                Err(error) => eprintln!("echo: {error}"),
            });
        }
        Err(error) => eprintln!("echo: {error}"),
    });
}
