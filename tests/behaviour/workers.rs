//! Several workers: who runs what, when a run is over, and that nothing of it is lost.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use proactor::net::{ListenOptions, TcpListener, TcpStream};
use proactor::{Proactor, RunEnd, RunError, compose};

use crate::kernels::with_workers;
use crate::tools::{panic_quietly, room};

/// The name of the thread that this is called on.
fn here() -> String {
    thread::current().name().unwrap_or("?").to_owned()
}

/// Where a handler posted to the worker runs.
fn thread_of(proactor: &Proactor, worker: usize) -> thread::ThreadId {
    let (tell, told) = mpsc::channel();
    let worker = proactor.worker(worker).unwrap();
    worker.post(move || tell.send(thread::current().id()).unwrap());
    proactor.run().unwrap();
    told.recv().unwrap()
}

#[test]
fn run_drives_all_workers_each_on_one_thread_for_good() {
    with_workers(3, |kernel| {
        let proactor = kernel.proactor();
        assert_eq!(proactor.workers(), 3);
        let first: Vec<_> = (0..3).map(|worker| thread_of(&proactor, worker)).collect();
        assert_eq!(first[0], thread::current().id());
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 3);
        let again: Vec<_> = (0..3).map(|worker| thread_of(&proactor, worker)).collect();
        assert_eq!(again, first);
        assert!(proactor.worker(3).is_none());
    });
}

#[test]
fn posts_from_outside_go_to_each_worker_in_turn_and_from_a_handler_stay() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let ran = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..4 {
            let (ran, handle) = (ran.clone(), proactor.handle());
            proactor.post(move || {
                let outer = here();
                handle.post(move || ran.lock().unwrap().push((outer, here())));
            });
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let ran = ran.lock().unwrap();
        assert!(ran.iter().all(|(outer, inner)| outer == inner));
        let threads: HashSet<_> = ran.iter().map(|(outer, _)| outer).collect();
        assert_eq!((ran.len(), threads.len()), (4, 2));
    });
}

#[test]
fn what_bounces_between_workers_keeps_all_of_them_running_until_it_ends() {
    with_workers(2, |kernel| {
        fn bounce(proactor: proactor::Handle, left: usize, count: Arc<AtomicUsize>) {
            let Some(left) = left.checked_sub(1) else {
                return;
            };
            let next = proactor.worker(left % 2).unwrap();
            next.post(move || {
                count.fetch_add(1, Ordering::Relaxed);
                bounce(proactor, left, count);
            });
        }
        for hops in [1, 2, 3, 10_000] {
            let proactor = kernel.proactor();
            let count = Arc::new(AtomicUsize::new(0));
            bounce(proactor.handle(), hops, count.clone());
            assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
            assert_eq!(count.load(Ordering::Relaxed), hops);
        }
    });
}

#[test]
fn accepted_connections_are_at_home_with_each_worker_in_turn() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, told) = mpsc::channel();
        let handle = proactor.handle();
        drop(proactor.spawn(async move {
            for _ in 0..4 {
                let (stream, _) = listener.accept().await.unwrap();
                let tell = tell.clone();
                drop(stream.handle().spawn(async move {
                    let (read, mut buf) = stream.read(room(8)).await;
                    buf.truncate(read.unwrap());
                    compose::write_all(&stream, buf).await.0.unwrap();
                    tell.send(here()).unwrap();
                }));
            }
        }));
        let echoed = proactor
            .block_on(async move {
                let mut echoed = Vec::new();
                for number in 0..4_u8 {
                    let stream = TcpStream::connect(&handle, addr).await.unwrap();
                    stream.write(vec![number]).await.0.unwrap();
                    let (read, buf) = stream.read(room(8)).await;
                    assert_eq!(read.unwrap(), 1);
                    echoed.extend(buf);
                }
                echoed
            })
            .unwrap();
        assert_eq!(echoed, [0, 1, 2, 3]);
        proactor.run().unwrap();
        let threads: Vec<_> = told.try_iter().collect();
        assert_eq!(threads.len(), 4);
        assert_eq!(threads.iter().collect::<HashSet<_>>().len(), 2);
    });
}

#[test]
fn a_sharded_listener_keeps_what_it_accepts() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let second = proactor.worker(1).unwrap();
        let options = ListenOptions::new().sharded(true);
        let listener = options.bind(&second, "127.0.0.1:0");
        if kernel.is_windows() {
            // It shares its address with others, which can't be had.
            assert_eq!(
                listener.unwrap_err().kind(),
                std::io::ErrorKind::Unsupported
            );
            return;
        }
        let listener = listener.unwrap();
        // Another one at the same address, as each worker would have.
        let first = proactor.worker(0).unwrap();
        let other = options
            .bind(&first, listener.local_addr().unwrap())
            .unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(addr, other.local_addr().unwrap());
        drop(other);
        // Closed by its own worker: a connection that the kernel still gave to it would be reset.
        proactor.run().unwrap();
        let (tell, told) = mpsc::channel();
        for _ in 0..2 {
            let tell = tell.clone();
            listener.accept().then(move |accepted| {
                let (stream, _) = accepted.unwrap();
                let accepted_on = here();
                stream.read(room(1)).then(move |_| {
                    tell.send((accepted_on, here())).unwrap();
                });
            });
        }
        proactor
            .block_on(async {
                for _ in 0..2 {
                    let client = TcpStream::connect(&proactor, addr).await.unwrap();
                    client.write("x").await.0.unwrap();
                }
            })
            .unwrap();
        proactor.run().unwrap();
        let told: Vec<_> = told.try_iter().collect();
        assert_eq!(told.len(), 2);
        for (accepted_on, read_on) in told {
            assert_eq!(
                (accepted_on.as_str(), read_on.as_str()),
                ("proactor-worker-1", "proactor-worker-1")
            );
        }
    });
}

#[test]
fn a_panic_on_any_worker_resumes_on_the_caller_of_run_and_nothing_else_is_lost() {
    with_workers(2, |kernel| {
        for worker in 0..2 {
            let proactor = kernel.proactor();
            let ran = Arc::new(AtomicUsize::new(0));
            let bad = proactor.worker(worker).unwrap();
            bad.post(|| panic_quietly("on a worker"));
            for target in 0..2 {
                let ran = ran.clone();
                let target = proactor.worker(target).unwrap();
                target.post(move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| proactor.run()));
            let payload = caught.unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"on a worker"));
            assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
            assert_eq!(ran.load(Ordering::Relaxed), 2);
        }
    });
}

#[test]
fn stop_reaches_all_workers_and_restart_as_well() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        for worker in 0..2 {
            let worker = proactor.worker(worker).unwrap();
            drop(worker.sleep(Duration::from_secs(3600)).then(|_| {}));
        }
        let handle = proactor.handle();
        proactor.worker(1).unwrap().post(move || handle.stop());
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert_eq!(proactor.stats().operations, 2);
        proactor.restart();
        assert_eq!(proactor.run_for(Duration::from_millis(1)).unwrap(), 0);
    });
}

#[test]
fn parked_tasks_are_counted_over_all_workers() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        for worker in [0, 1, 1] {
            drop(
                proactor
                    .worker(worker)
                    .unwrap()
                    .spawn(std::future::pending::<()>()),
            );
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(3));
        assert_eq!(proactor.stats().tasks, 3);
        assert!(
            proactor.dump().contains("worker 1:\n  2 tasks"),
            "{}",
            proactor.dump()
        );
    });
}

#[test]
fn people_bring_threads_and_all_come_back_together() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let ran = Arc::new(Mutex::new(HashSet::new()));
        for worker in 0..2 {
            let ran = ran.clone();
            let worker = proactor.worker(worker).unwrap();
            worker.post(move || {
                ran.lock().unwrap().insert(thread::current().id());
            });
        }
        // Holds the run until both are there.
        let guard = proactor.work_guard();
        thread::scope(|scope| {
            let one = scope.spawn(|| proactor.run_worker().unwrap());
            let two = scope.spawn(|| proactor.run_worker().unwrap());
            while ran.lock().unwrap().len() < 2 {
                thread::yield_now();
            }
            assert!(matches!(
                proactor.run_worker().unwrap_err(),
                RunError::NoWorkerLeft { workers: 2 }
            ));
            drop(guard);
            assert_eq!(one.join().unwrap(), RunEnd::OutOfWork);
            assert_eq!(two.join().unwrap(), RunEnd::OutOfWork);
        });
    });
}

#[test]
fn a_thread_that_comes_when_another_has_ended_gets_a_worker_that_lives() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        proactor.worker(0).unwrap().post(|| {});
        thread::scope(|scope| {
            let first = scope.spawn(|| proactor.run_worker().unwrap());
            assert_eq!(first.join().unwrap(), RunEnd::OutOfWork);
        });
        assert_eq!(proactor.run_worker().unwrap(), RunEnd::OutOfWork);
        thread::scope(|scope| {
            let third = scope.spawn(|| proactor.run_worker().unwrap_err());
            let error = third.join().unwrap();
            assert!(matches!(error, RunError::NoWorkerLeft { workers: 2 }));
        });
    });
}

#[test]
fn work_for_a_worker_that_nobody_runs_is_reported_by_name() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        proactor.worker(1).unwrap().post(|| {});
        let error = proactor.run_worker().unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RunError::Unserved(_)), "{text}");
        assert!(
            text.contains("worker 1:") && text.contains("run_worker"),
            "{text}"
        );
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_worker_that_was_only_told_to_look_up_has_no_work() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        drop(proactor.work_guard());
        assert_eq!(proactor.run_worker().unwrap(), RunEnd::OutOfWork);
        proactor.stop();
        proactor.restart();
        assert_eq!(proactor.run_worker().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_panic_under_run_worker_stops_the_others() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let guard = proactor.work_guard();
        thread::scope(|scope| {
            let ends: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| proactor.run_worker()))
                .collect();
            proactor
                .worker(1)
                .unwrap()
                .post(|| panic_quietly("one of them"));
            let ends: Vec<_> = ends
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect();
            assert_eq!(ends.iter().filter(|end| end.is_err()).count(), 1);
            assert!(
                ends.iter()
                    .any(|end| matches!(end, Ok(Ok(RunEnd::Stopped))))
            );
        });
        drop(guard);
    });
}

#[test]
fn a_thread_that_comes_after_a_panic_is_told_once() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let guard = proactor.work_guard();
        let first = proactor.worker(0).unwrap();
        first.post(|| panic_quietly("before the other has come"));
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let panic = catch_unwind(AssertUnwindSafe(|| proactor.run_worker()));
                tell.send(panic.is_err()).unwrap();
                // It knows: it goes on at once, until the guard is dropped.
                proactor.run_worker().unwrap()
            });
            assert!(told.recv().unwrap());
            assert_eq!(proactor.run_worker().unwrap(), RunEnd::Stopped);
            drop(guard);
            assert_eq!(proactor.run_worker().unwrap(), RunEnd::OutOfWork);
            assert_eq!(first.join().unwrap(), RunEnd::OutOfWork);
        });
    });
}

#[test]
fn a_proactor_dropped_with_operations_on_all_workers_ends_them() {
    with_workers(3, |kernel| {
        let proactor = kernel.proactor();
        let dropped = Arc::new(());
        for worker in 0..3 {
            let worker = proactor.worker(worker).unwrap();
            let kept = dropped.clone();
            worker
                .sleep(Duration::from_secs(3600))
                .then(move |_| drop(kept));
            let listener = TcpListener::bind(&worker, "127.0.0.1:0").unwrap();
            let kept = dropped.clone();
            listener.accept().then(move |_| drop((kept, listener)));
        }
        proactor.run_for(Duration::from_millis(1)).unwrap();
        assert_eq!(proactor.stats().operations, 6);
        drop(proactor);
        assert_eq!(Arc::strong_count(&dropped), 1);
    });
}

#[test]
fn no_workers_or_more_than_operations_are_refused() {
    for (workers, operations) in [(0, 8), (9, 8)] {
        let error = Proactor::builder()
            .workers(workers)
            .max_operations(operations)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains(&format!("workers({workers})")),
            "{error}"
        );
    }
}

#[test]
fn a_driven_proactor_runs_all_workers_and_finds_the_end() {
    with_workers(2, |kernel| {
        let proactor = kernel.proactor();
        let (tell, told) = mpsc::channel();
        for worker in [1, 0, 1] {
            let (tell, handle) = (tell.clone(), proactor.worker(worker).unwrap());
            handle
                .sleep(Duration::from_millis(1))
                .then(move |_| tell.send(here()).unwrap());
        }
        let end = futures_block_on(proactor.drive());
        assert_eq!(end.unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.try_iter().count(), 3);
    });
}

/// The smallest executor there is.
fn futures_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut cx = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        thread::park();
    }
}
