//! Operations with a handler: what is in their slot, and what happens when they are complete.

use std::sync::Arc;

use super::cancel::Cancel;
use super::elsewhere::Started;
use super::home::{HomeRef, Local, Message, Ready};
use super::kind::{Kind, Outcome, TOO_MANY};
use super::slots::{Slot, Stop, VTable, special};
use super::start::{Terms, quick};
use crate::backend::Note;

/// Starts an operation with a handler, whose completion goes by `vtable`: one for a `Both<K, H>`, such
/// as [`of_handler`].
#[inline]
pub(super) fn start<K, H>(kind: K, handler: H, vtable: &'static VTable, terms: Terms) -> Cancel
where
    K: Kind + 'static,
    H: Send + 'static,
{
    match quick(&kind, terms) {
        Some((local, slot)) => {
            let cancel = Cancel::of_slot(local.home, slot);
            let both = Both { kind, handler };
            both.into_slot(slot, vtable, |kind| {
                local.start_quickly(slot, kind, false);
            });
            cancel
        }
        None => start_otherwise(&mut Some(Both { kind, handler }), vtable, terms),
    }
}

/// What calls a user's handler.
#[inline]
pub(super) fn of_handler<K, H>() -> &'static VTable
where
    K: Kind + 'static,
    H: FnOnce(K::Output) + Send + 'static,
{
    Callback::<K, H>::VTABLE
}

/// The same, of anything and from anywhere.
#[cold]
#[inline(never)]
fn start_otherwise<K, H>(
    both: &mut Option<Both<K, H>>,
    vtable: &'static VTable,
    terms: Terms,
) -> Cancel
where
    K: Kind + 'static,
    H: Send + 'static,
{
    // By reference, so that only who comes this way puts both on the stack.
    let Some(Both { kind, handler }) = both.take() else {
        return Cancel::NOTHING;
    };
    let home = kind.home();
    let Some(local) = home.here() else {
        return send(home, kind, handler, vtable, terms);
    };
    match local.take_slot::<K>(terms) {
        Some(slot) => {
            let cancel = Cancel::of_slot(local.home, slot);
            let both = Both { kind, handler };
            both.into_slot(slot, vtable, |kind| {
                local.start(slot, kind, terms, false);
            });
            cancel
        }
        None => no_slot(local, kind, handler, vtable),
    }
}

/// Away from the worker: a message starts the operation there.
fn send<K, H>(home: HomeRef, kind: K, handler: H, vtable: &'static VTable, terms: Terms) -> Cancel
where
    K: Kind + 'static,
    H: Send + 'static,
{
    let started = Arc::new(Started::new(home));
    let target = started.clone();
    home.send(Message::Run(Box::new(move |local: &Local| {
        start_sent(local, kind, handler, &started, terms, vtable);
    })));
    Cancel::of_started(target)
}

/// What a message asked for.
fn start_sent<K, H>(
    local: &Local,
    kind: K,
    handler: H,
    started: &Started,
    terms: Terms,
    vtable: &'static VTable,
) where
    K: Kind + 'static,
    H: Send + 'static,
{
    let Some(slot) = local.take_slot::<K>(terms) else {
        no_slot(local, kind, handler, vtable);
        return;
    };
    Both { kind, handler }.into_slot(slot, vtable, |kind| {
        local.start_unless_canceled(slot, kind, started, terms);
    });
}

/// What a message asked for whose handler is the library's own: it is called at teardown too.
pub(super) fn start_internal<K, H>(
    local: &Local,
    kind: K,
    handler: H,
    started: &Started,
    terms: Terms,
) where
    K: Kind + 'static,
    H: FnOnce(K::Output) + Send + 'static,
{
    start_sent(
        local,
        kind,
        handler,
        started,
        terms,
        Callback::<K, H>::INTERNAL,
    );
}

/// Not one slot is left: the handler hears of it as soon as the running one has returned.
fn no_slot<K, H>(local: &Local, kind: K, handler: H, vtable: &'static VTable) -> Cancel
where
    K: Kind + 'static,
    H: Send + 'static,
{
    // In a slot of its own, so that the one place that calls handlers calls this one too: with a
    // second place the compiler would not inline any of them there.
    let slot = local.slots.extra();
    local.taken_for::<K>();
    Both { kind, handler }.into_slot(slot, vtable, |_| {});
    slot.mark(special::EVENT);
    slot.origin.event.set(local.next_event());
    local
        .ready
        .borrow_mut()
        .push_back(Ready::Refused(slot, TOO_MANY));
    Cancel::NOTHING
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
    fn into_slot(self, slot: &'static Slot, vtable: &'static VTable, start: impl FnOnce(&mut K)) {
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
        let kind = unsafe { &mut *slot.get::<P>().cast::<K>() };
        kind.stand_in().is_none_or(|it| it.stop(local))
    }
    if K::EXTERNAL { Some(ask::<K, P>) } else { None }
}

struct Callback<K, H>(std::marker::PhantomData<(K, H)>);

impl<K: Kind + 'static, H: FnOnce(K::Output) + Send + 'static> Callback<K, H> {
    const VTABLE: &'static VTable = &VTable {
        complete: Self::call,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: Some(Self::DROP),
        unreturned: None,
        orphaned: false,
        name: K::NAME,
    };
    /// Not a user's handler: it is called at teardown too.
    const INTERNAL: &'static VTable = &VTable {
        complete: Self::call,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: None,
        unreturned: None,
        orphaned: false,
        name: K::NAME,
    };
    const DROP: &'static VTable = &VTable {
        complete: Self::drop_uninvoked,
        stop_external: stop_external::<K, Both<K, H>>(),
        at_teardown: None,
        unreturned: None,
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
        if slot.is(special::EVENT) {
            local.begin_step(slot.origin.event.get());
        }
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
