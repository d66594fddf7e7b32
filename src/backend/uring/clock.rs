//! The clock of the io_uring backend: CLOCK_MONOTONIC, because the kernel's waits count by it.
//!
//! `std::time::Instant` reads the same clock but does not give the number out, and an enter with an
//! absolute deadline wants the number.

/// A clock that starts at 0 when it is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// What CLOCK_MONOTONIC said when the clock was made, in nanoseconds.
    base: u64,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock { base: monotonic() }
    }

    /// Nanoseconds since the start.
    #[inline]
    pub(super) fn now(self) -> u64 {
        // The clock never goes back (clock_gettime(2)).
        monotonic() - self.base
    }

    /// The time of CLOCK_MONOTONIC, in nanoseconds, at which this clock says `time`.
    #[inline]
    pub(super) fn monotonic_at(self, time: u64) -> u64 {
        self.base.saturating_add(time)
    }
}

fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes one timespec to a valid place. CLOCK_MONOTONIC is always
    // there, so it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
