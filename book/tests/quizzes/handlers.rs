//! The answers of chapters 3 to 7: handlers, the checker, and what is below them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::{self, Checker};
use proactor::choice::Kind;
use proactor::compose::{self, Interrupted};
use proactor::fs::File;
use proactor::sim::hand::{Interest, Request, Step};
use proactor::sim::{Config, Hand, Personality, World, legality};
use proactor::{IoBuf, Proactor};

use crate::{Answers, from_client, kind, possible, whose};

// ---- chapter 3

#[path = "../../../examples/ch03_first_proactor.rs"]
#[allow(dead_code)]
mod ch03_first_proactor;

pub(crate) fn on_a_port() -> Answers {
    use ch03_first_proactor::{Serve, hasty, patient, world};
    let mut found = Vec::new();
    for (name, serve) in [("hasty", hasty as Serve), ("patient", patient)] {
        let checker = Checker::new().personality(Personality::Port);
        if checker.run(move |sim| world(sim, serve)).is_err() {
            found.push(format!("that of `{name}`"));
        }
    }
    Ok(found)
}

pub(crate) fn not_inside() -> Answers {
    possible(|sim| {
        let when = Arc::new(Mutex::new("never"));
        let tell = when.clone();
        let inside = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"hello"]).await?;
            // The bytes are there: time passes only when nothing else can happen.
            sim.proactor().sleep(Duration::from_secs(1)).await.ok()?;
            stream.read(Vec::with_capacity(64)).then(move |_| {
                *tell.lock().unwrap() = "has run";
            });
            Some(*when.lock().unwrap())
        });
        match inside.unwrap()? {
            "never" => Some("later, from `run()`".to_owned()),
            _ => Some("inside the call of `then`, since nothing has to be waited for".to_owned()),
        }
    })
}

pub(crate) fn three_reads() -> Answers {
    kind(|sim| {
        let reads = sim.proactor().block_on(async {
            let stream = from_client(sim, &[&[b'x'; 100]]).await?;
            sim.proactor().sleep(Duration::from_secs(1)).await.ok()?;
            let mut reads = 1;
            while stream.read(Vec::with_capacity(64)).await.0.ok()? > 0 {
                reads += 1;
            }
            Some(reads)
        });
        Some(reads.unwrap()?.to_string())
    })
}

// ---- chapter 4

pub(crate) fn pool() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(2).build()?;
    let ended = proactor.block_on(async {
        for _ in 0..4 {
            let job = proactor.offload(|| check::busy(Duration::from_secs(1)));
            job.then(|_| {});
        }
        let last = proactor.offload(|| check::busy(Duration::from_millis(1)));
        last.await.map(|()| proactor.now().since_start())
    })??;
    Ok(vec![ended.as_secs_f64().to_string()])
}

pub(crate) fn hasty() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (_, server) = hand.connection("10.0.0.1:7")?;
    hand.decide("spurious: ready")?;
    let ready = hand.wait(&[(server.into(), Interest::Read)], Duration::ZERO);
    assert!(ready[0].readable);
    let told = hand.try_read(server, &mut [0; 16]);
    Ok(vec![format!("`{:?}`", told.map_err(|error| error.kind()))])
}

/// Where the server of chapter 3 is found out.
pub(crate) fn short_send() -> Answers {
    let all = legality();
    let mut sends = all.transitions().filter(|it| it.name == "send");
    let half = sends
        .next()
        .and_then(|it| it.outcomes.iter().find(|it| it.word == "half"));
    let kernels = half.ok_or("no class of that name")?.personalities;
    let each = Personality::ALL[1..].iter();
    let has = each.filter(|kernel| kernels.has(**kernel));
    Ok(has.map(|kernel| kernel.name().to_owned()).collect())
}

// ---- chapter 5

#[path = "../../../examples/ch05_lending.rs"]
#[allow(dead_code)]
mod ch05_lending;

/// The points at which the buffer is yours, whether the cancel wins or not.
pub(crate) fn may_free() -> Answers {
    let mut always: Option<BTreeSet<&str>> = None;
    for bytes_come in [false, true] {
        let mut hand = Hand::new(Config::default());
        let (client, server) = hand.connection("10.0.0.1:7")?;
        let recv = hand.submit(Request::recv(server, Vec::with_capacity(16)))?;
        let mut yours = BTreeSet::new();
        if bytes_come {
            hand.submit(Request::send(client, "hello"))?;
            if whose(&hand, recv) == "you" {
                yours.insert("the peer's bytes have arrived");
            }
        }
        let points = [
            "`hand.cancel(recv)` has returned",
            "`hand.step(Step::Complete(recv))` has queued the completion",
            "`hand.reap()` has returned the completion",
        ];
        for (point, nth) in points.into_iter().zip(0..) {
            match nth {
                0 => hand.cancel(recv)?,
                1 => hand.step(Step::Complete(recv))?,
                _ => drop(hand.reap()),
            }
            if whose(&hand, recv) == "you" {
                yours.insert(point);
            }
        }
        always = Some(match always {
            None => yours,
            Some(before) => before.intersection(&yours).copied().collect(),
        });
    }
    Ok(always.into_iter().flatten().map(str::to_owned).collect())
}

pub(crate) fn no_capacity() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build()?;
    world.add_file("/greeting", b"hello, world");
    let read = proactor.block_on(async {
        let file = File::open(&proactor, "/greeting").await?;
        file.read_at(Vec::new(), 0).await.0
    })??;
    Ok(vec![read.to_string()])
}

pub(crate) fn kindest() -> Answers {
    let told = ch05_lending::one_page()?;
    let convicted = told.contains("lent-buffer") && told.contains("fails without any deviation");
    let answer = if convicted {
        "yes"
    } else {
        "no: the bytes had been taken already"
    };
    Ok(vec![answer.to_owned()])
}

// ---- chapter 6

pub(crate) fn one_receive() -> Answers {
    possible(|sim| {
        let read = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"ab", b"cd"]).await?;
            let (read, got) = stream.read(Vec::with_capacity(4)).await;
            (read.ok()? > 0).then_some(got)
        });
        Some(format!("`{}`", String::from_utf8(read.unwrap()?).unwrap()))
    })
}

pub(crate) fn one_byte() -> Answers {
    let mut hand = Hand::new(Config::default());
    let (client, server) = hand.connection("10.0.0.1:7")?;
    hand.submit(Request::send(client, [0, 0, 0, 5]))?;
    hand.decide("recv: 1")?;
    let recv = hand.submit(Request::recv(server, Vec::with_capacity(4)))?;
    hand.step(Step::Complete(recv))?;
    let mut header = hand.reap().ok_or("just handed out")?.buf;
    assert_eq!(header.len(), 1);
    header.resize(4, 0);
    let length = u32::from_be_bytes(header.try_into().map_err(|_| "four bytes")?);
    Ok(vec![length.to_string()])
}

pub(crate) fn done() -> Answers {
    kind(|sim| {
        let error = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"\0\0\0\x05al"]).await?;
            compose::read_exact(&stream, vec![0; 4]).await.0.ok()?;
            compose::read_exact(&stream, vec![0; 5]).await.0.err()
        });
        Some(Interrupted::in_error(&error.unwrap()?)?.done.to_string())
    })
}

pub(crate) fn decode_len() -> Answers {
    kind(|sim| {
        let processed = sim.proactor().block_on(async {
            let stream = from_client(sim, &[b"\0\0\0\x05alpha"]).await?;
            let mut processed = Vec::new();
            while compose::read_exact(&stream, vec![0; 4]).await.0.is_ok() {
                let nothing = Vec::with_capacity(0).slice(..0);
                let (read, body) = compose::read_exact(&stream, nothing).await;
                read.ok()?;
                processed.push(body.into_inner());
            }
            Some(processed)
        });
        let processed = processed.unwrap()?;
        assert!(processed.iter().all(Vec::is_empty));
        match processed.len() {
            2 => Some("twice, with nothing".to_owned()),
            count => Some(format!("{count} times, with nothing")),
        }
    })
}

// ---- chapter 7

#[path = "../../../examples/ch07_never_block.rs"]
#[allow(dead_code)]
mod ch07_never_block;

pub(crate) fn median() -> Answers {
    let took = ch07_never_block::ordinary(20, None)?;
    let median = took[(took.len() - 1) / 2];
    Ok(vec![median.as_millis().to_string()])
}

pub(crate) fn timer() -> Answers {
    kind(|sim| {
        let ran = Arc::new(Mutex::new(None));
        let (tell, handle) = (ran.clone(), sim.proactor().handle());
        sim.proactor().post(move || {
            let sleep = handle.sleep(Duration::from_millis(10));
            sleep.then(move |_| *tell.lock().unwrap() = Some(handle.now().since_start()));
            check::busy(Duration::from_millis(50));
        });
        sim.proactor().run().unwrap();
        let ran = ran.lock().unwrap().take()?;
        Some(format!("after {} ms", ran.as_millis()))
    })
}

pub(crate) fn refused() -> Answers {
    let world = World::new(Config::default(), Box::new(Kind));
    let builder = Proactor::builder().simulated(&world);
    let proactor = builder.offload_threads(1).offload_queue(2).build()?;
    let refused = proactor.block_on(async {
        let started = (0..6).map(|_| proactor.offload(|| ()).into_future());
        let started: Vec<_> = started.collect();
        let mut refused = 0;
        for job in started {
            refused += usize::from(job.await.is_err());
        }
        refused
    })?;
    Ok(vec![refused.to_string()])
}

pub(crate) fn nested() -> Answers {
    let told = ch07_never_block::nested()?;
    let at_once = told.contains("inside a handler");
    let answer = if at_once {
        "it is an error, at once"
    } else {
        "it waits for ever"
    };
    Ok(vec![answer.to_owned()])
}
