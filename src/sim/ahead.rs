//! Memory of what comes next, asked for ahead: with thousands of connections nothing of the next completion is in the
//! processor's cache, and some fifteen lines of it wait for one another: the operation, its connection, who waits there,
//! and for that one's buffer.
//!
//! Which completion comes next is known before its turn: the oldest, or what is [foreseen](crate::choice::Draws) of the
//! numbers that the orders of steps are made of. A guess is enough: nothing but time depends on it. At every step the third
//! from now is asked for itself, of the second what it refers to, which is there by then, and so on.

use super::kernel::Kernel;
use super::op::Op;
use crate::choice::random::AHEAD;

/// With fewer operations all is near anyway.
const MANY: usize = 1_024;

/// How long a cache line is, on most machines.
const LINE: usize = 64;

/// So much of what a proactor keeps of an operation stands before its origin, and behind.
const BEFORE: usize = 96;
const BEHIND: usize = 160;

impl Kernel {
    /// Asks for the memory of what comes after this operation, if it is worth it.
    #[inline(always)]
    pub(super) fn looks_ahead(&self, now: u32) {
        if self.m.ops.len() > MANY {
            self.asks_ahead(now);
        }
    }

    #[inline(never)]
    fn asks_ahead(&self, now: u32) {
        const { assert!(AHEAD == 3) };
        let [next, second, third] = [0, 1, 2].map(|nth| self.likely(nth));
        let now = self.m.ops.get(now as usize);
        if let Some(op) = third {
            near(op);
        }
        if let Some(op) = second {
            if let Some(conn) = self.m.tcp.conns.get(op.conn as usize) {
                near(conn);
            }
            if let Some(handle) = self.m.handles.get(op.handle) {
                near(handle);
            }
            buffer(op);
            let above = std::ptr::without_provenance(op.above.wrapping_sub(BEFORE));
            lines(above, BEFORE + BEHIND);
        }
        if let Some(op) = next.and_then(|op| self.receiver(op)) {
            near(op);
        }
        if let Some(op) = now.and_then(|op| self.receiver(op)) {
            buffer(op);
        }
    }

    /// Who waits for what the side of an operation sends: its handler may be about to.
    #[inline(always)]
    fn receiver(&self, op: &Op) -> Option<&Op> {
        let conn = self.m.tcp.conns.get(op.conn as usize)?;
        let first = conn.directions[usize::from(op.side & 1)].recvs.first()?;
        self.m.ops.get(first as usize)
    }

    /// Which operation probably has the step after `nth` others.
    #[inline(always)]
    fn likely(&self, nth: usize) -> Option<&Op> {
        let (done, armed) = (&self.m.done, &self.m.armed);
        let at = match &self.decider.draws {
            // Until then there will be one more, for the one that is handed out now.
            Some(draws) => draws.foresee(nth, done.len() + armed.len() + 1),
            None => nth,
        };
        let id = done
            .get(at)
            .or_else(|| armed.get(at - done.len().min(at)))?;
        self.m.ops.get(id as usize)
    }
}

/// Asks for what this is stored in.
#[inline(always)]
fn near<T>(what: &T) {
    lines(std::ptr::from_ref(what).cast(), size_of::<T>());
}

/// Asks for the beginning of the buffer of an operation.
#[inline(always)]
fn buffer(op: &Op) {
    lines(op.lent.ptr(), op.lent.len().min(2 * LINE as u32) as usize);
}

/// Asks for the lines of so many bytes from here on.
#[inline(always)]
fn lines(from: *const u8, len: usize) {
    let before = from.addr() % LINE;
    for at in (0..before + len).step_by(LINE) {
        line(from.wrapping_sub(before).wrapping_add(at));
    }
}

/// Asks for the line of this address, which may be any.
#[inline(always)]
fn line(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint to the cache: nothing is read, and an address without memory is ignored.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}
