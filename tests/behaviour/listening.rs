//! Listeners and connecting.

use std::io::ErrorKind;
use std::time::Duration;

use proactor::net::{ListenOptions, TcpListener, TcpStream};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{Told, room};

#[test]
fn a_port_in_use_is_an_error_that_says_so() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let first = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = first.local_addr().unwrap();
        let error = TcpListener::bind(&proactor, addr).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert_eq!(proactor.stats().objects, 1);
    });
}

#[test]
fn listeners_that_all_agree_share_a_port() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let shared = ListenOptions::new().reuse_port(true);
        let first = shared.bind(&proactor, "127.0.0.1:0");
        if kernel.is_windows() {
            let refused = first.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.to_string().contains("SO_REUSEPORT"), "{refused}");
            assert_eq!(proactor.stats().objects, 0);
            return;
        }
        let first = first.unwrap();
        let addr = first.local_addr().unwrap();
        let second = shared.bind(&proactor, addr).unwrap();
        assert_eq!(second.local_addr().unwrap(), addr);
        assert_eq!(
            TcpListener::bind(&proactor, addr).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        // Which of the two gets a connection is the kernel's affair.
        let told = Told::nothing();
        for listener in [&first, &second] {
            let (tell, both) = (told.clone(), [first.clone(), second.clone()]);
            listener.accept().then(move |accepted| {
                tell.tell(accepted.is_ok());
                both.iter().for_each(TcpListener::close);
            });
        }
        let client = proactor.block_on(TcpStream::connect(&proactor, addr));
        client.unwrap().unwrap();
        proactor.run().unwrap();
        let mut accepted = told.take();
        accepted.sort_unstable();
        assert_eq!(accepted, [false, true]);
    });
}

#[test]
fn an_address_can_be_used_again_after_its_listener_was_closed() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let first = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = first.local_addr().unwrap();
        let (client, server) = proactor
            .block_on(async {
                let client = TcpStream::connect(&proactor, addr).await.unwrap();
                (client, first.accept().await.unwrap().0)
            })
            .unwrap();
        drop(first);
        proactor.run().unwrap();
        let options = ListenOptions::new().reuse_address(true).backlog(8);
        assert_eq!(
            options.bind(&proactor, addr).unwrap().local_addr().unwrap(),
            addr
        );
        drop((client, server));
    });
}

#[test]
fn connections_wait_to_be_accepted_up_to_the_backlog() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let listener = ListenOptions::new()
            .backlog(2)
            .bind(&proactor, "127.0.0.1:0")
            .unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                // The backlog and one more (listen(2)): those are connected before anybody accepts.
                let mut clients = Vec::new();
                for _ in 0..3 {
                    clients.push(TcpStream::connect(&proactor, addr).await.unwrap());
                }
                let late = TcpStream::connect(&proactor, addr)
                    .timeout(Duration::from_millis(20))
                    .await;
                match late.unwrap_err().kind() {
                    ErrorKind::ConnectionRefused => assert!(kernel.is_windows()),
                    late => assert_eq!(late, ErrorKind::TimedOut),
                }
                for client in &clients {
                    let (_, from) = listener.accept().await.unwrap();
                    assert_eq!(from, client.local_addr().unwrap());
                }
            })
            .unwrap();
    });
}

#[test]
fn nobody_listens_is_a_refused_connection() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        proactor.run().unwrap();
        let error = proactor
            .block_on(TcpStream::connect(&proactor, addr))
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn accepts_that_wait_each_get_one_connection() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (told, connected) = (Told::nothing(), Told::nothing());
        for _ in 0..3 {
            let tell = told.clone();
            listener
                .accept()
                .then(move |accepted| tell.tell(accepted.unwrap()));
        }
        for _ in 0..3 {
            let tell = connected.clone();
            TcpStream::connect(&proactor, addr).then(move |stream| tell.tell(stream.unwrap()));
        }
        proactor.run().unwrap();
        let mut from: Vec<_> = told.take().into_iter().map(|(_, from)| from).collect();
        let mut to: Vec<_> = connected
            .take()
            .iter()
            .map(|stream| stream.local_addr().unwrap())
            .collect();
        from.sort_unstable();
        to.sort_unstable();
        assert_eq!((from.len(), from), (3, to));
    });
}

#[test]
fn whatever_becomes_of_a_connect_no_handle_is_left_over() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let told = Told::nothing();
        let tell = told.clone();
        let cancel =
            TcpStream::connect(&proactor, addr).then(move |stream| tell.tell(stream.is_ok()));
        proactor.post(move || cancel.cancel());
        proactor.run().unwrap();
        told.only();
        assert_eq!(proactor.stats().objects, 1, "the listener alone");
    });
}

/// Linux drops a connection that was reset in the queue only when it is accepted, and then says
/// nothing; the peer's address is gone by then.
#[test]
fn a_connection_that_is_gone_when_it_is_accepted_is_an_end_or_an_abort() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                drop(TcpStream::connect(&proactor, addr).await.unwrap());
                proactor.sleep(Duration::from_millis(1)).await.unwrap();
                match listener.accept().await {
                    Ok((stream, _)) => assert_eq!(stream.read(room(8)).await.0.unwrap(), 0),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionAborted),
                }
            })
            .unwrap();
    });
}

#[test]
fn a_connection_comes_from_where_it_was_told_to() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                let client = TcpStream::connect_from(&proactor, "127.0.0.2:0", addr)
                    .await
                    .unwrap();
                let (server, from) = listener.accept().await.unwrap();
                let local = client.local_addr().unwrap();
                assert_eq!(
                    (local.ip().to_string(), local),
                    ("127.0.0.2".to_owned(), from)
                );
                assert_ne!(local.port(), 0);
                server.write("hello").await.0.unwrap();
                assert_eq!(client.read(room(8)).await.1, b"hello");
                // Its port is taken: by itself, and by a listener.
                for taken in [local, addr] {
                    let error = TcpStream::connect_from(&proactor, taken, addr)
                        .await
                        .unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{taken}");
                }
            })
            .unwrap();
    });
}

#[test]
fn a_connection_comes_from_no_address_that_cannot_be() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                for (local, kind) in [
                    ("nonsense", ErrorKind::InvalidInput),
                    ("[::1]:0", ErrorKind::InvalidInput),
                    // TEST-NET-3 (RFC 5737): nobody has it.
                    ("203.0.113.7:0", ErrorKind::AddrNotAvailable),
                ] {
                    let error = TcpStream::connect_from(&proactor, local, addr)
                        .await
                        .unwrap_err();
                    assert_eq!(error.kind(), kind, "{local}: {error}");
                }
            })
            .unwrap();
        assert_eq!(proactor.stats().objects, 1, "the listener alone");
    });
}

/// Linux accepts it all the same and says nothing (`inet_csk_accept`); what it then has no more is a peer.
#[test]
fn a_connection_that_was_reset_before_it_is_accepted_is_an_abort() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                let client = TcpStream::connect(&proactor, addr).await.unwrap();
                client.set_linger(Some(Duration::ZERO)).unwrap();
                drop(client);
                // Its reset has come before this one.
                let next = TcpStream::connect(&proactor, addr).await.unwrap();
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
                let (_, from) = listener.accept().await.unwrap();
                assert_eq!(from, next.local_addr().unwrap());
            })
            .unwrap();
        assert_eq!(proactor.stats().objects, 1, "the listener alone");
    });
}
