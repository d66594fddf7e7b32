//! Which kernel is simulated: subsets of the same transitions.

use std::fmt;
use std::str::FromStr;

/// The kind of kernel that is simulated: each has some of the transitions, `Any` has all.
///
/// ```
/// use proactor::sim::Personality;
///
/// assert_eq!("ring".parse(), Ok(Personality::Ring));
/// assert_eq!(Personality::default().to_string(), "any");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Personality {
    /// Whatever one of the others does: who passes here may move between kernels.
    #[default]
    Any,
    /// A completion ring, Linux' io_uring: the kernel owns a transfer until its end.
    Ring,
    /// A completion port, that of Windows: the same, with its own rules of cancelling and of errors.
    Port,
    /// A readiness kernel (epoll, kqueue): the kernel says what is possible, and this library's driver
    /// then does it by plain calls; file operations run on threads.
    Readiness,
}

impl Personality {
    /// Every one, in the order of their numbers.
    pub const ALL: [Personality; 4] = [
        Personality::Any,
        Personality::Ring,
        Personality::Port,
        Personality::Readiness,
    ];

    /// The word of replay strings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Personality::Any => "any",
            Personality::Ring => "ring",
            Personality::Port => "port",
            Personality::Readiness => "readiness",
        }
    }
}

impl fmt::Display for Personality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No personality has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPersonality(String);

impl fmt::Display for UnknownPersonality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Personality::ALL.map(Personality::name).join(", ");
        write!(
            f,
            "no personality is called `{}`; there are {names}",
            self.0
        )
    }
}

impl std::error::Error for UnknownPersonality {}

impl FromStr for Personality {
    type Err = UnknownPersonality;

    fn from_str(name: &str) -> Result<Personality, UnknownPersonality> {
        Personality::ALL
            .into_iter()
            .find(|it| it.name() == name)
            .ok_or_else(|| UnknownPersonality(name.to_owned()))
    }
}

/// A set of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Personalities(u8);

impl Personalities {
    pub(super) const RING: Personalities = Personalities(1 << Personality::Ring as u8);
    pub(super) const PORT: Personalities = Personalities(1 << Personality::Port as u8);
    pub(super) const READINESS: Personalities = Personalities(1 << Personality::Readiness as u8);
    /// Kernels that own a transfer from the submission to the completion.
    pub(super) const OWNING: Personalities = Self::RING.and(Self::PORT);
    /// Linux and its kin.
    pub(super) const UNIX: Personalities = Self::RING.and(Self::READINESS);
    pub(super) const EVERY: Personalities = Self::OWNING.and(Self::READINESS);

    pub(super) const fn and(self, other: Personalities) -> Personalities {
        Personalities(self.0 | other.0)
    }

    /// Whether it is one of them; [`Personality::Any`] is if anybody is.
    #[must_use]
    pub const fn has(self, personality: Personality) -> bool {
        match personality {
            Personality::Any => self.0 != 0,
            one => self.0 & 1 << one as u8 != 0,
        }
    }
}

impl fmt::Display for Personalities {
    /// `ring, port`; `every kernel`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Personalities::EVERY {
            return f.write_str("every kernel");
        }
        let them = Personality::ALL[1..].iter().filter(|it| self.has(**it));
        let names: Vec<&str> = them.map(|it| it.name()).collect();
        f.write_str(&names.join(", "))
    }
}
