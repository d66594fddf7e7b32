//! A solution of exercise 5.
//!
//! The page is lent from `write_all` until its handler runs, and for no moment less. What comes meanwhile stands in a
//! queue; the handler, which has the page back, sends the next. (A buffer that moves into the operation, a `Vec` say,
//! has no such state: it is not there while it is lent.)

use std::process::ExitCode;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use proactor::compose;
use proactor_course::lending::{Board, check};

/// Sends each piece of news when the page is there for it.
pub fn announce(board: &Arc<Board>, news: &'static str) {
    {
        let mut state = board.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_lent {
            state.waiting.push_back(news);
            return;
        }
        state.is_lent = true;
    } // the lock is held across no call of the library
    send(board, news);
}

fn send(board: &Arc<Board>, news: &'static str) {
    board.page.write(news);
    let owner = board.clone();
    compose::write_all(&board.stream, board.page.clone()).then(move |(written, _)| {
        if written.is_err() {
            let _ = owner.stream.set_linger(Some(Duration::ZERO)); // a reset, and no end in good order
            return;
        }
        let mut state = owner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front();
        state.is_lent = next.is_some();
        drop(state);
        if let Some(next) = next {
            send(&owner, next);
        }
    });
}

fn main() -> ExitCode {
    proactor_course::grade(check(announce))
}
