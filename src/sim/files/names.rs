//! What of the names is on the disk, and what is not yet.
//!
//! A change of names is kept whole or not at all, and may be kept without an earlier one, unless it
//! builds on it: both change the same name, both move directories, or a directory goes that the earlier one
//! has emptied.

use std::collections::BTreeMap;

use super::disk::By;

/// A directory's node, and a name in it.
pub(super) type Name = (u32, String);

/// So many changes wait for a sync at most; then they are written.
const MOST: usize = 1_000;

/// What an operation does to names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Named {
    Link {
        at: Name,
        node: u32,
    },
    Unlink {
        at: Name,
        node: u32,
    },
    Move {
        from: Name,
        to: Name,
        directory: bool,
        /// What had the new name.
        over: Option<u32>,
    },
}

impl Named {
    fn touches(&self, name: &Name) -> bool {
        match self {
            Named::Link { at, .. } | Named::Unlink { at, .. } => at == name,
            Named::Move { from, to, .. } => from == name || to == name,
        }
    }

    fn is_in(&self, dir: u32) -> bool {
        match self {
            Named::Link { at, .. } | Named::Unlink { at, .. } => at.0 == dir,
            Named::Move { from, to, .. } => from.0 == dir || to.0 == dir,
        }
    }

    /// Whether it can't be there without `earlier`.
    fn builds_on(&self, earlier: &Named) -> bool {
        match self {
            Named::Link { at, .. } => earlier.touches(at),
            // A directory that goes has to be empty.
            Named::Unlink { at, node } => earlier.touches(at) || earlier.is_in(*node),
            Named::Move {
                from,
                to,
                directory,
                over,
            } => {
                earlier.touches(from)
                    || earlier.touches(to)
                    || over.is_some_and(|over| earlier.is_in(over))
                    || *directory && earlier.moves_a_directory()
            }
        }
    }

    fn moves_a_directory(&self) -> bool {
        matches!(self, Named::Move { directory, .. } if *directory)
    }
}

/// A change of names that no sync has taken to the disk.
#[derive(Debug)]
pub(super) struct Renamed {
    pub(super) by: By,
    /// `the rename of /a to /b`
    pub(super) text: String,
    what: Named,
}

/// The names on the disk, and the changes that are not.
#[derive(Default)]
pub(super) struct Names {
    pub(super) durable: BTreeMap<Name, u32>,
    pub(super) unsynced: Vec<Renamed>,
}

impl Names {
    pub(super) fn add(&mut self, by: By, text: String, what: Named) {
        self.unsynced.push(Renamed { by, text, what });
        if self.unsynced.len() > MOST {
            self.sync_all();
        }
    }

    /// fsync(2) of a directory: what was changed in it, and what that builds on.
    pub(super) fn sync(&mut self, dir: u32) {
        let mut needed = vec![false; self.unsynced.len()];
        for (at, change) in self.unsynced.iter().enumerate().rev() {
            needed[at] |= change.what.is_in(dir);
            if needed[at] {
                for (needed, before) in needed.iter_mut().zip(&self.unsynced[..at]) {
                    *needed |= change.what.builds_on(&before.what);
                }
            }
        }
        let unsynced = std::mem::take(&mut self.unsynced);
        for (change, needed) in unsynced.into_iter().zip(needed) {
            if needed {
                self.apply(change.what);
            } else {
                self.unsynced.push(change);
            }
        }
    }

    /// Whether a node has a name on the disk, or may get one back.
    pub(super) fn has(&self, node: u32) -> bool {
        let makes =
            |it: &Renamed| matches!(it.what, Named::Link { node: made, .. } if made == node);
        self.unsynced.iter().any(makes) || self.durable.values().any(|&it| it == node)
    }

    pub(super) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            self.apply(change.what);
        }
    }

    fn apply(&mut self, what: Named) {
        match what {
            Named::Link { at, node } => {
                self.durable.insert(at, node);
            }
            Named::Unlink { at, .. } => {
                self.durable.remove(&at);
            }
            Named::Move { from, to, .. } => {
                if let Some(node) = self.durable.remove(&from) {
                    self.durable.insert(to, node);
                }
            }
        }
    }

    /// Power is lost: those that are lost, and those that build on them, are gone. Their words.
    pub(super) fn crash(&mut self, mut lost: Vec<bool>) -> Vec<String> {
        for at in 0..self.unsynced.len() {
            let what = &self.unsynced[at].what;
            let base =
                (0..at).any(|before| lost[before] && what.builds_on(&self.unsynced[before].what));
            lost[at] |= base;
        }
        let mut words = Vec::new();
        let unsynced = std::mem::take(&mut self.unsynced);
        for (change, lost) in unsynced.into_iter().zip(lost) {
            if lost {
                words.push(change.text);
            } else {
                self.apply(change.what);
            }
        }
        words
    }
}
