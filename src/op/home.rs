//! Home: where a worker's operations, objects and tasks live, and how others reach it.
//!
//! A [`Home`] has two halves. The shared one (inbox, flags, the backend) is for every thread. The
//! [`Local`] one belongs to the thread that runs the worker: it is reached only through
//! [`HomeRef::here`], one comparison with a thread-local, and holds plain cells and no lock.
//!
//! Homes are pooled and never freed: a proactor takes one and gives it back, empty, when it has been
//! torn down. So every handle is a `&'static` with an incarnation number beside it: cheap to copy,
//! and a stale one is noticed instead of dangling (I4).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use super::crew::Crew;
use super::due::Due;
use super::inbox::Inbox;
use super::kind::Steps;
use super::object::Objects;
use super::posted::Posted;
use super::running::Running;
use super::slots::{Slot, Slots, Stop, VTable, Waiter, life, special};
use super::spare;
use super::wake::Sleeper;
use crate::backend::{Backend, Began, Completion, Lane, Note, Op, Tag, Token};
use crate::choice::EventId;
use crate::task::{MAIN, Tasks};

/// What a worker is told by others.
pub(crate) enum Message {
    /// Anything that has to be done on the home thread.
    Run(Box<dyn FnOnce(&Local) + Send>),
    /// A handler that was posted, and where; it counts as one.
    Call(Posted, &'static Location<'static>),
    /// A cancel for the operation that started with this token.
    Cancel(Token),
    /// The future of the operation in this slot is gone. A teardown does this too: what the slot owns
    /// is to be dropped.
    Abandon {
        slot: Stays,
        abandon: fn(&Local, &'static Slot),
    },
    /// The last user handle of an object is gone, or it was closed.
    Close(super::object::ObjectRef),
    /// A task was woken.
    Wake(u64),
    /// An external operation is complete.
    Complete {
        token: crate::backend::Token,
        result: i32,
    },
    /// A strand has handlers for this worker.
    Turn(Due),
}

/// A slot, named in a message: only its home looks into it.
pub(crate) struct Stays(pub(crate) &'static Slot);

// SAFETY: what is in a slot may be sent (Slot::put), and only its home's thread, which gets the message,
// looks into it.
unsafe impl Send for Stays {}

/// What is ready to run on a worker without the kernel.
///
/// Its tag takes a word, so that it is moved by whole ones: moved from its fourth byte on, as the compiler did, each
/// read of a field waits for the stores before it (a twentieth of a short execution).
#[repr(u64)]
pub(crate) enum Ready {
    /// A strand's turn.
    Turn(Due),
    /// A handler that was posted, and where.
    Call(EventId, &'static Location<'static>, Posted),
    Task(u64),
    /// An operation that is complete without a lane: it failed before it was submitted, or it is external.
    Complete(Completion),
    /// An operation for which there was no slot, in one of its own, with its result.
    Refused(&'static Slot, i32),
}

/// Which thread a worker belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: ThreadId,
    pub(crate) name: Arc<str>,
}

thread_local! {
    static OWNER: Owner = Owner::find();
}

impl Owner {
    pub(crate) fn current() -> Owner {
        // At the end of a thread it may be gone.
        OWNER
            .try_with(Clone::clone)
            .unwrap_or_else(|_| Owner::find())
    }

    /// Whether it is this thread.
    #[inline]
    pub(crate) fn is_current(&self) -> bool {
        let here = OWNER.try_with(|owner| owner.id == self.id);
        here.unwrap_or_else(|_| std::thread::current().id() == self.id)
    }

    fn find() -> Owner {
        let thread = std::thread::current();
        let name = thread.name().map(Arc::from);
        Owner {
            id: thread.id(),
            name: name.unwrap_or_else(|| format!("{:?}", thread.id()).into()),
        }
    }
}

/// One worker's place in the world. Never freed.
pub(crate) struct Home {
    pub(crate) owner: Mutex<Option<Owner>>,
    /// Its lives are those of the proactors that live here in turn, with odd numbers. A handle with
    /// another number is stale.
    inbox: Inbox<Message>,
    sleeper: Sleeper,
    /// Bits: [`STOPPED`], [`HALTED`]. 0: the worker runs on.
    pub(crate) stopped: AtomicU8,
    /// Which of its proactor's workers this is.
    index: AtomicU32,
    /// The crew's that it belongs to; 0: it is the only worker of its proactor.
    crew_id: AtomicU64,
    crew: Mutex<Option<Arc<Crew>>>,
    /// Dropped on another thread than the worker's, which is to tear it down.
    pub(crate) orphaned: AtomicBool,
    pub(crate) guards: AtomicUsize,
    pub(crate) backend: Mutex<Option<Arc<dyn Backend>>>,
    pub(crate) objects: Objects,
    /// Written while `Local::watched`.
    pub(crate) running: Running,
    local: OwnedByWorker<Local>,
}

/// What only the home thread touches.
pub(crate) struct Local {
    pub(crate) home: &'static Home,
    pub(crate) slots: Slots,
    pub(crate) lane: RefCell<Option<Box<dyn Lane>>>,
    pub(crate) backend: RefCell<Option<Arc<dyn Backend>>>,
    pub(crate) ready: RefCell<VecDeque<Ready>>,
    pub(crate) tasks: Tasks,
    /// Completions collected and not yet dispatched, and how far the worker is: a panic in
    /// mid-batch loses none of those behind it.
    pub(crate) batch: RefCell<Vec<Completion>>,
    pub(crate) batch_next: Cell<usize>,
    pub(crate) mail: RefCell<VecDeque<Message>>,
    /// Set while a future is blocked on: it was woken.
    pub(crate) main_ready: Cell<bool>,
    /// The event whose handler runs, and how many submissions it has made.
    pub(crate) step: Cell<EventId>,
    pub(crate) nth: Cell<u32>,
    /// The strand whose handler runs; null: none.
    pub(crate) strand_frame: Cell<*const ()>,
    /// Blocks for what is posted here.
    pub(crate) spare: spare::Pool,
    /// When this turn of the loop began, once somebody has asked; else [`NOT_READ`].
    turn_time: Cell<u64>,
    /// What comes from outside any handler is caused by this event.
    root: Cell<EventId>,
    /// How many submissions came from outside any handler.
    root_nth: Cell<u32>,
    /// How many results may still be ready at first poll in this turn.
    pub(crate) ready_budget: Cell<u32>,
    pub(crate) externals: Cell<u32>,
    limit: Cell<u32>,
    /// How many slots hold operations that the limit does not count (I5).
    pub(crate) unbounded: Cell<u32>,
    pub(crate) handlers_run: Cell<usize>,
    /// How far the loop goes: until so many have run.
    pub(crate) enough: Cell<usize>,
    pub(crate) discarded_bytes: Cell<u64>,
    pub(crate) discarded_handles: Cell<u64>,
    pub(crate) tearing_down: Cell<bool>,
    /// A watchdog looks at what this worker runs.
    pub(crate) watched: Cell<bool>,
    /// What `offload` keeps for this proactor: nothing that this floor looks into.
    pub(crate) pool: RefCell<Option<Arc<dyn std::any::Any + Send + Sync>>>,
    /// One of several workers.
    pub(crate) crew: RefCell<Option<Arc<Crew>>>,
    /// How many rounds of the crew had ended when this one began.
    pub(crate) round: Cell<u64>,
    /// The lane is simulated: no wait sleeps, and its trace wants to know what the kernel does not see.
    pub(crate) is_virtual: Cell<bool>,
    /// The lane keeps a trace.
    is_traced: Cell<bool>,
    /// Something was offloaded, or asked about it.
    pub(crate) has_used_pool: Cell<bool>,
    /// Handlers of several simulated workers overlap: each is on a stack of its own.
    pub(crate) overlaps: Cell<bool>,
}

/// What belongs to the running handler, and is kept for it while others run.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    step: EventId,
    nth: u32,
    strand: *const (),
}

/// Somebody called `stop`; until `restart`.
pub(crate) const STOPPED: u8 = 1;
/// Another worker's round has ended early; until this one is run again.
const HALTED: u8 = 2;

/// The clock has not been read in this turn of the loop.
const NOT_READ: u64 = u64::MAX;

/// How many operations a task may find ready at its first poll in one turn before it has to yield.
pub(crate) const READY_BUDGET: u32 = 32;

mod owned {
    //! The one place that lets a `!Sync` value stand in a shared structure.

    /// A value that only the worker's thread touches.
    pub(super) struct OwnedByWorker<T>(std::cell::UnsafeCell<Option<T>>);

    // SAFETY: `get` is the only access to the value, and its contract is that one thread at a time,
    // the one that has entered the home, calls it.
    unsafe impl<T> Sync for OwnedByWorker<T> {}
    // SAFETY: as above; what is inside is made by `set` before the home is shared and never dropped.
    unsafe impl<T> Send for OwnedByWorker<T> {}

    impl<T> OwnedByWorker<T> {
        pub(super) const fn new() -> Self {
            OwnedByWorker(std::cell::UnsafeCell::new(None))
        }

        /// # Safety
        ///
        /// Nobody else has access yet.
        pub(super) unsafe fn set(&self, value: T) {
            // SAFETY: the caller is alone.
            unsafe { *self.0.get() = Some(value) }
        }

        /// # Safety
        ///
        /// Only the thread that owns the home calls this, and hands the reference to no other; or
        /// nobody owns it and the caller holds the owner's lock.
        pub(super) unsafe fn get(&self) -> &T {
            // SAFETY: `set` was called when the home was made; no one else has a reference (see above).
            unsafe { (*self.0.get()).as_ref().unwrap_unchecked() }
        }
    }
}
use owned::OwnedByWorker;

thread_local! {
    /// The local half of the home whose worker runs on this thread now, if any.
    static CURRENT: Cell<Option<&'static Local>> = const { Cell::new(None) };
    /// The local half of a home that belongs to this thread, also while nobody runs it.
    static BESIDE: Cell<Option<&'static Local>> = const { Cell::new(None) };
}

/// The worker that runs on this thread now, whichever proactor's it is.
#[inline]
pub(crate) fn current() -> Option<&'static Local> {
    CURRENT.get()
}

/// A home, and which of its incarnations is meant.
#[derive(Clone, Copy)]
pub(crate) struct HomeRef {
    pub(crate) home: &'static Home,
    pub(crate) incarnation: u64,
}

impl HomeRef {
    /// The local half, if the caller runs on this home's worker: inside `run` and its kin.
    #[inline]
    pub(crate) fn here(&self) -> Option<&'static Local> {
        let local = self.home.here()?;
        self.is_alive().then_some(local)
    }

    /// The local half, if its worker is known to belong to this thread, which runs none now.
    #[inline]
    pub(crate) fn beside(&self) -> Option<&'static Local> {
        let local = BESIDE.get()?;
        let is_here = std::ptr::eq(local.home, self.home) && CURRENT.get().is_none();
        (is_here && self.is_alive()).then_some(local)
    }

    /// The local half of that worker of the same proactor which runs on this thread, if one does.
    pub(crate) fn near(&self) -> Option<&'static Local> {
        let local = CURRENT.get()?;
        let crew = self.home.crew_id.load(Ordering::Relaxed);
        let same = std::ptr::eq(local.home, self.home)
            || (crew != 0 && crew == local.home.crew_id.load(Ordering::Relaxed));
        (same && self.is_alive()).then_some(local)
    }

    /// The crew that it belongs to. None: it is the only worker, or the proactor is gone.
    pub(crate) fn crew(&self) -> Option<Arc<Crew>> {
        if self.home.crew_id.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let crew = lock(&self.home.crew).clone();
        crew.filter(|_| self.is_alive())
    }

    /// Which of its proactor's workers it is.
    pub(crate) fn index(&self) -> usize {
        self.home.index.load(Ordering::Relaxed) as usize
    }

    /// Where something new is to be at home: with the worker that runs on this thread, else with each
    /// in turn.
    pub(crate) fn for_new(&self) -> HomeRef {
        if self.home.crew_id.load(Ordering::Relaxed) == 0 {
            return *self;
        }
        match self.near() {
            Some(local) => local.me(),
            None => self.in_turn(),
        }
    }

    /// The worker whose turn it is to be the home of something new.
    pub(crate) fn in_turn(&self) -> HomeRef {
        self.crew().map_or(*self, |crew| crew.next())
    }

    /// Whether the proactor has not been torn down.
    #[inline]
    pub(crate) fn is_alive(&self) -> bool {
        self.home.inbox.life() == self.incarnation
    }

    /// Does something to the shared half, unless the proactor has been torn down: a teardown does not
    /// come in between. Whether it was done.
    pub(crate) fn if_alive<T>(&self, act: impl FnOnce(&Home) -> T) -> bool {
        let done = self
            .home
            .inbox
            .while_open(self.incarnation, || act(self.home));
        done.is_some()
    }

    /// Makes the worker look up, if it sleeps: what it is to see is there already.
    pub(crate) fn wake(&self) {
        if self.is_alive() {
            self.home.wake();
        }
    }

    /// Leaves a message and sees to it that the worker reads it. The message is dropped if the
    /// proactor is gone.
    pub(crate) fn send(&self, message: Message) {
        if let Some(local) = self.beside().filter(|local| !local.home.has_mail()) {
            // It is this thread that will read it, behind what it has not read yet.
            local.mail.borrow_mut().push_back(message);
            return local.home.wake_beside();
        }
        if self.home.inbox.send(self.incarnation, message).is_ok() {
            self.home.wake();
        }
    }

    pub(crate) fn backend(&self) -> io::Result<Arc<dyn Backend>> {
        if let Some(local) = self.here().or_else(|| self.beside()) {
            return local.backend.borrow().clone().ok_or_else(gone);
        }
        let backend = lock(&self.home.backend).clone();
        backend.filter(|_| self.is_alive()).ok_or_else(gone)
    }
}

/// The error of everything that is asked of a proactor that has been dropped.
#[cold]
pub(crate) fn gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the proactor was dropped: its operations have ended and its objects are closed",
    )
}

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks can leave a value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static POOL: Mutex<Vec<&'static Home>> = Mutex::new(Vec::new());

impl Home {
    /// An empty home from the pool, or a new one.
    pub(crate) fn take() -> HomeRef {
        let pooled = lock(&POOL).pop();
        match pooled {
            Some(home) => HomeRef {
                home,
                incarnation: home.inbox.reopen(),
            },
            None => {
                let home = Home::make();
                HomeRef {
                    home,
                    incarnation: home.inbox.life(),
                }
            }
        }
    }

    fn make() -> &'static Home {
        let home: &'static Home = Box::leak(Box::new(Home {
            owner: Mutex::new(None),
            inbox: Inbox::new(),
            sleeper: Sleeper::new(),
            stopped: AtomicU8::new(0),
            index: AtomicU32::new(0),
            crew_id: AtomicU64::new(0),
            crew: Mutex::new(None),
            orphaned: AtomicBool::new(false),
            guards: AtomicUsize::new(0),
            backend: Mutex::new(None),
            objects: Objects::new(),
            running: Running::new(),
            local: OwnedByWorker::new(),
        }));
        // SAFETY: the home was just made; nobody else knows it.
        unsafe { home.local.set(Local::new(home)) };
        home
    }

    /// The proactor's life here is over: every handle to it is stale from now on. Messages that had
    /// been left are given back, to be dropped.
    pub(crate) fn end_incarnation(&self) -> Vec<Message> {
        self.inbox.close()
    }

    /// Puts an empty home back into the pool.
    pub(crate) fn give_back(&'static self) {
        *lock(&self.owner) = None;
        *lock(&self.backend) = None;
        *lock(&self.crew) = None;
        self.crew_id.store(0, Ordering::Relaxed);
        self.index.store(0, Ordering::Relaxed);
        self.is_forgotten();
        lock(&POOL).push(self);
    }

    /// Nothing is left of what others have told the proactor that lived here.
    fn is_forgotten(&self) {
        self.sleeper.is_awake();
        // Its life is over: nobody else writes these any more.
        self.stopped.store(0, Ordering::Release);
        self.orphaned.store(false, Ordering::Release);
        self.guards.store(0, Ordering::Release);
    }

    /// Another proactor moves in without the way through the pool: its owner, its backend and its lane
    /// are those of the one before, whose life is over.
    #[cfg(feature = "check")]
    pub(crate) fn reopen(&'static self) -> HomeRef {
        self.is_forgotten();
        HomeRef {
            home: self,
            incarnation: self.inbox.reopen(),
        }
    }

    /// Leaves a message for whatever proactor lives here now, if any.
    pub(crate) fn send(&'static self, message: Message) {
        let incarnation = self.inbox.life();
        if incarnation & 1 == 1 {
            let home = HomeRef {
                home: self,
                incarnation,
            };
            home.send(message);
        }
    }

    /// Becomes one of several workers.
    pub(crate) fn join(&self, crew: &Arc<Crew>) {
        let members = crew.members();
        let index = members.iter().position(|at| std::ptr::eq(at.home, self));
        self.index
            .store(index.unwrap_or(0) as u32, Ordering::Relaxed);
        *lock(&self.crew) = Some(Arc::clone(crew));
        self.crew_id.store(crew.id(), Ordering::Release);
    }

    /// Makes the worker come back as soon as its running handler has returned.
    pub(crate) fn halt(&self) {
        self.stopped.fetch_or(HALTED, Ordering::AcqRel);
    }

    /// Whether it is to come back.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire) != 0
    }

    /// It is run again.
    pub(crate) fn unhalt(&self) {
        self.stopped.fetch_and(!HALTED, Ordering::AcqRel);
    }

    /// Takes the messages that have been left.
    pub(crate) fn collect_mail(&self, into: &mut VecDeque<Message>) {
        self.inbox.collect(into);
    }

    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// The worker is about to wait: from now on whoever leaves a message must wake it. False if one was
    /// left since [`is_awake`](Home::is_awake), so that it must not wait.
    #[inline]
    pub(crate) fn falls_asleep(&self) -> bool {
        self.sleeper.falls_asleep()
    }

    /// Somebody has left something since [`is_awake`](Home::is_awake).
    #[inline]
    pub(crate) fn is_rung(&self) -> bool {
        self.sleeper.is_rung()
    }

    /// The worker waits no longer, or did not: it looks at its mail next.
    #[inline]
    pub(crate) fn is_awake(&self) {
        self.sleeper.is_awake();
    }

    /// The same, for the thread of the worker, outside of its loop: nobody else makes it sleep.
    pub(crate) fn wake_beside(&self) {
        if self.sleeper.sleeps() {
            self.wake();
        }
    }

    /// Makes a sleeping worker look up.
    pub(crate) fn wake(&self) {
        if self.sleeper.ring() {
            let backend = lock(&self.backend).clone();
            if let Some(backend) = backend {
                backend.wake(self.index.load(Ordering::Relaxed) as usize);
            }
        }
    }

    /// The local half, if the caller runs on this home's worker, for whatever proactor.
    #[inline]
    pub(crate) fn here(&self) -> Option<&'static Local> {
        CURRENT.get().filter(|local| std::ptr::eq(local.home, self))
    }

    /// The local half, for the thread that owns the home.
    ///
    /// # Safety
    ///
    /// The calling thread is the owner, or there is none and the caller holds the owner's lock or
    /// has just claimed it.
    pub(crate) unsafe fn local(&'static self) -> &'static Local {
        // SAFETY: passed on to the caller.
        unsafe { self.local.get() }
    }
}

/// While this lives the thread is inside the home's worker.
pub(crate) struct Entered {
    before: Option<&'static Local>,
}

impl Entered {
    pub(crate) fn new(local: &'static Local) -> Entered {
        Entered {
            before: CURRENT.replace(Some(local)),
        }
    }

    /// Whether this thread is inside a worker: in a handler.
    pub(crate) fn is_inside() -> bool {
        CURRENT.get().is_some()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(local) = CURRENT.get()
            && local.watched.get()
        {
            local.home.running.is_nothing();
        }
        CURRENT.set(self.before);
    }
}

impl Local {
    fn new(home: &'static Home) -> Local {
        Local {
            home,
            slots: Slots::new(),
            lane: RefCell::new(None),
            backend: RefCell::new(None),
            ready: RefCell::new(VecDeque::new()),
            tasks: Tasks::new(),
            batch: RefCell::new(Vec::new()),
            batch_next: Cell::new(0),
            mail: RefCell::new(VecDeque::new()),
            main_ready: Cell::new(false),
            step: Cell::new(EventId::ROOT),
            nth: Cell::new(0),
            strand_frame: Cell::new(std::ptr::null()),
            spare: spare::Pool::new(),
            turn_time: Cell::new(NOT_READ),
            root: Cell::new(EventId::ROOT),
            root_nth: Cell::new(0),
            ready_budget: Cell::new(0),
            externals: Cell::new(0),
            limit: Cell::new(u32::MAX),
            unbounded: Cell::new(0),
            handlers_run: Cell::new(0),
            enough: Cell::new(usize::MAX),
            discarded_bytes: Cell::new(0),
            discarded_handles: Cell::new(0),
            tearing_down: Cell::new(false),
            watched: Cell::new(false),
            pool: RefCell::new(None),
            crew: RefCell::new(None),
            round: Cell::new(0),
            is_virtual: Cell::new(false),
            is_traced: Cell::new(false),
            has_used_pool: Cell::new(false),
            overlaps: Cell::new(false),
        }
    }

    /// It is known from now on, or no longer, that this worker belongs to the calling thread, as it does.
    pub(crate) fn is_beside(&'static self, beside: bool) {
        if beside {
            BESIDE.set(Some(self));
        } else if BESIDE.get().is_some_and(|local| std::ptr::eq(local, self)) {
            BESIDE.set(None);
        }
    }

    /// A handler that was posted from outside of all handlers is to run.
    pub(crate) fn post_from_outside(&self, handler: Posted, location: &'static Location<'static>) {
        let event = self.at_root(|| self.begun(Began::Post, location));
        let ready = Ready::Call(event, location, handler);
        self.ready.borrow_mut().push_back(ready);
    }

    /// Somebody has left a message that has not been read.
    pub(crate) fn has_mail(&self) -> bool {
        self.home.has_mail() || !self.mail.borrow().is_empty()
    }

    /// What has to be kept for the running handler while others run, which begin inside no strand.
    pub(crate) fn take_frame(&self) -> Frame {
        Frame {
            step: self.step.get(),
            nth: self.nth.get(),
            strand: self.strand_frame.replace(std::ptr::null()),
        }
    }

    /// The handler that this belongs to goes on.
    pub(crate) fn set_frame(&self, frame: Frame) {
        self.step.set(frame.step);
        self.nth.set(frame.nth);
        self.strand_frame.set(frame.strand);
    }

    /// A proactor moves in.
    pub(crate) fn begin(&self, backend: Arc<dyn Backend>, lane: Box<dyn Lane>, limit: u32) {
        self.root.set(backend.root());
        *self.backend.borrow_mut() = Some(backend);
        self.is_virtual.set(lane.is_virtual());
        self.overlaps.set(lane.overlaps());
        *self.lane.borrow_mut() = Some(lane);
        self.set_limit(limit);
        self.begin_again(limit);
    }

    /// Another one takes over the backend and the lane of the one before.
    pub(crate) fn begin_again(&self, limit: u32) {
        let is_traced = (self.lane.borrow().as_ref()).is_some_and(|lane| lane.is_traced());
        self.is_traced.set(is_traced);
        self.slots.begin();
        if self.limit.get() != limit {
            self.set_limit(limit);
        }
        self.tasks.begin();
        self.home.objects.begin();
        self.ready_budget.set(READY_BUDGET);
        self.root_nth.set(0);
        self.begin_step(self.root.get());
        self.tearing_down.set(false);
        self.watched.set(false);
        self.main_ready.set(false);
        self.discarded_bytes.set(0);
        self.discarded_handles.set(0);
        self.handlers_run.set(0);
        self.has_used_pool.set(false);
        self.enough.set(usize::MAX);
        self.begin_turn();
    }

    /// How many operations may be in flight.
    #[cfg(feature = "check")]
    pub(crate) fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// At most so many operations may be in flight.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.set(limit);
        // What starts quickly goes to a native lane by its own type, or to that of a simulated kernel, unless
        // others may go on before it starts.
        let lane = self.lane.borrow();
        let quickly = lane
            .as_ref()
            .is_some_and(|lane| lane.is_native() || lane.is_virtual() && !lane.overlaps());
        self.slots.set_room(if quickly { limit } else { 0 });
    }

    /// This worker, for others to reach.
    pub(crate) fn me(&self) -> HomeRef {
        HomeRef {
            home: self.home,
            incarnation: self.home.inbox.life(),
        }
    }

    /// A new turn of the loop.
    #[inline]
    pub(crate) fn begin_turn(&self) {
        self.turn_time.set(NOT_READ);
    }

    /// When this turn of the loop began: the clock is read when that is first asked, once a turn.
    #[inline]
    pub(crate) fn turn_time(&self) -> u64 {
        if self.turn_time.get() == NOT_READ {
            self.turn_time.set(self.now());
        }
        self.turn_time.get()
    }

    pub(crate) fn now(&self) -> u64 {
        self.backend
            .borrow()
            .as_ref()
            .map_or(0, |backend| backend.now())
    }

    /// Does what comes from outside any handler: its cause is the root.
    pub(crate) fn at_root<T>(&self, act: impl FnOnce() -> T) -> T {
        self.step.set(self.root.get());
        self.nth.set(self.root_nth.get());
        let result = act();
        self.root_nth.set(self.nth.get());
        result
    }

    /// An external operation is complete, if it is still waited for.
    pub(crate) fn complete_external(&self, token: Token, result: i32) {
        if let Some(slot) = self.slots.of(token)
            && slot.token() == token
            && slot.external.replace(false)
        {
            self.externals.set(self.externals.get() - 1);
            self.complete_later(slot, result);
        }
    }

    /// An external operation becomes the lane's, which completes it.
    pub(crate) fn hand_over(&self, token: Token, op: Op) {
        if let Some(slot) = self.slots.of(token)
            && slot.token() == token
            && slot.external.replace(false)
        {
            self.externals.set(self.externals.get() - 1);
            slot.set_op(op);
            slot.origin.writable.set(false);
            slot.origin.may_be_ready.set(false);
            self.submit(slot);
        }
    }

    /// The id of the next thing that the running handler starts.
    #[inline]
    pub(crate) fn next_event(&self) -> EventId {
        let nth = self.nth.get();
        self.nth.set(nth + 1);
        self.step.get().child(nth)
    }

    /// The id of what is no operation and is made at `location`: the kernel sees nothing of it, a
    /// simulated one is told.
    pub(crate) fn begun(&self, what: Began, location: &'static Location<'static>) -> EventId {
        let (cause, nth) = (self.step.get(), self.nth.get());
        let event = self.next_event();
        if self.is_virtual.get() && (self.is_traced.get() || crate::switch::is_tracked()) {
            self.note(Note::Began {
                event,
                cause,
                nth,
                what,
                location,
            });
        }
        event
    }

    /// From now on, what is started is caused by `event`.
    #[inline]
    pub(crate) fn begin_step(&self, event: EventId) {
        self.step.set(event);
        self.nth.set(0);
    }

    /// Asks the operation in the slot to end early, for this reason.
    #[cold]
    pub(crate) fn stop_slot(&self, slot: &'static Slot, why: Stop) {
        let life = slot.life();
        if life != life::PENDING && life != life::SUBMITTING {
            return;
        }
        if slot.stop.get() == Stop::No {
            slot.stop.set(why);
        }
        // Not with the lane yet, because a buffer's method asks for this: whoever submits it looks.
        if life == life::SUBMITTING {
            return;
        }
        if slot.external.get() {
            let VTable { stop_external, .. } = slot.vtable.get();
            // SAFETY: the slot is PENDING, and its vtable was made for its payload.
            if stop_external.is_some_and(|stop| !unsafe { stop(self, slot) }) {
                return;
            }
            slot.external.set(false);
            self.externals.set(self.externals.get() - 1);
            self.complete_later(slot, crate::backend::CANCELED);
        } else if let Some(lane) = self.lane.borrow_mut().as_mut() {
            lane.cancel(slot.token());
        }
    }

    /// Asks the operation that started with this token to end early.
    pub(crate) fn stop_operation(&self, first: Token, why: Stop) {
        if let Some(slot) = self.slots.of(first)
            && slot.first() == first
            && slot.life() != life::FREE
        {
            self.stop_slot(slot, why);
        }
    }

    /// Dispatches one completion: the operation's, or its deadline's.
    #[inline]
    pub(crate) fn dispatch(&self, completion: Completion) {
        let Completion { token, result } = completion;
        let Some(slot) = self.slots.of(token) else {
            return;
        };
        if slot.token() != token || slot.life() != life::PENDING {
            return self.dispatch_other(completion);
        }
        let VTable { complete, .. } = slot.vtable.get();
        // SAFETY: the slot's activation is complete, and its vtable was made for its payload.
        unsafe { complete(self, slot, result) }
    }

    /// A completion that is not the one of the operation in its slot.
    #[cold]
    #[inline(never)]
    fn dispatch_other(&self, completion: Completion) {
        let Completion { token, result } = completion;
        if token.has_tag(Tag::Undone) {
            self.do_again(token.with_tag(Tag::Operation), result);
        } else if token.has_tag(Tag::Deadline) {
            // Of the operation that started with this token: if it is over, it is over (I6).
            self.stop_operation(token.with_tag(Tag::Operation), Stop::TimedOut);
        }
    }

    /// Completes what has no slot among the others.
    #[cold]
    pub(crate) fn refuse(&self, slot: &'static Slot, result: i32) {
        let VTable { complete, .. } = slot.vtable.get();
        // SAFETY: the slot's activation is complete, and its vtable was made for its payload.
        unsafe { complete(self, slot, result) }
    }

    /// What an operation that is complete holds no longer: its deadline, its place among its
    /// object's operations (the last of a closed object takes the descriptor along).
    #[inline(always)]
    pub(crate) fn detach(&self, slot: &'static Slot) {
        if slot.is(special::DEADLINE) {
            self.disarm(slot);
        }
        if let Some(object) = slot.object.take()
            && object.end()
        {
            self.finish_close(object);
        }
    }

    #[inline(never)]
    fn disarm(&self, slot: &'static Slot) {
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            lane.disarm(slot.deadline_token());
        }
    }

    /// Frees a slot whose payload, a `K` perhaps with a handler, was taken.
    #[inline]
    pub(crate) fn release<K: Steps>(&self, slot: &'static Slot) {
        self.detach(slot);
        self.give_back::<K>(slot);
    }

    /// The same, of a slot that was detached when it was done.
    #[inline]
    pub(crate) fn give_back<K: Steps>(&self, slot: &'static Slot) {
        self.slots.give_back(slot);
        if K::UNBOUNDED {
            self.unbounded.set(self.unbounded.get() - 1);
        }
    }

    /// A slot was taken for a `K`.
    #[inline]
    pub(crate) fn taken_for<K: Steps>(&self) {
        if K::UNBOUNDED {
            self.unbounded.set(self.unbounded.get() + 1);
        }
    }

    /// More slots are in use than operations may be in flight: whether that is so without those that
    /// are not counted.
    #[cold]
    pub(crate) fn is_over_limit(&self) -> bool {
        self.slots.in_use() - self.unbounded.get() > self.limit.get()
    }

    /// Tells who waits for a slot that its result is there.
    #[cold]
    #[inline(never)]
    pub(crate) fn notify(&self, waiter: Waiter) {
        match waiter {
            Waiter::Task(MAIN) => self.main_ready.set(true),
            Waiter::Task(id) => self.tasks.poll(self, id),
            Waiter::Waker(waker) => waker.wake(),
            Waiter::Nobody => {}
        }
    }

    pub(crate) fn note(&self, note: Note) {
        match note {
            Note::DiscardedBytes(n) => self.discarded_bytes.set(self.discarded_bytes.get() + n),
            Note::DiscardedHandle => self.discarded_handles.set(self.discarded_handles.get() + 1),
            Note::Unwanted(_) | Note::DroppedHandler | Note::TearsDown | Note::Began { .. } => {}
        }
        if let Some(lane) = self.lane.borrow_mut().as_mut() {
            lane.note(note);
        }
    }

    /// The error behind a negative result.
    #[cold]
    pub(crate) fn error(&self, code: i32) -> io::Error {
        self.backend
            .borrow()
            .as_ref()
            .map_or_else(gone, |backend| backend.error(code))
    }
}
