//! What a thread does: its steps, and what each touches.

use std::panic::Location;

use super::machine::Step;

pub(super) type Run = Box<dyn Fn(&mut Step<'_>) + Send + Sync>;
type Touches = Box<dyn Fn(&[i64; LOCALS]) -> Vec<Touch> + Send + Sync>;
pub(super) type Guard = Box<dyn Fn(i64) -> bool + Send + Sync>;

/// Numbers that a thread keeps for itself.
pub(super) const LOCALS: usize = 8;

/// A shared cell. See [`Program::cell`](super::Program::cell).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell(pub(super) u32);

/// A lock. See [`Program::lock`](super::Program::lock).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock(pub(super) u32);

/// A strand. See [`Program::strand`](super::Program::strand).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strand(pub(super) u32);

/// What can be posted to a strand. See [`Program::handler`](super::Program::handler).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handler(pub(super) u32);

/// Something that a step touches, and whether it may change it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touch {
    pub(super) object: u64,
    pub(super) write: bool,
}

const LOCK: u64 = 1 << 32;
const STRAND: u64 = 2 << 32;

impl Cell {
    /// The step reads the cell.
    #[must_use]
    pub fn read(self) -> Touch {
        Touch {
            object: self.0.into(),
            write: false,
        }
    }

    /// The step may change the cell, and read it.
    #[must_use]
    pub fn write(self) -> Touch {
        Touch {
            object: self.0.into(),
            write: true,
        }
    }
}

impl Lock {
    /// The step is a critical section of this lock, from one end to the other.
    #[must_use]
    pub fn section(self) -> Touch {
        Touch {
            object: LOCK | u64::from(self.0),
            write: true,
        }
    }
}

impl Strand {
    /// The step posts to the strand.
    #[must_use]
    pub fn post(self) -> Touch {
        Touch {
            object: STRAND | u64::from(self.0),
            write: true,
        }
    }
}

/// When a step can be made.
pub(super) enum When {
    Always,
    /// If the cell holds what it should.
    Holds(Cell, Guard),
    /// If the lock is free: the step takes it.
    Free(Lock),
}

pub(super) struct StepCode {
    pub(super) touches: Result<Vec<Touch>, Touches>,
    pub(super) when: When,
    /// The lock that the step gives back.
    pub(super) frees: Option<Lock>,
    pub(super) run: Run,
    pub(super) location: &'static Location<'static>,
}

pub(super) struct Body {
    pub(super) name: String,
    pub(super) steps: Vec<StepCode>,
}

impl Body {
    pub(super) fn new(name: &str) -> Body {
        Body {
            name: name.to_owned(),
            steps: Vec::new(),
        }
    }
}

/// The steps of a thread, or of a handler, to which more can be added.
pub struct Code<'a>(pub(super) &'a mut Body);

impl Code<'_> {
    /// One more step, which touches what is said and nothing else. Strategies that pick steps by their
    /// object take the first.
    #[track_caller]
    pub fn step(
        self,
        touches: impl Into<Vec<Touch>>,
        run: impl Fn(&mut Step<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.push(Ok(touches.into()), When::Always, None, Box::new(run))
    }

    /// One more step; what it touches depends on the numbers that the thread has [kept](Step::keep).
    #[track_caller]
    pub fn step_on(
        self,
        touches: impl Fn(&[i64; 8]) -> Vec<Touch> + Send + Sync + 'static,
        run: impl Fn(&mut Step<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.push(Err(Box::new(touches)), When::Always, None, Box::new(run))
    }

    /// One more step, which can't be made before the cell holds what it should. It reads the cell.
    #[track_caller]
    pub fn step_when(
        self,
        cell: Cell,
        holds: impl Fn(i64) -> bool + Send + Sync + 'static,
        touches: impl Into<Vec<Touch>>,
        run: impl Fn(&mut Step<'_>) + Send + Sync + 'static,
    ) -> Self {
        let when = When::Holds(cell, Box::new(holds));
        let mut touches = touches.into();
        touches.push(cell.read());
        self.push(Ok(touches), when, None, Box::new(run))
    }

    /// Takes a lock: waits until it is free.
    #[track_caller]
    pub fn lock(self, lock: Lock) -> Self {
        let touches = vec![lock.section()];
        self.push(Ok(touches), When::Free(lock), None, Box::new(|_| ()))
    }

    /// Gives a lock back.
    #[track_caller]
    pub fn unlock(self, lock: Lock) -> Self {
        // Touches nothing: whoever takes the lock next is ordered behind who took it before, and no
        // other order of giving back and taking is possible.
        self.push(Ok(Vec::new()), When::Always, Some(lock), Box::new(|_| ()))
    }

    #[track_caller]
    fn push(
        self,
        touches: Result<Vec<Touch>, Touches>,
        when: When,
        frees: Option<Lock>,
        run: Run,
    ) -> Self {
        self.0.steps.push(StepCode {
            touches,
            when,
            frees,
            run,
            location: Location::caller(),
        });
        self
    }
}

impl std::fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} steps of {}", self.0.steps.len(), self.0.name)
    }
}
