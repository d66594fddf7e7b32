//! Queues of operations: one from which any element may be taken cheaply, and intrusive FIFO lists.

use std::collections::VecDeque;

use super::op::Op;

/// No operation: the end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// A queue, oldest first, from which the i-th may be taken.
///
/// Up to `EXACT` the others keep their order. A pick further back puts the oldest at the hole instead of
/// moving thousands (10,000 queued: 139 ns a completion instead of 685): a freedom of the random
/// schedules, which pick at random anyway. Element 0 is always what the kind schedule takes.
#[derive(Default)]
pub(super) struct Queue<T>(VecDeque<T>);

const EXACT: usize = 64;

impl<T: Copy> Queue<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    pub(super) fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }

    /// Takes back the newest that matches, which is near the end.
    pub(super) fn remove_newest(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.0.iter().rposition(matches)?;
        self.0.remove(index)
    }

    pub(super) fn get(&self, index: usize) -> Option<T> {
        self.0.get(index).copied()
    }

    /// Takes the i-th.
    pub(super) fn take(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        if index < EXACT {
            for at in (0..index).rev() {
                self.0.swap(at, at + 1);
            }
        } else {
            self.0.swap(0, index);
        }
        self.0.pop_front();
        Some(item)
    }

    /// Takes out the first that matches, the others keep their order. Linear: for rare events.
    pub(super) fn remove(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = self.0.iter().position(matches)?;
        self.0.remove(index)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A FIFO list of waiting operations, linked through their slots.
#[derive(Clone, Copy)]
pub(super) struct List {
    head: u32,
    tail: u32,
}

impl Default for List {
    fn default() -> List {
        List {
            head: NIL,
            tail: NIL,
        }
    }
}

impl List {
    /// The one that waits longest.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    pub(super) fn push(&mut self, ops: &mut [Op], id: u32) {
        ops[id as usize].prev = self.tail;
        ops[id as usize].next = NIL;
        if self.tail == NIL {
            self.head = id;
        } else {
            ops[self.tail as usize].next = id;
        }
        self.tail = id;
    }

    /// Ahead of all others.
    pub(super) fn push_first(&mut self, ops: &mut [Op], id: u32) {
        ops[id as usize].prev = NIL;
        ops[id as usize].next = self.head;
        if self.head == NIL {
            self.tail = id;
        } else {
            ops[self.head as usize].prev = id;
        }
        self.head = id;
    }

    pub(super) fn unlink(&mut self, ops: &mut [Op], id: u32) {
        let (prev, next) = (ops[id as usize].prev, ops[id as usize].next);
        if prev == NIL {
            self.head = next;
        } else {
            ops[prev as usize].next = next;
        }
        if next == NIL {
            self.tail = prev;
        } else {
            ops[next as usize].prev = prev;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_near_the_front_keeps_the_order_and_far_ones_come_out_once() {
        let mut queue = Queue::default();
        (0..200).for_each(|n| queue.push(n));
        assert_eq!(queue.take(3), Some(3));
        assert_eq!(queue.take(0), Some(0));
        assert_eq!(
            (queue.get(0), queue.get(1), queue.get(2)),
            (Some(1), Some(2), Some(4))
        );
        assert_eq!(queue.take(150), Some(152));
        assert_eq!(queue.take(500), None);
        assert_eq!(queue.remove_newest(|_| true), Some(199));
        let mut rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        rest.sort_unstable();
        assert_eq!(
            rest,
            (0..199)
                .filter(|n| ![0, 3, 152].contains(n))
                .collect::<Vec<_>>()
        );
    }
}
