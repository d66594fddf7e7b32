//! The power: it may be lost before any step, and with it all that is not on the disk.
//!
//! From the moment at which it is lost nothing completes any more and nothing that is submitted happens:
//! the handlers of that life hear of nothing. Their proactor's teardown drains what was under way without
//! any of them being called. Then the machine may be booted again, on what is left of its disk.
//!
//! Beside the power the proactor may be lost: see [`owner`](super::owner).

use std::panic::Location;

use super::errno;
use super::kernel::Kernel;
use super::op::{Op, State};
use super::steps::Stepped;
use super::trace::What;
use super::transitions::{Does, Rule};
use crate::choice::{Alternatives, EventId, Key, Site};

/// What a loss of power adds to the digest beside its event.
const POWER: u64 = 6;

/// Whether there is power, and what became of it.
pub(super) struct Power {
    state: Supply,
    /// It may be lost, or the proactor dropped.
    asks: bool,
    /// How often the kernel may still lose it.
    left: u32,
    /// How often it was lost.
    lost: u32,
    /// What was known, and what was on the disk, when it was asked last.
    asked: (u64, u64),
    /// What the disk was at the start of this life.
    booted: u64,
    /// Lives so far.
    lives: u32,
    /// What this life began with.
    root: EventId,
    /// The proactor is being torn down.
    pub(super) tearing: bool,
    /// It was dropped, as was decided.
    pub(super) dropped: bool,
    /// How often that was asked where no operation was the first to come.
    pub(super) looks: u32,
    /// Handlers are suspended in the middle: a machine that is off could not be told from one that runs on.
    pub(super) held: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Supply {
    On,
    /// Nothing completes.
    Lost,
    /// The proactor is being torn down: what was under way ends.
    Drains,
}

/// Alternatives with their words, the kind one first.
pub(super) struct Words(pub(super) Vec<(&'static str, String)>);

impl Alternatives for Words {
    fn label(&self, index: usize) -> String {
        self.0.get(index).map_or(String::new(), |it| it.1.clone())
    }

    fn word(&self, index: usize) -> String {
        self.0
            .get(index)
            .map_or(String::new(), |it| it.0.to_owned())
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

impl Power {
    /// Nothing has happened yet; so many losses of power are the kernel's to choose, and whether the proactor is
    /// dropped is the chooser's.
    pub(super) fn new(losses: u32, drops: bool) -> Power {
        Power {
            asks: losses > 0 || drops,
            state: Supply::On,
            left: losses,
            lost: 0,
            asked: (0, 0),
            booted: 0,
            lives: 0,
            root: EventId::ROOT,
            tearing: false,
            dropped: false,
            looks: 0,
            held: false,
        }
    }
}

impl Kernel {
    /// The power is lost, and the machine was not booted since.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.power.state != Supply::On
    }

    /// What comes from outside any handler is caused by this event.
    pub(crate) fn root(&self) -> EventId {
        self.power.root
    }

    /// Whether it may be lost at all.
    pub(super) fn may_lose_power(&self) -> bool {
        self.power.left > 0 && !self.power.held && !self.power.tearing
    }

    /// Whether this life may end before the next step: with its power, or its proactor.
    #[inline]
    pub(super) fn may_end_early(&self) -> bool {
        self.power.asks
    }

    /// Whether the power is lost before the next step, that of `first`. A step makes a difference to who
    /// comes later only if the disk has changed in this life, and has changed again, or somebody has heard of
    /// something, since this was asked last.
    pub(super) fn power_fails(&mut self, first: u32) -> bool {
        let (disk, now) = (self.m.files.version(), self.completions);
        if disk == self.power.booted || self.power.asked == (disk, now) {
            return false;
        }
        self.power.asked = (disk, now);
        let outcomes = Rule::PowerLoss.transition().outcomes;
        let labels = outcomes.iter();
        let words = Words(labels.map(|it| (it.word, it.label.to_owned())).collect());
        let key = self.key(Site::Crash, first);
        let picked = self.decide_power(Rule::PowerLoss, Site::Crash, key, &words);
        if outcomes[picked].does != Does::PowerLost {
            return false;
        }
        self.power.left -= 1;
        self.lose_power();
        true
    }

    /// The power is lost, whoever decides it. Nothing completes any more, and the disk is what is left.
    pub(crate) fn lose_power(&mut self) {
        if self.is_off() {
            return;
        }
        self.power.state = match self.power.tearing {
            true => Supply::Drains,
            false => Supply::Lost,
        };
        self.power.lost += 1;
        self.is_plain = false;
        self.tell_power("power lost".to_owned());
        self.lose_unsynced();
    }

    /// What there is after the power was lost: nothing, unless the proactor is being torn down.
    #[cold]
    pub(super) fn step_without_power(&mut self) -> Stepped {
        if self.power.state == Supply::Lost {
            return Stepped::PowerLost;
        }
        self.drained_completion()
    }

    /// The proactor is being torn down: nobody hears of what ends from here on.
    pub(crate) fn tears_down(&mut self) {
        self.power.tearing = true;
        if self.power.state == Supply::Lost {
            self.power.state = Supply::Drains;
        }
    }

    /// A lane is asked for. False: there is one already.
    pub(crate) fn takes_lane(&mut self) -> bool {
        self.power.tearing = false;
        !std::mem::replace(&mut self.lane_taken, true)
    }

    /// The machine begins another life. Of one that lost its power nothing is left but the disk; of one that
    /// ended well, what it had in its page cache too.
    pub(crate) fn boot(&mut self, location: &'static Location<'static>) {
        self.m.files.track();
        if self.is_off() {
            self.m.ops.fill(Op::free());
            self.m.handles.clear();
            self.m.tcp.clear();
            self.m.net.stop();
            self.m.events.clear();
            self.m.timers.clear();
            self.m.done.clear();
            self.m.armed.clear();
            self.m.cancels.clear();
            self.peers.clear();
            self.in_flight = 0;
            self.busy = 0;
            self.to_send = 0;
            self.holes.clear();
            self.unwanted = None;
            self.declared = super::busy::Declared::default();
            self.drained = false;
            self.power.state = Supply::On;
        }
        self.power.tearing = false;
        self.power.booted = self.m.files.version();
        let nth = self.power.lives;
        self.power.lives += 1;
        // The events of each life have names of their own.
        let root = EventId::ROOT.child(nth);
        self.power.root = root;
        self.began(root, EventId::ROOT, nth, "machine booted", location);
    }

    /// A decision about a loss of power, named by whose doing it is about: which outcome of the rule.
    pub(super) fn decide_power(
        &mut self,
        rule: Rule,
        site: Site,
        key: Key,
        words: &Words,
    ) -> usize {
        let outcomes = rule.transition().outcomes;
        let count = words.0.len();
        let picked = if count < 2 || self.decider.kind || self.verdict.is_some() {
            0
        } else {
            let picked = self.decider.choose(site, key, count, words);
            if picked != 0 {
                let outcome = u64::from(key.occurrence) << 8 | picked as u64;
                self.mix(key.event, POWER, outcome);
            }
            if self.recorder.on {
                let (event, deviation) = (key.event, picked != 0);
                let what = What::Decision { site, deviation };
                let text = words.label(picked);
                self.recorder
                    .push(event, event, what, None, text, None, self.m.now);
            }
            picked
        };
        let place = outcomes
            .iter()
            .position(|outcome| outcome.word == words.0[picked].0);
        let place = place.unwrap_or(0);
        debug_assert_eq!(outcomes[place].word, words.0[picked].0, "not in the table");
        self.decider.coverage.takes(rule, place);
        place
    }

    /// How often the power was lost so far.
    pub(super) fn power_losses(&self) -> u32 {
        self.power.lost
    }

    pub(super) fn tell_power(&mut self, text: String) {
        if self.recorder.on {
            let (root, now) = (EventId::ROOT, self.m.now);
            self.recorder
                .push(root, root, What::Power, None, text, None, now);
        }
    }

    /// An operation that comes after the end of the story: it never happens.
    pub(super) fn too_late(&mut self, id: u32) -> bool {
        if self.verdict.is_none() && !self.is_off() {
            return false;
        }
        debug_assert_eq!(self.m.ops[id as usize].state, State::Wait);
        self.finish(id, -errno::ECANCELED);
        true
    }
}
