//! Other threads. All on the real kernel: the simulated one belongs to a single thread.

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::{JoinError, Proactor, RunEnd, RunError, is_canceled};

use crate::kernels::{on_the_real_kernel, on_the_simulated_kernel};
use crate::tools::{Told, Watched, pair, room};

const LONG: Duration = Duration::from_secs(3600);

/// Waits for a future on a thread that runs no proactor.
fn wait<F: IntoFuture>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future.into_future());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park_timeout(Duration::from_secs(10));
    }
}

/// Runs the proactor while `body` runs on another thread.
fn meanwhile<T: Send>(proactor: &Proactor, body: impl FnOnce() -> T + Send) -> T {
    let guard = proactor.work_guard();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let _guard = guard;
            body()
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        other.join().unwrap()
    })
}

#[test]
fn run_on_a_second_thread_is_an_error_that_names_both() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let run = |name: &str| {
            thread::scope(|scope| {
                let builder = thread::Builder::new().name(name.to_owned());
                builder
                    .spawn_scoped(scope, || {
                        proactor.run().map_err(|error| (error.to_string(), error))
                    })
                    .unwrap()
                    .join()
                    .unwrap()
            })
        };
        proactor.run().unwrap();
        let (text, error) = run("the second one").unwrap_err();
        let mine = thread::current().name().unwrap().to_owned();
        let RunError::WrongThread { owner, caller } = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            (owner.as_str(), caller.as_str()),
            (mine.as_str(), "the second one")
        );
        assert!(
            text.contains(&mine) && text.contains("the second one"),
            "{text}"
        );
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn a_proactor_is_made_on_one_thread_and_run_on_another() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        proactor
            .sleep(Duration::from_millis(1))
            .then(move |_| tell.tell(thread::current().id()));
        let runner = thread::spawn(move || {
            proactor.run().unwrap();
            thread::current().id()
        });
        assert_eq!(runner.join().unwrap(), told.only());
    });
}

#[test]
fn posts_from_another_thread_wake_run_and_keep_their_order() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (tell, handle) = (told.clone(), proactor.handle());
        meanwhile(&proactor, move || {
            for number in 0..1_000 {
                let tell = tell.clone();
                handle.post(move || tell.tell(number));
            }
        });
        assert_eq!(told.take(), Vec::from_iter(0..1_000));
    });
}

#[test]
fn operations_are_started_and_heard_of_on_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let path = kernel.put("file", b"content");
        let handle = proactor.handle();
        meanwhile(&proactor, || {
            let (tell, told) = mpsc::channel();
            server.read(room(8)).then(move |(read, buf)| {
                tell.send((read.unwrap(), buf, thread::current().id()))
                    .unwrap()
            });
            assert_eq!(wait(client.write("hello")).0.unwrap(), 5);
            let (count, buf, on) = told.recv().unwrap();
            assert_eq!((count, &buf[..]), (5, &b"hello"[..]));
            assert_ne!(on, thread::current().id(), "handlers run on the worker");
            wait(handle.sleep(Duration::from_millis(1))).unwrap();
            let file = wait(File::open(&handle, &path)).unwrap();
            assert_eq!(wait(file.read_at(room(64), 0)).1, b"content");
            let listener = TcpListener::bind(&handle, "127.0.0.1:0").unwrap();
            let stream = wait(TcpStream::connect(&handle, listener.local_addr().unwrap())).unwrap();
            let (peer, _) = wait(listener.accept()).unwrap();
            drop(peer);
            assert_eq!(wait(stream.read(room(8))).0.unwrap(), 0);
            let error = wait(handle.sleep(LONG).timeout(Duration::from_millis(1))).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        });
        assert_eq!(proactor.stats().operations, 0);
        drop((client, server));
        proactor.run().unwrap();
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn cancels_from_another_thread_reach_their_operation() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let handle = proactor.handle();
        // Started here, cancelled there.
        let mut here = server.read(room(8));
        let cancel = proactor.block_on(async { here.cancel_handle() }).unwrap();
        meanwhile(&proactor, move || {
            cancel.cancel();
            // Started there, cancelled before and after it has come to the worker.
            for pause in [false, true] {
                let mut sleep = handle.sleep(LONG);
                let cancel = sleep.cancel_handle();
                if pause {
                    wait(handle.sleep(Duration::from_millis(1))).unwrap();
                }
                cancel.cancel();
                assert!(is_canceled(&wait(sleep).unwrap_err()));
                let (tell, told) = mpsc::channel();
                let cancel = handle
                    .sleep(LONG)
                    .then(move |slept| tell.send(slept).unwrap());
                if pause {
                    wait(handle.sleep(Duration::from_millis(1))).unwrap();
                }
                cancel.cancel();
                assert!(is_canceled(&told.recv().unwrap().unwrap_err()));
            }
        });
        assert!(is_canceled(
            &proactor.block_on(here).unwrap().0.unwrap_err()
        ));
    });
}

#[test]
fn futures_dropped_on_another_thread_are_cancelled() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(8);
        let (other, other_drops) = Watched::new(8);
        let mut here = server.read(buf);
        proactor
            .block_on(async { drop(here.cancel_handle()) })
            .unwrap();
        meanwhile(&proactor, || {
            drop(here);
            let mut there = server.read(other);
            there.cancel_handle();
            drop(there);
        });
        assert_eq!((drops.count(), other_drops.count()), (1, 1));
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn handles_dropped_and_closed_on_another_thread_close() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let ((one, one_far), (two, two_far)) = (pair(&proactor), pair(&proactor));
        let told = Told::nothing();
        let tell = told.clone();
        one.read(room(8))
            .then(move |(read, _)| tell.tell(is_canceled(&read.unwrap_err())));
        proactor.poll().unwrap();
        meanwhile(&proactor, || {
            drop(one);
            two.close();
            assert_eq!(wait(one_far.read(room(8))).0.unwrap(), 0);
            assert_eq!(wait(two_far.read(room(8))).0.unwrap(), 0);
            assert!(wait(two.read(room(8))).0.is_err());
        });
        assert!(told.only());
        assert_eq!(proactor.stats().objects, 2);
    });
}

#[test]
fn tasks_spawned_awaited_and_aborted_from_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        meanwhile(&proactor, || {
            assert_eq!(wait(handle.spawn(async { 5 })), Ok(5));
            let task = handle.spawn(async move { handle.sleep(LONG).await });
            task.abort();
            assert!(matches!(wait(task), Err(JoinError::Aborted)));
            let task = handle.spawn(async move { handle.sleep(LONG).await });
            wait(handle.sleep(Duration::from_millis(1))).unwrap();
            task.abort();
            assert!(matches!(wait(task), Err(JoinError::Aborted)));
        });
        assert_eq!(
            (proactor.stats().tasks, proactor.stats().operations),
            (0, 0)
        );
    });
}

#[test]
fn a_task_is_woken_from_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let waker: std::sync::Arc<std::sync::Mutex<(bool, Option<Waker>)>> =
            std::sync::Arc::default();
        let (theirs, ours) = (waker.clone(), waker);
        let task = proactor.spawn(std::future::poll_fn(move |cx| {
            let mut shared = ours.lock().unwrap();
            shared.1 = Some(cx.waker().clone());
            if shared.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(1));
        meanwhile(&proactor, || {
            let mut shared = theirs.lock().unwrap();
            shared.0 = true;
            shared.1.take().unwrap().wake();
        });
        assert!(task.is_finished());
    });
}

#[test]
fn a_future_started_on_the_worker_is_finished_on_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        for arrives_first in [true, false] {
            let mut read = server.read(room(8));
            proactor
                .block_on(async { drop(read.cancel_handle()) })
                .unwrap();
            let handle = proactor.handle();
            let client = &client;
            let buf = meanwhile(&proactor, move || {
                if arrives_first {
                    wait(client.write("hello")).0.unwrap();
                    wait(handle.sleep(Duration::from_millis(1))).unwrap();
                    return wait(read).1;
                }
                thread::scope(|scope| {
                    let reader = scope.spawn(|| wait(read).1);
                    wait(handle.sleep(Duration::from_millis(1))).unwrap();
                    wait(client.write("hello")).0.unwrap();
                    reader.join().unwrap()
                })
            });
            assert_eq!(buf, b"hello");
        }
    });
}

#[test]
fn a_future_started_on_another_thread_is_finished_on_the_worker() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let sleep = meanwhile(&proactor, move || {
            let mut sleep = handle.sleep(Duration::from_millis(2));
            sleep.cancel_handle();
            sleep
        });
        proactor.block_on(sleep).unwrap().unwrap();
    });
}

#[test]
fn stop_and_stats_and_dump_from_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        proactor.sleep(LONG).then(|_| {});
        let handle = proactor.handle();
        thread::scope(|scope| {
            scope.spawn(move || {
                wait(handle.sleep(Duration::from_millis(1))).unwrap();
                assert_eq!(handle.stats().operations, 1);
                assert!(handle.dump().contains("sleep"));
                handle.stop();
            });
            assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        });
    });
}

#[test]
fn a_proactor_whose_thread_has_ended_says_so_and_runs_nobody_elses_work() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        thread::scope(|scope| scope.spawn(|| proactor.run().unwrap()).join().unwrap());
        // What is made now may live where the dead one lived.
        let young = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        young.post(move || tell.tell(()));
        assert!(proactor.run().is_err());
        assert!(told.take().is_empty());
        drop(proactor);
        assert_eq!(young.run().unwrap(), RunEnd::OutOfWork);
        told.only();
    });
}

#[test]
fn a_storm_of_threads_loses_nothing() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let handle = proactor.handle();
        meanwhile(&proactor, || {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for number in 0..200 {
                            let tell = told.clone();
                            match number % 4 {
                                0 => handle.post(move || tell.tell(())),
                                1 => drop(handle.spawn(async move { tell.tell(()) })),
                                2 => {
                                    drop(handle.sleep(Duration::ZERO).then(move |_| tell.tell(())))
                                }
                                _ => {
                                    let cancel = handle.sleep(LONG).then(move |_| tell.tell(()));
                                    cancel.cancel();
                                }
                            }
                        }
                    });
                }
            });
        });
        assert_eq!(told.count(), 800);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_simulated_proactor_on_another_thread_than_its_worlds_is_an_error() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        proactor.run().unwrap();
        let error = thread::scope(|scope| {
            scope
                .spawn(|| proactor.run().unwrap_err().to_string())
                .join()
                .unwrap()
        });
        assert!(error.contains("belongs to thread"), "{error}");
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

/// The worker belongs to nobody yet, but its world does.
#[test]
fn a_simulated_proactor_first_run_on_another_thread_is_an_error() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        let error = thread::scope(|scope| {
            let other = scope.spawn(|| {
                let error = proactor.run().unwrap_err().to_string();
                drop(proactor);
                error
            });
            other.join().unwrap()
        });
        assert!(error.contains("belongs to thread"), "{error}");
    });
}
