//! The checker through its public API alone: what it finds, what it tells, what it refuses.

mod bad_input;
mod by_hand;
mod crashes;
mod determinism;
mod dying;
mod endless;
mod events;
mod finding;
mod fuzzing;
mod hosts;
mod keeping;
mod models;
mod oracles;
mod pages;
mod peers;
mod port;
mod refusing;
mod replaying;
mod silent;
mod strands;
mod telling;
mod workers;
