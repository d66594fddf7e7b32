//! What a post to a strand costs: beside Asio's, and beside a queue under a lock.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use proactor::{Proactor, Strand};

use crate::meter;
use crate::table::Size;

/// Posts at a time, where they are not one after the other.
const BURST: u64 = 32;
const ROUNDS: usize = 5;
const POSTERS: u64 = 4;

/// The least of a few rounds, in nanoseconds for each of so many.
fn least(times: u64, mut run: impl FnMut()) -> f64 {
    let each = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        run();
        begin.elapsed().as_nanos() as f64 / times as f64
    });
    each.fold(f64::INFINITY, f64::min)
}

/// How posts follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posts {
    /// Each handler posts the next one.
    Chained,
    /// So many at a time: [`BURST`].
    Bursts,
}

impl Posts {
    pub(crate) fn from_name(name: &str) -> Option<Posts> {
        match name {
            "chained" => Some(Posts::Chained),
            "bursts" => Some(Posts::Bursts),
            _ => None,
        }
    }

    fn post(self, strand: &Strand, times: u64) {
        match self {
            Posts::Chained => chain(strand.clone(), times),
            Posts::Bursts => bursts(strand.clone(), times),
        }
    }
}

/// Posts so often, has it all run, and ends the process.
pub(crate) fn run(how: Posts, times: u64) -> std::io::Result<()> {
    let proactor = Proactor::new()?;
    let strand = Strand::new(&proactor);
    meter::start();
    how.post(&strand, times);
    drop(proactor.run());
    meter::done(times)
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

/// Four threads post to one strand; nanoseconds a post.
fn to_strand(proactor: &Proactor, times: u64) -> f64 {
    let strand = Strand::new(proactor);
    least(times, || {
        let (ran, guard) = (Arc::new(AtomicU64::new(0)), proactor.work_guard());
        let guard = Arc::new(Mutex::new(Some(guard)));
        std::thread::scope(|scope| {
            for _ in 0..POSTERS {
                let (strand, ran, guard) = (strand.clone(), ran.clone(), guard.clone());
                scope.spawn(move || {
                    for _ in 0..times / POSTERS {
                        let (ran, guard) = (ran.clone(), guard.clone());
                        strand.post(move || {
                            let before = ran.load(Ordering::Relaxed);
                            ran.store(before + 1, Ordering::Relaxed);
                            if before + 1 == times {
                                drop(guard.lock().map(|mut guard| guard.take()));
                            }
                        });
                    }
                });
            }
            drop(proactor.run());
        });
    })
}

type Job = Box<dyn FnOnce() + Send>;

/// Four threads post to one queue under a lock, which one thread runs; nanoseconds a post.
fn to_locked_queue(times: u64) -> f64 {
    least(times, || {
        let shared = Arc::new((Mutex::new(VecDeque::<Job>::new()), Condvar::new()));
        let ran = Arc::new(AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..POSTERS {
                let (shared, ran) = (shared.clone(), ran.clone());
                scope.spawn(move || {
                    for _ in 0..times / POSTERS {
                        // As large as the other's.
                        let (ran, also) = (ran.clone(), shared.clone());
                        let job = Box::new(move || {
                            ran.store(ran.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                            drop(also);
                        });
                        shared.0.lock().expect("no panic").push_back(job);
                        shared.1.notify_one();
                    }
                });
            }
            let mut queue = shared.0.lock().expect("no panic");
            while ran.load(Ordering::Relaxed) < times {
                match queue.pop_front() {
                    Some(job) => {
                        drop(queue);
                        job();
                        queue = shared.0.lock().expect("no panic");
                    }
                    None => queue = shared.1.wait(queue).expect("no panic"),
                }
            }
        });
    })
}

/// Nanoseconds a post and run of Asio's, chained and in bursts; none without its headers and g++.
fn asio(times: u64) -> Option<(f64, f64)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/asio_strand.cpp");
    let program = std::env::temp_dir().join(format!("asio-strand-{}", std::process::id()));
    let built = Command::new("g++")
        .args(["-std=c++17", "-O3", "-DNDEBUG", "-pthread", "-o"])
        .args([&program, &source])
        .output();
    if !built.is_ok_and(|built| built.status.success()) {
        return None;
    }
    let said = Command::new(&program).arg(times.to_string()).output();
    drop(std::fs::remove_file(&program));
    let said = String::from_utf8(said.ok()?.stdout).ok()?;
    let (chain, bursts) = said.trim().split_once(' ')?;
    Some((chain.parse().ok()?, bursts.parse().ok()?))
}

/// Prints the table. Whether everything is within its bar.
pub(crate) fn print(size: Size) -> std::io::Result<bool> {
    let times = match size {
        Size::Full => 2_000_000,
        Size::Quick => 200_000,
    };
    let proactor = Proactor::new()?;
    let strand = Strand::new(&proactor);
    let chained = least(times, || {
        chain(strand.clone(), times);
        drop(proactor.run());
    });
    let in_bursts = least(times, || {
        bursts(strand.clone(), times);
        drop(proactor.run());
    });
    println!(
        "A post to a strand and its run, one worker, nanoseconds (the bar: 30, and half of Asio's):"
    );
    println!("  chained: {chained:.1}, in bursts of {BURST}: {in_bursts:.1}");
    let mut good = in_bursts <= 30.0;
    match asio(times) {
        Some((chain, bursts)) => {
            println!("  Asio chained: {chain:.1}, in bursts: {bursts:.1}");
            println!(
                "  of Asio's: {:.2} chained, {:.2} in bursts",
                chained / chain,
                in_bursts / bursts
            );
            good &= in_bursts <= bursts / 2.0;
        }
        None => println!("  Asio was left out: g++ and the headers of libasio-dev are wanted"),
    }
    let (ours, locked) = (to_strand(&proactor, times), to_locked_queue(times));
    println!("Four threads post to one, nanoseconds a post (the bar: half of a locked queue's):");
    println!(
        "  strand: {ours:.1}, Mutex<VecDeque>: {locked:.1}, {:.1} times as fast",
        locked / ours
    );
    Ok(good && ours * 2.0 <= locked)
}
