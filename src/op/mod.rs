//! Operations: slots that own what a kernel may touch, and two ways to hear of the end.
//!
//! ```text
//! initiate ───> slot ───────> lane ──────> kernel ──────> completion ──> slot ─────> handler
//! stream.read(b)  owns buffer,   submit      effect(s),     terminal       or the task that awaits,
//! .then(h)|.await handler, cause (batched)   then the end   outcome        buffer comes back
//! ```
//!
//! [`slots`](self) and `home` hold the memory and the worker's half that only its thread touches;
//! `object` the handles and their closing; `kind` what an operation is made of; `operation` the type
//! that people see; `elsewhere` the slow way round for calls from outside the worker. `inbox`, `wake`,
//! `started`, `handover` and `life` are lock-free, and run under loom as they stand (`tests/loom`).

pub(crate) mod crew;
pub(crate) mod due;
pub(crate) mod elsewhere;
pub(crate) mod handover;
pub(crate) mod home;
pub(crate) mod inbox;
pub(crate) mod interrupted;
pub(crate) mod kind;
pub(crate) mod life;
pub(crate) mod object;
mod operation;
mod ord;
pub(crate) mod running;
pub(crate) mod slots;
pub(crate) mod started;
pub(crate) mod wake;

// What the lock-free files of this room are made of; in `tests/loom` it is loom's.
use crate::atomics as sync;

pub use kind::{Kind, is_canceled};
pub(crate) use operation::{Both, stop_external};
pub use operation::{Cancel, Operation};
