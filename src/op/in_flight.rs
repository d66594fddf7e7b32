//! [`InFlight`]: an operation that is under way, as a future.
//!
//! `Operation` itself is no future: as one, it would go into the coroutine that awaits it with its
//! buffer, and from there into its slot. Starting in `into_future` moves it once, from the registers of
//! the initiating call into the slot; what the coroutine keeps is four words, whatever the operation.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::callback::stop_external;
use super::cancel::Cancel;
use super::elsewhere::{self, Away};
use super::home::{HomeRef, Local, Message, Stays};
use super::kind::{GONE, Kind, Outcome, TOO_MANY};
use super::object::Object;
use super::parcel;
use super::slots::{Slot, Stop, VTable, Waiter, life, special};
use super::start::{Terms, quick};
use crate::backend::Note;
use crate::task;

/// An operation that was started to be awaited: what [`IntoFuture`] makes of an
/// [`Operation`](super::Operation), and `.await` thus polls.
///
/// # Cancel safety
///
/// Dropped before it was ready, a cancel is asked for; what the operation owns stays with the kernel
/// until its completion; bytes that arrive are counted as discarded ([`Stats`](crate::Stats)), a handle
/// that arrives is closed. That holds for one that was never polled as well: it was started when it was
/// made.
///
/// ```
/// # use std::time::Duration;
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// let ends = proactor.block_on(async {
///     // Both are under way before the first is awaited.
///     let short = proactor.sleep(Duration::from_millis(1)).into_future();
///     let long = proactor.sleep(Duration::from_millis(2)).into_future();
///     (short.await, long.await)
/// });
/// assert!(matches!(ends, Ok((Ok(()), Ok(())))));
/// ```
#[must_use = "an operation that nobody awaits is cancelled"]
pub struct InFlight<K: Kind> {
    home: HomeRef,
    place: Place<K::Output>,
}

enum Place<T> {
    /// In a slot of its worker, on which it was started. The slot is this future's until the output
    /// was taken or the future is gone.
    Here(&'static Slot),
    /// The worker starts it, or hands its output out.
    Elsewhere(Box<Away<T>>),
    /// The output was taken.
    Over,
}

// SAFETY: the slot is looked into on its home's thread alone, or when that home is at its end; what is
// in it, and the output, may be sent (Kind: Send, Kind::Output: Send).
unsafe impl<K: Kind> Send for InFlight<K> {}
// SAFETY: nothing is done by a shared reference.
unsafe impl<K: Kind> Sync for InFlight<K> {}

impl<K: Kind + 'static> InFlight<K> {
    /// Starts an operation.
    #[inline]
    pub(super) fn start(kind: K, terms: Terms) -> InFlight<K> {
        let home = kind.home();
        match quick(&kind, terms) {
            Some((local, slot)) => {
                // SAFETY: the slot was just taken, its payload is empty; the vtable fits the payload;
                // nobody else looks into the slot while it starts.
                unsafe {
                    slot.put(kind);
                    slot.vtable.set(Awaited::<K>::VTABLE);
                    let may_be_ready = true;
                    if local.start_quickly(slot, &mut *slot.get::<K>(), may_be_ready) {
                        was_ready(local, slot);
                    }
                }
                InFlight {
                    home,
                    place: Place::Here(slot),
                }
            }
            None => InFlight {
                home,
                place: start_otherwise(home, &mut Some(kind), terms),
            },
        }
    }
}

/// The same, of anything and from anywhere.
#[cold]
#[inline(never)]
fn start_otherwise<K: Kind + 'static>(
    home: HomeRef,
    kind: &mut Option<K>,
    terms: Terms,
) -> Place<K::Output> {
    // By reference, so that only who comes this way puts it on the stack.
    let Some(kind) = kind.take() else {
        already_polled()
    };
    let Some(local) = home.here() else {
        return Place::Elsewhere(Box::new(parcel::start(home, kind, terms)));
    };
    let Some(slot) = local.take_slot::<K>(terms) else {
        let output = kind.finish(Outcome {
            local: Some(local),
            result: TOO_MANY,
            stop: Stop::No,
        });
        let (delivery, away) = elsewhere::away::<K>(home);
        delivery.put(output);
        return Place::Elsewhere(Box::new(away));
    };
    // SAFETY: as in `InFlight::start`.
    let is_ready = unsafe {
        slot.put(kind);
        slot.vtable.set(Awaited::<K>::VTABLE);
        local.start(slot, &mut *slot.get::<K>(), terms, true)
    };
    if is_ready {
        was_ready(local, slot);
    }
    Place::Here(slot)
}

/// It was done as soon as it was started.
#[cold]
#[inline(never)]
fn was_ready(local: &Local, slot: &'static Slot) {
    let budget = local.ready_budget.get();
    local.ready_budget.set(budget.saturating_sub(1));
    local.detach(slot);
}

impl<K: Kind> InFlight<K> {
    /// A handle that can ask for a cancel while this is awaited, as
    /// [`Operation::cancel_handle`](super::Operation::cancel_handle) gives it before.
    pub fn cancel_handle(&self) -> Cancel {
        match &self.place {
            // Its token stays the same as long as the slot is ours.
            Place::Here(slot) => Cancel::of_slot(self.home.home, slot),
            Place::Elsewhere(away) => Cancel::of_started(away.started().clone()),
            Place::Over => Cancel::NOTHING,
        }
    }
}

impl<K: Kind + 'static> Future for InFlight<K> {
    type Output = K::Output;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<K::Output> {
        // As long as the slot is ours no other proactor lives there: who is inside is in this one.
        if let Place::Here(slot) = self.place
            && let Some(local) = self.home.home.here()
        {
            return self.poll_here(local, slot, cx);
        }
        // Into a place of its own, so that the output stays in registers otherwise.
        let mut output = None;
        self.poll_otherwise(cx, &mut output);
        output.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<K: Kind + 'static> InFlight<K> {
    #[inline(always)]
    fn poll_here(
        &mut self,
        local: &'static Local,
        slot: &'static Slot,
        cx: &mut Context<'_>,
    ) -> Poll<K::Output> {
        if slot.life() == life::DONE {
            if slot.is(special::EVENT) {
                local.begin_step(slot.origin.event.get());
            }
            let (kind, outcome) = take_done::<K>(local, slot);
            // It is Here: there is nothing to drop. Not before the slot is given back, which may go out
            // of line: so the compiler knows the place when the future is dropped; and not after
            // `finish`, which asks the buffer and may panic.
            std::mem::forget(std::mem::replace(&mut self.place, Place::Over));
            return Poll::Ready(kind.finish(outcome));
        }
        // Who waits, in the cheapest form: a task of this worker by its number, others by their waker.
        match task::id_of(cx.waker(), local.home) {
            Some(id) => slot.set_task(id),
            None => drop(slot.replace_waiter(Waiter::Waker(cx.waker().clone()))),
        }
        Poll::Pending
    }
}

impl<K: Kind + 'static> InFlight<K> {
    #[cold]
    #[inline(never)]
    fn poll_otherwise(&mut self, cx: &mut Context<'_>, output: &mut Option<K::Output>) {
        let polled = match self.place {
            Place::Here(slot) => self.poll_away(slot, cx),
            Place::Elsewhere(_) | Place::Over => self.poll_fetched(cx),
        };
        if let Poll::Ready(ready) = polled {
            *output = Some(ready);
        }
    }

    fn poll_fetched(&mut self, cx: &mut Context<'_>) -> Poll<K::Output> {
        let Place::Elsewhere(away) = &mut self.place else {
            already_polled()
        };
        let output = std::task::ready!(away.poll(cx));
        self.place = Place::Over;
        Poll::Ready(output)
    }

    /// It was started by a task of its worker and is polled somewhere else now: the worker sends the
    /// result.
    fn poll_away(&mut self, slot: &'static Slot, cx: &mut Context<'_>) -> Poll<K::Output> {
        if !self.home.is_alive() {
            // Without an output it was leaked: it will never be ready.
            // SAFETY: the slot is this future's, and its home has ended.
            let output = unsafe { output_of_the_dead::<K>(slot) };
            if output.is_some() {
                self.place = Place::Over;
            }
            return output.map_or(Poll::Pending, Poll::Ready);
        }
        self.place = Place::Elsewhere(Box::new(parcel::fetch::<K>(self.home, slot)));
        self.poll_fetched(cx)
    }
}

#[cold]
#[track_caller]
pub(super) fn already_polled() -> ! {
    panic!("this operation has been started already, or its output was taken")
}

impl<K: Kind> Drop for InFlight<K> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.place, Place::Over) {
            return;
        }
        match std::mem::replace(&mut self.place, Place::Over) {
            Place::Over => {}
            Place::Here(slot) => let_go::<K>(self.home, slot),
            Place::Elsewhere(away) => let_go_elsewhere(*away),
        }
    }
}

// Both by value: so a future that is only made and moved stays in registers.

#[cold]
#[inline(never)]
fn let_go<K: Kind>(home: HomeRef, slot: &'static Slot) {
    match home.here() {
        Some(local) => orphan::<K>(local, slot),
        None if home.is_alive() => home.send(Message::Abandon {
            slot: Stays(slot),
            abandon: orphan::<K>,
        }),
        // SAFETY: the slot was its future's, and its home has ended.
        None => drop(unsafe { output_of_the_dead::<K>(slot) }),
    }
}

#[cold]
#[inline(never)]
fn let_go_elsewhere<T>(away: Away<T>) {
    away.let_go();
}

impl<K: Kind> fmt::Debug for InFlight<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InFlight({})", K::NAME)
    }
}

/// The future of the operation in this slot is gone.
pub(super) fn orphan<K: Kind>(local: &Local, slot: &'static Slot) {
    drop(slot.replace_waiter(Waiter::Nobody));
    if slot.life() == life::DONE {
        discard::<K>(local, slot);
    } else {
        slot.vtable.set(Awaited::<K>::ORPHAN);
        local.stop_slot(slot, Stop::Canceled);
    }
}

struct Awaited<K>(std::marker::PhantomData<K>);

impl<K: Kind> Awaited<K> {
    const VTABLE: &'static VTable = &VTable {
        complete: Self::wake,
        stop_external: stop_external::<K, K>(),
        at_teardown: None,
        unreturned: Some(Self::ORPHAN),
        orphaned: false,
        name: K::NAME,
    };
    const ORPHAN: &'static VTable = &VTable {
        complete: Self::discard,
        stop_external: stop_external::<K, K>(),
        at_teardown: None,
        unreturned: None,
        orphaned: true,
        name: K::NAME,
    };

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `K`.
    unsafe fn wake(local: &Local, slot: &'static Slot, result: i32) {
        if K::COMPOSED {
            // SAFETY: the payload is a K, nobody else uses it now.
            let kind = unsafe { &mut *slot.get::<K>() };
            if local.goes_on(slot, kind, result) {
                return;
            }
            // A method of its buffer has dropped the future.
            if slot.vtable.get().orphaned {
                slot.result.set(result);
                return discard::<K>(local, slot);
            }
        }
        slot.set_life(life::DONE);
        slot.result.set(result);
        // What is rare is the last thing done, out of line: so nothing has to be kept over a call.
        if slot.special.get() != 0 {
            return detach_and_tell(local, slot);
        }
        if let Some(object) = slot.object.take()
            && object.end()
        {
            return close_and_tell(local, slot, object);
        }
        match slot.take_task() {
            Some(id) => local.tasks.poll(local, id),
            None => tell(local, slot),
        }
    }

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `K`.
    unsafe fn discard(local: &Local, slot: &'static Slot, result: i32) {
        if K::COMPOSED {
            // What its last step moved counts as well; another step does not follow.
            // SAFETY: the payload is a K, nobody else uses it now.
            unsafe { &mut *slot.get::<K>() }.next(result, Stop::Canceled);
        }
        slot.result.set(result);
        discard::<K>(local, slot);
    }
}

#[cold]
#[inline(never)]
fn detach_and_tell(local: &Local, slot: &'static Slot) {
    local.detach(slot);
    tell(local, slot);
}

#[cold]
#[inline(never)]
fn close_and_tell(local: &Local, slot: &'static Slot, object: &'static Object) {
    local.finish_close(object);
    tell(local, slot);
}

/// The slot is done: who waits hears of it.
#[cold]
#[inline(never)]
fn tell(local: &Local, slot: &'static Slot) {
    local.notify(slot.take_waiter());
}

fn discard<K: Kind>(local: &Local, slot: &'static Slot) {
    let (result, stop) = (slot.result.get(), slot.stop.get());
    if local.is_virtual.get() && !local.tearing_down.get() {
        local.note(Note::Unwanted(slot.token()));
    }
    // SAFETY: an orphaned slot's payload is a K; it is given back empty.
    let kind = unsafe { slot.take::<K>() };
    local.release::<K>(slot);
    kind.discard(Outcome {
        local: Some(local),
        result,
        stop,
    });
}

/// Takes out of a slot that is done what its output is made of, and frees it. It was detached when it
/// was done.
#[inline]
fn take_done<'a, K: Kind>(local: &'a Local, slot: &'static Slot) -> (K, Outcome<'a>) {
    let (result, stop) = (slot.result.get(), slot.stop.get());
    // SAFETY: the future that started it as a K is the only one that comes here, once; the slot is
    // given back empty.
    let kind = unsafe { slot.take::<K>() };
    local.give_back::<K>(slot);
    let outcome = Outcome {
        local: Some(local),
        result,
        stop,
    };
    (kind, outcome)
}

/// The same, as the output.
pub(super) fn take_output<K: Kind>(local: &Local, slot: &'static Slot) -> K::Output {
    let (kind, outcome) = take_done::<K>(local, slot);
    kind.finish(outcome)
}

/// The output of an operation whose proactor was torn down: the teardown left it done, in its slot,
/// for its future to find. None if the kernel has not let go of it: then it is leaked.
///
/// # Safety
///
/// The caller has the future that started it as a `K` and has not taken its output. The incarnation of
/// its home has ended.
#[cold]
pub(super) unsafe fn output_of_the_dead<K: Kind>(slot: &'static Slot) -> Option<K::Output> {
    // The incarnation ended after its teardown (Acquire in is_alive), which never comes back to a slot
    // that a future still holds; and such a home is not used again (Proactor::tear_down).
    if slot.life() != life::DONE {
        // The teardown gave up on it: the kernel may still touch what it owns (I4).
        return None;
    }
    // SAFETY: this future alone knows the slot, whose payload is the K that it put there.
    let kind = unsafe { slot.take::<K>() };
    let result = if slot.result.get() < 0 {
        GONE
    } else {
        slot.result.get()
    };
    Some(kind.finish(Outcome {
        local: None,
        result,
        stop: Stop::Teardown,
    }))
}
