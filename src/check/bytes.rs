//! Decisions from bytes: what a coverage-guided fuzzer mutates.
//!
//! One byte a decision, taken by its remainder, so that 0 is the kind alternative and small numbers the
//! others; where the bytes end all is kind. So each prefix of an input is an input, and a fuzzer that cuts
//! one short, or puts zeroes into it, makes it kinder.

use super::execution::{Deviation, Tally};
use crate::choice::{Alternatives, Chooser, Key, Site};

/// The decisions of one execution, as bytes: for fuzzers and for generators of random data.
///
/// ```
/// use proactor::check::{Checker, Choices};
///
/// let mut fuzz = Checker::new().fuzz(|sim| {
///     sim.file("/etc/motd", b"be kind");
///     // … run a proactor, assert what must hold …
/// });
/// fuzz.run(&Choices(vec![0, 3, 1])); // panics with the report if it fails
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Choices(pub Vec<u8>);

/// Of any length up to what is left: a derived one would mostly be of two or three.
#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Choices {
    fn arbitrary(data: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Choices> {
        let length = data.arbitrary_len::<u8>()?;
        data.bytes(length).map(|bytes| Choices(bytes.to_vec()))
    }

    fn arbitrary_take_rest(data: arbitrary::Unstructured<'a>) -> arbitrary::Result<Choices> {
        Ok(Choices(data.take_rest().to_vec()))
    }

    fn size_hint(_: usize) -> (usize, Option<usize>) {
        (0, None)
    }
}

impl AsRef<[u8]> for Choices {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Choices {
    fn from(bytes: Vec<u8>) -> Choices {
        Choices(bytes)
    }
}

/// Decides by the bytes of an input.
#[derive(Default)]
pub(crate) struct Bytes {
    bytes: Vec<u8>,
    position: u32,
    deviations: Vec<Deviation>,
    pub(crate) tally: Tally,
}

impl Bytes {
    /// Begins another execution.
    pub(crate) fn begin(&mut self, bytes: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.position = 0;
        self.deviations.clear();
    }

    /// Where the execution deviated.
    pub(crate) fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }
}

impl Chooser for Bytes {
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        let here = self.position;
        self.position += 1;
        let byte = self.bytes.get(here as usize).copied().unwrap_or(0);
        let choice = usize::from(byte) % count;
        if choice != 0 {
            self.deviations.push(Deviation {
                position: here,
                alternative: choice as u32,
            });
        }
        self.tally.count(site, choice)
    }
}

#[cfg(test)]
mod tests {
    use super::super::toys::Nameless;
    use super::*;
    use crate::choice::EventId;

    #[test]
    fn a_byte_is_a_decision_and_behind_the_last_all_is_kind() {
        let mut bytes = Bytes::default();
        bytes.begin(&[0, 1, 7, 255]);
        let key = Key {
            event: EventId::ROOT,
            occurrence: 0,
        };
        let choices: Vec<_> = (0..6)
            .map(|_| bytes.choose(Site::RecvSize, key, 4, &Nameless))
            .collect();
        assert_eq!(choices, [0, 1, 3, 3, 0, 0]);
        let places: Vec<_> = bytes.deviations().iter().map(|it| it.position).collect();
        assert_eq!(places, [1, 2, 3]);
    }
}
