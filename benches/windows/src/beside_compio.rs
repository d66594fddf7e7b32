//! The same by compio.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use compio::buf::BufResult;
use compio::fs::File;
use compio::io::{AsyncRead, AsyncReadAt, AsyncWrite};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::Runtime;

use crate::{BLOCK, BLOCKS, MESSAGE};

pub(crate) fn echo(connections: usize, each: u64) -> io::Result<Duration> {
    Runtime::new()?.block_on(async {
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
            tasks.push(compio::runtime::spawn(async move {
                let mut buf = Vec::with_capacity(MESSAGE);
                while let BufResult(Ok(1..), read) = server.read(buf).await {
                    let BufResult(written, mut back) = server.write(read).await;
                    assert_eq!(written.expect("the peer reads"), MESSAGE);
                    back.clear();
                    buf = back;
                }
            }));
            tasks.push(compio::runtime::spawn(async move {
                let mut buf = vec![1; MESSAGE];
                for _ in 0..each {
                    let BufResult(written, mut back) = client.write(buf).await;
                    assert_eq!(written.expect("the peer reads"), MESSAGE);
                    back.clear();
                    let BufResult(read, back) = client.read(back).await;
                    assert_eq!(read.expect("the peer writes"), MESSAGE);
                    buf = back;
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
    Runtime::new()?.block_on(async {
        let mut files = Vec::new();
        for _ in 0..at_once {
            files.push(File::open(path).await?);
        }
        let begun = Instant::now();
        let mut tasks = Vec::new();
        for (first, file) in (0..).zip(files) {
            tasks.push(compio::runtime::spawn(async move {
                let mut buf = Vec::with_capacity(BLOCK);
                for block in first..first + each {
                    let BufResult(read, mut back) =
                        file.read_at(buf, block % BLOCKS * BLOCK as u64).await;
                    assert_eq!(read.expect("it can be read"), BLOCK);
                    back.clear();
                    buf = back;
                }
            }));
        }
        for task in tasks {
            task.await.expect("no panic");
        }
        Ok(begun.elapsed())
    })
}
