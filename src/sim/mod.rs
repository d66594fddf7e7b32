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
//! in one part or in several, and *completes* after that, once. The kernel goes from one state to the next by
//! these steps:
//!
//! | step | when it is enabled | what it does |
//! |---|---|---|
//! | Effect | the effect is possible; happens inside the submission, or inside the step that makes it possible, or later by decision | applies the effect; queues the completion, unless a part of it is left |
//! | Complete | the completion is queued | hands it out |
//! | Cancel | a cancel was asked for, and is processed at once or late | ends the operation, unless its effect is complete; what has moved is the result |
//! | Segment | a handler is at a switch point, and another worker could run | one of them goes on |
//! | Clock | there is a deadline | moves virtual time to it, queues what is due |
//!
//! In the *kind* run effects come at once and whole, completions oldest first, and time moves only when
//! nothing else can. Every other way is a *deviation*, offered to the chooser at a named
//! [`Site`](crate::choice::Site).
//!
//! The steps and all that may come of them are *guarded transitions* in a table that the kernel takes its menus
//! from: condition, outcome classes, the kernels that have them, evidence. [`legality`] gives it as data and
//! prints it. A [`Personality`] is a part of the table: what a completion ring, a completion port or a readiness
//! kernel does; [`Any`](Personality::Any), the default, is all of it.
//!
//! # The fault model
//!
//! Each freedom, and why a real kernel has it; the evidence in detail stands in the table.
//!
//! - **Order of completions** (`next`). Any queued completion, any late effect, any late cancel and the
//!   clock may come next. *io_uring(7)*: "completions can arrive in any order"; the same holds for the threads of
//!   a completion port.
//! - **Clock ahead of I/O** (`next`). The clock is one of the steps even if completions are queued, so that
//!   a due timer and a completion are both queued, and either is seen first: nothing bounds how long
//!   an interrupt or a task work takes.
//! - **Late effect** (`late`). An operation whose effect is possible may have it later; what arrives meanwhile is
//!   part of it (two sends, one receive). An io_uring request that is not complete when it is issued is
//!   retried from task work (`io_poll_task_func`, *io_uring/poll.c*) or from a worker (*io_uring/io-wq.c*); a
//!   readiness driver does it when it is told. If another operation of the same direction took what it needs
//!   it waits again, and bytes of two receives or two sends at once may change places (*io_uring(7)*
//!   warns of this).
//! - **Late submission** (`line`). An operation that was started and is not yet submitted can be told from one with
//!   a late effect by its place only: behind one that was started later and waits for the same. So who has
//!   to wait where others wait already stands behind them, or ahead. (Wait queues have no fixed
//!   order either: `add_wait_queue` adds in front.) A readiness driver keeps the order of its list.
//! - **Effect before completion** is no choice but the rule: the peer may answer a send before the sender
//!   sees its completion.
//! - **Short transfers** (`recv`, `send`, `read`, `write`). Of n > 1 possible bytes: all, 1, half, n-1. What is
//!   possible: what is queued, or fits, or the file has. *recv(2)*, *send(2)*, *read(2)*, *write(2)*: fewer
//!   bytes than asked for are no error. Through io_uring regular files are rarely short, since
//!   *io_uring/rw.c* retries (`need_complete_io`), but a signal, a full disk or another file system does it. A port
//!   is short in receiving only: WSASend and WriteFile end when all is done.
//! - **Parts** (`send`, `read`, `write`). A port's send that finds too little room sends what fits and waits to send
//!   the rest; io_uring goes on with a file transfer that came out short. Between the parts others see the
//!   first one, and a cancel or an error ends the operation with what has moved.
//! - **Zero bytes** are the end of the stream or file, or an empty request; nothing else.
//! - **Cancel** (`cancel`). *io_uring_cancelation(7)*: the request is found and ends with ECANCELED; or it is not
//!   found, being complete; or it is running and completes as it may; CancelIoEx has the same three. Here: an operation
//!   that *waits*: the cancel wins, or is processed late, and an arrival may overtake it. One whose effect
//!   is *late*: the same, or the effect came first: too late. One that is *done*: not found, the result stands. One
//!   that has moved a part: the part is the result, so that a cancel never hides bytes that have moved
//!   (`io_sendrecv_fail`, *io_uring/net.c*; `io_rw_fail`, *rw.c*). A readiness driver takes what waits out of its
//!   own list: there a cancel is never late, and loses only against a thread that is at a file. A cancelled
//!   operation always ends: while its late cancel is pending that step is enabled. That a cancel was processed
//!   nobody hears of: whether its completion or the target's comes first can't be told.
//! - **Failing connect** (`connect`). Although somebody listens: ECONNREFUSED (a firewall that
//!   rejects, or `tcp_abort_on_overflow`, *tcp(7)*), ETIMEDOUT after 127 s (SYNs lost, `tcp_syn_retries`), or
//!   EHOSTUNREACH, EADDRNOTAVAIL (no ephemeral port is left), EMFILE, ENFILE (for the socket), ENOBUFS.
//! - **Failing accept** (`accept`). EMFILE, ENFILE, ENOBUFS, ENOMEM; the connection stays where it is. One that was reset
//!   in the backlog is accepted, and its first operation takes the error; elsewhere than on Linux it may
//!   end the accept with ECONNABORTED.
//! - **Reset** (`reset`). Under a receive or a send on a connection that is not over: the other host restarted, or a
//!   router forgot the connection (RFC 9293, 3.5.2). Both sides are dead, what was under way is
//!   lost, and an end of stream behind it too; an end that was seen stays one. As in *net/ipv4/tcp_input.c*
//!   (`tcp_reset`) and *tcp.c* the error is reported once, ECONNRESET, or EPIPE after the peer's end; then
//!   receives are at the end, sends give EPIPE, shutdown ENOTCONN.
//! - **No memory** (`reset`). A receive or a send fails, and its stream is as it was: ENOBUFS (WSASend; *send(2)* and
//!   *recv(2)* elsewhere than on Linux), or io_uring's ENOMEM (`io_msg_alloc_async`, *io_uring/net.c*).
//! - **Who takes the error** (`error`). When a connection dies under a receive and a send of one side, one has the error and
//!   the other finds the stream at its end, or broken: whichever wakes first.
//! - **What a reset leaves** (`abort`). A side that closes with unread data, or a linger time of zero, resets. What the
//!   peer has not read yet arrives all the same, or half of it, or nothing: it may not have left, or be flushed
//!   (RFC 9293, 3.10.7.4).
//! - **Links** (`link`, `latency`). Between [hosts](Host), where the model says so. What sets out takes its time, or twice
//!   or ten times as much; it may be lost, and the link with it, one way or both, as long as the model allows and as often
//!   as a fault may happen to an operation.
//! - **File errors** (`file`). Opening: EMFILE, ENFILE, and ENOSPC where a file may be made. Reading, cutting, removing: EIO.
//!   Writing: EIO, ENOSPC. Renaming, making a directory: ENOSPC. (*open(2)*, *read(2)*, *ftruncate(2)*, *unlink(2)*,
//!   *write(2)*, *rename(2)*, *mkdir(2)*.) Syncing: ENOSPC, or EIO, after which what was to be written still waits, or was
//!   let go of, so that the next sync succeeds for nothing (*fsync(2)*; LWN 752063); everybody else who has the
//!   file open hears EIO once as well (`errseq_check_and_advance`, *lib/errseq.c*).
//! - **Power** (`crash`, `loss`). At most [`Config::power_losses`] times in a run, before any step at which it makes a
//!   difference: the disk has changed in this life, and has changed again or something has completed since it was last
//!   asked. Nothing completes any more, no handler hears of anything, and of what was not synced any legal
//!   part is left. Per file: all, nothing, all but the last change, all but the first, of the last write its first
//!   sectors (one, half, all but one), its last sector, or nothing but the length that it made; or each change
//!   (each sector) fares on its own. Per name: made, renamed, removed, or not; whole, and not without what it
//!   builds on. A sector is 512 bytes. *files/crash.rs* says precisely which states are legal, and why (*fsync(2)*;
//!   Pillai et al., *All file systems are not created equal*, OSDI 2014). A write that has ended, and no sync
//!   since, promises nothing (*write(2)*, NOTES).
//! - **User events** decide nothing of their own: a set is taken by one wait, and counts once however often it was set
//!   before (*eventfd(2)*); which wait of several follows from whose effect is late. io_uring polls the
//!   eventfd for each of them, wakes all, and the first that reads has it.
//! - **Workers** (`worker`). With several, which handler goes on where one may give way: at each library
//!   call that others can tell apart (`switch`). A real worker may be preempted anywhere.
//! - **Ready at first poll** (`ready`). Only where the submitter can take it. A kernel may complete inside
//!   the submission.
//! - **Spurious readiness** (`spurious`). Only in the [readiness face](Hand::wait): a stream or listener is said to be
//!   readable, and a try finds nothing. *select(2)*, BUGS: what arrived is discarded on examination; *accept(2)*, NOTES: the
//!   connection is gone before it is accepted. Whether a stream is writable is no choice: at least a third of its
//!   buffer is free (`sk_stream_is_writeable`).
//! - **EINTR and EAGAIN** reach no handler: drivers take an operation that ends so for cancelled or not begun,
//!   and begin it again. They belong below a driver.
//!
//! **Fairness.** The oldest completion, the oldest late effect and the oldest late cancel may be overtaken by
//! 1,000 steps, not by more: a kernel gets to them in the end, and a run that is endless only because it
//! does not is nobody's mistake.
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
//! the handshakes, up to the backlog and one more (*listen(2)*, `sk_acceptq_is_full`); the SYN of who finds it full is dropped,
//! and a place that gets free is found by the next one, after 1 s, 3 s, 7 s and so on (*tcp(7)*). A listener that closes
//! resets who is in its backlog (`inet_csk_listen_stop`). A stream direction holds [`Config::stream_buffer`] bytes; then
//! sends wait. Closing with unread data resets the connection (RFC 2525, 2.17), so does closing with a linger time of
//! zero (*socket(7)*) unless both sides had ended; else it is the end of the stream. A send to a closed peer, or to one that
//! has shut down both ways, succeeds once, and the reset that answers it makes the next one fail with EPIPE. When both
//! sides have ended there is no peer any more: shutdown and getpeername(2) give ENOTCONN. Handle numbers are given lowest
//! first and reused at once. (Hundreds of random scripts of such calls end as on Linux: *tests/behaviour/differential.rs*.)
//!
//! **Hosts and links.** Over a link that takes time or may be lost a direction has two buffers, the sender's and
//! the receiver's, each of [`Config::stream_buffer`] bytes. What is not acknowledged is sent again after 200 ms and a round trip,
//! then twice that, up to every 120 s (`TCP_RTO_MIN`, `TCP_RTO_MAX`); after 924.6 s the connection has timed out
//! (*ip-sysctl*, `tcp_retries2`), one that its owner has closed after 102.2 s (`tcp_orphan_retries`). Who has nothing
//! unacknowledged learns nothing: of a link that is lost, of a peer whose host [has restarted](Host::reset_connections),
//! of a reset that was lost. What comes for a connection that a host does not know is answered by a RST. An address of no host is
//! unreachable: EHOSTUNREACH after 3 s on the hosts' own net (*arp(7)*), ENETUNREACH elsewhere.
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
//! Typed entries, each with a test that shows it: [`legality`] prints them under its table.
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

mod again;
mod ahead;
pub(crate) mod busy;
mod cancel;
mod cell;
mod clock;
mod conn;
mod connect;
pub(crate) mod debugger;
mod decide;
mod divergence;
pub(crate) mod errno;
mod events;
pub(crate) mod files;
pub mod hand;
mod handles;
mod host;
mod hosts;
pub(crate) mod kernel;
mod legality;
mod lent;
mod listener;
pub(crate) mod matrix;
pub(crate) mod op;
pub(crate) mod oracle;
mod oracles;
mod owner;
pub(crate) mod peers;
mod pipe;
pub(crate) mod plain;
mod port;
mod power;
mod queue;
mod ready;
mod reset;
mod smells;
pub(crate) mod steps;
mod stream;
mod stuck;
mod tcp;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod touches;
mod trace;
mod transitions;
mod violation;
pub(crate) mod warnings;
mod wire;
pub(crate) mod words;
mod workers;
pub(crate) mod world;

pub use divergence::{Divergence, Side};
pub use hand::Hand;
pub use host::{Host, Link};
pub use legality::{Legality, legality};
pub(crate) use lent::Piece;
pub use oracle::{Level, Levels, Oracle};
pub use port::Door;
pub use trace::{EventNames, Lane, TraceEvent, What};
pub(crate) use transitions::transition;
pub use transitions::{
    Evidence, OutcomeClass, Personalities, Personality, StepKind, Transition, UnknownPersonality,
};
pub use violation::{Invariant, Violation};
pub use warnings::Warning;
pub use world::{Config, Coverage, World};
