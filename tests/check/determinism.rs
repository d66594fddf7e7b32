//! Models that read what the checker does not control: each is told, with the step, the handler and the line
//! at which two runs under the same decisions first part.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use proactor::check::{Checker, Failure, FailureKind, Sim};
use proactor::net::{TcpListener, TcpStream};
use rand::RngExt;

use crate::telling::{on_a_test_thread, without_lines};

/// A number that the operating system has drawn.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// The failure of a model that is not deterministic, which parts at this line.
#[track_caller]
fn parts_at(line: &AtomicU32, checker: Checker, model: fn(&Sim)) -> Box<Failure> {
    let failure = checker.run(model).expect_err("it is found");
    assert_eq!(failure.kind(), FailureKind::NonDeterministic, "{failure}");
    let place = format!("tests/check/determinism.rs:{}:", line.load(Relaxed));
    let text = failure.to_string();
    assert!(text.contains(&place), "not at {place}\n{text}");
    failure
}

/// A handler that sleeps for so long, in a handler of its own.
fn sleeps(sim: &Sim, nanos: fn() -> u64, line: &'static AtomicU32) {
    let proactor = sim.proactor().handle();
    sim.proactor().post(move || {
        let nanos = nanos();
        line.store(line!() + 1, Relaxed);
        proactor.sleep(Duration::from_nanos(nanos)).then(|_| ());
    });
    sim.proactor().run().expect("it runs");
}

#[test]
fn a_real_clock() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    fn now() -> u64 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(1) {}
        start.elapsed().as_nanos() as u64
    }
    let failure = parts_at(&LINE, Checker::new(), |sim| sleeps(sim, now, &LINE));
    let text = failure.to_string();
    assert!(
        text.contains("in the handler of 0.1 handler posted, which was started at"),
        "{text}"
    );
    assert!(text.contains("timer(at "), "{text}");
}

#[test]
fn real_random_numbers() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    let model = |sim: &Sim| sleeps(sim, || random() % 1_000_000_000, &LINE);
    parts_at(&LINE, Checker::new(), model);
}

/// Keys, in the order in which they are acted upon: each a sleep of its own length.
fn in_order(sim: &Sim, keys: impl Iterator<Item = u64>, line: &AtomicU32) {
    for key in keys {
        line.store(line!() + 1, Relaxed);
        let sleep = sim.proactor().sleep(Duration::from_millis(key + 1));
        sleep.then(|_| ());
    }
    sim.proactor().run().expect("it runs");
}

#[test]
fn the_order_of_a_hash_map() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    parts_at(&LINE, Checker::new(), |sim| {
        let map: HashMap<u64, ()> = (0..32).map(|key| (key, ())).collect();
        in_order(sim, map.keys().copied(), &LINE);
    });
}

#[test]
fn an_order_by_addresses() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    parts_at(&LINE, Checker::new(), |sim| {
        let boxes: Vec<Box<u64>> = (0..4).map(Box::new).collect();
        let by_address: BTreeMap<usize, u64> = boxes
            .iter()
            .map(|it| (std::ptr::from_ref(&**it).addr(), **it))
            .collect();
        in_order(sim, by_address.values().copied(), &LINE);
    });
}

/// Sends these bytes to a peer that reads them.
fn sends(sim: &Sim, bytes: fn(&Sim) -> Vec<u8>, line: &'static AtomicU32) {
    let listener = TcpListener::bind(sim.proactor(), "10.0.0.1:7").expect("the address is free");
    let (proactor, bytes) = (sim.proactor().handle(), bytes(sim));
    let closes = listener.clone();
    drop(sim.proactor().spawn(async move {
        let connected = TcpStream::connect(&proactor, "10.0.0.1:7").await;
        let stream = connected.inspect_err(|_| closes.close())?;
        line.store(line!() + 1, Relaxed);
        stream.write(bytes).await.0
    }));
    listener.accept().then(move |accepted| {
        if let Ok((stream, _)) = accepted {
            stream.read(vec![0; 8]).then(move |_| drop(stream));
        }
        listener.close();
    });
    let _ = sim.proactor().run();
}

#[test]
fn bytes_that_nobody_looks_at() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    let model = |sim: &Sim| sends(sim, |_| random().to_le_bytes().to_vec(), &LINE);
    let failure = parts_at(&LINE, Checker::new(), model);
    assert!(
        failure
            .to_string()
            .contains("The bytes that it lends are not the same."),
        "{failure}"
    );
}

#[test]
fn only_behind_a_deviation() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    fn model(sim: &Sim) {
        let listener =
            TcpListener::bind(sim.proactor(), "10.0.0.1:7").expect("the address is free");
        let proactor = sim.proactor().handle();
        drop(sim.proactor().spawn(async move {
            if TcpStream::connect(&proactor, "10.0.0.1:7").await.is_err() {
                let backoff = Duration::from_nanos(random() % 1_000_000_000);
                LINE.store(line!() + 1, Relaxed);
                let _ = proactor.sleep(backoff).await;
            }
            listener.close();
        }));
        let _ = sim.proactor().run();
    }
    let failure = parts_at(&LINE, Checker::new(), model);
    assert!(
        failure
            .to_string()
            .contains("was run twice, and came to something else"),
        "{failure}"
    );
    // Nobody looks twice: then it passes, for nothing fails.
    let summary = Checker::new().repeat_every(0).run(model);
    summary.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn what_the_checker_offers_instead_repeats_itself() {
    static LINE: AtomicU32 = AtomicU32::new(0);
    let checker = || Checker::new().repeat_every(1).executions(2_000);
    let random = checker().run(|sim| {
        let random = |sim: &Sim| sim.rng().random::<u64>().to_le_bytes().to_vec();
        sends(sim, random, &LINE);
    });
    random.unwrap_or_else(|failure| panic!("{failure}"));
    let clock = checker().run(|sim| {
        let proactor = sim.proactor().handle();
        sim.proactor().post(move || {
            proactor
                .sleep_until(proactor.now() + Duration::from_millis(1))
                .then(|_| ());
        });
        sim.proactor().run().expect("it runs");
        assert_eq!(sim.now(), Duration::from_millis(1));
    });
    clock.unwrap_or_else(|failure| panic!("{failure}"));
    let ordered = checker().run(|sim| {
        let map: BTreeMap<u64, ()> = (0..8).map(|key| (key, ())).collect();
        in_order(sim, map.keys().copied(), &LINE);
    });
    ordered.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn what_a_person_reads() {
    // The two orders are what they are: a static that each execution leaves changed.
    let report = on_a_test_thread(|| {
        static TURN: AtomicU32 = AtomicU32::new(0);
        let failure = Checker::new().name("turns").run(|sim| {
            let odd = TURN.fetch_add(1, Relaxed) % 2;
            let proactor = sim.proactor().handle();
            sim.proactor().post(move || {
                let sleep = proactor.sleep(Duration::from_millis(1 + u64::from(odd)));
                sleep.then(|_| ());
            });
            sim.proactor().run().expect("it runs");
        });
        failure.expect_err("it is found").to_string()
    });
    insta::assert_snapshot!(without_lines(&report));
}
