//! tokio, on one thread.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::MESSAGE;
use crate::meter;

pub fn run(requests: u64) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        meter::serve(listener.local_addr()?.port(), requests);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; MESSAGE];
    loop {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
        meter::answered();
    }
}
