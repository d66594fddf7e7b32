//! Reports, summaries and traces as snapshots: `cargo insta review`, or `INSTA_UPDATE=always`, takes
//! over a change that is meant.

use proactor::Proactor;
use proactor::check::Checker;
use proactor::choice::Kind;
use proactor::sim::{Config, World};

use crate::models::{echo_by_handlers, echo_by_task, echo_client, frame, one_read, whole_frame};

/// Without the line and column numbers of source files: unrelated edits move them.
pub(crate) fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut redacted = parts.next().unwrap_or("").to_owned();
    for part in parts {
        redacted += ".rs:_";
        let number = |c: char| c.is_ascii_digit() || c == ':';
        redacted += part.trim_start_matches(number);
    }
    redacted
}

/// Runs on a thread of its own, by whose name reports name the test.
pub(crate) fn on_a_test_thread<T: Send + 'static>(run: fn() -> T) -> T {
    let thread = std::thread::Builder::new().name("tests::frames".to_owned());
    let running = thread.spawn(run).expect("a thread");
    running.join().expect("no panic")
}

#[test]
fn a_report() {
    let failure = on_a_test_thread(|| {
        let checker = Checker::new().name("frames");
        checker.run(|sim| frame(sim, one_read)).expect_err("found")
    });
    insta::assert_snapshot!(without_lines(&failure.to_string()));
}

#[test]
fn a_report_of_a_stuck_run() {
    let failure = on_a_test_thread(|| {
        let model = |sim: &proactor::check::Sim| {
            let listener = proactor::net::TcpListener::bind(sim.proactor(), "10.0.0.1:7");
            let listener = listener.expect("the address is free");
            let handle = sim.proactor().handle();
            sim.proactor().post(move || {
                drop(handle.spawn(async move { drop(listener.accept().await) }));
            });
            let _ = sim.proactor().run();
        };
        Checker::new().name("stuck").run(model).expect_err("found")
    });
    insta::assert_snapshot!(without_lines(&failure.to_string()));
}

#[test]
fn a_summary() {
    let checker = Checker::new().name("frames").executions(3_000);
    let summary = checker.run(|sim| frame(sim, whole_frame));
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    insta::assert_snapshot!(summary.to_string());
}

/// Reads a file once.
fn reads(sim: &proactor::check::Sim) {
    sim.file("/etc/motd", b"be kind to each other");
    let read = async {
        let file = proactor::fs::File::open(sim.proactor(), "/etc/motd")
            .await
            .ok()?;
        file.read_at(vec![0; 64], 0).await.0.ok()
    };
    sim.proactor().block_on(read).expect("it runs");
}

#[test]
fn which_outcomes_were_offered_to_whom() {
    let checker = Checker::new().deviations(1).random(false).drops(false);
    let summary = checker.run(reads).expect("it passes");
    insta::assert_snapshot!(summary.matrix().to_string());
    // What the kind run offers is all taken, once each.
    assert_eq!(summary.matrix().never_taken(), []);
    let kind = Checker::new().executions(1).run(reads);
    let kind = kind.expect("it passes");
    let (offered, taken) = kind.matrix().of("read_at", "half");
    assert_eq!((offered, taken), (1, 0));
    assert!(
        kind.to_string().contains("\n  never    ")
            && kind.to_string().contains("read_at 1 (offered 1 time)"),
        "{kind}"
    );
}

#[test]
fn what_was_offered_and_what_is_unseen_is_the_same_on_any_number_of_threads() {
    let [one, three] = [1, 3].map(|threads| {
        let checker = Checker::new().executions(4_000).threads(threads);
        let summary = checker.run(|sim| frame(sim, whole_frame));
        summary.unwrap_or_else(|failure| panic!("{failure}"))
    });
    assert_eq!(one.matrix(), three.matrix());
    assert_eq!(one.unseen(), three.unseen());
    let unseen = one.unseen().expect("there were random ones");
    assert!(unseen > 0.0 && unseen < 0.9, "{one}");

    // A world in which random executions have met all that there is.
    let small = Checker::new().deviations(0).reduced(false).run(|sim| {
        for n in 0..3 {
            sim.proactor()
                .sleep(std::time::Duration::from_millis(n))
                .then(|_| ());
        }
        sim.proactor().run().expect("it runs");
    });
    let small = small.expect("it passes");
    assert_eq!(small.unseen(), Some(0.0), "{small}");
    assert!(
        small
            .to_string()
            .contains("\n  unseen   less than 0.01% of further ones"),
        "{small}"
    );
}

/// What the kernel sees of an echo server and its client. Operations are numbered as they were
/// submitted: their names tell who started them, which is a task in one style and a handler in the other.
fn kernel_trace(serve: fn(&Proactor)) -> String {
    let config = Config {
        trace: true,
        ..Config::default()
    };
    let world = World::new(config, Box::new(Kind));
    let proactor = Proactor::builder().simulated(&world).build();
    let proactor = proactor.expect("it can be simulated");
    serve(&proactor);
    echo_client(&proactor);
    proactor.run().expect("it runs");
    drop(proactor);
    world.finish();
    assert!(!world.failed(), "{:?}", world.violation());
    let mut names: Vec<String> = Vec::new();
    let mut numbered = String::new();
    for line in world.kernel_trace().lines() {
        let (name, event) = line.split_once(' ').expect("a name and an event");
        let known = names.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        });
        numbered += &format!("{number} {event}\n");
    }
    numbered
}

#[test]
fn the_kernel_trace_of_an_echo_in_both_styles() {
    let handlers = kernel_trace(echo_by_handlers);
    let task = kernel_trace(echo_by_task);
    assert_eq!(handlers, task);
    insta::assert_snapshot!(handlers);
}
