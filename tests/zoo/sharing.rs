//! Mistakes with what handlers share: state, one connection's writes, the order of answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::{read_exact, write_all};
use proactor::net::TcpStream;
use proactor::sim::Invariant;
use proactor::sync::{Mutex, Shared, oneshot};
use proactor::{Strand, StrandCell};

use crate::animals::Animal;
use crate::tools::{connection, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "check, then act",
            "two handlers look, and then both take the last seat",
            Invariant::Panic,
            |sim| seats(sim, false),
            |sim| seats(sim, true),
        )
        .workers(2),
        Animal::new(
            "lost update",
            "a counter is read and written by handlers that nothing serialises",
            Invariant::Panic,
            lost_update,
            no_lost_update,
        )
        .workers(2),
        Animal::new(
            "unordered flag",
            "a handler reads what another writes, and nothing orders the two",
            Invariant::Race,
            unordered,
            ordered,
        )
        .workers(2),
        Animal::new(
            "locks in two orders",
            "one takes A then B, the other B then A",
            Invariant::I7,
            |sim| two_locks(sim, false),
            |sim| two_locks(sim, true),
        )
        .workers(2),
        Animal::new(
            "answers interleaved",
            "two tasks write their answers to one connection",
            Invariant::Panic,
            |sim| answers(sim, false),
            |sim| answers(sim, true),
        ),
        Animal::new(
            "answers out of order",
            "pipelined requests are answered as their work ends",
            Invariant::Panic,
            |sim| pipeline(sim, false),
            |sim| pipeline(sim, true),
        ),
        Animal::new(
            "waits for itself",
            "a task waits for what only it could send",
            Invariant::Panic,
            |sim| circle(sim, true),
            |sim| circle(sim, false),
        ),
    ]
};

/// One seat, two who want it.
fn seats(sim: &Sim, on_a_strand: bool) {
    let proactor = sim.proactor();
    let strand = Strand::new(proactor);
    let (left, sold) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(0)));
    for _ in 0..2 {
        let (left, sold, handle) = (left.clone(), sold.clone(), proactor.handle());
        let buy = move || {
            if left.load(Relaxed) > 0 {
                // Somebody is told.
                handle.post(|| ());
                left.fetch_sub(1, Relaxed);
                sold.fetch_add(1, Relaxed);
            }
        };
        match on_a_strand {
            true => strand.post(buy),
            false => proactor.post(buy),
        }
    }
    proactor.run().expect("it runs");
    assert!(sold.load(Relaxed) <= 1, "one seat was sold twice");
}

fn lost_update(sim: &Sim) {
    let proactor = sim.proactor();
    let counter = Arc::new(proactor::sync::atomic::AtomicU32::new(0));
    for _ in 0..2 {
        let counter = counter.clone();
        proactor.post(move || {
            let before = counter.load(Relaxed);
            counter.store(before + 1, Relaxed);
        });
    }
    proactor.run().expect("it runs");
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
}

fn no_lost_update(sim: &Sim) {
    let proactor = sim.proactor();
    let strand = Strand::new(proactor);
    let counter = Arc::new(StrandCell::new(&strand, 0));
    let end = seen(0);
    for _ in 0..2 {
        let (counter, end) = (counter.clone(), end.clone());
        strand.post(move || {
            counter.with(|it| {
                *it += 1;
                with(&end, |end| *end = *it);
            });
        });
    }
    proactor.run().expect("it runs");
    assert_eq!(with(&end, |it| *it), 2);
}

fn unordered(sim: &Sim) {
    let proactor = sim.proactor();
    let ready = Arc::new(Shared::new(false));
    let writes = ready.clone();
    proactor.post(move || writes.set(true));
    proactor.post(move || {
        let _ = ready.get();
    });
    proactor.run().expect("it runs");
}

fn ordered(sim: &Sim) {
    let proactor = sim.proactor();
    let (ready, handle) = (Arc::new(Shared::new(false)), proactor.handle());
    let writes = ready.clone();
    proactor.post(move || {
        writes.set(true);
        handle.post(move || assert!(ready.get()));
    });
    proactor.run().expect("it runs");
}

fn two_locks(sim: &Sim, same_order: bool) {
    let proactor = sim.proactor();
    let (a, b) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    for turned in [false, true] {
        let (first, second) = match turned && !same_order {
            true => (b.clone(), a.clone()),
            false => (a.clone(), b.clone()),
        };
        proactor.post(move || {
            let mut one = first.lock().expect("nobody panics with it");
            let mut two = second.lock().expect("nobody panics with it");
            *one += 1;
            *two += 1;
        });
    }
    let _ = proactor.run();
}

/// Two answers of two writes each.
fn answers(sim: &Sim, one_after_the_other: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            let answer = |name: &'static str| {
                let stream = stream.clone();
                async move {
                    let (Ok(_), _) = write_all(&stream, name.as_bytes().to_vec()).await else {
                        return;
                    };
                    let _ = write_all(&stream, name.to_uppercase().into_bytes()).await;
                }
            };
            if one_after_the_other {
                answer("a").await;
                answer("b").await;
            } else {
                let first = handle.spawn(answer("a"));
                answer("b").await;
                let _ = first.await;
            }
        },
        |stream: TcpStream| async move {
            if let (Ok(_), all) = read_exact(&stream, Vec::with_capacity(4)).await {
                let all = String::from_utf8_lossy(&all).into_owned();
                assert!(all == "aAbB" || all == "bBaA", "{all}");
            }
        },
    );
}

/// Three requests at once, each some work.
fn pipeline(sim: &Sim, in_order: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            let mut answers = Vec::new();
            let (Ok(_), requests) = read_exact(&stream, Vec::with_capacity(3)).await else {
                return;
            };
            for request in requests {
                let (handle, stream) = (handle, stream.clone());
                let work = handle.clone().spawn(async move {
                    pause(&handle, 1).await;
                    if !in_order {
                        let _ = stream.write(vec![request]).await;
                    }
                    request
                });
                answers.push(work);
            }
            for answer in answers {
                let Ok(answer) = answer.await else { return };
                if in_order && stream.write(vec![answer]).await.0.is_err() {
                    return;
                }
            }
        },
        |stream: TcpStream| async move {
            if write_all(&stream, b"123".to_vec()).await.0.is_err() {
                return;
            }
            if let (Ok(_), answers) = read_exact(&stream, Vec::with_capacity(3)).await {
                assert_eq!(String::from_utf8_lossy(&answers), "123");
            }
        },
    );
}

/// A question that is answered on the same strand.
fn circle(sim: &Sim, nobody_sends: bool) {
    let proactor = sim.proactor();
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        let (send, receive) = oneshot::channel();
        let sleep = handle.sleep(Duration::from_millis(1));
        if nobody_sends {
            // It would be sent once it has been received.
            let _ = receive.await;
            let _ = sleep.await;
            let _ = send.send(());
        } else {
            let _ = sleep.await;
            let _ = send.send(());
            let _ = receive.await;
        }
    }));
    let end = proactor.run().expect("it runs");
    assert_eq!(
        end,
        proactor::RunEnd::OutOfWork,
        "a task is parked for ever"
    );
}
