//! The simulated kernel.

mod trace;
mod violation;
mod world;

pub use trace::{Lane, TraceEvent, What};
pub use violation::{Invariant, Violation};
pub use world::{Config, Coverage, World};
