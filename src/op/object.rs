//! Objects: what the kernel has open for us, and when it is closed.
//!
//! An [`Object`] is a block of memory that stands for a socket or a file. People hold
//! [`ObjectHandle`]s (counted); operations hold [`ObjectRef`]s (not counted: an operation is no user
//! handle). When the last user handle goes, or on an explicit close, the object's generation moves
//! on at once, so nothing new starts; what is pending is cancelled; and the descriptor goes with the
//! last completion (I4, I8). Blocks are pooled and never freed, so a stale reference is noticed by
//! its generation.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use super::home::{Home, HomeRef, Local, Message, gone, lock};
use super::slots::{Slot, Stop, life};
use crate::backend::{Backend, Code, Raw};

/// A block that stands for one open object of the kernel.
pub(crate) struct Object {
    /// Odd: open. Even: closing, or free.
    generation: AtomicU64,
    users: AtomicU32,
    raw: AtomicI32,
    home: &'static Home,
    /// The home's, when the object was opened.
    incarnation: AtomicU64,
    /// How many operations are in flight on it. Only the home thread reads or writes this, and `last`.
    in_flight: AtomicU32,
    /// Where the last operation of either direction started. It may be over, and the slot another's.
    last: [AtomicPtr<Slot>; 2],
    /// Among the free blocks. Written under the pool's lock.
    pooled: AtomicBool,
}

/// An object, and which of its lives is meant.
#[derive(Clone, Copy)]
pub(crate) struct ObjectRef {
    pub(crate) object: &'static Object,
    generation: u64,
}

impl ObjectRef {
    /// Where it is at home. If it has been closed since, that may be the home's next proactor, which
    /// then finds it closed.
    #[inline]
    pub(crate) fn home(&self) -> HomeRef {
        HomeRef {
            home: self.object.home,
            incarnation: self.object.incarnation.load(Ordering::Relaxed),
        }
    }

    /// The local half of its home, if it is open and the caller runs on that home's worker.
    #[inline]
    pub(crate) fn here(&self) -> Option<&'static Local> {
        // What is open belongs to the proactor that lives there now.
        let local = self.object.home.here()?;
        self.is_open().then_some(local)
    }

    #[inline]
    fn is_open(&self) -> bool {
        self.object.generation.load(Ordering::Acquire) == self.generation
    }

    /// The kernel's name for it, if it is open.
    #[inline]
    pub(crate) fn raw(&self) -> Option<Raw> {
        self.is_open()
            .then(|| Raw(self.object.raw.load(Ordering::Relaxed)))
    }

    /// Asks the backend something about the open object, from any thread; it can't be closed meanwhile.
    pub(crate) fn with_raw<T>(
        &self,
        ask: impl FnOnce(&dyn Backend, Raw) -> io::Result<T>,
    ) -> io::Result<T> {
        let backend = self.home().backend()?;
        let _still_open = lock(&self.object.home.objects.pool);
        let raw = self.raw().ok_or_else(closed)?;
        ask(&*backend, raw)
    }

    /// Closes it; only the first of several closes has an effect (I8).
    pub(crate) fn close(&self) {
        let open = self.generation;
        if self
            .object
            .generation
            .compare_exchange(open, open + 1, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return;
        }
        match self.home().here() {
            Some(local) => local.close_object(self.object),
            // If the proactor is gone its teardown has closed the object, or will.
            None => self.home().send(Message::Close(*self)),
        }
    }
}

/// The error of an operation on an object that has been closed on this side.
#[cold]
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, Closed)
}

/// What [`closed`] carries, so that it can be told from a connection that is not there.
#[derive(Debug)]
pub(crate) struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the handle was closed: nothing can be started on it any more")
    }
}

impl std::error::Error for Closed {}

/// One user's handle of an object. The last one to be dropped closes the object.
pub(crate) struct ObjectHandle(ObjectRef);

impl ObjectHandle {
    #[inline]
    pub(crate) fn get(&self) -> ObjectRef {
        self.0
    }
}

impl Clone for ObjectHandle {
    fn clone(&self) -> Self {
        self.0.object.users.fetch_add(1, Ordering::Relaxed);
        ObjectHandle(self.0)
    }
}

impl Drop for ObjectHandle {
    #[inline]
    fn drop(&mut self) {
        if self.0.object.users.fetch_sub(1, Ordering::SeqCst) == 1 {
            last_dropped(self.0);
        }
    }
}

// By value: so a handle that is only moved about stays in registers.
#[cold]
#[inline(never)]
fn last_dropped(handle: ObjectRef) {
    handle.close();
    if handle.object.is_vacant() {
        let objects = &handle.object.home.objects;
        lock(&objects.pool).recycle(handle.object);
        // The free blocks are not in the order in which the next proactor wants them.
        objects.used.store(true, Ordering::Release);
    }
}

impl Object {
    /// An operation on this object is in flight from now on.
    #[inline]
    pub(crate) fn begin(&self, slot: &'static Slot, code: Code) {
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        self.in_flight.store(in_flight + 1, Ordering::Relaxed);
        // Reads and writes have neighbouring numbers.
        self.last[code as usize & 1].store(std::ptr::from_ref(slot).cast_mut(), Ordering::Relaxed);
    }

    /// One is no longer. True: it was the last on a closed object, whose descriptor is to go.
    #[inline]
    #[must_use]
    pub(crate) fn end(&self) -> bool {
        let in_flight = self.in_flight.load(Ordering::Relaxed) - 1;
        self.in_flight.store(in_flight, Ordering::Relaxed);
        self.is_ready_to_close()
    }

    /// Whether the operation in this slot is in flight on it.
    fn has(&self, slot: &Slot) -> bool {
        matches!(slot.life(), life::PENDING | life::SUBMITTING)
            && slot
                .object
                .get()
                .is_some_and(|object| std::ptr::eq(object, self))
    }

    /// The last operations of either direction, if they are in flight.
    fn last(&self) -> impl Iterator<Item = &'static Slot> + Clone {
        (0..2).rev().filter_map(|direction| {
            let last = self.last[direction].load(Ordering::Relaxed);
            // SAFETY: slots with a number are never freed (I4), and the caller is their home's thread.
            // (One without a number never gets as far as to an object.)
            let slot = unsafe { last.as_ref::<'static>() }?;
            (self.has(slot) && slot.code() as usize & 1 == direction).then_some(slot)
        })
    }

    /// Closed by its users, and nothing is in flight on it any more.
    #[inline]
    pub(crate) fn is_ready_to_close(&self) -> bool {
        self.generation.load(Ordering::Relaxed) & 1 == 0
            && self.in_flight.load(Ordering::Relaxed) == 0
    }

    /// Closed, without users, and not among the free blocks yet. A block that still has a stale handle
    /// is not used again: that handle's drop would count against its successor.
    fn is_vacant(&self) -> bool {
        // Who closes writes `raw` and then reads `users`, who drops the last handle the other way
        // round, sequentially consistent: at least one of them sees that the block is vacant.
        self.raw.load(Ordering::SeqCst) == Raw::NONE.0
            && self.users.load(Ordering::SeqCst) == 0
            && !self.pooled.load(Ordering::Relaxed)
    }

    pub(crate) fn raw_for_dump(&self) -> i32 {
        self.raw.load(Ordering::Relaxed)
    }
}

impl Local {
    /// A new object with one user.
    pub(crate) fn open_object(&self, home: HomeRef, raw: Raw) -> ObjectHandle {
        self.home.objects.open(home, raw)
    }

    /// An object was closed on another thread. It may have ended by itself since, and something else
    /// may live in its block.
    pub(crate) fn close_if_still(&self, closed: &ObjectRef) {
        if closed.object.generation.load(Ordering::Acquire) == closed.generation + 1 {
            self.close_object(closed.object);
        }
    }

    /// Cancels what is pending on an object whose generation has moved on, and closes the descriptor
    /// when the last of it is complete.
    #[cold]
    pub(crate) fn close_object(&self, object: &'static Object) {
        let in_flight = object.in_flight.load(Ordering::Relaxed) as usize;
        if object.last().count() == in_flight {
            for slot in object.last() {
                self.stop_slot(slot, Stop::Closed);
            }
        } else {
            // Several in one direction: they have to be searched for.
            for slot in self.slots.busy().filter(|slot| object.has(slot)) {
                self.stop_slot(slot, Stop::Closed);
            }
        }
        if object.is_ready_to_close() {
            self.finish_close(object);
        }
    }

    #[cold]
    pub(crate) fn finish_close(&self, object: &'static Object) {
        let raw = {
            let mut pool = lock(&self.home.objects.pool);
            let raw = Raw(object.raw.swap(Raw::NONE.0, Ordering::SeqCst));
            pool.recycle(object);
            raw
        };
        if raw == Raw::NONE {
            return;
        }
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            lane.close(raw);
        }
    }
}

/// All objects of one home.
pub(crate) struct Objects {
    pool: Mutex<Pool>,
    /// One was opened, or given back, since the last [`Objects::begin`].
    used: AtomicBool,
}

struct Pool {
    all: Vec<&'static Object>,
    free: Vec<&'static Object>,
}

impl Pool {
    /// Puts a block among the free ones once nobody knows it any more.
    fn recycle(&mut self, object: &'static Object) {
        if object.is_vacant() {
            object.pooled.store(true, Ordering::Relaxed);
            self.free.push(object);
        }
    }
}

impl Objects {
    pub(crate) const fn new() -> Objects {
        Objects {
            pool: Mutex::new(Pool {
                all: Vec::new(),
                free: Vec::new(),
            }),
            used: AtomicBool::new(false),
        }
    }

    /// None is open, and a new proactor moves in: blocks are handed out in the same order again.
    pub(crate) fn begin(&self) {
        if !self.used.load(Ordering::Acquire) {
            return;
        }
        let mut pool = lock(&self.pool);
        self.used.store(false, Ordering::Relaxed);
        let Pool { all, free } = &mut *pool;
        free.clear();
        for object in all.iter().rev() {
            object.pooled.store(false, Ordering::Relaxed);
            if object.is_vacant() {
                object.pooled.store(true, Ordering::Relaxed);
                free.push(object);
            }
        }
    }

    /// A new object with one user; from any thread, if the proactor is alive: away from its worker see
    /// [`HomeRef::open_object`].
    fn open(&self, home: HomeRef, raw: Raw) -> ObjectHandle {
        let mut pool = lock(&self.pool);
        self.used.store(true, Ordering::Release);
        let object = pool.free.pop().unwrap_or_else(|| {
            let object: &'static Object = Box::leak(Box::new(Object {
                generation: AtomicU64::new(0),
                users: AtomicU32::new(0),
                raw: AtomicI32::new(Raw::NONE.0),
                home: home.home,
                incarnation: AtomicU64::new(0),
                in_flight: AtomicU32::new(0),
                last: Default::default(),
                pooled: AtomicBool::new(false),
            }));
            pool.all.push(object);
            object
        });
        // Under the lock: a last stale handle may be looking whether the block is vacant.
        object.pooled.store(false, Ordering::Relaxed);
        object.raw.store(raw.0, Ordering::Relaxed);
        object.users.store(1, Ordering::Relaxed);
        object
            .incarnation
            .store(home.incarnation, Ordering::Relaxed);
        let generation = object.generation.load(Ordering::Relaxed) + 1;
        object.generation.store(generation, Ordering::Release);
        ObjectHandle(ObjectRef { object, generation })
    }

    /// Whether there was one since the last [`Objects::begin`].
    #[cfg(feature = "check")]
    pub(crate) fn is_any(&self) -> bool {
        self.used.load(Ordering::Acquire)
    }

    /// Takes back everything that is still open, at teardown, when nothing is in flight: the raw
    /// handles to close. Their users' handles are stale from now on.
    pub(crate) fn take_open(&self) -> Vec<Raw> {
        if !self.used.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut pool = lock(&self.pool);
        let mut raws = Vec::new();
        let Pool { all, free } = &mut *pool;
        for object in all.iter() {
            // (It is opened under the lock alone.)
            if object.raw.load(Ordering::Relaxed) == Raw::NONE.0 {
                continue;
            }
            let raw = object.raw.swap(Raw::NONE.0, Ordering::SeqCst);
            if raw != Raw::NONE.0 {
                let generation = object.generation.load(Ordering::Relaxed);
                object
                    .generation
                    .store(generation + (generation & 1), Ordering::Release);
                object.in_flight.store(0, Ordering::Relaxed);
                raws.push(Raw(raw));
                if object.is_vacant() {
                    object.pooled.store(true, Ordering::Relaxed);
                    free.push(object);
                }
            }
        }
        raws
    }
}

impl HomeRef {
    /// A new object with one user, from any thread. If the proactor is gone the handle is closed, and
    /// this is an error.
    pub(crate) fn open_object(&self, backend: &dyn Backend, raw: Raw) -> io::Result<ObjectHandle> {
        let mut handle = None;
        self.if_alive(|home| handle = Some(home.objects.open(*self, raw)));
        handle.ok_or_else(|| {
            backend.close(raw);
            gone()
        })
    }
}

impl Home {
    pub(crate) fn open_objects(&self) -> usize {
        let pool = lock(&self.objects.pool);
        pool.all
            .iter()
            .filter(|object| object.raw.load(Ordering::Relaxed) != Raw::NONE.0)
            .count()
    }
}
