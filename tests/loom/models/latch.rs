//! Models of a value that belongs to a strand.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::latch::Latch;

/// Two threads want the value; a strand, played by a word, lets one in at a time. `asks`: whoever is
/// not inside is refused, as it ships.
pub(crate) fn lent(asks: bool) {
    let shared = Arc::new((Latch::new(0), AtomicBool::new(false)));
    let use_it = move |shared: &(Latch<u32, u32>, AtomicBool), place| {
        let (latch, busy) = shared;
        let enters =
            busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if enters.is_ok() || !asks {
            // SAFETY: what the model is to find out.
            let lent = unsafe { latch.with(place, |value| *value += 1) };
            assert_eq!(lent, Ok(()));
        }
        if enters.is_ok() {
            busy.store(false, Ordering::Release);
        }
    };
    let other = shared.clone();
    let thread = thread::spawn(move || use_it(&other, 1));
    use_it(&shared, 2);
    thread.join().unwrap();
}

/// Whoever has it asks for it again; then another thread uses it, after the first.
pub(crate) fn asked_for_again() {
    let latch = Arc::new(Latch::new(5));
    let done = Arc::new(AtomicBool::new(false));
    let thread = {
        let (latch, done) = (latch.clone(), done.clone());
        thread::spawn(move || {
            if done.load(Ordering::Acquire) {
                // SAFETY: what the model is to find out.
                let value = unsafe { latch.with(3, |value| *value) };
                assert_eq!(value, Ok(6));
            }
        })
    };
    // SAFETY: what the model is to find out.
    let inner = unsafe {
        latch.with(1, |value| {
            *value += 1;
            latch.with(2, |value| *value)
        })
    };
    assert_eq!(inner, Ok(Err(1)), "lent twice");
    done.store(true, Ordering::Release);
    thread.join().unwrap();
}
