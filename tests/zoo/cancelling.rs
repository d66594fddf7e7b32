//! Mistakes with what is still under way: timers of yesterday, cancels that come too late, state that is
//! used again too early.

use std::time::Duration;

use proactor::check::Sim;
use proactor::compose::write_all;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Invariant;
use proactor::time::Instant;

use crate::animals::Animal;
use crate::tools::{ADDR, Either, Seen, connection, fail, first_of, next, pause, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "timer kills the next read",
            "the timer of a read that has ended closes the connection under the next one",
            Invariant::Panic,
            |sim| timed_reads(sim, false),
            |sim| timed_reads(sim, true),
        ),
        Animal::new(
            "closed on both paths",
            "reader and writer both see the end, and both count the session out",
            Invariant::Panic,
            |sim| sessions(sim, false),
            |sim| sessions(sim, true),
        ),
        Animal::new(
            "cancel taken for done",
            "a cancelled read is forgotten at once, and had read something",
            Invariant::Panic,
            |sim| switching(sim, false),
            |sim| switching(sim, true),
        ),
        Animal::new(
            "slot reused too early",
            "a timer finds its session by a number that is another one's by now",
            Invariant::Panic,
            |sim| slots(sim, false),
            |sim| slots(sim, true),
        ),
        Animal::new(
            "registry keeps the dead",
            "a connection is taken off the list at its end, and not when it breaks",
            Invariant::Panic,
            |sim| registry(sim, false),
            |sim| registry(sim, true),
        ),
        Animal::new(
            "accepted one is left over",
            "an accept that loses against the stop signal had a connection",
            Invariant::I7,
            |sim| stopping(sim, false),
            |sim| stopping(sim, true),
        ),
    ]
};

const IDLE: Duration = Duration::from_millis(5);

/// Closes a connection on which nothing came for 5 ms.
fn timed_reads(sim: &Sim, by_number: bool) {
    let cut_off = seen(None);
    let cut = cut_off.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let handle = stream.handle();
            // How many reads there were, and when the last one began.
            let reads: Seen<(u32, Instant)> = seen((0, handle.now()));
            loop {
                let mine = with(&reads, |it| {
                    *it = (it.0 + 1, handle.now());
                    it.0
                });
                let (closing, reads, cut) = (stream.clone(), reads.clone(), cut.clone());
                handle.sleep(IDLE).then(move |_| {
                    let (last, begun) = with(&reads, |it| *it);
                    if !by_number || last == mine {
                        let idle = closing.handle().now() - begun;
                        with(&cut, |it| *it = it.or(Some(idle)));
                        closing.close();
                    }
                });
                match stream.read(Vec::with_capacity(4)).await {
                    (Ok(1..), _) => {}
                    _ => return,
                }
            }
        },
        |stream: TcpStream| async move {
            for _ in 0..2 {
                pause(&stream.handle(), 3).await;
                if stream.write(b"here".to_vec()).await.0.is_err() {
                    return;
                }
            }
        },
    );
    if let Some(idle) = with(&cut_off, Option::take) {
        assert!(idle >= IDLE, "closed as idle after {idle:?}");
    }
}

/// How many sessions there are, after one has come and gone.
fn sessions(sim: &Sim, once: bool) {
    let count = seen(0);
    let sessions = count.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            with(&sessions, |it| *it += 1);
            let over = seen(false);
            let ended = move || {
                let before = with(&over, |it| std::mem::replace(it, true));
                if !(once && before) {
                    with(&sessions, |it| *it -= 1);
                }
            };
            let (writes, at_end) = (stream.clone(), ended.clone());
            let writer = async move {
                if write_all(&writes, b"welcome".to_vec()).await.0.is_err() {
                    writes.close();
                    at_end();
                }
            };
            let reader = async move {
                while let (Ok(1..), _) = stream.read(Vec::with_capacity(4)).await {}
                ended();
            };
            crate::tools::both(reader, writer).await;
        },
        |stream: TcpStream| async move {
            let _ = stream.read(Vec::with_capacity(16)).await;
        },
    );
    assert_eq!(with(&count, |it| *it), 0, "sessions are left");
}

/// Whoever says nothing in the first 5 ms speaks the old protocol.
fn switching(sim: &Sim, awaits_the_truth: bool) {
    let heard = seen(Vec::new());
    let hears = heard.clone();
    let broken = seen(false);
    let breaks = broken.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            let hear = |read: std::io::Result<usize>, bytes: &[u8]| match read {
                Ok(_) => with(&hears, |it| it.extend_from_slice(bytes)),
                Err(_) => with(&breaks, |it| *it = true),
            };
            let mut read = stream.read(Vec::with_capacity(1)).into_future();
            let mut patience = stream.handle().sleep(IDLE).into_future();
            match first_of(&mut read, &mut patience).await {
                Either::First((read, bytes)) => hear(read, &bytes),
                Either::Second(_) => {
                    read.cancel_handle().cancel();
                    if awaits_the_truth {
                        match read.await {
                            (Err(error), _) if proactor::is_canceled(&error) => {}
                            (read, bytes) => hear(read, &bytes),
                        }
                    }
                }
            }
            let (read, bytes) = stream.read(Vec::with_capacity(1)).await;
            hear(read, &bytes);
        },
        |stream: TcpStream| async move {
            pause(&stream.handle(), 5).await;
            let _ = write_all(&stream, b"ab".to_vec()).await;
        },
    );
    let heard = with(&heard, std::mem::take);
    let heard = String::from_utf8_lossy(&heard);
    if !with(&broken, |it| *it) {
        assert!("ab".starts_with(&*heard), "{heard:?}");
    }
}

/// The one slot: which session is in it, and its connection.
type Slot = Seen<(u32, Option<TcpStream>)>;

/// Clients that say nothing for 5 ms are cut off. The first one leaves at once, the second one speaks
/// after 3 ms.
fn slots(sim: &Sim, by_generation: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let slot: Slot = seen((0, None));
    let serving = listener.clone();
    drop(proactor.spawn(async move {
        while let Some(stream) = next(&serving).await {
            let mine = with(&slot, |it| {
                *it = (it.0 + 1, Some(stream.clone()));
                it.0
            });
            let timed = slot.clone();
            serving.handle().sleep(IDLE).then(move |_| {
                let idle = with(&timed, |it| match by_generation && it.0 != mine {
                    true => None,
                    false => it.1.take(),
                });
                if let Some(idle) = idle {
                    idle.close();
                }
            });
            let served = match stream.read(Vec::with_capacity(1)).await {
                (Ok(1..), word) => stream.write(word).await.0,
                (end, _) => end,
            };
            if served.is_err() {
                fail(&stream); // so that it is not taken for a cut
            }
            let _ = with(&slot, |it| it.1.take());
        }
    }));
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        drop(TcpStream::connect(&handle, ADDR).await);
        pause(&handle, 3).await;
        let began = handle.now();
        if let Ok(second) = TcpStream::connect(&handle, ADDR).await {
            pause(&handle, 3).await;
            if second.write(b"?".to_vec()).await.0.is_ok()
                && let (Ok(0), _) = second.read(Vec::with_capacity(1)).await
            {
                let after = handle.now() - began;
                assert!(after >= IDLE, "cut off after {after:?}");
            }
        }
        listener.close();
    }));
    proactor.run().expect("it runs");
}

/// Who is to hear of news.
fn registry(sim: &Sim, always: bool) {
    let listed: Seen<Vec<TcpStream>> = seen(Vec::new());
    let list = listed.clone();
    connection(
        sim,
        move |stream: TcpStream| async move {
            with(&list, |it| it.push(stream.clone()));
            let end = loop {
                match stream.read(Vec::with_capacity(4)).await.0 {
                    Ok(1..) => {}
                    end => break end,
                }
            };
            if end.is_ok() || always {
                with(&list, Vec::clear);
            }
        },
        |stream: TcpStream| async move {
            let _ = write_all(&stream, b"hi".to_vec()).await;
        },
    );
    let left = with(&listed, std::mem::take);
    assert!(left.is_empty(), "{left:?} is listed for ever");
}

/// A server that stops after 1 ms, and greets whoever came before.
fn stopping(sim: &Sim, greets_the_last: bool) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let handle = proactor.handle();
    // The callback style: whoever is accepted is put here, and greeted at the next turn of the loop.
    let accepted: Seen<Vec<TcpStream>> = seen(Vec::new());
    let (waiting, stopped) = (accepted.clone(), seen(false));
    let stop = stopped.clone();
    let closing = listener.clone();
    handle.sleep(Duration::from_millis(1)).then(move |_| {
        with(&stop, |it| *it = true);
        closing.close();
    });
    drop(proactor.spawn(async move {
        while let Some(stream) = next(&listener).await {
            if with(&stopped, |it| *it) && !greets_the_last {
                // It will be seen to when the server is up again.
                with(&waiting, |it| it.push(stream));
                return;
            }
            let _ = stream.write(b"hello".to_vec()).await;
        }
    }));
    drop(proactor.spawn(async move {
        pause(&handle, 1).await;
        if let Ok(stream) = TcpStream::connect(&handle, ADDR).await {
            let _ = stream.read(Vec::with_capacity(8)).await;
        }
    }));
    proactor.run().expect("it runs");
    drop(accepted);
}
