//! What it costs. Not asserted: `cargo test --release overlap::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::super::fiber::{self, Fiber};
use super::*;
use crate::check::Checker;
use crate::sync::Shared;

/// Gives way wherever it can, or nowhere.
struct Always(bool);

impl Chooser for Always {
    fn choose(&mut self, site: Site, _: Key, _: usize, _: &dyn Alternatives) -> usize {
        usize::from(self.0 && site == Site::Worker)
    }
}

/// Two handlers with so many switch points each; nanoseconds a point.
fn points(gives_way: bool, points: u32) -> f64 {
    let world = World::new(Config::default(), Box::new(Always(gives_way)));
    let workers = Workers::new(&world, 2);
    workers.within(true, || {
        let proactor = proactor(&world);
        for _ in 0..2 {
            proactor.post(move || {
                for _ in 0..points {
                    switch::point(Point::Clock);
                }
            });
        }
        let start = Instant::now();
        proactor.run().expect("it runs");
        start.elapsed().as_nanos() as f64 / f64::from(2 * points)
    })
}

fn fiber_switch(switches: u32) -> f64 {
    struct Act(u32);
    impl fiber::Job for Act {
        fn run(self) {
            for _ in 0..self.0 {
                fiber::pause();
            }
        }
    }
    let mut fiber = Fiber::new().expect("there is memory");
    let start = Instant::now();
    let mut left = fiber.begin(Act(switches));
    while matches!(left, Left::Paused) {
        left = fiber.go_on();
    }
    start.elapsed().as_nanos() as f64 / f64::from(switches)
}

fn executions(count: u64, workers: usize, shared: bool) -> f64 {
    let checker = Checker::new().threads(1).workers(workers).races(false);
    let start = Instant::now();
    let summary = checker.deviations(0).executions(count).run(move |sim| {
        let counter = Arc::new(Shared::new(0));
        for _ in 0..2 * u32::from(shared) {
            let counter = counter.clone();
            sim.proactor().post(move || counter.set(counter.get() + 1));
        }
        let _ = sim.proactor().run();
    });
    let summary = summary.unwrap_or_else(|failure| panic!("{failure}"));
    start.elapsed().as_nanos() as f64 / summary.executions() as f64
}

#[test]
#[ignore = "a measurement, to be run in release mode"]
fn nanoseconds() {
    for round in 0..2 {
        println!("round {round}");
        println!(
            "  leave a stack and come back to it  {:6.1}",
            fiber_switch(3_000_000)
        );
        println!(
            "  a switch point, going on           {:6.1}",
            points(false, 1_000_000)
        );
        println!(
            "  a switch point, giving way         {:6.1}",
            points(true, 1_000_000)
        );
        println!(
            "  an execution: nothing, 1 worker    {:6.1}",
            executions(1_000_000, 1, false)
        );
        println!(
            "  an execution: counter, 1 worker    {:6.1}",
            executions(1_000_000, 1, true)
        );
        println!(
            "  an execution: counter, 2 workers   {:6.1}",
            executions(1_000_000, 2, true)
        );
    }
}
