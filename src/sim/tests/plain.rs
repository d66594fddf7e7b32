//! The straight line of frequent transfers does what the long way does: a kernel that records takes the
//! latter.

use super::*;
use crate::choice::random::seed_of;
use crate::choice::{Random as Drawn, Weight};
use crate::sim::matrix::Matrix;
use crate::sim::steps::Waits;
use crate::sim::{Coverage, Invariant, Oracle, Personality};

/// Who decides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Kind,
    /// The kernel itself draws.
    Drawn,
    /// The same numbers, and the kernel asks each time.
    Asked,
}

/// Does not lend what it draws from.
struct Asked(Drawn);

impl Chooser for Asked {
    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        self.0.choose(site, key, count, those)
    }
}

/// Numbers under which much is plain and all happens.
fn drawn(seed: u64) -> Drawn {
    let sites = [
        Site::NextStep,
        Site::EffectLate,
        Site::RecvSize,
        Site::SendSize,
        Site::Reset,
    ];
    let mut drawn = Drawn::new(seed);
    for (nth, site) in sites.into_iter().enumerate() {
        // Each of them sometimes never, sometimes often.
        let one_in = [0, 64, 8, 2][(seed >> (2 * nth)) as usize % 4];
        let weight = match (site, one_in) {
            (Site::NextStep, 64) => Weight::ALWAYS,
            (Site::Reset, 2 | 8) => Weight::one_in(32),
            _ => Weight::one_in(one_in),
        };
        drawn = drawn.weight(site, weight);
    }
    drawn
}

/// What a kernel did.
#[derive(Debug, PartialEq)]
struct Told {
    /// Every completion, with what is in its buffer.
    completions: Vec<(u64, i32, Vec<u8>)>,
    digest: u64,
    breach: Option<Invariant>,
    /// What the oracles count by.
    counts: [u64; 6],
    /// What is not denied: which, at what, how often. (The words are those of a kernel that records.)
    warnings: Vec<(Oracle, EventId, u64)>,
    /// How many completions took the straight line.
    plain: u32,
    /// What was decided, and what a random campaign counts. (Of a kind kernel nobody asks.)
    decided: Option<(Coverage, Matrix, u64, Waits)>,
}

/// The next step, as a lane makes it.
fn next(hand: &mut Hand, plain: &mut u32) -> Stepped {
    let next = hand.world.with(|kernel| kernel.next_plainly());
    match next {
        Some((token, result)) => {
            *plain += 1;
            Stepped::Completion(token, result)
        }
        None => hand.step(Until::Now),
    }
}

/// A random script of transfers, cancels, ends and resets on one connection.
fn script(seed: u64, who: Who, trace: bool) -> Told {
    let mut dice = Random::new(seed, 0);
    let room = [1, 10, 64, 200][dice.next() as usize % 4];
    let mut config = Config {
        trace,
        stream_buffer: room,
        ..Config::default()
    };
    if who != Who::Kind {
        let personality = dice.next() as usize % (2 * Personality::ALL.len());
        config.personality = *Personality::ALL
            .get(personality)
            .unwrap_or(&config.personality);
        config.faults_per_operation = [0, 1, 2, 2][dice.next() as usize % 4];
    }
    let faults = config.faults_per_operation;
    let mut hand = Hand::with(config, Kind);
    let (listener, client, server) = hand.pair();
    let random = drawn(seed_of(seed, 0));
    hand.world.with(|kernel| match who {
        Who::Kind => {}
        Who::Drawn => kernel.is_decided_by(Box::new(random)),
        Who::Asked => kernel.is_decided_by(Box::new(Asked(random))),
    });
    let mut open = [true, true];
    let mut told = Vec::new();
    let mut plain = 0;
    let mut ids = Vec::new();
    let actions = match who {
        Who::Kind => 30,
        _ => 80,
    };
    for _ in 0..actions {
        let side = dice.next() as usize % 2;
        let handle = [client, server][side];
        if who != Who::Kind {
            // As scripted peers submit: without faults.
            let faults = if dice.next().is_multiple_of(8) {
                0
            } else {
                faults
            };
            hand.world
                .with(|kernel| kernel.config.faults_per_operation = faults);
        }
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
            // Handlers take their time: what is ready waits.
            23 => hand.world.with(|kernel| kernel.busy += 3_600_000_000_000),
            24 if seed.is_multiple_of(5) => {
                // Nobody wanted what came last.
                if let Some((token, result, _)) = told.last() as Option<&(u64, i32, Vec<u8>)> {
                    let (token, result) = (*token as u32, *result);
                    hand.world.with(|kernel| {
                        kernel.unwanted = Some(token);
                        kernel.discarded(result.max(0) as u64);
                    });
                }
            }
            25 if seed.is_multiple_of(13) => hand.world.with(|kernel| kernel.lose_power()),
            _ => {
                if let Stepped::Completion(token, result) = next(&mut hand, &mut plain) {
                    told.push((token, result, hand.buffer(token as u32).to_vec()));
                }
            }
        }
    }
    hand.close(listener);
    let breach = hand.world.violation().map(|found| found.invariant);
    let counts = hand.world.with(|kernel| {
        let handles = kernel.m.handles.iter();
        let busy: u64 = handles
            .map(|(_, it)| it.busy + u64::from(it.in_flight))
            .sum();
        let handles = kernel.m.handles.iter();
        let zeros: u64 = handles.map(|(_, it)| u64::from(it.zeros)).sum();
        let in_flight = kernel.in_flight as u64;
        [
            kernel.steps,
            kernel.progress,
            kernel.to_send,
            in_flight,
            busy,
            zeros,
        ]
    });
    Told {
        completions: told,
        digest: hand.world.digest(),
        breach,
        counts,
        warnings: hand
            .world
            .warnings()
            .iter()
            .map(|it| (it.oracle, it.event, it.count))
            .collect(),
        plain,
        decided: (who != Who::Kind).then(|| {
            let (class, waits) = hand.world.with(|kernel| (kernel.class, kernel.waits));
            (hand.world.coverage(), hand.world.matrix(), class, waits)
        }),
    }
}

#[test]
fn the_straight_line_and_the_long_way_are_one() {
    let (mut moved, mut failed, mut breaches, mut plain) = (0, 0, 0, 0);
    for seed in 0..4_000 {
        let mut straight = script(seed, Who::Kind, false);
        plain += std::mem::take(&mut straight.plain);
        let at_length = script(seed, Who::Kind, true);
        assert_eq!(at_length.plain, 0, "who records takes the long way");
        assert_eq!(straight, at_length, "{seed}");
        moved += straight.completions.iter().filter(|it| it.1 > 0).count();
        failed += straight.completions.iter().filter(|it| it.1 < 0).count();
        breaches += usize::from(straight.breach.is_some());
    }
    assert!(
        moved > 15_000 && failed > 1_000 && breaches > 50 && plain > 15_000,
        "{moved} {failed} {breaches} {plain}"
    );
}

#[test]
fn nor_does_it_matter_who_draws_and_whether_somebody_looks_on() {
    let (mut moved, mut failed, mut breaches, mut plain, mut deviated) = (0, 0, 0, 0, 0);
    for seed in 0..8_000 {
        let mut straight = script(seed, Who::Drawn, false);
        plain += std::mem::take(&mut straight.plain);
        let asked = script(seed, Who::Asked, false);
        assert_eq!(asked.plain, 0, "who is asked is asked each time");
        assert_eq!(straight, asked, "{seed}");
        let at_length = script(seed, Who::Asked, true);
        assert_eq!(straight, at_length, "{seed}");
        assert_eq!(straight, script(seed, Who::Drawn, true), "{seed}");
        moved += straight.completions.iter().filter(|it| it.1 > 0).count();
        failed += straight.completions.iter().filter(|it| it.1 < 0).count();
        breaches += usize::from(straight.breach.is_some());
        let (coverage, ..) = straight.decided.expect("it is not kind");
        deviated += [
            Site::EffectLate,
            Site::RecvSize,
            Site::SendSize,
            Site::Reset,
        ]
        .map(|site| coverage.deviated(site))
        .iter()
        .sum::<u64>();
    }
    assert!(
        moved > 50_000 && failed > 3_000 && breaches > 100 && plain > 40_000 && deviated > 10_000,
        "{moved} {failed} {breaches} {plain} {deviated}"
    );
}
