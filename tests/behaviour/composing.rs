//! Composed operations: one result for the whole, and how far they came if they stop early.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use proactor::IoBuf;
use proactor::compose::{self, Cause, Interrupted};
use proactor::fs::{File, OpenOptions};
use proactor::net::{TcpListener, TcpStream};

use crate::kernels::{Kernel, in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{pair, room};

#[track_caller]
fn stopped(error: &std::io::Error) -> &Interrupted {
    Interrupted::in_error(error).unwrap_or_else(|| panic!("{error} carries no Interrupted"))
}

#[test]
fn read_exact_goes_on_until_the_buffer_is_full() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let handle = proactor.handle();
        drop(proactor.spawn(async move {
            for piece in ["pro", "", "ac", "tor and more"] {
                client.write(piece.to_owned()).await.0.unwrap();
                handle.sleep(Duration::from_millis(1)).await.unwrap();
            }
        }));
        let (read, buf) = proactor
            .block_on(compose::read_exact(&server, room(8).slice(..8)))
            .unwrap();
        assert_eq!((read.unwrap(), buf.into_inner()), (8, b"proactor".to_vec()));
        proactor.run().unwrap();
    });
}

#[test]
fn read_exact_at_the_end_says_how_far_it_came() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let (read, buf) = proactor
            .block_on(async {
                client.write("pro").await.0.unwrap();
                client.shutdown(Shutdown::Write).await.unwrap();
                compose::read_exact(&server, room(8).slice(..8)).await
            })
            .unwrap();
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(matches!(stopped(&error).cause, Cause::EndOfFile));
        assert_eq!(
            (stopped(&error).done, buf.into_inner()),
            (3, b"pro".to_vec())
        );
        assert_eq!(error.to_string(), "stopped after 3 bytes: the stream ended");
    });
}

#[test]
fn what_a_composed_operation_did_is_never_lost_whatever_happens() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        proactor
            .block_on(async {
                let Ok(file) = File::open(&proactor, &path).await else {
                    return;
                };
                let (read, buf) = compose::read_exact_at(&file, room(6).slice(..6), 2).await;
                match &read {
                    Ok(count) => assert_eq!((*count, &buf[..]), (6, &b"234567"[..])),
                    Err(error) => {
                        let stopped = stopped(error);
                        assert!(matches!(stopped.cause, Cause::Error(_)), "{stopped}");
                        assert_eq!(buf[..], b"234567"[..stopped.done as usize]);
                    }
                }
            })
            .unwrap();
    });
}

#[test]
fn write_all_writes_all() {
    whatever_happens(|kernel: &Kernel| {
        let proactor = kernel.proactor();
        let path = kernel.path("file");
        let written = proactor
            .block_on(async {
                let file = File::create(&proactor, &path).await.ok()?;
                let (written, text) =
                    compose::write_all_at(&file, String::from("0123456789"), 3).await;
                assert_eq!(text, "0123456789");
                Some(written)
            })
            .unwrap();
        let content = kernel.content(&path);
        match written {
            Some(Ok(count)) => {
                assert_eq!(count, 10);
                assert_eq!(content.unwrap(), b"\0\0\x000123456789");
            }
            Some(Err(error)) => {
                let done = stopped(&error).done as usize;
                let content = content.unwrap();
                assert_eq!(content.get(3..).unwrap_or_default(), &b"0123456789"[..done]);
            }
            None => {}
        }
    });
}

#[test]
fn write_all_to_a_full_stream_goes_on_when_there_is_room() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        // More than any kernel takes at once.
        let size = if kernel.is_simulated() {
            10_000
        } else {
            20_000_000
        };
        let sender = proactor.spawn(async move {
            let (written, _) = compose::write_all(&client, vec![9; size]).await;
            written
        });
        let received = proactor
            .block_on(compose::read_to_end(&server, Vec::new(), size))
            .unwrap();
        assert_eq!(received.0.unwrap(), size);
        assert!(received.1.iter().all(|byte| *byte == 9));
        assert_eq!(proactor.block_on(sender).unwrap().unwrap().unwrap(), size);
    });
}

#[test]
fn read_to_end_appends_and_keeps_to_its_limit() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        for (limit, ok) in [(4, false), (5, true), (6, true)] {
            let (client, server) = pair(&proactor);
            let (read, buf) = proactor
                .block_on(async {
                    client.write("hello").await.0.unwrap();
                    client.shutdown(Shutdown::Write).await.unwrap();
                    compose::read_to_end(&server, b"> ".to_vec(), limit).await
                })
                .unwrap();
            assert_eq!(buf, b"> hello");
            match read {
                Ok(count) => assert_eq!((count, ok), (5, true)),
                Err(error) => {
                    assert!(!ok);
                    assert_eq!(error.kind(), ErrorKind::FileTooLarge);
                    assert!(matches!(stopped(&error).cause, Cause::Limit));
                }
            }
        }
    });
}

#[test]
fn copy_copies_until_the_end_and_counts() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let ((source, from), (to, sink)) = (pair(&proactor), pair(&proactor));
        let size = if kernel.is_simulated() {
            10_000
        } else {
            200_000
        };
        let sent: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
        let bytes = sent.clone();
        drop(proactor.spawn(async move { compose::write_all(&source, bytes).await.0.unwrap() }));
        let copy = proactor.spawn(async move { compose::copy(&from, &to).await.unwrap() });
        let received = proactor
            .block_on(compose::read_to_end(&sink, Vec::new(), 1 << 20))
            .unwrap()
            .1;
        assert!(received == sent);
        assert_eq!(proactor.block_on(copy).unwrap().unwrap(), u64::from(size));
    });
}

#[test]
fn copy_that_is_cancelled_counts_what_it_wrote_and_what_it_lost() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let ((source, from), (to, sink)) = (pair(&proactor), pair(&proactor));
        let (error, received, left) = proactor
            .block_on(async {
                let mut copy = compose::copy(&from, &to);
                let cancel = copy.cancel_handle();
                source.write("hello").await.0.unwrap();
                cancel.cancel();
                let error = copy.await.unwrap_err();
                source.shutdown(Shutdown::Write).await.unwrap();
                to.shutdown(Shutdown::Write).await.unwrap();
                let received = compose::read_to_end(&sink, Vec::new(), 64).await.0.unwrap();
                let left = compose::read_to_end(&from, Vec::new(), 64).await.0.unwrap();
                (error, received as u64, left as u64)
            })
            .unwrap();
        assert!(proactor::is_canceled(&error), "{error}");
        assert_eq!(stopped(&error).done, received);
        assert_eq!(received + left + proactor.stats().discarded_bytes, 5);
    });
}

#[test]
fn copy_needs_streams_of_one_proactor() {
    on_every_kernel(|kernel| {
        if kernel.is_simulated() {
            return; // one proactor at a time
        }
        let (one, other) = (kernel.proactor(), kernel.proactor());
        let ((_a, from), (to, _b)) = (pair(&one), pair(&other));
        let copied = one.block_on(compose::copy(&from, &to)).unwrap();
        assert_eq!(copied.unwrap_err().kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn nothing_to_do_is_done() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                assert_eq!(compose::read_exact(&server, Vec::new()).await.0.unwrap(), 0);
                assert_eq!(compose::write_all(&client, "").await.0.unwrap(), 0);
                client.shutdown(Shutdown::Write).await.unwrap();
                assert_eq!(
                    compose::read_to_end(&server, Vec::new(), 0)
                        .await
                        .0
                        .unwrap(),
                    0
                );
            })
            .unwrap();
    });
}

#[test]
fn a_composed_operation_that_runs_out_of_time_says_what_it_had() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let (read, buf) = proactor
            .block_on(async {
                client.write("abc").await.0.unwrap();
                compose::read_exact(&server, room(8).slice(..8))
                    .timeout(Duration::from_millis(2))
                    .await
            })
            .unwrap();
        let error = read.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(matches!(stopped(&error).cause, Cause::TimedOut));
        assert_eq!(stopped(&error).done, buf.io_len() as u64);
        assert_eq!(buf[..], b"abc"[..buf.io_len()]);
    });
}

#[test]
fn a_file_written_whole_is_read_whole() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.path("file");
        let size = 200_000;
        proactor
            .block_on(async {
                let options = OpenOptions::new().read(true).write(true).create_new(true);
                let file = options.open(&proactor, &path).await.unwrap();
                compose::write_all_at(&file, vec![5; size], 0)
                    .await
                    .0
                    .unwrap();
                let (read, buf) =
                    compose::read_exact_at(&file, vec![0; size].into_boxed_slice(), 0).await;
                assert_eq!(read.unwrap(), size);
                assert!(buf.iter().all(|byte| *byte == 5));
                let error = compose::read_exact_at(&file, room(8).slice(..8), size as u64 - 3)
                    .await
                    .0;
                assert_eq!(stopped(&error.unwrap_err()).done, 3);
            })
            .unwrap();
    });
}

#[test]
fn an_error_under_a_composed_operation_is_its_cause() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let error = proactor
            .block_on(async {
                let client = TcpStream::connect(&proactor, addr).await.unwrap();
                let (server, _) = listener.accept().await.unwrap();
                client.write("unread").await.0.unwrap();
                proactor.sleep(Duration::from_millis(1)).await.unwrap();
                drop(server);
                if kernel.is_wine() {
                    // Not the receive tells of the reset.
                    loop {
                        if let Err(error) = compose::write_all(&client, "x").await.0 {
                            return error;
                        }
                    }
                }
                compose::read_exact(&client, room(8).slice(..8))
                    .await
                    .0
                    .unwrap_err()
            })
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let Cause::Error(cause) = &stopped(&error).cause else {
            panic!("{error}")
        };
        assert_eq!(cause.kind(), ErrorKind::ConnectionReset);
        assert!(std::error::Error::source(stopped(&error)).is_some());
    });
}
