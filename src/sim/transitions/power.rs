//! The power is lost: when, and what is left of what was not synced.

use super::Evidence::{Linux, Man, Other};
use super::{Does, Evidence, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

const fn way(
    word: &'static str,
    label: &'static str,
    does: Does,
    evidence: &'static [Evidence],
) -> OutcomeClass {
    OutcomeClass::new(word, label, does, Personalities::EVERY, evidence)
}

const OSDI: Evidence =
    Other("Pillai et al., All file systems are not created equal, OSDI 2014, table 1");
const ANY_ORDER: &[Evidence] = &[
    OSDI,
    Other("TigerBeetle, src/testing/storage.zig"),
    Other("FoundationDB, fdbrpc/AsyncFileNonDurable.actor.h"),
];
const SYNCED_OR_NOT: &[Evidence] = &[Man("fsync(2)"), Man("write(2)")];
const ZEROS: &[Evidence] = &[
    OSDI,
    Linux("fs/ext4/inode.c", "ext4_da_write_end"),
    Other("Documentation/filesystems/ext4/ifork.rst: unwritten extents"),
];
const NAMES: &[Evidence] = &[Man("fsync(2)"), OSDI];

pub(super) const POWER_LOSS: Transition = Transition::new(
    "power loss",
    StepKind::Power,
    Some(Site::Crash),
    &[],
    "asked for, the disk has changed since the machine was booted, and it has changed again or something has completed \
     since this was asked last",
    &[
        way("on", "the power stays on", Does::Go, SYNCED_OR_NOT),
        way(
            "lost",
            "power lost before this is heard of",
            Does::PowerLost,
            SYNCED_OR_NOT,
        ),
    ],
);

pub(super) const LOSE_FILE: Transition = Transition::new(
    "fate of a file",
    StepKind::Power,
    Some(Site::Loss),
    &[],
    "the power is lost, and the file was changed since its last sync",
    &[
        way("kept", "all of it is kept", Does::Go, SYNCED_OR_NOT),
        way(
            "lost",
            "all that was not synced is lost",
            Does::Lose,
            SYNCED_OR_NOT,
        ),
        way("last", "the last change is lost", Does::Lose, SYNCED_OR_NOT),
        way(
            "torn-1",
            "of the last write the first sector is kept",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "torn-half",
            "the first half of its sectors",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "torn-n-1",
            "all its sectors but the last",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "tail",
            "of the last write only the last sector is kept",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "zeros",
            "of the last write only the length is kept",
            Does::Lose,
            ZEROS,
        ),
        way(
            "first",
            "the first change is lost, and no later one",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "apart",
            "each change fares on its own",
            Does::Lose,
            ANY_ORDER,
        ),
    ],
);

pub(super) const LOSE_CHANGE: Transition = Transition::new(
    "fate of a change",
    StepKind::Power,
    Some(Site::Loss),
    &[],
    "the power is lost, and the changes of the file fare apart",
    &[
        way("kept", "it is kept", Does::Go, SYNCED_OR_NOT),
        way("lost", "it is lost", Does::Lose, ANY_ORDER),
        way("torn-1", "its first sector is kept", Does::Lose, ANY_ORDER),
        way(
            "torn-half",
            "the first half of its sectors",
            Does::Lose,
            ANY_ORDER,
        ),
        way(
            "torn-n-1",
            "all its sectors but the last",
            Does::Lose,
            ANY_ORDER,
        ),
        way("tail", "its last sector only", Does::Lose, ANY_ORDER),
        way("zeros", "its length only", Does::Lose, ZEROS),
        way(
            "each",
            "each of its sectors fares on its own",
            Does::Lose,
            ANY_ORDER,
        ),
    ],
);

pub(super) const LOSE_NAMES: Transition = Transition::new(
    "fate of the names",
    StepKind::Power,
    Some(Site::Loss),
    &[],
    "the power is lost, and names were made, changed or removed since the last sync of their directories",
    &[
        way("kept", "all changes are kept", Does::Go, NAMES),
        way("lost", "all are lost", Does::Lose, NAMES),
        way("last", "the last one is lost", Does::Lose, NAMES),
        way(
            "first",
            "the first one is lost, and what builds on it",
            Does::Lose,
            NAMES,
        ),
        way("apart", "each fares on its own", Does::Lose, NAMES),
    ],
);

pub(super) const LOSE_ONE: Transition = Transition::new(
    "fate of a sector or a name",
    StepKind::Power,
    Some(Site::Loss),
    &[],
    "the power is lost, and they fare apart",
    &[
        way("kept", "it is kept", Does::Go, SYNCED_OR_NOT),
        way("lost", "it is lost", Does::Lose, ANY_ORDER),
    ],
);
