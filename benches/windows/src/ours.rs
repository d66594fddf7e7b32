//! The work done by tasks of a proactor.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use proactor::Proactor;
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};

use crate::{BLOCK, BLOCKS, MESSAGE};

pub(crate) fn echo(connections: usize, each: u64) -> io::Result<Duration> {
    let proactor = Proactor::new()?;
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let mut pairs = Vec::new();
    for _ in 0..connections {
        let pair = proactor.block_on(async {
            let client = TcpStream::connect(&proactor, addr).await?;
            Ok::<_, io::Error>((client, listener.accept().await?.0))
        });
        pairs.push(pair.map_err(io::Error::other)??);
    }
    let begun = Instant::now();
    for (client, server) in pairs {
        drop(proactor.spawn(async move {
            let mut buf = Vec::with_capacity(MESSAGE);
            while let (Ok(1..), read) = server.read(buf).await {
                let (written, back) = server.write(read).await;
                assert_eq!(written.expect("the peer reads"), MESSAGE);
                buf = back;
            }
        }));
        drop(proactor.spawn(async move {
            let mut buf = vec![1; MESSAGE];
            for _ in 0..each {
                let (written, back) = client.write(buf).await;
                assert_eq!(written.expect("the peer reads"), MESSAGE);
                let (read, back) = client.read(back).await;
                assert_eq!(read.expect("the peer writes"), MESSAGE);
                buf = back;
            }
        }));
    }
    drop(listener);
    proactor.run().map_err(io::Error::other)?;
    Ok(begun.elapsed())
}

pub(crate) fn read(path: &Path, at_once: usize, each: u64) -> io::Result<Duration> {
    let proactor = Proactor::new()?;
    let mut files = Vec::new();
    for _ in 0..at_once {
        let file = proactor.block_on(async { File::open(&proactor, path).await });
        files.push(file.map_err(io::Error::other)??);
    }
    let begun = Instant::now();
    for (first, file) in (0..).zip(files) {
        drop(proactor.spawn(async move {
            let mut buf = Vec::with_capacity(BLOCK);
            for block in first..first + each {
                let (read, back) = file.read_at(buf, block % BLOCKS * BLOCK as u64).await;
                assert_eq!(read.expect("it can be read"), BLOCK);
                buf = back;
            }
        }));
    }
    proactor.run().map_err(io::Error::other)?;
    Ok(begun.elapsed())
}
