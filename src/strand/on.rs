//! [`OnStrand`]: operations whose handlers run on a strand.
//!
//! The node that waits in the strand's queue stands in the operation's slot, beside its handler: no
//! allocation. A completion that finds the strand idle does not wait at all.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use super::handle::Strand;
use super::node::{Acts, Node};
use crate::backend::Note;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::Outcome;
use crate::op::slots::{Slot, Stop, VTable, life, special};
use crate::op::{Both, Cancel, Kind, Operation, stop_external};
use crate::switch;

/// An operation that is to have its handler on a strand: made by [`Operation::on`].
#[must_use = "an operation does nothing until it is given a handler with `.then`"]
pub struct OnStrand<K: Kind> {
    operation: Operation<K>,
    strand: Strand,
}

impl<K: Kind> Operation<K> {
    /// Has the handler run on `strand`, which is to be one of the same proactor: never at the same time
    /// as another of its handlers, and after those that were posted before this operation completed. Of
    /// a composed operation every step in between runs there as well.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let Ok(proactor) = proactor::Proactor::new() else { return Ok(()) };
    /// use proactor::{Strand, StrandCell};
    /// use std::{sync::Arc, time::Duration};
    /// let strand = Strand::new(&proactor);
    /// let ticks = Arc::new(StrandCell::new(&strand, 0));
    /// let state = ticks.clone();
    /// proactor.sleep(Duration::from_millis(1)).on(&strand).then(move |slept| {
    ///     slept.unwrap();
    ///     state.with(|ticks| *ticks += 1);
    /// });
    /// proactor.run()?;
    /// assert_eq!(Arc::into_inner(ticks).unwrap().into_inner(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn on(self, strand: &Strand) -> OnStrand<K> {
        OnStrand {
            operation: self,
            strand: strand.clone(),
        }
    }
}

impl<K: Kind + 'static> OnStrand<K> {
    /// Starts it; `handler` is called with its output, on the strand, once, and never inside this call.
    /// For the rest see [`Operation::then`].
    #[inline]
    #[track_caller]
    pub fn then<H>(self, handler: H) -> Cancel
    where
        H: FnOnce(K::Output) + Send + 'static,
    {
        let seated = Seated {
            place: Place {
                node: Node::new(Serial::<K, H>::ACTS),
                slot: Cell::new(None),
            },
            handler,
            strand: self.strand,
        };
        self.operation.start_with(seated, Serial::<K, H>::VTABLE)
    }
}

impl<K: Kind> fmt::Debug for OnStrand<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnStrand")
            .field("operation", &self.operation)
            .field("strand", &self.strand)
            .finish()
    }
}

/// What is in a slot instead of a handler.
struct Seated<H> {
    place: Place,
    handler: H,
    strand: Strand,
}

// SAFETY: the place is touched by the slot's own worker alone: before it is posted, and as its home is
// the slot's, when it has been taken out again.
unsafe impl<H: Send> Send for Seated<H> {}

/// A slot in a strand's queue.
#[repr(C)]
struct Place {
    node: Node,
    slot: Cell<Option<(&'static Slot, HomeRef)>>,
}

impl Place {
    /// # Safety
    ///
    /// The node is a place's, and was posted.
    unsafe fn of(node: *mut Node) -> Option<(&'static Slot, HomeRef)> {
        // SAFETY: the caller's promise; the node stands first.
        unsafe { (*node.cast::<Place>()).slot.get() }
    }
}

unsafe fn home_of(node: *mut Node) -> HomeRef {
    // SAFETY: asked of nodes that wait in a queue: it was posted.
    match unsafe { Place::of(node) } {
        Some((_, home)) => home,
        None => unreachable!("a place is posted with its slot"),
    }
}

struct Serial<K, H>(PhantomData<(K, H)>);

impl<K: Kind + 'static, H: FnOnce(K::Output) + Send + 'static> Serial<K, H> {
    const VTABLE: &'static VTable = &VTable {
        complete: Self::complete,
        stop_external: stop_external::<K, Both<K, Seated<H>>>(),
        at_teardown: Some(Self::DROP),
        unreturned: None,
        orphaned: false,
        name: K::NAME,
    };
    const DROP: &'static VTable = &VTable {
        complete: Self::drop_uninvoked,
        stop_external: stop_external::<K, Both<K, Seated<H>>>(),
        at_teardown: None,
        unreturned: None,
        orphaned: false,
        name: K::NAME,
    };
    const ACTS: &'static Acts = &Acts {
        run: Self::run,
        drop: Self::drop,
        home: Some(home_of),
    };

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `Both<K, Seated<H>>`.
    unsafe fn complete(local: &Local, slot: &'static Slot, result: i32) {
        slot.result.set(result);
        slot.set_life(if K::COMPOSED {
            // Until its step has run: who cancels it meanwhile is heard.
            life::SUBMITTING
        } else {
            life::DONE
        });
        // SAFETY: the payload is a Both<K, Seated<H>>, and nobody else uses it now.
        let seated = unsafe { &raw mut (*slot.get::<Both<K, Seated<H>>>()).handler };
        // SAFETY: as above. The clone is what the strand is held by while its payload may go.
        let strand = unsafe { (*seated).strand.clone() };
        if let Some(_inside) = strand.enter(local) {
            // SAFETY: as above; inside the strand.
            unsafe { Self::step(local, slot) };
            return;
        }
        // SAFETY: the place is in no queue; it stays where it is until it has been taken out: the
        // payload is taken only by `step` and `drop_uninvoked`, which that calls.
        unsafe {
            let place = &raw mut (*seated).place;
            (*place).slot.set(Some((slot, local.me())));
            slot.mark(special::QUEUED);
            strand.post_node(place.cast());
        }
    }

    unsafe fn run(node: *mut Node, local: &Local) {
        // SAFETY: the node is a place's that was posted.
        if let Some((slot, _)) = unsafe { Place::of(node) } {
            slot.unmark(special::QUEUED);
            if local.watched.get() {
                let running = &local.home.running;
                running.is(&slot.vtable.get().name, Some(slot.origin.location.get()));
            }
            // SAFETY: it is out of the queue, and this is the slot's worker, inside the strand.
            unsafe { Self::step(local, slot) }
        }
    }

    /// The handler, or the next step of a composed operation.
    ///
    /// # Safety
    ///
    /// The slot's payload is a `Both<K, Seated<H>>`, its activation complete, and the worker inside
    /// its strand.
    unsafe fn step(local: &Local, slot: &'static Slot) {
        let result = slot.result.get();
        if slot.is(special::EVENT) {
            switch::acquired(slot.origin.event.get().0);
        }
        if K::COMPOSED {
            // SAFETY: the payload is as promised, nobody else uses it now.
            let kind = unsafe { &mut (*slot.get::<Both<K, Seated<H>>>()).kind };
            if local.goes_on(slot, kind, result) {
                return;
            }
        }
        // SAFETY: as above; the slot is given back empty.
        let Both { kind, handler } = unsafe { slot.take::<Both<K, Seated<H>>>() };
        let stop = slot.stop.get();
        if slot.is(special::EVENT) {
            local.begin_step(slot.origin.event.get());
        }
        local.release::<K>(slot);
        local.handlers_run.set(local.handlers_run.get() + 1);
        (handler.handler)(kind.finish(Outcome {
            local: Some(local),
            result,
            stop,
        }));
    }

    unsafe fn drop(node: *mut Node, local: Option<&Local>) {
        // SAFETY: the node is a place's that was posted.
        let Some((slot, home)) = (unsafe { Place::of(node) }) else {
            return;
        };
        match local.filter(|local| std::ptr::eq(local.home, home.home)) {
            // SAFETY: the payload is one of ours, complete, and out of the queue.
            Some(local) => unsafe { Self::drop_uninvoked(local, slot, slot.result.get()) },
            // SAFETY: its proactor has died, and never comes back to a slot that is not free; no home
            // with such a slot is used again. The payload is as above.
            None => drop(unsafe { slot.take::<Both<K, Seated<H>>>() }),
        }
    }

    /// # Safety
    ///
    /// As [`VTable::complete`], the payload being a `Both<K, Seated<H>>`.
    unsafe fn drop_uninvoked(local: &Local, slot: &'static Slot, result: i32) {
        // SAFETY: the payload is as promised; the slot is given back empty.
        let Both { mut kind, handler } = unsafe { slot.take::<Both<K, Seated<H>>>() };
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
