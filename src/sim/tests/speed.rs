//! What it costs. Not asserted: `cargo test --release sim::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;
use crate::sim::kernel::Kernel;

/// `pairs` connections, 64 bytes there and back for `rounds` rounds; ns a completion.
fn ping(pairs: usize, rounds: usize, config: Config, chooser: impl Chooser) -> f64 {
    let mut hand = Hand::with(config, Kind);
    let listener = hand.listen(4096);
    let ends: Vec<(i32, i32)> = (0..pairs).map(|_| hand.pair_at(listener)).collect();
    hand.world
        .with(|kernel| kernel.is_decided_by(Box::new(chooser)));
    let mut buffers: Vec<[u8; 64]> = vec![[1; 64]; 2 * pairs];
    let world = hand.world.clone();
    let submit = |kernel: &mut Kernel, id: usize, verb, buffers: &mut Vec<[u8; 64]>, nth: u32| {
        let (client, server) = ends[id / 2];
        let request = Request {
            verb,
            vectored: false,
            writable: true,
            may_be_ready: false,
            handle: [client, server][id % 2],
            len: 64,
            flags: 0,
            ptr: buffers[id].as_mut_ptr(),
            offset: 0,
            token: id as u64,
            event: EventId::ROOT.child(nth),
            cause: EventId::ROOT,
            location: Location::caller(),
        };
        // SAFETY: `buffers` outlives the loop, is not resized, and each slot has its own.
        unsafe { kernel.submit(id as u32, &request) };
    };
    for pair in 0..pairs {
        world.with(|kernel| submit(kernel, 2 * pair, Verb::Send, &mut buffers, 0));
        world.with(|kernel| submit(kernel, 2 * pair + 1, Verb::Recv, &mut buffers, 0));
    }
    let total = rounds * pairs * 2;
    let mut verbs = vec![Verb::Send; 2 * pairs];
    (0..pairs).for_each(|pair| verbs[2 * pair + 1] = Verb::Recv);
    let start = Instant::now();
    for nth in 0..total {
        let Stepped::Completion(token, _) = world.with(|kernel| kernel.step(Until::Event)) else {
            panic!("{:?}", world.violation())
        };
        let id = token as usize;
        world.with(|kernel| submit(kernel, id, verbs[id], &mut buffers, nth as u32));
    }
    let each = start.elapsed().as_nanos() as f64 / total as f64;
    assert!(world.violation().is_none());
    each
}

#[test]
#[ignore = "a measurement, to be run in release mode"]
fn nanoseconds_a_completion() {
    let oracles = Config {
        faults_per_operation: 0,
        max_steps: u64::MAX,
        ..Config::default()
    };
    let plain = Config {
        poison: false,
        ..oracles.clone()
    };
    for pairs in [1, 64, 1_000, 4_000] {
        let rounds = 2_000_000 / pairs;
        println!(
            "{pairs:>6} connections: kind {:5.1} ns, with lent-buffer oracles {:5.1} ns, random 1/8 with oracles {:5.1} ns",
            ping(pairs, rounds, plain.clone(), Kind),
            ping(pairs, rounds, oracles.clone(), Kind),
            ping(pairs, rounds, oracles.clone(), Random::new(1, 32)),
        );
    }
}

/// A kernel is made anew in the memory of the last one; somebody listens, connects and accepts.
fn one_connection(world: &World, addr: &mut SocketAddr) {
    let submit = |id, verb, handle, ptr: *mut u8| {
        let request = memory::request(id, verb, handle, ptr, 0);
        // SAFETY: the address outlives this call, at whose end nothing is in flight.
        world.with(|kernel| unsafe { kernel.submit(id, &request) });
    };
    let next = || match world.with(|kernel| kernel.step(Until::Event)) {
        Stepped::Completion(_, result) => result,
        other => panic!("{other:?}"),
    };
    let listener = world.with(|kernel| kernel.listen(*addr, 4, false)).unwrap();
    let client = world.with(|kernel| kernel.socket(None)).unwrap();
    submit(0, Verb::Connect, client, std::ptr::from_mut(addr).cast());
    assert_eq!(next(), 0);
    submit(1, Verb::Accept, listener, std::ptr::null_mut());
    assert!(next() > 0);
}

#[test]
#[ignore = "a measurement, to be run in release mode"]
fn nanoseconds_a_fresh_kernel() {
    let world = World::new(Config::default(), Box::new(Kind));
    let mut addr: SocketAddr = ADDR.parse().unwrap();
    let mut chooser: Option<Box<dyn Chooser>> = Some(Box::new(Kind));
    let mut measure = |what: &str, run: &mut dyn FnMut(&World)| {
        let count = 1_000_000;
        let mut round = || {
            let start = Instant::now();
            for _ in 0..count {
                chooser = Some(world.reset(Config::default(), chooser.take().unwrap()));
                run(&world);
            }
            start.elapsed().as_nanos() as f64 / f64::from(count)
        };
        // The first of several warms up; others of the machine only add.
        let each = (0..5).map(|_| round()).fold(f64::INFINITY, f64::min);
        println!("{what}: {each:.0} ns");
    };
    measure("reset, listen, connect, accept", &mut |world| {
        one_connection(world, &mut addr);
    });
    measure(
        "reset, a file, listen, connect, accept, close all, finish",
        &mut |world| memory::run(world, 0),
    );
}
