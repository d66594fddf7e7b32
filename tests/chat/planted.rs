//! The mistake that strands are there for: one `.on(&strand)` is missing. It compiles, all is well with
//! one worker, and nearly always with two.

use std::sync::Arc;

use proactor::check::{Checker, Failure, Summary};
use proactor::compose;
use proactor::sim::Invariant;

use crate::connection::{self, Connection, SendBatch};
use crate::conversation::{Judge, everything, hold, whole_lines};

/// [`connection::send`](crate::connection::send) without its `.on(&connection.strand)`: the write's end
/// runs beside the handlers of the strand, and both may find that no write is under way.
pub(crate) fn send_off_strand(connection: &Arc<Connection>, batch: Vec<u8>) {
    let sender = connection.clone();
    compose::write_all(&connection.stream, batch)
        .timeout(connection.limits.stall)
        .then(move |(result, _)| sender.sent(result));
}

/// The search: every execution with at most two deviations, and no other. Only what a client sees
/// counts, not that the two accesses are unordered.
fn search(workers: usize, send: SendBatch, judge: Judge) -> Result<Summary, Box<Failure>> {
    Checker::new()
        .name("chat/lines")
        .workers(workers)
        .deviations(2)
        .random(false)
        .executions(200_000)
        .races(false)
        .run(move |sim| hold(sim, send, judge))
}

/// Without the line and column numbers of source files: unrelated edits move them.
fn without_lines(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut redacted = parts.next().unwrap_or("").to_owned();
    for part in parts {
        redacted += ".rs:_";
        redacted += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    redacted
}

#[test]
fn a_line_overtakes_another_by_one_deviation() {
    let failure = search(2, send_off_strand, everything).expect_err("the mistake is found");
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    insta::assert_snapshot!(without_lines(&failure.to_string()));
}

#[test]
fn a_line_is_torn_by_two() {
    let failure = search(2, send_off_strand, whole_lines).expect_err("the mistake is found");
    println!("{failure}");
    assert_eq!(failure.deviations().len(), 2, "{failure}");
    let report = failure.to_string();
    for said in ["a torn line: ", "gives way before Shared::", "short (1 of "] {
        assert!(report.contains(said), "no `{said}` in\n{report}");
    }
}

#[test]
fn with_the_strand_the_same_search_finds_nothing() {
    let summary = search(2, connection::send, everything);
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(summary.proved(), Some(2));
    insta::assert_snapshot!(summary.to_string());
}

#[test]
fn with_one_worker_the_mistake_does_no_harm() {
    let summary = search(1, send_off_strand, everything);
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(summary.proved(), Some(2), "{summary}");
}

#[test]
fn that_nothing_orders_the_two_is_told_without_any_deviation() {
    let failure = Checker::new()
        .name("chat/order")
        .workers(2)
        .run(|sim| hold(sim, send_off_strand, everything))
        .expect_err("the mistake is found");
    println!("{failure}");
    assert_eq!(failure.invariant(), Some(Invariant::Race), "{failure}");
    assert_eq!(failure.deviations().len(), 0, "{failure}");
    let message = failure.message().expect("it has one");
    assert_eq!(message.matches("examples/chat/outbox.rs:").count(), 2);
}
