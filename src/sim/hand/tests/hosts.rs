//! Hosts and links by hand.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Two hosts with a link that takes 10 ms, and a connection between them.
struct Far {
    hand: Hand,
    near: Host,
    far: Host,
    client: Stream,
    server: Stream,
}

fn far() -> Far {
    let mut hand = hand();
    let (near, far) = (hand.host("near").unwrap(), hand.host("far").unwrap());
    hand.set_latency(near, far, 10 * MS).unwrap();
    let listener = hand.listen(far.addr(80)).unwrap();
    let client = hand.socket_at(near.addr(0)).unwrap();
    let connect = hand.submit(Request::connect(client, far.addr(80))).unwrap();
    let accept = hand.submit(Request::accept(listener)).unwrap();
    until_done(&mut hand, connect).result.unwrap();
    let server = until_done(&mut hand, accept).stream().unwrap();
    hand.close(listener).unwrap();
    Far {
        hand,
        near,
        far,
        client,
        server,
    }
}

/// Lets time pass until an operation has completed, and reaps it.
#[track_caller]
fn until_done(hand: &mut Hand, op: OpId) -> Completion {
    while hand.step(Step::Complete(op)).is_err() {
        hand.step(Step::Clock).unwrap();
    }
    hand.reap().unwrap()
}

#[test]
fn names_and_addresses() {
    let mut hand = hand();
    let (a, b) = (hand.host("a").unwrap(), hand.host("b").unwrap());
    assert_eq!(hand.host("a").unwrap(), a);
    assert_eq!(a.addr(7).to_string(), "10.0.0.1:7");
    assert_eq!(b.ip().to_string(), "10.0.0.2");
    assert_eq!(hand.here().ip().to_string(), "10.0.0.254");
    assert_eq!(hand.host_name(b).as_deref(), Some("b"));
    let mut other = super::hand();
    assert_eq!(other.host_name(b), None);
    let none = other.set_latency(a, b, MS).unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no such host here: another kernel has it"
    );
    let same = hand.heal(a, a).unwrap_err();
    assert_eq!(same.to_string(), "a has no link to itself: give two hosts");
    for n in 2..250 {
        hand.host(&n.to_string()).unwrap();
    }
    let full = hand.host("one more").unwrap_err();
    assert_eq!(
        full.to_string(),
        "there are 250 hosts: no address is left for another"
    );
    let nobodys = hand.socket_at("192.168.1.1:0").unwrap_err();
    assert_eq!(nobodys.kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn what_is_under_way_is_a_step_of_the_clock() {
    let Far {
        mut hand,
        client,
        server,
        near,
        ..
    } = far();
    assert_eq!(hand.local_addr(client).unwrap().ip(), near.ip());
    assert_eq!(hand.now(), 30 * MS, "three steps of the handshake");
    does(&mut hand, Request::send(client, "hello"));
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(9)))
        .unwrap();
    let enabled = hand.enabled();
    assert_eq!(enabled[0].to_string(), "clock: an arrival over a link");
    hand.step(Step::Clock).unwrap();
    assert_eq!(hand.now(), 40 * MS);
    assert_eq!(completes(&mut hand, recv).buf, b"hello");
}

#[test]
fn a_delay_and_a_loss_are_decided_by_word() {
    let Far {
        mut hand,
        client,
        server,
        near,
        far,
    } = far();
    while hand.step(Step::Clock).is_ok() {}
    let before = hand.now();
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(9)))
        .unwrap();
    let mut words = Vec::new();
    let send = Request::send(client, "a");
    let send = hand.submit_with(send, |decision| {
        if decision.site.name() != "latency" {
            return 0;
        }
        words.extend(decision.alternatives.iter().map(|it| it.word.clone()));
        decision.alternatives.len() - 1
    });
    assert_eq!(words.len(), 3, "{words:?}");
    completes(&mut hand, send.unwrap());
    assert_eq!(until_done(&mut hand, recv).buf, b"a");
    assert_eq!(hand.now() - before, 100 * MS);

    // Lost, and sent again after 200 ms and a round trip.
    while hand.step(Step::Clock).is_ok() {}
    hand.may_be_lost(near, far, Duration::from_secs(1)).unwrap();
    let before = hand.now();
    let send = Request::send(client, "b");
    let send = hand.submit_with(send, |decision| usize::from(decision.site.name() == "link"));
    completes(&mut hand, send.unwrap());
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(9)))
        .unwrap();
    assert_eq!(until_done(&mut hand, recv).buf, b"b");
    assert_eq!(hand.now() - before, 230 * MS);
}

#[test]
fn a_lost_link_and_a_restarted_host_leave_half_open_peers() {
    let Far {
        mut hand,
        client,
        server,
        near,
        far,
    } = far();
    hand.lose_one_way(near, far, None).unwrap();
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(9)))
        .unwrap();
    does(&mut hand, Request::send(client, "x"));
    let lost = hand.explain(recv);
    assert!(lost.ends_with("over a link that is lost"), "{lost}");
    // The other way all is well.
    does(&mut hand, Request::send(server, "z"));
    let other_way = hand
        .submit(Request::recv(client, Vec::with_capacity(9)))
        .unwrap();
    assert_eq!(until_done(&mut hand, other_way).buf, b"z");
    hand.heal(near, far).unwrap();
    assert_eq!(until_done(&mut hand, recv).buf, b"x");

    while hand.step(Step::Clock).is_ok() {}
    hand.lose(near, far, Some(Duration::from_secs(5))).unwrap();
    hand.reset_connections(far).unwrap();
    let reset = does(&mut hand, Request::recv(server, Vec::with_capacity(9)));
    let reset = reset.result.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    let recv = hand
        .submit(Request::recv(client, Vec::with_capacity(9)))
        .unwrap();
    while hand.step(Step::Clock).is_ok() {}
    let half_open = hand.explain(recv);
    assert!(half_open.ends_with("it is half-open"), "{half_open}");
    does(&mut hand, Request::send(client, "y"));
    let told = until_done(&mut hand, recv).result.unwrap_err();
    assert_eq!(told.kind(), ErrorKind::ConnectionReset);
    hand.close(client).unwrap();
    hand.close(server).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn a_linger_time_of_zero_resets() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    hand.set_linger(client, Some(Duration::ZERO)).unwrap();
    hand.close(client).unwrap();
    let reset = does(&mut hand, Request::recv(server, Vec::with_capacity(9)));
    let reset = reset.result.unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn at_the_end_of_time_nothing_travels_any_more_and_nothing_hangs() {
    let Far {
        mut hand,
        client,
        server,
        near,
        far,
    } = far();
    let timer = hand.submit(Request::timer(Duration::MAX)).unwrap();
    // Something unacknowledged, whose timer would run out after the end.
    hand.advance(Duration::from_nanos(u64::MAX - 1_000) - hand.now());
    hand.lose(near, far, None).unwrap();
    does(&mut hand, Request::send(client, "x"));
    hand.advance(Duration::MAX);
    assert_eq!(hand.now(), Duration::from_nanos(u64::MAX));
    completes(&mut hand, timer).result.unwrap();
    hand.heal(near, far).unwrap();
    does(&mut hand, Request::send(client, "y"));
    let recv = hand
        .submit(Request::recv(server, Vec::with_capacity(9)))
        .unwrap();
    hand.advance(Duration::MAX);
    assert!(hand.enabled().is_empty());
    let now = hand.submit(Request::timer(hand.now())).unwrap();
    completes(&mut hand, now).result.unwrap();
    hand.cancel(recv).unwrap();
    completes(&mut hand, recv).result.unwrap_err();
    for stream in [client, server] {
        hand.close(stream).unwrap();
    }
    assert_eq!(hand.finish(), Ok(()));
}
