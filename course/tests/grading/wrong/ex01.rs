//! Mistakes about whose the buffer is.

use proactor::sim::Invariant;
use proactor_course::ready_or_done::Event::{
    self, Arrived, CancelAsked, Queued, Ready, Reaped, Submitted, Tried,
};
use proactor_course::ready_or_done::check;

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex01",
        &[
            Mistake {
                what: "the bytes are there",
                check: || check(|story| moved(story, &[Reaped, Arrived])),
                invariant: Invariant::I2,
                told: "Arrived: bytes of the peer",
            },
            Mistake {
                what: "it was cancelled",
                check: || check(|story| moved(story, &[Reaped, CancelAsked])),
                invariant: Invariant::I2,
                told: "the buffer is the kernel's",
            },
            Mistake {
                what: "it is in the queue",
                check: || check(|story| moved(story, &[Reaped, Queued])),
                invariant: Invariant::I2,
                told: "the buffer is in the queue",
            },
            Mistake {
                what: "once reaped, for ever mine",
                check: || check(|story| !story.contains(&Submitted) || story.contains(&Reaped)),
                invariant: Invariant::I2,
                told: "Submitted: a receive was submitted",
            },
            Mistake {
                what: "readiness lends too",
                check: || {
                    check(|story| {
                        let moves =
                            |event: &&Event| matches!(event, Submitted | Ready | Tried | Reaped);
                        !matches!(story.iter().rev().find(moves), Some(Submitted | Ready))
                    })
                },
                invariant: Invariant::I7,
                told: "the buffer is the program's own",
            },
            Mistake {
                what: "a panic",
                check: || check(|story| story[0] == Ready),
                invariant: Invariant::Panic,
                told: "index out of bounds",
            },
        ],
    );
}

/// Lent since the last submission, unless one of these came after it.
fn moved(story: &[Event], back: &[Event]) -> bool {
    let last = story
        .iter()
        .rev()
        .find(|event| **event == Submitted || back.contains(event));
    last != Some(&Submitted)
}
