//! The list of animals.

use proactor::check::Sim;
use proactor::sim::{Config, Invariant};

use crate::{cancelling, crowds, ending, listening, protocol, sharing, storage, transfers};

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
    /// What its world needs.
    pub(crate) config: Config,
}

impl Animal {
    pub(crate) fn new(
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
            config: Config {
                max_steps: 20_000,
                ..Config::default()
            },
        }
    }

    pub(crate) fn workers(mut self, workers: usize) -> Animal {
        self.workers = workers;
        self
    }

    /// A smaller buffer of streams than the usual one.
    pub(crate) fn stream_buffer(self, bytes: usize) -> Animal {
        self.config(|config| config.stream_buffer = bytes)
    }

    pub(crate) fn config(mut self, change: impl FnOnce(&mut Config)) -> Animal {
        change(&mut self.config);
        self
    }
}

/// All of them.
pub(crate) fn animals() -> Vec<Animal> {
    [
        transfers::ANIMALS,
        protocol::ANIMALS,
        ending::ANIMALS,
        cancelling::ANIMALS,
        sharing::ANIMALS,
        crowds::ANIMALS,
        listening::ANIMALS,
        storage::ANIMALS,
    ]
    .into_iter()
    .flat_map(|room| room())
    .collect()
}
