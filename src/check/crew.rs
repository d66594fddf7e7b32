//! Sharing executions out among threads so that the answer is the same on any number of cores.
//!
//! Executions are numbered. Threads take them in chunks of a fixed size, in order, and a chunk stops
//! at its first failure; chunks above a failure are not begun any more, chunks below it are finished.
//! So the failure with the lowest number always wins. A deadline, the one thing that depends on the
//! machine, is looked at between chunks only: what was run is always `0..done`.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::progress::Progress;

/// Executions in one chunk: enough that taking one costs nothing, few enough to stop soon.
const CHUNK: u64 = 64;

/// The threads that run executions.
pub(crate) struct Crew<'a> {
    pub(crate) threads: usize,
    pub(crate) deadline: Option<Instant>,
    /// Told of every chunk.
    pub(crate) progress: &'a Progress,
}

/// What a crew brings home.
pub(crate) struct Haul<R, K> {
    /// One result a chunk, in order; the last one may have stopped at a failure.
    pub(crate) chunks: Vec<R>,
    /// How many numbers were given out: all of them unless the deadline passed or something failed.
    pub(crate) done: u64,
    /// What each thread kept, in no order.
    pub(crate) kept: Vec<K>,
}

impl Crew<'_> {
    /// Runs `work` on all of `0..total` in chunks. It returns its result and, if an execution failed,
    /// that this chunk is the last one. Each thread makes a bench for itself, and at the end takes
    /// from it what is to be kept: a bench never leaves its thread.
    pub(crate) fn each<B, R: Send, K: Send>(
        &self,
        total: u64,
        bench: impl Fn() -> B + Sync,
        work: impl Fn(&mut B, Range<u64>) -> (R, bool) + Sync,
        keep: impl Fn(B) -> K + Sync,
    ) -> Haul<R, K> {
        let next = AtomicU64::new(0);
        let last = AtomicU64::new(u64::MAX);
        let results = Mutex::new(Vec::new());
        let kept = Mutex::new(Vec::new());
        let toil = || {
            let mut bench = bench();
            loop {
                let late = self
                    .deadline
                    .is_some_and(|deadline| Instant::now() >= deadline);
                if late {
                    break;
                }
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                let start = chunk.saturating_mul(CHUNK);
                if start >= total || chunk > last.load(Ordering::Relaxed) {
                    break;
                }
                let end = total.min(start + CHUNK);
                let (result, failed) = work(&mut bench, start..end);
                if failed {
                    last.fetch_min(chunk, Ordering::Relaxed);
                } else {
                    self.progress.add(end - start);
                }
                locked(&results).push((chunk, result));
            }
            locked(&kept).push(keep(bench));
        };

        let threads = self
            .threads
            .min(usize::try_from(total.div_ceil(CHUNK)).unwrap_or(usize::MAX));
        if threads <= 1 {
            toil();
        } else {
            // The threads bear the caller's name: it is the test's, and models may ask for it.
            let name = std::thread::current().name().map(str::to_owned);
            std::thread::scope(|scope| {
                for _ in 1..threads {
                    let mut builder = std::thread::Builder::new();
                    if let Some(name) = &name {
                        builder = builder.name(name.clone());
                    }
                    // A machine that has no thread to spare does it with those it has.
                    if builder.spawn_scoped(scope, toil).is_err() {
                        break;
                    }
                }
                toil();
            });
        }

        let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
        results.sort_unstable_by_key(|(chunk, _)| *chunk);
        // Threads that raced past a failure leave chunks above it.
        let last = last.into_inner();
        results.retain(|(chunk, _)| *chunk <= last);
        let done = total.min(results.len() as u64 * CHUNK);
        let kept = kept.into_inner().unwrap_or_else(|e| e.into_inner());
        Haul {
            chunks: results.into_iter().map(|(_, result)| result).collect(),
            done,
            kept,
        }
    }
}

/// Nothing panics while it holds these locks; should it, the data are whole all the same.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(threads: usize, total: u64, fails_at: &[u64]) -> (u64, Option<u64>) {
        let crew = Crew {
            threads,
            deadline: None,
            progress: &Progress::quiet(),
        };
        let haul = crew.each(
            total,
            || (),
            |(), range| {
                let mut sum = 0;
                for index in range {
                    if fails_at.contains(&index) {
                        return ((sum, Some(index)), true);
                    }
                    sum += index;
                }
                ((sum, None), false)
            },
            |()| (),
        );
        let sum = haul.chunks.iter().map(|(sum, _)| sum).sum();
        (sum, haul.chunks.iter().find_map(|(_, failed)| *failed))
    }

    #[test]
    fn every_number_is_run_once_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            assert_eq!(sum(threads, 1_000, &[]), (999 * 1_000 / 2, None));
            assert_eq!(sum(threads, 0, &[]), (0, None));
            assert_eq!(sum(threads, 1, &[]), (0, None));
        }
    }

    #[test]
    fn the_lowest_failure_wins_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            for _ in 0..20 {
                let answer = sum(threads, 5_000, &[4_000, 700, 701, 2_000]);
                assert_eq!(answer, (699 * 700 / 2, Some(700)));
            }
        }
    }

    #[test]
    fn nothing_is_begun_after_the_deadline() {
        let crew = Crew {
            threads: 2,
            deadline: Some(Instant::now()),
            progress: &Progress::quiet(),
        };
        let haul = crew.each(1_000, || (), |(), _| ((), false), |()| ());
        assert_eq!(haul.done, 0);
        assert!(haul.chunks.is_empty());
    }
}
