//! What the switch points of `proactor::sync` cost on a real kernel: each beside std's.

use std::hint::black_box;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use crate::callgrind;
use crate::child::{self, How};
use crate::meter;
use crate::table::{Size, per, slope};

/// A use in a loop, by one thread, never contended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    StdMutex,
    Mutex,
    StdReadLock,
    ReadLock,
    StdAdd,
    Add,
    /// The same instructions of a loop with nothing in it.
    Nothing,
}

impl Use {
    pub fn name(self) -> &'static str {
        match self {
            Use::StdMutex => "std-mutex",
            Use::Mutex => "mutex",
            Use::StdReadLock => "std-read",
            Use::ReadLock => "read",
            Use::StdAdd => "std-add",
            Use::Add => "add",
            Use::Nothing => "nothing",
        }
    }

    pub fn from_name(name: &str) -> Option<Use> {
        [
            Use::StdMutex,
            Use::Mutex,
            Use::StdReadLock,
            Use::ReadLock,
            Use::StdAdd,
            Use::Add,
            Use::Nothing,
        ]
        .into_iter()
        .find(|which| which.name() == name)
    }
}

/// Does it so often and ends the process.
pub fn run(which: Use, times: u64) {
    let std_mutex = std::sync::Mutex::new(0_u64);
    let mutex = proactor::sync::Mutex::new(0_u64);
    let std_lock = std::sync::RwLock::new(1_u64);
    let lock = proactor::sync::RwLock::new(1_u64);
    let std_number = std::sync::atomic::AtomicU64::new(0);
    let number = proactor::sync::atomic::AtomicU64::new(0);
    meter::start();
    match which {
        Use::StdMutex => repeat(times, || {
            *black_box(&std_mutex).lock().expect("not poisoned") += 1;
        }),
        Use::Mutex => repeat(times, || {
            *black_box(&mutex).lock().expect("not poisoned") += 1;
        }),
        Use::StdReadLock => repeat(times, || {
            black_box(*black_box(&std_lock).read().expect("not poisoned"));
        }),
        Use::ReadLock => repeat(times, || {
            black_box(*black_box(&lock).read().expect("not poisoned"));
        }),
        Use::StdAdd => repeat(times, || {
            black_box(&std_number).fetch_add(1, Relaxed);
        }),
        Use::Add => repeat(times, || {
            black_box(&number).fetch_add(1, Relaxed);
        }),
        Use::Nothing => repeat(times, || {
            black_box(&number);
        }),
    }
    meter::done(times);
}

#[inline(always)]
fn repeat(times: u64, mut once: impl FnMut()) {
    for _ in 0..times {
        once();
    }
}

/// Instructions that a use may take beyond std's.
const BAR: f64 = 8.0;

/// Prints the table. False: something is over its bar.
pub fn print(size: Size, valgrind: bool) -> io::Result<bool> {
    let (rounds, times) = match size {
        Size::Full => (9, 20_000_000),
        Size::Quick => (3, 2_000_000),
    };
    println!();
    println!("proactor::sync beside std, uncontended, one thread (the loop itself taken off)");
    println!(
        "{:22} {:>9} {:>9} {:>7} {:>13} {:>9} {:>7} {:>5}",
        "", "std", "ours", "ratio", "std", "ours", "more", "bar"
    );
    let mut good = true;
    let loop_instructions = instructions(valgrind, Use::Nothing)?;
    for (what, std, ours) in [
        ("Mutex lock and unlock", Use::StdMutex, Use::Mutex),
        ("RwLock read and unlock", Use::StdReadLock, Use::ReadLock),
        ("AtomicU64::fetch_add", Use::StdAdd, Use::Add),
    ] {
        // In turn, so that whatever else the machine does hits all alike; of each the best.
        let mut best = [f64::MAX; 3];
        for _ in 0..rounds {
            for (which, best) in [Use::Nothing, std, ours].into_iter().zip(&mut best) {
                let run = measure(How::Plain, which, times)?.0;
                *best = best.min(per(run.processor, times));
            }
        }
        let [empty, std_time, our_time] = best;
        let (std_time, our_time) = (std_time - empty, our_time - empty);
        print!(
            "{what:22} {std_time:>6.2} ns {our_time:>6.2} ns {:>7.2}",
            our_time / std_time
        );
        let counted = (
            loop_instructions,
            instructions(valgrind, std)?,
            instructions(valgrind, ours)?,
        );
        if let (Some(empty), Some(std), Some(ours)) = counted {
            let more = ours - std;
            good &= more <= BAR;
            print!(
                " {:>6.0} instr. {:>9.0} {more:>7.0} {BAR:>5.0}",
                std - empty,
                ours - empty
            );
        }
        println!();
    }
    Ok(good)
}

fn instructions(valgrind: bool, which: Use) -> io::Result<Option<f64>> {
    if !valgrind {
        return Ok(None);
    }
    let mut ends = Vec::new();
    for times in [10_000, 110_000] {
        let name = format!("{}-{times}", which.name());
        let (run, out) = measure(How::Callgrind(&name), which, times)?;
        let total = callgrind::read(&out.expect("under callgrind"))?.total;
        ends.push((run, total, times));
    }
    Ok(Some(slope(ends[0], ends[1]).instructions))
}

fn measure(
    how: How<'_>,
    which: Use,
    times: u64,
) -> io::Result<(child::Run, Option<std::path::PathBuf>)> {
    child::own(how, &["use", which.name(), &times.to_string()])
}
