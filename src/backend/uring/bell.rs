//! How other threads wake a lane: an eventfd that the ring always reads, and a word that saves it.
//!
//! The word says whether the lane sleeps. A wake that finds it awake leaves a mark, which the next
//! wait takes before it would sleep; only a wake that finds it asleep writes to the eventfd, whose
//! pending read then completes and ends the enter. Several wakes before one wait are one wake.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::ring::{Sqe, opcode};
use crate::backend::{Tag, Token};

/// One lane's bell.
#[derive(Debug)]
pub(super) struct Bell {
    state: AtomicU8,
    /// A blocking-mode eventfd: with O_NONBLOCK the ring's read would end with EAGAIN at once.
    event: OwnedFd,
    /// An eventfd that is written to as well: the one that `notify` sleeps on.
    ///
    /// The ring would signal it for the read, but from within a write to another eventfd it does so
    /// only the first time (seen on 6.18; the kernel defers such a signal, against recursion).
    echo: OnceLock<Arc<OwnedFd>>,
}

/// Where the pending reads of all bells put their counts, which nobody wants to know. A static, so
/// that it outlives every ring: a ring that is closed may end its reads later (I4).
static COUNT: AtomicU64 = AtomicU64::new(0);

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

/// The name of the bell's pending read among completions.
pub(super) const LISTEN: Token = Token::new(0, 1, Tag::Internal);

impl Bell {
    pub(super) fn new() -> io::Result<Bell> {
        Ok(Bell {
            state: AtomicU8::new(AWAKE),
            event: eventfd()?,
            echo: OnceLock::new(),
        })
    }

    /// Makes the lane's current or next wait return. From any thread.
    pub(super) fn ring(&self) {
        // Release: what the caller did before is visible to the lane that takes the mark.
        if self.state.swap(RUNG, Ordering::AcqRel) == ASLEEP {
            write_one(&self.event);
            if let Some(echo) = self.echo.get() {
                write_one(echo);
            }
        }
    }

    /// From now on, writes to this eventfd whenever it writes to its own.
    pub(super) fn echo_to(&self, event: Arc<OwnedFd>) {
        // A lane has one notifier as long as it lives.
        let _ = self.echo.set(event);
    }

    /// The lane, before a wait: was it rung? Takes the mark.
    #[inline]
    pub(super) fn take(&self) -> bool {
        // The load keeps the common case free of a locked instruction.
        self.state.load(Ordering::Relaxed) == RUNG && self.rise()
    }

    /// The lane, about to sleep. False if it has been rung: then it must not.
    #[inline]
    pub(super) fn doze(&self) -> bool {
        match self
            .state
            .compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => true,
            Err(state) => state == ASLEEP,
        }
    }

    /// The lane, after it slept: was it rung? Takes the mark. (The write may still come: its read
    /// completes then, for nothing.)
    #[inline]
    pub(super) fn rise(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == RUNG
    }

    /// The read that the ring keeps pending.
    pub(super) fn listen(&self) -> Sqe {
        Sqe {
            address: COUNT.as_ptr() as u64,
            len: 8,
            ..Sqe::new(opcode::READ, self.event.as_raw_fd(), LISTEN.0)
        }
    }
}

/// A blocking eventfd whose count is 0.
pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd(2) takes no pointers; a descriptor that it returned is ours alone.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Makes an eventfd readable.
pub(super) fn write_one(event: &impl AsRawFd) {
    let one = 1_u64;
    // SAFETY: eight bytes of a local are read (eventfd(2)). It neither blocks nor fails: the counter
    // would have to stand at 2^64 - 2, and whoever sleeps on it sets it to 0.
    unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bell: &Bell) -> bool {
        let mut poll = libc::pollfd {
            fd: bell.event.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: poll(2) reads and writes the one entry.
        unsafe { libc::poll(&mut poll, 1, 0) == 1 }
    }

    #[test]
    fn ringing_an_awake_lane_keeps_it_from_sleeping_and_writes_nothing() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        assert!(!bell.doze());
        assert!(bell.take());
        assert!(!bell.take());
        assert!(!written(&bell));
        assert!(bell.doze());
        assert!(!bell.rise());
    }

    #[test]
    fn ringing_a_sleeping_lane_writes_once() {
        let bell = Bell::new().unwrap();
        assert!(bell.doze());
        assert!(bell.doze());
        bell.ring();
        assert!(written(&bell));
        assert!(bell.rise());
        assert!(!bell.take());
    }
}
