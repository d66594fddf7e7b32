//! A held kernel: the same echo in both faces, every outcome by hand, and errors that explain.

mod disk;
mod hosts;
mod readiness;

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::sim::errno;

const ADDR: &str = "10.0.0.1:7";

fn hand() -> Hand {
    Hand::new(Config {
        trace: true,
        ..Config::default()
    })
}

/// Lets an operation that can complete do so, and reaps it.
#[track_caller]
fn completes(hand: &mut Hand, op: OpId) -> Completion {
    hand.step(Step::Complete(op)).unwrap();
    let completion = hand.reap().unwrap();
    assert_eq!(completion.op, op);
    completion
}

/// Submits something that completes at once.
#[track_caller]
fn does(hand: &mut Hand, request: Request) -> Completion {
    let op = hand.submit(request).unwrap();
    completes(hand, op)
}

fn connected(hand: &mut Hand) -> (Stream, Stream) {
    let listener = hand.listen(ADDR).unwrap();
    let client = hand.socket().unwrap();
    does(hand, Request::connect(client, ADDR.parse().unwrap()))
        .result
        .unwrap();
    let server = does(hand, Request::accept(listener)).stream().unwrap();
    hand.close(listener).unwrap();
    (client, server)
}

#[test]
fn an_echo_in_completion_style() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(16)))
        .unwrap();
    assert!(hand.enabled().is_empty(), "it waits");
    let sent = does(&mut hand, Request::send(client, "hello"));
    assert_eq!((sent.bytes(), &sent.buf[..]), (Some(5), &b"hello"[..]));
    let got = completes(&mut hand, recv);
    assert_eq!(got.buf, b"hello");
    does(&mut hand, Request::send(server, got.buf));
    let back = does(&mut hand, Request::recv(client, Vec::with_capacity(16)));
    assert_eq!(back.buf, b"hello");
    does(
        &mut hand,
        Request::shutdown(client, std::net::Shutdown::Write),
    );
    let end = does(&mut hand, Request::recv(server, back.buf));
    assert_eq!((end.bytes(), end.buf.len()), (Some(0), 0));
    hand.close(client).unwrap();
    hand.close(server).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn the_same_echo_in_readiness_style() {
    let mut hand = hand();
    let listener = hand.listen(ADDR).unwrap();
    assert_eq!(
        hand.try_accept(listener).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let client = hand.socket().unwrap();
    let connect = hand
        .submit(Request::connect(client, ADDR.parse().unwrap()))
        .unwrap();
    // Not reaped, and yet connected: the other face tells.
    let ready = hand.wait(
        &[
            (client.into(), Interest::Write),
            (listener.into(), Interest::Read),
        ],
        Duration::ZERO,
    );
    assert_eq!(ready.len(), 2);
    assert!(ready[0].writable && ready[1].readable);
    completes(&mut hand, connect).result.unwrap();
    let (server, peer) = hand.try_accept(listener).unwrap();
    assert_eq!(peer, hand.local_addr(client).unwrap());

    let read = [(server.into(), Interest::Read)];
    assert_eq!(hand.wait(&read, Duration::ZERO), []);
    let mut buf = [0; 16];
    assert_eq!(
        hand.try_read(server, &mut buf).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    assert_eq!(hand.try_write(client, b"hello").unwrap(), 5);
    assert!(hand.wait(&read, Duration::ZERO)[0].readable);
    assert_eq!(hand.try_read(server, &mut buf[..2]).unwrap(), 2);
    assert!(hand.wait(&read, Duration::ZERO)[0].readable, "level");
    assert_eq!(hand.try_read(server, &mut buf[2..]).unwrap(), 3);
    assert_eq!(hand.wait(&read, Duration::ZERO), []);
    assert_eq!(hand.try_write(server, &buf[..5]).unwrap(), 5);
    let mut back = [0; 5];
    assert_eq!(hand.try_read(client, &mut back).unwrap(), 5);
    assert_eq!(&back, b"hello");

    hand.close(client).unwrap();
    let end = hand.wait(&read, Duration::ZERO)[0];
    assert!(end.readable && end.ended && !end.hung_up && !end.failed);
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 0);
    hand.close(server).unwrap();
    hand.close(listener).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn both_faces_of_one_stream_share_its_bytes() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(3)))
        .unwrap();
    hand.try_write(client, b"hello").unwrap();
    // The receive was there first.
    let mut buf = [0; 16];
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 2);
    assert_eq!(&buf[..2], b"lo");
    assert_eq!(completes(&mut hand, recv).buf, b"hel");
    // A try is never late: that is an operation's.
    hand.decide("late: late").unwrap();
    hand.try_write(client, b"now").unwrap();
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 3);
    assert_eq!(hand.undecided(), ["late: late"]);
}

#[test]
fn readiness_may_be_spurious_and_a_try_finds_out() {
    let mut hand = hand();
    let listener = hand.listen("10.0.0.1:8").unwrap();
    let (_, server) = connected(&mut hand);
    for object in [Object::from(server), listener.into()] {
        hand.decide("spurious: ready").unwrap();
        let interests = [(object, Interest::Both)];
        let ready = hand.wait(&interests, Duration::ZERO);
        assert!(ready[0].readable && !ready[0].ended, "{ready:?}");
    }
    let nothing = hand.try_read(server, &mut [0; 4]).unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    let nobody = hand.try_accept(listener).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::WouldBlock);
}

/// One deviation of each site, or two of one: all that the kernel may do with a receive that finds `n` bytes.
fn outcomes_of_a_receive(n: usize) -> Vec<String> {
    let mut outcomes = std::collections::BTreeSet::new();
    // An odometer over the decisions, in the order in which they come.
    let mut picks: Vec<usize> = Vec::new();
    loop {
        let mut hand = hand();
        let (client, server) = connected(&mut hand);
        hand.try_write(client, &vec![7; n]).unwrap();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let mut words = Vec::new();
        let mut ask = |decision: &Decision| {
            let pick = picks.get(taken.len()).copied().unwrap_or(0);
            taken.push((pick, decision.alternatives.len()));
            let word = &decision.alternatives[pick].word;
            words.push(format!("{}: {word}", decision.site.name()));
            pick
        };
        let request = Request::recv(server, Vec::with_capacity(n));
        let recv = hand.submit_with(request, &mut ask).unwrap();
        if hand.enabled()[0].step == Step::Effect(recv) {
            hand.step_with(Step::Effect(recv), &mut ask).unwrap();
        }
        let result = match completes(&mut hand, recv).result {
            Ok(Done::Bytes(count)) => format!("{count} bytes"),
            other => format!("{:?}", other.map_err(|error| error.kind())),
        };
        outcomes.insert(format!("{} = {result}", words.join(", ")));
        let Some(at) = taken.iter().rposition(|(pick, of)| pick + 1 < *of) else {
            return outcomes.into_iter().collect();
        };
        picks = taken[..=at].iter().map(|(pick, _)| *pick).collect();
        picks[at] += 1;
    }
}

#[test]
fn every_outcome_of_a_receive_by_hand_is_what_the_table_says() {
    use crate::sim::transitions::{Personality, Rule};
    let outcomes = outcomes_of_a_receive(64);
    let words = |rule: Rule, possible: u16| {
        let transition = rule.transition();
        let mask = transition.mask(Personality::Any, true) & possible;
        let outcomes = (0..).zip(transition.outcomes);
        let legal = outcomes.filter(move |(at, _)| mask & (1 << at) != 0);
        legal.map(|(_, outcome)| outcome.word).collect::<Vec<_>>()
    };
    let sizes = words(Rule::Recv, Rule::Recv.transition().sizes(64, true));
    let bytes = |word| match word {
        "full" => "64 bytes".to_owned(),
        "1" => "1 bytes".to_owned(),
        "half" => "32 bytes".to_owned(),
        "n-1" => "63 bytes".to_owned(),
        _ => unreachable!("a class without a size: {word}"),
    };
    let mut expected = Vec::new();
    for reset in words(Rule::Reset, u16::MAX) {
        for late in words(Rule::Late, u16::MAX) {
            let before = format!("reset: {reset}, late: {late}");
            match reset {
                "none" => expected.extend(
                    sizes
                        .iter()
                        .map(|word| format!("{before}, recv: {word} = {}", bytes(word))),
                ),
                _ => {
                    let error = errno::error(match reset {
                        "enobufs" => errno::ENOBUFS,
                        "enomem" => errno::ENOMEM,
                        _ => errno::ECONNRESET,
                    });
                    expected.push(format!("reset: {reset} = Err({:?})", error.kind()));
                }
            }
        }
    }
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(outcomes, expected);
}

#[test]
fn a_full_buffer_is_writable_again_when_a_third_of_it_is_free() {
    let mut hand = Hand::new(Config {
        stream_buffer: 90,
        ..Config::default()
    });
    let (client, server) = connected(&mut hand);
    let write = [(client.into(), Interest::Write)];
    assert_eq!(hand.try_write(client, &[7; 100]).unwrap(), 90);
    let full = hand.try_write(client, &[7; 1]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(hand.wait(&write, Duration::ZERO), []);
    let mut buf = [0; 29];
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 29);
    // There is room, and a try would succeed; `sk_stream_is_writeable` says not yet.
    assert_eq!(hand.wait(&write, Duration::ZERO), []);
    assert_eq!(hand.try_read(server, &mut buf[..1]).unwrap(), 1);
    assert!(hand.wait(&write, Duration::ZERO)[0].writable);
}

#[test]
fn a_reset_is_an_error_that_waits_to_be_told_once() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    hand.try_write(server, b"unread").unwrap();
    hand.close(client).unwrap();
    let ready = hand.wait(&[(server.into(), Interest::Both)], Duration::ZERO)[0];
    assert!(ready.failed && ready.hung_up && ready.readable && ready.writable);
    let mut buf = [0; 4];
    let reset = hand.try_read(server, &mut buf).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 0);
}

#[test]
fn what_is_not_enabled_says_why() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    let why = |hand: &mut Hand, step| hand.step(step).unwrap_err().to_string();
    assert_eq!(
        why(&mut hand, Step::Complete(recv)),
        "complete op 3 is not enabled: op 3, recv(c1 server, 8), waits for bytes, or the end, from its peer"
    );
    assert_eq!(
        why(&mut hand, Step::Effect(recv)),
        "effect of op 3 is not enabled: op 3, recv(c1 server, 8), waits for bytes, or the end, from its peer; \
         no late effect is due"
    );
    assert_eq!(
        why(&mut hand, Step::Clock),
        "clock is not enabled: there is no deadline; time can still be moved with `advance`"
    );
    assert_eq!(
        why(&mut hand, Step::Complete(OpId(99))),
        "complete op 99 is not enabled: there is no op 99"
    );
    does(&mut hand, Request::send(client, "x"));
    assert_eq!(
        why(&mut hand, Step::Cancel(recv)),
        "cancel of op 3 is not enabled: op 3, recv(c1 server, 8), has had its effect (= 1) and can complete; \
         no cancel of it is pending"
    );
    hand.step(Step::Complete(recv)).unwrap();
    assert_eq!(
        why(&mut hand, Step::Complete(recv)),
        "complete op 3 is not enabled: op 3 has completed: reap it"
    );
    hand.reap().unwrap();
    assert_eq!(hand.explain(recv), "op 3 has completed and was reaped");
}

#[test]
fn closing_says_what_is_in_the_way() {
    let mut hand = hand();
    let (_, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    assert_eq!(
        hand.close(server).unwrap_err().to_string(),
        "c1 server can't be closed while 1 operation is in flight on it: cancel, step and complete first"
    );
    hand.cancel(recv).unwrap();
    let cancelled = completes(&mut hand, recv);
    assert!(crate::is_canceled(&cancelled.result.unwrap_err()));
    hand.close(server).unwrap();
    assert!(matches!(
        hand.close(server),
        Err(HandError::Closed { number: 5 })
    ));
    let late = hand.submit(Request::send(server, "x")).unwrap_err();
    assert_eq!(late.to_string(), "handle 5 is closed");
    let left = hand.finish().unwrap_err().to_string();
    assert!(left.contains("is still open"), "{left}");
}

#[test]
fn every_outcome_of_a_cancel_by_hand() {
    // An operation that waits: won, or late and overtaken by an arrival.
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    hand.decide("cancel: late").unwrap();
    hand.cancel(recv).unwrap();
    assert_eq!(hand.enabled()[0].step, Step::Cancel(recv));
    assert!(hand.explain(recv).contains("a cancel of it waits"));
    hand.try_write(client, b"in time").unwrap();
    assert_eq!(completes(&mut hand, recv).buf, b"in time");
    // One that is late: too late for the cancel.
    hand.try_write(client, b"again").unwrap();
    hand.decide("late: late").unwrap();
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    assert_eq!(hand.enabled()[0].step, Step::Effect(recv));
    let mut legal = Vec::new();
    hand.cancel_with(recv, |decision| {
        let Some(lost) = decision.find("lost") else {
            return 0;
        };
        legal = decision
            .alternatives
            .iter()
            .map(|it| it.word.clone())
            .collect();
        lost
    })
    .unwrap();
    assert_eq!(legal, ["won", "late", "lost"]);
    assert_eq!(completes(&mut hand, recv).buf, b"again");
    // One that is over.
    hand.cancel(recv).unwrap();
    assert!(matches!(
        hand.cancel(OpId(99)),
        Err(HandError::NoSuchOp { .. })
    ));
}

#[test]
fn what_is_planned_and_not_legal_goes_the_kind_way_and_says_what_would_be() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    hand.try_write(client, b"abc").unwrap();
    hand.decide("recv: three quarters").unwrap();
    assert_eq!(hand.undecided(), ["recv: three quarters"]);
    let error = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap_err();
    let HandError::NotLegal { op: Some(op), .. } = error else {
        panic!("{error}")
    };
    let text = error.to_string();
    assert!(
        text.starts_with(
            "op 4: `three quarters` is not legal here, the kind way was taken; \
             legal for recv of op 4: `full` is full (3 bytes), `1` is short (1 of 3 bytes)"
        ),
        "{text}"
    );
    assert_eq!(completes(&mut hand, op).buf, b"abc");
    assert_eq!(hand.undecided(), [""; 0]);
    hand.try_write(client, b"abc").unwrap();
    let error = hand.submit_with(Request::recv(server, Vec::with_capacity(8)), |_| 77);
    assert!(error.unwrap_err().to_string().contains("`77` is not legal"));
    // A try has a result to give, and tells it elsewhere.
    hand.try_write(client, b"abc").unwrap();
    hand.decide("recv: three quarters").unwrap();
    assert_eq!(hand.try_read(server, &mut [0; 8]).unwrap(), 3);
    let refused = hand.refused().unwrap().to_string();
    assert!(
        refused.contains("`three quarters` is not legal"),
        "{refused}"
    );
    assert!(hand.refused().is_none(), "once");
    for plan in ["", "recv", "recv:", "chaos: 1"] {
        let error = hand.decide(plan).unwrap_err().to_string();
        assert!(
            error.contains("is no decision") && error.contains("recv"),
            "{error}"
        );
    }
}

#[test]
fn time_moves_when_it_is_moved() {
    let mut hand = hand();
    let second = Duration::from_secs(1);
    let timer = hand.submit(Request::timer(second)).unwrap();
    let later = hand.submit(Request::timer(3 * second)).unwrap();
    assert_eq!(hand.enabled()[0].step, Step::Clock);
    assert_eq!(
        hand.enabled()[0].to_string(),
        "clock: the deadline of timer(at 1 s)"
    );
    assert_eq!(
        hand.explain(timer),
        "op 1, timer(at 1 s), waits for the clock"
    );
    hand.step(Step::Clock).unwrap();
    assert_eq!(hand.now(), second);
    completes(&mut hand, timer);
    hand.advance(second);
    assert_eq!(hand.now(), 2 * second);
    let (client, _) = connected(&mut hand);
    // It waits for a deadline, in vain; then for as long as it may.
    assert_eq!(
        hand.wait(&[(client.into(), Interest::Read)], 2 * second),
        []
    );
    assert_eq!(hand.now(), 4 * second);
    completes(&mut hand, later);
}

#[test]
fn files_by_hand() {
    let mut hand = hand();
    let file = does(&mut hand, Request::create("/dir/f")).result;
    assert_eq!(file.unwrap_err().kind(), ErrorKind::NotFound);
    hand.add_file("/dir/other", b"");
    let file = does(&mut hand, Request::create("/dir/f")).file().unwrap();
    hand.decide("write: half").unwrap();
    let written = does(&mut hand, Request::write_at(file, "hello", 0));
    assert_eq!(written.bytes(), Some(2));
    does(&mut hand, Request::write_at(file, "llo", 2));
    does(&mut hand, Request::sync(file)).result.unwrap();
    let length = does(&mut hand, Request::length(file)).result.unwrap();
    assert_eq!(length, Done::Length(5));
    let read = does(&mut hand, Request::read_at(file, Vec::with_capacity(99), 1));
    assert_eq!(read.buf, b"ello");
    assert_eq!(hand.file("/dir/f").unwrap(), b"hello");
    hand.close(file).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn dropped_in_mid_flight_after_a_panic_of_whoever_was_asked() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(8)))
        .unwrap();
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        hand.submit_with(Request::send(client, "hello"), |_| {
            std::panic::resume_unwind(Box::new("no idea"))
        })
    }));
    assert!(asked.is_err());
    // The kernel stopped in the middle, and still nothing is lost.
    assert_eq!(hand.owner(recv), Some(Owner::Kernel));
    drop(hand);
}

#[test]
fn equal_calls_and_decisions_give_equal_digests() {
    let run = |half| {
        let mut hand = hand();
        let (client, server) = connected(&mut hand);
        if half {
            hand.decide("recv: half").unwrap();
        }
        hand.try_write(client, b"hello").unwrap();
        let n = hand.try_read(server, &mut [0; 5]).unwrap();
        assert_eq!(n, if half { 2 } else { 5 });
        (hand.digest(), hand.kernel_trace())
    };
    assert_eq!(run(false), run(false));
    assert_eq!(run(true), run(true));
    assert_ne!(run(true).0, run(false).0);
    assert!(run(true).1.contains("complete = 2"), "{}", run(true).1);
}

#[test]
fn an_event_by_hand_whoever_is_late_leaves_it_to_another() {
    let mut hand = hand();
    let event = hand.event().unwrap();
    let first = hand.submit(Request::wait(event)).unwrap();
    let second = hand.submit(Request::wait(event)).unwrap();
    assert_eq!(
        hand.explain(first),
        "op 1, wait(event 3), waits for somebody to set the event"
    );
    assert_eq!(
        hand.wait(&[(event.into(), Interest::Read)], Duration::ZERO),
        []
    );
    hand.decide("late: late").unwrap();
    hand.set(event).unwrap();
    completes(&mut hand, second).result.unwrap();
    hand.step(Step::Effect(first)).unwrap();
    assert!(hand.step(Step::Complete(first)).is_err(), "it waits again");
    hand.set(event).unwrap();
    hand.set(event).unwrap();
    completes(&mut hand, first).result.unwrap();
    assert!(hand.wait(&[(event.into(), Interest::Read)], Duration::ZERO)[0].readable);
    does(&mut hand, Request::wait(event)).result.unwrap();
    let third = hand.submit(Request::wait(event)).unwrap();
    assert!(hand.enabled().is_empty());
    hand.cancel(third).unwrap();
    completes(&mut hand, third).result.unwrap_err();
    hand.close(event).unwrap();
    assert!(matches!(hand.set(event), Err(HandError::Closed { .. })));
    assert_eq!(hand.finish(), Ok(()));
}
