//! Asking the chooser: the alternatives of each site, with the words that people and replays read.

use super::kernel::Machine;
use super::trace::TIMEOUT;
use super::world::Coverage;
use crate::choice::{Alternatives, Chooser, EventId, Key, Kind, Site};

/// The chooser, and how often it was asked.
pub(super) struct Decider {
    chooser: Box<dyn Chooser>,
    /// Every answer will be 0: nothing need be built to ask.
    pub(super) kind: bool,
    pub(super) coverage: Coverage,
}

impl Decider {
    pub(super) fn new(chooser: Box<dyn Chooser>) -> Decider {
        Decider {
            kind: chooser.is_kind(),
            chooser,
            coverage: Coverage::default(),
        }
    }

    /// Puts another chooser in place and forgets the counts.
    pub(super) fn reset(&mut self, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.coverage = Coverage::default();
        self.replace(chooser)
    }

    pub(super) fn take(&mut self) -> Box<dyn Chooser> {
        self.replace(Box::new(Kind))
    }

    fn replace(&mut self, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.kind = chooser.is_kind();
        std::mem::replace(&mut self.chooser, chooser)
    }

    pub(super) fn choose(
        &mut self,
        site: Site,
        key: Key,
        count: usize,
        alternatives: &dyn Alternatives,
    ) -> usize {
        debug_assert!(count >= 2, "{site:?} was offered with {count} alternatives");
        let picked = self.chooser.choose(site, key, count, alternatives);
        // A stale replay may ask for what is not there any more; the kernel then stays kind.
        let picked = if picked < count { picked } else { 0 };
        self.coverage.count(site, picked != 0);
        picked
    }
}

/// One alternative of a [`Menu`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// A word for replays and one for people.
    Named(&'static str, &'static str),
    /// A transfer of `size` of `of` bytes.
    Size {
        word: &'static str,
        size: u32,
        of: u32,
    },
}

/// A few outcomes of one step, the kind one first.
pub(super) struct Menu {
    outcomes: [Outcome; 4],
    len: usize,
}

impl Menu {
    pub(super) fn new(outcomes: &[Outcome]) -> Menu {
        let mut menu = Menu {
            outcomes: [Outcome::Named("", ""); 4],
            len: 0,
        };
        outcomes.iter().for_each(|&outcome| menu.push(outcome));
        menu
    }

    /// The outcome classes of a transfer of `of` bytes: all of them, one, half, all but one.
    ///
    /// Classes, not every count: those are the counts at which code that forgets short transfers
    /// breaks. Nothing is dropped twice: 2 bytes have two classes, 3 have three.
    pub(super) fn sizes(of: u32) -> Menu {
        let mut menu = Menu::new(&[Outcome::Size {
            word: "full",
            size: of,
            of,
        }]);
        for (word, size) in [("1", 1), ("half", of / 2), ("n-1", of.saturating_sub(1))] {
            if size > 0 && size < of && (0..menu.len).all(|at| menu.size(at) != size) {
                menu.push(Outcome::Size { word, size, of });
            }
        }
        menu
    }

    fn push(&mut self, outcome: Outcome) {
        self.outcomes[self.len] = outcome;
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn size(&self, index: usize) -> u32 {
        match self.outcomes[index] {
            Outcome::Size { size, .. } => size,
            Outcome::Named(..) => 0,
        }
    }
}

impl Alternatives for Menu {
    fn label(&self, index: usize) -> String {
        match self.outcomes[..self.len].get(index) {
            Some(Outcome::Named(_, label)) => (*label).to_owned(),
            Some(Outcome::Size { size, of, .. }) if size == of => format!("full ({of} bytes)"),
            Some(Outcome::Size { size, of, .. }) => format!("short ({size} of {of} bytes)"),
            None => String::new(),
        }
    }

    fn word(&self, index: usize) -> String {
        match self.outcomes[..self.len].get(index) {
            Some(Outcome::Named(word, _) | Outcome::Size { word, .. }) => (*word).to_owned(),
            None => String::new(),
        }
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// The place of a late cancel among its target's children.
const LATE_CANCEL: u32 = TIMEOUT - 1;

/// What may come next: queued completions, late effects, pending cancels, the clock; in this order.
pub(super) struct Steps<'a> {
    pub(super) machine: &'a Machine,
    pub(super) clock: bool,
}

/// One enabled step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Hand out the completion at this place of the queue.
    Complete(usize),
    /// Let the late effect at this place happen.
    Effect(usize),
    /// Process the cancel at this place.
    Cancel(usize),
    /// Move time to the next deadline.
    Clock,
}

impl Steps<'_> {
    pub(super) fn len(&self) -> usize {
        let machine = self.machine;
        machine.done.len() + machine.armed.len() + machine.cancels.len() + usize::from(self.clock)
    }

    pub(super) fn step(&self, index: usize) -> Step {
        let (done, armed) = (self.machine.done.len(), self.machine.armed.len());
        if index < done {
            Step::Complete(index)
        } else if index < done + armed {
            Step::Effect(index - done)
        } else if index < done + armed + self.machine.cancels.len() {
            Step::Cancel(index - done - armed)
        } else {
            Step::Clock
        }
    }

    /// The operation that a step is about.
    pub(super) fn target(&self, step: Step) -> Option<u32> {
        match step {
            Step::Complete(at) => self.machine.done.get(at),
            Step::Effect(at) => self.machine.armed.get(at),
            Step::Cancel(at) => self.machine.cancels.get(at),
            Step::Clock => self.machine.timers.first().map(|(_, id)| id),
        }
    }

    fn text(&self, step: Step) -> String {
        let op = self
            .target(step)
            .map_or(String::new(), |id| self.machine.describe(id));
        match step {
            Step::Complete(_) => format!("the completion of {op}"),
            Step::Effect(_) => format!("the late effect of {op}"),
            Step::Cancel(_) => format!("the late cancel of {op}"),
            Step::Clock => format!("the deadline of {op}"),
        }
    }
}

impl Alternatives for Steps<'_> {
    fn label(&self, index: usize) -> String {
        match index {
            0 => self.text(self.step(0)),
            _ => format!(
                "{} before {}",
                self.text(self.step(index)),
                self.text(self.step(0))
            ),
        }
    }

    fn word(&self, index: usize) -> String {
        self.event(index)
            .map_or(String::new(), |event| format!("{event:?}"))
    }

    fn event(&self, index: usize) -> Option<EventId> {
        let step = self.step(index);
        let event = self.machine.ops[self.target(step)? as usize].event;
        // A late cancel may stand beside the late effect of its target: it needs a name of its own.
        Some(if matches!(step, Step::Cancel(_)) {
            event.child(LATE_CANCEL)
        } else {
            event
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_different_sizes() {
        let sizes = |of| {
            let menu = Menu::sizes(of);
            (0..menu.len()).map(|at| menu.size(at)).collect::<Vec<_>>()
        };
        assert_eq!(sizes(1), [1]);
        assert_eq!(sizes(2), [2, 1]);
        assert_eq!(sizes(3), [3, 1, 2]);
        assert_eq!(sizes(4), [4, 1, 2, 3]);
        assert_eq!(sizes(100), [100, 1, 50, 99]);
        assert_eq!(Menu::sizes(64).label(1), "short (1 of 64 bytes)");
        assert_eq!(Menu::sizes(64).word(3), "n-1");
    }
}
