//! Notify, Semaphore, the channels: polled by hand, in a simulation and outside.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use super::{Script, shared};
use crate::sync::order::{Edge, drawn};
use crate::sync::{Closed, Notify, OwnedPermit, Semaphore, TryAcquireError, mpsc, oneshot};

/// Counts how often it is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// A future, and how often it was woken.
struct Polled<'a, F> {
    future: Pin<&'a mut F>,
    wakes: Arc<Wakes>,
}

fn polled<F: Future>(future: Pin<&mut F>) -> Polled<'_, F> {
    Polled {
        future,
        wakes: Arc::default(),
    }
}

impl<F: Future> Polled<'_, F> {
    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.wakes.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Relaxed)
    }
}

#[test]
fn notifications_go_to_those_who_wait_in_order_and_one_is_kept() {
    let notify = Notify::new();
    let (mut a, mut b) = (pin!(notify.notified()), pin!(notify.notified()));
    let (mut a, mut b) = (polled(a.as_mut()), polled(b.as_mut()));
    assert!(b.poll().is_pending() && a.poll().is_pending());
    notify.notify_one();
    assert_eq!((b.wakes(), a.wakes()), (1, 0));
    assert!(a.poll().is_pending() && b.poll().is_ready());
    notify.notify_one();
    notify.notify_one();
    assert_eq!(a.wakes(), 1);
    assert!(a.poll().is_ready() && a.poll().is_ready());
    assert!(polled(pin!(notify.notified())).poll().is_ready(), "kept");
    assert!(polled(pin!(notify.notified())).poll().is_pending());
}

#[test]
fn a_notification_that_is_not_taken_goes_to_the_next() {
    let notify = Notify::new();
    let mut next = pin!(notify.notified());
    let mut next = polled(next.as_mut());
    {
        let mut first = Box::pin(notify.notified());
        assert!(polled(first.as_mut()).poll().is_pending() && next.poll().is_pending());
        notify.notify_one();
        assert_eq!(next.wakes(), 0);
    }
    assert_eq!(next.wakes(), 1);
    assert!(next.poll().is_ready());
    // And is kept if there is no next; twice is once.
    {
        let (mut one, mut two) = (Box::pin(notify.notified()), Box::pin(notify.notified()));
        assert!(polled(one.as_mut()).poll().is_pending());
        assert!(polled(two.as_mut()).poll().is_pending());
        notify.notify_one();
        notify.notify_one();
    }
    assert!(polled(pin!(notify.notified())).poll().is_ready());
    assert!(polled(pin!(notify.notified())).poll().is_pending());
    // One that only waited takes nothing with it, and leaves nothing.
    assert!(
        polled(Box::pin(notify.notified()).as_mut())
            .poll()
            .is_pending()
    );
    assert!(
        polled(Box::pin(notify.notified()).as_mut())
            .poll()
            .is_pending()
    );
    notify.notify_one();
    assert!(polled(pin!(notify.notified())).poll().is_ready());
}

#[test]
fn all_who_wait_hear_of_a_notification_to_all_and_nobody_later() {
    let notify = Notify::new();
    let (mut made, mut waits) = (pin!(notify.notified()), pin!(notify.notified()));
    let (mut made, mut waits) = (polled(made.as_mut()), polled(waits.as_mut()));
    assert!(waits.poll().is_pending());
    notify.notify_waiters();
    assert_eq!(waits.wakes(), 1);
    assert!(waits.poll().is_ready() && made.poll().is_ready());
    assert!(polled(pin!(notify.notified())).poll().is_pending());
}

#[test]
fn a_moved_future_wakes_its_last_waker_only() {
    let notify = Notify::new();
    let mut notified = Box::pin(notify.notified());
    let mut first = polled(notified.as_mut());
    assert!(first.poll().is_pending());
    let wakes = first.wakes.clone();
    let mut second = polled(notified.as_mut());
    assert!(second.poll().is_pending());
    notify.notify_one();
    assert_eq!((wakes.0.load(Relaxed), second.wakes()), (0, 1));
}

#[test]
fn permits_are_given_in_order_and_nobody_overtakes() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire().unwrap();
    let (mut many, mut one) = (pin!(semaphore.acquire_many(2)), pin!(semaphore.acquire()));
    let (mut many, mut one) = (polled(many.as_mut()), polled(one.as_mut()));
    assert!(many.poll().is_pending() && one.poll().is_pending());
    // One is free, but others were first.
    let refused = semaphore.try_acquire().map(drop);
    assert_eq!(refused, Err(TryAcquireError::NoPermits));
    drop(held);
    assert_eq!((many.wakes(), one.wakes()), (1, 0));
    let Poll::Ready(Ok(permit)) = many.poll() else {
        panic!("two are free");
    };
    assert!(one.poll().is_pending());
    drop(permit);
    assert_eq!(one.wakes(), 1);
    assert!(one.poll().is_ready());
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn permits_that_are_not_taken_go_to_the_next() {
    let semaphore = Semaphore::new(0);
    let mut next = pin!(semaphore.acquire());
    let mut next = polled(next.as_mut());
    {
        let mut given = Box::pin(semaphore.acquire());
        assert!(polled(given.as_mut()).poll().is_pending() && next.poll().is_pending());
        semaphore.add_permits(1);
        assert_eq!(next.wakes(), 0);
    }
    assert_eq!(next.wakes(), 1);
    assert!(next.poll().is_ready());
    // One that wants too many stands in the way until it leaves.
    let mut next = pin!(semaphore.acquire());
    let mut next = polled(next.as_mut());
    {
        let mut greedy = Box::pin(semaphore.acquire_many(5));
        assert!(polled(greedy.as_mut()).poll().is_pending() && next.poll().is_pending());
        assert_eq!(next.wakes(), 0);
    }
    assert_eq!(next.wakes(), 1);
    assert!(next.poll().is_ready());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_closed_semaphore_sends_all_away_and_keeps_what_was_given() {
    let semaphore = Arc::new(Semaphore::new(0));
    let mut given = pin!(semaphore.acquire_owned(1));
    let mut waits = pin!(semaphore.acquire());
    let (mut given, mut waits) = (polled(given.as_mut()), polled(waits.as_mut()));
    assert!(given.poll().is_pending() && waits.poll().is_pending());
    semaphore.add_permits(1);
    semaphore.close();
    assert_eq!(waits.wakes(), 1);
    assert!(matches!(waits.poll(), Poll::Ready(Err(Closed))));
    assert!(matches!(given.poll(), Poll::Ready(Ok(_))));
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(
        semaphore.try_acquire().map(drop),
        Err(TryAcquireError::Closed)
    );
    assert!(matches!(
        polled(pin!(semaphore.acquire())).poll(),
        Poll::Ready(Err(Closed))
    ));
}

#[test]
#[should_panic(expected = "too many permits")]
fn a_semaphore_does_not_overflow() {
    Semaphore::new(Semaphore::MAX_PERMITS).add_permits(1);
}

#[test]
fn a_receiver_hears_of_the_value_or_of_the_end_of_its_sender() {
    let (sender, mut receiver) = oneshot::channel();
    let mut receives = polled(Pin::new(&mut receiver));
    assert!(receives.poll().is_pending());
    sender.send(1).unwrap();
    assert_eq!(receives.wakes(), 1);
    assert_eq!(receives.poll(), Poll::Ready(Ok(1)));
    assert_eq!(receives.poll(), Poll::Ready(Err(oneshot::RecvError)));

    let (sender, mut receiver) = oneshot::channel::<u8>();
    let mut receives = polled(Pin::new(&mut receiver));
    assert!(receives.poll().is_pending());
    drop(sender);
    assert_eq!(receives.wakes(), 1);
    assert_eq!(receives.poll(), Poll::Ready(Err(oneshot::RecvError)));
}

#[test]
fn a_sender_hears_that_nobody_receives() {
    for close in [
        (|receiver| drop(receiver)) as fn(oneshot::Receiver<u8>),
        |mut receiver| receiver.close(),
    ] {
        let (mut sender, receiver) = oneshot::channel();
        {
            let mut closed = pin!(sender.closed());
            let mut closed = polled(closed.as_mut());
            assert!(closed.poll().is_pending());
            close(receiver);
            assert_eq!(closed.wakes(), 1);
            assert!(closed.poll().is_ready());
        }
        assert!(sender.is_closed());
        assert_eq!(sender.send(1), Err(1));
    }
}

#[test]
fn a_value_that_nobody_receives_is_dropped_once() {
    let value = Arc::new(());
    let (sender, receiver) = oneshot::channel();
    sender.send(value.clone()).unwrap();
    drop(receiver);
    let (sender, receiver) = mpsc::channel(2);
    sender.try_send(value.clone()).unwrap();
    let waits = sender.send(value.clone());
    drop((receiver, waits));
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn senders_wait_for_room_in_order_and_values_keep_theirs() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let (mut a, mut b) = (pin!(sender.send(1)), pin!(sender.send(2)));
    let (mut a, mut b) = (polled(a.as_mut()), polled(b.as_mut()));
    assert!(a.poll().is_pending() && b.poll().is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    assert_eq!((a.wakes(), b.wakes()), (1, 0));
    // The room is a's, although it is not taken yet.
    assert_eq!(sender.try_send(3), Err(mpsc::TrySendError::Full(3)));
    assert!(b.poll().is_pending());
    assert_eq!(a.poll(), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(b.wakes(), 1);
    assert_eq!(b.poll(), Poll::Ready(Ok(())));
    assert_eq!(b.poll(), Poll::Ready(Ok(())), "over");
    assert_eq!(receiver.try_recv(), Ok(2));
    assert!(receiver.is_empty());
}

#[test]
fn a_send_that_is_dropped_sends_nothing_and_gives_its_room_on() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let mut next = pin!(sender.send(2));
    let mut next = polled(next.as_mut());
    {
        let mut given = Box::pin(sender.send(1));
        assert!(polled(given.as_mut()).poll().is_pending() && next.poll().is_pending());
        assert_eq!(receiver.try_recv(), Ok(0));
        assert_eq!(next.wakes(), 0);
    }
    assert_eq!(next.wakes(), 1);
    assert!(next.poll().is_ready());
    assert_eq!(receiver.try_recv(), Ok(2));
    sender.try_send(3).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
}

#[test]
fn a_receive_that_is_dropped_takes_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    {
        let mut receives = Box::pin(receiver.recv());
        assert!(polled(receives.as_mut()).poll().is_pending());
        sender.try_send(1).unwrap();
    }
    assert_eq!(polled(pin!(receiver.recv())).poll(), Poll::Ready(Some(1)));
}

#[test]
fn a_channel_ends_with_its_last_sender_after_its_last_value() {
    let (sender, mut receiver) = mpsc::channel(2);
    {
        let mut receives = Box::pin(receiver.recv());
        let mut receives = polled(receives.as_mut());
        assert!(receives.poll().is_pending());
        let other = sender.clone();
        drop(sender);
        assert_eq!(receives.wakes(), 0);
        other.try_send(1).unwrap();
        drop(other);
        assert_eq!(receives.poll(), Poll::Ready(Some(1)));
        assert_eq!(receives.poll(), Poll::Ready(None));
    }
    let (sender, mut receiver) = mpsc::channel::<u8>(1);
    let mut receives = Box::pin(receiver.recv());
    let mut receives = polled(receives.as_mut());
    assert!(receives.poll().is_pending());
    drop(sender);
    assert_eq!(receives.wakes(), 1);
    assert_eq!(receives.poll(), Poll::Ready(None));
}

#[test]
fn a_closed_channel_gives_values_back_even_where_room_was_given() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(0).unwrap();
    let (mut given, mut waits) = (pin!(sender.send(1)), pin!(sender.send(2)));
    let (mut given, mut waits) = (polled(given.as_mut()), polled(waits.as_mut()));
    assert!(given.poll().is_pending() && waits.poll().is_pending());
    assert_eq!(receiver.try_recv(), Ok(0));
    receiver.close();
    assert_eq!(waits.wakes(), 1);
    assert_eq!(given.poll(), Poll::Ready(Err(mpsc::SendError(1))));
    assert_eq!(waits.poll(), Poll::Ready(Err(mpsc::SendError(2))));
    assert_eq!(receiver.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert!(sender.is_closed());
}

#[test]
#[should_panic(expected = "at least 1 value")]
fn a_channel_without_room_is_refused() {
    let _ = mpsc::channel::<u8>(0);
}

/// A waker that drops a permit when its last reference goes.
struct Owns(#[allow(dead_code, reason = "it is there to be dropped")] OwnedPermit);
impl Wake for Owns {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_own_what_uses_the_primitive_when_it_is_dropped() {
    let semaphore = Arc::new(Semaphore::new(1));
    let Poll::Ready(Ok(permit)) = polled(pin!(semaphore.acquire_owned(1))).poll() else {
        panic!("one is free");
    };
    let mut waits = pin!(semaphore.acquire());
    let waker = Waker::from(Arc::new(Owns(permit)));
    assert!(
        waits
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(waker);
    // Replaced by another: its permit comes back, and goes to this very future.
    let mut waits = polled(waits.as_mut());
    assert!(waits.poll().is_pending());
    assert_eq!(waits.wakes(), 1);
    assert!(waits.poll().is_ready());
}

#[test]
fn others_may_go_on_before_each_use() {
    let semaphore = shared(Semaphore::new(1));
    let script = Script::default().at("Semaphore::try_acquire", || {
        semaphore.try_acquire().unwrap().forget();
    });
    script.run(|| {
        // Look, then take: not safe.
        assert_eq!(semaphore.available_permits(), 1);
        assert!(semaphore.try_acquire().is_err());
    });
    let notify = shared(Notify::new());
    let script = Script::default().at("Notify::notified", || notify.notify_waiters());
    script.run(|| {
        assert!(
            polled(pin!(notify.notified())).poll().is_pending(),
            "too early"
        )
    });
    let script = Script::default()
        .at("Notify::notified", || ())
        .at("Notify::notified", || notify.notify_waiters());
    script.run(|| assert!(polled(pin!(notify.notified())).poll().is_ready()));
}

#[test]
fn every_use_of_a_future_is_a_switch_point_at_the_place_that_made_it() {
    let script = Script::default();
    script.run(|| {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_waiters();
        assert!(polled(pin!(notify.notified())).poll().is_ready());
        assert!(
            polled(Box::pin(notify.notified()).as_mut())
                .poll()
                .is_pending()
        );
    });
    assert_eq!(
        script.names(),
        [
            "Notify::notify_one",
            "Notify::notify_waiters",
            "Notify::notified",
            "Notify::notified",
            "Notify::notified",
            "Notify::notified",
            "Notified::drop",
        ]
    );
    script.run(|| {
        let semaphore = Semaphore::new(1);
        let Poll::Ready(Ok(permit)) = polled(pin!(semaphore.acquire())).poll() else {
            panic!("one is free");
        };
        assert!(
            polled(Box::pin(semaphore.acquire()).as_mut())
                .poll()
                .is_pending()
        );
        drop(permit);
        semaphore.close();
        assert!(semaphore.is_closed());
    });
    assert_eq!(
        script.names(),
        [
            "Semaphore::acquire",
            "Semaphore::acquire",
            "Acquire::drop",
            "Permit::drop",
            "Semaphore::close",
            "Semaphore::is_closed",
        ]
    );
    script.run(|| {
        let (sender, mut receiver) = oneshot::channel();
        assert!(receiver.try_recv().is_err() && !sender.is_closed());
        sender.send(1).unwrap();
        assert!(polled(Pin::new(&mut receiver)).poll().is_ready());
        receiver.close();
        drop(receiver);
        drop(oneshot::channel::<u8>().0);
    });
    assert_eq!(
        script.names(),
        [
            "oneshot::Receiver::try_recv",
            "oneshot::Sender::is_closed",
            "oneshot::Sender::send",
            "oneshot::Receiver",
            "oneshot::Receiver::close",
            "oneshot::Receiver::drop",
            "oneshot::Sender::drop",
            "oneshot::Receiver::drop",
        ]
    );
    script.run(|| {
        let (sender, mut receiver) = mpsc::channel(1);
        assert!(polled(pin!(sender.send(1))).poll().is_ready());
        assert!(
            polled(Box::pin(sender.send(1)).as_mut())
                .poll()
                .is_pending()
        );
        assert!(sender.try_send(1).is_err() && !sender.is_closed() && !receiver.is_empty());
        assert!(polled(pin!(receiver.recv())).poll().is_ready());
        assert!(receiver.try_recv().is_err());
        receiver.close();
        drop(receiver);
        drop(sender);
    });
    assert_eq!(
        script.names(),
        [
            "mpsc::Sender::send",
            "mpsc::Sender::send",
            "mpsc::Send::drop",
            "mpsc::Sender::try_send",
            "mpsc::Sender::is_closed",
            "mpsc::Receiver::len",
            "mpsc::Receiver::recv",
            "mpsc::Receiver::try_recv",
            "mpsc::Receiver::close",
            "mpsc::Receiver::drop",
            "mpsc::Sender::drop",
        ]
    );
}

#[test]
fn what_was_done_before_a_send_happens_before_its_receipt() {
    use Edge::{Acquired, Released};
    let edges = || {
        drawn::take()
            .into_iter()
            .map(|edge| edge.0)
            .collect::<Vec<_>>()
    };
    Script::default().run(|| {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        assert_eq!(edges(), [Released]);
        receiver.try_recv().unwrap();
        assert_eq!(edges(), [Acquired, Released]);
        assert!(polled(pin!(sender.send(1))).poll().is_ready());
        assert_eq!(edges(), [Acquired, Released]);
        let (sender, mut receiver) = oneshot::channel();
        sender.send(1).unwrap();
        assert_eq!(edges(), [Released]);
        receiver.try_recv().unwrap();
        assert_eq!(edges(), [Acquired]);
        let notify = Notify::new();
        notify.notify_one();
        assert_eq!(edges(), [Released]);
        assert!(polled(pin!(notify.notified())).poll().is_ready());
        assert_eq!(edges(), [Acquired]);
        let semaphore = Semaphore::new(1);
        drop(semaphore.try_acquire());
        assert_eq!(edges(), [Acquired, Released]);
    });
}
