//! Files in memory: a tree of paths, open flags, reads and writes at an offset.

use super::errno;
use super::handles::Object;
use super::kernel::{Kernel, Share};
use super::op::{Op, State};
use super::transitions::{Does, Rule};

/// Bits of `Request::flags` of [`super::op::Verb::Open`].
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const CREATE: u32 = 4;
pub(crate) const CREATE_NEW: u32 = 8;
pub(crate) const TRUNCATE: u32 = 16;

/// No file gets larger: a write at a wild offset should fail as it does on a real disk (EFBIG, write(2)),
/// not take the memory of the test.
const LARGEST: u64 = 1 << 30;

/// `PATH_MAX` (path_resolution(7)).
const LONGEST_PATH: usize = 4096;

struct Node {
    path: String,
    /// `None` is a directory.
    directory: bool,
    bytes: Vec<u8>,
    denied: bool,
    /// It has a name.
    linked: bool,
    opened: u32,
}

/// All files. Places are reused with their memory.
#[derive(Default)]
pub(super) struct Files {
    nodes: Vec<Node>,
    used: usize,
    /// The linked nodes, by path.
    index: Vec<u32>,
    scratch: String,
}

impl Files {
    pub(super) fn clear(&mut self) {
        self.used = 0;
        self.index.clear();
    }

    pub(super) fn path(&self, node: u32) -> &str {
        &self.nodes[node as usize].path
    }

    /// The path that an open lends.
    pub(super) fn path_of(&self, op: &Op) -> String {
        let mut bytes = vec![0; (op.lent.len() as usize).min(LONGEST_PATH)];
        // SAFETY: called for operations that are in flight only; an open lends its path.
        unsafe { op.lent.read(0, &mut bytes) };
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn place(&self, path: &str) -> Result<usize, usize> {
        self.index
            .binary_search_by(|&node| self.nodes[node as usize].path.as_str().cmp(path))
    }

    fn find(&self, path: &str) -> Option<u32> {
        // The root is always there, and nobody made it.
        self.place(path).ok().map(|at| self.index[at])
    }

    /// A node for a path that has none.
    fn insert(&mut self, path: &str, directory: bool) -> u32 {
        let free = self.nodes[..self.used]
            .iter()
            .position(|node| !node.linked && node.opened == 0);
        let place = free.unwrap_or_else(|| {
            self.used += 1;
            if self.nodes.len() < self.used {
                self.nodes.push(Node {
                    path: String::new(),
                    directory,
                    bytes: Vec::new(),
                    denied: false,
                    linked: false,
                    opened: 0,
                });
            }
            self.used - 1
        });
        let node = &mut self.nodes[place];
        node.path.clear();
        node.path.push_str(path);
        node.directory = directory;
        node.bytes.clear();
        node.denied = false;
        node.linked = true;
        node.opened = 0;
        let at = self.place(path).unwrap_or_else(|at| at);
        self.index.insert(at, place as u32);
        place as u32
    }

    /// A directory, and those above it.
    fn make_directories(&mut self, path: &str) {
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .filter(|&at| at > 0);
        for end in ends.chain([path.len()]) {
            if end > 0 && self.find(&path[..end]).is_none() {
                self.insert(&path[..end], true);
            }
        }
    }

    pub(super) fn add_file(&mut self, path: &str, bytes: &[u8]) {
        self.with_normal(path, |files, path| {
            if let Some(end) = path.rfind('/').filter(|&end| end > 0) {
                files.make_directories(&path[..end]);
            }
            let node = files
                .find(path)
                .unwrap_or_else(|| files.insert(path, false)) as usize;
            files.nodes[node].directory = false;
            files.nodes[node].bytes.clear();
            files.nodes[node].bytes.extend_from_slice(bytes);
        });
    }

    pub(super) fn add_dir(&mut self, path: &str) {
        self.with_normal(path, Files::make_directories);
    }

    pub(super) fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        self.with_normal(path, |files, path| {
            let node = &files.nodes[files.find(path)? as usize];
            (!node.directory).then(|| node.bytes.clone())
        })
    }

    /// Takes the name away; who has the file open keeps it (unlink(2)).
    pub(super) fn remove(&mut self, path: &str) -> bool {
        self.with_normal(path, |files, path| match files.place(path) {
            Ok(at) => {
                let node = files.index.remove(at);
                files.nodes[node as usize].linked = false;
                true
            }
            Err(_) => false,
        })
    }

    pub(super) fn deny(&mut self, path: &str) {
        self.with_normal(path, |files, path| {
            if let Some(node) = files.find(path) {
                files.nodes[node as usize].denied = true;
            }
        });
    }

    pub(super) fn release(&mut self, node: u32) {
        self.nodes[node as usize].opened -= 1;
    }

    /// Calls `body` with the path in its normal form: absolute, without `.`, `..` and doubled slashes.
    /// (Relative paths start at the root; there are no symbolic links, so `..` is plain text.)
    fn with_normal<R>(&mut self, path: &str, body: impl FnOnce(&mut Files, &str) -> R) -> R {
        let mut normal = std::mem::take(&mut self.scratch);
        normal.clear();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
                _ => {
                    normal.push('/');
                    normal.push_str(part);
                }
            }
        }
        let result = body(self, &normal);
        self.scratch = normal;
        result
    }

    /// path_resolution(7), then open(2).
    fn open(&mut self, path: &str, flags: u32) -> Result<u32, i32> {
        let slash = path.ends_with('/');
        if path.is_empty() {
            return Err(errno::ENOENT);
        }
        self.with_normal(path, |files, path| {
            for (end, _) in path.match_indices('/').skip(1) {
                match files.find(&path[..end]) {
                    None => return Err(errno::ENOENT),
                    Some(node) if !files.nodes[node as usize].directory => {
                        return Err(errno::ENOTDIR);
                    }
                    Some(node) if files.nodes[node as usize].denied => return Err(errno::EACCES),
                    Some(_) => {}
                }
            }
            if path.is_empty() {
                // The root: a directory that nobody made.
                files.make_directories("/");
            }
            let path = if path.is_empty() { "/" } else { path };
            let writes = flags & (WRITE | CREATE | CREATE_NEW | TRUNCATE) != 0;
            match files.find(path) {
                Some(_) if flags & CREATE_NEW != 0 => Err(errno::EEXIST),
                Some(node) => {
                    let found = &mut files.nodes[node as usize];
                    if found.denied {
                        return Err(errno::EACCES);
                    }
                    if found.directory && writes {
                        return Err(errno::EISDIR);
                    }
                    if !found.directory && slash {
                        return Err(errno::ENOTDIR);
                    }
                    if flags & TRUNCATE != 0 {
                        found.bytes.clear();
                    }
                    Ok(node)
                }
                None if flags & (CREATE | CREATE_NEW) == 0 => Err(errno::ENOENT),
                None if slash => Err(errno::EISDIR),
                None => Ok(files.insert(path, false)),
            }
        })
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

    pub(super) fn open(&mut self, id: u32) -> i32 {
        let op = &self.m.ops[id as usize];
        let (flags, event, location, lent) = (op.flags, op.event, op.location, op.lent);
        if lent.len() as usize >= LONGEST_PATH {
            return -errno::EINVAL;
        }
        if flags & (READ | WRITE) == 0 || flags & WRITE == 0 && flags & TRUNCATE != 0 {
            return -errno::EINVAL;
        }
        // open(2) lists EMFILE and ENFILE: how many descriptors others hold is not ours to know.
        let fault = self.file_error(Rule::OpenError, id);
        if fault != 0 {
            return -fault;
        }
        let mut buffer = [0; LONGEST_PATH];
        let bytes = &mut buffer[..lent.len() as usize];
        // SAFETY: the operation is in flight, so its path is lent.
        unsafe { lent.read(0, bytes) };
        let Ok(path) = std::str::from_utf8(bytes) else {
            return -errno::ENOENT;
        };
        let node = match self.m.files.open(path, flags) {
            Ok(node) => node,
            Err(error) => return -error,
        };
        let file = Object::File {
            node,
            read: flags & READ != 0,
            write: flags & WRITE != 0,
        };
        let Some(raw) = self.m.handles.insert(file, event, location) else {
            return -errno::EMFILE;
        };
        self.m.files.nodes[node as usize].opened += 1;
        raw
    }

    /// The file of an operation, or the error for one that is none.
    fn file_of(&self, id: u32, none: i32) -> Result<(usize, bool, bool), i32> {
        match self.m.handles.object(self.m.ops[id as usize].handle) {
            Object::File { node, read, write } => Ok((node as usize, read, write)),
            Object::Closed => Err(-errno::EBADF),
            _ => Err(-none),
        }
    }

    /// `None`: the rest comes later.
    pub(super) fn read_at(&mut self, id: u32) -> Option<i32> {
        let (node, read, _) = match self.file_of(id, errno::ESPIPE) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let offset = op.offset.saturating_add(u64::from(moved));
        if !read {
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
        let left = (self.m.files.nodes[node].bytes.len() as u64).saturating_sub(offset);
        let most = left.min(u64::from(lent.len() - moved)) as u32;
        let share = match self.pick_size(Rule::Read, id, most) {
            Ok(share) => share,
            Err(error) => return Some(self.ended(id, error)),
        };
        if share.bytes > 0 {
            let start = offset as usize;
            let bytes = &self.m.files.nodes[node].bytes[start..start + share.bytes as usize];
            // SAFETY: the operation is in flight, so its buffer is lent; a read may write it.
            unsafe { lent.write(moved, bytes) };
        }
        self.moved(id, &share)
    }

    /// `None`: the rest comes later.
    pub(super) fn write_at(&mut self, id: u32) -> Option<i32> {
        let (node, _, write) = match self.file_of(id, errno::ESPIPE) {
            Ok(file) => file,
            Err(error) => return Some(error),
        };
        let op = &self.m.ops[id as usize];
        let (lent, moved) = (op.lent, op.moved);
        let offset = op.offset.saturating_add(u64::from(moved));
        if !write {
            return Some(-errno::EBADF);
        }
        if i64::try_from(offset).is_err() {
            return Some(-errno::EINVAL);
        }
        if lent.len() == 0 {
            return Some(0);
        }
        if offset >= LARGEST {
            return Some(self.ended(id, -errno::EFBIG));
        }
        let fault = self.file_error(Rule::WriteError, id);
        if fault != 0 {
            return Some(self.ended(id, -fault));
        }
        let most = (LARGEST - offset).min(u64::from(lent.len() - moved)) as u32;
        let share = match self.pick_size(Rule::Write, id, most) {
            Ok(share) => share,
            Err(error) => return Some(self.ended(id, error)),
        };
        let n = share.bytes as usize;
        let (start, bytes) = (offset as usize, &mut self.m.files.nodes[node].bytes);
        if bytes.len() < start + n {
            bytes.resize(start + n, 0);
        }
        // SAFETY: the operation is in flight, so its buffer is lent; what is written is initialised.
        unsafe { lent.read(moved, &mut bytes[start..start + n]) };
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

    /// fsync(2). What it is for, surviving a crash, is not simulated yet.
    pub(super) fn sync(&mut self, id: u32) -> i32 {
        match self.file_of(id, errno::EINVAL) {
            Ok(_) => -self.file_error(Rule::SyncError, id),
            Err(error) => error,
        }
    }

    /// statx(2) of the handle; a socket has length 0.
    pub(super) fn length(&mut self, id: u32) -> i32 {
        let length = match self.file_of(id, 0) {
            Ok((node, ..)) => self.m.files.nodes[node].bytes.len() as u64,
            Err(0) => 0,
            Err(error) => return error,
        };
        let op = &self.m.ops[id as usize];
        // SAFETY: the operation is in flight, so its buffer is lent, writable and long enough.
        unsafe { op.lent.write(op.offset as u32, &length.to_ne_bytes()) };
        0
    }
}
