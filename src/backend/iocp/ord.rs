//! The memory orderings of [`desk`](super::desk), by name. Each has a model in `tests/loom` that fails when it is
//! weakened.

use std::sync::atomic::Ordering;

/// An entry goes into the mail. Release: what was written to it is visible to the lane that takes it.
pub(crate) const LEAVE_MAIL: Ordering = Ordering::Release;

/// The lane takes its mail.
pub(crate) const TAKE_MAIL: Ordering = Ordering::Acquire;

/// A lane is rung. Release: what was done before, it sees when it takes the mark. Acquire: who is to be fetched, and who
/// watches in its place, is seen.
pub(crate) const RING: Ordering = Ordering::AcqRel;

/// A lane is about to sleep.
pub(crate) const DOZE: Ordering = Ordering::Release;

/// A lane is awake, and takes the mark.
pub(crate) const RISE: Ordering = Ordering::Acquire;

/// Where another access to the same word settles the matter.
pub(crate) const RELAXED: Ordering = Ordering::Relaxed;

/// Whether a lane that is about to sleep looks whether it was rung. Only a test says no.
pub(crate) const LOOKS_BEFORE_SLEEP: bool = true;

/// Whether who leaves the seat calls another to it. Only a test says no.
pub(crate) const CALLS_NEXT: bool = true;

/// Whether who was called to the seat, and does not want it, calls another. Only a test says no.
pub(crate) const PASSES_CALL_ON: bool = true;

/// Whether who took the packet of a wake without having slept posts another. Only a test says no.
pub(crate) const PASSES_WAKE_ON: bool = true;
