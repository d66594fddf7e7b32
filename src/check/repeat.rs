//! The same decisions twice: whether the model does the same both times, and if not, where the two first
//! part, by step, handler and line.
//!
//! What users read behind the kernel's back is seldom the same twice in a row: real clocks and random
//! numbers never are, the order of a `HashMap` is drawn anew for each. Addresses may be, so the heap is
//! stirred before each run, each time the other way round.

use std::fmt::Write;

use super::bounded::Lost;
use super::campaign::Found;
use super::execution::{Deviation, Line, Outcome, Script, Story, Subject};
use super::lanes::table;
use super::replay::Naming;
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};
use crate::sim::words::grouped;

/// How often an execution is run with everything written down, until two of them differ.
const TRIES: usize = 12;

/// Frames of a logical stack that are shown.
const FRAMES: usize = 12;

/// Follows a script by place, and counts what it is asked.
#[derive(Default)]
pub(crate) struct Repeat {
    deviations: Vec<Deviation>,
    drops: bool,
    next: usize,
    position: u32,
}

impl Repeat {
    pub(crate) fn begin(&mut self, deviations: &[Deviation], drops: bool) {
        self.deviations.clear();
        self.deviations.extend_from_slice(deviations);
        self.drops = drops;
        self.next = 0;
        self.position = 0;
    }

    /// Whether every deviation came up.
    pub(crate) fn is_done(&self) -> bool {
        self.next == self.deviations.len()
    }
}

impl Chooser for Repeat {
    fn reads_keys(&self) -> bool {
        false
    }

    fn drops(&self) -> bool {
        self.drops
    }

    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let here = self.position;
        self.position += 1;
        match self.deviations.get(self.next) {
            Some(deviation) if deviation.position == here => {
                let wanted = deviation.alternative as usize;
                self.next += usize::from(wanted < count);
                if wanted < count { wanted } else { 0 }
            }
            _ => 0,
        }
    }
}

/// Whether two executions under the same decisions came to different things.
pub(crate) fn differ(one: &Outcome, two: &Outcome) -> bool {
    let same_fault = match (&one.fault, &two.fault) {
        (None, None) => true,
        (Some(one), Some(two)) => one.same_kind(two),
        _ => false,
    };
    !same_fault || one.digest != two.digest
}

/// Whether an execution is one of the sample that is run twice: one in `every`, drawn by its number.
#[inline]
pub(crate) fn is_sampled(number: u64, every: u64) -> bool {
    // (The first is the kind one, which is.)
    every != 0 && (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) <= u64::MAX / every
}

/// Always kind, and writes down what it was asked.
#[derive(Default)]
struct Witness {
    asked: Vec<(Site, Key, usize)>,
}

impl Chooser for Witness {
    fn choose(&mut self, site: Site, key: Key, count: usize, _: &dyn Alternatives) -> usize {
        self.asked.push((site, key, count));
        0
    }
}

/// Runs the program twice without deviation: all else rests on its doing the same both times.
pub(crate) fn kind_twice<S: Subject>(subject: &S, seed: u64) -> Option<Found> {
    let mut bench = subject.bench();
    let mut run = |turn| {
        let _stirred = stir(turn);
        subject.run(&mut bench, Box::<Witness>::default(), seed)
    };
    let (first, one) = run(0);
    let (second, two) = run(1);
    let script = Script::new(seed, Vec::new());
    if differ(&first, &second) || one.asked != two.asked {
        let place = locate(subject, &script);
        return Some(Found::Difference(
            place.unwrap_or_else(|| first_decision(&one.asked, &two.asked)),
        ));
    }
    first.fault.map(|fault| Found::Fault {
        script,
        fault,
        number: 1,
    })
}

/// Changes which addresses the allocator gives next, and in which order, until it is dropped: after even
/// turns later ones are lower, after odd ones higher.
fn stir(turn: usize) -> Vec<Vec<u8>> {
    const SIZES: [usize; 12] = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024];
    let blocks = |size| (0..16).map(move |_| Vec::<u8>::with_capacity(size));
    let mut held: Vec<Vec<u8>> = SIZES.into_iter().flat_map(blocks).collect();
    held.sort_by_key(|block| block.as_ptr().addr());
    if turn % 2 == 1 {
        held.reverse();
    }
    let mut nth = 0;
    // Every other one is given back, so that neighbours do not grow together again.
    held.retain(|_| {
        nth += 1;
        nth % 2 == 0
    });
    held
}

/// Runs a script until two runs of it differ, and tells where they part. None: they never did.
pub(crate) fn locate<S: Subject>(subject: &S, script: &Script) -> Option<String> {
    let run = |turn| {
        let _stirred = stir(turn);
        let naming = Box::new(Naming::new(script));
        let (outcome, _, story) = subject.trace(naming, script.seed);
        (outcome, story)
    };
    let (first, once) = run(0);
    for turn in 1..TRIES {
        let (second, again) = run(turn);
        if let Some(said) = part(&once, &again) {
            return Some(said);
        }
        if differ(&first, &second) {
            let say = |outcome: &Outcome| match &outcome.fault {
                Some(fault) => {
                    let at = fault
                        .place
                        .as_ref()
                        .map_or_else(String::new, |at| format!(" at {at}"));
                    format!(
                        "{}{at}: {}",
                        fault.oracle,
                        fault.message.lines().next().unwrap_or("")
                    )
                }
                None => "nothing was wrong".to_owned(),
            };
            return Some(format!(
                "All steps were the same; what was found wrong was not:\n  once   {}\n  again  {}",
                say(&first),
                say(&second)
            ));
        }
    }
    None
}

/// Where two stories part.
fn part(once: &Story, again: &Story) -> Option<String> {
    let (a, b) = (&once.lines, &again.lines);
    let at = (0..a.len().max(b.len())).find(|&at| a.get(at) != b.get(at))?;
    let (one, two) = (a.get(at), b.get(at));
    let handler = one.or(two).map(|line| handler(line, &a[..at.min(a.len())]));
    let mut text = format!("They part at step {}", at + 1 + once.forgotten);
    let starts = |event: EventId| {
        a[..at.min(a.len())]
            .iter()
            .rfind(|line| line.start && line.event == event)
    };
    match handler.and_then(starts) {
        Some(start) => {
            let _ = write!(text, ", in the handler of {} {}", start.name, start.text);
            if let Some(place) = &start.place {
                let _ = write!(text, ", which was started at {place}");
            }
            text.push(':');
        }
        None => text.push_str(", in the body of the model:"),
    }
    let content = match (one, two) {
        (Some(one), Some(two)) => one.text == two.text && one.content != two.content,
        _ => false,
    };
    for (word, line) in [("once ", one), ("again", two)] {
        let _ = write!(text, "\n  {word}  {}", say(line, &starts));
    }
    if content {
        text.push_str("\n  The bytes that it lends are not the same.");
    }
    // Who started that handler, and who started that.
    let mut frames = Vec::new();
    let mut event = handler;
    while let Some(line) = event.and_then(starts) {
        let place = line
            .place
            .as_ref()
            .map_or_else(String::new, |place| format!("at {place}"));
        frames.push(vec![line.name.clone(), line.text.clone(), place]);
        event = Some(line.cause);
        if frames.len() == FRAMES {
            frames.push(vec!["…".to_owned(), String::new(), String::new()]);
            break;
        }
    }
    if !frames.is_empty() {
        text.push_str("\nHow that handler came to run, innermost first:\n");
        frames.push(vec![
            "0".to_owned(),
            "the check's body".to_owned(),
            String::new(),
        ]);
        let _ = table(&mut text, &frames);
        text.truncate(text.trim_end().len());
    }
    Some(text)
}

/// The event whose handler made a step: its cause, or who ran last before it.
fn handler(line: &Line, before: &[Line]) -> EventId {
    if line.start {
        return line.cause;
    }
    let ran = before.iter().rev().find(|line| line.completion);
    ran.map_or(EventId::ROOT, |line| line.event)
}

/// One version, with the call that made it.
fn say<'a>(line: Option<&Line>, starts: &impl Fn(EventId) -> Option<&'a Line>) -> String {
    let Some(line) = line else {
        return "nothing: the run was over".to_owned();
    };
    let words = if line.start { &line.text } else { &line.cell };
    let mut said = match line.event {
        EventId::ROOT => words.clone(),
        _ => format!("{} {words}", line.name),
    };
    let started = starts(line.event).and_then(|start| start.place.as_ref());
    if let Some(place) = line.place.as_ref().or(started) {
        let _ = write!(said, " at {place}");
    }
    said
}

/// Where two runs were asked different things, although they did the same.
fn first_decision(one: &[(Site, Key, usize)], two: &[(Site, Key, usize)]) -> String {
    let say = |asked: Option<&(Site, Key, usize)>| match asked {
        Some((site, key, count)) => {
            format!(
                "`{}` for event {:?}, {count} alternatives",
                site.name(),
                key.event
            )
        }
        None => "nothing: the run was over".to_owned(),
    };
    let parting = (0..one.len().max(two.len())).find(|&at| one.get(at) != two.get(at));
    match parting {
        Some(at) => format!(
            "They part at decision {} of the kernel:\n  once   {}\n  again  {}",
            at + 1,
            say(one.get(at)),
            say(two.get(at))
        ),
        None => format!(
            "In {TRIES} more runs with everything written down it did the same: the difference is rare, or gone \
             when it is looked at."
        ),
    }
}

/// The same for an execution of the sample.
pub(crate) fn sampled<S: Subject>(subject: &S, script: &Script, number: u64) -> String {
    let said = format!(
        "Execution {} was run twice, and came to something else.",
        grouped(number)
    );
    match locate(subject, script) {
        Some(place) => format!("{said}\n{place}"),
        None => format!("{said}\n{}", first_decision(&[], &[])),
    }
}

/// The same for a decision that the search had seen, and did not find again.
pub(crate) fn lost_decision<S: Subject>(subject: &S, script: &Script, lost: &Lost) -> String {
    let position = lost.position + 1;
    let said = match lost.offered {
        0 => {
            format!("Decision {position} of the kernel, which came up once, did not come up again.")
        }
        n => format!(
            "Decision {position} of the kernel had more alternatives once; run again it had {n}."
        ),
    };
    match locate(subject, script) {
        Some(place) => format!("{said}\n{place}"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_sampled() {
        let sampled = |every| {
            (0..64_000)
                .filter(|number| is_sampled(*number, every))
                .count()
        };
        assert_eq!(sampled(0), 0);
        assert_eq!(sampled(1), 64_000);
        assert!((900..1_100).contains(&sampled(64)), "{}", sampled(64));
    }

    #[test]
    fn a_stirred_heap_gives_addresses_in_another_order() {
        let order = |turn| {
            let _held = stir(turn);
            let boxes: Vec<Box<[u64; 4]>> = (0..4).map(|_| Box::new([0; 4])).collect();
            let address = |at: &usize| std::ptr::from_ref(&*boxes[*at]).addr();
            let mut order = [0, 1, 2, 3];
            order.sort_by_key(address);
            order
        };
        // Other tests allocate at the same time, and a heap keeps what they give back where it likes.
        assert!((0..16).any(|_| order(0) != order(1)));
    }
}
