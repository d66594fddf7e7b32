//! What the crate promises, each promise a test that is named after it, on every kernel there is.
//!
//! [`kernels`] is how a body gets to all of them. Where kernels may differ the test says so.
#![cfg(feature = "check")]

mod bad_input;
mod cancelling;
mod closing;
mod composing;
mod descriptors;
mod differential;
mod driving;
mod dropping;
mod ending;
mod events;
mod fidelity;
mod files;
mod kernels;
mod limits;
mod lingering;
mod listening;
mod names;
mod offload;
mod operations;
mod panicking;
mod running;
#[cfg(feature = "signal")]
mod signals;
mod strand_guests;
mod strands;
mod streams;
mod sync;
mod tasks;
mod threads;
mod timing;
mod tools;
mod watching;
mod wine;
mod workers;
