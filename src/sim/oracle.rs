//! The catalogue of oracles: what each guards, how serious a finding is, and the bug that it is there for.

use std::fmt;

use super::violation::Invariant;

/// How a finding of an oracle is taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Level {
    /// It is not looked for, or not told.
    Allow,
    /// It is told beside the result, with a count and the first place; the execution goes on.
    Warn,
    /// It fails the execution: it is shrunk and told like any other failure.
    Deny,
}

impl Level {
    /// `allow`, `warn` or `deny`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Level::Allow => "allow",
            Level::Warn => "warn",
            Level::Deny => "deny",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something that is watched in every execution, without a line from the user.
///
/// Breaches of contract are denied by default, smells are warnings. A check changes that with
/// [`Checker::oracle`](crate::check::Checker::oracle).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Oracle {
    /// An operation is submitted in a slot whose operation has not ended, or ends a second time.
    ///
    /// The bug: an event loop that matches a late completion with the operation that has reused its
    /// number (libxev #233, tokio #8112).
    OneCompletion,
    /// A buffer is touched while it is lent: what may be written is poisoned, what is sent has a
    /// fingerprint (io_uring_enter(2): it must stay stable until the completion).
    ///
    /// The bug: a buffer that is reused for the next message before the send of the last one has ended
    /// (liburing #963).
    LentBuffer,
    /// A handler of a strand begins while another one of that strand runs.
    ///
    /// The bug: two workers in one connection's state (Asio's `strand` exists for it).
    StrandExclusion,
    /// A handler of a strand begins before one that was posted earlier.
    ///
    /// The bug: a message that overtakes another on its way to the same connection.
    StrandOrder,
    /// An operation on a handle that was closed, or a close under an operation: the kernel may have given
    /// the number to somebody else by then.
    ///
    /// The bug: a read that lands in a stranger's connection, since close(2) does not cancel
    /// (io_uring_cancelation(7)).
    UseAfterClose,
    /// More operations are in flight than [`Config::most_operations`](super::Config::most_operations).
    ///
    /// The bug: a server that accepts, or answers, without a limit.
    QueuedOperations,
    /// More bytes wait to be sent or written than [`Config::most_bytes`](super::Config::most_bytes).
    ///
    /// The bug: a broadcast to a peer that does not read, queued without backpressure.
    QueuedBytes,
    /// Operations, or handlers that wait for each other's locks, wait for what can't come any more. Told
    /// with the chain of who waits for whom.
    ///
    /// The bug: both sides read before they write; two locks taken in two orders.
    Deadlock,
    /// So many steps without any progress (bytes moved, an object made or changed, time passed) that
    /// there will be none: [`Config::quiet_steps`](super::Config::quiet_steps).
    ///
    /// The bug: a loop that tries again at once after every error.
    Livelock,
    /// The run does not end within [`Config::max_steps`](super::Config::max_steps), progress or not.
    Endless,
    /// So many reads in a row on one handle found the end, and were started again:
    /// [`Config::eof_spin`](super::Config::eof_spin). An end of a stream stays one; at the end of a file
    /// only who lets no time pass is meant.
    ///
    /// The bug: `Ok(0)` taken for "nothing yet": a core that is busy for ever.
    EofSpin,
    /// At the end of the model tasks are left that wait, while no operation is in flight and nothing is
    /// ready: nobody will ever wake them.
    ///
    /// The bug: a channel whose sender waits for its receiver; a notify that was sent too early.
    ParkedTask,
    /// Bytes that the kernel took from a sender are neither queued nor received: the simulated kernel
    /// itself is wrong.
    BytesConserved,
    /// A handle is closed twice: the second close hits whoever got the number since.
    ClosedTwice,
    /// An operation, a timer, a lent buffer or a handle is left over at the end, when everything that the
    /// model made has been dropped.
    ///
    /// The bug: a connection that is held in a cycle, or a static, and so never closed.
    Leak,
    /// An operation succeeded although its future was dropped, and the result is missed: bytes were
    /// received for nobody and the stream is read on behind the hole; or a connection was accepted for
    /// nobody, and closed, while its listener goes on.
    ///
    /// The bug: a read as a branch of a select, which another branch wins (io_uring_cancelation(7): a
    /// cancel may come too late).
    LostResult,
    /// A handler [declares](crate::check::busy) more than the budget of a handler.
    ///
    /// The bug: a checksum over a whole file in the handler of a read.
    OverBudget,
    /// A completion was ready, and handlers that [declare](crate::check::busy) their cost kept it waiting
    /// for longer than [`Config::starvation`](super::Config::starvation). Time that passed by a decision of the
    /// kernel does not count.
    ///
    /// The bug: a queue of cheap requests, each within its budget, that holds up every timer.
    Starvation,
    /// A call that blocks until another handler has acted, from inside a handler: a nested `run` or
    /// `block_on`, or a `Condvar::wait`.
    ///
    /// The bug: the only worker waits for a handler that only it could run.
    BlockingCall,
    /// Two receives are in flight on one stream: whichever completes first gets the first bytes, and
    /// handlers hear of them in any order (io_uring(7)).
    ///
    /// The bug: "one more read, to be quick": messages in the wrong order, once in a million.
    ConcurrentReads,
    /// Two sends are in flight on one stream: a short first one lets the second get in between.
    ///
    /// The bug: a heartbeat in the middle of a frame.
    ConcurrentWrites,
    /// Two handlers access a [`Shared`](crate::sync::Shared) datum, one of them writing, and nothing
    /// orders them.
    ///
    /// The bug: a check-then-act that should have been on a strand.
    Race,
    /// A handler, a task or the model itself panics. Always denied: there is no execution behind a panic.
    Panic,
    /// What the model says [must always hold](crate::check::Sim::always) does not.
    Always,
}

impl Oracle {
    /// All of them, by the invariants that they guard.
    pub const ALL: [Oracle; 24] = [
        Oracle::OneCompletion,
        Oracle::LentBuffer,
        Oracle::StrandExclusion,
        Oracle::StrandOrder,
        Oracle::UseAfterClose,
        Oracle::QueuedOperations,
        Oracle::QueuedBytes,
        Oracle::Deadlock,
        Oracle::Livelock,
        Oracle::Endless,
        Oracle::EofSpin,
        Oracle::ParkedTask,
        Oracle::BytesConserved,
        Oracle::ClosedTwice,
        Oracle::Leak,
        Oracle::LostResult,
        Oracle::OverBudget,
        Oracle::Starvation,
        Oracle::BlockingCall,
        Oracle::ConcurrentReads,
        Oracle::ConcurrentWrites,
        Oracle::Race,
        Oracle::Panic,
        Oracle::Always,
    ];

    /// Name, invariant, level, and what it says.
    const fn row(self) -> (&'static str, Invariant, Level, &'static str) {
        match self {
            Oracle::OneCompletion => (
                "one-completion",
                Invariant::I1,
                Level::Deny,
                "an operation was submitted twice, or ended twice",
            ),
            Oracle::LentBuffer => (
                "lent-buffer",
                Invariant::I2,
                Level::Deny,
                "a lent buffer was touched before its completion",
            ),
            Oracle::StrandExclusion => (
                "strand-exclusion",
                Invariant::I3,
                Level::Deny,
                "two handlers of one strand overlapped",
            ),
            Oracle::StrandOrder => (
                "strand-order",
                Invariant::I3,
                Level::Deny,
                "handlers of one strand ran in another order than they were posted",
            ),
            Oracle::UseAfterClose => (
                "use-after-close",
                Invariant::I4,
                Level::Deny,
                "a handle was used after its close, or closed under an operation",
            ),
            Oracle::QueuedOperations => (
                "queued-operations",
                Invariant::I5,
                Level::Warn,
                "more operations are in flight than the bound",
            ),
            Oracle::QueuedBytes => (
                "queued-bytes",
                Invariant::I5,
                Level::Warn,
                "more bytes wait to be sent or written than the bound",
            ),
            Oracle::Deadlock => (
                "deadlock",
                Invariant::I7,
                Level::Deny,
                "nothing can ever happen any more, and somebody waits",
            ),
            Oracle::Livelock => (
                "livelock",
                Invariant::I7,
                Level::Deny,
                "the run goes on without any progress",
            ),
            Oracle::Endless => (
                "endless",
                Invariant::I7,
                Level::Deny,
                "the run does not end",
            ),
            Oracle::EofSpin => (
                "eof-spin",
                Invariant::I7,
                Level::Deny,
                "reads at the end of a stream or file are started again and again",
            ),
            Oracle::ParkedTask => (
                "parked-task",
                Invariant::I7,
                Level::Warn,
                "a task waits for what nobody will do",
            ),
            Oracle::BytesConserved => (
                "bytes-conserved",
                Invariant::I8,
                Level::Deny,
                "bytes of a stream direction were lost or made up",
            ),
            Oracle::ClosedTwice => (
                "closed-twice",
                Invariant::I8,
                Level::Deny,
                "a handle was closed twice",
            ),
            Oracle::Leak => (
                "leak",
                Invariant::I8,
                Level::Deny,
                "something is left over at the end",
            ),
            Oracle::LostResult => (
                "lost-result",
                Invariant::I8,
                Level::Warn,
                "a cancelled operation succeeded, and its result was dropped",
            ),
            Oracle::OverBudget => (
                "over-budget",
                Invariant::I9,
                Level::Deny,
                "a handler takes longer than its budget",
            ),
            Oracle::Starvation => (
                "starvation",
                Invariant::I9,
                Level::Warn,
                "a completion waited too long for the handlers before it",
            ),
            Oracle::BlockingCall => (
                "blocking-call",
                Invariant::I9,
                Level::Warn,
                "a handler calls what blocks its worker",
            ),
            Oracle::ConcurrentReads => (
                "concurrent-reads",
                Invariant::Order,
                Level::Warn,
                "two reads of one stream are in flight at once",
            ),
            Oracle::ConcurrentWrites => (
                "concurrent-writes",
                Invariant::Order,
                Level::Warn,
                "two writes of one stream are in flight at once",
            ),
            Oracle::Race => (
                "race",
                Invariant::Race,
                Level::Deny,
                "two accesses of shared data are not ordered",
            ),
            Oracle::Panic => ("panic", Invariant::Panic, Level::Deny, "something panicked"),
            Oracle::Always => (
                "always",
                Invariant::Always,
                Level::Deny,
                "an invariant of the model does not hold",
            ),
        }
    }

    /// Its name in reports: `eof-spin`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The invariant that it guards.
    #[must_use]
    pub const fn invariant(self) -> Invariant {
        self.row().1
    }

    /// How its findings are taken unless a check says otherwise.
    #[must_use]
    pub const fn default_level(self) -> Level {
        self.row().2
    }

    /// What it says when it speaks, in a line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().3
    }
}

impl fmt::Display for Oracle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The level of each oracle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Levels([Level; Oracle::ALL.len()]);

impl Default for Levels {
    fn default() -> Levels {
        const DEFAULT: Levels = {
            let mut levels = [Level::Deny; Oracle::ALL.len()];
            let mut at = 0;
            while at < levels.len() {
                levels[at] = Oracle::ALL[at].default_level();
                at += 1;
            }
            Levels(levels)
        };
        DEFAULT
    }
}

impl Levels {
    /// The level of one oracle.
    #[must_use]
    pub const fn get(&self, oracle: Oracle) -> Level {
        self.0[oracle as usize]
    }

    /// Sets the level of one oracle. A [panic](Oracle::Panic) stays denied.
    ///
    /// ```
    /// use proactor::sim::{Config, Level, Oracle};
    ///
    /// let mut config = Config::default();
    /// config.levels.set(Oracle::ConcurrentReads, Level::Deny);
    /// assert_eq!(config.levels.get(Oracle::ConcurrentReads), Level::Deny);
    /// ```
    pub fn set(&mut self, oracle: Oracle, level: Level) {
        if oracle != Oracle::Panic {
            self.0[oracle as usize] = level;
        }
    }
}

/// The catalogue as the table of the documentation.
#[cfg(test)]
pub(crate) fn table() -> String {
    let mut text = String::from("| oracle | guards | level | what it finds |\n|---|---|---|---|\n");
    for oracle in Oracle::ALL {
        text += &format!(
            "| [`{oracle}`](crate::sim::Oracle::{oracle:?}) | {} | {} | {} |\n",
            oracle.invariant(),
            oracle.default_level(),
            oracle.about()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_places_are_those_of_the_table() {
        let mut names: Vec<_> = Oracle::ALL.iter().map(|oracle| oracle.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Oracle::ALL.len());
        for (at, oracle) in Oracle::ALL.iter().enumerate() {
            assert_eq!(*oracle as usize, at);
        }
    }

    #[test]
    fn a_panic_stays_denied() {
        let mut levels = Levels::default();
        levels.set(Oracle::Panic, Level::Allow);
        levels.set(Oracle::Race, Level::Allow);
        assert_eq!(levels.get(Oracle::Panic), Level::Deny);
        assert_eq!(levels.get(Oracle::Race), Level::Allow);
    }
}
