//! Models of a strand's queue: handlers that write plain data, and whoever becomes the owner runs them.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::queue::{Link, Queue};

/// A handler: a link, and who posted it as which of its own.
#[repr(C)]
struct Handler {
    link: Link,
    posted: UnsafeCell<(usize, usize)>,
}

impl Handler {
    fn link(poster: usize, number: usize) -> *mut Link {
        Box::into_raw(Box::new(Handler {
            link: Link::new(),
            posted: UnsafeCell::new((poster, number)),
        }))
        .cast()
    }

    /// # Safety
    ///
    /// The link is one of [`Handler::link`] that was taken out of its queue.
    unsafe fn into_posted(link: *mut Link) -> (usize, usize) {
        // SAFETY: the caller's promise; the link stands first.
        let handler = unsafe { Box::from_raw(link.cast::<Handler>()) };
        handler.posted.with(|posted| {
            // SAFETY: what the model is to find out.
            unsafe { *posted }
        })
    }
}

/// A strand, and the plain data that its handlers write.
struct Strand {
    queue: Queue,
    log: UnsafeCell<Vec<(usize, usize)>>,
    inside: AtomicBool,
}

impl Strand {
    fn new() -> Arc<Strand> {
        Arc::new(Strand {
            queue: Queue::new(),
            log: UnsafeCell::new(Vec::new()),
            inside: AtomicBool::new(false),
        })
    }

    /// True: the caller is the owner.
    fn post(&self, poster: usize, number: usize) -> bool {
        // SAFETY: a fresh link, freed when it is taken.
        unsafe { self.queue.post(Handler::link(poster, number)) }
    }

    fn log(&self, posted: (usize, usize)) {
        let was_inside = self.inside.swap(true, Ordering::Relaxed);
        assert!(!was_inside, "two handlers at a time");
        self.log.with_mut(|log| {
            // SAFETY: what the model is to find out.
            unsafe { (*log).push(posted) };
        });
        self.inside.store(false, Ordering::Relaxed);
    }

    /// The owner takes the next handler.
    fn take(&self) -> Option<(usize, usize)> {
        // SAFETY: the models call this on the owner only.
        unsafe {
            let first = self.queue.first(|_| {});
            if first.is_null() {
                return None;
            }
            self.queue.take_first();
            Some(Handler::into_posted(first))
        }
    }

    /// The owner runs one handler. False: none was there, and the caller is the owner no longer.
    fn run_one(&self) -> bool {
        loop {
            if let Some(posted) = self.take() {
                self.log(posted);
                return true;
            }
            // SAFETY: the owner, and `first` has shown none.
            if unsafe { self.queue.leave() } {
                return false;
            }
        }
    }

    fn run_all(&self) {
        while self.run_one() {}
    }

    /// When all threads have been joined: everything ran, what one poster posted in its order.
    fn assert_ran(&self, posters: usize, each: usize) {
        let log = self.log.with(|log| {
            // SAFETY: all other threads are gone.
            unsafe { (*log).clone() }
        });
        assert_eq!(log.len(), posters * each, "handlers were lost");
        for poster in 0..posters {
            let numbers = log.iter().filter(|posted| posted.0 == poster);
            assert!(numbers.map(|posted| posted.1).eq(0..each), "out of order");
        }
    }
}

/// Posters, each of which runs the handlers if its post made it the owner.
pub(crate) fn posted(posters: usize, each: usize) {
    let strand = Strand::new();
    let post = move |strand: &Strand, poster| {
        for number in 0..each {
            if strand.post(poster, number) {
                strand.run_all();
            }
        }
    };
    let threads: Vec<_> = (1..posters)
        .map(|poster| {
            let strand = strand.clone();
            thread::spawn(move || post(&strand, poster))
        })
        .collect();
    post(&strand, 0);
    for thread in threads {
        thread.join().unwrap();
    }
    strand.assert_ran(posters, each);
}

/// A handler of the strand posts another to it, while somebody posts from outside and says so.
/// `asks`: who posts as the owner does is the owner.
pub(crate) fn posted_inside(asks: bool) {
    let strand = Strand::new();
    let said = Arc::new(AtomicBool::new(false));
    assert!(strand.post(0, 0));
    // The one that looks is spawned: see `main`.
    let worker = {
        let (strand, said) = (strand.clone(), said.clone());
        thread::spawn(move || {
            let first = strand.take();
            let heard = said.load(Ordering::Acquire);
            // SAFETY: a fresh link, freed when it is taken; the owner.
            unsafe { strand.queue.post_inside(Handler::link(0, 1), |_| {}) };
            if let Some(first) = first {
                strand.log(first);
            }
            strand.run_all();
            heard
        })
    };
    if asks {
        if strand.post(1, 0) {
            strand.run_all();
        }
    } else {
        // SAFETY: what the model is to find out.
        unsafe { strand.queue.post_inside(Handler::link(1, 0), |_| {}) };
    }
    said.store(true, Ordering::Release);
    let heard = worker.join().unwrap();
    let log = strand.log.with(|log| {
        // SAFETY: all other threads are gone.
        unsafe { (*log).clone() }
    });
    assert_eq!(log.len(), 3, "handlers were lost");
    let place = |posted| log.iter().position(|at| *at == posted);
    assert!(place((0, 0)) < place((0, 1)), "out of order");
    assert!(
        !heard || place((1, 0)) < place((0, 1)),
        "what was posted before came after"
    );
}

/// The first handler is run by one worker, which passes its turn on to another by a message. `bare`:
/// the message brings no order with it.
pub(crate) fn moved_between_workers(bare: bool) {
    let strand = Strand::new();
    let turn = Arc::new(AtomicBool::new(false));
    let (pass, take) = if bare {
        (Ordering::Relaxed, Ordering::Relaxed)
    } else {
        (Ordering::Release, Ordering::Acquire)
    };
    let worker = {
        let (strand, turn) = (strand.clone(), turn.clone());
        thread::spawn(move || {
            let has_turn = turn.load(take);
            if has_turn {
                strand.run_all();
            }
            has_turn
        })
    };
    let poster = {
        let strand = strand.clone();
        thread::spawn(move || {
            if strand.post(1, 0) {
                strand.run_all();
            }
        })
    };
    let owns = strand.post(0, 0);
    if owns {
        assert!(strand.run_one());
        turn.store(true, pass);
    }
    let taken = worker.join().unwrap();
    poster.join().unwrap();
    if owns && !taken {
        strand.run_all();
    }
    strand.assert_ran(2, 1);
}

/// A completion enters the idle strand, runs its handler there, and dispatches another inside it, while
/// somebody posts. `asks`: a dispatch runs inline only for who is inside.
pub(crate) fn entered(asks: bool) {
    let strand = Strand::new();
    let poster = {
        let strand = strand.clone();
        thread::spawn(move || {
            if strand.post(1, 0) {
                strand.run_all();
            }
        })
    };
    let mut inline = 0;
    let inside = strand.queue.enter();
    if inside || !asks {
        strand.log((0, 0));
        strand.log((0, 1));
        inline = 2;
    }
    if inside {
        // SAFETY: entered: the owner, and it knows of none.
        if !unsafe { strand.queue.leave() } {
            strand.run_all();
        }
    }
    poster.join().unwrap();
    let ran = strand.log.with(|log| {
        // SAFETY: all other threads are gone.
        unsafe { (*log).len() }
    });
    assert_eq!(ran, 1 + inline);
}

/// The worker is torn down with handlers queued: each is dropped once, also one that is posted
/// meanwhile. `goes_on`: until nothing is left, as it ships.
pub(crate) fn shut_down(goes_on: bool) {
    let strand = Strand::new();
    let refused = Arc::new(Mutex::new(0));
    let first = strand.post(0, 0);
    assert!(first);
    let poster = {
        let (strand, refused) = (strand.clone(), refused.clone());
        thread::spawn(move || {
            if strand.post(1, 0) {
                // The worker is gone: nobody would ever take the turn.
                while strand.run_one() {
                    *refused.lock().unwrap() += 1;
                }
            }
        })
    };
    let mut dropped = 0;
    while strand.run_one() {
        dropped += 1;
        if !goes_on {
            break;
        }
    }
    poster.join().unwrap();
    assert_eq!(dropped + *refused.lock().unwrap(), 2, "handlers were leaked");
}

/// The first of three handlers panics, and one is posted meanwhile: the strand's next turn runs the
/// others. `keeps`: what a panic leaves is given a next turn.
pub(crate) fn panics(keeps: bool) {
    let strand = Strand::new();
    assert!(strand.post(0, 0));
    assert!(!strand.post(0, 1));
    let poster = {
        let strand = strand.clone();
        thread::spawn(move || {
            if strand.post(1, 0) {
                strand.run_all();
            }
        })
    };
    // Taken out before it is called: a panic takes it along, and nothing else.
    let panicked = strand.take();
    assert_eq!(panicked, Some((0, 0)));
    if keeps {
        strand.run_all();
    }
    poster.join().unwrap();
    let ran = strand.log.with(|log| {
        // SAFETY: all other threads are gone.
        unsafe { (*log).len() }
    });
    assert_eq!(ran, 2, "those behind the panic were lost");
}
