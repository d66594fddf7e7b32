//! Strands: handlers that run one at a time, in order, on however many workers there are.
//!
//! [`strand`](Strand) is what people hold; `queue` its lock-free heart, which runs under loom as it
//! stands (`tests/loom`); `turn` how a worker runs a strand's handlers; `node` how a handler waits in a
//! queue; `posted`, `on` and the tasks of [`spawn_on`](crate::Handle::spawn_on) the three kinds of those;
//! `cell` state that belongs to a strand, and `latch` its check.

mod cell;
mod handle;
mod latch;
pub(crate) mod node;
mod on;
mod ord;
mod posted;
mod queue;
mod turn;

// What the lock-free files of this room are made of; in `tests/loom` it is loom's.
use crate::atomics as sync;

pub use cell::{NotOnStrand, StrandCell};
pub use handle::{Strand, StrandStats};
pub use on::OnStrand;
