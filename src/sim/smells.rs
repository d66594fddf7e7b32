//! Oracles over operations and handles, beside the lent buffers: looked at once a submission and once a
//! completion, by counters that are touched there anyway.

use std::panic::Location;

use super::kernel::Kernel;
use super::op::Verb;
use super::oracle::Oracle;
use super::words::{duration, nanos, place, plural};
use crate::choice::EventId;

/// Bytes of a stream that were received for nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hole {
    handle: i32,
    bytes: u64,
    event: EventId,
    location: Option<&'static Location<'static>>,
}

/// Whether more than one of this direction are in flight on a handle that counts so many, this one among
/// them.
#[inline]
pub(super) const fn is_crowded(busy: u64, direction: u64) -> bool {
    busy & (direction * (u32::MAX as u64 - 1)) != 0
}

/// What an operation counts as on its handle: a receive below, a send above.
#[inline]
pub(super) const fn direction(verb: Verb) -> u64 {
    // A table: which it is changes with every operation.
    const OF: [u64; Verb::COUNT] = {
        let mut of = [0; Verb::COUNT];
        of[Verb::Recv as usize] = 1;
        of[Verb::Send as usize] = 1 << 32;
        of
    };
    OF[verb as usize]
}

impl Kernel {
    /// An operation was submitted that lends so many bytes: is it one too many?
    #[inline]
    pub(super) fn look_at_submission(&mut self, id: u32, verb: Verb, len: u32) {
        if matches!(verb, Verb::Send | Verb::WriteAt | Verb::Append) {
            self.to_send += u64::from(len);
            if self.to_send > self.config.most_bytes {
                self.too_many_bytes(id, len);
            }
        }
        if self.in_flight > self.config.most_operations {
            self.too_many_operations(id);
        }
        if !self.holes.is_empty() {
            self.reads_behind(id);
        }
    }

    /// A completion is handed out.
    #[inline(always)]
    pub(super) fn look_at_completion(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (result, verb) = (op.result, op.verb);
        if matches!(verb, Verb::Send | Verb::WriteAt | Verb::Append) {
            self.to_send -= u64::from(op.lent.len());
        }
        let waited = self.busy - op.ready;
        if let Some(handle) = self.m.handles.get_mut(op.handle) {
            handle.in_flight -= 1;
            handle.busy -= direction(verb);
            if result > 0 {
                handle.zeros = 0;
            } else if result == 0 && matches!(verb, Verb::Recv | Verb::ReadAt) {
                self.read_nothing(id);
            }
        }
        if waited > 0 {
            self.waited(id, waited);
        }
    }

    // ---- what is rare

    /// The slot of a completion was reused, or its operation is ended again.
    #[cold]
    pub(super) fn ended_twice(&mut self, id: u32) {
        let message = format!("{} was to end a second time", self.m.describe(id));
        self.fail_at(Oracle::OneCompletion, message, id);
    }

    /// Another operation of the same direction is in flight on the handle.
    #[cold]
    pub(super) fn crowded(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, handle, order) = (op.verb, op.handle, op.order);
        let (oracle, and) = match verb {
            Verb::Recv => (
                Oracle::ConcurrentReads,
                "which of them gets the first bytes is up to the kernel",
            ),
            Verb::Send => (
                Oracle::ConcurrentWrites,
                "if the first is short, the other's bytes come in between",
            ),
            _ => return,
        };
        self.found(oracle, id, |m| {
            let before = (0u32..)
                .zip(&m.ops)
                .filter(|(_, op)| {
                    op.state != super::op::State::Free
                        && op.handle == handle
                        && op.verb == verb
                        && op.order < order
                })
                .min_by_key(|(_, op)| op.order);
            let other = before.map_or_else(String::new, |(other, op)| {
                let at = op
                    .location
                    .map_or_else(String::new, |at| format!(", started at {}", place(at)));
                format!(" while {} is in flight{at}", m.describe(other))
            });
            format!("{} was started{other}: {and}", m.describe(id))
        });
    }

    #[cold]
    fn too_many_bytes(&mut self, id: u32, len: u32) {
        // Once, when it is crossed.
        if self.to_send - u64::from(len) > self.config.most_bytes {
            return;
        }
        let (queued, most) = (self.to_send, self.config.most_bytes);
        self.found(Oracle::QueuedBytes, id, |m| {
            format!(
                "with {} {} wait to be sent or written, more than the bound of {}: whoever produces them does \
                 not wait for who takes them",
                m.describe(id),
                plural(queued, "byte"),
                plural(most, "byte")
            )
        });
    }

    #[cold]
    fn too_many_operations(&mut self, id: u32) {
        // Once, when it is crossed.
        if self.in_flight - 1 > self.config.most_operations {
            return;
        }
        let most = self.config.most_operations as u64;
        self.found(Oracle::QueuedOperations, id, |m| {
            format!(
                "with {} more than {} are in flight: nothing bounds them (Builder::max_operations would)",
                m.describe(id),
                plural(most, "operation")
            )
        });
    }

    /// A read found the end.
    #[cold]
    fn read_nothing(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, raw) = (op.verb, op.handle);
        if op.lent.len() == 0 {
            // An empty request is no end.
            return;
        }
        let (now, most) = (self.m.now, self.config.eof_spin.max(1));
        let Some(handle) = self.m.handles.get_mut(raw) else {
            return;
        };
        if verb == Verb::ReadAt && handle.zero_at != now {
            // A file may grow: who waits between two looks does not spin.
            handle.zeros = 0;
        }
        handle.zero_at = now;
        handle.zeros += 1;
        if handle.zeros < most {
            return;
        }
        handle.zeros = 0;
        self.found(Oracle::EofSpin, id, |m| {
            let end = match verb {
                Verb::Recv => "the end of a stream stays one: nothing will ever follow",
                _ => "nothing was written to it, and no time has passed",
            };
            format!(
                "{} is the {most}. read in a row that found the end of {}: {end}",
                m.describe(id),
                m.object_name(raw)
            )
        });
    }

    /// Handlers have taken time since the completion was ready.
    #[cold]
    fn waited(&mut self, id: u32, waited: u64) {
        if waited <= nanos(self.config.starvation) {
            return;
        }
        let bound = nanos(self.config.starvation);
        self.found(Oracle::Starvation, id, |m| {
            format!(
                "the completion of {} was ready, and waited while handlers took {}, more than the bound of {}",
                m.describe(id),
                duration(waited),
                duration(bound)
            )
        });
    }

    // ---- results that nobody waited for

    /// The result of the [unwanted](Kernel::unwanted) operation is dropped: so many bytes, or a handle.
    #[cold]
    pub(crate) fn discarded(&mut self, bytes: u64) {
        // Its slot has not been given to another one yet.
        let Some(id) = self.unwanted.take() else {
            return;
        };
        let Some(op) = self.m.ops.get(id as usize).copied() else {
            return;
        };
        match op.verb {
            Verb::Recv if bytes > 0 => {
                let (event, location) = (op.event, op.location);
                self.is_plain = false;
                self.holes.push(Hole {
                    handle: op.handle,
                    bytes,
                    event,
                    location,
                });
            }
            // Of a listener that is being closed all that wait are reset anyway.
            Verb::Accept if self.m.handles.get(op.handle).is_some() => {
                self.found(Oracle::LostResult, id, |m| {
                    format!(
                        "{} was cancelled too late: it had accepted a connection, which was closed at once, \
                         since nobody waited for it any more; its client sees an end that it can't explain",
                        m.describe(id)
                    )
                });
            }
            _ => {}
        }
    }

    /// There are holes in streams: does this operation read on behind one?
    #[cold]
    fn reads_behind(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, raw) = (op.verb, op.handle);
        let holes = &mut self.holes;
        let Some(at) = holes
            .iter()
            .position(|hole| hole.handle == raw)
            .filter(|_| verb == Verb::Recv)
        else {
            return;
        };
        let hole = holes.swap_remove(at);
        let name = self.m.object_name(raw);
        let mut message = format!(
            "{} goes on behind a hole: {} of {name} were received for a read that nobody waited for any \
             more",
            self.m.describe(id),
            plural(hole.bytes, "byte"),
        );
        if let Some(at) = hole.location {
            message.push_str(&format!(", started at {}", place(at)));
        }
        self.fail(Oracle::LostResult, message, hole.event, hole.location);
    }
}
