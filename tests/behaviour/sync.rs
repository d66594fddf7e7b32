//! Locks, channels and atomics of `proactor::sync`: in tasks on every kernel, and between threads.

use std::future::Future;
use std::pin::pin;
use std::sync::Barrier;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use proactor::RunEnd;
use proactor::sync::atomic::{AtomicUsize, Ordering};
use proactor::sync::{Arc, Condvar, Mutex, Notify, RwLock, Semaphore, mpsc, oneshot};

use crate::kernels::{in_any_order, on_the_real_kernel};
use crate::tools::Told;

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_bounded_channel_carries_every_value_of_each_sender_in_order() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (sender, mut receiver) = mpsc::channel(2);
        for from in [0, 100] {
            let (sender, handle) = (sender.clone(), proactor.handle());
            drop(proactor.spawn(async move {
                for n in 0..6 {
                    if n == 3 {
                        handle.sleep(MS).await.unwrap();
                    }
                    sender.send(from + n).await.unwrap();
                }
            }));
        }
        drop(sender);
        let received = proactor.block_on(async {
            let mut received = Vec::new();
            while let Some(value) = receiver.recv().await {
                assert!(receiver.len() <= 2);
                received.push(value);
            }
            received
        });
        let (mut low, mut high): (Vec<_>, Vec<_>) = received
            .unwrap()
            .into_iter()
            .partition(|&value| value < 100);
        assert!(low.len() == 6 && low.is_sorted());
        assert!(high.len() == 6 && high.is_sorted());
        low.append(&mut high);
        assert!(low.is_sorted_by(|a, b| a < b));
    });
}

#[test]
fn a_task_answers_once_or_its_caller_hears_that_it_never_will() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let (answer, answered) = oneshot::channel();
        drop(proactor.spawn(async move {
            handle.sleep(MS).await.unwrap();
            answer.send("answer").unwrap();
        }));
        assert_eq!(proactor.block_on(answered).unwrap(), Ok("answer"));

        let handle = proactor.handle();
        let (answer, answered) = oneshot::channel::<&str>();
        let task = proactor.spawn(async move {
            handle.sleep(MS * 1_000).await.unwrap();
            let _ = answer.send("too late");
        });
        task.abort();
        assert_eq!(
            proactor.block_on(answered).unwrap(),
            Err(oneshot::RecvError)
        );
    });
}

#[test]
fn a_semaphore_lets_so_many_in_at_a_time() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let semaphore = Arc::new(Semaphore::new(2));
        let (inside, entered) = (Arc::new(AtomicUsize::new(0)), Told::nothing());
        for task in 0..6 {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            let (entered, handle) = (entered.clone(), proactor.handle());
            drop(proactor.spawn(async move {
                let _permit = semaphore.acquire().await.unwrap();
                assert!(inside.fetch_add(1, Ordering::Relaxed) < 2);
                entered.tell(task);
                handle.sleep(MS).await.unwrap();
                inside.fetch_sub(1, Ordering::Relaxed);
            }));
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(
            entered.take(),
            [0, 1, 2, 3, 4, 5],
            "first come, first served"
        );
        assert_eq!(semaphore.available_permits(), 2);
    });
}

#[test]
fn an_aborted_task_gives_its_place_and_its_permit_on() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let semaphore = Arc::new(Semaphore::new(0));
        let waits = |semaphore: Arc<Semaphore>| async move {
            semaphore.acquire().await.unwrap().forget();
        };
        let first = proactor.spawn(waits(semaphore.clone()));
        let second = proactor.spawn(waits(semaphore.clone()));
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(2));
        // The permit is the first's already when that is aborted.
        semaphore.add_permits(1);
        first.abort();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert!(second.is_finished());
        assert_eq!(semaphore.available_permits(), 0);
    });
}

#[test]
fn tasks_that_nobody_notifies_are_parked_and_go_on_once_somebody_does() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (notify, told) = (Arc::new(Notify::new()), Told::nothing());
        for task in 0..3 {
            let (notify, told) = (notify.clone(), told.clone());
            drop(proactor.spawn(async move {
                notify.notified().await;
                told.tell(task);
            }));
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(3));
        notify.notify_one();
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(2));
        assert_eq!(told.take(), [0]);
        notify.notify_waiters();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.count(), 2);
    });
}

#[test]
fn threads_wake_a_task() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (sender, mut receiver) = mpsc::channel(1);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for n in 0..200 {
                        wait_for(sender.send(n)).unwrap();
                    }
                })
            })
            .collect();
        drop(sender);
        let total = proactor.block_on(async {
            let mut total = 0;
            while let Some(n) = receiver.recv().await {
                total += n;
            }
            total
        });
        assert_eq!(total.unwrap(), 4 * (0..200).sum::<u32>());
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn threads_share_locks_and_atomics() {
    const THREADS: usize = 4;
    const TIMES: usize = 1_000;
    let (mutex, lock) = (Mutex::new(0), RwLock::new((0, 0)));
    let (atomic, start) = (AtomicUsize::new(0), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for _ in 0..TIMES {
                    *mutex.lock().unwrap() += 1;
                    let mut both = lock.write().unwrap();
                    both.0 += 1;
                    both.1 += 1;
                    drop(both);
                    let both = lock.read().unwrap();
                    assert_eq!(both.0, both.1);
                    atomic.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let all = THREADS * TIMES;
    assert_eq!(mutex.into_inner().unwrap(), all);
    assert_eq!(lock.into_inner().unwrap(), (all, all));
    assert_eq!(atomic.into_inner(), all);
}

#[test]
fn threads_take_turns_by_a_condition_variable() {
    const TURNS: usize = 1_000;
    let (turn, changed) = (Mutex::new(0), Condvar::new());
    std::thread::scope(|scope| {
        for me in 0..2 {
            let (turn, changed) = (&turn, &changed);
            scope.spawn(move || {
                for _ in 0..TURNS {
                    let not_mine = |turn: &mut usize| *turn % 2 != me;
                    *changed.wait_while(turn.lock().unwrap(), not_mine).unwrap() += 1;
                    changed.notify_all();
                }
            });
        }
    });
    assert_eq!(turn.into_inner().unwrap(), 2 * TURNS);
}

#[test]
fn threads_share_permits_and_lose_none_when_waits_are_dropped() {
    const THREADS: usize = 4;
    let (semaphore, inside) = (Semaphore::new(2), AtomicUsize::new(0));
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (semaphore, inside, start) = (&semaphore, &inside, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..500 {
                    if (n + thread) % 3 == 0 {
                        // Polled once and dropped, whatever it was given since.
                        let mut acquire = pin!(semaphore.acquire());
                        let _ = acquire
                            .as_mut()
                            .poll(&mut Context::from_waker(Waker::noop()));
                        continue;
                    }
                    let permit = wait_for(semaphore.acquire()).unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                }
            });
        }
    });
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn threads_take_turns_by_notifications() {
    const TURNS: usize = 500;
    let (ping, pong) = (Notify::new(), Notify::new());
    let value = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..TURNS {
                wait_for(ping.notified());
                assert_eq!(value.fetch_add(1, Ordering::Relaxed), 2 * turn);
                pong.notify_one();
            }
        });
        for turn in 0..TURNS {
            ping.notify_one();
            wait_for(pong.notified());
            assert_eq!(value.fetch_add(1, Ordering::Relaxed), 2 * turn + 1);
        }
    });
}

#[test]
fn a_poisoned_lock_says_so_as_std_does() {
    let (mutex, lock) = (Mutex::new(1), RwLock::new(1));
    let panics = std::panic::catch_unwind(|| {
        let _guards = (mutex.lock(), lock.write());
        crate::tools::panic_quietly("poison");
    });
    assert!(panics.is_err());
    assert!(mutex.is_poisoned() && lock.is_poisoned());
    assert_eq!(*mutex.lock().unwrap_err().into_inner(), 1);
    assert!(matches!(
        lock.try_read(),
        Err(proactor::sync::TryLockError::Poisoned(_))
    ));
    mutex.clear_poison();
    lock.clear_poison();
    assert!(mutex.lock().is_ok() && lock.into_inner().is_ok());
}

/// Any runtime will do: this one parks its thread.
fn wait_for<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}
