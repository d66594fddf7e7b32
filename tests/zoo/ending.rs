//! Mistakes with ends: timers, cancels, closing, what is left behind.

use std::sync::Arc;
use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{read_exact, write_all};
use proactor::net::TcpStream;
use proactor::sim::Invariant;

use crate::animals::Animal;
use crate::tools::{Either, Seen, connection, first_of, next, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "idle timer kills a busy one",
            "a timer that was due with the bytes closes the connection all the same",
            Invariant::Panic,
            |sim| idle(sim, false),
            |sim| idle(sim, true),
        ),
        Animal::new(
            "two answers",
            "the answer and the notice that there is none are both sent",
            Invariant::Panic,
            |sim| deadline(sim, false),
            |sim| deadline(sim, true),
        ),
        Animal::new(
            "dropped read loses bytes",
            "a read that lost a race is dropped with what it had read",
            Invariant::Panic,
            |sim| ticks(sim, false),
            |sim| ticks(sim, true),
        ),
        Animal::new(
            "close before flush",
            "the connection is closed while its last write is under way",
            Invariant::Panic,
            |sim| goodbye(sim, false),
            |sim| goodbye(sim, true),
        ),
        Animal::new(
            "connection in a cycle",
            "a connection's handler owns the connection, which owns the handler",
            Invariant::I8,
            |sim| cycle(sim, false),
            |sim| cycle(sim, true),
        ),
        Animal::new(
            "retries what can't be retried",
            "after a lost answer the request is sent again, and done twice",
            Invariant::Panic,
            |sim| transfer(sim, false),
            |sim| transfer(sim, true),
        ),
        Animal::new(
            "read re-armed after an error",
            "a handler that reads on whatever came of the last read",
            Invariant::I7,
            |sim| connection(sim, reads_on_after_errors, leaves),
            |sim| connection(sim, ends_on_errors, leaves),
        ),
        Animal::new(
            "heartbeat outlives the connection",
            "nobody takes the timer back that greets an idle client",
            Invariant::I7,
            |sim| heartbeat(sim, false),
            |sim| heartbeat(sim, true),
        ),
        Animal::new(
            "guard insists on its end",
            "a session's guard panics unless it was ended, and a shutdown ends nothing",
            Invariant::Panic,
            |sim| guarded(sim, true),
            |sim| guarded(sim, false),
        ),
        Animal::new(
            "cycle until the end",
            "a session keeps the callback that keeps it, until it is called at the session's end",
            Invariant::I8,
            |sim| called_back(sim, false),
            |sim| called_back(sim, true),
        ),
    ]
};

/// Whether a session was ended in good order.
struct Ended {
    ended: bool,
    insists: bool,
}

impl Drop for Ended {
    fn drop(&mut self) {
        assert!(self.ended || !self.insists, "a session was not ended");
    }
}

/// Answers once, and notes that the session has ended.
fn guarded(sim: &Sim, insists: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let mut guard = Ended {
                ended: false,
                insists,
            };
            if let (Ok(1..), bytes) = stream.read(Vec::with_capacity(4)).await {
                let _ = write_all(&stream, bytes).await;
            }
            guard.ended = true;
        },
        asks_once,
    );
}

/// A connection, and what is to be done at its end.
struct Session {
    stream: TcpStream,
    at_end: Seen<Option<Box<dyn FnOnce() + Send>>>,
}

/// Answers once, and calls back at the end.
fn called_back(sim: &Sim, weakly: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let session = Arc::new(Session {
                stream,
                at_end: seen(None),
            });
            let callback: Box<dyn FnOnce() + Send> = if weakly {
                let session = Arc::downgrade(&session);
                Box::new(move || {
                    if let Some(session) = session.upgrade() {
                        session.stream.close();
                    }
                })
            } else {
                let session = session.clone();
                Box::new(move || session.stream.close())
            };
            with(&session.at_end, |it| *it = Some(callback));
            if let (Ok(1..), bytes) = session.stream.read(Vec::with_capacity(4)).await {
                let _ = write_all(&session.stream, bytes).await;
            }
            if let Some(callback) = with(&session.at_end, Option::take) {
                callback();
            }
        },
        asks_once,
    );
}

async fn asks_once(stream: TcpStream) {
    if write_all(&stream, b"here".to_vec()).await.0.is_ok() {
        let _ = stream.read(Vec::with_capacity(4)).await;
    }
}

/// Closes a connection on which nothing came for 5 ms. A client speaks after just so long.
fn idle(sim: &Sim, looks_again: bool) {
    let cut_off = seen(false);
    let cut = cut_off.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let heard: Seen<bool> = seen(false);
            let (closing, active, cut) = (stream.clone(), heard.clone(), cut.clone());
            let timer = stream.handle().sleep(Duration::from_millis(5));
            timer.then(move |slept| {
                let active = with(&active, |it| *it);
                if slept.is_ok() && !(looks_again && active) {
                    with(&cut, |it| *it = active);
                    closing.close();
                }
            });
            if let (Ok(1..), bytes) = stream.read(Vec::with_capacity(4)).await {
                with(&heard, |it| *it = true);
                let _ = write_all(&stream, bytes).await;
            }
        },
        |stream: TcpStream| async move {
            pause(&stream.handle(), 5).await;
            if write_all(&stream, b"here".to_vec()).await.0.is_ok() {
                let _ = stream.read(Vec::with_capacity(4)).await;
            }
        },
    );
    assert!(
        !with(&cut_off, |it| *it),
        "a busy connection was closed as idle"
    );
}

/// Answers within 5 ms, or says that it is late. The work takes just as long.
fn deadline(sim: &Sim, once: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            let answered = seen(false);
            for (text, millis) in [("+", 5), ("-", 5)] {
                let (stream, answered) = (stream.clone(), answered.clone());
                handle.sleep(Duration::from_millis(millis)).then(move |_| {
                    let before = with(&answered, |it| std::mem::replace(it, true));
                    // Whoever comes second should have been taken back; but it may be too late for that.
                    if !(once && before) {
                        stream.write(text.as_bytes().to_vec()).then(|_| ());
                    }
                });
            }
        },
        |stream: TcpStream| async move {
            let mut all = Vec::new();
            while let (Ok(1..), bytes) = stream.read(Vec::with_capacity(4)).await {
                all.extend_from_slice(&bytes);
            }
            assert!(all.len() < 2, "{:?}", String::from_utf8_lossy(&all));
        },
    );
}

/// Reads bytes, and counts ticks beside.
fn ticks(sim: &Sim, keeps_the_read: bool) {
    let heard = seen(Vec::new());
    let all = heard.clone();
    let broken = seen(false);
    let (at_server, at_client) = (broken.clone(), broken.clone());
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            let mut read = stream.read(Vec::with_capacity(1)).into_future();
            for _ in 0..8 {
                let mut tick = handle.sleep(Duration::from_millis(1)).into_future();
                match first_of(&mut read, &mut tick).await {
                    Either::First((Ok(0), _)) => return,
                    Either::First((Ok(_), bytes)) => {
                        with(&all, |it| it.extend_from_slice(&bytes));
                        read = stream.read(Vec::with_capacity(1)).into_future();
                    }
                    Either::First((Err(_), _)) => return with(&at_server, |it| *it = true),
                    Either::Second(_) if keeps_the_read => {}
                    Either::Second(_) => read = stream.read(Vec::with_capacity(1)).into_future(),
                }
            }
            with(&at_server, |it| *it = true);
        },
        move |stream: TcpStream| async move {
            pause(&stream.handle(), 1).await;
            if write_all(&stream, b"ab".to_vec()).await.0.is_err() {
                with(&at_client, |it| *it = true);
            }
        },
    );
    if !with(&broken, |it| *it) {
        let heard = with(&heard, std::mem::take);
        assert!(
            heard.is_empty() || heard == b"ab",
            "{:?}",
            String::from_utf8_lossy(&heard)
        );
    }
}

/// The last words of a server.
fn goodbye(sim: &Sim, waits: bool) {
    let failed = seen(false);
    let fails = failed.clone();
    let heard = seen(None);
    let hears = heard.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            if waits {
                if write_all(&stream, b"goodbye".to_vec()).await.0.is_err() {
                    with(&fails, |it| *it = true);
                }
            } else {
                let closing = stream.clone();
                write_all(&stream, b"goodbye".to_vec()).then(|_| ());
                closing.close();
            }
        },
        move |stream: TcpStream| async move {
            let mut all = Vec::new();
            loop {
                match stream.read(Vec::with_capacity(16)).await {
                    (Ok(0), _) => return with(&hears, |it| *it = Some(all)),
                    (Ok(_), bytes) => all.extend_from_slice(&bytes),
                    (Err(_), _) => return,
                }
            }
        },
    );
    if let (Some(all), false) = (with(&heard, Option::take), with(&failed, |it| *it)) {
        assert_eq!(String::from_utf8_lossy(&all), "goodbye");
    }
}

/// A connection's state.
struct Connection {
    stream: TcpStream,
    /// What to do when it says something.
    on_words: Seen<Option<Box<dyn Fn() + Send>>>,
}

fn cycle(sim: &Sim, weakly: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let connection = Arc::new(Connection {
                stream,
                on_words: seen(None),
            });
            let answers = |it: &Connection| {
                it.stream.write(b"!".to_vec()).then(|_| ());
            };
            let on_words: Box<dyn Fn() + Send> = if weakly {
                let mine = Arc::downgrade(&connection);
                Box::new(move || mine.upgrade().iter().for_each(|it| answers(it)))
            } else {
                let mine = connection.clone();
                Box::new(move || answers(&mine))
            };
            with(&connection.on_words, |it| *it = Some(on_words));
            if connection
                .stream
                .read(Vec::with_capacity(4))
                .await
                .0
                .is_ok_and(|n| n > 0)
            {
                with(&connection.on_words, |it| it.as_ref().map(|say| say()));
            }
        },
        leaves,
    );
}

async fn leaves(stream: TcpStream) {
    let _ = write_all(&stream, b"bye".to_vec()).await;
}

/// A client that wants one thing to be done once, on two connections at most.
fn transfer(sim: &Sim, by_number: bool) {
    use proactor::net::TcpListener;
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, crate::tools::ADDR).expect("the address is free");
    let done = seen(Vec::<u8>::new());
    let (serving, accounts) = (listener.clone(), done.clone());
    drop(proactor.spawn(async move {
        while let Some(stream) = next(&serving).await {
            let (Ok(1), request) = stream.read(Vec::with_capacity(1)).await else {
                continue;
            };
            with(&accounts, |it| {
                if !by_number || !it.contains(&request[0]) {
                    it.push(request[0]);
                }
            });
            let _ = stream.write(b"+".to_vec()).await;
        }
    }));
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        for _ in 0..2 {
            let Ok(stream) = TcpStream::connect(&handle, crate::tools::ADDR).await else {
                continue;
            };
            if let (Ok(1), _) = stream.write(b"7".to_vec()).await
                && let (Ok(1), _) = stream.read(Vec::with_capacity(1)).await
            {
                break;
            }
        }
        listener.close();
    }));
    proactor.run().expect("it runs");
    let done = with(&done, std::mem::take);
    assert!(done.len() <= 1, "it was done {} times", done.len());
}

async fn reads_on_after_errors(stream: TcpStream) {
    loop {
        match stream.read(Vec::with_capacity(4)).await {
            (Ok(0), _) => return,
            (Ok(_), _) => {}
            // "Transient": try again.
            (Err(_), _) => stream.close(),
        }
    }
}

async fn ends_on_errors(stream: TcpStream) {
    while stream
        .read(Vec::with_capacity(4))
        .await
        .0
        .is_ok_and(|n| n > 0)
    {}
}

/// Greets its client every millisecond.
fn heartbeat(sim: &Sim, stops: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let gone = seen(false);
            greet(stream.clone(), gone.clone(), stops);
            let _ = read_exact(&stream, Vec::with_capacity(64)).await;
            with(&gone, |it| *it = true);
            stream.close();
        },
        leaves,
    );
}

fn greet(stream: TcpStream, gone: Seen<bool>, stops: bool) {
    let sleep = stream.handle().sleep(Duration::from_millis(1));
    sleep.then(move |_| {
        if stops && with(&gone, |it| *it) {
            return;
        }
        let next = stream.clone();
        stream
            .write(b".".to_vec())
            .then(move |_| greet(next, gone, stops));
    });
}
