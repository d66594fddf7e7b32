//! proactor, with handlers.

use std::io;
use std::sync::Arc;

use proactor::Proactor;
use proactor::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter;

pub fn run(requests: u64) -> io::Result<()> {
    let proactor = Proactor::new()?;
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0")?;
    meter::serve(listener.local_addr()?.port(), requests);
    accept(Arc::new(listener));
    proactor.run().map_err(io::Error::other)?;
    Ok(())
}

fn accept(listener: Arc<TcpListener>) {
    listener.clone().accept().then(move |accepted| {
        let Ok((stream, _)) = accepted else { return };
        if stream.set_nodelay(true).is_ok() {
            read(stream, Vec::with_capacity(MESSAGE));
        }
        accept(listener);
    });
}

fn read(stream: TcpStream, buffer: Vec<u8>) {
    stream.read(buffer).then(move |(n, buffer)| match n {
        Ok(n) if n > 0 => write(stream, buffer),
        _ => {}
    });
}

fn write(stream: TcpStream, buffer: Vec<u8>) {
    stream.write(buffer).then(move |(n, buffer)| {
        // 64 bytes into an empty socket buffer go at once.
        if n.is_ok_and(|n| n == buffer.len()) {
            meter::answered();
            read(stream, buffer);
        }
    });
}
