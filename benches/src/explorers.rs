//! The checker beside shuttle and loom, on the same small models: executions a second, on one thread each.
//!
//! What differs is said beside the table: shuttle draws at random and looks for nothing by itself, loom
//! exhausts and models weak memory. Ours draws at random, with the simulated kernel under it and all oracles on.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use proactor::check::program::Program;
use proactor::check::{Checker, Sim, Strategy};

use crate::child::{self, How};
use crate::meter;
use crate::table::{Size, per};

/// Who explores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Explorer {
    /// On the proactor, with everything that a user's program has under it.
    Ours,
    /// The same threads as steps of a `Program`: the checker alone, without the library.
    Steps,
    Shuttle,
    Loom,
}

impl Explorer {
    const ALL: [Explorer; 4] = [
        Explorer::Ours,
        Explorer::Steps,
        Explorer::Shuttle,
        Explorer::Loom,
    ];

    fn name(self) -> &'static str {
        match self {
            Explorer::Ours => "ours",
            Explorer::Steps => "steps",
            Explorer::Shuttle => "shuttle",
            Explorer::Loom => "loom",
        }
    }

    pub fn from_name(name: &str) -> Option<Explorer> {
        Explorer::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What is explored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Model {
    /// Two workers add to one counter under a lock.
    Counter,
    /// Three senders, one receiver.
    Senders,
}

impl Model {
    const ALL: [Model; 2] = [Model::Counter, Model::Senders];

    pub fn name(self) -> &'static str {
        match self {
            Model::Counter => "counter",
            Model::Senders => "senders",
        }
    }

    pub fn from_name(name: &str) -> Option<Model> {
        Model::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Explores so many executions, or a few more, and ends the process.
pub fn run(explorer: Explorer, model: Model, times: u64) -> Result<(), Box<dyn Error>> {
    meter::counts_nothing();
    match explorer {
        Explorer::Ours => {
            let model = match model {
                Model::Counter => counter,
                Model::Senders => senders,
            };
            meter::start();
            let summary = random(times)
                .workers(2)
                .run(model)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
        Explorer::Steps => {
            let program = match model {
                Model::Counter => counter_in_steps(),
                Model::Senders => senders_in_steps(),
            };
            meter::start();
            let summary = random(times)
                .reduced(false)
                .run_program(program)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
        Explorer::Shuttle => {
            let model = match model {
                Model::Counter => shuttle_counter,
                Model::Senders => shuttle_senders,
            };
            meter::start();
            shuttle::check_random(model, usize::try_from(times)?);
            meter::done(times)
        }
        Explorer::Loom => {
            let model = match model {
                Model::Counter => loom_counter,
                Model::Senders => loom_senders,
            };
            let explored = Arc::new(std::sync::atomic::AtomicU64::new(0));
            meter::start();
            // It is soon at its end: again, then.
            while explored.load(SeqCst) < times {
                let explored = explored.clone();
                let mut builder = loom::model::Builder::new();
                builder.max_branches = 100_000;
                builder.max_permutations = Some(usize::try_from(times)?);
                builder.check(move || {
                    explored.fetch_add(1, SeqCst);
                    model();
                });
            }
            meter::done(explored.load(SeqCst))
        }
    }
}

/// So many random executions on one thread, and nothing before them.
fn random(times: u64) -> Checker {
    Checker::new()
        .strategy(Strategy::Random)
        .deviations(0)
        .executions(times)
        .threads(1)
}

fn counter(sim: &Sim) {
    let counter = Arc::new(proactor::sync::Mutex::new(0));
    for _ in 0..2 {
        let counter = counter.clone();
        sim.proactor()
            .post(move || *counter.lock().expect("nobody panics") += 1);
    }
    let _ = sim.proactor().run();
    assert_eq!(*counter.lock().expect("nobody panics"), 2);
}

fn counter_in_steps() -> Program {
    let mut program = Program::new();
    let (lock, counter) = (program.lock(), program.cell(0));
    for worker in ["one", "other"] {
        program
            .thread(worker)
            .lock(lock)
            .step([counter.write()], move |step| {
                step.add(counter, 1);
            })
            .unlock(lock);
    }
    program.at_end(move |step| step.assert(step.get(counter) == 2, "an update is lost"));
    program
}

fn shuttle_counter() {
    let counter = Arc::new(shuttle::sync::Mutex::new(0));
    let workers = [(); 2].map(|()| {
        let counter = counter.clone();
        shuttle::thread::spawn(move || *counter.lock().expect("nobody panics") += 1)
    });
    for worker in workers {
        worker.join().expect("it ends");
    }
    assert_eq!(*counter.lock().expect("nobody panics"), 2);
}

fn loom_counter() {
    let counter = Arc::new(loom::sync::Mutex::new(0));
    let workers = [(); 2].map(|()| {
        let counter = counter.clone();
        loom::thread::spawn(move || *counter.lock().expect("nobody panics") += 1)
    });
    for worker in workers {
        worker.join().expect("it ends");
    }
    assert_eq!(*counter.lock().expect("nobody panics"), 2);
}

fn senders(sim: &Sim) {
    let proactor = sim.proactor();
    let (send, mut receive) = proactor::sync::mpsc::channel(3);
    for number in 1..=3 {
        let send = send.clone();
        proactor.post(move || send.try_send(number).expect("there is room"));
    }
    drop(send);
    drop(proactor.spawn(async move {
        let mut sum = 0;
        while let Some(number) = receive.recv().await {
            sum += number;
        }
        assert_eq!(sum, 6);
    }));
    let _ = proactor.run();
}

/// The channel is a number, of which each digit is a value that waits there, the oldest the lowest.
fn senders_in_steps() -> Program {
    let mut program = Program::new();
    let (channel, sum) = (program.cell(0), program.cell(0));
    for number in 1..=3 {
        program
            .thread("sender")
            .step([channel.write()], move |step| {
                let waiting = step
                    .get(channel)
                    .checked_ilog(10)
                    .map_or(0, |last| last + 1);
                step.add(channel, number * 10_i64.pow(waiting));
            });
    }
    let mut receiver = program.thread("receiver");
    for _ in 0..3 {
        receiver = receiver.step_when(
            channel,
            |waiting| waiting > 0,
            [channel.write(), sum.write()],
            move |step| {
                let waiting = step.get(channel);
                step.add(sum, waiting % 10);
                step.set(channel, waiting / 10);
            },
        );
    }
    program.at_end(move |step| step.assert(step.get(sum) == 6, "a value is lost"));
    program
}

fn shuttle_senders() {
    let (send, receive) = shuttle::sync::mpsc::channel();
    let senders = [1, 2, 3].map(|number| {
        let send = send.clone();
        shuttle::thread::spawn(move || send.send(number).is_ok())
    });
    drop(send);
    let sum: i32 = receive.iter().sum();
    assert_eq!(sum, 6);
    for sender in senders {
        sender.join().expect("it ends");
    }
}

fn loom_senders() {
    let (send, receive) = loom::sync::mpsc::channel();
    let senders = [1, 2, 3].map(|number| {
        let send = send.clone();
        loom::thread::spawn(move || send.send(number).is_ok())
    });
    let mut sum = 0;
    for _ in 0..3 {
        sum += receive.recv().expect("there are three");
    }
    assert_eq!(sum, 6);
    for sender in senders {
        sender.join().expect("it ends");
    }
}

/// How many times as fast as shuttle and loom it has to be.
const SHUTTLE_BAR: f64 = 10.0;
const LOOM_BAR: f64 = 100.0;
/// Executions a second of a framed echo on one connection, on one core.
const ECHO_BAR: f64 = 400_000.0;

/// Executions a second of each explorer, in the order of [`Explorer::ALL`]: the best of so many rounds, in which they
/// run in turn, so that what else the machine does slows none of them alone.
fn speeds(model: Model, scale: u64, rounds: usize) -> io::Result<[f64; Explorer::ALL.len()]> {
    let mut best = [0.0_f64; Explorer::ALL.len()];
    for _ in 0..rounds {
        for (best, explorer) in best.iter_mut().zip(Explorer::ALL) {
            let times = match explorer {
                Explorer::Ours | Explorer::Steps => 100_000,
                Explorer::Shuttle => 10_000,
                Explorer::Loom => 2_000,
            };
            let times = (times * scale).to_string();
            let run = child::own(
                How::Plain,
                &["explore", explorer.name(), model.name(), &times],
            )?
            .0;
            *best = best.max(1e9 / per(run.processor, run.events));
        }
    }
    Ok(best)
}

/// Prints the table. False: something is under its bar.
pub fn print(size: Size) -> io::Result<bool> {
    let (scale, rounds) = match size {
        Size::Full => (5, 10),
        Size::Quick => (1, 1),
    };
    println!();
    println!("executions a second, one thread, oracles on, best of {rounds} in turn");
    println!(
        "{:36} {:>10} {:>10} {:>8} {:>5} {:>10} {:>8} {:>5}",
        "", "ours", "shuttle", "ratio", "bar", "loom", "ratio", "bar"
    );
    let mut good = true;
    for (model, what) in [
        (Model::Counter, "two workers, one counter"),
        (Model::Senders, "three senders, one receiver"),
    ] {
        let [ours, steps, shuttle, loom] = speeds(model, scale, rounds)?;
        print!("{what:36} {ours:>10.0}");
        for (theirs, bar) in [(shuttle, SHUTTLE_BAR), (loom, LOOM_BAR)] {
            let ratio = ours / theirs;
            print!(" {theirs:>10.0} {ratio:>8.1} {bar:>5}");
            good &= size == Size::Quick || ratio >= bar;
        }
        println!();
        print!("{:36} {steps:>10.0}", "  the same as steps of a `Program`");
        println!(
            " {:>10} {:>8.1} {:>5} {:>10} {:>8.1}",
            "",
            steps / shuttle,
            "",
            "",
            steps / loom
        );
    }
    let mut speed = 0.0_f64;
    for _ in 0..rounds.min(3) {
        let run = child::simulation(How::Plain, &["framed", "1", &(20_000 * scale).to_string()])?.0;
        speed = speed.max(1e9 / per(run.processor, run.events));
    }
    println!("a framed echo on one connection      {speed:>10.0}   (bar {ECHO_BAR})");
    good &= size == Size::Quick || speed >= ECHO_BAR;
    Ok(good)
}
