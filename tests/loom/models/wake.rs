//! Models of a worker that sleeps.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::wake::Sleeper;

struct Home {
    sleeper: Sleeper,
    /// How many messages were left. Relaxed: the sleeper has to bring the order.
    mail: AtomicUsize,
    /// The kernel's bell: rung before the wait, the wait returns at once.
    bell: Notify,
    bells: AtomicUsize,
}

impl Home {
    fn new() -> Arc<Home> {
        Arc::new(Home {
            sleeper: Sleeper::new(),
            mail: AtomicUsize::new(0),
            bell: Notify::new(),
            bells: AtomicUsize::new(0),
        })
    }

    fn leave(&self, wakes: bool) {
        self.mail.fetch_add(1, Ordering::Relaxed);
        if self.sleeper.ring() && wakes {
            self.bells.fetch_add(1, Ordering::Relaxed);
            self.bell.notify();
        }
    }
}

/// The worker's loop until it has seen all messages: if a wake is lost, it sleeps for ever, and loom
/// says so.
pub(crate) fn no_wake_is_lost(senders: usize, each: usize, wakes: bool) {
    let home = Home::new();
    let senders: Vec<_> = (0..senders)
        .map(|_| {
            let home = home.clone();
            thread::spawn(move || {
                for _ in 0..each {
                    home.leave(wakes);
                }
            })
        })
        .collect();
    let all = senders.len() * each;
    loop {
        home.sleeper.is_awake();
        if home.mail.load(Ordering::Relaxed) == all {
            break;
        }
        if home.sleeper.falls_asleep() {
            home.bell.wait();
        }
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

/// However many messages are left while it sleeps, it is woken once.
pub(crate) fn one_wake_for_a_batch() {
    let home = Home::new();
    assert!(home.sleeper.falls_asleep());
    let senders: Vec<_> = (0..2)
        .map(|_| {
            let home = home.clone();
            thread::spawn(move || home.leave(true))
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    assert_eq!(home.bells.load(Ordering::Relaxed), 1);
}
