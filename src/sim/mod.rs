//! The simulated kernel: everything that a real kernel may do, each freedom a decision.
//!
//! Single-threaded and deterministic. It knows a [chooser](crate::choice) and opaque event names, neither
//! proactor nor operating system. Never kinder than a real kernel, never crueller than one; where it
//! still differs stands [at the end](#divergence-from-real-kernels).
//!
//! Whoever wants to see it at work holds it in the hand: [`Hand`] makes one step at a time, decided by
//! its holder, without a proactor.
//!
//! # The model
//!
//! An operation *has its effect* (bytes move, a connection is made, an error is taken), at once or later,
//! and *completes* after that, once. The kernel goes from one state to the next by these steps:
//!
//! | step | when it is enabled | what it does |
//! |---|---|---|
//! | Effect | the effect is possible; happens inside the submission, or inside the step that makes it possible, or later by decision | applies the effect, queues the completion |
//! | Complete | the completion is queued | hands it out |
//! | Cancel | a cancel was asked for and is processed late | ends the operation if it had no effect yet |
//! | Clock | there is a deadline | moves virtual time to it, queues what is due |
//!
//! In the *kind* run effects come at once and whole, completions oldest first, and time moves only when
//! nothing else can. Every other way is a *deviation*, offered to the chooser at a named
//! [`Site`](crate::choice::Site).
//!
//! # The fault model
//!
//! Each freedom: its condition, what may come of it, and why a real kernel may.
//!
//! - **Order of completions** (`next`). Any queued completion, any late effect, any late cancel and the
//!   clock may come next. *io_uring(7)*: "completions can arrive in any order"; the same holds for the threads of
//!   a completion port.
//! - **Clock ahead of I/O** (`next`). The clock is one of the steps even if completions are queued, so that
//!   a due timer and a completion are both queued, and either is seen first: nothing bounds how long
//!   an interrupt or a task work takes.
//! - **Late effect** (`late`). An operation whose effect is possible may have it later; what arrives meanwhile is
//!   part of it (two sends, one receive). An io_uring request that is not complete when it is issued is
//!   retried from task work (`io_poll_task_func`, *io_uring/poll.c*) or from a worker (*io_uring/io-wq.c*). If
//!   another operation of the same direction took what it needs it waits again, and bytes of two receives
//!   or two sends at once may change places (*io_uring(7)* warns of this).
//! - **Effect before completion** is no choice but the rule: the peer may answer a send before the sender
//!   sees its completion.
//! - **Short transfers** (`recv`, `send`, `read`, `write`). Of n > 1 possible bytes: all, 1, half, n-1. What is
//!   possible: what is queued, or fits, or the file has. *recv(2)*, *send(2)*, *read(2)*, *write(2)*: fewer
//!   bytes than asked for are no error. Through io_uring regular files are rarely short, since
//!   *io_uring/rw.c* retries (`need_complete_io`), but a signal, a full disk or another file system does it.
//! - **Zero bytes** are the end of the stream or file, or an empty request; nothing else.
//! - **Cancel** (`cancel`). *io_uring_cancelation(7)*: the request is found and ends with ECANCELED; or it is not
//!   found, being complete; or it is running and completes as it may. Here: an operation that *waits*: the cancel wins,
//!   or is processed late, and an arrival may overtake it. One whose effect is *late*: the same, or the
//!   effect came first. One that is *done*: the result stands. A single operation has one effect,
//!   so a cancel never hides bytes that have moved (`io_sendrecv_fail`, *io_uring/net.c*). A cancelled
//!   operation always ends: while its late cancel is pending that step is enabled.
//! - **Refused or unanswered connect** (`connect`). Although somebody listens: ECONNREFUSED (a firewall that
//!   rejects, or `tcp_abort_on_overflow`, *tcp(7)*), or ETIMEDOUT after 127 s (SYNs lost, `tcp_syn_retries`).
//! - **Reset** (`reset`). Under a receive or a send on a connection that is not over: the other host restarted, or a
//!   router forgot the connection (RFC 9293, 3.5.2). Both sides are dead, what was under way is
//!   lost, and an end of stream behind it too; an end that was seen stays one. As in *net/ipv4/tcp_input.c*
//!   (`tcp_reset`) and *tcp.c* the error is reported once, ECONNRESET, or EPIPE after the peer's end; then
//!   receives are at the end, sends give EPIPE, shutdown ENOTCONN.
//! - **File errors** (`file`). Opening: EMFILE. Reading and syncing: EIO. Writing: EIO, ENOSPC. (*open(2)*, *read(2)*,
//!   *fsync(2)*, *write(2)*.)
//! - **User events** decide nothing of their own: a set is taken by one wait, and counts once however often it was set
//!   before (*eventfd(2)*); which wait of several follows from whose effect is late. io_uring polls the
//!   eventfd for each of them, wakes all, and the first that reads has it.
//! - **Spurious readiness** (`spurious`). Only in the [readiness face](Hand::wait): a stream or listener is said to be
//!   readable, and a try finds nothing. *select(2)*, BUGS: what arrived is discarded on examination; *accept(2)*, NOTES: the
//!   connection is gone before it is accepted. Whether a stream is writable is no choice: at least a third of its
//!   buffer is free (`sk_stream_is_writeable`).
//! - **Workers** (`worker`). With several, which handler goes on where one may give way: at each library
//!   call that others can tell apart (`switch`). A real worker may be preempted anywhere.
//! - **Ready at first poll** (`ready`). Only where the submitter can take it. A kernel may complete inside
//!   the submission.
//!
//! **Scripted peers** ([`check::Sim::connect`](crate::check::Sim::connect)) are other hosts that act inside the kernel: each
//! step of a script is an operation with all the freedoms of order and time, and none of the free faults; it is
//! nobody's handler, and counts for no limit and no leak of the model.
//!
//! **Bounds.** Short transfers, refusals, resets and errors are *free faults*: each operation suffers at most
//! [`Config::faults_per_operation`], so that what must finally succeed does. (Each activation of a composed
//! operation is an operation.) Size classes stand for all sizes; a claim of exhaustiveness is about
//! the classes.
//!
//! **Not choices, but as Linux has it.** Connections are established by the listener's kernel, in the order of
//! the handshakes, up to the backlog and one more (*listen(2)*, `sk_acceptq_is_full`); who finds it full waits
//! for a place, or for ETIMEDOUT. A listener that closes resets who is in its backlog
//! (`inet_csk_listen_stop`). A stream direction holds [`Config::stream_buffer`] bytes; then sends
//! wait. Closing with unread data resets the connection (RFC 2525, 2.17), else it is the end
//! of the stream; a send to a closed peer succeeds once, and the reset that answers it makes
//! the next one fail with EPIPE. Handle numbers are given lowest first and reused at once.
//!
//! # Oracles
//!
//! The [catalogue](Oracle) names them all, with the bug that each is there for. Over the kernel's own objects:
//!
//! - I1: a slot is not submitted twice, and an operation ends once. I2: nobody touches a lent buffer. I4: no
//!   operation on a closed handle, no close under an operation.
//! - I5: operations in flight, and bytes that wait to be sent, stay below a bound.
//! - I7: a run that can't go on names who waits for whom, and who started it; one that goes on and on is told
//!   apart by whether anything gets ahead (bytes, objects, time); reads at the end of a stream do not
//!   repeat themselves.
//! - I8: the bytes of each direction are conserved, results that nobody waited for are not missed, nothing is
//!   closed twice, nothing is left over at [`World::finish`].
//! - I9: handlers keep to their budget, and no completion waits too long for them. And one operation at a time
//!   moves the bytes of a stream's direction.
//!
//! Each has a [`Level`]. A *warning* is kept, and the execution goes on. The first [`Violation`] is kept; then
//! the kernel *drains*: everything ends with ECANCELED, first come, first served, nothing is chosen.
//!
//! # Divergence from real kernels
//!
//! Kinder than a real one, so that a passing check says nothing about it:
//!
//! - One host; no latency, no lost link, no half-open peer; a place that gets free in a backlog is found at once
//!   and not at the next SYN.
//! - What is queued survives every reset but the injected one; accept gives no error of its own (ECONNABORTED,
//!   EMFILE); EINTR, EAGAIN and ENOBUFS do not occur; nothing runs out of memory.
//! - No TIME_WAIT: a port is free as soon as its listener is closed, with or without SO_REUSEADDR. Ephemeral ports
//!   are not used up.
//! - When a connection dies under a receive and a send of one side, the receive takes the error and the
//!   send EPIPE; on Linux whichever wakes first does.
//! - A cancelled connect leaves a fresh socket behind; on Linux the attempt goes on in the background.
//! - Files never crash, so sync has nothing to prove; they have no permissions but [`World::deny`], no
//!   links, and end at 1 GiB (EFBIG).
//! - Several workers give way to each other only at calls of the library, not between two accesses of plain
//!   memory, and see each other's writes in one order: what rests on that, loom is for. A poll that finds
//!   nothing never finds "not yet" as a decision of its own.
//! - After 1,000 polls in a row that found nothing time runs by 1 ms a poll: a loop that polls sees time pass,
//!   but only then.
//!
//! Crueller in nothing that is known.
//!
//! ```
//! use proactor::choice::Kind;
//! use proactor::sim::{Config, World};
//!
//! let world = World::new(Config { trace: true, ..Config::default() }, Box::new(Kind));
//! // … run a proactor on it, drop the proactor …
//! world.finish();
//! assert_eq!(world.violation(), None);
//! ```

pub(crate) mod busy;
mod cancel;
mod cell;
mod clock;
mod decide;
pub(crate) mod errno;
mod events;
pub(crate) mod files;
pub mod hand;
mod handles;
pub(crate) mod kernel;
mod lent;
pub(crate) mod op;
pub(crate) mod oracle;
mod oracles;
pub(crate) mod peers;
mod pipe;
mod queue;
mod ready;
mod smells;
pub(crate) mod steps;
mod stream;
mod stuck;
mod tcp;
#[cfg(test)]
mod tests;
mod trace;
mod transitions;
mod violation;
pub(crate) mod warnings;
pub(crate) mod words;
mod workers;
mod world;

pub use hand::Hand;
pub(crate) use lent::Piece;
pub use oracle::{Level, Levels, Oracle};
pub use trace::{EventNames, Lane, TraceEvent, What};
pub use transitions::{
    Evidence, OutcomeClass, Personalities, Personality, StepKind, Transition, UnknownPersonality,
};
pub use violation::{Invariant, Violation};
pub use warnings::Warning;
pub use world::{Config, Coverage, World};
