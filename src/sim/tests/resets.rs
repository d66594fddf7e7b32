//! Connections that are reset: who takes the error, what is lost, and what a listener makes of it.

use super::*;
use crate::sim::Personality;
use crate::sim::errno::*;

/// Closes with a RST.
fn reset(hand: &mut Hand, handle: i32) {
    hand.world
        .with(|kernel| kernel.set_linger(handle, Some(0)))
        .unwrap();
    hand.close(handle);
}

#[test]
fn a_receive_and_a_send_that_wait_are_two_and_the_error_is_one() {
    for (pick, expected) in [(0, (-ECONNRESET, -EPIPE)), (1, (0, -ECONNRESET))] {
        let config = Config {
            stream_buffer: 4,
            ..Config::default()
        };
        let mut hand = Hand::with(config, Script(vec![(Site::Error, 0, pick)]));
        let (listener, client, server) = hand.pair();
        let full = hand.send(client, b"full");
        assert_eq!(hand.result(full), 4);
        let (recv, send) = (hand.recv(client, 9), hand.send(client, b"more"));
        reset(&mut hand, server);
        let mut results = HashMap::from([hand.next(), hand.next()]);
        assert_eq!(
            (results.remove(&recv), results.remove(&send)),
            (Some(expected.0), Some(expected.1))
        );
        hand.end(&[client, listener]);
    }
}

#[test]
fn what_was_sent_before_a_reset_may_be_lost_with_it() {
    for (pick, left) in [(0, 10), (1, 5), (2, 0)] {
        let mut hand = Hand::script(&[(Site::Abort, 0, pick)]);
        let (listener, client, server) = hand.pair();
        let send = hand.send(client, b"0123456789");
        assert_eq!(hand.result(send), 10);
        reset(&mut hand, client);
        if left > 0 {
            let recv = hand.recv(server, 64);
            assert_eq!(hand.result(recv), left);
            assert_eq!(
                hand.buffer(recv)[..left as usize],
                b"0123456789"[..left as usize]
            );
        }
        let recv = hand.recv(server, 64);
        assert_eq!(hand.result(recv), -ECONNRESET);
        hand.end(&[server, listener]);
    }
}

#[test]
fn nothing_that_came_before_an_end_is_lost_by_a_reset_behind_it() {
    let mut hand = Hand::script(&[(Site::Abort, 0, 2)]);
    let (listener, client, server) = hand.pair();
    let (send, shutdown) = (hand.send(client, b"all"), hand.shutdown(client, 1));
    assert_eq!((hand.result(send), hand.result(shutdown)), (3, 0));
    reset(&mut hand, client);
    let (recv, end) = (hand.recv(server, 64), hand.recv(server, 64));
    assert_eq!((hand.result(recv), hand.result(end)), (3, 0));
    hand.end(&[server, listener]);
}

#[test]
fn a_connection_reset_in_the_backlog_is_accepted_or_aborted_by_personality() {
    let accepted = |personality, pick| {
        let config = Config {
            personality,
            ..Config::default()
        };
        // The first offer is whether the accept fails for lack of something.
        let mut hand = Hand::with(config, Script(vec![(Site::Accept, 1, pick)]));
        let listener = hand.listen(8);
        let (client, connect) = hand.connect(ADDR);
        assert_eq!(hand.result(connect), 0);
        reset(&mut hand, client);
        let accept = hand.accept(listener);
        let result = hand.result(accept);
        if result < 0 {
            hand.end(&[listener]);
            return Some(-result);
        }
        let recv = hand.recv(result, 1);
        assert_eq!(hand.result(recv), -ECONNRESET);
        hand.end(&[result, listener]);
        None
    };
    for personality in [Personality::Any, Personality::Port, Personality::Readiness] {
        assert_eq!(accepted(personality, 0), None);
        assert_eq!(accepted(personality, 1), Some(ECONNABORTED));
    }
    // Linux has no other way: nothing is offered.
    assert_eq!(accepted(Personality::Ring, 1), None);
}

#[test]
fn a_connect_may_fail_in_every_way_of_the_manual() {
    let errors = [
        (3, EHOSTUNREACH),
        (4, EADDRNOTAVAIL),
        (5, EMFILE),
        (6, ENOBUFS),
    ];
    for (pick, error) in errors {
        let mut hand = Hand::script(&[(Site::Connect, 0, pick)]);
        let listener = hand.listen(8);
        let (socket, connect) = hand.connect(ADDR);
        assert_eq!(hand.result(connect), -error);
        let again = hand.connect_socket(socket, ADDR);
        assert_eq!(hand.result(again), 0);
        hand.end(&[socket, listener]);
    }
}

#[test]
fn an_accept_that_fails_leaves_the_connection_where_it_was() {
    for (pick, error) in [(1, EMFILE), (2, ENFILE), (3, ENOBUFS), (4, ENOMEM)] {
        let mut hand = Hand::script(&[(Site::Accept, 0, pick)]);
        let listener = hand.listen(8);
        let (client, connect) = hand.connect(ADDR);
        assert_eq!(hand.result(connect), 0);
        let accept = hand.accept(listener);
        assert_eq!(hand.result(accept), -error);
        let accept = hand.accept(listener);
        let server = hand.result(accept);
        assert!(server > 0);
        hand.end(&[client, server, listener]);
    }
}

/// A backlog that has a place again is found by the next SYN, as Linux drops the one that found none.
#[test]
fn a_place_in_the_backlog_is_found_at_the_next_try() {
    let mut hand = Hand::kind();
    let listener = hand.listen(0);
    let (first, one) = hand.connect(ADDR);
    let (second, two) = hand.connect(ADDR);
    let accept = hand.accept(listener);
    assert_eq!(hand.result(one), 0);
    let served = hand.result(accept);
    assert_eq!((hand.result(two), hand.world.now()), (0, 1_000_000_000));
    hand.end(&[first, second, served, listener]);
}

#[test]
fn a_connection_that_both_have_ended_is_none() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    for side in [client, server] {
        let shutdown = hand.shutdown(side, 1);
        assert_eq!(hand.result(shutdown), 0);
    }
    for side in [client, server] {
        let shutdown = hand.shutdown(side, 0);
        assert_eq!(hand.result(shutdown), -ENOTCONN);
        let peer = hand.world.with(|kernel| kernel.peer_addr(side));
        assert_eq!(peer, Err(ENOTCONN));
    }
    hand.end(&[client, server, listener]);
}

#[test]
fn bytes_for_a_side_that_has_shut_down_both_ways_reset_both() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let shutdown = hand.shutdown(client, 2);
    assert_eq!(hand.result(shutdown), 0);
    let send = hand.send(server, b"x");
    assert_eq!(hand.result(send), 1);
    let (near, far) = (hand.recv(client, 9), hand.send(server, b"y"));
    assert_eq!((hand.result(near), hand.result(far)), (-ECONNRESET, -EPIPE));
    hand.end(&[client, server, listener]);
}
