//! The diamond check: whether two steps that are said to touch nothing in common really come to the same in
//! either order.
//!
//! Of an execution of the reduced search a pair of steps is drawn, of which the search says that they, and all
//! between them and the second, are independent. The execution is run again as it was, and with the second before the
//! first; all other decisions are the same. Then in both runs each step must have submitted the same and come to
//! the same, the same steps must have been enabled after the pair and ever after, and the model's own
//! [digest](super::Sim::digest) must be the same after the pair and at the end.

use std::collections::HashMap;

use super::execution::Subject;
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};

/// What a decision beside those of orders is about. The effect of a receive is decided by whoever makes it
/// possible: the step may be another one when two have swapped places, the decision is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Of {
    pub(crate) site: Site,
    pub(crate) key: Key,
}

/// An execution, and two steps of it: the second could be made instead of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Who makes each step. The first entry stands for what comes before the first step.
    pub(crate) steps: Vec<EventId>,
    pub(crate) outcomes: HashMap<Of, u32>,
    pub(crate) first: usize,
    pub(crate) second: usize,
}

/// What a step was seen to be.
#[derive(Clone, Debug, Default)]
struct Seen {
    label: String,
    /// Who could have made the step.
    enabled: Vec<EventId>,
    /// What it submitted, and what it came to.
    came: u64,
    /// The model's digest after it.
    state: u64,
}

/// Follows an execution by the names of steps.
#[derive(Default)]
struct Follow {
    steps: Vec<EventId>,
    outcomes: HashMap<Of, u32>,
    seen: Vec<Seen>,
    /// Where it could not be followed.
    astray: Option<String>,
}

impl Follow {
    fn new(steps: Vec<EventId>, outcomes: HashMap<Of, u32>) -> Follow {
        Follow {
            steps,
            outcomes,
            seen: vec![Seen::default()],
            ..Follow::default()
        }
    }

    fn step(&mut self, count: usize, those: &dyn Alternatives) -> usize {
        let name = |index| those.process(index).unwrap_or(EventId(index as u64));
        let mut enabled: Vec<EventId> = (0..count).map(name).collect();
        let wanted = self.steps.get(self.seen.len());
        let picked = wanted.and_then(|wanted| enabled.iter().position(|process| process == wanted));
        if picked.is_none() && self.astray.is_none() {
            self.astray = Some(match wanted {
                Some(_) => format!("step {} can't be made any more", self.seen.len()),
                None => "it goes on after its last step".to_owned(),
            });
        }
        let label = match picked {
            Some(0) | None => those.label(0),
            Some(picked) => {
                let label = those.label(picked);
                label
                    .split(" before ")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        enabled.sort_unstable();
        let state = self.seen.last().map_or(0, |last| last.state);
        self.seen.push(Seen {
            label,
            enabled,
            came: 0,
            state,
        });
        picked.unwrap_or(0)
    }
}

impl Chooser for Follow {
    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        if site.is_order() {
            return self.step(count, those);
        }
        match self.outcomes.get(&Of { site, key }) {
            Some(outcome) if (*outcome as usize) < count => *outcome as usize,
            // An effect that could not happen at once may now, and is late as all are.
            _ => usize::from(site == Site::EffectLate),
        }
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, _: Site, _: Key, step: &dyn Alternatives) {
        self.step(1, step);
    }

    fn tracks(&self) -> bool {
        true
    }

    fn came(&mut self, word: u64) {
        if let Some(seen) = self.seen.last_mut() {
            seen.came = (seen.came.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
    }

    fn state(&mut self, digest: u64) {
        if let Some(seen) = self.seen.last_mut() {
            seen.state = digest;
        }
    }
}

/// Runs both orders of a pair. If they differ: how, in words.
pub(crate) fn differ<S: Subject>(subject: &S, pair: &Pair, seed: u64) -> Option<String> {
    let mut bench = subject.bench();
    let mut run = |steps: Vec<EventId>| {
        let follow = Box::new(Follow::new(steps, pair.outcomes.clone()));
        subject.run(&mut bench, follow, seed).1
    };
    let (one, two) = (pair.first, pair.second);
    let first = run(pair.steps.clone());
    let mut moved = pair.steps.clone();
    moved[one..=two].rotate_right(1);
    let second = run(moved);
    let how = difference(&first, &second, one, two)?;
    let label = |at: usize| first.seen.get(at).map_or("", |seen| seen.label.as_str());
    Some(format!(
        "steps {one} and {two} of an execution are said to touch nothing in common:\n  {}\n  {}\n{how}",
        label(one),
        label(two),
    ))
}

fn difference(first: &Follow, second: &Follow, one: usize, two: usize) -> Option<String> {
    if first.astray.is_some() {
        // Whoever can't even repeat an execution is not deterministic, which is for others to tell.
        return None;
    }
    if let Some(astray) = &second.astray {
        return Some(format!("The other way round {astray}."));
    }
    let other = |at: usize| match at {
        at if at == two => one,
        at if (one..two).contains(&at) => at + 1,
        at => at,
    };
    for (at, seen) in first.seen.iter().enumerate() {
        let Some(twin) = second.seen.get(other(at)) else {
            return Some("The other way round it ends earlier.".to_owned());
        };
        if seen.came != twin.came {
            return Some(format!(
                "The other way round step {at} submits, or comes to, something else: {}.",
                seen.label
            ));
        }
        if at > two && seen.enabled != twin.enabled {
            return Some(format!(
                "The other way round other steps are possible before step {at}: {}.",
                seen.label
            ));
        }
        let state = second.seen.get(at).map(|seen| seen.state);
        if at >= two && state != Some(seen.state) {
            return Some(format!(
                "The other way round the model's own digest is another one after step {at}: {}.",
                seen.label
            ));
        }
    }
    (second.seen.len() > first.seen.len())
        .then(|| "The other way round it goes on longer.".to_owned())
}
