//! How a worker runs a strand's handlers: a batch, then others get their turn.
//!
//! A strand floats: who makes it busy sees to its turn, on the worker that runs on that thread, else
//! where the strand was made. A handler that has to run on another worker (its operation is at home
//! there) takes the whole strand with it. So slots, lanes and tasks stay with their own threads, and a
//! strand whose handlers belong to one connection runs where the connection is.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::node::{Node, UNKNOWN};
use super::queue::{Link, Queue};
use crate::observe::{self, Watched};
use crate::op::due::{Due, Turn};
use crate::op::home::{HomeRef, Local, Message, Ready, current};
use crate::switch;

/// How many handlers of a strand run before what else is ready on the worker gets its turn.
pub(super) const BATCH: usize = 32;

/// What all handles of a strand share.
pub(super) struct Inner {
    queue: Queue,
    home: HomeRef,
    pub(super) made_at: &'static Location<'static>,
    pub(super) counts: Counts,
}

/// What can be read of a strand. Written by its owner alone; no handler waits for these.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) waiting: AtomicUsize,
    pub(super) ran: AtomicU64,
    pub(super) longest_wait: AtomicU64,
}

impl Counts {
    /// The owner has run so many more.
    #[inline]
    fn add_ran(&self, more: u64) {
        let before = self.ran.load(Ordering::Relaxed);
        self.ran.store(before + more, Ordering::Relaxed);
    }

    /// The owner is about to run one that waited so long: longer than any before.
    #[cold]
    fn note_wait(&self, wait: u64) {
        self.longest_wait.store(wait, Ordering::Relaxed);
    }
}

impl Inner {
    pub(super) fn new(home: HomeRef, made_at: &'static Location<'static>) -> Arc<Inner> {
        let strand = Arc::new(Inner {
            queue: Queue::new(),
            home,
            made_at,
            counts: Counts::default(),
        });
        observe::tell(|it| it.made(strand.watched()));
        strand
    }

    /// Whether the running handler is one of this strand's.
    #[inline]
    pub(super) fn is_inside(&self) -> bool {
        current().is_some_and(|local| self.is_run_by(local))
    }

    /// Whether the handler that runs on this worker is one of this strand's: then it is the owner.
    #[inline]
    fn is_run_by(&self, local: &Local) -> bool {
        std::ptr::eq(local.strand_frame.get(), self.frame())
    }

    /// What the worker's frame says while a handler of this strand runs.
    #[inline]
    fn frame(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    /// What a check knows it by.
    fn watched(&self) -> Watched {
        Watched {
            strand: self.id(),
            made_at: self.made_at,
        }
    }

    /// What orders its handlers, for a simulation that looks for accesses that nothing orders.
    #[inline]
    fn id(&self) -> u64 {
        self.frame().addr() as u64
    }

    /// Puts a handler behind those that were posted before, and sees to it that it gets its turn. The
    /// worker that runs on this thread, if one does.
    ///
    /// # Safety
    ///
    /// The node is valid until it has been run or dropped, and in no queue.
    #[inline]
    pub(super) unsafe fn post(self: &Arc<Self>, local: Option<&Local>, node: *mut Node) {
        match local {
            // SAFETY: passed on; the running handler is this strand's, so it has its worker for owner.
            Some(local) if self.is_run_by(local) => unsafe {
                (*node).posted_at.set(local.turn_time());
                observe::tell(|it| it.posted(self.watched(), node.addr()));
                self.queue
                    .post_inside(node.cast(), |link| arrived(link, local));
            },
            // SAFETY: passed on.
            _ => unsafe { self.post_from_outside(node) },
        }
    }

    /// The same, for who is not in a handler of the strand.
    ///
    /// # Safety
    ///
    /// As [`Inner::post`].
    #[inline(never)]
    unsafe fn post_from_outside(self: &Arc<Self>, node: *mut Node) {
        let local = self.home.near();
        // SAFETY: passed on; until it is posted the node is ours.
        let owns = unsafe {
            (*node)
                .posted_at
                .set(local.map_or(UNKNOWN, Local::turn_time));
            observe::tell(|it| it.posted(self.watched(), node.addr()));
            self.queue.post(node.cast())
        };
        if owns {
            let due = Due::new(self.clone());
            match local {
                Some(local) => local.ready.borrow_mut().push_back(Ready::Turn(due)),
                None => self.home.send(Message::Turn(due)),
            }
        }
    }

    /// Whether this is a worker of another proactor than the strand's, which lives: it runs what has to
    /// run there, and then the strand goes back.
    fn is_guest_of(&self, local: &Local) -> bool {
        let is_here = (self.home.near()).is_some_and(|near| std::ptr::eq(near, local));
        !is_here && self.home.is_alive()
    }

    /// Goes inside if nothing of the strand runs or waits.
    #[inline]
    pub(super) fn enter<'a>(self: &'a Arc<Self>, local: &'a Local) -> Option<Inside<'a>> {
        self.queue.enter().then(|| {
            self.counts.add_ran(1);
            observe::tell(|it| it.begins(self.watched(), 0));
            Inside::new(self, local)
        })
    }

    /// Publishes how many are known to wait.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    unsafe fn publish(&self) {
        // SAFETY: the caller's promise.
        let known = unsafe { self.queue.known() };
        self.counts.waiting.store(known, Ordering::Relaxed);
    }
}

/// While this lives, the worker runs a handler of the strand, and is its owner. Afterwards whatever
/// waits gets another turn, also when the handler has panicked.
pub(super) struct Inside<'a> {
    strand: &'a Arc<Inner>,
    local: &'a Local,
    before: *const (),
    /// The worker that has to run the next handler.
    elsewhere: Cell<Option<HomeRef>>,
    ran: Cell<u64>,
}

/// A worker finds a handler in the queue: it waits since now, if nobody knows since when.
///
/// # Safety
///
/// As [`Node::of`].
#[inline]
unsafe fn arrived(link: *mut Link, local: &Local) {
    // SAFETY: the caller's promise.
    let posted_at = unsafe { &Node::of(link).posted_at };
    if posted_at.get() == UNKNOWN {
        posted_at.set(local.turn_time());
    }
}

impl<'a> Inside<'a> {
    /// The caller is the owner.
    #[inline]
    fn new(strand: &'a Arc<Inner>, local: &'a Local) -> Inside<'a> {
        switch::acquired(strand.id());
        Inside {
            before: local.strand_frame.replace(strand.frame()),
            strand,
            local,
            elsewhere: Cell::new(None),
            ran: Cell::new(0),
        }
    }

    /// Runs the next handler, if it may run here. False: this turn is over.
    #[inline]
    fn run_next(&self) -> bool {
        let (strand, local) = (&**self.strand, self.local);
        // SAFETY: while an Inside lives its worker is the owner; a link that is shown or taken is a
        // node's, and valid.
        unsafe {
            let first = strand.queue.first(|link| arrived(link, local));
            if first.is_null() {
                return false;
            }
            if let Some(home) = Node::home(first)
                && home.here().is_none()
            {
                return self.not_here(first, home);
            }
            strand.queue.take_first();
            let wait = (local.turn_time()).saturating_sub(Node::of(first).posted_at.get());
            if wait > strand.counts.longest_wait.load(Ordering::Relaxed) {
                strand.counts.note_wait(wait);
            }
            self.ran.set(self.ran.get() + 1);
            observe::tell(|it| it.begins(strand.watched(), first.addr()));
            Node::run(first, local);
            observe::tell(|it| {
                it.ends(strand.watched());
                it.between_handlers();
            });
        }
        true
    }

    /// The next handler has another worker for its home. False: this turn is over.
    #[cold]
    #[inline(never)]
    fn not_here(&self, first: *mut Link, home: HomeRef) -> bool {
        if home.is_alive() {
            self.elsewhere.set(Some(home));
            return false;
        }
        // Of another proactor, which is gone: not to take the strand with it.
        // SAFETY: the owner, and this is the first that waits.
        unsafe {
            self.strand.queue.take_first();
            observe::tell(|it| it.dropped(self.strand.watched(), first.addr()));
            Node::drop(first, None);
        }
        true
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.local.strand_frame.set(self.before);
        let strand = self.strand;
        switch::released(strand.id());
        observe::tell(|it| it.ends(strand.watched()));
        strand.counts.add_ran(self.ran.get());
        // SAFETY: the owner, until `leave` says otherwise; it is asked only when none is known of.
        unsafe {
            strand.publish();
            if strand.queue.known() == 0 && strand.queue.leave() {
                return;
            }
        }
        let due = Due::new(strand.clone());
        match self.elsewhere.get() {
            Some(home) => home.send(Message::Turn(due)),
            None if strand.is_guest_of(self.local) => strand.home.send(Message::Turn(due)),
            None => self.local.ready.borrow_mut().push_back(Ready::Turn(due)),
        }
    }
}

impl Turn for Inner {
    fn run(self: Arc<Self>, local: &Local) {
        let inside = Inside::new(&self, local);
        // Where workers are simulated, others may go on between any two handlers.
        let batch = if local.overlaps.get() { 1 } else { BATCH };
        for _ in 0..batch {
            if !inside.run_next() || !local.may_go_on() {
                break;
            }
        }
    }

    fn drop_handlers(self: Arc<Self>) {
        // A panic of what is dropped loses none of those behind it.
        let mut panic = None;
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.drop_next())) {
                Ok(true) => {}
                Ok(false) => break,
                Err(payload) => panic = panic.or(Some(payload)),
            }
        }
        if let Some(panic) = panic
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

impl Inner {
    /// The owner drops the next handler, or has it dropped where it belongs. False: it is the owner
    /// no longer.
    fn drop_next(self: &Arc<Self>) -> bool {
        // SAFETY: whoever had the strand's turn is the owner; a link that is shown or taken is a node's.
        unsafe {
            let first = self.queue.first(|_| {});
            if first.is_null() {
                self.publish();
                return !self.queue.leave();
            }
            let local = match Node::home(first) {
                // A home that has died is not coming back for what is in its slots.
                Some(home) if home.is_alive() => match home.here() {
                    Some(local) => Some(local),
                    None => {
                        home.send(Message::Turn(Due::new(self.clone())));
                        return false;
                    }
                },
                _ => current(),
            };
            if Node::home(first).is_none() && self.is_away() {
                // The worker that dies was of another proactor, where the strand was a guest.
                self.home.send(Message::Turn(Due::new(self.clone())));
                return false;
            }
            self.queue.take_first();
            observe::tell(|it| it.dropped(self.watched(), first.addr()));
            Node::drop(first, local);
        }
        true
    }

    /// Whether the strand's proactor lives, and no worker of it runs on this thread.
    fn is_away(&self) -> bool {
        self.home.is_alive() && self.home.near().is_none()
    }
}

#[cfg(all(test, feature = "check"))]
mod tests {
    //! The oracles of I3, each on a planted bug in the queue; that they are silent on the real one, every
    //! check with a strand shows.

    use super::super::Strand;
    use crate::check::{Checker, Failure, Sim};
    use crate::op::home::current;
    use crate::sim::{Invariant, Oracle};

    fn found(oracle: Oracle, model: fn(&Sim)) -> Box<Failure> {
        let failure = Checker::new().run(model).expect_err("the bug is found");
        assert_eq!(failure.oracle(), Some(oracle), "{failure}");
        assert_eq!(failure.invariant(), Some(Invariant::I3), "{failure}");
        failure
    }

    #[test]
    fn a_queue_that_lets_a_second_one_in() {
        let failure = found(Oracle::StrandExclusion, |sim| {
            let strand = Strand::new(sim.proactor());
            let inside = strand.clone();
            strand.post(move || {
                // SAFETY: this handler's worker is the owner. (The bug: it is still inside.)
                unsafe { inside.0.queue.leave() };
                let local = current().expect("in a handler");
                std::mem::forget(inside.enter(local).expect("it looks idle"));
            });
            let _ = sim.proactor().run();
        });
        let message = failure.message().expect("it has one");
        assert!(
            message.contains("began while another one of it runs"),
            "{failure}"
        );
        assert!(message.contains("src/strand/turn.rs:"), "{failure}");
    }

    #[test]
    fn a_queue_that_mixes_up_its_handlers() {
        let failure = found(Oracle::StrandOrder, |sim| {
            let strand = Strand::new(sim.proactor());
            let inside = strand.clone();
            strand.post(move || {
                inside.post(|| ());
                inside.post(|| ());
                // SAFETY: this handler's worker is the owner; the link is a node's, and in no queue when it
                // is posted again. (The bug: behind the other one.)
                unsafe {
                    let first = inside.0.queue.first(|_| {});
                    inside.0.queue.take_first();
                    inside.0.queue.post(first);
                }
            });
            let _ = sim.proactor().run();
        });
        let message = failure.message().expect("it has one");
        assert!(
            message.contains("began before one that was posted earlier"),
            "{failure}"
        );
    }
}
