//! Who happens before whom: the edges that the primitives of this room draw.
//!
//! What one handler did before it released something, another sees after it has acquired it. Every
//! primitive says so here, under the address of what was released. An edge too many only hides a race
//! and never reports a false one; so a channel draws an edge from all that were sent so far, not from
//! the very value received.

use crate::switch;

/// One half of an edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    Acquired,
    Released,
}

/// The running handler sees what others did before they released `at`.
#[inline]
pub(super) fn acquired(at: usize) {
    announce(Edge::Acquired, at);
}

/// Whoever acquires `at` from now on sees what the running handler has done.
#[inline]
pub(super) fn released(at: usize) {
    announce(Edge::Released, at);
}

/// Every edge comes through here, in the order in which they are drawn; only a simulation that tracks them hears of it.
#[inline]
fn announce(edge: Edge, at: usize) {
    #[cfg(test)]
    if switch::is_simulated() {
        drawn::DRAWN.with_borrow_mut(|drawn| drawn.push((edge, at)));
    }
    match edge {
        Edge::Acquired => switch::acquired(at as u64),
        Edge::Released => switch::released(at as u64),
    }
}

/// The name of `what` for [`acquired`] and [`released`]. What keeps two of them takes the next number
/// as well: nothing else lives there.
pub(super) fn at<T: ?Sized>(what: &T) -> usize {
    std::ptr::from_ref(what).addr()
}

/// The edges of this thread, for tests.
#[cfg(test)]
pub(super) mod drawn {
    use std::cell::RefCell;

    use super::Edge;

    thread_local! {
        pub(super) static DRAWN: RefCell<Vec<(Edge, usize)>> = const { RefCell::new(Vec::new()) };
    }

    /// The edges since the last call.
    pub(in crate::sync) fn take() -> Vec<(Edge, usize)> {
        DRAWN.take()
    }
}
