//! Posted functions: nodes of their own, from a pool of the thread, with room for small closures.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr;

use super::node::{Acts, Node};
use crate::backend::{Began, Note};
use crate::choice::EventId;
use crate::op::home::{Local, current};
use crate::switch;

/// How many words a closure may have and still cost no allocation.
const WORDS: usize = 10;

/// How many free nodes a thread keeps.
const KEPT: usize = 256;

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
        let first = self.first.get();
        if !first.is_null() {
            // SAFETY: a free node's first word is the next one.
            self.first
                .set(unsafe { first.cast::<*mut Posted>().read() });
            self.count.set(self.count.get() - 1);
        }
        first
    }

    /// Whether there was room for it.
    ///
    /// # Safety
    ///
    /// As [`give_back`].
    #[inline]
    unsafe fn put(&self, node: *mut Posted) -> bool {
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
            let node = self.take();
            if node.is_null() {
                return;
            }
            // SAFETY: as in `give_back`.
            drop(unsafe { Box::from_raw(node.cast::<MaybeUninit<Posted>>()) });
        }
    }
}
