//! Hosts and links: what takes time, what is lost and comes again, and who never hears of it.

use std::time::Duration;

use super::*;
use crate::sim::errno::*;
use crate::sim::{Host, Link};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Two hosts, a link with this latency in milliseconds, and a listener on the second.
struct Far {
    hand: Hand,
    client: Host,
    server: Host,
    link: Link,
    listener: i32,
}

impl Far {
    fn new(mut hand: Hand, latency: u64) -> Far {
        let (client, server) = (hand.world.host("client"), hand.world.host("server"));
        let link = client.link(&server);
        link.latency(Duration::from_millis(latency));
        let addr = server.addr(80);
        let listener = hand
            .world
            .with(|kernel| kernel.listen(addr, 8, false))
            .unwrap();
        hand.next = 0;
        Far {
            hand,
            client,
            server,
            link,
            listener,
        }
    }

    fn connect(&mut self) -> (i32, u32) {
        let (local, addr) = (self.client.addr(0), self.server.addr(80));
        self.hand.connect_from(local, addr)
    }

    /// A connection, made over the link.
    #[track_caller]
    fn pair(&mut self) -> (i32, i32) {
        let (client, connect) = self.connect();
        let accept = self.hand.accept(self.listener);
        assert_eq!(self.hand.result(connect), 0);
        (client, self.hand.result(accept))
    }

    fn now(&self) -> u64 {
        self.hand.world.now()
    }

    #[track_caller]
    fn end(self, handles: &[i32]) {
        self.hand.end(&[handles, &[self.listener]].concat());
    }
}

#[test]
fn addresses_are_given_in_the_order_of_the_names() {
    let world = Hand::kind().world;
    let (b, a) = (world.host("b"), world.host("a"));
    assert_eq!(
        (b.ip().to_string(), a.addr(7).to_string()),
        ("10.0.0.1".into(), "10.0.0.2:7".into())
    );
    assert_eq!((world.host("b"), a.name()), (b.clone(), "a".to_owned()));
    assert_ne!(a, b);
    assert_eq!(
        (world.here().ip().to_string(), world.here().name()),
        ("10.0.0.254".into(), "here".into())
    );
}

#[test]
#[should_panic(expected = "a host has no link to itself: a was given twice")]
fn a_host_has_no_link_to_itself() {
    let world = Hand::kind().world;
    let _ = world.host("a").link(&world.host("a"));
}

#[test]
fn a_link_at_rest_is_as_if_there_was_none() {
    let mut far = Far::new(Hand::kind(), 0);
    let (client, server) = far.pair();
    let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 9));
    assert_eq!((far.hand.result(send), far.hand.result(recv)), (5, 5));
    assert_eq!(far.now(), 0);
    far.hand.world.with(|kernel| {
        assert_eq!(kernel.local_addr(client).unwrap().ip(), far.client.ip());
        assert_eq!(kernel.peer_addr(server), kernel.local_addr(client));
    });
    far.end(&[client, server]);
}

#[test]
fn everything_over_a_link_takes_its_latency() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, connect) = far.connect();
    let accept = far.hand.accept(far.listener);
    assert_eq!(
        (far.hand.result(connect), far.now()),
        (0, 20 * MS),
        "there and back"
    );
    let server = far.hand.result(accept);
    assert_eq!(far.now(), 30 * MS, "and there");
    let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 9));
    assert_eq!(
        (far.hand.result(send), far.now()),
        (5, 30 * MS),
        "the kernel has it"
    );
    assert_eq!((far.hand.result(recv), far.now()), (5, 40 * MS));
    let (shutdown, end) = (far.hand.shutdown(server, 1), far.hand.recv(client, 9));
    assert_eq!((far.hand.result(shutdown), far.hand.result(end)), (0, 0));
    assert_eq!(far.now(), 50 * MS);
    // What is acknowledged leaves no timer behind.
    assert_eq!(far.hand.step(Until::Time(S)), Stepped::Nothing);
    assert_eq!(far.hand.world.with(|kernel| kernel.next_deadline()), None);
    far.end(&[client, server]);
}

#[test]
fn what_is_on_its_way_is_something_that_a_worker_may_wait_for() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, server) = far.pair();
    let sent = far.now();
    let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 9));
    assert_eq!(far.hand.result(send), 5);
    far.hand.world.with(|kernel| {
        assert!(kernel.can_step(Until::Event));
        assert!(!kernel.can_step(Until::Time(sent + 9 * MS)));
        assert_eq!(
            kernel.horizon(Until::Event),
            Until::Time(sent + 10 * MS),
            "until it arrives"
        );
    });
    assert_eq!(far.hand.result(recv), 5);
    far.end(&[client, server]);
}

#[test]
fn a_delay_may_be_longer_but_nothing_is_overtaken() {
    for (pick, took) in [(1, 20), (2, 100)] {
        // Offers: the three steps of the handshake, then what is sent.
        let mut far = Far::new(Hand::script(&[(Site::Latency, 3, pick)]), 10);
        let (client, server) = far.pair();
        let before = far.now();
        let (one, two) = (far.hand.send(client, b"ab"), far.hand.send(client, b"cd"));
        let recv = far.hand.recv(server, 9);
        assert_eq!((far.hand.result(one), far.hand.result(two)), (2, 2));
        assert_eq!((far.hand.result(recv), far.now() - before), (2, took * MS));
        let recv = far.hand.recv(server, 9);
        assert_eq!((far.hand.result(recv), far.now() - before), (2, took * MS));
        assert_eq!(far.hand.buffer(recv)[..2], *b"cd");
        far.end(&[client, server]);
    }
}

#[test]
fn each_end_has_a_buffer_of_its_own_and_a_full_one_holds_the_sender_back() {
    let config = Config {
        stream_buffer: 8,
        ..Config::default()
    };
    let mut far = Far::new(Hand::with(config, Kind), 10);
    let (client, server) = far.pair();
    let mut sent = 0;
    for expected in [8, 8] {
        let send = far.hand.send(client, b"0123456789");
        assert_eq!(far.hand.result(send), expected);
        sent += expected;
    }
    let full = far.hand.send(client, b"!");
    assert_eq!(
        far.hand.step(Until::Time(far.now() + 3600 * S)),
        Stepped::Nothing
    );
    // The first read lets the sender's kernel send on, and its buffer gets room by the acknowledgement.
    let before = far.now();
    let recv = far.hand.recv(server, 8);
    assert_eq!(far.hand.result(recv), 8);
    assert_eq!((far.hand.result(full), far.now() - before), (1, 30 * MS));
    let mut got = 8;
    while got < sent + 1 {
        let recv = far.hand.recv(server, 64);
        got += far.hand.result(recv);
    }
    far.end(&[client, server]);
}

#[test]
fn what_is_lost_is_sent_again_and_arrives_once() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, server) = far.pair();
    far.link.lose();
    let before = far.now();
    let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 64));
    assert_eq!(far.hand.result(send), 5);
    assert_eq!(far.hand.step(Until::Time(before + S)), Stepped::Nothing);
    far.link.heal();
    assert_eq!(far.hand.result(recv), 5);
    // 220 ms, twice that, four times: then it is through.
    assert_eq!(far.now() - before, (220 + 440 + 880 + 10) * MS);
    let recv = far.hand.recv(server, 64);
    assert_eq!(
        far.hand.step(Until::Time(before + 3600 * S)),
        Stepped::Nothing
    );
    far.hand.cancel(recv);
    assert_eq!(far.hand.result(recv), -ECANCELED);
    far.end(&[client, server]);
}

#[test]
fn one_way_bytes_arrive_and_their_acknowledgement_does_not() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, server) = far.pair();
    far.server.link(&far.client).lose_one_way();
    let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 64));
    assert_eq!((far.hand.result(send), far.hand.result(recv)), (5, 5));
    let (back, recv) = (far.hand.send(server, b"x"), far.hand.recv(client, 64));
    assert_eq!(far.hand.result(back), 1);
    // Both wait for an acknowledgement in vain, and the client's was first.
    assert_eq!(far.hand.result(recv), -ETIMEDOUT);
    let lost = far.hand.recv(server, 64);
    assert_eq!(far.hand.result(lost), -ETIMEDOUT);
    far.end(&[client, server]);
}

#[test]
fn a_connection_gives_up_after_a_quarter_of_an_hour_an_idle_one_never() {
    let mut far = Far::new(Hand::kind(), 0);
    let (client, server) = far.pair();
    far.link.lose();
    let before = far.now();
    let (idle, waiting) = (far.hand.recv(server, 9), far.hand.recv(client, 9));
    let send = far.hand.send(client, b"hello");
    assert_eq!(far.hand.result(send), 5);
    assert_eq!(far.hand.result(waiting), -ETIMEDOUT);
    assert_eq!(far.now() - before, 924_600 * MS, "ip-sysctl: tcp_retries2");
    let (recv, send) = (far.hand.recv(client, 9), far.hand.send(client, b"x"));
    assert_eq!((far.hand.result(recv), far.hand.result(send)), (0, -EPIPE));
    // The other side has heard nothing, and never will.
    assert_eq!(far.hand.step(Until::Time(100_000 * S)), Stepped::Nothing);
    far.link.heal();
    assert_eq!(far.hand.step(Until::Time(200_000 * S)), Stepped::Nothing);
    // Until it says something itself: the client's kernel knows nothing of it.
    let send = far.hand.send(server, b"hello?");
    assert_eq!(
        (far.hand.result(send), far.hand.result(idle)),
        (6, -ECONNRESET)
    );
    far.end(&[client, server]);
}

#[test]
fn a_connect_over_a_lost_link_times_out_or_gets_through_at_its_next_try() {
    let mut far = Far::new(Hand::kind(), 10);
    far.link.lose();
    let (socket, connect) = far.connect();
    assert_eq!((far.hand.result(connect), far.now()), (-ETIMEDOUT, 127 * S));
    let before = far.now();
    let addr = far.server.addr(80).to_string();
    let again = far.hand.connect_socket(socket, &addr);
    assert_eq!(far.hand.step(Until::Time(before + 4 * S)), Stepped::Nothing);
    far.link.heal();
    assert_eq!(
        (far.hand.result(again), far.now() - before),
        (0, 7 * S + 20 * MS)
    );
    let accept = far.hand.accept(far.listener);
    let server = far.hand.result(accept);
    far.end(&[socket, server]);
}

#[test]
fn refused_over_a_link_unreachable_and_without_a_route() {
    let mut far = Far::new(Hand::kind(), 10);
    let other = std::net::SocketAddr::new(far.server.ip(), 81);
    let mut sockets = Vec::new();
    for (addr, error, at) in [
        (other.to_string().as_str(), ECONNREFUSED, 20 * MS),
        ("10.0.0.77:80", EHOSTUNREACH, 3 * S),
        ("10.9.9.9:80", ENETUNREACH, 0),
        ("203.0.113.1:80", ENETUNREACH, 0),
        ("127.0.0.1:80", ECONNREFUSED, 0),
    ] {
        let before = far.now();
        let (socket, connect) = far
            .hand
            .connect_from(far.client.addr(0), addr.parse().unwrap());
        assert_eq!(
            (far.hand.result(connect), far.now() - before),
            (-error, at),
            "{addr}"
        );
        sockets.push(socket);
    }
    let bind = |ip: &str| {
        let local = std::net::SocketAddr::new(ip.parse().unwrap(), 0);
        far.hand.world.with(|kernel| kernel.socket(Some(local)))
    };
    assert_eq!(bind("10.0.0.77"), Err(EADDRNOTAVAIL));
    assert_eq!(bind("192.168.1.1"), Err(EADDRNOTAVAIL));
    sockets.push(bind("10.0.0.254").unwrap());
    far.end(&sockets);
}

#[test]
fn a_wildcard_hears_its_own_host_only() {
    let mut far = Far::new(Hand::kind(), 0);
    let listen = |addr: &str| {
        let addr = addr.parse().unwrap();
        far.hand
            .world
            .with(|kernel| kernel.listen(addr, 8, false))
            .unwrap()
    };
    let any = listen("0.0.0.0:90");
    let (refused, connect) = far.hand.connect(&far.server.addr(90).to_string());
    assert_eq!(far.hand.result(connect), -ECONNREFUSED);
    let (here, connect) = far.hand.connect("10.0.0.254:90");
    assert_eq!(far.hand.result(connect), 0);
    let (to_server, connect) = far.hand.connect(&far.server.addr(80).to_string());
    assert_eq!(far.hand.result(connect), 0);
    let local = far
        .hand
        .world
        .with(|kernel| kernel.local_addr(to_server))
        .unwrap();
    assert_eq!(local.ip(), far.hand.world.here().ip());
    // Nor has its host the addresses that nobody has.
    let mut sockets = vec![any, refused, here, to_server];
    for (addr, error) in [
        ("10.0.0.77:90", EHOSTUNREACH),
        ("192.168.1.1:90", ENETUNREACH),
    ] {
        let (socket, connect) = far.hand.connect(addr);
        assert_eq!(far.hand.result(connect), -error, "{addr}");
        sockets.push(socket);
    }
    far.end(&sockets);
}

#[test]
fn a_restarted_host_is_noticed_by_those_who_send() {
    for latency in [0, 10] {
        let mut far = Far::new(Hand::kind(), latency);
        let (client, server) = far.pair();
        let (near, idle) = (far.hand.recv(server, 9), far.hand.recv(client, 9));
        far.server.reset_connections();
        assert_eq!(far.hand.result(near), -ECONNRESET);
        assert_eq!(
            far.hand.step(Until::Time(100_000 * S)),
            Stepped::Nothing,
            "half-open"
        );
        let send = far.hand.send(client, b"x");
        assert_eq!(
            (far.hand.result(send), far.hand.result(idle)),
            (1, -ECONNRESET)
        );
        let (send, recv) = (far.hand.send(client, b"x"), far.hand.recv(client, 9));
        assert_eq!((far.hand.result(send), far.hand.result(recv)), (-EPIPE, 0));
        // New ones are served as ever.
        let (again, served) = far.pair();
        far.end(&[client, server, again, served]);
    }
}

#[test]
fn what_waited_to_be_accepted_is_forgotten_too() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, connect) = far.connect();
    assert_eq!(far.hand.result(connect), 0);
    assert_eq!(far.hand.step(Until::Time(S)), Stepped::Nothing);
    far.server.reset_connections();
    let accept = far.hand.accept(far.listener);
    assert_eq!(far.hand.step(Until::Time(2 * S)), Stepped::Nothing);
    let (send, recv) = (far.hand.send(client, b"x"), far.hand.recv(client, 9));
    assert_eq!(
        (far.hand.result(send), far.hand.result(recv)),
        (1, -ECONNRESET)
    );
    far.hand.cancel(accept);
    assert_eq!(far.hand.result(accept), -ECANCELED);
    far.end(&[client]);
}

#[test]
fn a_reset_may_be_lost_and_then_the_peer_is_half_open() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, server) = far.pair();
    far.link.lose();
    far.hand
        .world
        .with(|kernel| kernel.set_linger(client, Some(0)))
        .unwrap();
    far.hand.close(client);
    far.link.heal();
    let recv = far.hand.recv(server, 9);
    assert_eq!(far.hand.step(Until::Time(100_000 * S)), Stepped::Nothing);
    let send = far.hand.send(server, b"x");
    assert_eq!(
        (far.hand.result(send), far.hand.result(recv)),
        (1, -ECONNRESET)
    );
    far.end(&[server]);
}

#[test]
fn a_resetting_close_delivers_what_has_left_and_loses_what_has_not() {
    let config = Config {
        stream_buffer: 4,
        ..Config::default()
    };
    let mut far = Far::new(Hand::with(config, Kind), 10);
    let (client, server) = far.pair();
    let send = far.hand.send(client, b"gone");
    assert_eq!(far.hand.result(send), 4);
    assert_eq!(far.hand.step(Until::Time(S)), Stepped::Nothing);
    let send = far.hand.send(client, b"kept");
    assert_eq!(far.hand.result(send), 4);
    far.hand
        .world
        .with(|kernel| kernel.set_linger(client, Some(0)))
        .unwrap();
    far.hand.close(client);
    let mut got = Vec::new();
    let error = loop {
        let recv = far.hand.recv(server, 9);
        match far.hand.result(recv) {
            error if error < 0 => break error,
            n => got.extend_from_slice(&far.hand.buffer(recv)[..n as usize]),
        }
        assert_eq!(far.hand.step(Until::Time(far.now() + S)), Stepped::Nothing);
    };
    assert_eq!((&got[..], error), (&b"gone"[..], -ECONNRESET));
    far.end(&[server]);
}

#[test]
fn a_closed_side_still_delivers_and_answers_what_comes_by_a_reset() {
    let mut far = Far::new(Hand::kind(), 10);
    let (client, server) = far.pair();
    far.link.lose();
    let send = far.hand.send(client, b"last words");
    assert_eq!(far.hand.result(send), 10);
    far.hand.close(client);
    far.link.heal();
    let recv = far.hand.recv(server, 64);
    assert_eq!(far.hand.result(recv), 10);
    let end = far.hand.recv(server, 64);
    assert_eq!(far.hand.result(end), 0);
    let send = far.hand.send(server, b"x");
    assert_eq!(far.hand.result(send), 1);
    assert_eq!(far.hand.step(Until::Time(far.now() + S)), Stepped::Nothing);
    let send = far.hand.send(server, b"x");
    assert_eq!(far.hand.result(send), -EPIPE, "the end came first");
    far.end(&[server]);
}

#[test]
fn the_kernel_may_lose_a_link_only_where_it_may_and_only_so_often() {
    for (pick, took) in [
        (1, 230),
        (2, 220 + 440 + 880 + 10),
        (3, 220 + 440 + 880 + 10),
    ] {
        let mut far = Far::new(Hand::script(&[(Site::Link, 3, pick)]), 10);
        far.link.may_be_lost(Duration::from_secs(1));
        let (client, server) = far.pair();
        let before = far.now();
        let (send, recv) = (far.hand.send(client, b"hello"), far.hand.recv(server, 64));
        assert_eq!((far.hand.result(send), far.hand.result(recv)), (5, 5));
        assert_eq!(far.now() - before, took * MS, "{pick}");
        far.end(&[client, server]);
    }
    let always = Hand::new(Random::new(1, 256));
    let offered = |hand: &Hand| hand.world.coverage().deviated(Site::Link);
    let mut far = Far::new(always, 10);
    let (one, connect) = far.connect();
    far.hand.result(connect);
    assert_eq!(offered(&far.hand), 0);
    far.link.may_be_lost(Duration::from_secs(1));
    let mut sockets = vec![one];
    for _ in 0..60 {
        let (socket, connect) = far.connect();
        far.hand.result(connect);
        sockets.push(socket);
    }
    assert!(
        (1..=2).contains(&offered(&far.hand)),
        "{}",
        offered(&far.hand)
    );
    far.end(&sockets);
}

#[test]
fn a_connection_that_exists_feels_what_becomes_of_its_link() {
    let mut far = Far::new(Hand::kind(), 0);
    let (client, server) = far.pair();
    let (send, recv) = (far.hand.send(client, b"near"), far.hand.recv(server, 3));
    assert_eq!((far.hand.result(send), far.hand.result(recv)), (4, 3));
    let shutdown = far.hand.shutdown(server, 1);
    assert_eq!(far.hand.result(shutdown), 0);
    far.link.latency(Duration::from_millis(5));
    let (send, recv) = (far.hand.send(client, b"far"), far.hand.recv(server, 64));
    assert_eq!((far.hand.result(send), far.hand.result(recv)), (3, 1));
    let recv = far.hand.recv(server, 64);
    assert_eq!((far.hand.result(recv), far.now()), (3, 5 * MS));
    let (end, broken) = (far.hand.recv(client, 1), far.hand.send(server, b"x"));
    assert_eq!((far.hand.result(end), far.hand.result(broken)), (0, -EPIPE));
    far.end(&[client, server]);
}
