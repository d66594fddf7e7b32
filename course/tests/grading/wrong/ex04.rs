//! Mistakes in the emulation of a read.

use std::io::ErrorKind;

use proactor::sim::Invariant;
use proactor_course::engines::{Done, Read, Readiness, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex04",
        &[
            Mistake {
                what: "a hint is taken for a promise",
                check: || check(|kernel, waiting| next(kernel, waiting, Flaw::Believes)),
                invariant: Invariant::I1,
                told: "false hint, and no end of a read",
            },
            Mistake {
                what: "the last read has the first bytes",
                check: || check(|kernel, waiting| next(kernel, waiting, Flaw::LastFirst)),
                invariant: Invariant::Order,
                told: "bring, in their order",
            },
            Mistake {
                what: "an error is waited out",
                check: || check(|kernel, waiting| next(kernel, waiting, Flaw::ErrorsWait)),
                invariant: Invariant::I7,
                told: "the error was told once, and is lost",
            },
            Mistake {
                what: "the read stays where it was",
                check: || check(|kernel, waiting| next(kernel, waiting, Flaw::Keeps)),
                invariant: Invariant::I1,
                told: "has ended twice",
            },
            Mistake {
                what: "gives up after a false hint",
                check: || check(|kernel, waiting| next(kernel, waiting, Flaw::GivesUp)),
                invariant: Invariant::I7,
                told: "nobody is ever told",
            },
            Mistake {
                what: "never waits",
                check: || check(busy),
                invariant: Invariant::I7,
                told: "nothing can ever come of this",
            },
            Mistake {
                what: "ready is done",
                check: || check(ready_is_done),
                invariant: Invariant::Order,
                told: "\"alpha\", then \"gamma\"",
            },
        ],
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    Believes,
    LastFirst,
    ErrorsWait,
    Keeps,
    GivesUp,
}

fn next(kernel: &mut Readiness, waiting: &mut Vec<Read>, flaw: Flaw) -> Option<Done> {
    loop {
        let streams: Vec<_> = waiting.iter().map(|read| read.stream).collect();
        let ready = kernel.wait(&streams);
        if ready.is_empty() {
            return None;
        }
        for stream in ready {
            let is_it = |read: &Read| read.stream == stream;
            let at = match flaw {
                Flaw::LastFirst => waiting.iter().rposition(is_it),
                _ => waiting.iter().position(is_it),
            };
            let Some(at) = at else { continue };
            let result = kernel.try_read(stream, &mut waiting[at].buffer);
            match &result {
                Err(_) if flaw == Flaw::ErrorsWait => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => match flaw {
                    Flaw::Believes => {}
                    Flaw::GivesUp => return None,
                    _ => continue,
                },
                _ => {}
            }
            if flaw == Flaw::Keeps {
                let Read { ticket, buffer, .. } = &waiting[at];
                let (ticket, buffer) = (*ticket, buffer.clone());
                return Some(Done {
                    ticket,
                    result,
                    buffer,
                });
            }
            let Read { ticket, buffer, .. } = waiting.remove(at);
            return Some(Done {
                ticket,
                result,
                buffer,
            });
        }
    }
}

/// Tries for ever.
fn busy(kernel: &mut Readiness, waiting: &mut Vec<Read>) -> Option<Done> {
    loop {
        for at in 0..waiting.len() {
            let stream = waiting[at].stream;
            let result = kernel.try_read(stream, &mut waiting[at].buffer);
            if result.is_ok() {
                let Read { ticket, buffer, .. } = waiting.remove(at);
                return Some(Done {
                    ticket,
                    result,
                    buffer,
                });
            }
        }
    }
}

/// Says that a read has ended when it could begin.
fn ready_is_done(kernel: &mut Readiness, waiting: &mut Vec<Read>) -> Option<Done> {
    let streams: Vec<_> = waiting.iter().map(|read| read.stream).collect();
    let stream = *kernel.wait(&streams).first()?;
    let at = waiting.iter().position(|read| read.stream == stream)?;
    let Read { ticket, buffer, .. } = waiting.remove(at);
    let result = Ok(buffer.len());
    Some(Done {
        ticket,
        result,
        buffer,
    })
}
