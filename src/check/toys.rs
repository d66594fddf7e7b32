//! Toy programs that only choose: how many executions they have is known exactly.

use super::execution::{Column, Fault, Line, Outcome, Place, Story, Subject};
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};
use crate::sim::{Invariant, Oracle};

/// Alternatives without names.
pub(crate) struct Nameless;

impl Alternatives for Nameless {
    fn label(&self, index: usize) -> String {
        index.to_string()
    }

    fn word(&self, index: usize) -> String {
        index.to_string()
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// Outcomes of an operation.
struct Outcomes<'a>(&'a [&'a str]);

impl Alternatives for Outcomes<'_> {
    fn label(&self, index: usize) -> String {
        format!("outcome {}", self.0[index])
    }

    fn word(&self, index: usize) -> String {
        self.0[index].to_owned()
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// Operations that may complete next.
struct Pending<'a>(&'a [EventId]);

impl Alternatives for Pending<'_> {
    fn label(&self, index: usize) -> String {
        format!("{:?} before {:?}", self.0[index], self.0[0])
    }

    fn word(&self, index: usize) -> String {
        format!("{:?}", self.0[index])
    }

    fn event(&self, index: usize) -> Option<EventId> {
        Some(self.0[index])
    }
}

/// What a toy's code may do.
pub(crate) struct Toy<'a> {
    chooser: &'a mut dyn Chooser,
    digest: u64,
    fault: Option<Box<Fault>>,
    story: Story,
    asked: Vec<(Site, EventId)>,
}

impl Toy<'_> {
    /// The outcome of operation `op`, the first of `count` being kind.
    pub(crate) fn outcome(&mut self, op: u32, count: usize) -> usize {
        let key = Key {
            event: EventId::ROOT.child(op),
            occurrence: 0,
        };
        let choice = self.chooser.choose(Site::RecvSize, key, count, &Nameless);
        self.note(key.event, Column::Kernel, format!("outcome {choice}"));
        choice
    }

    /// The outcome of an operation, by name.
    pub(crate) fn outcome_of(&mut self, event: EventId, words: &[&str]) -> usize {
        let occurrence = self.asked(Site::RecvSize, event);
        let key = Key { event, occurrence };
        let choice = self
            .chooser
            .choose(Site::RecvSize, key, words.len(), &Outcomes(words));
        self.note(event, Column::Kernel, format!("outcome {}", words[choice]));
        self.story.lines.last_mut().expect("noted").deviation = choice != 0;
        choice
    }

    /// Completes the operations `0..count` in an order of the kernel's, and says in which.
    pub(crate) fn order(&mut self, count: u32) -> Vec<u32> {
        let events: Vec<EventId> = (0..count).map(|op| EventId::ROOT.child(op)).collect();
        let order = self.order_of(&events);
        let number = |event| {
            events
                .iter()
                .position(|it| *it == event)
                .expect("one of them")
        };
        order
            .into_iter()
            .map(|event| number(event) as u32)
            .collect()
    }

    /// Completes operations in an order of the kernel's, and says in which.
    pub(crate) fn order_of(&mut self, events: &[EventId]) -> Vec<EventId> {
        let mut pending = events.to_vec();
        let mut order = Vec::new();
        while !pending.is_empty() {
            let mut next = 0;
            if pending.len() > 1 {
                let event = pending[0];
                let key = Key {
                    event,
                    occurrence: self.asked(Site::NextStep, event),
                };
                next = self
                    .chooser
                    .choose(Site::NextStep, key, pending.len(), &Pending(&pending));
            }
            let event = pending.remove(next);
            self.note(event, Column::Kernel, "completes".to_owned());
            let line = self.story.lines.last_mut().expect("noted");
            line.completion = true;
            line.deviation = next != 0;
            order.push(event);
        }
        order
    }

    /// Counts the decisions of an event.
    fn asked(&mut self, site: Site, event: EventId) -> u32 {
        let before = self.asked.iter().filter(|it| **it == (site, event)).count();
        self.asked.push((site, event));
        before as u32
    }

    /// An operation: a name for an event.
    pub(crate) fn submit(&mut self, cause: EventId, nth: u32, text: &str) -> EventId {
        let event = cause.child(nth);
        let name = format!("{}.{}", self.name(cause), nth + 1);
        self.note(event, Column::Program, text.to_owned());
        let line = self.story.lines.last_mut().expect("noted");
        line.start = true;
        line.cause = cause;
        line.name = name;
        line.place = Some(Place {
            file: "tests/toy.rs".to_owned(),
            line: 10 + nth,
            column: 9,
        });
        event
    }

    /// One thing that happened.
    pub(crate) fn note(&mut self, event: EventId, column: Column, text: String) {
        for byte in text.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.story.lines.push(Line {
            column,
            cell: text.clone(),
            event,
            name: self.name(event),
            cause: EventId::ROOT,
            start: false,
            completion: false,
            text,
            place: None,
            at: 0,
            content: 0,
            deviation: false,
            failure: false,
        });
    }

    fn name(&self, event: EventId) -> String {
        let line = self.story.lines.iter().find(|line| line.event == event);
        line.map_or("0".to_owned(), |line| line.name.clone())
    }

    /// Breaks an invariant.
    pub(crate) fn fail(&mut self, invariant: Invariant, message: &str) {
        let guards = |oracle: &&Oracle| oracle.invariant() == invariant;
        let fault = Fault {
            oracle: *Oracle::ALL.iter().find(guards).expect("each has one"),
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
    fn execute(&self, chooser: &mut dyn Chooser) -> (Outcome, Story) {
        let mut toy = Toy {
            chooser,
            digest: 0,
            fault: None,
            story: Story::default(),
            asked: Vec::new(),
        };
        (self.0)(&mut toy);
        (
            Outcome {
                digest: toy.digest,
                class: toy.digest,
                fault: toy.fault,
                news: false,
            },
            toy.story,
        )
    }
}

impl<F: Fn(&mut Toy<'_>) + Sync> Subject for Program<F> {
    type Bench = ();

    fn bench(&self) {}

    fn run<C: Chooser>(&self, (): &mut (), mut chooser: Box<C>, _seed: u64) -> (Outcome, Box<C>) {
        let (outcome, _) = self.execute(&mut *chooser);
        (outcome, chooser)
    }

    fn trace<C: Chooser>(&self, mut chooser: Box<C>, _seed: u64) -> (Outcome, Box<C>, Story) {
        let (outcome, story) = self.execute(&mut *chooser);
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
