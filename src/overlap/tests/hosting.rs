//! Handlers that run others from where they gave way, against the loop that runs all of them: an execution
//! that is recorded goes the latter's way.

use super::*;
use crate::sync::Mutex as Lock;

/// Gives way at random, now and then to whoever asks for it, by a tiny generator.
struct Dice(u64);

impl Chooser for Dice {
    fn choose(&mut self, _: Site, _: Key, count: usize, _: &dyn Alternatives) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        match self.0 % 2 {
            0 => (self.0 >> 8) as usize % count,
            _ => 0,
        }
    }
}

/// Handlers under two locks, posts, timers, a deadlock now and then, and a panic.
fn crowd(proactor: &Proactor, seed: u64, said: &Arc<Mutex<Vec<u64>>>) {
    let locks = [Arc::new(Lock::new(0)), Arc::new(Lock::new(0))];
    for who in 0..6 {
        let (locks, handle, say) = (locks.clone(), proactor.handle(), said.clone());
        proactor.post(move || {
            let (first, second) = match seed.is_multiple_of(5) {
                true => (who % 2, (who + 1) % 2),
                false => (0, 1),
            };
            for round in 0..3 {
                let _ = handle.now();
                let mut one = locks[first as usize].lock().expect("no panic under it");
                *one += 1;
                if round == 1 {
                    let two = locks[second as usize].lock().expect("no panic under it");
                    say.lock().expect("no panic").push(who * 100 + *two);
                }
                drop(one);
                if round == 2 && who % 2 == 0 {
                    let say = say.clone();
                    handle.post(move || say.lock().expect("no panic").push(1_000 + who));
                }
                say.lock().expect("no panic").push(who * 10 + round);
            }
            if who == 3 && seed.is_multiple_of(7) {
                std::panic::resume_unwind(Box::new("on purpose"));
            }
        });
    }
}

fn told(seed: u64, workers: usize, trace: bool) -> (Vec<u64>, u64, Option<String>, bool) {
    let config = Config {
        trace,
        ..Config::default()
    };
    let world = World::new(config, Box::new(Dice(seed | 1)));
    let workers = Workers::new(&world, workers);
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut panicked = false;
    workers.within(true, || {
        let proactor = proactor(&world);
        crowd(&proactor, seed, &said);
        loop {
            let run = std::panic::catch_unwind(AssertUnwindSafe(|| proactor.run()));
            panicked |= run.is_err();
            if run.is_ok() {
                break;
            }
        }
    });
    assert_eq!(workers.begun.get(), 0);
    assert!(workers.waiting.borrow().is_empty());
    assert!(workers.seats.iter().all(|seat| !seat.hosts.get()));
    let said = said.lock().expect("no panic").clone();
    let violation = world.violation().map(|it| it.message);
    (said, world.digest(), violation, panicked)
}

#[test]
fn who_runs_whom_changes_nothing() {
    let (mut deadlocks, mut panics) = (0, 0);
    for seed in 1..1_500 {
        let workers = 2 + seed as usize % 4;
        let hosted = told(seed, workers, false);
        assert_eq!(hosted, told(seed, workers, true), "{seed}");
        deadlocks += usize::from(hosted.2.is_some());
        panics += usize::from(hosted.3);
    }
    assert!(deadlocks > 20 && panics > 100, "{deadlocks} {panics}");
}
