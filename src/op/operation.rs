//! [`Operation`]: lazy until it is given a handler or polled, then in its slot until its completion.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::elsewhere::{Fetched, Started};
use super::home::{HomeRef, Local, Message, Ready};
use super::kind::{Activation, GONE, Kind, Outcome, PANICKED, Steps, TOO_MANY};
use super::slots::{Slot, Stop, VTable, Waiter, life};
use crate::backend::{Code, Note, Op, Raw, Submitted};
use crate::switch::{self, Point};
use crate::task;
use crate::time::nanos;

/// Something asked of the kernel, or several things in a row: not started yet, and free to drop.
///
/// Start it with [`then`](Operation::then) and a handler, or `.await` it: one operation, two ways to
/// hear of its end. The buffer that it was given comes back with its output.
///
/// # Cancel safety
///
/// Dropped before its first poll, nothing has happened. Dropped after, a cancel is asked for; what
/// the operation owns stays with the kernel until its completion; bytes that arrive are counted as
/// discarded ([`Stats`](crate::Stats)), a handle that arrives is closed. To cancel and *not* lose
/// what was done, use [`cancel_handle`](Operation::cancel_handle) and keep awaiting.
#[must_use = "an operation does nothing until it is given a handler with `.then` or awaited"]
pub struct Operation<K: Kind> {
    state: State<K>,
    timeout: u64,
    location: &'static Location<'static>,
}

// A tag of its own and no niche: the compiler then sees through a fresh operation that it is Idle.
#[repr(u8)]
enum State<K: Kind> {
    /// Not started.
    Idle(K),
    /// In a slot, started by a poll on its own worker.
    Here {
        home: HomeRef,
        index: u32,
        first: u64,
    },
    /// Polled from elsewhere: the worker starts it, or hands its result out.
    Elsewhere {
        home: HomeRef,
        fetched: Arc<Fetched<K::Output>>,
    },
    /// Its output was taken.
    Over,
}

/// No timeout.
const NEVER: u64 = u64::MAX;

// Nothing in an Operation is pinned: what the kernel touches is in the slot or behind the buffer's pointer.
impl<K: Kind> Unpin for Operation<K> {}

impl<K: Kind> Operation<K> {
    #[inline]
    #[track_caller]
    pub(crate) fn new(kind: K) -> Operation<K> {
        Operation {
            state: State::Idle(kind),
            timeout: NEVER,
            location: Location::caller(),
        }
    }

    /// As if the initiating call stood there.
    pub(crate) fn started_at(mut self, location: &'static Location<'static>) -> Operation<K> {
        self.location = location;
        self
    }

    /// Bounds the whole operation: `duration` after its start a cancel is asked for. If it had moved
    /// bytes by then a single operation is `Ok(n)`; if not, it is [`std::io::ErrorKind::TimedOut`]. A
    /// composed one ends with an error of that kind which carries
    /// [`Interrupted`](crate::compose::Interrupted). The timer is this operation's alone: it can never
    /// end another (I6).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let late = proactor.block_on(proactor.sleep(Duration::from_secs(60)).timeout(Duration::from_millis(1))).unwrap();
    /// assert_eq!(late.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    /// ```
    #[inline]
    pub fn timeout(mut self, duration: Duration) -> Operation<K> {
        self.timeout = self.timeout.min(nanos(duration));
        self
    }
}

/// Started, it belongs to the kernel for as long as that takes: from here on nothing may be borrowed.
impl<K: Kind + 'static> Operation<K> {
    /// Starts it; `handler` is called with its output, on the proactor's worker, once, and never
    /// inside this call. If the proactor is torn down first the handler is dropped instead, after the
    /// operation has drained.
    ///
    /// May be called from any thread; away from the worker that runs it costs an allocation and a wake.
    #[inline]
    #[track_caller]
    pub fn then<H>(self, handler: H) -> Cancel
    where
        H: FnOnce(K::Output) + Send + 'static,
    {
        self.start_with(handler, Callback::<K, H>::VTABLE)
    }

    /// Starts it with something in the place of a handler, whose vtable that is: one for a payload of
    /// `Both<K, H>`.
    #[inline]
    #[track_caller]
    pub(crate) fn start_with<H: Send + 'static>(
        self,
        handler: H,
        vtable: &'static VTable,
    ) -> Cancel {
        // Taken apart without running Drop, which has nothing to do on an operation that was not
        // started: only so does the operation stay in registers.
        let this = std::mem::ManuallyDrop::new(self);
        let (timeout, location) = (this.timeout, this.location);
        // SAFETY: `this` is not used again, and not dropped.
        let kind = match unsafe { std::ptr::read(&this.state) } {
            State::Idle(kind) => kind,
            state => started_already(state),
        };
        let home = kind.home();
        switch::point_at(Point::Submit, location);
        match home.here() {
            Some(local) => match local.slots.take() {
                Some(slot) => {
                    let (index, first) = (slot.index(), slot.first.get());
                    let both = Both { kind, handler };
                    both.into_slot(local, slot, vtable, |kind| {
                        local.start(slot, kind, timeout, location, false);
                    });
                    Cancel {
                        home: Some(home),
                        index,
                        first,
                        started: None,
                    }
                }
                None => no_slot(local, kind, handler, vtable),
            },
            None => elsewhere(home, kind, handler, timeout, location, vtable),
        }
    }

    /// Starts it, and gives a handle that can ask for a cancel while somebody else awaits: cancel,
    /// then await, and the output is the true outcome.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// let mut sleep = proactor.sleep(Duration::from_secs(3600));
    /// let result = proactor.block_on(async {
    ///     let cancel = sleep.cancel_handle();
    ///     cancel.cancel();
    ///     sleep.await
    /// });
    /// assert!(proactor::is_canceled(&result.unwrap().unwrap_err()));
    /// ```
    #[track_caller]
    pub fn cancel_handle(&mut self) -> Cancel {
        if let State::Idle(kind) = &self.state {
            let home = kind.home();
            match home.here() {
                Some(local) => drop(self.start_here(local, Waiter::Nobody, false)),
                None => self.start_elsewhere(home),
            }
        }
        match &self.state {
            State::Here { home, index, first } => Cancel {
                home: Some(*home),
                index: *index,
                first: *first,
                started: None,
            },
            State::Elsewhere { home, fetched } => Cancel::of_started(*home, fetched.started()),
            State::Idle(_) | State::Over => Cancel::NOTHING,
        }
    }

    /// Starts it in a slot of this worker. The output at once if it is ready.
    #[inline]
    fn start_here(
        &mut self,
        local: &'static Local,
        waiter: Waiter,
        may_be_ready: bool,
    ) -> Option<K::Output> {
        let State::Idle(kind) = std::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let home = kind.home();
        let Some(slot) = local.slots.take() else {
            return Some(kind.finish(Outcome {
                local: Some(local),
                result: TOO_MANY,
                stop: Stop::No,
            }));
        };
        self.state = State::Here {
            home,
            index: slot.index(),
            first: slot.first.get(),
        };
        local.taken_for::<K>();
        // SAFETY: the slot was just taken, its payload is empty; the vtable fits the payload.
        unsafe { slot.put(kind) };
        slot.vtable.set(Awaited::<K>::VTABLE);
        // SAFETY: as above.
        let kind = unsafe { &mut *slot.get::<K>() };
        if local.start(slot, kind, self.timeout, self.location, may_be_ready) {
            self.state = State::Over;
            local
                .ready_budget
                .set(local.ready_budget.get().saturating_sub(1));
            return Some(take_output::<K>(local, slot));
        }
        drop(slot.replace_waiter(waiter));
        None
    }

    #[cold]
    fn start_elsewhere(&mut self, home: HomeRef) {
        let State::Idle(kind) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let fetched = Fetched::new();
        self.state = State::Elsewhere {
            home,
            fetched: fetched.clone(),
        };
        let started = fetched.started();
        // If the proactor goes before the worker gets there, the closure is dropped and `kind` with
        // it: the guard sees to it that the output is there all the same.
        let parcel = Parcel {
            what: What::Start(kind),
            to: fetched,
        };
        let (timeout, location) = (self.timeout, self.location);
        home.send(Message::Run(Box::new(move |local| {
            parcel.start(local, &started, timeout, location)
        })));
    }
}

impl<K: Kind + 'static> Future for Operation<K> {
    type Output = K::Output;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<K::Output> {
        match &self.state {
            State::Here { home, index, first } => {
                let (home, index, first) = (*home, *index, *first);
                let Some(local) = home.here() else {
                    return self.poll_away(home, index, first, cx);
                };
                let Some(slot) = local.slots.get(index) else {
                    already_polled()
                };
                if slot.life() == life::DONE {
                    self.state = State::Over;
                    local.begin_step(slot.origin.event.get());
                    return Poll::Ready(take_output::<K>(local, slot));
                }
                drop(slot.replace_waiter(waiter(local, cx)));
                Poll::Pending
            }
            State::Idle(kind) => {
                let home = kind.home();
                switch::point_at(Point::Submit, self.location);
                let Some(local) = home.here() else {
                    self.start_elsewhere(home);
                    return self.poll_fetched(cx);
                };
                let may_be_ready = local.ready_budget.get() > 0;
                match self.start_here(local, waiter(local, cx), may_be_ready) {
                    Some(output) => Poll::Ready(output),
                    None => Poll::Pending,
                }
            }
            State::Elsewhere { .. } => self.poll_fetched(cx),
            State::Over => already_polled(),
        }
    }
}

impl<K: Kind + 'static> Operation<K> {
    #[cold]
    fn poll_fetched(&mut self, cx: &mut Context<'_>) -> Poll<K::Output> {
        let State::Elsewhere { fetched, .. } = &self.state else {
            already_polled()
        };
        let output = std::task::ready!(fetched.poll(cx));
        self.state = State::Over;
        Poll::Ready(output)
    }

    /// It was started by a task of its worker and is polled somewhere else now: the worker sends the
    /// result.
    #[cold]
    fn poll_away(
        &mut self,
        home: HomeRef,
        index: u32,
        first: u64,
        cx: &mut Context<'_>,
    ) -> Poll<K::Output> {
        if !home.is_alive() {
            // Without an output it was leaked: it will never be ready.
            let output = output_of_the_dead::<K>(home, index);
            if output.is_some() {
                self.state = State::Over;
            }
            return output.map_or(Poll::Pending, Poll::Ready);
        }
        let fetched = Fetched::new();
        self.state = State::Elsewhere {
            home,
            fetched: fetched.clone(),
        };
        fetched.started().set(index, first);
        let parcel = Parcel::<K> {
            what: What::Fetch { home, index, first },
            to: fetched,
        };
        home.send(Message::Run(Box::new(move |local| parcel.fetch(local))));
        self.poll_fetched(cx)
    }
}

/// `then` on an operation that was polled before.
#[cold]
#[inline(never)]
#[track_caller]
fn started_already<K: Kind>(state: State<K>) -> ! {
    drop(Operation {
        state,
        timeout: NEVER,
        location: Location::caller(),
    });
    already_polled()
}

impl<K: Kind> Drop for Operation<K> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.state, State::Here { .. } | State::Elsewhere { .. }) {
            self.let_go();
        }
    }
}

impl<K: Kind> Operation<K> {
    #[cold]
    #[inline(never)]
    fn let_go(&mut self) {
        match &self.state {
            State::Idle(_) | State::Over => {}
            State::Here { home, index, first } => abandon::<K>(*home, *index, *first),
            State::Elsewhere { home, fetched } => {
                Cancel::of_started(*home, fetched.abandon()).cancel();
            }
        }
    }
}

/// A future was dropped whose operation is under way: the result will be thrown away properly.
#[cold]
fn abandon<K: Kind>(home: HomeRef, index: u32, first: u64) {
    match home.here() {
        Some(local) => orphan::<K>(local, index, first),
        None if home.is_alive() => home.send(Message::Abandon {
            index,
            first,
            abandon: orphan::<K>,
        }),
        None => drop(output_of_the_dead::<K>(home, index)),
    }
}

fn orphan<K: Kind>(local: &Local, index: u32, first: u64) {
    let Some(slot) = local.slots.get(index) else {
        return;
    };
    if slot.first.get() != first {
        return;
    }
    drop(slot.replace_waiter(Waiter::Nobody));
    if slot.life() == life::DONE {
        discard::<K>(local, slot);
    } else {
        slot.vtable.set(Awaited::<K>::ORPHAN);
        local.stop_slot(slot, Stop::Canceled);
    }
}

#[cold]
#[track_caller]
fn already_polled() -> ! {
    panic!("this operation has been started already, or its output was taken")
}

/// Who waits, in the cheapest form: a task of this worker by its number, others by their waker.
#[inline]
fn waiter(local: &Local, cx: &Context<'_>) -> Waiter {
    match task::id_of(cx.waker(), local.home) {
        Some(id) => Waiter::Task(id),
        None => Waiter::Waker(cx.waker().clone()),
    }
}

/// The payload of an operation with a handler: the kind first, so that it is found without knowing
/// the handler's type.
#[repr(C)]
pub(crate) struct Both<K, H> {
    pub(crate) kind: K,
    pub(crate) handler: H,
}

impl<K: Kind + 'static, H: Send + 'static> Both<K, H> {
    /// Moves both into an empty slot, and starts the kind there.
    #[inline]
    fn into_slot(
        self,
        local: &Local,
        slot: &'static Slot,
        vtable: &'static VTable,
        start: impl FnOnce(&mut K),
    ) {
        local.taken_for::<K>();
        slot.vtable.set(vtable);
        // SAFETY: the slot was just taken, so its payload is empty; vtable is one of Callback<K, H>,
        // which takes it as what is put here; nobody else looks into the slot while `start` runs.
        unsafe {
            slot.put(self);
            start(&mut (*slot.get::<Both<K, H>>()).kind);
        }
    }
}

/// What asks an external kind whether a cancel ends it, in a payload that begins with the kind: the
/// kind itself, or a [`Both`].
pub(crate) const fn stop_external<K: Kind, P: Send>()
-> Option<unsafe fn(&Local, &'static Slot) -> bool> {
    unsafe fn ask<K: Kind, P: Send>(local: &Local, slot: &'static Slot) -> bool {
        // SAFETY: the payload is a P, whose first field is a K (Both is repr(C)); the slot is pending, so
        // nobody else looks into it, and `stop` runs no user code that could.
        unsafe { &mut *slot.get::<P>().cast::<K>() }.stop(local)
    }
    if K::EXTERNAL { Some(ask::<K, P>) } else { None }
}

struct Callback<K, H>(std::marker::PhantomData<(K, H)>);

fn vtable_of<K: Kind + 'static, H: FnOnce(K::Output) + Send + 'static>(_: &H) -> &'static VTable {
    Callback::<K, H>::VTABLE
}

impl<K: Kind + 'static, H: FnOnce(K::Output) + Send + 'static> Callback<K, H> {
    const VTABLE: &'static VTable = &VTable {
        complete: Self::call,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: Some(Self::DROP),
        orphaned: false,
        name: K::NAME,
    };
    /// Not a user's handler: it is called at teardown too.
    const INTERNAL: &'static VTable = &VTable {
        complete: Self::call,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: None,
        orphaned: false,
        name: K::NAME,
    };
    const DROP: &'static VTable = &VTable {
        complete: Self::drop_uninvoked,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: None,
        orphaned: false,
        name: K::NAME,
    };

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `Both<K, H>`.
    unsafe fn call(local: &Local, slot: &'static Slot, result: i32) {
        if K::COMPOSED {
            // SAFETY: the payload is a Both<K, H>, nobody else uses it now.
            let kind = unsafe { &mut (*slot.get::<Both<K, H>>()).kind };
            if local.goes_on(slot, kind, result) {
                return;
            }
        }
        // SAFETY: as above; the slot is given back empty.
        let Both { kind, handler } = unsafe { slot.take::<Both<K, H>>() };
        let stop = slot.stop.get();
        local.begin_step(slot.origin.event.get());
        local.release::<K>(slot);
        local.handlers_run.set(local.handlers_run.get() + 1);
        handler(kind.finish(Outcome {
            local: Some(local),
            result,
            stop,
        }));
    }

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `Both<K, H>`.
    unsafe fn drop_uninvoked(local: &Local, slot: &'static Slot, result: i32) {
        // SAFETY: the payload is a Both<K, H>; the slot is given back empty.
        let Both { mut kind, handler } = unsafe { slot.take::<Both<K, H>>() };
        local.release::<K>(slot);
        local.note(Note::DroppedHandler);
        if K::COMPOSED {
            kind.next(result, Stop::Teardown);
        }
        kind.discard(Outcome {
            local: Some(local),
            result,
            stop: Stop::Teardown,
        });
        drop(handler);
    }
}

struct Awaited<K>(std::marker::PhantomData<K>);

impl<K: Kind> Awaited<K> {
    const VTABLE: &'static VTable = &VTable {
        complete: Self::wake,
        stop_external: stop_external::<K, K>(),
        at_teardown: None,
        orphaned: false,
        name: K::NAME,
    };
    const ORPHAN: &'static VTable = &VTable {
        complete: Self::discard,
        stop_external: stop_external::<K, K>(),
        at_teardown: None,
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
                return discard::<K>(local, slot);
            }
        }
        local.detach(slot);
        let waiter = slot.take_waiter();
        local.notify(waiter);
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
        discard::<K>(local, slot);
    }
}

fn discard<K: Kind>(local: &Local, slot: &'static Slot) {
    let (result, stop) = (slot.result.get(), slot.stop.get());
    // SAFETY: an orphaned slot's payload is a K; it is given back empty.
    let kind = unsafe { slot.take::<K>() };
    local.release::<K>(slot);
    kind.discard(Outcome {
        local: Some(local),
        result,
        stop,
    });
}

/// Takes the output of a slot that is done and frees it.
#[inline]
fn take_output<K: Kind>(local: &Local, slot: &'static Slot) -> K::Output {
    let (result, stop) = (slot.result.get(), slot.stop.get());
    // SAFETY: the future that started it as a K is the only one that comes here, once; the slot is
    // given back empty.
    let kind = unsafe { slot.take::<K>() };
    local.release::<K>(slot);
    kind.finish(Outcome {
        local: Some(local),
        result,
        stop,
    })
}

/// The output of an operation whose proactor was torn down: the teardown left it done, in its slot,
/// for its future to find. None if the kernel has not let go of it: then it is leaked.
#[cold]
fn output_of_the_dead<K: Kind>(home: HomeRef, index: u32) -> Option<K::Output> {
    // SAFETY: the incarnation ended after its teardown (Acquire in is_alive), which never comes back
    // to a slot that a future still holds, and such a home is not used again (Proactor::tear_down).
    let local = unsafe { home.home.local() };
    let slot = local.slots.get(index)?;
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

/// While a buffer's methods run: if one panics, the operation is complete all the same, as soon as
/// the panic has passed. No lane has it.
struct Unwound<'a> {
    local: &'a Local,
    slot: &'static Slot,
}

impl Drop for Unwound<'_> {
    #[cold]
    fn drop(&mut self) {
        self.local.complete_later(self.slot, PANICKED);
    }
}

impl Local {
    /// Starts the operation whose payload and vtable are in the slot. True: it is done already, with
    /// its result in the slot (only if `may_be_ready`).
    #[inline(always)]
    pub(crate) fn start<K: Steps>(
        &self,
        slot: &'static Slot,
        kind: &mut K,
        timeout: u64,
        location: &'static Location<'static>,
        may_be_ready: bool,
    ) -> bool {
        slot.origin.event.set(self.next_event());
        slot.origin.cause.set(self.step.get());
        slot.origin.location.set(location);
        if self.slots.in_use() > self.limit.get() && !K::UNBOUNDED && self.is_over_limit() {
            self.complete_later(
                slot,
                if self.tearing_down.get() {
                    GONE
                } else {
                    TOO_MANY
                },
            );
            return false;
        }
        if self.activate(slot, kind, may_be_ready) {
            return true;
        }
        if timeout != NEVER {
            self.arm_deadline(slot, timeout);
        }
        false
    }

    /// Submits the slot's next activation. True: it is done already.
    #[inline(always)]
    fn activate<K: Steps>(&self, slot: &'static Slot, kind: &mut K, may_be_ready: bool) -> bool {
        // The kind asks its buffer: user code.
        let unwound = Unwound { local: self, slot };
        let activation = kind.activate(self);
        std::mem::forget(unwound);
        let Activation {
            op,
            object,
            writable,
        } = match activation {
            Ok(activation) => activation,
            Err(result) => {
                self.complete_later(slot, result);
                return false;
            }
        };
        if let Some(object) = object {
            object.link(self, slot);
            slot.object.set(Some(object));
        }
        if K::EXTERNAL {
            slot.code.set(op.code);
            slot.external.set(true);
            self.externals.set(self.externals.get() + 1);
            slot.set_life(life::PENDING);
            kind.arm(self, slot.token());
            return false;
        }
        match self.submit(slot, &op, writable, may_be_ready) {
            Submitted::Pending => false,
            Submitted::Ready(result) => {
                slot.set_life(life::DONE);
                slot.result.set(result);
                self.begin_step(slot.origin.event.get());
                !(K::COMPOSED && self.goes_on(slot, kind, result))
            }
        }
    }

    /// A composed operation takes in a result; true if it has submitted its next activation.
    pub(crate) fn goes_on<K: Steps>(&self, slot: &'static Slot, kind: &mut K, result: i32) -> bool {
        // The kind asks its buffer: user code, which may drop or poll the operation's own future. That
        // must not find it done while `kind` is borrowed.
        slot.set_life(life::SUBMITTING);
        let unwound = Unwound { local: self, slot };
        let next = kind.next(result, slot.stop.get());
        std::mem::forget(unwound);
        if !next {
            slot.set_life(life::DONE);
            return false;
        }
        if let Some(object) = slot.object.take() {
            object.unlink(self, slot);
            if object.is_ready_to_close() {
                self.finish_close(object);
            }
        }
        slot.next_activation();
        // The next step of a composed operation is caused by the completion of the last.
        slot.origin.cause.set(slot.origin.event.get());
        self.begin_step(slot.origin.event.get());
        slot.origin.event.set(self.next_event());
        self.activate(slot, kind, false);
        // It was asked to stop between two steps: the new one is to end as well.
        if slot.stop.get() != Stop::No {
            self.stop_slot(slot, slot.stop.get());
        }
        true
    }

    #[cold]
    fn arm_deadline(&self, slot: &'static Slot, timeout: u64) {
        let mut op = Op::new(Code::Timer, Raw::NONE);
        op.offset = self.now().saturating_add(timeout);
        let origin = crate::backend::Origin {
            event: slot.origin.event.get().child(u32::MAX),
            cause: slot.origin.event.get(),
            location: slot.origin.location.get(),
            writable: false,
            may_be_ready: false,
        };
        slot.has_deadline.set(true);
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            // SAFETY: a timer points at no memory; the token is this operation's deadline, armed once.
            unsafe { lane.submit(slot.deadline_token(), &op, &origin) };
        }
    }
}

/// Not one slot is left: the handler hears of it as soon as the running one has returned.
#[cold]
#[inline(never)]
fn no_slot<K: Kind + 'static, H: Send + 'static>(
    local: &Local,
    kind: K,
    handler: H,
    vtable: &'static VTable,
) -> Cancel {
    // In a slot of its own, so that the one place that calls handlers calls this one too: with a
    // second place the compiler would not inline any of them there.
    let slot = local.slots.extra();
    Both { kind, handler }.into_slot(local, slot, vtable, |_| {});
    slot.origin.event.set(local.next_event());
    local
        .ready
        .borrow_mut()
        .push_back(Ready::Refused(slot, TOO_MANY));
    Cancel::NOTHING
}

/// `then` away from the worker: a message starts the operation there.
#[cold]
#[inline(never)]
fn elsewhere<K: Kind + 'static, H: Send + 'static>(
    home: HomeRef,
    kind: K,
    handler: H,
    timeout: u64,
    location: &'static Location<'static>,
    vtable: &'static VTable,
) -> Cancel {
    let started = Arc::new(Started::new());
    let target = started.clone();
    home.send(Message::Run(Box::new(move |local: &Local| {
        let Some(slot) = local.slots.take() else {
            no_slot(local, kind, handler, vtable);
            return;
        };
        Both { kind, handler }.into_slot(local, slot, vtable, |kind| {
            local.start_unless_canceled(slot, kind, &started, timeout, location);
        });
    })));
    Cancel::of_started(home, target)
}

impl Local {
    #[cold]
    fn start_unless_canceled<K: Steps>(
        &self,
        slot: &'static Slot,
        kind: &mut K,
        started: &Started,
        timeout: u64,
        location: &'static Location<'static>,
    ) {
        if started.set(slot.index(), slot.first.get()) {
            self.start(slot, kind, timeout, location, false);
            // A method of its buffer has cancelled it.
            if slot.stop.get() != Stop::No {
                self.stop_slot(slot, slot.stop.get());
            }
        } else {
            slot.origin.event.set(self.next_event());
            slot.origin.location.set(location);
            slot.stop.set(Stop::Canceled);
            self.complete_later(slot, crate::backend::CANCELED);
        }
    }
}

/// What goes to the worker for a future that is polled elsewhere, and sees to it that the future
/// gets an output even if the worker never looks at it.
struct Parcel<K: Kind + 'static> {
    what: What<K>,
    to: Arc<Fetched<K::Output>>,
}

enum What<K> {
    /// Start this.
    Start(K),
    /// Fetch the result of what a task of the worker has started there.
    Fetch {
        home: HomeRef,
        index: u32,
        first: u64,
    },
    /// It is done.
    Nothing,
}

impl<K: Kind + 'static> Parcel<K> {
    /// On the worker: starts the operation, as one with a handler that hands the output over.
    fn start(
        mut self,
        local: &Local,
        started: &Started,
        timeout: u64,
        location: &'static Location<'static>,
    ) {
        let What::Start(kind) = std::mem::replace(&mut self.what, What::Nothing) else {
            return;
        };
        let delivery = self.to.delivery();
        let deliver = move |output| delivery.put(output);
        match local.slots.take() {
            Some(slot) => deliver_to_slot(local, slot, kind, deliver, started, timeout, location),
            None => {
                let vtable = vtable_of::<K, _>(&deliver);
                drop(no_slot(local, kind, deliver, vtable));
            }
        }
    }

    /// On the worker: hands over the result of an operation that was started here by a task.
    fn fetch(mut self, local: &Local) {
        let What::Fetch { home, index, first } = self.what else {
            return;
        };
        let slot = local
            .slots
            .get(index)
            .filter(|slot| slot.first.get() == first);
        let is_abandoned = self.to.is_abandoned();
        if let Some(slot) = slot
            && slot.life() != life::DONE
            && !is_abandoned
        {
            // Come again when it is done. The waker carries the parcel.
            let again = Fetcher::<K>(std::sync::Mutex::new(Some(self)), home);
            drop(slot.replace_waiter(Waiter::Waker(Arc::new(again).into())));
            return;
        }
        self.what = What::Nothing;
        match slot {
            Some(_) if is_abandoned => orphan::<K>(local, index, first),
            Some(slot) => {
                let delivery = self.to.delivery();
                delivery.put(take_output::<K>(local, slot));
            }
            None => {}
        }
    }
}

fn deliver_to_slot<K: Kind + 'static, H: FnOnce(K::Output) + Send + 'static>(
    local: &Local,
    slot: &'static Slot,
    kind: K,
    handler: H,
    started: &Started,
    timeout: u64,
    location: &'static Location<'static>,
) {
    Both { kind, handler }.into_slot(local, slot, Callback::<K, H>::INTERNAL, |kind| {
        local.start_unless_canceled(slot, kind, started, timeout, location);
    });
}

/// Wakes the worker to hand a result over, when it is there.
struct Fetcher<K: Kind + 'static>(std::sync::Mutex<Option<Parcel<K>>>, HomeRef);

impl<K: Kind + 'static> std::task::Wake for Fetcher<K> {
    fn wake(self: Arc<Self>) {
        let (parcel, home) = (super::home::lock(&self.0).take(), self.1);
        if let Some(parcel) = parcel {
            match home.here() {
                Some(local) => parcel.fetch(local),
                None => home.send(Message::Run(Box::new(move |local| parcel.fetch(local)))),
            }
        }
    }
}

impl<K: Kind + 'static> Drop for Parcel<K> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.what, What::Nothing) {
            What::Start(kind) => {
                self.to.put(kind.finish(Outcome {
                    local: None,
                    result: GONE,
                    stop: Stop::Teardown,
                }));
            }
            // A teardown threw the message away. What it was sent for is still in its slot.
            What::Fetch { home, index, first } => match home.here() {
                Some(local) => {
                    Parcel {
                        what: What::<K>::Fetch { home, index, first },
                        to: self.to.clone(),
                    }
                    .fetch(local);
                }
                None if home.is_alive() => {}
                None => {
                    if let Some(output) = output_of_the_dead::<K>(home, index) {
                        self.to.put(output);
                    }
                }
            },
            What::Nothing => {}
        }
    }
}

/// Asks an operation that has been started to end early. Copies are cheap; dropping one does nothing.
///
/// A cancel is a request. The truth comes in the operation's own output: done, done in part, or
/// cancelled ([`is_canceled`](crate::is_canceled)). It can only hit the operation that it was made
/// for (I6): after that one's completion it has no effect.
#[derive(Clone)]
pub struct Cancel {
    /// None: it is over.
    home: Option<HomeRef>,
    index: u32,
    first: u64,
    /// Started from elsewhere: the slot is known when the worker has got there.
    started: Option<Arc<Started>>,
}

impl Cancel {
    const NOTHING: Cancel = Cancel {
        home: None,
        index: 0,
        first: 0,
        started: None,
    };

    fn of_started(home: HomeRef, started: Arc<Started>) -> Cancel {
        Cancel {
            home: Some(home),
            index: 0,
            first: 0,
            started: Some(started),
        }
    }

    /// Asks. From any thread, any number of times.
    #[track_caller]
    pub fn cancel(&self) {
        let Some(home) = self.home else { return };
        switch::point(Point::Cancel);
        let (index, first) = match &self.started {
            None => (self.index, self.first),
            Some(started) => match started.cancel() {
                Some(slot) => slot,
                None => return,
            },
        };
        match home.here() {
            Some(local) => local.stop_operation(index, first, Stop::Canceled),
            None => home.send(Message::Cancel { index, first }),
        }
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").finish_non_exhaustive()
    }
}

impl<K: Kind> std::fmt::Debug for Operation<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({} at {})", K::NAME, self.location)
    }
}
