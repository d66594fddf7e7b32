//! The answers about the articles' mistakes, in the structure of their listings.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use proactor::Strand;
use proactor::check::Checker;
use proactor::sim::hand::{Request, Step};
use proactor::sim::{Config, Hand};
use proactor::sync::{Semaphore, mpsc};

use crate::Answers;

// ---- the articles' mistakes, in the structure of their listings

/// What was counted of the article's queue.
#[derive(Default)]
struct Counted {
    /// Submits that had to wait.
    waited: AtomicUsize,
    /// Handlers that run now.
    run: AtomicUsize,
    /// As many ran at once at most.
    most: AtomicUsize,
}

/// The article's queue, with a limit of five and a hundred items.
fn bounded_queue() -> Result<Arc<Counted>, Box<dyn Error>> {
    let counted = Arc::new(Counted::default());
    let count = counted.clone();
    Checker::new().executions(1).run(move |sim| {
        let proactor = sim.proactor();
        // As good as no bound: the article's queue has none.
        let (submit, mut queue) = mpsc::channel::<u32>(1 << 20);
        let semaphore = Semaphore::new(5);
        for item in 0..100 {
            // A submit that has to wait is one that is refused now.
            let waits = submit.try_send(item).is_err();
            count.waited.fetch_add(usize::from(waits), Relaxed);
        }
        drop(submit);
        let (handle, count) = (proactor.handle(), count.clone());
        drop(proactor.spawn(async move {
            while let Some(_item) = queue.recv().await {
                let _permit = semaphore.acquire().await;
                let now = count.run.fetch_add(1, Relaxed) + 1;
                count.most.fetch_max(now, Relaxed);
                let _ = handle.sleep(Duration::from_secs(1)).await;
                count.run.fetch_sub(1, Relaxed);
            }
        }));
        proactor.run().unwrap();
    })?;
    Ok(counted)
}

pub(crate) fn bounded_concurrency() -> Answers {
    Ok(vec![bounded_queue()?.most.load(Relaxed).to_string()])
}

pub(crate) fn bounded_submits() -> Answers {
    Ok(vec![bounded_queue()?.waited.load(Relaxed).to_string()])
}

/// A page that answers 404, under the article's loop: the error that says "not again" is caught by what tries again.
pub(crate) fn retry() -> Answers {
    let mut asked = 0;
    let mut once = || -> Result<(), String> {
        asked += 1;
        let status = 404;
        match status {
            200 => Ok(()),
            500.. => Err(format!("server error: {status}")),
            _ => Err(format!("client error: {status}")), // "non-retryable"
        }
    };
    for attempt in 0..3 {
        match once() {
            Ok(()) => break,
            Err(_) if attempt < 2 => {}
            Err(_) => break,
        }
    }
    Ok(vec![asked.to_string()])
}

/// A timer whose completion is queued is cancelled.
pub(crate) fn late_timer() -> Answers {
    let mut hand = Hand::new(Config::default());
    let timer = hand.submit(Request::timer(Duration::from_secs(30)))?;
    hand.step(Step::Clock)?;
    hand.cancel(timer)?;
    hand.step(Step::Complete(timer))?;
    let end = hand.reap().ok_or("just handed out")?.result;
    Ok(vec![match end {
        Ok(_) => "that its time has come".to_owned(),
        Err(_) => "that it was cancelled".to_owned(),
    }])
}

/// Whether a handler on the connection's strand ever runs while `start` is at its later lines; `start` itself runs on no
/// strand, or on that one.
fn overlaps(on_strand: bool) -> Result<bool, Box<dyn Error>> {
    let seen = Arc::new(AtomicBool::new(false));
    let tell = seen.clone();
    let checker = Checker::new().workers(2).deviations(2).random(false);
    checker.run(move |sim| {
        let proactor = sim.proactor();
        let strand = Strand::new(proactor);
        let (handle, inside, tell) = (proactor.handle(), strand.clone(), tell.clone());
        let start = move || {
            let starts = Arc::new(AtomicBool::new(true));
            let still = starts.clone();
            // `read_header()`: its end is there at once.
            let read = handle.sleep(Duration::ZERO).on(&inside);
            read.then(move |_| {
                tell.fetch_or(still.load(Relaxed), Relaxed);
            });
            // The timer is armed.
            let timer = handle.sleep(Duration::from_secs(30)).on(&inside);
            timer.then(|_| {});
            starts.store(false, Relaxed);
        };
        match on_strand {
            true => strand.post(start),
            false => proactor.post(start),
        }
        proactor.run().unwrap();
    })?;
    Ok(seen.load(Relaxed))
}

pub(crate) fn start() -> Answers {
    assert!(!overlaps(true)?, "posted to the strand it is serial");
    let answer = match overlaps(false)? {
        true => "what `start()` still does after it has started the first operation",
        false => "none: everything is bound",
    };
    Ok(vec![answer.to_owned()])
}
