//! Virtual time: deadlines in a heap that an operation can be taken out of again.

use super::op::Op;
use super::queue::NIL;

/// The operations that wait for a point in time, earliest first, then first submitted.
///
/// A binary heap; each operation knows its place in it (`Op::heap`), so that taking back a timeout, the
/// usual end of one, costs no search.
#[derive(Default)]
pub(super) struct Timers {
    heap: Vec<Entry>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    deadline: u64,
    order: u64,
    id: u32,
}

impl Timers {
    /// The earliest deadline, and whose it is.
    #[inline]
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.heap.first().map(|entry| (entry.deadline, entry.id))
    }

    pub(super) fn push(&mut self, ops: &mut [Op], id: u32, deadline: u64) {
        self.heap.push(Entry {
            deadline,
            order: ops[id as usize].order,
            id,
        });
        self.up(ops, self.heap.len() - 1);
    }

    /// Takes an operation out. Does nothing if it is not there.
    pub(super) fn remove(&mut self, ops: &mut [Op], id: u32) {
        let at = ops[id as usize].heap;
        if at == NIL {
            return;
        }
        ops[id as usize].heap = NIL;
        let at = at as usize;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.down(ops, at);
            self.up(ops, at);
        }
    }

    pub(super) fn clear(&mut self) {
        self.heap.clear();
    }

    fn up(&mut self, ops: &mut [Op], mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if self.heap[parent] <= entry {
                break;
            }
            self.heap[at] = self.heap[parent];
            ops[self.heap[at].id as usize].heap = at as u32;
            at = parent;
        }
        self.heap[at] = entry;
        ops[entry.id as usize].heap = at as u32;
    }

    fn down(&mut self, ops: &mut [Op], mut at: usize) {
        let entry = self.heap[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.heap[child + 1] < self.heap[child] {
                child += 1;
            }
            if entry <= self.heap[child] {
                break;
            }
            self.heap[at] = self.heap[child];
            ops[self.heap[at].id as usize].heap = at as u32;
            at = child;
        }
        self.heap[at] = entry;
        ops[entry.id as usize].heap = at as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_out_in_order_whatever_is_taken_back() {
        let mut ops = vec![Op::free(); 200];
        (0..).zip(&mut ops).for_each(|(order, op)| op.order = order);
        let mut timers = Timers::default();
        let deadline = |id: u32| u64::from(id) * 7919 % 101;
        (0..200).for_each(|id| timers.push(&mut ops, id, deadline(id)));
        (0..200)
            .step_by(3)
            .for_each(|id| timers.remove(&mut ops, id));
        timers.remove(&mut ops, 0);
        let mut expected: Vec<_> = (0..200)
            .filter(|id| id % 3 != 0)
            .map(|id| (deadline(id), id))
            .collect();
        expected.sort_unstable();
        let mut seen = Vec::new();
        while let Some((at, id)) = timers.first() {
            seen.push((at, id));
            timers.remove(&mut ops, id);
        }
        assert_eq!(seen, expected);
        assert_eq!(timers.first(), None);
    }
}
