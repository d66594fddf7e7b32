//! Simulated workers from the inside: what their end looks like, and what a caller can't see.

mod hosting;
mod speed;

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::*;
use crate::choice::{Alternatives, Chooser, EventId, Key, Kind, Site};
use crate::op::home::Local;
use crate::op::home::Message;
use crate::sim::{Config, Oracle, TraceEvent, Violation, What};
use crate::switch::{self, Point};
use crate::{Proactor, RunEnd};

/// Deviates at the workers' decisions with these numbers, else is kind.
struct Hand(Vec<(u32, usize)>, u32);

impl Chooser for Hand {
    fn choose(&mut self, site: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        if site != Site::Worker {
            return 0;
        }
        let here = self.1;
        self.1 += 1;
        let wish = self.0.iter().find(|(at, _)| *at == here);
        wish.map_or(0, |(_, choice)| *choice).min(count - 1)
    }
}

fn world(chooser: impl Chooser) -> World {
    let config = Config {
        trace: true,
        ..Config::default()
    };
    World::new(config, Box::new(chooser))
}

fn proactor(world: &World) -> Proactor {
    Proactor::builder()
        .simulated(world)
        .build()
        .expect("the world has a lane")
}

/// Runs a model with two workers and these deviations. The trace.
fn run(deviations: &[(u32, usize)], model: impl Fn(Proactor, &World)) -> Vec<TraceEvent> {
    let world = world(Hand(deviations.to_vec(), 0));
    let workers = Workers::new(&world, 2);
    workers.within(true, || model(proactor(&world), &world));
    assert_eq!(workers.begun.get(), 0);
    assert!(workers.waiting.borrow().is_empty());
    world.trace()
}

/// Three handlers that come to a few switch points each and say so.
fn busy(proactor: &Proactor) -> Arc<Mutex<Vec<u32>>> {
    let said = Arc::new(Mutex::new(Vec::new()));
    for who in [10, 20, 30] {
        let (say, handle) = (said.clone(), proactor.handle());
        proactor.post(move || {
            for step in 0..3 {
                say.lock().expect("no panic").push(who + step);
                if step == 1 {
                    handle
                        .sleep(std::time::Duration::from_millis(1))
                        .then(|_| ());
                }
                let _ = handle.now();
            }
        });
    }
    said
}

fn order(deviations: &[(u32, usize)]) -> (Vec<u32>, Vec<TraceEvent>) {
    let order = Mutex::new(Vec::new());
    let trace = run(deviations, |proactor, _| {
        let said = busy(&proactor);
        assert_eq!(proactor.run().expect("it runs"), RunEnd::OutOfWork);
        *order.lock().expect("no panic") = said.lock().expect("no panic").clone();
    });
    (order.into_inner().expect("no panic"), trace)
}

#[test]
fn equal_decisions_give_equal_traces_and_kind_ones_those_of_one_worker() {
    for deviations in [&[][..], &[(0, 1)], &[(1, 1), (2, 1)], &[(3, 1), (5, 1)]] {
        assert_eq!(order(deviations), order(deviations));
    }
    let (kind, trace) = order(&[]);
    assert_eq!(kind, [10, 11, 12, 20, 21, 22, 30, 31, 32]);
    let alone = world(Kind);
    let proactor = proactor(&alone);
    let said = busy(&proactor);
    proactor.run().expect("it runs");
    drop(proactor);
    assert_eq!(*said.lock().expect("no panic"), kind);
    let is_decision = |step: &TraceEvent| matches!(step.what, What::Decision { .. });
    let undecided: Vec<TraceEvent> = trace.into_iter().filter(|it| !is_decision(it)).collect();
    assert_eq!(undecided, alone.trace());
}

#[test]
fn handlers_take_turns_and_each_keeps_its_own_causes() {
    let (order, trace) = order(&[(0, 1), (1, 1), (2, 1), (3, 1)]);
    assert_eq!(order[..4], [10, 20, 11, 21], "{order:?}");
    let started = trace
        .iter()
        .filter(|step| matches!(step.what, What::Submit { .. }));
    let causes: Vec<EventId> = started.map(|step| step.cause).collect();
    let handlers: Vec<EventId> = (0..3).map(|nth| EventId::ROOT.child(nth)).collect();
    assert_eq!(causes, handlers);
}

#[test]
fn a_proactor_that_is_dropped_in_its_handler_lets_others_end_first() {
    let mut overlapped = 0;
    for at in 0..3 {
        let ended = Arc::new(AtomicU32::new(0));
        let (one, two) = (ended.clone(), ended.clone());
        let seen = Arc::new(AtomicU32::new(9));
        let saw = seen.clone();
        run(&[(at, 1)], |proactor, _| {
            let handle = proactor.handle();
            let owner = Arc::new(Mutex::new(None));
            let (own, begun) = (owner.clone(), Arc::new(AtomicBool::new(false)));
            let (begins, one, two, saw) = (begun.clone(), one.clone(), two.clone(), saw.clone());
            proactor.post(move || {
                begins.store(true, Relaxed);
                let _ = handle.now();
                one.fetch_add(1, Relaxed);
            });
            proactor.post(move || {
                if begun.load(Relaxed) && two.load(Relaxed) == 0 {
                    saw.store(0, Relaxed);
                }
                let last: Option<Proactor> = own.lock().expect("no panic").take();
                drop(last);
                assert_eq!(two.load(Relaxed), 1, "it has ended before the proactor");
            });
            // Owned by its handler: run through a reference that the handler's drop does not end.
            let running = std::mem::ManuallyDrop::new(proactor);
            // SAFETY: a proactor is plain data; exactly one of the two is dropped, in the handler.
            *owner.lock().expect("no panic") = Some(unsafe { std::ptr::read(&*running) });
            let _ = running.run();
        });
        overlapped += u32::from(seen.load(Relaxed) == 0);
        assert_eq!(ended.load(Relaxed), 1);
    }
    assert!(
        overlapped > 0,
        "one was suspended when the proactor was dropped"
    );
}

#[test]
fn a_proactor_that_a_panic_drops_is_torn_down_when_nobody_is_inside() {
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    run(&[(0, 1)], move |proactor, _| {
        let (handle, owner, end) = (proactor.handle(), Arc::new(Mutex::new(None)), end.clone());
        drop(proactor.spawn(std::future::poll_fn(move |_| {
            let _ = handle.now();
            end.store(true, Relaxed);
            std::task::Poll::Ready(())
        })));
        let own = owner.clone();
        proactor.post(move || {
            let _own: Option<Proactor> = own.lock().expect("no panic").take();
            std::panic::resume_unwind(Box::new(()));
        });
        let running = std::mem::ManuallyDrop::new(proactor);
        // SAFETY: a proactor is plain data; exactly one of the two is dropped, in the handler.
        *owner.lock().expect("no panic") = Some(unsafe { std::ptr::read(&*running) });
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| running.run()));
        assert!(ran.is_err());
    });
    assert!(ended.load(Relaxed), "the task was suspended, and ended");
}

#[test]
fn a_panic_between_two_handlers_leaves_none_suspended() {
    let ended = Arc::new(AtomicBool::new(false));
    let end = ended.clone();
    run(&[(0, 1)], |proactor, _| {
        let (handle, end) = (proactor.handle(), end.clone());
        proactor.post(move || {
            // The worker reads its mail while this handler is suspended.
            let act = |_: &Local| std::panic::resume_unwind(Box::new(()));
            handle.home.send(Message::Run(Box::new(act)));
            let _ = handle.now();
            end.store(true, Relaxed);
        });
        let ran = std::panic::catch_unwind(AssertUnwindSafe(|| proactor.run()));
        assert!(ran.is_err());
        assert!(ended.load(Relaxed));
        assert_eq!(proactor.run().expect("it goes on"), RunEnd::OutOfWork);
    });
}

#[test]
fn who_does_not_end_after_the_end_is_unwound_and_who_survives_that_is_leaked() {
    struct Mark(Arc<AtomicU32>);
    impl Drop for Mark {
        fn drop(&mut self) {
            self.0
                .fetch_add(1 + 10 * u32::from(std::thread::panicking()), Relaxed);
        }
    }
    for stubborn in [false, true] {
        let dropped = Arc::new(AtomicU32::new(0));
        let mark = dropped.clone();
        run(&[(0, 1)], |proactor, world| {
            let (handle, mark) = (proactor.handle(), Mark(mark.clone()));
            proactor.post(move || {
                let _mark = mark;
                let spin = || loop {
                    let _ = handle.now();
                };
                if stubborn {
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(spin));
                }
                spin();
            });
            let world = world.clone();
            proactor.post(move || {
                world.report(Violation::new(
                    Oracle::Always,
                    "the end of the story".to_owned(),
                    EventId::ROOT,
                    None,
                ));
            });
            let _ = proactor.run();
        });
        assert_eq!(dropped.load(Relaxed), if stubborn { 0 } else { 11 });
    }
}

#[test]
fn who_is_blocked_goes_on_when_it_can_or_is_told_that_it_never_will() {
    let block = |flag: &AtomicBool| {
        let ready = || flag.load(Relaxed);
        switch::block_until(Point::Sync("a flag"), ready)
    };
    let trace = run(&[], |proactor, world| {
        let flag = Arc::new(AtomicBool::new(false));
        let (seen, went_on) = (flag.clone(), Arc::new(AtomicBool::new(false)));
        let on = went_on.clone();
        proactor.post(move || on.store(block(&seen), Relaxed));
        proactor.post(move || flag.store(true, Relaxed));
        proactor.run().expect("it runs");
        assert!(went_on.load(Relaxed));
        assert!(!world.failed());
        let never = Arc::new(AtomicBool::new(true));
        let answer = never.clone();
        proactor.post(move || answer.store(block(&AtomicBool::new(false)), Relaxed));
        let _ = proactor.run();
        assert!(!never.load(Relaxed));
        let message = world.violation().map(|it| it.message).unwrap_or_default();
        assert!(message.contains("a flag waits at"), "{message}");
    });
    assert!(
        trace
            .iter()
            .any(|step| step.text.contains("goes on with a flag"))
    );
}

#[test]
fn outside_of_handlers_nothing_is_asked() {
    run(&[(0, 1)], |proactor, _| {
        switch::point(Point::Post);
        proactor.post(|| ());
        assert!(!switch::block_until(Point::Post, || false));
        assert!(switch::block_until(Point::Post, || true));
        switch::settle();
        assert_eq!(proactor.poll().expect("it runs"), 1);
    });
}

/// Deviates now and then, and counts decisions that come up twice by the same name.
struct Names {
    state: u64,
    seen: HashSet<(Site, EventId, u32)>,
    twice: Arc<AtomicU32>,
}

impl Chooser for Names {
    fn choose(&mut self, site: Site, key: Key, count: usize, _: &dyn Alternatives) -> usize {
        if !self.seen.insert((site, key.event, key.occurrence)) {
            self.twice.fetch_add(1, Relaxed);
        }
        // xorshift64, Marsaglia 2003.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        match self.state % 3 {
            0 => (self.state >> 8) as usize % count,
            _ => 0,
        }
    }
}

/// Two strands, each with timers that end at once, whose handlers give way to each other, and a task.
fn timers_on_strands(proactor: &Proactor) {
    for _ in 0..2 {
        let strand = crate::Strand::new(proactor);
        for _ in 0..3 {
            let (handle, inside) = (proactor.handle(), strand.clone());
            let sleep = proactor.sleep(std::time::Duration::from_millis(1));
            sleep.on(&strand).then(move |_| {
                let _ = handle.now();
                inside.post(move || {
                    let _now = handle.now();
                });
            });
        }
    }
    let handle = proactor.handle();
    drop(proactor.spawn(async move {
        for _ in 0..3 {
            let _ = handle.sleep(std::time::Duration::from_millis(1)).await;
            let _ = handle.now();
        }
    }));
}

/// Handlers that start timers under a lock, each of which goes on with the next one.
fn timers_in_a_chain(proactor: &Proactor) {
    let left = Arc::new(crate::sync::Mutex::new(3));
    for _ in 0..2 {
        let (handle, left) = (proactor.handle(), left.clone());
        proactor.post(move || chain(handle, left));
    }
}

fn chain(handle: crate::Handle, left: Arc<crate::sync::Mutex<u32>>) {
    let mut more = left.lock().expect("no panic");
    if *more == 0 {
        return;
    }
    *more -= 1;
    drop(more);
    let sleep = handle.sleep(std::time::Duration::ZERO);
    sleep.then(move |_| chain(handle, left));
}

#[test]
fn no_two_decisions_have_the_same_name() {
    let twice = Arc::new(AtomicU32::new(0));
    for (seed, model) in (1..=600).zip([timers_on_strands, timers_in_a_chain].into_iter().cycle()) {
        let world = world(Names {
            state: seed,
            seen: HashSet::new(),
            twice: twice.clone(),
        });
        let workers = Workers::new(&world, 2);
        workers.within(true, || {
            let proactor = proactor(&world);
            model(&proactor);
            let _ = proactor.run();
        });
    }
    assert_eq!(twice.load(Relaxed), 0);
}
