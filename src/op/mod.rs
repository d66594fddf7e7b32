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
//! that people see, `start` its way to the lane, `callback` and `in_flight` the two ways to hear of its
//! end, `cancel` the request to end early; `elsewhere` and `parcel` the slow way round for calls from
//! outside the worker. `inbox`, `wake`,
//! `started`, `handover` and `life` are lock-free, and run under loom as they stand (`tests/loom`).

mod callback;
mod cancel;
pub(crate) mod crew;
pub(crate) mod due;
pub(crate) mod elsewhere;
pub(crate) mod handover;
pub(crate) mod home;
mod in_flight;
pub(crate) mod inbox;
pub(crate) mod interrupted;
pub(crate) mod kind;
pub(crate) mod life;
pub(crate) mod object;
mod operation;
mod ord;
mod parcel;
pub(crate) mod posted;
pub(crate) mod running;
pub(crate) mod slots;
pub(crate) mod spare;
mod start;
pub(crate) mod started;
pub(crate) mod wake;

// What the lock-free files of this room are made of; in `tests/loom` it is loom's.
use crate::atomics as sync;

pub(crate) use callback::{Both, stop_external};
pub use cancel::Cancel;
pub use in_flight::InFlight;
pub use kind::{Kind, is_canceled};
pub use operation::Operation;
