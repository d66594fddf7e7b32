//! Completion-based I/O with swappable backends: write a handler once, run it on io_uring, and run
//! the same handler, unchanged, on a simulated kernel in which everything that a real kernel is
//! *allowed* to do is a decision: drawn at random, enumerated, shrunk, replayed.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # if proactor::Proactor::new().is_err() { return Ok(()) }
//! use proactor::{Proactor, net::{TcpListener, TcpStream}};
//!
//! let proactor = Proactor::new()?;
//! let listener = TcpListener::bind(&proactor, "127.0.0.1:0")?;
//! let addr = listener.local_addr()?;
//!
//! // Callback style: a handler hears of the completion, and gets the buffer back.
//! listener.accept().then(|accepted| {
//!     let (stream, _peer) = accepted.unwrap();
//!     stream.read(Vec::with_capacity(64)).then(move |(read, buf)| {
//!         println!("{} bytes", read.unwrap());
//!         stream.write(buf).then(|(written, _buf)| drop(written));
//!     });
//! });
//!
//! // Async style: the same operations, awaited.
//! let echo = proactor.block_on(async {
//!     let stream = TcpStream::connect(&proactor, addr).await?;
//!     stream.write("hello").await.0?;
//!     let (read, buf) = stream.read(Vec::with_capacity(64)).await;
//!     read.map(|_| buf)
//! })??;
//! assert_eq!(echo, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//!
//! - [`Proactor`] runs handlers; [`Handle`] is the cheap reference to one that everything takes.
//! - [`Operation`] is what every initiating function returns: lazy; give it a handler with
//!   [`then`](Operation::then), or `.await` it.
//! - [`net`], [`fs`], [`signal`], [`time`], [`Event`]: the objects. [`compose`]: operations made of several.
//! - [`Builder::workers`] for many of them; [`Strand`] and [`StrandCell`] for handlers that must not
//!   overlap, [`Operation::on`] to run them there.
//! - [`Handle::offload`] for work that blocks or computes for long; [`Builder::watchdog`] names a
//!   handler that should have used it.
//! - [`sync`]: locks, channels and atomics that a simulation can schedule.
//! - [`IoBuf`], [`IoBufMut`], [`Slice`]: buffers that are lent by value and come back.
//!
//! # The invariants
//!
//! The same names in docs, oracles and reports:
//!
//! - **I1** every operation has exactly one terminal completion. At teardown a handler may be dropped
//!   uninvoked, after its drain.
//! - **I2** nobody touches a lent buffer until its terminal completion.
//! - **I3** handlers of one strand never overlap, and run in the order in which they were posted.
//! - **I4** nothing that the kernel may still touch is freed, whatever is dropped, cancelled or torn down.
//! - **I5** work in flight is bounded, and the bound never holds back a cancel or a timer.
//! - **I6** a timer ends only the operation that it was armed for; a cancel hits only the activation
//!   that it was aimed at.
//! - **I7** no completion is lost, and a run that can't go on says so.
//! - **I8** closing has its effect once, whatever races it; handles, buffers, timers and tasks are all
//!   accounted for at the end.
//! - **I9** a handler keeps within its time budget.
//!
//! Handlers, futures and buffers are `Send + 'static`. A variant for single-threaded (`!Send`) state
//! is out of scope.
#![allow(
    private_interfaces,
    reason = "`Kind` is sealed by a supertrait whose methods name the crate's own types"
)]
#![cfg_attr(
    not(feature = "check"),
    allow(
        dead_code,
        reason = "what only the simulated kernel and the checker ask for"
    )
)]

mod atomics;
pub(crate) mod backend;
mod buf;
#[cfg(feature = "check")]
pub mod check;
pub mod choice;
pub mod compose;
mod event;
pub mod fs;
#[doc(hidden)]
pub mod goals;
pub mod net;
mod observe;
mod offload;
mod op;
#[cfg(feature = "check")]
mod overlap;
mod proactor;
mod scoped;
#[cfg(feature = "signal")]
pub mod signal;
#[cfg(feature = "check")]
pub mod sim;
mod strand;
mod switch;
pub mod sync;
mod task;
pub mod time;
mod watchdog;
mod worker;

pub use buf::{IoBuf, IoBufMut, Slice};
#[cfg(feature = "check")]
pub use check::check;
pub use event::Event;
pub use offload::{Offload, OffloadError};
pub use op::{Cancel, InFlight, Kind, Operation, is_canceled};
pub use proactor::{Builder, Drive, Handle, Proactor, Stats, WorkGuard};
pub use strand::{NotOnStrand, OnStrand, Strand, StrandCell, StrandStats};
pub use task::{JoinError, JoinHandle};
pub use watchdog::Overrun;
pub use worker::{RunEnd, RunError};
