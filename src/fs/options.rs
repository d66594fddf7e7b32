//! [`OpenOptions`]: what a file is opened for.

use std::io;
use std::path::Path;

use super::aside::Aside;
use super::{File, invalid, path_bytes};
use crate::backend::{Code, Note, Op, Raw, open_flags};
use crate::op::Operation;
use crate::op::home::{HomeRef, Local, gone};
use crate::op::kind::{Activation, FAILED_EARLY, Outcome, StandIn, Steps};
use crate::proactor::Handle;

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

    /// For writing at the end, and there alone: each write goes to where the file ends when the kernel
    /// writes it, so that of two writers neither overwrites the other (open(2), O_APPEND). That holds for
    /// [`File::write_at`] too: its offset then counts for nothing, as Linux has it (pwrite(2), BUGS).
    ///
    /// A file that is appended to now and then needs it not: see [`File::append`].
    pub fn append(self, on: bool) -> OpenOptions {
        self.with(open_flags::APPEND, on)
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
    /// The operation's errors are open(2)'s. A path with a NUL byte, neither reading nor writing,
    /// making or emptying without writing, or emptying what is only appended to, is
    /// [`io::ErrorKind::InvalidInput`].
    ///
    /// Cancel-safe: a file that is opened for a dropped future is closed.
    #[track_caller]
    pub fn open(&self, proactor: &Handle, path: impl AsRef<Path>) -> Operation<Open> {
        let has = |flags: u32| self.flags & flags != 0;
        let writes = has(open_flags::WRITE | open_flags::APPEND);
        let why = if !writes && !has(open_flags::READ) {
            Some("a file is opened for reading, writing or appending: OpenOptions say none of them")
        } else if !writes && has(open_flags::CREATE | open_flags::CREATE_NEW | open_flags::TRUNCATE)
        {
            Some("create, create_new and truncate need write or append")
        } else if has(open_flags::APPEND)
            && has(open_flags::TRUNCATE)
            && !has(open_flags::CREATE_NEW)
        {
            Some("a file that is only appended to can't be emptied")
        } else {
            None
        };
        let (path, failed) = match path_bytes(path.as_ref()) {
            Ok(path) => (path, why),
            Err(why) => (Vec::new(), Some(why)),
        };
        Operation::new(Open {
            home: proactor.for_new(),
            path,
            flags: self.flags,
            mode: self.mode,
            failed,
            aside: Aside::default(),
        })
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions::new()
    }
}

/// The kind of [`OpenOptions::open`].
pub struct Open {
    home: HomeRef,
    path: Vec<u8>,
    flags: u32,
    mode: u32,
    failed: Option<&'static str>,
    aside: Aside,
}

impl Steps for Open {
    type Out = io::Result<File>;
    const NAME: &'static str = "open";
    const EXTERNAL: bool = true;

    fn home(&self) -> HomeRef {
        self.home
    }

    fn activate(&mut self, local: &Local) -> Result<Activation, i32> {
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
        let activation = Activation {
            op,
            object: None,
            writable: false,
        };
        let path = &self.path[..self.path.len() - 1];
        self.aside.activate(local, activation, path)
    }

    fn stand_in(&mut self) -> Option<&mut dyn StandIn> {
        self.aside.stand_in()
    }

    fn finish(self, outcome: Outcome<'_>) -> Self::Out {
        match self.failed {
            Some(why) if outcome.result == FAILED_EARLY => Err(invalid(why)),
            _ => {
                let raw = Raw(self.aside.finish(outcome)?);
                let local = outcome.local.ok_or_else(gone)?;
                Ok(File::of(local.open_object(self.home, raw)))
            }
        }
    }

    fn unread(out: &Self::Out) -> Option<Note> {
        out.as_ref().ok().map(|_| Note::DiscardedHandle)
    }

    fn discard(self, outcome: Outcome<'_>) {
        self.aside.discard_handle(outcome);
    }
}
