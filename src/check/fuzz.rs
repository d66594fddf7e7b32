//! [`Fuzz`]: a model whose executions are decided by somebody else's bytes.

use super::bytes::Bytes;
use super::campaign::Done;
use super::execution::{Script, Subject};
use super::sim::{Model, Sim};
use super::{Checker, Failure};

/// A model, and a simulated kernel to run it on, whose every decision is a byte of an input. See
/// [`Checker::fuzz`].
pub struct Fuzz<F: Fn(&Sim) + Send + Sync> {
    checker: Checker,
    model: Model<F>,
    bench: <Model<F> as Subject>::Bench,
    chooser: Option<Box<Bytes>>,
    executions: u64,
}

impl<F: Fn(&Sim) + Send + Sync> Fuzz<F> {
    pub(super) fn new(checker: Checker, model: Model<F>) -> Fuzz<F> {
        Fuzz {
            bench: model.bench(),
            checker,
            model,
            chooser: None,
            executions: 0,
        }
    }

    /// One execution under these decisions.
    ///
    /// # Panics
    ///
    /// If it fails, with the whole report: shrunk, and with the line that replays it under a
    /// [`check`](super::check) of the same model.
    pub fn run(&mut self, choices: impl AsRef<[u8]>) {
        if let Err(failure) = self.try_run(choices) {
            panic!("{failure}{}", super::saved(&failure));
        }
    }

    /// One execution under these decisions.
    ///
    /// # Errors
    ///
    /// The [`Failure`], if it fails.
    pub fn try_run(&mut self, choices: impl AsRef<[u8]>) -> Result<(), Box<Failure>> {
        self.executions += 1;
        let seed = self.checker.seed_of_models();
        let mut chooser = self.chooser.take().unwrap_or_default();
        chooser.begin(choices.as_ref());
        let (outcome, chooser) = self.model.run(&mut self.bench, chooser, seed);
        let deviations = chooser.deviations().to_vec();
        self.chooser = Some(chooser);
        let Some(fault) = outcome.fault else {
            return Ok(());
        };
        let script = Script::new(seed, deviations);
        let done = Done {
            random: self.executions,
            ..Done::default()
        };
        let number = self.executions;
        Err(self
            .checker
            .explain(&self.model, &done, &script, &fault, number))
    }
}

impl<F: Fn(&Sim) + Send + Sync> std::fmt::Debug for Fuzz<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fuzz")
            .field("executions", &self.executions)
            .finish_non_exhaustive()
    }
}
