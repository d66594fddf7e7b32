//! The primitives in a simulation: a scripted switcher plays the other workers.

mod atomics;
mod futures;
mod locks;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

use super::order::drawn;
use crate::switch::{self, Point, Switcher};

/// A simulation of the running test and of others, who go on when the script says so.
#[derive(Clone, Default)]
pub(super) struct Script(Rc<Lines>);

#[derive(Default)]
struct Lines {
    /// Who goes on first at the next point of that name, in this order.
    points: RefCell<VecDeque<(&'static str, Part)>>,
    /// Who goes on when somebody waits, in this order.
    others: RefCell<VecDeque<Part>>,
    seen: RefCell<Vec<(Seen, Point, u32)>>,
}

/// What another worker does.
type Part = Box<dyn FnOnce()>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    Point,
    Block,
}

impl Script {
    /// Another worker does this at the next switch point of that name.
    pub(super) fn at(self, name: &'static str, part: impl FnOnce() + 'static) -> Script {
        self.0.points.borrow_mut().push_back((name, Box::new(part)));
        self
    }

    /// Another worker does this once somebody waits.
    pub(super) fn other(self, part: impl FnOnce() + 'static) -> Script {
        self.0.others.borrow_mut().push_back(Box::new(part));
        self
    }

    /// Runs it in the simulation.
    pub(super) fn run<R>(&self, body: impl FnOnce() -> R) -> R {
        drawn::take();
        switch::within(self, true, body)
    }

    /// Runs it in the simulation, where it must panic: what it says.
    pub(super) fn run_to_panic<R>(&self, body: impl FnOnce() -> R) -> String {
        let ended = catch_unwind(AssertUnwindSafe(|| self.run(body)));
        let panic = ended.err().expect("a panic");
        panic.downcast_ref::<String>().expect("a message").clone()
    }

    /// The places that were passed, and the lines of this directory's files that they are in.
    pub(super) fn seen(&self) -> Vec<(Seen, &'static str, u32)> {
        let seen = self.0.seen.take();
        seen.into_iter()
            .map(|(seen, point, line)| match point {
                Point::Sync(name) => (seen, name, line),
                other => panic!("{other:?} is none of ours"),
            })
            .collect()
    }

    /// The names of the points that were passed.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.seen().into_iter().map(|seen| seen.1).collect()
    }

    /// Whether everybody in it has had their turn.
    pub(super) fn is_over(&self) -> bool {
        self.0.points.borrow().is_empty() && self.0.others.borrow().is_empty()
    }

    fn saw(&self, seen: Seen, point: Point, location: &'static Location<'static>) {
        assert!(
            location.file().contains("sync/tests"),
            "{point:?} is told to be at {location}, which is not the user's code"
        );
        self.0
            .seen
            .borrow_mut()
            .push((seen, point, location.line()));
    }
}

impl Switcher for Script {
    fn point(&self, &point: &Point, location: &'static Location<'static>) {
        self.saw(Seen::Point, point, location);
        let part = self
            .0
            .points
            .borrow_mut()
            .pop_front_if(|(name, _)| point == Point::Sync(name));
        if let Some((_, part)) = part {
            part();
        }
    }

    fn block(
        &self,
        point: Point,
        location: &'static Location<'static>,
        ready: &mut dyn FnMut() -> bool,
    ) -> bool {
        self.saw(Seen::Block, point, location);
        while !ready() {
            let part = self.0.others.borrow_mut().pop_front();
            match part {
                Some(part) => part(),
                None => return false,
            }
        }
        true
    }

    fn settle(&self) -> bool {
        true
    }

    fn passes(&self, _: u64, _: crate::choice::EventId) {}

    fn released(&self, _: u64) {}

    fn acquired(&self, _: u64) {}

    fn accessed(&self, _: u64, _: bool, _: &'static str, _: &'static Location<'static>) {}

    fn forget(&self, _: u64) {}

    fn held_by(&self, _: Option<usize>, _: Option<&'static Location<'static>>) {}

    fn worker(&self) -> Option<usize> {
        None
    }
}

/// A value for the whole test, which parts of a script may share.
pub(super) fn shared<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}
