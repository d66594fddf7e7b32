//! proactor, with handlers.

use std::io;
use std::sync::Arc;

use proactor::Proactor;
use proactor::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter;

pub fn run(workers: usize, requests: u64) -> io::Result<()> {
    let proactor = Proactor::builder().workers(workers).build()?;
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0")?;
    meter::serve(listener.local_addr()?.port(), requests);
    if workers == 1 {
        accept(Arc::new(listener), meter::answered);
    } else {
        accept(Arc::new(listener), meter::answered_by_one_of_many);
    }
    proactor.run().map_err(io::Error::other)?;
    Ok(())
}

// By type, so that who counts is known when the handlers are compiled.
fn accept(listener: Arc<TcpListener>, answered: impl Fn() + Copy + Send + 'static) {
    listener.clone().accept().then(move |accepted| {
        let Ok((stream, _)) = accepted else { return };
        if stream.set_nodelay(true).is_ok() {
            read(stream, Vec::with_capacity(MESSAGE), answered);
        }
        accept(listener, answered);
    });
}

fn read(stream: TcpStream, buffer: Vec<u8>, answered: impl Fn() + Copy + Send + 'static) {
    stream.read(buffer).then(move |(n, buffer)| match n {
        Ok(n) if n > 0 => write(stream, buffer, answered),
        _ => {}
    });
}

fn write(stream: TcpStream, buffer: Vec<u8>, answered: impl Fn() + Copy + Send + 'static) {
    stream.write(buffer).then(move |(n, buffer)| {
        // 64 bytes into an empty socket buffer go at once.
        if n.is_ok_and(|n| n == buffer.len()) {
            answered();
            read(stream, buffer, answered);
        }
    });
}
