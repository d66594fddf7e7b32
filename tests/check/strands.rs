//! Strands under simulated workers: what overlaps without one is serialised by it, in the same search.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::{Checker, Failure, FailureKind, Sim, Summary, busy};
use proactor::sync::Shared;
use proactor::{Handle, RunEnd, Strand, StrandCell};

fn two() -> Checker {
    Checker::new().workers(2)
}

#[track_caller]
fn passes(outcome: Result<Summary, Box<Failure>>) -> Summary {
    outcome.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Two handlers each add one to a counter in two steps; `on` says how they are posted.
fn count(sim: &Sim, on: fn(&Strand, Box<dyn FnOnce() + Send>, &Sim)) {
    let counter = Arc::new(AtomicU32::new(0));
    let strand = Strand::new(sim.proactor());
    for _ in 0..2 {
        let (counter, proactor) = (counter.clone(), sim.proactor().handle());
        let add = move || {
            let before = counter.load(Relaxed);
            proactor.post(|| ());
            counter.store(before + 1, Relaxed);
        };
        on(&strand, Box::new(add), sim);
    }
    // Somebody else, to give way to.
    sim.proactor().post(|| ());
    assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
    assert_eq!(counter.load(Relaxed), 2, "an update is lost");
}

#[test]
fn an_update_that_is_lost_without_the_strand_is_not_lost_on_it() {
    let failure = two()
        .run(|sim| count(sim, |_, add, sim| sim.proactor().post(add)))
        .expect_err("an update is lost");
    assert_eq!(failure.deviations().len(), 1, "{failure}");
    let summary = passes(two().run(|sim| count(sim, |strand, add, _| strand.post(add))));
    assert_eq!(summary.proved(), Some(2), "{summary}");
}

#[test]
fn handlers_of_one_strand_never_overlap_and_those_of_two_do() {
    let overlapped = Arc::new(AtomicBool::new(false));
    let seen = overlapped.clone();
    passes(two().run(move |sim| {
        let strands = [Strand::new(sim.proactor()), Strand::new(sim.proactor())];
        let inside = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        for number in [0, 1, 0, 1] {
            let (inside, seen) = (inside.clone(), seen.clone());
            let proactor = sim.proactor().handle();
            strands[number].post(move || {
                assert_eq!(inside[number].fetch_add(1, Relaxed), 0, "of one strand");
                proactor.post(|| ());
                if inside[1 - number].load(Relaxed) > 0 {
                    seen.store(true, Relaxed);
                }
                inside[number].fetch_sub(1, Relaxed);
            });
        }
        sim.proactor().run().expect("it runs");
    }));
    assert!(overlapped.load(Relaxed), "two strands never overlapped");
}

#[test]
fn a_strand_orders_what_its_handlers_share_and_nothing_else_does() {
    let share = |sim: &Sim, on: fn(&Strand, Box<dyn FnOnce() + Send>, &Sim)| {
        let shared = Arc::new(Shared::new(0));
        let strand = Strand::new(sim.proactor());
        for number in 0..2 {
            let shared = shared.clone();
            on(&strand, Box::new(move || shared.set(number)), sim);
        }
        sim.proactor().run().expect("it runs");
    };
    let failure = two()
        .run(move |sim| share(sim, |_, set, sim| sim.proactor().post(set)))
        .expect_err("a race");
    assert_eq!(failure.kind(), FailureKind::Broken);
    assert!(
        failure.deviations().is_empty(),
        "told without a bad order: {failure}"
    );
    passes(two().run(move |sim| share(sim, |strand, set, _| strand.post(set))));
}

#[test]
fn a_cell_is_used_on_its_strand_only_whoever_gives_way_to_whom() {
    passes(two().run(|sim| {
        let strands = [Strand::new(sim.proactor()), Strand::new(sim.proactor())];
        let cells = strands
            .each_ref()
            .map(|strand| Arc::new(StrandCell::new(strand, 0)));
        for number in [0, 1, 0, 1] {
            let (cell, other) = (cells[number].clone(), cells[1 - number].clone());
            let proactor = sim.proactor().handle();
            strands[number].post(move || {
                cell.with(|count| *count += 1);
                proactor.post(|| ());
                assert!(other.try_with(|_| ()).is_err(), "the other strand's");
                cell.with(|count| *count += 1);
            });
        }
        sim.proactor().run().expect("it runs");
        for cell in cells {
            assert_eq!(Arc::into_inner(cell).map(StrandCell::into_inner), Some(4));
        }
    }));
}

/// In virtual time: each handler of three strands takes a microsecond and posts another, so that they are
/// never idle. What is posted to a fourth begins within a batch of each, as the strand's page says.
#[test]
fn beside_floods_the_wait_of_another_strand_is_bounded_in_virtual_time() {
    const COST: Duration = Duration::from_micros(1);
    const BATCH: u32 = 32;
    const FLOODS: u32 = 3;

    fn flood(strand: &Strand, left: u32) {
        if left > 0 {
            let again = strand.clone();
            strand.post(move || {
                busy(COST);
                flood(&again, left - 1);
            });
        }
    }

    /// Posts to a strand and, once that has run, again.
    fn ask(to: Strand, proactor: Handle, told: Arc<Mutex<Vec<Duration>>>, left: u32) {
        let posted_at = proactor.now();
        to.clone().post(move || {
            told.lock().unwrap().push(proactor.now() - posted_at);
            if left > 1 {
                proactor.post(move || ask(to, proactor, told, left - 1));
            }
        });
    }

    passes(Checker::new().run(|sim| {
        let proactor = sim.proactor().handle();
        let quiet = Strand::new(&proactor);
        for _ in 0..FLOODS {
            let strand = Strand::new(&proactor);
            // Two batches deep at any time.
            (0..2 * BATCH).for_each(|_| flood(&strand, 5));
        }
        let waits = Arc::new(Mutex::new(Vec::new()));
        let (posts, told) = (quiet.clone(), waits.clone());
        // Again and again, wherever the floods are by then.
        proactor.post(move || ask(posts, proactor, told, 4));
        assert_eq!(sim.proactor().run().expect("it runs"), RunEnd::OutOfWork);
        let waits = waits.lock().unwrap().clone();
        let longest = waits.iter().max().copied().unwrap_or_default();
        assert!(longest <= COST * BATCH * FLOODS, "waited {longest:?}");
        assert!(longest >= COST * BATCH, "nothing was flooded: {waits:?}");
        // Its own account says the same, by the clock of the loop's turns.
        assert!(quiet.stats().longest_wait <= COST * BATCH * FLOODS);
    }));
}
