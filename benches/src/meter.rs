//! What every server counts in the same way: requests, allocations, processor time.
//!
//! A server ends by itself after a given number of requests. So the difference between two run
//! lengths holds exactly that many requests and nothing of the start or the end.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

static LEFT: AtomicU64 = AtomicU64::new(u64::MAX);
static STARTED: AtomicU64 = AtomicU64::new(0);

/// What one thread has allocated. It alone writes, so that counting costs no locked instruction: those of a
/// checker that allocates much would be a fifth of its time.
#[repr(align(64))]
struct Counts {
    allocations: AtomicU64,
    /// Wraps: what one thread allocates another may free.
    bytes: AtomicU64,
}

/// More threads than any benchmark has.
static COUNTS: [Counts; 256] = [const {
    Counts {
        allocations: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    }
}; 256];

thread_local! {
    /// Which of them is this thread's; none yet.
    static MINE: Cell<Option<&'static Counts>> = const { Cell::new(None) };
}

impl Counts {
    #[inline]
    fn mine() -> &'static Counts {
        MINE.get().unwrap_or_else(Counts::first)
    }

    #[cold]
    fn first() -> &'static Counts {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        // (Not an assertion: what that prints is allocated.)
        let Some(mine) = COUNTS.get(NEXT.fetch_add(1, Relaxed)) else {
            std::process::abort()
        };
        MINE.set(Some(mine));
        mine
    }

    #[inline]
    fn count(&self, allocations: u64, bytes: usize, freed: usize) {
        let add = |to: &AtomicU64, number| to.store(to.load(Relaxed).wrapping_add(number), Relaxed);
        add(&self.allocations, allocations);
        add(&self.bytes, (bytes as u64).wrapping_sub(freed as u64));
    }
}

/// Whether it is counted. Who compares with others that allocate more does without: it would cost them more.
static COUNTS_ALL: AtomicBool = AtomicBool::new(true);

/// From now on nothing is counted.
pub fn counts_nothing() {
    COUNTS_ALL.store(false, Relaxed);
}

#[inline]
fn count(allocations: u64, bytes: usize, freed: usize) {
    if COUNTS_ALL.load(Relaxed) {
        Counts::mine().count(allocations, bytes, freed);
    }
}

/// The system's allocator, counted.
pub struct Counting;

// SAFETY: hands every call on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller's promise is System's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the caller's promise is System's.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size, layout.size());
        // SAFETY: the caller's promise is System's.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

/// How many bytes are allocated now.
pub fn allocated() -> u64 {
    let all = COUNTS.iter().map(|counts| counts.bytes.load(Relaxed));
    all.fold(0, u64::wrapping_add)
}

/// User and system time of this process so far.
pub fn processor_time() -> Duration {
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` outlives the call.
    let code = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(code, 0, "getrusage");
    let time = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// The same of this thread.
pub fn thread_time() -> Duration {
    // SAFETY: all zeros is a valid timespec.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: `time` outlives the call.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(code, 0, "clock_gettime");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Allocations of this process so far.
pub fn allocations() -> u64 {
    let all = COUNTS.iter().map(|counts| counts.allocations.load(Relaxed));
    all.sum()
}

/// Tells the driver where the server listens; it ends after `requests` from now on.
pub fn serve(port: u16, requests: u64) {
    LEFT.store(requests, Relaxed);
    start();
    println!("port {port}");
    io::stdout().flush().expect("standard output");
}

/// One request was answered. The last one ends the process: what a teardown costs is no part of it.
#[inline]
pub fn answered() {
    // One thread serves, so a load and a store will do.
    let left = LEFT.load(Relaxed) - 1;
    LEFT.store(left, Relaxed);
    if left == 0 {
        done(0);
    }
}

/// The same, where several threads serve.
#[inline]
pub fn answered_by_one_of_many() {
    if LEFT.fetch_sub(1, Relaxed) == 1 {
        done(0);
    }
}

/// The measured time of a process that serves nobody starts.
pub fn start() {
    STARTED.store(processor_time().as_nanos() as u64, Relaxed);
}

/// Reports to the driver and ends the process.
#[cold]
pub fn done(events: u64) -> ! {
    let allocations = allocations();
    let spent = processor_time().as_nanos() as u64 - STARTED.load(Relaxed);
    println!("done {allocations} {spent} {events}");
    io::stdout().flush().expect("standard output");
    std::process::exit(0)
}
