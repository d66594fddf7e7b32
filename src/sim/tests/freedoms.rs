//! Freedoms of the transitions that are not told elsewhere: each can happen, and does no more than it says.

use super::*;
use crate::sim::Personality;
use crate::sim::errno::*;
use crate::sim::files::{CREATE, READ, WRITE};

fn small(personality: Personality, chooser: impl Chooser) -> Hand {
    Hand::with(
        Config {
            trace: true,
            stream_buffer: 4,
            personality,
            ..Config::default()
        },
        chooser,
    )
}

#[test]
fn a_port_sends_all_and_others_what_fits() {
    for (personality, expected) in [
        (Personality::Any, 4),
        (Personality::Ring, 4),
        (Personality::Readiness, 4),
        (Personality::Port, 10),
    ] {
        let mut hand = small(personality, Kind);
        let (listener, client, server) = hand.pair();
        let send = hand.send(client, b"0123456789");
        let mut got = Vec::new();
        let mut sent = None;
        while sent.is_none() || got.len() < expected {
            let recv = hand.recv(server, 3);
            loop {
                let (id, result) = hand.next();
                if id == recv {
                    got.extend_from_slice(&hand.buffer(recv)[..result as usize]);
                    break;
                }
                assert_eq!(id, send);
                sent = Some(result);
            }
        }
        assert_eq!(sent, Some(expected as i32), "{personality}");
        assert_eq!(got, b"0123456789"[..expected]);
        hand.end(&[client, server, listener]);
    }
}

#[test]
fn a_send_that_is_not_over_reports_what_it_has_sent_when_it_is_cancelled() {
    // The rest is a deviation where every kernel is possible, and the rule of a port.
    for (personality, script) in [
        (Personality::Any, vec![(Site::SendSize, 1, 1)]),
        (Personality::Port, vec![]),
    ] {
        let mut hand = small(personality, Script(script));
        let (listener, client, server) = hand.pair();
        let send = hand.send(client, b"0123456789");
        let recv = hand.recv(server, 8);
        assert_eq!(hand.result(recv), 4, "effect before completion");
        assert_eq!(hand.step(Until::Now), Stepped::Nothing);
        hand.cancel(send);
        assert_eq!(hand.result(send), 8, "four, and four in the place of those");
        let rest = hand.recv(server, 8);
        assert_eq!(hand.result(rest), 4);
        assert_eq!(&hand.buffer(rest)[..4], b"4567");
        hand.end(&[client, server, listener]);
    }
}

#[test]
fn nothing_gets_between_the_parts_of_a_send() {
    let mut hand = small(Personality::Port, Kind);
    let (listener, client, server) = hand.pair();
    let (first, second) = (hand.send(client, b"abcdefgh"), hand.send(client, b"xy"));
    let mut got = Vec::new();
    while got.len() < 10 {
        let recv = hand.recv(server, 3);
        while let (id, result) = hand.next()
            && (id == recv || [(first, 8), (second, 2)].contains(&(id, result)))
        {
            if id == recv {
                got.extend_from_slice(&hand.buffer(recv)[..result as usize]);
                break;
            }
        }
    }
    assert_eq!(got, b"abcdefghxy");
    while hand.world.with(|kernel| kernel.in_flight()) > 0 {
        hand.next();
    }
    hand.end(&[client, server, listener]);
}

#[test]
fn a_send_that_is_cut_by_a_reset_reports_its_part_and_the_next_operation_the_error() {
    let mut hand = small(Personality::Port, Kind);
    let (listener, client, server) = hand.pair();
    let send = hand.send(client, b"0123456789");
    hand.close(server); // with unread data
    assert_eq!(hand.result(send), 4);
    let next = hand.send(client, b"x");
    assert_eq!(hand.result(next), -ECONNRESET);
    hand.end(&[client, listener]);
}

/// Each with the place of its word on the menu of every kernel, and on its own.
const NO_MEMORY: [(&str, Personality, usize, i32); 5] = [
    ("enobufs", Personality::Any, 2, ENOBUFS),
    ("enobufs", Personality::Port, 2, ENOBUFS),
    ("enobufs", Personality::Readiness, 2, ENOBUFS),
    ("enomem", Personality::Any, 3, ENOMEM),
    ("enomem", Personality::Ring, 2, ENOMEM),
];

#[test]
fn a_transfer_may_find_no_memory_and_its_stream_is_as_it_was() {
    for (word, personality, pick, error) in NO_MEMORY {
        let hand = |offer| small(personality, Script(vec![(Site::Reset, offer, pick)]));

        let mut sending = hand(0);
        let (listener, client, server) = sending.pair();
        let (send, recv) = (sending.send(client, b"abc"), sending.recv(server, 8));
        assert_eq!(sending.result(send), -error, "{word}");
        assert_eq!(sending.step(Until::Now), Stepped::Nothing);
        let again = sending.send(client, b"xyz");
        assert_eq!((sending.result(again), sending.result(recv)), (3, 3));
        assert_eq!(&sending.buffer(recv)[..3], b"xyz");
        sending.end(&[client, server, listener]);

        let mut receiving = hand(1);
        let (listener, client, server) = receiving.pair();
        let (send, recv) = (receiving.send(client, b"abc"), receiving.recv(server, 8));
        assert_eq!(
            (receiving.result(send), receiving.result(recv)),
            (3, -error)
        );
        let again = receiving.recv(server, 8);
        assert_eq!(receiving.result(again), 3);
        receiving.end(&[client, server, listener]);

        let mut woken = hand(3);
        let (listener, client, server) = woken.pair();
        let (first, behind) = (woken.recv(server, 8), woken.recv(server, 8));
        let send = woken.send(client, b"abc");
        let mut results = [woken.next(), woken.next(), woken.next()];
        results.sort_unstable();
        assert_eq!(results, [(first, -error), (behind, 3), (send, 3)]);
        woken.end(&[client, server, listener]);
    }
}

/// A port's send that has moved a part: the part is its result.
#[test]
fn a_send_that_finds_no_memory_for_its_rest_reports_its_part() {
    let mut hand = small(Personality::Port, Script(vec![(Site::Reset, 2, 2)]));
    let (listener, client, server) = hand.pair();
    let send = hand.send(client, b"0123456789");
    // Which makes room for the rest.
    let recv = hand.recv(server, 8);
    assert_eq!((hand.result(recv), hand.result(send)), (4, 4));
    hand.end(&[client, server, listener]);
}

#[test]
fn who_waits_longer_need_not_be_served_first() {
    let mut hand = Hand::script(&[(Site::Line, 1, 1)]);
    let (listener, client, server) = hand.pair();
    let (first, second, third) = (
        hand.recv(server, 1),
        hand.recv(server, 1), // offer 0: behind
        hand.recv(server, 1), // offer 1: ahead of both
    );
    let send = hand.send(client, b"abc");
    let order = [hand.next(), hand.next(), hand.next(), hand.next()].map(|(id, _)| id);
    assert!(order.contains(&send));
    let bytes = [first, second, third].map(|id| hand.buffer(id)[0]);
    assert_eq!(bytes, *b"bca");
    hand.end(&[client, server, listener]);

    let mut hand = Hand::script(&[(Site::Line, 0, 1)]);
    let listener = hand.listen(8);
    let (first, second) = (hand.accept(listener), hand.accept(listener));
    let (client, connect) = hand.connect(ADDR);
    let server = hand.next().1.max(hand.next().1);
    assert_eq!(hand.world.with(|kernel| kernel.in_flight()), 1);
    hand.cancel(first);
    assert_eq!(hand.result(first), -ECANCELED, "the second was served");
    let _ = (second, connect);
    hand.end(&[client, server, listener]);
}

#[test]
fn a_connect_may_find_no_free_descriptor() {
    for (pick, error) in [(5, EMFILE), (7, ENFILE)] {
        let mut hand = Hand::script(&[(Site::Connect, 0, pick)]);
        let listener = hand.listen(8);
        let (socket, connect) = hand.connect(ADDR);
        assert_eq!(hand.result(connect), -error);
        hand.end(&[socket, listener]);
    }
}

#[test]
fn a_read_in_two_parts_is_no_snapshot_and_a_cancel_between_reports_the_first() {
    // Behind full, 1, half and n-1.
    for cancelled in [false, true] {
        let mut hand = Hand::script(&[(Site::ReadSize, 0, 4)]);
        hand.world.add_file("/f", b"abcdef");
        let open = hand.submit(Verb::Open, -1, READ | WRITE, 0, b"/f".to_vec());
        let file = hand.result(open);
        let read = hand.submit(Verb::ReadAt, file, 0, 0, vec![7; 6]);
        if cancelled {
            hand.cancel(read);
            assert_eq!(hand.result(read), 3);
            assert_eq!(hand.buffer(read), b"abc\x07\x07\x07");
        } else {
            let write = hand.submit(Verb::WriteAt, file, 0, 0, b"ABCDEF".to_vec());
            assert_eq!((hand.result(write), hand.result(read)), (6, 6));
            assert_eq!(hand.buffer(read), b"abcDEF");
        }
        hand.end(&[file]);
    }
}

#[test]
fn a_write_in_two_parts_is_seen_by_halves_and_an_error_hides_no_part() {
    let mut hand = Hand::script(&[
        (Site::WriteSize, 0, 4),
        (Site::FileError, 2, 1), // of open, of the first part, of the second
    ]);
    let open = hand.submit(Verb::Open, -1, READ | WRITE | CREATE, 0, b"/f".to_vec());
    let file = hand.result(open);
    let write = hand.submit(Verb::WriteAt, file, 0, 0, b"abcdef".to_vec());
    assert_eq!(hand.world.file("/f").unwrap(), b"abc");
    assert_eq!(hand.result(write), 3, "the second part met EIO");
    hand.end(&[file]);
}

#[test]
fn the_buffer_of_a_read_in_two_parts_is_the_kernels_between_them() {
    for at in [1, 4] {
        let mut hand = Hand::script(&[(Site::ReadSize, 0, 4)]);
        hand.world.add_file("/f", b"abcdef");
        let open = hand.submit(Verb::Open, -1, READ, 0, b"/f".to_vec());
        let file = hand.result(open);
        let read = hand.submit(Verb::ReadAt, file, 0, 0, vec![7; 6]);
        hand.poke(read, at);
        hand.step(Until::Event);
        let found = hand.world.violation().map(|it| it.invariant);
        // Also in the part that is read already.
        assert_eq!(found, Some(crate::sim::Invariant::I2), "{at}");
    }
}

#[test]
fn a_cancel_of_a_file_operation_may_come_too_late_on_every_kernel() {
    for personality in Personality::ALL {
        // Where no cancel is late there are two outcomes only.
        let lost = if personality == Personality::Readiness {
            1
        } else {
            2
        };
        let script = vec![(Site::EffectLate, 1, 1), (Site::Cancel, 0, lost)];
        let mut hand = small(personality, Script(script));
        hand.world.add_file("/f", b"abcdef");
        let open = hand.submit(Verb::Open, -1, READ, 0, b"/f".to_vec());
        let file = hand.result(open);
        let read = hand.submit(Verb::ReadAt, file, 0, 0, vec![7; 6]);
        hand.cancel(read);
        assert_eq!(hand.result(read), 6, "{personality}");
        hand.end(&[file]);
    }
}

#[test]
fn opening_and_syncing_may_fail_for_want_of_something() {
    let mut hand = Hand::script(&[(Site::FileError, 0, 3), (Site::FileError, 1, 2)]);
    let open = |hand: &mut Hand| {
        let open = hand.submit(Verb::Open, -1, READ | WRITE | CREATE, 0, b"/f".to_vec());
        hand.result(open)
    };
    assert_eq!(open(&mut hand), -ENFILE);
    let file = open(&mut hand);
    let sync = hand.submit(Verb::Sync, file, 0, 0, Vec::new());
    assert_eq!(hand.result(sync), -ENOSPC);
    hand.end(&[file]);
}

#[test]
fn without_faults_left_only_what_is_no_fault_is_offered() {
    /// Always the last alternative.
    struct Last;
    impl Chooser for Last {
        fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
            match site {
                Site::NextStep => 0,
                _ => count - 1,
            }
        }
    }
    let run = |faults| {
        let config = Config {
            faults_per_operation: faults,
            ..Config::default()
        };
        let mut hand = Hand::with(config, Last);
        let listener = hand.listen(8);
        let (client, connect) = hand.connect(ADDR);
        let accept = hand.accept(listener);
        let (first, second) = (hand.next(), hand.next());
        assert!([first.0, second.0].contains(&connect));
        let results = if first.0 == accept {
            (second.1, first.1)
        } else {
            (first.1, second.1)
        };
        (hand, listener, client, results)
    };
    let (mut hand, listener, client, (connected, server)) = run(0);
    assert_eq!(connected, 0);
    let send = hand.send(client, b"abc");
    let recv = hand.recv(server, 8);
    let results = [hand.next(), hand.next()];
    assert!(
        results.contains(&(send, 3)) && results.contains(&(recv, 3)),
        "{results:?}"
    );
    hand.end(&[client, server, listener]);
}
