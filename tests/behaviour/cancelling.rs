//! Cancels: requests, with the truth in the operation's own output (I6).

use std::time::Duration;

use proactor::compose::{self, Cause, Interrupted};
use proactor::net::TcpListener;
use proactor::{IoBuf, RunEnd, is_canceled};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{Told, pair, room};

#[test]
fn cancel_then_await_tells_that_nothing_was_done() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (read, buf) = proactor
            .block_on(async {
                let mut read = server.read(room(64));
                read.cancel_handle().cancel();
                read.await
            })
            .unwrap();
        assert!(is_canceled(&read.unwrap_err()));
        assert_eq!((buf.len(), buf.capacity()), (0, 64));
    });
}

/// Whichever wins, no byte is lost: it is in the output, or still in the stream.
#[test]
fn cancel_then_await_tells_the_true_outcome_of_a_race() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let all = proactor
            .block_on(async {
                let mut read = server.read(room(64));
                let cancel = read.cancel_handle();
                let mut write = client.write("hello");
                write.cancel_handle();
                cancel.cancel();
                let (read, mut all) = read.await;
                match read {
                    Ok(count) => assert_eq!(count, all.len()),
                    Err(error) => assert!(is_canceled(&error), "{error}"),
                }
                assert_eq!(write.await.0.unwrap(), 5);
                client.shutdown(std::net::Shutdown::Write).await.unwrap();
                all.extend(compose::read_to_end(&server, Vec::new(), 64).await.1);
                all
            })
            .unwrap();
        assert_eq!(all, b"hello");
    });
}

#[test]
fn a_cancel_after_the_completion_has_no_effect() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let tell = told.clone();
        let cancel = client
            .write("hello")
            .then(move |(written, _)| tell.tell(written.unwrap()));
        proactor.run().unwrap();
        assert_eq!(told.only(), 5);
        // The slot is used again, for something that a stray cancel would end.
        let tell = told.clone();
        server
            .read(room(3))
            .then(move |(read, _)| tell.tell(read.unwrap()));
        cancel.cancel();
        cancel.clone().cancel();
        proactor.run().unwrap();
        assert_eq!(told.only(), 3);
    });
}

#[test]
fn a_cancel_hits_only_the_operation_that_it_was_made_for() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let told = Told::nothing();
        let tell = told.clone();
        proactor.post(move || {
            let hour = Duration::from_secs(3600);
            let cancels: Vec<_> = (0..10)
                .map(|number| {
                    let tell = tell.clone();
                    handle
                        .sleep(hour)
                        .then(move |slept| tell.tell((number, slept.is_ok())))
                })
                .collect();
            cancels[3].cancel();
            cancels[7].cancel();
            cancels[3].cancel();
        });
        if kernel.is_simulated() {
            assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
            let mut told = told.take();
            told.sort_unstable();
            let all = told.iter().map(|(number, _)| *number);
            assert_eq!(all.collect::<Vec<_>>(), Vec::from_iter(0..10));
            // Time may be ahead of the two cancels; the others are nobody's target.
            assert!(
                told.iter()
                    .all(|(number, slept)| *slept || *number == 3 || *number == 7)
            );
        } else {
            for _ in 0..3 {
                proactor.run_one().unwrap();
            }
            let mut told = told.take();
            told.sort_unstable();
            assert_eq!(told, [(3, false), (7, false)]);
        }
    });
}

/// An activation of a composed operation ends, and its cancel is for the whole all the same.
#[test]
fn a_cancel_of_a_composed_operation_is_for_whichever_step_it_is_at() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let (read, buf) = proactor
            .block_on(async {
                let mut read = compose::read_exact(&server, room(8).slice(..8));
                let cancel = read.cancel_handle();
                client.write("abc").await.0.unwrap();
                proactor.sleep(Duration::from_millis(5)).await.unwrap();
                cancel.cancel();
                read.await
            })
            .unwrap();
        let error = read.unwrap_err();
        assert!(is_canceled(&error), "{error}");
        let stopped = Interrupted::in_error(&error).unwrap();
        assert!(matches!(stopped.cause, Cause::Canceled), "{stopped}");
        // Time may be ahead of I/O: what came is known, how much is the kernel's affair.
        assert_eq!(stopped.done, buf.io_len() as u64);
        assert_eq!(buf[..], b"abc"[..buf.io_len()]);
    });
}

#[test]
fn a_cancel_handle_that_is_dropped_cancels_nothing() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let tell = told.clone();
        drop(
            server
                .read(room(8))
                .then(move |(read, _)| tell.tell(read.unwrap())),
        );
        drop(client.write("x").then(|_| {}));
        proactor.run().unwrap();
        assert_eq!(told.only(), 1);
    });
}

#[test]
fn a_handler_is_called_once_whatever_is_cancelled_and_closed() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let told = Told::nothing();
        let tell = told.clone();
        let accept = listener
            .accept()
            .then(move |accepted| tell.tell(accepted.is_err()));
        accept.cancel();
        listener.close();
        accept.cancel();
        drop(listener);
        proactor.run().unwrap();
        assert!(told.only());
    });
}

#[test]
fn everything_that_waits_can_be_cancelled() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        proactor
            .block_on(async {
                let mut accept = listener.accept();
                accept.cancel_handle().cancel();
                assert!(is_canceled(&accept.await.unwrap_err()));
                let mut read = server.read_vectored(vec![room(8), room(8)]);
                read.cancel_handle().cancel();
                assert!(is_canceled(&read.await.0.unwrap_err()));
                let mut sleep = proactor.sleep(Duration::from_secs(3600));
                sleep.cancel_handle().cancel();
                assert!(is_canceled(&sleep.await.unwrap_err()));
                let mut copy = compose::copy(&server, &server);
                copy.cancel_handle().cancel();
                assert!(is_canceled(&copy.await.unwrap_err()));
                // A write waits once nobody reads.
                loop {
                    let mut write = client.write(vec![7; 1 << 20]);
                    let cancel = write.cancel_handle();
                    proactor.sleep(Duration::from_millis(2)).await.unwrap();
                    cancel.cancel();
                    match write.await.0 {
                        Ok(count) => assert!(count > 0),
                        Err(error) => break assert!(is_canceled(&error), "{error}"),
                    }
                }
            })
            .unwrap();
    });
}
