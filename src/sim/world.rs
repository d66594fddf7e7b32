//! The handle that tests hold: one simulated kernel and its configuration.

use std::sync::Arc;
use std::sync::Mutex;

use super::{TraceEvent, Violation};
use crate::choice::{Chooser, Kind, Site};

/// What a simulated kernel is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A free fault (a short transfer, a reset, an I/O error) fires at most that often per operation, so
    /// that liveness can be judged after faults stop. Default 2.
    pub faults_per_operation: u32,
    /// Record the full trace, with labels and locations. Off (the default) while searching.
    pub trace: bool,
    /// Bytes that one direction of a stream takes before a send has to wait. Default 64 KiB.
    pub stream_buffer: usize,
    /// Check lent buffers: poison what is writable, fingerprint what is sent. Default true.
    pub poison: bool,
    /// Offer that an `.await` is ready at its first poll. Default true.
    pub ready_at_first_poll: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            faults_per_operation: 2,
            trace: false,
            stream_buffer: 64 * 1024,
            poison: true,
            ready_at_first_poll: true,
        }
    }
}

/// How often the kernel offered a choice, and how often a deviation was taken, per site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    offered: [u64; Site::ALL.len()],
    deviated: [u64; Site::ALL.len()],
}

impl Coverage {
    /// How often `site` was put to the chooser. A kind chooser is never asked.
    #[must_use]
    pub fn offered(&self, site: Site) -> u64 {
        self.offered[site as usize]
    }

    /// How often the answer was a deviation.
    #[must_use]
    pub fn deviated(&self, site: Site) -> u64 {
        self.deviated[site as usize]
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Coverage) {
        for index in 0..Site::ALL.len() {
            self.offered[index] += other.offered[index];
            self.deviated[index] += other.deviated[index];
        }
    }
}

/// One simulated kernel. A clone is another handle to the same one.
#[derive(Clone)]
pub struct World(Arc<Mutex<Box<dyn Chooser>>>);

impl World {
    /// A fresh kernel.
    #[must_use]
    pub fn new(_config: Config, chooser: Box<dyn Chooser>) -> World {
        World(Arc::new(Mutex::new(chooser)))
    }
    /// A fresh kernel in the old one's memory. Gives back the old chooser.
    pub fn reset(&self, _config: Config, chooser: Box<dyn Chooser>) -> Box<dyn Chooser> {
        std::mem::replace(&mut *self.0.lock().unwrap(), chooser)
    }
    /// Takes the chooser out; [`Kind`] stands in its place.
    #[must_use]
    pub fn take_chooser(&self) -> Box<dyn Chooser> {
        std::mem::replace(&mut *self.0.lock().unwrap(), Box::new(Kind))
    }
    /// Virtual nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        0
    }
    /// Puts a file there, with the directories above it.
    pub fn add_file(&self, _path: &str, _bytes: &[u8]) {}
    /// The content of a file.
    #[must_use]
    pub fn file(&self, _path: &str) -> Option<Vec<u8>> {
        None
    }
    /// Takes a file away. True if there was one.
    pub fn remove_file(&self, _path: &str) -> bool {
        false
    }
    /// Puts a directory there.
    pub fn add_dir(&self, _path: &str) {}
    /// From now on opening this path fails: permission denied.
    pub fn deny(&self, _path: &str) {}
    /// The first breach that an oracle has seen.
    #[must_use]
    pub fn violation(&self) -> Option<Violation> {
        None
    }
    /// For oracles that live above.
    pub fn report(&self, _violation: Violation) {}
    /// Whether there is a violation.
    #[must_use]
    pub fn failed(&self) -> bool {
        false
    }
    /// The end of a run, after the proactor is torn down.
    pub fn finish(&self) {}
    /// A rolling hash of every kernel step: equal decisions give equal digests.
    #[must_use]
    pub fn digest(&self) -> u64 {
        0
    }
    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        0
    }
    /// Completions handed out so far.
    #[must_use]
    pub fn completions(&self) -> u64 {
        0
    }
    /// The full trace, empty unless [`Config::trace`].
    #[must_use]
    pub fn trace(&self) -> Vec<TraceEvent> {
        Vec::new()
    }
    /// Submissions, effects and completions only, one line each.
    #[must_use]
    pub fn kernel_trace(&self) -> String {
        String::new()
    }
    /// How often each site was offered and deviated from.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        Coverage::default()
    }
}
