//! Echo pairs on the simulated kernel: what a completion costs, how that grows with the number of
//! connections, and what an idle connection takes.

use std::error::Error;
use std::io;
use std::sync::Arc;

use proactor::choice::{Chooser, Kind, Random, Site, Weight};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, World};
use proactor::{Handle, Proactor};

use crate::callgrind;
use crate::child::How;
use crate::client::MESSAGE;
use crate::meter;
use crate::sim::{Mode, simulate};
use crate::table::{Size, per, slope};

const ADDR: &str = "10.0.0.1:7";

/// Echo pairs; how many completions that were. `start` is called when all are connected.
pub fn echo(
    mode: Mode,
    connections: usize,
    messages: u64,
    start: impl FnOnce() + Send + 'static,
) -> Result<u64, Box<dyn Error>> {
    let chooser: Box<dyn Chooser> = match mode {
        Mode::Random => Box::new(random()),
        _ => Box::new(Kind),
    };
    let world = World::new(endless(), chooser);
    let proactor = Proactor::builder().simulated(&world).build()?;
    let all = All {
        listener: TcpListener::bind(&proactor, ADDR)?,
        each: |stream| serve(stream, Vec::with_capacity(MESSAGE)),
    };
    let begun = Arc::new(std::sync::OnceLock::new());
    let counted = (begun.clone(), world.clone());
    let left = messages / connections as u64;
    connect(
        proactor.handle(),
        all,
        Vec::new(),
        connections,
        move |streams| {
            let (begun, world) = counted;
            let _ = begun.set(world.completions());
            start();
            for (index, stream) in streams.into_iter().enumerate() {
                let got = 0;
                // Differing bytes, so that a mix-up would show.
                Client { stream, left, got }.send(vec![index as u8; MESSAGE]);
            }
        },
    );
    proactor.run()?;
    if let Some(violation) = world.violation() {
        return Err(violation.to_string().into());
    }
    Ok(world.completions() - begun.get().ok_or("not all were connected")?)
}

/// A benchmark is long on purpose.
fn endless() -> Config {
    Config {
        max_steps: u64::MAX,
        ..Config::default()
    }
}

/// How many bytes are allocated when so many connections are there, with a receive waiting at either side
/// of each.
pub fn idle(connections: usize) -> Result<u64, Box<dyn Error>> {
    let before = meter::allocated();
    let world = World::new(endless(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build()?;
    let pairs = All {
        listener: TcpListener::bind(&proactor, ADDR)?,
        each: wait,
    };
    let (handle, all) = (proactor.handle(), Arc::new(std::sync::OnceLock::new()));
    let counted = all.clone();
    connect(handle, pairs, Vec::new(), connections, move |streams| {
        streams.into_iter().for_each(wait);
        let _ = counted.set(());
        handle.stop();
    });
    proactor.run()?;
    all.get().ok_or("not all were connected")?;
    // The buffers are the program's.
    let buffers = (2 * connections * MESSAGE) as u64;
    Ok(meter::allocated() - before - buffers)
}

fn wait(stream: TcpStream) {
    let operation = stream.read(Vec::with_capacity(MESSAGE));
    operation.then(move |_| drop(stream));
}

/// The side that is called, and what it does with each connection.
struct All {
    listener: TcpListener,
    each: fn(TcpStream),
}

/// One connection after the other, so that none finds the backlog full, whatever the order of completions; `done`
/// gets them all.
fn connect(
    handle: Handle,
    all: All,
    mut streams: Vec<TcpStream>,
    left: usize,
    done: impl FnOnce(Vec<TcpStream>) + Send + 'static,
) {
    if left == 0 {
        return done(streams);
    }
    TcpStream::connect(&handle, ADDR).then(move |stream| {
        streams.push(stream.expect("nobody refuses"));
        all.listener.accept().then(move |accepted| {
            let (stream, _) = accepted.expect("nothing is reset");
            (all.each)(stream);
            connect(handle, all, streams, left - 1, done);
        });
    });
}

/// A short transfer is sent on from where it stopped; a connection ends at its end of file.
struct Client {
    stream: TcpStream,
    left: u64,
    got: usize,
}

impl Client {
    fn send(self, buffer: Vec<u8>) {
        let operation = self.stream.write(buffer);
        operation.then(move |(n, mut buffer)| {
            let n = n.expect("nothing is reset");
            if n < buffer.len() {
                buffer.drain(..n);
                self.send(buffer);
            } else {
                self.receive(buffer);
            }
        });
    }

    fn receive(mut self, buffer: Vec<u8>) {
        let operation = self.stream.read(buffer);
        operation.then(move |(n, mut buffer)| {
            self.got += n.expect("nothing is reset");
            if self.got < MESSAGE {
                return self.receive(buffer);
            }
            self.got = 0;
            self.left -= 1;
            if self.left > 0 {
                let byte = buffer[0];
                buffer.resize(MESSAGE, byte);
                self.send(buffer);
            }
        });
    }
}

fn serve(stream: TcpStream, buffer: Vec<u8>) {
    stream.read(buffer).then(move |(n, buffer)| {
        if n.expect("nothing is reset") > 0 {
            answer(stream, buffer);
        }
    });
}

fn answer(stream: TcpStream, buffer: Vec<u8>) {
    stream.write(buffer).then(move |(n, mut buffer)| {
        let n = n.expect("nothing is reset");
        if n < buffer.len() {
            buffer.drain(..n);
            answer(stream, buffer);
        } else {
            serve(stream, buffer);
        }
    });
}

/// The library's own random strategy: every order is drawn, and one in eight of what else there is to a transfer
/// deviates. (A reset would end what is to be measured.)
fn random() -> Random {
    let often = Weight::one_in(8);
    let sites = Site::ALL.into_iter();
    sites.fold(Random::new(1), |random, site| match site {
        Site::NextStep => random.weight(site, Weight::ALWAYS),
        Site::EffectLate | Site::RecvSize | Site::SendSize => random.weight(site, often),
        _ => random.weight(site, Weight::NEVER),
    })
}

/// What the library promises of the simulated kernel on one core.
struct Bar {
    mode: Mode,
    connections: usize,
    /// Completions a second.
    rate: Option<f64>,
    /// Instructions a completion.
    instructions: Option<f64>,
    /// How much more a completion may cost than on 64 connections.
    growth: Option<f64>,
}

const fn bar(
    mode: Mode,
    connections: usize,
    at_64: Option<(f64, f64)>,
    growth: Option<f64>,
) -> Bar {
    let (rate, instructions) = match at_64 {
        Some((rate, instructions)) => (Some(rate), Some(instructions)),
        None => (None, None),
    };
    Bar {
        mode,
        connections,
        rate,
        instructions,
        growth,
    }
}

const BARS: [Bar; 8] = [
    bar(Mode::Kind, 1, None, None),
    bar(Mode::Kind, 64, Some((10e6, 800.0)), None),
    bar(Mode::Kind, 1_000, None, Some(1.5)),
    bar(Mode::Kind, 10_000, None, Some(2.0)),
    bar(Mode::Random, 1, None, None),
    bar(Mode::Random, 64, Some((5e6, 800.0)), None),
    bar(Mode::Random, 1_000, None, Some(2.5)),
    bar(Mode::Random, 10_000, None, Some(2.5)),
];

/// Prints the table. False: something is over its bar.
pub fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let (rounds, messages) = match size {
        Size::Full => (5, 1_000_000),
        Size::Quick => (3, 100_000),
    };
    println!();
    println!("simulated kernel, oracles on, 64-byte echo with both sides on it, one thread");
    println!(
        "{:8} {:>11} {:>13} {:>6} {:>8} {:>5} {:>12} {:>5} {:>11}",
        "chooser",
        "connections",
        "completions/s",
        "bar",
        "cost/64",
        "bar",
        "instructions",
        "bar",
        "allocations"
    );
    let args = |bar: &Bar, messages: u64| {
        let each = messages.max(50 * bar.connections as u64);
        let (mode, connections) = (bar.mode.name().to_owned(), bar.connections.to_string());
        [mode, connections, each.to_string()]
    };
    // In turn, because a busy machine is slow for seconds.
    let mut costs = [const { Vec::new() }; BARS.len()];
    for _ in 0..rounds {
        for (bar, costs) in BARS.iter().zip(&mut costs) {
            let run = simulate(How::Plain, &args(bar, messages))?.0;
            costs.push(per(run.processor, run.events));
        }
    }
    let costs = costs.map(|mut costs| {
        costs.sort_by(f64::total_cmp);
        costs[costs.len() / 2]
    });
    let mut good = true;
    for (bar, cost) in BARS.iter().zip(costs) {
        let base = BARS
            .iter()
            .position(|other| other.mode == bar.mode && other.connections == 64);
        let growth = cost / base.map_or(cost, |base| costs[base]);
        let (mut instructions, mut allocations) = ("-".to_owned(), "-".to_owned());
        if valgrind {
            let mut ends = Vec::new();
            for messages in [20_000, 60_000] {
                let messages = messages.max(messages / 10_000 * bar.connections as u64);
                let name = format!("{}-{}-{messages}", bar.mode.name(), bar.connections);
                let (run, out) = simulate(How::Callgrind(&name), &args(bar, messages))?;
                let total = callgrind::read(&out.expect("under callgrind"))?.total;
                ends.push((run, total, run.events));
            }
            let slope = slope(ends[0], ends[1]);
            good &= bar.instructions.is_none_or(|bar| slope.instructions <= bar);
            instructions = format!("{:.0}", slope.instructions);
            allocations = format!("{:.3}", slope.allocations.abs());
        }
        // A short run on a busy machine says nothing of speed.
        good &= size == Size::Quick
            || bar.rate.is_none_or(|bar| 1e9 / cost >= bar)
                && bar.growth.is_none_or(|bar| growth <= bar);
        let text = |bar: Option<f64>| bar.map_or(String::new(), |bar| bar.to_string());
        println!(
            "{:8} {:>11} {:>13.0} {:>6} {growth:>8.2} {:>5} {instructions:>12} {:>5} {allocations:>11}",
            bar.mode.name(),
            bar.connections,
            1e9 / cost,
            bar.rate
                .map_or(String::new(), |rate| format!("{}M", rate / 1e6)),
            text(bar.growth),
            text(bar.instructions),
        );
    }
    let idle = |connections: u64| -> io::Result<u64> {
        let args = ["idle".into(), connections.to_string(), "0".into()];
        Ok(simulate(How::Plain, &args)?.0.events)
    };
    // From one power of two to the next: tables double.
    let (few, many) = (8_192, 16_384);
    println!(
        "an idle connection, a receive waiting at either side: {} bytes, kernel and proactor, both sides",
        (idle(many)? - idle(few)?) / (many - few)
    );
    Ok(good)
}
