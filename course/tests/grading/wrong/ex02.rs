//! Mistakes about stopping a receive.

use proactor::sim::Invariant;
use proactor::sim::hand::OpId;
use proactor_course::kernel_in_hand::{Inbox, Kernel, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex02",
        &[
            Mistake {
                what: "a cancel is taken for an end",
                check: || check(cancels_and_leaves),
                invariant: Invariant::I2,
                told: "its buffer is still the kernel's",
            },
            Mistake {
                what: "the first completion is taken for its own",
                check: || check(takes_the_first),
                invariant: Invariant::I2,
                told: "has not been told as complete",
            },
            Mistake {
                what: "others' completions are thrown away",
                check: || check(throws_away),
                invariant: Invariant::I7,
                told: "is not in the inbox",
            },
            Mistake {
                what: "what was cancelled brought nothing",
                check: || check(brings_nothing),
                invariant: Invariant::I8,
                told: "bytes were lost",
            },
            Mistake {
                what: "waits for what can't come",
                check: || check(waits_on),
                invariant: Invariant::I7,
                told: "nothing can ever come",
            },
        ],
    );
}

fn cancels_and_leaves(kernel: &mut Kernel, recv: OpId, _: &mut Inbox) -> Vec<u8> {
    kernel.cancel(recv);
    Vec::new()
}

fn takes_the_first(kernel: &mut Kernel, recv: OpId, _: &mut Inbox) -> Vec<u8> {
    kernel.cancel(recv);
    let done = kernel.next();
    done.filter(|done| done.result.is_ok())
        .map_or_else(Vec::new, |done| done.buf)
}

fn throws_away(kernel: &mut Kernel, recv: OpId, _: &mut Inbox) -> Vec<u8> {
    kernel.cancel(recv);
    while let Some(done) = kernel.next() {
        if done.op == recv {
            return done.buf;
        }
    }
    Vec::new()
}

fn brings_nothing(kernel: &mut Kernel, recv: OpId, inbox: &mut Inbox) -> Vec<u8> {
    kernel.cancel(recv);
    while let Some(done) = kernel.next() {
        if done.op == recv {
            break;
        }
        inbox.put(done);
    }
    Vec::new()
}

fn waits_on(kernel: &mut Kernel, recv: OpId, inbox: &mut Inbox) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        match kernel.next() {
            Some(done) if done.op == recv => heard = done.buf,
            Some(done) => inbox.put(done),
            None if !heard.is_empty() => return heard,
            None => {}
        }
    }
}
