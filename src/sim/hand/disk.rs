//! The disk of a held kernel: files from outside, how much room there is, and the power that it needs.

use std::panic::Location;

use super::ask::Decision;
use super::{Hand, HandError};
use crate::sim::kernel::Kernel;

impl Hand {
    /// Puts a file there, with the directories above it. It is on the disk at once.
    pub fn add_file(&mut self, path: &str, bytes: &[u8]) {
        self.kernel.m.files.add_file(path, bytes);
    }

    /// What a file holds now.
    #[must_use]
    pub fn file(&mut self, path: &str) -> Option<Vec<u8>> {
        self.kernel.m.files.content(path)
    }

    /// From now on files may take so many bytes together; what is there stays. A write that reaches the limit is
    /// short, the next one fails (ENOSPC).
    pub fn disk_quota(&mut self, bytes: u64) {
        self.kernel.m.files.set_quota(bytes);
    }

    /// From now on opening this file or directory, or anything below it, fails: permission denied. Nothing happens if
    /// there is none.
    pub fn deny(&mut self, path: &str) {
        self.kernel.m.files.deny(path);
    }

    /// The power is lost, and comes back. Of the machine nothing is left but its disk, hosts and links: every object is
    /// gone, and of every operation nobody hears again. What was not [synced](super::Request::sync) may be lost, as
    /// decided (`loss: lost`); the kind way nothing is.
    ///
    /// ```
    /// use proactor::sim::hand::{Request, Step};
    /// use proactor::sim::{Config, Hand};
    ///
    /// let mut hand = Hand::new(Config::default());
    /// hand.add_file("/log", b"one\n");
    /// let open = hand.submit(Request::open_append("/log"))?;
    /// hand.step(Step::Complete(open))?;
    /// let log = hand.reap().unwrap().file().unwrap();
    /// let append = hand.submit(Request::append(log, "two\n"))?;
    /// hand.step(Step::Complete(append))?;
    /// assert_eq!(hand.reap().unwrap().bytes(), Some(4));
    ///
    /// // Ended, but not synced.
    /// hand.decide("loss: lost")?;
    /// hand.lose_power()?;
    /// assert_eq!(hand.file("/log").unwrap(), b"one\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The plan was not legal: what it was about is kept.
    #[track_caller]
    pub fn lose_power(&mut self) -> Result<(), HandError> {
        self.lose_power_with(Decision::planned)
    }

    /// As [`Hand::lose_power`]; `ask` decides what is lost.
    ///
    /// # Errors
    ///
    /// As [`Hand::lose_power`].
    #[track_caller]
    pub fn lose_power_with(
        &mut self,
        mut ask: impl FnMut(&Decision) -> usize,
    ) -> Result<(), HandError> {
        let location = Location::caller();
        self.asking(&mut ask, Kernel::lose_power);
        // From here on it knows no operation any more, nor what was lent to them.
        self.kernel.boot(location);
        self.held.clear();
        self.ready.clear();
        self.connecting.clear();
        self.errors.clear();
        self.asks().names.clear();
        self.free.clear();
        self.places = 0;
        self.legal(None)
    }
}
