//! Files: opened, read and written at offsets, synced, measured; all as operations.

use std::fmt;
use std::io;
use std::path::Path;

use crate::backend::{Code, LENGTH_OFFSET, Note, Op, Raw, open_flags};
use crate::buf::{IoBuf, IoBufMut};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, gone};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, Steps, offset, unread_bytes};
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

/// How to open a [`File`].
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `open`"]
pub struct OpenOptions {
    flags: u32,
    mode: u32,
}

impl OpenOptions {
    /// Nothing is allowed yet: say what for.
    pub fn new() -> OpenOptions {
        OpenOptions {
            flags: 0,
            mode: 0o666,
        }
    }

    fn with(mut self, flag: u32, on: bool) -> OpenOptions {
        self.flags = if on {
            self.flags | flag
        } else {
            self.flags & !flag
        };
        self
    }

    /// For reading.
    pub fn read(self, on: bool) -> OpenOptions {
        self.with(open_flags::READ, on)
    }

    /// For writing.
    pub fn write(self, on: bool) -> OpenOptions {
        self.with(open_flags::WRITE, on)
    }

    /// Made if it is not there.
    pub fn create(self, on: bool) -> OpenOptions {
        self.with(open_flags::CREATE, on)
    }

    /// Made, and an error if it is there already.
    pub fn create_new(self, on: bool) -> OpenOptions {
        self.with(open_flags::CREATE_NEW, on)
    }

    /// Emptied.
    pub fn truncate(self, on: bool) -> OpenOptions {
        self.with(open_flags::TRUNCATE, on)
    }

    /// The permissions of a file that is made (Unix; default 0o666, less the umask).
    pub fn mode(mut self, mode: u32) -> OpenOptions {
        self.mode = mode;
        self
    }

    /// Opens the file at `path`.
    ///
    /// The operation's errors are open(2)'s. A path with a NUL byte, neither reading nor writing, or
    /// making or emptying without writing, is [`io::ErrorKind::InvalidInput`].
    ///
    /// Cancel-safe: a file that is opened for a dropped future is closed.
    #[track_caller]
    pub fn open(&self, proactor: &Handle, path: impl AsRef<Path>) -> Operation<Open> {
        let mut bytes = path.as_ref().as_os_str().as_encoded_bytes().to_vec();
        let changes = open_flags::CREATE | open_flags::CREATE_NEW | open_flags::TRUNCATE;
        let failed = if bytes.contains(&0) {
            Some("a path can't contain a NUL byte")
        } else if self.flags & (open_flags::READ | open_flags::WRITE) == 0 {
            Some("a file is opened for reading, writing or both: OpenOptions say neither")
        } else if self.flags & changes != 0 && self.flags & open_flags::WRITE == 0 {
            Some("create, create_new and truncate need write")
        } else {
            None
        };
        bytes.push(0);
        Operation::new(Open {
            home: proactor.for_new(),
            path: bytes,
            flags: self.flags,
            mode: self.mode,
            failed,
        })
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions::new()
    }
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
    #[track_caller]
    pub fn write_at<B: IoBuf>(&self, buf: B, offset: u64) -> Operation<WriteAt<B>> {
        Operation::new(WriteAt {
            object: self.object(),
            buf,
            offset,
        })
    }

    /// What was written, and its metadata, is on the disk when this is done (fsync(2)).
    #[track_caller]
    pub fn sync_all(&self) -> Operation<Sync> {
        Operation::new(Sync {
            object: self.object(),
            data_only: false,
        })
    }

    /// What was written, and the metadata needed to read it, is on the disk when this is done (fdatasync(2)).
    #[track_caller]
    pub fn sync_data(&self) -> Operation<Sync> {
        Operation::new(Sync {
            object: self.object(),
            data_only: true,
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

/// The kind of [`OpenOptions::open`].
pub struct Open {
    home: HomeRef,
    path: Vec<u8>,
    flags: u32,
    mode: u32,
    failed: Option<&'static str>,
}

impl Steps for Open {
    type Out = io::Result<File>;
    const NAME: &'static str = "open";

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        if self.failed.is_some() {
            return Err(FAILED_EARLY);
        }
        let op = Op {
            ptr: self.path.as_mut_ptr(),
            len: self.path.len() as u32 - 1,
            flags: self.flags,
            offset: u64::from(self.mode),
            ..Op::new(Code::Open, Raw::NONE)
        };
        Ok(Activation {
            op,
            object: None,
            writable: false,
        })
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        match self.failed {
            Some(why) if outcome.result == FAILED_EARLY => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, why))
            }
            _ if outcome.result < 0 => Err(outcome.error()),
            _ => {
                let local = outcome.local.ok_or_else(gone)?;
                Ok(File {
                    handle: local.open_object(self.home, Raw(outcome.result)),
                })
            }
        }
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        out.as_ref().ok().map(|_| Note::DiscardedHandle)
    }

    fn discard(self, outcome: Outcome<'_>) {
        outcome.discard_handle();
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

/// The kind of [`File::sync_all`] and [`File::sync_data`].
pub struct Sync {
    object: ObjectRef,
    data_only: bool,
}

impl Steps for Sync {
    type Out = io::Result<()>;
    const NAME: &'static str = "sync";

    fn home(&self) -> HomeRef {
        self.object.home()
    }

    fn activate(&mut self, _: &Local) -> Result<Activation, i32> {
        let mut activation = Activation::on(&self.object, Code::Sync)?;
        activation.op.flags = u32::from(self.data_only);
        Ok(activation)
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        outcome.unit()
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
