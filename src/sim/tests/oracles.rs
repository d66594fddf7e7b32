//! Each oracle fires on its planted bug, and names it; what comes after a verdict.

use super::*;
use crate::sim::errno::*;
use crate::sim::{EventNames, Invariant, Oracle, Violation};

#[track_caller]
fn verdict(hand: &Hand, invariant: Invariant, words: &str) -> Violation {
    let violation = hand.world.violation().expect("a violation");
    assert_eq!(violation.invariant, invariant, "{violation}");
    assert!(violation.message.contains(words), "{violation}");
    violation
}

#[test]
fn i1_a_slot_is_not_submitted_twice() {
    let mut hand = Hand::kind();
    hand.timer(100);
    hand.next = 0;
    hand.timer(100);
    verdict(&hand, Invariant::I1, "submitted again");
}

#[test]
fn i2_a_receiving_buffer_is_touched_before_the_effect() {
    let mut hand = Hand::kind();
    let (_, client, server) = hand.pair();
    let recv = hand.recv(server, 100);
    hand.poke(recv, 99);
    hand.send(client, b"x");
    let violation = verdict(
        &hand,
        Invariant::I2,
        "recv(c1 server, 100) was written to at byte 99",
    );
    assert!(violation.location.unwrap().file().ends_with("oracles.rs"));
}

#[test]
fn i2_a_receiving_buffer_is_touched_after_the_effect() {
    for at in [0, 99] {
        let mut hand = Hand::kind();
        let (_, client, server) = hand.pair();
        hand.send(client, b"xyz");
        let recv = hand.recv(server, 100);
        hand.poke(recv, at);
        hand.next();
        assert!(!hand.world.failed());
        hand.next();
        verdict(&hand, Invariant::I2, "recv(c1 server, 100)");
    }
}

#[test]
fn i2_a_sent_buffer_is_changed_before_the_effect_and_after() {
    let mut hand = Hand::with(
        Config {
            stream_buffer: 2,
            ..Config::default()
        },
        Kind,
    );
    let (_, client, server) = hand.pair();
    hand.send(client, b"ab");
    let waiting = hand.send(client, b"cd");
    hand.poke(waiting, 1);
    hand.recv(server, 2);
    verdict(&hand, Invariant::I2, "send(c1 client, 2)");

    let mut hand = Hand::kind();
    let (_, client, _) = hand.pair();
    let send = hand.send(client, b"ab");
    hand.poke(send, 0);
    hand.next();
    verdict(&hand, Invariant::I2, "send(c1 client, 2) were changed");
}

#[test]
fn i4_a_closed_handle_is_used_even_if_its_number_was_given_again() {
    let mut hand = Hand::kind();
    let (_, client, _) = hand.pair();
    hand.close(client);
    let (again, connect) = hand.connect(ADDR);
    assert_eq!(hand.result(connect), 0);
    assert_eq!(again & 0xfff, client & 0xfff, "the number is reused");
    let send = hand.send(client, b"x");
    verdict(&hand, Invariant::I4, "after the handle was closed");
    assert_eq!(hand.result(send), -EBADF);
}

#[test]
fn i4_a_handle_is_closed_under_an_operation() {
    let mut hand = Hand::kind();
    let (_, _, server) = hand.pair();
    hand.recv(server, 1);
    hand.close(server);
    verdict(
        &hand,
        Invariant::I4,
        "c1 server was closed with 1 operations in flight",
    );
}

#[test]
fn i7_a_stuck_run_names_who_waits_for_what() {
    let mut hand = Hand::kind();
    let (listener, _, server) = hand.pair();
    let (recv, accept) = (hand.recv(server, 16), hand.accept(listener));
    assert_eq!(hand.step(Until::Now), Stepped::Nothing);
    assert!(!hand.world.failed());
    assert_eq!(hand.step(Until::Event), Stepped::Stuck);
    let violation = verdict(&hand, Invariant::I7, "recv(c1 server, 16) waits for bytes");
    assert!(
        violation
            .message
            .contains("accept(listener 127.0.0.1:80) waits for somebody to connect")
    );
    assert!(violation.message.contains("oracles.rs:"), "{violation}");
    // Then everything ends, first come, first served.
    assert_eq!(hand.result(recv), -ECANCELED);
    assert_eq!(hand.result(accept), -ECANCELED);
    let after = hand.recv(server, 1);
    assert_eq!(hand.result(after), -ECANCELED);
    assert_eq!(hand.step(Until::Event), Stepped::Stuck);
}

#[test]
fn i8_what_is_left_over_is_named() {
    let mut hand = Hand::kind();
    let (_, _, server) = hand.pair();
    hand.recv(server, 4);
    hand.timer(7);
    hand.world.finish();
    let violation = verdict(
        &hand,
        Invariant::I8,
        "recv(c1 server, 4) is still in flight",
    );
    for words in [
        "timer(at 7 ns) is still in flight",
        "c1 server is still open",
        "listener 127.0.0.1:80 is still open",
    ] {
        assert!(violation.message.contains(words), "{violation}");
    }

    let mut hand = Hand::kind();
    let listener = hand.listen(1);
    hand.close(listener);
    hand.close(listener);
    verdict(&hand, Invariant::I8, "closed twice");
}

#[test]
fn the_first_violation_is_kept_and_everything_drains() {
    let mut hand = Hand::new(Random::new(3, 200));
    let listener = hand.listen(1);
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(hand.accept(listener));
        waiting.push(hand.timer(1_000));
    }
    hand.cancel(waiting[4]);
    let first = Violation::new(Oracle::Always, "first".into(), EventId::ROOT, None);
    hand.world.report(first.clone());
    hand.world.report(Violation {
        message: "second".into(),
        ..first.clone()
    });
    let mut ended: Vec<u32> = (0..10).map(|_| hand.next().0).collect();
    assert_eq!(hand.world.violation(), Some(first));
    ended.retain(|&id| id != waiting[4]);
    waiting.remove(4);
    assert_eq!(ended, waiting);
}

#[test]
fn the_trace_names_events_by_their_path() {
    let mut hand = Hand::kind();
    let listener = hand.listen(1);
    let accept = hand.accept(listener);
    let (client, connect) = hand.connect(ADDR);
    let (_, server) = (hand.next(), hand.next().1.max(0));
    let _ = (accept, connect);
    let trace = hand.world.kernel_trace();
    assert_eq!(
        trace,
        "0.1 submit accept(listener 127.0.0.1:80)\n\
         0.2 submit connect(socket 4, 127.0.0.1:80)\n\
         0.1 effect = c1 server\n\
         0.2 effect = 0\n\
         0.1 complete = c1 server\n\
         0.2 complete = 0\n"
    );
    let names = EventNames::of(&hand.world.trace());
    assert_eq!(names.get(EventId::ROOT.child(1)), "0.2");
    let _ = (client, server);
}
