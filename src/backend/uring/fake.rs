//! A scripted ring for the tests of the driver's policies: no kernel, no thread, no clock.

use std::collections::VecDeque;

use super::ring::{Cqe, Enter, Register, Ring, Sqe};

/// A ring that does what its script says, and writes down what it was asked.
pub(super) struct Fake {
    capacity: u32,
    /// Pushed, not taken.
    pub(super) queue: VecDeque<Sqe>,
    /// Taken, in order.
    pub(super) taken: Vec<Sqe>,
    /// Completions to be reaped.
    pub(super) completions: VecDeque<Cqe>,
    /// Completions that found no room: an enter that collects brings them.
    pub(super) overflow: VecDeque<Cqe>,
    /// What the next enters do; none left: take all, and end a sleep at its deadline.
    pub(super) script: VecDeque<Step>,
    /// The enters so far.
    pub(super) enters: Vec<(u32, Enter)>,
    pub(super) registered: Vec<Register>,
    pub(super) time: u64,
    /// What the word of the queue says.
    pub(super) has_news: bool,
}

/// What one enter does.
pub(super) enum Step {
    /// Takes nothing and fails.
    Fail(i32),
    /// Takes this many entries only.
    Take(u32),
    /// Takes all and completes this.
    Complete(Cqe),
}

impl Fake {
    pub(super) fn new(capacity: u32) -> Fake {
        Fake {
            capacity,
            queue: VecDeque::new(),
            taken: Vec::new(),
            completions: VecDeque::new(),
            overflow: VecDeque::new(),
            script: VecDeque::new(),
            enters: Vec::new(),
            registered: Vec::new(),
            time: 0,
            has_news: true,
        }
    }
}

impl Ring for Fake {
    fn capacity(&self) -> u32 {
        self.capacity
    }

    fn push_with(&mut self, fill: impl FnOnce(&mut Sqe)) -> bool {
        let room = self.unsubmitted() < self.capacity;
        if room {
            let mut sqe = Sqe::new(0, -1, 0);
            fill(&mut sqe);
            self.queue.push_back(sqe);
        }
        room
    }

    fn unsubmitted(&self) -> u32 {
        self.queue.len() as u32
    }

    fn enter(&mut self, to_submit: u32, how: Enter) -> Result<u32, i32> {
        self.enters.push((to_submit, how));
        assert!(self.enters.len() < 1_000, "the driver spins");
        let mut take = to_submit;
        match self.script.pop_front() {
            Some(Step::Fail(error)) => return Err(error),
            Some(Step::Take(count)) => take = count.min(to_submit),
            Some(Step::Complete(cqe)) => self.completions.push_back(cqe),
            None => {}
        }
        self.taken.extend(self.queue.drain(..take as usize));
        if how != Enter::Flush {
            self.completions.append(&mut self.overflow);
        }
        if let Enter::Sleep(until) = how
            && self.completions.is_empty()
            && take == to_submit
        {
            self.time = self.time.max(until.expect("the driver sleeps for ever"));
            if take == 0 {
                return Err(libc::ETIME);
            }
        }
        Ok(take)
    }

    fn ready(&self) -> bool {
        !self.completions.is_empty()
    }

    fn completions(&self) -> u32 {
        self.completions.len() as u32
    }

    fn reap(&mut self, count: u32, each: impl FnMut(Cqe)) {
        self.completions.drain(..count as usize).for_each(each);
    }

    fn overflowed(&self) -> bool {
        !self.overflow.is_empty()
    }

    fn has_news(&self) -> bool {
        self.has_news || self.overflowed()
    }

    fn register(&mut self, what: Register) -> Result<(), i32> {
        self.registered.push(what);
        Ok(())
    }

    fn now(&self) -> u64 {
        self.time
    }
}
