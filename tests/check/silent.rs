//! Oracles that must not speak: correct code with every oracle denied, and each with its two tests by list.

use std::sync::Arc;
use std::time::Duration;

use proactor::check::{Checker, Sim, busy};
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::{Level, Oracle, Personality};
use proactor::sync::Shared;
use proactor::{Handle, RunEnd, Strand, compose};

const ADDR: &str = "10.0.0.1:7";
const BUDGET: Duration = Duration::from_millis(2);

/// Serves so many connections, one after the other, and ends.
async fn serve(listener: TcpListener, mut connections: u32) {
    while connections > 0 {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections -= 1;
                let read = compose::read_exact(&stream, Vec::with_capacity(4));
                let (read, frame) = read.timeout(Duration::from_secs(1)).await;
                busy(BUDGET);
                if read.is_err() || compose::write_all(&stream, frame).await.0.is_err() {
                    let _ = stream.set_linger(Some(Duration::ZERO));
                }
            }
            Err(error) if proactor::is_canceled(&error) => return,
            Err(_) => {}
        }
    }
    listener.close();
}

async fn ask(proactor: Handle) {
    let Ok(stream) = TcpStream::connect(&proactor, ADDR).await else {
        return;
    };
    if compose::write_all(&stream, "ping").await.0.is_ok() {
        let _ = compose::read_exact(&stream, Vec::with_capacity(4)).await;
    }
}

/// A server, two clients and two handlers that share a number on a strand.
fn correct(sim: &Sim) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, ADDR).unwrap();
    let (serving, closing) = (listener.clone(), listener);
    let server = proactor.spawn(serve(serving, 2));
    let clients = [ask(proactor.handle()), ask(proactor.handle())].map(|it| proactor.spawn(it));
    drop(proactor.spawn(async move {
        for client in clients {
            let _ = client.await;
        }
        // Some may never have come.
        closing.close();
        let _ = server.await;
    }));
    let (strand, number) = (Strand::new(proactor), Arc::new(Shared::new(0)));
    for _ in 0..2 {
        let number = number.clone();
        strand.post(move || {
            busy(BUDGET / 2);
            number.with(|number| *number += 1);
        });
    }
    assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
}

fn everything_denied() -> Checker {
    let checker = Checker::new().handler_budget(BUDGET).executions(1_500);
    let denied = |checker: Checker, oracle: &Oracle| checker.oracle(*oracle, Level::Deny);
    Oracle::ALL.iter().fold(checker, denied)
}

#[test]
fn correct_code_passes_with_every_oracle_denied() {
    for (workers, personality) in [
        (1, Personality::Any),
        (2, Personality::Any),
        (1, Personality::Ring),
        (1, Personality::Port),
        (1, Personality::Readiness),
    ] {
        let summary = everything_denied()
            .workers(workers)
            .personality(personality)
            .run(correct)
            .unwrap_or_else(|failure| panic!("{failure}"));
        assert!(summary.warnings().is_empty(), "{summary}");
    }
}

#[test]
fn a_handler_over_its_budget_and_one_within() {
    let takes = |time: Duration| {
        everything_denied().run(move |sim| {
            sim.proactor().post(move || {
                // In two pieces, which count together.
                busy(time / 2);
                busy(time / 2);
            });
            let _ = sim.proactor().run();
        })
    };
    takes(BUDGET).unwrap_or_else(|failure| panic!("{failure}"));
    let failure = takes(BUDGET + Duration::from_nanos(2)).expect_err("it is over it");
    assert_eq!(failure.oracle(), Some(Oracle::OverBudget), "{failure}");
    assert!(failure.to_string().contains("silent.rs"), "{failure}");
}

/// Where each oracle is seen to speak; that it is silent on correct code the tests above see, and those named second
/// where there is more to that.
const fn seen(oracle: Oracle) -> (&'static str, &'static str) {
    const CORRECT: &str = "correct_code_passes_with_every_oracle_denied";
    match oracle {
        Oracle::OneCompletion => ("an_operation_that_ends_twice", CORRECT),
        Oracle::LentBuffer => (
            "i2_a_receiving_buffer_is_touched_before_the_effect",
            CORRECT,
        ),
        Oracle::StrandExclusion => ("a_queue_that_lets_a_second_one_in", CORRECT),
        Oracle::StrandOrder => ("a_queue_that_mixes_up_its_handlers", CORRECT),
        Oracle::UseAfterClose => (
            "i4_a_closed_handle_is_used_even_if_its_number_was_given_again",
            CORRECT,
        ),
        Oracle::QueuedOperations => ("more_is_queued_than_the_bound", CORRECT),
        Oracle::QueuedBytes => (
            "what_is_appended_counts_as_queued_until_it_has_ended",
            CORRECT,
        ),
        Oracle::Deadlock => (
            "who_waits_for_whom",
            "random_schedules_conserve_bytes_and_never_get_stuck",
        ),
        Oracle::Livelock => (
            "a_run_without_progress_and_one_without_an_end",
            "a_long_run_that_ends_is_none",
        ),
        Oracle::Endless => (
            "a_task_that_sleeps_and_sleeps_never_ends",
            "a_long_run_that_ends_is_none",
        ),
        Oracle::EofSpin => (
            "who_reads_on_and_on_at_the_end_of_a_stream",
            "who_follows_a_file_and_waits_between_two_looks_does_not_spin",
        ),
        Oracle::ParkedTask => (
            "a_task_that_nobody_will_wake",
            "tasks_that_end_or_wait_for_something_are_not_parked",
        ),
        Oracle::BytesConserved => (
            "bytes_that_get_lost_on_the_way",
            "resets_and_ends_lose_no_bytes_that_are_not_accounted_for",
        ),
        Oracle::ClosedTwice => ("a_level_makes_a_failure_a_warning_or_nothing", CORRECT),
        Oracle::Leak => ("i8_what_is_left_over_is_named", CORRECT),
        Oracle::LostResult => ("a_result_that_nobody_waited_for", CORRECT),
        Oracle::OverBudget => (
            "a_handler_over_its_budget_and_one_within",
            "a_handler_over_its_budget_and_one_within",
        ),
        Oracle::Starvation => ("a_completion_that_waits_for_busy_handlers", CORRECT),
        Oracle::BlockingCall => ("a_call_that_blocks_the_worker", CORRECT),
        Oracle::ConcurrentReads => (
            "two_reads_of_one_stream",
            "both_directions_at_once_and_one_after_the_other_are_no_smell",
        ),
        Oracle::ConcurrentWrites => (
            "two_writes_of_one_stream",
            "both_directions_at_once_and_one_after_the_other_are_no_smell",
        ),
        Oracle::Race => (
            "accesses_that_nothing_orders_are_told_without_any_deviation",
            CORRECT,
        ),
        Oracle::Panic => ("a_panic_can_not_be_forgiven", CORRECT),
        Oracle::Always => (
            "an_invariant_of_the_model_names_the_handler_that_broke_it",
            CORRECT,
        ),
        _ => ("", ""),
    }
}

#[test]
fn each_oracle_has_a_test_that_it_speaks_and_one_that_it_is_silent() {
    let mut sources = String::new();
    for folder in ["src/sim/tests", "src/strand", "tests/check"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for file in std::fs::read_dir(folder).unwrap() {
            sources += &std::fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        }
    }
    for oracle in Oracle::ALL {
        let (speaks, silent) = seen(oracle);
        for name in [speaks, silent] {
            assert!(
                sources.contains(&format!("fn {name}()")),
                "{oracle}: no test `{name}`"
            );
        }
    }
}
