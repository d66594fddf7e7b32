//! How a handler waits in a strand's queue, whatever it is made of: a link, what to do, and since when.

use std::cell::Cell;

use super::queue::Link;
use crate::op::home::{HomeRef, Local};

/// When nobody knows yet since when a handler waits.
pub(super) const UNKNOWN: u64 = u64::MAX;

/// The head of everything that waits in a strand's queue; it stands first in it.
#[repr(C)]
pub(crate) struct Node {
    pub(super) link: Link,
    acts: &'static Acts,
    /// The turn of the loop in which it was posted, on the proactor's clock, or [`UNKNOWN`].
    pub(super) posted_at: Cell<u64>,
}

/// What can be done with what a node is the head of. Each is done once, when the node has been taken
/// out of its queue.
pub(crate) struct Acts {
    /// Runs the handler, on the worker where it is at home, if it is. The strand is the caller's.
    pub(crate) run: unsafe fn(*mut Node, &Local),
    /// Drops it uninvoked. The worker, if this is one.
    pub(crate) drop: unsafe fn(*mut Node, Option<&Local>),
    /// Where it has to be run or dropped. None: anywhere.
    pub(crate) home: Option<unsafe fn(*mut Node) -> HomeRef>,
}

impl Node {
    pub(crate) fn new(acts: &'static Acts) -> Node {
        Node {
            link: Link::new(),
            acts,
            posted_at: Cell::new(UNKNOWN),
        }
    }

    /// # Safety
    ///
    /// The link is that of a node, which is in a queue that the caller owns, or was taken out of one.
    #[inline]
    pub(super) unsafe fn of<'a>(link: *mut Link) -> &'a Node {
        // SAFETY: the link stands first (repr(C)); the node is valid by the caller's promise.
        unsafe { &*link.cast::<Node>() }
    }

    /// # Safety
    ///
    /// As [`Acts::run`].
    #[inline]
    pub(super) unsafe fn run(link: *mut Link, local: &Local) {
        // SAFETY: the caller's promise.
        unsafe { (Node::of(link).acts.run)(link.cast(), local) }
    }

    /// # Safety
    ///
    /// As [`Acts::drop`].
    pub(super) unsafe fn drop(link: *mut Link, local: Option<&Local>) {
        // SAFETY: the caller's promise.
        unsafe { (Node::of(link).acts.drop)(link.cast(), local) }
    }

    /// # Safety
    ///
    /// As [`Node::of`].
    #[inline]
    pub(super) unsafe fn home(link: *mut Link) -> Option<HomeRef> {
        // SAFETY: the caller's promise.
        unsafe { Node::of(link).acts.home.map(|home| home(link.cast())) }
    }
}
