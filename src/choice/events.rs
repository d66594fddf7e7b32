//! Maps by event: their keys are hashes already, and are not hashed again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::EventId;

/// A map by event. Its order means nothing.
pub(crate) type ByEvent<V> = HashMap<EventId, V, BuildHasherDefault<AsItIs>>;

/// A map by what is a small number, or a hash already. Its order means nothing.
pub(crate) type ByNumber<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// For keys that are hashes or small numbers already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
