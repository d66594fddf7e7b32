//! Cancels and timers: every outcome by the state of the target.

use super::*;
use crate::sim::errno::*;

#[test]
fn a_cancel_of_what_waits_wins_and_the_bytes_are_for_the_next() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let recv = hand.recv(server, 8);
    hand.cancel(recv);
    hand.cancel(recv);
    assert_eq!(hand.result(recv), -ECANCELED);
    assert_eq!(hand.buffer(recv), [0; 8]);
    let (send, again) = (hand.send(client, b"x"), hand.recv(server, 8));
    assert_eq!((hand.result(send), hand.result(again)), (1, 1));
    hand.cancel(again);
    hand.end(&[client, server, listener]);
}

#[test]
fn a_cancel_of_what_is_done_finds_nothing() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let send = hand.send(client, b"abc");
    hand.cancel(send);
    assert_eq!(hand.result(send), 3);
    hand.end(&[client, server, listener]);
}

#[test]
fn a_late_cancel_still_ends_what_waits() {
    let mut hand = Hand::script(&[(Site::Cancel, 0, 1)]);
    let (listener, client, server) = hand.pair();
    let recv = hand.recv(server, 8);
    hand.cancel(recv);
    assert_eq!(hand.result(recv), -ECANCELED);
    hand.end(&[client, server, listener]);
}

#[test]
fn data_may_overtake_a_late_cancel() {
    let mut hand = Hand::script(&[(Site::Cancel, 0, 1)]);
    let (listener, client, server) = hand.pair();
    let recv = hand.recv(server, 8);
    hand.cancel(recv);
    let send = hand.send(client, b"abc");
    assert_eq!((hand.result(send), hand.result(recv)), (3, 3));
    assert_eq!(
        hand.step(Until::Now),
        Stepped::Nothing,
        "nothing is left of the cancel"
    );
    hand.end(&[client, server, listener]);
}

#[test]
fn a_cancel_of_an_armed_operation_has_three_outcomes() {
    for (pick, expected) in [(0, -ECANCELED), (1, 3), (2, 3)] {
        let mut hand = Hand::script(&[(Site::EffectLate, 2, 1), (Site::Cancel, 0, pick)]);
        let (listener, client, server) = hand.pair(); // offers 0, 1
        let send = hand.send(client, b"abc");
        hand.cancel(send);
        assert_eq!(hand.result(send), expected, "{pick}");
        if expected < 0 {
            let recv = hand.recv(server, 8);
            hand.cancel(recv);
            assert_eq!(
                hand.result(recv),
                -ECANCELED,
                "a cancel that won had no effect"
            );
        }
        hand.end(&[client, server, listener]);
    }
}

#[test]
fn timers_fire_in_order_and_time_waits_for_nothing_else() {
    let mut hand = Hand::kind();
    let (listener, client, server) = hand.pair();
    let (late, early, same) = (hand.timer(300), hand.timer(200), hand.timer(200));
    let send = hand.send(client, b"x");
    assert_eq!(hand.next(), (send, 1));
    assert_eq!(hand.world.now(), 0);
    assert_eq!([hand.next().0, hand.next().0], [early, same]);
    assert_eq!(hand.world.now(), 200);
    assert_eq!(hand.step(Until::Time(250)), Stepped::Nothing);
    assert_eq!(hand.world.now(), 250);
    assert_eq!(hand.next(), (late, 0));
    let past = hand.timer(5);
    assert_eq!(hand.next(), (past, 0));
    hand.end(&[client, server, listener]);
}

#[test]
fn a_timer_is_cancelled_taken_back_or_late() {
    let mut hand = Hand::kind();
    let (cancelled, disarmed, fired) = (hand.timer(100), hand.timer(100), hand.timer(200));
    hand.cancel(cancelled);
    hand.world
        .with(|kernel| kernel.disarm(disarmed, u64::from(disarmed)));
    assert_eq!(hand.next(), (cancelled, -ECANCELED));
    assert_eq!(hand.next(), (fired, 0));
    // Queued already, and not handed out: that can be taken back too.
    let (one, two) = (hand.timer(300), hand.timer(300));
    assert_eq!(hand.next(), (one, 0));
    hand.cancel(two);
    hand.world.with(|kernel| kernel.disarm(two, u64::from(two)));
    assert_eq!(hand.step(Until::Event), Stepped::Stuck);
    hand.end(&[]);
}

#[test]
fn the_clock_may_run_ahead_of_a_completion() {
    // Alternatives: the send's completion, then the clock.
    let mut hand = Hand::script(&[(Site::NextStep, 1, 1), (Site::NextStep, 0, 1)]);
    let (listener, client, server) = hand.pair();
    let send = hand.send(client, b"x");
    let timer = hand.timer(100);
    // Both are queued now; the second deviation hands out the timer first.
    assert_eq!(hand.next(), (timer, 0));
    assert_eq!(hand.world.now(), 100);
    assert_eq!(hand.next(), (send, 1));
    hand.end(&[client, server, listener]);
}

#[test]
fn who_polls_without_end_sees_time_pass() {
    let mut hand = Hand::kind();
    let timer = hand.timer(5_000_000);
    let mut polls = 0;
    while hand.step(Until::Now) == Stepped::Nothing {
        polls += 1;
        assert!(polls < 2_000);
    }
    assert_eq!(hand.world.now(), 5_000_000);
    assert_eq!(hand.world.with(|kernel| kernel.in_flight()), 0);
    let _ = timer;
    hand.end(&[]);
}
