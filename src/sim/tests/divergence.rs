//! Where the simulation differs from real kernels: a test for each entry of the list.

use std::time::Duration;

use super::*;
use crate::sim::errno::*;
use crate::sim::files::{CREATE, WRITE};
use crate::sim::{Personality, legality};

#[test]
fn a_link_has_no_bandwidth() {
    let mut hand = Hand::kind();
    let (near, far) = (hand.world.host("near"), hand.world.host("far"));
    near.link(&far).latency(Duration::from_millis(10));
    let addr = far.addr(80);
    let listener = hand
        .world
        .with(|kernel| kernel.listen(addr, 8, false))
        .unwrap();
    let (client, connect) = hand.connect_from(near.addr(0), addr);
    let accept = hand.accept(listener);
    assert_eq!(hand.result(connect), 0);
    let server = hand.result(accept);
    let (recv, before) = (hand.recv(server, 65_536), hand.world.now());
    let send = hand.send(client, &[7; 65_536]);
    assert_eq!((hand.result(send), hand.result(recv)), (65_536, 65_536));
    assert_eq!(hand.world.now() - before, 10_000_000);
    hand.end(&[client, server, listener]);
}

#[test]
fn a_host_that_has_restarted_still_listens() {
    let mut hand = Hand::kind();
    let host = hand.world.host("db");
    let addr = host.addr(80);
    let listener = hand
        .world
        .with(|kernel| kernel.listen(addr, 8, false))
        .unwrap();
    host.reset_connections();
    let (client, connect) = hand.connect(&addr.to_string());
    assert_eq!(hand.result(connect), 0);
    hand.end(&[client, listener]);
}

#[test]
fn a_linger_time_above_zero_makes_no_difference() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let send = hand.send(client, b"still there");
    assert_eq!(hand.result(send), 11);
    hand.world
        .with(|kernel| kernel.set_linger(client, Some(1)))
        .unwrap();
    hand.close(client);
    assert_eq!(hand.world.now(), 0);
    let late = hand.timer(5_000_000_000);
    assert_eq!(hand.result(late), 0);
    let recv = hand.recv(server, 64);
    assert_eq!(hand.result(recv), 11);
    let end = hand.recv(server, 64);
    assert_eq!(hand.result(end), 0);
    hand.end(&[server, listener]);
}

#[test]
fn a_cancelled_connect_leaves_a_fresh_socket() {
    let mut hand = Hand::kind();
    let listener = hand.listen(0);
    let (first, connected) = hand.connect(ADDR);
    assert_eq!(hand.result(connected), 0);
    let (second, waiting) = hand.connect(ADDR);
    hand.cancel(waiting);
    assert_eq!(hand.result(waiting), -ECANCELED);
    let accept = hand.accept(listener);
    let server = hand.result(accept);
    let again = hand.connect_socket(second, ADDR);
    assert_eq!(hand.result(again), 0);
    hand.end(&[first, second, server, listener]);
}

#[test]
fn a_port_is_free_at_once() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    for handle in [server, client, listener] {
        hand.close(handle);
    }
    let again = hand.listen(8);
    hand.end(&[again]);
}

/// How many outcomes with this error there are, of operations that `are` these.
fn outcomes_with(error: &str, are: impl Fn(&[&str]) -> bool) -> usize {
    let transitions = legality().transitions();
    let words = transitions
        .filter(|it| are(it.operations))
        .flat_map(|it| it.outcomes);
    words.filter(|it| it.word == error).count()
}

#[test]
fn no_operation_but_on_a_socket_ends_for_want_of_memory() {
    const SOCKETS: [&str; 4] = ["recv", "send", "connect", "accept"];
    let others = |them: &[&str]| !them.iter().any(|it| SOCKETS.contains(it));
    for error in ["enobufs", "enomem"] {
        assert_eq!(outcomes_with(error, others), 0);
        assert!(outcomes_with(error, |them| them.contains(&"recv")) > 0);
    }
}

#[test]
fn no_outcome_is_an_interruption() {
    for error in ["eintr", "eagain"] {
        assert_eq!(outcomes_with(error, |_| true), 0);
    }
}

#[test]
fn a_reset_has_linux_number_everywhere() {
    for personality in Personality::ALL {
        let config = Config {
            personality,
            ..Config::default()
        };
        let mut hand = Hand::with(config, Script(vec![(Site::Reset, 0, 1)]));
        let (listener, client, server) = hand.pair();
        let recv = hand.recv(client, 8);
        assert_eq!(hand.result(recv), -ECONNRESET, "{personality}");
        hand.end(&[client, server, listener]);
    }
}

#[test]
fn a_file_ends_at_its_largest_size() {
    let mut hand = Hand::kind();
    let open = hand.submit(Verb::Open, -1, WRITE | CREATE, 0, b"/f".to_vec());
    let file = hand.result(open);
    let write = hand.submit(Verb::WriteAt, file, 0, 1 << 30, b"x".to_vec());
    assert_eq!(hand.result(write), -EFBIG);
    hand.end(&[file]);
}

#[test]
fn plain_memory_is_no_switch_point() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    // A lost update that needs a switch between the two accesses is never found.
    let summary = crate::check::Checker::new()
        .workers(2)
        .run(|sim| {
            let counter = Arc::new(AtomicU32::new(0));
            for _ in 0..2 {
                let counter = counter.clone();
                sim.proactor().post(move || {
                    let before = counter.load(Relaxed);
                    counter.store(before + 1, Relaxed);
                });
            }
            let _ = sim.proactor().run();
            assert_eq!(counter.load(Relaxed), 2);
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(summary.executions() > 1);
}
