//! The memory orderings of the strand, by name. Each has a model in `tests/loom` that fails when it
//! is weakened.

use std::sync::atomic::Ordering;

/// A post. Release: who runs the handler sees what the poster wrote. Acquire: a post that finds the
/// strand idle makes its thread the owner, which touches what the last owner left before it takes
/// the first handler.
pub(crate) const POST: Ordering = Ordering::AcqRel;

/// The owner takes what was posted: it sees what the posters wrote.
pub(crate) const TAKE: Ordering = Ordering::Acquire;

/// An idle strand is entered without a post: its new owner sees what the last one left.
pub(crate) const ENTER: Ordering = Ordering::Acquire;

/// The owner goes: the next one sees what the handlers wrote.
pub(crate) const LEAVE: Ordering = Ordering::Release;

/// Where another access to the same word settles the matter.
pub(crate) const RELAXED: Ordering = Ordering::Relaxed;

/// Whether an owner that goes looks once more if something was posted meanwhile. Only a test says no.
pub(crate) const LOOKS_AGAIN: bool = true;

/// Whether an owner that posts looks first what others have posted. Only a test says no.
pub(crate) const LOOKS_FIRST: bool = true;

/// Whether the state of a strand is refused to who is inside it already. Only a test says no.
pub(crate) const REFUSES_REENTRY: bool = true;
