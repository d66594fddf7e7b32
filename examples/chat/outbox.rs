//! What is still to be sent to a client: a queue of lines with a bound.
//!
//! `Shared` makes each call whole by itself and nothing more: that a look and what rests on it stay
//! together is up to the connection's strand. (In a `StrandCell` the queue would refuse whoever is not on
//! the strand, at the first access. Behind locks, as here, a program that forgets the strand compiles,
//! runs, and mixes lines up now and then: `tests/chat/planted.rs`.)

use std::collections::VecDeque;

use proactor::sync::Shared;

use crate::room::Line;

/// The lines for one client.
pub(crate) struct Outbox {
    lines: Shared<VecDeque<Line>>,
    /// A write is under way, at whose end somebody looks here again.
    pub(crate) is_writing: Shared<bool>,
    /// When all have been sent, that was all.
    pub(crate) is_ending: Shared<bool>,
    limit: usize,
}

impl Outbox {
    /// For at most `limit` lines at a time, beside those that are being written.
    pub(crate) fn new(limit: usize) -> Outbox {
        Outbox {
            lines: Shared::default(),
            is_writing: Shared::new(false),
            is_ending: Shared::new(false),
            limit,
        }
    }

    /// Queues a line. False: there is no room for it.
    pub(crate) fn push(&self, line: Line) -> bool {
        self.lines.with(|lines| {
            let has_room = lines.len() < self.limit;
            if has_room {
                lines.push_back(line);
            }
            has_room
        })
    }

    /// Leaves out what waits. How many lines those were.
    pub(crate) fn clear(&self) -> usize {
        self.lines.with(|lines| lines.drain(..).count())
    }

    /// Queues the last line, whatever the limit.
    pub(crate) fn end(&self, line: Line) {
        self.lines.with(|lines| lines.push_back(line));
        self.is_ending.set(true);
    }

    /// The bytes of all lines that wait. None: no line does.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let lines: Vec<Line> = self.lines.with(|lines| lines.drain(..).collect());
        (!lines.is_empty()).then(|| lines.concat().into_bytes())
    }
}
