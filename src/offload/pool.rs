//! The pool: a queue with a bound, and threads that come when there is work and go when there is none.
//!
//! Whether a job has begun is decided in one place, under the pool's lock: it has, once a thread (or,
//! in a simulation, the kernel) has taken it out of the queue. A cancel that still finds it there takes
//! it out for good.
//!
//! A thread waits on a condition variable and for a bounded time: nobody spins. It sends the result to
//! the worker as a message, which costs a wake only if the worker sleeps.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{Entry, OffloadError};
use crate::backend::Token;
use crate::op::Cancel;
use crate::op::home::{HomeRef, Message, lock};

/// How much a pool takes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// None: as many as suit the machine.
    pub(crate) threads: Option<usize>,
    pub(crate) queue: usize,
    /// How long a thread without work stays.
    pub(crate) keep_alive: Duration,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            threads: None,
            queue: 1_024,
            keep_alive: Duration::from_secs(10),
        }
    }
}

impl Bounds {
    pub(crate) fn check(&self) -> io::Result<()> {
        let refuse = |what| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if self.threads == Some(0) {
            return refuse(
                "offload_threads(0): nothing that is offloaded would ever run; allow at least 1",
            );
        }
        if self.queue == 0 {
            return refuse(
                "offload_queue(0): no job could wait for a thread that is about to be free; allow at least 1",
            );
        }
        Ok(())
    }
}

/// The least number of threads: most of what is offloaded blocks, so that some more than cores do no harm.
const FEW: usize = 4;

/// Asked once: it reads files.
fn of_this_machine() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(FEW, |n| n.get().max(FEW)))
}

/// The pool of one proactor. Dropped, it lets its threads go.
pub(crate) struct Pool(pub(super) Arc<Shared>);

pub(super) struct Shared {
    /// How many jobs run at a time.
    pub(super) threads: usize,
    bounds: Bounds,
    pub(super) state: Mutex<State>,
    call: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) queue: VecDeque<Entry>,
    pub(super) running: usize,
    /// In a simulation: what ends the waiting of a job that the kernel has not begun.
    pub(super) simulated: Vec<(Token, Cancel)>,
    /// Threads that will look into the queue before they sleep, or sleep.
    idle: usize,
    threads: usize,
    /// How many threads there have been: for their names.
    started: u64,
    closing: bool,
}

impl Pool {
    pub(crate) fn new(bounds: Bounds, is_simulated: bool) -> Pool {
        let threads = match (bounds.threads, is_simulated) {
            (Some(threads), _) => threads,
            // The same on every machine.
            (None, true) => FEW,
            (None, false) => of_this_machine(),
        };
        Pool(Arc::new(Shared {
            threads,
            bounds,
            state: Mutex::default(),
            call: Condvar::new(),
        }))
    }

    /// How many jobs run, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = lock(&self.0.state);
        (state.running, state.queue.len())
    }

    /// Takes a job on. A thread will run it.
    pub(super) fn push(&self, entry: Entry) -> io::Result<()> {
        let (home, token) = (entry.home, entry.token);
        let mut state = self.0.admit()?;
        state.queue.push_back(entry);
        if state.idle >= state.queue.len() {
            self.0.call.notify_one();
            return Ok(());
        }
        if state.threads == self.0.threads {
            return Ok(());
        }
        state.threads += 1;
        state.started += 1;
        let name = format!("proactor-offload-{}", state.started);
        drop(state);
        let shared = self.0.clone();
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || shared.serve());
        let Err(error) = thread else { return Ok(()) };
        let mut state = lock(&self.0.state);
        state.threads -= 1;
        if state.threads > 0 {
            // It waits for one of those that there are.
            return Ok(());
        }
        let refused = state.remove(&home, token);
        drop((state, refused));
        Err(error)
    }

    /// A job is not wanted any more. True: it had not begun, and never will.
    pub(super) fn withdraw(&self, home: &HomeRef, token: Token) -> bool {
        let mut state = lock(&self.0.state);
        let entry = state.remove(home, token);
        let simulated = state.simulated.iter().find(|(other, _)| *other == token);
        let cancel = simulated.map(|(_, cancel)| cancel.clone());
        drop(state);
        if let Some(cancel) = cancel {
            cancel.cancel();
        }
        // The operation holds the job itself: no closure is dropped here.
        entry.is_some()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.closing = true;
        let left = std::mem::take(&mut state.queue);
        let threads = state.threads;
        drop(state);
        // A call that nobody hears is a system call all the same.
        if threads > 0 {
            self.0.call.notify_all();
        }
        drop(left);
    }
}

impl State {
    fn remove(&mut self, home: &HomeRef, token: Token) -> Option<Entry> {
        let at = self.queue.iter().position(|entry| entry.is(home, token))?;
        self.queue.remove(at)
    }
}

impl Shared {
    /// The state, if there is room for one job more.
    pub(super) fn admit(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = lock(&self.state);
        let (threads, queue) = (self.threads, self.bounds.queue);
        // Both together: whether a thread has taken its next job yet must not matter.
        if state.running + state.queue.len() >= threads.saturating_add(queue) {
            return Err(OffloadError::Full { threads, queue }.into());
        }
        Ok(state)
    }

    /// What a thread does.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(entry) = state.queue.pop_front() {
                state.running += 1;
                drop(state);
                let Entry { work, home, token } = entry;
                work.run();
                // Free again before anybody hears of the end, so that whoever hears can offload again.
                let mut state_now = lock(&self.state);
                state_now.running -= 1;
                state_now.idle += 1;
                drop(state_now);
                // It may wake whoever drives the proactor: user code, which may panic.
                let told = catch_unwind(AssertUnwindSafe(|| {
                    home.send(Message::Complete { token, result: 0 });
                    drop(work);
                }));
                if let Err(payload) = told {
                    std::mem::forget(payload);
                }
                state = lock(&self.state);
                state.idle -= 1;
                continue;
            }
            if state.closing {
                break;
            }
            state.idle += 1;
            let waited = self.call.wait_timeout(state, self.bounds.keep_alive);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            state.idle -= 1;
            if timeout.timed_out() && state.queue.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}
