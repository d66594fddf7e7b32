//! Mistakes at the door: accepting, connecting, trying again, taking more than can be served.

use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{read_exact, write_all};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Invariant, Level, Oracle};

use crate::animals::Animal;
use crate::tools::{ADDR, Seen, both, connection, next, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "accepts until the first error",
            "one failed accept ends the server, and nobody notices",
            Invariant::I7,
            |sim| accepting(sim, false),
            |sim| accepting(sim, true),
        ),
        Animal::new(
            "connects without end",
            "a refused connect is tried again at once, for ever",
            Invariant::I7,
            |sim| connecting(sim, usize::MAX),
            |sim| connecting(sim, 3),
        ),
        Animal::new(
            "one connection at a time",
            "the next accept waits until the last client has left",
            Invariant::I7,
            |sim| one_at_a_time(sim, true),
            |sim| one_at_a_time(sim, false),
        ),
        Animal::new(
            "limit that never falls",
            "a place is taken at accept and not given back where serving fails",
            Invariant::Panic,
            |sim| limited(sim, false),
            |sim| limited(sim, true),
        ),
        Animal::new(
            "backpressure ignored",
            "answers pile up for a client that does not read them",
            Invariant::I5,
            |sim| echo(sim, false),
            |sim| echo(sim, true),
        )
        .stream_buffer(16)
        .config(|config| {
            config.most_bytes = 24;
            config.levels.set(Oracle::QueuedBytes, Level::Deny);
        }),
        Animal::new(
            "winner overwritten",
            "of two connects that race the second one takes the place of the first",
            Invariant::I7,
            |sim| race(sim, false),
            |sim| race(sim, true),
        ),
    ]
};

/// A server for two clients, and what it says of itself at the end.
fn accepting(sim: &Sim, goes_on: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let (serving, closed) = (listener.clone(), seen(false));
    let (closing, ended) = (closed.clone(), seen(false));
    let early = ended.clone();
    drop(proactor.spawn(async move {
        loop {
            match serving.accept().await {
                Ok((stream, _)) => drop(stream),
                Err(_) if with(&closing, |it| *it) => return,
                // Errors of one connection, or of a moment.
                Err(_) if goes_on => pause(&serving.handle(), 1).await,
                Err(_) => return with(&early, |it| *it = true),
            }
        }
    }));
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        for _ in 0..2 {
            if let Ok(stream) = TcpStream::connect(&handle, ADDR).await {
                let _ = stream.read(Vec::with_capacity(1)).await;
            }
        }
        with(&closed, |it| *it = true);
        listener.close();
    }));
    proactor.run().expect("it runs");
    assert!(!with(&ended, |it| *it), "it stopped to accept");
}

/// Nobody listens.
fn connecting(sim: &Sim, most: usize) {
    let proactor = sim.proactor();
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        for _ in 0..most {
            if TcpStream::connect(&handle, ADDR).await.is_ok() {
                return;
            }
        }
    }));
    proactor.run().expect("it runs");
}

/// Two clients that need each other: the first leaves when the second was served.
fn one_at_a_time(sim: &Sim, waits: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let (serving, handle) = (listener.clone(), proactor.handle());
    let spawner = handle;
    drop(proactor.spawn(async move {
        while let Some(stream) = next(&serving).await {
            let echo = async move {
                while let (Ok(1..), bytes) = stream.read(Vec::with_capacity(4)).await {
                    if stream.write(bytes).await.0.is_err() {
                        return;
                    }
                }
            };
            match waits {
                true => echo.await,
                false => drop(spawner.spawn(echo)),
            }
        }
    }));
    drop(proactor.spawn(async move {
        if let Ok(first) = TcpStream::connect(&handle, ADDR).await
            && let Ok(second) = TcpStream::connect(&handle, ADDR).await
        {
            let (sent, _) = second.write(b"?".to_vec()).await;
            if sent.is_ok() {
                let _ = second.read(Vec::with_capacity(1)).await;
            }
            drop(first);
        }
        listener.close();
    }));
    proactor.run().expect("it runs");
}

/// At most one client at a time is served; others are turned away.
fn limited(sim: &Sim, gives_back: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let places: Seen<u32> = seen(1);
    let (serving, left) = (listener.clone(), places.clone());
    let handle = proactor.handle();
    let spawner = handle;
    drop(proactor.spawn(async move {
        while let Some(stream) = next(&serving).await {
            if !with(&left, |it| std::mem::replace(it, 0) == 1) {
                continue;
            }
            let left = left.clone();
            drop(spawner.spawn(async move {
                let (read, _) = stream.read(Vec::with_capacity(4)).await;
                if read.is_err() && !gives_back {
                    return;
                }
                with(&left, |it| *it = 1);
            }));
        }
    }));
    drop(proactor.spawn(async move {
        if let Ok(stream) = TcpStream::connect(&handle, ADDR).await {
            let _ = stream.write(b"hi".to_vec()).await;
            let _ = handle.sleep(Duration::from_millis(1)).await;
        }
        listener.close();
    }));
    proactor.run().expect("it runs");
    assert_eq!(with(&places, |it| *it), 1, "its place is lost");
}

/// An echo for a client that reads less fast than it writes.
fn echo(sim: &Sim, waits: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            while let (Ok(1..), bytes) = stream.read(Vec::with_capacity(8)).await {
                let write = write_all(&stream, bytes);
                if waits {
                    if write.await.0.is_err() {
                        return;
                    }
                } else {
                    write.then(|_| ());
                }
            }
        },
        |stream: TcpStream| async move {
            let writing = async {
                for _ in 0..8 {
                    if write_all(&stream, vec![7; 8]).await.0.is_err() {
                        return stream.close();
                    }
                }
            };
            let reading = async {
                for _ in 0..8 {
                    pause(&stream.handle(), 1).await;
                    let read = read_exact(&stream, Vec::with_capacity(8)).await.0;
                    if read.is_err() {
                        return stream.close();
                    }
                }
            };
            both(writing, reading).await;
        },
    );
}

/// Two servers that can answer; who can be reached first is asked.
fn race(sim: &Sim, first_one_stays: bool) {
    let proactor = sim.proactor();
    let slot: Seen<Option<TcpStream>> = seen(None);
    for addr in ["10.0.0.1:7", "10.0.0.1:8"] {
        let listener = TcpListener::bind(proactor, addr).expect("the address is free");
        let (handle, slot) = (proactor.handle(), slot.clone());
        let accept = listener.clone();
        drop(proactor.spawn(async move {
            let accepted = accept.accept().await;
            accept.close();
            if let Ok((stream, _)) = accepted
                && let (Ok(1), _) = stream.read(Vec::with_capacity(1)).await
            {
                let _ = stream.write(b"!".to_vec()).await;
            }
        }));
        drop(proactor.spawn(async move {
            let Ok(stream) = TcpStream::connect(&handle, addr).await else {
                return listener.close();
            };
            let is_first = with(&slot, |it| {
                let is_first = it.is_none();
                if is_first || !first_one_stays {
                    *it = Some(stream.clone());
                }
                is_first
            });
            if is_first {
                let asked = stream.write(b"?".to_vec()).await.0;
                drop(stream);
                let server = with(&slot, |it| it.clone()).expect("somebody was first");
                if asked.is_ok() {
                    let _ = server.read(Vec::with_capacity(1)).await;
                }
                with(&slot, Option::take);
            }
        }));
    }
    proactor.run().expect("it runs");
}
