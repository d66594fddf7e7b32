//! Handles: numbers for open objects, the lowest free one first, as POSIX has it for descriptors.

use std::panic::Location;

use crate::choice::EventId;

/// What a handle stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Object {
    /// Nothing: the number is free.
    Closed,
    /// A socket that is neither connected nor listening. `connecting`: an attempt is under way. `bound`:
    /// the place of its address in `Tcp::bound`, or [`NIL`](super::queue::NIL).
    Socket { connecting: bool, bound: u32 },
    /// A listener, by its place in `Tcp::listeners`.
    Listener(u32),
    /// One side (0 called, 1 was called) of a connection.
    Stream { conn: u32, side: u8 },
    /// An open file or directory, by its place in `Files::nodes`, with what it was opened for, and the
    /// failed syncs that it has heard of.
    File { node: u32, flags: u8, heard: u8 },
    /// A user event, by its place in `Events`.
    Event(u32),
}

/// One place of the table.
#[derive(Clone, Copy)]
pub(super) struct Handle {
    pub(super) object: Object,
    /// Operations that were submitted on it and have not been handed out.
    pub(super) in_flight: u32,
    /// Of these the receives, and in the upper half the sends.
    pub(super) busy: u64,
    /// Reads in a row that found the end, and when the last of them did.
    pub(super) zeros: u32,
    pub(super) zero_at: u64,
    /// Goes up each time the number is given again.
    generation: u16,
    /// What the caller of the kernel has of it, while it is open: one comparison tells whether a value is good.
    value: i64,
    /// Who opened it.
    pub(super) event: EventId,
    pub(super) location: Option<&'static Location<'static>>,
}

/// The table.
///
/// A handle's value is its number with the number's generation above it, so that a stale handle is
/// noticed even when the number was given again, where a real kernel would let it hit a stranger.
pub(super) struct Handles {
    table: Vec<Handle>,
    /// A bit for each number that is in use.
    used: Vec<u64>,
    /// No word before this one has a free bit.
    hint: usize,
    open: usize,
}

/// The value of no handle, whatever somebody asks for.
const CLOSED: i64 = i64::MAX;
const INDEX_BITS: u32 = 20;
const GENERATIONS: u16 = 1 << 11;
/// 0, 1 and 2 are never given: they are taken in every process.
const RESERVED: u64 = 0b111;

impl Handles {
    pub(super) fn new() -> Handles {
        Handles {
            table: Vec::new(),
            used: vec![RESERVED],
            hint: 0,
            open: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.used.clear();
        self.used.push(RESERVED);
        self.hint = 0;
        self.open = 0;
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// A handle for `object`, or nothing if all numbers are taken.
    pub(super) fn insert(
        &mut self,
        object: Object,
        event: EventId,
        location: Option<&'static Location<'static>>,
    ) -> Option<i32> {
        while self
            .used
            .get(self.hint)
            .is_some_and(|&word| word == u64::MAX)
        {
            self.hint += 1;
        }
        if self.hint == self.used.len() {
            if self.hint >= 1 << (INDEX_BITS - 6) {
                return None;
            }
            self.used.push(0);
        }
        let index = self.hint * 64 + self.used[self.hint].trailing_ones() as usize;
        self.used[self.hint] |= 1 << (index % 64);
        if self.table.len() <= index {
            let none = Handle {
                object: Object::Closed,
                in_flight: 0,
                busy: 0,
                zeros: 0,
                zero_at: 0,
                generation: 0,
                value: CLOSED,
                event: EventId::ROOT,
                location: None,
            };
            self.table.resize(index + 1, none);
        }
        let handle = &mut self.table[index];
        handle.object = object;
        handle.in_flight = 0;
        handle.busy = 0;
        handle.zeros = 0;
        handle.event = event;
        handle.location = location;
        self.open += 1;
        let value = i32::from(handle.generation) << INDEX_BITS | index as i32;
        handle.value = value.into();
        Some(value)
    }

    #[inline]
    fn index(raw: i32) -> usize {
        raw as usize & ((1 << INDEX_BITS) - 1)
    }

    /// The open handle of this value.
    #[inline]
    pub(super) fn get(&self, raw: i32) -> Option<&Handle> {
        let handle = self.table.get(Self::index(raw))?;
        (handle.value == i64::from(raw)).then_some(handle)
    }

    /// The open handle of this value.
    #[inline]
    pub(super) fn get_mut(&mut self, raw: i32) -> Option<&mut Handle> {
        let handle = self.table.get_mut(Self::index(raw))?;
        (handle.value == i64::from(raw)).then_some(handle)
    }

    /// What an open handle stands for.
    #[inline]
    pub(super) fn object(&self, raw: i32) -> Object {
        self.get(raw).map_or(Object::Closed, |handle| handle.object)
    }

    pub(super) fn remove(&mut self, raw: i32) {
        let Some(handle) = self.get_mut(raw) else {
            return;
        };
        handle.object = Object::Closed;
        handle.value = CLOSED;
        handle.generation = (handle.generation + 1) % GENERATIONS;
        let index = Self::index(raw);
        self.used[index / 64] &= !(1 << (index % 64));
        self.hint = self.hint.min(index / 64);
        self.open -= 1;
    }

    /// Every open handle, lowest number first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Handle)> {
        self.table
            .iter()
            .enumerate()
            .filter(|(_, handle)| handle.object != Object::Closed)
            .map(|(index, handle)| {
                (
                    i32::from(handle.generation) << INDEX_BITS | index as i32,
                    handle,
                )
            })
    }

    /// The number in a handle's value: what people should read.
    pub(super) fn number(raw: i32) -> usize {
        Self::index(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::NIL;
    use super::*;

    #[test]
    fn the_lowest_number_comes_first_and_a_stale_value_is_noticed() {
        let mut handles = Handles::new();
        let mut open = || {
            handles
                .insert(
                    Object::Socket {
                        connecting: false,
                        bound: NIL,
                    },
                    EventId::ROOT,
                    None,
                )
                .unwrap()
        };
        let raws: Vec<i32> = (0..100).map(|_| open()).collect();
        assert_eq!(raws[0], 3);
        handles.remove(raws[70]);
        handles.remove(raws[5]);
        assert!(handles.get(raws[5]).is_none());
        let again = handles
            .insert(
                Object::Socket {
                    connecting: true,
                    bound: NIL,
                },
                EventId::ROOT,
                None,
            )
            .unwrap();
        assert_eq!(Handles::number(again), Handles::number(raws[5]));
        assert_ne!(again, raws[5]);
        assert_eq!(handles.object(raws[5]), Object::Closed);
        assert_eq!(
            handles.object(again),
            Object::Socket {
                connecting: true,
                bound: NIL
            }
        );
        assert_eq!(handles.open(), 99);
        assert!(handles.get(-1).is_none());
    }
}
