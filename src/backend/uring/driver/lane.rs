//! The seam's side of the driver: submit, cancel, wait.

use std::any::TypeId;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::{Driver, Own, Waiting};
use crate::backend::uring::encode;
use crate::backend::uring::kernel::KernelRing;
use crate::backend::uring::linger;
use crate::backend::uring::notify::Notifier;
use crate::backend::uring::ring::{Enter, Register, Ring};
use crate::backend::{
    CANCELED, Code, Completion, Lane, Notified, Op, Origin, Raw, Submitted, Token, Until, Waited,
};

impl<R: Ring + Send + 'static> Lane for Driver<R> {
    unsafe fn submit(&mut self, token: Token, op: &Op, _: &Origin) -> Submitted {
        self.submit_now(token, op, op);
        Submitted::Pending
    }

    fn is_native(&self) -> bool {
        TypeId::of::<Self>() == TypeId::of::<Driver<KernelRing>>()
    }

    fn cancel(&mut self, token: Token) {
        if self.timers.disarm(token) {
            self.ready.push(Completion {
                token,
                result: CANCELED,
            });
            return;
        }
        let is_it =
            |what: &Waiting| matches!(what, Waiting::Operation(waits, _) if *waits == token);
        if let Some(at) = self.waiting.iter().position(is_it) {
            // The kernel has not seen it: nothing has happened, and nothing will.
            self.waiting.remove(at);
            self.ready.push(Completion {
                token,
                result: CANCELED,
            });
        } else {
            self.place_cancel(token);
        }
    }

    fn disarm(&mut self, token: Token) {
        if self.timers.disarm(token) {
            self.in_flight -= 1;
        }
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited> {
        self.start()?;
        let before = batch.len();
        let mut woken = self.bell.take();
        loop {
            self.hand_out(batch);
            let idle = batch.len() == before
                && !woken
                && until != Until::Now
                && !self.backlog()
                && !self.ring.ready();
            let how = if idle && self.bell.doze() {
                Enter::Sleep(self.deadline(until))
            } else {
                Enter::Collect
            };
            let entered = self.turn(how);
            if how != Enter::Collect {
                woken |= self.bell.rise();
            } else if idle {
                woken = self.bell.take();
            }
            let mut over = until == Until::Now;
            match entered {
                Ok(taken) => self.sent(taken),
                Err(libc::EINTR) => {}
                Err(libc::ETIME) => over |= self.has_come(until),
                Err(libc::EAGAIN | libc::EBUSY) => {
                    // No memory, or completions that the kernel wants to get rid of first.
                    if self.ring.enter(0, Enter::Collect) == Err(libc::EBADR) {
                        return Err(self.lost());
                    }
                    if !self.ring.ready() {
                        std::thread::yield_now();
                    }
                }
                Err(libc::EBADR) => return Err(self.lost()),
                Err(error) => return Err(io::Error::from_raw_os_error(error)),
            }
            self.reap(batch)?;
            self.fire(batch);
            if batch.len() != before || woken || over {
                return Ok(Waited::Returned);
            }
        }
    }

    fn close(&mut self, raw: Raw) {
        linger::never_wait(raw);
        self.place(Waiting::Own(Own::Close(raw)));
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn notify(&mut self, waker: Waker, until: Until) -> io::Result<Notified> {
        self.start()?;
        let notifier = match self.notifier.take() {
            Some(notifier) => notifier,
            None => {
                let notifier = Notifier::start()?;
                self.ring
                    .register(Register::Signal(notifier.signal().as_raw_fd()))
                    .map_err(io::Error::from_raw_os_error)?;
                self.bell.echo_to(Arc::clone(notifier.signal()));
                notifier
            }
        };
        // In this order: what comes after the enter had its look is signalled anew.
        notifier.reset();
        let entered = self.ring.enter(self.ring.unsubmitted(), Enter::Collect);
        self.sent(entered.unwrap_or(0));
        // A mark that a wake left stays for the wait to take.
        let notified = if entered.is_err()
            || !self.ready.is_empty()
            || self.ring.unsubmitted() > 0
            || self.ring.ready()
            || !self.bell.doze()
        {
            Notified::Now(waker)
        } else {
            let left = self
                .deadline(until)
                .map(|deadline| Duration::from_nanos(deadline.saturating_sub(self.ring.now())));
            Notified::Later(notifier.arm(waker, left))
        };
        self.notifier = Some(notifier);
        Ok(notified)
    }
}

impl<R: Ring> Driver<R> {
    /// Submits what stands in `op` until its completion; `asked` is the same, perhaps in registers.
    #[inline(always)]
    pub(in crate::backend::uring) fn submit_now(&mut self, token: Token, asked: &Op, op: &Op) {
        self.in_flight += 1;
        // What is out of the ordinary goes out of line. If anything waits for the queue it is full:
        // nobody is overtaken here.
        match encode::frequent(asked) {
            Some(shape) if self.ring.push_with(|sqe| shape.fill(sqe, token, asked)) => {}
            _ => self.submit_slowly(token, op),
        }
    }

    /// What is rare, or finds no room.
    #[cold]
    #[inline(never)]
    fn submit_slowly(&mut self, token: Token, op: &Op) {
        if op.code == Code::Timer {
            self.timers.arm(token, op.offset);
        } else {
            self.place(Waiting::Operation(token, op));
        }
    }

    /// Whether the deadline that ended a sleep was the caller's (a timer's fires the timer).
    fn has_come(&self, until: Until) -> bool {
        match until {
            Until::Now => true,
            Until::Event => false,
            Until::Time(time) => self.timers.first().is_none_or(|timer| time <= timer),
        }
    }

    /// One call of the kernel, or none if there is nothing to tell it and either something to reap or
    /// nothing to be had.
    #[inline]
    fn turn(&mut self, how: Enter) -> Result<u32, i32> {
        let to_submit = self.ring.unsubmitted();
        if to_submit == 0 && how == Enter::Collect && (self.ring.ready() || !self.ring.has_news()) {
            return Ok(0);
        }
        self.ring.enter(to_submit, how)
    }
}
