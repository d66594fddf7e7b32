//! The simulated kernel.

mod cell;
mod clock;
mod decide;
pub(crate) mod errno;
pub(crate) mod files;
mod handles;
pub(crate) mod kernel;
mod lent;
mod pipe;
mod queue;
pub(crate) mod steps;
mod stream;
mod tcp;
mod trace;
mod violation;
mod world;

pub(crate) use lent::Piece;
pub use trace::{EventNames, Lane, TraceEvent, What};
pub use violation::{Invariant, Violation};
pub use world::{Config, Coverage, World};
