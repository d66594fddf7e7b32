//! The mistake that strands are there for: one `.on(&strand)` is missing. All compiles, all tests on one
//! worker pass, and so do nearly all on two.

use std::sync::Arc;

use proactor::check::{Checker, Failure};
use proactor::compose;
use proactor::sim::Invariant;

use crate::connection::Connection;
use crate::conversation::{Judge, everything, hold, whole_lines};

/// [`connection::send`](crate::connection::send) without its `.on(&connection.strand)`: the write's end
/// runs beside the handlers of the strand, and both may find that no write is under way.
pub(crate) fn send_off_strand(connection: &Arc<Connection>, batch: Vec<u8>) {
    let sender = connection.clone();
    compose::write_all(&connection.stream, batch)
        .timeout(connection.limits.stall)
        .then(move |(result, _)| sender.sent(result));
}

fn check(judge: Judge, races: bool) -> Box<Failure> {
    let failure = Checker::new()
        .name("chat/off-strand")
        .workers(2)
        .races(races)
        .executions(300_000)
        .run(move |sim| hold(sim, send_off_strand, judge))
        .expect_err("the mistake is found");
    println!("{failure}");
    failure
}

#[test]
fn lines_are_mixed_up() {
    let failure = check(everything, false);
    assert!(failure.deviations().len() <= 2, "{failure}");
}

#[test]
fn lines_are_torn() {
    let failure = check(whole_lines, false);
    assert!(failure.deviations().len() <= 2, "{failure}");
}

#[test]
fn what_nothing_orders_is_told_without_any_deviation() {
    let failure = check(everything, true);
    assert_eq!(failure.invariant(), Some(Invariant::Race), "{failure}");
    assert_eq!(failure.deviations().len(), 0, "{failure}");
}
