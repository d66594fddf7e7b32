//! How often each outcome was offered to each kind of operation, and taken: counted where the kernel chooses, and kept
//! from one execution to the next.
//!
//! What was offered is a set of outcomes of one rule, so one counter a decision is enough: the one that was taken out of
//! that set.

use std::collections::BTreeMap;

use super::op::Verb;
use super::transitions::{Rule, TABLE};

/// The most outcomes that a transition has.
const OUTCOMES: usize = 16;

/// Results that the state of things decides, too.
const ENDS: usize = 4;

/// A kind of operation, a rule, the outcomes that were offered: packed, and never 0.
type Key = u32;

fn key(verb: Verb, rule: Rule, offered: u16) -> Key {
    1 << 31 | (verb as u32) << 24 | (rule as u32) << 16 | u32::from(offered)
}

/// Counts, in the kernel.
#[derive(Default)]
pub(super) struct Counter {
    /// Open addressing: a key of 0 is free. Their number is a power of two, and a quarter of them at most is in use:
    /// nearly every key stands where it is looked for first.
    keys: Vec<Key>,
    /// Of the key in the same place.
    taken: Vec<[u64; OUTCOMES]>,
    used: usize,
    ended: [[u64; ENDS]; Verb::COUNT],
}

impl Counter {
    /// Of these outcomes of a rule, as bits, this one was taken.
    #[inline(always)]
    pub(super) fn takes(&mut self, verb: Verb, rule: Rule, offered: u16, outcome: usize) {
        let key = key(verb, rule, offered);
        let home = home(key, self.keys.len());
        if self.keys.get(home) == Some(&key)
            && let Some(taken) = self.taken.get_mut(home)
        {
            taken[outcome % OUTCOMES] += 1;
            return;
        }
        self.takes_elsewhere(key, outcome);
    }

    #[cold]
    #[inline(never)]
    fn takes_elsewhere(&mut self, key: Key, outcome: usize) {
        let at = self.place(key);
        self.taken[at][outcome % OUTCOMES] += 1;
    }

    /// The place of a key, which it has from now on.
    fn place(&mut self, key: Key) -> usize {
        if self.used * 4 >= self.keys.len() {
            self.grow();
        }
        let at = self.find(key);
        if self.keys[at] == 0 {
            self.keys[at] = key;
            self.used += 1;
        }
        at
    }

    /// The place of a key, or the free one that it would have.
    fn find(&self, key: Key) -> usize {
        let mut at = home(key, self.keys.len());
        while self.keys[at] != 0 && self.keys[at] != key {
            at = (at + 1) & (self.keys.len() - 1);
        }
        at
    }

    fn grow(&mut self) {
        let size = (self.keys.len() * 2).max(256);
        let keys = std::mem::replace(&mut self.keys, vec![0; size]);
        let taken = std::mem::replace(&mut self.taken, vec![[0; OUTCOMES]; size]);
        for (key, taken) in keys.into_iter().zip(taken).filter(|(key, _)| *key != 0) {
            let at = self.find(key);
            self.keys[at] = key;
            self.taken[at] = taken;
        }
    }

    /// So many times the first of these outcomes was taken.
    pub(super) fn is_kind(&mut self, verb: Verb, rule: Rule, offered: u16, times: u64) {
        let at = self.place(key(verb, rule, offered));
        self.taken[at][offered.trailing_zeros() as usize % OUTCOMES] += times;
    }

    /// An operation has its result.
    #[inline(always)]
    pub(super) fn ends(&mut self, verb: Verb, result: i32) {
        let end = match result {
            1.. => End::Some,
            0 => End::Zero,
            CANCELED => End::Canceled,
            _ => End::Error,
        };
        self.ended[verb as usize][end as usize] += 1;
    }

    /// What was counted so far.
    pub(super) fn matrix(&self) -> Matrix {
        let all = self.keys.iter().copied().zip(self.taken.iter().copied());
        Matrix {
            taken: all.filter(|(key, _)| *key != 0).collect(),
            ended: self.ended,
        }
    }
}

const CANCELED: i32 = -super::errno::ECANCELED;

/// Where a key is looked for first.
#[inline(always)]
fn home(key: Key, slots: usize) -> usize {
    // What differs is low in the rule, the outcomes and the operation: all of it comes to the upper bits.
    let spread = u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    spread as usize & slots.wrapping_sub(1)
}

/// How an operation ends, as far as that is no choice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// With bytes, or a handle, or anything else above 0.
    Some,
    Zero,
    Canceled,
    Error,
}

/// What was counted, of any number of executions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matrix {
    taken: BTreeMap<Key, [u64; OUTCOMES]>,
    ended: [[u64; ENDS]; Verb::COUNT],
}

/// One outcome of one kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) operation: &'static str,
    /// The place of its rule in the table, and of the outcome there.
    pub(crate) rule: usize,
    pub(crate) outcome: usize,
    pub(crate) offered: u64,
    pub(crate) taken: u64,
}

impl Matrix {
    /// Adds what other executions came to.
    pub(crate) fn add(&mut self, other: &Matrix) {
        for (key, taken) in &other.taken {
            let mine = self.taken.entry(*key).or_default();
            mine.iter_mut()
                .zip(taken)
                .for_each(|(mine, it)| *mine += it);
        }
        for (mine, theirs) in self.ended.iter_mut().zip(other.ended) {
            mine.iter_mut()
                .zip(theirs)
                .for_each(|(mine, it)| *mine += it);
        }
    }

    /// The operations that were used, in the order of the kernel's.
    pub(crate) fn operations(&self) -> Vec<&'static str> {
        let chosen = |verb: Verb| self.taken.keys().any(|key| key >> 24 & 0x7f == verb as u32);
        let used = |verb: &Verb| self.ended[*verb as usize] != [0; ENDS] || chosen(*verb);
        Verb::ALL.into_iter().filter(used).map(Verb::name).collect()
    }

    /// How often such an operation ended so.
    pub(crate) fn ended(&self, operation: &str, end: End) -> u64 {
        let verb = Verb::ALL.into_iter().find(|verb| verb.name() == operation);
        verb.map_or(0, |verb| self.ended[verb as usize][end as usize])
    }

    /// Every outcome that was offered to anybody.
    pub(crate) fn cells(&self) -> Vec<Cell> {
        let mut cells: BTreeMap<(u32, usize), Cell> = BTreeMap::new();
        for (key, taken) in &self.taken {
            let (verb, rule) = (key >> 24 & 0x7f, (key >> 16 & 0xff) as usize);
            let times: u64 = taken.iter().sum();
            for outcome in (0..OUTCOMES).filter(|outcome| key >> outcome & 1 != 0) {
                let cell = cells
                    .entry((verb << 16 | rule as u32, outcome))
                    .or_insert(Cell {
                        operation: Verb::ALL[verb as usize].name(),
                        rule,
                        outcome,
                        offered: 0,
                        taken: 0,
                    });
                cell.offered += times;
                cell.taken += taken[outcome];
            }
        }
        cells.into_values().collect()
    }
}

const _: () = assert!(TABLE.len() <= 256 && Verb::COUNT <= 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_offered_and_what_was_taken_is_counted_for_each_kind_of_operation() {
        let mut counter = Counter::default();
        // Three outcomes twice, two of them once.
        counter.takes(Verb::Recv, Rule::Recv, 0b111, 2);
        counter.takes(Verb::Recv, Rule::Recv, 0b111, 0);
        counter.takes(Verb::Recv, Rule::Recv, 0b101, 2);
        counter.takes(Verb::Send, Rule::Send, 0b011, 1);
        counter.ends(Verb::Recv, 7);
        counter.ends(Verb::Recv, 0);
        counter.ends(Verb::Timer, CANCELED);
        let mut matrix = counter.matrix();
        matrix.add(&counter.matrix());
        let of = |operation: &str| {
            let cells = matrix.cells().into_iter();
            cells
                .filter(|cell| cell.operation == operation)
                .map(|cell| (cell.outcome, cell.offered, cell.taken))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("recv"), [(0, 6, 2), (1, 4, 0), (2, 6, 4)]);
        assert_eq!(of("send"), [(0, 2, 0), (1, 2, 2)]);
        assert_eq!(matrix.operations(), ["timer", "recv", "send"]);
        let ends = [End::Some, End::Zero, End::Canceled, End::Error];
        assert_eq!(ends.map(|end| matrix.ended("recv", end)), [2, 2, 0, 0]);
        assert_eq!(ends.map(|end| matrix.ended("timer", end)), [0, 0, 2, 0]);
    }

    #[test]
    fn no_count_is_lost_where_keys_meet_and_the_table_grows() {
        let mut counter = Counter::default();
        for round in 1..=3 {
            for offered in 1..2_000 {
                counter.takes(Verb::Recv, Rule::Recv, offered, 0);
                counter.takes(Verb::Send, Rule::Recv, offered, 1);
            }
            let matrix = counter.matrix();
            assert_eq!(matrix.taken.len(), 2 * 1_999);
            let whole = |taken: &[u64; OUTCOMES]| taken.iter().sum::<u64>() == round;
            assert!(matrix.taken.values().all(whole));
        }
    }
}
