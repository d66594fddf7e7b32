//! [`Builder`]: a proactor made to measure; the one place that picks a concrete backend.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{Handle, Proactor};
use crate::backend::Backend;
use crate::offload::{Bounds, Pool};
use crate::op::crew::Crew;
use crate::op::home::{Home, lock};
use crate::op::slots::CAPACITY;
use crate::watchdog::{Overrun, Report, Watchdog};

/// Makes a [`Proactor`] to measure.
#[derive(Clone, Debug)]
pub struct Builder {
    workers: usize,
    max_operations: u32,
    offload: Bounds,
    watchdog: Option<Duration>,
    on_overrun: Report,
    backend: Choice,
}

#[derive(Clone)]
enum Choice {
    Best,
    #[cfg(feature = "check")]
    Simulated(crate::sim::World),
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Best => "best",
            #[cfg(feature = "check")]
            Choice::Simulated(_) => "simulated",
        })
    }
}

impl Builder {
    pub(super) fn new() -> Builder {
        Builder {
            workers: 1,
            max_operations: CAPACITY / 2,
            offload: Bounds::default(),
            watchdog: None,
            on_overrun: Report::default(),
            backend: Choice::Best,
        }
    }

    /// How many workers it has (default: 1), each with a thread, a queue of the kernel's and objects of
    /// its own. [`Proactor::run`] makes the threads of all but the first.
    ///
    /// In a simulation their number belongs to the check, and this one counts for nothing.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// As many workers as this process may run threads at once
    /// ([`std::thread::available_parallelism`]); 1 if that is not known.
    #[must_use]
    pub fn workers_auto(self) -> Builder {
        self.workers(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// How many operations may be in flight at once (default: half a million). One more ends with an
    /// error of kind [`io::ErrorKind::QuotaExceeded`]. Sleeps, timeouts and cancels are never held back (I5).
    /// Several workers have an equal share each.
    #[must_use]
    pub fn max_operations(mut self, limit: u32) -> Builder {
        self.max_operations = limit.min(CAPACITY);
        self
    }

    /// How many threads run what is [offloaded](Handle::offload) (default: one a core,
    /// at least 4; in a simulation 4).
    /// They are started when they are needed. In a simulation no thread is, and so many jobs are begun
    /// at once.
    #[must_use]
    pub fn offload_threads(mut self, threads: usize) -> Builder {
        self.offload.threads = Some(threads);
        self
    }

    /// How many jobs may wait for a thread (default: 1,024). One more ends with
    /// [`OffloadError::Full`](crate::OffloadError::Full).
    #[must_use]
    pub fn offload_queue(mut self, jobs: usize) -> Builder {
        self.offload.queue = jobs;
        self
    }

    /// How long a thread of the pool without work stays (default: 10 s).
    #[must_use]
    pub fn offload_keep_alive(mut self, duration: Duration) -> Builder {
        self.offload.keep_alive = duration;
        self
    }

    /// Watches in real time for handlers, and polls of tasks, that run for longer than `budget` (I9). Each
    /// is named once, while it runs, before it has run for two budgets: on the standard error, or to
    /// [`on_overrun`](Builder::on_overrun). Off by default; then it costs nothing.
    ///
    /// In a simulation it does nothing: see [`check::busy`](crate::check::busy).
    #[must_use]
    pub fn watchdog(mut self, budget: Duration) -> Builder {
        self.watchdog = Some(budget);
        self
    }

    /// Who is told of what the [watchdog](Builder::watchdog) finds, on the watchdog's own thread.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let builder = proactor::Proactor::builder()
    ///     .watchdog(Duration::from_millis(100))
    ///     .on_overrun(|overrun| eprintln!("{overrun}"));
    /// ```
    #[must_use]
    pub fn on_overrun(mut self, tell: impl Fn(&Overrun) + Send + Sync + 'static) -> Builder {
        self.on_overrun = Report(Arc::new(tell));
        self
    }

    /// On this simulated kernel.
    #[cfg(feature = "check")]
    #[must_use]
    pub fn simulated(mut self, world: &crate::sim::World) -> Builder {
        self.backend = Choice::Simulated(world.clone());
        self
    }

    /// Makes it.
    ///
    /// # Errors
    ///
    /// As [`Proactor::new`]. [`io::ErrorKind::InvalidInput`]: a limit of zero operations, of zero threads or
    /// of zero jobs, no worker, more workers than operations, or a watchdog's budget of no time.
    pub fn build(self) -> io::Result<Proactor> {
        if self.max_operations == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "max_operations(0): a proactor that may start nothing is of no use; allow at least 1",
            ));
        }
        if self.workers == 0 || self.workers > self.max_operations as usize {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "workers({}) with max_operations({}): there must be a worker, and an operation for each",
                    self.workers, self.max_operations
                ),
            ));
        }
        self.offload.check()?;
        if self.watchdog.is_some_and(|budget| budget.is_zero()) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "watchdog(0): every handler takes some time; allow at least a millisecond or so",
            ));
        }
        let backend: Arc<dyn Backend> = match &self.backend {
            #[cfg(feature = "check")]
            Choice::Simulated(world) if world.is_behind_a_port() => {
                Arc::new(crate::backend::iocp::door::Door::new(world))
            }
            #[cfg(feature = "check")]
            Choice::Simulated(world) => Arc::new(crate::backend::sim::SimBackend::new(world)),
            #[cfg(target_os = "linux")]
            Choice::Best => Arc::new(crate::backend::uring::Uring::new(
                crate::backend::uring::Options::default(),
            )?),
            #[cfg(windows)]
            Choice::Best => Arc::new(crate::backend::iocp::real()?),
            #[cfg(not(any(target_os = "linux", windows)))]
            Choice::Best => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "there is no backend for this platform yet: io_uring is Linux' own, completion ports are Windows'; handlers can be checked on the simulated kernel",
                ));
            }
        };
        let workers = if self.is_simulated() { 1 } else { self.workers };
        let lanes: Vec<_> = (0..workers)
            .map(|index| backend.lane(index))
            .collect::<io::Result<_>>()?;
        let limit = self.max_operations / workers as u32;
        let watchdog = self.watchdog.filter(|_| !self.is_simulated());
        let pool = Arc::new(Pool::new(self.offload, self.is_simulated()));
        let mut members = Vec::with_capacity(workers);
        for lane in lanes {
            let home = Home::take();
            // SAFETY: the home came out of the pool: nobody owns it or has a live handle to it.
            let local = unsafe { home.home.local() };
            local.begin(backend.clone(), lane, limit);
            local.watched.set(watchdog.is_some());
            *local.pool.borrow_mut() = Some(pool.clone());
            *lock(&home.home.backend) = Some(backend.clone());
            members.push((home, local));
        }
        let first = members[0].0;
        let homes: Vec<_> = members.iter().map(|(home, _)| *home).collect();
        if workers > 1 {
            let crew = Crew::new(homes.clone());
            for (_, local) in members {
                *local.crew.borrow_mut() = Some(crew.clone());
            }
        }
        let mut proactor = Proactor::with(Handle::new(first));
        if let Some(budget) = watchdog {
            proactor._watchdog = Some(Watchdog::start(homes, budget, self.on_overrun)?);
        }
        Ok(proactor)
    }

    fn is_simulated(&self) -> bool {
        !matches!(self.backend, Choice::Best)
    }
}
