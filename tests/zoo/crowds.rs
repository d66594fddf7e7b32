//! Mistakes of several that wait for each other: wake-ups, queues, things that are made once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use proactor::check::Sim;
use proactor::compose::read_exact;
use proactor::net::TcpStream;
use proactor::sim::{Invariant, Level, Oracle};
use proactor::sync::atomic::{AtomicBool, AtomicU32};
use proactor::sync::{Condvar, Mutex, Notify, mpsc, oneshot};
use proactor::{RunEnd, Strand};

use crate::animals::Animal;
use crate::tools::{Either, both, connection, first_of, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "wake-up lost",
            "a task looks, is notified, and only then begins to wait",
            Invariant::Panic,
            |sim| waking(sim, false),
            |sim| waking(sim, true),
        )
        .workers(2),
        Animal::new(
            "missing strand",
            "two handlers find that nobody sends, and both begin to",
            Invariant::Order,
            |sim| outboxes(sim, false),
            |sim| outboxes(sim, true),
        )
        .workers(2)
        .config(|config| config.levels.set(Oracle::ConcurrentWrites, Level::Deny)),
        Animal::new(
            "waits without a loop",
            "who is woken takes it that there is something, which another one took",
            Invariant::Panic,
            |sim| consumers(sim, false),
            |sim| consumers(sim, true),
        )
        .workers(3),
        Animal::new(
            "made twice",
            "two handlers see that there is none, and both make one",
            Invariant::Panic,
            |sim| making(sim, false),
            |sim| making(sim, true),
        )
        .workers(2),
        Animal::new(
            "stop drops the queue",
            "a worker that is told to stop leaves jobs that were taken on",
            Invariant::Panic,
            |sim| draining(sim, false),
            |sim| draining(sim, true),
        ),
        Animal::new(
            "queues in a circle",
            "two tasks fill each other's queue before they empty their own",
            Invariant::Panic,
            |sim| circle(sim, false),
            |sim| circle(sim, true),
        ),
    ]
};

fn waking(sim: &Sim, listens_first: bool) {
    let proactor = sim.proactor();
    let shared = Arc::new((AtomicBool::new(false), Notify::new()));
    let tells = shared.clone();
    drop(proactor.spawn(async move {
        let (ready, changed) = &*shared;
        while !ready.load(SeqCst) {
            if listens_first {
                let notified = changed.notified();
                if !ready.load(SeqCst) {
                    notified.await;
                }
            } else {
                changed.notified().await;
            }
        }
    }));
    drop(proactor.spawn(async move {
        tells.0.store(true, SeqCst);
        tells.1.notify_waiters();
    }));
    let end = proactor.run().expect("it runs");
    assert_eq!(end, RunEnd::OutOfWork, "somebody waits for ever");
}

/// What is to be sent, one after the other.
struct Outbox {
    stream: TcpStream,
    waiting: Mutex<VecDeque<u8>>,
    sending: AtomicBool,
    strand: Option<Strand>,
}

impl Outbox {
    fn push(self: &Arc<Outbox>, byte: u8) {
        self.lock().push_back(byte);
        if !self.sending.load(SeqCst) {
            self.sending.store(true, SeqCst);
            self.send();
        }
    }

    fn send(self: &Arc<Outbox>) {
        let Some(byte) = self.lock().pop_front() else {
            return self.sending.store(false, SeqCst);
        };
        let (this, write) = (self.clone(), self.stream.write(vec![byte]));
        let sent = move |(wrote, _): (std::io::Result<usize>, Vec<u8>)| match wrote {
            Ok(_) => this.send(),
            Err(_) => this.stream.close(),
        };
        match &self.strand {
            Some(strand) => write.on(strand).then(sent),
            None => write.then(sent),
        };
    }

    fn lock(&self) -> proactor::sync::MutexGuard<'_, VecDeque<u8>> {
        self.waiting.lock().expect("nobody panics with it")
    }
}

/// Two say something on one connection.
fn outboxes(sim: &Sim, serial: bool) {
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            let outbox = Arc::new(Outbox {
                stream,
                waiting: Mutex::default(),
                sending: AtomicBool::new(false),
                strand: serial.then(|| Strand::new(&handle)),
            });
            for byte in *b"ab" {
                let from = outbox.clone();
                match &outbox.strand {
                    Some(strand) => strand.post(move || from.push(byte)),
                    None => handle.post(move || from.push(byte)),
                }
            }
            // Until the client leaves.
            let _ = outbox.stream.read(Vec::with_capacity(1)).await;
        },
        |stream: TcpStream| async move {
            let _ = read_exact(&stream, Vec::with_capacity(2)).await;
        },
    );
}

/// Two take one thing each, and one brings two.
fn consumers(sim: &Sim, looks_again: bool) {
    let proactor = sim.proactor();
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    for _ in 0..2 {
        let shared = shared.clone();
        proactor.post(move || {
            let (things, more) = &*shared;
            let mut things = things.lock().expect("nobody panics with it");
            if looks_again {
                while *things == 0 {
                    things = more.wait(things).expect("nobody panics with it");
                }
            } else if *things == 0 {
                things = more.wait(things).expect("nobody panics with it");
            }
            assert!(*things > 0, "there is nothing");
            *things -= 1;
        });
    }
    proactor.post(move || {
        for _ in 0..2 {
            *shared.0.lock().expect("nobody panics with it") += 1;
            shared.1.notify_one();
        }
    });
    proactor.run().expect("it runs");
}

fn making(sim: &Sim, under_the_lock: bool) {
    let proactor = sim.proactor();
    let made = Arc::new(AtomicU32::new(0));
    let place = Arc::new(Mutex::new(None));
    for _ in 0..2 {
        let (made, place) = (made.clone(), place.clone());
        proactor.post(move || {
            let make = || made.fetch_add(1, Relaxed);
            if under_the_lock {
                let mut place = place.lock().expect("nobody panics with it");
                place.get_or_insert_with(make);
            } else {
                let is_none = place.lock().expect("nobody panics with it").is_none();
                if is_none {
                    let one = make();
                    *place.lock().expect("nobody panics with it") = Some(one);
                }
            }
        });
    }
    proactor.run().expect("it runs");
    assert_eq!(made.load(Relaxed), 1, "there is to be one only");
}

/// What was taken on is done.
fn draining(sim: &Sim, to_the_end: bool) {
    let proactor = sim.proactor();
    let (send, mut jobs) = mpsc::channel(4);
    let (stop, mut stopped) = oneshot::channel();
    let done = seen(0);
    let does = done.clone();
    drop(proactor.spawn(async move {
        loop {
            let job = match first_of(&mut stopped, &mut jobs.recv()).await {
                Either::First(_) => break,
                Either::Second(job) => job,
            };
            if job.is_none() {
                return;
            }
            with(&does, |it| *it += 1);
        }
        if to_the_end {
            jobs.close();
            while jobs.recv().await.is_some() {
                with(&does, |it| *it += 1);
            }
        }
    }));
    let taken_on = seen(0);
    let takes = taken_on.clone();
    drop(proactor.spawn(async move {
        for job in 0..2 {
            if send.send(job).await.is_ok() {
                with(&takes, |it| *it += 1);
            }
        }
        let _ = stop.send(());
    }));
    proactor.run().expect("it runs");
    assert_eq!(with(&done, |it| *it), with(&taken_on, |it| *it));
}

fn circle(sim: &Sim, at_the_same_time: bool) {
    let proactor = sim.proactor();
    let (to_a, from_b) = mpsc::channel(1);
    let (to_b, from_a) = mpsc::channel(1);
    for (send, mut receive) in [(to_b, from_b), (to_a, from_a)] {
        drop(proactor.spawn(async move {
            let sending = async {
                for word in 0..2 {
                    let _ = send.send(word).await;
                }
            };
            let receiving = async {
                for _ in 0..2 {
                    receive.recv().await;
                }
            };
            if at_the_same_time {
                both(sending, receiving).await;
            } else {
                sending.await;
                receiving.await;
            }
        }));
    }
    let end = proactor.run().expect("it runs");
    assert_eq!(end, RunEnd::OutOfWork, "both wait for ever");
}
