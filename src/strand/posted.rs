//! Posted functions: nodes of their own, from a pool of the thread, with room for small closures.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::node::{Acts, Node};
use crate::backend::{Began, Note};
use crate::choice::EventId;
use crate::op::home::{Local, current, lock};
use crate::switch;

/// How many words a closure may have and still cost no allocation.
const WORDS: usize = 10;

/// How many free nodes a thread keeps.
const KEPT: usize = 256;

/// How many chains of so many free nodes wait for a thread that has none: 2 MiB of them.
const CHAINS: usize = 64;

/// A function in a strand's queue. 128 bytes: two cache lines.
#[repr(C)]
struct Posted {
    node: Node,
    /// The event that the post is; None: it came from outside any handler.
    event: Cell<Option<EventId>>,
    location: &'static Location<'static>,
    function: MaybeUninit<[u64; WORDS]>,
}

const fn fits<F>() -> bool {
    size_of::<F>() <= WORDS * 8 && align_of::<F>() <= 8
}

/// A node for this function, to be posted.
#[inline]
pub(super) fn new<F: FnOnce() + Send + 'static>(
    function: F,
    location: &'static Location<'static>,
) -> *mut Node {
    let event = current().map(|local| local.begun(Began::Post, location));
    let posted = free_node();
    // SAFETY: the memory is a Posted's, and ours; the function fits, or its box does.
    unsafe {
        ptr::write(&raw mut (*posted).node, Node::new(Function::<F>::ACTS));
        ptr::write(&raw mut (*posted).event, Cell::new(event));
        ptr::write(&raw mut (*posted).location, location);
        let place = (&raw mut (*posted).function).cast::<u8>();
        if fits::<F>() {
            place.cast::<F>().write(function);
        } else {
            place
                .cast::<*mut F>()
                .write(Box::into_raw(Box::new(function)));
        }
    }
    posted.cast()
}

struct Function<F>(std::marker::PhantomData<F>);

impl<F: FnOnce() + Send + 'static> Function<F> {
    const ACTS: &'static Acts = &Acts {
        run: Self::run,
        drop: Self::drop,
        home: None,
    };

    /// # Safety
    ///
    /// The node is one of [`new`] for this F, taken out of its queue; it is given back here.
    unsafe fn take(node: *mut Node) -> F {
        // SAFETY: the caller's promise: the function was written by `new`, by the same rule.
        unsafe {
            let place = (&raw mut (*node.cast::<Posted>()).function).cast::<u8>();
            let function = if fits::<F>() {
                place.cast::<F>().read()
            } else {
                *Box::from_raw(place.cast::<*mut F>().read())
            };
            give_back(node.cast());
            function
        }
    }

    unsafe fn run(node: *mut Node, local: &Local) {
        // SAFETY: the queue's promise: the node is one of `new`, and taken out.
        let (event, location, function) = unsafe {
            let posted = node.cast::<Posted>();
            let (event, location) = ((*posted).event.get(), (*posted).location);
            (event, location, Self::take(node))
        };
        let event = event.unwrap_or_else(|| local.at_root(|| local.begun(Began::Post, location)));
        switch::acquired(event.0);
        if local.watched.get() {
            local.home.running.is(&"post", Some(location));
        }
        local.begin_step(event);
        local.handlers_run.set(local.handlers_run.get() + 1);
        function();
    }

    unsafe fn drop(node: *mut Node, local: Option<&Local>) {
        // SAFETY: as in `run`.
        let function = unsafe { Self::take(node) };
        if let Some(local) = local {
            local.note(Note::DroppedHandler);
        }
        drop(function);
    }
}

/// The free nodes of a thread, linked by their first word.
struct Pool {
    first: Cell<*mut Posted>,
    count: Cell<usize>,
}

/// Where threads that only post get the nodes back from the workers that ran them: whole chains, so
/// that the lock is taken once in [`KEPT`] posts.
static DEPOT: Mutex<Vec<Chain>> = Mutex::new(Vec::new());

/// How many chains are in the depot: so that nobody locks it for nothing.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// [`KEPT`] free nodes.
struct Chain(*mut Posted);

// SAFETY: free nodes are memory with nothing in it, and the chain is its holder's alone.
unsafe impl Send for Chain {}

thread_local! {
    static POOL: Pool = const {
        Pool {
            first: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
        }
    };
}

/// The memory of a node.
#[inline]
fn free_node() -> *mut Posted {
    // A thread that is ending has no pool any more.
    let pooled = POOL.try_with(Pool::take).unwrap_or(ptr::null_mut());
    if pooled.is_null() {
        Box::into_raw(Box::<Posted>::new_uninit()).cast()
    } else {
        pooled
    }
}

/// # Safety
///
/// The node's memory came from [`free_node`], on whatever thread, and nothing is in it any more.
#[inline]
unsafe fn give_back(node: *mut Posted) {
    // SAFETY: the caller's promise.
    let kept = POOL.try_with(|pool| unsafe { pool.put(node) });
    if kept != Ok(true) {
        // SAFETY: as above: made as this box.
        drop(unsafe { Box::from_raw(node.cast::<MaybeUninit<Posted>>()) });
    }
}

impl Pool {
    #[inline]
    fn take(&self) -> *mut Posted {
        if self.first.get().is_null() && WAITING.load(Ordering::Relaxed) > 0 {
            self.fetch();
        }
        self.pop()
    }

    #[inline]
    fn pop(&self) -> *mut Posted {
        let first = self.first.get();
        if !first.is_null() {
            // SAFETY: a free node's first word is the next one.
            self.first
                .set(unsafe { first.cast::<*mut Posted>().read() });
            self.count.set(self.count.get() - 1);
        }
        first
    }

    /// Takes a chain from the depot, if one is there.
    #[cold]
    fn fetch(&self) {
        let mut depot = lock(&DEPOT);
        if let Some(Chain(first)) = depot.pop() {
            WAITING.store(depot.len(), Ordering::Relaxed);
            self.first.set(first);
            self.count.set(KEPT);
        }
    }

    /// Leaves all that it has, which is a chain, in the depot; not if that is full.
    #[cold]
    fn leave(&self) {
        let mut depot = lock(&DEPOT);
        if depot.len() < CHAINS {
            depot.push(Chain(self.first.replace(ptr::null_mut())));
            WAITING.store(depot.len(), Ordering::Relaxed);
            self.count.set(0);
        }
    }

    /// Whether there was room for it.
    ///
    /// # Safety
    ///
    /// As [`give_back`].
    #[inline]
    unsafe fn put(&self, node: *mut Posted) -> bool {
        if self.count.get() == KEPT {
            self.leave();
        }
        let has_room = self.count.get() < KEPT;
        if has_room {
            // SAFETY: nobody else uses the memory.
            unsafe { node.cast::<*mut Posted>().write(self.first.get()) };
            self.first.set(node);
            self.count.set(self.count.get() + 1);
        }
        has_room
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        loop {
            let node = self.pop();
            if node.is_null() {
                return;
            }
            // SAFETY: as in `give_back`.
            drop(unsafe { Box::from_raw(node.cast::<MaybeUninit<Posted>>()) });
        }
    }
}
