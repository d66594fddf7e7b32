//! proactor, with coroutines.

use std::io;

use proactor::Proactor;
use proactor::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter;

pub fn run(requests: u64) -> io::Result<()> {
    let proactor = Proactor::new()?;
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0")?;
    meter::serve(listener.local_addr()?.port(), requests);
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_ok() {
                drop(handle.spawn(echo(stream)));
            }
        }
    }));
    proactor.run().map_err(io::Error::other)?;
    Ok(())
}

async fn echo(stream: TcpStream) {
    let mut buffer = Vec::with_capacity(MESSAGE);
    loop {
        let (n, filled) = stream.read(buffer).await;
        if !n.is_ok_and(|n| n > 0) {
            return;
        }
        let (n, written) = stream.write(filled).await;
        // 64 bytes into an empty socket buffer go at once.
        if !n.is_ok_and(|n| n == written.len()) {
            return;
        }
        meter::answered();
        buffer = written;
    }
}
