//! The oracle over lent buffers (I2), the verdict, and how the kernel drains after one.

use std::mem::MaybeUninit;
use std::panic::Location;

use super::errno;
use super::kernel::{Kernel, Machine};
use super::lent::Short;
use super::op::{Guard, Op, State};
use super::oracle::{Level, Oracle};
use super::trace::What;
use super::violation::Violation;
use crate::choice::EventId;

/// What somebody did to a lent buffer.
enum Touched {
    /// The byte at this place was written, which nobody was to write.
    Spoiled(u32),
    /// What is sent, or was received, is not the same any more.
    Changed,
}

impl Kernel {
    /// The submitter of an operation goes on: from now on its buffer is to be left alone.
    ///
    /// # Safety
    ///
    /// The buffer of the operation is lent.
    #[inline(always)]
    pub(super) unsafe fn guard(&mut self, id: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.m.ops[id as usize].guard(id, &mut self.copies) };
    }

    /// What is sent is part of what a program does.
    ///
    /// # Safety
    ///
    /// The buffer of the operation is lent and initialised.
    #[inline(always)]
    pub(super) unsafe fn look_at_content(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let event = op.event;
        // SAFETY: the caller's promise.
        let print = unsafe { op.lent.fingerprint() };
        self.digest ^= print;
        if self.recorder.on {
            self.recorder.content(event, print);
        }
    }

    /// Code of the user's has run since the buffer was lent.
    #[inline(always)]
    pub(super) fn check_before_effect(&mut self, id: u32) {
        let moved = self.m.ops[id as usize].moved;
        if !self.is_untouched(id, moved) {
            self.report_touched(id, moved);
        }
    }

    /// A buffer [may](Op::is_surely_as_left) have been touched, or is not written throughout.
    #[inline(never)]
    pub(super) fn check_and_restore(&mut self, id: u32) {
        let moved = self.m.ops[id as usize].result.max(0) as u32;
        if !self.is_untouched(id, moved) {
            self.report_touched(id, moved);
        }
        let op = &self.m.ops[id as usize];
        if moved < op.lent.len() && matches!(op.guard, Guard::Poison(_)) {
            self.restore(id, moved);
        }
    }

    fn restore(&mut self, id: u32, moved: u32) {
        let op = &self.m.ops[id as usize];
        // SAFETY: lent until this completion is handed out; copied and poisoned at submit.
        unsafe { op.lent.restore(moved, self.copy_of(id)) };
    }

    /// The copy of an operation's buffer.
    fn copy_of(&self, id: u32) -> &[MaybeUninit<u8>] {
        let op = &self.m.ops[id as usize];
        if Short::fits(op.lent) {
            op.copy.of(op.lent)
        } else {
            self.copies.of(id, op.lent.len())
        }
    }

    /// Whether a lent buffer, of which the kernel has written the first `moved` bytes if it may write,
    /// is as the kernel left it.
    #[inline(always)]
    fn is_untouched(&self, id: u32, moved: u32) -> bool {
        let op = &self.m.ops[id as usize];
        let lent = op.lent;
        if op.guard == Guard::None {
            return true;
        }
        if !Short::fits(lent) {
            return self.is_long_untouched(id, moved);
        }
        // SAFETY: an operation that is not free has its buffer lent. Poison and the kernel's own writes
        // initialised what may be written, the submitter what is sent, and so their copies.
        unsafe {
            match op.guard {
                Guard::Poison(pattern) => {
                    (moved == lent.len() || lent.is_poisoned(moved, pattern))
                        && (moved == 0 || op.copy.is_same(lent, moved))
                }
                _ => op.copy.is_same(lent, lent.len()),
            }
        }
    }

    #[inline(never)]
    fn is_long_untouched(&self, id: u32, moved: u32) -> bool {
        self.touched(id, moved).is_none()
    }

    /// What is not as the kernel left it: the first byte of what nobody was to write, if it is that.
    fn touched(&self, id: u32, moved: u32) -> Option<Touched> {
        let op = &self.m.ops[id as usize];
        let mut unchanging = op.lent.len();
        if let Guard::Poison(pattern) = op.guard {
            unchanging = moved;
            // SAFETY: as in `is_untouched`.
            let spoiled = unsafe { op.lent.spoiled(moved, pattern) };
            if let Some(at) = spoiled {
                return Some(Touched::Spoiled(at));
            }
        }
        // SAFETY: as above.
        let changed = unsafe { op.lent.changed(&self.copy_of(id)[..unchanging as usize]) };
        changed.map(|_| Touched::Changed)
    }

    #[cold]
    #[inline(never)]
    fn report_touched(&mut self, id: u32, moved: u32) {
        let name = self.m.describe(id);
        let message = match self.touched(id, moved) {
            Some(Touched::Spoiled(at)) => {
                format!(
                    "the buffer lent to {name} was written to at byte {at} before its completion"
                )
            }
            Some(Touched::Changed) => {
                format!("the bytes lent to {name} were changed before its completion")
            }
            None => return,
        };
        self.fail_at(Oracle::LentBuffer, message, id);
    }

    /// Keeps a copy of the first `moved` bytes, which were received, so that completion can tell whether
    /// they were touched since.
    #[inline(always)]
    pub(super) fn copy_received(&mut self, id: u32, moved: u32) {
        let op = &mut self.m.ops[id as usize];
        let lent = op.lent;
        if moved > 0 && matches!(op.guard, Guard::Poison(_)) {
            // SAFETY: lent, and the kernel has written that many bytes.
            unsafe {
                if Short::fits(lent) {
                    op.copy.copy(lent, moved);
                } else {
                    lent.copy(&mut self.copies.of_mut(id, lent.len())[..moved as usize]);
                }
            }
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
                super::debugger::fails();
                self.verdict = Some(violation);
                self.is_plain = false;
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
