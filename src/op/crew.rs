//! The crew: the workers of one proactor, and how they find out together that nothing is left to do.
//!
//! Only a proactor of several workers has one. Each worker has a home of its own; what they share
//! is here, and none of it is touched by an operation: a worker comes here when it has run out of
//! work, when a run begins or ends, and when a new object wants a home.
//!
//! # How the end is found
//!
//! A worker *rests* while it has no operation in flight, nothing ready and no mail. Work can only
//! come to it in a message from somebody who does not rest. So when the last of the served workers
//! goes to rest, and none of them has mail, all are out of work: that worker ends the round, and
//! wakes the others. Rest is taken and left under one lock, and left *before* mail is read:
//! whoever looks sees either the mail or a worker that does not rest.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::home::{Home, HomeRef, lock};

/// The workers of one proactor.
pub(crate) struct Crew {
    /// No other crew has had it; never 0.
    id: u64,
    /// In the order of their numbers.
    members: Box<[HomeRef]>,
    /// Whose turn it is to be the home of something new.
    next: AtomicUsize,
    /// Counts the rounds that have ended. Written under `state`.
    ended: AtomicU64,
    state: Mutex<State>,
    /// Makes threads that wait for the next run read their mail.
    nudge: Mutex<Option<Nudge>>,
}

type Nudge = Box<dyn Fn() + Send>;

struct State {
    /// How the last round ended: never with [`Rest::Wait`].
    end: Rest,
    workers: Box<[Worker]>,
}

#[derive(Clone, Default)]
struct Worker {
    /// A thread runs it.
    served: bool,
    resting: bool,
    /// Tasks that wait for nothing the proactor knows, when it went to rest.
    parked: usize,
    /// What it left undone when its thread last came back: in words, if anything.
    left: Option<String>,
    /// How many handlers ran while it was served last.
    ran: usize,
}

/// What a worker that has run out of work is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Wait for a message.
    Wait,
    /// All are out of work; so many tasks are parked.
    Over(usize),
    /// All that are served are out of work, and these others are not: in words.
    Unserved(String),
}

static IDS: AtomicU64 = AtomicU64::new(1);

impl Crew {
    pub(crate) fn new(members: Vec<HomeRef>) -> Arc<Crew> {
        let crew = Arc::new(Crew {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            next: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            state: Mutex::new(State {
                end: Rest::Over(0),
                workers: vec![Worker::default(); members.len()].into(),
            }),
            members: members.into(),
            nudge: Mutex::new(None),
        });
        for member in &crew.members {
            member.home.join(&crew);
        }
        crew
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn members(&self) -> &[HomeRef] {
        &self.members
    }

    /// The home of the next new thing: round robin.
    pub(crate) fn next(&self) -> HomeRef {
        self.members[self.next.fetch_add(1, Ordering::Relaxed) % self.members.len()]
    }

    /// These workers are served from now on. How many rounds have ended before.
    pub(crate) fn serve(&self, indices: impl IntoIterator<Item = usize>) -> u64 {
        let mut state = lock(&self.state);
        for index in indices {
            state.workers[index] = Worker {
                served: true,
                ..Worker::default()
            };
        }
        self.ended.load(Ordering::Relaxed)
    }

    /// What made these workers come back no longer counts: all that run begin anew.
    pub(crate) fn unhalt(&self, indices: impl IntoIterator<Item = usize>) {
        for index in indices {
            self.members[index].home.unhalt();
        }
    }

    /// This worker's thread has come back after so many handlers, and left this undone.
    pub(crate) fn leave(&self, index: usize, ran: usize, left: Option<String>) {
        let mut state = lock(&self.state);
        // If it was made to come back, it has.
        self.members[index].home.unhalt();
        let worker = &mut state.workers[index];
        worker.served = false;
        worker.resting = false;
        worker.left = left;
        worker.ran = ran;
    }

    /// How many handlers ran while the workers were served last.
    pub(crate) fn ran(&self) -> usize {
        let state = lock(&self.state);
        state.workers.iter().map(|worker| worker.ran).sum()
    }

    /// Whether a round has ended since `before` had.
    #[inline]
    pub(crate) fn has_ended(&self, before: u64) -> bool {
        self.ended.load(Ordering::Acquire) != before
    }

    /// How the last round ended.
    pub(crate) fn end(&self) -> Rest {
        lock(&self.state).end.clone()
    }

    /// A worker has run out of work.
    pub(crate) fn rest(&self, index: usize, parked: usize) -> Rest {
        let mut state = lock(&self.state);
        let me = &mut state.workers[index];
        me.resting = true;
        me.parked = parked;
        let all_rest = state
            .workers
            .iter()
            .zip(&self.members)
            .filter(|(worker, _)| worker.served)
            .all(|(worker, member)| worker.resting && !member.home.has_mail());
        // One that is to come back does so, and not because it is out of work: who made it may have left.
        if !all_rest || self.is_guarded() || self.members[index].home.is_stopped() {
            return Rest::Wait;
        }
        let unserved = self.unserved(&state);
        let end = if unserved.is_empty() {
            Rest::Over(state.workers.iter().map(|worker| worker.parked).sum())
        } else {
            Rest::Unserved(unserved)
        };
        state.end = end.clone();
        self.ended.fetch_add(1, Ordering::Release);
        drop(state);
        self.wake(|other| other != index);
        end
    }

    fn is_guarded(&self) -> bool {
        self.members[0].home.guards.load(Ordering::Acquire) > 0
    }

    /// A worker may get work again: to be called before it reads its mail.
    pub(crate) fn rise(&self, index: usize) {
        lock(&self.state).workers[index].resting = false;
    }

    /// Makes every other worker come back to whoever runs it as soon as its running handler has returned:
    /// one whose thread is only on its way, as soon as it is there.
    pub(crate) fn halt_others(&self, index: usize) {
        let others = |at: usize| at != index;
        for (_, member) in self
            .members
            .iter()
            .enumerate()
            .filter(|(at, _)| others(*at))
        {
            member.if_alive(Home::halt);
        }
        self.wake(others);
    }

    pub(crate) fn on_nudge(&self, nudge: Nudge) {
        *lock(&self.nudge) = Some(nudge);
    }

    /// Workers whose threads wait for the next run are to read their mail.
    pub(crate) fn nudge(&self) {
        if let Some(nudge) = &*lock(&self.nudge) {
            nudge();
        }
    }

    /// Workers that nobody runs and that have something to do, in words.
    fn unserved(&self, state: &State) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        let workers = state.workers.iter().zip(&self.members).enumerate();
        for (index, (worker, member)) in workers.filter(|(_, (worker, _))| !worker.served) {
            let mail = member.home.has_mail();
            if mail || worker.left.is_some() {
                let left = worker.left.as_deref().unwrap_or("");
                let mail = if mail { "  messages wait\n" } else { "" };
                let _ = write!(text, "worker {index}:\n{mail}{left}");
            }
        }
        text
    }

    /// Has workers look up. It is no message: one that is left with a worker which nobody runs would be work
    /// that nobody does.
    pub(crate) fn wake(&self, who: impl Fn(usize) -> bool) {
        for (_, member) in self.members.iter().enumerate().filter(|(at, _)| who(*at)) {
            member.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Proactor;

    /// A crew of two that both are served, by nobody.
    fn served() -> Option<(Proactor, Arc<Crew>)> {
        let proactor = Proactor::builder().workers(2).build().ok()?;
        let crew = proactor.handle().home.crew().expect("it has two workers");
        crew.serve([0, 1]);
        Some((proactor, crew))
    }

    #[test]
    fn the_last_to_rest_ends_the_round() {
        let Some((_proactor, crew)) = served() else {
            return;
        };
        assert_eq!(crew.rest(0, 1), Rest::Wait);
        assert_eq!(crew.rest(1, 2), Rest::Over(3));
        assert!(crew.has_ended(0) && !crew.has_ended(1));
    }

    #[test]
    fn who_is_to_come_back_is_not_out_of_work_when_the_others_have_left() {
        let Some((proactor, crew)) = served() else {
            return;
        };
        proactor.stop();
        crew.leave(1, 0, None);
        assert_eq!(crew.rest(0, 0), Rest::Wait);
        proactor.restart();
        assert_eq!(crew.rest(0, 0), Rest::Over(0));
        crew.halt_others(1);
        assert_eq!(crew.rest(0, 0), Rest::Wait);
        crew.leave(0, 0, None);
        crew.serve([0]);
        assert_eq!(crew.rest(0, 0), Rest::Over(0), "it has come back");
    }
}
