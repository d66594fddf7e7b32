//! The handle that tests hold: one simulated kernel and its configuration.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::cell::{ThreadBound, WrongThread};
use super::host::Host;
use super::hosts::HERE;
use super::kernel::Kernel;
use super::matrix::Matrix;
use super::oracle::Levels;
use super::port::Door;
use super::trace::TraceEvent;
use super::transitions::{Personality, Rule, TABLE, Transition};
use super::violation::Violation;
use super::warnings::{Warning, Warnings};
use crate::choice::{Chooser, Site};

/// What a simulated kernel is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A free fault (a short transfer, a reset, an I/O error) fires at most that often per operation, so
    /// that liveness can be judged after faults stop. Default 2.
    pub faults_per_operation: u32,
    /// Which kernel is simulated. Default [`Personality::Any`]: whatever one of them does.
    pub personality: Personality,
    /// Through what operations come to the kernel. Default [`Door::Plain`].
    pub door: Door,
    /// How often the kernel may choose to lose the power, in one run. Then nothing completes any more, and what was
    /// not synced is lost, in part or whole. Default 0. See [`Sim::boot`](crate::check::Sim::boot).
    pub power_losses: u32,
    /// Record the full trace, with labels and locations. Off (the default) while searching.
    pub trace: bool,
    /// Bytes that one direction of a stream takes before a send has to wait; over a [link](super::Link) that takes
    /// time or may be lost so many at either end. Default 64 KiB.
    pub stream_buffer: usize,
    /// Check lent buffers: poison what is writable, compare what is sent with a copy. Default true.
    pub poison: bool,
    /// After so many steps (effects, completions, moves of the clock) a run counts as
    /// [endless](super::Oracle::Endless): a violation of I7. Default a million.
    pub max_steps: u64,
    /// After so many steps without any progress (bytes moved, an object made or changed, time passed) a
    /// run counts as a [livelock](super::Oracle::Livelock). Default 100,000; more than `max_steps` is as
    /// good as that.
    pub quiet_steps: u64,
    /// So many reads in a row on one handle that find the end are a [spin](super::Oracle::EofSpin), at
    /// least 1. Default 16.
    pub eof_spin: u32,
    /// How many operations may be in flight before that is [told](super::Oracle::QueuedOperations).
    /// Default 10,000.
    pub most_operations: usize,
    /// How many bytes may wait to be sent or written before that is
    /// [told](super::Oracle::QueuedBytes). Default 64 MiB.
    pub most_bytes: u64,
    /// For how long of the time that handlers [declare](crate::check::busy) a completion may be kept
    /// waiting before that is [told](super::Oracle::Starvation). Default 1 s.
    pub starvation: Duration,
    /// How the findings of each oracle are taken. Default: as each [says](super::Oracle::default_level).
    pub levels: Levels,
    /// What a handler may [declare](crate::check::busy) to take. More is a violation of I9. Default none.
    pub handler_budget: Option<Duration>,
    /// Offer that an `.await` is ready at its first poll. Default true.
    pub ready_at_first_poll: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            faults_per_operation: 2,
            personality: Personality::Any,
            door: Door::Plain,
            power_losses: 0,
            trace: false,
            stream_buffer: 64 * 1024,
            poison: true,
            max_steps: 1_000_000,
            quiet_steps: 100_000,
            eof_spin: 16,
            most_operations: 10_000,
            most_bytes: 64 << 20,
            starvation: Duration::from_secs(1),
            levels: Levels::default(),
            handler_budget: None,
            ready_at_first_poll: true,
        }
    }
}

/// How often the kernel offered a choice, and how often a deviation was taken, per site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coverage {
    offered: [u64; Site::ALL.len()],
    deviated: [u64; Site::ALL.len()],
    /// By transition: the outcomes that it had where there was a choice, as bits.
    outcomes: [u16; TABLE.len()],
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            offered: [0; Site::ALL.len()],
            deviated: [0; Site::ALL.len()],
            outcomes: [0; TABLE.len()],
        }
    }
}

impl Coverage {
    /// How often `site` was put to the chooser. A kind chooser is never asked.
    #[must_use]
    pub fn offered(&self, site: Site) -> u64 {
        self.offered[site as usize]
    }

    /// How often the answer was a deviation.
    #[must_use]
    pub fn deviated(&self, site: Site) -> u64 {
        self.deviated[site as usize]
    }

    pub(super) fn count(&mut self, site: Site, deviated: bool) {
        self.offered[site as usize] += 1;
        self.deviated[site as usize] += u64::from(deviated);
    }

    /// The same, where what was offered is counted by somebody else.
    #[inline]
    pub(super) fn deviates(&mut self, site: Site) {
        self.deviated[site as usize] += 1;
    }

    /// Who has counted what was offered.
    pub(super) fn offers(&mut self, offered: &[u64; Site::ALL.len()]) {
        for (mine, theirs) in self.offered.iter_mut().zip(offered) {
            *mine += theirs;
        }
    }

    /// Whether that outcome happened: where there was a choice; what the state decided is counted in
    /// debug builds.
    #[must_use]
    pub fn happened(&self, transition: &Transition, outcome: usize) -> bool {
        TABLE.iter().zip(self.outcomes).any(|((_, one), outcomes)| {
            std::ptr::eq(*one, transition) && outcomes & 1 << outcome != 0
        })
    }

    #[inline]
    pub(super) fn takes(&mut self, rule: Rule, outcome: usize) {
        self.outcomes[rule as usize] |= 1 << outcome;
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Coverage) {
        for index in 0..Site::ALL.len() {
            self.offered[index] += other.offered[index];
            self.deviated[index] += other.deviated[index];
        }
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine |= theirs;
        }
    }
}

/// One simulated kernel. A clone is another handle to the same one.
///
/// It belongs to the thread that made it: it is deterministic, and two threads would not be. The handle may
/// go anywhere and be dropped anywhere.
///
/// # Panics
///
/// Every method but [`World::now`], when called from another thread, or from inside the world's own
/// chooser. (The operations of a simulated proactor give an error instead where they can.)
///
/// ```
/// use proactor::choice::Kind;
/// use proactor::sim::{Config, World};
///
/// let world = World::new(Config::default(), Box::new(Kind));
/// world.add_file("/etc/motd", b"be kind");
/// assert_eq!(world.file("/etc/motd").unwrap(), b"be kind");
/// world.finish();
/// assert!(world.violation().is_none());
/// ```
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    kernel: ThreadBound<Kernel>,
    /// A copy of the virtual time that any thread may read.
    now: AtomicU64,
    /// What other threads have left for the owner to do.
    inbox: Mutex<Vec<Left>>,
    inbox_full: AtomicBool,
}

/// What a run came to.
pub(crate) struct Concluded {
    pub(crate) digest: u64,
    /// A hash of what each operation ended with, in whatever order.
    pub(crate) class: u64,
    /// Its first breach.
    pub(crate) violation: Option<Box<Violation>>,
    /// It brought warnings that were not there before.
    pub(crate) news: bool,
}

/// What another thread wants done.
#[derive(Clone, Copy)]
enum Left {
    Close(i32),
    Set(i32),
}

impl World {
    /// A fresh kernel.
    #[must_use]
    pub fn new(config: Config, chooser: Box<dyn Chooser>) -> World {
        World(Arc::new(Shared {
            kernel: ThreadBound::new(Kernel::new(config, chooser)),
            now: AtomicU64::new(0),
            inbox: Mutex::new(Vec::new()),
            inbox_full: AtomicBool::new(false),
        }))
    }

    /// Enters the kernel.
    #[inline]
    pub(crate) fn enter<R>(&self, body: impl FnOnce(&mut Kernel) -> R) -> Result<R, WrongThread> {
        let entered = self.enter_here(body);
        entered.ok_or_else(|| self.0.kernel.wrong_thread())
    }

    /// Enters the kernel on its own thread. None: this is another one.
    #[inline(always)]
    pub(crate) fn enter_here<R>(&self, body: impl FnOnce(&mut Kernel) -> R) -> Option<R> {
        self.0.kernel.with(|kernel| {
            let result = body(kernel);
            // Relaxed, and unconditional: a plain store costs less than asking.
            self.0.now.store(kernel.m.now, Ordering::Relaxed);
            result
        })
    }

    /// Enters the kernel where there is nobody to give an error to.
    #[inline]
    #[track_caller]
    pub(crate) fn with<R>(&self, body: impl FnOnce(&mut Kernel) -> R) -> R {
        match self.enter(body) {
            Ok(result) => result,
            Err(error) => panic!("{error}"),
        }
    }

    /// The same for who looks at the kernel, or changes it, from outside: the step under way then depends on
    /// everything.
    #[track_caller]
    pub(crate) fn outside<R>(&self, body: impl FnOnce(&mut Kernel) -> R) -> R {
        self.with(|kernel| {
            kernel.touches_all();
            body(kernel)
        })
    }

    /// Closes a handle: at once on the owner's thread, else as soon as the owner comes by.
    pub(crate) fn close(&self, raw: i32) {
        if self.enter(|kernel| kernel.close(raw)).is_err() {
            self.leave(Left::Close(raw));
        }
    }

    /// Sets an event: at once on the owner's thread, else as soon as the owner comes by, and this is
    /// false.
    pub(crate) fn set(&self, raw: i32) -> bool {
        let here = self.enter(|kernel| kernel.set(raw)).is_ok();
        if !here {
            self.leave(Left::Set(raw));
        }
        here
    }

    fn leave(&self, what: Left) {
        self.0
            .inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
        self.0.inbox_full.store(true, Ordering::Release);
    }

    /// Whether other threads have left something to do.
    #[inline]
    pub(crate) fn has_inbox(&self) -> bool {
        self.0.inbox_full.load(Ordering::Acquire)
    }

    /// Does what other threads have left.
    #[inline]
    pub(crate) fn empty_inbox(&self) {
        // On another thread it stays for the owner.
        if self.has_inbox() && self.enter(|_| ()).is_ok() {
            let mut inbox = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner);
            self.0.inbox_full.store(false, Ordering::Relaxed);
            for left in inbox.drain(..) {
                self.with(|kernel| match left {
                    Left::Close(raw) => kernel.close(raw),
                    Left::Set(raw) => kernel.set(raw),
                });
            }
        }
    }

    /// A fresh kernel in the old one's memory: nothing is allocated unless something grows. Gives back
    /// the old chooser, which can be read through [`Any`](std::any::Any).
    ///
    /// What was in flight is forgotten: its memory must not be freed before this.
    pub fn reset(&self, config: Config, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.forgets_others();
        self.with(|kernel| kernel.reset(config, chooser))
    }

    /// The same, for another run with the same configuration.
    pub(crate) fn runs_again(&self, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        self.forgets_others();
        self.with(|kernel| kernel.runs_again(chooser))
    }

    /// What other threads have left counts for nothing any more.
    fn forgets_others(&self) {
        if self.0.inbox_full.load(Ordering::Acquire) {
            self.0.inbox_full.store(false, Ordering::Relaxed);
            self.0
                .inbox
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
    }

    /// Takes the chooser out. [`Kind`](crate::choice::Kind) stands in its place.
    #[must_use]
    pub fn take_chooser(&self) -> Box<dyn Chooser> {
        self.with(|kernel| kernel.decider.take())
    }

    /// Whether operations come to it through a completion port.
    pub(crate) fn is_behind_a_port(&self) -> bool {
        self.enter(|kernel| kernel.config.door == Door::Port)
            .unwrap_or(false)
    }

    /// Lets so much time pass, as if the code that calls this took it.
    #[track_caller]
    pub(crate) fn busy(&self, nanos: u64) {
        let location = std::panic::Location::caller();
        self.outside(|kernel| kernel.busy(nanos, None, location));
    }

    /// Virtual nanoseconds since the kernel began. From any thread.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.0.now.load(Ordering::Relaxed)
    }

    /// The host of this name, with the next address if it is a new one.
    ///
    /// # Panics
    ///
    /// If there are more than 250.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        match self.outside(|kernel| kernel.host(name)) {
            Some(host) => Host::new(self.clone(), host),
            None => panic!("no address is left for a host `{name}`: a simulation has 250 at most"),
        }
    }

    /// The host without a name, of all sockets that are at no named one's address.
    #[must_use]
    pub fn here(&self) -> Host {
        Host::new(self.clone(), HERE)
    }

    pub(super) fn is_same(&self, other: &World) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Puts a file there, with the directories above it. Replaces the content of one that is there.
    pub fn add_file(&self, path: &str, bytes: &[u8]) {
        self.outside(|kernel| kernel.m.files.add_file(path, bytes));
    }

    /// The content of a file. Nothing if there is none, or a directory.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.outside(|kernel| kernel.m.files.content(path))
    }

    /// Takes a file or an empty directory away; who has it open keeps it. True if there was one.
    pub fn remove_file(&self, path: &str) -> bool {
        self.outside(|kernel| kernel.m.files.remove_path(path))
    }

    /// Puts a directory there, with those above it.
    pub fn add_dir(&self, path: &str) {
        self.outside(|kernel| kernel.m.files.add_dir(path));
    }

    /// From now on files may take so many bytes together; what is there stays. What does not fit is not
    /// written: a write that reaches the limit is short, the next one fails (ENOSPC). Bytes that were never
    /// written take no room, nor do names.
    pub fn disk_quota(&self, bytes: u64) {
        self.outside(|kernel| kernel.m.files.set_quota(bytes));
    }

    /// The machine begins another life, on which a proactor can be made. From the first one on, what is not
    /// synced is not safe; what is there before it counts as synced.
    ///
    /// Of a life that ended well its proactor was dropped, and what it left in the page cache is there. Of
    /// one that [lost its power](World::lose_power) only what was on the disk is: no socket, no handle, no
    /// timer.
    #[track_caller]
    pub fn boot(&self) {
        let location = std::panic::Location::caller();
        self.empty_inbox();
        self.outside(|kernel| kernel.boot(location));
    }

    /// The power is lost, now. Nothing completes any more, nothing that is started happens, and
    /// [`run`](crate::Proactor::run) comes back with [`RunError::PowerLost`](crate::RunError::PowerLost). A
    /// handler that calls this runs to its end. What is left of unsynced changes the chooser says: a kind one
    /// loses nothing.
    pub fn lose_power(&self) {
        self.outside(Kernel::lose_power);
    }

    /// False from a loss of power until the next [`boot`](World::boot).
    #[must_use]
    pub fn has_power(&self) -> bool {
        self.with(|kernel| !kernel.is_off())
    }

    /// It was decided that the proactor is dropped.
    pub(crate) fn is_dropped(&self) -> bool {
        self.with(|kernel| kernel.is_dropped())
    }

    /// From now on opening this file or directory, which must exist, or anything below it fails:
    /// permission denied.
    pub fn deny(&self, path: &str) {
        self.outside(|kernel| kernel.m.files.deny(path));
    }

    /// What oracles whose level is `warn` have found since this kernel was made, in the order in which it
    /// came up; a [reset](World::reset) keeps it.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.with(|kernel| kernel.warnings.list().to_vec())
    }

    /// Reads the warnings where they are.
    pub(crate) fn with_warnings<R>(&self, read: impl FnOnce(&Warnings) -> R) -> R {
        self.with(|kernel| read(&kernel.warnings))
    }

    /// The first breach that an oracle has seen. From then on every operation ends with an error, first
    /// come, first served, and nothing is chosen any more, so that the run drains to its end.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        self.with(|kernel| kernel.verdict.clone())
    }

    /// Reports what an oracle above the kernel has seen, to be taken as its [level](Config::levels) says:
    /// the first breach is kept.
    pub fn report(&self, violation: Violation) {
        self.with(|kernel| kernel.report(violation));
    }

    /// Whether there is a violation.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.with(|kernel| kernel.verdict.is_some())
    }

    /// The end of a run, after its proactor was torn down: handles that are still open and operations and
    /// timers that are still in flight become a violation of I8.
    pub fn finish(&self) {
        self.empty_inbox();
        self.with(Kernel::ends);
    }

    /// What a run came to. With [`finish`](World::finish), if nothing else went wrong.
    pub(crate) fn conclude(&self, finish: bool) -> Concluded {
        if finish {
            self.empty_inbox();
        }
        self.with(|kernel| {
            if finish {
                kernel.ends();
            }
            Concluded {
                digest: kernel.digest,
                class: kernel.class,
                violation: kernel.verdict.clone().map(Box::new),
                news: kernel.news,
            }
        })
    }

    /// A rolling hash of every submission, effect, completion and move of the clock, and, where
    /// [lent buffers are checked](Config::poison), of what is sent and written: equal decisions give
    /// equal digests, or something outside of the simulation had a say.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.with(|kernel| kernel.digest)
    }

    /// How many steps there were: effects, completions and moves of the clock.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.with(|kernel| kernel.steps)
    }

    /// How many completions were handed out.
    #[must_use]
    pub fn completions(&self) -> u64 {
        self.with(|kernel| kernel.completions)
    }

    /// The full trace, empty unless [`Config::trace`]; of a very long run the last 50,000 events or more.
    #[must_use]
    pub fn trace(&self) -> Vec<TraceEvent> {
        self.with(|kernel| kernel.recorder.events().to_vec())
    }

    /// How many events of the trace were let go of.
    pub(crate) fn forgotten(&self) -> usize {
        self.with(|kernel| kernel.recorder.forgotten())
    }

    /// Submissions, effects and completions only, one line each, named as
    /// [`EventNames`](super::EventNames) has it. Empty unless [`Config::trace`].
    ///
    /// Equal for two programs that do the same I/O in the same order, whatever their style.
    #[must_use]
    pub fn kernel_trace(&self) -> String {
        self.with(|kernel| kernel.recorder.kernel_trace())
    }

    /// What was offered to each kind of operation, and taken, since this kernel was made; a
    /// [reset](World::reset) keeps it.
    pub(crate) fn matrix(&self) -> Matrix {
        self.with(|kernel| kernel.decider.matrix())
    }

    /// How often each site was offered and deviated from.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.with(|kernel| kernel.decider.coverage())
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}
