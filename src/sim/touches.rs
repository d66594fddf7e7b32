//! What each step touches, for a chooser that asks: of the orders of steps that touch nothing in common one
//! is enough (source-DPOR, `check::dpor`).
//!
//! Every step reads [`WORLD`]. What is not told in detail here changes it, and so depends on everything:
//! time, accepting and connecting, closing, resets, names of files, hosts and their links, an outside that
//! is asked or changed. In detail:
//!
//! | step | touches |
//! |---|---|
//! | the effect of a receive or a send | its connection; among those that wait, its own line |
//! | submitting one | its line; with it the connection if the effect can't be late, or the end has been sent |
//! | the effect of a read of a file | the file, which it reads |
//! | of a write, `set_len`, a sync | the file, which it changes |
//! | waiting for a user event, setting it | the event |
//! | a completion, a late cancel | the operation; with it, all that its handler does |
//! | a handler of the model | [`HANDLERS`], unless more is known of it (`check::observers`) |
//!
//! That submitting a receive does not touch the connection although data may be there rests on its effect
//! being a step of its own: whether it waits first, or is armed at once, what comes of it is the same. The
//! two directions of a connection are one object: sides see each other's end, and a reset takes both.
//!
//! Who concludes from this is checked: `check::dpor` compares all it comes to with naive search on small
//! models, and `check::diamond` runs both orders of steps that are said to be independent.

use super::decide::{LATE_CANCEL, Step, Steps};
use super::handles::Object;
use super::kernel::{Kernel, mixed};
use super::op::{NONBLOCK, Verb};
use super::queue::NIL;
use super::transitions::Rule;
use crate::choice::EventId;

/// All that is not told in detail.
pub(crate) const WORLD: u64 = 1;
/// What handlers share, as long as nothing is known of it.
pub(crate) const HANDLERS: u64 = 2;
/// What is ready on the worker without the kernel.
pub(crate) const READY: u64 = 3;
/// The first of the numbers that are given to strands and tasks.
pub(crate) const OF_CHECK: u64 = 0x57 << 56;

/// The place of what cancels of an operation touch among its children.
const CANCEL: u32 = LATE_CANCEL - 1;

const CONN: u64 = 0xc0 << 56;
const LINE: u64 = 0x11 << 56;
const FILE: u64 = 0xf1 << 56;
const EVENT: u64 = 0xe7 << 56;

impl Kernel {
    /// Whether somebody asks what is touched.
    #[inline]
    pub(crate) fn tracks(&self) -> bool {
        self.decider.tracks
    }

    /// The step under way touches what is known above the kernel.
    pub(crate) fn touches(&mut self, object: u64, write: bool) {
        if self.decider.tracks {
            self.decider.touches(object, write);
        }
    }

    /// The model says what state it is in.
    pub(crate) fn says_state(&mut self, digest: u64) {
        self.decider.state(digest);
    }

    /// The step under way depends on everything.
    #[inline]
    pub(crate) fn touches_all(&mut self) {
        if self.decider.tracks {
            self.decider.touches(WORLD, true);
        }
    }

    pub(super) fn touches_event(&mut self, place: u32) {
        if self.decider.tracks {
            self.decider.touches(EVENT | u64::from(place), true);
        }
    }

    /// A step begins.
    #[cold]
    #[inline(never)]
    pub(super) fn touches_by_step(&mut self, step: Step) {
        self.decider.touches(WORLD, false);
        let target = Steps {
            machine: &self.m,
            clock: true,
        }
        .target(step);
        let Some(id) = target.filter(|_| step != Step::Clock) else {
            return self.decider.touches(WORLD, true);
        };
        let (event, verb, result) = {
            let op = &self.m.ops[id as usize];
            (op.event, op.verb, op.result)
        };
        self.decider.touches(event.0, true);
        self.decider.touches(event.child(CANCEL).0, true);
        match step {
            Step::Complete(_) => {
                self.decider
                    .came(mixed(0, event.0, 3, result as u32 as u64));
                if verb == Verb::Job {
                    // What was offloaded runs, nobody knows on what.
                    self.decider.touches(HANDLERS, true);
                }
            }
            // What it was armed for may be gone, and then nothing else is told.
            Step::Effect(_) => self.touches_by_effect(id),
            Step::Cancel(_) => {
                self.decider.touches(event.child(LATE_CANCEL).0, true);
                self.touches_line(id);
            }
            Step::Clock => {}
        }
    }

    /// An operation has been submitted.
    #[cold]
    #[inline(never)]
    pub(super) fn touches_by_submission(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (event, verb, flags) = (op.event, op.verb, op.flags);
        let what = mixed(op.offset, event.0, verb as u64, u64::from(op.lent.len()));
        self.decider.came(what);
        self.decider.touches(event.0, true);
        match verb {
            Verb::Nop | Verb::Timer | Verb::Job => {}
            Verb::ReadAt | Verb::WriteAt | Verb::Append | Verb::SetLen => {}
            Verb::Sync | Verb::Length => {}
            Verb::Recv | Verb::Send => {
                self.touches_line(id);
                if flags & NONBLOCK != 0 || !self.offers_late() {
                    self.touches_by_effect(id);
                } else {
                    self.touches_end(id);
                }
            }
            Verb::Wait => self.touches_by_effect(id),
            Verb::Accept
            | Verb::Connect
            | Verb::Shutdown
            | Verb::Open
            | Verb::Rename
            | Verb::Remove
            | Verb::CreateDir => self.decider.touches(WORLD, true),
        }
    }

    /// Whether an effect may come later than its submission.
    fn offers_late(&self) -> bool {
        let late = Rule::Late.transition();
        late.mask(self.config.personality, true).count_ones() > 1
    }

    /// What is offered to a transfer depends on whether both ways have ended.
    fn touches_end(&mut self, id: u32) {
        let conn = self.m.ops[id as usize].conn;
        if conn != NIL {
            let directions = &self.m.tcp.conns[conn as usize].directions;
            if directions.iter().any(|direction| direction.fin) {
                self.decider.touches(CONN | u64::from(conn), false);
            }
        }
    }

    /// An operation is asked to end.
    #[cold]
    #[inline(never)]
    pub(super) fn touches_by_cancel(&mut self, id: u32) {
        let event = self.m.ops[id as usize].event;
        // Not the operation's own name: who touches that has started it, and can't come after it.
        self.decider.touches(event.child(CANCEL).0, true);
        self.decider.touches(event.child(LATE_CANCEL).0, true);
        self.touches_line(id);
    }

    /// Those that wait where this one waits, or would.
    fn touches_line(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (conn, side, sends) = (op.conn, op.side, op.verb == Verb::Send);
        match op.verb {
            Verb::Recv | Verb::Send if conn != NIL => {
                let line = u64::from(conn) << 2 | u64::from(side & 1) << 1 | u64::from(sends);
                self.decider.touches(LINE | line, true);
            }
            Verb::Wait => self.touches_by_effect(id),
            verb if verb.is_of_files() => {}
            Verb::Nop | Verb::Job => {}
            // Time is everybody's.
            _ => self.decider.touches(WORLD, true),
        }
    }

    /// An operation has its effect, or tries to.
    #[cold]
    #[inline(never)]
    pub(super) fn touches_by_effect(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, conn) = (op.verb, op.conn);
        let object = self.m.handles.object(op.handle);
        match (verb, object) {
            (Verb::Recv | Verb::Send, _) if conn != NIL && self.is_plain(conn) => {
                self.decider.touches(CONN | u64::from(conn), true);
                self.touches_line(id);
            }
            (Verb::ReadAt | Verb::Length, Object::File { node, .. })
                if self.keeps_files_apart() =>
            {
                self.decider.touches(FILE | u64::from(node), false);
            }
            (
                Verb::WriteAt | Verb::Append | Verb::SetLen | Verb::Sync,
                Object::File { node, .. },
            ) if self.keeps_files_apart() => {
                self.decider.touches(FILE | u64::from(node), true);
            }
            (Verb::Wait, Object::Event(place)) => self.touches_event(place),
            (Verb::Nop | Verb::Job, _) => {}
            _ => self.decider.touches(WORLD, true),
        }
    }

    /// A connection without trouble: no link that takes time, and neither side closed or reset.
    fn is_plain(&self, conn: u32) -> bool {
        let conn = &self.m.tcp.conns[conn as usize];
        conn.wire == NIL
            && conn
                .sides
                .iter()
                .all(|side| side.open && !side.dead && side.error == 0 && !side.read_shut)
    }

    /// Unless they share what is left of a quota, or of a machine that may lose its power.
    fn keeps_files_apart(&self) -> bool {
        !self.m.files.has_quota() && self.root() == EventId::ROOT
    }
}
