//! Models of a cancel from another thread.

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::started::Started;

/// The worker starts the operation, two others cancel it. Exactly one side knows of the other.
pub(crate) fn cancel_against_start() {
    let started = Arc::new(Started::new());
    let slot = Arc::new(UnsafeCell::new(0));
    let cancel = {
        let (started, slot) = (started.clone(), slot.clone());
        thread::spawn(move || {
            let target = started.cancel();
            if let Some(target) = target {
                assert_eq!(target, 9);
                // SAFETY: what the model is to find out.
                slot.with(|slot| assert_eq!(unsafe { *slot }, 1));
            }
            target.is_some()
        })
    };
    slot.with_mut(|slot| {
        // SAFETY: what the model is to find out.
        unsafe { *slot = 1 };
    });
    let starts = started.set(9);
    let again = started.cancel();
    let sent_after_it = cancel.join().unwrap();
    assert_eq!(starts, sent_after_it, "the cancel was lost, or hit twice");
    assert_eq!(starts, again.is_some());
}

/// The operation completes, its slot is used again, and a cancel that learnt the slot comes late, as a
/// message: it must not hit the slot's next operation (I6). `compares`: as it ships.
pub(crate) fn cancel_against_completion(compares: bool) {
    let started = Arc::new(Started::new());
    let generation = Arc::new(AtomicU64::new(9));
    let stopped = Arc::new(AtomicBool::new(false));
    let message = Arc::new(Mutex::new(None));
    let cancel = {
        let (started, message) = (started.clone(), message.clone());
        thread::spawn(move || {
            *message.lock().unwrap() = started.cancel();
        })
    };
    let stop = |own: u64| {
        let Some(first) = message.lock().unwrap().take() else {
            return;
        };
        if !compares || first == generation.load(Ordering::Relaxed) {
            assert_eq!(own, first, "the cancel hit another operation");
            stopped.store(true, Ordering::Relaxed);
        }
    };
    if started.set(9) {
        stop(9);
        // It is complete, and the slot begins another one.
        generation.store(10, Ordering::Relaxed);
        stop(10);
    }
    cancel.join().unwrap();
}
