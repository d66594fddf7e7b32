//! Coroutines over the same operations: spawned futures, polled on their worker.
//!
//! A task is pinned to the worker that it was spawned on and is polled inline from the completion
//! that it waits for: an operation remembers a task of its own worker by a number, so the steady state
//! clones no waker and counts no reference. A task that is spawned on a strand takes its turn there
//! instead: its steps are posted to the strand like handlers.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::backend::Began;
use crate::choice::EventId;
use crate::op::home::{Home, HomeRef, Local, Message, Ready, current, lock};
use crate::strand::Strand;
use crate::strand::node::{Acts, Node};

/// The number of the future that `block_on` runs.
pub(crate) const MAIN: u64 = u64::MAX;
/// The number of a task that has not come to its worker yet, or is over.
const NOWHERE: u64 = u64::MAX - 1;

type TaskFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One task. Wakers and join handles share it; its future belongs to the worker.
pub(crate) struct Task {
    home: HomeRef,
    /// Index and generation in the worker's [`Tasks`].
    id: AtomicU64,
    /// In the ready queue, or on its way there.
    scheduled: AtomicBool,
    aborted: AtomicBool,
    future: UnsafeCell<Option<TaskFuture>>,
    /// What its polls are given: borrowed from the task itself, so without a count of its own.
    waker: UnsafeCell<ManuallyDrop<Waker>>,
    /// The call that spawned it.
    location: Cell<Option<&'static Location<'static>>>,
    /// The event that its code consumed last, and how many submissions it has made since.
    step: Cell<(EventId, u32)>,
    /// The strand that its steps run on, if not one of its own.
    seat: Option<Seat>,
}

/// A task's place on a strand.
struct Seat {
    strand: Strand,
    node: UnsafeCell<StepNode>,
    /// Before its first step: where it was spawned, and the event that this was, if in a handler.
    arrival: Cell<Option<(Option<EventId>, &'static Location<'static>)>>,
}

/// A step of a task in a strand's queue.
#[repr(C)]
struct StepNode {
    node: Node,
    /// While it is queued: a count of the task's.
    task: *const Task,
}

impl Seat {
    fn new(strand: Strand) -> Seat {
        Seat {
            strand,
            node: UnsafeCell::new(StepNode {
                node: Node::new(&Task::STEP),
                task: std::ptr::null(),
            }),
            arrival: Cell::new(None),
        }
    }
}

// SAFETY: the node and the arrival of a `seat` are touched only by who has set `scheduled`, until it is in the queue, and
// by who takes it out of there, who then clears `scheduled`;
// `waker` is written before the task is shared, and `future`, `step` and `location` are used only by `Tasks` on the home worker's thread, and by Drop, which
// is alone; a TaskFuture is Send, so whoever drops the last reference may drop it.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

impl Task {
    /// A step in the queue of its strand.
    const STEP: Acts = Acts {
        run: Task::step_on_strand,
        drop: Task::drop_step,
        home: Some(Task::home_of_step),
    };

    fn new(
        home: HomeRef,
        id: u64,
        future: Option<TaskFuture>,
        strand: Option<Strand>,
    ) -> Arc<Task> {
        let task = Arc::new(Task {
            home,
            id: AtomicU64::new(id),
            scheduled: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            future: UnsafeCell::new(future),
            waker: UnsafeCell::new(ManuallyDrop::new(Waker::noop().clone())),
            location: Cell::new(None),
            step: Cell::new((EventId::ROOT, 0)),
            seat: strand.map(Seat::new),
        });
        let waker = RawWaker::new(Arc::as_ptr(&task).cast(), task.vtable());
        // SAFETY: nobody else knows the task yet. The vtable's functions take the data as an Arc<Task>,
        // whose count this waker borrows: it stands in the task, and is never dropped.
        unsafe { *task.waker.get() = ManuallyDrop::new(Waker::from_raw(waker)) };
        task
    }

    /// The future that `block_on` runs, as a task without a future of its own.
    pub(crate) fn main(home: HomeRef) -> Arc<Task> {
        Task::new(home, MAIN, None, None)
    }

    pub(crate) fn waker(self: Arc<Task>) -> Waker {
        // SAFETY: the vtable's functions take the data as the Arc<Task> that it is.
        unsafe { Waker::from_raw(RawWaker::new(Arc::into_raw(self).cast(), &VTABLE)) }
    }

    fn wake(&self) {
        let id = self.id.load(Ordering::Acquire);
        crate::switch::released(id);
        if let Some(seat) = &self.seat {
            if id != NOWHERE && !self.scheduled.swap(true, Ordering::AcqRel) {
                self.post_step(seat);
            }
            return;
        }
        match (self.home.here(), id) {
            (Some(local), MAIN) => local.main_ready.set(true),
            (_, NOWHERE) => {}
            (Some(local), id) => {
                if !self.scheduled.swap(true, Ordering::AcqRel) {
                    local.ready.borrow_mut().push_back(Ready::Task(id));
                }
            }
            (None, MAIN) => self.home.send(Message::Wake(MAIN)),
            (None, id) => {
                if !self.scheduled.swap(true, Ordering::AcqRel) {
                    self.home.send(Message::Wake(id));
                }
            }
        }
    }
}

impl Task {
    /// Puts its next step into the queue of its strand. The caller has set `scheduled`.
    fn post_step(&self, seat: &Seat) {
        // SAFETY: whoever set `scheduled` has the node, which is in no queue. The count that goes with
        // it keeps the task, and with it the node, until it has been taken out.
        unsafe {
            Arc::increment_strong_count(self);
            let place = seat.node.get();
            (*place).task = self;
            seat.strand.post_node(place.cast());
        }
    }

    /// # Safety
    ///
    /// The node is a task's, and was taken out of its queue: its count passes to the caller.
    unsafe fn of_step(node: *mut Node) -> Arc<Task> {
        // SAFETY: the caller's promise; the node stands first in its StepNode.
        unsafe { Arc::from_raw((*node.cast::<StepNode>()).task) }
    }

    unsafe fn step_on_strand(node: *mut Node, local: &Local) {
        // SAFETY: passed on.
        let task = unsafe { Task::of_step(node) };
        if let Some((event, location)) = task.seat.as_ref().and_then(|seat| seat.arrival.take()) {
            let begun = || local.at_root(|| local.begun(Began::Task, location));
            local
                .tasks
                .insert(task.clone(), event.unwrap_or_else(begun), location);
        }
        local.tasks.poll(local, task.id.load(Ordering::Acquire));
    }

    unsafe fn drop_step(node: *mut Node, _: Option<&Local>) {
        // SAFETY: passed on.
        let task = unsafe { Task::of_step(node) };
        if task
            .seat
            .as_ref()
            .and_then(|seat| seat.arrival.take())
            .is_some()
        {
            // SAFETY: no worker has seen the task: this is the only place that knows its future.
            // (Otherwise its worker's teardown drops it.)
            drop(unsafe { (*task.future.get()).take() });
        }
    }

    unsafe fn home_of_step(node: *mut Node) -> HomeRef {
        // SAFETY: the node is a task's and queued, so its count keeps the task.
        unsafe { (*(*node.cast::<StepNode>()).task).home }
    }

    /// Its scheduled poll begins: wakes from now on are for another one. Whether it was aborted.
    fn begins_scheduled(&self) -> bool {
        // What was done before a wake that found it scheduled already is seen by this poll: so a swap,
        // not a store, behind which the poll's own reads could pass.
        self.scheduled.swap(false, Ordering::AcqRel);
        self.aborted.load(Ordering::Acquire)
    }

    /// Of a waker. One of a task on a strand has another, and so no number: see [`id_of`].
    #[inline]
    fn vtable(&self) -> &'static RawWakerVTable {
        if self.seat.is_none() {
            &VTABLE
        } else {
            &ON_STRAND
        }
    }
}

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_waker, wake_waker_by_ref, drop_waker);

static ON_STRAND: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_waker, wake_waker_by_ref, drop_waker);

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    // SAFETY: data is an Arc<Task> that the waker owns one count of.
    let vtable = unsafe {
        Arc::increment_strong_count(data.cast::<Task>());
        (*data.cast::<Task>()).vtable()
    };
    RawWaker::new(data, vtable)
}

unsafe fn wake_waker(data: *const ()) {
    // SAFETY: the waker's own count passes to us.
    unsafe { Arc::from_raw(data.cast::<Task>()) }.wake();
}

unsafe fn wake_waker_by_ref(data: *const ()) {
    // SAFETY: the waker keeps its count while it is borrowed.
    unsafe { &*data.cast::<Task>() }.wake();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker's own count is given up.
    drop(unsafe { Arc::from_raw(data.cast::<Task>()) });
}

/// The number of the task behind this waker, if it is one of that home's own that may be polled as
/// soon as what it waits for is there: one on somebody's strand has to wait for its turn.
#[inline]
pub(crate) fn id_of(waker: &Waker, home: &Home) -> Option<u64> {
    if !std::ptr::eq(waker.vtable(), &VTABLE) {
        return None;
    }
    // SAFETY: wakers with this vtable hold an Arc<Task>.
    let task = unsafe { &*waker.data().cast::<Task>() };
    std::ptr::eq(task.home.home, home).then(|| task.id.load(Ordering::Relaxed))
}

/// All tasks of a worker.
pub(crate) struct Tasks {
    // Only the methods up to `find` look in, none calls anything that could come back here, and none
    // gives out a reference: so they borrow it exclusively, one after the other.
    table: UnsafeCell<Table>,
    /// Where handlers overlap: the tasks whose poll is under way, and whether they are to be polled
    /// again after it.
    polled: RefCell<Vec<(u64, bool)>>,
}

/// While the poll of a task is under way where handlers overlap.
struct Alone<'a> {
    local: &'a Local,
    id: u64,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        crate::switch::released(self.id);
        let mut polled = self.local.tasks.polled.borrow_mut();
        if let Some(at) = polled.iter().position(|(id, _)| *id == self.id)
            && polled.swap_remove(at).1
        {
            drop(polled);
            self.local
                .ready
                .borrow_mut()
                .push_back(Ready::Task(self.id));
        }
    }
}

struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    /// The number of the task that stands here: index and generation. While none does, with [`EMPTY`].
    id: u64,
    task: Option<Arc<Task>>,
}

/// No task has a number with this bit, except [`MAIN`] and [`NOWHERE`], whose index no entry has.
const EMPTY: u64 = 1 << 63;

const fn id(index: u32, generation: u32) -> u64 {
    ((generation as u64) << 32) | index as u64
}

impl Tasks {
    pub(crate) fn new() -> Tasks {
        Tasks {
            table: UnsafeCell::new(Table {
                entries: Vec::new(),
                free: Vec::new(),
            }),
            polled: RefCell::new(Vec::new()),
        }
    }

    /// No task is left, and a new proactor moves in: its tasks are numbered from the start again.
    pub(crate) fn begin(&self) {
        debug_assert_eq!(self.len(), 0);
        // SAFETY: no other borrow (see `table`): without a task nothing of the user's is dropped here.
        let table = unsafe { &mut *self.table.get() };
        table.entries.clear();
        table.free.clear();
    }

    pub(crate) fn len(&self) -> usize {
        // SAFETY: no other borrow (see `table`).
        let table = unsafe { &*self.table.get() };
        table.entries.len() - table.free.len()
    }

    /// Each task: the event that its code consumed last, and the call that spawned it.
    pub(crate) fn each(&self, mut look: impl FnMut(EventId, Option<&'static Location<'static>>)) {
        // SAFETY: no other borrow (see `table`); nothing of the user's runs here.
        let table = unsafe { &*self.table.get() };
        for task in table.entries.iter().filter_map(|entry| entry.task.as_ref()) {
            let (event, location) = (task.step.get().0, task.location.get());
            look(event, location);
        }
    }

    /// Keeps a task, under a number that is made for it.
    fn put(&self, task: Arc<Task>) -> u64 {
        // SAFETY: no other borrow (see `table`).
        let table = unsafe { &mut *self.table.get() };
        let index = table.free.pop().unwrap_or_else(|| {
            let index = table.entries.len() as u32;
            table.entries.push(Entry {
                id: id(index, 0) | EMPTY,
                task: None,
            });
            index
        });
        let entry = &mut table.entries[index as usize];
        // What was there has been taken out: nothing is dropped.
        entry.task = Some(task);
        entry.id = id(index, ((entry.id >> 32) as u32).wrapping_add(1)) & !EMPTY;
        entry.id
    }

    /// Takes a task out, which is dropped by the caller.
    fn take(&self, id: u64) -> Option<Arc<Task>> {
        // SAFETY: no other borrow (see `table`).
        let table = unsafe { &mut *self.table.get() };
        let entry = table.entries.get_mut(id as u32 as usize)?;
        if entry.id != id {
            return None;
        }
        entry.id |= EMPTY;
        table.free.push(id as u32);
        entry.task.take()
    }

    /// The number of any one task.
    fn any(&self) -> Option<u64> {
        // SAFETY: no other borrow (see `table`).
        let table = unsafe { &*self.table.get() };
        let mut entries = table.entries.iter();
        let entry = entries.find(|entry| entry.task.is_some())?;
        Some(entry.id)
    }

    /// The task with this number, if it is not over. It lives until it is taken out.
    #[inline]
    fn find(&self, id: u64) -> Option<*const Task> {
        // SAFETY: no other borrow (see `table`).
        let table = unsafe { &*self.table.get() };
        let entry = table.entries.get(id as u32 as usize)?;
        if entry.id != id {
            return None;
        }
        debug_assert!(entry.task.is_some());
        // SAFETY: a number without EMPTY is that of the task in the entry: `put` and `take` change both.
        Some(Arc::as_ptr(unsafe {
            entry.task.as_ref().unwrap_unchecked()
        }))
    }

    /// Takes a task in, about to be polled: its number.
    fn insert(&self, task: Arc<Task>, event: EventId, location: &'static Location<'static>) -> u64 {
        task.step.set((event, 0));
        task.location.set(Some(location));
        task.scheduled.store(true, Ordering::Relaxed);
        let there = Arc::as_ptr(&task);
        let id = self.put(task);
        // SAFETY: the entry holds the task, and nothing of the user's runs here that could end it.
        unsafe { (*there).id.store(id, Ordering::Release) };
        id
    }

    /// Takes a task in and makes it ready.
    fn begin_task(&self, local: &Local, task: Arc<Task>, location: &'static Location<'static>) {
        let id = self.insert(task, local.begun(Began::Task, location), location);
        local.ready.borrow_mut().push_back(Ready::Task(id));
    }

    /// Polls a task. Nothing happens if it is over.
    #[inline]
    pub(crate) fn poll(&self, local: &Local, id: u64) {
        if local.is_virtual.get() {
            self.poll_simulated(local, id);
        } else {
            self.poll_now(local, id);
        }
    }

    /// A simulated kernel asks whose step it is, and the handlers of its workers may overlap.
    #[cold]
    fn poll_simulated(&self, local: &Local, id: u64) {
        if local.overlaps.get() {
            self.poll_alone(local, id);
        } else {
            self.poll_as_step(local, id);
        }
    }

    /// Where handlers overlap: a task is a strand, and is not polled while a poll of it is suspended.
    #[cold]
    fn poll_alone(&self, local: &Local, id: u64) {
        let mut polled = self.polled.borrow_mut();
        if let Some((_, again)) = polled.iter_mut().find(|(polled, _)| *polled == id) {
            *again = true;
            return;
        }
        polled.push((id, false));
        drop(polled);
        let _alone = Alone { local, id };
        // Its polls are ordered, and so is a wake before the poll that it brings about.
        crate::switch::acquired(id);
        self.poll_as_step(local, id);
    }

    /// Each poll goes on with the step that the task's code has come to.
    fn poll_as_step(&self, local: &Local, id: u64) {
        let Some(task) = self.find(id) else { return };
        // SAFETY: the entry holds the task, and nothing of the user's runs here that could end it.
        let (step, nth) = unsafe { (*task).step.get() };
        local.step.set(step);
        local.nth.set(nth);
        self.poll_now(local, id);
        if let Some(task) = self.find(id) {
            // SAFETY: as above.
            unsafe { (*task).step.set((local.step.get(), local.nth.get())) };
        }
    }

    fn poll_now(&self, local: &Local, id: u64) {
        let Some(task) = self.find(id) else { return };
        // SAFETY: the entry, and with it the task, stays until `End` below takes it out; this thread
        // is the worker's, and a task is never polled inside its own poll: handlers do not nest, and
        // where they overlap `poll_alone` sees to it.
        let task = unsafe { &*task };
        local.handlers_run.set(local.handlers_run.get() + 1);
        let end = End { tasks: self, task };
        // A task that was not woken, but waited for an operation, is not scheduled; if this look
        // misses a wake, or an abort, its message makes it be polled again.
        if task.scheduled.load(Ordering::Relaxed) && task.begins_scheduled() {
            return drop(end);
        }
        // SAFETY: only the home worker's thread gets here, and polls do not nest. A task among these
        // has its future: `End` takes it out of here first.
        let future = unsafe { (*task.future.get()).as_mut().unwrap_unchecked() };
        // SAFETY: it was written before the task was shared.
        let waker = unsafe { &*task.waker.get() };
        if future
            .as_mut()
            .poll(&mut Context::from_waker(waker))
            .is_pending()
        {
            std::mem::forget(end);
        }
    }

    /// The call that spawned a task.
    pub(crate) fn location(&self, id: u64) -> Option<&'static Location<'static>> {
        let task = self.find(id)?;
        // SAFETY: the entry holds the task, and nothing of the user's runs here that could end it.
        unsafe { (*task).location.get() }
    }

    /// The event that the task's code consumed last.
    #[cfg(feature = "check")]
    pub(crate) fn event_of(&self, id: u64) -> Option<EventId> {
        // SAFETY: as in `poll_now`; nothing of the task runs meanwhile.
        self.find(id).map(|task| unsafe { (*task).step.get().0 })
    }

    /// Takes out any one task, for teardown.
    pub(crate) fn remove_any(&self) -> bool {
        let found = self.any();
        if let Some(id) = found {
            self.end(id);
        }
        found.is_some()
    }
}

/// Ends a task: it has returned, was aborted, or its poll panicked. Its future is dropped here, on
/// its worker, whoever else still holds a waker.
struct End<'a> {
    tasks: &'a Tasks,
    /// Among `tasks` still. No reference: it may be gone when this has been dropped.
    task: *const Task,
}

impl Drop for End<'_> {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        // SAFETY: until here nobody has taken it out.
        let id = unsafe { (*self.task).id.load(Ordering::Relaxed) };
        self.tasks.end(id);
    }
}

impl Tasks {
    fn end(&self, id: u64) {
        if let Some(task) = self.take(id) {
            task.id.store(NOWHERE, Ordering::Release);
            // SAFETY: the worker's own thread; the poll that borrowed the future is over.
            drop(unsafe { (*task.future.get()).take() });
        }
    }
}

/// Spawns `future` on the home's worker, from anywhere.
#[track_caller]
pub(crate) fn spawn<F>(home: HomeRef, strand: Option<Strand>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let join = Arc::new(Join {
        state: Mutex::new(JoinState {
            finished: false,
            result: None,
            waker: None,
        }),
    });
    let settle = Settle {
        join: Some(join.clone()),
    };
    let future = Box::pin(Spawned { future, settle });
    let task = Task::new(home, NOWHERE, Some(future), strand);
    let location = Location::caller();
    match (&task.seat, home.here()) {
        // It arrives at its worker with its first step, which is posted here and now, in order.
        (Some(seat), _) => {
            let event = current().map(|local| local.begun(Began::Task, location));
            seat.arrival.set(Some((event, location)));
            task.scheduled.store(true, Ordering::Relaxed);
            task.post_step(seat);
        }
        (None, Some(local)) => local.tasks.begin_task(local, task.clone(), location),
        (None, None) => match home.beside().filter(|local| !local.has_mail()) {
            // As if the message had been left, and read at once.
            Some(local) => {
                local.at_root(|| local.tasks.begin_task(local, task.clone(), location));
                local.home.wake_beside();
            }
            None => {
                let on_its_way = OnItsWay(Some(task.clone()), location);
                home.send(Message::Run(Box::new(move |local| {
                    on_its_way.arrive(local)
                })));
            }
        },
    }
    JoinHandle { task, join }
}

/// A future, and who is told of its output. By hand: an async block would be a second state machine
/// to go through at each poll.
struct Spawned<F: Future> {
    future: F,
    settle: Settle<F::Output>,
}

impl<F: Future> Future for Spawned<F> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `future` is pinned with the whole, and never moved out of it; `settle` is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        let output = std::task::ready!(unsafe { Pin::new_unchecked(&mut this.future) }.poll(cx));
        this.settle.with(Ok(output));
        Poll::Ready(())
    }
}

/// A task that goes to its worker in a message. If it never gets there it is over.
struct OnItsWay(Option<Arc<Task>>, &'static Location<'static>);

impl OnItsWay {
    fn arrive(mut self, local: &Local) {
        if let Some(task) = self.0.take() {
            local.tasks.begin_task(local, task, self.1);
        }
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            // SAFETY: no worker has seen the task: this is the only place that knows its future.
            drop(unsafe { (*task.future.get()).take() });
        }
    }
}

/// A spawned task's result, once it has one. Dropping the handle detaches the task.
#[must_use = "a join handle is the way to a task's result; `drop` it to detach the task"]
pub struct JoinHandle<T> {
    task: Arc<Task>,
    join: Arc<Join<T>>,
}

struct Join<T> {
    state: Mutex<JoinState<T>>,
}

struct JoinState<T> {
    finished: bool,
    result: Option<Result<T, JoinError>>,
    waker: Option<Waker>,
}

/// What orders the end of a task before what follows from its result.
fn address<T>(join: &Arc<Join<T>>) -> u64 {
    Arc::as_ptr(join).addr() as u64
}

/// Why a task has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// It was aborted, or its proactor was dropped.
    Aborted,
    /// It panicked. The panic itself was resumed on the caller of `run`.
    Panicked,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Aborted => "the task was aborted",
            JoinError::Panicked => "the task panicked",
        })
    }
}

impl std::error::Error for JoinError {}

impl<T> JoinHandle<T> {
    /// Drops the task's future at its worker's next opportunity; its operations are cancelled.
    pub fn abort(&self) {
        self.task.aborted.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Whether there is a result (or was, and it has been taken).
    #[must_use]
    pub fn is_finished(&self) -> bool {
        lock(&self.join.state).finished
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.join.state);
        match state.result.take() {
            Some(result) => {
                crate::switch::acquired(address(&self.join));
                Poll::Ready(result)
            }
            None => {
                let old = state.waker.replace(cx.waker().clone());
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Lives inside the task's future: however that ends, the join handle hears of it.
struct Settle<T> {
    join: Option<Arc<Join<T>>>,
}

impl<T> Settle<T> {
    fn with(&mut self, result: Result<T, JoinError>) {
        let Some(join) = self.join.take() else { return };
        crate::switch::released(address(&join));
        let waker = {
            let mut state = lock(&join.state);
            state.finished = true;
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Settle<T> {
    fn drop(&mut self) {
        self.with(Err(if std::thread::panicking() {
            JoinError::Panicked
        } else {
            JoinError::Aborted
        }));
    }
}
