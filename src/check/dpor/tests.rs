//! The search over small programs: closed forms, and naive search beside it.

use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::check::campaign::{Plan, search};
use crate::check::execution::Subject;
use crate::check::portfolio::Strategy;
use crate::check::program::{Cell, Machine, Program, Step};
use crate::choice::random::{below, seed_of};

/// All that a search came to.
#[derive(Debug, Default)]
struct Explored {
    count: Count,
    finals: HashSet<Vec<i64>>,
    forms: HashSet<Vec<(usize, EventId, usize)>>,
}

impl Dpor {
    /// Foata's normal form of the execution: each step in the first layer that what it depends on allows.
    fn form(&self, outcomes: &[(usize, usize)]) -> Vec<(usize, EventId, usize)> {
        let mut layers: Vec<usize> = Vec::new();
        for late in 0..self.steps.len() {
            let layer = (0..late)
                .filter(|early| dependent(self.touches_of(*early), self.touches_of(late)))
                .map(|early| layers[early] + 1)
                .max();
            layers.push(layer.unwrap_or(0));
        }
        let mut form: Vec<_> = (0..self.steps.len())
            .map(|step| {
                let chosen = outcomes.iter().filter(|(of, _)| *of == step);
                let word = chosen.fold(0, |word, (_, chosen)| word * 16 + chosen + 1);
                (layers[step], self.steps[step].event, word)
            })
            .collect();
        form.sort_unstable();
        form
    }
}

fn reduced(program: &Program) -> Explored {
    let mut explored = Explored::default();
    let mut machine = Machine::default();
    let mut dpor = Box::<Dpor>::default();
    loop {
        dpor.begin();
        dpor = program.run(&mut machine, dpor, 0).1;
        assert!(!dpor.lost());
        if !dpor.blocked() {
            let mut step = 0;
            let mut outcomes = Vec::new();
            for node in &dpor.path {
                match node {
                    Node::Step(_) => step += 1,
                    Node::Outcome { chosen, .. } => {
                        outcomes.push((step - 1, *chosen as usize));
                    }
                    Node::Late { .. } => {}
                }
            }
            assert!(
                explored.forms.insert(dpor.form(&outcomes)),
                "one class was run twice"
            );
            explored.finals.insert(machine.cells().to_vec());
        }
        if !dpor.advance() {
            explored.count = dpor.count;
            return explored;
        }
    }
}

/// Every execution there is. Its classes are told apart by a [`Dpor`] that only watches.
#[derive(Default)]
struct Naive {
    digits: Vec<(usize, usize)>,
    at: usize,
    watch: Dpor,
    outcomes: Vec<(usize, usize)>,
}

impl Chooser for Naive {
    fn choose(&mut self, site: Site, _: Key, count: usize, steps: &dyn Alternatives) -> usize {
        if self.at == self.digits.len() {
            self.digits.push((0, count));
        }
        let picked = self.digits[self.at].0;
        self.at += 1;
        if site.is_order() {
            self.watch.steps.push(Done {
                event: steps.event(picked).expect("steps have events"),
                node: 0,
                touched: self.watch.touched.len(),
            });
        } else {
            self.outcomes.push((self.watch.steps.len() - 1, picked));
        }
        picked
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, _: Site, _: Key, steps: &dyn Alternatives) {
        self.watch.steps.push(Done {
            event: steps.event(0).expect("steps have events"),
            node: 0,
            touched: self.watch.touched.len(),
        });
    }

    fn touches(&mut self, object: u64, write: bool) {
        if !self.watch.steps.is_empty() {
            self.watch.touched.push((object, write));
        }
    }
}

/// Nothing, if there are more than so many.
fn naive(program: &Program, most: u64) -> Option<Explored> {
    let mut explored = Explored::default();
    let mut machine = Machine::default();
    let mut naive = Box::<Naive>::default();
    loop {
        naive.at = 0;
        naive.outcomes.clear();
        naive.watch.begin();
        naive = program.run(&mut machine, naive, 0).1;
        explored.count.traces += 1;
        if explored.count.traces > most {
            return None;
        }
        explored.forms.insert(naive.watch.form(&naive.outcomes));
        explored.finals.insert(machine.cells().to_vec());
        loop {
            let Some((digit, count)) = naive.digits.pop() else {
                return Some(explored);
            };
            if digit + 1 < count {
                naive.digits.push((digit + 1, count));
                break;
            }
        }
    }
}

/// One writes, `count` read.
fn readers(count: usize) -> Program {
    let mut program = Program::new();
    let x = program.cell(0);
    program
        .thread("writer")
        .step([x.write()], move |step| step.set(x, 1));
    let seen = program.cells(count, 0);
    for seen in seen {
        program
            .thread("reader")
            .step([x.read(), seen.write()], move |step| {
                step.set(seen, step.get(x));
            });
    }
    program
}

/// Writers count up along an array; a reader looks for the last zero.
fn lastzero(count: usize, reader_first: bool) -> Program {
    let mut program = Program::new();
    let array = program.cells(count + 1, 0);
    let reader = |program: &mut Program, array: Vec<Cell>| {
        program
            .thread("reader")
            .step([], move |step| step.keep(0, count as i64))
            .step_on(
                {
                    let array = array.clone();
                    move |kept| vec![array[kept[0] as usize].read()]
                },
                move |step| {
                    if step.get(array[step.kept(0) as usize]) != 0 {
                        step.keep(0, step.kept(0) - 1);
                        step.jump(1);
                    }
                },
            );
    };
    if reader_first {
        reader(&mut program, array.clone());
    }
    for at in 1..=count {
        let (from, to) = (array[at - 1], array[at]);
        program
            .thread("writer")
            .step([from.read()], move |step| step.keep(0, step.get(from)))
            .step([to.write()], move |step| step.set(to, step.kept(0) + 1));
    }
    if !reader_first {
        reader(&mut program, array);
    }
    program
}

#[test]
fn the_closed_forms_are_met() {
    for count in 1..=8 {
        assert_eq!(reduced(&readers(count)).count.traces, 1 << count);
    }
    // (N+3) 2^(N-2)
    for (count, traces) in [(2, 5), (3, 12), (4, 28), (5, 64), (6, 144)] {
        for reader_first in [true, false] {
            let explored = reduced(&lastzero(count, reader_first));
            assert_eq!(explored.count.traces, traces, "{count}, {reader_first}");
            println!("lastzero({count}): {:?}", explored.count);
        }
    }
}

#[test]
fn strands_that_share_nothing_have_one_order_and_one_strand_all_of_them() {
    let indep = |strands: usize, steps: usize| {
        let mut program = Program::new();
        for _ in 0..strands {
            let cell = program.cell(0);
            let mut thread = program.thread("alone");
            for _ in 0..steps {
                thread = thread.step([cell.write()], move |step| {
                    step.add(cell, 1);
                });
            }
        }
        program
    };
    for (strands, steps) in [(2, 3), (2, 5), (3, 3), (4, 4)] {
        let count = reduced(&indep(strands, steps)).count;
        assert_eq!(
            count,
            Count {
                traces: 1,
                blocked: 0
            }
        );
    }
    let orders = |program: &Program| naive(program, 10_000).map(|all| all.count.traces);
    assert_eq!(orders(&indep(2, 3)), Some(20));
    assert_eq!(orders(&indep(3, 3)), Some(1_680));

    let fanin = |posters: i64| {
        let mut program = Program::new();
        let strand = program.strand();
        let order = program.cell(0);
        let (handler, code) = program.handler(strand, "handler");
        code.step([order.write()], move |step| {
            step.set(order, step.get(order) * 10 + step.kept(0));
        });
        for poster in 1..=posters {
            program.thread("poster").step([strand.post()], move |step| {
                step.keep(0, poster);
                step.post(handler);
            });
        }
        program
    };
    for (posters, orders) in [(2, 2), (3, 6), (4, 24), (5, 120), (6, 720)] {
        let explored = reduced(&fanin(posters));
        assert_eq!(explored.finals.len(), orders);
        assert_eq!(explored.count.traces, orders as u64);
    }
}

#[test]
fn the_progress_is_told_exactly_where_all_branches_are_alike() {
    let mut program = Program::new();
    let x = program.cell(0);
    let twice = |step: &mut Step<'_>| {
        step.choose(4);
        step.choose(2);
    };
    program.thread("one").step([x.write()], twice);
    let mut machine = Machine::default();
    let mut dpor = Box::<Dpor>::default();
    for behind in 1..8 {
        dpor.begin();
        dpor = program.run(&mut machine, dpor, 0).1;
        assert!(dpor.advance());
        assert_eq!(dpor.progress(), f64::from(behind) / 8.0);
    }
}

#[test]
fn a_campaign_gives_the_reduced_search_little_unless_its_end_is_near() {
    let reduced = |readers_in_it| {
        let plan = Plan {
            executions: 4_000,
            deviations: 0,
            drops: true,
            random: true,
            reduced: true,
            strategy: Strategy::Random,
            seed: 0,
            first: 0,
            threads: 1,
            deadline: None,
            memory: usize::MAX,
            repeat_every: 0,
            progress: crate::check::progress::Progress::quiet(),
        };
        let (done, found) = search(&readers(readers_in_it), &plan);
        assert!(found.is_none());
        let reduced = done.reduced.expect("programs tell all");
        let run = reduced.count.traces + reduced.count.blocked;
        (run, reduced.whole, done.random)
    };
    // One execution was the kind one. A sixteenth of the others:
    assert_eq!(reduced(12), (250, false, 4_000 - 1 - 250));
    // Half of its 512 traces are behind by then, and random executions would only repeat them.
    assert_eq!(reduced(9), (512, true, 0));
    assert_eq!(reduced(3), (8, true, 0));
}

/// A program of a few threads whose steps read and write a few cells, take a lock, wait, or choose.
fn generated(seed: u64) -> Program {
    let mut draws = 0;
    let mut draw = move |count: usize| {
        draws += 1;
        below(seed_of(seed, draws), count)
    };
    let mut program = Program::new();
    let cells = program.cells(3, 0);
    let lock = program.lock();
    let strand = program.strand();
    let (handler, code) = program.handler(strand, "handler");
    let cell = cells[draw(3)];
    code.step([cell.write()], move |step| {
        let value = step.get(cell) * 3 + step.kept(0) + 1;
        step.set(cell, value % 1_000);
    });
    let threads = 2 + draw(2);
    for name in 0..threads {
        let steps = 1 + draw(if threads == 2 { 4 } else { 3 });
        let mut thread = program.thread(&format!("thread {name}"));
        let mut locked = false;
        for at in 0..steps {
            let (from, to) = (cells[draw(3)], cells[draw(3)]);
            let salt = (name * 10 + at) as i64 + 1;
            thread = match draw(8) {
                0 | 1 => thread.step([from.read()], move |step| {
                    step.keep(0, step.kept(0) * 5 + step.get(from));
                }),
                2 | 3 => thread.step([to.write()], move |step| {
                    step.set(to, (step.kept(0) + salt) % 1_000);
                }),
                4 => thread.step([from.read(), to.write()], move |step| {
                    step.set(to, (step.get(from) * 7 + salt) % 1_000);
                }),
                5 => thread.step([to.write()], move |step| {
                    let more = step.choose(2) as i64;
                    step.set(to, (step.get(to) + more * salt) % 1_000);
                }),
                6 if !locked => {
                    locked = true;
                    thread.lock(lock)
                }
                6 => {
                    locked = false;
                    thread.unlock(lock)
                }
                _ => thread.step([strand.post()], move |step| step.post(handler)),
            };
        }
        if locked {
            thread.unlock(lock);
        }
    }
    program
}

#[test]
fn reduced_and_naive_search_come_to_the_same() {
    let mut sizes = BTreeMap::new();
    for seed in 0..3_000 {
        let program = generated(seed);
        let Some(all) = naive(&program, 1_000) else {
            continue;
        };
        let some = reduced(&program);
        assert_eq!(all.finals, some.finals, "seed {seed}: other ends");
        assert_eq!(all.forms, some.forms, "seed {seed}: other classes");
        assert_eq!(some.count.traces, some.forms.len() as u64);
        *sizes.entry(all.count.traces.ilog2()).or_insert(0) += 1;
    }
    println!("executions of naive search, by powers of two: {sizes:?}");
    assert!(sizes.values().sum::<i32>() > 2_000);
}
