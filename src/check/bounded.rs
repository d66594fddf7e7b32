//! Deviation-bounded search: every execution with 0 deviations, then all with 1, with 2, and so on,
//! so that the first failure found is one with the fewest.
//!
//! After Emmi, Qadeer and Rakamarić, *Delay-bounded scheduling* (POPL 2011), and the iterative
//! context bounding of Musuvathi and Qadeer (PLDI 2007). Departures from them:
//!
//! - what is bounded is not delays of a scheduler but departures from the kind alternative, whatever
//!   the decision is about: an order, a size, an error. All cost one;
//! - breadth first over the number of deviations, where delay bounding starts again with each bound:
//!   nothing is run twice;
//! - no reduction: two executions that differ in the order of independent steps both count.
//!
//! Executing an item of one level (a list of deviations) records how many alternatives each decision
//! after its last deviation had; each of those alternatives is an item of the next level. Items are
//! not stored: a level keeps its executions and their recorded counts, and the `n`th item of the next
//! level is found by its number. So a level can be shared out among threads and cut off anywhere,
//! and means the same on any number of cores.

use std::ops::Range;

use super::execution::{Deviation, Tally};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// Follows a list of deviations and records what could have been chosen after the last one.
#[derive(Default)]
pub(crate) struct Scripted {
    deviations: Vec<Deviation>,
    next: usize,
    position: u32,
    recording: bool,
    /// The counts of the decisions after the last deviation, as [`push_count`] writes them.
    counts: Vec<u8>,
    unknown: Option<Lost>,
    pub(crate) tally: Tally,
}

/// A deviation that the program did not offer this time: it is not deterministic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) position: u32,
    /// How many alternatives there were, 0 if the execution ended before.
    pub(crate) offered: u32,
}

impl Scripted {
    /// Begins another execution; `write` fills the list of deviations.
    pub(crate) fn begin(&mut self, recording: bool, write: impl FnOnce(&mut Vec<Deviation>)) {
        self.deviations.clear();
        write(&mut self.deviations);
        self.next = 0;
        self.position = 0;
        self.recording = recording;
        self.counts.clear();
        self.unknown = None;
    }

    /// What the execution offered after its last deviation.
    pub(crate) fn counts(&self) -> &[u8] {
        &self.counts
    }

    /// The list that was followed.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// The first deviation that could not be followed.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.unknown.or_else(|| {
            self.deviations.get(self.next).map(|d| Lost {
                position: d.position,
                offered: 0,
            })
        })
    }
}

impl Chooser for Scripted {
    fn reads_keys(&self) -> bool {
        false
    }

    #[inline]
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let here = self.position;
        self.position += 1;
        let choice = match self.deviations.get(self.next) {
            Some(deviation) if deviation.position == here => {
                self.next += 1;
                if (deviation.alternative as usize) < count {
                    deviation.alternative as usize
                } else {
                    self.unknown.get_or_insert(Lost {
                        position: here,
                        offered: count as u32,
                    });
                    0
                }
            }
            Some(_) => 0,
            None => {
                if self.recording {
                    push_count(&mut self.counts, count);
                }
                0
            }
        };
        self.tally.count(site, choice)
    }
}

/// Appends a count: one byte for all that are likely, more for a crowd of pending operations.
#[inline]
fn push_count(bytes: &mut Vec<u8>, mut count: usize) {
    while count >= 0x80 {
        bytes.push(count as u8 | 0x80);
        count >>= 7;
    }
    bytes.push(count as u8);
}

/// Reads the count at `at`, and moves `at` behind it.
#[inline]
fn read_count(bytes: &[u8], at: &mut usize) -> u32 {
    let mut count = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        count |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    count
}

/// The executions of one level that were run, and what each offered for the next.
struct Level {
    nodes: Vec<Node>,
    counts: Vec<u8>,
    /// How many items the next level has.
    children: u64,
}

/// One execution of a level.
struct Node {
    /// Its parent's place in the level before.
    parent: u32,
    /// What it does beyond its parent. (The root does nothing: its is a placeholder.)
    deviation: Deviation,
    /// The number of its first item in the next level.
    first_child: u64,
    /// Where its counts begin in the level's, and its first decision's position.
    counts_at: u64,
    first_position: u32,
}

/// All levels of the search that were run so far.
pub(crate) struct Tree {
    levels: Vec<Level>,
    bytes: usize,
    limit: usize,
    /// The first level whose items are not all known, because memory ended.
    cut: Option<usize>,
}

/// Stands at one item of the next level.
pub(crate) struct Cursor {
    node: usize,
    at: usize,
    position: u32,
    count: u32,
    alternative: u32,
}

impl Tree {
    /// A search that keeps at most about `limit` bytes.
    pub(crate) fn new(limit: usize) -> Tree {
        Tree {
            levels: Vec::new(),
            bytes: 0,
            limit,
            cut: None,
        }
    }

    /// How many bytes more may be recorded.
    pub(crate) fn room(&self) -> usize {
        self.limit.saturating_sub(self.bytes)
    }

    /// Which level comes next: its items have that many deviations.
    pub(crate) fn depth(&self) -> usize {
        self.levels.len()
    }

    /// How many items the next level has.
    pub(crate) fn items(&self) -> u64 {
        self.levels.last().map_or(1, |level| level.children)
    }

    /// Whether the next level's items are all there are with that many deviations.
    pub(crate) fn is_whole(&self) -> bool {
        self.cut.is_none_or(|cut| self.depth() < cut)
    }

    /// Stands at the `index`th item of the next level.
    pub(crate) fn seek(&self, index: u64) -> Cursor {
        let Some(level) = self.levels.last() else {
            return Cursor {
                node: 0,
                at: 0,
                position: 0,
                count: 0,
                alternative: 0,
            };
        };
        // The last node that begins at or before the item. Nodes without items share their
        // successor's number, so the last one is the one that has items.
        let node = level
            .nodes
            .partition_point(|node| node.first_child <= index)
            - 1;
        let mut cursor = level.open(node);
        let mut left = index - level.nodes[node].first_child;
        while left >= u64::from(cursor.count - 1) {
            left -= u64::from(cursor.count - 1);
            cursor.position += 1;
            cursor.count = read_count(&level.counts, &mut cursor.at);
        }
        cursor.alternative = left as u32 + 1;
        cursor
    }

    /// Moves to the next item, which must exist.
    pub(crate) fn advance(&self, cursor: &mut Cursor) {
        let Some(level) = self.levels.last() else {
            return;
        };
        cursor.alternative += 1;
        if cursor.alternative < cursor.count {
            return;
        }
        let end = |node: usize| {
            level
                .nodes
                .get(node + 1)
                .map_or(level.counts.len(), |next| next.counts_at as usize)
        };
        if cursor.at < end(cursor.node) {
            cursor.position += 1;
            cursor.count = read_count(&level.counts, &mut cursor.at);
            cursor.alternative = 1;
            return;
        }
        let mut node = cursor.node + 1;
        while node < level.nodes.len() && level.nodes[node].counts_at as usize == end(node) {
            node += 1;
        }
        if node < level.nodes.len() {
            *cursor = level.open(node);
        }
    }

    /// Writes the deviations of the item at the cursor.
    pub(crate) fn write(&self, cursor: &Cursor, script: &mut Vec<Deviation>) {
        if self.levels.is_empty() {
            return;
        }
        script.push(Deviation {
            position: cursor.position,
            alternative: cursor.alternative,
        });
        let mut node = cursor.node;
        for level in self.levels[1..].iter().rev() {
            script.push(level.nodes[node].deviation);
            node = level.nodes[node].parent as usize;
        }
        script.reverse();
    }

    /// Takes in what the items `0..n` of the next level recorded, one length each, and goes on to the
    /// level after it.
    pub(crate) fn grow<'a>(&mut self, chunks: impl Iterator<Item = &'a Records>) {
        let mut level = Level {
            nodes: Vec::new(),
            counts: Vec::new(),
            children: 0,
        };
        let mut cursor = self.seek_first();
        'all: for chunk in chunks {
            let mut at = 0;
            for &length in &chunk.lengths {
                let size = length as usize + size_of::<Node>();
                if !chunk.recorded || self.bytes + size > self.limit {
                    self.cut.get_or_insert(self.levels.len() + 1);
                    break 'all;
                }
                self.bytes += size;
                let counts = &chunk.counts[at..at + length as usize];
                at += length as usize;
                level.push(&cursor, self.levels.is_empty(), counts);
                self.advance(&mut cursor);
            }
        }
        self.levels.push(level);
    }

    fn seek_first(&self) -> Cursor {
        // A level without items is never run; whoever asks has at least one.
        self.seek(0)
    }
}

impl Level {
    fn push(&mut self, cursor: &Cursor, root: bool, counts: &[u8]) {
        self.nodes.push(Node {
            parent: cursor.node as u32,
            deviation: Deviation {
                position: cursor.position,
                alternative: cursor.alternative,
            },
            first_child: self.children,
            counts_at: self.counts.len() as u64,
            first_position: if root { 0 } else { cursor.position + 1 },
        });
        self.counts.extend_from_slice(counts);
        let mut at = 0;
        while at < counts.len() {
            self.children += u64::from(read_count(counts, &mut at)) - 1;
        }
    }

    /// Stands at the first item of a node that has one.
    fn open(&self, node: usize) -> Cursor {
        let mut at = self.nodes[node].counts_at as usize;
        let count = read_count(&self.counts, &mut at);
        Cursor {
            node,
            at,
            position: self.nodes[node].first_position,
            count,
            alternative: 1,
        }
    }
}

/// What the executions of a range of items recorded.
#[derive(Default)]
pub(crate) struct Records {
    lengths: Vec<u32>,
    counts: Vec<u8>,
    recorded: bool,
}

impl Records {
    /// Room for the items of `range`; `recorded` is false once memory ended.
    pub(crate) fn new(range: &Range<u64>, recorded: bool) -> Records {
        let lengths = Vec::with_capacity((range.end - range.start) as usize);
        Records {
            lengths,
            counts: Vec::new(),
            recorded,
        }
    }

    /// How many executions went well.
    pub(crate) fn len(&self) -> u64 {
        self.lengths.len() as u64
    }

    /// The next item's execution is over.
    pub(crate) fn push(&mut self, counts: &[u8]) {
        self.lengths.push(counts.len() as u32);
        self.counts.extend_from_slice(counts);
    }

    /// How many bytes of memory the tree will need for them.
    pub(crate) fn size(&self) -> usize {
        self.counts.len() + self.lengths.len() * size_of::<Node>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::super::campaign::{Cut, Done, Found, LevelDone, Plan, search};
    use super::super::portfolio::Strategy;
    use super::super::progress::Progress;
    use super::super::toys::{Program, Toy, faults, orders};
    use crate::sim::Invariant;

    fn plan(deviations: usize, threads: usize) -> Plan {
        Plan {
            executions: u64::MAX,
            deviations,
            drops: true,
            random: false,
            reduced: true,
            strategy: Strategy::Random,
            seed: 0,
            first: 0,
            threads,
            deadline: None,
            memory: usize::MAX,
            repeat_every: 0,
            progress: Progress::quiet(),
        }
    }

    fn levels(done: &Done) -> Vec<u64> {
        done.levels.iter().map(|level| level.run).collect()
    }

    #[test]
    fn faults_have_their_closed_form() {
        for (ops, outcomes, bound, executions) in [
            (10, 4, 2, 436),
            (20, 4, 2, 1_771),
            (20, 4, 3, 32_551),
            (5, 2, 5, 32),
            (3, 4, 3, 64),
        ] {
            for threads in [1, 2] {
                let (done, found) = search(&faults(ops, outcomes), &plan(bound, threads));
                assert!(found.is_none());
                assert_eq!(
                    done.executions(),
                    executions,
                    "faults({ops}, {outcomes}, {bound})"
                );
                assert!(
                    done.levels
                        .iter()
                        .all(|level| level.whole && level.of == level.run)
                );
                assert_eq!(done.cut, None);
            }
        }
    }

    #[test]
    fn orders_are_counted_by_their_overtakings() {
        // An order of n has as many deviations as it has steps at which the oldest is not first:
        // n! in all, 1 without, and as many with one as there are later ones to prefer at a step.
        let (done, _) = search(&orders(4), &plan(9, 2));
        assert_eq!(levels(&done), [1, 6, 11, 6, 0]);
        let (done, _) = search(&orders(6), &plan(9, 2));
        assert_eq!(done.executions(), 720);
    }

    #[test]
    fn every_execution_is_run_once() {
        // The number of outcomes of an operation depends on the one before.
        let seen = Mutex::new(Vec::new());
        let toy = Program(|toy: &mut Toy<'_>| {
            let mut outcomes = vec![toy.outcome(0, 3)];
            for op in 1..6 {
                let before = outcomes[op as usize - 1];
                if before != 1 {
                    outcomes.push(toy.outcome(op, 2 + before));
                } else {
                    outcomes.push(0);
                }
            }
            seen.lock().expect("no panic").push(outcomes);
        });
        let (done, _) = search(&toy, &plan(6, 2));
        let mut seen = seen.into_inner().expect("no panic");
        seen.drain(..2); // the kind run, twice
        assert_eq!(done.executions() as usize, seen.len());
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
        assert!(done.levels.iter().all(|level| level.whole));
    }

    #[test]
    fn the_first_failure_is_a_shortest_one_on_any_number_of_threads() {
        let toy = Program(|toy: &mut Toy<'_>| {
            let deviations = (0..12).filter(|op| toy.outcome(*op, 4) == 3).count();
            if deviations >= 2 {
                toy.fail(Invariant::I1, "two");
            }
        });
        let mut answers = Vec::new();
        for threads in [1, 2, 4] {
            let (done, found) = search(&toy, &plan(4, threads));
            let Some(Found::Fault { script, number, .. }) = found else {
                panic!("it fails")
            };
            assert_eq!(script.deviations.len(), 2);
            answers.push((script, number, levels(&done)));
        }
        assert_eq!(answers[0], answers[1]);
        assert_eq!(answers[0], answers[2]);
        // 1 + 36, then operation 0 with outcomes 1 and 2 (33 each), then outcome 3 with 1's third.
        assert_eq!(answers[0].1, 1 + 36 + 66 + 3);
    }

    #[test]
    fn a_budget_cuts_a_level_at_the_same_place_on_any_number_of_threads() {
        for threads in [1, 3] {
            let plan = Plan {
                executions: 100,
                ..plan(2, threads)
            };
            let (done, found) = search(&faults(10, 4), &plan);
            assert!(found.is_none());
            assert_eq!(levels(&done), [1, 30, 69]);
            assert_eq!(
                done.levels[2],
                LevelDone {
                    run: 69,
                    of: 405,
                    whole: false
                }
            );
            assert_eq!(done.cut, Some(Cut::Executions));
        }
    }

    #[test]
    fn memory_is_bounded_and_its_end_is_told() {
        for threads in [1, 3] {
            let plan = Plan {
                memory: 10_000,
                ..plan(3, threads)
            };
            let (done, _) = search(&faults(20, 4), &plan);
            assert_eq!(levels(&done)[..3], [1, 60, 1_710]);
            assert!(done.levels[2].whole);
            let third = done.levels[3];
            assert!(
                third.run > 0 && third.run < 30_780 && !third.whole,
                "{third:?}"
            );
            assert_eq!(done.cut, Some(Cut::Memory));
        }
    }

    #[test]
    fn a_crowd_of_alternatives_is_counted_whole() {
        let toy = Program(|toy: &mut Toy<'_>| {
            toy.outcome(0, 300);
            toy.outcome(1, 20_000);
        });
        let (done, _) = search(&toy, &plan(1, 1));
        assert_eq!(levels(&done), [1, 299 + 19_999]);
    }

    #[test]
    fn a_program_that_offers_less_than_before_is_not_deterministic() {
        let runs = std::sync::atomic::AtomicU32::new(0);
        let toy = Program(|toy: &mut Toy<'_>| {
            let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            toy.outcome(0, if run < 3 { 4 } else { 2 });
        });
        let (_, found) = search(&toy, &plan(1, 1));
        let Some(Found::Difference(text)) = found else {
            panic!("it differs")
        };
        assert_eq!(
            text,
            "Decision 1 of the kernel had more alternatives once; run again it had 2."
        );
    }
}
