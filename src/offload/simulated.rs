//! Offloaded work in a simulation: the simulated kernel decides when a job begins and when its end is
//! heard of.
//!
//! A job that has a place is an operation of the kernel ([`Code::Job`]): a cancel wins only until its
//! effect. When its completion is handed out the closure runs, on the simulated worker; then the
//! operation that people see is handed to the kernel, which completes it in any order with everything
//! else. So others may see what the work has done before its operation ends, as with real threads.
//!
//! The time that the closure declares with `check::busy` is the job's and holds up nobody: its place
//! stays taken, and its end comes so much later.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
#[cfg(feature = "check")]
use std::time::Duration;

use super::Entry;
use super::pool::{Pool, Shared};
use crate::backend::{Code, Op, Raw};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, lock};
use crate::op::kind::{Activation, Outcome, Steps};
#[cfg(feature = "check")]
use crate::time::nanos;

thread_local! {
    /// While a job runs on this thread's simulated worker: the nanoseconds that it says it takes.
    static DECLARED: Cell<Option<u64>> = const { Cell::new(None) };
}

/// The running job, if there is one, takes so long. False: no job runs here.
#[cfg(feature = "check")]
pub(crate) fn declare(cost: Duration) -> bool {
    let declared = DECLARED.get();
    DECLARED.set(declared.map(|so_far| so_far.saturating_add(nanos(cost))));
    declared.is_some()
}

impl Pool {
    /// Takes a job on. The simulated kernel will say when it begins.
    pub(super) fn simulate(&self, local: &Local, entry: Entry) -> io::Result<()> {
        let mut state = self.0.admit()?;
        if state.running < self.0.threads {
            state.running += 1;
            drop(state);
            Turn::begin(local, self.0.clone(), entry);
        } else {
            state.queue.push_back(entry);
        }
        Ok(())
    }
}

/// A job that has a place.
struct Turn {
    pool: Arc<Shared>,
    entry: Entry,
    /// None: it waits to be begun. Else it has run, and ends then.
    ends: Option<u64>,
}

impl Turn {
    fn begin(local: &Local, pool: Arc<Shared>, entry: Entry) {
        let token = entry.token;
        let state = pool.clone();
        let cancel = Turn {
            pool,
            entry,
            ends: None,
        }
        .start(local);
        lock(&state.state).simulated.push((token, cancel));
    }

    fn start(self, local: &Local) -> crate::op::Cancel {
        let slot = local.slots.get(self.entry.token.index());
        let turn = Operation::new(self);
        let turn = match slot {
            Some(slot) => turn.started_at(slot.origin.location.get()),
            None => turn,
        };
        turn.then(|()| {})
    }

    fn go_on(self, outcome: Outcome<'_>) {
        let Some(local) = outcome.local else { return };
        if self.ends.is_none() && outcome.result >= 0 {
            let before = DECLARED.replace(Some(0));
            self.entry.work.run();
            let declared = DECLARED.replace(before).unwrap_or(0);
            if declared > 0 {
                let ends = Some(local.now().saturating_add(declared));
                // Nobody can cancel it from here on: what has run ends.
                lock(&self.pool.state).forget(&self.entry);
                drop(Turn { ends, ..self }.start(local));
                return;
            }
        }
        let has_run = self.ends.is_some() || outcome.result >= 0;
        let Turn { pool, entry, .. } = self;
        let mut state = lock(&pool.state);
        state.forget(&entry);
        let next = state.queue.pop_front();
        if next.is_none() {
            state.running -= 1;
        }
        drop(state);
        if let Some(next) = next {
            Turn::begin(local, pool, next);
        }
        if has_run {
            local.hand_over(entry.token, Op::new(Code::Nop, Raw::NONE));
        } else {
            local.complete_external(entry.token, outcome.result);
        }
    }
}

impl super::pool::State {
    fn forget(&mut self, entry: &Entry) {
        self.simulated.retain(|(token, _)| *token != entry.token);
    }
}

impl Steps for Turn {
    type Out = ();
    const NAME: &'static str = "offloaded job";
    const UNBOUNDED: bool = true;

    fn home(&self) -> HomeRef {
        self.entry.home
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let op = match self.ends {
            None => Op::new(Code::Job, Raw::NONE),
            Some(at) => Op {
                offset: at,
                ..Op::new(Code::Timer, Raw::NONE)
            },
        };
        Ok(Activation {
            op,
            object: None,
            writable: false,
        })
    }

    fn finish(self, outcome: Outcome<'_>) {
        self.go_on(outcome);
    }

    /// At teardown: what has begun goes on to its end there too.
    fn discard(self, outcome: Outcome<'_>) {
        self.go_on(outcome);
    }
}
