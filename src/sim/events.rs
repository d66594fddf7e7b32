//! User events: a flag that somebody sets and one wait takes.
//!
//! As eventfd(2) has it, read by io_uring: a read takes the whole count, whatever it is, and resets it, so what was
//! set several times before anybody took it counts once; who of several gets it is whoever reads first.

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::Op;
use super::queue::List;
use crate::choice::EventId;

/// What setting an event adds to the digest.
const SET: u64 = 6;

#[derive(Clone, Copy, Default)]
struct Event {
    set: bool,
    waits: List,
}

/// All events. Places are reused.
#[derive(Default)]
pub(super) struct Events {
    all: Vec<Event>,
    free: Vec<u32>,
}

impl Events {
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.free.clear();
    }

    pub(super) fn release(&mut self, place: u32) {
        self.free.push(place);
    }
}

impl Kernel {
    /// Opens an event that is not set.
    pub(crate) fn event(&mut self) -> Result<i32, i32> {
        let events = &mut self.m.events;
        let place = events.free.pop().unwrap_or_else(|| {
            events.all.push(Event::default());
            events.all.len() as u32 - 1
        });
        events.all[place as usize] = Event::default();
        let handle = self
            .m
            .handles
            .insert(Object::Event(place), EventId::ROOT, None);
        handle.ok_or(errno::EMFILE)
    }

    fn event_of(&self, raw: i32) -> Option<usize> {
        match self.m.handles.object(raw) {
            Object::Event(place) => Some(place as usize),
            _ => None,
        }
    }

    /// Sets an event: one that waits takes it, at once or late. One that is closed is not there to be set.
    pub(crate) fn set(&mut self, raw: i32) {
        let Some(place) = self.event_of(raw) else {
            return;
        };
        self.touches_event(place as u32);
        self.puts(raw);
        self.mix(EventId::ROOT, SET, raw as u32 as u64);
        if self.recorder.on {
            let name = self.m.object_name(raw);
            self.note(|| format!("set({name})"));
        }
        self.m.events.all[place].set = true;
        // Whoever is late leaves it to the others.
        while let event = &self.m.events.all[place]
            && event.set
            && let Some(id) = event.waits.first()
        {
            self.leave_event(id);
            self.advance(id);
        }
    }

    pub(super) fn is_set(&self, raw: i32) -> bool {
        self.event_of(raw)
            .is_some_and(|place| self.m.events.all[place].set)
    }

    pub(super) fn wait_possible(&self, op: &Op) -> bool {
        self.event_of(op.handle)
            .is_none_or(|place| self.m.events.all[place].set)
    }

    /// Takes the flag down.
    pub(super) fn wait(&mut self, id: u32) -> i32 {
        match self.event_of(self.m.ops[id as usize].handle) {
            Some(place) => {
                self.m.events.all[place].set = false;
                // The bytes of an eventfd's count.
                8
            }
            None => -errno::EINVAL,
        }
    }

    pub(super) fn wait_on_event(&mut self, id: u32) {
        if let Some(place) = self.event_of(self.m.ops[id as usize].handle) {
            let others = self.m.events.all[place].waits.first();
            let ahead = others.is_some() && self.goes_ahead(id);
            let line = &mut self.m.events.all[place].waits;
            if ahead {
                line.push_first(&mut self.m.ops, id);
            } else {
                line.push(&mut self.m.ops, id);
            }
        }
    }

    pub(super) fn leave_event(&mut self, id: u32) {
        if let Some(place) = self.event_of(self.m.ops[id as usize].handle) {
            self.m.events.all[place].waits.unlink(&mut self.m.ops, id);
        }
    }
}
