//! [`File`]: read and written at offsets, appended to, cut, synced, measured.

use std::fmt;
use std::io;
use std::path::Path;

use super::aside::Aside;
use super::{Open, OpenOptions};
use crate::backend::{Code, LENGTH_OFFSET, Note};
use crate::buf::{IoBuf, IoBufMut};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local};
use crate::op::kind::{Activation, Outcome, StandIn, Steps, offset, unread_bytes};
use crate::op::object::{ObjectHandle, ObjectRef};
use crate::proactor::Handle;

/// An open file. Clones are handles of the same open file; the last one dropped closes it.
///
/// It has no position: every read and write says where.
///
/// ```
/// # let Ok(proactor) = proactor::Proactor::new() else { return };
/// # let dir = std::env::temp_dir().join(format!("proactor-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir).unwrap();
/// use proactor::fs::File;
/// let path = dir.join("greeting");
/// let bytes = proactor.block_on(async {
///     let file = File::create(&proactor, &path).await?;
///     let (written, _) = file.write_at("hello", 0).await;
///     assert_eq!(written?, 5);
///     file.sync_all().await?;
///     let file = File::open(&proactor, &path).await?;
///     let (read, buf) = file.read_at(Vec::with_capacity(64), 0).await;
///     read.map(|_| buf)
/// });
/// assert_eq!(bytes.unwrap().unwrap(), b"hello");
/// # std::fs::remove_dir_all(&dir).unwrap();
/// ```
#[derive(Clone)]
pub struct File {
    handle: ObjectHandle,
}

impl File {
    /// Opens a file for reading. See [`OpenOptions::open`].
    #[track_caller]
    pub fn open(proactor: &Handle, path: impl AsRef<Path>) -> Operation<Open> {
        OpenOptions::new().read(true).open(proactor, path)
    }

    /// Opens a file for writing, made if it is not there, emptied if it is. See [`OpenOptions::open`].
    #[track_caller]
    pub fn create(proactor: &Handle, path: impl AsRef<Path>) -> Operation<Open> {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(proactor, path)
    }

    pub(super) fn of(handle: ObjectHandle) -> File {
        File { handle }
    }

    pub(crate) fn object(&self) -> ObjectRef {
        self.handle.get()
    }

    /// Reads from byte `offset` into the start of `buf`, at most its capacity. `Ok(0)` means that the
    /// file ends there, or that the buffer has no capacity; fewer bytes than asked for are possible.
    #[track_caller]
    pub fn read_at<B: IoBufMut>(&self, buf: B, offset: u64) -> Operation<ReadAt<B>> {
        Operation::new(ReadAt {
            object: self.object(),
            buf,
            offset,
        })
    }

    /// Writes from the start of `buf` at byte `offset`; how many bytes were taken. It may be fewer than all.
    /// On a file that was opened with [`OpenOptions::append`], at the end, whatever `offset` says.
    #[track_caller]
    pub fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> Operation<WriteAt<B>> {
        Operation::new(WriteAt {
            object: self.object(),
            buf,
            offset,
        })
    }

    /// Writes from the start of `buf` at the end of the file, wherever that is when the kernel writes it:
    /// of two that append at once neither overwrites the other (pwritev2(2), RWF_APPEND). How many bytes
    /// were taken; it may be fewer than all, and what another appends may come between them and the rest.
    ///
    /// ```
    /// # let Ok(proactor) = proactor::Proactor::new() else { return };
    /// # let path = std::env::temp_dir().join(format!("proactor-doc-append-{}", std::process::id()));
    /// # let _ = std::fs::remove_file(&path);
    /// use proactor::fs::OpenOptions;
    /// let len = proactor.block_on(async {
    ///     let log = OpenOptions::new().append(true).create(true).open(&proactor, &path).await?;
    ///     log.append("first\n").await.0?;
    ///     log.append("second\n").await.0?;
    ///     log.sync_data().await?;
    ///     log.len().await
    /// });
    /// assert_eq!(len.unwrap().unwrap(), 13);
    /// # std::fs::remove_file(&path).unwrap();
    /// ```
    #[track_caller]
    pub fn append<B: IoBuf>(&self, buf: B) -> Operation<Append<B>> {
        Operation::new(Append {
            object: self.object(),
            buf,
        })
    }

    /// Makes the file so long, in bytes: what is beyond is gone, what is new reads as zeros. The errors are
    /// ftruncate(2)'s; of a file that was not opened for writing, [`io::ErrorKind::InvalidInput`].
    ///
    /// On Linux before 6.9 it is [offloaded](crate::Handle::offload), and may end with an error of that.
    ///
    /// Cancel-safe: of a dropped future it has happened, or not.
    #[track_caller]
    pub fn set_len(&self, len: u64) -> Operation<SetLen> {
        Operation::new(SetLen {
            object: self.object(),
            len,
            aside: Aside::default(),
        })
    }

    /// What was written, and its metadata, is on the disk when this is done (fsync(2)): what writes had
    /// ended before this was started. The name of a file that was just made is not: see
    /// [`Dir::sync`](super::Dir::sync).
    ///
    /// An error means that something may be lost for good, and the next sync need not say so again.
    #[track_caller]
    pub fn sync_all(&self) -> Operation<Sync> {
        Operation::new(Sync::all(self.object()))
    }

    /// What was written, and the metadata needed to read it (its length), is on the disk when this is done
    /// (fdatasync(2)); not, for one, when it was changed. Else as [`sync_all`](File::sync_all).
    #[track_caller]
    pub fn sync_data(&self) -> Operation<Sync> {
        Operation::new(Sync {
            object: self.object(),
            data_only: true,
            aside: Aside::default(),
        })
    }

    /// The file's length in bytes.
    #[track_caller]
    pub fn len(&self) -> Operation<Length> {
        Operation::new(Length {
            object: self.object(),
            scratch: [0; 32],
        })
    }

    /// Closes it for all its handles. Once is enough (I8).
    pub fn close(&self) {
        self.object().close();
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").finish_non_exhaustive()
    }
}

/// The kind of [`File::read_at`].
pub struct ReadAt<B> {
    object: ObjectRef,
    buf: B,
    offset: u64,
}

impl<B: IoBufMut> Steps for ReadAt<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "read_at";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let (ptr, len) = (self.buf.io_mut_ptr(), self.buf.io_capacity());
        let mut activation = Activation::lending(&self.object, Code::ReadAt, ptr, len)?;
        activation.op.offset = offset(self.offset);
        Ok(activation)
    }

    fn finish(mut self, outcome: Outcome<'_>) -> Self::Out {
        let result = outcome.bytes();
        if let Ok(n) = result {
            // SAFETY: the kernel has written n bytes at the start of the buffer, which had room for them.
            unsafe { self.buf.set_io_len(n) };
        }
        (result, self.buf)
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        unread_bytes(*out.0.as_ref().ok()?)
    }

    fn discard(self, outcome: Outcome<'_>) {
        outcome.discard_bytes();
    }
}

/// The kind of [`File::write_at`].
pub struct WriteAt<B> {
    object: ObjectRef,
    buf: B,
    offset: u64,
}

impl<B: IoBuf> Steps for WriteAt<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "write_at";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let (ptr, len) = (self.buf.io_ptr().cast_mut(), self.buf.io_len());
        let mut activation = Activation::lending(&self.object, Code::WriteAt, ptr, len)?;
        activation.op.offset = offset(self.offset);
        Ok(activation)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        (outcome.bytes(), self.buf)
    }
}

/// The kind of [`File::append`].
pub struct Append<B> {
    object: ObjectRef,
    buf: B,
}

impl<B: IoBuf> Steps for Append<B> {
    type Out = (io::Result<usize>, B);
    const NAME: &'static str = "append";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let (ptr, len) = (self.buf.io_ptr().cast_mut(), self.buf.io_len());
        Activation::lending(&self.object, Code::Append, ptr, len)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        (outcome.bytes(), self.buf)
    }
}

/// The kind of [`File::set_len`].
pub struct SetLen {
    object: ObjectRef,
    len: u64,
    aside: Aside,
}

impl Steps for SetLen {
    type Out = io::Result<()>;
    const NAME: &'static str = "set_len";
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::SetLen)?;
        activation.op.offset = offset(self.len);
        self.aside.activate(local, activation, b"")
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.aside.stand_in()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        self.aside.finish(outcome).map(drop)
    }
}

/// The kind of [`File::sync_all`], [`File::sync_data`] and [`Dir::sync`](super::Dir::sync).
pub struct Sync {
    object: ObjectRef,
    data_only: bool,
    aside: Aside,
}

impl Sync {
    pub(super) fn all(object: ObjectRef) -> Sync {
        Sync {
            object,
            data_only: false,
            aside: Aside::default(),
        }
    }
}

impl Steps for Sync {
    type Out = io::Result<()>;
    const NAME: &'static str = "sync";
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Sync)?;
        activation.op.flags = u32::from(self.data_only);
        self.aside.activate(local, activation, b"")
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.aside.stand_in()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        self.aside.finish(outcome).map(drop)
    }
}

/// The kind of [`File::len`].
pub struct Length {
    object: ObjectRef,
    scratch: [u64; 32],
}

impl Steps for Length {
    type Out = io::Result<u64>;
    const NAME: &'static str = "len";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Length)?;
        activation.op.ptr = self.scratch.as_mut_ptr().cast();
        activation.op.len = size_of_val(&self.scratch) as u32;
        Ok(activation)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        outcome.unit().map(|()| self.scratch[LENGTH_OFFSET / 8])
    }
}
