//! What an older kernel's lanes don't do, done by a thread that may block instead.

use std::ffi::CString;
use std::io;

use crate::backend::{Code, Op, Raw, Token};
use crate::offload::Offload;
use crate::op::home::{Local, gone};
use crate::op::kind::{Activation, Outcome, Steps};

/// The job that stands in for an operation, if one does.
#[derive(Default)]
pub(super) struct Aside(Option<Offload<i32>>);

impl Aside {
    /// An activation as it is, or one that stands for a job that does the same: [`Steps::is_external`]
    /// then. `path` is what the operation's own points at, without the NUL.
    pub(super) fn activate(
        &mut self,
        local: &Local,
        mut activation: Activation,
        path: &[u8],
    ) -> Result<Activation, i32> {
        let Op {
            code, raw, offset, ..
        } = activation.op;
        let backend = local.backend.borrow().clone();
        let Some(backend) = backend.filter(|backend| !backend.does(code)) else {
            return Ok(activation);
        };
        // Whoever asks has looked: there is no NUL in it.
        let path = CString::new(path).unwrap_or_default();
        let job = self.0.insert(Offload::new(local.me(), move || {
            backend.perform(code, raw, &path, offset)
        }));
        job.activate(local)?;
        activation.op = Op::new(Code::Nop, Raw::NONE);
        Ok(activation)
    }

    pub(super) fn is_external(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn arm(&mut self, local: &Local, token: Token) {
        if let Some(job) = &mut self.0 {
            job.arm(local, token);
        }
    }

    pub(super) fn stop(&mut self, local: &Local) -> bool {
        self.0.as_mut().is_none_or(|job| job.stop(local))
    }

    /// How it ended, wherever it was done.
    pub(super) fn finish(self, outcome: Outcome<'_>) -> io::Result<()> {
        let Some(job) = self.0 else {
            return outcome.unit();
        };
        let result = job.finish(outcome)?;
        if outcome.local.is_none() {
            return Err(gone());
        }
        Outcome { result, ..outcome }.unit()
    }
}
