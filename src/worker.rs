//! One worker's loop: read the mail, run what is ready, flush submissions and wait, dispatch.
//!
//! # Liveness
//!
//! What is ready without the kernel (posted handlers, woken tasks) runs in rounds: each round runs
//! what was ready when it began, then the kernel is asked, so neither starves the other. A batch that
//! a panic interrupts is kept, and gone on with by the next call of `run`.

use std::fmt;
use std::io;

use crate::backend::{Completion, Lane, Until, Waited};
use crate::observe;
use crate::op::crew::Rest;
use crate::op::home::{Local, Message, READY_BUDGET, Ready};
use crate::op::slots::{life, special};
use crate::proactor::dropped;

/// Why [`Proactor::run`](crate::Proactor::run) came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunEnd {
    /// Nothing is left to do: no operation, no handler, no task.
    OutOfWork,
    /// Somebody called [`stop`](crate::Handle::stop).
    Stopped,
    /// All that is left are so many tasks that wait for nothing the proactor knows: only somebody
    /// else can wake them. Call `run` again when that may have happened, or hold a
    /// [work guard](crate::Handle::work_guard) so that `run` waits for it.
    Parked(usize),
}

/// Why [`Proactor::run`](crate::Proactor::run) could not do its work.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A worker belongs to the first thread that runs it.
    WrongThread {
        /// The thread that the worker belongs to.
        owner: String,
        /// The thread that called.
        caller: String,
    },
    /// It was called inside a handler or task of a proactor on this thread: that would hold up the
    /// handler until others have finished. Start an operation instead, or `spawn`.
    Nested,
    /// Simulations only: operations wait, and nothing can ever happen any more. The text names each
    /// of them, what it waits for, and who started it (I7).
    Stuck(String),
    /// Simulations only: the simulated machine has lost its power. Nothing that was under way ends, and
    /// no handler hears of anything any more.
    PowerLost,
    /// [`stop`](crate::Handle::stop) was called before the future that was blocked on had finished.
    Stopped,
    /// This thread runs no worker, and every worker of the proactor belongs to another thread.
    NoWorkerLeft {
        /// How many workers the proactor has.
        workers: usize,
    },
    /// All workers that are run are out of work, and others, which nobody runs, are not. The text names
    /// each of those, and what it has to do.
    Unserved(String),
    /// The kernel's interface failed; nothing more can be had from it.
    Backend(io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::WrongThread { owner, caller } => write!(
                f,
                "this worker belongs to thread `{owner}`, which ran it first; thread `{caller}` can't run it: \
                 make a proactor for each thread, or run this one where it began"
            ),
            RunError::Nested => f.write_str(
                "run was called inside a handler: it would wait for handlers that wait for this one; \
                 start an operation with a handler, spawn a task, or offload what has to block",
            ),
            RunError::Stuck(who) => write!(f, "stuck: nothing can ever happen any more (I7)\n{who}"),
            RunError::PowerLost => f.write_str(
                "the simulated machine has lost its power: what was under way never ends",
            ),
            RunError::Stopped => f.write_str("stopped before the future was ready"),
            RunError::NoWorkerLeft { workers } => write!(
                f,
                "all {workers} workers of the proactor belong to other threads: give it more with Builder::workers, \
                 or let fewer threads call run_worker"
            ),
            RunError::Unserved(who) => write!(
                f,
                "workers that nobody runs have something to do: call run, or run_worker on a thread for each\n{who}"
            ),
            RunError::Backend(error) => write!(f, "the kernel's interface failed: {error}"),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            RunError::Backend(error) => Some(error),
            _ => None,
        }
    }
}

/// How far a call of `run` or its kin goes.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    /// Come back after so many handlers.
    pub(crate) handlers: usize,
    /// How long a wait may last when nothing is ready.
    pub(crate) wait: Until,
    /// Come back as soon as the future that is blocked on was woken; till then there is work.
    pub(crate) main: bool,
    /// Only this worker matters: come back when it has nothing to do, whatever the others have.
    pub(crate) alone: bool,
}

/// Why the loop came back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paused {
    End(RunEnd),
    /// The goal is reached.
    Goal,
    /// A simulated kernel has decided that the proactor is dropped here.
    Dropped,
}

fn out_of_work(parked: usize) -> Paused {
    Paused::End(match parked {
        0 => RunEnd::OutOfWork,
        _ => RunEnd::Parked(parked),
    })
}

/// How a round ends for a worker. None: not yet.
fn ended(rest: Rest) -> Option<Result<Paused, RunError>> {
    match rest {
        Rest::Wait => None,
        Rest::Over(parked) => Some(Ok(out_of_work(parked))),
        Rest::Unserved(who) => Some(Err(RunError::Unserved(who))),
    }
}

impl Paused {
    /// What `run` says. If the proactor is dropped it says nothing: it does not come back.
    pub(crate) fn end(self) -> RunEnd {
        match self {
            Paused::End(end) => end,
            Paused::Goal => RunEnd::OutOfWork,
            Paused::Dropped => dropped::leave(None),
        }
    }
}

/// A batch that is being dispatched; how far, `batch_next` says.
struct Batch<'a> {
    local: &'a Local,
    completions: Vec<Completion>,
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.local.batch_next.get() == self.completions.len() {
            self.completions.clear();
            self.local.batch_next.set(0);
        }
        self.local
            .batch
            .replace(std::mem::take(&mut self.completions));
    }
}

impl Local {
    /// The loop.
    pub(crate) fn work(&'static self, goal: Goal) -> Result<Paused, RunError> {
        #[cfg(feature = "check")]
        if self.overlaps.get() {
            return self.work_overlapping(goal);
        }
        let enough = self.handlers_run.get().saturating_add(goal.handlers);
        self.enough.set(enough);
        // A simulated kernel hands out one completion at a time, so a whole turn would stand between any two.
        let steps =
            self.is_virtual.get() && goal.wait != Until::Now && self.crew.borrow().is_none();
        // A poll ends although handlers keep coming: it runs what is ready when it begins, and takes
        // from the kernel as many completions as there were operations under way, at most.
        let mut share = None;
        loop {
            self.begin_turn();
            // Once a turn: a handler pays for being watched only when it is.
            let is_watched = self.watched.get() || observe::looks_between_handlers();
            let paused = if is_watched {
                self.dispatch_batch::<true>(enough)
            } else {
                self.dispatch_batch::<false>(enough)
            };
            if let Some(paused) = paused {
                return Ok(paused);
            }
            if share == Some(0) {
                return Ok(Paused::Goal);
            }
            self.read_mail();
            let paused = if is_watched {
                self.run_ready::<true>(enough)
            } else {
                self.run_ready::<false>(enough)
            };
            if let Some(paused) = paused {
                return Ok(paused);
            }
            if self.watched.get() {
                self.home.running.is_nothing();
            }
            if goal.main && self.main_ready.get() {
                return Ok(Paused::Goal);
            }
            let stepped = match (steps, is_watched) {
                (true, false) => self.step_by_step::<false>(enough, &goal),
                // A watchdog wants to hear of each before it runs.
                (true, true) if !self.watched.get() => self.step_by_step::<true>(enough, &goal),
                _ => false,
            };
            if stepped {
                continue;
            }
            let polls = goal.wait == Until::Now && goal.alone;
            if polls && share.is_none() {
                share = Some(self.in_flight());
            }
            if let Some(paused) = self.ask_kernel(&goal)? {
                return Ok(paused);
            }
            if is_watched {
                observe::between_handlers();
            }
            if polls {
                share = share.map(|left| match self.batch.borrow().len() {
                    0 => 0,
                    got => left.saturating_sub(got),
                });
            }
        }
    }

    /// Takes one completion after the other from a simulated kernel, as long as nothing but their handlers
    /// is to be run. False: the kernel is to be asked in the ordinary way.
    #[inline]
    fn step_by_step<const WATCHED: bool>(&self, enough: usize, goal: &Goal) -> bool {
        let mut stepped = false;
        while self.ready.borrow().is_empty()
            && !self.home.is_rung()
            && !(goal.main && self.main_ready.get())
            && self.pause(enough).is_none()
        {
            self.ready_budget.set(READY_BUDGET);
            let mut lane = self.lane.borrow_mut();
            let Some(completion) = lane.as_mut().and_then(|lane| lane.next(goal.wait)) else {
                return false;
            };
            drop(lane);
            self.begin_turn();
            if WATCHED {
                observe::between_handlers();
            }
            self.dispatch(completion);
            if WATCHED {
                observe::between_handlers();
            }
            stepped = true;
        }
        stepped
    }

    fn in_flight(&self) -> usize {
        let lane = self.lane.borrow();
        lane.as_ref().map_or(0, |lane| lane.in_flight())
    }

    /// Dispatches what has been collected, each completion once, whatever its handler does.
    #[inline]
    fn dispatch_batch<const WATCHED: bool>(&self, enough: usize) -> Option<Paused> {
        // Out of its cell while it is read, and put back whatever a handler does: nobody else looks
        // at it meanwhile, runs don't nest.
        let batch = Batch {
            local: self,
            completions: self.batch.take(),
        };
        let mut next = self.batch_next.get();
        for &completion in batch.completions.get(next..).unwrap_or_default() {
            let paused = self.pause(enough);
            if paused.is_some() {
                return paused;
            }
            next += 1;
            self.batch_next.set(next);
            if WATCHED {
                self.announce(&Ready::Complete(completion));
            }
            self.dispatch(completion);
            if WATCHED {
                observe::between_handlers();
            }
        }
        None
    }

    #[inline]
    pub(crate) fn pause(&self, enough: usize) -> Option<Paused> {
        if self.home.is_stopped() {
            return Some(Paused::End(RunEnd::Stopped));
        }
        (self.handlers_run.get() >= enough).then_some(Paused::Goal)
    }

    /// Whether the loop may run another handler before it comes back to whoever called it.
    #[inline]
    pub(crate) fn may_go_on(&self) -> bool {
        self.pause(self.enough.get()).is_none()
    }

    #[inline]
    pub(crate) fn read_mail(&self) {
        if self.has_mail() {
            self.read_all_mail();
        }
    }

    #[inline(never)]
    fn read_all_mail(&self) {
        loop {
            if self.mail.borrow().is_empty() {
                self.home.collect_mail(&mut self.mail.borrow_mut());
            }
            let Some(message) = self.mail.borrow_mut().pop_front() else {
                return;
            };
            match message {
                Message::Run(act) => self.at_root(|| act(self)),
                Message::Call(handler, location) => self.post_from_outside(handler, location),
                Message::Cancel(first) => {
                    self.stop_operation(first, crate::op::slots::Stop::Canceled);
                }
                Message::Abandon { slot, abandon } => abandon(self, slot.0),
                Message::Close(object) => self.close_if_still(&object),
                Message::Complete { token, result } => self.complete_external(token, result),
                Message::Turn(due) => self.ready.borrow_mut().push_back(Ready::Turn(due)),
                Message::Wake(crate::task::MAIN) => self.main_ready.set(true),
                Message::Wake(id) => self.ready.borrow_mut().push_back(Ready::Task(id)),
            }
        }
    }

    /// Runs what was ready when this began.
    #[inline]
    fn run_ready<const WATCHED: bool>(&self, enough: usize) -> Option<Paused> {
        let round = self.ready.borrow().len();
        for _ in 0..round {
            if let Some(paused) = self.pause(enough) {
                return Some(paused);
            }
            let next = self.ready.borrow_mut().pop_front();
            if WATCHED && let Some(next) = &next {
                self.announce(next);
            }
            match next {
                Some(ready) => self.perform(ready),
                None => break,
            }
            if WATCHED {
                observe::between_handlers();
            }
        }
        self.pause(enough)
    }

    /// Says what is about to run, for a watchdog.
    #[cold]
    fn announce(&self, next: &Ready) {
        if !self.watched.get() {
            return;
        }
        let running = &self.home.running;
        let slot = match next {
            Ready::Task(id) => return running.is(&"task", self.tasks.location(*id)),
            Ready::Call(_, location, _) => return running.is(&"post", Some(location)),
            // It says itself which of its handlers runs.
            Ready::Turn(_) => return running.is(&"strand", None),
            Ready::Complete(completion) => self.slots.get(completion.token.index()),
            Ready::Refused(slot, _) => Some(*slot),
        };
        if let Some(slot) = slot {
            running.is(&slot.vtable.get().name, Some(slot.origin.location.get()));
        }
    }

    /// Runs one thing that was ready.
    #[inline]
    pub(crate) fn perform(&self, ready: Ready) {
        match ready {
            Ready::Task(id) => self.tasks.poll(self, id),
            Ready::Turn(due) => due.run(self),
            Ready::Complete(completion) => self.dispatch(completion),
            Ready::Refused(slot, result) => self.refuse(slot, result),
            Ready::Call(event, _, handler) => {
                self.begin_step(event);
                self.handlers_run.set(self.handlers_run.get() + 1);
                handler.run(self);
            }
        }
    }

    /// Flushes submissions, and waits for completions unless there is something to run.
    pub(crate) fn ask_kernel(&self, goal: &Goal) -> Result<Option<Paused>, RunError> {
        self.ready_budget.set(READY_BUDGET);
        let mut lane = self.lane.borrow_mut();
        let Some(lane) = lane.as_mut() else {
            return Ok(Some(Paused::End(RunEnd::OutOfWork)));
        };
        if let Some(paused) = self.round_is_over(goal) {
            return paused.map(Some);
        }
        let has_ready = !self.ready.borrow().is_empty() || self.home.has_mail();
        let guarded = goal.main || self.home.guards.load(std::sync::atomic::Ordering::Acquire) > 0;
        let may_end = !has_ready && self.externals.get() == 0 && !guarded;
        let idles = may_end && lane.idles();
        if idles || may_end && lane.in_flight() == 0 {
            // Nothing is in flight, but closes and the like may still be queued.
            if !idles {
                let waited = lane.wait(&mut self.batch.borrow_mut(), Until::Now);
                if let Some(end) = self.cut_short(waited.map_err(RunError::Backend)?) {
                    return end.map(Some);
                }
            }
            if self.batch.borrow().is_empty() && !self.home.has_mail() {
                return self.out_of_work(&mut **lane, goal);
            }
            return Ok(None);
        }
        let sleeps = !has_ready && goal.wait != Until::Now && self.home.falls_asleep();
        let until = if sleeps { goal.wait } else { Until::Now };
        let waited = lane.wait(&mut self.batch.borrow_mut(), until);
        self.home.is_awake();
        match waited.map_err(RunError::Backend)? {
            Waited::Stuck if !has_ready && !self.home.has_mail() => {
                Err(RunError::Stuck(self.dump()))
            }
            Waited::Stuck => Ok(None),
            cut @ (Waited::Over | Waited::PowerLost | Waited::Dropped) => {
                self.cut_short(cut).transpose()
            }
            Waited::Returned => {
                let idle = self.batch.borrow().is_empty() && !has_ready && !self.home.has_mail();
                let over = match goal.wait {
                    Until::Now => true,
                    Until::Event => false,
                    Until::Time(at) => self.now() >= at,
                };
                Ok((idle && over).then_some(Paused::Goal))
            }
        }
    }

    /// The end of a run that a simulated kernel has put to it.
    pub(crate) fn cut_short(&self, waited: Waited) -> Option<Result<Paused, RunError>> {
        match waited {
            Waited::Over => Some(Err(RunError::Stuck(self.dump()))),
            Waited::PowerLost => Some(Err(RunError::PowerLost)),
            Waited::Dropped => Some(Ok(Paused::Dropped)),
            Waited::Returned | Waited::Stuck => None,
        }
    }

    /// Whether the crew has ended the round that this worker is in.
    #[inline]
    fn round_is_over(&self, goal: &Goal) -> Option<Result<Paused, RunError>> {
        let crew = self.crew.borrow();
        let crew = crew.as_ref()?;
        if goal.alone || !crew.has_ended(self.round.get()) {
            return None;
        }
        ended(crew.end())
    }

    /// Nothing is left to do here. Perhaps another worker sends something.
    #[cold]
    fn out_of_work(&self, lane: &mut dyn Lane, goal: &Goal) -> Result<Option<Paused>, RunError> {
        let parked = self.tasks.len();
        let crew = self.crew.borrow();
        let Some(crew) = crew.as_ref().filter(|_| !goal.alone) else {
            return Ok(Some(out_of_work(parked)));
        };
        let index = self.me().index();
        if let Some(paused) = ended(crew.rest(index, parked)) {
            return paused.map(Some);
        }
        if goal.wait == Until::Now {
            // It rests until it is polled again.
            return Ok(Some(Paused::Goal));
        }
        let mut waited = Ok(Waited::Returned);
        if self.home.falls_asleep() {
            waited = lane.wait(&mut self.batch.borrow_mut(), goal.wait);
        }
        self.home.is_awake();
        crew.rise(index);
        waited.map_err(RunError::Backend)?;
        let over = matches!(goal.wait, Until::Time(at) if self.now() >= at);
        Ok((over && !self.home.has_mail()).then_some(Paused::Goal))
    }

    /// Whether anything is left to do here.
    pub(crate) fn has_work(&self) -> bool {
        let in_flight = (self.lane.borrow().as_ref()).is_some_and(|lane| lane.in_flight() > 0);
        in_flight
            || self.externals.get() > 0
            || !self.ready.borrow().is_empty()
            || !self.batch.borrow().is_empty()
    }

    /// Which operations wait, on what, and who started them (I7).
    pub(crate) fn dump(&self) -> String {
        use fmt::Write;
        let mut text = String::new();
        for slot in self.slots.busy() {
            let state = match slot.life() {
                life::FREE => continue,
                _ if slot.is(special::QUEUED) => "done, its handler waits for its strand",
                life::SUBMITTING => "being started",
                life::PENDING => "waiting",
                life::DONE => "done, its future has not been polled since",
                _ => continue,
            };
            let _ = write!(text, "  {} ", slot.vtable.get().name);
            if let Some(object) = slot.object.get() {
                let _ = write!(text, "on handle {} ", object.raw_for_dump());
            }
            let _ = writeln!(text, "({state}), started at {}", slot.origin.location.get());
        }
        let tasks = self.tasks.len();
        if tasks > 0 {
            let plural = if tasks == 1 { "" } else { "s" };
            let _ = writeln!(text, "  {tasks} task{plural}");
        }
        if text.is_empty() {
            text.push_str("  nothing waits\n");
        }
        text
    }
}
