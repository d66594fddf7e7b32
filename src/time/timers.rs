//! The timers of a lane on a real kernel: a binary heap that can be taken from anywhere.
//!
//! Ordered by deadline, and among equal deadlines by arming order. A table by slot index says where
//! in the heap a token's timer is, so that taking one back is O(log n) and never a search. Neither
//! the heap nor the table allocates in the steady state: both only grow to the most there ever was.
//!
//! The heap knows nothing of clocks: deadlines are numbers, and a timer is due once the number that
//! the caller shows has reached its deadline.

use crate::backend::{Tag, Token};

/// Armed timers, by deadline.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: Vec<Timer>,
    /// Where the timer of a [`place`] stands in the heap, or [`NOWHERE`].
    places: Vec<u32>,
    /// The number of timers ever armed: the order among equal deadlines.
    armed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: u64,
    order: u64,
    token: Token,
}

impl Timer {
    fn before(&self, other: &Timer) -> bool {
        (self.deadline, self.order) < (other.deadline, other.order)
    }
}

const NOWHERE: u32 = u32::MAX;

/// An operation in a slot that is a timer itself may have a timeout as well: two places a slot.
fn place(token: Token) -> usize {
    token.index() as usize * 2 + usize::from(token.has_tag(Tag::Deadline))
}

impl Timers {
    /// How many timers are armed.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// The earliest deadline.
    #[inline]
    pub(crate) fn first(&self) -> Option<u64> {
        self.heap.first().map(|timer| timer.deadline)
    }

    /// Arms a timer. The token must not be armed.
    pub(crate) fn arm(&mut self, token: Token, deadline: u64) {
        let place = place(token);
        if place >= self.places.len() {
            self.places.resize((place + 1).next_power_of_two(), NOWHERE);
        }
        debug_assert_eq!(self.places[place], NOWHERE, "{token:?} is armed already");
        self.armed += 1;
        let timer = Timer { deadline, order: self.armed, token };
        self.heap.push(timer);
        self.sift_up(self.heap.len() - 1, timer);
    }

    /// Takes a timer back. False if it is not armed, or fired already.
    pub(crate) fn disarm(&mut self, token: Token) -> bool {
        let Some(&at) = self.places.get(place(token)) else {
            return false;
        };
        // The place is the slot's: another activation's timer may stand there now (I6).
        if at == NOWHERE || self.heap[at as usize].token != token {
            return false;
        }
        self.remove(at as usize);
        true
    }

    /// Takes out the earliest timer if `now` has reached its deadline.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Token> {
        let first = *self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(0);
        Some(first.token)
    }

    fn remove(&mut self, at: usize) {
        let removed = self.heap[at].token;
        self.places[place(removed)] = NOWHERE;
        let Some(last) = self.heap.pop() else { return };
        if at == self.heap.len() {
            return;
        }
        // The last one takes the hole; it may belong above or below.
        if at > 0 && last.before(&self.heap[(at - 1) / 2]) {
            self.sift_up(at, last);
        } else {
            self.sift_down(at, last);
        }
    }

    /// Moves the hole at `at` up until `timer` fits into it.
    fn sift_up(&mut self, mut at: usize, timer: Timer) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !timer.before(&self.heap[parent]) {
                break;
            }
            self.put(at, self.heap[parent]);
            at = parent;
        }
        self.put(at, timer);
    }

    /// Moves the hole at `at` down until `timer` fits into it.
    fn sift_down(&mut self, mut at: usize, timer: Timer) {
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.heap[child + 1].before(&self.heap[child]) {
                child += 1;
            }
            if !self.heap[child].before(&timer) {
                break;
            }
            self.put(at, self.heap[child]);
            at = child;
        }
        self.put(at, timer);
    }

    fn put(&mut self, at: usize, timer: Timer) {
        self.heap[at] = timer;
        self.places[place(timer.token)] = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(index: u32) -> Token {
        Token::new(index, 1, Tag::Operation)
    }

    fn drain(timers: &mut Timers, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop_due(now)).map(Token::index).collect()
    }

    #[test]
    fn none_fires_before_its_deadline() {
        let mut timers = Timers::default();
        timers.arm(token(0), 10);
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.first(), Some(10));
        assert_eq!(timers.pop_due(10), Some(token(0)));
        assert_eq!((timers.first(), timers.len()), (None, 0));
    }

    #[test]
    fn equal_deadlines_fire_in_arming_order() {
        let mut timers = Timers::default();
        for index in [5, 3, 9, 1, 7, 0, 2] {
            timers.arm(token(index), 10);
        }
        assert!(timers.disarm(token(9)));
        assert_eq!(drain(&mut timers, 10), [5, 3, 1, 7, 0, 2]);
    }

    #[test]
    fn a_slot_has_two_timers_and_each_is_its_own_activations() {
        let mut timers = Timers::default();
        let sleep = token(4);
        let timeout = sleep.with_tag(Tag::Deadline);
        timers.arm(sleep, 20);
        timers.arm(timeout, 10);
        let stale = Token::new(4, 0, Tag::Operation);
        assert!(!timers.disarm(stale));
        assert!(timers.disarm(timeout));
        assert!(!timers.disarm(timeout));
        assert_eq!(timers.pop_due(20), Some(sleep));
        assert!(!timers.disarm(sleep));
        assert!(!timers.disarm(token(1_000)));
    }

    /// Random arming, disarming and firing against a list that is searched and sorted.
    #[test]
    fn it_does_what_a_naive_list_does() {
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for _ in 0..50 {
            let mut timers = Timers::default();
            let mut naive: Vec<(u64, Token)> = Vec::new();
            let mut now = 0;
            for step in 0..400_u64 {
                match next(4) {
                    0 | 1 => {
                        let index = next(64) as u32;
                        if naive.iter().all(|(_, t)| t.index() != index) {
                            let token = Token::new(index, step, Tag::Operation);
                            let deadline = now + next(20);
                            timers.arm(token, deadline);
                            naive.push((deadline, token));
                        }
                    }
                    2 if !naive.is_empty() => {
                        let (_, token) = naive.remove(next(naive.len() as u64) as usize);
                        assert!(timers.disarm(token));
                    }
                    _ => {
                        now += next(6);
                        // Stable: equal deadlines stay in arming order.
                        naive.sort_by_key(|(deadline, _)| *deadline);
                        while naive.first().is_some_and(|(deadline, _)| *deadline <= now) {
                            assert_eq!(timers.pop_due(now), Some(naive.remove(0).1));
                        }
                        assert_eq!(timers.pop_due(now), None);
                    }
                }
                assert_eq!(timers.len(), naive.len());
                assert_eq!(timers.first(), naive.iter().map(|(deadline, _)| *deadline).min());
            }
        }
    }
}
