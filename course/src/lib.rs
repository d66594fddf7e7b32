//! The course: graders of the exercises in `examples/ex*.rs`, and the command that leads through them.
//!
//! An exercise is a program with one hole in it. Its `main` gives the learner's function to the grader of
//! its module here, which makes a check of it, and [`grade`] says what came of that: it runs the function under
//! everything that the simulated kernel may do, and tells the shortest story that breaks it.
//!
//! Exercises 1, 2 and 4 are about a kernel that is held by hand, and are searched by a search of its own; the others are
//! handlers on a proactor, and are checked by [`proactor::check()`].

mod checked;
pub mod command;
pub mod engines;
mod exercises;
pub mod first_proactor;
pub mod framing;
mod held;
pub mod kernel_in_hand;
pub mod lending;
pub mod never_block;
pub mod ready_or_done;
mod silence;
pub mod start;
mod verdict;

pub use exercises::{EXERCISES, Exercise};
pub use verdict::{Check, Verdict, grade};
