//! The chooser seam: every freedom of the simulated kernel is one call of [`Chooser::choose`].
//!
//! The kernel names *where* it chooses ([`Site`]), *for whom* ([`Key`]: the event that the choice
//! belongs to, stable when independent steps swap places) and *how many* alternatives there are.
//! Alternative 0 is always the kind one: what a quiet, fast kernel would do. Any other is a
//! *deviation*. Strategies (bounded search, replay and so on) live behind the trait in
//! `check`; this room knows nothing of them, nor of the kernel. It has the named generator, and who decides by its
//! numbers alone ([`Random`]).

#[cfg(feature = "check")]
pub(crate) mod events;
#[cfg(feature = "check")]
pub(crate) mod random;

use std::fmt;

#[cfg(feature = "check")]
pub use random::{Draws, Random, Weight};

/// The name of an event: an operation, and through it the handler that its completion runs.
///
/// A 64-bit hash of (the event that submitted it, how many-th submission of that event it was), so
/// it does not change when unrelated events swap places. The root of a run is [`EventId::ROOT`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u64);

impl EventId {
    /// The code that runs before the first completion: a test's own body.
    pub const ROOT: EventId = EventId(0x5bd1_e995_9d1b_54d3);

    /// The id of the `nth` submission (from 0) made by this event.
    #[inline]
    #[must_use]
    pub const fn child(self, nth: u32) -> EventId {
        // One round of a multiply-xorshift mixer: cheap enough for every submission on a real
        // kernel, and two equal ids among a run's few thousand events are practically excluded.
        let mut x = (self.0 ^ (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^= x >> 32;
        EventId(x)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 32)
    }
}

/// Where the kernel chooses. The name is what people read in reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
#[non_exhaustive]
pub enum Site {
    /// Which of several enabled steps comes next: a queued completion, a late effect, the clock.
    NextStep,
    /// Whether an operation has its effect at once or later.
    EffectLate,
    /// How much a receive transfers.
    RecvSize,
    /// How much a send transfers.
    SendSize,
    /// How much a file read transfers.
    ReadSize,
    /// How much a file write transfers.
    WriteSize,
    /// What becomes of an operation that is asked to cancel.
    Cancel,
    /// Whether a connection attempt is refused.
    Connect,
    /// Whether a connection is reset under a receive or a send, or the operation alone fails.
    Reset,
    /// Whether an operation on a file or a name fails.
    FileError,
    /// Whether an `.await` is ready at its first poll.
    ReadyAtFirstPoll,
    /// Which of several simulated workers goes on where a handler could give way.
    Worker,
    /// Whether accepting a connection fails.
    Accept,
    /// Whether a stream or a listener is said to be ready although it is not.
    Spurious,
    /// Whether a link between two hosts loses something.
    Link,
    /// How long a link takes.
    Latency,
    /// Which of two operations takes the error of a connection that died.
    Error,
    /// How much arrives of what was sent before a reset.
    Abort,
    /// Where an operation that has to wait stands among those that wait already.
    Line,
    /// Whether the power is lost before the next step.
    Crash,
    /// What of unsynced changes is left after the power was lost.
    Loss,
    /// How a call on a completion port returns, and what a look at the port brings. Only below
    /// [its driver](crate::sim::Door::Port).
    Port,
    /// Whether the proactor is dropped before the next step. Put only to a chooser that
    /// [asks for it](Chooser::drops).
    Drop,
}

impl Site {
    /// Every site, in the order of their numbers.
    pub const ALL: [Site; 23] = [
        Site::NextStep,
        Site::EffectLate,
        Site::RecvSize,
        Site::SendSize,
        Site::ReadSize,
        Site::WriteSize,
        Site::Cancel,
        Site::Connect,
        Site::Reset,
        Site::FileError,
        Site::ReadyAtFirstPoll,
        Site::Worker,
        Site::Accept,
        Site::Spurious,
        Site::Link,
        Site::Latency,
        Site::Error,
        Site::Abort,
        Site::Line,
        Site::Crash,
        Site::Loss,
        Site::Port,
        Site::Drop,
    ];

    /// The short name that a replay string and a report use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Site::NextStep => "next",
            Site::EffectLate => "late",
            Site::RecvSize => "recv",
            Site::SendSize => "send",
            Site::ReadSize => "read",
            Site::WriteSize => "write",
            Site::Cancel => "cancel",
            Site::Connect => "connect",
            Site::Reset => "reset",
            Site::FileError => "file",
            Site::ReadyAtFirstPoll => "ready",
            Site::Worker => "worker",
            Site::Accept => "accept",
            Site::Spurious => "spurious",
            Site::Link => "link",
            Site::Latency => "latency",
            Site::Error => "error",
            Site::Abort => "abort",
            Site::Line => "line",
            Site::Crash => "crash",
            Site::Loss => "loss",
            Site::Port => "port",
            Site::Drop => "drop",
        }
    }

    /// The site with this short name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Site> {
        Site::ALL.into_iter().find(|site| site.name() == name)
    }

    /// Whether its alternatives are an order of steps (the others are outcomes of one step).
    #[must_use]
    pub const fn is_order(self) -> bool {
        matches!(self, Site::NextStep | Site::Worker)
    }
}

/// For whom the kernel chooses: the event, and how many-th choice of this site it is for the event.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Key {
    /// The event that the choice belongs to. For [`Site::NextStep`] the event of alternative 0,
    /// for [`Site::Worker`] that of the handler that could give way.
    pub event: EventId,
    /// Counts from 0.
    pub occurrence: u32,
}

/// What the alternatives of one decision are called. Asked only when somebody wants to know.
pub trait Alternatives {
    /// For people: "short (1 of 64 bytes)", "0.2 before 0.1".
    fn label(&self, index: usize) -> String;

    /// For replay: a short word that names the same alternative in another run, even if it stands
    /// at another place in the list: `1`, `half`, `refused`, or the id of the event that goes first.
    fn word(&self, index: usize) -> String;

    /// The event that goes first under this alternative ([`Site::NextStep`] and [`Site::Worker`] only).
    fn event(&self, index: usize) -> Option<EventId>;

    /// The event whose handler submitted that one: steps of which each is the first thing that the
    /// handler of the one before submitted are a *chain*, what a thread is elsewhere.
    fn cause(&self, _index: usize) -> Option<EventId> {
        None
    }

    /// The object that the step acts upon, and whether it changes it. Strategies that prefer to swap
    /// steps on one object read it; nothing is concluded from it. `None`: unknown, or several.
    fn object(&self, _index: usize) -> Option<(u64, bool)> {
        None
    }

    /// Who makes the step: the same for all steps that come after one another by themselves, as the late
    /// effect of an operation and its completion do.
    fn process(&self, index: usize) -> Option<EventId> {
        self.event(index)
    }

    /// Whether two of the steps, done in one order, may come to something else than in the other. True
    /// where that is not known.
    fn races(&self, one: usize, two: usize) -> bool {
        match (self.object(one), self.object(two)) {
            (Some((one, writes)), Some((two, overwrites))) => one == two && (writes || overwrites),
            _ => true,
        }
    }
}

/// Somebody who decides what the simulated kernel does next.
///
/// `Any`, so that a strategy can be taken back out of the kernel after a run and read.
pub trait Chooser: std::any::Any + Send {
    /// Picks one of `count` alternatives (at least 2): a number below `count`, 0 being the kind one.
    fn choose(
        &mut self,
        site: Site,
        key: Key,
        count: usize,
        alternatives: &dyn Alternatives,
    ) -> usize;

    /// True if every answer is 0, so that the kernel need not ask.
    fn is_kind(&self) -> bool {
        false
    }

    /// False if the chooser never looks at the [`Key`] of a decision but by its event, so that the kernel need not count
    /// how often an operation or a handler came to one: the occurrence may be 0 each time then.
    fn reads_keys(&self) -> bool {
        true
    }

    /// True if the chooser wants to hear of every step, also of those that nothing could come before
    /// ([`Chooser::only`]).
    fn follows(&self) -> bool {
        false
    }

    /// A step is made that was the only one enabled. Told only to who [`follows`](Chooser::follows).
    fn only(&mut self, _site: Site, _key: Key, _alternatives: &dyn Alternatives) {}

    /// True if the chooser wants to hear what each step touches ([`Chooser::touches`]), and what comes of
    /// it ([`Chooser::came`], [`Chooser::state`]).
    fn tracks(&self) -> bool {
        false
    }

    /// The step that is under way reads an object, or changes it. Told only to who
    /// [`tracks`](Chooser::tracks).
    fn touches(&mut self, _object: u64, _write: bool) {}

    /// The step that is under way submits something, or something comes of it: in one word. Told only to
    /// who [`tracks`](Chooser::tracks).
    fn came(&mut self, _word: u64) {}

    /// What the model says of its own state, after a handler. Told only to who
    /// [`tracks`](Chooser::tracks).
    fn state(&mut self, _digest: u64) {}

    /// True if the chooser wants to be asked before every step whether the proactor is dropped there
    /// ([`Site::Drop`]). What is dropped so is told in [`Checker::drops`](crate::check::Checker::drops).
    fn drops(&self) -> bool {
        false
    }

    /// True if the rest of the execution is of no interest any more.
    fn over(&self) -> bool {
        false
    }

    /// The numbers of a [`Random`], if this one decides by them alone. The kernel then draws itself instead of
    /// asking, which comes to the same decisions, and [gives them back](Chooser::gets_back) when it gives back the
    /// chooser. Such a one neither [follows](Chooser::follows) nor [tracks](Chooser::tracks), nor
    /// [drops](Chooser::drops).
    #[cfg(feature = "check")]
    fn lends(&mut self) -> Option<Box<Draws>> {
        None
    }

    /// What it has [lent](Chooser::lends).
    #[cfg(feature = "check")]
    fn gets_back(&mut self, _draws: Box<Draws>) {}
}

/// Always alternative 0: nothing fails, nothing is short, first come, first served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kind;

impl Chooser for Kind {
    fn choose(&mut self, _: Site, _: Key, _: usize, _: &dyn Alternatives) -> usize {
        0
    }

    fn is_kind(&self) -> bool {
        true
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_different_events_and_places_have_different_ids() {
        let mut seen = std::collections::HashSet::new();
        let mut event = EventId::ROOT;
        for _ in 0..1_000 {
            for nth in 0..10 {
                assert!(seen.insert(event.child(nth)));
            }
            event = event.child(0);
        }
    }

    #[test]
    fn site_names_are_unique_and_lead_back() {
        for site in Site::ALL {
            assert_eq!(Site::from_name(site.name()), Some(site));
            assert_eq!(Site::ALL[site as usize], site);
        }
    }
}
