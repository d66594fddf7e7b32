//! Waking a foreign executor when a lane has something: the thread behind `Lane::notify`.
//!
//! A lane inside somebody else's runtime can't sleep in the kernel. One thread a lane, started at
//! the first call, sleeps in its place, and wakes a waker once.
//!
//! It polls an eventfd that is registered with the ring, and not the ring's own descriptor: with
//! DEFER_TASKRUN the kernel has nothing in the queue until the lane enters, and then poll(2) on the
//! ring is not woken (seen on 6.18). The eventfd is signalled for work that waits for an enter as
//! well, once each time that there was none.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::bell::write_one;

/// The thread, from the lane's side. Dropping it ends the thread.
pub(super) struct Notifier {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    request: Mutex<Request>,
    /// Written to whenever the request has changed.
    changed: OwnedFd,
    /// Written to by the kernel whenever the ring has something.
    signal: Arc<OwnedFd>,
}

#[derive(Default)]
struct Request {
    /// Whom to wake; taken with the wake.
    waker: Option<Waker>,
    deadline: Option<Instant>,
    quit: bool,
}

impl Notifier {
    pub(super) fn start() -> io::Result<Notifier> {
        let shared = Arc::new(Shared {
            request: Mutex::default(),
            changed: eventfd()?,
            signal: Arc::new(eventfd()?),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("proactor-notify".to_owned())
            .spawn(move || theirs.serve())?;
        Ok(Notifier {
            shared,
            thread: Some(thread),
        })
    }

    /// What to register with the ring, and to ring for wakes.
    pub(super) fn signal(&self) -> &Arc<OwnedFd> {
        &self.shared.signal
    }

    /// Forgets what the ring signalled so far. To be called before the last look at the ring.
    pub(super) fn reset(&self) {
        drain(&self.shared.signal);
    }

    /// Wakes `waker` once the ring has something, or after `limit`. Replaces the last request, whose
    /// waker comes back if it was not woken: dropping it is user code.
    pub(super) fn arm(&self, waker: Waker, limit: Option<Duration>) -> Option<Waker> {
        // A deadline beyond what an `Instant` holds never comes.
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        self.shared.change(|request| {
            request.deadline = deadline;
            request.waker.replace(waker)
        })
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd(2) takes no pointers; a descriptor that it returned is ours alone.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn drain(event: &OwnedFd) {
    let mut count = 0_u64;
    // SAFETY: eight bytes of a local are written (eventfd(2)).
    unsafe { libc::read(event.as_raw_fd(), (&raw mut count).cast(), 8) };
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shared.change(|request| {
            request.quit = true;
            request.waker.take()
        });
        if let Some(thread) = self.thread.take()
            // The waker that the thread is calling may be what drops the lane.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut Request) -> T) -> T {
        let result = change(&mut self.request.lock().unwrap_or_else(PoisonError::into_inner));
        write_one(&self.changed);
        result
    }

    fn serve(&self) {
        loop {
            let (armed, deadline) = {
                let request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
                if request.quit {
                    return;
                }
                (request.waker.is_some(), request.deadline)
            };
            let deadline = deadline.filter(|_| armed);
            let ready = self.sleep(armed, deadline);
            let waker = {
                let mut request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
                // Of the request as it is now. (A signal may still be an old one's: the kernel defers
                // some. That is a wake too many, and the next request is armed as ever.)
                let over = request
                    .deadline
                    .is_some_and(|deadline| Instant::now() >= deadline);
                (ready || over).then(|| request.waker.take()).flatten()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Sleeps until the request changed, the ring is ready (true), or the deadline.
    fn sleep(&self, armed: bool, deadline: Option<Instant>) -> bool {
        let poll = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        // A negative descriptor is passed over (poll(2)).
        let signal = if armed { self.signal.as_raw_fd() } else { -1 };
        let mut polls = [poll(self.changed.as_raw_fd()), poll(signal)];
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| libc::timespec {
            tv_sec: left.as_secs() as libc::time_t,
            tv_nsec: left.subsec_nanos() as libc::c_long,
        });
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the entries and the time are locals that outlive the call; no signal mask.
        unsafe { libc::ppoll(polls.as_mut_ptr(), 2, timeout, std::ptr::null()) };
        if polls[0].revents != 0 {
            drain(&self.changed);
        }
        polls[1].revents != 0
    }
}
