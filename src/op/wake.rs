//! Falling asleep and being woken, without a lost wake: one word that both sides exchange.
//!
//! Who leaves something for a worker writes it first and then rings. The worker clears the bell, then
//! looks what was left, then falls asleep. Every step on the word is a read-modify-write, and those
//! are in one order: either the worker finds, when it falls asleep, that it was rung, or who rings
//! finds that it sleeps. Only the first who rings a sleeper has to wake it: one wake for a batch.

use super::ord;
use super::sync::AtomicU8;

const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const RUNG: u8 = 2;

/// See the head of this file.
pub(crate) struct Sleeper(AtomicU8);

impl Sleeper {
    /// Of a worker that is awake.
    pub(crate) fn new() -> Sleeper {
        Sleeper(AtomicU8::new(AWAKE))
    }

    /// Something was left for the worker. True: it sleeps, and the caller is the one who has to wake it.
    #[must_use = "nobody else wakes it"]
    pub(crate) fn ring(&self) -> bool {
        self.0.swap(RUNG, ord::RING) == ASLEEP
    }

    /// Whether it sleeps: for the thread of the worker, outside of its loop.
    pub(crate) fn sleeps(&self) -> bool {
        self.0.load(ord::RELAXED) == ASLEEP
    }

    /// The worker is about to sleep. False: it was rung since [`Sleeper::is_awake`], and must look
    /// again: call that, and then look.
    #[inline]
    pub(crate) fn falls_asleep(&self) -> bool {
        let before = self
            .0
            .compare_exchange(AWAKE, ASLEEP, ord::RELAXED, ord::RELAXED);
        before != Err(RUNG) || !ord::LOOKS_BEFORE_SLEEP
    }

    /// Whether it was rung since [`Sleeper::is_awake`]: for a worker that need not sleep.
    #[inline]
    pub(crate) fn is_rung(&self) -> bool {
        self.0.load(ord::RELAXED) == RUNG
    }

    /// The worker does not sleep (any longer), and will now look what was left for it.
    #[inline]
    pub(crate) fn is_awake(&self) {
        if self.0.load(ord::RELAXED) != AWAKE {
            self.0.swap(AWAKE, ord::WAKE_UP);
        }
    }
}
