//! Models of an output that is handed over.

use std::sync::Arc as StdArc;
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::handover::handover;

/// Tells when it is dropped; loom watches its content.
struct Output {
    content: UnsafeCell<u32>,
    drops: Arc<AtomicUsize>,
}

impl Drop for Output {
    fn drop(&mut self) {
        self.content.with_mut(|content| {
            // SAFETY: what the model is to find out.
            unsafe { *content += 1 };
        });
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// A waker that rings a bell.
struct Bell(Notify);

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.0.notify();
    }
}

/// The worker puts an output while another thread polls for it.
pub(crate) fn awaited() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (delivery, mut awaiting) = handover();
    let output = Output {
        content: UnsafeCell::new(7),
        drops: drops.clone(),
    };
    let worker = thread::spawn(move || delivery.put(output));
    let bell = StdArc::new(Bell(Notify::new()));
    let waker = Waker::from(bell.clone());
    let output = loop {
        if let Poll::Ready(output) = awaiting.poll(&Context::from_waker(&waker)) {
            break output.ok().unwrap();
        }
        bell.0.wait();
    };
    // SAFETY: what the model is to find out.
    output.content.with(|content| assert_eq!(unsafe { *content }, 7));
    drop(output);
    worker.join().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

/// The future is polled once and dropped while the worker puts the output, or drops the duty to.
pub(crate) fn abandoned(puts: bool) {
    let drops = Arc::new(AtomicUsize::new(0));
    let (delivery, mut awaiting) = handover();
    let output = Output {
        content: UnsafeCell::new(7),
        drops: drops.clone(),
    };
    let worker = thread::spawn(move || {
        if puts {
            delivery.put(output);
        } else {
            drop(output);
            drop(delivery);
        }
    });
    let waker = Waker::from(StdArc::new(Bell(Notify::new())));
    drop(awaiting.poll(&Context::from_waker(&waker)));
    drop(awaiting);
    worker.join().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1, "dropped so often");
}
