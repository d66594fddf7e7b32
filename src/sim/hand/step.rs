//! What the kernel may do next, and making it do that.

use std::fmt;

use super::super::decide;
use super::super::errno;
use super::super::kernel::Kernel;
use super::ask::Decision;
use super::request::{Completion, OpId};
use super::{Hand, HandError};

/// Something that the kernel may do next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Hand out the completion of an operation that had its effect: it can be reaped then.
    Complete(OpId),
    /// Let the late effect of an operation happen.
    Effect(OpId),
    /// Process the late cancel of an operation.
    Cancel(OpId),
    /// Move time to the next deadline.
    Clock,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Complete(op) => write!(f, "complete {op}"),
            Step::Effect(op) => write!(f, "effect of {op}"),
            Step::Cancel(op) => write!(f, "cancel of {op}"),
            Step::Clock => f.write_str("clock"),
        }
    }
}

/// A step that is possible now.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Enabled {
    /// What to give to [`Hand::step`].
    pub step: Step,
    /// For people: `the completion of recv(c1 client, 64)`.
    pub words: String,
}

impl fmt::Display for Enabled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.words)
    }
}

impl Hand {
    /// What the kernel may do next. The first is what a kind one does; none: nothing will ever happen
    /// by itself.
    #[must_use]
    pub fn enabled(&self) -> Vec<Enabled> {
        let m = &self.kernel.m;
        let steps = decide::Steps {
            machine: m,
            clock: self.kernel.next_deadline().is_some(),
        };
        (0..steps.len())
            .filter_map(|index| {
                let step = steps.step(index);
                let op = || Some(OpId(m.ops[steps.target(step)? as usize].token as u32));
                Some(Enabled {
                    step: match step {
                        decide::Step::Complete(_) => Step::Complete(op()?),
                        decide::Step::Effect(_) => Step::Effect(op()?),
                        decide::Step::Cancel(_) => Step::Cancel(op()?),
                        decide::Step::Clock => Step::Clock,
                    },
                    words: steps.text(step),
                })
            })
            .collect()
    }

    /// Makes one step.
    ///
    /// # Errors
    ///
    /// [`NotEnabled`](HandError::NotEnabled), with the reason: nothing happened.
    /// [`NotLegal`](HandError::NotLegal): the step was made, but not as [planned](Hand::decide).
    pub fn step(&mut self, step: Step) -> Result<(), HandError> {
        self.step_with(step, Decision::planned)
    }

    /// As [`Hand::step`]; at each decision that the kernel makes meanwhile `ask` is asked for the index
    /// of an alternative.
    ///
    /// # Errors
    ///
    /// As [`Hand::step`]; an index beyond the alternatives is not legal.
    pub fn step_with(
        &mut self,
        step: Step,
        mut ask: impl FnMut(&Decision) -> usize,
    ) -> Result<(), HandError> {
        let Some(place) = self.take(step) else {
            return Err(self.not_enabled(step));
        };
        let op = match step {
            Step::Complete(op) => {
                self.hand_out(op, place);
                return Ok(());
            }
            Step::Effect(op) => {
                self.asking(&mut ask, |kernel| kernel.effect_or_wait(place));
                Some(op)
            }
            Step::Cancel(op) => {
                self.kernel.m.ops[place as usize].cancel_pending = false;
                self.asking(&mut ask, |kernel| kernel.cancel_wins(place));
                Some(op)
            }
            Step::Clock => {
                self.asking(&mut ask, Kernel::clock);
                None
            }
        };
        self.legal(op)
    }

    /// The kernel's place of the operation that a step is about, taken out of the list of what is enabled.
    fn take(&mut self, step: Step) -> Option<u32> {
        let m = &mut self.kernel.m;
        let (list, op) = match step {
            Step::Complete(op) => (&mut m.done, op),
            Step::Effect(op) => (&mut m.armed, op),
            Step::Cancel(op) => (&mut m.cancels, op),
            // It has none.
            Step::Clock => return self.kernel.next_deadline().map(|_| u32::MAX),
        };
        let place = self.held.get(&op)?.place;
        list.remove(|&id| id == place)
    }

    pub(super) fn hand_out(&mut self, op: OpId, place: u32) {
        let verb = self.kernel.m.ops[place as usize].verb;
        let (_, result) = self.kernel.hand_out(place);
        let event = self.event_of(op);
        self.asks().names.remove(&event);
        self.free.push(place);
        let Some(held) = self.held.remove(&op) else {
            return;
        };
        // SAFETY: handed out: the kernel has let go of it, and has written so many bytes.
        let (done, buf) = unsafe { held.lent.back(verb, result) };
        if let Some(at) = self.connecting.iter().position(|it| it.op == op) {
            let socket = self.connecting.swap_remove(at).socket;
            return self.connected(socket, result);
        }
        self.ready.push_back(Completion {
            op,
            result: if result < 0 {
                Err(errno::error(-result))
            } else {
                Ok(done)
            },
            buf,
        });
    }

    fn not_enabled(&self, step: Step) -> HandError {
        let why = match step {
            Step::Complete(op) => self.explain(op),
            Step::Effect(op) => match self.held.get(&op) {
                Some(_) => format!("{}; no late effect is due", self.explain(op)),
                None => self.explain(op),
            },
            Step::Cancel(op) => match self.held.get(&op) {
                Some(_) => format!("{}; no cancel of it is pending", self.explain(op)),
                None => self.explain(op),
            },
            Step::Clock => {
                "there is no deadline; time can still be moved with `advance`".to_owned()
            }
        };
        HandError::NotEnabled { step, why }
    }
}
