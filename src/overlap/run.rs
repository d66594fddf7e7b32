//! The loop of several simulated workers: as the worker's own, each piece of work on a free seat.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::fiber::Job;
use super::{WORKERS, Workers};
use crate::backend::{Completion, Until};
use crate::choice::EventId;
use crate::observe;
use crate::op::home::{Local, Ready};
use crate::scoped;
use crate::sim::steps::Until as Till;
use crate::worker::{Goal, Paused, RunError};

/// What one worker does without giving it back: the handler of a completion, a posted one, a poll.
pub(super) struct Piece(pub(super) Ready);

impl Piece {
    /// Runs it on the stack of the caller.
    pub(super) fn run_here(self, local: &Local) {
        // On no strand before its own code says so, whoever gave way to it.
        local.strand_frame.set(std::ptr::null());
        // And about its own event: what it decides before it runs any code, or without, is not to count
        // as a decision of whoever gave way to it.
        local.begin_step(self.event(local));
        local.perform(self.0);
        observe::between_handlers();
    }

    /// What it is about, until its code says so itself.
    fn event(&self, local: &Local) -> EventId {
        let slot = match &self.0 {
            Ready::Complete(completion) => local.slots.get(completion.token.index()),
            Ready::Refused(slot, _) => Some(*slot),
            _ => None,
        };
        slot.map_or(EventId::ROOT, |slot| slot.origin.event.get())
    }

    /// Its event has no other piece.
    pub(super) fn is_once(&self) -> bool {
        matches!(self.0, Ready::Call(..))
    }

    /// What the trace calls its begin, if the kernel has not said so itself.
    pub(super) fn name(&self, local: &Local) -> Option<(EventId, &'static str)> {
        match &self.0 {
            Ready::Call(event, _, _) => Some((*event, "handler begins")),
            Ready::Task(id) => Some((local.tasks.event_of(*id)?, "task goes on")),
            _ => None,
        }
    }
}

/// The piece of work on the seat whose stack this is.
pub(super) struct Begin;

impl Job for Begin {
    fn run(self) {
        scoped::with(&WORKERS, |workers| {
            let index = workers.running.get();
            let Some(local) = workers.local.get() else {
                return;
            };
            let mut next = workers.seats[index].piece.take();
            while let Some(piece) = next {
                piece.run_here(local);
                next = workers.next_here(local, index);
            }
        });
    }
}

/// The same in the kernel's words.
fn till(until: Until) -> Till {
    match until {
        Until::Now => Till::Now,
        Until::Event => Till::Event,
        Until::Time(time) => Till::Time(time),
    }
}

impl Local {
    /// Something is ready that needs no kernel.
    pub(super) fn has_pending(&self) -> bool {
        !self.ready.borrow().is_empty() || self.has_mail()
    }

    /// [`Local::work`] with several simulated workers.
    pub(crate) fn work_overlapping(&'static self, goal: Goal) -> Result<Paused, RunError> {
        let run = scoped::with(&WORKERS, |workers| {
            let enough = self.handlers_run.get().saturating_add(goal.handlers);
            self.enough.set(enough);
            workers.local.set(Some(self));
            workers.goal.set((enough, till(goal.wait)));
            workers.accepts.set(true);
            // Also when a waker panics here, between two handlers: none stays suspended outside of `run`.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.rounds(workers, goal, enough)));
            workers.finish();
            workers.all_are_done();
            outcome.unwrap_or_else(|panic| resume_unwind(panic))
        });
        run.unwrap_or_else(|| {
            // The kernel is used outside of the check that it was made for.
            self.overlaps.set(false);
            self.work(goal)
        })
    }

    fn rounds(
        &'static self,
        workers: &Workers,
        goal: Goal,
        enough: usize,
    ) -> Result<Paused, RunError> {
        loop {
            self.begin_turn();
            while let Some(completion) = self.next_completion() {
                workers.begin(self, Ready::Complete(completion));
                if let Some(paused) = self.pause(enough) {
                    return Ok(paused);
                }
            }
            self.read_mail();
            workers.round.set(self.ready.borrow().len());
            while workers.round.get() > 0 {
                if let Some(paused) = self.pause(enough) {
                    return Ok(paused);
                }
                let Some(ready) = workers.next_ready(self) else {
                    break;
                };
                workers.begin(self, ready);
            }
            if let Some(paused) = self.pause(enough) {
                return Ok(paused);
            }
            if goal.main && self.main_ready.get() {
                return Ok(Paused::Goal);
            }
            if workers.begun.get() > 0 {
                self.ask_beside(workers, &goal)?;
            } else if let Some(paused) = self.ask_kernel(&goal)? {
                return Ok(paused);
            }
        }
    }

    /// The next completion of the batch. A panic of its handler finds the rest where it is.
    fn next_completion(&self) -> Option<Completion> {
        let at = self.batch_next.get();
        let next = self.batch.borrow().get(at).copied();
        match next {
            Some(_) => self.batch_next.set(at + 1),
            None => {
                self.batch.borrow_mut().clear();
                self.batch_next.set(0);
            }
        }
        next
    }

    /// A worker asks the kernel while handlers of others are suspended. If nothing comes of it, one of
    /// those goes on.
    fn ask_beside(&self, workers: &Workers, goal: &Goal) -> Result<(), RunError> {
        let until = match workers.world.with(|kernel| kernel.horizon(till(goal.wait))) {
            _ if self.has_pending() => Until::Now,
            Till::Now => Until::Now,
            Till::Event => Until::Event,
            Till::Time(time) => Until::Time(time),
        };
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            // A machine that is off runs nothing, and these handlers would run to their ends.
            workers.world.with(|kernel| kernel.holds_power(true));
            let waited = lane.wait(&mut self.batch.borrow_mut(), until);
            workers.world.with(|kernel| kernel.holds_power(false));
            // (The proactor is not dropped under handlers that are suspended.)
            if let Some(Err(error)) = self.cut_short(waited.map_err(RunError::Backend)?) {
                return Err(error);
            }
        }
        if self.batch.borrow().is_empty() && !self.has_pending() {
            workers.go_on();
        }
        Ok(())
    }
}
