//! What all lanes of one port share: the port, what is open on it, and the way of a packet to its lane.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::desk::{Desk, Seat};
use super::driver::mistake::{Mistake, makes};
use super::entries::Entry;
use super::objects::{Known, Objects};
use super::port::{Handle, Packet, Port, Sleep, Sort, code};
use super::results;
use crate::backend::Raw;

/// The key of all our operations: "proactor".
pub(super) const IO_KEY: usize = 0x7072_6f61;
/// The key of a packet that only ends a sleep.
pub(super) const WAKE_KEY: usize = IO_KEY + 1;

/// How often a wake is posted before it is left to [`Port::longest_sleep`].
const POSTS: u32 = 8;

/// One port, and all about it that is no lane's alone.
pub(super) struct Shared<P: Port> {
    pub(super) port: P,
    pub(super) objects: Objects,
    pub(super) seat: Seat,
    /// In the order of the lanes' numbers, with all that there were before: a packet may be on its way to them.
    desks: RwLock<Desks>,
}

#[derive(Default)]
struct Desks {
    now: Vec<Option<Arc<Desk>>>,
    before: Vec<Arc<Desk>>,
}

impl<P: Port> Shared<P> {
    pub(super) fn new(port: P) -> Shared<P> {
        Shared {
            port,
            objects: Objects::new(),
            seat: Seat::default(),
            desks: RwLock::default(),
        }
    }

    /// A desk for lane number `index`.
    pub(super) fn desk(&self, index: usize) -> Arc<Desk> {
        let desk = Arc::<Desk>::default();
        let mut desks = self.desks.write().unwrap_or_else(PoisonError::into_inner);
        if desks.now.len() <= index {
            desks.now.resize(index + 1, None);
        }
        let before = desks.now[index].replace(Arc::clone(&desk));
        desks.before.extend(before);
        desk
    }

    /// A desk for somebody who is no lane.
    pub(super) fn spare_desk(&self) -> Arc<Desk> {
        let desk = Arc::<Desk>::default();
        let mut desks = self.desks.write().unwrap_or_else(PoisonError::into_inner);
        desks.before.push(Arc::clone(&desk));
        desk
    }

    /// Closes an object on which nothing is in flight.
    pub(super) fn close(&self, raw: Raw) {
        if let Some(known) = self.objects.take(raw) {
            self.port.close(known.handle, known.sort);
        }
    }

    /// Makes the current or next wait of lane number `index` return.
    pub(super) fn wake(&self, index: usize) {
        let desks = self.desks.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(desk)) = desks.now.get(index) {
            self.ring(desk);
        }
    }

    /// The same, of the lane that sits at this desk.
    pub(super) fn ring(&self, desk: &Desk) {
        desk.ring(|| self.post_wake());
    }

    /// Ends a sleep in the port.
    pub(super) fn post_wake(&self) {
        for _ in 0..POSTS {
            if self.port.post(WAKE_KEY, 0).is_ok() || makes(Mistake::TrustsThePost) {
                return;
            }
            // There is no memory for it.
            std::thread::yield_now();
        }
    }

    /// A sleep in the port: so short that a wake which could not be posted is not too late.
    pub(super) fn bounded(&self, sleep: Sleep) -> Sleep {
        let Some(longest) = self.port.longest_sleep() else {
            return sleep;
        };
        if makes(Mistake::TrustsThePost) {
            return sleep;
        }
        let last = self.port.now().saturating_add(nanos(longest));
        match sleep {
            Sleep::No => Sleep::No,
            Sleep::Forever => Sleep::Until(last),
            Sleep::Until(time) => Sleep::Until(time.min(last)),
        }
    }

    /// Sleeps on this thread's parker. It may come back early.
    pub(super) fn park(&self, sleep: Sleep) {
        match sleep {
            Sleep::No => {}
            Sleep::Forever => std::thread::park(),
            Sleep::Until(time) => {
                let left = time.saturating_sub(self.port.now());
                std::thread::park_timeout(Duration::from_nanos(left));
            }
        }
    }

    /// Sees to it that each packet reaches the lane whose operation it ends. `mine` takes what is the caller's own.
    /// Whether there was a wake among them.
    pub(super) fn deliver(
        &self,
        packets: &[Packet],
        mut mine: impl FnMut(&Entry, &Packet) -> bool,
    ) -> bool {
        let mut wakes = false;
        for packet in packets {
            wakes |= packet.key == WAKE_KEY;
            if packet.key != IO_KEY && !makes(Mistake::FollowsForeignPackets) {
                continue;
            }
            // SAFETY: our key: the pointer was given to a call that started an operation, and is that of a whole entry
            // (`Entry::whole`), which is where it is for as long as its operation is in flight (I4).
            let Some(entry) = (unsafe { packet.overlapped.cast::<Entry>().as_ref() }) else {
                continue;
            };
            if mine(entry, packet) {
                continue;
            }
            entry.leave(packet.bytes, packet.error);
            self.bring(entry);
        }
        wakes
    }

    /// Puts an entry whose operation is over into its lane's mail.
    pub(super) fn bring(&self, entry: &Entry) {
        // SAFETY: desks are kept as long as the port is. The entry may be gone once it is in the mail.
        let desk = unsafe { &*entry.desk };
        desk.put(entry);
        self.ring(desk);
    }

    /// A handle of the kernel's becomes an object: its number, or a negated error, and it is closed.
    pub(super) fn adopt(&self, handle: Handle, sort: Sort, v6: bool) -> i32 {
        let opened = self.port.associate(handle, IO_KEY).and_then(|()| {
            let known = Known {
                handle,
                sort,
                skips: self.port.skip_on_success(handle, sort),
                v6,
            };
            self.objects.open(known).ok_or(code::WSAEMFILE)
        });
        match opened {
            Ok(raw) => raw.0,
            Err(error) => {
                self.port.close(handle, sort);
                results::failed(error)
            }
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
