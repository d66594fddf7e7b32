//! Posted functions: nodes of their own, in spare blocks, with room for small closures.

use std::mem::MaybeUninit;
use std::panic::Location;
use std::ptr;

use super::node::{Acts, Node};
use crate::backend::{Began, Note};
use crate::choice::EventId;
use crate::op::home::Local;
use crate::op::spare::{self, Block};
use crate::switch;

/// How many words a closure may have and still cost no allocation.
const WORDS: usize = 10;

/// A function in a strand's queue.
#[repr(C)]
struct Posted {
    node: Node,
    location: &'static Location<'static>,
    /// The event that the post is. None: it came from outside any handler, or nobody keeps account.
    event: Option<EventId>,
    function: MaybeUninit<[u64; WORDS]>,
}

const _: () = assert!(size_of::<Posted>() <= spare::SIZE && align_of::<Posted>() <= 64);

const fn fits<F>() -> bool {
    size_of::<F>() <= WORDS * 8 && align_of::<F>() <= 8
}

/// A node for this function, to be posted by this worker, if it is one.
#[inline]
pub(super) fn new<F: FnOnce() + Send + 'static>(
    local: Option<&Local>,
    function: F,
    location: &'static Location<'static>,
) -> *mut Node {
    let event = local
        .filter(|local| local.is_virtual.get())
        .map(|local| local.begun(Began::Post, location));
    let posted: *mut Posted = local
        .map_or_else(spare::take, |local| local.spare.take())
        .cast();
    // SAFETY: the block is ours, and has room for a Posted; the function fits, or its box does.
    unsafe {
        ptr::write(&raw mut (*posted).node, Node::new(Function::<F>::ACTS));
        ptr::write(&raw mut (*posted).location, location);
        ptr::write(&raw mut (*posted).event, event);
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
    /// The node is one of [`new`] for this F, taken out of its queue. Its block is to be given back.
    #[inline(always)]
    unsafe fn take(node: *mut Node) -> F {
        // SAFETY: the caller's promise: the function was written by `new`, by the same rule.
        unsafe {
            let place = (&raw mut (*node.cast::<Posted>()).function).cast::<u8>();
            if fits::<F>() {
                place.cast::<F>().read()
            } else {
                *Box::from_raw(place.cast::<*mut F>().read())
            }
        }
    }

    unsafe fn run(node: *mut Node, local: &Local) {
        // SAFETY: the queue's promise: the node is one of `new`, and taken out. Its block goes back
        // before the call, which will want one for what it posts.
        let function = unsafe {
            if local.is_virtual.get() || local.watched.get() {
                let posted = node.cast::<Posted>();
                begins(local, (*posted).event, (*posted).location);
            }
            let function = Self::take(node);
            local.spare.give_back(node.cast::<Block>());
            function
        };
        local.handlers_run.set(local.handlers_run.get() + 1);
        function();
    }

    unsafe fn drop(node: *mut Node, local: Option<&Local>) {
        // SAFETY: as in `run`.
        let function = unsafe {
            let function = Self::take(node);
            match local {
                Some(local) => local.spare.give_back(node.cast::<Block>()),
                None => spare::give_back(node.cast::<Block>()),
            }
            function
        };
        if let Some(local) = local {
            local.note(Note::DroppedHandler);
        }
        drop(function);
    }
}

/// The handler of a post begins: for a simulation, and for a watchdog.
#[cold]
#[inline(never)]
fn begins(local: &Local, event: Option<EventId>, location: &'static Location<'static>) {
    if local.is_virtual.get() {
        let event = event.unwrap_or_else(|| local.at_root(|| local.begun(Began::Post, location)));
        switch::acquired(event.0);
        local.begin_step(event);
    }
    if local.watched.get() {
        local.home.running.is(&"post", Some(location));
    }
}
