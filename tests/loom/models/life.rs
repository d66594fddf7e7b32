//! Models of a slot's life.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::life::{self, Life};

struct Slot {
    life: Life,
    payload: UnsafeCell<u32>,
    /// The kernel: what one worker submits another may reap, and sees what the first had written
    /// before (the indices of io_uring's rings and IOCP's queue are such).
    submitted: AtomicBool,
}

impl Slot {
    fn new() -> Arc<Slot> {
        Arc::new(Slot {
            life: Life::new(),
            payload: UnsafeCell::new(0),
            submitted: AtomicBool::new(false),
        })
    }
}

/// What a worker's dispatch does of a completion.
fn completes(life: &Life) -> bool {
    let waits = life.get() == life::PENDING;
    if waits {
        life.set(life::DONE);
    }
    waits
}

/// One worker starts an operation, another takes its completion. `in_order`: Pending before the kernel
/// has it, as it ships.
pub(crate) fn completed_elsewhere(in_order: bool) {
    let slot = Slot::new();
    let other = slot.clone();
    let reaper = thread::spawn(move || {
        if other.submitted.load(Ordering::Acquire) {
            assert!(completes(&other.life), "the completion was lost");
            other.payload.with(|payload| {
                // SAFETY: what the model is to find out.
                assert_eq!(unsafe { *payload }, 7);
            });
        }
    });
    slot.life.set(life::SUBMITTING);
    slot.payload.with_mut(|payload| {
        // SAFETY: what the model is to find out.
        unsafe { *payload = 7 };
    });
    if in_order {
        slot.life.set(life::PENDING);
        slot.submitted.store(true, Ordering::Release);
    } else {
        slot.submitted.store(true, Ordering::Release);
        slot.life.set(life::PENDING);
    }
    reaper.join().unwrap();
}

/// One worker takes what a slot holds and sets it free; the other uses it again.
pub(crate) fn used_again() {
    let slot = Slot::new();
    slot.life.set(life::PENDING);
    let other = slot.clone();
    let starts = thread::spawn(move || {
        if other.life.get() == life::FREE {
            other.payload.with_mut(|payload| {
                // SAFETY: what the model is to find out.
                unsafe { *payload = 8 };
            });
        }
    });
    assert!(slot.life.get() == life::PENDING);
    slot.payload.with_mut(|payload| {
        // SAFETY: what the model is to find out.
        unsafe { *payload = 0 };
    });
    slot.life.set(life::FREE);
    starts.join().unwrap();
}
