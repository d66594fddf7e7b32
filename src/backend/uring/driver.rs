//! The lane on a ring: every policy of the seam's contract, and no system call.
//!
//! One enter a turn submits and waits together. What finds the submission queue full waits in order
//! behind it, cancels before all else; so long as anything waits the queue *is* full, which is why
//! the frequent path need not look. Timers never come to the kernel: they are a heap, and the
//! earliest deadline is the enter's.

mod lane;
#[cfg(test)]
mod on_fake;
#[cfg(test)]
mod on_kernel;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::ThreadId;

use super::bell::{Bell, LISTEN};
use super::close_now;
use super::encode;
use super::headers::Headers;
use super::notify::Notifier;
use super::ring::{Cqe, Enter, Register, Ring, Sqe};
use crate::backend::{Completion, Op, Raw, Tag, Token, Until};
use crate::time::timers::Timers;

/// A lane over a ring.
pub(super) struct Driver<R: Ring> {
    ring: R,
    bell: Arc<Bell>,
    timers: Timers,
    /// Submitted and not handed out, timers too.
    in_flight: usize,
    headers: Headers,
    /// Completions that were made here, to be handed out.
    ready: Vec<Completion>,
    /// Cancels that found no room. They go first.
    cancels: VecDeque<Token>,
    /// What else found no room, in order.
    waiting: VecDeque<Waiting>,
    /// The driver's own entries in the submission queue that must not get lost with it, and how
    /// many entries are before each.
    unsent: Vec<(u32, Own)>,
    /// The thread whose ring it is.
    owner: Option<ThreadId>,
    notifier: Option<Notifier>,
}

// SAFETY: the pointers in `waiting` and `headers` are only numbers here: they are handed on to the
// kernel, which may touch what they point at until the completion, whichever thread we are on (I4).
unsafe impl<R: Ring + Send> Send for Driver<R> {}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Waiting {
    /// An operation, which stands there until its completion: the seam's promise.
    Operation(Token, *const Op),
    /// An entry of the driver's own.
    Own(Own),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Own {
    Close(Raw),
    Listen,
}

/// Errors with which the kernel tells that an operation was interrupted before it did anything:
/// EINTR, and those of the ERESTART family that slip through (signal(7)).
fn is_interrupted(result: i32) -> bool {
    result == -libc::EINTR || (-516..=-512).contains(&result)
}

impl<R: Ring> Driver<R> {
    pub(super) fn new(ring: R, bell: Arc<Bell>) -> Driver<R> {
        let headers = Headers::new(ring.capacity());
        let mut driver = Driver {
            ring,
            bell,
            timers: Timers::default(),
            in_flight: 0,
            headers,
            ready: Vec::new(),
            cancels: VecDeque::new(),
            waiting: VecDeque::new(),
            unsent: Vec::new(),
            owner: None,
            notifier: None,
        };
        driver.place(Waiting::Own(Own::Listen));
        driver
    }

    /// Takes the ring into use, on the thread that calls this first.
    fn start(&mut self) -> io::Result<()> {
        if self.owner.is_none() {
            self.ring
                .register(Register::Enable)
                .map_err(io::Error::from_raw_os_error)?;
            // Only saves time; a thread has but a few of these to give.
            let _ = self.ring.register(Register::Descriptor);
            self.owner = Some(std::thread::current().id());
        }
        Ok(())
    }

    /// Puts something into the submission queue, at the end of all that waits for it.
    #[cold]
    #[inline(never)]
    fn place(&mut self, what: Waiting) {
        if self.waiting.is_empty() {
            if self.try_place(what) {
                return;
            }
            self.flush();
            if self.waiting.is_empty() && self.try_place(what) {
                return;
            }
        }
        self.waiting.push_back(what);
    }

    fn try_place(&mut self, what: Waiting) -> bool {
        let before = self.ring.unsubmitted();
        match what {
            Waiting::Operation(token, op) => {
                // SAFETY: the seam's promise at `submit`: it is lent until its completion, and stands
                // there so long (I4).
                match unsafe { encode::any(token, &*op, &self.headers) } {
                    Ok(sqe) => {
                        let placed = self.ring.push(sqe);
                        if placed {
                            self.headers.used(&sqe);
                        }
                        placed
                    }
                    Err(result) => {
                        self.ready.push(Completion { token, result });
                        true
                    }
                }
            }
            Waiting::Own(own) => {
                let sqe = match own {
                    Own::Close(raw) => encode::close(raw.0),
                    Own::Listen => self.bell.listen(),
                };
                let placed = self.ring.push(sqe);
                if placed {
                    self.unsent.push((before, own));
                }
                placed
            }
        }
    }

    /// Puts as much of what waits into the submission queue as has room.
    fn refill(&mut self) {
        while let Some(&target) = self.cancels.front() {
            if !self.ring.push(encode::cancel(target)) {
                return;
            }
            self.cancels.pop_front();
        }
        while let Some(&what) = self.waiting.front() {
            if !self.try_place(what) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Asks the kernel to end an operation that it has, or has in its queue.
    fn place_cancel(&mut self, target: Token) {
        let sqe: Sqe = encode::cancel(target);
        if self.cancels.is_empty() {
            if self.ring.push(sqe) {
                return;
            }
            self.flush();
            if self.cancels.is_empty() && self.ring.push(sqe) {
                return;
            }
        }
        // Never dropped: the next enter makes room.
        self.cancels.push_back(target);
    }

    /// Gives the kernel what is in the submission queue, without waiting for anything. If it takes
    /// nothing now, the next wait will see why.
    fn flush(&mut self) {
        if self.ring.unsubmitted() > 0
            && self.start().is_ok()
            && let Ok(taken) = self.ring.enter(self.ring.unsubmitted(), Enter::Flush)
        {
            self.sent(taken);
        }
    }

    /// The kernel took so many entries.
    #[inline]
    fn sent(&mut self, taken: u32) {
        if !self.unsent.is_empty() {
            self.unsent.retain_mut(|(before, _)| {
                let stays = *before >= taken;
                *before = before.saturating_sub(taken);
                stays
            });
        }
        if self.backlog() {
            self.refill();
        }
    }

    #[inline]
    fn backlog(&self) -> bool {
        !self.waiting.is_empty() || !self.cancels.is_empty()
    }

    /// Takes the completions that are there, and fetches those for which there was no room.
    #[inline]
    fn reap(&mut self, batch: &mut Vec<Completion>) -> io::Result<()> {
        loop {
            let mut own = Ok(());
            let mut rang = false;
            let ring = &mut self.ring;
            let count = ring.completions();
            batch.reserve(count as usize);
            let start = batch.len();
            let mut end = batch.as_mut_ptr_range().end;
            ring.reap(count, |cqe| {
                let mut token = Token(cqe.user_data);
                if !token.has_tag(Tag::Operation) || cqe.result < 0 {
                    match special(cqe, &mut rang, &mut own) {
                        Some(instead) => token = instead,
                        None => return,
                    }
                }
                // SAFETY: there is room for `count` more, and the ring hands out no more than that.
                unsafe {
                    end.write(Completion {
                        token,
                        result: cqe.result,
                    });
                    end = end.add(1);
                }
            });
            // SAFETY: all up to `end` have been written, and it is within the reserved capacity.
            let reaped = unsafe {
                let reaped = end.offset_from_unsigned(batch.as_ptr().add(start));
                batch.set_len(start + reaped);
                reaped
            };
            self.in_flight -= reaped;
            own?;
            if rang {
                self.place(Waiting::Own(Own::Listen));
            }
            if !self.ring.overflowed() {
                return Ok(());
            }
            match self.ring.enter(0, Enter::Collect) {
                Err(libc::EBADR) => return Err(self.lost()),
                // Anything else the next turn sees again.
                Err(_) if !self.ring.ready() => return Ok(()),
                _ => {}
            }
        }
    }

    /// Hands out the timers that are due. Reads the clock only if there are timers.
    #[inline]
    fn fire(&mut self, batch: &mut Vec<Completion>) {
        if self.timers.first().is_some() {
            let now = self.ring.now();
            while let Some(token) = self.timers.pop_due(now) {
                self.in_flight -= 1;
                batch.push(Completion { token, result: 0 });
            }
        }
    }

    /// Hands out the completions that were made here.
    fn hand_out(&mut self, batch: &mut Vec<Completion>) {
        self.in_flight -= self.ready.len();
        batch.append(&mut self.ready);
    }

    /// Until when an enter may sleep.
    fn deadline(&self, until: Until) -> Option<u64> {
        let until = match until {
            Until::Now => Some(0),
            Until::Event => None,
            Until::Time(time) => Some(time),
        };
        match (self.timers.first(), until) {
            (Some(timer), Some(until)) => Some(timer.min(until)),
            (timer, until) => timer.or(until),
        }
    }

    fn lost(&self) -> io::Error {
        io::Error::other(format!(
            "io_uring lost completions (EBADR): the kernel had no memory to keep them, and which of the \
             {} operations in flight they belong to can't be known",
            self.in_flight
        ))
    }
}

/// A completion that is not simply handed out: one of the driver's own, or an error. As what to hand
/// it out, if at all.
#[cold]
#[inline(never)]
fn special(cqe: Cqe, rang: &mut bool, own: &mut io::Result<()>) -> Option<Token> {
    let token = Token(cqe.user_data);
    if token == LISTEN {
        *rang = true;
        // Listening again would fail again, at once and for ever.
        if cqe.result < 0 && !is_interrupted(cqe.result) && cqe.result != -libc::EAGAIN {
            *own = Err(io::Error::from_raw_os_error(-cqe.result));
        }
        return None;
    }
    if token.has_tag(Tag::Internal) {
        return None;
    }
    // A signal that nobody meant for this operation, or a cancel: such an operation may end with EINTR
    // as well (io_uring_cancelation(7)). The caller knows which.
    Some(if is_interrupted(cqe.result) {
        token.with_tag(Tag::Undone)
    } else {
        token
    })
}

impl<R: Ring> Drop for Driver<R> {
    fn drop(&mut self) {
        // What nobody will submit any more. Entries in the queue are not submitted here: those
        // behind a close might be operations whose memory goes away.
        let waiting = self.waiting.iter().filter_map(|what| match what {
            Waiting::Own(own) => Some(*own),
            Waiting::Operation(..) => None,
        });
        for own in self.unsent.iter().map(|(_, own)| *own).chain(waiting) {
            if let Own::Close(raw) = own {
                close_now(raw);
            }
        }
        // The kernel knows nothing of timers, and nothing any more of what is ready.
        let lent = self.in_flight - self.timers.len() - self.ready.len();
        if lent > 0 {
            eprintln!(
                "proactor: warning: an io_uring lane is dropped with {lent} operations in flight; the \
                 kernel cancels them later, and the memory lent to them must stay allocated"
            );
        }
    }
}
