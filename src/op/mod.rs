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
//! that people see; `elsewhere` the slow way round for calls from outside the worker.

pub(crate) mod crew;
pub(crate) mod elsewhere;
pub(crate) mod home;
pub(crate) mod interrupted;
pub(crate) mod kind;
pub(crate) mod object;
mod operation;
pub(crate) mod running;
pub(crate) mod slots;

pub use kind::{Kind, is_canceled};
pub use operation::{Cancel, Operation};
