//! One operation: what is asked for, and the slot that it lives in.
//!
//! An operation is in one of three states, and the state alone fixes what a cancel may do:
//!
//! | state | meaning | a cancel |
//! |---|---|---|
//! | `Wait` | its effect is impossible so far | wins, or is processed late |
//! | `Armed` | its effect is possible and deliberately late | wins, comes after the effect, or is processed late |
//! | `Done` | it had its effect; the completion is queued | finds nothing: the result stands |

use std::panic::Location;

use super::lent::{Copies, Lent, Short};
use super::queue::NIL;
use crate::choice::{EventId, Site};

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Nop,
    /// At `offset` (virtual nanoseconds) completes with 0.
    Timer,
    Recv,
    Send,
    Accept,
    /// `ptr`: a [`std::net::SocketAddr`].
    Connect,
    /// `flags`: 0 read, 1 write, 2 both.
    Shutdown,
    ReadAt,
    WriteAt,
    /// A write to the end of the file.
    Append,
    /// `offset`: the length.
    SetLen,
    /// `ptr`, `len`: the path. `flags`: see [`super::files`].
    Open,
    /// `ptr`, `len`: the old path, a NUL, the new one.
    Rename,
    /// `ptr`, `len`: the path. `flags`: see [`super::files`].
    Remove,
    /// `ptr`, `len`: the path.
    CreateDir,
    Sync,
    /// Leaves the length as a `u64` at byte `offset` of the `len` bytes at `ptr`.
    Length,
    /// Takes the flag of a user event down once it is up.
    Wait,
    /// Work that was offloaded begins.
    Job,
}

impl Verb {
    /// How many there are.
    pub(super) const COUNT: usize = Verb::Job as usize + 1;

    /// Every one, in the order of their numbers.
    pub(super) const ALL: [Verb; Verb::COUNT] = [
        Verb::Nop,
        Verb::Timer,
        Verb::Recv,
        Verb::Send,
        Verb::Accept,
        Verb::Connect,
        Verb::Shutdown,
        Verb::ReadAt,
        Verb::WriteAt,
        Verb::Append,
        Verb::SetLen,
        Verb::Open,
        Verb::Rename,
        Verb::Remove,
        Verb::CreateDir,
        Verb::Sync,
        Verb::Length,
        Verb::Wait,
        Verb::Job,
    ];

    /// Whether threads do it where the kernel only says what is ready, and no cancel reaches a disk.
    pub(super) const fn is_of_files(self) -> bool {
        matches!(
            self,
            Verb::ReadAt
                | Verb::WriteAt
                | Verb::Append
                | Verb::SetLen
                | Verb::Open
                | Verb::Rename
                | Verb::Remove
                | Verb::CreateDir
                | Verb::Sync
                | Verb::Length
        )
    }

    /// Whether it is done to an open object.
    #[inline]
    pub(super) const fn is_on_handle(self) -> bool {
        !matches!(
            self,
            Verb::Nop
                | Verb::Timer
                | Verb::Job
                | Verb::Open
                | Verb::Rename
                | Verb::Remove
                | Verb::CreateDir
        )
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Verb::Nop => "nop",
            Verb::Timer => "timer",
            Verb::Recv => "recv",
            Verb::Send => "send",
            Verb::Accept => "accept",
            Verb::Connect => "connect",
            Verb::Shutdown => "shutdown",
            Verb::ReadAt => "read_at",
            Verb::WriteAt => "write_at",
            Verb::Append => "append",
            Verb::SetLen => "set_len",
            Verb::Open => "open",
            Verb::Rename => "rename",
            Verb::Remove => "remove",
            Verb::CreateDir => "create_dir",
            Verb::Sync => "sync",
            Verb::Length => "length",
            Verb::Wait => "wait",
            Verb::Job => "job",
        }
    }
}

/// Bit of [`Request::flags`] of a receive, a send or an accept: it never waits, and is never late.
pub(super) const NONBLOCK: u32 = 1 << 31;

/// One operation, as it is submitted.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    /// `len` counts [`super::lent::Piece`]s at `ptr`.
    pub(crate) vectored: bool,
    /// The kernel may poison what it may write.
    pub(crate) writable: bool,
    /// The submitter can take the result at once.
    pub(crate) may_be_ready: bool,
    pub(crate) handle: i32,
    pub(crate) len: u32,
    pub(crate) flags: u32,
    pub(crate) ptr: *mut u8,
    pub(crate) offset: u64,
    /// Comes back with the completion; names the activation in a cancel.
    pub(crate) token: u64,
    pub(crate) event: EventId,
    pub(crate) cause: EventId,
    pub(crate) location: &'static Location<'static>,
}

/// What is seen at once of a receive or a send that is not vectored.
#[derive(Clone, Copy)]
pub(crate) struct Outline {
    pub(crate) may_be_ready: bool,
    pub(crate) handle: i32,
    pub(crate) len: u32,
    pub(crate) flags: u32,
}

/// What a request is made of, only when it is wanted whole.
pub(crate) trait Asked {
    fn outline(&self) -> Outline;
    fn request(&self) -> Request;
    /// The address of what the submitter keeps of it, which is asked for before its completion
    /// ([`ahead`](super::ahead)); nothing is read there.
    fn above(&self) -> usize {
        0
    }
}

impl Asked for Request {
    fn outline(&self) -> Outline {
        Outline {
            may_be_ready: self.may_be_ready,
            handle: self.handle,
            len: self.len,
            flags: self.flags,
        }
    }

    fn request(&self) -> Request {
        *self
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Free,
    Wait,
    Armed,
    Done,
}

/// What an operation's lent buffer is checked against (I2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Guard {
    None,
    /// This pattern stands where the kernel may write and has not; a copy of what it wrote, and before
    /// that of what stood there, is kept.
    Poison(u8),
    /// A copy of what is sent is kept.
    Copy,
}

/// The slot of an operation: three cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Op {
    pub(super) token: u64,
    pub(super) event: EventId,
    pub(super) cause: EventId,
    pub(super) location: Option<&'static Location<'static>>,
    pub(super) lent: Lent,
    pub(super) offset: u64,
    /// The address of what the submitter keeps of it, as far as is known.
    pub(super) above: usize,
    /// How many-th submission of the run.
    pub(super) order: u64,
    /// What handlers had declared that they take when it had its result.
    pub(super) ready: u64,
    pub(super) handle: i32,
    pub(super) flags: u32,
    pub(super) result: i32,
    /// Bytes that a transfer which is not over has moved.
    pub(super) moved: u32,
    /// Neighbours in the list in which it waits.
    pub(super) prev: u32,
    pub(super) next: u32,
    /// Place in the timer heap.
    pub(super) heap: u32,
    /// [`Verb::Connect`]: the listener whose backlog is full.
    pub(super) listener: u32,
    /// The connection of its handle, and the side, if it had one at the submission; else [`NIL`]. A handle
    /// stays with its connection until it is closed, which it is not while operations are in flight.
    pub(super) conn: u32,
    pub(super) side: u8,
    pub(super) verb: Verb,
    pub(super) state: State,
    /// What may be written of its buffer may be poisoned.
    pub(super) writable: bool,
    /// Free faults that it may still suffer.
    pub(super) faults: u32,
    pub(super) guard: Guard,
    /// A cancel was asked for and waits to be processed.
    pub(super) cancel_pending: bool,
    /// How often each site was chosen for it.
    pub(super) seen: [u8; Site::ALL.len()],
    /// The copy that it is checked against, if its buffer is short.
    pub(super) copy: Short,
}

impl Op {
    /// The slot is taken, by the `order`th submission of the run. Where the operation is to be done the kernel
    /// finds out.
    #[inline(always)]
    pub(super) fn begin(&mut self, request: &Request, lent: Lent, order: u64, faults: u32) {
        self.token = request.token;
        self.event = request.event;
        self.cause = request.cause;
        self.location = Some(request.location);
        self.lent = lent;
        self.offset = request.offset;
        self.order = order;
        self.handle = request.handle;
        self.flags = request.flags;
        self.writable = request.writable;
        self.conn = NIL;
        self.verb = request.verb;
        self.state = State::Wait;
        self.faults = faults;
        self.moved = 0;
        self.guard = Guard::None;
        self.cancel_pending = false;
        self.seen = [0; Site::ALL.len()];
    }

    /// The submitter goes on: from now on the buffer is to be left alone.
    ///
    /// # Safety
    ///
    /// The buffer is lent, and the copies are those of the kernel, in which this is slot `id`.
    #[inline(always)]
    pub(super) unsafe fn guard(&mut self, id: u32, copies: &mut Copies) {
        match self.verb {
            Verb::Recv | Verb::ReadAt if self.writable => {
                // What the effect has written already is a part of the copy, and no poison.
                let written = match self.state {
                    State::Done => self.result.max(0) as u32,
                    _ => self.moved,
                };
                // Any byte will do; one that differs between operations is hit by chance less often.
                let pattern = (self.event.0 >> 24) as u8 | 1;
                self.guard = Guard::Poison(pattern);
                // SAFETY: the caller's promise, and it is writable.
                unsafe {
                    self.copies(id, copies);
                    self.lent.poison(written, pattern);
                }
            }
            // SAFETY: the caller's promise.
            Verb::Send | Verb::WriteAt | Verb::Append => unsafe { self.guard_sent(id, copies) },
            _ => {}
        }
    }

    /// The same of what is sent or written.
    ///
    /// # Safety
    ///
    /// The same.
    #[inline(always)]
    pub(super) unsafe fn guard_sent(&mut self, id: u32, copies: &mut Copies) {
        self.guard = Guard::Copy;
        // SAFETY: the caller's promise.
        unsafe { self.copies(id, copies) };
    }

    /// # Safety
    ///
    /// As [`Op::guard`].
    #[inline(always)]
    unsafe fn copies(&mut self, id: u32, copies: &mut Copies) {
        let lent = self.lent;
        // SAFETY: the caller's promise.
        unsafe {
            if Short::fits(lent) {
                self.copy.copy(lent, lent.len());
            } else {
                lent.copy(copies.room(id, lent.len()));
            }
        }
    }

    /// A transfer is over, and has moved so many bytes. `busy`: what handlers have declared by now.
    #[inline(always)]
    pub(super) fn has_plainly_had_effect(&mut self, moved: u32, busy: u64) {
        self.state = State::Done;
        self.result = moved as i32;
        self.ready = busy;
    }

    /// Whether nobody has touched its buffer, of which nothing is written yet. False: it isn't easily told.
    #[inline(always)]
    pub(super) fn is_surely_untouched(&self) -> bool {
        match self.guard {
            Guard::None => true,
            Guard::Poison(pattern) if Short::fits(self.lent) => {
                // SAFETY: an operation that is not free has its buffer lent; it was poisoned.
                unsafe { self.lent.is_poisoned(0, pattern) }
            }
            Guard::Poison(_) => false,
            Guard::Copy => false,
        }
    }

    /// Whether its buffer is as the kernel left it at the effect, and nothing is to be put back. False: it
    /// isn't easily told.
    #[inline(always)]
    pub(super) fn is_surely_as_left(&self) -> bool {
        // Most are written throughout: one comparison is all.
        let whole = match self.guard {
            Guard::None => return true,
            Guard::Poison(_) => self.result == self.lent.len() as i32,
            Guard::Copy => true,
        };
        // SAFETY: an operation that is not free has its buffer lent. The kernel's own writes initialised what
        // may be written, the submitter what is sent, and so their copies.
        whole && Short::fits(self.lent) && unsafe { self.copy.is_same(self.lent, self.lent.len()) }
    }

    /// Whether nobody has touched what it sends. False: it isn't easily told.
    #[inline(always)]
    pub(super) fn is_surely_as_lent(&self) -> bool {
        // SAFETY: an operation that is not free has its buffer lent. What is sent the submitter initialised, and so
        // the copy.
        self.guard == Guard::Copy
            && Short::fits(self.lent)
            && unsafe { self.copy.is_same(self.lent, self.lent.len()) }
    }

    /// Keeps a copy of what was received, if its buffer [was untouched](Op::is_surely_untouched).
    #[inline(always)]
    pub(super) fn keeps_received(&mut self, moved: u32) {
        if let Guard::Poison(_) = self.guard {
            // SAFETY: lent, it fits, and the kernel has written that many bytes.
            unsafe { self.copy.copy(self.lent, moved) };
        }
    }

    /// Writes what is sent into its buffer, which [was untouched](Op::is_surely_untouched), and keeps a copy.
    ///
    /// # Safety
    ///
    /// What is sent is lent and initialised; this is a receive in flight whose buffer is at least as long; both
    /// [fit](Short::fits).
    #[inline(always)]
    pub(super) unsafe fn gets(&mut self, sent: Lent) {
        // SAFETY: the caller's promise. (Where no copy is compared, it does no harm.)
        unsafe { self.copy.hand_over(sent, self.lent) };
    }

    pub(super) fn free() -> Op {
        Op {
            token: 0,
            event: EventId::ROOT,
            cause: EventId::ROOT,
            location: None,
            lent: Lent::NONE,
            offset: 0,
            above: 0,
            order: 0,
            ready: 0,
            handle: -1,
            flags: 0,
            result: 0,
            moved: 0,
            prev: NIL,
            next: NIL,
            heap: NIL,
            listener: NIL,
            conn: NIL,
            side: 0,
            verb: Verb::Nop,
            state: State::Free,
            writable: false,
            faults: 0,
            guard: Guard::None,
            cancel_pending: false,
            seen: [0; Site::ALL.len()],
            copy: Short::EMPTY,
        }
    }
}
