//! What simulated workers cost: a switch from one handler to another, the decision that leads to it (asked
//! at every switch point, whoever goes on), a bare switch of stacks; and an execution that has nothing to
//! do, or makes one connection.

use std::io;
use std::sync::Arc;

use corosensei::{Coroutine, CoroutineResult};
use proactor::check::{Checker, Sim, Strategy};
use proactor::choice::{Alternatives, Chooser, Key, Site};
use proactor::net::{TcpListener, TcpStream};
use proactor::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::callgrind;
use crate::child::{self, How};
use crate::meter;
use crate::table::{Size, per, slope};

/// What is done again and again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Two handlers come to switch points, with one worker: none is one.
    Alone,
    /// With two workers, and each goes on.
    GoesOn,
    /// With two workers, and each gives way.
    GivesWay,
    /// A coroutine is resumed, and suspends itself.
    Stack,
    /// Executions that do nothing.
    Nothing,
    /// Executions that make a connection and close it.
    Connection,
}

impl Mode {
    const ALL: [Mode; 6] = [
        Mode::Alone,
        Mode::GoesOn,
        Mode::GivesWay,
        Mode::Stack,
        Mode::Nothing,
        Mode::Connection,
    ];

    fn name(self) -> &'static str {
        match self {
            Mode::Alone => "alone",
            Mode::GoesOn => "goes-on",
            Mode::GivesWay => "gives-way",
            Mode::Stack => "stack",
            Mode::Nothing => "nothing",
            Mode::Connection => "connection",
        }
    }

    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// Does it so often and ends the process.
pub fn run(mode: Mode, times: u64) -> Result<(), Box<dyn std::error::Error>> {
    match mode {
        Mode::Alone => points(1, false, times),
        Mode::GoesOn => points(2, false, times),
        Mode::GivesWay => points(2, true, times),
        Mode::Stack => {
            let mut coroutine: Coroutine<(), (), ()> = Coroutine::new(move |mouth, ()| {
                loop {
                    mouth.suspend(());
                }
            });
            assert_eq!(coroutine.resume(()), CoroutineResult::Yield(()));
            meter::start();
            for _ in 0..times {
                std::hint::black_box(coroutine.resume(()));
            }
            meter::done(times);
        }
        Mode::Nothing => executions(times, |_| ()),
        Mode::Connection => executions(times, connection),
    }
}

/// Gives way wherever a handler can, or nowhere.
struct Always(bool);

impl Chooser for Always {
    fn choose(&mut self, site: Site, _: Key, _: usize, _: &dyn Alternatives) -> usize {
        usize::from(self.0 && site == Site::Worker)
    }
}

fn points(workers: usize, gives_way: bool, times: u64) -> Result<(), Box<dyn std::error::Error>> {
    let checker = Checker::new().workers(workers).races(false);
    let (ended, _) = checker.run_once(Always(gives_way), move |sim| {
        let number = Arc::new(AtomicU64::new(0));
        for _ in 0..2 {
            let number = number.clone();
            sim.proactor().post(move || {
                for _ in 0..times / 2 {
                    // Each is a switch point.
                    std::hint::black_box(number.load(Relaxed));
                }
            });
        }
        meter::start();
        let _ = sim.proactor().run();
        meter::done(times);
    });
    Err(ended.map_or_else(
        |failure| failure.to_string().into(),
        |_| "it came back".into(),
    ))
}

fn executions(
    times: u64,
    model: impl Fn(&Sim) + Send + Sync + 'static,
) -> Result<(), Box<dyn std::error::Error>> {
    meter::start();
    let summary = Checker::new()
        .strategy(Strategy::Random)
        .deviations(0)
        .executions(times)
        .threads(1)
        .run(model)
        .map_err(|failure| failure.to_string())?;
    meter::done(summary.executions());
}

fn connection(sim: &Sim) {
    let proactor = sim.proactor();
    let Ok(listener) = TcpListener::bind(proactor, "10.0.0.1:7") else {
        return;
    };
    let accepting = listener.accept().then(drop);
    TcpStream::connect(proactor, "10.0.0.1:7").then(move |stream| {
        if stream.is_err() {
            // Refused: nobody else will come.
            accepting.cancel();
        }
    });
    let _ = proactor.run();
}

/// The cost of one.
struct Cost {
    nanoseconds: f64,
    instructions: f64,
    allocations: f64,
}

impl Cost {
    fn of(mode: Mode, times: u64, valgrind: bool) -> io::Result<Cost> {
        let run = |how: How<'_>, times: u64| {
            child::simulation(how, &[mode.name(), "1", &times.to_string()])
        };
        let plain = run(How::Plain, times)?.0;
        let mut cost = Cost {
            nanoseconds: per(plain.processor, plain.events),
            instructions: f64::NAN,
            allocations: f64::NAN,
        };
        if valgrind {
            let mut ends = Vec::new();
            for times in [20_000, 60_000] {
                let name = format!("{}-{times}", mode.name());
                let (run, out) = run(How::Callgrind(&name), times)?;
                let total = callgrind::read(&out.expect("under callgrind"))?.total;
                ends.push((run, total, run.events));
            }
            let slope = slope(ends[0], ends[1]);
            cost.instructions = slope.instructions;
            cost.allocations = slope.allocations.abs();
        }
        Ok(cost)
    }
}

/// Nanoseconds that a switch may take, beyond the decision whether to.
const SWITCH_BAR: f64 = 20.0;

pub fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let times = match size {
        Size::Full => 10_000_000,
        Size::Quick => 1_000_000,
    };
    println!();
    println!("simulated workers, one thread");
    println!(
        "{:44} {:>10} {:>6} {:>13} {:>12}",
        "", "ns", "bar", "instructions", "allocations"
    );
    let mut good = true;
    let mut row = |what: &str, cost: &Cost, bar: Option<f64>| {
        println!(
            "{what:44} {:>10.1} {:>6} {:>13.0} {:>12.3}",
            cost.nanoseconds,
            bar.map_or(String::new(), |bar| format!("{bar}")),
            cost.instructions,
            cost.allocations
        );
        // A short run on a busy machine says nothing of speed.
        good &= size == Size::Quick || bar.is_none_or(|bar| cost.nanoseconds <= bar);
    };
    let alone = Cost::of(Mode::Alone, times, valgrind)?;
    let less = |cost: Cost| Cost {
        nanoseconds: cost.nanoseconds - alone.nanoseconds,
        instructions: cost.instructions - alone.instructions,
        allocations: cost.allocations,
    };
    let on = less(Cost::of(Mode::GoesOn, times, valgrind)?);
    let both = less(Cost::of(Mode::GivesWay, times, valgrind)?);
    let switch = Cost {
        nanoseconds: both.nanoseconds - on.nanoseconds,
        instructions: both.instructions - on.instructions,
        allocations: both.allocations,
    };
    row(
        "a switch: one handler left, another gone on",
        &switch,
        Some(SWITCH_BAR),
    );
    row("a decision to go on", &on, None);
    row("a decision to switch, and the switch", &both, None);
    let stack = Cost::of(Mode::Stack, times, valgrind)?;
    row("a bare stack, left and come back to", &stack, None);
    let nothing = Cost::of(Mode::Nothing, times / 10, valgrind)?;
    row("an execution of nothing", &nothing, None);
    let connection = Cost::of(Mode::Connection, times / 10, valgrind)?;
    row("an execution that makes a connection", &connection, None);
    Ok(good)
}
