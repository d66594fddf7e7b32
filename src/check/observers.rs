//! The oracles over handlers and strands: what is told through [`observe`](crate::observe) is judged here.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::rc::Rc;

use crate::backend::Raw;
use crate::choice::EventId;
use crate::observe::{self, Observer, Watched};
use crate::op::home::current;
use crate::sim::touches::{HANDLERS, OF_CHECK, READY};
use crate::sim::words::{place, plural};
use crate::sim::{Oracle, Violation, World};
use crate::switch;

/// What one thread's executions are watched by.
pub(crate) struct Observers {
    world: World,
    strands: RefCell<HashMap<u64, Strand>>,
    /// Queues of strands that are gone, for those of the next execution.
    spare: RefCell<Vec<VecDeque<usize>>>,
    always: RefCell<Vec<Always>>,
    /// Is one of them being evaluated?
    evaluates: Cell<bool>,
    /// What the steps of the execution touch is told to the chooser.
    tracks: Cell<bool>,
    /// Whether strands are said to share only what is tracked.
    promised: bool,
    /// How many handlers had run when this was last asked.
    ran: Cell<usize>,
    /// The handler that ended is one of a strand's.
    on_strand: Cell<bool>,
    /// Something was ready on the worker when the last handler ended.
    left: Cell<bool>,
    /// The event that made strands last, and how many.
    maker: Cell<(EventId, u32)>,
    /// What the model says of its state.
    digests: RefCell<Vec<Box<dyn Fn() -> u64>>>,
}

/// What is known of a strand.
struct Strand {
    made_at: &'static Location<'static>,
    /// What it is called in every execution, for who asks what is touched.
    name: u64,
    /// Handlers that were posted and have not begun, oldest first.
    waiting: VecDeque<usize>,
    /// The simulated worker that is inside, and the event that its handler is about.
    inside: Option<(Option<usize>, EventId)>,
}

/// An invariant of the model's own.
struct Always {
    name: String,
    holds: Box<dyn Fn() -> bool>,
    location: &'static Location<'static>,
}

/// While this lives, the observers are those of the thread.
pub(crate) struct Installed(Option<Rc<dyn Observer>>);

impl Drop for Installed {
    fn drop(&mut self) {
        observe::install(self.0.take());
    }
}

impl Observers {
    /// `promised`: [strands share only what is tracked](super::Checker::strands_share_only_tracked).
    pub(crate) fn new(world: &World, promised: bool) -> Rc<Observers> {
        Rc::new(Observers {
            world: world.clone(),
            strands: RefCell::default(),
            spare: RefCell::default(),
            always: RefCell::default(),
            evaluates: Cell::new(false),
            tracks: Cell::new(false),
            promised,
            ran: Cell::new(0),
            on_strand: Cell::new(false),
            left: Cell::new(false),
            maker: Cell::new((EventId::ROOT, 0)),
            digests: RefCell::default(),
        })
    }

    /// Another execution begins on this thread.
    pub(crate) fn install(self: &Rc<Observers>) -> Installed {
        let mut strands = self.strands.borrow_mut();
        if !strands.is_empty() {
            let queues = strands.drain().map(|(_, strand)| strand.waiting);
            self.spare.borrow_mut().extend(queues);
        }
        drop(strands);
        self.forget_always();
        // A panic may have left it.
        self.evaluates.set(false);
        self.tracks.set(self.world.with(|kernel| kernel.tracks()));
        observe::has_between(self.tracks.get());
        self.ran.set(0);
        self.on_strand.set(false);
        self.left.set(false);
        self.maker.set((EventId::ROOT, 0));
        Installed(observe::install(Some(self.clone())))
    }

    /// One more invariant of the model.
    pub(crate) fn always(
        &self,
        name: &str,
        holds: impl Fn() -> bool + 'static,
        location: &'static Location<'static>,
    ) {
        self.always.borrow_mut().push(Always {
            name: name.to_owned(),
            holds: Box::new(holds),
            location,
        });
        observe::has_between(true);
        self.between_handlers();
    }

    /// The model is over: what its invariants hold on to is let go of.
    pub(crate) fn forget_always(&self) {
        observe::has_between(false);
        let is_any = !self.always.borrow().is_empty() || !self.digests.borrow().is_empty();
        if is_any {
            // Out of the cells: dropping them is the model's code.
            drop(self.always.take());
            drop(self.digests.take());
        }
    }

    /// One more digest of the model's own state.
    pub(crate) fn digest(&self, digest: impl Fn() -> u64 + 'static) {
        self.digests.borrow_mut().push(Box::new(digest));
    }

    fn touches(&self, object: u64, write: bool) {
        self.world.with(|kernel| kernel.touches(object, write));
    }

    /// The step under way goes into a strand, or puts something into its queue.
    fn touches_strand(&self, strand: Watched) {
        if self.tracks.get() && self.promised {
            let name = self.with(strand, |strand| strand.name);
            self.touches(name, true);
        }
    }

    /// What the handler that has just ended touches, beside what the kernel has seen of it.
    #[cold]
    fn tell_what_ran(&self) {
        let Some(local) = current() else {
            // The model's own body.
            return self.tell_state();
        };
        let ran = local.handlers_run.get();
        if self.ran.replace(ran) == ran {
            // A step of the kernel, and no handler.
            return;
        }
        let on_strand = self.on_strand.replace(false);
        // Who is on no strand may share anything with anybody.
        self.touches(HANDLERS, !(self.promised && on_strand));
        let leaves = !local.ready.borrow().is_empty();
        if self.left.replace(leaves) || leaves {
            // What is ready runs in its order, and may run in the next step.
            self.touches(READY, true);
        }
        self.tell_state();
    }

    fn tell_state(&self) {
        let digests = self.digests.borrow();
        if digests.is_empty() {
            return;
        }
        let mut digest = 1u64;
        for one in digests.iter() {
            digest = (digest.rotate_left(23) ^ one()).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
        self.world.with(|kernel| kernel.says_state(digest));
    }

    fn event() -> EventId {
        current().map_or(EventId::ROOT, |local| local.step.get())
    }

    fn report(
        &self,
        oracle: Oracle,
        message: String,
        event: EventId,
        location: Option<&'static Location<'static>>,
    ) {
        self.world
            .report(Violation::new(oracle, message, event, location));
    }

    /// Looks at what is known of a strand.
    fn with<R>(&self, watched: Watched, look: impl FnOnce(&mut Strand) -> R) -> R {
        let mut strands = self.strands.borrow_mut();
        let strand = strands.entry(watched.strand).or_insert_with(|| {
            let mut waiting = self.spare.borrow_mut().pop().unwrap_or_default();
            waiting.clear();
            Strand {
                made_at: watched.made_at,
                name: OF_CHECK | watched.strand >> 8,
                waiting,
                inside: None,
            }
        });
        look(strand)
    }
}

impl Observer for Observers {
    fn made(&self, watched: Watched) {
        if !self.tracks.get() {
            return;
        }
        let event = Observers::event();
        let nth = match self.maker.get() {
            (maker, made) if maker == event => made + 1,
            _ => 0,
        };
        self.maker.set((event, nth));
        let name = OF_CHECK | event.child(nth).0 >> 8;
        self.with(watched, |strand| strand.name = name);
    }

    fn cancels(&self) {
        // The kernel hears of it only if the operation is still there: whether it is depends on who completes.
        if self.tracks.get() && self.promised {
            self.world.with(|kernel| kernel.touches_all());
        }
    }

    fn polled_main(&self) {
        if self.tracks.get() {
            self.touches(HANDLERS, true);
            self.tell_state();
        }
    }

    fn posted(&self, strand: Watched, handler: usize) {
        self.touches_strand(strand);
        self.with(strand, |strand| strand.waiting.push_back(handler));
    }

    fn begins(&self, watched: Watched, handler: usize) {
        self.touches_strand(watched);
        self.on_strand.set(true);
        let (worker, event) = (switch::worker(), Observers::event());
        let (other, order) = self.with(watched, |strand| {
            let other = strand.inside.replace((worker, event));
            let at = strand
                .waiting
                .iter()
                .position(|waiting| *waiting == handler);
            if let Some(at) = at {
                strand.waiting.remove(at);
            }
            // One that found the strand idle overtakes all that wait: there must be none.
            let before = if handler == 0 {
                strand.waiting.len()
            } else {
                at.unwrap_or(0)
            };
            (other, before)
        });
        let made_at = place(watched.made_at);
        if other.is_some() {
            let message = format!(
                "a handler of the strand made at {made_at} began while another one of it runs"
            );
            self.report(
                Oracle::StrandExclusion,
                message,
                event,
                Some(watched.made_at),
            );
        }
        if order > 0 {
            let message = format!(
                "a handler of the strand made at {made_at} began before {} posted earlier",
                match order {
                    1 => "one that was".to_owned(),
                    n => format!("{n} that were"),
                }
            );
            self.report(Oracle::StrandOrder, message, event, Some(watched.made_at));
        }
    }

    fn ends(&self, strand: Watched) {
        self.with(strand, |strand| strand.inside = None);
    }

    fn dropped(&self, strand: Watched, handler: usize) {
        self.with(strand, |strand| {
            strand.waiting.retain(|waiting| *waiting != handler)
        });
    }

    fn strand_of(&self, worker: usize) -> Option<String> {
        let strands = self.strands.borrow();
        let is_there = |strand: &&Strand| strand.inside.is_some_and(|(at, _)| at == Some(worker));
        let strand = strands.values().find(is_there)?;
        let behind = match strand.waiting.len() {
            0 => String::new(),
            n => format!(", behind which {} of it wait", plural(n as u64, "handler")),
        };
        Some(format!(
            "on the strand made at {}{behind}",
            place(strand.made_at)
        ))
    }

    fn between_handlers(&self) {
        if self.tracks.get() {
            self.tell_what_ran();
        }
        let is_over = || self.world.failed() || self.world.is_dropped();
        if self.always.borrow().is_empty() || self.evaluates.get() || is_over() {
            return;
        }
        self.evaluates.set(true);
        // They may be added to, never taken away, while one is evaluated.
        let mut at = 0;
        loop {
            let always = self.always.borrow();
            let Some(one) = always.get(at) else { break };
            if !(one.holds)() {
                let message = format!("`{}` does not hold any more", one.name);
                let location = Some(one.location);
                self.report(Oracle::Always, message, Observers::event(), location);
                break;
            }
            at += 1;
        }
        self.evaluates.set(false);
    }

    fn blocks(&self, what: &'static str, location: &'static Location<'static>) {
        let message = format!(
            "{what} in a handler: the worker does nothing else until another handler has acted, which only \
             another worker could run"
        );
        self.report(
            Oracle::BlockingCall,
            message,
            Observers::event(),
            Some(location),
        );
    }

    fn parked(&self, event: EventId, location: Option<&'static Location<'static>>) {
        if self.world.is_dropped() {
            // Somebody might still have woken it.
            return;
        }
        let message = "at the end a task waits, while no operation is in flight and nothing is ready: nobody \
                       will ever wake it";
        self.report(Oracle::ParkedTask, message.to_owned(), event, location);
    }

    fn still_held(&self, raw: Raw) {
        self.world.with(|kernel| kernel.still_held(raw.0));
    }
}
