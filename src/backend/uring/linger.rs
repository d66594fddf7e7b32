//! SO_LINGER of descriptors, without its wait.
//!
//! With a time above zero close(2) waits for the peer to acknowledge what was sent (socket(7)): in
//! `__tcp_close` by `sk_stream_wait_close`, whatever O_NONBLOCK says, and for IORING_OP_CLOSE on the thread of
//! the ring, which puts the file down as task work.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use super::on_socket;
use crate::backend::linger::Lingering;
use crate::backend::{Raw, whole_seconds};

/// The numbers are the process's, and so is this.
static LINGERING: Lingering<i32> = Lingering::new();

/// Sets the option, in whole seconds, rounded up.
pub(super) fn set(socket: &SockRef<'_>, raw: Raw, linger: Option<Duration>) -> io::Result<()> {
    let time = linger.map(|linger| Duration::from_secs(whole_seconds(linger).min(i32::MAX as u64)));
    socket.set_linger(time)?;
    LINGERING.has(raw.0, time);
    Ok(())
}

/// Before a close: it shall not wait.
#[inline]
pub(super) fn never_wait(raw: Raw) {
    if LINGERING.forget(raw.0) {
        // A socket that has the option takes it back; were it otherwise, the close would be slow and right.
        let _ = on_socket(raw, |socket| socket.set_linger(None));
    }
}
