//! [`Builder`]: a proactor made to measure; the one place that picks a concrete backend.

use std::fmt;
use std::io;
use std::sync::Arc;

use super::{Handle, Proactor};
use crate::backend::Backend;
use crate::op::crew::Crew;
use crate::op::home::{Home, lock};
use crate::op::slots::CAPACITY;

/// Makes a [`Proactor`] to measure.
#[derive(Clone, Debug)]
pub struct Builder {
    workers: usize,
    max_operations: u32,
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
    /// As [`Proactor::new`]. [`io::ErrorKind::InvalidInput`]: a limit of zero operations, no worker, or
    /// more workers than operations.
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
        let backend: Arc<dyn Backend> = match &self.backend {
            #[cfg(feature = "check")]
            Choice::Simulated(world) => Arc::new(crate::backend::sim::SimBackend::new(world)),
            #[cfg(target_os = "linux")]
            Choice::Best => Arc::new(crate::backend::uring::Uring::new(
                crate::backend::uring::Options::default(),
            )?),
            #[cfg(not(target_os = "linux"))]
            Choice::Best => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "there is no backend for this platform yet: io_uring is Linux' own; handlers can be checked on the simulated kernel",
                ));
            }
        };
        let workers = if self.is_simulated() { 1 } else { self.workers };
        let lanes: Vec<_> = (0..workers)
            .map(|index| backend.lane(index))
            .collect::<io::Result<_>>()?;
        let limit = self.max_operations / workers as u32;
        let mut members = Vec::with_capacity(workers);
        for lane in lanes {
            let home = Home::take();
            // SAFETY: the home came out of the pool: nobody owns it or has a live handle to it.
            let local = unsafe { home.home.local() };
            local.begin(backend.clone(), lane, limit);
            *lock(&home.home.backend) = Some(backend.clone());
            members.push((home, local));
        }
        let first = members[0].0;
        if workers > 1 {
            let crew = Crew::new(members.iter().map(|(home, _)| *home).collect());
            for (_, local) in members {
                *local.crew.borrow_mut() = Some(crew.clone());
            }
        }
        Ok(Proactor::with(Handle::new(first)))
    }

    fn is_simulated(&self) -> bool {
        !matches!(self.backend, Choice::Best)
    }
}
