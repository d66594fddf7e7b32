//! One execution under a chooser of one's own, instead of a search.

use super::checker::Checker;
use super::execution::Subject;
use super::failure::{Failure, FailureKind};
use super::sim::Sim;
use crate::choice::Chooser;

impl Checker {
    /// Runs the model once, with `chooser` deciding what the simulated kernel does: for strategies of one's
    /// own, for the bytes of a fuzzer, for measurements. The chooser comes back, to be read.
    ///
    /// `Ok` holds the digest of the execution: equal decisions give equal digests. Of what was asked
    /// for, only what makes the kernel and its workers counts; the environment does not.
    ///
    /// ```
    /// use proactor::check::Checker;
    /// use proactor::choice::Kind;
    ///
    /// let model = |sim: &proactor::check::Sim| sim.proactor().post(|| ());
    /// let (first, _) = Checker::new().run_once(Kind, model);
    /// let (again, _) = Checker::new().run_once(Kind, model);
    /// assert_eq!(first.unwrap(), again.unwrap());
    /// ```
    ///
    /// # Errors
    ///
    /// A [`Failure`] if the execution breaks an invariant or panics. It is neither shrunk nor told step
    /// by step.
    ///
    /// # Panics
    ///
    /// Inside another check's model, and inside a handler.
    pub fn run_once<C, F>(self, chooser: C, model: F) -> (Result<u64, Box<Failure>>, C)
    where
        C: Chooser,
        F: Fn(&Sim) + Send + Sync + 'static,
    {
        assert!(
            !super::panics::is_inside() && !crate::op::home::Entered::is_inside(),
            "run_once stands inside a model or a handler: an execution inside an execution"
        );
        let model = self.model(model);
        let (outcome, chooser) =
            model.run(&mut model.bench(), Box::new(chooser), self.seed_of_models());
        let result = match outcome.fault {
            None => Ok(outcome.digest),
            Some(fault) => {
                let place = fault.place.as_ref();
                let at = place.map_or_else(String::new, |place| format!("\nat {place}"));
                let why = format!("{}{at}", fault.message);
                let verdict = format!("fails: {}", fault.invariant);
                let mut failure = Failure::plain(FailureKind::Broken, self.title(), &verdict, &why);
                failure.fault = Some(*fault);
                failure.executions = 1;
                Err(failure)
            }
        };
        (result, *chooser)
    }
}
