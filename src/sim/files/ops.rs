//! The operations on files and names: what each does, and how it may fail.

use super::{
    APPEND, By, CREATE, CREATE_NEW, Files, IS_DIRECTORY, LARGEST, LONGEST_PATH, READ, TRUNCATE,
    WRITE, errno,
};
use crate::sim::handles::Object;
use crate::sim::kernel::{Kernel, Share};
use crate::sim::op::State;
use crate::sim::transitions::{Does, Rule};

/// An open file, as its handle says.
#[derive(Clone, Copy)]
struct Opened {
    node: u32,
    flags: u32,
}

impl Opened {
    fn is_for(self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

impl Kernel {
    /// An error that strikes without a cause of ours, or 0.
    fn file_error(&mut self, rule: Rule, id: u32) -> i32 {
        match self.pick(rule, id) {
            Does::Error(error) => error,
            _ => 0,
        }
    }

    /// The path (or two, with a NUL between them) that an operation lends.
    fn with_path<R>(
        &mut self,
        id: u32,
        body: impl FnOnce(&mut Files, &str) -> Result<R, i32>,
    ) -> Result<R, i32> {
        let lent = self.m.ops[id as usize].lent;
        let len = lent.len() as usize;
        if len > 2 * LONGEST_PATH {
            return Err(errno::ENAMETOOLONG);
        }
        let mut bytes = std::mem::take(&mut self.m.files.scratch);
        bytes.clear();
        bytes.resize(len, 0);
        // SAFETY: the operation is in flight, so its path is lent.
        unsafe { lent.read(0, &mut bytes) };
        // A name that is no text is the name of no file here.
        let result = match std::str::from_utf8(&bytes) {
            Ok(path) => body(&mut self.m.files, path),
            Err(_) => Err(errno::ENOENT),
        };
        self.m.files.scratch = bytes;
        result
    }

    pub(in crate::sim) fn open(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let (flags, event, location) = (op.flags, op.event, op.location);
        let writes = flags & (WRITE | APPEND) != 0;
        if !writes && (flags & READ == 0 || flags & TRUNCATE != 0) {
            return -errno::EINVAL;
        }
        let rule = match flags & (CREATE | CREATE_NEW) {
            0 => Rule::OpenError,
            _ => Rule::CreateError,
        };
        let fault = self.file_error(rule, id);
        if fault != 0 {
            return -fault;
        }
        self.signs(id);
        let (node, made) = match self.with_path(id, |files, path| files.open(path, flags)) {
            Ok(opened) => opened,
            Err(error) => return -error,
        };
        let file = Object::File {
            node,
            flags: flags as u8,
            heard: self.m.files.nodes[node as usize].errors,
        };
        let Some(raw) = self.m.handles.insert(file, event, location) else {
            return -errno::EMFILE;
        };
        self.m.files.nodes[node as usize].opened += 1;
        if flags & TRUNCATE != 0 && !made {
            self.m.files.resize(node, 0);
        }
        raw
    }

    /// What is changed next is this operation's doing.
    fn signs(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        self.m.files.by = By {
            event: op.event,
            location: op.location,
        };
    }

    /// The file of an operation, or the error for one that is none.
    fn file_of(&self, id: u32, none: i32) -> Result<Opened, i32> {
        match self.m.handles.object(self.m.ops[id as usize].handle) {
            Object::File { node, flags, .. } => Ok(Opened {
                node,
                flags: u32::from(flags),
            }),
            Object::Closed => Err(-errno::EBADF),
            _ => Err(-none),
        }
    }

    /// `None`: the rest comes later.
    pub(in crate::sim) fn read_at(&mut self, id: u32) -> Option<i32> {
        let file = match self.file_of(id, errno::ESPIPE) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let offset = op.offset.saturating_add(u64::from(moved));
        let node = file.node as usize;
        if !file.is_for(READ) {
            return Some(-errno::EBADF);
        }
        if self.m.files.nodes[node].directory {
            return Some(-errno::EISDIR);
        }
        if i64::try_from(offset).is_err() {
            return Some(-errno::EINVAL);
        }
        if lent.len() == 0 {
            return Some(0);
        }
        let fault = self.file_error(Rule::ReadError, id);
        if fault != 0 {
            return Some(self.ended(id, -fault));
        }
        let left = self.m.files.nodes[node].data.len().saturating_sub(offset);
        let most = left.min(u64::from(lent.len() - moved)) as u32;
        let share = match self.pick_size::<true>(Rule::Read, id, most) {
            Ok(share) => share,
            Err(error) => return Some(self.ended(id, error)),
        };
        if share.bytes > 0 {
            let bytes = self.m.files.nodes[node]
                .data
                .at(offset, share.bytes as usize);
            // SAFETY: the operation is in flight, so its buffer is lent; a read may write it.
            unsafe { lent.write(moved, bytes) };
            let mut done = bytes.len() as u32;
            while done < share.bytes {
                let zeros = &ZEROS[..ZEROS.len().min((share.bytes - done) as usize)];
                // SAFETY: as above.
                unsafe { lent.write(moved + done, zeros) };
                done += zeros.len() as u32;
            }
        }
        self.moved(id, &share)
    }

    /// pwrite(2), and with `appends` or on a file that is open for appending, at the end wherever it was
    /// asked to go (its BUGS section). `None`: the rest comes later.
    pub(in crate::sim) fn write_at(&mut self, id: u32, appends: bool) -> Option<i32> {
        let file = match self.file_of(id, errno::ESPIPE) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let mut offset = op.offset.saturating_add(u64::from(moved));
        if !file.is_for(WRITE | APPEND) {
            return Some(-errno::EBADF);
        }
        if i64::try_from(offset).is_err() {
            return Some(-errno::EINVAL);
        }
        if lent.len() == 0 {
            return Some(0);
        }
        if appends || file.is_for(APPEND) {
            offset = self.m.files.nodes[file.node as usize].data.len();
        }
        if offset >= LARGEST {
            return Some(self.ended(id, -errno::EFBIG));
        }
        let fault = self.file_error(Rule::WriteError, id);
        if fault != 0 {
            return Some(self.ended(id, -fault));
        }
        let most = (LARGEST - offset).min(u64::from(lent.len() - moved));
        // A disk that fills up takes what fits, and fails the next write (write(2)).
        let most = self.m.files.room(file.node, offset, most) as u32;
        if most == 0 {
            return Some(self.ended(id, -errno::ENOSPC));
        }
        let share = match self.pick_size::<true>(Rule::Write, id, most) {
            Ok(share) => share,
            Err(error) => return Some(self.ended(id, error)),
        };
        self.signs(id);
        // SAFETY: the operation is in flight, so its buffer is lent; what is written is initialised.
        let fill = |to: &mut [u8]| unsafe { lent.read(moved, to) };
        self.m
            .files
            .write(file.node, offset, share.bytes as usize, fill);
        self.moved(id, &share)
    }

    /// The result of a transfer that ends with an error: what it has moved before, if it has
    /// (`io_fixup_rw_res`, io_uring/rw.c).
    fn ended(&self, id: u32, error: i32) -> i32 {
        match self.m.ops[id as usize].moved {
            0 => error,
            moved => moved as i32,
        }
    }

    /// A transfer has moved something: its result, if it is over.
    fn moved(&mut self, id: u32, share: &Share) -> Option<i32> {
        if share.rest {
            self.moves_part(id, share.bytes);
            self.m.ops[id as usize].state = State::Armed;
            self.m.armed.push(id);
            return None;
        }
        Some((self.m.ops[id as usize].moved + share.bytes) as i32)
    }

    /// ftruncate(2).
    pub(in crate::sim) fn set_len(&mut self, id: u32) -> i32 {
        let file = match self.file_of(id, errno::EINVAL) {
            Ok(file) => file,
            Err(error) => return error,
        };
        let len = self.m.ops[id as usize].offset;
        if !file.is_for(WRITE | APPEND) || i64::try_from(len).is_err() {
            return -errno::EINVAL;
        }
        if len > LARGEST {
            return -errno::EFBIG;
        }
        let fault = self.file_error(Rule::SetLenError, id);
        if fault == 0 {
            self.signs(id);
            self.m.files.resize(file.node, len);
        }
        -fault
    }

    /// fsync(2), fdatasync(2).
    pub(in crate::sim) fn sync(&mut self, id: u32) -> i32 {
        let file = match self.file_of(id, errno::EINVAL) {
            Ok(file) => file,
            Err(error) => return error,
        };
        let node = file.node;
        let errors = self.m.files.nodes[node as usize].errors;
        if self.hears(id, errors) {
            // One that failed for another handle; what it let go of is gone (lib/errseq.c).
            return -errno::EIO;
        }
        let rule = match self.m.files.is_dirty(node) {
            true => Rule::SyncDirtyError,
            false => Rule::SyncError,
        };
        match self.pick(rule, id) {
            Does::Error(error) => self.sync_failed(id, node, error),
            Does::Lose => {
                self.m.files.drop_dirty(node);
                self.sync_failed(id, node, errno::EIO)
            }
            _ => {
                self.m.files.sync(node);
                0
            }
        }
    }

    /// Everybody who has the file open hears of it, once; this one now.
    fn sync_failed(&mut self, id: u32, node: u32, error: i32) -> i32 {
        let node = &mut self.m.files.nodes[node as usize];
        node.errors = node.errors.wrapping_add(1);
        let errors = node.errors;
        self.hears(id, errors);
        -error
    }

    /// The handle has heard of so many failed syncs of its file from now on. Whether that is news.
    fn hears(&mut self, id: u32, errors: u8) -> bool {
        let raw = self.m.ops[id as usize].handle;
        if let Some(handle) = self.m.handles.get_mut(raw)
            && let Object::File { heard, .. } = &mut handle.object
        {
            return std::mem::replace(heard, errors) != errors;
        }
        false
    }

    /// statx(2) of the handle; a socket has length 0.
    pub(in crate::sim) fn length(&mut self, id: u32) -> i32 {
        let length = match self.file_of(id, 0) {
            Ok(file) => self.m.files.nodes[file.node as usize].data.len(),
            Err(0) => 0,
            Err(error) => return error,
        };
        let op = &self.m.ops[id as usize];
        // SAFETY: the operation is in flight, so its buffer is lent, writable and long enough.
        unsafe { op.lent.write(op.offset as u32, &length.to_ne_bytes()) };
        0
    }

    /// mkdir(2).
    pub(in crate::sim) fn create_dir(&mut self, id: u32) -> i32 {
        self.change_names(id, Rule::CreateDirError, |files, path| {
            files.create_dir(path)
        })
    }

    /// unlink(2), rmdir(2).
    pub(in crate::sim) fn remove(&mut self, id: u32) -> i32 {
        let directory = self.m.ops[id as usize].flags & IS_DIRECTORY != 0;
        self.change_names(id, Rule::RemoveError, |files, path| {
            files.remove(path, directory)
        })
    }

    /// rename(2).
    pub(in crate::sim) fn rename(&mut self, id: u32) -> i32 {
        self.change_names(id, Rule::RenameError, |files, paths| {
            match paths.split_once('\0') {
                Some((from, to)) => files.rename(from, to),
                None => Err(errno::ENOENT),
            }
        })
    }

    fn change_names(
        &mut self,
        id: u32,
        error: Rule,
        change: impl FnOnce(&mut Files, &str) -> Result<(), i32>,
    ) -> i32 {
        let fault = self.file_error(error, id);
        if fault != 0 {
            return -fault;
        }
        self.signs(id);
        match self.with_path(id, change) {
            Ok(()) => 0,
            Err(error) => -error,
        }
    }
}

static ZEROS: [u8; 4096] = [0; 4096];
