//! Events: one set ends one wait, whoever sets it, and none is lost.

use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use proactor::{Event, RunEnd, is_canceled};

use crate::kernels::{in_any_order, on_the_real_kernel, whatever_happens};
use crate::tools::Told;

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
fn a_wait_ends_when_the_event_is_set_and_takes_it() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let told = Told::nothing();
        let tell = told.clone();
        event.wait().then(move |waited| {
            waited.unwrap();
            tell.tell("first");
        });
        let (tell, setter) = (told.clone(), event.clone());
        proactor.post(move || {
            tell.tell("set");
            setter.set().unwrap();
        });
        proactor.run().unwrap();
        assert_eq!(told.take(), ["set", "first"]);
        let second = event.wait();
        let tell = told.clone();
        let second =
            second.then(move |waited| tell.tell(if waited.is_ok() { "ok" } else { "not" }));
        second.cancel();
        proactor.run().unwrap();
        assert_eq!(told.take(), ["not"], "it was taken");
    });
}

#[test]
fn what_nobody_waits_for_stays_and_counts_once() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        (0..3).for_each(|_| event.set().unwrap());
        let second = proactor
            .block_on(async {
                event.wait().await.unwrap();
                let mut second = event.wait();
                second.cancel_handle().cancel();
                second.await
            })
            .unwrap();
        assert!(is_canceled(&second.unwrap_err()));
    });
}

#[test]
fn one_set_ends_one_of_several_waits() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let told = Told::nothing();
        for _ in 0..5 {
            let (tell, event) = (told.clone(), event.clone());
            event.clone().wait().then(move |waited| {
                tell.tell(waited.is_ok());
                if tell.count() == 2 {
                    event.close();
                } else if tell.count() == 1 {
                    event.set().unwrap();
                }
            });
        }
        event.set().unwrap();
        assert_eq!(proactor.run().unwrap(), RunEnd::OutOfWork);
        let told = told.take();
        assert_eq!(told.len(), 5);
        assert_eq!(told.iter().filter(|ok| **ok).count(), 2, "{told:?}");
    });
}

#[test]
fn set_by_another_thread_it_wakes_the_run() {
    on_the_real_kernel(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let (began, begins) = std::sync::mpsc::channel();
        let setter = event.clone();
        let thread = std::thread::spawn(move || {
            begins.recv().unwrap();
            setter.set()
        });
        proactor.post(move || began.send(()).unwrap());
        let waited = proactor.block_on(event.wait()).unwrap();
        assert!(waited.is_ok());
        thread.join().unwrap().unwrap();
    });
}

#[test]
fn set_by_another_thread_before_the_run_it_is_set() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let setter = event.clone();
        std::thread::spawn(move || setter.set().unwrap())
            .join()
            .unwrap();
        proactor.block_on(event.wait()).unwrap().unwrap();
    });
}

#[test]
fn offloaded_work_sets_it() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let setter = event.clone();
        proactor
            .offload(move || setter.set().unwrap())
            .then(|done| done.unwrap());
        proactor.block_on(event.wait()).unwrap().unwrap();
        proactor.run().unwrap();
    });
}

#[test]
fn closing_cancels_those_who_wait_and_refuses_what_comes_later() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let event = Event::new(&proactor).unwrap();
        let (pending, later) = proactor
            .block_on(async {
                let mut pending = event.wait().into_future();
                assert!(once(&mut pending).await.is_none());
                event.close();
                event.close();
                (pending.await, event.wait().await)
            })
            .unwrap();
        assert!(is_canceled(&pending.unwrap_err()));
        assert_eq!(later.unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(event.set().unwrap_err().kind(), ErrorKind::NotConnected);
        proactor.run().unwrap();
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn the_last_handle_dropped_closes_it_and_a_wait_is_none() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let event = Event::new(&proactor).unwrap();
        let waited = proactor
            .block_on(async {
                let mut wait = event.wait().into_future();
                assert!(once(&mut wait).await.is_none());
                drop(event.clone());
                assert!(once(&mut wait).await.is_none());
                drop(event);
                wait.await
            })
            .unwrap();
        assert!(is_canceled(&waited.unwrap_err()));
    });
}

#[test]
fn a_wait_may_time_out() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let event = Event::new(&proactor).unwrap();
        let waited = proactor
            .block_on(async {
                let early = event.wait().timeout(Duration::from_millis(1)).await;
                event.set().unwrap();
                (early, event.wait().timeout(Duration::from_secs(60)).await)
            })
            .unwrap();
        assert_eq!(waited.0.unwrap_err().kind(), ErrorKind::TimedOut);
        // Unless the clock runs ahead: then it is still set.
        if let Err(error) = waited.1 {
            assert!(kernel.is_simulated());
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            proactor.block_on(event.wait()).unwrap().unwrap();
        }
    });
}

/// Whatever becomes of the future that took the set, or was cancelled before it could.
#[test]
fn a_set_is_not_lost_with_a_dropped_future() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let event = Event::new(&proactor).unwrap();
        proactor
            .block_on(async {
                let mut first = event.wait().into_future();
                assert!(once(&mut first).await.is_none());
                event.set().unwrap();
                drop(first);
                event.wait().await.unwrap();
            })
            .unwrap();
    });
}

#[test]
fn a_cancel_takes_the_set_or_leaves_it() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor_with_one_worker();
        let event = Event::new(&proactor).unwrap();
        proactor
            .block_on(async {
                let mut first = event.wait();
                let cancel = first.cancel_handle();
                let mut first = first.into_future();
                assert!(once(&mut first).await.is_none());
                cancel.cancel();
                event.set().unwrap();
                if first.await.is_err() {
                    event.wait().await.unwrap();
                }
            })
            .unwrap();
    });
}
