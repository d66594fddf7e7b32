//! Time: timers, deadlines, timeouts.

#[cfg(target_os = "linux")]
pub(crate) mod timers;
