//! The checker: runs a test on the simulated kernel thousands of times, each time deciding otherwise
//! what a real kernel would be free to decide, and tells the shortest story of what breaks.
//!
//! A *model* is an ordinary closure over a [`Sim`], in an ordinary `#[test]`. It builds everything
//! it needs, runs the proactor, and asserts what it likes; invariants I1 to I9 are watched by
//! themselves ([oracles](#oracles)).
//!
//! ```
//! # fn serve(_: &proactor::check::Sim) {}
//! // #[test]
//! fn survives_whatever_the_kernel_may_do() {
//!     proactor::check(|sim| {
//!         sim.file("/index.html", b"hello");
//!         serve(sim); // open files, accept, read, write, run the proactor to its end
//!         assert_eq!(sim.read_file("/index.html").as_deref(), Some(&b"hello"[..]));
//!     });
//! }
//! # survives_whatever_the_kernel_may_do();
//! ```
//!
//! # What is run
//!
//! 1. The *kind* execution, in which nothing fails, nothing is short and all come in order; twice, to
//!    see that the model is [deterministic](#determinism).
//! 2. Every execution with 1 *deviation* from it: a short read, a completion that overtakes another, a reset.
//! 3. The kind execution with the [proactor dropped](Checker::drops) before each of its steps: what a shutdown in the middle
//!    leaves behind.
//! 4. Every execution with 2 deviations, then with 3, and so on up to the bound. The first failure has the fewest.
//! 5. The [reduced search](Checker::reduced): of the orders that differ only in steps that touch nothing in
//!    common, one each.
//! 6. Random executions, until the budget is spent: by turns under each [`Strategy`].
//!
//! The [`Summary`] says in words what was proved that way and what was not. A [`Failure`] is shrunk
//! to deviations that are all needed and told with its lanes, its logical stack and the command that
//! repeats it.
//!
//! # What a model must keep to
//!
//! - It is run many times, on several threads: it makes its state inside. What it shares between
//!   executions (a counter, say) it must not let its behaviour depend on.
//! - Time and random numbers come from [`Sim::now`] and [`Sim::rng`], orders from an ordered map. Threads, sockets and clocks of
//!   the real system are not under the checker's control.
//! - Its panics are failures. They are silent until the report.
//! - A run that goes on and on is a failure too ([`Checker::max_steps`]). Only a loop that never lets
//!   the simulated kernel make a step can't be stopped: the check hangs in it.
//!
//! # Oracles
//!
//! What is watched in every execution, without a line from the user. [`Checker::oracle`] makes a warning a
//! failure or the other way round, or turns one off. Warnings are told in the [`Summary`]: once, with how
//! often they came up, and the command that shows the first; bounds stand in
//! [`Config`](crate::sim::Config). Each [names](crate::sim::Oracle) the bug that it is there for.
//!
//! | oracle | guards | level | what it finds |
//! |---|---|---|---|
//! | [`one-completion`](crate::sim::Oracle::OneCompletion) | I1 | deny | an operation was submitted twice, or ended twice |
//! | [`lent-buffer`](crate::sim::Oracle::LentBuffer) | I2 | deny | a lent buffer was touched before its completion |
//! | [`strand-exclusion`](crate::sim::Oracle::StrandExclusion) | I3 | deny | two handlers of one strand overlapped |
//! | [`strand-order`](crate::sim::Oracle::StrandOrder) | I3 | deny | handlers of one strand ran in another order than they were posted |
//! | [`use-after-close`](crate::sim::Oracle::UseAfterClose) | I4 | deny | a handle was used after its close, or closed under an operation |
//! | [`queued-operations`](crate::sim::Oracle::QueuedOperations) | I5 | warn | more operations are in flight than the bound |
//! | [`queued-bytes`](crate::sim::Oracle::QueuedBytes) | I5 | warn | more bytes wait to be sent or written than the bound |
//! | [`deadlock`](crate::sim::Oracle::Deadlock) | I7 | deny | nothing can ever happen any more, and somebody waits |
//! | [`livelock`](crate::sim::Oracle::Livelock) | I7 | deny | the run goes on without any progress |
//! | [`endless`](crate::sim::Oracle::Endless) | I7 | deny | the run does not end |
//! | [`eof-spin`](crate::sim::Oracle::EofSpin) | I7 | deny | reads at the end of a stream or file are started again and again |
//! | [`parked-task`](crate::sim::Oracle::ParkedTask) | I7 | warn | a task waits for what nobody will do |
//! | [`bytes-conserved`](crate::sim::Oracle::BytesConserved) | I8 | deny | bytes of a stream direction were lost or made up |
//! | [`closed-twice`](crate::sim::Oracle::ClosedTwice) | I8 | deny | a handle was closed twice |
//! | [`leak`](crate::sim::Oracle::Leak) | I8 | deny | something is left over at the end |
//! | [`lost-result`](crate::sim::Oracle::LostResult) | I8 | warn | a cancelled operation succeeded, and its result was dropped |
//! | [`over-budget`](crate::sim::Oracle::OverBudget) | I9 | deny | a handler takes longer than its budget |
//! | [`starvation`](crate::sim::Oracle::Starvation) | I9 | warn | a completion waited too long for the handlers before it |
//! | [`blocking-call`](crate::sim::Oracle::BlockingCall) | I9 | warn | a handler calls what blocks its worker |
//! | [`concurrent-reads`](crate::sim::Oracle::ConcurrentReads) | order | warn | two reads of one stream are in flight at once |
//! | [`concurrent-writes`](crate::sim::Oracle::ConcurrentWrites) | order | warn | two writes of one stream are in flight at once |
//! | [`race`](crate::sim::Oracle::Race) | race | deny | two accesses of shared data are not ordered |
//! | [`panic`](crate::sim::Oracle::Panic) | panic | deny | something panicked |
//! | [`always`](crate::sim::Oracle::Always) | always | deny | an invariant of the model does not hold |
//!
//! # Invariants and goals of your own
//!
//! [`Sim::always`] states what must hold after every handler and every step of the kernel.
//!
//! [`sometimes!`](crate::sometimes) and [`reachable!`](crate::reachable), in handlers or in the model, name
//! what some execution should come by; the summary tells what none did, and
//! [`Checker::require_goals`] makes that a failure. They tell of themselves when an execution first comes by:
//! one that none comes by is known only if it was [declared](Checker::goal). Outside of a check they do
//! nothing.
//!
//! # Determinism
//!
//! Equal decisions must give equal executions: replays, shrinking and every claim rest on it. Everything
//! that the program submits, in its order, and the bytes that it sends go into a hash; the kind execution,
//! and one in [so many](Checker::repeat_every) others, is run twice, with the heap stirred in between, and
//! the hashes are compared. Where they differ, both are run again with everything written down, and the
//! report says at which step, in which handler and at which line they first part, and how that handler came
//! to run. What makes no difference to the kernel (a log line, say) is not seen.
//!
//! # Scripted peers
//!
//! [`Sim::connect`] gives a test the other end of a connection, [`Sim::listen`] a server for a client that
//! is checked: scripts of what a [`Peer`] sends and expects. They act inside the kernel, not on the model's proactor: none of
//! its workers, strands or limits sees them, but every decision about when they act is the kernel's.
//!
//! # Several workers
//!
//! With [`Checker::workers`] handlers of the model's proactor overlap, as on so many threads, and one
//! may give way to another at each call of the library. Still one thread plays them all, so that equal
//! decisions give equal executions, and where a handler gave way is one more deviation of a report. A
//! task never overlaps with itself, nor does what a strand runs. Accesses of a
//! [`Shared`](crate::sync::Shared) that nothing orders are told even where they did no harm.
//!
//! - State that handlers share belongs into a strand, into [`sync`](crate::sync), or behind a std lock
//!   that is held across no call of the library: such a lock blocks the one thread for ever. After 5 s a
//!   warning names the place.
//! - A thread-local is every worker's: use [`PerWorker`](crate::sync::PerWorker). A static outlives the
//!   execution: use [`PerExecution`](crate::sync::PerExecution).
//! - A handler has 1 MiB of stack. Who needs more dies of a signal, at the guard page below it.
//!
//! # Variables
//!
//! | variable | meaning |
//! |---|---|
//! | `PROACTOR_REPLAY` | repeat the one execution that a failure report names, and nothing else |
//! | `PROACTOR_SEED` | the seed of the random executions: a number, or `0x` and hex digits |
//! | `PROACTOR_EXECUTIONS` | the budget of executions, at least 1 |
//! | `PROACTOR_DEVIATIONS` | the bound of the deviation-bounded search, from 0 |
//! | `PROACTOR_THREADS` | how many threads run executions, at least 1 |
//! | `PROACTOR_FAILURES` | the folder for the files of a failing [`check`]: its page, its trace. Without it `target/proactor-failures` |
//! | `PROACTOR_STRATEGY` | how random executions are drawn: the name of a [`Strategy`] |
//! | `PROACTOR_BREAK` | with `PROACTOR_REPLAY`, in a [debugger](#debuggers): the step to stop at, `0.1^2` say, or `fail` |
//! | `PROACTOR_PART` | `2/4`: of the random executions the [second of four parts](#more-machines) |
//! | `PROACTOR_REGRESSIONS` | failures that were [met before](Checker::regressions): `off`, they are neither run nor written down; `read`, none is written down |
//! | `PROACTOR_PROGRESS` | `off`: no line that tells how far a check is that takes longer than a second. There is one only where the standard error is a terminal |
//! | `PROACTOR_SECONDS` | the budget of time, at least 1; how much is run then depends on the machine |
//!
//! They win over what the test says: whoever sets one wants it now, for these tests.
//!
//! # Debuggers
//!
//! With `PROACTOR_BREAK` a replay calls a function named `proactor_break` on its way. The command that a
//! report ends with starts a debugger with a breakpoint there: on Linux `rust-gdb`, elsewhere say
//! `rust-lldb -o 'breakpoint set -n proactor_break' -o run --` instead.
//!
//! - `PROACTOR_BREAK=fail`: it is called where the execution fails. In a panic the frames of the handler stand above
//!   (`up`, `info locals`).
//! - `PROACTOR_BREAK=0.1^2`: it is called when the completion of that step of the report is handed out, and its
//!   handler runs next. A breakpoint at the handler's line, set now, stops in this very activation.
//!
//! # More machines
//!
//! Random executions have numbers, and each draws from a seed of its own. `PROACTOR_PART=2/4` runs the second budget
//! of them, so that four machines, each with another part, run four times as many, none twice; the bounded search is
//! the same in all. With [nextest](https://nexte.st), which shares out *tests* by itself:
//!
//! ```sh
//! PROACTOR_PART=2/4 PROACTOR_EXECUTIONS=1_000_000 cargo nextest run                 # this machine's seeds
//! PROACTOR_EXECUTIONS=1_000_000 cargo nextest run --partition hash:2/4              # this machine's tests
//! ```
//!
//! # How it is built
//!
//! The workers' stacks and turns are in `overlap`. A strategy is a [`Chooser`](crate::choice::Chooser) in a file of its own: `bounded`, `dropping`,
//! `pct`, `pos`, `surw`, `walk`, `dpor`, `replay`; random is [`choice::Random`](crate::choice::Random). They know nothing of proactors, only of something that can be run again (`execution`).
//! `campaign` puts them in order, `crew` shares their executions out among threads, `shrink` and
//! `report` tell what they find.

mod bounded;
mod bytes;
mod campaign;
mod checker;
mod crew;
mod diamond;
mod dice;
mod dpor;
mod dropping;
mod env;
mod execution;
mod failure;
mod findings;
mod fuzz;
#[cfg(test)]
mod known;
mod lanes;
mod matrix;
#[cfg(test)]
mod models;
mod observers;
mod once;
mod page;
mod panics;
mod pct;
mod peer;
mod perfetto;
mod portfolio;
mod pos;
pub mod program;
mod progress;
#[cfg(test)]
mod reduced;
mod regressions;
mod repeat;
mod replay;
mod report;
#[cfg(test)]
mod reused;
mod scheduled;
mod setting;
mod shrink;
mod sim;
mod stop;
mod story;
mod summary;
mod surw;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toys;
mod unseen;
mod walk;

pub use bytes::Choices;
pub use checker::Checker;
pub use failure::{Failure, FailureKind};
pub use fuzz::Fuzz;
pub use matrix::Matrix;
pub use peer::{Peer, PeerListener};
pub use portfolio::Strategy;
pub use sim::{Life, Sim, busy};
pub use summary::{Summary, Warned};

/// Checks a model with the usual bounds. For others see [`Checker`].
///
/// # Panics
///
/// If the model fails, with the report.
///
/// ```should_panic
/// proactor::check(|sim| {
///     assert!(sim.read_file("/etc/motd").is_some(), "there is no such file");
/// });
/// ```
#[track_caller]
pub fn check<F>(model: F)
where
    F: Fn(&Sim) + Send + Sync + 'static,
{
    // Not those of the crate's own unit tests, which fail on purpose.
    match Checker::new().regressions(!cfg!(test)).run(model) {
        // Tests that pass are silent unless `--nocapture` is given.
        Ok(summary) => eprintln!("{summary}"),
        Err(failure) => panic!("{failure}{}", saved(&failure)),
    }
}

/// Writes the failure's files, and says where.
fn saved(failure: &Failure) -> String {
    if failure.html().is_none() {
        return String::new();
    }
    let folder = std::env::var_os("PROACTOR_FAILURES").map(std::path::PathBuf::from);
    let Some(folder) = folder.or_else(beside_the_build) else {
        return String::new();
    };
    match failure.save(folder) {
        Ok(page) => format!("\nWalk through it:\n  {}", page.display()),
        Err(error) => format!("\nIts page could not be written: {error}"),
    }
}

/// `target/proactor-failures`, if the program stands where cargo puts tests and examples.
fn beside_the_build() -> Option<std::path::PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let known = folder
        .file_name()
        .is_some_and(|name| name == "deps" || name == "examples");
    known.then(|| Some(folder.parent()?.parent()?.join("proactor-failures")))?
}
