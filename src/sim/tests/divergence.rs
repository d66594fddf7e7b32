//! Where the simulation differs from real kernels: a test for each entry of the list.

use super::*;
use crate::sim::errno::*;
use crate::sim::files::{CREATE, WRITE};
use crate::sim::{Personality, legality};

#[test]
fn one_host_hears_itself_at_once_under_every_address() {
    let mut hand = Hand::kind();
    let listener = hand
        .world
        .with(|kernel| kernel.listen("0.0.0.0:80".parse().unwrap(), 8, false))
        .unwrap();
    for addr in ["127.0.0.1:80", "10.1.2.3:80"] {
        let (client, connect) = hand.connect(addr);
        assert_eq!((hand.result(connect), hand.world.now()), (0, 0));
        hand.close(client);
    }
    hand.end(&[listener]);
}

#[test]
fn a_place_in_a_backlog_is_found_at_once() {
    let mut hand = Hand::kind();
    let listener = hand.listen(0); // and one more
    let (first, connected) = hand.connect(ADDR);
    let (second, waiting) = hand.connect(ADDR);
    assert_eq!(hand.result(connected), 0);
    let accept = hand.accept(listener);
    let server = hand.result(accept);
    assert_eq!((hand.result(waiting), hand.world.now()), (0, 0));
    hand.end(&[first, second, server, listener]);
}

#[test]
fn what_is_queued_survives_the_reset_of_a_close() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let (there, back) = (hand.send(client, b"there"), hand.send(server, b"back"));
    assert_eq!((hand.result(there), hand.result(back)), (5, 4));
    hand.close(server); // with unread data
    let recv = hand.recv(client, 8);
    assert_eq!(hand.result(recv), 4);
    let recv = hand.recv(client, 8);
    assert_eq!(hand.result(recv), -ECONNRESET);
    hand.end(&[client, listener]);
}

#[test]
fn of_a_receive_and_a_send_the_receive_has_the_error() {
    let config = Config {
        stream_buffer: 4,
        ..Config::default()
    };
    let mut hand = Hand::with(config, Kind);
    let (listener, client, server) = hand.pair();
    let full = hand.send(client, b"abcd");
    assert_eq!(hand.result(full), 4);
    let (send, recv) = (hand.send(client, b"x"), hand.recv(client, 8));
    hand.close(server); // with unread data
    assert_eq!(hand.result(recv), -ECONNRESET);
    assert_eq!(hand.result(send), -EPIPE);
    hand.end(&[client, listener]);
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

fn outcomes_with(error: &str) -> usize {
    let words = legality().transitions().flat_map(|it| it.outcomes);
    words.filter(|it| it.word == error).count()
}

#[test]
fn no_outcome_is_want_of_memory() {
    assert_eq!(outcomes_with("enomem") + outcomes_with("enobufs"), 0);
    assert!(outcomes_with("enospc") > 0);
}

#[test]
fn no_outcome_is_an_interruption() {
    assert_eq!(outcomes_with("eintr") + outcomes_with("eagain"), 0);
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
