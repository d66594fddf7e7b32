//! The kernel's ring: the one file that names the io-uring crate.
//!
//! The crate sets up the rings and makes the system calls; the queues themselves are `queues`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{Builder, EnterFlags, IoUring, Probe, Submitter};

use super::clock::Clock;
use super::queues::Queues;
use super::refused::Refused;
use super::ring::{Cqe, Enter, Register, Ring, Sqe, opcode};

/// How much of what newer kernels offer a ring uses. Each level is what the kernel of the named
/// version took as well as all before it (io_uring_setup(2)).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Level {
    /// Nothing: 5.11, the oldest that has all we need.
    Plain,
    /// SUBMIT_ALL, 5.18: a refused entry does not stop those behind it.
    SubmitAll,
    /// COOP_TASKRUN, 5.19: completions don't interrupt the thread. TASKRUN_FLAG, 5.19: a word of the
    /// queue says whether an enter would bring some.
    Cooperative,
    /// SINGLE_ISSUER, 6.0: one thread submits, and the kernel holds us to it.
    SingleIssuer,
    /// DEFER_TASKRUN, 6.1: completions are worked off in the enter that asks for them.
    Deferred,
    /// NO_SQARRAY, 6.6: one indirection less.
    NoArray,
}

impl Level {
    pub(super) const ALL: [Level; 6] = [
        Level::NoArray,
        Level::Deferred,
        Level::SingleIssuer,
        Level::Cooperative,
        Level::SubmitAll,
        Level::Plain,
    ];

    pub(super) fn describe(self) -> &'static str {
        match self {
            Level::NoArray => "single issuer, deferred and cooperative task work, no index array",
            Level::Deferred => "single issuer, deferred and cooperative task work",
            Level::SingleIssuer => "single issuer, cooperative task work",
            Level::Cooperative => "cooperative task work",
            Level::SubmitAll => "plain, submits all",
            Level::Plain => "plain",
        }
    }
}

/// Which operations a kernel's rings don't do.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Lacks {
    /// IORING_OP_MKDIRAT, 5.15.
    pub(super) create_dir: bool,
    /// IORING_OP_FTRUNCATE, 6.9.
    pub(super) set_len: bool,
}

/// How large a ring is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) submissions: u32,
    pub(super) completions: u32,
}

/// A ring of the kernel's.
pub(super) struct KernelRing {
    queues: Queues,
    /// Borrows `*ring`.
    submitter: Submitter<'static>,
    ring: *mut IoUring,
    clock: Clock,
    starts_disabled: bool,
    /// The kernel says when it has something to do in an enter.
    says_when: bool,
    /// Flags of a sleeping enter without and with a deadline.
    sleep: u32,
    absolute: bool,
    /// The thread in whose table the ring's descriptor is registered.
    registered: Option<std::thread::ThreadId>,
}

// SAFETY: the queues' pointers go into memory that is mapped for them alone; `*ring` moves with its view,
// nobody else has it, and it is Send itself. (That one thread submits is the driver's business, and the kernel checks.)
unsafe impl Send for KernelRing {}

impl KernelRing {
    /// A ring at exactly this level, not in use yet.
    pub(super) fn new(level: Level, size: Size, clock: Clock) -> io::Result<KernelRing> {
        let ring = builder(level, size).build(size.submissions)?;
        let params = ring.params();
        let mut sleep = EnterFlags::GETEVENTS;
        if params.is_feature_no_iowait() {
            // A proactor that waits for a connection does not wait for a disk.
            sleep |= EnterFlags::NO_IOWAIT;
        }
        // Absolute deadlines came with 6.12, like this feature; they have no flag of their own.
        let absolute = params.is_feature_min_timeout();
        // SAFETY: the crate's `Parameters` is a transparent wrapper of `struct io_uring_params`, and
        // these are this ring's; its entries have the plain sizes (Builder's default), and the crate
        // is never asked for its own views of the queues.
        let queues = unsafe {
            let descriptor = BorrowedFd::borrow_raw(ring.as_raw_fd());
            Queues::map(descriptor, &*std::ptr::from_ref(params).cast())?
        };
        let ring = Box::into_raw(Box::new(ring));
        Ok(KernelRing {
            queues,
            // SAFETY: `ring` is a valid Box that only `drop` frees, when nobody uses the view any more.
            submitter: unsafe { (*ring).submitter() },
            ring,
            clock,
            starts_disabled: level >= Level::SingleIssuer,
            says_when: level >= Level::Cooperative,
            sleep: sleep.bits(),
            absolute,
            registered: None,
        })
    }

    /// Whether this kernel has all that the driver needs, and which operations it lacks that there is
    /// another way for.
    pub(super) fn probe(&self) -> Result<Lacks, Refused> {
        // SAFETY: as in `new`; this reads what the kernel said at setup.
        let params = unsafe { &*self.ring }.params();
        let features = [
            (params.is_feature_nodrop(), "IORING_FEAT_NODROP (5.5)"),
            (
                params.is_feature_submit_stable(),
                "IORING_FEAT_SUBMIT_STABLE (5.5)",
            ),
            (params.is_feature_fast_poll(), "IORING_FEAT_FAST_POLL (5.7)"),
            (params.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG (5.11)"),
        ];
        if let Some((_, name)) = features.iter().find(|(there, _)| !there) {
            return Err(Refused::Missing(name));
        }
        let mut probe = Probe::new();
        self.submitter
            .register_probe(&mut probe)
            .map_err(Refused::from_setup)?;
        match opcode::NEEDED
            .iter()
            .find(|(code, _)| !probe.is_supported(*code))
        {
            Some((_, name)) => Err(Refused::Missing(name)),
            None => Ok(Lacks {
                create_dir: !probe.is_supported(opcode::MKDIRAT),
                set_len: !probe.is_supported(opcode::FTRUNCATE),
            }),
        }
    }

    fn sleep_until(&self, to_submit: u32, time: u64) -> io::Result<usize> {
        // A relative one may only come out too long by what passes before the kernel reads it:
        // never early.
        let (time, flag) = if self.absolute {
            (self.clock.monotonic_at(time), EnterFlags::ABS_TIMER)
        } else {
            (time.saturating_sub(self.clock.now()), EnterFlags::empty())
        };
        let time = Timespec::from(Duration::from_nanos(time));
        let arg = SubmitArgs::new().timespec(&time);
        let flags = self.sleep | (EnterFlags::EXT_ARG | flag).bits();
        // SAFETY: the flags say what `arg` is; it and the time it points at live until the call is
        // over. The entries up to the tail are whole, and what they point at lives (I4).
        unsafe { self.submitter.enter(to_submit, 1, flags, Some(&arg)) }
    }
}

fn builder(level: Level, size: Size) -> Builder {
    let mut builder = IoUring::builder();
    builder
        .setup_cqsize(size.completions.max(size.submissions))
        .setup_clamp();
    if level >= Level::SubmitAll {
        builder.setup_submit_all();
    }
    if level >= Level::Cooperative {
        builder.setup_coop_taskrun().setup_taskrun_flag();
    }
    if level >= Level::SingleIssuer {
        // Disabled until the first enter, so that the thread which makes that is the one issuer,
        // and not the one that made the ring.
        builder.setup_single_issuer().setup_r_disabled();
    }
    if level >= Level::Deferred {
        builder.setup_defer_taskrun();
    }
    if level >= Level::NoArray {
        builder.setup_no_sqarray();
    }
    builder
}

fn number(error: io::Error) -> i32 {
    error.raw_os_error().unwrap_or(libc::EIO)
}

impl Ring for KernelRing {
    fn capacity(&self) -> u32 {
        self.queues.capacity()
    }

    #[inline]
    fn push_with(&mut self, fill: impl FnOnce(&mut Sqe)) -> bool {
        self.queues.push_with(fill)
    }

    #[inline]
    fn unsubmitted(&self) -> u32 {
        self.queues.unsubmitted()
    }

    #[inline]
    fn enter(&mut self, to_submit: u32, how: Enter) -> Result<u32, i32> {
        self.queues.publish();
        let plain = |want, flags| {
            // SAFETY: there is no argument. The entries up to the tail are whole, and what they
            // point at lives (I4).
            unsafe {
                self.submitter
                    .enter::<libc::sigset_t>(to_submit, want, flags, None)
            }
        };
        let taken = match how {
            Enter::Flush => plain(0, 0),
            Enter::Collect => plain(0, EnterFlags::GETEVENTS.bits()),
            Enter::Sleep(None) => plain(1, self.sleep),
            Enter::Sleep(Some(time)) => self.sleep_until(to_submit, time),
        };
        self.queues.look();
        taken.map(|taken| taken as u32).map_err(number)
    }

    #[inline]
    fn ready(&self) -> bool {
        self.queues.ready()
    }

    #[inline]
    fn completions(&self) -> u32 {
        self.queues.completions()
    }

    #[inline]
    fn reap(&mut self, count: u32, each: impl FnMut(Cqe)) {
        self.queues.reap(count, each);
    }

    #[inline]
    fn overflowed(&self) -> bool {
        self.queues.overflowed()
    }

    #[inline]
    fn has_news(&self) -> bool {
        !self.says_when || self.queues.has_news()
    }

    fn register(&mut self, what: Register) -> Result<(), i32> {
        let submitter = &mut self.submitter;
        match what {
            Register::Enable if self.starts_disabled => submitter.register_enable_rings(),
            Register::Enable => Ok(()),
            Register::Descriptor => submitter.register_ring_fd().map(|()| {
                self.registered = Some(std::thread::current().id());
            }),
            Register::Signal(eventfd) => submitter.register_eventfd(eventfd),
        }
        .map_err(number)
    }

    #[inline]
    fn now(&self) -> u64 {
        self.clock.now()
    }
}

impl Drop for KernelRing {
    fn drop(&mut self) {
        // The registration keeps the ring open, and its number means something only to the thread
        // that made it: from another one we'd take back somebody else's. Then it ends with its thread.
        if self.registered == Some(std::thread::current().id()) {
            let _ = self.submitter.unregister_ring_fd();
        }
        // SAFETY: made from a Box in `new`, freed here alone; the submitter, which does nothing when it
        // is dropped, is not used any more. (The queues have their own mapping of the memory.)
        drop(unsafe { Box::from_raw(self.ring) });
    }
}

#[cfg(test)]
mod tests {
    use io_uring::opcode as theirs;

    use super::opcode;

    #[test]
    fn the_opcodes_are_the_kernels() {
        let pairs = [
            (opcode::NOP, theirs::Nop::CODE),
            (opcode::READV, theirs::Readv::CODE),
            (opcode::FSYNC, theirs::Fsync::CODE),
            (opcode::SENDMSG, theirs::SendMsg::CODE),
            (opcode::ACCEPT, theirs::Accept::CODE),
            (opcode::ASYNC_CANCEL, theirs::AsyncCancel::CODE),
            (opcode::CONNECT, theirs::Connect::CODE),
            (opcode::OPENAT, theirs::OpenAt::CODE),
            (opcode::CLOSE, theirs::Close::CODE),
            (opcode::STATX, theirs::Statx::CODE),
            (opcode::READ, theirs::Read::CODE),
            (opcode::WRITE, theirs::Write::CODE),
            (opcode::SEND, theirs::Send::CODE),
            (opcode::RECV, theirs::Recv::CODE),
            (opcode::SHUTDOWN, theirs::Shutdown::CODE),
            (opcode::RENAMEAT, theirs::RenameAt::CODE),
            (opcode::UNLINKAT, theirs::UnlinkAt::CODE),
            (opcode::MKDIRAT, theirs::MkDirAt::CODE),
            (opcode::FTRUNCATE, theirs::Ftruncate::CODE),
        ];
        assert_eq!(pairs.len(), opcode::NEEDED.len() + 2);
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs);
        }
    }
}
