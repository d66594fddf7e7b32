//! Waking a foreign executor when a lane has something: the thread behind `Lane::notify`.
//!
//! A lane inside somebody else's runtime can't sleep in the port. One thread a lane, started at the first call, sleeps
//! in its place, at a desk of its own: it brings packets to the lanes whose they are, as a lane would, and wakes a waker once
//! its lane was rung or has mail.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;

use super::desk::{Desk, lock};
use super::port::{Dequeued, Packet, Port, Sleep};
use super::shared::Shared;

/// The thread, from the lane's side. Dropping it ends the thread.
pub(super) struct Watcher {
    request: Arc<Request>,
    /// Ends a sleep of the thread.
    ring: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Request {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    /// Whom to wake; taken with the wake.
    waker: Option<Waker>,
    until: Option<Sleep>,
    quit: bool,
}

impl Watcher {
    pub(super) fn start<P: Port>(shared: &Arc<Shared<P>>, lane: &Arc<Desk>) -> io::Result<Watcher> {
        let desk = shared.spare_desk();
        lane.watched_by(Arc::clone(&desk));
        let request = Arc::<Request>::default();
        let theirs = Thread {
            shared: Arc::clone(shared),
            lane: Arc::clone(lane),
            desk: Arc::clone(&desk),
            request: Arc::clone(&request),
        };
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name("proactor-notify".to_owned())
            .spawn(move || theirs.serve())?;
        Ok(Watcher {
            request,
            ring: Box::new(move || shared.ring(&desk)),
            thread: Some(thread),
        })
    }

    /// Wakes `waker` once the lane has something, or at the time. Replaces the last request, whose
    /// waker comes back if it was not woken: dropping it is user code.
    pub(super) fn arm(&self, waker: Waker, until: Sleep) -> Option<Waker> {
        self.change(|asked| {
            asked.until = Some(until);
            asked.waker.replace(waker)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Asked) -> T) -> T {
        let result = change(&mut lock(&self.request.asked));
        self.request.changed.notify_one();
        (self.ring)();
        result
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let waker = self.change(|asked| {
            asked.quit = true;
            asked.waker.take()
        });
        drop(waker);
        if let Some(thread) = self.thread.take()
            // The waker that the thread is calling may be what drops the lane.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

struct Thread<P: Port> {
    shared: Arc<Shared<P>>,
    lane: Arc<Desk>,
    desk: Arc<Desk>,
    request: Arc<Request>,
}

impl<P: Port> Thread<P> {
    fn serve(self) {
        let mut packets = vec![Packet::NONE; 64];
        while let Some(until) = self.wait_for_request() {
            let has_come = self.sleep(&mut packets, until);
            let waker = {
                let mut asked = lock(&self.request.asked);
                // Of the request as it is now.
                let has_news = self.lane.is_rung() || self.lane.has_mail();
                let over = has_come && asked.until == Some(until);
                (has_news || over).then(|| asked.waker.take()).flatten()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// How long to sleep at most. None: it is to end.
    fn wait_for_request(&self) -> Option<Sleep> {
        let mut asked = lock(&self.request.asked);
        loop {
            if asked.quit {
                return None;
            }
            match asked.until {
                Some(until) if asked.waker.is_some() => return Some(until),
                _ => {
                    asked = self
                        .request
                        .changed
                        .wait(asked)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Sleeps until anything happens. Whether the time has come.
    fn sleep(&self, packets: &mut [Packet], until: Sleep) -> bool {
        let shared = &*self.shared;
        let dequeued = shared.seat.watch(
            &self.desk,
            &self.lane,
            || shared.park(until),
            || shared.port.dequeue(packets, shared.bounded(until)),
        );
        match dequeued {
            Some(Ok(Dequeued::Packets(count))) => {
                shared.deliver(&packets[..count], |_, _| false);
            }
            Some(Ok(_)) | None => {}
            // It will come again when the lane looks.
            Some(Err(_)) => shared.ring(&self.lane),
        }
        matches!(until, Sleep::Until(time) if time <= shared.port.now())
    }
}
