//! One execution: what is run, what comes out of it, and what the strategies count on the way.
//!
//! Strategies know nothing of proactors or kernels. They drive a [`Subject`], something that can be
//! run under a [`Chooser`] as often as they like: a model on the simulated kernel, or one of the toy
//! programs of the tests, whose number of executions is known exactly.

use std::fmt;

pub(crate) use crate::choice::random::Deviation;
use crate::choice::{Chooser, EventId, Random, Site};
use crate::sim::matrix::Matrix;
use crate::sim::{Invariant, Oracle, Warning, words};

/// Something that can be run again and again, its every freedom decided by a chooser.
pub(crate) trait Subject: Sync {
    /// What one thread keeps between two executions (the kernel and its memory).
    type Bench;

    /// Whether all that a step touches is told ([`Chooser::touches`]), so that orders of steps that touch
    /// nothing in common need not all be run.
    fn tells_all(&self) -> bool {
        false
    }

    /// Whether it is somebody's code: it may do something else behind the checker's back, which executions
    /// that are run twice find; and it has so many outcomes that a reduced search bounds them.
    fn may_differ(&self) -> bool {
        false
    }

    /// Whether it has an owner that can be dropped ([`Chooser::drops`]).
    fn has_owner(&self) -> bool {
        false
    }

    /// Whether what it tells rests on the promise that strands share only what is tracked.
    fn promises(&self) -> bool {
        false
    }

    /// A new bench, for a thread that begins.
    fn bench(&self) -> Self::Bench;

    /// One execution. `seed` is what the program's own random numbers start from. The chooser comes
    /// back, so that its memory serves the next execution.
    fn run<C: Chooser>(
        &self,
        bench: &mut Self::Bench,
        chooser: Box<C>,
        seed: u64,
    ) -> (Outcome, Box<C>);

    /// What the executions on this bench were warned of so far, and how often there was no room for more.
    fn warnings(&self, bench: &Self::Bench) -> (Vec<Warning>, u64) {
        let _ = bench;
        (Vec::new(), 0)
    }

    /// What was offered to operations in the executions on this bench so far, and taken.
    fn matrix(&self, bench: &Self::Bench) -> Matrix {
        let _ = bench;
        Matrix::default()
    }

    /// The same with everything written down that a report shows. Slow.
    fn trace<C: Chooser>(&self, chooser: Box<C>, seed: u64) -> (Outcome, Box<C>, Story);
}

/// What one execution came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// A hash over all steps of the kernel: equal decisions give equal digests.
    pub(crate) digest: u64,
    /// A hash of what it came to, whatever the order: of what each operation ended with.
    pub(crate) class: u64,
    /// The first thing that went wrong.
    pub(crate) fault: Option<Box<Fault>>,
    /// It brought warnings that the bench did not know.
    pub(crate) news: bool,
}

/// What went wrong in an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Who found it.
    pub(crate) oracle: Oracle,
    /// What was broken.
    pub(crate) invariant: Invariant,
    /// What happened, for people.
    pub(crate) message: String,
    /// Where in the source.
    pub(crate) place: Option<Place>,
    /// The event at which it was noticed.
    pub(crate) event: Option<EventId>,
}

impl Fault {
    /// Whether two faults are of one kind: what shrinking must keep. The message is left out, it
    /// often holds numbers that change from one execution to the next.
    pub(crate) fn same_kind(&self, other: &Fault) -> bool {
        self.oracle == other.oracle && self.place == other.place
    }
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    pub(crate) fn of(location: &std::panic::Location<'_>) -> Place {
        Place {
            file: words::file(location.file()),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Windows' paths read the same as others: reports are compared as text.
        let file = self.file.replace('\\', "/");
        write!(f, "{file}:{}:{}", self.line, self.column)
    }
}

/// What happened in an execution, ready to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) lines: Vec<Line>,
    /// Steps before the first line that were not kept.
    pub(crate) forgotten: usize,
    /// What oracles had to say that is no failure.
    pub(crate) warnings: Vec<Warning>,
}

impl Story {
    /// The event that completed last: whose handler ran when the story ended.
    pub(crate) fn last_completion(&self) -> Option<EventId> {
        self.lines
            .iter()
            .rev()
            .find(|line| line.completion)
            .map(|line| line.event)
    }
}

/// One step of a [`Story`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Where it stands among the lanes.
    pub(crate) column: Column,
    /// What it says there.
    pub(crate) cell: String,
    /// The step's event.
    pub(crate) event: EventId,
    /// Its name for people: the path of submissions that leads to it.
    pub(crate) name: String,
    /// The event that caused it.
    pub(crate) cause: EventId,
    /// Whether it is what named the event: a submission, a post, a spawn.
    pub(crate) start: bool,
    /// Whether it is the event's completion.
    pub(crate) completion: bool,
    /// What it says, by itself.
    pub(crate) text: String,
    /// Where the initiating call stands.
    pub(crate) place: Option<Place>,
    /// Virtual nanoseconds since the start.
    pub(crate) at: u64,
    /// A hash of the bytes that it lends to be sent or written.
    pub(crate) content: u64,
    /// Whether the kernel departed from the kind behaviour here.
    pub(crate) deviation: bool,
    /// Whether this is where it fails.
    pub(crate) failure: bool,
}

/// Where a step stands in the table of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// What the kernel decides.
    Kernel,
    /// What the program does that is on no object.
    Program,
    /// What is done on this object, and comes of it.
    Object(String),
}

/// How often each kind of decision was offered, and how often a deviation was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) offered: [u64; Site::ALL.len()],
    pub(crate) taken: [u64; Site::ALL.len()],
}

impl Tally {
    /// What a random strategy has counted since this was asked last.
    pub(crate) fn of(random: &mut Random) -> Tally {
        let [offered, taken] = random.take_counts();
        Tally { offered, taken }
    }

    #[inline]
    pub(crate) fn count(&mut self, site: Site, choice: usize) -> usize {
        self.offered[site as usize] += 1;
        self.taken[site as usize] += u64::from(choice != 0);
        choice
    }

    pub(crate) fn add(&mut self, other: &Tally) {
        for (mine, theirs) in self.offered.iter_mut().zip(other.offered) {
            *mine += theirs;
        }
        for (mine, theirs) in self.taken.iter_mut().zip(other.taken) {
            *mine += theirs;
        }
    }
}

/// An execution by place: what a search hands over when it found a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) deviations: Vec<Deviation>,
    /// It was also asked whether the proactor is dropped: those decisions count among the others.
    pub(crate) drops: bool,
}

impl Script {
    /// Of an execution in which that was not asked.
    pub(crate) fn new(seed: u64, deviations: Vec<Deviation>) -> Script {
        Script {
            seed,
            deviations,
            drops: false,
        }
    }
}
