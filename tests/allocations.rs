//! In its steady state no operation allocates: not in the core, not on any kernel.
//!
//! A counting allocator counts per thread, so that the tests may run beside each other. What was
//! allocated while everything grew to its size is not counted.
#![cfg(feature = "check")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proactor::check::program::Program;
use proactor::check::{Checker, Sim, Strategy};
use proactor::choice::Kind;
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, Door, World};
use proactor::sync::Shared;
use proactor::{Handle, Proactor, Strand};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends allocates too; nobody asks for its count.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What a body did since it was warm: it says how much of it by [`Meter::step`].
#[derive(Clone, Default)]
struct Meter {
    steps: Arc<AtomicU64>,
    warm_at: Arc<AtomicU64>,
    /// How many allocations a step may make.
    each: u64,
}

const WARM: u64 = 1_000;
const MEASURED: u64 = 5_000;

impl Meter {
    /// One step more. True while there is more to do.
    fn step(&self) -> bool {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        if steps == WARM {
            self.warm_at.store(COUNT.get(), Ordering::Relaxed);
        }
        if steps == WARM + MEASURED {
            let allocations = COUNT.get() - self.warm_at.load(Ordering::Relaxed);
            let allowed = self.each * MEASURED;
            assert_eq!(allocations, allowed, "allocations in {MEASURED} steps");
        }
        steps < WARM + MEASURED
    }

    fn assert_done(&self) {
        assert!(self.steps.load(Ordering::Relaxed) >= WARM + MEASURED);
    }
}

/// On the real kernel, if it lets us, and on the simulated one, its oracles on: plainly, and behind the driver of
/// completion ports.
fn everywhere(body: impl Fn(&Proactor, &std::path::Path, Meter)) {
    let run = |proactor: Proactor, path: &std::path::Path| {
        let meter = Meter::default();
        body(&proactor, path, meter.clone());
        proactor.run().unwrap();
        meter.assert_done();
    };
    for door in [Door::Plain, Door::Port] {
        let config = Config {
            door,
            ..Config::default()
        };
        let world = World::new(config, Box::new(Kind));
        world.add_file("/file", &[7; 4_096]);
        let simulated = Proactor::builder().simulated(&world).build().unwrap();
        run(simulated, "/file".as_ref());
        world.finish();
        assert_eq!(world.violation(), None);
    }
    match Proactor::new() {
        Ok(real) => {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let name = format!("proactor-allocations-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, [7; 4_096]).unwrap();
            run(real, &path);
            std::fs::remove_file(path).unwrap();
        }
        Err(why) => eprintln!("The real kernel was left out: {why}"),
    }
}

fn pair(proactor: &Proactor) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(proactor, "127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    proactor
        .block_on(async move {
            let client = TcpStream::connect(proactor, addr).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            (client, server)
        })
        .unwrap()
}

/// Reads and writes back, by handlers; ends with the stream.
fn echo(stream: TcpStream, buf: Vec<u8>) {
    stream.clone().read(buf).then(move |(read, buf)| {
        if read.unwrap() > 0 {
            stream.clone().write(buf).then(move |(written, buf)| {
                written.unwrap();
                echo(stream, buf);
            });
        }
    });
}

/// Writes and reads what comes back.
fn ask(stream: TcpStream, buf: Vec<u8>, meter: Meter) {
    stream.clone().write(buf).then(move |(written, buf)| {
        written.unwrap();
        stream.clone().read(buf).then(move |(read, buf)| {
            assert_eq!(read.unwrap(), 64);
            if meter.step() {
                ask(stream, buf, meter);
            }
        });
    });
}

#[test]
fn an_echo_of_handlers_allocates_nothing() {
    everywhere(|proactor, _, meter| {
        let (client, server) = pair(proactor);
        echo(server, Vec::with_capacity(64));
        ask(client, vec![1; 64], meter);
    });
}

#[test]
fn an_echo_of_tasks_allocates_nothing() {
    everywhere(|proactor, _, meter| {
        let (client, server) = pair(proactor);
        drop(proactor.spawn(async move {
            let mut buf = Vec::with_capacity(64);
            loop {
                let (read, back) = server.read(buf).await;
                if read.unwrap() == 0 {
                    break;
                }
                buf = server.write(back).await.1;
            }
        }));
        drop(proactor.spawn(async move {
            let mut buf = vec![1; 64];
            while meter.step() {
                let (written, back) = client.write(buf).await;
                written.unwrap();
                buf = client.read(back).await.1;
                assert_eq!(buf.len(), 64);
            }
        }));
    });
}

/// As [`echo`], on a strand.
fn echo_on(strand: Strand, stream: TcpStream, buf: Vec<u8>) {
    let on = strand.clone();
    stream.clone().read(buf).on(&on).then(move |(read, buf)| {
        if read.unwrap() > 0 {
            let on = strand.clone();
            stream
                .clone()
                .write(buf)
                .on(&on)
                .then(move |(written, buf)| {
                    written.unwrap();
                    echo_on(strand, stream, buf);
                });
        }
    });
}

#[test]
fn an_echo_of_handlers_on_a_strand_allocates_nothing() {
    everywhere(|proactor, _, meter| {
        let (client, server) = pair(proactor);
        echo_on(Strand::new(proactor), server, Vec::with_capacity(64));
        ask(client, vec![1; 64], meter);
    });
}

#[test]
fn posts_to_a_strand_allocate_nothing() {
    fn again(strand: Strand, meter: Meter) {
        let next = strand.clone();
        strand.post(move || {
            // Ten words at most.
            let room = [0u64; 7];
            next.post(move || {
                std::hint::black_box(room);
            });
            if meter.step() {
                again(next, meter);
            }
        });
    }
    everywhere(|proactor, _, meter| again(Strand::new(proactor), meter));
}

#[test]
fn posts_allocate_nothing() {
    fn again(handle: Handle, meter: Meter) {
        handle.post(move || {
            // Fourteen words at most.
            let room = [0u64; 14];
            handle.post(move || {
                std::hint::black_box(room);
            });
            if meter.step() {
                again(handle, meter);
            }
        });
    }
    everywhere(|proactor, _, meter| again(proactor.handle(), meter));
}

#[test]
fn sleeps_allocate_nothing() {
    fn again(handle: Handle, meter: Meter) {
        handle.sleep(Duration::from_nanos(100)).then(move |slept| {
            slept.unwrap();
            if meter.step() {
                again(handle, meter);
            }
        });
    }
    everywhere(|proactor, _, meter| again(proactor.handle(), meter));
}

#[test]
fn sleeping_tasks_allocate_nothing() {
    everywhere(|proactor, _, meter| {
        let handle = proactor.handle();
        drop(proactor.spawn(async move {
            while meter.step() {
                handle.sleep(Duration::from_nanos(100)).await.unwrap();
            }
        }));
    });
}

#[test]
fn timeouts_that_are_not_needed_allocate_nothing() {
    everywhere(|proactor, _, meter| {
        let (client, server) = pair(proactor);
        drop(proactor.spawn(async move {
            let mut buf = vec![1; 64];
            while meter.step() {
                let (written, back) = client.write(buf).timeout(Duration::from_secs(5)).await;
                written.unwrap();
                let read = server.read(back).timeout(Duration::from_secs(5));
                buf = read.await.1;
            }
        }));
    });
}

#[test]
fn cancels_allocate_nothing() {
    everywhere(|proactor, _, meter| {
        let (client, server) = pair(proactor);
        drop(proactor.spawn(async move {
            let _keeps_it_open = client;
            let mut buf = vec![1; 64];
            while meter.step() {
                let mut read = server.read(buf);
                read.cancel_handle().cancel();
                buf = read.await.1;
            }
        }));
    });
}

#[test]
fn file_reads_allocate_nothing() {
    everywhere(|proactor, path, meter| {
        let (handle, path) = (proactor.handle(), path.to_owned());
        drop(proactor.spawn(async move {
            let file = File::open(&handle, &path).await.unwrap();
            let mut buf = Vec::with_capacity(4_096);
            while meter.step() {
                let (read, back) = file.read_at(buf, 0).await;
                assert_eq!(read.unwrap(), 4_096);
                buf = back;
            }
        }));
    });
}

#[test]
fn accepting_and_closing_allocates_nothing_in_the_core() {
    // The kernels keep connections in memory of their own; the simulated one reuses it.
    let world = World::new(Config::default(), Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build().unwrap();
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (handle, meter) = (proactor.handle(), Meter::default());
    let measured = meter.clone();
    drop(proactor.spawn(async move {
        while measured.step() {
            let client = TcpStream::connect(&handle, addr).await.unwrap();
            drop(listener.accept().await.unwrap());
            drop(client);
        }
    }));
    proactor.run().unwrap();
    meter.assert_done();
}

/// The job itself, which the pool's thread and the operation share. (The pool's threads do the counting
/// of their own: this is the worker's.)
#[test]
fn offloading_allocates_once() {
    fn again(handle: Handle, meter: Meter) {
        let bytes = [1u8; 64];
        handle
            .offload(move || bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>())
            .then(move |sum| {
                assert_eq!(sum.unwrap(), 64);
                if meter.step() {
                    again(handle, meter);
                }
            });
    }
    everywhere(|proactor, _, meter| again(proactor.handle(), Meter { each: 1, ..meter }));
}

/// Runs executions of which each allocates `own` times by itself: the checker adds nothing, but for what it
/// writes down at the end of a chunk of executions. (Other strategies keep notes of an execution.)
fn executions(workers: usize, own: u64, model: impl Fn(&Sim) + Send + Sync + 'static) {
    const EXECUTIONS: u64 = 10_000;
    let (last, run, odd) = (
        AtomicU64::new(0),
        AtomicU64::new(0),
        Arc::new(AtomicU64::new(0)),
    );
    let more = odd.clone();
    let checker = Checker::new().workers(workers).races(false);
    let checker = checker
        .strategy(Strategy::Random)
        .deviations(0)
        .reduced(false)
        .executions(EXECUTIONS)
        .threads(1);
    let done = checker.run(move |sim| {
        let before = last.swap(COUNT.get(), Ordering::Relaxed);
        let is_warm = run.fetch_add(1, Ordering::Relaxed) > WARM;
        if is_warm && COUNT.get() != before + own {
            more.fetch_add(1, Ordering::Relaxed);
        }
        model(sim);
    });
    assert_eq!(done.unwrap().executions(), EXECUTIONS);
    let odd = odd.load(Ordering::Relaxed);
    assert!(
        odd <= EXECUTIONS / 64,
        "{odd} executions allocated something else"
    );
}

#[test]
fn an_execution_of_the_checker_allocates_what_the_model_does_and_no_more() {
    executions(1, 0, |_| ());
    executions(1, 0, |sim| drop(sim.proactor().run()));
    // A counter; its two handlers stand in spare blocks.
    let counter = |sim: &Sim| {
        let counter = Arc::new(Shared::new(0));
        for _ in 0..2 {
            let counter = counter.clone();
            sim.proactor().post(move || counter.set(counter.get() + 1));
        }
        let _ = sim.proactor().run();
    };
    executions(1, 1, counter);
    executions(2, 1, counter);
}

#[test]
fn the_steps_of_a_program_allocate_nothing() {
    let allocations = |executions: u64| {
        let mut program = Program::new();
        let (lock, counter) = (program.lock(), program.cell(0));
        for worker in ["one", "other"] {
            program
                .thread(worker)
                .lock(lock)
                .step([counter.write()], move |step| {
                    step.add(counter, 1);
                })
                .unlock(lock);
        }
        let checker = Checker::new()
            .strategy(Strategy::Random)
            .deviations(0)
            .reduced(false)
            .executions(executions)
            .threads(1);
        let before = COUNT.get();
        let done = checker.run_program(program);
        assert_eq!(done.unwrap().executions(), executions);
        COUNT.get() - before
    };
    allocations(1_000);
    let more = allocations(11_000) - allocations(1_000);
    // What is written down at the end of a chunk.
    assert!(
        more <= 10_000 / 64,
        "{more} allocations of 10,000 executions"
    );
}
