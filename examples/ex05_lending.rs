//! Exercise 5, to the chapter *Lending buffers*: one page, and news that don't wait for it.
//!
//! ```text
//! cargo run --example ex05_lending
//! cargo run --example course -- hint 5
//! ```

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use proactor::compose;
use proactor_course::lending::{Board, check};

/// Called with each piece of news, of 8 bytes, at any time: also while the last one is on its way.
///
/// The board has one page of 8 bytes, `board.page`, which is sent from where it is. `send`, below, does it, and writes on
/// the page whoever has it. `board.state` has what you need to do better: `is_lent`, and `waiting`, a queue.
pub fn announce(board: &Arc<Board>, news: &'static str) {
    // TODO: the page is written on only while it is not lent; no news is lost, and none comes out of its turn.
    todo!("may {:?} be written on, for {news:?}?", board.page)
}

/// Writes the news on the page, and sends it.
#[allow(dead_code, reason = "you will need it")]
fn send(board: &Arc<Board>, news: &'static str) {
    board.page.write(news);
    let owner = board.clone();
    compose::write_all(&board.stream, board.page.clone()).then(move |(written, _)| {
        if written.is_err() {
            let _ = owner.stream.set_linger(Some(Duration::ZERO)); // a reset, and no end in good order
        }
    });
}

fn main() -> ExitCode {
    proactor_course::grade(check(announce))
}
