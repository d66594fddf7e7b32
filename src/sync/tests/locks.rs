//! Mutex, RwLock, Condvar.

use std::cell::RefCell;
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use super::{Script, Seen, shared};
use crate::sync::order::{self, Edge, drawn};
use crate::sync::{Condvar, Mutex, RwLock, RwLockWriteGuard, TryLockError};

/// Something that another worker holds until its turn comes.
fn held<G: 'static>(guard: G) -> (Rc<RefCell<Option<G>>>, impl FnOnce() + 'static) {
    let held = Rc::new(RefCell::new(Some(guard)));
    let mine = held.clone();
    (held, move || drop(mine.take()))
}

#[test]
fn a_lock_that_is_held_lets_the_holder_go_on() {
    let mutex = shared(Mutex::new(1));
    let script = Script::default();
    script.run(|| {
        let (_held, release) = held(mutex.lock().unwrap());
        let _ = script.clone().other(release);
        *mutex.lock().unwrap() += 1;
        let line = line!() - 1;
        assert!(script.is_over());
        let seen = script.seen();
        assert!(
            seen.contains(&(Seen::Point, "Mutex::lock", line)),
            "{seen:?}"
        );
        assert!(
            seen.contains(&(Seen::Block, "Mutex::lock", line)),
            "{seen:?}"
        );
    });
    assert_eq!(*mutex.lock().unwrap(), 2);
}

#[test]
fn a_lock_that_is_never_released_is_a_failure_that_names_both_places() {
    let mutex = Mutex::new(());
    let held = line!() + 2;
    let said = Script::default().run_to_panic(|| {
        let _guard = mutex.lock();
        drop(mutex.lock());
    });
    assert!(said.contains(&format!("locks.rs:{held}:")), "{said}");
    assert!(said.contains(&format!("locks.rs:{}:", held + 1)), "{said}");
    assert!(said.starts_with("Mutex::lock at "), "{said}");
    assert!(said.contains("deadlock"), "{said}");
}

#[test]
fn two_workers_that_wait_for_each_other_are_a_deadlock() {
    let (one, two) = (shared(Mutex::new(())), shared(Mutex::new(())));
    let said = Script::default()
        .at("Mutex::lock", || ())
        .at("Mutex::lock", || {
            let _two = two.lock();
            drop(one.lock());
        })
        .run_to_panic(|| {
            let _one = one.lock();
            drop(two.lock());
        });
    assert!(said.contains("Mutex::lock"), "{said}");
}

#[test]
fn a_lock_is_still_held_where_its_guard_is_dropped() {
    let mutex = shared(Mutex::new(()));
    let script = Script::default().at("MutexGuard::drop", || {
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    });
    script.run(|| drop(mutex.lock()));
    assert!(script.is_over());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_switch_point_that_unwinds_leaves_the_lock_free() {
    let mutex = shared(Mutex::new(()));
    let unwinds = || -> () { std::panic::resume_unwind(Box::new("drained".to_owned())) };
    let said = Script::default()
        .at("MutexGuard::drop", unwinds)
        .run_to_panic(|| drop(mutex.lock()));
    assert_eq!(said, "drained");
    Script::default().run(|| {
        // Poisoned, as by any panic with the lock held; and the simulation knows of no holder.
        assert!(mutex.lock().is_err());
        mutex.clear_poison();
        assert!(mutex.lock().is_ok());
    });
}

#[test]
fn a_guard_from_before_the_simulation_is_none_of_its_workers() {
    let mutex = Mutex::new(());
    let script = Script::default();
    let guard = mutex.lock();
    script.run(|| drop(guard));
    assert_eq!(script.names(), [""; 0]);
    // One that was used in a simulation before as well.
    script.run(|| drop(mutex.lock()));
    assert_eq!(script.names(), ["Mutex::lock", "MutexGuard::drop"]);
    let guard = mutex.lock();
    script.run(|| drop(guard));
    assert_eq!(script.names(), [""; 0]);
}

#[test]
fn nobody_switches_while_a_panic_unwinds() {
    let mutex = shared(Mutex::new(()));
    let script = Script::default();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        script.run(|| {
            let _guard = mutex.lock();
            std::panic::resume_unwind(Box::new(()));
        })
    }));
    assert!(ended.is_err() && mutex.is_poisoned());
    assert_eq!(script.names(), ["Mutex::lock"]);
}

#[test]
fn what_can_never_be_had_while_a_panic_unwinds_ends_the_process_and_says_why() {
    const CHILD: &str = "PROACTOR_TEST_LOCKS_WHILE_PANICKING";
    struct Locks<'a>(&'a Mutex<()>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            drop(self.0.lock());
        }
    }
    if std::env::var_os(CHILD).is_some() {
        let mutex = Mutex::new(());
        Script::default().run(|| {
            let guard = mutex.lock();
            let _locks = Locks(&mutex);
            std::mem::forget(guard);
            std::panic::resume_unwind(Box::new(()));
        });
        return;
    }
    let name = "sync::tests::locks::\
        what_can_never_be_had_while_a_panic_unwinds_ends_the_process_and_says_why";
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // An abort: a signal, or STATUS_STACK_BUFFER_OVERRUN, which is Windows' fast fail.
    let aborted = if cfg!(windows) {
        Some(0xc000_0409_u32.cast_signed())
    } else {
        None
    };
    assert_eq!(output.status.code(), aborted, "{said}");
    assert!(
        said.contains("Mutex::lock at ") && said.contains("while a panic"),
        "{said}"
    );
}

#[test]
fn a_lock_that_a_thread_outside_holds_is_waited_for() {
    let mutex = shared(Mutex::new(0));
    let (locked, is_locked) = channel();
    let (release, may_release) = channel();
    let thread = std::thread::spawn(move || {
        let mut guard = mutex.lock().unwrap();
        locked.send(()).unwrap();
        may_release.recv().unwrap();
        *guard = 1;
    });
    is_locked.recv().unwrap();
    let script = Script::default().at("Mutex::lock", move || release.send(()).unwrap());
    script.run(|| assert_eq!(*mutex.lock().unwrap(), 1));
    assert!(!script.seen().iter().any(|seen| seen.0 == Seen::Block));
    thread.join().unwrap();
}

#[test]
fn a_lock_that_another_simulation_holds_is_waited_for() {
    let mutex = shared(Mutex::new(()));
    let (locked, is_locked) = channel();
    let (release, may_release) = channel();
    let thread = std::thread::spawn(move || {
        Script::default().run(|| {
            let _guard = mutex.lock();
            locked.send(()).unwrap();
            may_release.recv().unwrap();
        });
    });
    is_locked.recv().unwrap();
    let script = Script::default();
    script.run(|| {
        assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
        assert!(!mutex.holders_are_ours());
    });
    release.send(()).unwrap();
    script.run(|| drop(mutex.lock()));
    assert!(!script.seen().iter().any(|seen| seen.0 == Seen::Block));
    thread.join().unwrap();
}

#[test]
fn writers_and_readers_of_a_lock_wait_for_each_other_and_readers_do_not() {
    let lock = shared(RwLock::new(1));
    let script = Script::default();
    script.run(|| {
        let ended = lock.read().unwrap();
        let (_held, release) = held(lock.read().unwrap());
        drop(ended);
        assert!(lock.try_write().is_err());
        let _ = script.clone().other(release);
        *lock.write().unwrap() += 1;
        assert!(script.is_over());

        let (_held, release) = held(lock.write().unwrap());
        assert!(lock.try_read().is_err());
        let _ = script.clone().other(release);
        assert_eq!(*lock.read().unwrap(), 2);
        assert!(script.is_over());

        let reader = RwLockWriteGuard::downgrade(lock.try_write().unwrap());
        assert_eq!(*reader + *lock.try_read().unwrap(), 4);
    });
    assert!(lock.try_write().is_ok());
}

#[test]
fn a_read_write_lock_that_is_never_released_is_a_failure() {
    let lock = RwLock::new(());
    for (call, body) in [
        (
            "RwLock::write",
            (|l| drop((l.read(), l.write()))) as fn(&RwLock<()>),
        ),
        ("RwLock::write", |l| drop((l.write(), l.write()))),
        ("RwLock::read", |l| drop((l.write(), l.read()))),
    ] {
        let said = Script::default().run_to_panic(|| body(&lock));
        assert!(said.starts_with(&format!("{call} at ")), "{said}");
        assert_eq!(said.matches("locks.rs:").count(), 2, "{said}");
        lock.clear_poison();
    }
}

#[test]
fn a_consumer_waits_until_the_producer_goes_on() {
    let (queue, arrived) = (shared(Mutex::new(Vec::new())), shared(Condvar::new()));
    let produce = |n| {
        move || {
            queue.lock().unwrap().push(n);
            arrived.notify_one();
        }
    };
    let script = Script::default().other(produce(1)).other(produce(2));
    script.run(|| {
        for n in [1, 2] {
            let mut guard = queue.lock().unwrap();
            while guard.is_empty() {
                guard = arrived.wait(guard).unwrap();
            }
            assert_eq!(guard.pop(), Some(n));
        }
        let full = arrived.wait_while(queue.lock().unwrap(), |queue| !queue.is_empty());
        assert!(full.unwrap().is_empty());
    });
    assert!(script.is_over());
}

#[test]
fn a_notification_wakes_who_waits_and_the_first_of_them() {
    let (mutex, changed) = (shared(Mutex::new(())), shared(Condvar::new()));
    let script = Script::default()
        .other(|| {
            // Waits second, so it is not the one who is notified.
            let waited = changed.wait_timeout(mutex.lock().unwrap(), Duration::MAX);
            assert!(waited.unwrap().1.timed_out());
        })
        .other(|| changed.notify_one());
    script.run(|| drop(changed.wait(mutex.lock().unwrap()).unwrap()));
    assert!(script.is_over());

    let script = Script::default()
        .other(|| drop(changed.wait(mutex.lock().unwrap()).unwrap()))
        .other(|| changed.notify_all())
        .other(|| changed.notify_one());
    script.run(|| {
        drop(changed.wait(mutex.lock().unwrap()).unwrap());
        // Who has given up takes no notification away.
        let (guard, _) = Script::default()
            .run(|| changed.wait_timeout(mutex.lock().unwrap(), Duration::MAX))
            .unwrap();
        drop(changed.wait(guard).unwrap());
    });
    assert!(script.is_over());
}

#[test]
fn a_wait_that_nobody_can_end_is_a_failure() {
    let (mutex, changed) = (Mutex::new(()), Condvar::new());
    let said = Script::default().run_to_panic(|| {
        // Too early.
        changed.notify_all();
        changed.wait(mutex.lock().unwrap()).map(drop)
    });
    assert!(
        said.starts_with("Condvar::wait at ") && said.contains("locks.rs"),
        "{said}"
    );
    assert!(mutex.try_lock().is_ok(), "the guard is gone");

    let said = Script::default().run_to_panic(|| {
        let mut guard = mutex.lock().unwrap();
        loop {
            guard = changed.wait_timeout(guard, Duration::MAX).unwrap().0;
        }
    });
    assert!(said.starts_with("Condvar::wait_timeout at "), "{said}");
}

#[test]
fn a_wait_with_a_timeout_ends_when_nobody_goes_on() {
    let (mutex, changed) = (Mutex::new(0), Condvar::new());
    Script::default().run(|| {
        let guard = mutex.lock().unwrap();
        let (mut guard, result) = changed.wait_timeout(guard, Duration::MAX).unwrap();
        assert!(result.timed_out());
        *guard += 1;
        let waited = changed.wait_timeout_while(guard, Duration::MAX, |value| *value == 1);
        let (mut guard, result) = waited.unwrap();
        assert!(result.timed_out());
        // As often as one likes, if others do something in between.
        for _ in 0..2_000 {
            changed.notify_one();
            guard = changed.wait_timeout(guard, Duration::MAX).unwrap().0;
        }
    });
}

#[test]
fn every_use_of_a_lock_is_a_switch_point() {
    let (mutex, lock, changed) = (Mutex::new(()), RwLock::new(()), Condvar::new());
    let script = Script::default();
    script.run(|| {
        drop(mutex.lock());
        drop(mutex.try_lock());
        drop(lock.read());
        drop(lock.write());
        drop(lock.try_read());
        drop(RwLockWriteGuard::downgrade(lock.try_write().unwrap()));
        changed.notify_one();
        changed.notify_all();
        drop(changed.wait_timeout(mutex.lock().unwrap(), Duration::MAX));
    });
    assert_eq!(
        script.names(),
        [
            "Mutex::lock",
            "MutexGuard::drop",
            "Mutex::try_lock",
            "MutexGuard::drop",
            "RwLock::read",
            "RwLockReadGuard::drop",
            "RwLock::write",
            "RwLockWriteGuard::drop",
            "RwLock::try_read",
            "RwLockReadGuard::drop",
            "RwLock::try_write",
            "RwLockWriteGuard::downgrade",
            "RwLockReadGuard::drop",
            "Condvar::notify_one",
            "Condvar::notify_all",
            "Mutex::lock",
            "MutexGuard::drop",
            "Condvar::wait_timeout",
            "MutexGuard::drop",
        ]
    );
}

#[test]
fn a_lock_orders_what_was_done_under_it_and_readers_do_not_order_each_other() {
    let (mutex, lock) = (Mutex::new(()), RwLock::new(()));
    Script::default().run(|| {
        drop(mutex.lock());
        let edges = drawn::take();
        assert_eq!(edges.len(), 2);
        assert_eq!((edges[0].0, edges[1].0), (Edge::Acquired, Edge::Released));
        assert_eq!(edges[0].1, edges[1].1);

        drop(lock.write());
        let at = drawn::take()[0].1;
        drop(lock.read());
        assert_eq!(
            drawn::take(),
            [(Edge::Acquired, at), (Edge::Released, at + 1)]
        );
        drop(lock.write());
        assert_eq!(
            drawn::take(),
            [
                (Edge::Acquired, at),
                (Edge::Acquired, at + 1),
                (Edge::Released, at)
            ]
        );
        let reader = RwLockWriteGuard::downgrade(lock.write().unwrap());
        assert_eq!(drawn::take().last(), Some(&(Edge::Released, at)));
        drop(reader);
        assert_eq!(drawn::take(), [(Edge::Released, at + 1)]);
    });
    drop(mutex.lock());
    assert_eq!(drawn::take(), [], "none on a real kernel");
    let changed = Condvar::new();
    Script::default().run(|| {
        changed.notify_all();
        assert_eq!(drawn::take(), [(Edge::Released, order::at(&changed))]);
    });
}
