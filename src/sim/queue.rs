//! Queues of operations: one from which any element may be taken cheaply, and intrusive FIFO lists.

use super::op::Op;

/// No operation: the end of a list.
pub(super) const NIL: u32 = u32::MAX;

/// A queue, oldest first, from which the i-th may be taken.
///
/// Up to `EXACT` the others keep their order. A pick further back puts the oldest at the hole instead of
/// moving thousands (10,000 queued: 139 ns a completion instead of 685): a freedom of the random
/// schedules, which pick at random anyway. Element 0 is always what the kind schedule takes.
///
/// A ring of its own and not a `VecDeque`, which has no way to move a few elements by one but to swap them
/// pairwise: that was a sixth of a random run.
#[derive(Default)]
pub(super) struct Queue<T> {
    /// Empty, or a power of two long.
    ring: Vec<T>,
    head: usize,
    len: usize,
}

const EXACT: usize = 64;

impl<T: Copy + Default> Queue<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place in the ring of the i-th.
    #[inline]
    fn place(&self, index: usize) -> usize {
        (self.head + index) & self.ring.len().wrapping_sub(1)
    }

    #[inline(always)]
    pub(super) fn push(&mut self, item: T) {
        if self.len == self.ring.len() {
            self.grow();
        }
        let place = self.place(self.len);
        self.ring[place] = item;
        self.len += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.ring.rotate_left(self.head);
        self.head = 0;
        self.ring
            .resize((2 * self.ring.len()).max(16), T::default());
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        let item = *self.ring.get(self.head).filter(|_| self.len > 0)?;
        self.head = self.place(1);
        self.len -= 1;
        Some(item)
    }

    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<T> {
        (index < self.len).then(|| self.ring[self.place(index)])
    }

    /// Takes the i-th.
    #[inline]
    pub(super) fn take(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        if index >= EXACT {
            let (first, hole) = (self.head, self.place(index));
            self.ring[hole] = self.ring[first];
        } else if self.head + index < self.ring.len() {
            self.ring
                .copy_within(self.head..self.head + index, self.head + 1);
        } else {
            // Over the end of the ring.
            let (hole, last) = (self.place(index), self.ring.len() - 1);
            self.ring.copy_within(..hole, 1);
            self.ring[0] = self.ring[last];
            self.ring.copy_within(self.head..last, self.head + 1);
        }
        self.pop();
        Some(item)
    }

    /// Takes back the newest that matches, which is near the end.
    pub(super) fn remove_newest(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = (0..self.len)
            .rev()
            .find(|&at| matches(&self.ring[self.place(at)]))?;
        self.remove_at(index)
    }

    /// Takes out the first that matches, the others keep their order. Linear: for rare events.
    pub(super) fn remove(&mut self, matches: impl Fn(&T) -> bool) -> Option<T> {
        let index = (0..self.len).find(|&at| matches(&self.ring[self.place(at)]))?;
        self.remove_at(index)
    }

    fn remove_at(&mut self, index: usize) -> Option<T> {
        let item = self.get(index)?;
        for at in index + 1..self.len {
            let (from, to) = (self.place(at), self.place(at - 1));
            self.ring[to] = self.ring[from];
        }
        self.len -= 1;
        Some(item)
    }

    pub(super) fn clear(&mut self) {
        self.head = 0;
        self.len = 0;
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

    /// Whether nobody waits in any of them.
    #[inline]
    pub(super) fn are_empty(lists: [&List; 4]) -> bool {
        // NIL is all ones: no head may have a zero.
        lists.iter().fold(NIL, |all, list| all & list.head) == NIL
    }

    #[inline(always)]
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

    /// Takes the one that waits longest out: `next` is the one behind it.
    #[inline(always)]
    pub(super) fn pop(&mut self, ops: &mut [Op], next: u32) {
        self.head = next;
        if next == NIL {
            self.tail = NIL;
        } else {
            ops[next as usize].prev = NIL;
        }
    }

    #[inline]
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

    #[test]
    fn it_is_a_list_from_which_the_i_th_is_taken_wherever_the_ring_begins() {
        let mut queue = Queue::default();
        let mut list = Vec::new();
        for round in 0..2_000_u32 {
            if round % 7 < 4 {
                queue.push(round);
                list.push(round);
            } else if !list.is_empty() {
                let at = round as usize * 31 % list.len().min(EXACT);
                assert_eq!(queue.take(at), Some(list.remove(at)));
            }
            if round % 50 == 49 {
                let gone = list[list.len() / 3];
                assert_eq!(queue.remove(|&item| item == gone), Some(gone));
                list.retain(|&item| item != gone);
            }
            if round % 400 == 399 {
                while list.len() > 1 {
                    assert_eq!(queue.pop(), Some(list.remove(0)));
                }
            }
            let all: Vec<_> = (0..queue.len()).filter_map(|at| queue.get(at)).collect();
            assert_eq!(all, list);
        }
    }
}
