//! The owner of all that is under way, the proactor: it may be dropped before any step.
//!
//! A chooser that [asks for it](crate::choice::Chooser::drops) is asked before every step, and while nothing is
//! enabled but something may be ready above. Once it is decided, nothing completes any more until the proactor is
//! torn down: who runs it leaves at once. The teardown then cancels and drains, as ever, and what it can't undo the
//! oracles find. Scripted peers expect nothing from there on.

use super::decide::Steps;
use super::kernel::Kernel;
use super::steps::Until;
use super::trace::What;
use crate::choice::{Alternatives, EventId, Key, Site};

/// So many looks in a row that find nothing enabled are each put to the chooser: handlers may wait that were posted.
const LOOKS: u32 = 16;

/// What it adds to the digest beside its event.
const DROPPED: u64 = 7;

/// The proactor lives on, or is dropped before the first of these steps.
struct Fate<'a>(Steps<'a>);

impl Alternatives for Fate<'_> {
    fn label(&self, index: usize) -> String {
        match (index, self.0.len()) {
            (0, _) => "the proactor lives on".to_owned(),
            (_, 0) => "the proactor is dropped, while the kernel has nothing to do".to_owned(),
            _ => {
                let step = self.0.text(self.0.step(0));
                format!("the proactor is dropped before {step}")
            }
        }
    }

    fn word(&self, index: usize) -> String {
        ["lives", "dropped"]
            .get(index)
            .map_or("", |word| word)
            .to_owned()
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

impl Kernel {
    /// It was decided that the proactor is dropped: from here on what the model does counts for nothing, and what
    /// its teardown does counts.
    pub(crate) fn is_dropped(&self) -> bool {
        self.power.dropped
    }

    /// Whether the proactor is dropped before the next step, that of `first`. `looks`: it is not enabled yet.
    pub(super) fn is_dropped_before(
        &mut self,
        first: Option<u32>,
        clock: bool,
        looks: bool,
        until: Until,
    ) -> bool {
        if !self.decider.drops || self.power.held || self.power.tearing {
            return false;
        }
        if self.power.dropped {
            return true;
        }
        if looks && (until != Until::Now || self.idle_polls >= LOOKS) {
            return false;
        }
        let key = match first {
            Some(first) => self.key(Site::Drop, first),
            None => self.key_of_none(),
        };
        let machine = &self.m;
        let fate = Fate(Steps { machine, clock });
        if self.decider.choose(Site::Drop, key, 2, &fate) == 0 {
            return false;
        }
        let label = self.recorder.on.then(|| fate.label(1));
        self.power.dropped = true;
        self.mix(key.event, DROPPED, u64::from(key.occurrence));
        if let Some(label) = label {
            let what = What::Decision {
                site: Site::Drop,
                deviation: true,
            };
            let (event, now) = (key.event, self.m.now);
            self.recorder
                .push(event, event, what, None, label, None, now);
        }
        self.peers_are_dismissed();
        true
    }

    /// The key where no operation is the first to come.
    fn key_of_none(&mut self) -> Key {
        let occurrence = self.power.looks;
        self.power.looks += 1;
        Key {
            event: EventId::ROOT,
            occurrence,
        }
    }
}
