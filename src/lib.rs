//! Completion-based I/O with swappable backends.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub(crate) mod backend;
pub mod choice;
#[cfg(feature = "check")]
pub mod sim;
pub(crate) mod time;
