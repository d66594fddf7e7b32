//! Who happens before whom: vector clocks of the handlers, and the accesses that they do not order.
//!
//! After Lamport (*Time, clocks, and the ordering of events*, CACM 1978), Mattern's vector clocks and
//! the epochs of FastTrack (Flanagan and Freund, PLDI 2009). Departures: there is no program order of
//! a worker, since which worker runs a handler is chance; each handler is a thread of its own, that
//! its cause, its strand and the locks order. A component of the vector is given only to a handler that
//! accesses something, so that all others cost nothing.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::panic::Location;

use crate::choice::EventId;
use crate::choice::events::AsItIs;

pub(super) type Map<V> = HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// How far each handler had come, by component; what is missing is 0.
type Clock = Vec<u32>;

fn join(into: &mut Clock, other: &Clock) {
    if into.len() < other.len() {
        into.resize(other.len(), 0);
    }
    for (mine, theirs) in into.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}

/// Where something was accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    component: u32,
    time: u32,
    pub(super) what: &'static str,
    pub(super) location: &'static Location<'static>,
    pub(super) event: EventId,
}

impl Access {
    fn is_before(&self, clock: &Clock) -> bool {
        clock
            .get(self.component as usize)
            .is_some_and(|time| *time >= self.time)
    }
}

#[derive(Default)]
struct Datum {
    written: Option<Access>,
    /// Since the last write.
    read: Vec<Access>,
}

/// One handler's place in the order.
#[derive(Default)]
struct Thread {
    clock: Clock,
    /// The event that it knows to have caused it.
    cause: Option<EventId>,
    component: Option<u32>,
}

impl Thread {
    /// Another handler's.
    fn begins(&mut self) {
        self.clock.clear();
        self.cause = None;
        self.component = None;
    }
}

/// All clocks of an execution, from one quiet moment to the next.
#[derive(Default)]
pub(super) struct Clocks {
    threads: Vec<Thread>,
    released: Map<Clock>,
    data: Map<Datum>,
    components: u32,
}

impl Clocks {
    /// Of so many seats.
    pub(super) fn of(seats: usize) -> Clocks {
        let mut clocks = Clocks::default();
        clocks.threads.resize_with(seats, Thread::default);
        clocks
    }

    /// Nobody is inside a handler: all that was done is before all that comes.
    pub(super) fn all_are_done(&mut self) {
        if self.components > 0 {
            self.released.clear();
            self.data.clear();
            self.components = 0;
            self.threads.iter_mut().for_each(Thread::begins);
        }
    }

    /// A handler begins on this seat.
    pub(super) fn begins(&mut self, seat: usize) {
        if let Some(thread) = self.threads.get_mut(seat) {
            thread.begins();
        }
    }

    /// The handler goes on as a consequence of `event`, which may be the same as before.
    pub(super) fn caused_by(&mut self, seat: usize, event: EventId) {
        let Some(thread) = self.threads.get_mut(seat) else {
            return;
        };
        if thread.cause != Some(event) {
            thread.cause = Some(event);
            self.acquired(seat, event.0);
        }
    }

    /// What the handler has done so far is before whoever acquires `id`.
    pub(super) fn released(&mut self, seat: usize, id: u64) {
        let Some(thread) = self.threads.get_mut(seat) else {
            return;
        };
        if thread.clock.is_empty() {
            return;
        }
        join(self.released.entry(id).or_default(), &thread.clock);
        if let Some(component) = thread.component {
            thread.clock[component as usize] += 1;
        }
    }

    /// What was done before `id` was released is before all that acquires `to` as well.
    pub(super) fn passes(&mut self, id: u64, to: u64) {
        if self.components > 0
            && let Some(clock) = self.released.get(&id).cloned()
        {
            join(self.released.entry(to).or_default(), &clock);
        }
    }

    /// What was done before `id` was released is before all that the handler does from now on.
    pub(super) fn acquired(&mut self, seat: usize, id: u64) {
        if self.components > 0
            && let Some(clock) = self.released.get(&id)
            && let Some(thread) = self.threads.get_mut(seat)
        {
            join(&mut thread.clock, clock);
        }
    }

    /// The handler accesses `id`. Who did before, if nothing orders the two and one is a write.
    pub(super) fn accessed(
        &mut self,
        seat: usize,
        id: u64,
        writes: bool,
        what: &'static str,
        location: &'static Location<'static>,
        event: EventId,
    ) -> Option<Access> {
        let thread = self.threads.get_mut(seat)?;
        let components = &mut self.components;
        let component = *thread.component.get_or_insert_with(|| {
            *components += 1;
            let component = *components - 1;
            thread
                .clock
                .resize(thread.clock.len().max(*components as usize), 0);
            thread.clock[component as usize] = 1;
            component
        });
        let access = Access {
            component,
            time: thread.clock[component as usize],
            what,
            location,
            event,
        };
        let datum = self.data.entry(id).or_default();
        let is_free = |other: &&Access| !other.is_before(&thread.clock);
        let mut other = datum.written.as_ref().filter(is_free).copied();
        if writes {
            other = other.or_else(|| datum.read.iter().find(is_free).copied());
            datum.read.clear();
            datum.written = Some(access);
        } else {
            // The last read of each handler is enough.
            match datum
                .read
                .iter_mut()
                .find(|read| read.component == component)
            {
                Some(read) => *read = access,
                None => datum.read.push(access),
            }
        }
        other
    }

    /// The datum is gone.
    pub(super) fn forget(&mut self, id: u64) {
        self.data.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rig(Clocks);

    impl Rig {
        fn new() -> Rig {
            let mut clocks = Clocks::of(3);
            (0..3).for_each(|seat| clocks.begins(seat));
            Rig(clocks)
        }

        #[track_caller]
        fn access(&mut self, seat: usize, writes: bool) -> bool {
            let (here, root) = (Location::caller(), EventId::ROOT);
            self.0
                .accessed(seat, 7, writes, "datum", here, root)
                .is_some()
        }
    }

    #[test]
    fn reads_are_free_and_a_write_beside_one_is_not() {
        let mut rig = Rig::new();
        assert!(!rig.access(0, false) && !rig.access(1, false));
        assert!(
            rig.access(2, true),
            "two reads that nothing orders before it"
        );
        assert!(
            rig.access(0, false),
            "a write that nothing orders before it"
        );
        assert!(!rig.access(0, false) || rig.access(1, false));
    }

    #[test]
    fn one_handler_is_in_order_with_itself() {
        let mut rig = Rig::new();
        assert!(!rig.access(0, true) && !rig.access(0, false) && !rig.access(0, true));
        rig.0.begins(0);
        assert!(
            rig.access(0, true),
            "the next one on the same worker is another"
        );
    }

    #[test]
    fn what_is_released_is_before_what_acquires_it_and_nothing_later_is() {
        let mut rig = Rig::new();
        assert!(!rig.access(0, true));
        rig.0.released(0, 1);
        rig.0.acquired(1, 1);
        assert!(!rig.access(1, true));
        rig.0.released(1, 2);
        rig.0.acquired(2, 2);
        assert!(!rig.access(2, false), "through two others");
        rig.0.acquired(0, 2);
        assert!(rig.access(0, true), "the read of the third is not released");
        let mut rig = Rig::new();
        assert!(!rig.access(0, false));
        rig.0.released(0, 1);
        assert!(!rig.access(0, true), "after its release");
        rig.0.acquired(1, 1);
        assert!(rig.access(1, true));
    }

    #[test]
    fn a_quiet_moment_orders_everything() {
        let mut rig = Rig::new();
        assert!(!rig.access(0, true));
        rig.0.all_are_done();
        rig.0.begins(1);
        assert!(!rig.access(1, true));
        rig.0.begins(0);
        rig.0.forget(7);
        assert!(!rig.access(0, true), "another datum");
    }
}
