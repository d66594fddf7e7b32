//! The server under `check` with two workers: whatever the kernel and the workers do, a client sees
//! every line whole, once, in its order.

use proactor::check::Checker;

use crate::connection;
use crate::conversation::{everything, hold};

#[test]
fn every_line_comes_whole_once_and_in_order() {
    for workers in [1, 2] {
        let summary = Checker::new()
            .name("chat")
            .workers(workers)
            .executions(40_000)
            .run(|sim| hold(sim, connection::send, everything))
            .unwrap_or_else(|failure| panic!("{failure}"));
        println!("{summary}");
    }
}
