//! Atomics.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

use super::{Script, shared};
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64};
use crate::sync::order::{self, Edge, drawn};

#[test]
fn a_check_then_act_is_broken_between_its_two_uses_and_an_update_is_not() {
    let counter = shared(AtomicU64::new(0));
    let add = || {
        counter.fetch_add(1, Relaxed);
    };
    let script = Script::default().at("AtomicU64::store", add);
    script.run(|| counter.store(counter.load(Relaxed) + 1, Relaxed));
    assert_eq!(counter.load(Relaxed), 1, "one of the two is lost");

    counter.store(0, Relaxed);
    let script = Script::default().at("AtomicU64::compare_exchange", add);
    let before = script.run(|| counter.fetch_update(Relaxed, Relaxed, |value| Some(value + 1)));
    assert_eq!((before, counter.load(Relaxed)), (Ok(1), 2));
    assert!(script.is_over());
}

#[test]
fn every_use_of_an_atomic_is_a_switch_point() {
    let (number, flag) = (AtomicU64::new(0), AtomicBool::new(false));
    let pointer = AtomicPtr::new(std::ptr::null_mut::<u8>());
    let script = Script::default();
    script.run(|| {
        number.store(1, SeqCst);
        number.swap(2, SeqCst);
        number.fetch_max(2, SeqCst);
        let _ = number.compare_exchange(2, 3, SeqCst, SeqCst);
        let _ = number.compare_exchange_weak(2, 3, SeqCst, SeqCst);
        flag.fetch_not(SeqCst);
        pointer.load(SeqCst);
    });
    assert_eq!(
        script.names(),
        [
            "AtomicU64::store",
            "AtomicU64::swap",
            "AtomicU64::fetch_max",
            "AtomicU64::compare_exchange",
            "AtomicU64::compare_exchange",
            "AtomicBool::fetch_xor",
            "AtomicPtr::load",
        ]
    );
}

#[test]
fn only_acquiring_and_releasing_uses_draw_edges() {
    let value = AtomicU64::new(0);
    let at = order::at(&value);
    let edges = |body: &dyn Fn()| {
        drawn::take();
        body();
        drawn::take()
            .into_iter()
            .map(|(edge, of)| {
                assert_eq!(of, at);
                edge
            })
            .collect::<Vec<_>>()
    };
    let exchange = |expected, success: Ordering, failure| {
        let result = value.compare_exchange(expected, 0, success, failure);
        assert_eq!(result.is_ok(), expected == 0);
    };
    use Edge::{Acquired, Released};
    Script::default().run(|| {
        assert_eq!(edges(&|| _ = value.load(Relaxed)), []);
        assert_eq!(edges(&|| _ = value.load(Acquire)), [Acquired]);
        assert_eq!(edges(&|| value.store(0, Relaxed)), []);
        assert_eq!(edges(&|| value.store(0, Release)), [Released]);
        assert_eq!(edges(&|| _ = value.fetch_add(0, Relaxed)), []);
        assert_eq!(edges(&|| _ = value.fetch_add(0, Release)), [Released]);
        assert_eq!(edges(&|| _ = value.swap(0, SeqCst)), [Acquired, Released]);
        assert_eq!(
            edges(&|| exchange(0, AcqRel, Relaxed)),
            [Acquired, Released]
        );
        assert_eq!(edges(&|| exchange(1, AcqRel, Relaxed)), []);
        assert_eq!(edges(&|| exchange(1, Relaxed, Acquire)), [Acquired]);
    });
    assert_eq!(
        edges(&|| value.store(0, SeqCst)),
        [],
        "none on a real kernel"
    );
}
