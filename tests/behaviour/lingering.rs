//! SO_LINGER: what becomes of sent bytes when a side closes, and that nobody waits for it.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::kernels::{in_any_order, on_every_kernel, on_the_real_kernel};
use crate::tools::{pair, room};

#[test]
fn a_linger_is_what_it_was_set_to_in_whole_seconds() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, _server) = pair(&proactor);
        assert_eq!(client.linger().unwrap(), None);
        for (set, got) in [(0, 0), (1, 1), (1_000, 1), (1_001, 2), (60_000, 60)] {
            client.set_linger(Some(Duration::from_millis(set))).unwrap();
            let expected = Some(Duration::from_secs(got));
            assert_eq!(client.clone().linger().unwrap(), expected);
        }
        client.set_linger(None).unwrap();
        assert_eq!(client.linger().unwrap(), None);
        client.close();
        assert!(client.set_linger(None).is_err() && client.linger().is_err());
    });
}

#[test]
fn without_linger_time_a_close_is_a_reset_never_an_end() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.set_linger(Some(Duration::ZERO)).unwrap();
                drop(client);
                let is_reset = kernel.is_reset(server.read(room(8)).await.0);
                if !kernel.is_windows() {
                    assert!(is_reset);
                    // Reported once (`sock_error`): then the stream is at its end, and broken.
                    assert_eq!(server.read(room(8)).await.0.unwrap(), 0);
                }
                let error = server.write("x").await.0.unwrap_err();
                assert!(kernel.is_broken(error.kind()), "{error}");
            })
            .unwrap();
    });
}

#[test]
fn a_pending_read_and_a_pending_write_end_when_the_peer_resets() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                let mut read = server.read(room(8));
                read.cancel_handle();
                client.set_linger(Some(Duration::ZERO)).unwrap();
                drop(client);
                kernel.is_reset(read.await.0);
            })
            .unwrap();
    });
}

/// As without unread data: `__tcp_close` asks for it first.
#[test]
fn without_linger_time_a_half_closed_side_still_resets() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.set_linger(Some(Duration::ZERO)).unwrap();
                client.shutdown(Shutdown::Write).await.unwrap();
                assert_eq!(server.read(room(8)).await.0.unwrap(), 0);
                drop(client);
                // Until the reset is there a write still leaves.
                loop {
                    let written = server.write("x").await.0;
                    if let Err(error) = written {
                        // The end came first: the stream broke after it (`tcp_reset`).
                        assert!(kernel.is_broken(error.kind()), "{error}");
                        break;
                    }
                }
            })
            .unwrap();
    });
}

/// Both sides had ended (`tcp_need_reset` says no in LAST_ACK): the peer never hears of it.
#[test]
fn without_linger_time_the_last_close_of_two_is_no_reset() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.set_linger(Some(Duration::ZERO)).unwrap();
                server.shutdown(Shutdown::Write).await.unwrap();
                assert_eq!(client.read(room(8)).await.0.unwrap(), 0);
                client.shutdown(Shutdown::Write).await.unwrap();
                drop(client);
                for _ in 0..2 {
                    assert_eq!(server.read(room(8)).await.0.unwrap(), 0);
                }
            })
            .unwrap();
    });
}

#[test]
fn with_linger_time_what_was_sent_arrives_and_then_the_end() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.set_linger(Some(Duration::from_secs(60))).unwrap();
                client.write("goodbye").await.0.unwrap();
                drop(client);
                let (_, bytes) = proactor::compose::read_to_end(&server, Vec::new(), 64).await;
                assert_eq!(bytes, b"goodbye");
            })
            .unwrap();
    });
}

/// The peer's buffers are full: close(2) on this thread would stand still for the whole minute.
#[test]
fn a_lingering_close_does_not_hold_up_the_worker() {
    on_the_real_kernel(|kernel| {
        let mut proactors = vec![kernel.proactor()];
        for at_teardown in [false, true] {
            let proactor = proactors.pop().unwrap_or_else(|| kernel.proactor());
            let (client, server) = pair(&proactor);
            let began = Instant::now();
            let filled = proactor
                .block_on(async {
                    let mut filled = 0;
                    loop {
                        let write = client.write(vec![1; 1 << 20]);
                        match write.timeout(Duration::from_millis(20)).await.0 {
                            Ok(count) => filled += count,
                            Err(_) => break filled,
                        }
                    }
                })
                .unwrap();
            client.set_linger(Some(Duration::from_secs(60))).unwrap();
            if at_teardown {
                drop(proactor);
                assert!(client.linger().is_err());
            } else {
                drop(client);
                proactor
                    .block_on(async {
                        let (all, bytes) =
                            proactor::compose::read_to_end(&server, Vec::new(), 1 << 26).await;
                        assert_eq!((all.unwrap(), bytes.len()), (filled, filled));
                    })
                    .unwrap();
            }
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the close waited"
            );
        }
    });
}
