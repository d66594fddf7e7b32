//! Where a world is played: a kernel held by hand, who decides, and the story that is told on the way.

use std::time::Duration;

use proactor::choice::Site;
use proactor::sim::hand::{Completion, Decision, OpId, Request, Step, Stream};
use proactor::sim::{Config, Hand, hand};

/// Who may touch the buffer that a story is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The story is about none, or there is none yet.
    None,
    /// The program.
    Program,
    /// The kernel.
    Kernel,
    /// The queue of completions.
    Queue,
}

/// What a story consists of.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// Something was done.
    Step {
        lane: usize,
        text: String,
        buffer: Owner,
        at: u64,
    },
    /// Something was decided.
    Choice {
        asked: String,
        labels: Vec<String>,
        at: usize,
    },
}

/// The peers' lane.
pub(crate) const PEER: usize = 0;
/// The kernel's lane.
pub(crate) const KERNEL: usize = 1;
/// The program's lane: its handlers, its one thread.
pub(crate) const PROGRAM: usize = 2;
/// The lane of what the program has others do.
pub(crate) const POOL: usize = 3;

/// The stage of one story.
pub(crate) struct Stage {
    pub(crate) hand: Hand,
    script: Vec<usize>,
    decided: usize,
    items: Vec<Item>,
    /// The operations of the program. What the kernel decides about others' goes the kind way.
    ops: Vec<OpId>,
    /// Where the reader may decide next time, and then no more.
    open: Vec<Site>,
    watched: Watched,
}

/// Whose buffer is told of.
enum Watched {
    Nobody,
    /// The program has one, and has not lent it.
    Program,
    Lent(OpId),
}

impl Stage {
    pub(crate) fn new(script: Vec<usize>) -> Stage {
        Stage {
            hand: Hand::new(Config::default()),
            script,
            decided: 0,
            items: Vec::new(),
            ops: Vec::new(),
            open: Vec::new(),
            watched: Watched::Nobody,
        }
    }

    pub(crate) fn story(self) -> Vec<Item> {
        self.items
    }

    /// A client and a server that are connected, in that order. This is before the story.
    pub(crate) fn connected(&mut self, address: &str) -> (Stream, Stream) {
        let connected = self.hand.connection(address);
        connected.unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// There is a buffer now, and the program has it.
    pub(crate) fn has_buffer(&mut self) {
        self.watched = Watched::Program;
    }

    /// The next decision at each of these is the reader's.
    pub(crate) fn opens(&mut self, sites: &[Site]) {
        self.open = sites.to_vec();
    }

    /// Tells what somebody did.
    pub(crate) fn tell(&mut self, lane: usize, text: impl Into<String>) {
        let buffer = match self.watched {
            Watched::Nobody => Owner::None,
            Watched::Program => Owner::Program,
            Watched::Lent(op) => match self.hand.owner(op) {
                Some(hand::Owner::Kernel) => Owner::Kernel,
                Some(hand::Owner::Queue) => Owner::Queue,
                _ => Owner::Program,
            },
        };
        self.told(lane, text.into(), buffer);
    }

    fn told(&mut self, lane: usize, text: String, buffer: Owner) {
        let at = u64::try_from(self.hand.now().as_nanos()).unwrap_or(u64::MAX);
        self.items.push(Item::Step {
            lane,
            text,
            buffer,
            at,
        });
    }

    /// The reader decides in somebody's place. Something has to be told of what was picked.
    pub(crate) fn choose(&mut self, asked: &str, labels: &[&str]) -> usize {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        self.pick(asked.to_owned(), labels)
    }

    fn pick(&mut self, asked: String, labels: Vec<String>) -> usize {
        pick(
            &self.script,
            &mut self.decided,
            &mut self.items,
            asked,
            labels,
        )
    }

    /// The program starts an operation.
    pub(crate) fn submit(&mut self, request: Request, text: &str) -> OpId {
        self.tell(PROGRAM, text);
        let op = self.deciding(true, |hand, ask| hand.submit_with(request, ask));
        let op = op.unwrap_or_else(|error| panic!("{text}: {error}"));
        self.ops.push(op);
        op
    }

    /// The same; the story is about its buffer.
    pub(crate) fn lend(&mut self, request: Request, text: &str) -> OpId {
        self.told(PROGRAM, text.to_owned(), Owner::Kernel);
        let op = self.deciding(true, |hand, ask| hand.submit_with(request, ask));
        let op = op.unwrap_or_else(|error| panic!("{text}: {error}"));
        self.ops.push(op);
        self.watched = Watched::Lent(op);
        op
    }

    /// The program asks for a cancel.
    pub(crate) fn cancel(&mut self, op: OpId, text: &str) {
        self.tell(PROGRAM, text);
        let done = self.deciding(false, |hand, ask| hand.cancel_with(op, ask));
        done.unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// The peer sends.
    pub(crate) fn peer_sends(&mut self, from: Stream, bytes: &str, text: &str) {
        self.tell(PEER, text);
        let sent = self.deciding(false, |hand, ask| {
            hand.submit_with(Request::send(from, bytes), ask)
        });
        let sent = sent.unwrap_or_else(|error| panic!("{text}: {error}"));
        let told = self.hand.step(Step::Complete(sent));
        told.unwrap_or_else(|error| panic!("{text}: {error}"));
        self.hand.reap();
    }

    /// What the kernel may do next, and what else may happen first: one of them is chosen. What the kernel did; nothing:
    /// it was something else, by its place, or there is nothing left.
    pub(crate) fn kernel(
        &mut self,
        names: &[(OpId, &str)],
        others: &[&str],
    ) -> Result<Step, Option<usize>> {
        let enabled = self.hand.enabled();
        let name = |op: OpId| {
            names
                .iter()
                .find(|(it, _)| *it == op)
                .map_or("it", |(_, name)| name)
        };
        let mut labels: Vec<String> = enabled
            .iter()
            .map(|it| match it.step {
                Step::Complete(op) => format!("the completion of {}", name(op)),
                Step::Effect(op) => format!("the late effect of {}", name(op)),
                Step::Cancel(op) => format!("the late cancel of {}", name(op)),
                _ => "time passes".to_owned(),
            })
            .collect();
        labels.extend(others.iter().map(|label| (*label).to_owned()));
        let at = match labels.len() {
            0 => return Err(None),
            1 => 0,
            _ => self.pick("What comes next?".to_owned(), labels.clone()),
        };
        let Some(enabled) = enabled.get(at) else {
            return Err(Some(at - enabled.len()));
        };
        let step = enabled.step;
        let made = self.deciding(false, |hand, ask| hand.step_with(step, ask));
        made.unwrap_or_else(|error| panic!("an enabled step: {error}"));
        let told = match step {
            Step::Complete(op) => format!("hands out the completion of {}", name(op)),
            Step::Effect(op) => format!("lets {} have its effect", name(op)),
            Step::Cancel(op) => format!("looks at the cancel of {}", name(op)),
            _ => format!("time passes: it is {} ms now", self.hand.now().as_millis()),
        };
        self.tell(KERNEL, told);
        Ok(step)
    }

    /// The completion that was handed out first is taken by the program.
    pub(crate) fn reap(&mut self) -> Completion {
        self.hand
            .reap()
            .unwrap_or_else(|| panic!("something was handed out"))
    }

    /// A handler takes its time.
    pub(crate) fn takes(&mut self, time: Duration) {
        self.hand.advance(time);
    }

    /// Does something with the kernel; what it decides about operations of the program, and about the one that it
    /// submits, may be the reader's.
    fn deciding<R>(
        &mut self,
        submits: bool,
        act: impl FnOnce(&mut Hand, &mut dyn FnMut(&Decision) -> usize) -> R,
    ) -> R {
        let Stage {
            hand,
            script,
            decided,
            items,
            ops,
            open,
            ..
        } = self;
        act(hand, &mut |decision: &Decision| {
            let is_its = decision.op.is_some_and(|op| submits || ops.contains(&op));
            let Some(place) = open.iter().position(|site| *site == decision.site) else {
                return 0;
            };
            if !is_its {
                return 0;
            }
            open.swap_remove(place);
            let labels: Vec<String> = decision
                .alternatives
                .iter()
                .map(|it| it.label.clone())
                .collect();
            let asked = format!("The kernel decides: {}", question(decision.site));
            let at = pick(script, decided, items, asked, labels.clone());
            let last = items.iter().rev().find_map(|item| match item {
                Item::Step { buffer, at, .. } => Some((*buffer, *at)),
                Item::Choice { .. } => None,
            });
            let (buffer, now) = last.unwrap_or((Owner::None, 0));
            let text = labels[at].clone();
            items.push(Item::Step {
                lane: KERNEL,
                text,
                buffer,
                at: now,
            });
            at
        })
    }
}

fn pick(
    script: &[usize],
    decided: &mut usize,
    items: &mut Vec<Item>,
    asked: String,
    labels: Vec<String>,
) -> usize {
    let at = script.get(*decided).copied().unwrap_or(0);
    *decided += 1;
    items.push(Item::Choice { asked, labels, at });
    at
}

fn question(site: Site) -> &'static str {
    match site {
        Site::RecvSize => "how much does the receive bring?",
        Site::SendSize => "how much does the send take?",
        Site::EffectLate => "when does it happen?",
        Site::Cancel => "what becomes of the cancel?",
        _ => "what happens?",
    }
}
