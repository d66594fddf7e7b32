//! The code of the README, which stands here too, to the letter: it compiles, and its check passes.
#![allow(dead_code, reason = "the README's server has a main of its own")]

use proactor::net::{TcpListener, TcpStream};
use proactor::{Proactor, compose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proactor = Proactor::new()?;
    accept(TcpListener::bind(&proactor, "127.0.0.1:7007")?);
    proactor.run()?;
    Ok(())
}

fn accept(listener: TcpListener) {
    listener.accept().then(move |result| match result {
        Ok((stream, _)) => {
            echo(stream, Vec::with_capacity(4096));
            accept(listener);
        }
        Err(error) if proactor::is_canceled(&error) => {} // the listener was closed
        Err(error) => {
            eprintln!("{error}"); // no descriptor left, say: the next may find one
            accept(listener);
        }
    });
}

fn echo(stream: TcpStream, buf: Vec<u8>) {
    stream.read(buf).then(move |(result, buf)| {
        let Ok(1..) = result else { return }; // dropping the stream closes it
        compose::write_all(&stream, buf).then(move |(result, buf)| {
            if result.is_ok() {
                echo(stream, buf);
            }
        });
    });
}

#[test]
fn whatever_the_kernel_does_a_client_gets_back_what_it_sent() {
    proactor::check(|sim| {
        let proactor = sim.proactor();
        let listener = TcpListener::bind(proactor, "10.0.0.1:7").unwrap();
        accept(listener.clone());
        let handle = proactor.handle();
        drop(proactor.spawn(async move {
            if let Ok(stream) = TcpStream::connect(&handle, "10.0.0.1:7").await
                && let (Ok(_), _) = compose::write_all(&stream, b"hello".to_vec()).await
                && let (Ok(_), echo) = compose::read_exact(&stream, vec![0; 5]).await
            {
                assert_eq!(echo, b"hello");
            }
            listener.close();
        }));
        proactor.run().unwrap();
    });
}

use proactor::{Strand, StrandCell};
use std::sync::Arc;

fn count_requests(proactor: &Proactor, listener: &TcpListener) {
    let strand = Strand::new(proactor);
    let served = Arc::new(StrandCell::new(&strand, 0_u64));
    for _ in 0..8 {
        let served = served.clone();
        listener.accept().on(&strand).then(move |accepted| {
            if accepted.is_ok() {
                served.with(|served| *served += 1); // no lock, no other handler of the strand meanwhile
            }
        });
    }
}

#[test]
fn the_readme_shows_this_very_code() {
    let here = include_str!("readme.rs");
    let blocks: Vec<&str> = include_str!("../README.md")
        .split("```rust\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(
            here.contains(block),
            "the README shows other code than this file:\n{block}"
        );
    }
}
