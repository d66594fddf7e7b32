//! Toy programs that only choose: how many executions they have is known exactly.

use super::execution::{Fault, Line, Outcome, Story, Subject};
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};
use crate::sim::Invariant;

/// Alternatives whose names are their numbers.
pub(crate) struct Nameless;

impl Alternatives for Nameless {
    fn label(&self, index: usize) -> String {
        format!("outcome {index}")
    }

    fn word(&self, index: usize) -> String {
        index.to_string()
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// What a toy's code may do.
pub(crate) struct Toy<'a> {
    chooser: &'a mut dyn Chooser,
    digest: u64,
    fault: Option<Box<Fault>>,
    story: Story,
    pub(crate) seed: u64,
}

impl Toy<'_> {
    /// The outcome of operation `op`, the first of `count` being kind.
    pub(crate) fn outcome(&mut self, op: u32, count: usize) -> usize {
        let key = Key {
            event: EventId::ROOT.child(op),
            occurrence: 0,
        };
        let choice = self.chooser.choose(Site::RecvSize, key, count, &Nameless);
        self.note(key.event, "kernel", format!("op {op} has outcome {choice}"));
        choice
    }

    /// Runs the operations `0..count` in an order of the kernel's, and says in which.
    pub(crate) fn order(&mut self, count: u32) -> Vec<u32> {
        struct Pending<'a>(&'a [u32]);
        impl Alternatives for Pending<'_> {
            fn label(&self, index: usize) -> String {
                format!("op {} before op {}", self.0[index], self.0[0])
            }
            fn word(&self, index: usize) -> String {
                format!("{:?}", EventId::ROOT.child(self.0[index]))
            }
            fn event(&self, index: usize) -> Option<EventId> {
                Some(EventId::ROOT.child(self.0[index]))
            }
        }
        let mut pending: Vec<u32> = (0..count).collect();
        let mut asked = vec![0; count as usize];
        let mut order = Vec::new();
        while !pending.is_empty() {
            let mut next = 0;
            if pending.len() > 1 {
                let head = pending[0];
                let occurrence = asked[head as usize];
                asked[head as usize] += 1;
                let key = Key {
                    event: EventId::ROOT.child(head),
                    occurrence,
                };
                next = self
                    .chooser
                    .choose(Site::NextStep, key, pending.len(), &Pending(&pending));
            }
            let op = pending.remove(next);
            self.note(
                EventId::ROOT.child(op),
                "kernel",
                format!("op {op} completes"),
            );
            order.push(op);
        }
        order
    }

    /// One thing that happened.
    pub(crate) fn note(&mut self, event: EventId, lane: &str, text: String) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.story.lines.push(Line {
            lane: lane.to_owned(),
            event,
            cause: EventId::ROOT,
            submission: false,
            text,
            place: None,
            at: 0,
            deviation: false,
        });
    }

    /// Breaks an invariant.
    pub(crate) fn fail(&mut self, invariant: Invariant, message: &str) {
        let fault = Fault {
            invariant,
            message: message.to_owned(),
            place: None,
            event: None,
        };
        self.fault.get_or_insert(Box::new(fault));
    }
}

/// A toy program as something to check.
pub(crate) struct Program<F>(pub(crate) F);

impl<F: Fn(&mut Toy<'_>) + Sync> Program<F> {
    fn execute(&self, chooser: &mut dyn Chooser, seed: u64) -> (Outcome, Story) {
        let mut toy = Toy {
            chooser,
            digest: 0,
            fault: None,
            story: Story::default(),
            seed,
        };
        (self.0)(&mut toy);
        (
            Outcome {
                digest: toy.digest,
                fault: toy.fault,
            },
            toy.story,
        )
    }
}

impl<F: Fn(&mut Toy<'_>) + Sync> Subject for Program<F> {
    type Bench = ();

    fn bench(&self) {}

    fn run<C: Chooser>(&self, (): &mut (), mut chooser: Box<C>, seed: u64) -> (Outcome, Box<C>) {
        let (outcome, _) = self.execute(&mut *chooser, seed);
        (outcome, chooser)
    }

    fn trace<C: Chooser>(&self, mut chooser: Box<C>, seed: u64) -> (Outcome, Box<C>, Story) {
        let (outcome, story) = self.execute(&mut *chooser, seed);
        (outcome, chooser, story)
    }
}

/// `ops` operations with `outcomes` outcomes each.
pub(crate) fn faults(ops: u32, outcomes: usize) -> Program<impl Fn(&mut Toy<'_>) + Sync> {
    Program(move |toy: &mut Toy<'_>| {
        for op in 0..ops {
            toy.outcome(op, outcomes);
        }
    })
}

/// `ops` completions in any order.
pub(crate) fn orders(ops: u32) -> Program<impl Fn(&mut Toy<'_>) + Sync> {
    Program(move |toy: &mut Toy<'_>| {
        toy.order(ops);
    })
}
