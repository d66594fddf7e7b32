//! The end of a proactor: cancel, drain, drop handlers uninvoked, close, and only then let go.
//!
//! What the kernel may still touch is never freed (I4). Slots are never freed at all; what they own
//! is dropped when its completion has come. If completions do not come within [`PATIENCE`] the slots,
//! with what they own, and the lane are leaked with a warning.
//!
//! The lane belongs to the worker's thread, so that thread does it: at once if the proactor is dropped
//! there or was never run; otherwise when the thread next runs a proactor, or ends.

use std::any::Any;
use std::cell::RefCell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::backend::{Code, Note, Raw, Until};
use crate::op::home::{Entered, Home, HomeRef, Local, Message, Owner, Ready, lock};
use crate::op::kind::GONE;
use crate::op::slots::{Slot, Stop, life};
use crate::time::nanos;

/// How long a teardown waits for the kernel before it leaks.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    /// The homes whose workers belong to this thread. When the thread ends they are torn down: nobody
    /// else could run them any more.
    static MINE: RefCell<Mine> = const { RefCell::new(Mine(Vec::new())) };
}

struct Mine(Vec<HomeRef>);

impl Drop for Mine {
    fn drop(&mut self) {
        for home in self.0.drain(..) {
            if home.is_alive() {
                // A panic of a Drop has been reported by its hook; from here it would end the process.
                drop(on_its_thread(home));
            }
        }
    }
}

/// This thread owns that worker from now on.
pub(super) fn remember(home: HomeRef) {
    let _ = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        mine.0.retain(HomeRef::is_alive);
        mine.0.push(home);
    });
}

/// Tears down what others have dropped and this thread owns.
pub(super) fn of_this_thread() {
    let dropped = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        let dropped: Vec<_> = mine
            .0
            .iter()
            .filter(|home| home.is_alive() && home.home.is_orphaned())
            .copied()
            .collect();
        mine.0
            .retain(|home| home.is_alive() && !home.home.is_orphaned());
        dropped
    });
    let mut panic = None;
    for home in dropped.unwrap_or_default() {
        panic = panic.or(on_its_thread(home));
    }
    pass_on(panic);
}

/// The owner was dropped, on whatever thread: this worker of it ends.
pub(super) fn worker(home: HomeRef) {
    let mut owner = lock(&home.home.owner);
    // Under the lock: its thread may be ending and tear it down, and another proactor move in.
    if !home.is_alive() {
        return;
    }
    let here = Owner::current();
    match &*owner {
        Some(owner) if owner.id != here.id => {
            home.home.set_orphaned();
            warn(&format!(
                "a proactor was dropped on thread `{}` while its worker belongs to thread `{}`: \
                 its operations are ended when that thread next runs a proactor, or ends",
                here.name, owner.name
            ));
        }
        _ => {
            *owner = Some(here);
            drop(owner);
            pass_on(on_its_thread(home));
        }
    }
}

/// What a panic carries.
type Panic = Box<dyn Any + Send>;

/// Resumes a panic, unless another is under way.
pub(super) fn pass_on(panic: Option<Panic>) {
    if let Some(panic) = panic
        && !std::thread::panicking()
    {
        resume_unwind(panic);
    }
}

/// Ends a proactor on the thread that its worker belongs to. The first panic of what was dropped with
/// it comes back: that does not keep the rest from being torn down.
pub(super) fn on_its_thread(home: HomeRef) -> Option<Panic> {
    // SAFETY: the caller runs on the thread that owns the home.
    let local = unsafe { home.home.local() };
    let inside = Entered::new(local);
    local.tearing_down.set(true);
    local.set_limit(0);
    let mut panic = None;
    let drained = loop {
        // Each thing is taken out before it is dropped: whatever panics, the next call finds the rest.
        match catch_unwind(AssertUnwindSafe(|| local.drain())) {
            Ok(drained) => break drained,
            Err(payload) => panic = panic.or(Some(payload)),
        }
    };
    let lane = local.lane.borrow_mut().take();
    let unclaimed = if drained {
        local.unclaimed_handles()
    } else {
        Vec::new()
    };
    drop(inside);
    // From here on other threads may look into the slots of their futures.
    let unread = home.home.end_incarnation();
    if let Some(mut lane) = lane {
        if drained {
            // Nothing can be opened any more.
            for raw in unclaimed.into_iter().chain(home.home.objects.take_open()) {
                lane.close(raw);
            }
            drop(lane);
        } else {
            warn(&format!(
                "the kernel did not end all operations ({} are left) within {PATIENCE:?}: their memory is leaked\n{}",
                lane.in_flight(),
                local.dump()
            ));
            std::mem::forget(lane);
        }
    }
    // Dropping messages is user code (handlers, buffers), and so is what a future left behind that
    // another thread has dropped since: nobody else will come for that.
    let mut later = Vec::new();
    for message in unread {
        let dropped = catch_unwind(AssertUnwindSafe(|| match message {
            Message::Abandon { slot, abandon } if drained => abandon(local, slot.0),
            other => later.push(other),
        }));
        panic = panic.or(dropped.err());
    }
    local.backend.borrow_mut().take();
    local.crew.borrow_mut().take();
    if drained && local.slots.in_use() == 0 {
        home.home.give_back();
    }
    // Last, when nothing can go wrong any more.
    for message in later {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(message)));
        panic = panic.or(dropped.err());
    }
    panic
}

impl Local {
    /// Cancels everything and waits until the kernel has let go of it. False: it did not.
    fn drain(&self) -> bool {
        let mut give_up = None;
        loop {
            // Dropping what was posted, spawned or sent is user code, which may start new things.
            self.home.collect_mail(&mut self.mail.borrow_mut());
            while let Some(message) = { self.mail.borrow_mut().pop_front() } {
                match message {
                    Message::Close(object) => self.close_if_still(&object),
                    Message::Abandon { slot, abandon } => abandon(self, slot.0),
                    other => drop(other),
                }
            }
            while self.tasks.remove_any() {}
            for slot in self.slots.busy() {
                if slot.life() == life::PENDING {
                    if let Some(vtable) = slot.vtable.get().at_teardown {
                        slot.vtable.set(vtable);
                    }
                    if slot.stop.get() != Stop::Teardown {
                        self.stop_slot(slot, Stop::Teardown);
                        slot.stop.set(Stop::Teardown);
                    }
                }
            }
            self.finish_ready();
            self.finish_batch();
            let lane_busy = self
                .lane
                .borrow()
                .as_ref()
                .is_some_and(|lane| lane.in_flight() > 0);
            let more =
                !self.ready.borrow().is_empty() || self.home.has_mail() || self.tasks.len() > 0;
            if !lane_busy && !more {
                return true;
            }
            let now = self.now();
            let end = *give_up.get_or_insert(now.saturating_add(nanos(PATIENCE)));
            let until = if more { Until::Now } else { Until::Time(end) };
            if let Some(lane) = self.lane.borrow_mut().as_mut()
                && lane.wait(&mut self.batch.borrow_mut(), until).is_err()
            {
                return false;
            }
            if self.batch.borrow().is_empty() && !more && self.now() >= end {
                return false;
            }
        }
    }

    /// Handles that arrived for futures which are still alive, somewhere, and have not looked.
    fn unclaimed_handles(&self) -> Vec<Raw> {
        let arrived = |slot: &&'static Slot| {
            matches!(slot.code(), Code::Accept | Code::Open)
                && slot.result.get() >= 0
                && slot.life() == life::DONE
        };
        self.slots
            .busy()
            .filter(arrived)
            .map(|slot| Raw(slot.result.replace(GONE)))
            .collect()
    }

    fn finish_ready(&self) {
        while let Some(ready) = { self.ready.borrow_mut().pop_front() } {
            match ready {
                Ready::Complete(completion) => self.dispatch(completion),
                Ready::Refused(slot, result) => {
                    if let Some(vtable) = slot.vtable.get().at_teardown {
                        slot.vtable.set(vtable);
                    }
                    self.refuse(slot, result);
                }
                Ready::Call(_, handler) => {
                    self.note(Note::DroppedHandler);
                    drop(handler);
                }
                Ready::Task(_) => {}
            }
        }
    }

    fn finish_batch(&self) {
        loop {
            let at = self.batch_next.get();
            let next = self.batch.borrow().get(at).copied();
            let Some(completion) = next else { break };
            self.batch_next.set(at + 1);
            self.dispatch(completion);
        }
        self.batch.borrow_mut().clear();
        self.batch_next.set(0);
    }
}

/// A warning that people should see although they did not ask for it.
fn warn(text: &str) {
    // Nothing can be done if nobody listens.
    let _ = writeln!(std::io::stderr(), "proactor: {text}");
}

impl Home {
    fn is_orphaned(&self) -> bool {
        self.orphaned.load(std::sync::atomic::Ordering::Acquire)
    }

    fn set_orphaned(&self) {
        self.orphaned
            .store(true, std::sync::atomic::Ordering::Release);
    }
}
