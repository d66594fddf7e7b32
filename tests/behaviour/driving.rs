//! `drive()`: a proactor inside another runtime, here the smallest there is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use proactor::{RunEnd, RunError};

use crate::kernels::{in_any_order, on_every_kernel, on_the_real_kernel};
use crate::tools::{Told, pair, panic_quietly, room};

struct Unpark(std::thread::Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// Runs a future on this thread, which sleeps until it is woken. How often it was polled, too.
fn execute<F: Future>(future: F) -> (F::Output, usize) {
    let unpark = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(unpark.clone());
    let mut future = pin!(future);
    let (deadline, mut polls) = (Instant::now() + Duration::from_secs(10), 0);
    loop {
        let seen = unpark.1.load(Ordering::SeqCst);
        polls += 1;
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (output, polls);
        }
        while unpark.1.load(Ordering::SeqCst) == seen {
            std::thread::park_timeout(Duration::from_secs(1));
            assert!(Instant::now() < deadline, "nobody woke it");
        }
    }
}

#[test]
fn drive_ends_as_run_does() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        assert_eq!(execute(proactor.drive()).0.unwrap(), RunEnd::OutOfWork);
        drop(proactor.spawn(std::future::pending::<()>()));
        assert_eq!(execute(proactor.drive()).0.unwrap(), RunEnd::Parked(1));
        let handle = proactor.handle();
        proactor.post(move || handle.stop());
        assert_eq!(execute(proactor.drive()).0.unwrap(), RunEnd::Stopped);
    });
}

#[test]
fn drive_is_woken_by_a_completion_and_by_a_deadline() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let handle = proactor.handle();
        let task = proactor.spawn(async move {
            handle.sleep(Duration::from_millis(3)).await.unwrap();
            client.write(b"hello".to_vec()).await.0.unwrap();
            server.read(room(8)).await.1
        });
        let begin = proactor.now();
        let (end, polls) = execute(proactor.drive());
        assert_eq!(end.unwrap(), RunEnd::OutOfWork);
        assert!(proactor.now() - begin >= Duration::from_millis(3));
        assert!(
            kernel.is_simulated() || polls < 20,
            "{polls} polls: it spins"
        );
        assert_eq!(proactor.block_on(task).unwrap().unwrap(), b"hello");
    });
}

#[test]
fn drive_is_woken_by_a_post_from_another_thread() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let mut guard = Some(proactor.work_guard());
        let handle = proactor.handle();
        let mut drive = proactor.drive();
        let mut thread = None;
        let (end, polls) = execute(poll_fn(|cx| {
            let polled = Pin::new(&mut drive).poll(cx);
            if polled.is_pending()
                && let Some(guard) = guard.take()
            {
                // It sleeps now: only this can wake it.
                thread = Some(std::thread::spawn(move || handle.post(move || drop(guard))));
            }
            polled
        }));
        thread.unwrap().join().unwrap();
        assert_eq!(end.unwrap(), RunEnd::OutOfWork);
        assert!(polls < 10, "{polls}");
    });
}

#[test]
fn a_drive_that_is_dropped_loses_nothing() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        for ms in 1..=3 {
            let tell = told.clone();
            proactor
                .sleep(Duration::from_millis(ms))
                .then(move |slept| tell.tell(slept.is_ok()));
        }
        for _ in 0..2 {
            let mut drive = proactor.drive();
            let _ = Pin::new(&mut drive).poll(&mut Context::from_waker(Waker::noop()));
        }
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(told.take(), [true; 3]);
    });
}

#[test]
fn drive_gives_the_other_runtime_its_turn() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        fn again(handle: proactor::Handle) {
            handle.post(move || again(handle));
        }
        again(proactor.handle());
        let mut drive = proactor.drive();
        for _ in 0..3 {
            assert!(
                Pin::new(&mut drive)
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        proactor.stop();
        assert_eq!(execute(drive).0.unwrap(), RunEnd::Stopped);
    });
}

#[test]
fn drive_inside_a_handler_is_refused() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let driven = proactor.block_on(proactor.drive()).unwrap();
        assert!(matches!(driven, Err(RunError::Nested)));
    });
}

#[test]
fn a_panic_passes_through_drive_and_it_can_be_polled_again() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        proactor.post(|| panic_quietly("on purpose"));
        proactor.post(move || tell.tell(()));
        let driven =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| execute(proactor.drive()).0));
        assert!(driven.is_err());
        assert_eq!(execute(proactor.drive()).0.unwrap(), RunEnd::OutOfWork);
        told.only();
    });
}
