//! Tests of the reduced search on the simulated kernel: on small worlds it comes to all that naive search
//! comes to, and to closed forms.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::diamond;
use super::dpor::{Count, Dpor};
use super::execution::{Fault, Subject};
use super::sim::{Model, Sim};
use super::{Checker, Failure, FailureKind, Summary};
use crate::choice::random::{below, seed_of};
use crate::choice::{Alternatives, Chooser, Key, Site};
use crate::fs::File;
use crate::net::{TcpListener, TcpStream};
use crate::sim::{Config, Door, Oracle, Personality};
use crate::{Cancel, Strand};

thread_local! {
    /// The world is made: from here on there is something to decide.
    static BEGUN: Cell<bool> = const { Cell::new(false) };
    /// What an execution came to.
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Kind until the world is made.
#[derive(Default)]
struct Gate<C>(C);

impl<C: Chooser> Chooser for Gate<C> {
    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        match BEGUN.get() {
            true => self.0.choose(site, key, count, those),
            false => 0,
        }
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, site: Site, key: Key, step: &dyn Alternatives) {
        if BEGUN.get() {
            self.0.only(site, key, step);
        }
    }

    fn tracks(&self) -> bool {
        self.0.tracks()
    }

    fn touches(&mut self, object: u64, write: bool) {
        if BEGUN.get() {
            self.0.touches(object, write);
        }
    }

    fn over(&self) -> bool {
        self.0.over()
    }
}

/// Every execution with at most so many outcomes that are not kind.
#[derive(Default)]
struct Naive {
    /// What is chosen, of how many, and how many outcomes were used before.
    digits: Vec<(usize, usize, Option<u32>)>,
    at: usize,
    used: u32,
}

impl Chooser for Naive {
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let is_outcome = !site.is_order() && site != Site::EffectLate;
        if self.at == self.digits.len() {
            let used = is_outcome.then_some(self.used);
            self.digits.push((0, count, used));
        }
        let picked = self.digits[self.at].0;
        self.at += 1;
        self.used += u32::from(is_outcome && picked != 0);
        picked
    }
}

impl Naive {
    fn advance(&mut self, outcomes: Option<u32>) -> bool {
        self.at = 0;
        self.used = 0;
        while let Some((digit, count, used)) = self.digits.pop() {
            let allowed = match (used, outcomes) {
                (Some(used), Some(most)) => used < most,
                _ => true,
            };
            if digit + 1 < count && allowed {
                self.digits.push((digit + 1, count, used));
                return true;
            }
        }
        false
    }
}

fn model<F: Fn(&Sim) + Send + Sync>(personality: Personality, promised: bool, body: F) -> Model<F> {
    let config = Config {
        personality,
        faults_per_operation: 0,
        ..Config::default()
    };
    Model::new(config, body).with_promise(promised)
}

/// Nothing may fail, but that something waits for ever.
fn is_an_end(fault: Option<&Fault>) {
    let stuck = |fault: &Fault| fault.oracle == Oracle::Deadlock;
    assert!(fault.is_none_or(stuck), "{fault:?}");
}

/// What naive search sees, and in how many executions. Nothing if there are more than so many.
fn naive(
    model: &impl Subject,
    outcomes: Option<u32>,
    most: u64,
) -> Option<(u64, BTreeSet<Vec<String>>)> {
    let mut bench = model.bench();
    let mut chooser = Box::<Gate<Naive>>::default();
    let (mut count, mut all) = (0, BTreeSet::new());
    loop {
        BEGUN.set(false);
        SEEN.take();
        let (outcome, back) = model.run(&mut bench, chooser, 0);
        chooser = back;
        is_an_end(outcome.fault.as_deref());
        count += 1;
        all.insert(SEEN.take());
        if count > most {
            return None;
        }
        if !chooser.0.advance(outcomes) {
            return Some((count, all));
        }
    }
}

/// What reduced search sees.
fn reduced(model: &impl Subject, outcomes: Option<u32>) -> (Count, BTreeSet<Vec<String>>) {
    let mut bench = model.bench();
    let mut chooser = Box::new(Gate(Dpor::with_outcomes(outcomes)));
    let mut all = BTreeSet::new();
    loop {
        BEGUN.set(false);
        SEEN.take();
        chooser.0.begin();
        let (outcome, back) = model.run(&mut bench, chooser, 0);
        chooser = back;
        is_an_end(outcome.fault.as_deref());
        if !chooser.0.blocked() {
            all.insert(SEEN.take());
        }
        let more = chooser.0.advance();
        assert!(!chooser.0.lost(), "the model does something else");
        if !more {
            return (chooser.0.count, all);
        }
    }
}

/// A connection, made before there is anything to decide.
fn pair(sim: &Sim, port: u16) -> (TcpStream, TcpStream) {
    let address = format!("127.0.0.1:{port}");
    let listener = TcpListener::bind(sim.proactor(), &*address).expect("the address is free");
    let streams = sim.proactor().block_on(async {
        let near = TcpStream::connect(sim.proactor(), &*address).await;
        let far = listener.accept().await;
        (near.expect("kind"), far.expect("kind").0)
    });
    listener.close();
    streams.expect("it can be made")
}

/// One byte after the other is sent, and read until all have come.
fn pipe(sim: &Sim, bytes: usize, reader_first: bool) {
    let (near, far) = pair(sim, 7);
    let (sender, receiver) = (Strand::new(sim.proactor()), Strand::new(sim.proactor()));
    BEGUN.set(true);
    fn send(stream: TcpStream, strand: Strand, left: usize) {
        if left > 0 {
            let next = (stream.clone(), strand.clone());
            let write = stream.write(vec![7]).on(&strand);
            write.then(move |_| send(next.0, next.1, left - 1));
        }
    }
    fn receive(stream: TcpStream, strand: Strand, left: usize) {
        if left > 0 {
            let next = (stream.clone(), strand.clone());
            let read = stream.read(Vec::with_capacity(64)).on(&strand);
            read.then(move |(read, _)| {
                let read = read.expect("kind");
                SEEN.with_borrow_mut(|seen| seen.push(read.to_string()));
                receive(next.0, next.1, left - read);
            });
        }
    }
    if reader_first {
        receive(far.clone(), receiver.clone(), bytes);
    }
    send(near.clone(), sender, bytes);
    if !reader_first {
        receive(far.clone(), receiver, bytes);
    }
    let _ = sim.proactor().run();
    BEGUN.set(false);
}

#[test]
fn a_pipe_has_its_closed_form_whoever_comes_first() {
    for reader_first in [true, false] {
        for bytes in 1..=7 {
            let pipe = model(Personality::Any, true, move |sim| {
                pipe(sim, bytes, reader_first)
            });
            // All that is there is taken: when it is taken is what there is to be seen.
            let (count, seen) = reduced(&pipe, Some(0));
            assert_eq!(count.traces, 1 << (bytes - 1), "{bytes}, {reader_first}");
            assert_eq!(seen.len(), 1 << (bytes - 1));
            println!("pipe({bytes}), reader first {reader_first}: {count:?}");
        }
        for bytes in 1..=3 {
            // Short reads are classes of what is there: sound, because sends and receives are dependent;
            // they bring nothing else to see.
            let pipe = model(Personality::Any, true, move |sim| {
                pipe(sim, bytes, reader_first)
            });
            let (count, seen) = reduced(&pipe, None);
            assert_eq!(seen.len(), 1 << (bytes - 1));
            let all = naive(&pipe, None, 400_000);
            println!(
                "pipe({bytes}) with short reads: {count:?}, naive {:?}",
                all.as_ref().map(|it| it.0)
            );
            if let Some((executions, all)) = all {
                assert_eq!(all, seen);
                assert!(count.traces <= executions);
            }
        }
    }
}

/// What a chain of handlers does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Send(usize, usize),
    Receive(usize, usize),
    Sleep(u64),
    Write(usize),
    Read(usize),
    /// Of the operation of another chain, and goes on.
    Cancel(usize),
    Post,
    /// Starts a receive that nobody waits for, and goes on.
    Ahead(usize, usize),
}

/// What all chains of a world use.
struct Shared {
    streams: Vec<(TcpStream, TcpStream)>,
    files: Vec<File>,
    chains: Vec<Vec<Act>>,
    strands: Option<Vec<Strand>>,
    cancels: Mutex<Vec<Option<Cancel>>>,
    logs: Mutex<Vec<String>>,
    proactor: crate::Handle,
}

impl Shared {
    /// Chains on strands of their own share no log.
    fn say(&self, chain: usize, text: &str) {
        let mut logs = self.logs.lock().expect("no panic");
        let log = if self.strands.is_some() { chain } else { 0 };
        logs[log].push_str(&format!("{chain}:{text} "));
    }
}

fn next(shared: &Arc<Shared>, chain: usize, at: usize) {
    let Some(act) = shared.chains[chain].get(at).copied() else {
        return;
    };
    let strand = shared
        .strands
        .as_ref()
        .map(|strands| strands[chain].clone());
    let stream = |conn: usize, side: usize| {
        let (near, far) = &shared.streams[conn];
        if side == 0 { near } else { far }
    };
    let goes_on = {
        let shared = shared.clone();
        move |text: String| {
            shared.say(chain, &text);
            next(&shared, chain, at + 1);
        }
    };
    macro_rules! start {
        ($operation:expr, $handler:expr) => {
            match &strand {
                Some(strand) => $operation.on(strand).then($handler),
                None => $operation.then($handler),
            }
        };
    }
    let cancel = match act {
        Act::Send(conn, side) => start!(stream(conn, side).write(vec![1, 2]), move |(sent, _)| {
            goes_on(format!("sent {sent:?}"));
        }),
        Act::Receive(conn, side) => {
            start!(
                stream(conn, side).read(Vec::with_capacity(8)),
                move |(read, _)| goes_on(format!("got {:?}", read.map_err(|e| e.kind())))
            )
        }
        Act::Ahead(conn, side) => {
            let told = shared.clone();
            let read = stream(conn, side).read(Vec::with_capacity(1));
            let cancel = start!(read, move |(read, _)| {
                told.say(chain, &format!("ahead {:?}", read.map_err(|e| e.kind())));
            });
            shared.cancels.lock().expect("no panic").push(Some(cancel));
            return next(shared, chain, at + 1);
        }
        Act::Sleep(millis) => {
            start!(
                shared.proactor.sleep(Duration::from_millis(millis)),
                move |slept| goes_on(format!("slept {}", slept.is_ok()))
            )
        }
        Act::Write(file) => {
            let text = vec![chain as u8 * 16 + at as u8];
            start!(shared.files[file].write_at(text, 0), move |(wrote, _)| {
                goes_on(format!("wrote {wrote:?}"));
            })
        }
        Act::Read(file) => {
            let read = shared.files[file].read_at(Vec::with_capacity(4), 0);
            start!(read, move |(read, bytes)| goes_on(format!(
                "read {read:?} {bytes:?}"
            )))
        }
        Act::Cancel(other) => {
            let cancel = shared.cancels.lock().expect("no panic")[other].take();
            if let Some(cancel) = cancel {
                cancel.cancel();
            }
            return next(shared, chain, at + 1);
        }
        Act::Post => {
            match &strand {
                Some(strand) => strand.post(move || goes_on("posted".to_owned())),
                None => shared.proactor.post(move || goes_on("posted".to_owned())),
            };
            return;
        }
    };
    shared.cancels.lock().expect("no panic")[chain] = Some(cancel);
}

/// A small world of a few chains.
fn chains(sim: &Sim, chains: &[Vec<Act>], apart: bool) {
    sim.file("/0", b"0");
    sim.file("/1", b"1");
    let files = sim.proactor().block_on(async {
        let mut files = Vec::new();
        for path in ["/0", "/1"] {
            let file = crate::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(sim.proactor(), path)
                .await;
            files.push(file.expect("it is there"));
        }
        files
    });
    let strands = apart.then(|| chains.iter().map(|_| Strand::new(sim.proactor())).collect());
    let shared = Arc::new(Shared {
        streams: vec![pair(sim, 7), pair(sim, 8)],
        files: files.expect("it ends"),
        chains: chains.to_vec(),
        strands,
        cancels: Mutex::new(chains.iter().map(|_| None).collect()),
        logs: Mutex::new(vec![String::new(); chains.len()]),
        proactor: sim.proactor().handle(),
    });
    BEGUN.set(true);
    for chain in 0..chains.len() {
        next(&shared, chain, 0);
    }
    // What is never sent is never received: that is one of the ends.
    let ended = sim.proactor().run();
    BEGUN.set(false);
    SEEN.with_borrow_mut(|seen| {
        seen.clone_from(&shared.logs.lock().expect("no panic"));
        seen.push(ended.is_ok().to_string());
    });
}

/// A few chains of a few acts.
fn generated(seed: u64) -> Vec<Vec<Act>> {
    let mut draws = 0;
    let mut draw = move |count: usize| {
        draws += 1;
        below(seed_of(seed, draws), count)
    };
    let chains = 2 + draw(2);
    let acts = if chains == 2 { 3 } else { 2 };
    (0..chains)
        .map(|_| {
            (0..1 + draw(acts))
                .map(|_| match draw(10) {
                    0 | 1 => Act::Send(draw(2), draw(2)),
                    2 | 3 => Act::Receive(draw(2), draw(2)),
                    4 => Act::Sleep(1 + draw(2) as u64),
                    5 => Act::Write(draw(2)),
                    6 => Act::Read(draw(2)),
                    7 => Act::Cancel(draw(chains)),
                    8 => Act::Ahead(draw(2), draw(2)),
                    _ => Act::Post,
                })
                .collect()
        })
        .collect()
}

#[test]
fn reduced_and_naive_search_of_the_kernel_come_to_the_same() {
    let (mut compared, mut fewer, mut all) = (0, 0, 0);
    let worlds = 150;
    for seed in 0..worlds {
        let world = generated(seed);
        for (apart, personality, outcomes) in [
            (false, Personality::Any, Some(0)),
            (true, Personality::Any, Some(0)),
            (true, Personality::Readiness, Some(0)),
            (true, Personality::Any, Some(1)),
        ] {
            let model = model(personality, apart, |sim: &Sim| chains(sim, &world, apart));
            let Some((executions, ends)) = naive(&model, outcomes, 3_000) else {
                continue;
            };
            let (count, some) = reduced(&model, outcomes);
            assert_eq!(
                ends, some,
                "seed {seed}, apart {apart}, {personality}, {outcomes:?}: {world:?}"
            );
            compared += 1;
            fewer += count.traces + count.blocked;
            all += executions;
        }
    }
    println!("{compared} worlds: {all} executions, {fewer} of them reduced");
    assert!(compared > worlds && fewer < all);
}

/// Hides what is touched of one kind.
struct Lying(Gate<Dpor>);

impl Chooser for Lying {
    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        self.0.choose(site, key, count, those)
    }

    fn follows(&self) -> bool {
        true
    }

    fn only(&mut self, site: Site, key: Key, step: &dyn Alternatives) {
        self.0.only(site, key, step);
    }

    fn tracks(&self) -> bool {
        true
    }

    fn touches(&mut self, object: u64, write: bool) {
        // Connections, and the lines before them.
        if !matches!(object >> 56, 0xc0 | 0x11) {
            self.0.touches(object, write);
        }
    }

    fn over(&self) -> bool {
        self.0.over()
    }
}

/// How many of the pairs that are said to be independent are, and what is said of the others. The setup is
/// part of the execution here: nobody gates the runs that compare.
fn pairs<C: Chooser>(
    model: &impl Subject,
    make: impl Fn(Gate<Dpor>) -> C,
    dpor: impl Fn(&mut C) -> &mut Dpor,
) -> (usize, Vec<String>) {
    let mut bench = model.bench();
    let mut chooser = Box::new(make(Gate(Dpor::with_outcomes(Some(0)))));
    let (mut compared, mut convicted) = (0, Vec::new());
    for run in 0..200 {
        dpor(&mut chooser).begin();
        let (outcome, back) = model.run(&mut bench, chooser, 0);
        chooser = back;
        if outcome.fault.is_none() {
            for draw in 0..4 {
                let Some(pair) = dpor(&mut chooser).pair(run + draw) else {
                    break;
                };
                compared += 1;
                convicted.extend(diamond::differ(model, &pair, 0));
            }
        }
        if !dpor(&mut chooser).advance() {
            break;
        }
    }
    (compared, convicted)
}

#[test]
fn a_wrong_footprint_is_convicted_and_right_ones_are_not() {
    let pipe = model(Personality::Any, true, |sim| {
        BEGUN.set(true);
        pipe(sim, 3, true);
        BEGUN.set(true);
    });
    let (compared, convicted) = pairs(&pipe, |gate| gate, |gate| &mut gate.0);
    assert!(compared > 20, "{compared}");
    assert_eq!(convicted, Vec::<String>::new());
    let (_, convicted) = pairs(&pipe, Lying, |lying| &mut lying.0.0);
    assert!(!convicted.is_empty());
    println!("{}", convicted[0]);
    // Nor in worlds of all sorts.
    for seed in 0..60 {
        let world = generated(seed);
        let model = model(Personality::Any, true, |sim: &Sim| {
            BEGUN.set(true);
            chains(sim, &world, true);
        });
        let (_, convicted) = pairs(&model, |gate| gate, |gate| &mut gate.0);
        assert_eq!(convicted, Vec::<String>::new(), "seed {seed}: {world:?}");
    }
}

/// Two strands, a timer each, and a counter that both change.
fn promised(shared: bool, tells: bool) -> Result<Summary, Box<Failure>> {
    Checker::new()
        .name("promise")
        .strands_share_only_tracked()
        .run(move |sim| {
            let counters = [Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(1))];
            for nth in 0..2 {
                let strand = Strand::new(sim.proactor());
                let counter = counters[if shared { 0 } else { nth }].clone();
                let handle = sim.proactor().handle();
                let on = strand.clone();
                sim.proactor()
                    .sleep(Duration::from_secs(1))
                    .on(&strand)
                    .then(move |_| {
                        let before = counter.load(Relaxed);
                        counter.store(before * 2 + nth as u64, Relaxed);
                        if !tells {
                            // It shows only in what is submitted next.
                            handle
                                .sleep(Duration::from_secs(before))
                                .on(&on)
                                .then(|_| ());
                        }
                    });
            }
            if tells {
                let seen = counters.clone();
                sim.digest(move || seen[0].load(Relaxed) + 1_000 * seen[1].load(Relaxed));
            }
            sim.proactor().run().expect("nothing is stuck");
        })
}

#[test]
fn a_promise_is_named_and_one_that_is_not_kept_is_found_out() {
    for tells in [true, false] {
        let summary = promised(false, tells)
            .expect("each has its own counter")
            .to_string();
        assert!(
            summary.contains("under the promise that strands share only what is tracked"),
            "{summary}"
        );
        assert!(summary.contains("of steps in both orders"), "{summary}");
        assert!(summary.contains(", reduced to "), "{summary}");
        let failure = promised(true, tells).expect_err("they share a counter");
        assert_eq!(failure.kind(), FailureKind::Dependent, "{failure}");
        let text = failure.to_string();
        assert!(
            text.contains("It was promised that strands share only what is tracked"),
            "{text}"
        );
    }
}

#[test]
fn what_does_not_combine_with_reduction_is_refused_with_the_reason() {
    let refused = |checker: Checker| {
        let failure = checker
            .strands_share_only_tracked()
            .run(|_| ())
            .expect_err("refused");
        assert_eq!(failure.kind(), FailureKind::Refused);
        failure.to_string()
    };
    assert!(refused(Checker::new().workers(2)).contains("with several workers they overlap"));
    assert!(
        refused(Checker::new().power_losses(1))
            .contains("a loss of power comes after some of them")
    );
    assert!(refused(Checker::new().reduced(false)).contains("`reduced(false)` turns off"));
    let behind = Config {
        door: Door::Port,
        ..Config::default()
    };
    assert!(
        refused(Checker::new().config(behind)).contains("timers and events of a completion port")
    );
}

#[test]
fn without_a_promise_only_steps_of_the_kernel_are_reduced() {
    // Two handlers without strands: both orders. On strands, under the promise: one.
    let timers = |apart: bool| {
        model(Personality::Any, apart, move |sim: &Sim| {
            BEGUN.set(true);
            for nth in 0..3 {
                let sleep = sim.proactor().sleep(Duration::from_secs(1));
                let say = move |_| SEEN.with_borrow_mut(|seen| seen.push(nth.to_string()));
                match apart {
                    true => sleep.on(&Strand::new(sim.proactor())).then(say),
                    false => sleep.then(say),
                };
            }
            let _ = sim.proactor().run();
        })
    };
    assert_eq!(reduced(&timers(false), None).1.len(), 6);
    assert_eq!(reduced(&timers(true), None).0.traces, 1);
}

#[test]
fn an_effect_at_once_is_tried_where_its_own_handler_could_tell() {
    // A cancel in the handler that started the operation: it finds it armed, or over.
    let cancels = model(Personality::Any, false, |sim: &Sim| {
        sim.file("/0", b"0");
        let opened = sim.proactor().block_on(File::open(sim.proactor(), "/0"));
        let file = Arc::new(opened.expect("it ends").expect("it is there"));
        BEGUN.set(true);
        let kept = file.clone();
        sim.proactor().post(move || {
            let read = kept.read_at(Vec::with_capacity(1), 0);
            let cancel = read.then(|(read, _)| {
                SEEN.with_borrow_mut(|seen| seen.push(read.is_ok().to_string()));
            });
            cancel.cancel();
        });
        let _ = sim.proactor().run();
        BEGUN.set(false);
    });
    let (_, all) = naive(&cancels, Some(0), 1_000).expect("it is small");
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(reduced(&cancels, Some(0)).1, all);
}
