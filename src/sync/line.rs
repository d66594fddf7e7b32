//! A line of futures that wait for permits, first come first served: what is below `Notify`,
//! `Semaphore` and `mpsc`.
//!
//! It is plain data behind a lock of its owner's. Wakers are returned instead of woken or dropped, for
//! that may run code of anybody's: it has to be done after the lock is released.

use std::collections::VecDeque;
use std::task::{Context, Waker};

/// Permits, and who waits for them.
pub(super) struct Line {
    /// Permits that nobody has been given.
    pub(super) free: usize,
    /// The number of the next that comes. Numbers in `waiting` ascend.
    next: u64,
    waiting: VecDeque<Waiter>,
    /// Given to a waiter that has not been polled since: its number and how many.
    given: Vec<(u64, usize)>,
}

struct Waiter {
    number: u64,
    wants: usize,
    waker: Waker,
}

/// A future's place: none before its first poll and after its end.
pub(super) type Place = Option<u64>;

pub(super) enum Polled {
    /// It has what it wants.
    Got,
    Waits,
    /// It was sent away ([`Line::send_away`]).
    Away,
}

impl Line {
    pub(super) const fn new(free: usize) -> Line {
        Line {
            free,
            next: 0,
            waiting: VecDeque::new(),
            given: Vec::new(),
        }
    }

    /// Takes permits if they are free and nobody was there before.
    pub(super) fn take(&mut self, wants: usize) -> bool {
        let can = self.waiting.is_empty() && self.free >= wants;
        if can {
            self.free -= wants;
        }
        can
    }

    /// Polls a future that wants so many. Drop the waker after the lock.
    pub(super) fn poll(
        &mut self,
        place: &mut Place,
        wants: usize,
        cx: &mut Context<'_>,
    ) -> (Polled, Option<Waker>) {
        let Some(number) = *place else {
            if self.take(wants) {
                return (Polled::Got, None);
            }
            let number = self.next;
            self.next += 1;
            self.waiting.push_back(Waiter {
                number,
                wants,
                waker: cx.waker().clone(),
            });
            *place = Some(number);
            return (Polled::Waits, None);
        };
        if let Ok(index) = self.find(number) {
            let waker = &mut self.waiting[index].waker;
            let old = (!waker.will_wake(cx.waker()))
                .then(|| std::mem::replace(waker, cx.waker().clone()));
            return (Polled::Waits, old);
        }
        *place = None;
        let given = self.take_given(number).is_some();
        (if given { Polled::Got } else { Polled::Away }, None)
    }

    /// A future is dropped, whose place this was. True: it gives back what it was given, which is free
    /// now. Drop the waker after the lock. Either way the next in the line may be served now.
    pub(super) fn leave(&mut self, number: u64) -> (bool, Option<Waker>) {
        if let Ok(index) = self.find(number) {
            let waiter = self.waiting.remove(index).expect("found");
            return (false, Some(waiter.waker));
        }
        let given = self.take_given(number);
        self.free += given.unwrap_or(0);
        (given.is_some(), None)
    }

    /// Gives the first what it waits for, if that is free. Again, until there is nobody to wake.
    pub(super) fn serve(&mut self) -> Option<Waker> {
        let first = self.waiting.front()?;
        if first.wants > self.free {
            return None;
        }
        let first = self.waiting.pop_front()?;
        self.free -= first.wants;
        self.given.push((first.number, first.wants));
        Some(first.waker)
    }

    /// All who wait leave empty-handed. Wake them after the lock.
    pub(super) fn send_away(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting)
            .into_iter()
            .map(|waiter| waiter.waker)
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.waiting
            .binary_search_by_key(&number, |waiter| waiter.number)
    }

    fn take_given(&mut self, number: u64) -> Option<usize> {
        let index = self.given.iter().position(|given| given.0 == number)?;
        Some(self.given.swap_remove(index).1)
    }
}
