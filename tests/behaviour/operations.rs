//! Operations: lazy, one slot, two ways to hear of the end.

use std::sync::Arc;
use std::time::Duration;

use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::{IoBuf, RunEnd};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::{Told, Watched, pair, room};

#[test]
fn an_operation_dropped_before_its_start_has_not_happened() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(8);
        let path = kernel.path("never made");
        drop(client.write("never sent"));
        drop(server.read(buf));
        drop(proactor.sleep(Duration::from_secs(3600)));
        drop(File::create(&proactor, &path));
        drop(client.shutdown(std::net::Shutdown::Both));
        assert_eq!(drops.count(), 1);
        assert_eq!(proactor.stats().operations, 0);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let sent = proactor.block_on(async {
            assert_eq!(client.write("sent").await.0.unwrap(), 4);
            server.read(room(64)).await.1
        });
        assert_eq!(sent.unwrap(), b"sent");
        assert!(kernel.content(&path).is_none());
    });
}

#[test]
fn no_handler_runs_inside_the_call_that_starts_its_operation() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let (client, server) = pair(&proactor);
        let handle = proactor.handle();
        let told = Told::nothing();
        let tell = told.clone();
        // From inside a handler, where everything that could be complete at once is.
        proactor.post(move || {
            let start = |what: &'static str| {
                let tell = tell.clone();
                move || tell.tell(what)
            };
            let mut done = vec![
                start("write"),
                start("read"),
                start("sleep"),
                start("post"),
                start("closed"),
                start("empty"),
            ];
            let mut next = move || done.remove(0);
            let (write, read, sleep, post, closed, empty) =
                (next(), next(), next(), next(), next(), next());
            client.write("x").then(move |_| write());
            server.read(room(1)).then(move |_| read());
            handle.sleep(Duration::ZERO).then(move |_| sleep());
            handle.post(post);
            server.read(Vec::new()).then(move |_| empty());
            let copy = client.clone();
            copy.close();
            copy.write("y").then(move |_| closed());
            tell.tell("the handler that starts them returns");
        });
        proactor.run().unwrap();
        let told = told.take();
        assert_eq!(told[0], "the handler that starts them returns");
        assert_eq!(told.len(), 7);
    });
}

#[test]
fn a_handler_and_an_await_get_the_same_output() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        let told = Told::nothing();
        let tell = told.clone();
        File::open(&proactor, &path).then(move |file| {
            let file = file.unwrap();
            let again = file.clone();
            file.read_at(room(4), 3).then(move |(read, buf)| {
                tell.tell(format!("{read:?} {buf:?}"));
                again.clone().len().then(move |len| {
                    drop(again);
                    tell.tell(format!("{len:?}"));
                });
            });
        });
        proactor.run().unwrap();
        let by_handlers = told.take();
        let awaited = proactor.block_on(async {
            let file = File::open(&proactor, &path).await.unwrap();
            let (read, buf) = file.read_at(room(4), 3).await;
            let len = file.len().await;
            vec![format!("{read:?} {buf:?}"), format!("{len:?}")]
        });
        assert_eq!(by_handlers, awaited.unwrap());
        assert_eq!(by_handlers, ["Ok(4) [51, 52, 53, 54]", "Ok(10)"]);
    });
}

/// Traces are compared where awaits are not ready at first poll: handlers never are.
#[test]
fn both_styles_leave_the_same_kernel_trace() {
    use proactor::choice::Kind;
    use proactor::sim::{Config, World};
    let trace = |body: fn(&proactor::Proactor)| {
        let config = Config {
            trace: true,
            ready_at_first_poll: false,
            ..Config::default()
        };
        let world = World::new(config, Box::new(Kind));
        world.add_file("/f", b"0123456789");
        let proactor = proactor::Proactor::builder()
            .simulated(&world)
            .build()
            .unwrap();
        body(&proactor);
        proactor.run().unwrap();
        drop(proactor);
        world.finish();
        assert_eq!(world.violation(), None);
        world.kernel_trace()
    };
    let by_handlers = trace(|proactor| {
        let handle = proactor.handle();
        proactor.post(move || {
            File::open(&handle, "/f").then(move |file| {
                let file = file.unwrap();
                let again = file.clone();
                file.read_at(room(4), 0).then(move |_| {
                    again.read_at(room(4), 4).then(move |_| {
                        handle
                            .sleep(Duration::from_secs(1))
                            .then(move |_| drop(again));
                    });
                });
            });
        });
    });
    let by_awaits = trace(|proactor| {
        let handle = proactor.handle();
        drop(proactor.spawn(async move {
            let file = File::open(&handle, "/f").await.unwrap();
            let _ = file.read_at(room(4), 0).await;
            let _ = file.read_at(room(4), 4).await;
            handle.sleep(Duration::from_secs(1)).await.unwrap();
        }));
    });
    assert!(by_handlers.lines().count() >= 8, "{by_handlers}");
    assert_eq!(by_handlers, by_awaits);
}

#[test]
fn the_buffer_always_comes_back() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        proactor
            .block_on(async {
                let Ok(client) = TcpStream::connect(&proactor, addr).await else {
                    return;
                };
                let Ok((server, _)) = listener.accept().await else {
                    return;
                };
                let shared: Arc<[u8]> = Arc::from(&b"shared"[..]);
                let (string, text) = client.write(String::from("string")).await;
                assert_eq!(text, "string");
                assert_eq!(&*client.write(shared).await.1, b"shared");
                assert_eq!(client.write(b"static".as_slice()).await.1, b"static");
                assert_eq!(client.write(b"vec".to_vec()).await.1, b"vec");
                assert_eq!(
                    client
                        .write(b"slice".to_vec().slice(1..3))
                        .await
                        .1
                        .into_inner(),
                    b"slice"
                );
                if string.is_err() {
                    // Perhaps nothing was sent at all.
                    return;
                }
                let boxed = server.read(vec![0; 8].into_boxed_slice()).await.1;
                assert_eq!(boxed.len(), 8);
                // All of it may have been short: what is left, or the end.
                client.close();
                let (read, buf) = server.read(room(64)).await;
                assert_eq!(buf.len(), read.unwrap_or(0));
                let place = buf.as_ptr();
                server.close();
                let (read, buf) = server.read(buf).await;
                assert!(read.is_err());
                assert_eq!(buf.as_ptr(), place);
                let (written, text) = server.write("not sent").await;
                assert!(written.is_err());
                assert_eq!(text, "not sent");
            })
            .unwrap();
    });
}

#[test]
fn what_is_read_into_a_vec_is_all_that_it_holds() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        let read = proactor.block_on(async {
            let file = File::open(&proactor, &path).await.ok()?;
            let mut old = room(64);
            old.extend_from_slice(b"what was there before");
            Some(file.read_at(old, 0).await)
        });
        if let Some((Ok(count), buf)) = read.unwrap() {
            assert_eq!(buf, b"abc"[..count]);
        }
    });
}

#[test]
fn an_operation_says_what_it_is_and_where_it_was_made() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let line = line!() + 1;
        let sleep = proactor.sleep(Duration::ZERO);
        let text = format!("{sleep:?}");
        assert!(text.contains("sleep"), "{text}");
        assert!(text.contains(&format!("operations.rs:{line}")), "{text}");
    });
}

#[test]
fn an_operation_that_was_polled_can_not_get_a_handler() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let mut sleep = proactor.sleep(Duration::from_secs(3600));
        sleep.cancel_handle().cancel();
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sleep.then(|_| {})));
        let text = *panicked.unwrap_err().downcast::<&str>().unwrap();
        assert!(text.contains("has been started already"), "{text}");
        proactor.run().unwrap();
        assert_eq!(proactor.stats().operations, 0);
    });
}
