//! The end of a proactor: cancel, drain, drop handlers uninvoked, close, and only then let go.
//!
//! What the kernel may still touch is never freed (I4). Slots are never freed at all; what they own
//! is dropped when its completion has come. If completions do not come within [`PATIENCE`] the slots,
//! with what they own, and the lane are leaked with a warning. The same happens if dropping things
//! starts new ones without an end: so many more than there were are dropped as [`MORE`] says.
//!
//! The lane belongs to the worker's thread, so that thread does it: at once if the proactor is dropped
//! there or was never run; otherwise when the thread next runs a proactor, or ends.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::backend::{Code, Note, Raw, Until};
use crate::observe;
use crate::op::home::{Entered, Home, HomeRef, Local, Message, Owner, Ready, lock};
use crate::op::kind::GONE;
use crate::op::slots::{Slot, Stop, life};
use crate::time::nanos;

/// How long a teardown waits for the kernel before it leaks.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many waits of a simulated kernel may bring nothing when that time is over: more than it lets a cancel be late.
const IDLE_STEPS: u32 = 10_000;

/// How many things that were started by dropping others a teardown drops before it leaks the rest.
const MORE: usize = 100_000;

/// How a drain ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Drained {
    /// Nothing is left.
    Fully,
    /// The kernel, or work that was offloaded, did not let go of everything.
    KernelHolds,
    /// Whatever is dropped starts something new.
    Endless,
}

/// How many things may still be dropped; None once there was one more.
struct Allowance(Cell<Option<usize>>);

impl Allowance {
    /// One thing more is to be dropped; false if that is not allowed any more.
    fn spend(&self) -> bool {
        self.0
            .set(self.0.get().and_then(|left| left.checked_sub(1)));
        self.0.get().is_some()
    }
}

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
    let is_any = MINE.try_with(|mine| mine.borrow().0.iter().any(|home| home.home.is_orphaned()));
    if is_any != Ok(true) {
        return;
    }
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
    // Inside a handler of its own: others of simulated workers come to their ends first, or, where this
    // is an unwinding, before the thread next runs a proactor.
    if home.here().is_some() && !crate::switch::settle() {
        return home.home.set_orphaned();
    }
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
    end(home, false).err().flatten()
}

/// The same, but if it leaves nothing behind, its backend and lane stay where they are for another
/// proactor: `Ok`.
#[cfg(feature = "check")]
pub(super) fn and_stays(home: HomeRef) -> Result<(), Option<Panic>> {
    // SAFETY: the caller runs on the thread that owns the home.
    let local = unsafe { home.home.local() };
    if !local.is_empty() || home.home.objects.is_any() {
        return end(home, true);
    }
    // There is nothing to be told of, to be ended, dropped or closed: what `end` does besides.
    local.is_beside(false);
    local.note(Note::TearsDown);
    let unread = home.home.end_incarnation();
    // (Unless another thread was there just before.)
    if unread.is_empty() && !home.home.objects.is_any() {
        return Ok(());
    }
    Err(lets_go(
        home,
        local,
        Drained::Fully,
        Vec::new(),
        unread,
        None,
    ))
}

fn end(home: HomeRef, stays: bool) -> Result<(), Option<Panic>> {
    // SAFETY: the caller runs on the thread that owns the home.
    let local = unsafe { home.home.local() };
    let inside = Entered::new(local);
    if observe::is_on() {
        local.tell_parked();
    }
    local.is_beside(false);
    local.note(Note::TearsDown);
    let mut panic = None;
    let ended = if local.is_empty() {
        Drained::Fully
    } else {
        local.tearing_down.set(true);
        local.set_limit(0);
        let allowance = local.allowance();
        loop {
            // Each thing is taken out before it is dropped: whatever panics, the next call finds the rest.
            match catch_unwind(AssertUnwindSafe(|| local.drain(&allowance))) {
                Ok(ended) => break ended,
                Err(payload) => panic = panic.or(Some(payload)),
            }
        }
    };
    let drained = ended == Drained::Fully;
    let unclaimed = if drained {
        local.unclaimed_handles()
    } else {
        Vec::new()
    };
    drop(inside);
    // From here on other threads may look into the slots of their futures.
    let unread = home.home.end_incarnation();
    if stays && drained && panic.is_none() && unread.is_empty() && local.slots.in_use() == 0 {
        if let Some(lane) = local.lane.borrow_mut().as_mut() {
            for raw in unclaimed.into_iter().chain(home.home.objects.take_open()) {
                observe::tell(|it| it.still_held(raw));
                lane.close(raw);
            }
        }
        return Ok(());
    }
    Err(lets_go(home, local, ended, unclaimed, unread, panic))
}

/// The last part of an end: the lane goes, and what was sent too late. The first panic comes back.
fn lets_go(
    home: HomeRef,
    local: &'static Local,
    ended: Drained,
    unclaimed: Vec<Raw>,
    unread: Vec<Message>,
    mut panic: Option<Panic>,
) -> Option<Panic> {
    let drained = ended == Drained::Fully;
    let lane = local.lane.borrow_mut().take();
    if let Some(mut lane) = lane {
        if drained {
            // Nothing can be opened any more.
            for raw in unclaimed.into_iter().chain(home.home.objects.take_open()) {
                observe::tell(|it| it.still_held(raw));
                lane.close(raw);
            }
            drop(lane);
        } else {
            let why = match ended {
                Drained::Endless => format!(
                    "what a proactor drops at its end keeps starting something new ({MORE} times by now): the rest"
                ),
                _ => format!(
                    "not all operations ended within {PATIENCE:?} (the kernel has {}, others have {}): their memory",
                    lane.in_flight(),
                    local.externals.get()
                ),
            };
            warn(&format!("{why} is leaked\n{}", local.dump()));
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
    let pool = local.pool.borrow_mut().take();
    panic = panic.or(catch_unwind(AssertUnwindSafe(|| drop(pool))).err());
    local.crew.borrow_mut().take();
    if drained && local.slots.in_use() == 0 {
        home.home.give_back();
    }
    if ended == Drained::Endless {
        // Dropping these would go on with what had no end.
        std::mem::forget(later);
        return panic;
    }
    // Last, when nothing can go wrong any more.
    for message in later {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(message)));
        panic = panic.or(dropped.err());
    }
    panic
}

/// A home that was kept is not wanted after all.
#[cfg(feature = "check")]
pub(super) fn leave(local: &'static Local) {
    let lane = local.lane.borrow_mut().take();
    let backend = local.backend.borrow_mut().take();
    let pool = local.pool.borrow_mut().take();
    drop((lane, backend, pool));
    local.home.give_back();
}

impl Local {
    /// Nothing is left to be cancelled, dropped or waited for.
    fn is_empty(&self) -> bool {
        !self.home.has_mail()
            && self.mail.borrow().is_empty()
            && self.slots.in_use() == 0
            && self.tasks.len() == 0
            && self.ready.borrow().is_empty()
            && self.batch.borrow().is_empty()
            && self.externals.get() == 0
            && self
                .lane
                .borrow()
                .as_ref()
                .is_none_or(|lane| lane.in_flight() == 0)
    }

    /// Twice what is there (an operation may have a deadline), and [`MORE`].
    fn allowance(&self) -> Allowance {
        self.home.collect_mail(&mut self.mail.borrow_mut());
        let there = self.slots.in_use() as usize
            + self.tasks.len()
            + self.ready.borrow().len()
            + self.mail.borrow().len();
        Allowance(Cell::new(Some(2 * there + MORE)))
    }

    /// Tells of tasks that wait although there is nothing that could still happen.
    fn tell_parked(&self) {
        let lane_busy = self
            .lane
            .borrow()
            .as_ref()
            .is_some_and(|lane| lane.in_flight() > 0);
        let more = !self.ready.borrow().is_empty() || !self.mail.borrow().is_empty();
        if lane_busy || more || self.externals.get() > 0 || self.home.has_mail() {
            return;
        }
        self.tasks.each(|event, location| {
            observe::tell(|it| it.parked(event, location));
        });
    }

    /// Cancels everything and waits until the kernel has let go of it.
    fn drain(&self, allowance: &Allowance) -> Drained {
        let mut give_up = None;
        let mut idle = 0;
        loop {
            // Dropping what was posted, spawned or sent is user code, which may start new things.
            self.home.collect_mail(&mut self.mail.borrow_mut());
            while let Some(message) = { self.mail.borrow_mut().pop_front() } {
                if !allowance.spend() {
                    std::mem::forget(message);
                    return Drained::Endless;
                }
                match message {
                    Message::Close(object) => self.close_if_still(&object),
                    Message::Complete { token, result } => self.complete_external(token, result),
                    Message::Abandon { slot, abandon } => abandon(self, slot.0),
                    other => drop(other),
                }
            }
            while self.tasks.len() > 0 && allowance.spend() {
                self.tasks.remove_any();
            }
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
            self.finish_ready(allowance);
            self.finish_batch(allowance);
            if allowance.0.get().is_none() {
                return Drained::Endless;
            }
            let lane_busy = self
                .lane
                .borrow()
                .as_ref()
                .is_some_and(|lane| lane.in_flight() > 0)
                || self.externals.get() > 0;
            // What was started by dropping something waits to be cancelled in its turn.
            let is_new = |slot: &'static Slot| {
                slot.life() == life::PENDING && slot.stop.get() != Stop::Teardown
            };
            let more = !self.ready.borrow().is_empty()
                || self.home.has_mail()
                || self.tasks.len() > 0
                || self.slots.busy().any(is_new);
            if !lane_busy && !more {
                return Drained::Fully;
            }
            let now = self.now();
            let end = *give_up.get_or_insert(now.saturating_add(nanos(PATIENCE)));
            let sleeps = !more && self.home.falls_asleep();
            let until = if sleeps { Until::Time(end) } else { Until::Now };
            if let Some(lane) = self.lane.borrow_mut().as_mut()
                && lane.wait(&mut self.batch.borrow_mut(), until).is_err()
            {
                return Drained::KernelHolds;
            }
            self.home.is_awake();
            if self.batch.borrow().is_empty() && !more && !self.home.has_mail() && self.now() >= end
            {
                // At the end of a simulated clock no time is left; then steps are counted.
                idle += 1;
                if !self.is_virtual.get() || idle > IDLE_STEPS {
                    return Drained::KernelHolds;
                }
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

    fn finish_ready(&self, allowance: &Allowance) {
        while !self.ready.borrow().is_empty() && allowance.spend() {
            let Some(ready) = ({ self.ready.borrow_mut().pop_front() }) else {
                return;
            };
            match ready {
                Ready::Complete(completion) => self.dispatch(completion),
                Ready::Refused(slot, result) => {
                    if let Some(vtable) = slot.vtable.get().at_teardown {
                        slot.vtable.set(vtable);
                    }
                    self.refuse(slot, result);
                }
                Ready::Call(_, _, handler) => {
                    self.note(Note::DroppedHandler);
                    drop(handler);
                }
                Ready::Turn(due) => drop(due),
                Ready::Task(_) => {}
            }
        }
    }

    fn finish_batch(&self, allowance: &Allowance) {
        loop {
            let at = self.batch_next.get();
            let next = self.batch.borrow().get(at).copied();
            let Some(completion) = next.filter(|_| allowance.spend()) else {
                break;
            };
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
