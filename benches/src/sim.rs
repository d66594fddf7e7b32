//! The simulated kernel and the checker, through the public API: client and server on one proactor.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use proactor::check::{Checker, Sim, Strategy};
use proactor::compose;
use proactor::net::{TcpListener, TcpStream};
use proactor::sync::Shared;

use crate::child::{self, How};
use crate::table::{Size, per};
use crate::{meter, pairs};

/// What runs on the simulated kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Echo pairs; the kernel does the kind thing.
    Kind,
    /// Echo pairs; the order is drawn, and one transfer in eight is short or late.
    Random,
    /// Connections on which nothing happens: their bytes are counted.
    Idle,
    /// The checker runs a framed echo: executions are counted.
    Framed,
    /// Its bounded search alone: every execution with at most 3 deviations, naively.
    Naive,
    /// Almost only its reduced search: of orders that are alike one, with at most 2 outcomes that are not kind.
    Reduced,
    /// The checker runs two handlers that race for a counter on two workers: the same.
    Counter,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Kind => "kind",
            Mode::Random => "random",
            Mode::Idle => "idle",
            Mode::Framed => "framed",
            Mode::Naive => "naive",
            Mode::Reduced => "reduced",
            Mode::Counter => "counter",
        }
    }

    pub fn from_name(name: &str) -> Option<Mode> {
        [
            Mode::Kind,
            Mode::Random,
            Mode::Idle,
            Mode::Framed,
            Mode::Naive,
            Mode::Reduced,
            Mode::Counter,
        ]
        .into_iter()
        .find(|mode| mode.name() == name)
    }
}

/// Runs `messages` (or executions) in all and ends the process.
pub fn run(mode: Mode, connections: usize, messages: u64) -> Result<(), Box<dyn Error>> {
    match mode {
        Mode::Kind | Mode::Random => {
            let completions = pairs::echo(mode, connections, messages, meter::start)?;
            meter::done(completions)
        }
        Mode::Idle => meter::done(pairs::idle(connections)?),
        Mode::Framed => {
            meter::counts_nothing();
            meter::start();
            let summary = Checker::new()
                .executions(messages)
                .threads(1)
                .run(framed)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
        Mode::Naive | Mode::Reduced => {
            meter::counts_nothing();
            meter::start();
            let checker = Checker::new().executions(messages).random(false).threads(1);
            let checker = match mode {
                Mode::Naive => checker.deviations(3),
                _ => checker.deviations(2).strands_share_only_tracked(),
            };
            let summary = checker.run(framed).map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
        Mode::Counter => {
            meter::counts_nothing();
            meter::start();
            let summary = Checker::new()
                .workers(2)
                .races(false)
                .strategy(Strategy::Random)
                .deviations(0)
                .executions(messages)
                .threads(1)
                .run(counter)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
    }
}

/// Two handlers that read a counter and write it, each a place to give way at.
fn counter(sim: &Sim) {
    let counter = Arc::new(Shared::new(0));
    for _ in 0..2 {
        let counter = counter.clone();
        sim.proactor().post(move || counter.set(counter.get() + 1));
    }
    let _ = sim.proactor().run();
}

/// One byte of length, then as many of payload; two frames there and back.
fn framed(sim: &Sim) {
    let proactor = sim.proactor();
    let addr = SocketAddr::from(([10, 0, 0, 1], 7));
    let Ok(listener) = TcpListener::bind(proactor, addr) else {
        return;
    };
    let last = listener.clone();
    let accepting = listener.accept().then(move |accepted| match accepted {
        Ok((stream, _)) => frame(Arc::new(stream)),
        // Too many open files: who has connected is not to wait for ever.
        Err(_) => last.close(),
    });
    TcpStream::connect(proactor, addr).then(move |stream| match stream {
        Ok(stream) => ask(Arc::new(stream), 2),
        // Refused: nobody else will come.
        Err(_) => accepting.cancel(),
    });
    let _ = proactor.run();
}

fn frame(stream: Arc<TcpStream>) {
    compose::read_exact(&*stream, vec![0; 1]).then(move |(n, head)| {
        if n.is_err() {
            return;
        }
        let body = vec![0; usize::from(head[0])];
        compose::read_exact(&*stream.clone(), body).then(move |(n, body)| {
            if n.is_err() {
                return;
            }
            let mut whole = head;
            whole.extend_from_slice(&body);
            compose::write_all(&*stream.clone(), whole).then(move |(n, _)| {
                if n.is_ok() {
                    frame(stream);
                }
            });
        });
    });
}

fn ask(stream: Arc<TcpStream>, left: u32) {
    if left == 0 {
        return;
    }
    compose::write_all(&*stream.clone(), b"\x05hello".to_vec()).then(move |(n, sent)| {
        if n.is_err() {
            return;
        }
        compose::read_exact(&*stream.clone(), vec![0; sent.len()]).then(move |(n, answer)| {
            if n.is_ok() {
                assert_eq!(answer, sent);
                ask(stream, left - 1);
            }
        });
    });
}

/// Executions a second of two workers and one counter that it promises of the checker in one process,
/// which runs them on all cores.
const COUNTER_BAR: f64 = 2_000_000.0;

/// How many times what an execution of naive search costs one of the reduced search may cost.
const REDUCED_BAR: f64 = 3.0;

/// Prints the tables of the simulated kernel. False: something is over its bar.
pub fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let mut good = pairs::print(size, valgrind)?;
    let executions = match size {
        Size::Full => 100_000,
        Size::Quick => 10_000,
    };
    let run = simulate(
        How::Plain,
        &["framed".into(), "1".into(), executions.to_string()],
    )?
    .0;
    println!();
    println!(
        "checker: {:.0} executions/s of a small framed echo, one thread",
        1e9 / per(run.processor, run.events)
    );
    let mut costs = [0.0; 2];
    for (cost, mode) in costs.iter_mut().zip([Mode::Naive, Mode::Reduced]) {
        let args = [mode.name().into(), "1".into(), executions.to_string()];
        let run = simulate(How::Plain, &args)?.0;
        *cost = per(run.processor, run.events);
    }
    let ratio = costs[1] / costs[0];
    println!(
        "checker: an execution of the reduced search costs {:.0} ns, of naive search {:.0} ns, {ratio:.2} times as \
         much (bar {REDUCED_BAR})",
        costs[1], costs[0]
    );
    good &= size == Size::Quick || ratio <= REDUCED_BAR;
    let run = simulate(
        How::Plain,
        &["counter".into(), "1".into(), (10 * executions).to_string()],
    )?
    .0;
    let one = 1e9 / per(run.processor, run.events);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = one * cores as f64;
    println!(
        "checker: {one:.0} executions/s of 2 workers and 1 counter, one thread; {all:.0} on {cores} cores (bar {COUNTER_BAR})",
    );
    good &= size == Size::Quick || all >= COUNTER_BAR;
    Ok(good)
}

pub fn simulate(
    how: How<'_>,
    args: &[String; 3],
) -> io::Result<(child::Run, Option<std::path::PathBuf>)> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    child::simulation(how, &args)
}
