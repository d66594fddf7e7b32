//! Tasks, their handles and wakers.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use proactor::{JoinError, RunEnd};

use crate::kernels::{in_any_order, on_every_kernel};
use crate::tools::{Told, Watched, pair, room};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_task_is_not_polled_inside_spawn_and_its_handle_has_its_result() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let handle = proactor.handle();
        let output = proactor.block_on(async {
            let polled = Arc::new(AtomicBool::new(false));
            let mine = polled.clone();
            let task = handle.spawn(async move {
                mine.store(true, Ordering::SeqCst);
                handle.sleep(MS).await.unwrap();
                "output"
            });
            assert!(!polled.load(Ordering::SeqCst) && !task.is_finished());
            task.await
        });
        assert_eq!(output.unwrap(), Ok("output"));
        assert_eq!(proactor.stats().tasks, 0);
    });
}

#[test]
fn a_detached_task_goes_on() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let (tell, handle) = (told.clone(), proactor.handle());
        drop(proactor.spawn(async move {
            handle.sleep(MS).await.unwrap();
            tell.tell(());
        }));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        told.only();
    });
}

#[test]
fn an_aborted_task_is_dropped_and_its_operations_are_cancelled() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (_client, server) = pair(&proactor);
        let (buf, drops) = Watched::new(8);
        let task = proactor.spawn(async move { server.read(buf).await.0 });
        let joined = proactor.block_on(async {
            proactor.sleep(MS).await.unwrap();
            task.abort();
            task.abort();
            task.await
        });
        assert!(matches!(joined.unwrap(), Err(JoinError::Aborted)));
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        assert_eq!(drops.count(), 1);
        let stats = proactor.stats();
        assert_eq!((stats.tasks, stats.operations, stats.objects), (0, 0, 1));
    });
}

#[test]
fn a_task_aborted_before_its_first_poll_is_never_polled() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let told = Told::nothing();
        let tell = told.clone();
        let task = proactor.spawn(async move { tell.tell(()) });
        task.abort();
        assert_eq!(proactor.block_on(task).unwrap(), Err(JoinError::Aborted));
        assert!(told.take().is_empty());
    });
}

#[test]
fn a_task_that_aborts_itself_or_is_over_is_no_trouble() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let own: Arc<Mutex<Option<proactor::JoinHandle<()>>>> = Arc::default();
        let mine = own.clone();
        let task = proactor.spawn(async move {
            mine.lock().unwrap().as_ref().unwrap().abort();
            std::future::pending().await
        });
        *own.lock().unwrap() = Some(task);
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let task = own.lock().unwrap().take().unwrap();
        assert!(task.is_finished());
        task.abort();
        assert_eq!(proactor.block_on(task).unwrap(), Err(JoinError::Aborted));
    });
}

#[test]
fn a_task_woken_many_times_is_polled_and_a_wake_after_its_end_does_nothing() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let waker: Arc<Mutex<Option<Waker>>> = Arc::default();
        let keeps = waker.clone();
        let mut polls = 0;
        let task = proactor.spawn(poll_fn(move |cx| {
            polls += 1;
            if polls == 10 {
                return Poll::Ready(polls);
            }
            cx.waker().wake_by_ref();
            let clone = cx.waker().clone();
            clone.wake();
            *keeps.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        }));
        assert_eq!(proactor.block_on(task).unwrap(), Ok(10));
        let waker = waker.lock().unwrap().take().unwrap();
        waker.wake_by_ref();
        // Its place is another's now.
        let next = proactor.spawn(async { 5 });
        waker.wake();
        assert_eq!(proactor.block_on(next).unwrap(), Ok(5));
    });
}

#[test]
fn tasks_wake_each_other_through_a_channel() {
    in_any_order(|kernel| {
        #[derive(Default)]
        struct Channel {
            queue: Vec<u32>,
            receiver: Option<Waker>,
        }
        let proactor = kernel.proactor();
        let channel: Arc<Mutex<Channel>> = Arc::default();
        let receiver = {
            let channel = channel.clone();
            let mut sum = 0;
            proactor.spawn(poll_fn(move |cx| {
                let mut channel = channel.lock().unwrap();
                sum += channel.queue.drain(..).sum::<u32>();
                channel.receiver = Some(cx.waker().clone());
                if sum == 10 {
                    Poll::Ready(sum)
                } else {
                    Poll::Pending
                }
            }))
        };
        for number in 1..=4 {
            let (channel, handle) = (channel.clone(), proactor.handle());
            drop(proactor.spawn(async move {
                handle.sleep(number * MS).await.unwrap();
                let mut channel = channel.lock().unwrap();
                channel.queue.push(number);
                if let Some(receiver) = channel.receiver.take() {
                    receiver.wake();
                }
            }));
        }
        assert_eq!(proactor.block_on(receiver).unwrap(), Ok(10));
    });
}

#[test]
fn a_future_started_in_one_task_is_finished_in_another() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        let read = proactor.block_on(async {
            let starter = proactor.spawn(async move {
                let mut read = server.read(room(8)).into_future();
                poll_fn(|cx| {
                    assert!(std::pin::Pin::new(&mut read).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
                (read, server)
            });
            let (read, server) = starter.await.unwrap();
            let finisher = proactor.spawn(async move { (read.await, server).0 });
            proactor.sleep(MS).await.unwrap();
            client.write("hello").await.0.unwrap();
            finisher.await.unwrap()
        });
        assert_eq!(read.unwrap().1, b"hello");
    });
}

/// A waker that is not the proactor's own, between it and an operation, as `join` and `select` of
/// other crates have it.
#[test]
fn an_operation_wakes_whoever_polled_it_last() {
    in_any_order(|kernel| {
        struct Relay(AtomicBool, Mutex<Option<Waker>>);
        impl std::task::Wake for Relay {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::SeqCst);
                if let Some(waker) = self.1.lock().unwrap().take() {
                    waker.wake();
                }
            }
        }
        let proactor = kernel.proactor();
        let relay = Arc::new(Relay(AtomicBool::new(false), Mutex::new(None)));
        let foreign = Waker::from(relay.clone());
        let mine = relay.clone();
        proactor
            .block_on(async {
                let mut sleep = proactor.sleep(MS).into_future();
                poll_fn(move |cx| {
                    *mine.1.lock().unwrap() = Some(cx.waker().clone());
                    let mut cx = std::task::Context::from_waker(&foreign);
                    std::pin::Pin::new(&mut sleep).poll(&mut cx)
                })
                .await
            })
            .unwrap()
            .unwrap();
        assert!(relay.0.load(Ordering::SeqCst));
    });
}

#[test]
fn a_task_that_finds_everything_ready_still_lets_others_run() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", &[1; 64]);
        let file = proactor
            .block_on(proactor::fs::File::open(&proactor, &path))
            .unwrap()
            .unwrap();
        let reads = Arc::new(Mutex::new(0));
        let counted = reads.clone();
        let busy = proactor.spawn(async move {
            loop {
                file.read_at(room(1), 0).await.0.unwrap();
                *counted.lock().unwrap() += 1;
            }
        });
        let handle = proactor.handle();
        proactor.post(move || handle.post(move || handle.stop()));
        assert_eq!(proactor.run().unwrap(), RunEnd::Stopped);
        assert!(*reads.lock().unwrap() < 1_000);
        busy.abort();
    });
}

/// That it compiles is the promise: a task must be `Send`, for whatever lifetime the compiler has in
/// mind when it looks at a text that is lent.
#[test]
fn a_static_text_can_be_sent_from_a_task() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (client, server) = pair(&proactor);
        drop(proactor.spawn(async move {
            client.write("hello ").await.0.unwrap();
            client.write(b"world".as_slice()).await.0.unwrap();
            client
                .write_vectored(vec![" and", " more"])
                .await
                .0
                .unwrap();
            proactor::compose::write_all(&client, "!").await.0.unwrap();
        }));
        let read = proactor::compose::read_to_end(&server, Vec::new(), 64);
        let (read, text) = proactor.block_on(read).unwrap();
        assert_eq!(read.unwrap(), 21);
        assert_eq!(text, b"hello world and more!");
    });
}
