//! Scripted peers: what they do, what they see, and how a check fails when it is not what they expect.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::check::{Checker, Failure, Sim, Summary};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::Invariant;
use proactor::{compose, is_canceled};

const ADDR: &str = "10.0.0.1:7";

/// Serves until the listener is closed.
fn serve(listener: TcpListener, handler: fn(TcpStream)) {
    listener.accept().then(move |accepted| {
        match accepted {
            Ok((stream, _)) => handler(stream),
            Err(error) if is_canceled(&error) || error.kind() == ErrorKind::NotConnected => return,
            // No descriptor is left: the next try may find one.
            Err(_) => {}
        }
        serve(listener, handler);
    });
}

/// Four bytes, and back. The right way.
fn echo_four(stream: TcpStream) {
    compose::read_exact(&stream, vec![0; 4]).then(move |(read, buf)| {
        if read.is_ok() {
            compose::write_all(&stream, buf).then(move |_| drop(stream));
        }
    });
}

/// What one read brings, and back.
fn echo_one_read(stream: TcpStream) {
    stream.read(Vec::with_capacity(4)).then(move |(read, buf)| {
        if read.is_ok() {
            compose::write_all(&stream, buf).then(move |_| drop(stream));
        }
    });
}

/// A server, one peer with this script, and the end.
fn with_peer(sim: &Sim, handler: fn(TcpStream), script: impl FnOnce(&proactor::check::Peer)) {
    let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
    serve(listener.clone(), handler);
    let peer = sim.connect(ADDR);
    script(&peer);
    let over = peer.over().unwrap();
    sim.proactor().block_on(over.wait()).unwrap().unwrap();
    listener.close();
    sim.proactor().run().unwrap();
}

fn small(name: &str) -> Checker {
    Checker::new().name(name).executions(3_000)
}

#[track_caller]
fn passes(result: Result<Summary, Box<Failure>>) -> Summary {
    result.unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn a_server_that_keeps_its_word_passes_whatever_the_kernel_does() {
    let summary = passes(small("peers/echo").run(|sim| {
        with_peer(sim, echo_four, |peer| {
            peer.send("pi").stall(Duration::from_millis(5)).send("ng");
            peer.half_close().expect("ping").expect_end();
        });
    }));
    assert!(summary.proved() >= Some(1), "{summary}");
}

#[test]
fn with_several_workers_too() {
    passes(
        small("peers/workers")
            .workers(2)
            .executions(500)
            .run(|sim| {
                with_peer(sim, echo_four, |peer| {
                    peer.send("ping").expect("ping").expect_end();
                });
            }),
    );
}

#[test]
fn an_expectation_that_is_not_met_fails_where_it_stands_and_shows_what_came() {
    let line = line!() + 3;
    let failure = small("peers/one_read").run(|sim| {
        with_peer(sim, echo_one_read, |peer| {
            peer.send("ping").expect("ping").expect_end();
        });
    });
    let failure = failure.expect_err("one read is not four bytes");
    assert_eq!(failure.invariant(), Some(Invariant::Always));
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    let text = failure.to_string();
    assert!(
        text.contains("peer 1 (c1 scripted client) expected 4 bytes, and "),
        "{text}"
    );
    assert!(text.contains("expected: \"ping\""), "{text}");
    assert!(text.contains(&format!("peers.rs:{line}")), "{text}");
    assert!(text.contains("c1 scripted"), "a lane of its own: {text}");
}

#[test]
fn other_bytes_are_shown_one_above_the_other() {
    let failure = small("peers/upper").run(|sim| {
        with_peer(sim, echo_four, |peer| {
            peer.send("ping").expect("pong");
        });
    });
    let failure = failure.expect_err("ping is not pong").to_string();
    assert!(failure.contains("other bytes came after 1"), "{failure}");
    assert!(failure.contains("came:     \"ping\""), "{failure}");
}

/// Asks a server for everything that it says.
async fn client(handle: &proactor::Handle, addr: &str) -> Option<Vec<u8>> {
    let stream = loop {
        // The kernel may refuse, not the server.
        if let Ok(stream) = TcpStream::connect(handle, addr).await {
            break stream;
        }
    };
    compose::write_all(&stream, "GET").await.0.ok()?;
    let (read, body) = compose::read_to_end(&stream, Vec::new(), 64).await;
    read.ok().map(|_| body)
}

#[test]
fn a_scripted_server_for_a_client_under_test() {
    passes(small("peers/client").run(|sim| {
        let server = sim.listen("10.0.0.9:80");
        let peer = server.accept();
        peer.expect("GET")
            .slow_drip("hello", Duration::from_millis(3))
            .half_close()
            .expect_end();
        drop((peer, server));
        let handle = sim.proactor().handle();
        let body = sim
            .proactor()
            .block_on(async { client(&handle, "10.0.0.9:80").await })
            .unwrap();
        if let Some(body) = body {
            assert_eq!(body, b"hello");
            assert!(sim.now() >= Duration::from_millis(15), "{:?}", sim.now());
        }
    }));
}

#[test]
fn resets_ends_and_what_was_read() {
    passes(small("peers/resets").run(|sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        // Closes with what was sent unread: a reset.
        serve(listener.clone(), drop);
        let angry = sim.connect(ADDR);
        angry.send("nobody reads this").lenient().expect_reset();
        let brief = sim.connect(ADDR);
        brief.lenient().read_some(5);
        let abrupt = sim.connect(ADDR);
        abrupt.lenient().reset();
        drop(brief);
        drop(abrupt);
        let over = angry.over().unwrap();
        sim.proactor().block_on(over.wait()).unwrap().unwrap();
        listener.close();
        sim.proactor().run().unwrap();
    }));
    let received = Checker::new().deviations(0).executions(1).run(|sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        serve(listener.clone(), |stream| {
            compose::write_all(&stream, "welcome").then(move |_| drop(stream));
        });
        let peer = sim.connect(ADDR);
        peer.read_some(3).read_some(99).read_some(1);
        sim.proactor()
            .block_on(sim.proactor().sleep(Duration::from_secs(1)))
            .unwrap()
            .unwrap();
        assert_eq!(peer.received(), b"welcome");
        listener.close();
        sim.proactor().run().unwrap();
    });
    passes(received);
}

#[track_caller]
fn fails(model: impl Fn(&Sim) + Send + Sync + 'static) -> String {
    let failure = Checker::new().deviations(0).executions(1).run(model);
    failure.expect_err("it fails").to_string()
}

#[test]
fn scripts_that_can_not_be_are_failures_and_nothing_hangs() {
    let nobody = fails(|sim| drop(sim.connect(ADDR)));
    assert!(
        nobody.contains("peer 1 (socket 3) could not connect to 10.0.0.1:7: ECONNREFUSED"),
        "{nobody}"
    );
    let nowhere = fails(|sim| drop(sim.connect("nowhere")));
    assert!(
        nowhere.contains("`nowhere` is not an IP address"),
        "{nowhere}"
    );
    let taken = fails(|sim| {
        let _first = sim.listen(ADDR);
        let _second = sim.listen(ADDR);
    });
    assert!(taken.contains("a scripted peer can't begin"), "{taken}");
    let closed = fails(|sim| {
        with_peer(sim, drop, |peer| {
            peer.close().send("too late");
        });
    });
    assert!(
        closed.contains("contradicts itself: it is to send 8 bytes after it has closed"),
        "{closed}"
    );
    let waits = fails(|sim| {
        let _listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        let server = sim.listen("10.0.0.9:80");
        drop(server.accept());
        drop(server);
        sim.proactor().run().unwrap();
    });
    assert!(
        waits.contains("accept(listener 10.0.0.9:80) waits for somebody to connect"),
        "{waits}"
    );
    let crowd = fails(|sim| {
        let _listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        let _peers: Vec<_> = (0..65).map(|_| sim.connect(ADDR)).collect();
    });
    assert!(crowd.contains("more than 64 scripted peers"), "{crowd}");
}

#[test]
fn the_end_and_a_reset_are_told_apart() {
    let end = fails(|sim| {
        with_peer(sim, drop, |peer| {
            peer.expect_reset();
        });
    });
    assert!(
        end.contains("was to see the connection reset, and the stream ended"),
        "{end}"
    );
    let bytes = fails(|sim| {
        with_peer(sim, echo_four, |peer| {
            peer.send("ping").expect_end();
        });
    });
    assert!(
        bytes.contains("expected the end of the stream, and 4 bytes came: \"ping\""),
        "{bytes}"
    );
    let short = fails(|sim| {
        with_peer(sim, echo_four, |peer| {
            peer.send("ping").expect("ping pong");
        });
    });
    assert!(short.contains("the stream ended after 4"), "{short}");
}

#[test]
fn a_peer_that_resets_is_no_end_of_the_stream() {
    let summary = small("peers/resets").run(|sim| {
        let listener = TcpListener::bind(sim.proactor(), ADDR).unwrap();
        serve(listener.clone(), |stream| {
            stream.read(Vec::with_capacity(4)).then(move |(read, _)| {
                assert!(read.is_err(), "a reset reads as {read:?}");
                drop(stream);
            });
        });
        let peer = sim.connect(ADDR);
        peer.reset();
        let over = peer.over().unwrap();
        sim.proactor().block_on(over.wait()).unwrap().unwrap();
        listener.close();
        sim.proactor().run().unwrap();
    });
    passes(summary);
}

#[test]
fn a_reset_where_the_end_was_expected_fails_the_check() {
    let failure = small("peers/reset").run(|sim| {
        let resets = |stream: TcpStream| {
            let _ = stream.set_linger(Some(Duration::ZERO));
        };
        with_peer(sim, resets, |peer| {
            peer.expect_end();
        });
    });
    let failure = failure.expect_err("it is no end");
    assert_eq!(failure.deviations().len(), 0, "{failure}");
    let message = failure.message().unwrap_or_default();
    let said = "was to see the end of the stream, and the connection was reset";
    assert!(message.contains(said), "{failure}");
}
