//! Work that would hold up a worker: `offload`, on a pool of threads or decided by a simulated kernel.
//!
//! On the real kernel a job waits for a word of the test where the test needs it under way; on a
//! simulated one it can't wait (it runs on the simulated worker) and need not.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use proactor::check::Checker;
use proactor::{Handle, OffloadError, RunEnd, RunError, is_canceled};

use crate::kernels::{Kernel, in_any_order, on_every_kernel, on_the_real_kernel};
use crate::tools::{Told, panic_quietly};

const LONG: Duration = Duration::from_secs(3600);

/// Something that tells when it is dropped, and where.
struct Dropped(Told<Where>);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Where {
    /// On a thread of the pool.
    Pool,
    /// On a worker, or wherever it never was under way.
    Elsewhere,
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let thread = thread::current();
        let name = thread.name().unwrap_or("");
        self.0.tell(match name.starts_with("proactor-offload") {
            true => Where::Pool,
            false => Where::Elsewhere,
        });
    }
}

/// What holds a job up on the real kernel until the sender speaks, or is gone.
fn gate(kernel: &Kernel) -> (Sender<()>, impl FnOnce() + Send + use<>) {
    let (open, wait): (Sender<()>, Receiver<()>) = channel();
    let simulated = kernel.is_simulated();
    (open, move || {
        if !simulated {
            let _ = wait.recv();
        }
    })
}

#[test]
fn the_result_comes_to_a_handler_and_to_whoever_awaits() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        let value = String::from("lent");
        proactor
            .offload(move || value + " and back")
            .then(move |result| tell.tell(result.unwrap()));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.only(), "lent and back");
        let awaited = proactor.block_on(proactor.offload(|| 6 * 7)).unwrap();
        assert_eq!(awaited.unwrap(), 42);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn it_runs_on_a_named_thread_of_the_pool_and_in_a_simulation_on_no_other_thread() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let here = thread::current().id();
        let where_it_ran = proactor.offload(|| {
            let thread = thread::current();
            (thread.id(), thread.name().map(str::to_owned))
        });
        let (id, name) = proactor.block_on(where_it_ran).unwrap().unwrap();
        assert_eq!(id == here, kernel.is_simulated());
        if !kernel.is_simulated() {
            assert_eq!(name.unwrap(), "proactor-offload-1");
        }
    });
}

#[test]
fn a_panic_is_an_error_with_its_message_and_harms_nothing_else() {
    in_any_order(|kernel| {
        let proactor = kernel.builder().offload_threads(1).build().unwrap();
        proactor
            .block_on(async {
                let lost = proactor.offload(|| -> u8 { panic_quietly("out of luck") });
                let error = lost.await.unwrap_err();
                let why = OffloadError::in_error(&error).unwrap();
                assert!(
                    matches!(why, OffloadError::Panicked { message } if message == "out of luck")
                );
                assert!(error.to_string().contains("out of luck"), "{error}");
                let formatted = proactor.offload(|| {
                    let text: Box<dyn std::any::Any + Send> = Box::new(format!("{} of {}", 1, 2));
                    std::panic::resume_unwind(text)
                });
                let result: std::io::Result<()> = formatted.await;
                let error = result.unwrap_err();
                assert!(error.to_string().contains("1 of 2"), "{error}");
                // The only thread there is has survived.
                assert_eq!(proactor.offload(|| 1).await.unwrap(), 1);
            })
            .unwrap();
    });
}

#[test]
fn one_thread_runs_jobs_in_the_order_in_which_they_came() {
    in_any_order(|kernel| {
        let proactor = kernel.builder().offload_threads(1).build().unwrap();
        let told = Told::nothing();
        let first = proactor.worker(0).unwrap();
        for number in 0..20 {
            let tell = told.clone();
            first
                .offload(move || tell.tell(number))
                .then(|result| result.unwrap());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn what_the_pool_does_not_take_ends_with_an_error_that_says_so() {
    in_any_order(|kernel| {
        let builder = kernel.builder().offload_threads(2).offload_queue(3);
        let proactor = builder.build().unwrap();
        let (ran, refused, dropped) = (Told::nothing(), Told::nothing(), Told::nothing());
        let (first, second) = (gate(kernel), gate(kernel));
        let mut gates = vec![
            Box::new(first.1) as Box<dyn FnOnce() + Send>,
            Box::new(second.1),
        ];
        let (tell_ran, tell_refused, handle) = (ran.clone(), refused.clone(), proactor.handle());
        let (guard, stats) = (dropped.clone(), Told::nothing());
        let tell_stats = stats.clone();
        proactor.post(move || {
            for number in 0..7 {
                let (tell, wait) = (tell_ran.clone(), gates.pop());
                let (guard, tell_refused) = (Dropped(guard.clone()), tell_refused.clone());
                let job = handle.offload(move || {
                    let _guard = guard;
                    if let Some(wait) = wait {
                        wait();
                    }
                    tell.tell(number);
                });
                job.then(move |result| {
                    if let Err(error) = result {
                        tell_refused.tell((number, error));
                    }
                });
            }
            let now = handle.stats();
            tell_stats.tell(now.offloaded_running + now.offloaded_waiting);
            drop((first.0, second.0));
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(stats.only(), 5);
        assert_eq!(dropped.count(), 7, "what was not run is dropped");
        assert_eq!(
            ran.take().into_iter().collect::<BTreeSet<_>>(),
            (0..5).collect()
        );
        for (place, (number, error)) in refused.take().into_iter().enumerate() {
            assert_eq!(number, 5 + place);
            assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
            let why = OffloadError::in_error(&error);
            assert_eq!(
                why,
                Some(&OffloadError::Full {
                    threads: 2,
                    queue: 3
                })
            );
            assert!(error.to_string().contains("offload_queue"), "{error}");
        }
        let stats = proactor.stats();
        assert_eq!((stats.offloaded_running, stats.offloaded_waiting), (0, 0));
    });
}

/// Room is there again before anybody hears that it is.
#[test]
fn whoever_hears_of_an_end_can_offload_again() {
    in_any_order(|kernel| {
        fn again(handle: Handle, left: u32, told: Told<u32>) {
            handle
                .offload(move || left)
                .then(move |left| match left.unwrap() {
                    0 => told.tell(0),
                    left => {
                        again(handle, left - 1, told.clone());
                        again_once(handle, told);
                    }
                });
        }
        fn again_once(handle: Handle, told: Told<u32>) {
            handle.offload(|| ()).then(move |done| match done {
                Ok(()) => {}
                Err(error) => told.tell(error.to_string().len() as u32),
            });
        }
        let builder = kernel.builder().offload_threads(1).offload_queue(1);
        let proactor = builder.build().unwrap();
        let told = Told::nothing();
        again(proactor.handle(), 0, told.clone());
        proactor.run().unwrap();
        assert_eq!(told.only(), 0);
        // Two places, never more than two jobs.
        let (handle, tell) = (proactor.handle(), told.clone());
        let rounds = proactor.spawn(async move {
            for _ in 0..50 {
                let (mut one, two) = (handle.offload(|| 1), handle.offload(|| 2));
                one.cancel_handle();
                assert_eq!((two.await.unwrap(), one.await.unwrap()), (2, 1));
            }
            tell.tell(1);
        });
        proactor.block_on(rounds).unwrap().unwrap();
        assert_eq!(told.only(), 1);
    });
}

#[test]
fn a_cancel_before_the_start_means_that_it_never_runs() {
    in_any_order(|kernel| {
        let proactor = kernel.builder().offload_threads(1).build().unwrap();
        let (told, dropped, ran) = (
            Told::nothing(),
            Told::nothing(),
            Arc::new(AtomicBool::new(false)),
        );
        let (open, wait) = gate(kernel);
        let (handle, tell, also) = (proactor.handle(), told.clone(), ran.clone());
        let guard = Dropped(dropped.clone());
        proactor.post(move || {
            handle.offload(wait).then(|done| done.unwrap());
            let second = handle.offload(move || {
                let _guard = guard;
                also.store(true, Ordering::SeqCst);
            });
            let cancel = second.then(move |result| tell.tell(result.unwrap_err()));
            cancel.cancel();
            drop(open);
        });
        proactor.run().unwrap();
        assert!(is_canceled(&told.only()));
        assert!(!ran.load(Ordering::SeqCst));
        assert_eq!(dropped.only(), Where::Elsewhere);
    });
}

#[test]
fn a_cancel_or_a_timeout_after_the_start_changes_nothing() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let cancel = Arc::new(Mutex::new(None::<proactor::Cancel>));
        let told = Told::nothing();
        let (tell, its_own) = (told.clone(), cancel.clone());
        let handle = proactor.handle();
        proactor.post(move || {
            let job = handle.offload({
                let its_own = its_own.clone();
                move || {
                    // It has begun, whatever the kernel is.
                    if let Some(cancel) = its_own.lock().unwrap().take() {
                        cancel.cancel();
                    }
                    "true outcome"
                }
            });
            let mut its_own = its_own.lock().unwrap();
            *its_own = Some(job.then(move |result| tell.tell(result.unwrap())));
        });
        proactor.run().unwrap();
        assert_eq!(told.only(), "true outcome");
    });
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (begun, has_begun) = channel();
        let (open, wait) = gate(kernel);
        let job = proactor.offload(move || {
            begun.send(()).unwrap();
            wait();
            "true outcome"
        });
        let mut job = job.timeout(Duration::from_millis(1));
        let result = proactor.block_on(async {
            let cancel = job.cancel_handle();
            has_begun.recv().unwrap();
            // Its timeout is over, and a cancel comes too.
            proactor.sleep(Duration::from_millis(2)).await.unwrap();
            cancel.cancel();
            proactor.sleep(Duration::ZERO).await.unwrap();
            open.send(()).unwrap();
            job.await
        });
        assert_eq!(result.unwrap().unwrap(), "true outcome");
    });
}

#[test]
fn a_timeout_before_the_start_is_a_timeout() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().offload_threads(1).build().unwrap();
        let (open, wait) = gate(kernel);
        let told = Told::nothing();
        let (handle, tell) = (proactor.handle(), told.clone());
        let simulated = kernel.is_simulated();
        proactor.post(move || {
            handle
                .offload(move || {
                    wait();
                    // In a simulation the time that it takes is declared.
                    proactor::check::busy(Duration::from_millis(5));
                })
                .then(|done| done.unwrap());
            let late = handle.offload(|| panic_quietly("it never runs"));
            late.timeout(Duration::from_millis(1))
                .then(move |result: std::io::Result<()>| {
                    tell.tell(result.unwrap_err().kind());
                    drop(open);
                });
        });
        proactor.run().unwrap();
        assert_eq!(told.only(), ErrorKind::TimedOut);
        assert!(!simulated || proactor.now().since_start() >= Duration::from_millis(5));
    });
}

#[test]
fn the_result_of_a_dropped_future_is_dropped_on_the_worker() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        type Future = std::pin::Pin<Box<dyn std::future::Future<Output = ()> + Send>>;
        let future = Arc::new(Mutex::new(None::<Future>));
        let (dropped, its_own) = (Told::nothing(), future.clone());
        let result = Dropped(dropped.clone());
        let job = proactor.offload(move || {
            // It has begun: nobody will hear of it.
            drop(its_own.lock().unwrap().take());
            result
        });
        let mut job: Future = Box::pin(async move { drop(job.await) });
        *future.lock().unwrap() = Some(Box::pin(std::future::ready(())));
        let handle = future.clone();
        proactor.post(move || {
            // Polled once and put where the job finds it, before it can begin to look.
            let mut place = handle.lock().unwrap();
            let mut cx = Context::from_waker(Waker::noop());
            if job.as_mut().poll(&mut cx).is_pending() {
                *place = Some(job);
            }
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        drop(future.lock().unwrap().take());
        assert_eq!(dropped.only(), Where::Elsewhere);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_teardown_waits_for_what_runs_and_drops_what_does_not() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().offload_threads(1).build().unwrap();
        let (told, dropped) = (Told::nothing(), Told::nothing());
        let (open, wait) = gate(kernel);
        let (begun, has_begun) = channel();
        let (result, waiting) = (Dropped(dropped.clone()), Dropped(dropped.clone()));
        // Of several workers `poll` runs the first.
        let first = proactor.worker(0).unwrap();
        let job = first.offload(move || {
            let _ = begun.send(());
            wait();
            result
        });
        let tell = told.clone();
        job.then(move |_| tell.tell("a handler"));
        let tell = told.clone();
        first
            .offload(move || drop(waiting))
            .then(move |_| tell.tell("a handler"));
        // Dropped by the teardown, after which the job comes to its end.
        first.sleep(LONG).then(move |_| drop(open));
        first.post(|| ());
        if !kernel.is_simulated() {
            proactor.poll().unwrap();
            has_begun.recv().unwrap();
        }
        drop(proactor);
        assert!(told.take().is_empty(), "handlers are dropped uninvoked");
        assert_eq!(dropped.take(), [Where::Elsewhere; 2]);
    });
}

#[test]
fn after_the_end_of_the_proactor_it_is_an_error() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let dropped = Told::nothing();
        drop(proactor);
        let (awaited, guard) = (Dropped(dropped.clone()), Dropped(dropped.clone()));
        let mut late = std::pin::pin!(handle.offload(move || drop(awaited)).into_future());
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(result) = late.as_mut().poll(&mut cx) else {
            panic!("nobody will ever wake it")
        };
        assert_eq!(result.unwrap_err().kind(), ErrorKind::NotConnected);
        handle
            .offload(move || drop(guard))
            .then(|_| panic!("it can't be called"));
        assert_eq!(dropped.count(), 2);
    });
}

#[test]
fn after_stop_it_is_an_error_that_says_so() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (handle, tell) = (proactor.handle(), told.clone());
        proactor.post(move || {
            handle.stop();
            let late = handle.offload(|| panic_quietly("it never runs"));
            late.then(move |result: std::io::Result<()>| tell.tell(result.unwrap_err()));
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        proactor.restart();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let error = told.only();
        assert_eq!(OffloadError::in_error(&error), Some(&OffloadError::Stopped));
        assert_eq!(
            proactor.block_on(proactor.offload(|| 1)).unwrap().unwrap(),
            1
        );
    });
}

#[test]
fn a_pool_that_may_do_nothing_is_refused() {
    on_every_kernel(|kernel| {
        for builder in [
            kernel.builder().offload_threads(0),
            kernel.builder().offload_queue(0),
        ] {
            let error = builder.build().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("at least 1"), "{error}");
        }
    });
}

#[test]
fn it_is_started_awaited_and_cancelled_from_other_threads() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let guard = proactor.work_guard();
        let handle = proactor.handle();
        let told = Told::nothing();
        let tell = told.clone();
        let other = thread::spawn(move || {
            let (send, receive) = channel();
            handle
                .offload(|| 1)
                .then(move |one| send.send(one.unwrap()).unwrap());
            tell.tell(receive.recv().unwrap());
            // A second proactor's thread awaits a job of the first.
            let mine = proactor::Proactor::new().unwrap();
            tell.tell(mine.block_on(handle.offload(|| 2)).unwrap().unwrap());
            drop(guard);
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        other.join().unwrap();
        assert_eq!(told.take(), [1, 2]);
    });
}

/// Tells when its thread has ended.
struct AtItsEnd(Sender<()>);

impl Drop for AtItsEnd {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

thread_local! {
    static END: std::cell::RefCell<Option<AtItsEnd>> = const { std::cell::RefCell::new(None) };
}

#[test]
fn threads_go_when_there_is_nothing_to_do_and_at_the_end() {
    on_the_real_kernel(|kernel| {
        let builder = kernel.builder().offload_threads(2);
        let proactor = builder
            .clone()
            .offload_keep_alive(Duration::ZERO)
            .build()
            .unwrap();
        let (send, ended) = channel();
        let job = proactor.offload(move || END.set(Some(AtItsEnd(send))));
        proactor.block_on(job).unwrap().unwrap();
        ended.recv().unwrap();
        // Others come.
        let name = proactor.offload(|| thread::current().name().map(str::to_owned));
        let name = proactor.block_on(name).unwrap().unwrap().unwrap();
        assert_eq!(name, "proactor-offload-2");

        let proactor = builder.offload_keep_alive(LONG).build().unwrap();
        let (send, ended) = channel();
        let job = proactor.offload(move || END.set(Some(AtItsEnd(send))));
        proactor.block_on(job).unwrap().unwrap();
        assert!(ended.try_recv().is_err());
        drop(proactor);
        ended.recv().unwrap();
    });
}

#[test]
fn as_many_jobs_as_threads_run_at_once() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.builder().offload_threads(3).build().unwrap();
        // They wait for each other: with fewer threads this would not end.
        let barrier = Arc::new(std::sync::Barrier::new(3));
        for _ in 0..3 {
            let barrier = barrier.clone();
            proactor
                .offload(move || barrier.wait())
                .then(|done| assert!(done.is_ok()));
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        // And never one more.
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for _ in 0..1_000 {
            let (now, most) = (now.clone(), most.clone());
            let job = proactor.offload(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                now.fetch_sub(1, Ordering::SeqCst);
            });
            job.then(|done| done.unwrap());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert!(most.load(Ordering::SeqCst) <= 3);
    });
}

#[test]
fn ten_thousand_jobs_all_end() {
    on_every_kernel(|kernel| {
        let proactor = kernel.builder().offload_queue(100).build().unwrap();
        fn again(handle: Handle, left: Arc<AtomicUsize>) {
            if left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok()
            {
                handle.offload(|| ()).then(move |done| {
                    done.unwrap();
                    again(handle, left);
                });
            }
        }
        let left = Arc::new(AtomicUsize::new(10_000));
        for _ in 0..50 {
            again(proactor.handle(), left.clone());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(Arc::strong_count(&left), 1);
    });
}

/// What a thread of the pool may do there, a job in a simulation may not: it is on the worker.
#[test]
fn a_job_can_not_run_the_proactor_that_waits_for_it() {
    on_every_kernel(|kernel| {
        let proactor = Arc::new(kernel.proactor());
        let mine = proactor.clone();
        let refused = proactor.block_on(proactor.offload(move || {
            let run = mine.run();
            matches!(run, Err(RunError::Nested | RunError::WrongThread { .. }))
        }));
        assert!(refused.unwrap().unwrap());
    });
}

#[test]
fn what_a_job_posts_and_starts_arrives() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (handle, tell) = (proactor.handle(), told.clone());
        let guard = proactor.work_guard();
        let job = proactor.offload(move || {
            let (one, two) = (tell.clone(), tell.clone());
            handle.post(move || one.tell("posted"));
            handle.sleep(Duration::from_millis(1)).then(move |slept| {
                slept.unwrap();
                two.tell("slept");
                drop(guard);
            });
        });
        job.then(|done| done.unwrap());
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let mut told = told.take();
        // Several workers promise no order between the two.
        told.sort_unstable();
        assert_eq!(told, ["posted", "slept"]);
    });
}

/// When a job begins, and when its end is heard of, is the simulated kernel's to decide: before a timer
/// or after it, and its effect may be seen before its end.
#[test]
fn a_simulation_ends_a_job_early_and_late() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = seen.clone();
    let summary = Checker::new().executions(2_000).run(move |sim| {
        let proactor = sim.proactor();
        let ran = Arc::new(AtomicBool::new(false));
        let told = Told::nothing();
        let (also, tell) = (ran.clone(), told.clone());
        proactor
            .offload(move || also.store(true, Ordering::SeqCst))
            .then(move |done| tell.tell(if done.is_ok() { "end" } else { "error" }));
        let tell = told.clone();
        proactor.sleep(Duration::from_secs(1)).then(move |_| {
            tell.tell(match ran.load(Ordering::SeqCst) {
                true => "timer, it has run",
                false => "timer, it has not",
            });
        });
        proactor.run().unwrap();
        all.lock().unwrap().insert(told.take());
    });
    summary.unwrap();
    let seen = seen.lock().unwrap();
    let expected = BTreeSet::from([
        vec!["end", "timer, it has run"],
        vec!["timer, it has run", "end"],
        vec!["timer, it has not", "end"],
    ]);
    assert_eq!(*seen, expected);
}

/// A cancel of a job that has a thread, but has perhaps not begun: both may be.
#[test]
fn a_simulated_cancel_wins_or_comes_too_late() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = seen.clone();
    let summary = Checker::new().executions(500).run(move |sim| {
        let ran = Arc::new(AtomicBool::new(false));
        let (also, handle) = (ran.clone(), sim.proactor().handle());
        let told = Told::nothing();
        let tell = told.clone();
        sim.proactor().post(move || {
            let job = handle.offload(move || also.store(true, Ordering::SeqCst));
            let cancel = job.then(move |done| tell.tell(done.is_ok()));
            cancel.cancel();
        });
        sim.proactor().run().unwrap();
        let ended = told.only();
        assert_eq!(ended, ran.load(Ordering::SeqCst), "the true outcome");
        all.lock().unwrap().insert(ended);
    });
    summary.unwrap();
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([false, true]));
}
