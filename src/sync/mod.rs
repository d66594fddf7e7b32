//! What handlers of several workers share: on a real kernel newtypes over std, in a simulation
//! scheduled by it.

mod shared;

pub use shared::Shared;
