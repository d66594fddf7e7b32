//! Exercise 1: who may touch the buffer, after each story that two models of I/O can tell of it.

use std::collections::VecDeque;
use std::time::Duration;

use proactor::sim::hand::{Interest, OpId, Owner, Request, Step, Stream};
use proactor::sim::{Config, Hand, Invariant};

use crate::held::connected;
use crate::silence::{is_todo, quietly};
use crate::verdict::{Check, Ended, Verdict};

/// What may happen around one buffer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Readiness: the kernel says that a read would not have to wait.
    Ready,
    /// Readiness: a read into the buffer was tried, and the call has returned.
    Tried,
    /// Completion: a receive was submitted, with this buffer.
    Submitted,
    /// The peer has sent bytes, and they have arrived in the kernel.
    Arrived,
    /// Completion: somebody asked that the receive be cancelled.
    CancelAsked,
    /// Completion: the receive has ended, and its completion waits in the queue.
    Queued,
    /// Completion: the completion was taken out of the queue.
    Reaped,
}

use Event::{Arrived, CancelAsked, Queued, Ready, Reaped, Submitted, Tried};

/// There is no decision in it, so there is nothing to replay but all of it.
const AGAIN: &str = "Repeat it:\n  cargo run --example ex01_ready_or_done";

/// Stories are at most so long.
const LENGTH: usize = 7;

/// Checks a function that says, after any story, whether the program may touch the buffer now.
pub fn check(may_touch: fn(&[Event]) -> bool) -> Check {
    Check::new(move |ended| match quietly(|| compare(may_touch, ended)) {
        Ok(verdict) => verdict,
        Err(panic) if is_todo(&panic.message) => {
            Verdict::NotYet(format!("  The todo!() at {}", panic.place))
        }
        Err(panic) => Verdict::Wrong(
            Invariant::Panic,
            format!("  {}\n  at {}\n\n{AGAIN}", panic.message, panic.place),
        ),
    })
}

/// All stories, short ones first, each lived through on a kernel of its own.
fn compare(may_touch: fn(&[Event]) -> bool, ended: &Ended) -> Verdict {
    let mut stories = VecDeque::from([Vec::new()]);
    let mut count = 0;
    while let Some(story) = stories.pop_front() {
        let life = Life::of(&story);
        count += 1;
        let said = ended.count(|| may_touch(&story));
        if let Some(wrong) = life.contradicts(&story, said) {
            return wrong;
        }
        if story.len() < LENGTH {
            let longer = life
                .possible()
                .into_iter()
                .map(|event| [story.as_slice(), &[event]].concat());
            stories.extend(longer);
        }
    }
    Verdict::Passes(format!(
        "  every story of at most {LENGTH} events: {count}, each lived through on the simulated kernel"
    ))
}

/// A server's buffer on a simulated kernel.
struct Life {
    hand: Hand,
    client: Stream,
    server: Stream,
    recv: Option<OpId>,
    sent: usize,
    unread: usize,
    cancelled: bool,
}

impl Life {
    fn of(story: &[Event]) -> Life {
        let mut hand = Hand::new(Config::default());
        let (client, server) = connected(&mut hand);
        let mut life = Life {
            hand,
            client,
            server,
            recv: None,
            sent: 0,
            unread: 0,
            cancelled: false,
        };
        for &event in story {
            life.live(event);
        }
        life
    }

    fn owner(&self) -> Owner {
        let owner = self.recv.and_then(|recv| self.hand.owner(recv));
        owner.unwrap_or(Owner::You)
    }

    fn possible(&self) -> Vec<Event> {
        let mut possible = Vec::new();
        if self.sent < 2 {
            possible.push(Arrived);
        }
        match self.owner() {
            Owner::You => {
                possible.extend([Submitted, Tried]);
                if self.unread > 0 {
                    possible.push(Ready);
                }
            }
            Owner::Kernel => {
                if self
                    .hand
                    .enabled()
                    .iter()
                    .any(|it| Some(it.step) == self.recv.map(Step::Complete))
                {
                    possible.push(Queued);
                }
                if !self.cancelled {
                    possible.push(CancelAsked);
                }
            }
            Owner::Queue => possible.push(Reaped),
        }
        possible
    }

    fn live(&mut self, event: Event) {
        let kind = "the kernel is kind here";
        match event {
            Ready => drop(
                self.hand
                    .wait(&[(self.server.into(), Interest::Read)], Duration::ZERO),
            ),
            Tried => {
                let _ = self.hand.try_read(self.server, &mut [0; 8]);
                self.unread = 0;
            }
            Submitted => {
                let request = Request::recv(self.server, Vec::with_capacity(8));
                self.recv = Some(self.hand.submit(request).expect(kind));
                self.cancelled = false;
                self.unread = 0;
            }
            Arrived => {
                let waits = self.owner() == Owner::Kernel && self.hand.enabled().is_empty();
                self.hand.try_write(self.client, b"ahoy").expect(kind);
                self.sent += 1;
                self.unread += usize::from(!waits);
            }
            CancelAsked => {
                if let Some(recv) = self.recv {
                    self.hand.cancel(recv).expect(kind);
                    self.cancelled = true;
                }
            }
            Queued => {
                if let Some(recv) = self.recv {
                    self.hand.step(Step::Complete(recv)).expect(kind);
                }
            }
            Reaped => drop(self.hand.reap()),
        }
    }

    /// What is wrong with an answer, if it is.
    fn contradicts(&self, story: &[Event], said: bool) -> Option<Verdict> {
        let owner = self.owner();
        let told = |what: &str| {
            let mut text = format!("  {what}\n\nWhat happened:");
            if story.is_empty() {
                text += "\n  nothing at all";
            }
            for event in story {
                text += "\n  ";
                text += words(*event);
            }
            if let Some(recv) = self.recv {
                text += &format!("\n\nThe kernel says: {}", self.hand.explain(recv));
            }
            text + "\n\n" + AGAIN
        };
        match (owner, said) {
            (Owner::You, true) | (Owner::Kernel | Owner::Queue, false) => None,
            (Owner::Kernel, true) => Some(Verdict::Wrong(
                Invariant::I2,
                told(
                    "may_touch says yes, and the buffer is the kernel's: it may write there at any moment",
                ),
            )),
            (Owner::Queue, true) => Some(Verdict::Wrong(
                Invariant::I2,
                told(
                    "may_touch says yes, and nobody has been told yet that the receive has ended: the buffer is in the queue",
                ),
            )),
            (Owner::You, false) => Some(Verdict::Wrong(
                Invariant::I7,
                told(
                    "may_touch says no, and the buffer is the program's own: one that waits here waits for ever",
                ),
            )),
        }
    }
}

fn words(event: Event) -> &'static str {
    match event {
        Ready => "Ready: the kernel says that a read would not wait",
        Tried => "Tried: a read into the buffer was tried, and the call has returned",
        Submitted => "Submitted: a receive was submitted, with the buffer",
        Arrived => "Arrived: bytes of the peer have arrived in the kernel",
        CancelAsked => "CancelAsked: somebody asked that the receive be cancelled",
        Queued => "Queued: the receive has ended, its completion is in the queue",
        Reaped => "Reaped: the completion was taken out of the queue",
    }
}
