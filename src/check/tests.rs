//! The checker from the outside, on toy programs: reports, replays, refusals.

use super::env::Wishes;
use super::execution::{Column, Subject};
use super::toys::{Program, Toy, faults};
use super::{Checker, Failure, FailureKind, Summary};
use crate::choice::EventId;
use crate::sim::Invariant;

fn check<S: Subject>(checker: Checker, subject: &S) -> Result<Summary, Box<Failure>> {
    checker.check(subject, Wishes::default())
}

fn replay<S: Subject>(subject: &S, text: &str) -> Result<Summary, Box<Failure>> {
    let wishes = Wishes {
        replay: Some(text.parse().expect("well formed")),
        ..Wishes::default()
    };
    Checker::new().name("toy").check(subject, wishes)
}

/// Forgets that a read may be short if the answer comes before the timer.
fn short_read(toy: &mut Toy<'_>) {
    let read = toy.submit(EventId::ROOT, 0, "recv(c1 client, 64)");
    let timer = toy.submit(EventId::ROOT, 1, "sleep(1ms)");
    let write = toy.submit(read, 0, "send(c1 client, 64)");
    let short = toy.outcome_of(read, &["full", "1", "half"]);
    let order = toy.order_of(&[read, timer, write]);
    if short == 1 && order[0] == timer {
        toy.fail(
            Invariant::I8,
            "1 operation is still in flight:\n  recv(c1 client, 64)",
        );
    }
    for _ in 0..3 {
        toy.outcome_of(write, &["full", "1"]);
    }
}

#[test]
fn a_report_tells_the_shortest_story_and_how_to_repeat_it() {
    // On a thread of its own: the command names the test by it.
    let thread = std::thread::Builder::new().name("tests::toy".to_owned());
    let failing = || check(Checker::new().name("toy"), &Program(short_read)).expect_err("it fails");
    let failure = thread
        .spawn(failing)
        .expect("a thread")
        .join()
        .expect("no panic");
    assert_eq!(failure.kind(), FailureKind::Broken);
    assert_eq!(failure.invariant(), Some(Invariant::I8));
    assert_eq!(failure.deviations().len(), 2);
    let report = [
        "proactor: check `toy` fails: bytes-conserved, I8 (handles, operations and timers are all accounted for at the end)",
        "  1 operation is still in flight:",
        "    recv(c1 client, 64)",
        "",
        "It takes 2 deviations, which a kernel may do and seldom does; all are needed:",
        "  1. 0.1 recv(c1 client, 64): outcome 1",
        "  2. 0.2 before 0.1: 29e1ec36 before 4a04d121",
        "  It passes if any one of them does not happen.",
        "",
        "What happened, from top to bottom (! and its number mark a deviation, X where it fails):",
        "                                                      source in",
        "      time  step   kernel        program              tests/",
        "      0 ns  0.1                  recv(c1 client, 64)  toy.rs:10",
        "            0.2                  sleep(1ms)           toy.rs:11",
        "            0.1.1                send(c1 client, 64)  toy.rs:10",
        "  !1        0.1    outcome 1",
        "  !2        0.2    completes",
        "            0.1    completes",
        "            0.1.1  completes",
        "            0.1.1  outcome full",
        "            0.1.1  outcome full",
        "            0.1.1  outcome full",
        "",
        "The handler that ran last, and how it came to run, innermost first:",
        "  0.1.1  send(c1 client, 64)  at tests/toy.rs:10:9",
        "  0.1    recv(c1 client, 64)  at tests/toy.rs:10:9",
        "  0      the check's body",
        "",
        "Found by execution 10 (number 1 with 2 deviations); shrinking took 3 more.",
        "Repeat it:",
        "  PROACTOR_REPLAY='1;for=toy;x256pp:0000000000000000;recv@4a04d121#0=1;next@4a04d121#0=29e1ec36' \
         cargo test tests::toy -- --exact",
        "Stop where it fails, in a debugger:",
        "  PROACTOR_BREAK=fail \
         PROACTOR_REPLAY='1;for=toy;x256pp:0000000000000000;recv@4a04d121#0=1;next@4a04d121#0=29e1ec36' \
         cargo --config 'target.\"cfg(all())\".runner=[\"rust-gdb\",\"-ex\",\"break proactor_break\",\"-ex\",\
         \"run\",\"--args\"]' test tests::toy -- --exact",
    ];
    assert_eq!(failure.to_string(), report.join("\n"));
}

#[test]
fn a_random_failure_is_shrunk_to_the_same_story() {
    let bounded = check(Checker::new().name("toy"), &Program(short_read)).expect_err("it fails");
    let random = Checker::new().name("toy").deviations(0).executions(2_000);
    let random = check(random, &Program(short_read)).expect_err("it fails");
    assert_eq!(random.deviations(), bounded.deviations());
    assert!(random.to_string().contains("(a random one, with"));
}

#[test]
fn a_replay_repeats_the_failure_and_tells_the_same() {
    let first = check(Checker::new().name("toy"), &Program(short_read)).expect_err("it fails");
    let again = replay(
        &Program(short_read),
        first.replay().expect("it can be replayed"),
    )
    .expect_err("it fails again");
    let body = |failure: &Failure| {
        let text = failure.to_string();
        let found = text.find("\nFound by").expect("it says how it was found");
        text[..found].to_owned()
    };
    assert_eq!(body(&first), body(&again));
    assert_eq!(first.replay(), again.replay());
    assert!(
        again
            .to_string()
            .contains("Found by replaying PROACTOR_REPLAY.")
    );
}

#[test]
fn a_replay_of_mended_code_passes() {
    let failure = check(Checker::new().name("toy"), &Program(short_read)).expect_err("it fails");
    let mended = Program(|toy: &mut Toy<'_>| {
        let read = toy.submit(EventId::ROOT, 0, "recv(c1 client, 64)");
        let timer = toy.submit(EventId::ROOT, 1, "sleep(1ms)");
        let write = toy.submit(read, 0, "send(c1 client, 64)");
        toy.outcome_of(read, &["full", "1", "half"]);
        toy.order_of(&[read, timer, write]);
    });
    let summary = replay(&mended, failure.replay().expect("it has one")).expect("it passes");
    assert_eq!(
        summary.to_string(),
        "proactor: check `toy` passes\n  \
         replayed the execution of PROACTOR_REPLAY, with all of its 2 deviations"
    );
}

#[test]
fn a_stale_replay_that_passes_says_so_and_fails() {
    let text = "1;for=toy;x256pp:0000000000000000;recv@root#0=1;recv@12345678#7=half";
    let toy = Program(|toy: &mut Toy<'_>| {
        toy.outcome_of(EventId::ROOT, &["full", "half"]);
    });
    let failure = replay(&toy, text).expect_err("stale");
    assert_eq!(failure.kind(), FailureKind::Stale);
    assert_eq!(
        failure.to_string(),
        "proactor: check `toy` replays a stale PROACTOR_REPLAY, which passes\n  \
         Stale, left out:\n    \
           recv@root#0=1: that decision offered only full, half\n    \
           recv@12345678#7=half: that decision never came up\n  \
         The code has changed since, so this says nothing: unset the variable to check anew."
    );
}

#[test]
fn a_stale_replay_that_fails_names_what_is_gone() {
    let failure = check(Checker::new().name("toy"), &Program(short_read)).expect_err("it fails");
    let text = format!(
        "{};reset@12345678#0=1",
        failure.replay().expect("it has one")
    );
    let again = replay(&Program(short_read), &text).expect_err("it fails again");
    assert_eq!(again.kind(), FailureKind::Broken);
    assert!(
        again
            .to_string()
            .contains("Stale, left out:\n  reset@12345678#0=1: that decision never came up\n")
    );
    assert_eq!(again.replay(), failure.replay());
}

#[test]
fn a_replay_is_for_the_check_of_its_name() {
    let text = "1;for=other;x256pp:0000000000000000;recv@root#0=1";
    let summary = replay(&Program(short_read), text).expect("it is not run");
    assert_eq!(summary.executions(), 0);
    assert!(summary.to_string().contains("meant for the check `other`"));
}

#[test]
fn bounds_of_zero_are_refused_with_advice() {
    let toy = faults(2, 2);
    for (checker, said) in [
        (
            Checker::new().executions(0),
            "`executions` must be at least 1",
        ),
        (Checker::new().threads(0), "`threads` must be at least 1"),
        (
            Checker::new().time(std::time::Duration::ZERO),
            "give `time` some",
        ),
        (
            Checker::new().deviations(0).random(false),
            "raise `deviations`",
        ),
    ] {
        let failure = check(checker, &toy).expect_err(said);
        assert_eq!(failure.kind(), FailureKind::Refused);
        assert!(failure.to_string().contains(said), "{failure}");
    }
    assert!(check(Checker::new().deviations(0), &toy).is_ok());
}

#[test]
fn variables_win_over_the_builder() {
    let wishes = Wishes {
        executions: Some(50),
        deviations: Some(1),
        seed: Some(7),
        threads: Some(1),
        ..Wishes::default()
    };
    let checker = Checker::new().executions(1_000_000).deviations(5).seed(3);
    let summary = checker.check(&faults(4, 4), wishes).expect("nothing fails");
    assert_eq!(summary.executions(), 50);
    assert_eq!(summary.proved(), Some(1));
    assert!(summary.to_string().contains("(seed 0x7)"));
}

#[test]
fn a_program_that_differs_from_one_run_to_the_next_is_told_where() {
    let runs = std::sync::atomic::AtomicU32::new(0);
    let toy = Program(|toy: &mut Toy<'_>| {
        toy.note(EventId::ROOT, Column::Kernel, "the first step".to_owned());
        let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        toy.note(EventId::ROOT, Column::Kernel, format!("after {run} runs"));
    });
    let failure = check(Checker::new().name("toy"), &toy).expect_err("it differs");
    assert_eq!(failure.kind(), FailureKind::NonDeterministic);
    let text = failure.to_string();
    assert!(
        text.contains("fails: the model is not deterministic"),
        "{text}"
    );
    assert!(
        text.contains("They part at step 2, in the body of the model:"),
        "{text}"
    );
    assert!(text.contains("once   after 2 runs\n"), "{text}");
    assert!(
        text.contains("a random number (`Sim::rng` repeats itself)"),
        "{text}"
    );
}

#[test]
fn a_failure_that_does_not_come_again_is_no_failure_of_the_kernel() {
    let runs = std::sync::atomic::AtomicU32::new(0);
    let toy = Program(|toy: &mut Toy<'_>| {
        toy.outcome(0, 4);
        if runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 4 {
            toy.fail(Invariant::I1, "once only");
        }
    });
    let failure = check(Checker::new().threads(1).repeat_every(0), &toy).expect_err("it differs");
    assert_eq!(failure.kind(), FailureKind::NonDeterministic);
    let text = failure.to_string();
    assert!(
        text.contains(
            "Execution 3 failed with one-completion: once only\n  Run again, it did not."
        ),
        "{text}"
    );
}

#[test]
fn a_failure_of_the_kind_run_needs_no_deviation() {
    let toy = Program(|toy: &mut Toy<'_>| {
        toy.outcome(0, 4);
        toy.fail(Invariant::I1, "always");
    });
    let failure = check(Checker::new(), &toy).expect_err("it fails");
    assert_eq!(failure.executions(), 1);
    assert!(failure.deviations().is_empty());
    assert!(
        failure
            .to_string()
            .contains("It fails without any deviation"),
        "{failure}"
    );
}

#[test]
fn the_answer_is_the_same_on_any_number_of_threads() {
    let toy = Program(|toy: &mut Toy<'_>| {
        let sum: usize = (0..20).map(|op| toy.outcome(op, 3)).sum();
        if sum > 9 {
            toy.fail(Invariant::I5, "too many");
        }
    });
    let text = |threads| {
        let checker = Checker::new().threads(threads).executions(20_000);
        check(checker, &toy).expect_err("it fails").to_string()
    };
    assert_eq!(text(1), text(2));
    assert_eq!(text(1), text(5));
    let text = |threads| {
        check(Checker::new().threads(threads), &faults(8, 3))
            .expect("nothing fails")
            .to_string()
    };
    assert_eq!(text(1), text(3));
}

/// Models on the simulated kernel, without a proactor.
mod models {
    use super::super::{Checker, FailureKind, check};
    use crate::sim::{Invariant, Oracle, Violation};

    #[test]
    fn a_model_that_panics_in_its_setup_fails_with_the_message_and_the_place() {
        let failure = Checker::new()
            .name("setup")
            .run(|_| todo!("the rest of the server"))
            .expect_err("it panics");
        assert_eq!(failure.kind(), FailureKind::Broken);
        assert_eq!(failure.invariant(), Some(Invariant::Panic));
        assert_eq!(
            failure.message(),
            Some("not yet implemented: the rest of the server")
        );
        let text = failure.to_string();
        assert!(text.contains("src/check/tests.rs:"), "{text}");
        assert!(text.contains("It fails without any deviation"), "{text}");
    }

    #[test]
    fn what_the_kernel_saw_first_is_not_hidden_by_a_later_panic() {
        let failure = Checker::new()
            .run(|sim| {
                sim.world().report(Violation::new(
                    Oracle::Always,
                    "the first".to_owned(),
                    crate::choice::EventId::ROOT,
                    None,
                ));
                panic!("the second");
            })
            .expect_err("it fails");
        assert_eq!(failure.invariant(), Some(Invariant::Always));
        assert_eq!(failure.message(), Some("the first"));
    }

    #[test]
    fn a_check_inside_a_check_is_refused_with_advice() {
        let failure = Checker::new()
            .run(|_| check(|_| ()))
            .expect_err("it is refused");
        let message = failure.message().expect("a panic");
        assert!(
            message.contains("it stands inside another check's model"),
            "{message}"
        );
        assert!(message.contains("give it a test of its own"), "{message}");
    }

    #[test]
    fn a_model_sees_its_files_and_nothing_of_the_execution_before() {
        let summary = Checker::new()
            .threads(1)
            .executions(20)
            .run(|sim| {
                assert_eq!(sim.read_file("/a/b"), None);
                assert!(sim.now().is_zero());
                sim.dir("/a");
                sim.file("/a/b", b"c");
                assert_eq!(sim.read_file("/a/b").as_deref(), Some(&b"c"[..]));
            })
            .expect("it passes");
        assert_eq!(summary.executions(), 20);
        assert!(summary.to_string().contains("nothing to decide"));
    }

    #[test]
    fn random_numbers_of_a_model_are_the_same_in_every_execution_of_a_seed() {
        use rand::Rng;
        let drawn = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let numbers = drawn.clone();
        Checker::new()
            .random(false)
            .run(move |sim| {
                let pair = (sim.rng().next_u64(), sim.rng().next_u64());
                numbers.lock().expect("no panic").push(pair);
            })
            .expect("it passes");
        let drawn = drawn.lock().expect("no panic");
        assert!(drawn.len() >= 2 && drawn.iter().all(|pair| *pair == drawn[0]));
        assert_ne!(drawn[0].0, drawn[0].1);
    }

    #[test]
    #[should_panic = "fails: panic (no handler panics)"]
    fn check_panics_with_the_report() {
        check(|_| panic!("on purpose"));
    }

    #[test]
    fn a_model_that_reads_the_clock_of_the_machine_is_not_deterministic() {
        let runs = std::sync::atomic::AtomicU32::new(0);
        let failure = Checker::new()
            .run(move |_| {
                let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                assert!(run != 1, "the second run differs");
            })
            .expect_err("it differs");
        assert_eq!(failure.kind(), FailureKind::NonDeterministic);
    }
}

#[test]
fn the_table_of_oracles_in_the_docs_is_that_of_the_catalogue() {
    let docs = include_str!("mod.rs").replace("//! ", "");
    let table = crate::sim::oracle::table();
    assert!(
        docs.contains(&table),
        "put this into the docs of `check`:\n{table}"
    );
}
