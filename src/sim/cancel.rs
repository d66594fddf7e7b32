//! Cancels, and the lines that a cancelled operation leaves: what may come of one is up to the state of its target.

use super::errno;
use super::kernel::Kernel;
use super::op::{State, Verb};
use super::trace::What;
use super::transitions::{Does, Rule};

impl Kernel {
    /// Asks that an activation ends soon. One that is not in flight is ignored.
    pub(crate) fn cancel(&mut self, id: u32, token: u64) {
        let Some(op) = self.m.ops.get(id as usize).filter(|op| op.token == token) else {
            return;
        };
        let state = op.state;
        if state == State::Free || self.is_over() {
            return;
        }
        if self.decider.tracks {
            self.touches_by_cancel(id);
        }
        if self.recorder.on {
            let text = format!("cancel {}", self.m.describe(id));
            self.record(id, What::CancelAsked, text);
        }
        if state == State::Done || self.m.ops[id as usize].cancel_pending {
            return;
        }
        let rule = match state {
            State::Wait => Rule::Cancel,
            _ if self.m.ops[id as usize].verb.is_of_files() => Rule::CancelFile,
            _ => Rule::CancelArmed,
        };
        match self.pick(rule, id) {
            Does::Late => {
                self.m.ops[id as usize].cancel_pending = true;
                self.m.cancels.push(id);
            }
            Does::Lost => {
                self.m.armed.remove(|&other| other == id);
                self.effect_or_wait(id);
                if self.m.ops[id as usize].state == State::Wait {
                    // What it was armed for is gone: then there is no effect for the cancel to lose to.
                    self.cancel_wins(id);
                }
            }
            _ => self.cancel_wins(id),
        }
    }

    /// A late effect happens, unless another operation took what it needs.
    pub(super) fn effect_or_wait(&mut self, id: u32) {
        self.m.ops[id as usize].state = State::Wait;
        if self.possible(id) {
            self.check_before_effect(id);
            self.effect(id);
        } else {
            self.wait_in_line(id);
        }
    }

    /// Ends an operation that is not over. The state is `Wait` or `Armed`.
    pub(super) fn cancel_wins(&mut self, id: u32) {
        self.withdraw(id);
        if self.recorder.on {
            self.record(id, What::Cancelled, String::new());
        }
        // What has moved is never hidden.
        let result = match self.m.ops[id as usize].moved {
            0 => -errno::ECANCELED,
            moved => moved as i32,
        };
        self.finish(id, result);
    }

    /// Takes an operation that had no effect out of whatever list it is in.
    pub(super) fn withdraw(&mut self, id: u32) {
        if self.m.ops[id as usize].state == State::Armed {
            self.m.armed.remove(|&other| other == id);
        } else {
            self.leave_line(id);
        }
    }

    #[inline(always)]
    pub(super) fn wait_in_line(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Recv | Verb::Send => self.wait_on_stream(id),
            Verb::Accept => self.wait_on_listener(id),
            Verb::Connect => self.wait_for_backlog(id),
            Verb::Wait => self.wait_on_event(id),
            _ => {}
        }
    }

    pub(super) fn leave_line(&mut self, id: u32) {
        match self.m.ops[id as usize].verb {
            Verb::Recv | Verb::Send => self.leave_stream(id),
            Verb::Accept => self.leave_listener(id),
            Verb::Connect => self.stop_trying(id),
            Verb::Wait => self.leave_event(id),
            _ => {}
        }
        self.m.timers.remove(&mut self.m.ops, id);
    }

    /// Takes a timer back: no completion will come.
    pub(crate) fn disarm(&mut self, id: u32, token: u64) {
        let Some(op) = self.m.ops.get(id as usize).filter(|op| op.token == token) else {
            return;
        };
        if op.state == State::Free || op.verb != Verb::Timer {
            return;
        }
        let cancel_pending = op.cancel_pending;
        if self.decider.tracks {
            self.touches_by_cancel(id);
        }
        if cancel_pending {
            self.m.cancels.remove(|&other| other == id);
        }
        if self.m.ops[id as usize].state == State::Done {
            self.m.done.remove(|&other| other == id);
        } else {
            self.m.timers.remove(&mut self.m.ops, id);
        }
        self.m.ops[id as usize].state = State::Free;
        self.in_flight -= 1;
    }
}
