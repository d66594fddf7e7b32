//! Kinds of operations: what one is made of, how it goes on, and what its result looks like.

use std::io;

use super::home::{HomeRef, Local, gone};
use super::object::{Object, ObjectRef, closed};
use super::slots::Stop;
use crate::backend::{CANCELED, Code, Note, Op, Raw, Token};
use crate::buf::MAX_TRANSFER;

/// A kind of operation, such as [`Read`](crate::net::Read): the parameter of
/// [`Operation`](super::Operation). Sealed; what people need of it is its output.
pub trait Kind: Steps<Out = Self::Output> {
    /// What the operation ends with: what a handler is called with, and what `.await` returns.
    type Output: Send;
}

impl<S: Steps> Kind for S {
    type Output = S::Out;
}

/// One step of an operation: what to submit, and on which object.
pub(crate) struct Activation {
    pub(crate) op: Op,
    pub(crate) object: Option<&'static Object>,
    /// The memory at `op.ptr` is a lent buffer that the kernel writes.
    pub(crate) writable: bool,
}

impl Activation {
    #[inline]
    pub(crate) fn on(object: &ObjectRef, code: Code) -> Result<Activation, i32> {
        let raw = object.raw().ok_or(HANDLE_CLOSED)?;
        Ok(Activation {
            op: Op::new(code, raw),
            object: Some(object.object),
            writable: false,
        })
    }

    /// A transfer to or from a lent buffer. The buffer's methods are user code, which may close the
    /// object: taken as values, what they said is known before the object is looked up, and nothing
    /// of the user's runs from there to the lane.
    #[inline]
    pub(crate) fn lending(
        object: &ObjectRef,
        code: Code,
        ptr: *mut u8,
        len: usize,
    ) -> Result<Activation, i32> {
        let mut activation = Activation::on(object, code)?;
        activation.op.ptr = ptr;
        activation.op.len = if len <= MAX_TRANSFER {
            len as u32
        } else {
            longest()
        };
        activation.writable = matches!(code, Code::Recv | Code::ReadAt);
        Ok(activation)
    }
}

/// What a file operation at `offset` says to the seam. The last one means the file's own position to
/// some kernels (Linux: io_uring_enter(2)); as the next to last it is none, and refused like it.
#[inline]
pub(crate) fn offset(offset: u64) -> u64 {
    offset.min(u64::MAX - 1)
}

#[cold]
#[inline(never)]
fn longest() -> u32 {
    MAX_TRANSFER as u32
}

/// How an operation proceeds. A single operation has one activation; a composed one has several, one
/// after the other, in the same slot.
pub trait Steps: Sized + Send {
    /// What it ends with.
    type Out: Send;
    /// What reports call it.
    const NAME: &'static str;
    /// Whether [`next`](Steps::next) is to be asked.
    const COMPOSED: bool = false;
    /// May be done by something else than a lane: [`stand_in`](Steps::stand_in) is to be asked.
    const EXTERNAL: bool = false;
    /// The bound on operations in flight does not hold it back (I5).
    const UNBOUNDED: bool = false;

    /// The home of what it works on.
    fn home(&self) -> HomeRef;

    /// That home's local half, if the caller runs on its worker and it is worth trying to start.
    #[inline]
    fn here(&self) -> Option<&'static Local> {
        self.home().here()
    }

    /// The next activation. `self` is at its final address. An error is a result: the operation ends
    /// with it, as if the kernel had said so.
    fn activate(&mut self, local: &Local) -> Result<Activation, i32>;

    /// Takes in the result of an activation; true if another is to follow.
    fn next(&mut self, result: i32, stop: Stop) -> bool {
        let _ = (result, stop);
        false
    }

    /// What does it in a lane's place, if anything does, now that it was activated: it is completed by a
    /// message then.
    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        None
    }

    /// The result for people.
    fn finish(self, outcome: Outcome<'_>) -> Self::Out;

    /// What a result is counted as that was ready, and is dropped on another thread than its worker's.
    fn unread(out: &Self::Out) -> Option<Note> {
        let _ = out;
        None
    }

    /// The result that nobody waits for any more: a handle is closed, bytes are counted.
    fn discard(self, outcome: Outcome<'_>) {
        let _ = outcome;
    }
}

/// What does an operation in a lane's place.
pub trait StandIn {
    /// The operation is in its slot, pending, with this token.
    fn arm(&mut self, local: &Local, token: Token);

    /// A cancel was asked for: whether it ends the operation now. If not, its end comes as it would have
    /// come. No user code is to run in here.
    fn stop(&mut self, local: &Local) -> bool {
        let _ = local;
        true
    }
}

/// The object was closed on this side before the operation could start.
pub(crate) const HANDLE_CLOSED: i32 = i32::MIN;
/// The proactor was dropped.
pub(crate) const GONE: i32 = i32::MIN + 1;
/// As many operations are in flight as may be.
pub(crate) const TOO_MANY: i32 = i32::MIN + 2;
/// It failed before it was submitted, and the kind has the error.
pub(crate) const FAILED_EARLY: i32 = i32::MIN + 3;
/// A method of its buffer panicked when it was to be submitted.
pub(crate) const PANICKED: i32 = i32::MIN + 4;

/// How an operation ended, in the kernel's words.
#[derive(Clone, Copy)]
pub(crate) struct Outcome<'a> {
    /// None: the proactor has been torn down meanwhile.
    pub(crate) local: Option<&'a Local>,
    pub(crate) result: i32,
    pub(crate) stop: Stop,
}

impl Outcome<'_> {
    /// Bytes moved, or the error.
    #[inline]
    pub(crate) fn bytes(&self) -> io::Result<usize> {
        if self.result >= 0 {
            Ok(self.result as usize)
        } else {
            // By its parts: so the whole need not stand on the stack.
            Err(error(self.local, self.result, self.stop))
        }
    }

    /// Done, or the error.
    #[inline]
    pub(crate) fn unit(&self) -> io::Result<()> {
        self.bytes().map(drop)
    }

    /// What a negative result means.
    pub(crate) fn error(&self) -> io::Error {
        error(self.local, self.result, self.stop)
    }

    /// Counts bytes that arrived for nobody.
    pub(crate) fn discard_bytes(&self) {
        if let (Some(local), 1..) = (self.local, self.result) {
            local.note(Note::DiscardedBytes(self.result as u64));
        }
    }

    /// Closes a handle that arrived for nobody.
    pub(crate) fn discard_handle(&self) {
        if let (Some(local), 0..) = (self.local, self.result) {
            local.note(Note::DiscardedHandle);
            if let Some(lane) = local.lane.borrow_mut().as_mut() {
                lane.close(Raw(self.result));
            }
        }
    }
}

#[cold]
#[inline(never)]
fn error(local: Option<&Local>, result: i32, stop: Stop) -> io::Error {
    match (result, stop) {
        (CANCELED, Stop::TimedOut) => io::Error::from(io::ErrorKind::TimedOut),
        (CANCELED, Stop::Teardown) => gone(),
        (CANCELED, _) => canceled(),
        (HANDLE_CLOSED, _) => closed(),
        (GONE, _) => gone(),
        (TOO_MANY, _) => io::Error::new(
            io::ErrorKind::QuotaExceeded,
            "too many operations in flight: wait for some of them, or raise Builder::max_operations",
        ),
        (PANICKED, _) => io::Error::other("a method of the lent buffer panicked"),
        (code, _) => local.map_or_else(gone, |local| local.error(code.wrapping_neg())),
    }
}

/// What so many bytes that were received are counted as when nobody wants them.
pub(crate) fn unread_bytes(n: usize) -> Option<Note> {
    (n > 0).then_some(Note::DiscardedBytes(n as u64))
}

/// The error of an operation that was cancelled before it had any effect.
#[cold]
pub(crate) fn canceled() -> io::Error {
    #[cfg(unix)]
    return io::Error::from_raw_os_error(libc::ECANCELED);
    #[cfg(windows)]
    return io::Error::from_raw_os_error(995); // ERROR_OPERATION_ABORTED
    #[cfg(not(any(unix, windows)))]
    return io::Error::other("the operation was cancelled");
}

/// Whether an operation ended because it was cancelled: by its cancel handle, by a dropped future, or
/// because its object was closed on this side, be it before it began: a loop that starts the next operation
/// after an error ends here. (A timeout is [`io::ErrorKind::TimedOut`] instead.)
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let Ok(proactor) = proactor::Proactor::new() else { return Ok(()) };
/// use std::time::Duration;
/// let sleep = proactor.sleep(Duration::from_secs(3600));
/// let cancel = sleep.then(|result| assert!(proactor::is_canceled(&result.unwrap_err())));
/// cancel.cancel();
/// proactor.run().unwrap();
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn is_canceled(error: &io::Error) -> bool {
    #[cfg(unix)]
    let by_code = error.raw_os_error() == Some(libc::ECANCELED);
    #[cfg(windows)]
    let by_code = error.raw_os_error() == Some(995);
    #[cfg(not(any(unix, windows)))]
    let by_code = error.to_string() == "the operation was cancelled";
    let inner = error.get_ref();
    by_code
        || inner.is_some_and(|inner| inner.is::<super::object::Closed>())
        || inner
            .and_then(|inner| inner.downcast_ref::<super::interrupted::Interrupted>())
            .is_some_and(|interrupted| {
                matches!(
                    interrupted.cause,
                    super::interrupted::Cause::Canceled | super::interrupted::Cause::Closed
                )
            })
}
