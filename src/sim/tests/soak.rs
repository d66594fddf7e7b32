//! Thousands of random schedules: bytes are conserved, nothing gets stuck, equal choices are equal runs.

use super::*;
use crate::sim::errno::*;

/// After these a stream is as it was.
const NO_MEMORY: [i32; 2] = [-ENOBUFS, -ENOMEM];

/// A client that sends a message and a server that reads it, both by hand: each completion starts what
/// follows. Returns what the server got, and how the stream ended for it.
fn conversation(hand: &mut Hand, message: &[u8]) -> (Vec<u8>, i32) {
    let listener = hand.listen(2);
    let (client, connect) = hand.connect(ADDR);
    converse(hand, message, listener, (client, connect))
}

fn converse(
    hand: &mut Hand,
    message: &[u8],
    listener: i32,
    (client, connect): (i32, u32),
) -> (Vec<u8>, i32) {
    let mut accept = hand.accept(listener);
    let (mut server, mut sent, mut got, mut end) = (None, 0, Vec::new(), None);
    let (mut send, mut recv, mut timer) = (None, None, Some(hand.timer(50)));
    let (mut connected, mut cancelled, mut patience) = (false, 0, None);
    while let Stepped::Completion(token, result) = hand.step(Until::Event) {
        let id = token as u32;
        if id == connect {
            connected = result == 0;
            if connected {
                patience = Some(hand.timer(hand.world.now() + 300_000_000_000));
                send = Some(hand.send(client, message));
            } else {
                hand.cancel(accept);
            }
        } else if id == accept {
            if result >= 0 {
                server = Some(result);
                recv = Some(hand.recv(result, 7));
            } else if result != -ECANCELED && patience.is_some() {
                let may_be = [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED];
                assert!(may_be.contains(&-result), "{result}");
                accept = hand.accept(listener);
            } else {
                hand.close(listener);
            }
        } else if Some(id) == patience {
            // A connection that broke before the server heard of it is none to accept.
            patience = None;
            hand.cancel(accept);
        } else if Some(id) == send {
            send = None;
            if result >= 0 {
                sent += result as usize;
                assert!(result > 0 && sent <= message.len());
                if sent < message.len() {
                    send = Some(hand.send(client, &message[sent..]));
                } else {
                    hand.shutdown(client, 1);
                }
            } else if NO_MEMORY.contains(&result) {
                send = Some(hand.send(client, &message[sent..]));
            } else {
                assert!([-ECONNRESET, -EPIPE].contains(&result), "{result}");
                hand.shutdown(client, 1);
            }
        } else if Some(id) == recv {
            recv = None;
            if result > 0 {
                got.extend_from_slice(&hand.buffer(id)[..result as usize]);
            }
            match result {
                0 => end = Some(0),
                error if error < 0 && error != -ECANCELED && !NO_MEMORY.contains(&error) => {
                    end = Some(error);
                }
                _ => recv = server.map(|server| hand.recv(server, 7)),
            }
        } else if Some(id) == timer {
            timer = None;
            if let Some(id) = recv.filter(|_| cancelled < 3) {
                hand.cancel(id);
                cancelled += 1;
                timer = Some(hand.timer(hand.world.now() + 50));
            }
        }
    }
    assert!(
        hand.world.violation().is_none(),
        "{}",
        hand.world.violation().unwrap()
    );
    assert!(!connected || end.is_some() || server.is_none());
    hand.close(client);
    if let Some(server) = server {
        hand.close(server);
        hand.close(listener);
    }
    hand.world.finish();
    assert!(
        hand.world.violation().is_none(),
        "{}",
        hand.world.violation().unwrap()
    );
    (got, end.unwrap_or(-ECONNREFUSED))
}

#[test]
fn random_schedules_conserve_bytes_and_never_get_stuck() {
    let message: Vec<u8> = (0..40).collect();
    let (mut resets, mut ends) = (0, 0);
    let mut coverage = super::super::Coverage::default();
    for seed in 0..4_000 {
        let config = Config {
            stream_buffer: 10,
            ..Config::default()
        };
        let mut hand = Hand::with(config.clone(), Random::new(seed, 32 << (seed % 3)));
        let (got, end) = conversation(&mut hand, &message);
        assert!(message.starts_with(&got), "{seed}: {got:?}");
        match end {
            0 => {
                assert_eq!(got.len(), message.len(), "{seed}: an end where a reset was");
                ends += 1;
            }
            _ => resets += 1,
        }
        coverage.add(&hand.world.coverage());
        if seed % 16 == 0 {
            let mut again = Hand::with(config, Random::new(seed, 32 << (seed % 3)));
            assert_eq!(conversation(&mut again, &message), (got, end));
            assert_eq!(again.world.digest(), hand.world.digest(), "{seed}");
        }
    }
    assert!(resets > 100 && ends > 100, "{resets} {ends}");
    for site in [
        Site::NextStep,
        Site::EffectLate,
        Site::RecvSize,
        Site::SendSize,
        Site::Cancel,
        Site::Connect,
        Site::Reset,
    ] {
        assert!(
            coverage.deviated(site) > 0 && coverage.offered(site) > coverage.deviated(site),
            "{site:?}"
        );
    }
}

#[test]
fn a_world_that_was_reset_is_a_fresh_one() {
    let message: Vec<u8> = (0..40).collect();
    let mut hand = Hand::with(Config::default(), Random::new(0, 64));
    for seed in 0..200 {
        let fresh = {
            let mut fresh = Hand::with(Config::default(), Random::new(seed, 64));
            let outcome = conversation(&mut fresh, &message);
            (
                outcome,
                fresh.world.digest(),
                fresh.world.steps(),
                fresh.world.now(),
            )
        };
        hand.world
            .reset(Config::default(), Box::new(Random::new(seed, 64)));
        hand.next = 0;
        let outcome = conversation(&mut hand, &message);
        assert_eq!(
            (
                outcome,
                hand.world.digest(),
                hand.world.steps(),
                hand.world.now()
            ),
            fresh,
            "{seed}"
        );
        // Left in the middle of things, the next one must not notice.
        hand.world.reset(Config::default(), Box::new(Kind));
        hand.next = 0;
        let (_, _, server) = hand.pair();
        hand.recv(server, 5);
        hand.timer(5);
    }
}

#[test]
fn different_choices_give_different_digests() {
    let message: Vec<u8> = (0..40).collect();
    let digests: std::collections::HashSet<u64> = (0..100)
        .map(|seed| {
            let mut hand = Hand::with(Config::default(), Random::new(seed, 128));
            conversation(&mut hand, &message);
            hand.world.digest()
        })
        .collect();
    // Some connects are refused at once: those runs are few, short and alike.
    assert!(digests.len() > 60, "{}", digests.len());
}

#[test]
fn random_schedules_over_a_link_that_may_be_lost_conserve_bytes_and_end() {
    let message: Vec<u8> = (0..40).collect();
    let (mut resets, mut ends) = (0, 0);
    let mut coverage = super::super::Coverage::default();
    for seed in 0..3_000 {
        let config = Config {
            stream_buffer: 10,
            ..Config::default()
        };
        let run = || {
            let mut hand = Hand::with(config.clone(), Random::new(seed, 16 << (seed % 4)));
            let (near, far) = (hand.world.host("near"), hand.world.host("far"));
            let link = near.link(&far);
            link.latency(std::time::Duration::from_millis(seed % 3));
            link.may_be_lost(std::time::Duration::from_secs(20));
            let addr = far.addr(80);
            let listener = hand.world.with(|kernel| kernel.listen(addr, 1, false));
            let attempt = hand.connect_from(near.addr(0), addr);
            let told = converse(&mut hand, &message, listener.unwrap(), attempt);
            (told, hand)
        };
        let ((got, end), hand) = run();
        assert!(message.starts_with(&got), "{seed}: {got:?}");
        match end {
            0 => {
                assert_eq!(got.len(), message.len(), "{seed}: an end where a reset was");
                ends += 1;
            }
            _ => resets += 1,
        }
        coverage.add(&hand.world.coverage());
        if seed % 16 == 0 {
            let (told, again) = run();
            assert_eq!(told, (got, end));
            assert_eq!(again.world.digest(), hand.world.digest(), "{seed}");
        }
    }
    assert!(resets > 100 && ends > 100, "{resets} {ends}");
    for site in [Site::Link, Site::Latency, Site::Reset, Site::Connect] {
        assert!(coverage.deviated(site) > 100, "{site:?}");
    }
}
