//! What handlers of several workers share: on a real kernel newtypes over std, in a simulation
//! scheduled by it.

pub(crate) mod per_execution;
mod shared;

pub use per_execution::{PerExecution, PerWorker};
pub use shared::Shared;
