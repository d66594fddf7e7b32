//! Futures that are dropped while their operation is under way (I2, I4, I8).
#![allow(
    clippy::async_yields_async,
    reason = "what is in flight leaves the worker"
)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use proactor::compose;
use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::{IoBuf, RunEnd};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{Watched, pair, room};

/// Polls once, and says whether it was ready.
async fn once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_dropped_future_leaves_its_buffer_with_the_kernel_until_the_completion() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(64);
        proactor
            .block_on(async {
                let mut read = server.read(buf).into_future();
                assert!(once(&mut read).await.is_none());
                drop(read);
                assert_eq!(drops.count(), 0, "the kernel may write there still");
            })
            .unwrap();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(drops.count(), 1);
        assert_eq!(proactor.stats().operations, 0);
    });
}

/// What was sent is received later, or was counted as discarded: nothing else can become of it.
#[test]
fn bytes_that_arrive_for_a_dropped_future_are_counted() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let received = proactor
            .block_on(async {
                let mut read = server.read(room(3)).into_future();
                let early = once(&mut read).await;
                assert!(early.is_none());
                client.write("hello").await.0.unwrap();
                drop(read);
                client.shutdown(std::net::Shutdown::Write).await.unwrap();
                compose::read_to_end(&server, Vec::new(), 64)
                    .await
                    .0
                    .unwrap()
            })
            .unwrap();
        proactor.run().unwrap();
        assert_eq!(received as u64 + proactor.stats().discarded_bytes, 5);
    });
}

#[test]
fn bytes_that_arrive_for_a_dropped_composed_future_are_counted_all() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let received = proactor
            .block_on(async {
                let mut read = compose::read_exact(&server, room(16).slice(..16)).into_future();
                assert!(once(&mut read).await.is_none());
                client.write("hello").await.0.unwrap();
                proactor.sleep(Duration::from_millis(2)).await.unwrap();
                client.write("world").await.0.unwrap();
                drop(read);
                client.shutdown(std::net::Shutdown::Write).await.unwrap();
                compose::read_to_end(&server, Vec::new(), 64)
                    .await
                    .0
                    .unwrap()
            })
            .unwrap();
        proactor.run().unwrap();
        assert_eq!(received as u64 + proactor.stats().discarded_bytes, 10);
    });
}

#[test]
fn a_connection_that_arrives_for_a_dropped_accept_is_closed_and_counted() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (early, read) = proactor
            .block_on(async {
                let mut accept = listener.accept().into_future();
                let early = once(&mut accept).await.is_some();
                let client = TcpStream::connect(&proactor, addr).await.unwrap();
                drop(accept);
                proactor.sleep(Duration::from_millis(2)).await.unwrap();
                // Whether it was accepted and closed, or still waits and goes with the listener.
                listener.close();
                (early, client.read(room(8)).await.0)
            })
            .unwrap();
        assert!(!early);
        proactor.run().unwrap();
        let stats = proactor.stats();
        match stats.discarded_handles {
            0 => assert_eq!(
                read.unwrap_err().kind(),
                std::io::ErrorKind::ConnectionReset
            ),
            1 => assert_eq!(read.unwrap(), 0),
            more => panic!("{more} handles of one connection"),
        }
        assert_eq!((stats.operations, stats.objects), (0, 0));
    });
}

#[test]
fn a_file_that_is_opened_for_a_dropped_future_is_closed() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"x");
        proactor
            .block_on(async {
                let mut open = File::open(&proactor, &path).into_future();
                drop(once(&mut open).await);
            })
            .unwrap();
        proactor.run().unwrap();
        assert_eq!(proactor.stats().objects, 0);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_future_dropped_when_its_operation_is_done_discards_the_result() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(64);
        proactor
            .block_on(async {
                let read = server.read(buf).into_future();
                read.cancel_handle();
                client.write("hello").await.0.unwrap();
                proactor.sleep(Duration::from_millis(2)).await.unwrap();
                assert!(
                    proactor
                        .dump()
                        .contains("done, its future has not been polled")
                );
                drop(read);
            })
            .unwrap();
        assert_eq!(drops.count(), 1);
        assert_eq!(proactor.stats().discarded_bytes, 5);
        assert_eq!(proactor.stats().operations, 0);
    });
}

#[test]
fn a_future_dropped_outside_of_run_is_cancelled_by_the_next() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(64);
        let read = proactor
            .block_on(async {
                let mut read = server.read(buf).into_future();
                assert!(once(&mut read).await.is_none());
                read
            })
            .unwrap();
        drop(read);
        assert_eq!(drops.count(), 0);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn a_future_dropped_outside_of_run_gives_its_buffer_up_with_the_proactor() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(64);
        let read = proactor
            .block_on(async {
                let mut read = server.read(buf).into_future();
                assert!(once(&mut read).await.is_none());
                read
            })
            .unwrap();
        drop(read);
        drop(proactor);
        assert_eq!(drops.count(), 1);
    });
}

/// `select` in its simplest form: the loser is dropped, at every point, under every order.
#[test]
fn a_read_that_lost_a_race_against_a_sleep_takes_nothing_with_it_unseen() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let received = proactor
            .block_on(async {
                let mut write = client.write("0123456789");
                write.cancel_handle();
                let mut received = 0;
                for _ in 0..4 {
                    let mut read = server.read(room(4)).into_future();
                    let mut sleep = proactor.sleep(Duration::from_micros(10)).into_future();
                    received += poll_fn(|cx| {
                        if let Poll::Ready((read, _)) = Pin::new(&mut read).poll(cx) {
                            return Poll::Ready(read.unwrap());
                        }
                        Pin::new(&mut sleep).poll(cx).map(|_| 0)
                    })
                    .await;
                }
                write.await.0.unwrap();
                client.shutdown(std::net::Shutdown::Write).await.unwrap();
                received
                    + compose::read_to_end(&server, Vec::new(), 64)
                        .await
                        .0
                        .unwrap()
            })
            .unwrap();
        proactor.run().unwrap();
        assert_eq!(received as u64 + proactor.stats().discarded_bytes, 10);
    });
}
