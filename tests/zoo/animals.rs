//! The list of animals.

use proactor::check::Sim;
use proactor::sim::Invariant;

use crate::{ending, listening, sharing, transfers};

/// A mistake and its mended twin.
pub(crate) struct Animal {
    pub(crate) name: &'static str,
    /// What real code does that looks like it.
    pub(crate) shape: &'static str,
    pub(crate) mistake: fn(&Sim),
    pub(crate) mended: fn(&Sim),
    /// By what it is noticed.
    pub(crate) breaks: Invariant,
    pub(crate) workers: usize,
    /// A smaller buffer of streams than the usual one.
    pub(crate) stream_buffer: Option<usize>,
}

impl Animal {
    pub(crate) const fn new(
        name: &'static str,
        shape: &'static str,
        breaks: Invariant,
        mistake: fn(&Sim),
        mended: fn(&Sim),
    ) -> Animal {
        Animal {
            name,
            shape,
            mistake,
            mended,
            breaks,
            workers: 1,
            stream_buffer: None,
        }
    }

    pub(crate) const fn workers(mut self, workers: usize) -> Animal {
        self.workers = workers;
        self
    }

    pub(crate) const fn stream_buffer(mut self, bytes: usize) -> Animal {
        self.stream_buffer = Some(bytes);
        self
    }
}

/// All of them.
pub(crate) fn animals() -> Vec<Animal> {
    [
        transfers::ANIMALS,
        ending::ANIMALS,
        sharing::ANIMALS,
        listening::ANIMALS,
    ]
    .into_iter()
    .flat_map(|room| room())
    .collect()
}
