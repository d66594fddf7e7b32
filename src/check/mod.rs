//! The checker.
mod bounded;
mod campaign;
mod checker;
mod crew;
mod env;
mod execution;
mod failure;
mod panics;
mod random;
mod replay;
mod report;
mod shrink;
mod sim;
mod summary;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod toys;

pub use checker::Checker;
pub use failure::{Failure, FailureKind};
pub use sim::Sim;
pub use summary::Summary;

#[track_caller]
pub fn check<F>(model: F)
where
    F: Fn(&Sim) + Send + Sync + 'static,
{
    match Checker::new().run(model) {
        Ok(summary) => eprintln!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}
