//! What a poller needs of the readiness face beside reading and writing.

use super::*;

const PATIENCE: Duration = Duration::from_secs(1_000);

#[test]
fn a_connect_that_can_not_be_over_at_once_goes_on_by_itself() {
    let mut hand = hand();
    let far = hand.host("far").unwrap();
    let here = hand.here();
    hand.set_latency(here, far, Duration::from_millis(5))
        .unwrap();
    let listener = hand.listen(far.addr(80)).unwrap();
    let socket = hand.socket().unwrap();
    let begun = hand.try_connect(socket, far.addr(80)).unwrap_err();
    assert_eq!(begun.kind(), ErrorKind::WouldBlock);
    let interests = [
        (socket.into(), Interest::Write),
        (listener.into(), Interest::Read),
    ];
    assert_eq!(hand.wait(&interests, Duration::ZERO), []);
    let again = hand.try_connect(socket, far.addr(80)).unwrap_err();
    assert_eq!(again.to_string(), errno::error(errno::EALREADY).to_string());
    // Nobody reaps it.
    let ready = hand.wait(&interests, PATIENCE);
    assert!(ready[0].writable && !ready[0].failed && ready.len() == 1);
    assert_eq!(hand.now(), Duration::from_millis(10));
    assert!(hand.take_error(socket).unwrap().is_none());
    assert!(hand.reap().is_none());
    assert_eq!(hand.peer_addr(socket).unwrap(), far.addr(80));
    let ready = hand.wait(&interests[1..], PATIENCE);
    assert!(ready[0].readable);
    let (server, _) = hand.try_accept(listener).unwrap();
    assert_eq!(hand.try_write(socket, b"hi").unwrap(), 2);
    let mut buf = [0; 4];
    hand.wait(&[(server.into(), Interest::Read)], PATIENCE);
    assert_eq!(hand.try_read(server, &mut buf).unwrap(), 2);
    hand.try_shutdown(server, std::net::Shutdown::Write)
        .unwrap();
    let ready = hand.wait(&[(socket.into(), Interest::Read)], PATIENCE);
    assert!(ready[0].ended);
    for object in [Object::from(socket), server.into(), listener.into()] {
        hand.close(object).unwrap();
    }
    while hand.step(Step::Clock).is_ok() {}
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn a_connect_that_is_over_at_once_says_so_itself() {
    let mut hand = hand();
    let listener = hand.listen(ADDR).unwrap();
    let (one, two) = (hand.socket().unwrap(), hand.socket().unwrap());
    hand.try_connect(one, ADDR.parse().unwrap()).unwrap();
    let refused = hand.try_connect(two, "10.0.0.1:8".parse().unwrap());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(hand.take_error(two).unwrap().is_none(), "it was told");
    assert!(hand.enabled().is_empty() && hand.reap().is_none());
    let (server, peer) = hand.try_accept(listener).unwrap();
    assert_eq!(peer, hand.local_addr(one).unwrap());
    let _ = server;
}

#[test]
fn a_connect_may_be_late_and_its_step_is_there_to_be_made() {
    let mut hand = hand();
    let listener = hand.listen(ADDR).unwrap();
    let socket = hand.socket().unwrap();
    hand.decide("late: late").unwrap();
    let begun = hand.try_connect(socket, ADDR.parse().unwrap());
    assert_eq!(begun.unwrap_err().kind(), ErrorKind::WouldBlock);
    let [late] = &hand.enabled()[..] else {
        panic!("one step")
    };
    let Step::Effect(op) = late.step else {
        panic!("{late}")
    };
    hand.decide("connect: emfile").unwrap();
    hand.step(Step::Effect(op)).unwrap();
    assert!(hand.enabled().is_empty());
    let ready = hand.wait(&[(socket.into(), Interest::Write)], Duration::ZERO);
    assert!(ready[0].failed);
    let error = hand.take_error(socket).unwrap().unwrap();
    assert_eq!(error.to_string(), errno::error(errno::EMFILE).to_string());
    assert!(hand.take_error(socket).unwrap().is_none(), "once");
    let _ = listener;
}

#[test]
fn closing_a_socket_gives_its_attempt_up() {
    let mut hand = hand();
    let far = hand.host("far").unwrap();
    let here = hand.here();
    hand.lose(here, far, None).unwrap();
    let socket = hand.socket().unwrap();
    hand.try_connect(socket, far.addr(80)).unwrap_err();
    // One of the other face is in the way.
    let recv = Request::recv(socket, Vec::with_capacity(4));
    let recv = hand.submit(recv).unwrap();
    assert!(matches!(
        hand.close(socket),
        Err(HandError::Busy { in_flight: 1, .. })
    ));
    completes(&mut hand, recv).result.unwrap_err();
    hand.close(socket).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn who_gives_up_after_127_seconds_tells_it_as_the_error_of_the_socket() {
    let mut hand = hand();
    let far = hand.host("far").unwrap();
    let here = hand.here();
    hand.lose(here, far, None).unwrap();
    let socket = hand.socket().unwrap();
    hand.try_connect(socket, far.addr(80)).unwrap_err();
    let ready = hand.wait(&[(socket.into(), Interest::Write)], PATIENCE);
    assert!(ready[0].failed && ready[0].hung_up);
    assert_eq!(hand.now(), Duration::from_secs(127));
    let error = hand.take_error(socket).unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    hand.close(socket).unwrap();
    assert_eq!(hand.finish(), Ok(()));
}

#[test]
fn an_event_wakes_a_poller_until_it_is_taken() {
    let mut hand = hand();
    let event = hand.event().unwrap();
    let unset = hand.try_take(event).unwrap_err();
    assert_eq!(unset.kind(), ErrorKind::WouldBlock);
    hand.set(event).unwrap();
    hand.set(event).unwrap();
    let interests = [(event.into(), Interest::Read)];
    assert!(hand.wait(&interests, PATIENCE)[0].readable);
    assert!(hand.wait(&interests, PATIENCE)[0].readable, "level");
    hand.try_take(event).unwrap();
    assert!(hand.try_take(event).is_err(), "it counts once");
    assert_eq!(hand.wait(&interests, Duration::ZERO), []);
    // Nobody takes this one, and the next event knows nothing of it.
    hand.set(event).unwrap();
    hand.close(event).unwrap();
    let next = hand.event().unwrap();
    assert!(hand.try_take(next).is_err());
}

#[test]
fn an_error_is_taken_or_met_and_not_both() {
    let mut hand = hand();
    let (client, server) = connected(&mut hand);
    hand.try_write(server, b"unread").unwrap();
    hand.close(client).unwrap();
    let error = hand.take_error(server).unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(hand.try_read(server, &mut [0; 4]).unwrap(), 0);
    let event = hand.event().unwrap();
    let no_socket = hand.take_error(event).unwrap_err();
    assert_eq!(
        no_socket.to_string(),
        errno::error(errno::ENOTSOCK).to_string()
    );
}

#[test]
fn a_connection_that_was_reset_before_it_is_accepted_still_has_its_address() {
    let mut hand = hand();
    let listener = hand.listen(ADDR).unwrap();
    let client = hand.socket().unwrap();
    hand.try_connect(client, ADDR.parse().unwrap()).unwrap();
    let addr = hand.local_addr(client).unwrap();
    hand.set_linger(client, Some(Duration::ZERO)).unwrap();
    hand.close(client).unwrap();
    let (server, peer) = hand.try_accept(listener).unwrap();
    assert_eq!(peer, addr);
    let reset = hand.try_read(server, &mut [0; 4]).unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
}
