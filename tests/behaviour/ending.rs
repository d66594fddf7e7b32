//! A proactor's end: what is pending drains, what was lent comes back, handlers are dropped
//! uninvoked, everything closes (I1, I4, I8).

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use proactor::fs::File;
use proactor::net::{TcpListener, TcpStream};
use proactor::{JoinError, Proactor, RunEnd};

use crate::kernels::{Kernel, in_any_order, on_every_kernel, on_the_real_kernel, whatever_happens};
use crate::tools::{Drops, Told, Watched, pair, room};

const LONG: Duration = Duration::from_secs(3600);

/// Starts one of each, all of which wait. What is to be dropped once.
fn start_everything(proactor: &Proactor, told: &Told<()>) -> Vec<Drops> {
    let (client, server) = pair(proactor);
    let listener = TcpListener::bind(proactor, "127.0.0.1:0").unwrap();
    let mut drops = Vec::new();
    let mut watched = || {
        let (buf, drop) = Watched::new(8);
        drops.push(drop);
        buf
    };
    let (for_read, for_task, posted, slept) = (watched(), watched(), watched(), watched());
    let (keeps, tell) = (client.clone(), told.clone());
    server.clone().read(for_read).then(move |_| {
        tell.tell(());
        drop(keeps);
    });
    listener.accept().then({
        let (tell, listener) = (told.clone(), listener.clone());
        move |_| {
            tell.tell(());
            drop(listener);
        }
    });
    let tell = told.clone();
    proactor.sleep(LONG).then(move |_| {
        tell.tell(());
        drop(slept);
    });
    drop(proactor.spawn(async move { (client.read(for_task).await, server).0.0 }));
    proactor.run_for(Duration::from_millis(1)).unwrap();
    let tell = told.clone();
    proactor.post(move || {
        tell.tell(());
        drop(posted);
    });
    drops
}

#[test]
fn a_proactor_dropped_with_operations_pending_drains_and_closes() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let drops = start_everything(&proactor, &told);
        assert!(proactor.stats().operations >= 4);
        drop(proactor);
        assert!(told.take().is_empty(), "handlers are dropped uninvoked");
        assert!(drops.iter().all(|drops| drops.count() == 1));
    });
}

#[test]
fn whenever_a_proactor_is_dropped_nothing_is_left_over() {
    whatever_happens(|kernel: &Kernel| {
        // After so many handlers, from none to all.
        for steps in 0..8 {
            let proactor = kernel.proactor();
            let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
            let addr = listener.local_addr().unwrap();
            let path = kernel.put("file", b"content");
            let handle = proactor.handle();
            listener.clone().accept().then(move |accepted| {
                let Ok((stream, _)) = accepted else { return };
                stream.clone().read(room(8)).then(move |(_, buf)| {
                    stream
                        .write(buf)
                        .timeout(Duration::from_secs(1))
                        .then(|_| {});
                });
            });
            drop(proactor.spawn(async move {
                let file = File::open(&handle, &path).await?;
                let stream = TcpStream::connect(&handle, addr).await?;
                stream.write(file.read_at(room(8), 0).await.1).await.0?;
                stream.read(room(8)).timeout(Duration::from_secs(2)).await.0
            }));
            for _ in 0..steps {
                if proactor.stats().operations > 1 || steps < 3 {
                    let _ = proactor.poll();
                }
            }
        }
    });
}

#[test]
fn a_proactor_dropped_on_another_thread_ends_when_its_thread_ends() {
    on_the_real_kernel(|kernel| {
        let (send, receive) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel();
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        let owner = thread::spawn(move || {
            let drops = start_everything(&proactor, &tell);
            send.send(proactor).unwrap();
            wait.recv().unwrap();
            assert!(
                drops.iter().any(|drops| drops.count() == 0),
                "the kernel has them still"
            );
            drops
        });
        let proactor = receive.recv().unwrap();
        drop(proactor);
        done.send(()).unwrap();
        let drops = owner.join().unwrap();
        assert!(drops.iter().all(|drops| drops.count() == 1));
        assert!(told.take().is_empty());
    });
}

#[test]
fn a_proactor_dropped_on_another_thread_ends_when_its_thread_runs_another() {
    on_the_real_kernel(|kernel| {
        let (proactor, next) = (kernel.proactor(), kernel.proactor());
        let told = Told::nothing();
        let drops = start_everything(&proactor, &told);
        let handle = proactor.handle();
        thread::spawn(move || drop(proactor)).join().unwrap();
        assert!(drops.iter().any(|drops| drops.count() == 0));
        assert_eq!(next.run().unwrap(), RunEnd::OutOfWork);
        assert!(drops.iter().all(|drops| drops.count() == 1));
        assert!(told.take().is_empty());
        assert_eq!(handle.stats(), proactor::Stats::default());
    });
}

#[test]
fn a_proactor_that_was_never_run_can_be_dropped_anywhere() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (buf, drops) = Watched::new(8);
        proactor.post(move || drop(buf));
        let listener = TcpListener::bind(&proactor, "127.0.0.1:0").unwrap();
        thread::spawn(move || drop(proactor)).join().unwrap();
        assert_eq!(drops.count(), 1);
        assert!(listener.local_addr().is_err());
    });
}

#[test]
fn a_future_finished_after_its_proactor_gives_the_buffer_back_and_says_why() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let mut read = server.read(room(16));
        let mut accept = TcpListener::bind(&proactor, "127.0.0.1:0")
            .unwrap()
            .accept();
        let mut sleep = proactor.sleep(LONG);
        proactor
            .block_on(async {
                read.cancel_handle();
                accept.cancel_handle();
                sleep.cancel_handle();
            })
            .unwrap();
        let never_started = server.read(room(32));
        let handle = proactor.handle();
        drop(proactor);
        let (result, buf) = now(read);
        let error = result.unwrap_err();
        assert!(
            error.to_string().contains("the proactor was dropped"),
            "{error}"
        );
        assert_eq!(buf.capacity(), 16);
        assert!(now(accept).is_err());
        assert_eq!(now(sleep).unwrap_err().kind(), ErrorKind::NotConnected);
        let (result, buf) = now(never_started);
        assert!(result.is_err() && buf.capacity() == 32);
        assert_eq!(
            now(handle.sleep(LONG)).unwrap_err().kind(),
            ErrorKind::NotConnected
        );
    });

    fn now<F: IntoFuture<IntoFuture: Unpin>>(future: F) -> F::Output {
        match std::pin::Pin::new(&mut future.into_future())
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nobody will ever wake it"),
        }
    }
}

#[test]
fn a_future_dropped_after_its_proactor_gives_the_buffer_up() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(8);
        let mut read = server.read(buf);
        proactor
            .block_on(async { drop(read.cancel_handle()) })
            .unwrap();
        drop(proactor);
        assert_eq!(drops.count(), 0);
        drop(read);
        assert_eq!(drops.count(), 1);
    });
}

#[test]
fn what_is_asked_of_a_dead_proactor_fails_and_leaks_nothing() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (client, _server) = pair(&proactor);
        let handle = proactor.handle();
        drop(proactor);
        // Another one that may live in the same place, and is to notice nothing.
        let proactor = kernel.proactor();
        let (buf, drops) = Watched::new(8);
        let (for_post, for_task) = (Watched::new(8), Watched::new(8));
        client.read(buf).then(|_| panic!("it can't be called"));
        handle.post(move || drop(for_post.0));
        let task = handle.spawn(async move { drop(for_task.0) });
        assert_eq!(
            (drops.count(), for_post.1.count(), for_task.1.count()),
            (1, 1, 1)
        );
        assert_eq!(proactor.block_on(task).unwrap(), Err(JoinError::Aborted));
        handle.stop();
        client.close();
        drop(client.clone());
        assert!(
            client.set_nodelay(true).is_err()
                && client.nodelay().is_err()
                && client.peer_addr().is_err()
        );
        assert!(TcpListener::bind(&handle, "127.0.0.1:0").is_err());
        assert!(
            handle.dump().contains("the proactor was dropped"),
            "{}",
            handle.dump()
        );
        assert!(handle.describe().contains("dropped"));
        assert_eq!(handle.stats(), proactor::Stats::default());
        assert_eq!(format!("{handle:?}"), "Handle { alive: false }");
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
    });
}

#[test]
fn what_dropping_starts_ends_too() {
    on_every_kernel(|kernel| {
        struct StartsMore(proactor::Handle, Arc<AtomicUsize>);
        impl Drop for StartsMore {
            fn drop(&mut self) {
                let left = self.1.fetch_sub(1, Ordering::SeqCst);
                if left > 1 {
                    let (again, also) = (StartsMore(self.0, self.1.clone()), self.1.clone());
                    self.0.sleep(LONG).then(move |_| drop((again, also)));
                    self.0.post(|| panic!("it can't be called"));
                    drop(self.0.spawn(async { panic!("it can't be polled") }));
                }
            }
        }
        let proactor = kernel.proactor();
        let count = Arc::new(AtomicUsize::new(5));
        let starts_more = StartsMore(proactor.handle(), count.clone());
        proactor.sleep(LONG).then(move |_| drop(starts_more));
        proactor.poll().unwrap();
        drop(proactor);
        assert_eq!(count.load(Ordering::SeqCst), 0);
        assert_eq!(Arc::strong_count(&count), 1);
    });
}

/// Each thing that is dropped starts another one: the rest is leaked, with a warning.
#[test]
fn a_drop_that_always_starts_something_new_does_not_hold_up_the_end() {
    struct Again(proactor::Handle, Arc<AtomicUsize>, u8);
    impl Drop for Again {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::SeqCst);
            let again = Again(self.0, self.1.clone(), self.2);
            match self.2 {
                0 => self.0.post(move || drop(again)),
                1 => drop(self.0.spawn(async move { drop(again) })),
                _ => drop(self.0.sleep(LONG).then(move |_| drop(again))),
            }
        }
    }
    let ends = |kernel: &Kernel, how| {
        let proactor = kernel.proactor();
        let count = Arc::new(AtomicUsize::new(0));
        let again = Again(proactor.handle(), count.clone(), how);
        proactor.post(move || drop(again));
        drop(proactor);
        assert!(count.load(Ordering::SeqCst) > 10_000);
        assert!(Arc::strong_count(&count) > 1, "the last one is leaked");
    };
    on_every_kernel(|kernel| ends(kernel, 0));
    on_every_kernel(|kernel| ends(kernel, 1));
    // On the simulated kernel what is leaked in flight is a breach of I8, rightly.
    on_the_real_kernel(|kernel| ends(kernel, 2));
}

#[test]
fn the_peer_sees_the_end_when_a_proactor_is_dropped() {
    on_the_real_kernel(|kernel| {
        let (one, other) = (kernel.proactor(), kernel.proactor());
        let listener = TcpListener::bind(&other, "127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let client = one
            .block_on(TcpStream::connect(&one, addr))
            .unwrap()
            .unwrap();
        let (server, _) = other.block_on(listener.accept()).unwrap().unwrap();
        client.read(room(8)).then(|_| panic!("it can't be called"));
        one.poll().unwrap();
        drop(one);
        assert_eq!(other.block_on(server.read(room(8))).unwrap().0.unwrap(), 0);
        assert!(client.local_addr().is_err());
    });
}

#[test]
fn proactors_come_and_go_in_the_same_place() {
    on_every_kernel(|kernel| {
        let mut stale = Vec::new();
        for _ in 0..20 {
            let proactor = kernel.proactor();
            let (client, server) = pair(&proactor);
            let cancel = server.read(room(8)).then(|_| {});
            proactor.poll().unwrap();
            stale.push((client, server, cancel, proactor.handle()));
            for (_, _, cancel, handle) in &stale[..stale.len() - 1] {
                cancel.cancel();
                handle.stop();
            }
            assert_eq!(proactor.poll().unwrap(), 0, "a stale cancel hits nobody");
            assert_eq!(proactor.stats().operations, 1);
        }
    });
}
