//! An execution on a bench that was used before is the one that a fresh bench gives: whatever those
//! before it have left, and however they have ended. And it is the one that is told, in which no handler begins on
//! the stack that the one before it has left; and the one that is seen by who reads the keys of decisions.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;

use super::execution::{Outcome, Subject};
use super::sim::{Bench, Model, Sim};
use crate::choice::random::{Random, seed_of};
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};
use crate::net::{TcpListener, TcpStream};
use crate::sim::{Config, Oracle, Violation};
use crate::sync::{PerExecution, Shared};
use crate::{Handle, Strand, compose};

thread_local! {
    /// A handle of some execution before.
    static STALE: Cell<Option<Handle>> = const { Cell::new(None) };
}

/// Uses a handle of its execution when it is dropped, after that's proactor.
struct Late(Handle);

impl Drop for Late {
    fn drop(&mut self) {
        self.0.post(|| ());
        drop(self.0.sleep(Duration::from_millis(1)));
    }
}

static LATE: PerExecution<std::sync::Mutex<Option<Late>>> =
    PerExecution::new(std::sync::Mutex::default);

/// Something of everything, drawn by the seed.
fn anything(sim: &Sim) {
    let mut dice = sim.rng();
    let proactor = sim.proactor();
    let handle = proactor.handle();
    let counter = Arc::new(Shared::new(0));
    for _ in 0..1 + dice.next_u64() % 5 {
        let draw = dice.next_u64();
        let counter = counter.clone();
        match draw % 17 {
            0 => handle.post(move || counter.set(counter.get() + 1)),
            1 => drop(
                handle
                    .sleep(Duration::from_millis(draw >> 60))
                    .then(move |_| handle.post(move || counter.set(counter.get() + 1))),
            ),
            2 => {
                let strand = Strand::new(proactor);
                for _ in 0..2 {
                    let counter = counter.clone();
                    strand.post(move || counter.set(counter.get() + 1));
                }
            }
            3 => drop(handle.spawn(async move {
                for _ in 0..2 {
                    let _ = handle.sleep(Duration::from_millis(1)).await;
                    counter.set(counter.get() + 1);
                }
            })),
            4 => connection(sim),
            5 => {
                // In flight at the end, and its listener is closed by nobody.
                if let Ok(listener) = TcpListener::bind(proactor, "10.0.0.1:9") {
                    drop(listener.accept().then(|_| ()));
                    std::mem::forget(listener);
                }
            }
            6 => drop(handle.offload(|| 1).then(move |_| counter.set(1))),
            7 => drop(handle.spawn(std::future::pending::<()>())),
            8 if draw >> 61 == 0 => handle.post(|| panic!("a handler")),
            9 if draw >> 61 == 0 => panic!("the body"),
            10 if draw >> 61 == 0 => {
                let message = "so it is".to_owned();
                let violation = Violation::new(Oracle::Always, message, EventId::ROOT, None);
                sim.world().report(violation);
            }
            // Runs on after the end of a failing execution, until it is unwound or leaked.
            11 if draw >> 60 == 0 => handle.post(move || {
                let spin = || {
                    for _ in 0..25_000 {
                        let _ = handle.now();
                    }
                };
                if draw & 1 << 40 == 0 {
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(spin));
                }
                spin();
            }),
            12 => handle.post(move || handle.stop()),
            13 => LATE.with(|late| {
                *late.lock().expect("no panic") = Some(Late(handle));
            }),
            14 => {
                if let Some(stale) = STALE.replace(Some(handle)) {
                    stale.post(|| panic!("of another execution"));
                    drop(
                        stale
                            .sleep(Duration::ZERO)
                            .then(|_| panic!("of another execution")),
                    );
                }
            }
            15 => drop(proactor.block_on(handle.sleep(Duration::from_millis(1)))),
            _ => drop(proactor.work_guard()),
        }
    }
    let _ = proactor.poll();
    if dice.next_u64() & 1 == 0 {
        let _ = proactor.run_for(Duration::from_millis(20));
    }
    if dice.next_u64() & 3 == 0 {
        // Never run.
        proactor.post(|| ());
        drop(proactor.spawn(async {}));
    }
}

/// Sends a few bytes there and back.
fn connection(sim: &Sim) {
    let proactor = sim.proactor();
    let Ok(listener) = TcpListener::bind(proactor, "10.0.0.1:7") else {
        return;
    };
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        if let Ok((stream, _)) = listener.accept().await
            && let (Ok(3), bytes) = stream.read(vec![0; 3]).await
        {
            let _ = compose::write_all(&stream, bytes).await;
        }
    }));
    drop(proactor.spawn(async move {
        if let Ok(stream) = TcpStream::connect(&handle, "10.0.0.1:7").await
            && let (Ok(_), _) = compose::write_all(&stream, b"abc".to_vec()).await
        {
            let _ = compose::read_exact(&stream, vec![0; 3]).await;
        }
    }));
}

fn run<S: Subject>(subject: &S, bench: &mut S::Bench, seed: u64) -> Outcome {
    let mut random = Box::<Random>::default();
    random.begin(seed);
    subject.run(bench, random, seed).0
}

#[test]
fn an_execution_on_a_used_bench_is_that_on_a_fresh_one() {
    for workers in [1, 2, 3] {
        let subject = Model::new(Config::default(), anything).with_workers(workers, true);
        let mut used: Bench = subject.bench();
        let (mut kept, mut failed) = (0, 0);
        for index in 0..1_200 {
            let seed = seed_of(workers as u64, index);
            kept += u32::from(used.is_kept());
            let again = run(&subject, &mut used, seed);
            let fresh = run(&subject, &mut subject.bench(), seed);
            assert_eq!(again.digest, fresh.digest, "{workers} workers, {index}");
            assert_eq!(again.fault, fresh.fault, "{workers} workers, {index}");
            failed += u32::from(fresh.fault.is_some());
        }
        // Else this would say nothing.
        assert!(kept > 400 && failed > 20, "{kept} kept, {failed} failed");
    }
}

/// The same decisions, by somebody for whom keys are counted.
#[derive(Default)]
struct Reader(Random);

impl Chooser for Reader {
    fn choose(&mut self, site: Site, key: Key, count: usize, those: &dyn Alternatives) -> usize {
        self.0.choose(site, key, count, those)
    }
}

#[test]
fn an_execution_whose_handlers_leave_each_other_their_stacks_is_the_one_that_is_told() {
    for workers in [2, 3] {
        let subject = Model::new(Config::default(), anything).with_workers(workers, true);
        let mut bench = subject.bench();
        for index in 0..400 {
            let seed = seed_of(workers as u64, index);
            let outcome = run(&subject, &mut bench, seed);
            let mut reader = Box::<Reader>::default();
            reader.0.begin(seed);
            let told = subject.trace(reader, seed).0;
            assert_eq!(outcome.digest, told.digest, "{workers} workers, {index}");
            assert_eq!(outcome.fault, told.fault, "{workers} workers, {index}");
        }
    }
}
