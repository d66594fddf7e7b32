//! Strands: exclusion, order, fairness, panics, the end; and the state that belongs to them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use proactor::{
    Handle, IoBuf, JoinError, NotOnStrand, Proactor, RunEnd, Strand, StrandCell, compose,
};

use crate::kernels::{in_any_order, on_every_kernel, with_workers};
use crate::tools::{Told, pair, panic_quietly, room};

/// How many handlers of one strand run before others get their turn, as the documentation says.
const BATCH: usize = 32;

#[test]
fn posts_run_in_order_and_never_inside_the_call() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        for number in 0..100 {
            let tell = told.clone();
            strand.post(move || tell.tell(number));
        }
        assert_eq!(told.count(), 0);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert!(told.take().into_iter().eq(0..100));
    });
}

#[test]
fn what_handlers_post_comes_after_what_was_posted_before() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        let (tell, inside) = (told.clone(), strand.clone());
        strand.post(move || {
            tell.tell(0);
            let late = tell.clone();
            inside.post(move || late.tell(2));
            assert_eq!(tell.count(), 1);
        });
        let tell = told.clone();
        strand.post(move || tell.tell(1));
        proactor.run().unwrap();
        assert_eq!(told.take(), [0, 1, 2]);
    });
}

#[test]
fn a_dispatch_runs_at_once_inside_the_strand_and_is_a_post_elsewhere() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (a, b) = (Strand::new(&proactor), Strand::new(&proactor));
        let told = Told::nothing();
        let tell = told.clone();
        let strands = (a.clone(), b.clone());
        a.dispatch(move || {
            let (a, b) = strands;
            assert!(a.is_inside() && !b.is_inside());
            let (inner, outer) = (tell.clone(), tell.clone());
            a.dispatch(move || inner.tell("inside a"));
            b.dispatch(move || outer.tell("on b"));
            tell.tell("still in a");
        });
        assert_eq!(told.count(), 0);
        proactor.run().unwrap();
        assert_eq!(told.take(), ["inside a", "still in a", "on b"]);
        assert!(!a.is_inside());
    });
}

#[test]
fn handlers_of_one_strand_never_overlap_and_each_poster_is_served_in_order() {
    const EACH: usize = 500;
    for workers in [1, 2, 3] {
        with_workers(workers, |kernel| {
            let proactor = kernel.proactor();
            let strand = Strand::new(&proactor);
            let log = Arc::new(StrandCell::new(&strand, Vec::new()));
            let inside = Arc::new(AtomicUsize::new(0));
            let guard = proactor.work_guard();
            std::thread::scope(|scope| {
                for poster in 0..3 {
                    let (strand, log, inside) = (strand.clone(), log.clone(), inside.clone());
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let (log, inside) = (log.clone(), inside.clone());
                            strand.post(move || {
                                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                                log.with(|log| log.push((poster, number)));
                                inside.fetch_sub(1, Ordering::SeqCst);
                            });
                        }
                    });
                }
                // Workers post as well, while they run it.
                for worker in 0..workers {
                    let (strand, log) = (strand.clone(), log.clone());
                    proactor.worker(worker).unwrap().post(move || {
                        for number in 0..EACH {
                            let log = log.clone();
                            strand.post(move || log.with(|log| log.push((3 + worker, number))));
                        }
                    });
                }
                let (handle, log) = (proactor.handle(), log.clone());
                let last = strand.clone();
                scope.spawn(move || {
                    let mut guard = Some(guard);
                    let (sender, receiver) = mpsc::channel();
                    while guard.is_some() {
                        let (sender, log) = (sender.clone(), log.clone());
                        last.post(move || sender.send(log.with(|log| log.len())).unwrap());
                        if receiver.recv().unwrap() == (3 + workers) * EACH {
                            guard.take();
                        }
                    }
                    let _ = handle;
                });
                proactor.run().unwrap();
            });
            drop(proactor);
            let log = Arc::into_inner(log).unwrap().into_inner();
            for poster in 0..3 + workers {
                let numbers = log.iter().filter(|(by, _)| *by == poster);
                assert!(numbers.map(|(_, number)| *number).eq(0..EACH));
            }
        });
    }
}

#[test]
fn a_panic_loses_none_of_those_behind_it() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        for number in 0..6 {
            let tell = told.clone();
            strand.post(move || {
                if number % 3 == 1 {
                    panic_quietly("on purpose");
                }
                tell.tell(number);
            });
        }
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| proactor.run())).is_err());
            assert!(!strand.is_inside());
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), [0, 2, 3, 5]);
    });
}

#[test]
fn a_flooding_strand_holds_others_up_for_a_batch_at_most() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let floods: Vec<_> = (0..3).map(|_| Strand::new(&proactor)).collect();
        let count = Arc::new(AtomicUsize::new(0));
        for flood in &floods {
            for _ in 0..1_000 {
                let count = count.clone();
                flood.post(move || {
                    count.fetch_add(1, Ordering::Relaxed);
                });
            }
        }
        let (quiet, told) = (Strand::new(&proactor), Told::nothing());
        let (counted, tell) = (count.clone(), told.clone());
        let handle = proactor.handle();
        // In the middle of the flood.
        proactor.post(move || {
            let before = counted.load(Ordering::Relaxed);
            quiet.post(move || tell.tell(counted.load(Ordering::Relaxed) - before));
            handle.sleep(Duration::ZERO).then(|_| {});
        });
        proactor.run().unwrap();
        let waited = told.only();
        assert!(
            waited <= floods.len() * BATCH,
            "waited for {waited} handlers"
        );
        assert!(waited >= BATCH, "the test floods nothing: {waited}");
        assert_eq!(count.load(Ordering::Relaxed), 3_000);
    });
}

#[test]
fn run_one_and_stop_come_back_between_two_handlers_of_a_strand() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        for number in 0..4 {
            let (tell, handle) = (told.clone(), proactor.handle());
            strand.post(move || {
                tell.tell(number);
                if number == 1 {
                    handle.stop();
                }
            });
        }
        assert_eq!(proactor.run_one().unwrap(), 1);
        assert_eq!(told.take(), [0]);
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert_eq!(told.take(), [1]);
        // A post after a stop waits for a restart.
        let tell = told.clone();
        strand.post(move || tell.tell(4));
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert_eq!(told.count(), 0);
        proactor.restart();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), [2, 3, 4]);
    });
}

#[test]
fn what_was_posted_runs_when_the_last_handle_is_gone() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let strand = Strand::new(&proactor);
        let tell = told.clone();
        strand.post(move || tell.tell(()));
        drop(strand);
        proactor.run().unwrap();
        told.only();
    });
}

/// Tells when it is dropped.
struct Bell(Told<&'static str>, &'static str);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.tell(self.1);
    }
}

#[test]
fn a_teardown_drops_queued_handlers_uninvoked_and_a_dead_strand_drops_at_once() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        for what in ["first", "panics", "third"] {
            let bell = Bell(told.clone(), what);
            strand.post(move || {
                let _bell = &bell;
                if bell.1 != "third" {
                    panic_quietly("on purpose");
                }
                panic!("it was invoked");
            });
        }
        // Also in the middle of what is taken.
        for _ in 0..2 {
            assert!(catch_unwind(AssertUnwindSafe(|| proactor.run_one())).is_err());
        }
        assert_eq!(told.take(), ["first", "panics"]);
        drop(proactor);
        assert_eq!(told.take(), ["third"]);
        let bell = Bell(told.clone(), "late");
        strand.post(move || drop(bell));
        assert_eq!(told.take(), ["late"]);
        assert!(!strand.is_inside());
    });
}

#[test]
fn a_panicking_drop_at_teardown_loses_none_behind_it() {
    struct Bomb(Told<u8>, u8);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.tell(self.1);
            if !std::thread::panicking() {
                panic_quietly("in a drop");
            }
        }
    }
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        for number in 0..3 {
            let bomb = Bomb(told.clone(), number);
            strand.post(move || drop(bomb));
        }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(proactor))).is_err());
        assert_eq!(told.take(), [0, 1, 2]);
    });
}

#[test]
fn a_task_on_a_strand_excludes_its_handlers_and_keeps_its_order() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let log = Arc::new(StrandCell::new(&strand, Vec::new()));
        let (handle, cell) = (proactor.handle(), log.clone());
        let task = proactor.spawn_on(&strand, async move {
            cell.with(|log| log.push("task begins"));
            handle.sleep(Duration::from_millis(1)).await.unwrap();
            cell.with(|log| log.push("task ends"));
            7
        });
        let cell = log.clone();
        strand.post(move || cell.with(|log| log.push("posted")));
        assert_eq!(proactor.block_on(task).unwrap(), Ok(7));
        proactor.run().unwrap();
        let log = Arc::into_inner(log).unwrap().into_inner();
        assert_eq!(log.last(), Some(&"task ends"));
        if kernel.is_simulated() {
            assert_eq!(log[..2], ["task begins", "posted"]);
        }
    });
}

#[test]
fn a_task_on_a_strand_counts_as_one_and_can_be_aborted() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let strand = Strand::new(&proactor);
        let (sender, receiver) = mpsc::channel::<()>();
        let parked = proactor.spawn_on(&strand, async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        assert_eq!(proactor.run().unwrap(), RunEnd::Parked(1));
        assert!(!parked.is_finished());
        parked.abort();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert!(receiver.recv().is_err());
        assert_eq!(proactor.block_on(parked).unwrap(), Err(JoinError::Aborted));
        assert_eq!(proactor.stats().tasks, 0);
    });
}

#[test]
fn a_task_on_a_strand_that_is_torn_down_is_dropped() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        let bell = Bell(told.clone(), "queued");
        drop(proactor.spawn_on(&strand, async move { drop(bell) }));
        drop(proactor);
        assert_eq!(told.take(), ["queued"]);
    });
}

#[test]
fn tasks_of_several_workers_share_a_strand() {
    with_workers(3, |kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let sum = Arc::new(StrandCell::new(&strand, 0));
        for worker in 0..3 {
            let handle = proactor.worker(worker).unwrap();
            let sum = sum.clone();
            drop(handle.spawn_on(&strand, async move {
                for _ in 0..50 {
                    handle.sleep(Duration::from_micros(10)).await.unwrap();
                    sum.with(|sum| *sum += 1);
                }
            }));
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        drop(proactor);
        assert_eq!(Arc::into_inner(sum).unwrap().into_inner(), 150);
    });
}

/// What a panic said.
fn text(panic: Box<dyn std::any::Any + Send>) -> String {
    *panic.downcast::<String>().expect("a text")
}

#[test]
fn the_state_of_a_strand_is_refused_elsewhere_and_both_places_are_named() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (strand, other) = (Strand::new(&proactor), Strand::new(&proactor));
        let cell = Arc::new(StrandCell::new(&strand, 5));
        let outside = cell.try_with(|_| ()).unwrap_err();
        assert!(matches!(outside, NotOnStrand::Outside { strand } if strand.file() == file!()));
        let told = Told::nothing();
        let (tell, on_other, handler) = (told.clone(), cell.clone(), cell.clone());
        other.post(move || tell.tell(on_other.try_with(|_| ()).unwrap_err()));
        proactor.run().unwrap();
        assert!(matches!(told.only(), NotOnStrand::OtherStrand { .. }));
        // In no strand's handler is outside, whatever worker it is on.
        let tell = told.clone();
        proactor.post(move || tell.tell(handler.try_with(|_| ()).unwrap_err()));
        proactor.run().unwrap();
        assert!(matches!(told.only(), NotOnStrand::Outside { .. }));
        let panic = catch_unwind(AssertUnwindSafe(|| cell.with(|_| ()))).unwrap_err();
        let said = text(panic);
        assert_eq!(said.matches(file!()).count(), 2, "{said}");
    });
}

#[test]
fn the_state_of_a_strand_is_lent_once_at_a_time() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let cell = Arc::new(StrandCell::new(&strand, 5));
        let told = Told::nothing();
        let (tell, lent, inside) = (told.clone(), cell.clone(), strand.clone());
        strand.post(move || {
            let again = lent.clone();
            lent.with(|value| {
                *value += 1;
                inside.dispatch(move || tell.tell(again.try_with(|_| ()).unwrap_err()));
            });
            // A panic gives it back.
            let panics = catch_unwind(AssertUnwindSafe(|| lent.with(|_| panic_quietly("in it"))));
            assert!(panics.is_err());
            assert_eq!(lent.with(|value| *value), 6);
        });
        proactor.run().unwrap();
        let NotOnStrand::Lent { at } = told.only() else {
            panic!("it was refused for another reason");
        };
        assert_eq!(at.file(), file!());
    });
}

#[test]
fn a_thread_that_a_handler_waits_for_is_outside() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let cell = Arc::new(StrandCell::new(&strand, ()));
        let told = Told::nothing();
        let (tell, state) = (told.clone(), cell.clone());
        strand.post(move || {
            let refused = std::thread::scope(|scope| {
                let thread = scope.spawn(|| state.try_with(|()| ()).is_err());
                thread.join().unwrap()
            });
            tell.tell(refused);
        });
        proactor.run().unwrap();
        assert!(told.only());
    });
}

#[test]
fn depth_and_longest_wait_can_be_read() {
    fn sleeps(proactor: &Proactor, strand: &Strand) {
        let inside = strand.clone();
        proactor.sleep(Duration::from_millis(20)).then(move |_| {
            for _ in 0..40 {
                inside.post(|| {});
            }
        });
    }
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let strand = Strand::new(&proactor);
        assert_eq!(strand.stats(), proactor::StrandStats::default());
        sleeps(&proactor, &strand);
        let (told, looked) = (Told::nothing(), strand.clone());
        while strand.stats().ran < BATCH as u64 {
            proactor.run_one().unwrap();
            told.tell(looked.stats().waiting);
        }
        assert!(told.take().into_iter().any(|waiting| waiting > 0));
        proactor.run().unwrap();
        let stats = strand.stats();
        assert_eq!((stats.ran, stats.waiting), (40, 0));
        if kernel.is_simulated() {
            assert_eq!(stats.longest_wait, Duration::ZERO, "no time passed");
        }
    });
}

#[test]
fn an_operation_on_a_strand_has_its_handler_there() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let strand = Strand::new(&proactor);
        let log = Arc::new(StrandCell::new(&strand, Vec::new()));
        let (on_read, on_write, on_sleep) = (log.clone(), log.clone(), log.clone());
        let again = (server.clone(), strand.clone());
        server.read(room(8)).on(&strand).then(move |(read, buf)| {
            on_read.with(|log| log.push(read.unwrap()));
            let (server, strand) = again;
            let inner = on_read.clone();
            server.write(buf).on(&strand).then(move |(written, _)| {
                inner.with(|log| log.push(written.unwrap()));
            });
        });
        client.write("ab").on(&strand).then(move |(written, _)| {
            on_write.with(|log| log.push(written.unwrap()));
        });
        proactor
            .sleep(Duration::from_millis(1))
            .on(&strand)
            .then(move |slept| on_sleep.with(|log| log.push(usize::from(slept.is_err()))));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        drop((client, server, proactor));
        let mut log = Arc::into_inner(log).unwrap().into_inner();
        log.sort_unstable();
        assert_eq!(log, [0, 2, 2, 2]);
    });
}

/// A buffer that tells on which strand its methods are called.
struct Asked {
    bytes: Vec<u8>,
    strand: Strand,
    tell: Told<bool>,
}

// SAFETY: the memory and the promises are the Vec's.
unsafe impl IoBuf for Asked {
    fn io_ptr(&self) -> *const u8 {
        self.bytes.io_ptr()
    }

    fn io_len(&self) -> usize {
        self.tell.tell(self.strand.is_inside());
        self.bytes.io_len()
    }
}

#[test]
fn every_step_of_a_composed_operation_runs_on_its_strand() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        let buf = Asked {
            bytes: vec![7; 6_000],
            strand: strand.clone(),
            tell: told.clone(),
        };
        let (begun, inside) = (told.clone(), strand.clone());
        let tell = told.clone();
        compose::write_all(&client, buf).on(&strand).then(move |_| {
            tell.tell(inside.is_inside());
            drop(client);
        });
        // How often it was asked to start it.
        let started = begun.take();
        assert!(started.into_iter().all(|inside| !inside));
        compose::read_to_end(&server, Vec::new(), 6_000).then(|_| {});
        proactor.run().unwrap();
        let told = told.take();
        // Away from its worker it was started there.
        let outside = told.iter().take_while(|inside| !**inside).count();
        assert!(outside <= 2 && told.len() > outside, "{told:?}");
        assert!(told[outside..].iter().all(|inside| *inside), "{told:?}");
    });
}

#[test]
fn a_cancel_that_comes_while_a_step_waits_for_its_strand_is_heard() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (client, server) = pair(&proactor);
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        let (tell, flooded) = (told.clone(), strand.clone());
        proactor.post(move || {
            let read = compose::read_exact(&server, room(8).slice(..8)).on(&flooded);
            let mut cancel = Some(read.then(move |(read, _)| tell.tell((read, server))));
            let mut client = Some(client);
            for number in 0..100 {
                match number {
                    10 => {
                        let client = client.take();
                        flooded.post(move || {
                            let client = client.unwrap();
                            client.clone().write("half").then(move |_| {
                                // The other half never comes, and no end either.
                                std::mem::forget(client);
                            });
                        });
                    }
                    80 => {
                        let cancel = cancel.take();
                        flooded.post(move || cancel.unwrap().cancel());
                    }
                    _ => flooded.post(|| {}),
                }
            }
        });
        proactor.run().unwrap();
        let (read, _) = told.only();
        assert!(proactor::is_canceled(&read.unwrap_err()));
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn operations_of_several_workers_share_a_strand() {
    for workers in [2, 3] {
        with_workers(workers, |kernel| {
            let proactor = kernel.proactor();
            let strand = Strand::new(&proactor);
            let log = Arc::new(StrandCell::new(&strand, 0));
            fn again(handle: Handle, strand: Strand, log: Arc<StrandCell<usize>>, left: usize) {
                let (next, on) = (handle, strand.clone());
                handle.sleep(Duration::ZERO).on(&strand).then(move |slept| {
                    slept.unwrap();
                    log.with(|log| *log += 1);
                    if left > 1 {
                        again(next, on, log, left - 1);
                    }
                });
            }
            for worker in 0..workers {
                let (strand, log) = (strand.clone(), log.clone());
                again(proactor.worker(worker).unwrap(), strand, log, 200);
            }
            assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
            drop(proactor);
            assert_eq!(Arc::into_inner(log).unwrap().into_inner(), workers * 200);
        });
    }
}

#[test]
fn a_teardown_drops_operations_that_wait_for_their_strand() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let strand = Strand::new(&proactor);
        let told = Told::nothing();
        let (bell, inside, handle) = (
            Bell(told.clone(), "queued"),
            strand.clone(),
            proactor.handle(),
        );
        let pending = Bell(told.clone(), "pending");
        strand.post(move || {
            let on = inside.clone();
            handle
                .sleep(Duration::ZERO)
                .on(&on)
                .then(move |_| drop(bell));
            let sleep = handle.sleep(Duration::from_secs(3_600));
            sleep.on(&on).then(move |_| drop(pending));
            // Ahead of it, for ever.
            fn flood(strand: Strand) {
                let again = strand.clone();
                strand.post(move || flood(again));
            }
            flood(inside);
        });
        for _ in 0..100 {
            proactor.run_one().unwrap();
        }
        drop(proactor);
        let mut told = told.take();
        told.sort_unstable();
        assert_eq!(told, ["pending", "queued"]);
    });
}
