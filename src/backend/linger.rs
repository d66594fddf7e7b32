//! SO_LINGER without its wait: which sockets have a linger time above zero.
//!
//! With such a time close(2) and closesocket wait for the peer to acknowledge what was sent. After that wait nothing
//! is different: the connection goes on closing in the background, acknowledged or not. So nothing is lost if the
//! option is taken back just before the close, and the worker does not stand still.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The sockets whose close would wait, by the kernel's numbers.
pub(crate) struct Lingering<T> {
    sockets: Mutex<BTreeSet<T>>,
    /// How many they are: a close of a socket that never heard of this costs one load. Relaxed: who closes
    /// an object has taken the lock under which the option was set (`op::object`).
    count: AtomicUsize,
}

impl<T: Ord> Lingering<T> {
    pub(crate) const fn new() -> Lingering<T> {
        Lingering {
            sockets: Mutex::new(BTreeSet::new()),
            count: AtomicUsize::new(0),
        }
    }

    fn sockets(&self) -> MutexGuard<'_, BTreeSet<T>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket has this linger time from now on.
    pub(crate) fn has(&self, socket: T, time: Option<Duration>) {
        let mut sockets = self.sockets();
        if time.is_some_and(|time| !time.is_zero()) {
            sockets.insert(socket);
        } else {
            sockets.remove(&socket);
        }
        self.count.store(sockets.len(), Ordering::Relaxed);
    }

    /// Before a close: whether the option is to be taken back.
    #[inline]
    pub(crate) fn forget(&self, socket: T) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.take(&socket)
    }

    #[cold]
    fn take(&self, socket: &T) -> bool {
        let mut sockets = self.sockets();
        let taken = sockets.remove(socket);
        self.count.store(sockets.len(), Ordering::Relaxed);
        taken
    }
}
