//! What the kernel's lanes don't do, done by a thread that may block instead: on an older Linux little, on Windows
//! all that has no overlapped form.

use std::io;
use std::sync::Arc;

use crate::backend::{Backend, Code, Op, Raw};
use crate::offload::Offload;
use crate::op::home::{Local, gone};
use crate::op::kind::{Activation, Outcome, StandIn, Steps};

/// The job that stands in for an operation, if one does.
#[derive(Default)]
pub(super) struct Aside(Option<Offload<Performed>>);

/// What the job has come to. A handle that nobody takes is closed.
pub(super) struct Performed {
    backend: Arc<dyn Backend>,
    code: Code,
    result: i32,
}

impl Performed {
    fn take(mut self) -> i32 {
        // Any error: there is nothing to be closed any more.
        std::mem::replace(&mut self.result, -1)
    }
}

impl Drop for Performed {
    fn drop(&mut self) {
        if self.code == Code::Open && self.result >= 0 {
            self.backend.close(Raw(self.result));
        }
    }
}

impl Aside {
    /// An activation as it is, or one that stands for a job that does the same: [`Steps::stand_in`]
    /// then. `paths` is what the operation's own points at, without the last NUL.
    pub(super) fn activate(
        &mut self,
        local: &Local,
        mut activation: Activation,
        paths: &[u8],
    ) -> Result<Activation, i32> {
        let Op {
            code,
            raw,
            flags,
            offset,
            ..
        } = activation.op;
        let backend = match &*local.backend.borrow() {
            Some(backend) if !backend.does(code) => Arc::clone(backend),
            _ => return Ok(activation),
        };
        let paths = paths.to_vec();
        let job = self.0.insert(Offload::new(local.me(), move || {
            let result = backend.perform(code, raw, &paths, flags, offset);
            Performed {
                backend,
                code,
                result,
            }
        }));
        job.activate(local)?;
        activation.op = Op::new(Code::Nop, Raw::NONE);
        Ok(activation)
    }

    pub(super) fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.0.as_mut().map(|job| job as _)
    }

    /// How it ended, wherever it was done: with a number that is not negative.
    pub(super) fn finish(self, outcome: Outcome<'_>) -> io::Result<i32> {
        let outcome = match self.0 {
            None => outcome,
            Some(job) => {
                let performed = job.finish(outcome)?;
                if outcome.local.is_none() {
                    return Err(gone());
                }
                Outcome {
                    result: performed.take(),
                    ..outcome
                }
            }
        };
        if outcome.result < 0 {
            return Err(outcome.error());
        }
        Ok(outcome.result)
    }

    /// The handle that nobody waits for any more is closed.
    pub(super) fn discard_handle(self, outcome: Outcome<'_>) {
        let outcome = match self.0 {
            None => outcome,
            Some(job) => match job.finish(outcome) {
                // Without a proactor it is closed as it goes.
                Ok(performed) if outcome.local.is_some() => Outcome {
                    result: performed.take(),
                    ..outcome
                },
                _ => return,
            },
        };
        outcome.discard_handle();
    }
}
