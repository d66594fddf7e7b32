//! Streams and listeners: the kind run, and each deviation.

use super::*;
use crate::sim::errno::*;

#[test]
fn bytes_arrive_in_order_and_the_end_follows_them() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let early = hand.recv(server, 4);
    let send = hand.send(client, b"hello world");
    let rest = hand.recv(server, 100);
    assert_eq!(hand.result(send), 11);
    assert_eq!(hand.result(early), 4);
    assert_eq!(hand.result(rest), 7);
    assert_eq!(
        (hand.buffer(early), &hand.buffer(rest)[..7]),
        (&b"hell"[..], &b"o world"[..])
    );
    assert_eq!(
        hand.buffer(rest)[7..],
        [0; 93],
        "what the kernel did not write is as it was"
    );
    let shutdown = hand.shutdown(client, 1);
    assert_eq!(hand.result(shutdown), 0);
    for _ in 0..2 {
        let end = hand.recv(server, 10);
        assert_eq!(hand.result(end), 0);
    }
    let back = hand.send(server, b"still");
    let recv = hand.recv(client, 9);
    assert_eq!(
        (hand.result(back), hand.result(recv)),
        (5, 5),
        "half-closed"
    );
    let broken = hand.send(client, b"x");
    assert_eq!(hand.result(broken), -EPIPE);
    hand.end(&[client, server, listener]);
}

#[test]
fn empty_requests_complete_with_nothing() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let (recv, send) = (hand.recv(client, 0), hand.send(client, b""));
    assert_eq!((hand.result(recv), hand.result(send)), (0, 0));
    hand.end(&[client, server, listener]);
}

#[test]
fn a_full_buffer_holds_the_sender_back() {
    let mut hand = Hand::with(
        Config {
            stream_buffer: 8,
            ..Config::default()
        },
        Kind,
    );
    let (listener, client, server) = hand.pair();
    let (first, second) = (hand.send(client, b"0123456789"), hand.send(client, b"ab"));
    assert_eq!(hand.result(first), 8);
    assert_eq!(hand.step(Until::Now), Stepped::Nothing);
    let recv = hand.recv(server, 3);
    assert_eq!(hand.next(), (recv, 3));
    assert_eq!(hand.next(), (second, 2));
    let recv = hand.recv(server, 20);
    assert_eq!(hand.result(recv), 7);
    assert_eq!(&hand.buffer(recv)[..7], b"34567ab");
    hand.end(&[client, server, listener]);
}

#[test]
fn transfers_come_in_every_size_class() {
    for (pick, expected) in [(1, 1), (2, 5), (3, 9)] {
        let mut hand = Hand::script(&[(Site::RecvSize, 0, pick)]);
        let (listener, client, server) = hand.pair();
        let (send, recv) = (hand.send(client, b"0123456789"), hand.recv(server, 64));
        assert_eq!((hand.result(send), hand.result(recv)), (10, expected));
        let rest = hand.recv(server, 64);
        assert_eq!(hand.result(rest), 10 - expected);
        hand.end(&[client, server, listener]);

        let mut hand = Hand::script(&[(Site::SendSize, 0, pick)]);
        let (listener, client, server) = hand.pair();
        let (send, recv) = (hand.send(client, b"0123456789"), hand.recv(server, 64));
        assert_eq!((hand.result(send), hand.result(recv)), (expected, expected));
        hand.end(&[client, server, listener]);
    }
}

#[test]
fn connect_to_nobody_is_refused_and_the_socket_may_try_again() {
    let mut hand = Hand::kind();
    let (socket, connect) = hand.connect(ADDR);
    assert_eq!(hand.result(connect), -ECONNREFUSED);
    let recv = hand.recv(socket, 1);
    assert_eq!(hand.result(recv), -ENOTCONN);
    let listener = hand.listen(1);
    let again = hand.connect_socket(socket, ADDR);
    assert_eq!(hand.result(again), 0);
    let twice = hand.connect_socket(socket, ADDR);
    assert_eq!(hand.result(twice), -EISCONN);
    hand.end(&[socket, listener]);
}

#[test]
fn a_connect_may_be_refused_or_time_out() {
    for (pick, error, at) in [(1, ECONNREFUSED, 0), (2, ETIMEDOUT, 127_000_000_000)] {
        let mut hand = Hand::script(&[(Site::Connect, 0, pick)]);
        let listener = hand.listen(1);
        let (socket, connect) = hand.connect(ADDR);
        assert_eq!(hand.result(connect), -error);
        assert_eq!(hand.world.now(), at);
        let again = hand.connect_socket(socket, ADDR);
        assert_eq!(hand.result(again), 0);
        hand.end(&[socket, listener]);
    }
}

#[test]
fn a_full_backlog_makes_the_next_wait_and_then_time_out() {
    let mut hand = Hand::kind();
    let listener = hand.listen(0);
    let (one, connected) = hand.connect(ADDR);
    let (two, waits) = hand.connect(ADDR);
    let (three, cancelled) = hand.connect(ADDR);
    let (four, too_long) = hand.connect(ADDR);
    assert_eq!(hand.result(connected), 0);
    let twice = hand.connect_socket(two, ADDR);
    assert_eq!(hand.result(twice), -EALREADY);
    hand.cancel(cancelled);
    assert_eq!(hand.result(cancelled), -ECANCELED);
    let accept = hand.accept(listener);
    let first = hand.result(accept);
    assert_eq!(hand.result(waits), 0);
    assert_eq!(hand.result(too_long), -ETIMEDOUT);
    let accept = hand.accept(listener);
    let second = hand.result(accept);
    let (send, recv) = (hand.send(two, b"2"), hand.recv(second, 1));
    assert_eq!(
        (hand.result(send), hand.result(recv)),
        (1, 1),
        "accepted in the order of the handshakes"
    );
    hand.end(&[one, two, three, four, first, second, listener]);
}

#[test]
fn a_listener_that_goes_away_resets_and_refuses() {
    let mut hand = Hand::kind();
    let listener = hand.listen(0);
    let (one, connected) = hand.connect(ADDR);
    let (two, waits) = hand.connect(ADDR);
    assert_eq!(hand.result(connected), 0);
    hand.close(listener);
    assert_eq!(hand.result(waits), -ECONNREFUSED);
    let recv = hand.recv(one, 1);
    assert_eq!(hand.result(recv), -ECONNRESET);
    hand.end(&[one, two]);
}

#[test]
fn ports_are_taken_given_and_shared() {
    let hand = Hand::kind();
    let listen = |addr: &str, share| {
        hand.world
            .with(|kernel| kernel.listen(addr.parse().unwrap(), 1, share))
    };
    let first = listen("127.0.0.1:80", false).unwrap();
    assert_eq!(listen("127.0.0.1:80", false), Err(EADDRINUSE));
    assert_eq!(listen("0.0.0.0:80", true), Err(EADDRINUSE));
    assert_eq!(listen("[::]:80", true), Err(EADDRINUSE));
    let shared = (
        listen("127.0.0.1:81", true).unwrap(),
        listen("127.0.0.1:81", true).unwrap(),
    );
    let any = (
        listen("127.0.0.1:0", false).unwrap(),
        listen("127.0.0.1:0", false).unwrap(),
    );
    let port = |raw| {
        hand.world
            .with(|kernel| kernel.local_addr(raw))
            .unwrap()
            .port()
    };
    assert!(port(any.0) >= 32768 && port(any.0) != port(any.1));
    hand.end(&[first, shared.0, shared.1, any.0, any.1]);
}

#[test]
fn a_reset_kills_both_sides_once() {
    let mut hand = Hand::script(&[(Site::Reset, 1, 1)]);
    let (listener, client, server) = hand.pair();
    let waiting = hand.recv(server, 1);
    let send = hand.send(client, b"lost");
    assert_eq!(hand.result(send), -ECONNRESET);
    assert_eq!(hand.result(waiting), -ECONNRESET);
    // As Linux has it: the error is reported once, then the stream is at its end, and broken.
    let (recv, send, shutdown) = (
        hand.recv(client, 1),
        hand.send(client, b"x"),
        hand.shutdown(client, 1),
    );
    assert_eq!(
        (hand.result(recv), hand.result(send), hand.result(shutdown)),
        (0, -EPIPE, -ENOTCONN)
    );
    hand.end(&[client, server, listener]);
}

#[test]
fn a_reset_may_strike_a_recv_that_waits() {
    let mut hand = Hand::script(&[(Site::Reset, 2, 1)]);
    let (listener, client, server) = hand.pair();
    let recv = hand.recv(server, 8); // offer 0
    let send = hand.send(client, b"lost"); // offer 1; then the recv wakes: offer 2
    assert_eq!((hand.result(send), hand.result(recv)), (4, -ECONNRESET));
    hand.end(&[client, server, listener]);
}

#[test]
fn closing_sends_the_end_or_a_reset_if_data_was_unread() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let send = hand.send(server, b"bye");
    assert_eq!(hand.result(send), 3);
    hand.close(server);
    let (recv, end) = (hand.recv(client, 9), hand.recv(client, 9));
    assert_eq!((hand.result(recv), hand.result(end)), (3, 0));
    // Nobody is there: the first send still leaves, the RST that it provokes breaks the second.
    let (first, second) = (hand.send(client, b"x"), hand.send(client, b"y"));
    assert_eq!((hand.result(first), hand.result(second)), (1, -EPIPE));
    let end = hand.recv(client, 9);
    assert_eq!(
        hand.result(end),
        0,
        "a reset after the end does not undo the end"
    );
    hand.close(client);

    let (client, server) = hand.pair_at(listener);
    let (one, two) = (hand.send(server, b"unread"), hand.send(client, b"read"));
    assert_eq!((hand.result(one), hand.result(two)), (6, 4));
    hand.close(client);
    let (recv, reset) = (hand.recv(server, 9), hand.recv(server, 9));
    assert_eq!((hand.result(recv), hand.result(reset)), (4, -ECONNRESET));
    hand.end(&[server, listener]);
}

#[test]
fn an_effect_may_come_late_and_finds_what_came_meanwhile() {
    // The recv waits; the first bytes wake it, but it takes them later, together with the second ones.
    let mut hand = Hand::script(&[(Site::EffectLate, 3, 1)]);
    let (listener, client, server) = hand.pair(); // offers 0, 1
    let recv = hand.recv(server, 8);
    let first = hand.send(client, b"ab"); // offer 2, and the recv: offer 3
    let second = hand.send(client, b"cd");
    assert_eq!(
        (hand.result(first), hand.result(second), hand.result(recv)),
        (2, 2, 4)
    );
    hand.end(&[client, server, listener]);
}

#[test]
fn completions_come_in_any_order() {
    let mut hand = Hand::script(&[(Site::NextStep, 1, 2)]);
    let (listener, client, server) = hand.pair(); // offer 0
    let sends = [
        hand.send(client, b"a"),
        hand.send(client, b"b"),
        hand.send(client, b"c"),
    ];
    assert_eq!(
        [hand.next().0, hand.next().0, hand.next().0],
        [sends[2], sends[0], sends[1]]
    );
    hand.end(&[client, server, listener]);
}

#[test]
fn an_await_may_be_ready_at_its_first_poll() {
    let mut hand = Hand::script(&[(Site::ReadyAtFirstPoll, 0, 1)]);
    let (listener, client, server) = hand.pair();
    assert_eq!(
        hand.try_submit(Verb::Send, client, 0, 0, b"ab".to_vec(), true)
            .1,
        Some(2)
    );
    let (pending, result) = hand.try_submit(Verb::Send, client, 0, 0, b"cd".to_vec(), true);
    assert_eq!(result, None);
    assert_eq!(hand.result(pending), 2);
    hand.end(&[client, server, listener]);
}

#[test]
fn addresses_are_those_of_both_ends() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    hand.world.with(|kernel| {
        assert_eq!(kernel.local_addr(client), kernel.peer_addr(server));
        assert_eq!(kernel.peer_addr(client), kernel.local_addr(server));
        assert_eq!(kernel.peer_addr(listener), Err(ENOTCONN));
        kernel.set_nodelay(client, true).unwrap();
        assert_eq!(
            (kernel.nodelay(client), kernel.nodelay(server)),
            (Ok(true), Ok(false))
        );
    });
    hand.end(&[client, server, listener]);
}

#[test]
fn an_accept_that_fails_leaves_the_connection_to_the_next() {
    for (pick, error) in [(1, EMFILE), (2, ENFILE)] {
        let mut hand = Hand::script(&[(Site::Accept, 0, pick)]);
        let listener = hand.listen(8);
        let (client, connect) = hand.connect(ADDR);
        let (first, second) = (hand.accept(listener), hand.accept(listener));
        assert_eq!(hand.result(connect), 0);
        assert_eq!(hand.result(first), -error);
        let server = hand.result(second);
        let (send, recv) = (hand.send(client, b"x"), hand.recv(server, 8));
        assert_eq!((hand.result(send), hand.result(recv)), (1, 1));
        hand.end(&[client, server, listener]);
    }
}
