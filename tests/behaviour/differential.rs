//! The same random scripts of TCP operations on the simulated kernel at its kindest and on the real one: every
//! result is the same.
//!
//! On loopback Linux works off a segment within the call that sends it, so that a script has one outcome. What the
//! simulation says would wait has to wait on the real kernel as well, for a moment.

use std::net::Shutdown;
use std::time::Duration;

use proactor::Proactor;
use proactor::choice::Kind;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, World};

use crate::tools::room;

const SCRIPTS: u64 = 300;

/// One step. Streams are numbered by connection: 2n the client's end, 2n + 1 the server's.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    Accept,
    Send(usize, usize),
    Recv(usize, usize),
    Shutdown(usize, Shutdown),
    Close(usize),
    /// With a linger time of zero.
    Reset(usize),
    Peer(usize),
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) as usize % n
    }

    fn script(&mut self) -> Vec<Step> {
        let mut script = vec![Step::Connect];
        let mut streams = 2;
        for _ in 0..self.below(20) + 4 {
            let stream = self.below(streams);
            script.push(match self.below(18) {
                0 => {
                    streams += 2;
                    Step::Connect
                }
                1..=3 => Step::Accept,
                4..=7 => Step::Send(stream, self.below(100)),
                8..=11 => Step::Recv(stream, self.below(120)),
                12 => Step::Shutdown(stream, Shutdown::Read),
                13 => Step::Shutdown(stream, Shutdown::Both),
                14 => Step::Shutdown(stream, Shutdown::Write),
                15 => Step::Close(stream),
                16 => Step::Reset(stream),
                _ => Step::Peer(stream),
            });
        }
        script
    }
}

/// A script on its way on one kernel.
struct Play<'a> {
    proactor: &'a Proactor,
    listener: TcpListener,
    streams: Vec<Option<TcpStream>>,
    accepted: usize,
}

const WAITS: &str = "waits";

impl Play<'_> {
    fn new(proactor: &Proactor) -> Play<'_> {
        Play {
            proactor,
            listener: TcpListener::bind(proactor, "127.0.0.1:0").unwrap(),
            streams: Vec::new(),
            accepted: 0,
        }
    }

    fn outcome<T>(result: std::io::Result<T>, say: impl FnOnce(T) -> String) -> String {
        match result {
            Ok(value) => say(value),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => WAITS.to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    /// What comes of a step; `None` if there is no such stream.
    fn step(&mut self, step: Step, patience: Duration) -> Option<String> {
        let stream = |at: usize| self.streams.get(at)?.clone();
        Some(match step {
            Step::Connect => {
                let addr = self.listener.local_addr().unwrap();
                let connect = TcpStream::connect(self.proactor, addr).timeout(patience);
                let result = self.proactor.block_on(connect).unwrap();
                self.streams.extend([result.as_ref().ok().cloned(), None]);
                Self::outcome(result, |_| "connected".to_owned())
            }
            Step::Accept => {
                let accept = self.listener.accept().timeout(patience);
                let result = self.proactor.block_on(accept).unwrap();
                let waits =
                    Self::outcome(result.as_ref().map_err(copy), |_| String::new()) == WAITS;
                if !waits {
                    let at = 2 * self.accepted + 1;
                    self.accepted += 1;
                    self.streams[at] = result.as_ref().ok().map(|(stream, _)| stream.clone());
                }
                Self::outcome(result, |_| "accepted".to_owned())
            }
            Step::Send(at, n) => {
                let stream = stream(at)?;
                let write = stream.write(vec![at as u8; n]).timeout(patience);
                let (result, _) = self.proactor.block_on(write).unwrap();
                Self::outcome(result, |n| format!("sent {n}"))
            }
            Step::Recv(at, n) => {
                let stream = stream(at)?;
                let read = stream.read(room(n)).timeout(patience);
                let (result, bytes) = self.proactor.block_on(read).unwrap();
                Self::outcome(result, |n| format!("received {n}: {:?}", &bytes[..n]))
            }
            Step::Shutdown(at, how) => {
                let stream = stream(at)?;
                let result = self.proactor.block_on(stream.shutdown(how)).unwrap();
                Self::outcome(result, |()| "shut down".to_owned())
            }
            Step::Close(at) | Step::Reset(at) => {
                let stream = stream(at)?;
                if matches!(step, Step::Reset(_)) {
                    stream.set_linger(Some(Duration::ZERO)).unwrap();
                }
                self.streams[at] = None;
                stream.close();
                // The kernel puts a socket down on the way out of the call that closes it.
                for _ in 0..2 {
                    self.proactor.poll().unwrap();
                }
                "closed".to_owned()
            }
            Step::Peer(at) => {
                let stream = stream(at)?;
                Self::outcome(stream.peer_addr(), |_| "has a peer".to_owned())
            }
        })
    }
}

fn copy(error: &std::io::Error) -> std::io::Error {
    error.kind().into()
}

/// The steps that make sense, at most two of which wait, and their outcomes on the simulated kernel.
fn simulated(script: &[Step]) -> Vec<(Step, String)> {
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build().unwrap();
    let mut play = Play::new(&proactor);
    let (mut told, mut waited) = (Vec::new(), 0);
    for &step in script {
        if let Some(outcome) = play.step(step, Duration::from_millis(1)) {
            waited += usize::from(outcome == WAITS);
            // Nothing comes of waiting: the step can be left out.
            if outcome != WAITS || waited <= 2 {
                told.push((step, outcome));
            }
        }
    }
    drop(play);
    drop(proactor);
    world.finish();
    assert_eq!(world.violation(), None);
    told
}

/// The first step whose outcome is another one on the real kernel.
fn differs(proactor: &Proactor, told: &[(Step, String)]) -> Option<(usize, String)> {
    let mut play = Play::new(proactor);
    for (at, (step, expected)) in told.iter().enumerate() {
        let patience = if expected == WAITS { 5 } else { 5_000 };
        let outcome = play.step(*step, Duration::from_millis(patience));
        let outcome = outcome.unwrap_or_else(|| "nothing".to_owned());
        if outcome != *expected && cfg!(windows) && is_windows_way(*step, expected, &outcome) {
            // What follows from it is another story.
            return None;
        }
        if outcome != *expected {
            return Some((at, outcome));
        }
    }
    None
}

/// Whether Windows, or Wine, ends a step so where Linux ends it as expected: see [`wine`](crate::wine).
fn is_windows_way(step: Step, expected: &str, outcome: &str) -> bool {
    match step {
        // Of what is over already.
        Step::Shutdown(..) => (expected, outcome) == ("NotConnected", "shut down"),
        Step::Send(..) => {
            let is_failure = |it: &str| it == "BrokenPipe" || it == "ConnectionReset";
            // Nothing to be sent is nothing to be done, or the reset is not there yet.
            is_failure(expected) && (is_failure(outcome) || outcome.starts_with("sent"))
        }
        Step::Recv(..) => match expected {
            "ConnectionReset" => outcome == "received 0: []",
            // Shutting a side down for receiving drops what has come.
            _ => expected.starts_with("received") && outcome == "received 0: []",
        },
        _ => false,
    }
}

#[test]
fn random_scripts_end_on_the_simulated_kernel_as_on_the_real_one() {
    let Ok(proactor) = Proactor::builder().workers(1).build() else {
        eprintln!("The real kernel was left out.");
        return;
    };
    // More of them: PROACTOR_SCRIPTS=300..5000
    let scripts = std::env::var("PROACTOR_SCRIPTS").map_or(0..SCRIPTS, |range| {
        let (from, to) = range.split_once("..").unwrap();
        from.parse().unwrap()..to.parse().unwrap()
    });
    let mut different = 0;
    for seed in scripts.clone() {
        let told = simulated(&Random(seed).script());
        // A machine that is very busy may leave a segment to its soft interrupt thread, or send it twice: then
        // once more.
        let mut found = None;
        for _ in 0..10 {
            found = differs(&proactor, &told);
            if found.is_none() {
                break;
            }
        }
        if let Some((at, outcome)) = found {
            different += 1;
            eprintln!("script {seed} differs:");
            for (step, outcome) in &told[..at] {
                eprintln!("  {step:?}: {outcome}");
            }
            let (step, expected) = &told[at];
            eprintln!("  {step:?}: simulated {expected}, really {outcome}");
        }
    }
    assert_eq!(different, 0, "of {scripts:?}");
}
