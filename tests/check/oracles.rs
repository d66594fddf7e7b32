//! The oracles that need no line from the user, and goals, as a check tells them: what people read, and
//! that levels, counts and replays are true.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::time::Duration;

use proactor::check::{self, Checker, Failure, FailureKind, Sim};
use proactor::compose::write_all;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Config, Level, Oracle};
use proactor::sync::{Condvar, Mutex, oneshot};
use proactor::{Handle, Strand};

use crate::telling::{on_a_test_thread, without_lines};

const ADDR: &str = "10.0.0.1:7";

/// Both ends of a connection, each in a task of its own. Faults of the network end the model.
fn connection<S, C>(
    sim: &Sim,
    server: fn(Handle, TcpStream) -> S,
    client: fn(Handle, TcpStream) -> C,
) where
    S: Future<Output = ()> + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(sim.proactor(), ADDR).expect("the address is free");
    let (handle, open) = (sim.proactor().handle(), listener.clone());
    drop(sim.proactor().spawn(async move {
        if let Ok((stream, _)) = open.accept().await {
            server(handle, stream).await;
        }
    }));
    let handle = sim.proactor().handle();
    drop(sim.proactor().spawn(async move {
        if let Ok(stream) = TcpStream::connect(&handle, ADDR).await {
            client(handle, stream).await;
        }
        listener.close();
    }));
    let _ = sim.proactor().run();
}

async fn nothing(_: Handle, stream: TcpStream) {
    let _ = stream.read(vec![0; 1]).await;
}

/// The failure of this model, found by this oracle, which is denied.
fn denied(oracle: Oracle, config: fn(&mut Config), model: fn(&Sim)) -> Box<Failure> {
    let mut changed = Config::default();
    config(&mut changed);
    let checker = Checker::new().name(oracle.name()).config(changed);
    let failure = checker
        .oracle(oracle, Level::Deny)
        .run(model)
        .expect_err("it is found");
    assert_eq!(failure.oracle(), Some(oracle), "{failure}");
    assert_eq!(failure.invariant(), Some(oracle.invariant()), "{failure}");
    failure
}

/// The report of that, for a snapshot.
fn told(oracle: Oracle, config: fn(&mut Config), model: fn(&Sim)) -> String {
    let thread = std::thread::Builder::new().name("tests::oracles".to_owned());
    let running = thread.spawn(move || denied(oracle, config, model).to_string());
    without_lines(&running.expect("a thread").join().expect("no panic"))
}

/// Two reads at once: which of them gets what is up to the kernel.
async fn reads_twice(_: Handle, stream: TcpStream) {
    let first = stream.read(vec![0; 4]).into_future();
    let second = stream.read(vec![0; 4]).into_future();
    let _ = (first.await, second.await);
}

async fn sends_twice(_: Handle, stream: TcpStream) {
    let first = stream.write("beat").into_future();
    let second = stream.write("frame").into_future();
    let _ = (first.await, second.await);
}

async fn spins_at_the_end(_: Handle, stream: TcpStream) {
    while stream.read(vec![0; 4]).await.0.is_ok() {}
}

async fn reads_first(_: Handle, stream: TcpStream) {
    let _ = stream.read(vec![0; 4]).await;
    let _ = stream.write("your turn").await;
}

/// A read that is one branch of a select: here the other branch has won at once.
async fn drops_a_read(proactor: Handle, stream: TcpStream) {
    let mut read = Box::pin(stream.read(vec![0; 4]).into_future());
    let _ = read.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    let _ = proactor.sleep(Duration::from_millis(1)).await;
    drop(read);
    let _ = stream.read(vec![0; 4]).await;
}

async fn sends(_: Handle, stream: TcpStream) {
    let _ = write_all(&stream, b"hello".to_vec()).await;
    let _ = stream.read(vec![0; 1]).await;
}

#[test]
fn two_reads_of_one_stream() {
    let report = told(
        Oracle::ConcurrentReads,
        |_| (),
        |sim| connection(sim, reads_twice, nothing),
    );
    insta::assert_snapshot!(report);
}

#[test]
fn two_writes_of_one_stream() {
    let report = told(
        Oracle::ConcurrentWrites,
        |_| (),
        |sim| connection(sim, nothing, sends_twice),
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_spin_at_the_end_of_a_stream() {
    async fn leaves(_: Handle, stream: TcpStream) {
        drop(stream);
    }
    let few = |config: &mut Config| config.eof_spin = 3;
    let report = told(Oracle::EofSpin, few, |sim| {
        connection(sim, spins_at_the_end, leaves)
    });
    insta::assert_snapshot!(report);
}

#[test]
fn a_deadlock_with_who_waits_for_whom() {
    let report = told(
        Oracle::Deadlock,
        |_| (),
        |sim| connection(sim, reads_first, reads_first),
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_livelock_counted_from_the_last_progress() {
    let few = |config: &mut Config| config.quiet_steps = 20;
    let report = told(Oracle::Livelock, few, |sim| {
        let handle = sim.proactor().handle();
        drop(
            sim.proactor()
                .spawn(async move { while TcpStream::connect(&handle, ADDR).await.is_err() {} }),
        );
        let _ = sim.proactor().run();
    });
    insta::assert_snapshot!(report);
}

#[test]
fn a_result_that_nobody_waited_for() {
    let report = told(
        Oracle::LostResult,
        |_| (),
        |sim| connection(sim, drops_a_read, sends),
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_connection_that_was_accepted_for_nobody() {
    let failure = denied(
        Oracle::LostResult,
        |_| (),
        |sim| {
            let listener = TcpListener::bind(sim.proactor(), ADDR).expect("the address is free");
            let handle = sim.proactor().handle();
            drop(sim.proactor().spawn(async move {
                let mut accept = Box::pin(listener.accept().into_future());
                let _ = accept
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()));
                let _ = handle.sleep(Duration::from_millis(1)).await;
                drop(accept);
                let _ = handle.sleep(Duration::from_millis(1)).await;
                listener.close();
            }));
            TcpStream::connect(sim.proactor(), ADDR).then(drop);
            let _ = sim.proactor().run();
        },
    );
    let message = failure.message().expect("it has one");
    assert!(
        message.contains("it had accepted a connection, which was closed at once"),
        "{failure}"
    );
}

#[test]
fn more_is_queued_than_the_bound() {
    async fn floods(proactor: Handle, stream: TcpStream) {
        let stream = &stream;
        for _ in 0..4 {
            stream.write(vec![0; 4]).then(|_| ());
        }
        let _ = proactor.sleep(Duration::from_millis(1)).await;
    }
    let bound = |config: &mut Config| config.most_bytes = 10;
    let report = told(Oracle::QueuedBytes, bound, |sim| {
        connection(sim, nothing, floods)
    });
    insta::assert_snapshot!(report);
    let bound = |config: &mut Config| config.most_operations = 5;
    let failure = denied(Oracle::QueuedOperations, bound, |sim| {
        connection(sim, nothing, floods)
    });
    let message = failure.message().expect("it has one");
    assert!(
        message.contains("more than 5 operations are in flight"),
        "{failure}"
    );
}

#[test]
fn a_completion_that_waits_for_busy_handlers() {
    let report = told(
        Oracle::Starvation,
        |_| (),
        |sim| {
            let proactor = sim.proactor().handle();
            sim.proactor().sleep(Duration::from_millis(1)).then(|_| ());
            // Each within any budget, and all of them before the timer's handler.
            for _ in 0..4 {
                proactor.post(|| check::busy(Duration::from_millis(400)));
            }
            let _ = sim.proactor().run();
        },
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_deadlock_of_locks_with_who_holds_them() {
    let thread = std::thread::Builder::new().name("tests::oracles".to_owned());
    let running = thread.spawn(|| {
        let failure = Checker::new().name("locks").workers(2).run(|sim| {
            let locks = Arc::new([Mutex::new(()), Mutex::new(())]);
            let strand = Strand::new(sim.proactor());
            for first in [0, 1] {
                let locks = locks.clone();
                let both = move || {
                    let _one = locks[first].lock();
                    let _other = locks[1 - first].lock();
                };
                match first {
                    0 => strand.post(both),
                    _ => sim.proactor().post(both),
                }
            }
            strand.post(|| ());
            let _ = sim.proactor().run();
        });
        let failure = failure.expect_err("they wait for each other");
        assert_eq!(failure.oracle(), Some(Oracle::Deadlock), "{failure}");
        failure.to_string()
    });
    let report = running.expect("a thread").join().expect("no panic");
    insta::assert_snapshot!(without_lines(&report));
}

#[test]
fn a_handle_that_is_never_let_go_of() {
    let report = told(
        Oracle::Leak,
        |_| (),
        |sim| {
            let listener = TcpListener::bind(sim.proactor(), ADDR).expect("the address is free");
            // It is held by what it holds.
            let circle = Arc::new(Mutex::new(None::<Box<dyn Send>>));
            let around = circle.clone();
            *circle.lock().expect("no panic") = Some(Box::new((listener, around)));
        },
    );
    insta::assert_snapshot!(report);
}

#[test]
fn a_task_that_nobody_will_wake() {
    let report = told(
        Oracle::ParkedTask,
        |_| (),
        |sim| {
            let (sender, receiver) = oneshot::channel::<()>();
            drop(sim.proactor().spawn(async move {
                let _ = receiver.await;
                drop(sender);
            }));
            let _ = sim.proactor().run();
        },
    );
    insta::assert_snapshot!(report);
}

#[test]
fn tasks_that_end_or_wait_for_something_are_not_parked() {
    let summary = Checker::new().run(|sim| {
        // One waits for an operation when the model ends.
        let handle = sim.proactor().handle();
        drop(
            sim.proactor()
                .spawn(async move { handle.sleep(Duration::from_secs(9)).await }),
        );
        // One has been woken, and has not run since.
        let (sender, receiver) = oneshot::channel::<()>();
        drop(sim.proactor().spawn(async move { receiver.await.is_ok() }));
        let handle = sim.proactor().handle();
        let sleep = async move { handle.sleep(Duration::from_secs(1)).await };
        let _ = sim.proactor().block_on(sleep);
        let _ = sender.send(());
    });
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(summary.warnings().is_empty(), "{summary}");
}

#[test]
fn a_call_that_blocks_the_worker() {
    let report = told(
        Oracle::BlockingCall,
        |_| (),
        |sim| {
            let proactor = sim.proactor().handle();
            sim.proactor().post(move || {
                let other = proactor::Proactor::new();
                let _ = other.map(|other| other.run().is_err());
                let _ = proactor;
            });
            let _ = sim.proactor().run();
        },
    );
    insta::assert_snapshot!(report);
    let failure = denied(
        Oracle::BlockingCall,
        |_| (),
        |sim| {
            sim.proactor().post(|| {
                let (lock, changed) = (Mutex::new(()), Condvar::new());
                drop(changed.wait(lock.lock().expect("no panic")));
            });
            let _ = sim.proactor().run();
        },
    );
    let message = failure.message().expect("it has one");
    assert!(
        message.starts_with("Condvar::wait in a handler"),
        "{failure}"
    );
}

/// Money that one handler takes and another one brings.
fn pays(sim: &Sim, first: i32, second: i32) {
    let balance = Arc::new(AtomicI32::new(10));
    let seen = balance.clone();
    sim.always("nobody owes anything", move || seen.load(Relaxed) >= 0);
    for (millis, amount) in [(1, first), (2, second)] {
        let balance = balance.clone();
        let sleep = sim.proactor().sleep(Duration::from_millis(millis));
        sleep.then(move |_| {
            balance.fetch_add(amount, Relaxed);
        });
    }
    sim.proactor().run().expect("it runs");
}

#[test]
fn an_invariant_of_the_model_names_the_handler_that_broke_it() {
    // In order it holds at all times; out of order in between only.
    let report = told(Oracle::Always, |_| (), |sim| pays(sim, 20, -25));
    insta::assert_snapshot!(report);
    let summary = Checker::new().run(|sim| pays(sim, 5, 5));
    summary.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn an_invariant_is_looked_at_in_the_body_and_at_its_end_and_with_several_workers() {
    let at_once = Checker::new().run(|sim| sim.always("never", || false));
    assert_eq!(
        at_once.expect_err("it is looked at").oracle(),
        Some(Oracle::Always)
    );
    let model = |sim: &Sim| {
        let state = Arc::new(AtomicI32::new(0));
        let seen = state.clone();
        sim.always("it is never 2", move || seen.load(Relaxed) != 2);
        state.store(2, Relaxed);
    };
    assert_eq!(
        Checker::new().run(model).expect_err("at the end").oracle(),
        Some(Oracle::Always)
    );
    let failure = Checker::new().workers(2).run(|sim| {
        let state = Arc::new(AtomicI32::new(0));
        let seen = state.clone();
        sim.always("it is never 1", move || seen.load(Relaxed) != 1);
        for value in [1, 0] {
            let state = state.clone();
            sim.proactor().post(move || state.store(value, Relaxed));
        }
        sim.proactor().run().expect("it runs");
    });
    assert_eq!(
        failure.expect_err("between two").oracle(),
        Some(Oracle::Always)
    );
    let panics = Checker::new().run(|sim| sim.always("it panics", || panic!("inside")));
    assert_eq!(panics.expect_err("it panics").message(), Some("inside"));
}

/// A server that smells, and works.
fn smells(sim: &Sim) {
    connection(sim, reads_twice, sends);
}

#[test]
fn warnings_are_told_once_with_a_count_and_a_replay() {
    let told = |threads| {
        let checker = Checker::new().name("smells").threads(threads);
        checker
            .oracle(Oracle::Deadlock, Level::Allow)
            .executions(500)
            .run(smells)
    };
    let summary = told(1).expect("a warning is no failure");
    insta::assert_snapshot!(without_lines(&summary.to_string()));
    let warned = &summary.warnings()[0];
    assert_eq!(warned.warning().oracle, Oracle::ConcurrentReads);
    // Nearly every execution comes by, once.
    assert!(warned.warning().count > summary.executions() / 2);
    assert!(warned.warning().count <= summary.executions());
    assert_eq!(told(3).expect("nor on three threads"), summary);
}

#[test]
fn the_replay_of_a_warning_shows_it() {
    // Only with a deviation: the kind run has no hole.
    fn model(sim: &Sim) {
        connection(sim, drops_a_read, sends);
    }
    let checker = || {
        let quiet = Checker::new()
            .name("hole")
            .oracle(Oracle::Deadlock, Level::Allow);
        quiet.executions(400)
    };
    let summary = checker().run(model).expect("a warning is no failure");
    let lost = |warned: &&check::Warned| warned.warning().oracle == Oracle::LostResult;
    let warned = summary.warnings().iter().find(lost).expect("it is found");
    let (passed, said) = crate::replaying::child("oracles::hole", warned.replay());
    assert!(
        passed && said.contains("warning  lost-result (1 time)"),
        "{said}"
    );
}

/// What the child process runs.
#[test]
#[ignore = "the test above runs it in a process of its own"]
fn hole() {
    let checker = Checker::new()
        .name("hole")
        .oracle(Oracle::Deadlock, Level::Allow);
    let summary = checker.run(|sim| connection(sim, drops_a_read, sends));
    println!("{}", summary.unwrap_or_else(|failure| panic!("{failure}")));
}

#[test]
fn a_failure_tells_what_it_was_warned_of() {
    let report = on_a_test_thread(|| {
        let checker = Checker::new().name("smells");
        let failure = checker.run(|sim| {
            smells(sim);
            panic!("and then it fails");
        });
        failure.expect_err("it panics").to_string()
    });
    let report = without_lines(&report);
    assert!(
        report.contains(
            "\nBefore that there were warnings:\n  concurrent-reads at tests/check/oracles.rs:_\n"
        ),
        "{report}"
    );
    assert!(
        report.contains("warning: concurrent-reads"),
        "in its lane: {report}"
    );
}

#[test]
fn what_is_allowed_is_not_told() {
    let checker = Checker::new()
        .executions(200)
        .oracle(Oracle::Deadlock, Level::Allow);
    let summary = checker
        .oracle(Oracle::ConcurrentReads, Level::Allow)
        .run(smells);
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    let told = summary
        .warnings()
        .iter()
        .any(|it| it.warning().oracle == Oracle::ConcurrentReads);
    assert!(!told, "{summary}");
}

#[test]
fn a_panic_can_not_be_forgiven() {
    let failure = Checker::new()
        .oracle(Oracle::Panic, Level::Warn)
        .run(|_| ());
    let failure = failure.expect_err("it is refused");
    assert_eq!(failure.kind(), FailureKind::Refused);
    assert!(failure.to_string().contains("always denied"), "{failure}");
}

/// A retry that only some executions come to.
fn retries(sim: &Sim) {
    let listener = TcpListener::bind(sim.proactor(), ADDR).expect("the address is free");
    let handle = sim.proactor().handle();
    drop(sim.proactor().spawn(async move {
        for attempt in 0..3 {
            let connected = TcpStream::connect(&handle, ADDR).await;
            proactor::sometimes!(connected.is_err(), "a connect fails");
            proactor::sometimes!(attempt == 2, "the third attempt");
            if connected.is_ok() {
                break;
            }
            proactor::reachable!("a retry");
        }
        listener.close();
    }));
    let _ = sim.proactor().run();
}

#[test]
fn goals_are_gathered_over_all_executions() {
    let told = |deviations, threads| {
        let checker = Checker::new()
            .name("retries")
            .deviations(deviations)
            .random(false);
        checker
            .threads(threads)
            .goal("a retry")
            .goal("a dance")
            .run(retries)
    };
    let summary = told(1, 1).expect("nothing fails");
    assert_eq!(summary.unreached(), ["the third attempt", "a dance"]);
    insta::assert_snapshot!(without_lines(&summary.to_string()));
    assert_eq!(told(1, 4).expect("nor on four threads"), summary);
    // Two connects have to fail.
    assert_eq!(told(2, 2).expect("nothing fails").unreached(), ["a dance"]);
}

#[test]
fn a_goal_that_is_required_and_not_reached_fails_the_check() {
    let checker = || Checker::new().name("retries").require_goals(true);
    checker()
        .run(retries)
        .unwrap_or_else(|failure| panic!("{failure}"));
    let few = checker()
        .deviations(1)
        .random(false)
        .goal("a dance")
        .run(retries);
    let failure = few.expect_err("two are not reached");
    assert_eq!(failure.kind(), FailureKind::Unreached);
    insta::assert_snapshot!(without_lines(&failure.to_string()));
    let none = checker().run(|_| ()).expect_err("there is no goal");
    assert!(
        none.to_string().contains("Declare what is expected"),
        "{none}"
    );
}

#[test]
fn outside_of_a_check_a_goal_is_nothing() {
    let evaluated = std::cell::Cell::new(false);
    proactor::sometimes!(evaluated.replace(true), "never");
    proactor::reachable!("nothing");
    assert!(!evaluated.get());
}
