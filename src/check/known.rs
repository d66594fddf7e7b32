//! Strategies held against what is known of them: probabilities of small programs of the literature, exact
//! where the draws can be enumerated, else within 4 standard errors.
//!
//! The programs are those of SCTBench (Thomson, Donaldson, Betts, TOPC 2016), one shared access or one
//! critical section a step; a run ends at its first failure.

use super::Checker;
use super::dice::{Dice, Every};
use super::execution::Subject;
use super::pct::Pct;
use super::pos::Pos;
use super::program::{Machine, Program};
use super::scheduled::{Known, Learner, Scheduled, Scheduler};
use super::surw::Surw;
use super::walk::Walk;
use crate::choice::random::seed_of;
use crate::choice::{Alternatives, Chooser, Key, Site};

/// Setters write two cells one after the other; a checker must find both written or neither.
fn reorder(setters: usize, checkers: usize) -> Program {
    let mut program = Program::new();
    let (a, b) = (program.cell(0), program.cell(0));
    for _ in 0..setters {
        program
            .thread("setter")
            .step([a.write()], move |step| step.set(a, 1))
            .step([b.write()], move |step| step.set(b, -1));
    }
    for _ in 0..checkers {
        program
            .thread("checker")
            .step([a.read()], move |step| step.keep(0, step.get(a)))
            .step([b.read()], move |step| {
                let seen = (step.kept(0), step.get(b));
                step.assert(seen == (0, 0) || seen == (1, -1), "one without the other");
            });
    }
    program
}

/// Two data under two locks; the second must be seen once the first is.
fn twostage(writers: usize, readers: usize) -> Program {
    let mut program = Program::new();
    let (first, second) = (program.lock(), program.lock());
    let (one, two) = (program.cell(0), program.cell(0));
    for _ in 0..writers {
        program
            .thread("writer")
            .step([first.section(), one.write()], move |step| step.set(one, 1))
            .step([second.section(), one.read(), two.write()], move |step| {
                step.set(two, step.get(one) + 1);
            });
    }
    for _ in 0..readers {
        program
            .thread("reader")
            .step([first.section(), one.read()], move |step| {
                if step.get(one) == 0 {
                    return step.end();
                }
                step.keep(0, step.get(one));
            })
            .step([second.section(), two.read()], move |step| {
                step.assert(step.get(two) == step.kept(0) + 1, "the second is missing");
            });
    }
    program
}

/// A driver that is stopped while a request begins.
fn bluetooth() -> Program {
    let mut program = Program::new();
    let pending = program.cell(1);
    let (flag, event, stopped) = (program.cell(0), program.cell(0), program.cell(0));
    program
        .thread("add")
        .step([flag.read()], move |step| {
            if step.get(flag) != 0 {
                step.jump(3);
            }
        })
        .step([pending.write()], move |step| {
            step.add(pending, 1);
        })
        .step([stopped.read()], move |step| {
            step.assert(step.get(stopped) == 0, "a request on a stopped driver");
        })
        .step([pending.write()], move |step| {
            if step.add(pending, -1) != 0 {
                step.end();
            }
        })
        .step([event.write()], move |step| step.set(event, 1));
    program
        .thread("stop")
        .step([flag.write()], move |step| step.set(flag, 1))
        .step([pending.write()], move |step| {
            if step.add(pending, -1) != 0 {
                step.jump(3);
            }
        })
        .step([event.write()], move |step| step.set(event, 1))
        .step([event.read()], move |step| {
            if step.get(event) == 0 {
                step.end();
            }
        })
        .step([stopped.write()], move |step| step.set(stopped, 1));
    program
}

fn known_of(program: &Program) -> Known {
    let (_, learner) = program.run(&mut Machine::default(), Box::<Learner>::default(), 0);
    learner.known()
}

/// The exact probability that an execution fails: every draw in turn.
fn exact<S: Scheduler>(program: &Program, known: &Known, make: impl Fn(&mut S)) -> f64 {
    let mut machine = Machine::default();
    let mut failing = 0.0;
    let mut total = 0.0;
    let mut every = Shared::default();
    loop {
        let mut chooser = Box::new(Scheduled::<S>::with(&make));
        chooser.begin_with(known, Box::new(every.clone()));
        let (outcome, _) = program.run(&mut machine, chooser, 0);
        let probability = every.0.lock().expect("no panic").probability();
        total += probability;
        if outcome.fault.is_some() {
            failing += probability;
        }
        if !every.0.lock().expect("no panic").advance() {
            break;
        }
    }
    assert!((total - 1.0).abs() < 1e-9, "the draws add up to {total}");
    every.0 = std::sync::Arc::default();
    failing
}

/// Dice that the test can look at while the chooser holds them.
#[derive(Clone, Default)]
struct Shared(std::sync::Arc<std::sync::Mutex<Every>>);

impl Dice for Shared {
    fn below(&mut self, count: usize) -> usize {
        self.0.lock().expect("no panic").below(count)
    }

    fn word(&mut self) -> u64 {
        self.0.lock().expect("no panic").word()
    }
}

/// The share of failing executions among so many.
fn sampled<S: Scheduler>(
    program: &Program,
    known: &Known,
    runs: u64,
    make: impl Fn(&mut S),
) -> f64 {
    let mut machine = Machine::default();
    let mut chooser = Box::new(Scheduled::<S>::with(&make));
    let mut failing = 0;
    for index in 0..runs {
        chooser.begin(known, seed_of(1, index));
        let (outcome, back) = program.run(&mut machine, chooser, 0);
        chooser = back;
        failing += u64::from(outcome.fault.is_some());
    }
    failing as f64 / runs as f64
}

/// One line of the table of known answers.
struct Row {
    name: &'static str,
    program: Program,
    /// The longest execution.
    steps: usize,
    walk: f64,
    pct: [Answer; 3],
    pos: f64,
    urw: f64,
}

#[derive(Clone, Copy)]
enum Answer {
    Exactly(f64),
    About(f64),
}

use Answer::{About, Exactly};

fn table() -> Vec<Row> {
    let row = |name, program, steps, walk, d2, d3, pos, urw| Row {
        name,
        program,
        steps,
        walk,
        pct: [Exactly(0.0), d2, d3],
        pos,
        urw,
    };
    vec![
        row(
            "reorder(2,1)",
            reorder(2, 1),
            6,
            0.2469,
            Exactly(1.0 / 9.0),
            Exactly(11.0 / 54.0),
            0.325,
            0.319,
        ),
        row(
            "reorder(4,1)",
            reorder(4, 1),
            10,
            0.1992,
            Exactly(1.0 / 25.0),
            Exactly(19.0 / 250.0),
            0.251,
            0.238,
        ),
        row(
            "reorder(9,1)",
            reorder(9, 1),
            20,
            0.1268,
            About(0.010),
            About(0.019),
            0.153,
            0.143,
        ),
        row(
            "twostage(1,1)",
            twostage(1, 1),
            4,
            0.125,
            Exactly(1.0 / 8.0),
            Exactly(5.0 / 32.0),
            0.163,
            0.172,
        ),
        row(
            "twostage(2,1)",
            twostage(2, 1),
            6,
            0.1235,
            Exactly(1.0 / 18.0),
            Exactly(11.0 / 108.0),
            0.140,
            0.155,
        ),
        row(
            "twostage(9,1)",
            twostage(9, 1),
            20,
            0.0634,
            About(0.005),
            About(0.009),
            0.050,
            0.070,
        ),
        row(
            "bluetooth",
            bluetooth(),
            9,
            0.0391,
            Exactly(1.0 / 18.0),
            Exactly(2.0 / 27.0),
            0.063,
            0.033,
        ),
    ]
}

const RUNS: u64 = 20_000;

/// The standard error of a share of `RUNS`.
fn error(share: f64) -> f64 {
    (share * (1.0 - share) / RUNS as f64).sqrt()
}

#[test]
fn strategies_find_what_they_are_known_to_find_as_often() {
    println!(
        "{:14} {:>16} {:>16} {:>16} {:>16} {:>16}",
        "program", "walk", "pct 2", "pct 3", "pos", "surw (all)"
    );
    for row in table() {
        let mut known = known_of(&row.program);
        let mut line = format!("{:14}", row.name);
        let mut say = |is: f64, should: f64| line += &format!("  {is:.4} ({should:.4})");
        // Few enough draws to try them all.
        let small = row.steps <= 10;
        let walk = if small {
            exact::<Walk>(&row.program, &known, |_| ())
        } else {
            sampled::<Walk>(&row.program, &known, RUNS, |_| ())
        };
        say(walk, row.walk);
        let off = (walk - row.walk).abs();
        let allowed = if small {
            0.00006
        } else {
            4.0 * error(row.walk)
        };
        assert!(off <= allowed, "{}: walk {walk} {}", row.name, row.walk);
        let urw_counts = known.clone();
        known.steps = row.steps;
        for (depth, answer) in (1..).zip(row.pct) {
            let make = |pct: &mut Pct| pct.depth = Some(depth);
            let (is, should, allowed) = match answer {
                Exactly(should) if small => (exact(&row.program, &known, make), should, 1e-9),
                Exactly(should) | About(should) => {
                    let is = sampled(&row.program, &known, RUNS, make);
                    // The answer itself has one digit of its thousandths.
                    (is, should, 4.0 * error(should) + 0.0005)
                }
            };
            if depth > 1 {
                say(is, should);
            }
            assert!(
                (is - should).abs() <= allowed,
                "{}: PCT of depth {depth}: {is}, and not {should}",
                row.name
            );
        }
        // The answers are samples as well, of as many runs.
        let near = |is: f64, should: f64| {
            (is - should).abs() <= 4.0 * (error(is).powi(2) + error(should).powi(2)).sqrt() + 0.0005
        };
        let pos = sampled::<Pos>(&row.program, &known, RUNS, |_| ());
        say(pos, row.pos);
        assert!(
            near(pos, row.pos),
            "{}: POS {pos}, and not {}",
            row.name,
            row.pos
        );
        let urw = sampled::<Surw>(&row.program, &urw_counts, RUNS, |surw| surw.all = true);
        say(urw, row.urw);
        assert!(
            near(urw, row.urw),
            "{}: SURW {urw}, and not {}",
            row.name,
            row.urw
        );
        println!("{line}");
    }
}

/// Two threads of 5 steps that touch one cell: which of the 252 orders was it?
fn five_and_five() -> Program {
    let mut program = Program::new();
    let order = program.cell(1);
    for bit in 0..2 {
        let mut thread = program.thread("either");
        for _ in 0..5 {
            thread = thread.step([order.write()], move |step| {
                step.set(order, step.get(order) << 1 | bit);
            });
        }
    }
    program
}

/// How often each order came in 25,200 runs.
fn orders<S: Scheduler>(make: impl Fn(&mut S)) -> Vec<f64> {
    let program = five_and_five();
    let known = known_of(&program);
    let mut machine = Machine::default();
    let mut chooser = Box::new(Scheduled::<S>::with(&make));
    let mut seen = vec![0.0; 1 << 11];
    for index in 0..25_200 {
        chooser.begin(&known, seed_of(2, index));
        chooser = program.run(&mut machine, chooser, 0).1;
        seen[machine.cells()[0] as usize] += 1.0;
    }
    seen
}

/// Those of the 2^10 words that have five of each: the orders, with what the random walk gives each.
fn words() -> impl Iterator<Item = (usize, f64)> {
    (1 << 10..1 << 11)
        .filter(|word: &usize| word.count_ones() == 6)
        .map(|word| {
            let mut left = [5, 5];
            let mut probability = 1.0;
            for place in (0..10).rev() {
                if left[0] > 0 && left[1] > 0 {
                    probability /= 2.0;
                }
                left[word >> place & 1] -= 1;
            }
            (word, probability)
        })
}

fn chi_square(seen: &[f64], expected: impl Iterator<Item = (usize, f64)>) -> f64 {
    expected
        .map(|(word, expected)| (seen[word] - expected).powi(2) / expected)
        .sum()
}

#[test]
fn surw_is_uniform_the_walk_is_not_and_pct_misses_orders() {
    assert_eq!(words().count(), 252);
    // 251 degrees of freedom: the mean is 251 and the standard deviation 22.4; beyond 341 is 4 of them.
    let bound = 341.0;
    let uniform = || words().map(|(word, _)| (word, 100.0));
    let walk_has = || words().map(|(word, probability)| (word, 25_200.0 * probability));

    let surw = orders::<Surw>(|surw| surw.all = true);
    let (is, against) = (chi_square(&surw, uniform()), chi_square(&surw, walk_has()));
    println!("SURW: chi-square {is:.0} of uniform, {against:.0} of the walk's");
    assert!(is < bound && against > bound);

    let walk = orders::<Walk>(|_| ());
    let (is, against) = (chi_square(&walk, walk_has()), chi_square(&walk, uniform()));
    println!("walk: chi-square {is:.0} of its own, {against:.0} of uniform");
    assert!(is < bound && against > bound);

    let pct = orders::<Pct>(|pct| pct.depth = Some(3));
    let missed = words().filter(|(word, _)| pct[*word] == 0.0).count();
    let against = chi_square(&pct, uniform());
    println!("PCT(3): chi-square {against:.0} of uniform, {missed} of 252 orders never seen");
    assert!(against > bound);
}

/// Counts every execution there is: the odometer that the closed forms are held against.
#[derive(Default)]
struct Odometer {
    digits: Vec<(usize, usize)>,
    at: usize,
}

impl Odometer {
    fn advance(&mut self) -> bool {
        self.at = 0;
        while let Some((digit, count)) = self.digits.pop() {
            if digit + 1 < count {
                self.digits.push((digit + 1, count));
                return true;
            }
        }
        false
    }
}

impl Chooser for Odometer {
    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        if self.at == self.digits.len() {
            self.digits.push((0, count));
        }
        self.at += 1;
        self.digits[self.at - 1].0
    }
}

#[test]
fn the_programs_have_as_many_orders_as_are_known() {
    let count = |program: &Program| {
        let (mut all, mut failing) = (0, 0);
        let mut odometer = Box::<Odometer>::default();
        let mut machine = Machine::default();
        loop {
            let (outcome, back) = program.run(&mut machine, odometer, 0);
            odometer = back;
            all += 1;
            failing += u64::from(outcome.fault.is_some());
            if !odometer.advance() {
                return (all, failing);
            }
        }
    };
    // An execution ends where it fails: a failing prefix counts once.
    assert_eq!(count(&reorder(2, 1)), (82, 20));
    assert_eq!(count(&reorder(4, 1)), (93_968, 7_496));
    assert_eq!(count(&twostage(1, 1)), (4, 1));
    assert_eq!(count(&twostage(2, 1)), (58, 6));
    assert_eq!(count(&bluetooth()), (73, 4));
}

#[test]
fn the_checker_finds_shrinks_and_tells_a_program() {
    let failure = Checker::new()
        .name("bluetooth")
        .run_program(bluetooth())
        .expect_err("the driver is stopped under a request");
    assert_eq!(failure.deviations().len(), 1);
    let report = failure.to_string();
    assert!(report.contains("a request on a stopped driver"), "{report}");
}

#[test]
fn a_mended_program_is_proved_by_one_execution_of_each_class() {
    let mut program = Program::new();
    let (counter, lock) = (program.cell(0), program.lock());
    for _ in 0..3 {
        program
            .thread("adder")
            .lock(lock)
            .step([counter.read()], move |step| {
                step.keep(0, step.get(counter))
            })
            .step([counter.write()], move |step| {
                step.set(counter, step.kept(0) + 1);
            })
            .unlock(lock);
    }
    program.at_end(move |step| step.assert(step.get(counter) == 3, "an update is lost"));
    let summary = Checker::new().name("adders").run_program(program);
    assert_eq!(
        summary.expect("it is mended").to_string().lines().nth(2),
        Some("  proved   every execution, reduced to 6 traces, none fails")
    );
}

#[test]
fn a_deadlock_is_told_with_who_waits_where() {
    let mut program = Program::new();
    let (one, two) = (program.lock(), program.lock());
    program
        .thread("ab")
        .lock(one)
        .lock(two)
        .unlock(two)
        .unlock(one);
    program
        .thread("ba")
        .lock(two)
        .lock(one)
        .unlock(one)
        .unlock(two);
    let failure = Checker::new().run_program(program).expect_err("a deadlock");
    assert_eq!(failure.deviations().len(), 1);
    let report = failure.to_string();
    assert!(report.contains("deadlock: these wait"), "{report}");
    assert!(report.contains("`ab` at step 2"), "{report}");
}
