//! Starting: what happens between the initiating call and the lane, and again for each further step of
//! a composed operation.
//!
//! There are two ways in. The quick one is for what is frequent: the caller runs on the worker that the
//! object is at home on, the lane is native (a real kernel's) or that of the only worker of a simulated
//! kernel, a slot is free, and no timeout is to be armed. [`quick`] finds that out with a handful of
//! comparisons, and what follows is straight code in the caller's own function, as long as the operation
//! fits into registers. All else goes the other way, out of line.

use std::panic::Location;

use super::home::Local;
use super::kind::{Activation, GONE, PANICKED, Steps, TOO_MANY};
use super::slots::{Slot, Stop, life, special};
use crate::backend::{
    CANCELED, Code, Completion, Op, Origin, Raw, Submitted, Token, submit_natively,
};
use crate::op::elsewhere::Started;
use crate::op::home::Ready;
use crate::switch::{self, Point};

/// No timeout.
pub(super) const NEVER: u64 = u64::MAX;

/// How an operation is to be started, besides what it is.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Nanoseconds from the start, or [`NEVER`].
    pub(super) timeout: u64,
    /// The initiating call.
    pub(super) location: &'static Location<'static>,
}

/// A slot for the quick way.
#[inline(always)]
pub(super) fn quick<K: Steps>(kind: &K, terms: Terms) -> Option<(&'static Local, &'static Slot)> {
    if terms.timeout != NEVER || K::EXTERNAL {
        return None;
    }
    let local = kind.here()?;
    let slot = local.slots.take_quickly()?;
    slot.origin.location.set(terms.location);
    local.taken_for::<K>();
    Some((local, slot))
}

/// While a buffer's methods run: if one panics, the operation is complete all the same, as soon as
/// the panic has passed. No lane has it.
struct Unwound<'a> {
    local: &'a Local,
    slot: &'static Slot,
    /// The initiating call has not returned: what it would have returned will not be there.
    is_first: bool,
}

impl Drop for Unwound<'_> {
    #[cold]
    fn drop(&mut self) {
        if self.is_first
            && let Some(unreturned) = self.slot.vtable.get().unreturned
        {
            self.slot.vtable.set(unreturned);
        }
        self.local.complete_later(self.slot, PANICKED);
    }
}

impl Local {
    /// A slot for the other way; none if all are in use. In a simulation other workers may go on first.
    pub(super) fn take_slot<K: Steps>(&self, terms: Terms) -> Option<&'static Slot> {
        switch::point_at(Point::Submit, terms.location);
        let slot = self.slots.take()?;
        self.taken_for::<K>();
        Some(slot)
    }

    /// Starts the operation whose payload and vtable are in the slot that [`quick`] found. True: it is
    /// done already, with its result in the slot (only if `may_be_ready`).
    #[inline(always)]
    pub(super) fn start_quickly<K: Steps>(
        &self,
        slot: &'static Slot,
        kind: &mut K,
        may_be_ready: bool,
    ) -> bool {
        self.activate(slot, kind, Way::Quick { may_be_ready })
    }

    /// Starts the operation whose payload and vtable are in the slot. True: it is done already, with
    /// its result in the slot (only if `may_be_ready`).
    pub(super) fn start<K: Steps>(
        &self,
        slot: &'static Slot,
        kind: &mut K,
        terms: Terms,
        may_be_ready: bool,
    ) -> bool {
        self.name(slot, terms.location);
        if !K::UNBOUNDED && self.is_over_limit() {
            let tearing_down = self.tearing_down.get();
            self.complete_later(slot, if tearing_down { GONE } else { TOO_MANY });
            return false;
        }
        if self.activate(slot, kind, Way::Other { may_be_ready }) {
            return true;
        }
        if terms.timeout != NEVER {
            self.arm_deadline(slot, terms.timeout);
        }
        false
    }

    /// Like [`start`](Local::start), for one that was initiated elsewhere and may have been cancelled since.
    #[cold]
    pub(super) fn start_unless_canceled<K: Steps>(
        &self,
        slot: &'static Slot,
        kind: &mut K,
        started: &Started,
        terms: Terms,
    ) {
        if started.set(slot.first()) {
            self.start(slot, kind, terms, false);
            // A method of its buffer has cancelled it.
            if slot.stop.get() != Stop::No {
                self.stop_slot(slot, slot.stop.get());
            }
        } else {
            self.name(slot, terms.location);
            slot.stop.set(Stop::Canceled);
            self.complete_later(slot, CANCELED);
        }
    }

    /// The operation in this slot is an event of its own, and the running handler's.
    pub(super) fn name(&self, slot: &'static Slot, location: &'static Location<'static>) {
        slot.mark(special::EVENT);
        slot.origin.event.set(self.next_event());
        slot.origin.cause.set(self.step.get());
        slot.origin.location.set(location);
    }

    /// Submits the slot's next activation. True: it is done already.
    #[inline(always)]
    fn activate<K: Steps>(&self, slot: &'static Slot, kind: &mut K, way: Way) -> bool {
        // The kind asks its buffer: user code.
        let is_first = !matches!(way, Way::Next);
        let unwound = Unwound {
            local: self,
            slot,
            is_first,
        };
        let activation = kind.activate(self);
        std::mem::forget(unwound);
        let Activation {
            op,
            object,
            writable,
        } = match activation {
            Ok(activation) => activation,
            Err(result) => {
                self.complete_later(slot, result);
                return false;
            }
        };
        if let Some(object) = object {
            object.begin(slot, op.code);
            slot.object.set(Some(object));
        }
        slot.set_op(op);
        slot.set_life(life::PENDING);
        if K::EXTERNAL
            && let Some(stand_in) = kind.stand_in()
        {
            slot.external.set(true);
            self.externals.set(self.externals.get() + 1);
            stand_in.arm(self, slot.token());
            return false;
        }
        let submitted = match way {
            Way::Quick { .. } if !self.is_virtual.get() => {
                self.submit_quickly(slot, op);
                return false;
            }
            Way::Quick { may_be_ready } => self.submit_named(slot, writable, may_be_ready),
            Way::Other { may_be_ready } => self.submit_with(slot, writable, may_be_ready),
            Way::Next => self.submit_with(slot, writable, false),
        };
        match submitted {
            Submitted::Pending => false,
            Submitted::Ready(result) => {
                slot.set_life(life::DONE);
                slot.result.set(result);
                !(K::COMPOSED && self.goes_on(slot, kind, result))
            }
        }
    }

    /// Hands the slot's activation, which asks for `op`, to the lane of a real kernel.
    #[inline(always)]
    fn submit_quickly(&self, slot: &'static Slot, op: Op) {
        debug_assert!(self.lane.try_borrow_mut().is_ok_and(|lane| lane.is_some()));
        // SAFETY: the lane is borrowed only for as long as one of its methods runs, on this thread,
        // and that of a real kernel calls nothing of its caller's (its contract): so it is not now.
        // The rest as in `submit`.
        // As long as there is room for an operation (Slots::set_room) there is a lane, a native one.
        unsafe {
            let lane = (*self.lane.as_ptr()).as_deref_mut().unwrap_unchecked();
            submit_natively(lane, slot.token(), op, slot.op(), slot.origin.get());
        }
    }

    /// Names the slot's operation and hands it to the lane of a simulated kernel.
    #[inline(never)]
    fn submit_named(&self, slot: &'static Slot, writable: bool, may_be_ready: bool) -> Submitted {
        self.name(slot, slot.origin.location.get());
        self.submit_with(slot, writable, may_be_ready)
    }

    /// Hands the slot's activation to the lane, with what a simulated one wants to know of it.
    #[inline]
    fn submit_with(&self, slot: &'static Slot, writable: bool, may_be_ready: bool) -> Submitted {
        slot.origin.writable.set(writable);
        let may_be_ready = may_be_ready && self.ready_budget.get() > 0;
        slot.origin.may_be_ready.set(may_be_ready);
        self.submit(slot)
    }

    /// Hands the slot's activation to the lane.
    #[inline]
    pub(super) fn submit(&self, slot: &'static Slot) -> Submitted {
        let mut lane = self.lane.borrow_mut();
        let Some(lane) = lane.as_mut() else {
            return self.no_lane(slot);
        };
        // SAFETY: the op stands in the slot and points at what the slot's payload owns; the slot's
        // address is stable, and it is not touched until its completion (I2, I4: that is what a slot
        // is for). The token is of this activation alone.
        unsafe { lane.submit(slot.token(), slot.op(), slot.origin.get()) }
    }

    /// The kernel did nothing of the activation with this token.
    #[cold]
    pub(crate) fn do_again(&self, token: Token, result: i32) {
        let Some(slot) = self.slots.of(token) else {
            return;
        };
        if slot.token() != token || slot.life() != life::PENDING {
            return;
        }
        if slot.stop.get() != Stop::No {
            self.complete_later(slot, CANCELED);
        } else if slot.code() == Code::Connect {
            // The attempt goes on; a second one would be told that.
            self.complete_later(slot, result);
        } else {
            let submitted = self.submit(slot);
            debug_assert_eq!(submitted, Submitted::Pending);
        }
    }

    #[cold]
    #[inline(never)]
    fn no_lane(&self, slot: &'static Slot) -> Submitted {
        self.complete_later(slot, CANCELED);
        Submitted::Pending
    }

    /// The slot's operation is complete with `result`, as soon as the running handler has returned.
    #[cold]
    #[inline(never)]
    pub(crate) fn complete_later(&self, slot: &'static Slot, result: i32) {
        slot.set_life(life::PENDING);
        // In a simulation what started quickly gets its name from the way to the lane, which it never came to.
        if self.is_virtual.get() && !slot.is(special::EVENT) {
            self.name(slot, slot.origin.location.get());
        }
        self.ready
            .borrow_mut()
            .push_back(Ready::Complete(Completion {
                token: slot.token(),
                result,
            }));
    }

    /// A composed operation takes in a result; true if it has submitted its next activation.
    pub(crate) fn goes_on<K: Steps>(&self, slot: &'static Slot, kind: &mut K, result: i32) -> bool {
        // The kind asks its buffer: user code, which may drop or poll the operation's own future. That
        // must not find it done while `kind` is borrowed.
        slot.set_life(life::SUBMITTING);
        let unwound = Unwound {
            local: self,
            slot,
            is_first: false,
        };
        let next = kind.next(result, slot.stop.get());
        std::mem::forget(unwound);
        if !next {
            slot.set_life(life::DONE);
            return false;
        }
        if let Some(object) = slot.object.take()
            && object.end()
        {
            self.finish_close(object);
        }
        slot.next_activation();
        if slot.is(special::EVENT) {
            // The next step of a composed operation is caused by the completion of the last.
            slot.origin.cause.set(slot.origin.event.get());
            self.begin_step(slot.origin.event.get());
            slot.origin.event.set(self.next_event());
        }
        self.activate(slot, kind, Way::Next);
        // It was asked to stop between two steps: the new one is to end as well.
        if slot.stop.get() != Stop::No {
            self.stop_slot(slot, slot.stop.get());
        }
        true
    }

    #[cold]
    #[inline(never)]
    fn arm_deadline(&self, slot: &'static Slot, timeout: u64) {
        let mut op = Op::new(Code::Timer, Raw::NONE);
        op.offset = self.now().saturating_add(timeout);
        let origin = Origin {
            event: slot.origin.event.get().child(u32::MAX),
            cause: slot.origin.event.get(),
            location: slot.origin.location.get(),
            writable: false,
            may_be_ready: false,
        };
        slot.mark(special::DEADLINE);
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            // SAFETY: a timer points at no memory; the token is this operation's deadline, armed once.
            unsafe { lane.submit(slot.deadline_token(), &op, &origin) };
        }
    }
}

/// Which way an activation came.
#[derive(Clone, Copy)]
enum Way {
    /// What [`quick`] found: a real kernel asks nothing of where an operation came from, and nothing is
    /// ready; in a simulation it is yet to be named.
    Quick {
        may_be_ready: bool,
    },
    Other {
        may_be_ready: bool,
    },
    /// Not the first of its operation.
    Next,
}
