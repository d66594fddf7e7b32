//! Small programs to check: threads of atomic steps on shared cells, locks and strands.
//!
//! The literature on concurrency testing measures itself on programs of a dozen lines: `reorder`,
//! `bluetooth`, `lastzero`. Here one is ported in a few lines more, and every strategy of the checker
//! runs it, so that a strategy can be held against what is known about it.
//!
//! A [`Program`] is a number of threads, each a list of steps. A step is atomic, says beforehand what it
//! touches, and may touch nothing else. Which thread makes the next step is the one decision, beside
//! outcomes that a step draws itself ([`Step::choose`]).
//!
//! ```
//! use proactor::check::program::Program;
//! use proactor::check::Checker;
//!
//! // A counter that two threads increment in two steps each: one update may be lost.
//! let mut program = Program::new();
//! let counter = program.cell(0);
//! for name in ["one", "two"] {
//!     program
//!         .thread(name)
//!         .step([counter.read()], move |step| step.keep(0, step.get(counter)))
//!         .step([counter.write()], move |step| step.set(counter, step.kept(0) + 1));
//! }
//! program.at_end(move |step| step.assert(step.get(counter) == 2, "an update is lost"));
//!
//! let failure = Checker::new().run_program(program).expect_err("the classic");
//! assert_eq!(failure.deviations().len(), 1);
//! ```

mod code;
mod machine;

pub use code::{Cell, Code, Handler, Lock, Strand, Touch};
pub use machine::Step;

#[cfg(test)]
pub(crate) use machine::Machine;

use code::Body;

/// A program of threads on shared cells, locks and strands.
#[derive(Default)]
pub struct Program {
    initial: Vec<i64>,
    locks: u32,
    strands: u32,
    /// What runs from the start: one body a thread.
    threads: Vec<Body>,
    /// What is posted to a strand, and to which.
    handlers: Vec<(u32, Body)>,
    at_end: Option<code::Run>,
}

impl Program {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Program {
        Program::default()
    }

    /// A shared cell that holds a number.
    pub fn cell(&mut self, initial: i64) -> Cell {
        self.initial.push(initial);
        Cell(self.initial.len() as u32 - 1)
    }

    /// So many cells.
    pub fn cells(&mut self, count: usize, initial: i64) -> Vec<Cell> {
        (0..count).map(|_| self.cell(initial)).collect()
    }

    /// A lock.
    pub fn lock(&mut self) -> Lock {
        self.locks += 1;
        Lock(self.locks - 1)
    }

    /// A strand: handlers that are posted to it run one after the other, in the order of the posts.
    pub fn strand(&mut self) -> Strand {
        self.strands += 1;
        Strand(self.strands - 1)
    }

    /// Another thread, which can run from the start. What it does is said on the result.
    pub fn thread(&mut self, name: &str) -> Code<'_> {
        self.threads.push(Body::new(name));
        let at = self.threads.len() - 1;
        Code(&mut self.threads[at])
    }

    /// A handler for a strand, which runs as often as it is [posted](Step::post).
    pub fn handler(&mut self, strand: Strand, name: &str) -> (Handler, Code<'_>) {
        self.handlers.push((strand.0, Body::new(name)));
        let at = self.handlers.len() - 1;
        (Handler(at as u32), Code(&mut self.handlers[at].1))
    }

    /// What must hold when all threads have ended. It may touch everything.
    pub fn at_end(&mut self, run: impl Fn(&mut Step<'_>) + Send + Sync + 'static) {
        self.at_end = Some(Box::new(run));
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program")
            .field("cells", &self.initial.len())
            .field("threads", &self.threads.len())
            .field("handlers", &self.handlers.len())
            .finish_non_exhaustive()
    }
}
