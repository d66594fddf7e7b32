//! The same by tokio: sockets by readiness, files by a pool of threads.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::{BLOCK, BLOCKS, MESSAGE};

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

pub(crate) fn echo(connections: usize, each: u64) -> io::Result<Duration> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let mut pairs = Vec::new();
        for _ in 0..connections {
            let client = TcpStream::connect(addr).await?;
            pairs.push((client, listener.accept().await?.0));
        }
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for (mut client, mut server) in pairs {
            tasks.push(tokio::spawn(async move {
                let mut buf = [0; MESSAGE];
                while let Ok(read @ 1..) = server.read(&mut buf).await {
                    server
                        .write_all(&buf[..read])
                        .await
                        .expect("the peer reads");
                }
            }));
            tasks.push(tokio::spawn(async move {
                let mut buf = [1; MESSAGE];
                for _ in 0..each {
                    client.write_all(&buf).await.expect("the peer reads");
                    client.read_exact(&mut buf).await.expect("the peer writes");
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        Ok(begun.elapsed())
    })
}

pub(crate) fn read(path: &Path, at_once: usize, each: u64) -> io::Result<Duration> {
    runtime()?.block_on(async {
        let mut files = Vec::new();
        for _ in 0..at_once {
            files.push(File::open(path).await?);
        }
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for (first, mut file) in (0..).zip(files) {
            tasks.push(tokio::spawn(async move {
                let mut buf = vec![0; BLOCK];
                for block in first..first + each {
                    let offset = SeekFrom::Start(block % BLOCKS * BLOCK as u64);
                    file.seek(offset).await.expect("it can be sought");
                    file.read_exact(&mut buf).await.expect("it can be read");
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        Ok(begun.elapsed())
    })
}
