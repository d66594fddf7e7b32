//! The proactor's own threads: one for each worker but the first, and the rounds in which they run.
//!
//! A worker belongs to one thread for good (a ring has a single issuer), so these threads live as
//! long as the proactor and sleep between two calls of `run`. A *round* is one such call: all
//! workers are served, until the crew finds that nothing is left to do, or one of them comes back
//! early (stopped, panicked, failed) and halts the others.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::enter::{Inside, claim, enter};
use super::teardown;
use crate::backend::Until;
use crate::op::crew::Crew;
use crate::op::home::{HomeRef, Local, lock};
use crate::worker::{Goal, Paused, RunEnd, RunError};

/// Threads that wait for rounds.
pub(super) struct Team {
    shared: Arc<Shared>,
    /// The numbers of the workers that they run.
    indices: Vec<usize>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Counts the rounds that have begun.
    round: u64,
    /// How many rounds of the crew had ended when it began.
    ended_before: u64,
    /// How many threads are in it.
    running: usize,
    /// The team is dismissed.
    over: bool,
    failure: Option<Failure>,
}

/// Why a thread came back early.
enum Failure {
    Panic(Box<dyn Any + Send>),
    Error(RunError),
}

impl State {
    /// The first failure is the one that the others came back for.
    fn fail(&mut self, failure: Option<Failure>) {
        self.failure = self.failure.take().or(failure);
    }
}

impl Team {
    /// A thread for every worker that belongs to nobody, but for the first one.
    pub(super) fn new(crew: &Arc<Crew>) -> io::Result<Team> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let nudged = Arc::downgrade(&shared);
        crew.on_nudge(Box::new(move || {
            if let Some(shared) = nudged.upgrade() {
                // Taken, so that nobody is between his look at the mail and his wait.
                drop(lock(&shared.state));
                shared.changed.notify_all();
            }
        }));
        let mut team = Team {
            shared,
            indices: Vec::new(),
            threads: Mutex::default(),
        };
        for (index, &home) in crew.members().iter().enumerate().skip(1) {
            let (crew, shared) = (Arc::clone(crew), Arc::clone(&team.shared));
            let mut owner = lock(&home.home.owner);
            if owner.is_some() {
                continue;
            }
            let name = format!("proactor-worker-{index}");
            let thread = std::thread::Builder::new()
                .name(name.clone())
                .spawn(move || serve(&crew, index, home, &shared))?;
            *owner = Some(crate::op::home::Owner {
                id: thread.thread().id(),
                name: name.into(),
            });
            drop(owner);
            team.indices.push(index);
            lock(&team.threads).push(thread);
        }
        Ok(team)
    }

    /// Begins a round.
    fn begin(&self, ended_before: u64) {
        let mut state = lock(&self.shared.state);
        state.round += 1;
        state.ended_before = ended_before;
        state.running = self.indices.len();
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Waits until every thread has come back from the round. Why the first came back early.
    fn wait(&self) -> Option<Failure> {
        let mut state = lock(&self.shared.state);
        while state.running > 0 {
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.failure.take()
    }

    /// Ends the threads, each of which tears its worker down. The panic of one of the things that were
    /// dropped with them.
    pub(super) fn dismiss(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.shared.state).over = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *lock(&self.threads));
        let mut panic = None;
        let here = std::thread::current().id();
        // Dropped by a handler on one of them: that one goes when the handler has returned.
        for thread in threads.into_iter().filter(|at| at.thread().id() != here) {
            panic = panic.or(thread.join().err());
        }
        panic
    }
}

/// A thread's life.
fn serve(crew: &Arc<Crew>, index: usize, home: HomeRef, shared: &Shared) {
    teardown::remember(home);
    let mut seen = 0;
    loop {
        let mut state = lock(&shared.state);
        while state.round == seen && !state.over {
            if home.home.has_mail() {
                drop(state);
                let read = catch_unwind(AssertUnwindSafe(|| {
                    if let Ok(inside) = enter(home) {
                        inside.local.read_mail();
                    }
                }));
                state = lock(&shared.state);
                state.fail(read.err().map(Failure::Panic));
                continue;
            }
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.over {
            break;
        }
        seen = state.round;
        let before = state.ended_before;
        drop(state);
        let ran = catch_unwind(AssertUnwindSafe(|| serve_once(crew, index, home, before)));
        let failure = match ran {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(Failure::Error(error)),
            Err(panic) => Some(Failure::Panic(panic)),
        };
        let mut state = lock(&shared.state);
        state.running -= 1;
        state.fail(failure);
        drop(state);
        shared.changed.notify_all();
    }
    if let Some(panic) = teardown::on_its_thread(home) {
        resume_unwind(panic);
    }
}

/// Runs a worker that is served by this thread until its round is over. If it fails or panics, so that others might wait
/// for it, they come back too.
pub(super) fn serve_once(
    crew: &Arc<Crew>,
    index: usize,
    home: HomeRef,
    before: u64,
) -> Result<RunEnd, RunError> {
    let mut leaves = Leaves {
        crew,
        index,
        halts: true,
        inside: None,
    };
    let inside = enter(home)?;
    let local = inside.local;
    leaves.inside = Some((local, local.handlers_run.get()));
    local.round.set(before);
    let paused = local.work(Goal {
        handlers: usize::MAX,
        wait: Until::Event,
        main: false,
        alone: false,
    });
    // That nobody runs a worker which has work, the others have found with it.
    leaves.halts = !matches!(paused, Ok(_) | Err(RunError::Unserved(_)));
    paused.map(Paused::end)
}

/// A worker that is served until this is dropped.
pub(super) struct Leaves<'a> {
    crew: &'a Crew,
    index: usize,
    /// The others are to come back too: before it has left, so that none of them is just out of work.
    halts: bool,
    /// What it runs, once it is inside, and how many handlers had run before.
    inside: Option<(&'static Local, usize)>,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        if self.halts {
            self.crew.halt_others(self.index);
        }
        let (mut ran, mut left) = (0, None);
        if let Some((local, before)) = self.inside {
            ran = local.handlers_run.get() - before;
            left = local.has_work().then(|| local.dump());
        }
        self.crew.leave(self.index, ran, left);
    }
}

/// The first worker has come back with this. So do the others now, if there are any, and the first
/// failure counts.
pub(super) fn end_of(
    others: Option<Others>,
    inside: &Inside,
    result: Result<Paused, RunError>,
) -> Result<Paused, RunError> {
    match others {
        Some(others) => others.end(result, inside.local),
        None => result,
    }
}

/// The worker that belongs to this thread, or else the first that belongs to nobody.
pub(super) fn mine_or_free(crew: &Crew) -> Result<(usize, HomeRef), RunError> {
    let here = std::thread::current().id();
    let members = crew.members().iter().copied().enumerate();
    for (index, home) in members.clone() {
        if matches!(&*lock(&home.home.owner), Some(owner) if owner.id == here) {
            return Ok((index, home));
        }
    }
    for (index, home) in members {
        let mut owner = lock(&home.home.owner);
        // One whose thread has ended is nobody's any more, and never will be somebody's again.
        if owner.is_none() && home.is_alive() {
            claim(home, &mut owner);
            return Ok((index, home));
        }
    }
    Err(RunError::NoWorkerLeft {
        workers: crew.members().len(),
    })
}

/// The other workers, which run until this is dropped.
pub(super) struct Others {
    crew: Arc<Crew>,
    team: Arc<Team>,
    /// How many handlers the first worker had run before.
    before: usize,
    waited: bool,
}

impl Others {
    /// All workers that are not other people's are served from now on: this thread is to run the first.
    pub(super) fn begin(crew: Arc<Crew>, team: Arc<Team>, first: &Local) -> Others {
        let workers = || std::iter::once(0).chain(team.indices.iter().copied());
        crew.unhalt(workers());
        let before = crew.serve(workers());
        first.round.set(before);
        team.begin(before);
        Others {
            crew,
            team,
            before: first.handlers_run.get(),
            waited: false,
        }
    }

    fn end(
        mut self,
        result: Result<Paused, RunError>,
        first: &'static Local,
    ) -> Result<Paused, RunError> {
        let natural = matches!(
            result,
            Ok(Paused::End(RunEnd::OutOfWork | RunEnd::Parked(_)))
        );
        if !natural {
            self.crew.halt_others(0);
        }
        self.waited = true;
        let failure = self.team.wait();
        drop(Leaves {
            crew: &self.crew,
            index: 0,
            halts: false,
            inside: Some((first, self.before)),
        });
        match (failure, result) {
            (Some(Failure::Panic(panic)), _) => resume_unwind(panic),
            (Some(Failure::Error(error)), Ok(_)) => Err(error),
            (_, result) => result,
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        if !self.waited {
            // The first worker panicked, or nobody drives it any more.
            self.crew.halt_others(0);
            // Their panics have been reported by the hook; one of the first worker's is under way.
            drop(self.team.wait());
            self.crew.leave(0, 0, None);
        }
    }
}
