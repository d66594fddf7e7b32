//! What a post to a strand costs: beside Asio's, and beside a queue under a lock.
//!
//! The machine may be shared. So what is compared is measured in turn, in many short rounds, and of each
//! the median counts: whatever else runs hits all alike. What one thread does alone is measured by its
//! processor time.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use proactor::{Proactor, Strand, WorkGuard};

use crate::asio::Asio;
use crate::guards;
use crate::meter;
use crate::table::Size;

/// Posts at a time, where they are not one after the other.
const BURST: u64 = 32;
const POSTERS: u64 = 4;

/// Nanoseconds that a post and its run may take.
const BAR: f64 = 30.0;

/// How posts follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posts {
    /// Each handler posts the next one.
    Chained,
    /// So many at a time: [`BURST`].
    Bursts,
}

impl Posts {
    fn name(self) -> &'static str {
        match self {
            Posts::Chained => "chained",
            Posts::Bursts => "bursts",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Posts> {
        [Posts::Chained, Posts::Bursts]
            .into_iter()
            .find(|posts| posts.name() == name)
    }

    fn post(self, strand: &Strand, times: u64) {
        match self {
            Posts::Chained => chain(strand.clone(), times),
            Posts::Bursts => bursts(strand.clone(), times),
        }
    }
}

fn chain(strand: Strand, left: u64) {
    if left > 0 {
        let next = strand.clone();
        strand.post(move || chain(next, left - 1));
    }
}

fn bursts(strand: Strand, left: u64) {
    for _ in 0..BURST {
        strand.post(|| {});
    }
    if left > BURST {
        let again = strand.clone();
        strand.post(move || bursts(again, left - BURST));
    }
}

/// Posts so often, has it all run, and ends the process.
pub(crate) fn run(how: Posts, times: u64) -> io::Result<()> {
    let proactor = Proactor::new()?;
    let strand = Strand::new(&proactor);
    meter::start();
    how.post(&strand, times);
    drop(proactor.run());
    meter::done(times)
}

/// What was measured of one thing, in nanoseconds each.
#[derive(Default)]
pub(crate) struct Rounds(Vec<f64>);

impl Rounds {
    pub(crate) fn add(&mut self, each: f64) {
        self.0.push(each);
    }

    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// How many of a round's jobs have run.
static RAN: AtomicU64 = AtomicU64::new(0);

/// Counts a job: of those that run one after the other. Whether it was the last.
fn is_last(times: u64) -> bool {
    let ran = RAN.load(Ordering::Relaxed) + 1;
    RAN.store(ran, Ordering::Relaxed);
    ran == times
}

/// Keeps the worker there until the last job has run.
static GUARD: Mutex<Option<WorkGuard>> = Mutex::new(None);

/// Four threads post to one strand; nanoseconds a post.
fn to_strand(proactor: &Proactor, strand: &Strand, times: u64) -> f64 {
    RAN.store(0, Ordering::Relaxed);
    *GUARD.lock().expect("no panic") = Some(proactor.work_guard());
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..POSTERS {
            scope.spawn(|| {
                for _ in 0..times / POSTERS {
                    strand.post(move || {
                        if is_last(times) {
                            drop(GUARD.lock().map(|mut guard| guard.take()));
                        }
                    });
                }
            });
        }
        drop(proactor.run());
    });
    begin.elapsed().as_nanos() as f64 / times as f64
}

type Job = Box<dyn FnOnce() + Send>;

/// Four threads post to one queue under a lock, which one thread runs; nanoseconds a post.
fn to_locked_queue(times: u64) -> f64 {
    static QUEUE: Mutex<VecDeque<Job>> = Mutex::new(VecDeque::new());
    static POSTED: Condvar = Condvar::new();
    static OVER: AtomicU64 = AtomicU64::new(0);

    RAN.store(0, Ordering::Relaxed);
    OVER.store(0, Ordering::Relaxed);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..POSTERS {
            scope.spawn(|| {
                for _ in 0..times / POSTERS {
                    let job = Box::new(move || {
                        if is_last(times) {
                            OVER.store(1, Ordering::Relaxed);
                        }
                    });
                    QUEUE.lock().expect("no panic").push_back(job);
                    POSTED.notify_one();
                }
            });
        }
        let mut queue = QUEUE.lock().expect("no panic");
        while OVER.load(Ordering::Relaxed) == 0 {
            match queue.pop_front() {
                Some(job) => {
                    drop(queue);
                    job();
                    queue = QUEUE.lock().expect("no panic");
                }
                None => queue = POSTED.wait(queue).expect("no panic"),
            }
        }
    });
    begin.elapsed().as_nanos() as f64 / times as f64
}

/// Prints the tables. Whether everything is within its bar.
pub(crate) fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let mut good = alone(size)?;
    good &= contended(size)?;
    guards::print(size, valgrind)?;
    Ok(good)
}

fn alone(size: Size) -> io::Result<bool> {
    let (rounds, times) = match size {
        Size::Full => (101, 50_000),
        Size::Quick => (21, 20_000),
    };
    let mut asio = Asio::start();
    let proactor = Proactor::new()?;
    let strand = Strand::new(&proactor);
    println!("A post to a strand and its run, one worker, in nanoseconds of processor time:");
    println!("           ours   bar    Asio   ours/Asio   bar   allocations");
    let mut good = true;
    for posts in [Posts::Chained, Posts::Bursts] {
        let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
        let mut allocations = 0;
        // The first round warms up.
        for round in 0..=rounds {
            let before = (meter::thread_time(), meter::allocations());
            posts.post(&strand, times);
            drop(proactor.run());
            let each = (meter::thread_time() - before.0).as_nanos() as f64 / times as f64;
            let allocated = meter::allocations() - before.1;
            let asios = asio.as_mut().map(|asio| asio.each(posts.name(), times));
            if round > 0 {
                ours.add(each);
                allocations += allocated;
                theirs.add(asios.transpose()?.unwrap_or(f64::NAN));
            }
        }
        let (ours, theirs) = (ours.median(), theirs.median());
        let allocations = allocations as f64 / (rounds * times) as f64;
        println!(
            "{:8} {ours:6.1} {BAR:5.0} {theirs:7.1} {:11.2}   0.5 {allocations:13.3}",
            posts.name(),
            ours / theirs
        );
        good &= ours <= BAR && allocations < 0.001;
        good &= asio.is_none() || ours <= theirs / 2.0;
    }
    if asio.is_none() {
        println!("  Asio was left out: g++ and the headers of libasio-dev are wanted");
    }
    Ok(good)
}

fn contended(size: Size) -> io::Result<bool> {
    let (rounds, times) = match size {
        Size::Full => (31, 200_000),
        Size::Quick => (9, 40_000),
    };
    let proactor = Proactor::new()?;
    let strand = Strand::new(&proactor);
    let (mut ours, mut locked) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        ours.add(to_strand(&proactor, &strand, times));
        locked.add(to_locked_queue(times));
    }
    let (ours, locked) = (ours.median(), locked.median());
    println!("Four threads post to one, nanoseconds a post (the bar: half of a locked queue's):");
    println!(
        "strand {ours:.1}, Mutex<VecDeque> {locked:.1}: {:.1} times as fast",
        locked / ours
    );
    Ok(ours * 2.0 <= locked)
}
