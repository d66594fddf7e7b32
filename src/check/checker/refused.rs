//! What a check is refused for before it begins, in words that say what to do.

use std::time::Duration;

use super::super::failure::Failure;
use super::super::panics;
use super::super::replay::Replay;
use super::Checker;
use crate::op::home::Entered;
use crate::sim::Door;

impl Checker {
    fn refused(&self, why: &str) -> Result<(), Box<Failure>> {
        Err(Failure::refused(self.name.as_deref(), why))
    }

    /// For where it stands, and for what excludes each other.
    pub(super) fn may_begin(&self) -> Result<(), Box<Failure>> {
        let refuse = |why| self.refused(why);
        if panics::is_inside() {
            return refuse(
                "it stands inside another check's model. Executions would be explored inside an \
                 execution: give it a test of its own.",
            );
        }
        if Entered::is_inside() {
            return refuse(
                "it stands in a handler or a task of a running proactor, which would wait for all \
                 its executions. Call it from a test's own body.",
            );
        }
        if self.workers == 0 {
            return refuse("0 workers run no handler: `workers` must be at least 1.");
        }
        if self.promised && self.workers > 1 {
            return refuse(
                "`strands_share_only_tracked` is for a reduced search, whose steps are whole handlers: with \
                 several workers they overlap. Leave the promise out, or let the check have 1 worker.",
            );
        }
        if self.promised && self.config.power_losses > 0 {
            return refuse(
                "`strands_share_only_tracked` is for a reduced search, in which steps swap places: a loss of \
                 power comes after some of them, whatever they touch. Leave the promise out, or set \
                 `power_losses(0)`.",
            );
        }
        if self.promised && self.config.door == Door::Port {
            return refuse(
                "`strands_share_only_tracked` is for a reduced search, which has to know what each step touches: of \
                 the timers and events of a completion port's driver it does not. Leave the promise out, or \
                 set `door(Door::Plain)`.",
            );
        }
        if self.promised && !self.reduced {
            return refuse(
                "`strands_share_only_tracked` is for the reduced search, which `reduced(false)` turns off: \
                 leave one of them out.",
            );
        }
        if self.forgives_panics {
            return refuse(
                "a panic leaves nothing to go on with: `Oracle::Panic` is always denied.",
            );
        }
        Ok(())
    }

    /// For bounds and budgets that check nothing.
    pub(super) fn checks_something(&self) -> Result<(), Box<Failure>> {
        let refuse = |why: &str| self.refused(why);
        if let Some((part, of)) = self.part.filter(|(part, of)| part >= of) {
            return refuse(&format!(
                "there is no part {} of {of}: the first one is 1.",
                part.wrapping_add(1)
            ));
        }
        if self.executions == 0 {
            return refuse(
                "a budget of 0 executions checks nothing: `executions` must be at least 1.",
            );
        }
        if self.threads == Some(0) {
            return refuse("0 threads run nothing: `threads` must be at least 1, or left out.");
        }
        if self.time == Some(Duration::ZERO) {
            return refuse("no time at all checks nothing: give `time` some, or leave it out.");
        }
        if self.config.max_steps == 0 {
            return refuse("0 steps let nothing happen: `max_steps` must be at least 1.");
        }
        if self.config.quiet_steps == 0 {
            return refuse(
                "0 steps without progress let nothing begin: `Config::quiet_steps` must be at least 1.",
            );
        }
        if self.deviations == 0 && !self.random && !self.promised {
            return refuse(
                "with 0 deviations and without random executions it would look at a single \
                 execution, the kind one: raise `deviations`, or leave `random` on.",
            );
        }
        Ok(())
    }

    /// For an execution of another check's.
    pub(super) fn may_repeat(&self, replay: &Replay) -> Result<(), Box<Failure>> {
        let refuse = |why: &str| self.refused(why);
        let ours = self.setting();
        if let Some(calls) = ours.how_to_be(&replay.setting) {
            return refuse(&format!(
                "PROACTOR_REPLAY was recorded with {}, and this check has {}: its decisions would mean \
                 something else. Set {calls}, or unset the variable to check anew.",
                replay.setting.in_words(),
                ours.in_words(),
            ));
        }
        Ok(())
    }
}
