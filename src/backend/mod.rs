//! The seam between the proactor and a kernel, real or simulated.
//!
//! Two object-safe traits. A [`Backend`] is shared by all threads: it opens objects, makes lanes,
//! wakes a lane. A [`Lane`] belongs to one worker: it submits, cancels and waits. User types never
//! show either.
//!
//! # The contract
//!
//! - **Submitting never blocks and never loses.** Once [`Lane::submit`] returned, exactly one
//!   [`Completion`] with that token will come out of [`Lane::wait`], whatever happens (I1, I7). If
//!   the kernel's queue is full the lane flushes it and tries again, or keeps the operation in a
//!   queue of its own, in order. If the kernel refuses the operation, that refusal is its completion.
//! - **Memory.** Whatever `op.ptr` points at stays valid and unmoved until the completion has been
//!   handed out, and so does `op` itself, unless it is a timer; the caller guarantees it (I4), the lane
//!   may rely on it.
//! - **A cancel is a request, never dropped**, whatever is full. [`Lane::cancel`] has no result:
//!   the truth comes in the operation's own completion, which is done, done in part, or
//!   [`CANCELED`]. A token that is not (or no longer) in flight is ignored.
//! - **Undone.** A kernel may interrupt an operation before it did anything, for reasons that are
//!   nobody's. The lane hands that out as a completion of [`Tag::Undone`], with the kernel's result;
//!   the operation is not in flight any more. The caller submits it again, or if it was asked to end
//!   takes it as [`CANCELED`].
//! - **Timers** are operations ([`Code::Timer`], the deadline in `op.offset`): result 0 at or after
//!   the deadline, [`CANCELED`] if cancelled before. [`Lane::disarm`] takes one back silently: no
//!   completion comes, unless it was handed out already; the caller ignores it by its generation.
//! - **A wait** hands out a batch: it returns at once if anything is ready, else it sleeps until a
//!   completion, a wake, the next timer or `until`. Every completion is handed out once. A wake from
//!   any thread is never lost: a wake that comes before the wait makes that wait return.
//! - **Closing**: [`Lane::close`] is called when nothing is in flight on the object any more and
//!   nothing will be submitted to it again; the number may be reused from then on. It reports nothing.
//! - **Teardown**: the worker cancels everything and waits until all completions have come; if the
//!   lane can't deliver them the memory is leaked with a warning, never freed. Dropping a lane with
//!   operations in flight must therefore not free what the kernel may touch, nor hang.
//!
//! Results are the kernel's: a count (or a new handle) from 0 up, or a negated error number in the
//! numbering of the backend, which [`Backend::error`] turns into an [`io::Error`].

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::task::Waker;
use std::time::Duration;

use crate::choice::EventId;

#[cfg(any(windows, feature = "check"))]
pub(crate) mod iocp;
#[cfg(any(windows, target_os = "linux"))]
mod linger;
#[cfg(feature = "check")]
pub(crate) mod sim;
#[cfg(target_os = "linux")]
pub(crate) mod uring;

/// The result of an operation that a cancel ended before it had any effect: `-ECANCELED`.
/// (Backends with another numbering translate to this one.)
pub(crate) const CANCELED: i32 = -125;

/// Names one activation of one operation: slot, generation and tag in 64 bits, never a pointer.
///
/// From the top: 40 bits of generation, 20 of slot index, 4 of tag. A slot that is reused 10 million
/// times a second has used up half of its generations after 15 hours, and is retired then
/// (`op::slots`), so a token is never given twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    pub(crate) const INDEX_BITS: u32 = 20;
    pub(crate) const TAG_BITS: u32 = 4;

    #[inline]
    pub(crate) const fn new(index: u32, generation: u64, tag: Tag) -> Token {
        Token(
            (generation << (Self::INDEX_BITS + Self::TAG_BITS))
                | ((index as u64) << Self::TAG_BITS)
                | tag as u64,
        )
    }

    #[inline]
    pub(crate) const fn index(self) -> u32 {
        (self.0 >> Self::TAG_BITS) as u32 & ((1 << Self::INDEX_BITS) - 1)
    }

    #[inline]
    pub(crate) const fn generation(self) -> u64 {
        self.0 >> (Self::INDEX_BITS + Self::TAG_BITS)
    }

    #[inline]
    pub(crate) const fn has_tag(self, tag: Tag) -> bool {
        self.0 & ((1 << Self::TAG_BITS) - 1) == tag as u64
    }

    /// The same slot, one generation later.
    #[inline]
    pub(crate) const fn next(self) -> Token {
        Token(
            self.0
                .wrapping_add(1 << (Self::INDEX_BITS + Self::TAG_BITS)),
        )
    }

    /// Whether the upper half of the generations has begun.
    #[inline]
    pub(crate) const fn is_late(self) -> bool {
        (self.0 as i64) < 0
    }

    /// The same activation under another tag.
    #[inline]
    pub(crate) const fn with_tag(self, tag: Tag) -> Token {
        Token(self.0 & !((1 << Self::TAG_BITS) - 1) | tag as u64)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}/{}", self.index(), self.generation(), self.0 & 15)
    }
}

/// What a completion with a token is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Tag {
    /// The operation in the slot.
    Operation = 0,
    /// The deadline that `.timeout(d)` armed for the operation in the slot.
    Deadline = 1,
    /// The operation in the slot, which the kernel handed back without having done anything.
    Undone = 2,
    /// For the lane's own use (its cancels, closes and wakes). Never handed out.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the ring's"))]
    Internal = 15,
}

/// A kernel's name for an open object: a file descriptor, a socket, a simulated handle.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub(crate) struct Raw(pub(crate) i32);

impl Raw {
    /// For operations on no object.
    pub(crate) const NONE: Raw = Raw(-1);
}

/// What an operation does. The fields of [`Op`] that it reads stand behind each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub(crate) enum Code {
    /// Completes with 0.
    Nop,
    /// At `offset` (nanoseconds of [`Backend::now`]) completes with 0.
    Timer,
    /// Stream `raw` into `ptr`, at most `len` bytes. 0 is the end, or an empty request.
    Recv,
    /// `ptr`, `len` bytes, into stream `raw`.
    Send,
    /// Like `Recv` into `len` [`Segment`]s at `ptr`.
    RecvVectored,
    /// Like `Send` from `len` [`Segment`]s at `ptr`.
    SendVectored,
    /// A connection that waits at listener `raw`: the result is its handle.
    Accept,
    /// Connects `raw` to the [`ConnectAddr`] at `ptr`.
    Connect,
    /// Shuts `raw` down: `flags` 0 read, 1 write, 2 both.
    Shutdown,
    /// File `raw` from `offset` into `ptr`, at most `len` bytes. 0 is the end, or an empty request.
    ReadAt,
    /// `ptr`, `len` bytes, into file `raw` at `offset`.
    WriteAt,
    /// Opens the path at `ptr` (`len` bytes, and a NUL behind them) with [`open_flags`] in `flags`
    /// and the creation mode in `offset`: the result is its handle.
    Open,
    /// Data and metadata of file `raw` to the disk; `flags` 1: data only.
    Sync,
    /// The length of file `raw`, written as a u64 to byte [`LENGTH_OFFSET`] of the 256 bytes at `ptr`
    /// (the layout of Linux' `struct statx`).
    Length,
    /// Event `raw`: when it is set, takes the set. On io_uring a read of the 8 bytes at `ptr`.
    Wait,
    /// A job of `offload` begins. On the simulated kernel only; completes with 0.
    Job,
    /// `ptr`, `len` bytes, to the end of file `raw`, wherever that is when the kernel writes them: of two at
    /// once neither overwrites the other.
    Append,
    /// Makes file `raw` so long: `offset` bytes. What is beyond is gone, what is new reads as zeros.
    SetLen,
    /// Gives the file or directory of one path another. Both stand at `ptr`, a NUL behind each, the old
    /// one first; `len` bytes without the last NUL, and the new one begins at byte `offset`. What had that
    /// name before is replaced at once: there is no moment at which nothing has it.
    Rename,
    /// Takes away the file at the path at `ptr` (as [`Code::Open`]), or with `flags` 1 the empty directory.
    Remove,
    /// Makes a directory at the path at `ptr` (as [`Code::Open`]), with the mode in `offset`.
    CreateDir,
}

impl Code {
    /// How many there are.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the ring's"))]
    pub(crate) const COUNT: usize = Code::CreateDir as usize + 1;
}

/// Where [`Code::Length`] leaves the length: `offsetof(struct statx, stx_size)`.
pub(crate) const LENGTH_OFFSET: usize = 40;

/// Bits of `Op::flags` for [`Code::Open`].
pub(crate) mod open_flags {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 4;
    pub(crate) const CREATE_NEW: u32 = 8;
    pub(crate) const TRUNCATE: u32 = 16;
    /// All writes go to the end, whatever their offset.
    pub(crate) const APPEND: u32 = 32;
    /// It must be a directory.
    pub(crate) const DIRECTORY: u32 = 64;
}

/// One piece of a vectored operation: the layout of `struct iovec`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Segment {
    pub(crate) ptr: *mut u8,
    pub(crate) len: usize,
}

/// Where [`Code::Connect`] connects to, with room for the form that the kernel wants it in.
#[derive(Debug)]
pub(crate) struct ConnectAddr {
    pub(crate) addr: SocketAddr,
    /// The lane's to use: as large and as aligned as a `sockaddr_in6` needs.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "the ring's"))]
    pub(crate) scratch: [u64; 4],
}

/// A time as SO_LINGER counts it, rounded up: half a second is not the zero that resets.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// One operation, plain: what a driver turns into a submission entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op {
    pub(crate) code: Code,
    pub(crate) raw: Raw,
    pub(crate) len: u32,
    pub(crate) flags: u32,
    pub(crate) ptr: *mut u8,
    /// 0 where the code reads none. Never `u64::MAX`, except for a timer.
    pub(crate) offset: u64,
}

impl Op {
    pub(crate) const fn new(code: Code, raw: Raw) -> Op {
        Op {
            code,
            raw,
            len: 0,
            flags: 0,
            ptr: std::ptr::null_mut(),
            offset: 0,
        }
    }
}

/// Who started an operation. Opaque to a real kernel; the simulated one names its events by it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Origin {
    /// The event that this operation is.
    pub(crate) event: EventId,
    /// The event whose handler started it.
    pub(crate) cause: EventId,
    /// The initiating call in user code.
    pub(crate) location: &'static Location<'static>,
    /// The buffer is writable memory that the lane may poison while it is lent.
    pub(crate) writable: bool,
    /// The caller can take an immediate result (an `.await` that is polled for the first time).
    pub(crate) may_be_ready: bool,
}

/// What [`Lane::submit`] says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Submitted {
    /// The completion will come out of a wait.
    Pending,
    /// It is complete already, with this result; no completion will come out of a wait. Only if
    /// [`Origin::may_be_ready`].
    Ready(i32),
}

/// The terminal completion of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Completion {
    pub(crate) token: Token,
    /// A count or handle from 0 up, or a negated error number of the backend's numbering.
    pub(crate) result: i32,
}

/// How long a wait may sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Not at all: hand out what is ready.
    Now,
    /// Until something happens.
    Event,
    /// Until something happens or this time (nanoseconds of [`Backend::now`]) comes.
    Time(u64),
}

/// Why a wait came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// There may be completions in the batch; `until` may have come; somebody may have called wake.
    Returned,
    /// The simulated kernel only: nothing is in the batch, and nothing can ever happen any more.
    Stuck,
    /// The simulated kernel only: it has ended the run, whatever else is ready.
    Over,
    /// The simulated kernel only: the machine has lost its power. Nothing is to run any more.
    PowerLost,
    /// The simulated kernel only: it was decided that the proactor is dropped here.
    Dropped,
}

/// What is to be done after [`Lane::notify`].
#[must_use = "a waker is to be woken, or dropped where that can do no harm"]
pub(crate) enum Notified {
    /// A wait would return at once: to be woken.
    Now(Waker),
    /// The waker will be woken. It replaced this one, to be dropped.
    Later(Option<Waker>),
}

/// What the proactor tells the lane's trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// Bytes that arrived for a result that nobody waited for.
    DiscardedBytes(u64),
    /// A handle that arrived for a result that nobody waited for; it is closed.
    DiscardedHandle,
    /// The operation that had this token last is complete, and nobody waits for its result. What is
    /// discarded next is that result. Sent only where [`Lane::is_virtual`].
    Unwanted(Token),
    /// A handler that was dropped uninvoked at teardown, after its completion.
    DroppedHandler,
    /// The proactor is being torn down: what ends from here on nobody hears of.
    TearsDown,
    /// Something that is no operation and may start some. Sent only where [`Lane::is_virtual`].
    Began {
        /// The event that it is.
        event: EventId,
        /// The event whose handler made it.
        cause: EventId,
        /// How many-th of its cause, from 0.
        nth: u32,
        what: Began,
        /// The call in user code.
        location: &'static Location<'static>,
    },
}

/// What is no operation, and yet the cause of some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Began {
    /// A handler was posted.
    Post,
    /// A task was spawned.
    Task,
    /// A future is blocked on.
    BlockOn,
}

/// How a listener is to be opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenOptions {
    pub(crate) backlog: u32,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
}

/// One kernel, seen from all threads.
pub(crate) trait Backend: Send + Sync {
    /// A line for people: which kernel, which features.
    fn describe(&self) -> String;

    /// Makes the lane of worker number `index`. The thread that first calls [`Lane::wait`] or
    /// [`Lane::submit`] owns it from then on; until then it may be moved.
    fn lane(&self, index: usize) -> io::Result<Box<dyn Lane>>;

    /// Makes the current or next wait of lane number `index` return. From any thread.
    fn wake(&self, index: usize);

    /// Nanoseconds since this backend was made: a clock that never goes back.
    fn now(&self) -> u64;

    /// The event that is the cause of what no handler started.
    fn root(&self) -> EventId {
        EventId::ROOT
    }

    /// The error behind a negative result (`code` is positive). Keeps the raw number where the platform has it.
    fn error(&self, code: i32) -> io::Error;

    /// Opens a listening TCP socket.
    fn listen(&self, addr: SocketAddr, options: ListenOptions) -> io::Result<Raw>;

    /// Opens a TCP socket that can be connected to `addr`, with the address `local` if there is one.
    fn stream(&self, addr: SocketAddr, local: Option<SocketAddr>) -> io::Result<Raw>;

    fn local_addr(&self, raw: Raw) -> io::Result<SocketAddr>;

    fn peer_addr(&self, raw: Raw) -> io::Result<SocketAddr>;

    fn set_nodelay(&self, raw: Raw, on: bool) -> io::Result<()>;

    fn nodelay(&self, raw: Raw) -> io::Result<bool>;

    /// SO_LINGER, in whole seconds, rounded up: only zero is zero. Whatever it is, [`Lane::close`] and
    /// [`close`](Backend::close) do not wait.
    fn set_linger(&self, raw: Raw, linger: Option<Duration>) -> io::Result<()>;

    fn linger(&self, raw: Raw) -> io::Result<Option<Duration>>;

    /// Opens an event that is not set, for [`Code::Wait`].
    fn event(&self) -> io::Result<Raw>;

    /// Sets an event, from any thread. Sets that nobody has taken count as one.
    fn set(&self, raw: Raw) -> io::Result<()>;

    /// Closes an object on which nothing is in flight, at once: for handles that never came to a
    /// worker, and at teardown.
    fn close(&self, raw: Raw);

    /// Whether its lanes do such operations. An older kernel may have no way to, and another none at all: then one is
    /// [`perform`](Backend::perform)ed instead, and never submitted.
    fn does(&self, code: Code) -> bool {
        let _ = code;
        true
    }

    /// Does on the calling thread, for as long as that takes, an operation that its lanes do not do:
    /// [`Code::Open`], [`Code::Sync`], [`Code::SetLen`], [`Code::Rename`], [`Code::Remove`] or
    /// [`Code::CreateDir`]. `raw`, `flags` and `offset` are those of its [`Op`]; the object stays open
    /// meanwhile. `paths` is what that points at, without the last NUL. The result is the kernel's.
    fn perform(&self, code: Code, raw: Raw, paths: &[u8], flags: u32, offset: u64) -> i32 {
        let _ = (raw, paths, flags, offset);
        unreachable!("lanes do {code:?}")
    }
}

/// [`Lane::submit`] to a lane that [is native](Lane::is_native), which never has anything ready: in line,
/// without its table of methods. `asked` is what stands in `op`, in registers.
///
/// # Safety
///
/// As [`Lane::submit`]; and the lane is native.
#[inline(always)]
pub(crate) unsafe fn submit_natively(
    lane: &mut dyn Lane,
    token: Token,
    asked: Op,
    op: &Op,
    origin: &Origin,
) {
    #[cfg(target_os = "linux")]
    {
        let _ = origin;
        // SAFETY: passed on.
        unsafe { uring::submit(lane, token, asked, op) };
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = asked;
        // SAFETY: passed on.
        unsafe { lane.submit(token, op, origin) };
    }
}

/// One worker's side of a kernel.
///
/// Unless it [is virtual](Lane::is_virtual), its methods call nothing that belongs to the caller: no
/// waker, no chooser, no `Drop` of the user's.
pub(crate) trait Lane: Send {
    /// Starts an operation. See the contract above.
    ///
    /// # Safety
    ///
    /// What `op.ptr` points at (and what a [`Segment`] there points at) must stay valid, unmoved and
    /// untouched by anyone else until the completion with `token` was handed out, or this returned
    /// [`Submitted::Ready`] (I2, I4); so must `*op`, except for a [`Code::Timer`]. `token` must not be
    /// in flight.
    unsafe fn submit(&mut self, token: Token, op: &Op, origin: &Origin) -> Submitted;

    /// Asks that the operation ends soon.
    fn cancel(&mut self, token: Token);

    /// Takes a [`Code::Timer`] back.
    fn disarm(&mut self, token: Token);

    /// Collects a batch of completions behind what `batch` holds. An error ends the worker.
    fn wait(&mut self, batch: &mut Vec<Completion>, until: Until) -> io::Result<Waited>;

    /// What a wait would do, if that is to hand out one completion and nothing else (a simulation). None:
    /// a wait will tell.
    fn next(&mut self, until: Until) -> Option<Completion> {
        let _ = until;
        None
    }

    /// Whether nothing is under way and a wait [for nothing](Until::Now) brings nothing, and has been made. False: such
    /// a wait will tell.
    fn idles(&mut self) -> bool {
        false
    }

    /// Closes an object. See the contract above.
    fn close(&mut self, raw: Raw);

    /// How many operations (timers too) have been submitted and not yet handed out.
    fn in_flight(&self) -> usize;

    /// Arranges that `waker` is woken, from any thread, as soon as a wait would return before
    /// `until`, and at `until`. One call, one wake at most; a later call replaces it.
    ///
    /// Waking and dropping a waker is user code, which may want the lane: the caller does it.
    fn notify(&mut self, waker: Waker, until: Until) -> io::Result<Notified>;

    /// It is of the one type to which [`submit_natively`] submits.
    fn is_native(&self) -> bool {
        false
    }

    /// A wait never sleeps in real time (a simulation).
    fn is_virtual(&self) -> bool {
        false
    }

    /// It keeps a trace, and wants to know what is no operation.
    fn is_traced(&self) -> bool {
        false
    }

    /// The running handler declares that it takes so many nanoseconds. A real one takes what it takes.
    #[cfg(feature = "check")]
    fn busy(
        &mut self,
        nanos: u64,
        segment: crate::sim::busy::Segment,
        location: &'static Location<'static>,
    ) {
        let _ = (nanos, segment, location);
    }

    /// Several workers share it, all played by this thread: their handlers overlap (a simulation).
    fn overlaps(&self) -> bool {
        false
    }

    /// Another proactor moves in, after one that has left nothing: from here on it is as if it had just
    /// been made (and says the same of itself). False: it can't be, or somebody has another lane; this one must go.
    #[cfg(feature = "check")]
    fn begins_again(&mut self) -> bool {
        false
    }

    /// For the trace. Real kernels have none.
    fn note(&mut self, note: Note) {
        let _ = note;
    }
}
