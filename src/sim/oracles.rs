//! The oracle over lent buffers (I2), the verdict, and how the kernel drains after one.

use std::panic::Location;

use super::errno;
use super::kernel::{Kernel, Machine};
use super::op::{Op, State, Verb};
use super::oracle::{Level, Oracle};
use super::trace::What;
use super::violation::Violation;
use crate::choice::EventId;

impl Kernel {
    /// # Safety
    ///
    /// The buffer of the operation was just lent.
    pub(super) unsafe fn lend(&mut self, id: u32, writable: bool) {
        let index = id as usize;
        let op = &mut self.m.ops[index];
        match op.verb {
            Verb::Recv | Verb::ReadAt if writable => {
                // Any byte will do; one that differs between operations is hit by chance less often.
                let pattern = (op.event.0 >> 24) as u8 | 1;
                if self.saved.len() <= index {
                    self.saved.resize_with(index + 1, Vec::new);
                }
                // SAFETY: lent, and writable.
                unsafe { op.lent.poison(pattern, &mut self.saved[index]) };
                op.poison = Some(pattern);
            }
            Verb::Send | Verb::WriteAt | Verb::Append => {
                // SAFETY: lent, and initialised, being sent.
                op.print = unsafe { op.lent.fingerprint(op.lent.len()) };
                op.printed = true;
                let (event, print) = (op.event, op.print);
                // What is sent is part of what a program does.
                self.digest ^= print;
                if self.recorder.on {
                    self.recorder.content(event, print);
                }
            }
            _ => {}
        }
    }

    pub(super) fn check_at_effect(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        if self.submitting == Some(id) || op.poison.is_none() && !op.printed {
            // Nobody but the kernel ran since the buffer was lent, or there is nothing to compare with.
            return;
        }
        let (printed, moved) = (op.printed, op.moved);
        self.check_lent(id, moved, printed);
    }

    pub(super) fn check_at_completion(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        if op.poison.is_some() {
            let moved = op.result.max(0) as u32;
            let lent = op.lent;
            self.check_lent(id, moved, moved > 0);
            // SAFETY: lent until this completion is handed out; poisoned at submit.
            unsafe { lent.restore(moved, &self.saved[id as usize]) };
        } else if op.printed {
            self.check_lent(id, 0, true);
        }
    }

    /// Poison from `from` on; and the fingerprint, if there is one to compare with.
    fn check_lent(&mut self, id: u32, from: u32, printed: bool) {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        // SAFETY: an operation that is not free has its buffer lent. Poison and the kernel's own writes
        // initialised what may be written, the submitter what is sent.
        let spoiled = op
            .poison
            .and_then(|pattern| unsafe { lent.spoiled(from, pattern) });
        let printed_len = if op.poison.is_some() {
            from
        } else {
            lent.len()
        };
        // SAFETY: as above.
        let changed = printed && unsafe { lent.fingerprint(printed_len) } != op.print;
        if let Some(at) = spoiled {
            let message = format!(
                "the buffer lent to {} was written to at byte {at} before its completion",
                self.m.describe(id)
            );
            self.fail_at(Oracle::LentBuffer, message, id);
        } else if changed {
            let message = format!(
                "the bytes lent to {} were changed before its completion",
                self.m.describe(id)
            );
            self.fail_at(Oracle::LentBuffer, message, id);
        }
    }

    /// Remembers what was received, so that completion can tell whether it was touched since.
    pub(super) fn print_received(&mut self, id: u32) {
        let op = &mut self.m.ops[id as usize];
        if op.result > 0 {
            // SAFETY: lent, and the kernel has just written that many bytes.
            op.print = unsafe { op.lent.fingerprint(op.result as u32) };
        }
    }

    // ---- verdict

    #[cold]
    pub(super) fn fail_at(&mut self, oracle: Oracle, message: String, id: u32) {
        let op = &self.m.ops[id as usize];
        let (event, location) = (op.event, op.location);
        self.fail(oracle, message, event, location);
    }

    pub(super) fn fail(
        &mut self,
        oracle: Oracle,
        message: String,
        event: EventId,
        location: Option<&'static Location<'static>>,
    ) {
        // Of what comes after the power was lost nobody is to blame.
        if !self.is_off() {
            self.report(Violation::new(oracle, message, event, location));
        }
    }

    /// Takes what an oracle has found as its level says. The first violation is kept; from then on the
    /// kernel drains.
    #[cold]
    pub(super) fn report(&mut self, violation: Violation) {
        if self.verdict.is_some() {
            return;
        }
        match self.config.levels.get(violation.oracle) {
            Level::Allow => {}
            Level::Warn => {
                let Violation {
                    oracle,
                    message,
                    event,
                    location,
                    ..
                } = violation;
                self.warn(oracle, event, location, |_| message);
            }
            Level::Deny => {
                if self.recorder.on {
                    let what = What::Violation;
                    self.recorder.verdict(&violation, what, self.m.now);
                }
                self.verdict = Some(violation);
            }
        }
    }

    /// The same for what is found often: the words are found only where they are wanted.
    #[cold]
    pub(super) fn found(
        &mut self,
        oracle: Oracle,
        id: u32,
        message: impl FnOnce(&Machine) -> String,
    ) {
        if self.is_over() {
            return;
        }
        let op = &self.m.ops[id as usize];
        let (event, location) = (op.event, op.location);
        match self.config.levels.get(oracle) {
            Level::Allow => {}
            Level::Warn => self.warn(oracle, event, location, message),
            Level::Deny => self.fail(oracle, message(&self.m), event, location),
        }
    }

    fn warn(
        &mut self,
        oracle: Oracle,
        event: EventId,
        location: Option<&'static Location<'static>>,
        message: impl FnOnce(&Machine) -> String,
    ) {
        let Kernel { warnings, m, .. } = self;
        if !warnings.add(oracle, event, location, || message(m)) {
            return;
        }
        self.news = true;
        if self.recorder.on
            && let Some(warning) = self.warnings.list().last()
        {
            let violation = Violation::new(oracle, warning.message.clone(), event, location);
            self.recorder.verdict(&violation, What::Warning, self.m.now);
        }
    }

    /// Ends everything that is under way, in the order of submission. Once, after a verdict.
    pub(super) fn drain(&mut self) {
        if self.drained {
            return;
        }
        self.drained = true;
        let waiting = |op: &&Op| -> bool { matches!(op.state, State::Wait | State::Armed) };
        let mut left: Vec<(u64, u32)> = (0u32..)
            .zip(&self.m.ops)
            .filter(|(_, op)| waiting(op))
            .map(|(id, op)| (op.order, id))
            .collect();
        left.sort_unstable();
        for (_, id) in left {
            self.withdraw(id);
            let result = match self.m.ops[id as usize].moved {
                0 => -errno::ECANCELED,
                moved => moved as i32,
            };
            self.finish(id, result);
        }
    }
}
