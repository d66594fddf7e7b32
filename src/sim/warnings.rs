//! Warnings: findings of oracles whose level is `warn`, counted over many executions of one kernel.
//!
//! They stay when the kernel is reset: each is told once, with how often it came up and where it did
//! first. A new one is rare, and one that is known costs a look along a short list.

use std::panic::Location;

use super::oracle::Oracle;
use crate::choice::EventId;

/// Different warnings that are kept. Beyond that they are only counted.
const ROOM: usize = 64;

/// A finding of an oracle whose level is [`Level::Warn`](super::Level::Warn).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// Which oracle.
    pub oracle: Oracle,
    /// What it found the first time, in words.
    pub message: String,
    /// The operation, or the handler, that it was found at the first time.
    pub event: EventId,
    /// The initiating call in user code, where there is one. Findings of one oracle at one place are
    /// one warning.
    pub location: Option<&'static Location<'static>>,
    /// How often it was found.
    pub count: u64,
}

/// What was found so far.
#[derive(Default)]
pub(crate) struct Warnings {
    list: Vec<Warning>,
    /// Findings for which there was no room.
    more: u64,
}

impl Warnings {
    /// One more finding. True: it is the first of its kind.
    pub(super) fn add(
        &mut self,
        oracle: Oracle,
        event: EventId,
        location: Option<&'static Location<'static>>,
        message: impl FnOnce() -> String,
    ) -> bool {
        let is_it = |known: &&mut Warning| known.oracle == oracle && known.location == location;
        if let Some(known) = self.list.iter_mut().find(is_it) {
            known.count += 1;
            return false;
        }
        if self.list.len() == ROOM {
            self.more += 1;
            return false;
        }
        self.list.push(Warning {
            oracle,
            message: message(),
            event,
            location,
            count: 1,
        });
        true
    }

    /// In the order in which they came up.
    pub(crate) fn list(&self) -> &[Warning] {
        &self.list
    }

    /// How many findings are not in the list.
    pub(crate) fn more(&self) -> u64 {
        self.more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_one_warning_and_the_list_is_bounded() {
        let mut warnings = Warnings::default();
        let here = Some(Location::caller());
        let (root, say) = (EventId::ROOT, || "said".to_owned());
        assert!(warnings.add(Oracle::Leak, root, here, say));
        assert!(!warnings.add(Oracle::Leak, root, here, || unreachable!()));
        assert!(warnings.add(Oracle::Leak, root, None, say));
        assert!(warnings.add(Oracle::Race, root, here, say));
        let counts: Vec<u64> = warnings.list().iter().map(|it| it.count).collect();
        assert_eq!(counts, [2, 1, 1]);
        for _ in warnings.list.len()..ROOM {
            warnings.list.push(warnings.list[0].clone());
        }
        assert!(!warnings.add(Oracle::Panic, root, here, || unreachable!()));
        assert_eq!((warnings.list().len(), warnings.more()), (ROOM, 1));
    }
}
