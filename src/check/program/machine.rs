//! Runs a [`Program`], one step after the other, each chosen by a chooser.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::Location;

use super::Program;
use super::code::{Body, Cell, Handler, LOCALS, Lock, StepCode, Touch, When};
use crate::check::execution::{Column, Fault, Line, Outcome, Place, Story, Subject};
use crate::choice::{Alternatives, Chooser, EventId, Key, Site};
use crate::sim::{Invariant, Oracle};

/// Steps of one execution: more, and it counts as endless.
const MOST_STEPS: u32 = 100_000;

/// One thread, or one handler, in the middle of its steps.
#[derive(Clone, Copy)]
struct Frame {
    /// Its body: of `threads`, or of `handlers`.
    handler: bool,
    body: u32,
    at: u32,
    locals: [i64; LOCALS],
    /// The next step, and the one that led to it.
    event: EventId,
    cause: EventId,
}

/// The memory of one execution, reused by the next.
#[derive(Default)]
pub(crate) struct Machine {
    cells: Vec<i64>,
    locked: Vec<bool>,
    /// First all threads, then what is at the head of each strand.
    frames: Vec<Option<Frame>>,
    queues: Vec<VecDeque<Frame>>,
    enabled: Vec<Enabled>,
    /// What those touch, one after the other.
    touched: Vec<Touch>,
    /// Whose step was the last one.
    last: usize,
    fault: Option<Box<Fault>>,
    /// Per event, how many choices it has made: only the running one chooses.
    chosen: u32,
    story: Option<Story>,
}

impl Machine {
    /// What the cells held at the end.
    #[cfg(test)]
    pub(crate) fn cells(&self) -> &[i64] {
        &self.cells
    }
}

/// A step that could be made.
struct Enabled {
    frame: usize,
    event: EventId,
    cause: EventId,
    /// Where among what all of them touch.
    touches: Range<usize>,
}

/// The steps that could be made, for the chooser.
struct Stepping<'a>(&'a [Enabled], &'a [Touch]);

impl Stepping<'_> {
    fn touches(&self, index: usize) -> &[Touch] {
        &self.1[self.0[index].touches.clone()]
    }
}

impl Alternatives for Stepping<'_> {
    fn label(&self, index: usize) -> String {
        match index {
            0 => format!("{:?}", self.0[0].event),
            _ => format!("{:?} before {:?}", self.0[index].event, self.0[0].event),
        }
    }

    fn word(&self, index: usize) -> String {
        format!("{:?}", self.0[index].event)
    }

    fn event(&self, index: usize) -> Option<EventId> {
        Some(self.0[index].event)
    }

    fn cause(&self, index: usize) -> Option<EventId> {
        Some(self.0[index].cause)
    }

    fn object(&self, index: usize) -> Option<(u64, bool)> {
        // What it names first.
        let touch = self.touches(index).first()?;
        Some((touch.object, touch.write))
    }

    fn races(&self, one: usize, two: usize) -> bool {
        let (one, two) = (self.touches(one), self.touches(two));
        one.iter().any(|a| {
            two.iter()
                .any(|b| a.object == b.object && (a.write || b.write))
        })
    }
}

struct Outcomes;

impl Alternatives for Outcomes {
    fn label(&self, index: usize) -> String {
        format!("outcome {index}")
    }

    fn word(&self, index: usize) -> String {
        index.to_string()
    }

    fn event(&self, _: usize) -> Option<EventId> {
        None
    }
}

/// What a step may do. Each method that reads or changes something panics if the step did not say that it
/// touches it: searches that leave orders out rest on what steps say.
pub struct Step<'a> {
    program: &'a Program,
    machine: &'a mut Machine,
    chooser: &'a mut dyn Chooser,
    touches: Option<&'a [Touch]>,
    frame: Frame,
    name: &'a str,
    location: &'static Location<'static>,
    next: u32,
    posts: u32,
}

impl Step<'_> {
    /// What a cell holds.
    #[must_use]
    pub fn get(&self, cell: Cell) -> i64 {
        self.allowed(cell.read());
        self.machine.cells[cell.0 as usize]
    }

    /// Puts a number into a cell.
    pub fn set(&mut self, cell: Cell, value: i64) {
        self.allowed(cell.write());
        self.machine.cells[cell.0 as usize] = value;
    }

    /// Adds to what a cell holds, and says what that makes.
    pub fn add(&mut self, cell: Cell, more: i64) -> i64 {
        let sum = self.get(cell) + more;
        self.set(cell, sum);
        sum
    }

    /// Keeps a number for later steps of this thread, at one of 8 places, each 0 at the start.
    pub fn keep(&mut self, place: usize, value: i64) {
        self.frame.locals[place] = value;
    }

    /// What was kept.
    #[must_use]
    pub fn kept(&self, place: usize) -> i64 {
        self.frame.locals[place]
    }

    /// The next step of this thread is its `step`th, from 0.
    pub fn jump(&mut self, step: usize) {
        self.next = step as u32;
    }

    /// This thread has ended.
    pub fn end(&mut self) {
        self.next = u32::MAX;
    }

    /// One of `count` outcomes, of which 0 is the kind one.
    pub fn choose(&mut self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        let key = Key {
            event: self.frame.event,
            occurrence: self.machine.chosen,
        };
        self.machine.chosen += 1;
        let picked = self.chooser.choose(Site::RecvSize, key, count, &Outcomes);
        self.note(format!("outcome {picked}"), picked != 0);
        picked
    }

    /// Lets a handler run on its strand, after those that were posted before. What this thread has
    /// [kept](Step::keep) goes with it.
    pub fn post(&mut self, handler: Handler) {
        let strand = self.program.handlers[handler.0 as usize].0;
        self.allowed(super::Strand(strand).post());
        self.posts += 1;
        let frame = Frame {
            handler: true,
            body: handler.0,
            at: 0,
            locals: self.frame.locals,
            event: self.frame.event.child(self.posts),
            cause: self.frame.event,
        };
        self.chooser_follows(frame.event);
        self.machine.queues[strand as usize].push_back(frame);
    }

    /// What must hold here. If it does not the program fails, and this execution ends.
    pub fn assert(&mut self, holds: bool, message: &str) {
        if !holds && self.machine.fault.is_none() {
            self.machine.fault = Some(Box::new(Fault {
                oracle: Oracle::Always,
                invariant: Invariant::Always,
                message: message.to_owned(),
                place: Some(Place::of(self.location)),
                event: Some(self.frame.event),
            }));
        }
    }

    /// What a step starts can't come before it: both touch what stands for that.
    fn chooser_follows(&mut self, event: EventId) {
        if self.chooser.follows() {
            self.chooser.touches(event.0, true);
        }
    }

    fn allowed(&self, touch: Touch) {
        let Some(touches) = self.touches else { return };
        let said = touches
            .iter()
            .any(|it| it.object == touch.object && (it.write || !touch.write));
        assert!(
            said,
            "step {} of `{}`, at {}, {} what it does not say that it touches: {touch:?}",
            self.frame.at,
            self.name,
            self.location,
            if touch.write { "changes" } else { "reads" },
        );
    }

    fn note(&mut self, text: String, deviation: bool) {
        let (event, cause) = (self.frame.event, self.frame.cause);
        self.machine
            .note(self.name, self.location, event, cause, text, deviation);
    }
}

impl std::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {} of {}", self.frame.at, self.name)
    }
}

impl Machine {
    fn note(
        &mut self,
        name: &str,
        location: &'static Location<'static>,
        event: EventId,
        cause: EventId,
        text: String,
        deviation: bool,
    ) {
        let Some(story) = &mut self.story else { return };
        story.lines.push(Line {
            column: Column::Object(name.to_owned()),
            cell: text.clone(),
            event,
            name: format!("{event:?}"),
            cause,
            start: true,
            completion: true,
            text,
            place: Some(Place::of(location)),
            at: 0,
            content: 0,
            deviation,
            failure: false,
        });
    }

    fn begin(&mut self, program: &Program) {
        self.cells.clear();
        self.cells.extend_from_slice(&program.initial);
        self.locked.clear();
        self.locked.resize(program.locks as usize, false);
        self.frames.clear();
        for body in 0..program.threads.len() as u32 {
            self.frames.push(Some(Frame {
                handler: false,
                body,
                at: 0,
                locals: [0; LOCALS],
                event: EventId::ROOT.child(body),
                cause: EventId::ROOT,
            }));
        }
        let strands = program.strands as usize;
        self.frames.resize(program.threads.len() + strands, None);
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.queues.resize_with(strands, VecDeque::new);
        self.last = 0;
        self.fault = None;
    }
}

impl Program {
    fn body(&self, frame: &Frame) -> &Body {
        match frame.handler {
            false => &self.threads[frame.body as usize],
            true => &self.handlers[frame.body as usize].1,
        }
    }

    /// The next step of a frame, if it has one and it can be made.
    fn ready<'a>(&'a self, machine: &Machine, frame: &Frame) -> Option<&'a StepCode> {
        let step = self.body(frame).steps.get(frame.at as usize)?;
        let can = match &step.when {
            When::Always => true,
            When::Holds(cell, holds) => holds(machine.cells[cell.0 as usize]),
            When::Free(Lock(lock)) => !machine.locked[*lock as usize],
        };
        can.then_some(step)
    }

    fn execute(&self, machine: &mut Machine, chooser: &mut dyn Chooser) -> Outcome {
        machine.begin(self);
        let mut digest = 0_u64;
        let mut steps = 0;
        let follows = chooser.follows();
        while machine.fault.is_none() && !chooser.over() {
            self.find_enabled(machine);
            if machine.enabled.is_empty() {
                self.finish(machine, chooser);
                break;
            }
            steps += 1;
            if steps > MOST_STEPS {
                self.fail(
                    machine,
                    Oracle::Endless,
                    format!("after {MOST_STEPS} steps it has not ended"),
                );
                break;
            }
            let enabled = std::mem::take(&mut machine.enabled);
            let key = Key {
                event: enabled[0].event,
                occurrence: steps,
            };
            let stepping = Stepping(&enabled, &machine.touched);
            let picked = match enabled.len() {
                1 if follows => {
                    chooser.only(Site::NextStep, key, &stepping);
                    0
                }
                1 => 0,
                count => chooser.choose(Site::NextStep, key, count, &stepping),
            };
            let at = enabled[picked].frame;
            digest = (digest.rotate_left(23) ^ enabled[picked].event.0)
                .wrapping_mul(0xd6e8_feb8_6659_fd93);
            machine.enabled = enabled;
            if chooser.over() {
                break;
            }
            machine.last = at;
            self.step(machine, chooser, at, picked != 0);
        }
        Outcome {
            digest,
            class: digest,
            news: false,
            fault: machine.fault.take(),
        }
    }

    fn find_enabled(&self, machine: &mut Machine) {
        let threads = self.threads.len();
        for strand in 0..machine.queues.len() {
            while machine.frames[threads + strand].is_none()
                && let Some(frame) = machine.queues[strand].pop_front()
            {
                let empty = self.body(&frame).steps.is_empty();
                machine.frames[threads + strand] = (!empty).then_some(frame);
            }
        }
        let mut enabled = std::mem::take(&mut machine.enabled);
        enabled.clear();
        let mut touched = std::mem::take(&mut machine.touched);
        touched.clear();
        // Who made the last step comes first: to go on is kind.
        let last = machine.last;
        let others = (0..machine.frames.len()).filter(|at| *at != last);
        for at in std::iter::once(last).chain(others) {
            let Some(Some(frame)) = machine.frames.get(at) else {
                continue;
            };
            let Some(step) = self.ready(machine, frame) else {
                continue;
            };
            let first = touched.len();
            match &step.touches {
                Ok(touches) => touched.extend_from_slice(touches),
                Err(by) => touched.extend(by(&frame.locals)),
            }
            enabled.push(Enabled {
                frame: at,
                event: frame.event,
                cause: frame.cause,
                touches: first..touched.len(),
            });
        }
        machine.enabled = enabled;
        machine.touched = touched;
    }

    fn step(&self, machine: &mut Machine, chooser: &mut dyn Chooser, at: usize, deviation: bool) {
        let Some(frame) = machine.frames[at] else {
            return;
        };
        let body = self.body(&frame);
        let code = &body.steps[frame.at as usize];
        let computed;
        let touches: &[Touch] = match &code.touches {
            Ok(touches) => touches,
            Err(by) => {
                computed = by(&frame.locals);
                &computed
            }
        };
        let strand = at.checked_sub(self.threads.len());
        if chooser.follows() {
            for touch in touches {
                chooser.touches(touch.object, touch.write);
            }
            // What made the step possible; and handlers of one strand come one after the other.
            chooser.touches(frame.event.0, true);
            if let Some(strand) = strand {
                chooser.touches(RUNS | strand as u64, true);
            }
        }
        if machine.story.is_some() {
            let (event, cause) = (frame.event, frame.cause);
            let text = format!("step {}", frame.at + 1);
            machine.note(&body.name, code.location, event, cause, text, deviation);
        }
        if let When::Free(Lock(lock)) = code.when {
            machine.locked[lock as usize] = true;
        }
        if let Some(Lock(lock)) = code.frees {
            machine.locked[lock as usize] = false;
        }
        machine.chosen = 0;
        let mut step = Step {
            program: self,
            machine,
            chooser,
            touches: Some(touches),
            frame,
            name: &body.name,
            location: code.location,
            next: frame.at + 1,
            posts: 0,
        };
        (code.run)(&mut step);
        let (mut frame, next) = (step.frame, step.next);
        frame.at = next;
        frame.cause = frame.event;
        frame.event = frame.event.child(0);
        let over = next as usize >= body.steps.len();
        if chooser.follows() && !over {
            chooser.touches(frame.event.0, true);
        }
        machine.frames[at] = (!over).then_some(frame);
    }

    /// Nothing can go on: all have ended, or it is a deadlock.
    fn finish(&self, machine: &mut Machine, chooser: &mut dyn Chooser) {
        let stuck: Vec<String> = machine
            .frames
            .iter()
            .flatten()
            .filter(|frame| (frame.at as usize) < self.body(frame).steps.len())
            .map(|frame| {
                let body = self.body(frame);
                let step = &body.steps[frame.at as usize];
                format!(
                    "\n  `{}` at step {}, {}",
                    body.name,
                    frame.at + 1,
                    step.location
                )
            })
            .collect();
        if !stuck.is_empty() {
            self.fail(
                machine,
                Oracle::Deadlock,
                format!("deadlock: these wait{}", stuck.concat()),
            );
            return;
        }
        if let Some(run) = &self.at_end {
            let frame = Frame {
                handler: false,
                body: 0,
                at: 0,
                locals: [0; LOCALS],
                event: EventId::ROOT,
                cause: EventId::ROOT,
            };
            run(&mut Step {
                program: self,
                machine,
                chooser,
                touches: None,
                frame,
                name: "at the end",
                location: Location::caller(),
                next: 0,
                posts: 0,
            });
        }
    }

    fn fail(&self, machine: &mut Machine, oracle: Oracle, message: String) {
        machine.fault = Some(Box::new(Fault {
            oracle,
            invariant: Invariant::I7,
            message,
            place: None,
            event: None,
        }));
    }
}

/// The object that the handlers of a strand share: each comes after the one before.
const RUNS: u64 = 3 << 32;

impl Subject for Program {
    type Bench = Machine;

    fn tells_all(&self) -> bool {
        true
    }

    fn bench(&self) -> Machine {
        Machine::default()
    }

    fn run<C: Chooser>(
        &self,
        machine: &mut Machine,
        mut chooser: Box<C>,
        _seed: u64,
    ) -> (Outcome, Box<C>) {
        let outcome = self.execute(machine, &mut *chooser);
        (outcome, chooser)
    }

    fn trace<C: Chooser>(&self, mut chooser: Box<C>, _seed: u64) -> (Outcome, Box<C>, Story) {
        let mut machine = Machine {
            story: Some(Story::default()),
            ..Machine::default()
        };
        let outcome = self.execute(&mut machine, &mut *chooser);
        (outcome, chooser, machine.story.take().unwrap_or_default())
    }
}
