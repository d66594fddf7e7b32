//! SO_LINGER without its wait.
//!
//! With a time above zero close(2) waits for the peer to acknowledge what was sent (socket(7)): in
//! `__tcp_close` by `sk_stream_wait_close`, whatever O_NONBLOCK says, and for IORING_OP_CLOSE on the thread of
//! the ring, which puts the file down as task work. After the wait nothing is different: the connection
//! goes on closing in the background, acknowledged or not. So nothing is lost if the option is taken
//! back just before the close, and the worker does not stand still.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use super::on_socket;
use crate::backend::{Raw, whole_seconds};

/// The sockets whose close would wait. The numbers are the process's, and so is this.
static LINGERING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// How many they are: a close of a socket that never heard of this costs one load. Relaxed: who closes
/// an object has taken the lock under which the option was set (`op::object`).
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn lingering() -> MutexGuard<'static, BTreeSet<i32>> {
    LINGERING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the option, in whole seconds, rounded up.
pub(super) fn set(socket: &SockRef<'_>, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
    let seconds =
        linger.map(|linger| Duration::from_secs(whole_seconds(linger).min(i32::MAX as u64)));
    socket.set_linger(seconds)?;
    let mut lingering = lingering();
    if seconds.is_some_and(|seconds| !seconds.is_zero()) {
        lingering.insert(raw.0);
    } else {
        lingering.remove(&raw.0);
    }
    COUNT.store(lingering.len(), Ordering::Relaxed);
    Ok(())
}

/// Before a close: it shall not wait.
#[inline]
pub(super) fn never_wait(raw: Raw) {
    if COUNT.load(Ordering::Relaxed) > 0 {
        take_back(raw);
    }
}

#[cold]
fn take_back(raw: Raw) {
    let mut lingering = lingering();
    if lingering.remove(&raw.0) {
        COUNT.store(lingering.len(), Ordering::Relaxed);
        drop(lingering);
        // A socket that has the option takes it back; were it otherwise, the close would be slow and right.
        let _ = on_socket(raw, |socket| socket.set_linger(None));
    }
}
