//! Handles: what closes, when, and once (I8).

use std::time::Duration;

use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::{RunEnd, is_canceled};

use crate::kernels::{in_any_order, on_every_kernel, on_the_real_kernel};
use crate::tools::{Told, pair, room};

#[test]
fn the_last_handle_dropped_closes_and_the_peer_sees_the_end() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        assert_eq!(proactor.stats().objects, 2);
        let read = proactor.block_on(async {
            drop(client);
            server.read(room(8)).await.0
        });
        assert_eq!(read.unwrap().unwrap(), 0);
        assert_eq!(proactor.stats().objects, 1);
    });
}

#[test]
fn a_clone_keeps_it_open() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let read = proactor.block_on(async {
            let clone = client.clone();
            drop(client);
            clone.write("hello").await.0.unwrap();
            server.read(room(8)).await.1
        });
        assert_eq!(read.unwrap(), b"hello");
    });
}

/// The operation knows its stream and is no handle of it: with the last handle it ends.
#[test]
fn an_operation_is_no_user_handle() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let told = Told::nothing();
        let tell = told.clone();
        server
            .read(room(8))
            .then(move |(read, _)| tell.tell(read.unwrap_err()));
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let tell = told.clone();
        listener
            .accept()
            .then(move |accepted| tell.tell(accepted.unwrap_err()));
        drop((server, listener));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let told = told.take();
        assert_eq!(told.len(), 2);
        // It was not started yet, or was cancelled: started from outside, the handle may be gone first.
        for error in told {
            assert!(
                is_canceled(&error) || error.to_string().contains("closed"),
                "{error}"
            );
        }
        let read = proactor.block_on(client.read(room(8))).unwrap().0;
        assert_eq!(read.unwrap(), 0);
        assert_eq!(proactor.stats().objects, 1);
    });
}

#[test]
fn closing_cancels_what_is_pending() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (_client, server) = pair(&proactor);
        let (first, second) = proactor
            .block_on(async {
                let (mut first, mut second) = (server.read(room(8)), server.read(room(8)));
                first.cancel_handle();
                second.cancel_handle();
                server.close();
                (first.await.0, second.await.0)
            })
            .unwrap();
        assert!(is_canceled(&first.unwrap_err()) && is_canceled(&second.unwrap_err()));
    });
}

#[test]
fn closing_a_composed_operations_stream_interrupts_it() {
    use proactor::compose::{Cause, Interrupted, read_exact};
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let error = proactor
            .block_on(async {
                let mut read = read_exact(&server, vec![0; 8].into_boxed_slice());
                read.cancel_handle();
                client.write("abc").await.0.unwrap();
                drop(server);
                read.await.0.unwrap_err()
            })
            .unwrap();
        let stopped = Interrupted::in_error(&error).unwrap();
        assert!(matches!(stopped.cause, Cause::Closed), "{stopped}");
        assert!([0, 3].contains(&stopped.done), "{stopped}");
    });
}

#[test]
fn closing_twice_is_closing_once() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let clone = client.clone();
        let read = proactor.block_on(async {
            client.close();
            client.close();
            clone.close();
            drop(client);
            // What is opened now may get the number of what was closed.
            let (one, other) = (TcpListener::bind(&proactor, "127.0.0.1:0").unwrap(), server);
            clone.close();
            drop(clone);
            assert!(one.local_addr().is_ok());
            other.read(room(8)).await.0
        });
        assert_eq!(read.unwrap().unwrap(), 0);
        proactor.run().unwrap();
        assert_eq!(proactor.stats().objects, 0);
    });
}

/// A handle of something closed says nothing about what has taken its place.
#[test]
fn a_stale_handle_dropped_late_leaves_its_successor_alone() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let read = proactor
            .block_on(async {
                // The stale handles are dropped one by one, after others have taken the place.
                let stale: Vec<_> = (0..4).map(|_| client.clone()).collect();
                client.close();
                let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
                let addr = listener.local_addr().unwrap();
                let young = TcpStream::connect(&proactor, addr).await.unwrap();
                let (peer, _) = listener.accept().await.unwrap();
                drop(stale);
                drop(client);
                young.write("x").await.0.unwrap();
                assert_eq!(peer.read(room(8)).await.0.unwrap(), 1);
                drop((young, listener));
                let end = peer.read(room(8)).timeout(Duration::from_secs(5)).await.0;
                drop(server);
                end
            })
            .unwrap();
        assert_eq!(
            read.unwrap(),
            0,
            "the young one's last handle was dropped: it is closed"
        );
        proactor.run().unwrap();
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn a_stale_handle_of_a_dead_proactor_leaves_its_successor_alone() {
    on_every_kernel(|kernel| {
        let old = kernel.proactor();
        let (stale, _) = pair(&old);
        drop(old);
        let proactor = kernel.proactor();
        let (young, peer) = pair(&proactor);
        assert!(stale.local_addr().is_err());
        let read = proactor
            .block_on(async {
                drop((stale.clone(), stale));
                assert!(young.local_addr().is_ok());
                drop(young);
                peer.read(room(8)).timeout(Duration::from_secs(5)).await.0
            })
            .unwrap();
        assert_eq!(read.unwrap(), 0);
    });
}

/// A close that comes from another thread reaches the worker late: when all that was pending has
/// ended by itself, and something else has taken the place.
#[test]
fn a_late_close_cancels_nothing_of_its_successor() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (near, far) = pair(&proactor);
        let (other_near, other_far) = pair(&proactor);
        let (handle, told) = (proactor.handle(), Told::nothing());
        let tell = told.clone();
        // Both reads are complete in one batch. The first handler has the other's stream closed on
        // another thread, the second opens something new, in the place of its stream.
        let (first, second) = (near.clone(), other_near.clone());
        proactor.post(move || {
            first.read(room(8)).then(move |_| {
                std::thread::spawn(move || other_near.close())
                    .join()
                    .unwrap()
            });
            second.read(room(8)).then(move |_| {
                let young = TcpListener::bind(&handle, "127.0.0.1:0").unwrap();
                let accept = young.accept().timeout(Duration::from_millis(20));
                accept.then(move |accepted| {
                    tell.tell(accepted.unwrap_err().kind());
                    drop(young);
                });
            });
        });
        proactor.poll().unwrap();
        proactor
            .block_on(async {
                let (mut one, mut other) = (far.write("x"), other_far.write("x"));
                one.cancel_handle();
                other.cancel_handle();
                assert_eq!((one.await.0.unwrap(), other.await.0.unwrap()), (1, 1));
            })
            .unwrap();
        proactor.run().unwrap();
        assert_eq!(told.only(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_closed_files_operations_end_with_an_error_that_says_so() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"x");
        let error = proactor.block_on(async {
            let file = File::open(&proactor, &path).await.unwrap();
            file.close();
            file.len().await.unwrap_err()
        });
        assert!(error.unwrap().to_string().contains("the handle was closed"));
    });
}
