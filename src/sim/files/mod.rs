//! The simulated file system: a tree of directories, files in a page cache, and the disk below.
//!
//! - `tree`: directories and names, path resolution(7), open, rename, unlink, mkdir.
//! - `data`: what a file holds, and what of that takes room on the disk.
//! - `disk`, `names`: what of a file and of the names is on the disk, and what is not yet.
//! - `crash`: what a loss of power leaves of that.
//! - `ops`: the operations, with their faults.

mod crash;
mod data;
mod disk;
mod names;
mod ops;
#[cfg(test)]
mod tests;
mod tree;

use super::errno;
use super::op::Op;
use crate::choice::EventId;
use disk::{By, Change, Disk};
use names::{Named, Names};
use tree::{Last, Node};

/// Bits of `Request::flags` of [`super::op::Verb::Open`].
pub(crate) const READ: u32 = 1;
pub(crate) const WRITE: u32 = 2;
pub(crate) const CREATE: u32 = 4;
pub(crate) const CREATE_NEW: u32 = 8;
pub(crate) const TRUNCATE: u32 = 16;
/// Writes go to the end, wherever they are asked to go (open(2), O_APPEND).
pub(crate) const APPEND: u32 = 32;
/// A directory, or ENOTDIR.
pub(crate) const DIRECTORY: u32 = 64;

/// The bit of `Request::flags` of [`super::op::Verb::Remove`] for a directory.
pub(crate) const IS_DIRECTORY: u32 = 1;

/// No file gets larger: a write at a wild offset should fail as it does on a real disk (EFBIG, write(2)),
/// not take the memory of the test.
const LARGEST: u64 = 1 << 30;

/// `PATH_MAX` (path_resolution(7)), with the NUL.
const LONGEST_PATH: usize = 4096;

/// All files. Places are reused with their memory.
pub(super) struct Files {
    nodes: Vec<Node>,
    /// Nodes beyond these are only memory.
    used: usize,
    /// The nodes that have a name, by directory and name.
    index: Vec<u32>,
    /// Bytes that files may take.
    quota: u64,
    /// Bytes that they take.
    taken: u64,
    scratch: Vec<u8>,
    /// What of the names is on the disk, if that matters: if the power may be lost.
    names: Option<Box<Names>>,
    /// Whose change it is.
    by: By,
    /// Goes up with each change of what is, or is not yet, on the disk.
    version: u64,
}

/// Nobody of the simulation: the test itself.
const TEST: By = By {
    event: EventId::ROOT,
    location: None,
};

impl Default for Files {
    fn default() -> Files {
        Files {
            nodes: vec![Node::root()],
            used: 1,
            index: Vec::new(),
            quota: u64::MAX,
            taken: 0,
            scratch: Vec::new(),
            names: None,
            by: TEST,
            version: 0,
        }
    }
}

impl Files {
    pub(super) fn clear(&mut self) {
        self.used = 1;
        self.nodes[tree::ROOT as usize].make_root();
        self.index.clear();
        self.quota = u64::MAX;
        self.taken = 0;
        self.names = None;
        self.version = 0;
    }

    /// What of the disk somebody could have seen differently. Stays as it is unless the power may be lost.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The bytes that are lent, as text: a path, or two.
    pub(super) fn path_of(&self, op: &Op) -> String {
        let mut bytes = vec![0; (op.lent.len() as usize).min(2 * LONGEST_PATH)];
        // SAFETY: called for operations that are in flight only; these lend their paths.
        unsafe { op.lent.read(0, &mut bytes) };
        String::from_utf8_lossy(&bytes).replace('\0', ", ")
    }

    /// How many bytes files may take together, from now on. What is there stays.
    /// Whether what files take together is bounded.
    pub(super) fn has_quota(&self) -> bool {
        self.quota != u64::MAX
    }

    pub(super) fn set_quota(&mut self, bytes: u64) {
        self.quota = bytes;
    }

    /// Puts a file there, with the directories above it.
    pub(super) fn add_file(&mut self, path: &str, bytes: &[u8]) {
        let Some(node) = self.make(path, false) else {
            return;
        };
        self.by = TEST;
        self.resize(node, 0);
        self.write(node, 0, bytes.len(), |to| to.copy_from_slice(bytes));
        self.settle(Some(node));
    }

    /// Puts a directory there, with those above it.
    pub(super) fn add_dir(&mut self, path: &str) {
        self.make(path, true);
        self.settle(None);
    }

    /// What a file holds.
    pub(super) fn content(&self, path: &str) -> Option<Vec<u8>> {
        let node = self.lookup(path).ok()?;
        let node = &self.nodes[node as usize];
        (!node.directory).then(|| node.data.to_vec())
    }

    /// Takes the name of a file or of an empty directory away, if it is there.
    pub(super) fn remove_path(&mut self, path: &str) -> bool {
        let is_directory = |node: u32| self.nodes[node as usize].directory;
        let directory = self.lookup(path).is_ok_and(is_directory);
        self.by = TEST;
        let removed = self.remove(path, directory).is_ok();
        self.settle(None);
        removed
    }

    /// What a test itself does is on the disk at once.
    fn settle(&mut self, node: Option<u32>) {
        if let Some(names) = &mut self.names {
            names.sync_all();
        }
        if let Some(disk) = node.and_then(|node| self.nodes[node as usize].disk.as_mut()) {
            disk.sync();
        }
    }

    pub(super) fn deny(&mut self, path: &str) {
        if let Ok(node) = self.lookup(path) {
            self.nodes[node as usize].denied = true;
        }
    }

    /// One open handle fewer.
    pub(super) fn release(&mut self, node: u32) {
        self.nodes[node as usize].opened -= 1;
        self.forget_if_gone(node);
    }

    /// A node that nobody can reach any more gives its room back.
    fn forget_if_gone(&mut self, node: u32) {
        let gone = &mut self.nodes[node as usize];
        if !gone.linked && gone.opened == 0 {
            // A name that is still on the disk may come back.
            self.taken -= match self.names {
                Some(_) => gone.data.taken(),
                None => gone.data.clear(),
            };
        }
    }

    /// Changes a file's length; what is beyond is gone, what is new reads as zeros (ftruncate(2)).
    fn resize(&mut self, node: u32, len: u64) {
        if self.names.is_some() && self.nodes[node as usize].data.len() != len {
            self.changes(node, Change::SetLen(len));
        }
        self.taken -= self.nodes[node as usize].data.set_len(len);
    }

    /// A file is about to be changed in the page cache.
    #[cold]
    fn changes(&mut self, node: u32, change: Change) {
        let Node { disk, data, .. } = &mut self.nodes[node as usize];
        let disk = disk.get_or_insert_with(|| Box::new(Disk::new(data.clone())));
        disk.add(self.by, change);
        self.version += 1;
    }

    /// Names were changed in memory: what to call that, and what it is.
    fn renamed(&mut self, tell: impl FnOnce(&Files) -> (String, Named)) {
        if self.names.is_some() {
            let (text, what) = tell(self);
            if let Some(names) = &mut self.names {
                names.add(self.by, text, what);
                self.version += 1;
            }
        }
    }

    /// fsync(2) of a file or directory: what of it was changed so far is on the disk.
    fn sync(&mut self, node: u32) {
        let Some(names) = &mut self.names else {
            return;
        };
        self.version += 1;
        let synced = &mut self.nodes[node as usize];
        if synced.directory {
            names.sync(node);
        } else if let Some(disk) = &mut synced.disk {
            disk.sync();
        }
    }

    /// Whether a sync of a file has anything to write.
    fn is_dirty(&self, node: u32) -> bool {
        let disk = self.nodes[node as usize].disk.as_ref();
        disk.is_some_and(|disk| disk.at_risk().next().is_some())
    }

    /// A sync of a file has failed, and what it should have written is let go of.
    fn drop_dirty(&mut self, node: u32) {
        if let Some(disk) = &mut self.nodes[node as usize].disk {
            disk.drop_dirty();
            self.version += 1;
        }
    }

    /// How many of `len` bytes at `offset` find room on the disk: what takes none (it is there already) and
    /// what is left of the quota.
    fn room(&self, node: u32, offset: u64, len: u64) -> u64 {
        let left = self.quota.saturating_sub(self.taken);
        self.nodes[node as usize].data.fitting(offset, len, left)
    }

    /// Writes what `fill` puts there.
    fn write(&mut self, node: u32, offset: u64, len: usize, fill: impl FnOnce(&mut [u8])) {
        if self.names.is_some() {
            let mut bytes = vec![0; len];
            fill(&mut bytes);
            let data = &mut self.nodes[node as usize];
            data.disk
                .get_or_insert_with(|| Box::new(Disk::new(data.data.clone())));
            self.taken += data
                .data
                .write(offset, len, |to| to.copy_from_slice(&bytes));
            self.changes(node, Change::Write { offset, bytes });
            return;
        }
        self.taken += self.nodes[node as usize].data.write(offset, len, fill);
    }

    /// The node that a path leads to.
    fn lookup(&self, path: &str) -> Result<u32, i32> {
        let walked = self.walk(path)?;
        match walked.last {
            Last::Name(name) => self.find(walked.dir, name).ok_or(errno::ENOENT),
            Last::Dot | Last::Root => Ok(walked.dir),
            Last::DotDot => Ok(self.nodes[walked.dir as usize].parent),
        }
    }
}
