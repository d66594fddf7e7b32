//! What a loss of power does to files and names: what is decided, and what is left.
//!
//! # What is modelled
//!
//! A sync takes to the disk what had its effect before it: of a file its bytes and its length, of a
//! directory the names in it. Everything else is at risk, and fares so:
//!
//! - *Sectors* of 512 bytes are written whole or not at all, each independently of all others, in any
//!   order: writes may be lost, kept, torn, and kept without an earlier one (Pillai et al., *All file systems
//!   are not created equal*, OSDI 2014, table 1: no file system orders overwrites, or writes more than a
//!   sector atomically; TigerBeetle's `storage.zig` and FoundationDB's `AsyncFileNonDurable` model the same).
//! - *The length* is metadata, with a history: it is kept up to some change and not beyond. What was written
//!   beyond the length that is kept is gone. A length may be kept whose bytes are not: those read as zeros
//!   (*Documentation/filesystems/ext4/*: unwritten extents; OSDI 2014: "append is not content-atomic").
//! - *Names*: making, renaming and removing is kept whole or not at all (OSDI 2014: "directory operations are
//!   atomic"), and independently of each other unless one builds on another, for there are file systems
//!   that reorder them (the same, for btrfs). A file's own sync does not keep its name: "an explicit fsync() on a
//!   file descriptor for the directory is also needed" (fsync(2)); ext2 is one that means it. Nor does a
//!   directory's sync keep the directory's own name.
//! - *Names and bytes* are independent: a rename may be kept, and the bytes of the renamed file not
//!   (XFS; ext4 with `noauto_da_alloc`).
//! - *A failed sync* may have let go of what it should have written: the pages count as clean, the next sync
//!   succeeds, and they are lost all the same (fsync(2) NOTES; J. Corbet, *PostgreSQL's fsync() surprise*, LWN
//!   752063; Rebello et al., *Can applications recover from fsync failures?*, ATC 2020). Who has the file open
//!   at that time hears of it once (*lib/errseq.c*).
//!
//! fdatasync(2) need not write what is not needed to read the data, such as the time of the last change: there is
//! none here, so it does what fsync(2) does.
//!
//! The kind way is that nothing is lost.

use super::Files;
use super::data::Data;
use super::disk::{Change, Disk, Fate, Loss, Unsynced};
use super::names::Renamed;
use super::tree::ROOT;
use crate::choice::{EventId, Key, Site};
use crate::sim::kernel::Kernel;
use crate::sim::power::Words;
use crate::sim::transitions::Rule;
use crate::sim::words::{grouped, plural};

/// What a decision is about: each has keys of its own.
#[derive(Clone, Copy)]
enum Scope {
    File,
    Change,
    Sector,
    Names,
    Name,
}

impl Scope {
    fn rule(self) -> Rule {
        match self {
            Scope::File => Rule::LoseFile,
            Scope::Change => Rule::LoseChange,
            Scope::Names => Rule::LoseNames,
            Scope::Sector | Scope::Name => Rule::LoseOne,
        }
    }
}

impl Kernel {
    /// The power is lost: the files and names are what is left of them.
    pub(in crate::sim) fn lose_unsynced(&mut self) {
        self.m.files.track();
        self.lose_names();
        self.m.files.restore_names();
        for node in self.m.files.at_risk() {
            self.lose_data(node);
        }
        self.m.files.restore_data();
    }

    fn lose_names(&mut self) {
        let Some(names) = &self.m.files.names else {
            return;
        };
        let count = names.unsynced.len();
        let (Some(first), Some(last)) = (names.unsynced.first(), names.unsynced.last()) else {
            return;
        };
        let mut menu = vec![("kept", "all changes of names are kept".to_owned())];
        if count == 1 {
            menu.push(("lost", format!("{} is lost", first.text)));
        } else {
            let all = plural(count as u64, "unsynced change");
            menu.push(("lost", format!("all {all} of names are lost")));
            menu.push(("last", format!("{} is lost", last.text)));
            menu.push((
                "first",
                format!("{} is lost, and what builds on it", first.text),
            ));
            menu.push(("apart", "each change of a name fares on its own".to_owned()));
        }
        let event = first.by.event;
        let word = self.fares(Scope::Names, event, &Words(menu));
        let lost = match word {
            "lost" => vec![true; count],
            "last" => (0..count).map(|at| at == count - 1).collect(),
            "first" => (0..count).map(|at| at == 0).collect(),
            "apart" => (0..count).map(|at| self.lose_name(at)).collect(),
            _ => vec![false; count],
        };
        let Some(names) = &mut self.m.files.names else {
            return;
        };
        for text in names.crash(lost) {
            self.tell_power(format!("power lost: {text} is lost"));
        }
    }

    fn lose_name(&mut self, at: usize) -> bool {
        let name = self
            .m
            .files
            .names
            .as_ref()
            .and_then(|names| names.unsynced.get(at));
        let Some(Renamed { by, text, .. }) = name else {
            return false;
        };
        let (kept, lost) = (format!("{text} is kept"), format!("{text} is lost"));
        let menu = Words(vec![("kept", kept), ("lost", lost)]);
        self.fares(Scope::Name, by.event, &menu) == "lost"
    }

    fn lose_data(&mut self, node: u32) {
        let path = self.m.files.path(node);
        let Some(disk) = self.m.files.disk(node) else {
            return;
        };
        let losses = disk.losses();
        let first = disk.at_risk().next().map(|first| first.by.event);
        let mut fates = Vec::new();
        if let Some(event) = first {
            let tell = |&loss: &Loss| (loss.word(), words(disk, loss, &path));
            let menu = Words(losses.iter().map(tell).collect());
            let word = self.fares(Scope::File, event, &menu);
            let loss = losses.into_iter().find(|loss| loss.word() == word);
            let loss = loss.unwrap_or(Loss::Kept);
            fates = match (loss, self.m.files.disk(node)) {
                (Loss::Apart, _) => self.lose_apart(node, &path),
                (_, Some(disk)) => disk.fates(loss),
                (_, None) => Vec::new(),
            };
        }
        let Some(disk) = self.m.files.disk(node) else {
            return;
        };
        let mut said: Vec<String> = disk
            .at_risk()
            .zip(&fates)
            .filter(|(_, fate)| **fate != Fate::Kept)
            .map(|(unsynced, fate)| format!("power lost: {}", of_change(unsynced, fate, &path)))
            .collect();
        let dropped = disk.dropped_bytes();
        if dropped > 0 {
            said.push(format!(
                "power lost: {} of {path} that a failed sync had let go of are lost",
                plural(dropped, "byte")
            ));
        }
        let left = disk.left(|at| fates.get(at).unwrap_or(&Fate::Kept));
        self.m.files.replace(node, left);
        said.into_iter().for_each(|text| self.tell_power(text));
    }

    /// Each change of a file fares on its own.
    fn lose_apart(&mut self, node: u32, path: &str) -> Vec<Fate> {
        let mut fates = Vec::new();
        loop {
            let at = fates.len();
            let unsynced = self
                .m
                .files
                .disk(node)
                .and_then(|disk| disk.at_risk().nth(at));
            let Some(unsynced) = unsynced else {
                return fates;
            };
            let (event, menu) = (unsynced.by.event, unsynced.fates());
            let tell = |(word, fate): &(&'static str, Fate)| match *word {
                "kept" => (
                    *word,
                    format!("{} of {path} is kept", unsynced.change.text()),
                ),
                "each" => {
                    let text = unsynced.change.text();
                    (
                        *word,
                        format!("each sector of {text} of {path} fares on its own"),
                    )
                }
                _ => (*word, of_change(unsynced, fate, path)),
            };
            let told = Words(menu.iter().map(tell).collect());
            let word = self.fares(Scope::Change, event, &told);
            let fate = menu.into_iter().find(|it| it.0 == word).map(|it| it.1);
            let mut fate = fate.unwrap_or(Fate::Kept);
            if let Fate::Each(kept) = &mut fate {
                for (sector, kept) in (0u32..).zip(kept) {
                    let menu = Words(vec![
                        ("kept", format!("sector {sector} is kept")),
                        ("lost", format!("sector {sector} is lost")),
                    ]);
                    *kept = self.fares(Scope::Sector, event.child(sector), &menu) != "lost";
                }
            }
            fates.push(fate);
        }
    }

    /// A decision about what is lost, named by whose change it is about. Which word.
    fn fares(&mut self, scope: Scope, event: EventId, words: &Words) -> &'static str {
        let rule = scope.rule();
        let key = Key {
            event,
            // Of each loss of power, and of each scope, its own.
            occurrence: self.power_losses() * 8 + scope as u32,
        };
        let place = self.decide_power(rule, Site::Loss, key, words);
        rule.transition().outcomes[place].word
    }
}

/// How a file fares, in words.
fn words(disk: &Disk, loss: Loss, path: &str) -> String {
    let count = disk.at_risk().count();
    let fates = disk.fates(loss);
    let told = |at: usize| {
        disk.at_risk()
            .nth(at)
            .map_or(String::new(), |it| of_change(it, &fates[at], path))
    };
    match loss {
        Loss::Kept => format!("all that was written to {path} is kept"),
        Loss::Lost if count > 1 => {
            let all = plural(count as u64, "unsynced change");
            format!("all {all} of {path} are lost")
        }
        Loss::Apart => format!("each unsynced change of {path} fares on its own"),
        Loss::FirstLost => format!("{}, what does not build on it is kept", told(0)),
        _ => told(count - 1),
    }
}

/// `512 of 1,024 bytes of the write at 0 of /db/log kept`
fn of_change(unsynced: &Unsynced, fate: &Fate, path: &str) -> String {
    let text = unsynced.change.text();
    let (kept, len) = unsynced.kept_bytes(fate);
    let Change::Write { offset, .. } = &unsynced.change else {
        return format!("{text} of {path} is lost");
    };
    let which = match fate {
        Fate::Last => ", the last ones,",
        Fate::First(_) => ", the first ones,",
        _ => "",
    };
    match fate {
        Fate::Lost => format!("{text} of {path} is lost"),
        Fate::Length => format!("{text} of {path} is lost, but not the length that it made"),
        _ => format!(
            "{} of {}{which} of the write at {offset} of {path} kept",
            grouped(kept),
            plural(len, "byte")
        ),
    }
}

impl Files {
    /// From now on what is not synced is not safe. All that there is counts as synced.
    pub(in crate::sim) fn track(&mut self) {
        if self.names.is_some() {
            return;
        }
        let mut names = super::names::Names::default();
        for &node in &self.index {
            let it = &self.nodes[node as usize];
            names.durable.insert((it.parent, it.name.clone()), node);
        }
        self.names = Some(Box::new(names));
    }

    fn disk(&self, node: u32) -> Option<&Disk> {
        self.nodes[node as usize].disk.as_deref()
    }

    /// The files that have a name and something to lose.
    fn at_risk(&self) -> Vec<u32> {
        let at_risk = |&node: &u32| {
            let disk = self.disk(node);
            disk.is_some_and(|disk| disk.at_risk().next().is_some() || disk.dropped_bytes() > 0)
        };
        let mut nodes: Vec<u32> = self.index.iter().copied().filter(at_risk).collect();
        nodes.sort_unstable();
        nodes
    }

    /// What a file holds is now this, and nobody has it open.
    fn replace(&mut self, node: u32, data: Data) {
        let node = &mut self.nodes[node as usize];
        node.data = data;
        node.disk = None;
    }

    /// The names are those on the disk.
    fn restore_names(&mut self) {
        let Some(names) = self.names.take() else {
            return;
        };
        self.index.clear();
        for node in &mut self.nodes[1..self.used] {
            node.linked = false;
            node.opened = 0;
        }
        self.nodes[ROOT as usize].opened = 0;
        let mut directories = vec![ROOT];
        while let Some(dir) = directories.pop() {
            let from = (dir, String::new());
            for ((_, name), &node) in names
                .durable
                .range(from..)
                .take_while(|((at, _), _)| *at == dir)
            {
                self.link(node, dir, name);
                if self.nodes[node as usize].directory {
                    directories.push(node);
                }
            }
        }
        self.track();
    }

    /// Nobody has anything open, and what has no name is gone.
    fn restore_data(&mut self) {
        self.taken = 0;
        for node in &mut self.nodes[..self.used] {
            if !node.linked {
                node.data.clear();
                node.disk = None;
            }
            self.taken += node.data.taken();
        }
        self.version += 1;
    }
}
