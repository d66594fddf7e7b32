//! Sleeps and timeouts (I6).

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::time::Instant;

use crate::kernels::{in_any_order, on_every_kernel, on_the_simulated_kernel};
use crate::tools::{Told, pair, room};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_sleep_never_ends_early() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        proactor
            .block_on(async {
                for duration in [Duration::ZERO, Duration::from_nanos(1), MS, 3 * MS] {
                    let begin = proactor.now();
                    proactor.sleep(duration).await.unwrap();
                    assert!(proactor.now() - begin >= duration, "{duration:?}");
                    let deadline = proactor.now() + duration;
                    proactor.sleep_until(deadline).await.unwrap();
                    assert!(proactor.now() >= deadline);
                }
                let before = proactor.now();
                proactor.sleep_until(Instant::START).await.unwrap();
                assert!(proactor.now() >= before, "the clock never goes back");
            })
            .unwrap();
    });
}

/// On a simulated kernel that completes in any order, those that are due at once may change places.
#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let handle = proactor.handle();
        let tell = told.clone();
        proactor.post(move || {
            let begin = handle.now();
            for ms in [5, 1, 4, 2, 3, 1] {
                let tell = tell.clone();
                handle.sleep_until(begin + ms * MS).then(move |slept| {
                    slept.unwrap();
                    tell.tell(ms);
                });
            }
        });
        proactor.run().unwrap();
        assert_eq!(told.take(), [1, 1, 2, 3, 4, 5]);
    });
}

#[test]
fn a_sleep_counts_from_its_start_and_not_from_the_call_that_made_it() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        proactor
            .block_on(async {
                let sleep = proactor.sleep(2 * MS);
                proactor.sleep(3 * MS).await.unwrap();
                let begin = proactor.now();
                sleep.await.unwrap();
                assert!(proactor.now() - begin >= 2 * MS);
            })
            .unwrap();
    });
}

#[test]
fn virtual_time_does_not_wait() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        let year = Duration::from_secs(365 * 86_400);
        proactor.block_on(proactor.sleep(year)).unwrap().unwrap();
        assert_eq!(proactor.now().since_start(), year);
    });
}

#[test]
fn a_sleep_for_ever_can_be_waited_for_with_a_timeout() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let sleep = proactor.sleep(Duration::MAX).timeout(MS);
        assert_eq!(
            proactor.block_on(sleep).unwrap().unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        let sleep = proactor.sleep(MS).timeout(Duration::MAX);
        proactor.block_on(sleep).unwrap().unwrap();
    });
}

#[test]
fn an_operation_that_moved_nothing_in_time_timed_out() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (read, buf) = proactor.block_on(server.read(room(8)).timeout(MS)).unwrap();
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(!proactor::is_canceled(&error));
        assert!(buf.is_empty());
    });
}

/// Time may be ahead of I/O: what was done is Ok, whenever the timer fired.
#[test]
fn a_single_operation_with_bytes_is_ok_whatever_cancelled_it() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let received = proactor
            .block_on(async {
                client.write("hello").await.0.unwrap();
                match server.read(room(8)).timeout(Duration::ZERO).await {
                    (Ok(count), buf) => {
                        assert_eq!(buf.len(), count);
                        count
                    }
                    (Err(error), _) => {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                        server.read(room(8)).await.0.unwrap()
                    }
                }
            })
            .unwrap();
        assert_eq!(received, 5);
    });
}

#[test]
fn a_timer_never_ends_the_next_operation() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                for _ in 0..5 {
                    // In time, just in time, or too late; the next one has no timer at all.
                    let mut write = client.write("x");
                    write.cancel_handle();
                    let first = server
                        .read(room(1))
                        .timeout(Duration::from_micros(20))
                        .await;
                    if first.0.is_err() {
                        server.read(room(1)).await.0.unwrap();
                    }
                    write.await.0.unwrap();
                    let mut next = server.read(room(1));
                    next.cancel_handle();
                    proactor.sleep(Duration::from_micros(50)).await.unwrap();
                    client.write("y").await.0.unwrap();
                    assert_eq!(next.await.1, b"y");
                }
            })
            .unwrap();
    });
}

#[test]
fn the_shorter_of_two_timeouts_holds() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let begin = proactor.now();
        let hour = Duration::from_secs(3600);
        let slept = proactor
            .block_on(proactor.sleep(hour).timeout(MS).timeout(hour))
            .unwrap();
        assert_eq!(slept.unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(proactor.now() - begin < hour);
    });
}

#[test]
fn a_timeout_that_is_no_longer_needed_holds_nothing_up() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let tell = told.clone();
        let read = server.read(room(8)).timeout(Duration::from_secs(3600));
        read.then(move |(read, _)| tell.tell(read.unwrap()));
        client.write("x").then(|_| {});
        let begin = proactor.now();
        proactor.run().unwrap();
        assert_eq!(told.only(), 1);
        assert!(proactor.now() - begin < Duration::from_secs(3600));
    });
}

#[test]
fn a_cancel_before_the_timeout_is_a_cancel() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let error = proactor
            .block_on(async {
                let mut sleep = proactor
                    .sleep(Duration::from_secs(7200))
                    .timeout(Duration::from_secs(3600));
                sleep.cancel_handle().cancel();
                sleep.await.unwrap_err()
            })
            .unwrap();
        assert!(proactor::is_canceled(&error));
    });
}

#[test]
fn timers_that_are_armed_by_timers_go_on() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let ticks = Arc::new(Mutex::new(0));
        fn tick(handle: proactor::Handle, ticks: Arc<Mutex<u32>>) {
            handle.sleep(Duration::from_micros(100)).then(move |_| {
                *ticks.lock().unwrap() += 1;
                if *ticks.lock().unwrap() < 20 {
                    tick(handle, ticks);
                }
            });
        }
        tick(proactor.handle(), ticks.clone());
        proactor.run().unwrap();
        assert_eq!(*ticks.lock().unwrap(), 20);
        assert!(proactor.now().since_start() >= Duration::from_millis(2));
    });
}
