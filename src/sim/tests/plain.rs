//! The straight line of frequent transfers does what the long way does: a kernel that records takes the
//! latter.

use super::*;
use crate::sim::Invariant;

/// What a kernel did: every completion with what is in its buffer, and the digest.
type Told = (Vec<(u64, i32, Vec<u8>)>, u64, Option<Invariant>);

/// A random script of transfers, cancels, ends and resets on one connection, on a kind kernel.
fn script(seed: u64, trace: bool) -> Told {
    let mut dice = Random::new(seed, 0);
    let room = [1, 10, 64, 200][dice.next() as usize % 4];
    let config = Config {
        trace,
        stream_buffer: room,
        ..Config::default()
    };
    let mut hand = Hand::with(config, Kind);
    let (listener, client, server) = hand.pair();
    let mut open = [true, true];
    let mut told = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..30 {
        let side = dice.next() as usize % 2;
        let handle = [client, server][side];
        let len = [0, 1, 7, 16, 33, 64, 65, 150][dice.next() as usize % 8];
        match dice.next() % 32 {
            0..8 if open[side] => {
                let from = dice.next() as u8;
                let bytes: Vec<u8> = (0..len).map(|at| from.wrapping_add(at)).collect();
                ids.push(hand.send(handle, &bytes));
            }
            8..18 if open[side] => ids.push(hand.recv(handle, len.into())),
            18..20 if !ids.is_empty() => {
                let id = ids[dice.next() as usize % ids.len()];
                hand.cancel(id);
            }
            20 if open[side] => {
                hand.shutdown(handle, dice.next() as u32 % 3);
            }
            21 if ids.len() > 12 && open[side] => {
                let busy = hand.world.with(|kernel| {
                    let handle = kernel.m.handles.get(handle).map(|it| it.in_flight);
                    handle.unwrap_or(0)
                });
                if busy == 0 {
                    hand.close(handle);
                    open[side] = false;
                }
            }
            22 if seed.is_multiple_of(7) && !ids.is_empty() => {
                // A breach of I2, or none if it is over.
                let id = ids[dice.next() as usize % ids.len()];
                if !hand.buffer(id).is_empty() {
                    hand.poke(id, 0);
                }
            }
            _ => {
                if let Stepped::Completion(token, result) = hand.step(Until::Now) {
                    told.push((token, result, hand.buffer(token as u32).to_vec()));
                }
            }
        }
    }
    hand.close(listener);
    let invariant = hand.world.violation().map(|found| found.invariant);
    (told, hand.world.digest(), invariant)
}

#[test]
fn the_straight_line_and_the_long_way_are_one() {
    let (mut moved, mut failed, mut breaches) = (0, 0, 0);
    for seed in 0..4_000 {
        let plain = script(seed, false);
        assert_eq!(plain, script(seed, true), "{seed}");
        moved += plain.0.iter().filter(|told| told.1 > 0).count();
        failed += plain.0.iter().filter(|told| told.1 < 0).count();
        breaches += usize::from(plain.2.is_some());
    }
    assert!(
        moved > 20_000 && failed > 1_000 && breaches > 50,
        "{moved} {failed} {breaches}"
    );
}
