//! Completion-based I/O with swappable backends.
#![allow(dead_code)] // until the rooms that use the seam have landed
#![cfg_attr(docsrs, feature(doc_cfg))]

pub(crate) mod backend;
#[cfg(feature = "check")]
pub mod check;
pub mod choice;
#[cfg(feature = "check")]
pub mod sim;
