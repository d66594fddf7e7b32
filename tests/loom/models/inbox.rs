//! Models of an inbox.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::inbox::Inbox;

/// A message whose content loom watches: sender and number.
struct Told(UnsafeCell<(usize, usize)>);

impl Told {
    fn new(sender: usize, number: usize) -> Told {
        Told(UnsafeCell::new((sender, number)))
    }

    fn read(&self) -> (usize, usize) {
        // SAFETY: what the model is to find out.
        self.0.with(|told| unsafe { *told })
    }
}

/// Senders leave messages while the reader collects: all come, those of one sender in order.
pub(crate) fn in_order(senders: usize, each: usize) {
    let inbox = Arc::new(Inbox::new());
    let reader = {
        let inbox = inbox.clone();
        thread::spawn(move || {
            let mut mail = Vec::new();
            inbox.collect(&mut mail);
            mail.iter().map(Told::read).collect::<Vec<_>>()
        })
    };
    let send = move |inbox: &Inbox<Told>, sender| {
        for number in 0..each {
            assert!(inbox.send(1, Told::new(sender, number)).is_ok());
        }
    };
    let threads: Vec<_> = (1..senders)
        .map(|sender| {
            let inbox = inbox.clone();
            thread::spawn(move || send(&inbox, sender))
        })
        .collect();
    send(&inbox, 0);
    for thread in threads {
        thread.join().unwrap();
    }
    let mut mail = reader.join().unwrap();
    let mut rest = Vec::new();
    inbox.collect(&mut rest);
    mail.extend(rest.iter().map(Told::read));
    for sender in 0..senders {
        let numbers = mail.iter().filter(|told| told.0 == sender);
        assert!(numbers.map(|told| told.1).eq(0..each));
    }
    assert!(inbox.is_empty());
}

/// The inbox is closed while somebody sends: each message is with one of the two afterwards.
pub(crate) fn closed(senders: usize) {
    let inbox = Arc::new(Inbox::new());
    let threads: Vec<_> = (0..senders)
        .map(|sender| {
            let inbox = inbox.clone();
            thread::spawn(move || inbox.send(1, Told::new(sender, 0)).is_err())
        })
        .collect();
    let left: Vec<_> = inbox.close().iter().map(Told::read).collect();
    assert_eq!(inbox.life(), 2);
    for (sender, thread) in threads.into_iter().enumerate() {
        let refused = thread.join().unwrap();
        let delivered = left.contains(&(sender, 0));
        assert!(refused != delivered, "refused: {refused}, delivered: {delivered}");
    }
    assert!(inbox.is_empty(), "a message came into the next life");
}

/// What is done while it is open has been done when the close returns.
pub(crate) fn shut_out() {
    let inbox = Arc::new(Inbox::<()>::new());
    let guarded = Arc::new(UnsafeCell::new(0));
    let visitor = {
        let (inbox, guarded) = (inbox.clone(), guarded.clone());
        thread::spawn(move || {
            inbox.while_open(1, || {
                guarded.with_mut(|guarded| {
                    // SAFETY: what the model is to find out.
                    unsafe { *guarded += 1 };
                });
            })
        })
    };
    drop(inbox.close());
    guarded.with_mut(|guarded| {
        // SAFETY: what the model is to find out.
        unsafe { *guarded += 1 };
    });
    visitor.join().unwrap();
}

/// Who gets into the next life sees what was made ready for it before.
pub(crate) fn next_life() {
    let inbox = Arc::new(Inbox::<()>::new());
    let made_ready = Arc::new(UnsafeCell::new(0));
    let visitor = {
        let (inbox, made_ready) = (inbox.clone(), made_ready.clone());
        thread::spawn(move || {
            inbox.while_open(2, || {
                // SAFETY: what the model is to find out.
                made_ready.with(|made_ready| assert_eq!(unsafe { *made_ready }, 1));
            });
        })
    };
    made_ready.with_mut(|made_ready| {
        // SAFETY: what the model is to find out.
        unsafe { *made_ready = 1 };
    });
    drop(inbox.close());
    visitor.join().unwrap();
}
