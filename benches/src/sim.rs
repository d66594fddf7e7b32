//! The simulated kernel, through the public API: client and server on one proactor.

use std::error::Error;
use std::io;
use std::sync::Arc;

use proactor::check::{Checker, Sim};
use proactor::choice::{Alternatives, Chooser, Key, Kind, Site};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, World};
use proactor::sync::Shared;
use proactor::{Proactor, compose};

use crate::callgrind;
use crate::child::{self, How};
use crate::client::MESSAGE;
use crate::meter;
use crate::table::{Size, per, slope};

/// What runs on the simulated kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Echo pairs; the kernel does the kind thing.
    Kind,
    /// Echo pairs; the order is drawn, and one transfer in eight is short or late.
    Random,
    /// The checker runs a framed echo: executions are counted.
    Framed,
    /// The checker runs two handlers that race for a counter on two workers: the same.
    Counter,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Kind => "kind",
            Mode::Random => "random",
            Mode::Framed => "framed",
            Mode::Counter => "counter",
        }
    }

    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Kind, Mode::Random, Mode::Framed, Mode::Counter]
            .into_iter()
            .find(|mode| mode.name() == name)
    }
}

/// Runs `messages` (or executions) in all and ends the process.
pub fn run(mode: Mode, connections: usize, messages: u64) -> Result<(), Box<dyn Error>> {
    match mode {
        Mode::Kind | Mode::Random => {
            let completions = echo(mode, connections, messages, meter::start)?;
            meter::done(completions)
        }
        Mode::Framed => {
            meter::start();
            let summary = Checker::new()
                .executions(messages)
                .threads(1)
                .run(framed)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
        Mode::Counter => {
            meter::start();
            let summary = Checker::new()
                .workers(2)
                .races(false)
                .deviations(0)
                .executions(messages)
                .threads(1)
                .run(counter)
                .map_err(|failure| failure.to_string())?;
            meter::done(summary.executions())
        }
    }
}

/// Echo pairs; how many completions that were. `start` is called when everything is ready to run.
pub fn echo(
    mode: Mode,
    connections: usize,
    messages: u64,
    start: impl FnOnce(),
) -> Result<u64, Box<dyn Error>> {
    let chooser: Box<dyn Chooser> = match mode {
        Mode::Random => Box::new(Dice(0x9e37_79b9_7f4a_7c15)),
        _ => Box::new(Kind),
    };
    // A benchmark is long on purpose.
    let config = Config {
        max_steps: u64::MAX,
        ..Config::default()
    };
    let world = World::new(config, chooser);
    let proactor = Proactor::builder().simulated(&world).build()?;
    let addr = "10.0.0.1:7";
    let listener = TcpListener::bind(&proactor, addr)?;
    accept(Arc::new(listener), connections);
    for index in 0..connections as u64 {
        let left = messages / connections as u64;
        TcpStream::connect(&proactor, addr).then(move |stream| {
            let stream = stream.expect("nobody refuses");
            // Differing bytes, so that a mix-up would show.
            let buffer = vec![index as u8; MESSAGE];
            let client = Client {
                stream,
                left,
                got: 0,
            };
            client.send(buffer);
        });
    }
    start();
    proactor.run()?;
    if let Some(violation) = world.violation() {
        return Err(violation.to_string().into());
    }
    Ok(world.completions())
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

fn accept(listener: Arc<TcpListener>, left: usize) {
    if left == 0 {
        return;
    }
    listener.accept().then(move |accepted| {
        let (stream, _) = accepted.expect("nothing is reset");
        serve(stream, Vec::with_capacity(MESSAGE));
        accept(listener, left - 1);
    });
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

/// A small generator (xorshift64*): the kernel's cost is measured, not the quality of the dice.
struct Dice(u64);

impl Chooser for Dice {
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let draw = (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize;
        match site {
            Site::NextStep => draw % count,
            Site::EffectLate | Site::RecvSize | Site::SendSize if draw.is_multiple_of(8) => {
                1 + (draw >> 3) % (count - 1)
            }
            // A reset would end what is to be measured.
            _ => 0,
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
    let addr = "10.0.0.1:7";
    let Ok(listener) = TcpListener::bind(proactor, addr) else {
        return;
    };
    let accepting = listener.accept().then(|accepted| {
        if let Ok((stream, _)) = accepted {
            frame(Arc::new(stream));
        }
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

/// Completions a second that the library promises of the simulated kernel on one core.
const BAR: f64 = 3_000_000.0;

/// Executions a second of two workers and one counter that it promises of the checker in one process,
/// which runs them on all cores.
const COUNTER_BAR: f64 = 2_000_000.0;

pub fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let (rounds, messages) = match size {
        Size::Full => (5, 1_000_000),
        Size::Quick => (1, 100_000),
    };
    println!();
    println!("simulated kernel, oracles on, 64-byte echo with both sides on it, one thread");
    println!(
        "{:8} {:>11} {:>15} {:>9} {:>12} {:>12}",
        "chooser", "connections", "completions/s", "bar", "instructions", "allocations"
    );
    let mut good = true;
    for (mode, connections) in [
        (Mode::Kind, 1),
        (Mode::Kind, 64),
        (Mode::Kind, 1_000),
        (Mode::Kind, 10_000),
        (Mode::Random, 1),
        (Mode::Random, 64),
        (Mode::Random, 1_000),
        (Mode::Random, 10_000),
    ] {
        let args = |messages: u64| {
            [
                mode.name().to_owned(),
                connections.to_string(),
                messages.to_string(),
            ]
        };
        let mut rates = Vec::new();
        for _ in 0..rounds {
            let run = simulate(How::Plain, &args(messages))?.0;
            rates.push(1e9 / per(run.processor, run.events));
        }
        rates.sort_by(f64::total_cmp);
        let rate = rates[rates.len() / 2];
        let (mut instructions, mut allocations) = ("-".to_owned(), "-".to_owned());
        if valgrind {
            let mut ends = Vec::new();
            for messages in [20_000, 60_000] {
                let name = format!("{}-{connections}-{messages}", mode.name());
                let (run, out) = simulate(How::Callgrind(&name), &args(messages))?;
                let total = callgrind::read(&out.expect("under callgrind"))?.total;
                ends.push((run, total, run.events));
            }
            let slope = slope(ends[0], ends[1]);
            instructions = format!("{:.0}", slope.instructions);
            allocations = format!("{:.3}", slope.allocations.abs());
        }
        let bar = (mode == Mode::Kind && connections == 64).then_some(BAR);
        // A short run on a busy machine says nothing of speed.
        good &= size == Size::Quick || bar.is_none_or(|bar| rate >= bar);
        println!(
            "{:8} {connections:>11} {rate:>15.0} {:>9} {instructions:>12} {allocations:>12}",
            mode.name(),
            bar.map_or(String::new(), |bar| format!("{bar}")),
        );
    }

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

fn simulate(
    how: How<'_>,
    args: &[String; 3],
) -> io::Result<(child::Run, Option<std::path::PathBuf>)> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    child::simulation(how, &args)
}
