//! What people get wrong, and what they are told. (A port in use and nobody who listens:
//! `listening`; a cancel too late: `cancelling`; `run` in the wrong place: `running`, `threads`; a
//! proactor dropped too early: `ending`; replay strings: the checker's own tests.)

use std::io::ErrorKind;
use std::net::Shutdown;

use proactor::IoBuf;
use proactor::fs::{File, OpenOptions};
use proactor::net::{TcpListener, TcpStream};

use crate::kernels::{in_any_order, on_every_kernel, on_the_simulated_kernel};
use crate::tools::{pair, room};

#[test]
fn a_read_of_zero_bytes_ends_at_once_with_zero() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                // Nothing has come, and nobody waits for it.
                assert_eq!(server.read(room(8).slice(..0)).await.0.unwrap(), 0);
                assert_eq!(
                    server
                        .read_vectored(vec![room(0), room(0)])
                        .await
                        .0
                        .unwrap(),
                    0
                );
                assert_eq!(
                    server.read_vectored(Vec::<Vec<u8>>::new()).await.0.unwrap(),
                    0
                );
                let file = File::open(&proactor, &path).await.unwrap();
                assert_eq!(file.read_at(room(8).slice(..0), 0).await.0.unwrap(), 0);
            })
            .unwrap();
    });
}

#[test]
fn an_empty_write_moves_nothing_and_is_ok() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                assert_eq!(client.write("").await.0.unwrap(), 0);
                assert_eq!(client.write_vectored(vec!["", ""]).await.0.unwrap(), 0);
                assert_eq!(
                    client.write_vectored(Vec::<String>::new()).await.0.unwrap(),
                    0
                );
                client.write("x").await.0.unwrap();
                assert_eq!(
                    server.read(room(8)).await.1,
                    b"x",
                    "no end of file was sent"
                );
                let file = OpenOptions::new()
                    .write(true)
                    .open(&proactor, &path)
                    .await
                    .unwrap();
                assert_eq!(file.write_at("", 1).await.0.unwrap(), 0);
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap(), b"abc");
    });
}

#[test]
fn a_buffer_without_capacity_comes_back_with_zero() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                client.write("x").await.0.unwrap();
                let (read, buf) = server.read(Vec::new()).await;
                assert_eq!((read.unwrap(), buf.capacity()), (0, 0));
                assert_eq!(
                    server.read(Vec::new().into_boxed_slice()).await.0.unwrap(),
                    0
                );
                assert_eq!(server.read(room(8)).await.1, b"x", "and takes nothing away");
            })
            .unwrap();
    });
}

#[test]
fn an_operation_on_a_closed_handle_says_so_and_gives_the_buffer_back() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, _server) = pair(&proactor);
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let file = File::open(&proactor, &path).await.unwrap();
                // Made before the close, started after.
                let early = client.read(room(8));
                client.close();
                listener.close();
                file.close();
                let (read, buf) = early.await;
                assert_eq!(buf.capacity(), 8);
                let errors = [
                    read.unwrap_err(),
                    client.read(room(8)).await.0.unwrap_err(),
                    client.write("x").await.0.unwrap_err(),
                    client.read_vectored(vec![room(8)]).await.0.unwrap_err(),
                    client.write_vectored(vec!["x"]).await.0.unwrap_err(),
                    client.shutdown(Shutdown::Both).await.unwrap_err(),
                    client.set_nodelay(true).unwrap_err(),
                    client.local_addr().unwrap_err(),
                    client.peer_addr().unwrap_err(),
                    listener.accept().await.unwrap_err(),
                    listener.local_addr().unwrap_err(),
                    file.read_at(room(8), 0).await.0.unwrap_err(),
                    file.write_at("x", 0).await.0.unwrap_err(),
                    file.sync_all().await.unwrap_err(),
                    file.len().await.unwrap_err(),
                ];
                for error in errors {
                    assert_eq!(error.kind(), ErrorKind::NotConnected);
                    assert!(
                        error.to_string().contains("the handle was closed"),
                        "{error}"
                    );
                    // So that a loop over the next operation ends with it.
                    assert!(proactor::is_canceled(&error), "{error}");
                }
            })
            .unwrap();
    });
}

#[test]
fn an_address_that_is_none_is_invalid_input() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        for addr in [
            "",
            "127.0.0.1",
            "localhost:80",
            "127.0.0.1:99999",
            "nonsense",
        ] {
            let bound = TcpListener::bind(&proactor, addr).unwrap_err();
            let connected = proactor
                .block_on(TcpStream::connect(&proactor, addr))
                .unwrap()
                .unwrap_err();
            for error in [bound, connected] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains(addr), "{error}");
            }
        }
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn a_file_that_is_not_there_is_not_found() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let missing = [kernel.path("missing"), kernel.path("missing/too")];
        for path in missing {
            let error = proactor
                .block_on(File::open(&proactor, &path))
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let empty = proactor
            .block_on(File::open(&proactor, ""))
            .unwrap()
            .unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::NotFound);
        let below = kernel.put("file", b"").join("below");
        let error = proactor
            .block_on(File::open(&proactor, below))
            .unwrap()
            .unwrap_err();
        let through_a_file = match kernel.is_windows() {
            true => ErrorKind::NotFound,
            false => ErrorKind::NotADirectory,
        };
        assert_eq!(error.kind(), through_a_file);
    });
}

/// A directory can be opened for reading, as open(2) has it; reading it is the error.
#[test]
fn a_directory_is_no_file() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let directory = kernel.path("");
        proactor
            .block_on(async {
                let error = match File::open(&proactor, &directory).await {
                    Ok(file) => file.read_at(room(8), 0).await.0.unwrap_err(),
                    Err(error) => error,
                };
                assert_eq!(error.kind(), ErrorKind::IsADirectory);
                let error = File::create(&proactor, &directory).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::IsADirectory);
            })
            .unwrap();
    });
}

/// Injected: who runs the tests may be allowed to read everything.
#[test]
fn a_file_that_may_not_be_read_is_permission_denied() {
    on_the_simulated_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("secret", b"abc");
        kernel.world().deny(path.to_str().unwrap());
        let error = proactor
            .block_on(File::open(&proactor, &path))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn a_path_with_a_nul_byte_is_invalid_input() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        let text = format!("{}\0.txt", path.display());
        let error = proactor
            .block_on(File::open(&proactor, text))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("NUL"), "{error}");
    });
}

#[test]
fn an_offset_that_no_file_has_is_an_error_and_no_wrap() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let options = OpenOptions::new().read(true).write(true);
                let file = options.open(&proactor, &path).await.unwrap();
                for offset in [u64::MAX, u64::MAX - 1, i64::MAX as u64 + 1] {
                    assert!(file.write_at("x", offset).await.0.is_err(), "{offset}");
                    let read = file.read_at(room(8), offset).await.0;
                    assert!(!matches!(read, Ok(1..)), "{offset}: {read:?}");
                }
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap(), b"abc");
    });
}

#[test]
fn a_stream_that_is_not_connected_any_more_says_so() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        proactor
            .block_on(async {
                drop(server);
                assert_eq!(client.read(room(8)).await.0.unwrap(), 0);
                // The first goes out and is answered by a reset; the next finds it.
                client.write("x").await.0.unwrap();
                proactor
                    .sleep(std::time::Duration::from_millis(1))
                    .await
                    .unwrap();
                let broken = client.write("y").await.0.unwrap_err().kind();
                assert!(kernel.is_broken(broken), "{broken:?}");
            })
            .unwrap();
    });
}
