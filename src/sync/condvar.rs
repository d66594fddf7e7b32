//! [`Condvar`]: std's, whose waiters the simulation wakes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{LockResult, PoisonError};
use std::time::Duration;

use std::panic::Location;

use super::held::give_up;
use super::mutex::MutexGuard;
use super::{lock, order};
use crate::observe;
use crate::op::home::current;
use crate::switch::{self, Point};

/// So many timeouts in a row, with nobody going on in between, are a loop without an end.
const IDLE_TIMEOUTS: u32 = 1_000;

/// [`std::sync::Condvar`], for the [`Mutex`](super::Mutex) of this module.
///
/// It blocks its thread: for threads of your own or of the offload pool. Tasks wait with
/// [`Notify`](super::Notify).
///
/// In a simulation each call is a switch point, waiters are woken in the order in which they came, and
/// none wakes for no reason (std's may). A wait with a timeout ends early once nobody else can go on;
/// the virtual clock does not move for it.
///
/// ```
/// use proactor::sync::{Condvar, Mutex};
///
/// let (queue, arrived) = (Mutex::new(Vec::new()), Condvar::new());
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         queue.lock().unwrap().push("job");
///         arrived.notify_one();
///     });
///     let mut jobs = arrived
///         .wait_while(queue.lock().unwrap(), |jobs| jobs.is_empty())
///         .unwrap();
///     assert_eq!(jobs.pop(), Some("job"));
/// });
/// ```
#[derive(Default)]
pub struct Condvar {
    inner: std::sync::Condvar,
    simulated: std::sync::Mutex<Waiting>,
}

/// The simulated workers that wait.
#[derive(Default)]
struct Waiting {
    next: u64,
    /// In the order in which they came. Who is no longer in it was notified.
    tickets: VecDeque<u64>,
    idle_timeouts: u32,
}

/// Whether a wait ended because its time was up. See [`std::sync::WaitTimeoutResult`].
///
/// ```
/// # use std::time::Duration;
/// use proactor::sync::{Condvar, Mutex, WaitTimeoutResult};
///
/// let mutex = Mutex::new(());
/// let (_guard, result): (_, WaitTimeoutResult) = Condvar::new()
///     .wait_timeout_while(mutex.lock().unwrap(), Duration::ZERO, |_| true)
///     .unwrap();
/// assert!(result.timed_out());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was up.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use proactor::sync::{Condvar, Mutex};
    /// # let mutex = Mutex::new(());
    /// let (_guard, result) = Condvar::new()
    ///     .wait_timeout_while(mutex.lock().unwrap(), Duration::ZERO, |_| false)
    ///     .unwrap();
    /// assert!(!result.timed_out());
    /// ```
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition variable that nobody waits for.
    ///
    /// ```
    /// static ARRIVED: proactor::sync::Condvar = proactor::sync::Condvar::new();
    /// ARRIVED.notify_all();
    /// ```
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar {
            inner: std::sync::Condvar::new(),
            simulated: std::sync::Mutex::new(Waiting {
                next: 0,
                tickets: VecDeque::new(),
                idle_timeouts: 0,
            }),
        }
    }

    /// Unlocks, waits to be notified, and locks again. It may return for no reason: look at what you
    /// wait for again, or use [`wait_while`](Condvar::wait_while).
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`] if somebody panicked with the lock held.
    ///
    /// # Panics
    ///
    /// In a simulation, if nobody who could notify it will ever go on, or as
    /// [`Mutex::lock`](super::Mutex::lock); on a real
    /// kernel it may if it is used with two mutexes.
    ///
    /// ```
    /// # use proactor::sync::{Condvar, Mutex};
    /// # let (ready, changed) = (Mutex::new(false), Condvar::new());
    /// # std::thread::scope(|scope| {
    /// # scope.spawn(|| { *ready.lock().unwrap() = true; changed.notify_one() });
    /// let mut guard = ready.lock().unwrap();
    /// while !*guard {
    ///     guard = changed.wait(guard).unwrap();
    /// }
    /// # });
    /// ```
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        if switch::is_simulated() {
            let (notified, locked) = self.wait_simulated("Condvar::wait", guard);
            if !notified {
                drop(locked);
                give_up(&format!(
                    "Condvar::wait at {} can never return: nobody who could notify it goes on. Either \
                     a notification is missing or came before the wait, or the execution is being \
                     ended",
                    std::panic::Location::caller()
                ));
            }
            return locked;
        }
        if observe::is_on() && current().is_some() {
            drop(guard);
            let at = Location::caller();
            observe::tell(|it| it.blocks("Condvar::wait", at));
            give_up(&format!(
                "Condvar::wait at {at} can never return: it is called in a handler, and there is no other \
                 worker that could run the one that notifies it"
            ));
        }
        let (mutex, inner) = guard.into_parts();
        mutex.guard(self.inner.wait(inner))
    }

    /// Waits for as long as `condition` holds.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Panics
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// ```
    /// # use proactor::sync::{Condvar, Mutex};
    /// # let (left, changed) = (Mutex::new(1), Condvar::new());
    /// # std::thread::scope(|scope| {
    /// # scope.spawn(|| { *left.lock().unwrap() = 0; changed.notify_one() });
    /// let done = changed.wait_while(left.lock().unwrap(), |left| *left > 0).unwrap();
    /// # drop(done);
    /// # });
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: F,
    ) -> LockResult<MutexGuard<'a, T>>
    where
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// As [`wait`](Condvar::wait), for `timeout` at most.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Panics
    ///
    /// As [`Mutex::lock`](super::Mutex::lock); and in a simulation, if it is called over and over while nobody else can go
    /// on: on a real kernel that would loop for ever.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use proactor::sync::{Condvar, Mutex};
    /// # let (mutex, changed) = (Mutex::new(()), Condvar::new());
    /// let (guard, result) = changed
    ///     .wait_timeout(mutex.lock().unwrap(), Duration::from_micros(1))
    ///     .unwrap();
    /// # drop((guard, result));
    /// ```
    #[track_caller]
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        if switch::is_simulated() {
            let (notified, locked) = self.wait_simulated("Condvar::wait_timeout", guard);
            if !notified {
                self.timed_out();
            }
            return with_result(locked, WaitTimeoutResult(!notified));
        }
        let (mutex, inner) = guard.into_parts();
        let (locked, timed_out) = match self.inner.wait_timeout(inner, timeout) {
            Ok((inner, result)) => (Ok(inner), result.timed_out()),
            Err(poisoned) => {
                let (inner, result) = poisoned.into_inner();
                (Err(PoisonError::new(inner)), result.timed_out())
            }
        };
        with_result(mutex.guard(locked), WaitTimeoutResult(timed_out))
    }

    /// As [`wait_while`](Condvar::wait_while), for `timeout` at most, all waits together.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condvar::wait).
    ///
    /// # Panics
    ///
    /// As [`wait_timeout`](Condvar::wait_timeout).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use proactor::sync::{Condvar, Mutex};
    /// # let (left, changed) = (Mutex::new(0), Condvar::new());
    /// let (_done, result) = changed
    ///     .wait_timeout_while(left.lock().unwrap(), Duration::from_secs(1), |left| *left > 0)
    ///     .unwrap();
    /// assert!(!result.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>
    where
        F: FnMut(&mut T) -> bool,
    {
        let simulated = switch::is_simulated();
        let from = std::time::Instant::now();
        let mut timed_out = false;
        loop {
            if !condition(&mut *guard) {
                return Ok((guard, WaitTimeoutResult(false)));
            }
            // In a simulation real time says nothing: the wait itself tells.
            let left = if simulated {
                (!timed_out && timeout > Duration::ZERO).then_some(timeout)
            } else {
                timeout.checked_sub(from.elapsed())
            };
            let Some(left) = left else {
                return Ok((guard, WaitTimeoutResult(true)));
            };
            let (again, result) = self.wait_timeout(guard, left)?;
            guard = again;
            timed_out = result.timed_out();
        }
    }

    /// Wakes one waiter, if there is any.
    ///
    /// ```
    /// proactor::sync::Condvar::new().notify_one();
    /// ```
    #[track_caller]
    pub fn notify_one(&self) {
        if switch::is_simulated() {
            self.notify_simulated("Condvar::notify_one", 1);
        }
        self.inner.notify_one();
    }

    /// Wakes all who wait.
    ///
    /// ```
    /// proactor::sync::Condvar::new().notify_all();
    /// ```
    #[track_caller]
    pub fn notify_all(&self) {
        if switch::is_simulated() {
            self.notify_simulated("Condvar::notify_all", usize::MAX);
        }
        self.inner.notify_all();
    }

    #[cold]
    #[track_caller]
    fn notify_simulated(&self, call: &'static str, most: usize) {
        switch::point(Point::Sync(call));
        order::released(order::at(self));
        let mut waiting = lock(&self.simulated);
        let count = waiting.tickets.len().min(most);
        waiting.tickets.drain(..count);
        waiting.idle_timeouts = 0;
    }

    /// Whether it was notified, and the guard.
    #[cold]
    #[track_caller]
    fn wait_simulated<'a, T>(
        &self,
        call: &'static str,
        guard: MutexGuard<'a, T>,
    ) -> (bool, LockResult<MutexGuard<'a, T>>) {
        let at = Location::caller();
        observe::tell(|it| it.blocks(call, at));
        let point = Point::Sync(call);
        let ticket = Ticket::new(self);
        // Waiting begins before the lock is released, and the release is the switch point.
        let mutex = guard.unlock();
        switch::block_until(point, || !ticket.waits());
        // Without its ticket: a notification from now on is for another.
        let notified = !ticket.waits();
        drop(ticket);
        if notified {
            order::acquired(order::at(self));
        }
        (notified, mutex.lock_at_point(point))
    }

    #[cold]
    #[track_caller]
    fn timed_out(&self) {
        let mut waiting = lock(&self.simulated);
        waiting.idle_timeouts += 1;
        if waiting.idle_timeouts >= IDLE_TIMEOUTS {
            waiting.idle_timeouts = 0;
            drop(waiting);
            give_up(&format!(
                "Condvar::wait_timeout at {} timed out {IDLE_TIMEOUTS} times with nobody else going \
                 on: this loop has no end. Either a notification is missing, or the execution is \
                 being ended",
                std::panic::Location::caller()
            ));
        }
    }
}

/// A simulated worker's place among the waiters.
struct Ticket<'a> {
    condvar: &'a Condvar,
    number: u64,
}

impl Ticket<'_> {
    fn new(condvar: &Condvar) -> Ticket<'_> {
        let mut waiting = lock(&condvar.simulated);
        let number = waiting.next;
        waiting.next += 1;
        waiting.tickets.push_back(number);
        Ticket { condvar, number }
    }

    fn waits(&self) -> bool {
        lock(&self.condvar.simulated).tickets.contains(&self.number)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut waiting = lock(&self.condvar.simulated);
        waiting.tickets.retain(|&number| number != self.number);
    }
}

fn with_result<'a, T>(
    locked: LockResult<MutexGuard<'a, T>>,
    result: WaitTimeoutResult,
) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
    match locked {
        Ok(guard) => Ok((guard, result)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
