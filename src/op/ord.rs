//! The memory orderings of the lock-free parts of this room, by name. Each has a model in
//! `tests/loom` that fails when it is weakened.

use std::sync::atomic::Ordering;

/// Inbox: a message is left. Release: who reads it sees what the sender wrote.
pub(crate) const LEAVE_MESSAGE: Ordering = Ordering::Release;

/// Inbox: the messages are collected.
pub(crate) const COLLECT: Ordering = Ordering::Acquire;

/// Inbox: a sender goes in. Acquire: the close that it may come after is seen whole.
pub(crate) const GO_IN: Ordering = Ordering::Acquire;

/// Inbox: a sender goes out. Release: a close that waits for it sees its message.
pub(crate) const GO_OUT: Ordering = Ordering::Release;

/// Inbox: a close shuts the door, and waits until nobody is inside.
pub(crate) const SHUT: Ordering = Ordering::Release;
pub(crate) const SEE_OUT: Ordering = Ordering::Acquire;

/// Sleep: the worker wakes up. Acquire: it sees what was left for it.
pub(crate) const WAKE_UP: Ordering = Ordering::Acquire;

/// Sleep: something was left for the worker.
pub(crate) const RING: Ordering = Ordering::Release;

/// An operation started from elsewhere has got its slot, or was cancelled on the way.
pub(crate) const SETTLE: Ordering = Ordering::AcqRel;
pub(crate) const SEE_SETTLED: Ordering = Ordering::Acquire;

/// An output, or a waker for it, is handed over. Release: who takes it sees it whole. Acquire: who
/// was there first is seen.
pub(crate) const HAND_OVER: Ordering = Ordering::AcqRel;
pub(crate) const LOOK: Ordering = Ordering::Acquire;

/// The life of a slot: a step is made public with all that was written before it.
pub(crate) const PUBLISH: Ordering = Ordering::Release;
pub(crate) const OBSERVE: Ordering = Ordering::Acquire;

/// Where another access to the same word settles the matter.
pub(crate) const RELAXED: Ordering = Ordering::Relaxed;

/// Whether a close waits for the senders that are inside. Only a test says no.
pub(crate) const WAITS_FOR_SENDERS: bool = true;

/// Whether a worker that falls asleep looks whether it was rung before. Only a test says no.
pub(crate) const LOOKS_BEFORE_SLEEP: bool = true;

/// Whether who registers a waker looks whether the output came meanwhile. Only a test says no.
pub(crate) const LOOKS_AFTER_WAKER: bool = true;
