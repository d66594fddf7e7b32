//! What the driver knows of a ring: plain entries of our own, and the trait that moves them.
//!
//! Nothing here names a system call or a crate. The kernel's ring (`kernel.rs`) and the scripted one
//! of the tests (`fake.rs`) stand behind the same trait, so every policy of the driver is tested
//! without a kernel, and the simulated one can stand below the very same driver.

use std::os::fd::RawFd;

/// A submission entry, field by field what `struct io_uring_sqe` is (io_uring_enter(2)). What follows
/// there (buffer index, personality, file index and what later kernels put there) is unused: zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(super) struct Sqe {
    /// The opcode, and behind it flags and priority, of which we use none.
    pub(super) opcode: [u8; 4],
    pub(super) fd: i32,
    /// `off` or `addr2`.
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) len: u32,
    /// `rw_flags`, `msg_flags`, `accept_flags` and the rest of that union.
    pub(super) op_flags: u32,
    pub(super) user_data: u64,
}

impl Sqe {
    /// An entry with nothing but an opcode and its name.
    #[inline]
    pub(super) const fn new(opcode: u8, fd: i32, user_data: u64) -> Sqe {
        Sqe {
            opcode: [opcode, 0, 0, 0],
            fd,
            offset: 0,
            address: 0,
            len: 0,
            op_flags: 0,
            user_data,
        }
    }

    /// What is to be done: one of [`opcode`].
    #[inline]
    pub(super) const fn opcode(&self) -> u8 {
        self.opcode[0]
    }
}

/// A completion entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cqe {
    pub(super) user_data: u64,
    pub(super) result: i32,
}

/// The opcodes that the driver uses: the kernel's numbers.
pub(super) mod opcode {
    pub(crate) const NOP: u8 = 0;
    pub(crate) const READV: u8 = 1;
    pub(crate) const FSYNC: u8 = 3;
    pub(crate) const SENDMSG: u8 = 9;
    pub(crate) const ACCEPT: u8 = 13;
    pub(crate) const ASYNC_CANCEL: u8 = 14;
    pub(crate) const CONNECT: u8 = 16;
    pub(crate) const OPENAT: u8 = 18;
    pub(crate) const CLOSE: u8 = 19;
    pub(crate) const STATX: u8 = 21;
    pub(crate) const READ: u8 = 22;
    pub(crate) const WRITE: u8 = 23;
    pub(crate) const SEND: u8 = 26;
    pub(crate) const RECV: u8 = 27;
    pub(crate) const SHUTDOWN: u8 = 34;
    pub(crate) const RENAMEAT: u8 = 35;
    pub(crate) const UNLINKAT: u8 = 36;
    pub(crate) const MKDIRAT: u8 = 37;
    pub(crate) const FTRUNCATE: u8 = 55;

    /// Those that must be there, with the names that a message gives them. The others (MKDIRAT came with
    /// Linux 5.15, FTRUNCATE with 6.9) there is another way for.
    pub(crate) const NEEDED: [(u8, &str); 17] = [
        (NOP, "IORING_OP_NOP"),
        (READV, "IORING_OP_READV"),
        (FSYNC, "IORING_OP_FSYNC"),
        (SENDMSG, "IORING_OP_SENDMSG"),
        (ACCEPT, "IORING_OP_ACCEPT"),
        (ASYNC_CANCEL, "IORING_OP_ASYNC_CANCEL"),
        (CONNECT, "IORING_OP_CONNECT"),
        (OPENAT, "IORING_OP_OPENAT"),
        (CLOSE, "IORING_OP_CLOSE"),
        (STATX, "IORING_OP_STATX"),
        (READ, "IORING_OP_READ"),
        (WRITE, "IORING_OP_WRITE"),
        (SEND, "IORING_OP_SEND"),
        (RECV, "IORING_OP_RECV"),
        (SHUTDOWN, "IORING_OP_SHUTDOWN"),
        (RENAMEAT, "IORING_OP_RENAMEAT"),
        (UNLINKAT, "IORING_OP_UNLINKAT"),
    ];
}

/// What an enter does besides submitting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Enter {
    /// Nothing: no completion is asked for.
    Flush,
    /// Lets the kernel post what it has, without sleeping.
    Collect,
    /// Sleeps until one completion is there, or until this time of [`Ring::now`].
    Sleep(Option<u64>),
}

/// What can be registered with a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Register {
    /// Takes the ring into use: the calling thread is its submitter from then on.
    Enable,
    /// Saves the kernel the look-up of the descriptor at each enter. Refusable.
    Descriptor,
    /// Signals this eventfd whenever there are completions, or work for an enter.
    Signal(RawFd),
}

/// A ring, from the driver's side. Errors are positive error numbers.
pub(super) trait Ring {
    /// How many entries the submission queue holds.
    fn capacity(&self) -> u32;

    /// Puts an entry behind those that the kernel has not taken yet: `fill` sets every field of its
    /// place. False if there is no room.
    fn push_with(&mut self, fill: impl FnOnce(&mut Sqe)) -> bool;

    /// The same of an entry that is ready.
    fn push(&mut self, sqe: Sqe) -> bool {
        self.push_with(|place| *place = sqe)
    }

    /// How many entries the kernel has not taken yet.
    fn unsubmitted(&self) -> u32;

    /// Calls the kernel: it takes up to `to_submit` entries, in order. Returns how many it took; a
    /// failed or timed-out sleep shows only if that is 0 (io_uring_enter(2)).
    fn enter(&mut self, to_submit: u32, how: Enter) -> Result<u32, i32>;

    /// Whether completions are there for the taking.
    fn ready(&self) -> bool;

    /// How many completions are there for the taking.
    fn completions(&self) -> u32;

    /// Takes out the first `count` completions: no more than are there. Calls `each` that often.
    fn reap(&mut self, count: u32, each: impl FnMut(Cqe));

    /// Whether the kernel keeps completions that found the queue full; an enter that asks for
    /// completions brings them.
    fn overflowed(&self) -> bool;

    /// Whether an enter might bring completions that are not there yet: the kernel has work to do for
    /// them on this thread, or would not say.
    fn has_news(&self) -> bool;

    /// Registers something for the calling thread.
    fn register(&mut self, what: Register) -> Result<(), i32>;

    /// Nanoseconds, of the clock that [`Enter::Sleep`] counts by.
    fn now(&self) -> u64;
}
