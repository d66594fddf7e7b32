//! [`Event`]: something that happens, for operations to wait for.

use std::fmt;
use std::io;

use crate::backend::Code;
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, Steps};
use crate::op::object::{ObjectHandle, ObjectRef};
use crate::proactor::Handle;
use crate::switch::{self, Point};

/// A flag that is set from any thread, and waited for by operations. Clones are handles of the same
/// event; the last one dropped closes it.
///
/// It resets itself: a wait that ends takes the flag down, so one [`set`](Event::set) ends one
/// [`wait`](Event::wait). If nobody waits, the flag stays up for the next who does. It is a flag and no
/// counter: sets that no wait has taken yet count as one. Which of several waits gets it is not
/// promised.
///
/// So it fits "there is something to do": set it after each change, and after each wait do all there
/// is. For permits that are counted there is [`sync::Semaphore`](crate::sync::Semaphore).
///
/// On io_uring it is an eventfd(2), and a wait is a read of it: one descriptor an event, one system call
/// a set, and waits that cancel, time out and close like every other operation. On the simulated kernel it is an
/// object of the kernel, so that who waits stands in reports and the order of ends is a decision.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let Ok(proactor) = proactor::Proactor::new() else { return Ok(()) };
/// let ready = proactor::Event::new(&proactor)?;
/// let setter = ready.clone();
/// let thread = std::thread::spawn(move || setter.set());
/// ready.wait().then(|waited| assert!(waited.is_ok()));
/// proactor.run().unwrap();
/// thread.join().unwrap()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Event {
    handle: ObjectHandle,
}

impl Event {
    /// An event that is not set.
    ///
    /// # Errors
    ///
    /// As eventfd(2): no descriptor is left. The proactor is gone.
    pub fn new(proactor: &Handle) -> io::Result<Event> {
        let home = proactor.for_new();
        let backend = home.backend()?;
        let raw = backend.event()?;
        Ok(Event {
            handle: home.open_object(&*backend, raw)?,
        })
    }

    /// Sets the flag: one wait ends, now or later. From any thread, also inside a handler; never blocks.
    ///
    /// What the caller has done before is seen by the handler of the wait that ends.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`]: it was closed. The proactor is gone.
    #[track_caller]
    pub fn set(&self) -> io::Result<()> {
        switch::point(Point::Post);
        self.handle.get().with_raw(|backend, raw| backend.set(raw))
    }

    /// Ends when the flag is up, and takes it down.
    ///
    /// Cancel-safe: a wait that was cancelled, or ended by a timeout, has taken nothing, and what a wait took
    /// whose future was dropped is set again.
    ///
    /// # Errors
    ///
    /// Cancelled, also by closing the event ([`is_canceled`](crate::is_canceled)); closed before it
    /// began ([`io::ErrorKind::NotConnected`]).
    #[track_caller]
    pub fn wait(&self) -> Operation<Wait> {
        Operation::new(Wait {
            object: self.handle.get(),
            count: 0,
        })
    }

    /// The kernel's name for it, if it is open.
    #[cfg(feature = "check")]
    pub(crate) fn raw(&self) -> Option<crate::backend::Raw> {
        self.handle.get().raw()
    }

    /// Closes it for all its handles: pending waits are cancelled. Once is enough (I8).
    pub fn close(&self) {
        self.handle.get().close();
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").finish_non_exhaustive()
    }
}

/// The kind of [`Event::wait`].
pub struct Wait {
    object: ObjectRef,
    /// What an eventfd is read into.
    count: u64,
}

impl Steps for Wait {
    type Out = io::Result<()>;
    const NAME: &'static str = "wait";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn here(&self) -> Option<&'static Local> {
        self.object.here()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Wait)?;
        activation.op.ptr = (&raw mut self.count).cast();
        activation.op.len = size_of_val(&self.count) as u32;
        Ok(activation)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        outcome.unit()
    }

    fn discard(self, outcome: Outcome<'_>) {
        if outcome.result >= 0 {
            // Nobody heard of it: for the next who waits. If the event is closed there is none.
            let _ = self.object.with_raw(|backend, raw| backend.set(raw));
        }
    }
}
