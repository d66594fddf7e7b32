//! The proactor's clock: nanoseconds since it was made, real or virtual.

mod sleep;
#[cfg(any(target_os = "linux", windows, feature = "check"))]
pub(crate) mod timers;

pub use sleep::Sleep;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A duration in nanoseconds; what does not fit is as good as for ever (584 years).
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A point on a proactor's own clock. On a real kernel it runs with [`std::time::Instant`]; in a
/// simulation it is virtual, and moves when the simulated kernel decides so.
///
/// Points of different proactors can't be compared in a meaningful way.
///
/// ```
/// # use std::time::Duration;
/// use proactor::time::Instant;
/// let later = Instant::START + Duration::from_millis(5);
/// assert_eq!(later - Instant::START, Duration::from_millis(5));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// When the proactor was made.
    pub const START: Instant = Instant(0);

    pub(crate) const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// The time since the proactor was made.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// Saturates at the end of time, 584 years after the start.
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start + {:?}", self.since_start())
    }
}
