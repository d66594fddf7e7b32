//! Models of lanes that share one port.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Condvar, Mutex, Notify};
use loom::thread;

use super::desk::{Bed, Desk, Seat};
use super::entries::Entry;
use super::sync;

/// What comes out of a port: the end of an operation by its number, or nothing but a wake.
#[derive(Clone, Copy)]
enum Packet {
    Io(usize),
    Wake,
}

/// A completion port.
#[derive(Default)]
struct Port {
    queue: Mutex<Vec<Packet>>,
    arrived: Condvar,
}

impl Port {
    fn post(&self, packet: Packet) {
        self.queue.lock().unwrap().push(packet);
        self.arrived.notify_one();
    }

    /// A dequeue that does not sleep.
    fn look(&self) -> Vec<Packet> {
        std::mem::take(&mut *self.queue.lock().unwrap())
    }

    /// One that does.
    fn sleep(&self) -> Vec<Packet> {
        let mut queue = self.queue.lock().unwrap();
        while queue.is_empty() {
            queue = self.arrived.wait(queue).unwrap();
        }
        std::mem::take(&mut *queue)
    }
}

/// Lanes, their operations and their port: what the driver's `Shared` is.
struct Home {
    port: Port,
    seat: Seat,
    desks: Vec<Desk>,
    entries: Vec<Entry>,
}

impl Home {
    /// With an operation for each of these lanes.
    fn new(desks: usize, lanes_of_entries: &[usize]) -> Arc<Home> {
        let entries = lanes_of_entries.iter().enumerate();
        Arc::new(Home {
            port: Port::default(),
            seat: Seat::default(),
            desks: (0..desks).map(|_| Desk::default()).collect(),
            entries: entries
                .map(|(number, lane)| Entry::new(*lane, number))
                .collect(),
        })
    }

    fn ring(&self, desk: &Desk) {
        desk.ring(|| self.port.post(Packet::Wake));
    }

    /// An operation has ended: its lane is to hear.
    fn bring(&self, number: usize) {
        let entry = &self.entries[number];
        entry.leave();
        let desk = &self.desks[entry.lane];
        desk.put(entry);
        self.ring(desk);
    }

    /// What `me` dequeued: how many were its own.
    fn deliver(&self, me: Option<usize>, packets: &[Packet], slept: bool) -> usize {
        let mut own = 0;
        let mut wakes = false;
        for packet in packets {
            match packet {
                Packet::Wake => wakes = true,
                Packet::Io(number) if me == Some(self.entries[*number].lane) => own += 1,
                Packet::Io(number) => self.bring(*number),
            }
        }
        if wakes && !slept {
            self.seat.pass_wake_on(|| self.port.post(Packet::Wake));
        }
        own
    }

    fn hand_out(&self, me: usize) -> usize {
        let mut own = 0;
        if self.desks[me].has_mail() {
            self.desks[me].take_mail(|entry| {
                entry.left();
                own += 1;
            });
        }
        own
    }

    /// The driver's wait, until anything has happened: how many of its operations have ended.
    fn wait(&self, me: usize) -> usize {
        let desk = &self.desks[me];
        let woken = desk.take();
        loop {
            let mut own = self.hand_out(me);
            if own > 0 || woken {
                return own + self.deliver(Some(me), &self.port.look(), false);
            }
            let (slept, rung) = self.seat.rest(
                desk,
                sync::park,
                || false,
                || self.deliver(Some(me), &self.port.sleep(), true),
            );
            own += slept.unwrap_or(0) + self.hand_out(me);
            if own > 0 || rung {
                return own;
            }
        }
    }

    /// A lane until so many of its operations have ended. If a wake is lost, or the seat is, it sleeps for
    /// ever, and loom says so.
    fn lane(&self, me: usize, mut operations: usize) {
        while operations > 0 {
            operations -= self.wait(me);
        }
    }
}

fn spawn(home: &Arc<Home>, body: impl FnOnce(&Home) + 'static) -> thread::JoinHandle<()> {
    let home = home.clone();
    thread::spawn(move || body(&home))
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What two leave in a lane's mail comes whole, once, and each one's in the order in which it was left.
pub(crate) fn mail_comes_whole_and_in_order(each: usize) {
    let home = Home::new(1, &vec![0; 2 * each]);
    let leave = move |first: usize| {
        move |home: &Home| {
            for entry in &home.entries[first..first + each] {
                entry.leave();
                home.desks[0].put(entry);
            }
        }
    };
    let other = spawn(&home, leave(each));
    let reader = spawn(&home, move |home| {
        let mut seen = Vec::new();
        while seen.len() < 2 * each {
            let before = seen.len();
            home.desks[0].take_mail(|entry| seen.push(entry.left()));
            if seen.len() == before {
                sync::pause();
            }
        }
        assert!(seen.iter().filter(|it| **it < each).is_sorted(), "{seen:?}");
        assert!(
            seen.iter().filter(|it| **it >= each).is_sorted(),
            "{seen:?}"
        );
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..2 * each));
    });
    leave(0)(&home);
    join([other, reader]);
}

/// A lane alone in the port, or beside another that has the seat for good, hears of all its operations.
pub(crate) fn no_wake_is_lost(operations: usize, in_port: bool) {
    let home = Home::new(1, &vec![0; operations]);
    let lane = spawn(&home, move |home| home.lane(0, operations));
    if !in_port {
        // A lane that has it already will leave it when it is called.
        std::mem::forget(home.seat.take());
    }
    for number in 0..operations {
        home.bring(number);
    }
    join([lane]);
}

/// The packet of a wake is taken by one that does not sleep: who does is woken nevertheless.
pub(crate) fn a_wake_taken_by_another_is_passed_on() {
    let home = Home::new(2, &[0]);
    let lane = spawn(&home, |home| home.lane(0, 1));
    let looks = spawn(&home, |home| {
        home.deliver(Some(1), &home.port.look(), false);
    });
    home.bring(0);
    join([lane, looks]);
}

/// Each lane's operations end by packets, which whoever sleeps in the port brings; who has heard of its own is gone.
pub(crate) fn the_port_is_watched(lanes: usize) {
    let home = Home::new(lanes, &(0..lanes).collect::<Vec<_>>());
    let threads: Vec<_> = (0..lanes)
        .map(|me| spawn(&home, move |home| home.lane(me, 1)))
        .collect();
    for number in 0..lanes {
        home.port.post(Packet::Io(number));
    }
    join(threads);
}

/// The same, while the first is rung besides: it may be called to the seat that it does not want.
pub(crate) fn a_call_to_the_seat_is_passed_on() {
    let home = Home::new(3, &[0, 1, 2]);
    let seated = home.seat.take();
    let threads: Vec<_> = (1..3)
        .map(|me| spawn(&home, move |home| home.lane(me, 1)))
        .collect();
    home.bring(1);
    home.port.post(Packet::Io(2));
    drop(seated);
    join(threads);
}

/// Somebody else's executor runs the lane, and a watcher sleeps in its place: the waker is called, whether
/// the operation's end is brought or comes to the watcher as a packet.
pub(crate) fn a_watched_lane_is_fetched(by_packet: bool) {
    let home = Home::new(1, &[0]);
    let brings = spawn(&home, move |home| {
        if by_packet {
            home.port.post(Packet::Io(0));
        } else {
            home.bring(0);
        }
    });
    // The first time that it is watched.
    let watcher = sync::Arc::new(Desk::default());
    home.desks[0].watched_by(watcher.clone());
    let quit = Arc::new(AtomicBool::new(false));
    let (armed, woken) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let watch = {
        let (armed, woken, quit) = (armed.clone(), woken.clone(), quit.clone());
        let watcher = watcher.clone();
        spawn(&home, move |home| {
            armed.wait();
            let lane = &home.desks[0];
            while !lane.is_rung() && !lane.has_mail() && !quit.load(Ordering::Relaxed) {
                let slept = home
                    .seat
                    .watch(&watcher, lane, sync::park, || home.port.sleep());
                home.deliver(None, &slept.unwrap_or_default(), true);
            }
            woken.notify();
        })
    };
    let dozes = home.desks[0].doze(Bed::Watched);
    let own = home.deliver(Some(0), &home.port.look(), false);
    armed.notify();
    if dozes && own == 0 && !home.desks[0].has_mail() {
        woken.wait();
    }
    if own == 0 {
        home.lane(0, 1);
    }
    quit.store(true, Ordering::Relaxed);
    home.ring(&watcher);
    join([brings, watch]);
}

/// Who is called to the seat gets it if it wants it, and else the next one does; who was not called never.
pub(crate) fn called_to_the_seat() {
    let home = Home::new(0, &[]);
    let seated = home.seat.take();
    let beside = |wants_it| {
        spawn(&home, move |home| {
            if let Some(seated) = home.seat.take() {
                return drop(seated);
            }
            // It may have been called meanwhile, or never be.
            let seated = home.seat.rise(wants_it);
            assert!(wants_it || seated.is_none());
            assert!(seated.is_none() || home.seat.is_taken());
        })
    };
    let others = [beside(true), beside(false)];
    assert!(home.seat.rise(true).is_none(), "it has not slept beside it");
    assert!(home.seat.is_taken());
    drop(seated);
    join(others);
    // Nobody has kept it.
    assert!(home.seat.take().is_some());
}
