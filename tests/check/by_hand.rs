//! A kernel held by hand that is asked for anything: random calls, wise and unwise, with wild numbers.
//!
//! Whatever it is asked for it answers with a result or an error that says why; it never panics, it comes to an end,
//! every operation ends once, and every byte of a stream comes out where it went in, over links, resets and all. (The
//! oracle `bytes-conserved` counts in every execution; what the bytes are it does not look at, since that would cost
//! each of them twice: here they are looked at.) `cargo test --test check -- --ignored longer` runs as many scripts as
//! `SCRIPTS` says, from the seed `FROM` on.

use std::collections::{HashMap, HashSet};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use proactor::choice::Site;
use proactor::sim::hand::{
    Event, File, HandError, Host, Interest, Listener, Object, OpId, Owner, Request, Step, Stream,
};
use proactor::sim::{Config, Hand, Oracle, Personality};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, them: &[T]) -> T {
        them[self.below(them.len())]
    }

    fn maybe<T: Copy>(&mut self, them: &[T]) -> Option<T> {
        (!them.is_empty()).then(|| self.of(them))
    }

    fn time(&mut self) -> Duration {
        const WILD: [Duration; 4] = [
            Duration::ZERO,
            Duration::MAX,
            Duration::from_nanos(u64::MAX),
            Duration::from_nanos(u64::MAX - 1),
        ];
        match self.below(12) {
            0 => self.of(&WILD),
            1 => Duration::from_secs(self.next() % 100_000),
            _ => Duration::from_millis(self.next() % 1_000),
        }
    }

    fn number(&mut self) -> u64 {
        const WILD: [u64; 6] = [
            u64::MAX,
            1 << 63,
            (1 << 63) - 1,
            1 << 30,
            (1 << 30) - 1,
            1 << 20,
        ];
        match self.below(10) {
            0 => self.of(&WILD),
            _ => self.next() % 40,
        }
    }

    fn addr(&mut self, hosts: &[Host]) -> SocketAddr {
        const PORTS: [u16; 4] = [80, 81, 0, u16::MAX];
        const WILD: [&str; 12] = [
            "127.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::1]",
            "10.0.0.1",
            "10.0.0.77",
            "10.0.0.254",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "[2001:db8::1]",
            "8.8.8.8",
        ];
        let port = self.of(&PORTS);
        match self.maybe(hosts) {
            Some(host) if !self.one_in(3) => host.addr(port),
            _ if self.one_in(3) => format!("{}:{port}", self.of(&WILD)).parse().unwrap(),
            _ => SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    fn path(&mut self) -> &'static str {
        const PATHS: [&str; 16] = [
            "/f", "/f", "/g", "/d", "/d/f", "/d/e", "/d/e/f", "/", "", ".", "..", "/../f", "f/",
            "//d//f", "/d/../f", "/f\0g",
        ];
        self.of(&PATHS)
    }

    fn config(&mut self) -> Config {
        let mut config = Config {
            personality: self.of(&Personality::ALL),
            trace: self.one_in(4),
            stream_buffer: self.of(&[0, 1, 2, 10, 10, 64, 65_536]),
            faults_per_operation: self.of(&[0, 1, 2, 2, u32::MAX]),
            ..Config::default()
        };
        if self.one_in(8) {
            config.poison = false;
            config.eof_spin = 0;
            config.most_operations = 0;
            config.most_bytes = 0;
            config.starvation = Duration::ZERO;
            config.handler_budget = Some(Duration::ZERO);
            config.max_steps = 0;
            config.quiet_steps = 0;
        }
        config
    }
}

/// Somebody who works a kernel without a plan, and remembers what is open, closed and under way.
struct Player {
    hand: Hand,
    dice: Dice,
    hosts: Vec<Host>,
    listeners: Vec<Listener>,
    streams: Vec<Stream>,
    files: Vec<File>,
    events: Vec<Event>,
    /// Submitted, and not reaped.
    under_way: HashSet<OpId>,
    reaped: HashSet<OpId>,
    /// In half of all scripts a side sends one thing at a time and receives one at a time: then it is certain
    /// what comes out.
    careful: bool,
    /// What is under way: on which side, and for a send how much.
    sending: HashMap<OpId, String>,
    receiving: HashMap<OpId, String>,
    /// Of the request that is made: its side, and whether it sends.
    next_side: Option<(String, bool)>,
    /// How many bytes went in, and came out, by side.
    sent: HashMap<String, usize>,
    received: HashMap<String, usize>,
}

/// The byte that a side sends at this place.
fn byte(side: &str, at: usize) -> u8 {
    let seed = side.bytes().fold(7_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    (seed.wrapping_add(at as u32).wrapping_mul(0x9e37_79b9) >> 24) as u8
}

/// The other end of `c3 client`.
fn peer_of(side: &str) -> String {
    match side.strip_suffix("client") {
        Some(conn) => format!("{conn}server"),
        None => side.replace("server", "client"),
    }
}

impl Player {
    fn new(seed: u64) -> Player {
        let mut dice = Dice(seed);
        Player {
            hand: Hand::new(dice.config()),
            dice,
            hosts: Vec::new(),
            listeners: Vec::new(),
            streams: Vec::new(),
            files: Vec::new(),
            events: Vec::new(),
            under_way: HashSet::new(),
            reaped: HashSet::new(),
            careful: seed.is_multiple_of(2),
            sending: HashMap::new(),
            receiving: HashMap::new(),
            next_side: None,
            sent: HashMap::new(),
            received: HashMap::new(),
        }
    }

    fn object(&mut self) -> Option<Object> {
        let (listeners, streams) = (&self.listeners, &self.streams);
        match self.dice.below(6) {
            0 => self.dice.maybe(listeners).map(Object::from),
            1 => self.dice.maybe(&self.files).map(Object::from),
            2 => self.dice.maybe(&self.events).map(Object::from),
            _ => self.dice.maybe(streams).map(Object::from),
        }
    }

    fn request(&mut self) -> Option<Request> {
        let len = self.dice.of(&[0, 1, 2, 7, 30, 200]);
        let stream = self.dice.maybe(&self.streams);
        let file = self.dice.maybe(&self.files);
        let (offset, path) = (self.dice.number(), self.dice.path());
        let which = self.dice.below(28);
        if let 3..=9 = which {
            let sends = which > 5;
            let side = self.side_to(stream?, sends)?;
            let bytes = self.bytes_of(&side, len);
            self.next_side = Some((side, sends));
            return Some(match sends {
                true => Request::send(stream?, bytes),
                false => Request::recv(stream?, Vec::with_capacity(len)),
            });
        }
        let dice = &mut self.dice;
        Some(match which {
            0 => Request::nop(),
            1 => {
                let time = dice.time();
                Request::timer(if dice.one_in(2) {
                    self.hand.now().saturating_add(time)
                } else {
                    time
                })
            }
            2 => Request::wait(dice.maybe(&self.events)?),
            10 | 11 => Request::accept(dice.maybe(&self.listeners)?),
            12..=14 => Request::connect(stream?, dice.addr(&self.hosts)),
            15 => {
                let how = dice.of(&[Shutdown::Read, Shutdown::Write, Shutdown::Both]);
                Request::shutdown(stream?, how)
            }
            16 => {
                let open: fn(&str) -> Request = match dice.below(6) {
                    0 => Request::open,
                    1 => Request::create_new,
                    2 => Request::truncate,
                    3 => Request::open_append,
                    4 => Request::open_dir,
                    _ => Request::create,
                };
                open(path)
            }
            17 => Request::create(path),
            18 => Request::read_at(file?, Vec::with_capacity(len), offset),
            19 | 20 => Request::write_at(file?, vec![8; len], offset),
            21 => Request::append(file?, vec![9; len]),
            22 => Request::set_len(file?, offset),
            23 => Request::sync(file?),
            24 => Request::length(file?),
            25 => Request::rename(path, dice.path()),
            26 => Request::create_dir(path),
            _ if dice.one_in(2) => Request::remove_dir(path),
            _ => Request::remove_file(path),
        })
    }

    /// The side that a stream is, if something may be sent or received there now.
    fn side_to(&self, stream: Stream, sends: bool) -> Option<String> {
        let side = self.hand.name(stream);
        if !self.careful {
            return Some(side);
        }
        let busy = if sends {
            &self.sending
        } else {
            &self.receiving
        };
        let connected = side.starts_with('c') && !side.starts_with("closed");
        (connected && !busy.values().any(|it| *it == side)).then_some(side)
    }

    /// What a side sends next.
    fn bytes_of(&self, side: &str, len: usize) -> Vec<u8> {
        let from = self.sent.get(side).copied().unwrap_or(0);
        (from..from + len).map(|at| byte(side, at)).collect()
    }

    /// So much went in.
    fn went_in(&mut self, side: &str, count: usize) {
        *self.sent.entry(side.to_owned()).or_default() += count;
    }

    /// These came out: they are what the peer has sent there.
    fn came_out(&mut self, side: &str, bytes: &[u8]) {
        if !self.careful {
            return;
        }
        let peer = peer_of(side);
        let from = self.received.entry(side.to_owned()).or_default();
        let expected: Vec<u8> = (*from..*from + bytes.len())
            .map(|at| byte(&peer, at))
            .collect();
        assert_eq!(bytes, expected, "{side}, from byte {from} on");
        *from += bytes.len();
    }

    fn submit(&mut self) {
        self.next_side = None;
        let Some(request) = self.request() else {
            return;
        };
        let picks = self.dice.next();
        let mut dice = Dice(picks);
        let submitted = self.hand.submit_with(request, |decision| {
            let count = decision.alternatives.len();
            match dice.below(8) {
                0 => count + dice.below(3),
                1..=3 => dice.below(count),
                _ => 0,
            }
        });
        match submitted {
            Ok(op) | Err(HandError::NotLegal { op: Some(op), .. }) => {
                assert!(self.under_way.insert(op), "{op} was given twice");
                assert_eq!(self.hand.owner(op), Some(Owner::Kernel));
                match self.next_side.take() {
                    Some((side, true)) => drop(self.sending.insert(op, side)),
                    Some((side, false)) => drop(self.receiving.insert(op, side)),
                    None => {}
                }
            }
            Err(error) => self.refused(&error),
        }
    }

    /// Every error says what is wrong.
    fn refused(&self, error: &HandError) {
        assert!(error.to_string().len() > 10, "{error:?}");
    }

    fn plan(&mut self) {
        const WORDS: [&str; 24] = [
            "late",
            "lost",
            "half",
            "1",
            "n-1",
            "reset",
            "enobufs",
            "enomem",
            "emfile",
            "enospc",
            "eio",
            "ahead",
            "parts",
            "rest",
            "refused",
            "timeout",
            "ready",
            "apart",
            "all",
            "nothing",
            "this",
            "one-way",
            "10x",
            "no such word",
        ];
        let site = self.dice.of(&Site::ALL).name();
        let plan = format!("{site}: {}", self.dice.of(&WORDS));
        self.hand.decide(&plan).unwrap();
    }

    fn step(&mut self) {
        let enabled = self.hand.enabled();
        let step = match (self.dice.below(8), enabled.len()) {
            (0, _) | (_, 0) => {
                // Perhaps one that is not enabled.
                let op = self.under_way.iter().copied().min();
                let Some(op) = op else { return };
                self.dice.of(&[
                    Step::Complete(op),
                    Step::Effect(op),
                    Step::Cancel(op),
                    Step::Clock,
                ])
            }
            (_, count) => {
                let enabled = &enabled[self.dice.below(count)];
                assert!(!enabled.words.is_empty());
                enabled.step
            }
        };
        let is_enabled = enabled.iter().any(|it| it.step == step);
        let picks = self.dice.next();
        let mut dice = Dice(picks);
        let stepped = self.hand.step_with(step, |decision| match dice.below(4) {
            0 => decision.alternatives.len(),
            1 => dice.below(decision.alternatives.len()),
            _ => 0,
        });
        match stepped {
            Ok(()) | Err(HandError::NotLegal { .. }) => assert!(is_enabled, "{step}"),
            Err(error) => {
                assert!(!is_enabled, "{error}");
                self.refused(&error);
            }
        }
        self.reap();
    }

    fn reap(&mut self) {
        while let Some(completion) = self.hand.reap() {
            let op = completion.op;
            assert!(self.under_way.remove(&op), "{op} was not under way");
            assert!(self.reaped.insert(op), "{op} ended twice");
            assert_eq!(self.hand.owner(op), Some(Owner::You));
            if let Some(count) = completion.bytes() {
                assert!(count <= completion.buf.capacity().max(completion.buf.len()));
            }
            if let Some(side) = self.sending.remove(&op) {
                self.went_in(&side, completion.bytes().unwrap_or(0));
            }
            if let Some(side) = self.receiving.remove(&op)
                && completion.bytes().is_some()
            {
                self.came_out(&side, &completion.buf);
            }
            self.streams.extend(completion.stream());
            self.files.extend(completion.file());
        }
    }

    fn tries(&mut self) {
        let mut buf = [0; 9];
        let stream = self.dice.maybe(&self.streams);
        let told = match self.dice.below(9) {
            0 => {
                let side = stream.and_then(|it| self.side_to(it, false));
                stream.zip(side).map(|(it, side)| {
                    let count = self.hand.try_read(it, &mut buf)?;
                    self.came_out(&side, &buf[..count]);
                    Ok(())
                })
            }
            1 => stream.map(|it| self.hand.try_read(it, &mut []).map(drop)),
            2 => {
                let side = stream.and_then(|it| self.side_to(it, true));
                stream.zip(side).map(|(it, side)| {
                    let bytes = self.bytes_of(&side, 5);
                    let count = self.hand.try_write(it, &bytes)?;
                    self.went_in(&side, count);
                    Ok(())
                })
            }
            3 => {
                let listener = self.dice.maybe(&self.listeners);
                listener.map(|it| {
                    let (stream, _) = self.hand.try_accept(it)?;
                    self.streams.push(stream);
                    Ok(())
                })
            }
            4 => {
                let addr = self.dice.addr(&self.hosts);
                stream.map(|it| self.hand.try_connect(it, addr))
            }
            5 => {
                let how = self
                    .dice
                    .of(&[Shutdown::Read, Shutdown::Write, Shutdown::Both]);
                stream.map(|it| self.hand.try_shutdown(it, how))
            }
            6 => self
                .dice
                .maybe(&self.events)
                .map(|it| self.hand.try_take(it)),
            7 => self.object().map(|it| self.hand.take_error(it).map(drop)),
            _ => {
                let mut them = Vec::new();
                for interest in [Interest::Read, Interest::Write, Interest::Both] {
                    them.extend(self.object().map(|it| (it, interest)));
                }
                // Not for ever: a peer without room is asked again and again.
                let patience = self.dice.time().min(Duration::from_secs(3_600));
                let before = self.hand.now();
                self.hand.wait(&them, patience);
                assert!(self.hand.now() <= before.saturating_add(patience));
                None
            }
        };
        if let Some(Err(error)) = told {
            assert!(!error.to_string().is_empty());
        }
    }

    fn hosts(&mut self) {
        let known = self.hosts.len();
        if known < 2 || self.dice.one_in(6) {
            let host = self.hand.host(&format!("h{}", self.dice.below(4))).unwrap();
            if !self.hosts.contains(&host) {
                self.hosts.push(host);
            }
            return;
        }
        let (mut a, b) = (self.dice.of(&self.hosts), self.dice.of(&self.hosts));
        if self.dice.one_in(4) {
            a = self.hand.here();
        }
        let time = self.dice.time();
        let lost = (!self.dice.one_in(3)).then_some(time);
        let said = match self.dice.below(7) {
            0 | 1 => self.hand.set_latency(a, b, time),
            2 => self.hand.lose(a, b, lost),
            3 => self.hand.lose_one_way(a, b, lost),
            4 => self.hand.heal(a, b),
            5 => self.hand.may_be_lost(a, b, time),
            _ => self.hand.reset_connections(a),
        };
        if let Err(error) = said {
            self.refused(&error);
        }
    }

    fn open(&mut self) {
        let addr = self.dice.addr(&self.hosts);
        match self.dice.below(6) {
            0 | 1 => {
                let backlog = self.dice.of(&[0, 1, 5, u32::MAX]);
                self.listeners.extend(self.hand.listen_with(addr, backlog));
            }
            2 => self.streams.extend(self.hand.socket_at(addr)),
            3 => self.events.extend(self.hand.event()),
            _ => self.streams.extend(self.hand.socket()),
        }
    }

    fn change(&mut self) {
        match self.dice.below(10) {
            0..=2 => {
                if let Some(object) = self.object() {
                    let _ = self.hand.close(object);
                    assert!(!self.hand.name(object).is_empty());
                }
            }
            3 => {
                if let Some(event) = self.dice.maybe(&self.events) {
                    let _ = self.hand.set(event);
                }
            }
            4 => {
                let linger = self.dice.one_in(2).then(|| self.dice.time());
                if let Some(stream) = self.dice.maybe(&self.streams) {
                    let _ = self.hand.set_linger(stream, linger);
                }
            }
            5 => {
                let before = self.hand.now();
                self.hand.advance(self.dice.time());
                assert!(self.hand.now() >= before);
            }
            6 => self.hand.disk_quota(self.dice.number()),
            7 => self.hand.add_file(self.dice.path(), b"from outside"),
            8 if self.dice.one_in(20) => self.hand.deny(self.dice.path()),
            8 => drop(self.hand.file(self.dice.path())),
            _ if self.dice.one_in(10) => {
                let picks = self.dice.next();
                let mut dice = Dice(picks);
                let _ = self
                    .hand
                    .lose_power_with(|decision| dice.below(decision.alternatives.len()));
                self.under_way.clear();
                self.sending.clear();
                self.receiving.clear();
                assert!(self.hand.reap().is_none());
            }
            _ => {
                if let Some(object) = self.object() {
                    let _ = self.hand.local_addr(object);
                }
                if let Some(stream) = self.dice.maybe(&self.streams) {
                    let _ = self.hand.peer_addr(stream);
                }
            }
        }
    }

    fn cancel(&mut self) {
        let op = self.under_way.iter().copied().max();
        if let Some(op) = op {
            let pick = self.dice.below(4);
            let _ = self.hand.cancel_with(op, |_| pick);
            assert!(!self.hand.explain(op).is_empty());
        }
    }

    fn play(&mut self) {
        for _ in 0..self.dice.below(120) {
            match self.dice.below(16) {
                0 => self.open(),
                1..=5 => self.submit(),
                6..=9 => self.step(),
                10 => self.plan(),
                11 => self.cancel(),
                12 => self.hosts(),
                13 | 14 => self.tries(),
                _ => self.change(),
            }
        }
    }

    /// Everything is cancelled and closed; then nothing may be left, and nothing go on for ever.
    fn end(mut self) -> u64 {
        self.reap();
        let mut them: Vec<OpId> = self.under_way.iter().copied().collect();
        them.sort_unstable();
        for op in them {
            let _ = self.hand.cancel_with(op, |_| 0);
        }
        let mut steps = 0;
        while !self.under_way.is_empty() {
            let enabled = self.hand.enabled();
            let left = self.under_way.iter().map(|&op| self.hand.explain(op));
            assert!(!enabled.is_empty(), "{:?}", left.collect::<Vec<_>>());
            let _ = self.hand.step_with(enabled[0].step, |_| 0);
            self.reap();
            steps += 1;
            assert!(steps < 100_000, "it does not come to an end");
        }
        let (listeners, streams) = (self.listeners.clone(), self.streams.clone());
        let objects = listeners.into_iter().map(Object::from);
        let objects = objects.chain(streams.into_iter().map(Object::from));
        let objects = objects.chain(self.files.clone().into_iter().map(Object::from));
        let objects = objects.chain(self.events.clone().into_iter().map(Object::from));
        for object in objects.collect::<Vec<_>>() {
            match self.hand.close(object) {
                Ok(()) | Err(HandError::Closed { .. } | HandError::NotLegal { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        while self.hand.step_with(Step::Clock, |_| 0).is_ok() {
            steps += 1;
            assert!(steps < 100_000, "time does not come to an end");
        }
        let digest = self.hand.digest();
        if let Err(violation) = self.hand.finish() {
            assert_eq!(violation.oracle, Oracle::EofSpin, "{violation}");
        }
        digest
    }
}

fn script(seed: u64) -> u64 {
    /// Says which script it was.
    struct Telling(u64);
    impl Drop for Telling {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the script with the seed {}", self.0);
            }
        }
    }
    let _telling = Telling(seed);
    let mut player = Player::new(seed);
    player.play();
    player.end()
}

#[test]
fn whatever_a_kernel_is_asked_for_it_answers_and_comes_to_an_end() {
    for seed in 0..2_000 {
        let digest = script(seed);
        if seed % 50 == 0 {
            assert_eq!(script(seed), digest, "the script with the seed {seed}");
        }
    }
}

#[test]
#[ignore = "as long as one likes: SCRIPTS=1000000 FROM=0"]
fn longer() {
    let number = |name: &str, default| {
        let text = std::env::var(name).unwrap_or_default();
        text.parse().unwrap_or(default)
    };
    let (from, scripts) = (number("FROM", 2_000), number("SCRIPTS", 200_000));
    for seed in from..from + scripts {
        script(seed);
    }
}
