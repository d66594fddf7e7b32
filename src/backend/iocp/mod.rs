//! The backend on a completion port: Windows' own, or a simulated one.
//!
//! `port` is the seam: the calls of the operating system, with their contract. All that is policy stands above it.

mod port;
