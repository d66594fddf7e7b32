//! What of one file is on the disk, what is not yet, and what a loss of power may leave of it.

use std::panic::Location;

use super::data::Data;
use crate::choice::EventId;
use crate::sim::words::plural;

/// What a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;

/// What the page cache keeps, drops and writes again as a whole.
const PAGE: u64 = 4096;

/// So many changes wait for a sync at most; then the older half is written, as a real kernel does after a
/// while (*Documentation/admin-guide/sysctl/vm.rst*, `dirty_expire_centisecs`).
const MOST: usize = 1_000;

/// Who made a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct By {
    pub(super) event: EventId,
    pub(super) location: Option<&'static Location<'static>>,
}

/// A change of what a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Change {
    /// How many sectors it touches.
    fn sectors(&self) -> u64 {
        match self {
            Change::Write { offset, bytes } if !bytes.is_empty() => {
                (offset + bytes.len() as u64 - 1) / SECTOR - offset / SECTOR + 1
            }
            _ => 0,
        }
    }

    /// `the write of 20 bytes at 40`
    pub(super) fn text(&self) -> String {
        match self {
            Change::Write { offset, bytes } => {
                format!(
                    "the write of {} at {offset}",
                    plural(bytes.len() as u64, "byte")
                )
            }
            Change::SetLen(len) => format!("the new length of {}", plural(*len, "byte")),
        }
    }
}

/// A change that no sync has taken to the disk.
#[derive(Debug)]
pub(super) struct Unsynced {
    pub(super) by: By,
    pub(super) change: Change,
    /// A sync failed, and its pages count as clean now: nothing will write them, unless they are written
    /// to again.
    dropped: bool,
}

/// What becomes of an unsynced change when the power is lost.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Kept,
    Lost,
    /// Of a write its first sectors, so many, and if it made the file longer, it is as long as that.
    First(u64),
    /// Of a write its last sector.
    Last,
    /// Of a write nothing but the length.
    Length,
    /// Of a write these sectors, and the length.
    Each(Vec<bool>),
}

/// How a file fares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    Kept,
    /// All that was not synced.
    Lost,
    /// The last change alone.
    LastLost,
    /// The last change in part.
    Torn(&'static str, u64),
    /// The last change but for its last sector.
    Tail,
    /// The last change but for the length that it made.
    Zeros,
    /// The first change, and no later one.
    FirstLost,
    /// Each change fares on its own.
    Apart,
}

impl Loss {
    /// For replays.
    pub(super) fn word(self) -> &'static str {
        match self {
            Loss::Kept => "kept",
            Loss::Lost => "lost",
            Loss::LastLost => "last",
            Loss::Torn(word, _) => word,
            Loss::Tail => "tail",
            Loss::Zeros => "zeros",
            Loss::FirstLost => "first",
            Loss::Apart => "apart",
        }
    }
}

/// What of a file is on the disk, and what is not.
pub(super) struct Disk {
    durable: Data,
    unsynced: Vec<Unsynced>,
}

impl Disk {
    /// All of it is.
    pub(super) fn new(durable: Data) -> Disk {
        Disk {
            durable,
            unsynced: Vec::new(),
        }
    }

    /// A change was made in the page cache.
    pub(super) fn add(&mut self, by: By, change: Change) {
        match &change {
            Change::Write { offset, bytes } => {
                // What shares a page with it is written with it.
                let pages = offset / PAGE..=(offset + bytes.len() as u64).saturating_sub(1) / PAGE;
                for unsynced in self.unsynced.iter_mut().filter(|it| it.dropped) {
                    if let Change::Write { offset, .. } = &unsynced.change {
                        unsynced.dropped = !pages.contains(&(offset / PAGE));
                    }
                }
            }
            Change::SetLen(len) => self.unsynced.retain_mut(|unsynced| {
                if let (true, Change::Write { offset, bytes }) =
                    (unsynced.dropped, &mut unsynced.change)
                {
                    bytes.truncate(len.saturating_sub(*offset) as usize);
                    return !bytes.is_empty();
                }
                true
            }),
        }
        self.unsynced.push(Unsynced {
            by,
            change,
            dropped: false,
        });
        if self.unsynced.len() > MOST {
            let rest = self.unsynced.split_off(MOST / 2);
            self.sync();
            self.unsynced.extend(rest);
        }
    }

    /// fsync(2), fdatasync(2).
    pub(super) fn sync(&mut self) {
        let durable = std::mem::take(&mut self.durable);
        self.durable = self.onto(durable, |_| &Fate::Kept);
        self.unsynced.retain(|unsynced| unsynced.dropped);
    }

    /// A sync failed, and what it should have written is let go of.
    pub(super) fn drop_dirty(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        for it in unsynced {
            match it.change {
                // Page by page: each is written again on its own.
                Change::Write { mut offset, bytes } if !it.dropped => {
                    let mut rest = &bytes[..];
                    while !rest.is_empty() {
                        let len = rest.len().min((PAGE - offset % PAGE) as usize);
                        let change = Change::Write {
                            offset,
                            bytes: rest[..len].to_vec(),
                        };
                        self.unsynced.push(Unsynced {
                            change,
                            by: it.by,
                            dropped: true,
                        });
                        offset += len as u64;
                        rest = &rest[len..];
                    }
                }
                _ => self.unsynced.push(it),
            }
        }
    }

    /// What a loss of power may take, in order.
    pub(super) fn at_risk(&self) -> impl DoubleEndedIterator<Item = &Unsynced> + Clone {
        self.unsynced.iter().filter(|unsynced| !unsynced.dropped)
    }

    /// How many bytes a failed sync has let go of.
    pub(super) fn dropped_bytes(&self) -> u64 {
        let bytes = |unsynced: &Unsynced| match &unsynced.change {
            Change::Write { bytes, .. } if unsynced.dropped => bytes.len() as u64,
            _ => 0,
        };
        self.unsynced.iter().map(bytes).sum()
    }

    /// How the file may fare, the kind way first. Nothing, if there is nothing to lose.
    pub(super) fn losses(&self) -> Vec<Loss> {
        let count = self.at_risk().count();
        let Some(last) = self.at_risk().next_back() else {
            return Vec::new();
        };
        let mut losses = vec![Loss::Kept, Loss::Lost];
        if count > 1 {
            losses.push(Loss::LastLost);
        }
        let sectors = last.change.sectors();
        losses.extend(torn(sectors).map(|(word, first)| Loss::Torn(word, first)));
        if sectors > 1 {
            losses.push(Loss::Tail);
        }
        if self.grows_last() {
            losses.push(Loss::Zeros);
        }
        if count > 1 {
            losses.push(Loss::FirstLost);
        }
        if count > 1 || sectors > 2 {
            losses.push(Loss::Apart);
        }
        losses
    }

    /// Whether the last change is a write that makes the file longer.
    fn grows_last(&self) -> bool {
        let mut len = self.durable.len();
        let mut grows = false;
        for unsynced in self.at_risk() {
            match &unsynced.change {
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len() as u64;
                    grows = end > len;
                    len = len.max(end);
                }
                Change::SetLen(new) => {
                    grows = false;
                    len = *new;
                }
            }
        }
        grows
    }

    /// How each change fares, if the file fares like that. (For [`Loss::Apart`], as the kind have it.)
    pub(super) fn fates(&self, loss: Loss) -> Vec<Fate> {
        let count = self.at_risk().count();
        let all = |fate: Fate| vec![fate; count];
        let last = |fate: Fate| {
            let mut fates = all(Fate::Kept);
            fates[count - 1] = fate;
            fates
        };
        match loss {
            Loss::Kept | Loss::Apart => all(Fate::Kept),
            Loss::Lost => all(Fate::Lost),
            Loss::LastLost => last(Fate::Lost),
            Loss::Torn(_, first) => last(Fate::First(first)),
            Loss::Tail => last(Fate::Last),
            Loss::Zeros => last(Fate::Length),
            Loss::FirstLost => {
                let mut fates = all(Fate::Kept);
                fates[0] = match self.at_risk().next().map(|it| &it.change) {
                    Some(Change::Write { .. }) => Fate::Length,
                    _ => Fate::Lost,
                };
                fates
            }
        }
    }

    /// What is left, if what is at risk fares like that.
    ///
    /// The length is one thing, with a history: what of it is kept is kept up to some point and not
    /// beyond, as a journal has it. Sectors are independent of it and of each other; but those beyond
    /// the length, and those of blocks that a lost change of length would have freed, are gone.
    pub(super) fn left<'f>(&self, fate: impl Fn(usize) -> &'f Fate) -> Data {
        self.onto(self.durable.clone(), fate)
    }

    fn onto<'f>(&self, mut left: Data, fate: impl Fn(usize) -> &'f Fate) -> Data {
        // As those who wrote saw it.
        let mut len = left.len();
        // Nothing from here on is kept any more.
        let mut limit = u64::MAX;
        let mut at = 0;
        for unsynced in &self.unsynced {
            let fate = if unsynced.dropped {
                None
            } else {
                at += 1;
                Some(fate(at - 1))
            };
            match &unsynced.change {
                Change::SetLen(new) => {
                    if fate == Some(&Fate::Kept) && limit == u64::MAX {
                        left.set_len(*new);
                    } else {
                        limit = limit.min(len).min(*new);
                    }
                    len = *new;
                }
                Change::Write { offset, bytes } => {
                    let end = offset + bytes.len() as u64;
                    if let Some(fate) = fate {
                        let first = offset / SECTOR;
                        let reached = match fate {
                            Fate::Lost => *offset,
                            Fate::First(count) => ((first + count) * SECTOR).min(end),
                            _ => end,
                        };
                        let sectors = unsynced.change.sectors();
                        for sector in 0..sectors {
                            let kept = match fate {
                                Fate::Kept => true,
                                Fate::Lost | Fate::Length => false,
                                Fate::First(count) => sector < *count,
                                Fate::Last => sector == sectors - 1,
                                Fate::Each(kept) => {
                                    kept.get(sector as usize).copied().unwrap_or(true)
                                }
                            };
                            let from = ((first + sector) * SECTOR).max(*offset);
                            let to = ((first + sector + 1) * SECTOR).min(end).min(limit);
                            if kept && from < to {
                                let part = &bytes[(from - offset) as usize..(to - offset) as usize];
                                left.write(from, part.len(), |into| into.copy_from_slice(part));
                            }
                        }
                        if end > len {
                            if limit == u64::MAX && reached > left.len() {
                                left.set_len(reached);
                            }
                            if reached < end {
                                limit = limit.min(reached.max(len));
                            }
                        }
                    }
                    len = len.max(end);
                }
            }
        }
        left
    }
}

impl Unsynced {
    /// How it may fare by itself.
    pub(super) fn fates(&self) -> Vec<(&'static str, Fate)> {
        let sectors = self.change.sectors();
        let mut fates = vec![("kept", Fate::Kept), ("lost", Fate::Lost)];
        fates.extend(torn(sectors).map(|(word, first)| (word, Fate::First(first))));
        if sectors > 1 {
            fates.push(("tail", Fate::Last));
        }
        if sectors > 0 {
            fates.push(("zeros", Fate::Length));
        }
        if sectors > 2 {
            fates.push(("each", Fate::Each(vec![true; sectors as usize])));
        }
        fates
    }

    /// How many of its bytes are kept.
    pub(super) fn kept_bytes(&self, fate: &Fate) -> (u64, u64) {
        let Change::Write { offset, bytes } = &self.change else {
            return (0, 0);
        };
        let (len, end) = (bytes.len() as u64, offset + bytes.len() as u64);
        let kept = match fate {
            Fate::Kept => len,
            Fate::Lost | Fate::Length => 0,
            Fate::First(count) => ((offset / SECTOR + count) * SECTOR).min(end) - offset,
            Fate::Last => end - ((end - 1) / SECTOR * SECTOR).max(*offset),
            Fate::Each(kept) => (0u64..)
                .zip(kept)
                .filter(|(_, kept)| **kept)
                .map(|(at, _)| {
                    let sector = offset / SECTOR + at;
                    ((sector + 1) * SECTOR).min(end) - (sector * SECTOR).max(*offset)
                })
                .sum(),
        };
        (kept, len)
    }
}

/// The classes of a torn write: one sector, half of them, all but one. None twice.
fn torn(sectors: u64) -> impl Iterator<Item = (&'static str, u64)> {
    let classes = [
        ("torn-1", 1),
        ("torn-half", sectors / 2),
        ("torn-n-1", sectors.saturating_sub(1)),
    ];
    (0..3).filter_map(move |at| {
        let (word, first) = classes[at];
        let is_new = classes[..at].iter().all(|&(_, other)| other != first);
        (first > 0 && first < sectors && is_new).then_some((word, first))
    })
}
