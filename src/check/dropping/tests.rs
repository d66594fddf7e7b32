//! The owner dropped at every point: what it finds, what it leaves alone, that it is told and repeated.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::super::{Checker, FailureKind, Sim};
use super::{Dropping, Points};
use crate::compose::write_all;
use crate::net::{TcpListener, TcpStream};
use crate::sim::{Config, Door, Invariant, Oracle};

const ADDR: &str = "10.0.0.1:7";

/// Nothing but what the stage does: no other deviation, no random execution.
fn alone() -> Checker {
    Checker::new().deviations(1).random(false).threads(1)
}

/// Runs the model with its proactor dropped at each point in turn, and says how many there are.
fn each(
    checker: impl Fn() -> Checker,
    model: impl Fn(&Sim) + Clone + Send + Sync + 'static,
) -> u64 {
    for at in 0.. {
        let mut dropping = Dropping::default();
        dropping.begin(Some(at));
        let (result, dropping) = checker().run_once(dropping, model.clone());
        if let Err(failure) = result {
            panic!("at point {at}: {failure}");
        }
        if dropping.deviations().is_empty() {
            return at;
        }
    }
    unreachable!("a run has an end")
}

/// One accepts and echoes four bytes, the other sends them and reads them back.
fn echo(sim: &Sim) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).expect("the address is free");
    let (handle, refused) = (proactor.handle(), listener.clone());
    drop(proactor.spawn(async move {
        let accepted = listener.accept().await;
        listener.close();
        if let Ok((stream, _)) = accepted
            && let (Ok(_), bytes) = stream.read(Vec::with_capacity(4)).await
        {
            let _ = write_all(&stream, bytes).await;
        }
    }));
    drop(proactor.spawn(async move {
        match TcpStream::connect(&handle, ADDR).await {
            Ok(stream) => {
                if write_all(&stream, b"echo".to_vec()).await.0.is_ok() {
                    let _ = stream.read(Vec::with_capacity(4)).await;
                }
            }
            Err(_) => refused.close(),
        }
    }));
    let _ = proactor.run();
}

#[test]
fn of_a_long_run_the_points_are_evenly_spread_and_the_first_is_one() {
    let points = |run, of| {
        let points = Points { run, of };
        (0..run).map(|n| points.nth(n)).collect::<Vec<_>>()
    };
    assert_eq!(points(5, 5), [0, 1, 2, 3, 4]);
    assert_eq!(points(3, 10), [0, 3, 6]);
    assert_eq!(points(0, 10), [0; 0]);
}

#[test]
fn the_kind_run_is_cut_off_before_each_of_its_steps() {
    let ends = Arc::new(Mutex::new(Vec::new()));
    let seen = ends.clone();
    let summary = alone()
        .repeat_every(0)
        .run(move |sim| {
            let ran = Arc::new(AtomicU64::new(0));
            let timers = ran.clone();
            let ends = seen.clone();
            struct End(Arc<Mutex<Vec<(u64, bool)>>>, Arc<AtomicU64>, bool);
            impl Drop for End {
                fn drop(&mut self) {
                    let came_back = self.2;
                    self.0
                        .lock()
                        .unwrap()
                        .push((self.1.load(Relaxed), came_back));
                }
            }
            let mut end = End(ends, ran, false);
            for n in 1..=5 {
                let ran = timers.clone();
                let sleep = sim.proactor().sleep(Duration::from_millis(n));
                sleep.then(move |slept| {
                    assert!(slept.is_ok(), "nobody is told of the end");
                    ran.fetch_add(1, Relaxed);
                });
            }
            sim.proactor().run().unwrap();
            end.2 = true;
        })
        .unwrap();
    // Before each move of the clock and each completion, and at the end.
    assert_eq!(summary.dropped(), (11, 11), "{summary}");
    assert!(
        summary.to_string().contains(
            "\n  proved   the proactor dropped at every point of the kind run: 11 executions, none fails"
        ),
        "{summary}"
    );
    let ends = ends.lock().unwrap();
    let cut: Vec<u64> = ends.iter().filter(|it| !it.1).map(|it| it.0).collect();
    assert_eq!(cut, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5]);
}

/// Alive for as long as it is not dropped.
struct Counted(Arc<AtomicI64>);

impl Counted {
    fn new(alive: &Arc<AtomicI64>) -> Counted {
        alive.fetch_add(1, Relaxed);
        Counted(alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[test]
fn all_that_was_lent_or_kept_comes_home_and_no_handler_runs_any_more() {
    for door in [Door::Plain, Door::Port] {
        for workers in [1, 2] {
            let config = Config {
                door,
                ..Config::default()
            };
            let alive = Arc::new(AtomicI64::new(0));
            let seen = alive.clone();
            let points = each(
                || alone().workers(workers).config(config.clone()),
                move |sim| {
                    assert_eq!(seen.load(Relaxed), 0, "something outlived its execution");
                    let [a, b, c, d, e] = [0; 5].map(|_| Counted::new(&seen));
                    let proactor = sim.proactor();
                    // A task that is never woken goes with the proactor, before all else.
                    let ended = Arc::new(AtomicI64::new(0));
                    let lives = Counted::new(&ended);
                    drop(proactor.spawn(async move {
                        std::future::pending::<()>().await;
                        drop(lives);
                    }));
                    let there = move || assert_eq!(ended.load(Relaxed), 1, "after the end");
                    let (at_accept, at_read) = (there.clone(), there.clone());
                    let listener = TcpListener::bind(proactor, ADDR).unwrap();
                    listener.accept().then(move |accepted| {
                        at_accept();
                        let Ok((stream, _)) = accepted else { return };
                        let read = stream.read(vec![0; 64]);
                        read.then(move |_| {
                            at_read();
                            drop((a, stream));
                        });
                    });
                    let connect = TcpStream::connect(proactor, ADDR);
                    connect.then(move |stream| {
                        let _b = b;
                        if let Ok(stream) = stream {
                            stream.write(vec![7; 64]).then(move |_| drop((c, stream)));
                        }
                    });
                    proactor.post(move || {
                        there();
                        drop(d);
                    });
                    proactor.run().unwrap();
                    drop((e, listener));
                },
            );
            assert!(points >= 4, "{points}");
            assert_eq!(alive.load(Relaxed), 0);
        }
    }
}

#[test]
fn what_the_model_says_after_its_run_counts_for_nothing_and_a_swallowed_end_comes_again() {
    let summary = alone()
        .run(|sim| {
            let said = Arc::new(AtomicU64::new(0));
            let seen = said.clone();
            let proactor = sim.proactor();
            let pause = proactor.sleep(Duration::from_millis(1));
            pause.then(move |_| {
                seen.fetch_add(1, Relaxed);
            });
            let held = said.clone();
            sim.always("only once", move || held.load(Relaxed) < 2);
            let run = catch_unwind(AssertUnwindSafe(|| proactor.run()));
            if run.is_err() {
                assert!(catch_unwind(AssertUnwindSafe(|| proactor.poll())).is_err());
            }
            assert_eq!(said.load(Relaxed), 1, "it was to run");
            run.unwrap().unwrap();
        })
        .unwrap();
    assert_eq!(summary.dropped(), (3, 3), "{summary}");
}

#[test]
fn a_future_that_is_blocked_on_is_dropped_and_not_by_a_panic() {
    struct Calm;
    impl Drop for Calm {
        fn drop(&mut self) {
            assert!(!std::thread::panicking());
        }
    }
    let model = |sim: &Sim, done: bool| {
        let handle = sim.proactor().handle();
        let calm = Calm;
        let main = async move {
            handle.sleep(Duration::from_millis(1)).await.unwrap();
            drop(calm);
        };
        if done {
            sim.proactor().block_on(main).unwrap();
        } else {
            let guarded = async {
                main.await;
                Bomb::new().defused();
            };
            sim.proactor().block_on(guarded).unwrap();
        }
    };
    let summary = alone().run(move |sim| model(sim, true)).unwrap();
    assert!(summary.dropped().0 > 0, "{summary}");

    // One that panics is an ordinary failure.
    let failure = alone()
        .run(|sim| {
            let bomb = Bomb::new();
            let handle = sim.proactor().handle();
            let main = async move {
                let _ = handle.sleep(Duration::from_millis(1)).await;
                bomb.defused();
            };
            sim.proactor().block_on(main).unwrap();
        })
        .unwrap_err();
    assert_eq!(failure.invariant(), Some(Invariant::Panic), "{failure}");
    assert!(failure.to_string().contains("never defused"), "{failure}");
}

/// Panics unless it was defused: a guard that insists on its good end.
struct Bomb(bool);

impl Bomb {
    fn new() -> Bomb {
        Bomb(false)
    }

    fn defused(mut self) {
        self.0 = true;
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(self.0, "never defused");
    }
}

#[test]
fn a_guard_that_panics_is_found_told_and_repeated() {
    let model = |sim: &Sim| {
        let bomb = Bomb::new();
        let sleep = sim.proactor().sleep(Duration::from_millis(1));
        sleep.then(move |_| bomb.defused());
        sim.proactor().run().unwrap();
    };
    let failure = alone().name("guard").run(model).unwrap_err();
    assert_eq!(failure.oracle(), Some(Oracle::Panic));
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    let text = failure.to_string();
    assert!(
        text.contains("the proactor is dropped before the deadline of timer(at 1 ms)"),
        "{text}"
    );
    assert!(
        text.contains("(number 1 in which the proactor is dropped)"),
        "{text}"
    );
    let replay = failure.replay().unwrap().to_owned();
    assert!(
        replay.contains(";drop@") && replay.ends_with("=dropped"),
        "{replay}"
    );
    let again = alone().name("guard").replay(&replay).run(model);
    let again = again.unwrap_err();
    assert_eq!(again.oracle(), Some(Oracle::Panic));
    assert_eq!(again.replay(), Some(replay.as_str()));
    // Of the mended one the same replay is no failure, and not stale.
    let mended = |sim: &Sim| {
        let sleep = sim.proactor().sleep(Duration::from_millis(1));
        sleep.then(|_| ());
        sim.proactor().run().unwrap();
    };
    let passes = alone().name("guard").replay(&replay).run(mended).unwrap();
    assert!(
        passes.to_string().contains("with all of its 1 deviation"),
        "{passes}"
    );
}

#[test]
fn what_is_kept_by_a_cycle_is_found() {
    let failure = alone()
        .run(|sim| {
            type Callback = Box<dyn FnOnce() + Send>;
            let proactor = sim.proactor();
            let listener = TcpListener::bind(proactor, ADDR).unwrap();
            let end: Arc<Mutex<Option<Callback>>> = Arc::default();
            let own = end.clone();
            *end.lock().unwrap() = Some(Box::new(move || drop((own, listener))));
            let sleep = proactor.sleep(Duration::from_millis(1));
            sleep.then(move |_| end.lock().unwrap().take().unwrap()());
            proactor.run().unwrap();
        })
        .unwrap_err();
    assert_eq!(failure.oracle(), Some(Oracle::Leak), "{failure}");
}

#[test]
fn scripted_peers_expect_nothing_of_who_is_gone() {
    let points = each(alone, |sim| {
        let proactor = sim.proactor();
        let listener = TcpListener::bind(proactor, ADDR).unwrap();
        let servers = sim.listen("10.0.0.1:8");
        servers.accept().expect("never sent").send("late");
        let peer = sim.connect(ADDR);
        peer.send("ping").expect("pong").expect_end();
        let handle = proactor.handle();
        let serve = async move {
            let (stream, _) = listener.accept().await.ok()?;
            let (read, bytes) = stream.read(Vec::with_capacity(4)).await;
            assert_eq!((read.ok()?, &bytes[..]), (4, &b"ping"[..]));
            write_all(&stream, b"pong".to_vec()).await.0.ok()?;
            let other = TcpStream::connect(&handle, "10.0.0.1:8").await.ok()?;
            write_all(&other, b"never sent".to_vec()).await.0.ok()?;
            other.read(Vec::with_capacity(4)).await.0.ok()
        };
        proactor.block_on(serve).unwrap();
        drop((peer, servers));
    });
    assert!(points > 5, "{points}");
}

#[test]
fn it_is_done_unless_told_otherwise_and_costs_no_more_than_its_share() {
    assert!(alone().run(echo).unwrap().dropped().0 > 5);
    assert_eq!(alone().drops(false).run(echo).unwrap().dropped(), (0, 0));
    let kind = alone().deviations(0).random(true).executions(20);
    let kind = kind.run(echo).unwrap();
    assert_eq!(kind.dropped(), (0, 0), "{kind}");
    // The single deviations, of which there are 52, come first.
    let poor = Checker::new().executions(40).run(echo).unwrap();
    assert_eq!(poor.dropped().0, 0, "{poor}");
    assert!(
        poor.to_string()
            .contains("\n  not      the proactor dropped at any of the kind run's "),
        "{poor}"
    );
    assert_eq!(poor.executions(), 40, "{poor}");
    // Where there are few of them, the stage has an eighth.
    let five_timers = |sim: &Sim| {
        for n in 1..=5 {
            let sleep = sim.proactor().sleep(Duration::from_millis(n));
            sleep.then(|_| ());
        }
        sim.proactor().run().unwrap();
    };
    let some = Checker::new().executions(40).run(five_timers).unwrap();
    assert_eq!(some.dropped(), (5, 11), "{some}");
    assert!(
        some.to_string()
            .contains("\n  sampled  the proactor dropped at 5 of 11 points of the kind run"),
        "{some}"
    );
}

#[test]
fn the_first_point_that_fails_is_the_same_on_any_number_of_threads() {
    let found = [1, 3].map(|threads| {
        let failure = alone()
            .threads(threads)
            .run(|sim| {
                for _ in 0..200 {
                    let bomb = Arc::new(Mutex::new(Some(Bomb::new())));
                    sim.proactor().sleep(Duration::from_millis(1)).then({
                        let bomb = bomb.clone();
                        move |_| bomb.lock().unwrap().take().unwrap().defused()
                    });
                    sim.proactor().run().unwrap();
                }
            })
            .unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Broken);
        (failure.executions(), failure.replay().map(str::to_owned))
    });
    assert_eq!(found[0], found[1]);
}
