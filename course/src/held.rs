//! A kernel in somebody else's hand: the learner submits, cancels and waits; what the kernel does is decided
//! by a search, which tries the kind way first, then every way with one deviation, with two, and so on.
//!
//! [`Kernel`] is what an exercise works with. [`search`] runs a world again and again and finds the story with
//! the fewest deviations that breaks it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::rc::Rc;

use proactor::sim::hand::{Completion, Decision, OpId, Owner, Request, Step, Stream};
use proactor::sim::{Config, Hand, Invariant};

use crate::silence::{is_todo, quietly};
use crate::verdict::{Ended, Verdict};

/// More deviations than that a story does not need, in worlds as small as these.
const DEVIATIONS: usize = 3;
/// So many runs are enough for every world of the course, and take less than a second.
const RUNS: usize = 20_000;
/// Who asks the kernel so often, and nothing can ever come, will ask for ever.
const VAIN: u32 = 100;
pub(crate) const ENDLESS: &str = "nothing can ever come";

/// What a world says when an answer is wrong: the invariant, and how it is broken.
pub type Broken = (Invariant, String);

/// Who decides, and what was decided. A copy is the same one.
#[derive(Clone, Default)]
pub(crate) struct Fate(Rc<RefCell<Log>>);

/// A script of deviations, by the number of the decision; all else goes the kind way.
#[derive(Default)]
struct Log {
    script: Vec<(usize, usize)>,
    /// Of each decision so far, how many alternatives it had.
    counts: Vec<usize>,
    /// What happened, in words; a deviation has its mark.
    story: Vec<String>,
}

impl Fate {
    fn new(script: Vec<(usize, usize)>) -> Fate {
        let log = Log {
            script,
            ..Log::default()
        };
        Fate(Rc::new(RefCell::new(log)))
    }

    /// One of so many alternatives; the first is the kind one. `words` says what another one means.
    pub(crate) fn choose(&self, count: usize, words: impl Fn(usize) -> String) -> usize {
        let mut log = self.0.borrow_mut();
        let at = log.counts.len();
        let scripted = log.script.iter().position(|(place, _)| *place == at);
        log.counts.push(count);
        let Some(number) = scripted else { return 0 };
        let picked = log.script[number].1.min(count.saturating_sub(1));
        let mark = format!("!{} {}", number + 1, words(picked));
        log.story.push(mark);
        picked
    }

    /// Something has happened.
    pub(crate) fn tell(&self, what: String) {
        self.0.borrow_mut().story.push(what);
    }

    fn replay(&self) -> String {
        let log = self.0.borrow();
        let script: Vec<String> = log
            .script
            .iter()
            .map(|(at, picked)| format!("{at}:{picked}"))
            .collect();
        match script.as_slice() {
            [] => "kind".to_owned(),
            script => script.join(","),
        }
    }
}

/// A kernel that somebody else holds.
///
/// Like [`Hand`], without the right to decide: [`next`](Kernel::next) waits for a completion, whichever
/// it is, as a program on a real kernel has to.
pub struct Kernel {
    hand: Hand,
    pub(crate) fate: Fate,
    /// What the peer will do, whenever it does it.
    peer: VecDeque<Request>,
    vain: u32,
}

impl Kernel {
    pub(crate) fn new(fate: Fate) -> Kernel {
        Kernel {
            hand: Hand::new(Config::default()),
            fate,
            peer: VecDeque::new(),
            vain: 0,
        }
    }

    /// Starts an operation: its buffer is the kernel's until the completion is handed out.
    ///
    /// # Panics
    ///
    /// If the kernel refuses the request: its object is closed, say.
    pub fn submit(&mut self, request: Request) -> OpId {
        self.decided(|hand, ask| hand.submit_with(request, ask))
            .unwrap_or_else(|error| panic!("the kernel refuses this request: {error}"))
    }

    /// Asks that an operation ends soon. How it ended its completion tells.
    pub fn cancel(&mut self, op: OpId) {
        self.fate
            .tell(format!("you ask for a cancel of {}", self.hand.explain(op)));
        if let Err(error) = self.decided(|hand, ask| hand.cancel_with(op, ask)) {
            panic!("the kernel refuses this cancel: {error}");
        }
    }

    /// The next completion, whichever the kernel hands out. Nothing: none will ever come, whoever waits.
    ///
    /// # Panics
    ///
    /// If it is asked again and again although nothing can come (I7).
    #[expect(
        clippy::should_implement_trait,
        reason = "no iterator: it can be asked again after an end"
    )]
    pub fn next(&mut self) -> Option<Completion> {
        loop {
            if let Some(done) = self.hand.reap() {
                self.vain = 0;
                let bytes = done.buf.len();
                let how = match &done.result {
                    Ok(_) if bytes > 0 => format!("Ok, {bytes} bytes in the buffer"),
                    Ok(_) => "Ok".to_owned(),
                    Err(error) => error.to_string(),
                };
                self.fate.tell(format!(
                    "the completion of {} is handed out: {how}",
                    done.op
                ));
                return Some(done);
            }
            let enabled = self.hand.enabled();
            let count = enabled.len() + usize::from(!self.peer.is_empty());
            if count == 0 {
                self.vain += 1;
                assert!(
                    self.vain < VAIN,
                    "{ENDLESS}, and yet the kernel was asked for the next completion {VAIN} times"
                );
                return None;
            }
            let words = |index: usize| match enabled.get(index) {
                Some(enabled) => format!("next comes {}", enabled.words),
                None => "next comes the peer".to_owned(),
            };
            let picked = match count {
                1 => 0,
                count => self.fate.choose(count, words),
            };
            match enabled.get(picked) {
                None => self.peer_acts(),
                Some(enabled) => {
                    let step = enabled.step;
                    if step == Step::Clock {
                        self.fate.tell("time passes".to_owned());
                    }
                    if let Err(error) = self.decided(|hand, ask| hand.step_with(step, ask)) {
                        panic!("a step that is enabled can be made: {error}");
                    }
                }
            }
        }
    }

    /// Who may touch the buffer of an operation now.
    #[must_use]
    pub fn owner(&self, op: OpId) -> Option<Owner> {
        self.hand.owner(op)
    }

    /// What an operation does, or waits for, in words.
    #[must_use]
    pub fn explain(&self, op: OpId) -> String {
        self.hand.explain(op)
    }

    /// The kernel itself: for the world around an exercise.
    pub(crate) fn hand(&mut self) -> &mut Hand {
        &mut self.hand
    }

    /// The peer will do this, at any time from now on.
    pub(crate) fn peer_will(&mut self, request: Request) {
        self.peer.push_back(request);
    }

    /// The peer does what is next in its script.
    fn peer_acts(&mut self) {
        if let Some(request) = self.peer.pop_front() {
            self.fate.tell("the peer acts".to_owned());
            // The peer's own operations have no freedom of their own here: the learner's have.
            if let Ok(op) = self.hand.submit(request) {
                let _ = self.hand.step(Step::Complete(op));
                // Its completion is nobody's concern. Nothing else waits to be reaped when the peer acts.
                let done = self.hand.reap();
                debug_assert_eq!(done.map(|it| it.op), Some(op));
            }
        }
    }

    /// Does something; the decisions that the kernel has to make meanwhile are fate's.
    fn decided<R>(
        &mut self,
        act: impl FnOnce(&mut Hand, &mut dyn FnMut(&Decision) -> usize) -> R,
    ) -> R {
        let fate = &mut self.fate;
        act(&mut self.hand, &mut |decision: &Decision| {
            fate.choose(decision.alternatives.len(), |index| {
                let label = decision
                    .alternatives
                    .get(index)
                    .map_or("", |it| it.label.as_str());
                match decision.op {
                    Some(op) => format!("{op}: {label}"),
                    None => label.to_owned(),
                }
            })
        })
    }
}

/// A client and a server that are connected: the kernel's streams.
pub(crate) fn connected(hand: &mut Hand) -> (Stream, Stream) {
    let connected = hand.connection("10.0.0.1:7");
    connected.unwrap_or_else(|error| panic!("a fresh kernel connects anybody: {error}"))
}

/// Runs a world under every fate with at most a few deviations, those with fewer first.
///
/// `world` is given who decides.
pub(crate) fn search(
    name: &str,
    ended: &Ended,
    world: impl Fn(Fate) -> Result<(), Broken>,
) -> Verdict {
    let world = |fate| ended.count(|| world(fate));
    let replayed = std::env::var("PROACTOR_REPLAY").ok();
    let replayed = replayed
        .as_deref()
        .and_then(|line| line.strip_prefix(name)?.strip_prefix('/'));
    if let Some(script) = replayed.and_then(read) {
        let found = run(name, &world, script).1;
        return found.unwrap_or_else(|| {
            Verdict::Passes("  replayed the one execution of PROACTOR_REPLAY".to_owned())
        });
    }
    let mut level = vec![Vec::new()];
    let mut runs = 0;
    let mut whole = 0;
    for deviations in 0..=DEVIATIONS {
        let mut next = Vec::new();
        for script in level {
            if runs == RUNS {
                return Verdict::Passes(passed(runs, whole));
            }
            runs += 1;
            let (counts, found) = run(name, &world, script.clone());
            if let Some(verdict) = found {
                return verdict;
            }
            let begin = script.last().map_or(0, |&(at, _)| at + 1);
            for (at, &count) in counts.iter().enumerate().skip(begin) {
                next.extend((1..count).map(|picked| [script.as_slice(), &[(at, picked)]].concat()));
            }
        }
        whole = deviations;
        level = next;
    }
    Verdict::Passes(passed(runs, whole))
}

fn passed(runs: usize, whole: usize) -> String {
    format!("  all executions with at most {whole} deviations: {runs} were run")
}

fn read(script: &str) -> Option<Vec<(usize, usize)>> {
    if script == "kind" {
        return Some(Vec::new());
    }
    let pair = |pair: &str| {
        let (at, picked) = pair.split_once(':')?;
        Some((at.parse().ok()?, picked.parse().ok()?))
    };
    script.split(',').map(pair).collect()
}

/// One run: how many alternatives each decision had, and what was found.
fn run(
    name: &str,
    world: &impl Fn(Fate) -> Result<(), Broken>,
    script: Vec<(usize, usize)>,
) -> (Vec<usize>, Option<Verdict>) {
    let fate = Fate::new(script);
    let found = quietly(|| world(fate.clone()));
    let counts = std::mem::take(&mut fate.0.borrow_mut().counts);
    let verdict = match found {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some(told(name, &fate, broken)),
        Err(panic) if is_todo(&panic.message) => {
            Some(Verdict::NotYet(format!("  The todo!() at {}", panic.place)))
        }
        Err(panic) => {
            let invariant = match panic.message.starts_with(ENDLESS) {
                true => Invariant::I7,
                false => Invariant::Panic,
            };
            let said = format!("{}\n  at {}", panic.message, panic.place);
            Some(told(name, &fate, (invariant, said)))
        }
    };
    (counts, verdict)
}

fn told(name: &str, fate: &Fate, (invariant, message): Broken) -> Verdict {
    let mut said = format!("  {message}\n");
    let log = fate.0.borrow();
    // Writing to a String never fails.
    let _ = match log.script.len() {
        0 => write!(
            said,
            "\nIt fails without any deviation: the kernel did nothing unusual."
        ),
        1 => write!(
            said,
            "\nIt takes 1 deviation, which a kernel may do and seldom does."
        ),
        n => write!(
            said,
            "\nIt takes {n} deviations, which a kernel may do and seldom does."
        ),
    };
    if !log.story.is_empty() {
        said += "\n\nWhat happened (! and its number mark a deviation):";
        for line in &log.story {
            let _ = write!(said, "\n  {line}");
        }
    }
    let _ = write!(
        said,
        "\n\nRepeat it:\n  PROACTOR_REPLAY='{name}/{}' cargo run --example {name}",
        fate.replay()
    );
    Verdict::Wrong(invariant, said)
}
