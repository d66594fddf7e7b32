//! A line on the terminal that says how far a long check is: which stage, how many executions, how fast.
//!
//! It is rewritten in place, at most four times a second, from a second on, and wiped out at the end. It is there only if the
//! standard error is a terminal and nobody has asked for quiet; of several checks at a time one has it.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::sim::words::grouped;

/// Checks that are over sooner have none.
const FIRST: Duration = Duration::from_secs(1);

/// The time between two lines.
const EVERY: Duration = Duration::from_millis(250);

/// Back to the first column, and nothing behind the cursor.
const WIPE: &str = "\r\x1b[K";

/// Whether a check of this process has the line.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// How far a check is.
pub(crate) struct Progress {
    /// None: it is told to nobody.
    teller: Option<Teller>,
}

struct Teller {
    name: String,
    /// Since the check began.
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    out: Mutex<Out>,
    /// When there will be a line again, in nanoseconds.
    next: AtomicU64,
    executions: AtomicU64,
    /// The line is this check's, and other checks' when it is over.
    taken: Option<&'static AtomicBool>,
}

struct Out {
    to: Box<dyn Write + Send>,
    stage: String,
    /// Executions of the stage, and when it began.
    of: Option<u64>,
    before: u64,
    wrote: bool,
}

impl Progress {
    /// Told to nobody.
    pub(crate) fn quiet() -> Progress {
        Progress { teller: None }
    }

    /// On the standard error, if that is a terminal.
    pub(crate) fn on_terminal(name: Option<&str>) -> Progress {
        if !std::io::stderr().is_terminal() || TAKEN.swap(true, Ordering::AcqRel) {
            return Progress::quiet();
        }
        let begun = std::time::Instant::now();
        let mut progress = Progress::to(name, std::io::stderr(), move || begun.elapsed());
        if let Some(teller) = &mut progress.teller {
            teller.taken = Some(&TAKEN);
        }
        progress
    }

    /// To any writer, by any clock.
    pub(crate) fn to(
        name: Option<&str>,
        out: impl Write + Send + 'static,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Progress {
        Progress {
            teller: Some(Teller {
                name: name.map_or_else(|| "check".to_owned(), |name| format!("check `{name}`")),
                clock: Box::new(clock),
                out: Mutex::new(Out {
                    to: Box::new(out),
                    stage: String::new(),
                    of: None,
                    before: 0,
                    wrote: false,
                }),
                next: AtomicU64::new(nanos(FIRST)),
                executions: AtomicU64::new(0),
                taken: None,
            }),
        }
    }

    /// Another stage begins, of so many executions, if that is known.
    pub(crate) fn stage(&self, stage: impl FnOnce() -> String, of: Option<u64>) {
        let Some(teller) = &self.teller else { return };
        let mut out = teller.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.stage = stage();
        out.of = of;
        out.before = teller.executions.load(Ordering::Relaxed);
    }

    /// So many executions more, none of which fails. From any thread.
    pub(crate) fn add(&self, executions: u64) {
        let Some(teller) = &self.teller else { return };
        let done = teller.executions.fetch_add(executions, Ordering::Relaxed) + executions;
        let now = (teller.clock)();
        let next = teller.next.load(Ordering::Relaxed);
        if nanos(now) < next {
            return;
        }
        let after = nanos(now + EVERY);
        let is_mine =
            teller
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed);
        if is_mine.is_ok() {
            teller.tell(done, now);
        }
    }
}

impl Teller {
    #[cold]
    fn tell(&self, done: u64, now: Duration) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let here = grouped(done.saturating_sub(out.before));
        let of = out
            .of
            .map_or_else(String::new, |of| format!(" of {}", grouped(of)));
        let rate = grouped((done as f64 / now.as_secs_f64()) as u64);
        let line = format!(
            "{WIPE}proactor: {}: {}: {here}{of}; {} executions, {rate} a second, no failure",
            self.name,
            out.stage,
            grouped(done),
        );
        out.wrote = true;
        // Nothing can be done if nobody listens.
        let _ = out.to.write_all(line.as_bytes());
        let _ = out.to.flush();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let out = self.out.get_mut().unwrap_or_else(PoisonError::into_inner);
        if out.wrote {
            let _ = out.to.write_all(WIPE.as_bytes());
            let _ = out.to.flush();
        }
        if let Some(taken) = self.taken {
            taken.store(false, Ordering::Release);
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn take(&self) -> String {
            let bytes = std::mem::take(&mut *self.0.lock().expect("no panic"));
            String::from_utf8(bytes).expect("it is text")
        }
    }

    fn begun() -> (Progress, Page, Arc<AtomicU64>) {
        let (page, time) = (Page::default(), Arc::new(AtomicU64::new(0)));
        let clock = time.clone();
        let progress = Progress::to(Some("echo"), page.clone(), move || {
            Duration::from_millis(clock.load(Ordering::Relaxed))
        });
        (progress, page, time)
    }

    #[test]
    fn a_long_check_has_one_line_that_is_rewritten_and_wiped_out() {
        let (progress, page, time) = begun();
        progress.stage(|| "with 2 deviations".to_owned(), Some(48_213));
        progress.add(6_400);
        time.store(999, Ordering::Relaxed);
        progress.add(6_400);
        assert_eq!(page.take(), "", "it may be over soon");
        time.store(2_000, Ordering::Relaxed);
        progress.add(7_200);
        assert_eq!(
            page.take(),
            "\r\x1b[Kproactor: check `echo`: with 2 deviations: 20,000 of 48,213; 20,000 executions, \
             10,000 a second, no failure"
        );
        time.store(2_249, Ordering::Relaxed);
        progress.add(64);
        assert_eq!(page.take(), "", "not more than four times a second");
        progress.stage(|| "reduced search".to_owned(), None);
        time.store(2_500, Ordering::Relaxed);
        progress.add(36);
        assert_eq!(
            page.take(),
            "\r\x1b[Kproactor: check `echo`: reduced search: 36; 20,100 executions, 8,040 a second, no failure"
        );
        drop(progress);
        assert_eq!(page.take(), "\r\x1b[K");
    }

    #[test]
    fn a_short_check_writes_nothing_at_all() {
        let (progress, page, time) = begun();
        time.store(999, Ordering::Relaxed);
        progress.add(1_000_000);
        drop(progress);
        assert_eq!(page.take(), "");
    }

    #[test]
    fn where_there_is_no_terminal_nothing_is_told() {
        // The standard error of a test is one only where somebody watches.
        if !std::io::stderr().is_terminal() {
            assert!(Progress::on_terminal(None).teller.is_none());
        }
        Progress::quiet().add(1);
    }
}
