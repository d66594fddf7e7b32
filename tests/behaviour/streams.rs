//! Streams: ends, resets, halves, pieces.

use std::io::ErrorKind;
use std::net::Shutdown;

use proactor::compose;
use proactor::net::{TcpListener, TcpStream};
use proactor::{IoBuf, Slice};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{pair, room};

#[test]
fn after_half_a_shutdown_the_other_direction_goes_on() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.write("request").await.0.unwrap();
                client.shutdown(Shutdown::Write).await.unwrap();
                let (read, request) = compose::read_to_end(&server, Vec::new(), 64).await;
                assert_eq!((read.unwrap(), &request[..]), (7, &b"request"[..]));
                server.write("answer").await.0.unwrap();
                assert_eq!(client.read(room(64)).await.1, b"answer");
                let error = client.write("more").await.0.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            })
            .unwrap();
    });
}

#[test]
fn a_stream_that_ended_stays_at_its_end() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.write("x").await.0.unwrap();
                client.shutdown(Shutdown::Write).await.unwrap();
                assert_eq!(server.read(room(8)).await.0.unwrap(), 1);
                for _ in 0..3 {
                    assert_eq!(server.read(room(8)).await.0.unwrap(), 0);
                }
            })
            .unwrap();
    });
}

/// Closing with unread bytes resets the connection: RFC 2525, 2.17.
#[test]
fn a_reset_is_not_an_end_of_file() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.write("never read").await.0.unwrap();
                proactor
                    .sleep(std::time::Duration::from_millis(1))
                    .await
                    .unwrap();
                drop(server);
                kernel.is_reset(client.read(room(8)).await.0);
            })
            .unwrap();
    });
}

#[test]
fn bytes_come_in_order_and_whole_or_an_error_says_otherwise() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let handle = proactor.handle();
        let sent: Vec<u8> = (0..2_000u32).map(|n| n as u8).collect();
        let bytes = sent.clone();
        let sender = proactor.spawn(async move {
            let client = TcpStream::connect(&handle, addr).await?;
            let mut rest = bytes.slice(..);
            while !rest.is_empty() {
                let (written, back) = rest_of(&client, rest).await;
                rest = back.into_inner().slice(written?..);
            }
            Ok::<_, std::io::Error>(())
        });
        let received = proactor.block_on(async {
            // A refused connection never comes: it is the sender that says so.
            let (server, _) = listener
                .accept()
                .timeout(std::time::Duration::from_secs(300))
                .await
                .ok()?;
            drop(listener);
            let mut all = Vec::new();
            loop {
                let (read, buf) = server.read(room(700)).await;
                match read {
                    Ok(0) => break Some((all, true)),
                    Ok(_) => all.extend_from_slice(&buf),
                    Err(_) => break Some((all, false)),
                }
            }
        });
        let ended = proactor.block_on(sender).unwrap().unwrap();
        if let Some((all, whole)) = received.unwrap() {
            assert!(sent.starts_with(&all));
            assert!(
                !whole || ended.is_err() || all == sent,
                "an end of file before the end"
            );
        }
    });

    async fn rest_of(
        stream: &TcpStream,
        rest: Slice<Vec<u8>>,
    ) -> (std::io::Result<usize>, Slice<Vec<u8>>) {
        let begin = rest.begin();
        let (written, back) = stream.write(rest).await;
        (written.map(|count| begin + count), back)
    }
}

#[test]
fn pieces_are_sent_in_order_and_filled_in_order() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                let (written, pieces) = client
                    .write_vectored(vec!["ab", "", "cde", "f", "ghij", "k"])
                    .await;
                assert_eq!((written.unwrap(), pieces.len()), (11, 6));
                let boxes = [3, 0, 4, 1, 2, 8].map(|n| vec![0; n].into_boxed_slice());
                let (read, boxes) = server.read_vectored(boxes.into()).await;
                assert_eq!(read.unwrap(), 11);
                let texts: Vec<_> = boxes
                    .iter()
                    .map(|b| std::str::from_utf8(b).unwrap())
                    .collect();
                assert_eq!(texts, ["abc", "", "defg", "h", "ij", "k\0\0\0\0\0\0\0"]);
                client.write("xyz").await.0.unwrap();
                let (read, vecs) = server.read_vectored(vec![room(2), room(64)]).await;
                assert_eq!(read.unwrap(), 3);
                assert_eq!(vecs, [b"xy".to_vec(), b"z".to_vec()]);
            })
            .unwrap();
    });
}

#[test]
fn more_pieces_than_a_kernel_takes_at_once_are_a_short_transfer() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let pieces: Vec<_> = (0..1_500u32).map(|n| vec![n as u8]).collect();
        let (written, received) = proactor
            .block_on(async {
                let (written, pieces) = client.write_vectored(pieces).await;
                assert_eq!(pieces.len(), 1_500);
                client.shutdown(Shutdown::Write).await.unwrap();
                (
                    written.unwrap(),
                    compose::read_to_end(&server, Vec::new(), 2_000).await.1,
                )
            })
            .unwrap();
        assert_eq!(written, received.len());
        assert!((1..=1_500).contains(&written));
        assert!(
            received
                .iter()
                .zip(0u32..)
                .all(|(byte, n)| *byte == n as u8)
        );
    });
}

#[test]
fn a_slice_is_sent_and_a_slice_is_filled() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                let sent = client.write(String::from("proactor").slice(3..6)).await;
                assert_eq!(
                    (sent.0.unwrap(), sent.1.into_inner()),
                    (3, "proactor".to_owned())
                );
                let mut buf = room(64);
                buf.extend_from_slice(b"f");
                let (read, buf) = server.read(buf.slice(1..3)).await;
                assert_eq!((read.unwrap(), buf.into_inner()), (2, b"fac".to_vec()));
                assert_eq!(server.read(room(8)).await.1, b"t");
            })
            .unwrap();
    });
}

#[test]
fn nodelay_is_what_it_was_set_to() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, _server) = pair(&proactor);
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
        client.set_nodelay(false).unwrap();
        assert!(!client.clone().nodelay().unwrap());
    });
}

#[test]
fn both_ends_agree_on_their_addresses() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(&proactor, any) else {
                assert!(any.starts_with('['), "a machine without IPv6");
                continue;
            };
            let addr = listener.local_addr().unwrap();
            assert_ne!(addr.port(), 0);
            let (client, (server, from)) = proactor
                .block_on(async {
                    let client = TcpStream::connect(&proactor, addr).await.unwrap();
                    (client, listener.accept().await.unwrap())
                })
                .unwrap();
            assert_eq!(client.peer_addr().unwrap(), addr);
            assert_eq!(client.local_addr().unwrap(), from);
            assert_eq!(server.peer_addr().unwrap(), from);
            assert_eq!(server.local_addr().unwrap(), addr);
            assert!(format!("{client:?}").contains(&addr.port().to_string()));
        }
    });
}

#[test]
fn the_halves_are_for_two_owners_and_close_together() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let (reader, writer) = server.into_split();
        proactor
            .block_on(async {
                writer.write("out").await.0.unwrap();
                writer.write_vectored(vec!["side"]).await.0.unwrap();
                assert_eq!(
                    compose::read_exact(&client, room(7).slice(..7))
                        .await
                        .1
                        .into_inner(),
                    b"outside"
                );
                writer.shutdown().await.unwrap();
                assert_eq!(client.read(room(8)).await.0.unwrap(), 0);
                client.write("in").await.0.unwrap();
                assert_eq!(reader.read(room(8)).await.1, b"in");
                // One half gone, the other still reads.
                drop(writer);
                client.write("still").await.0.unwrap();
                assert_eq!(reader.read_vectored(vec![room(8)]).await.1, [b"still"]);
                assert!(reader.stream().peer_addr().is_ok());
                drop(reader);
                assert_eq!(proactor.stats().objects, 1);
            })
            .unwrap();
    });
}

#[test]
fn a_write_waits_while_the_peer_does_not_read() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let size = if kernel.is_simulated() {
            4_000
        } else {
            1 << 20
        };
        proactor
            .block_on(async {
                // Fill what there is between the two, then a write has to wait for a read.
                let mut filled = 0;
                loop {
                    let write = client
                        .write(vec![1; size])
                        .timeout(std::time::Duration::from_millis(2));
                    match write.await.0 {
                        Ok(count) => filled += count,
                        Err(error) => break assert_eq!(error.kind(), ErrorKind::TimedOut),
                    }
                }
                let mut write = client.write("!");
                write.cancel_handle();
                let mut received = 0;
                while received < filled {
                    let (read, buf) = server.read(room(size)).await;
                    assert!(buf[..buf.len() - 1].iter().all(|byte| *byte == 1));
                    received += read.unwrap();
                }
                assert_eq!(write.await.0.unwrap(), 1);
            })
            .unwrap();
    });
}
