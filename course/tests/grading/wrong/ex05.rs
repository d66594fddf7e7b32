//! Mistakes with a page that is lent.

use std::sync::Arc;
use std::time::Duration;

use proactor::compose;
use proactor::sim::Invariant;
use proactor_course::lending::{Board, check};

use crate::{Mistake, rejected};

#[test]
fn are_rejected() {
    rejected(
        "ex05",
        &[
            Mistake {
                what: "writes on a lent page",
                check: || check(|board, news| send(board, news, Flaw::None)),
                invariant: Invariant::I2,
                told: "lent-buffer",
            },
            Mistake {
                what: "news that come too soon are dropped",
                check: || check(|board, news| announce(board, news, Flaw::Drops)),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (the client has heard \"gate 17",
            },
            Mistake {
                what: "the page is back as soon as it was sent off",
                check: || check(|board, news| announce(board, news, Flaw::BackAtOnce)),
                invariant: Invariant::I2,
                told: "lent-buffer",
            },
            Mistake {
                what: "the last in the queue is the first out",
                check: || check(|board, news| announce(board, news, Flaw::LastFirst)),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (",
            },
            Mistake {
                what: "nobody looks at the queue again",
                check: || check(|board, news| announce(board, news, Flaw::Forgets)),
                invariant: Invariant::Always,
                told: "who sees the end has heard everything (the client has heard \"gate 17",
            },
        ],
    );
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Drops,
    BackAtOnce,
    LastFirst,
    Forgets,
}

fn announce(board: &Arc<Board>, news: &'static str, flaw: Flaw) {
    {
        let mut state = board.state.lock().unwrap();
        if state.is_lent {
            if flaw != Flaw::Drops {
                state.waiting.push_back(news);
            }
            return;
        }
        state.is_lent = true;
    }
    send(board, news, flaw);
    if flaw == Flaw::BackAtOnce {
        board.state.lock().unwrap().is_lent = false;
    }
}

fn send(board: &Arc<Board>, news: &'static str, flaw: Flaw) {
    board.page.write(news);
    let owner = board.clone();
    compose::write_all(&board.stream, board.page.clone()).then(move |(written, _)| {
        if written.is_err() {
            let _ = owner.stream.set_linger(Some(Duration::ZERO));
            return;
        }
        let mut state = owner.state.lock().unwrap();
        let next = match flaw {
            Flaw::Forgets => None,
            Flaw::LastFirst => state.waiting.pop_back(),
            _ => state.waiting.pop_front(),
        };
        state.is_lent = next.is_some();
        drop(state);
        if let Some(next) = next {
            send(&owner, next, flaw);
        }
    });
}
