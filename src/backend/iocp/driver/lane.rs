//! The seam's side of the driver: submit, cancel, wait.

use std::io;
use std::task::Waker;

use super::mistake::{Mistake, makes};
use super::{BLIND, Driver, completion};
use crate::backend::iocp::desk::Bed;
use crate::backend::iocp::port::{Cancelled, Dequeued, Port, Sleep};
use crate::backend::iocp::results::Ended;
use crate::backend::iocp::watcher::Watcher;
use crate::backend::{
    CANCELED, Code, Completion, Lane, Notified, Op, Origin, Raw, Submitted, Token, Until, Waited,
};

impl<P: Port> Lane for Driver<P> {
    unsafe fn submit(&mut self, token: Token, op: &Op, origin: &Origin) -> Submitted {
        self.in_flight += 1;
        if op.code == Code::Timer {
            self.timers.arm(token, op.offset);
            return Submitted::Pending;
        }
        // SAFETY: passed on.
        match unsafe { self.start(token, op, origin) } {
            None => Submitted::Pending,
            Some(Ended::Done(result)) if origin.may_be_ready => {
                self.in_flight -= 1;
                Submitted::Ready(result)
            }
            Some(ended) => {
                self.ready.push(completion(token, ended));
                Submitted::Pending
            }
        }
    }

    fn cancel(&mut self, token: Token) {
        let ended = if self.timers.disarm(token) {
            true
        } else if let Some(entry) = self.entries.find(token) {
            let shared = &*self.shared;
            entry.cancelled.set(true);
            let over = if entry.code.get() == Code::Wait && !shared.port.does(Code::Wait) {
                shared.objects.stop_waiting(entry.raw.get(), entry)
            } else {
                match shared.port.cancel(entry.handle.get(), entry.whole()) {
                    Cancelled::Found => makes(Mistake::FoundIsTheEnd),
                    Cancelled::NotFound => makes(Mistake::NotFoundIsTheEnd),
                }
            };
            if over {
                entry.token.set(None);
                self.entries.busy -= 1;
            }
            over
        } else {
            false
        };
        if ended {
            self.ready.push(Completion {
                token,
                result: CANCELED,
            });
        }
    }

    fn disarm(&mut self, token: Token) {
        if self.timers.disarm(token) {
            self.in_flight -= 1;
        }
    }

    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited> {
        let before = batch.len();
        let mut woken = self.desk.take() && !makes(Mistake::ForgetsTheMark);
        let mut over = until == Until::Now;
        loop {
            self.hand_out(batch);
            let has_some = batch.len() > before;
            let dequeued = if has_some && self.blind < BLIND {
                self.blind += 1;
                Dequeued::Nothing
            } else if has_some || woken || over {
                self.dequeue(batch, Sleep::No)?
            } else {
                let (dequeued, rung) = self.rest(batch, until)?;
                woken |= rung;
                // What woke it may be mail.
                self.hand_out(batch);
                over |= self.has_come(until);
                dequeued
            };
            self.fire(batch);
            if batch.len() > before {
                return Ok(Waited::Returned);
            }
            match dequeued {
                Dequeued::Packets(_) | Dequeued::Nothing if woken || over => {
                    return Ok(Waited::Returned);
                }
                Dequeued::Packets(_) | Dequeued::Nothing => {}
                Dequeued::Stuck => return Ok(Waited::Stuck),
                Dequeued::Over => return Ok(Waited::Over),
                Dequeued::PowerLost => return Ok(Waited::PowerLost),
                Dequeued::Dropped => return Ok(Waited::Dropped),
            }
        }
    }

    fn close(&mut self, raw: Raw) {
        self.shared.close(raw);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn notify(&mut self, waker: Waker, until: Until) -> io::Result<Notified> {
        let watcher = match self.watcher.take() {
            Some(watcher) => watcher,
            None => Watcher::start(&self.shared, &self.desk)?,
        };
        // From here on whatever comes is told to the watcher. What was there before is seen below.
        let dozes = self.desk.doze(Bed::Watched);
        let mut ready = std::mem::take(&mut self.ready);
        let before = ready.len();
        let looked = self.dequeue(&mut ready, Sleep::No);
        self.in_flight += ready.len() - before;
        self.ready = ready;
        let due = match self.sleep(until) {
            Sleep::Until(time) => time <= self.shared.port.now(),
            _ => false,
        };
        let now =
            !dozes || looked.is_err() || due || !self.ready.is_empty() || self.desk.has_mail();
        let notified = if now {
            Notified::Now(waker)
        } else {
            Notified::Later(watcher.arm(waker, self.sleep(until)))
        };
        self.watcher = Some(watcher);
        Ok(notified)
    }
}
