//! Files: how much a transfer moves, and what may fail.

use super::Evidence::{Linux, Man, Microsoft, Test};
use super::{Does, Evidence, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;
use crate::sim::errno;

/// The first outcome of the transitions that are errors only.
const fn no_error(evidence: &'static [Evidence]) -> OutcomeClass {
    OutcomeClass::new("ok", "no error", Does::Go, Personalities::EVERY, evidence)
}

/// A cancel may come between the two, and others may see the first without the second.
const IN_PARTS: OutcomeClass = OutcomeClass::new(
    "parts",
    "in two parts",
    Does::Part,
    Personalities::RING,
    &[
        Linux("io_uring/rw.c", "need_complete_io"),
        Linux("io_uring/rw.c", "io_rw_fail"),
    ],
);

const SHORT_READ: &[Evidence] = &[Man("read(2)"), Linux("io_uring/rw.c", "io_fixup_rw_res")];
const SHORT_WRITE: &[Evidence] = &[Man("write(2)"), Linux("io_uring/rw.c", "io_fixup_rw_res")];
const EIO: &str = "input/output error";

pub(super) const OPEN_ERROR: Transition = Transition::new(
    "open",
    StepKind::Effect,
    Some(Site::FileError),
    &["open"],
    "always",
    &[
        no_error(&[Man("open(2)")]),
        OutcomeClass::fault(
            "emfile",
            "too many open files",
            Does::Error(errno::EMFILE),
            Personalities::UNIX,
            &[
                Man("open(2)"),
                Test("without_a_descriptor_operations_fail_and_a_connection_stays_in_its_backlog"),
            ],
        ),
        OutcomeClass::fault(
            "enfile",
            "too many open files in the system",
            Does::Error(errno::ENFILE),
            Personalities::UNIX,
            &[Man("open(2)")],
        ),
    ],
);

pub(super) const READ_ERROR: Transition = Transition::new(
    "read error",
    StepKind::Effect,
    Some(Site::FileError),
    &["read_at"],
    "of at least one byte, from a file that is open for it",
    &[
        no_error(&[Man("pread(2)")]),
        OutcomeClass::fault(
            "eio",
            EIO,
            Does::Error(errno::EIO),
            Personalities::EVERY,
            &[Man("read(2)")],
        ),
    ],
);

pub(super) const WRITE_ERROR: Transition = Transition::new(
    "write error",
    StepKind::Effect,
    Some(Site::FileError),
    &["write_at"],
    "of at least one byte, to a file that is open for it",
    &[
        no_error(&[Man("pwrite(2)")]),
        OutcomeClass::fault(
            "eio",
            EIO,
            Does::Error(errno::EIO),
            Personalities::EVERY,
            &[Man("write(2)")],
        ),
        OutcomeClass::fault(
            "enospc",
            "no space left",
            Does::Error(errno::ENOSPC),
            Personalities::EVERY,
            &[Man("write(2)")],
        ),
    ],
);

pub(super) const SYNC_ERROR: Transition = Transition::new(
    "sync error",
    StepKind::Effect,
    Some(Site::FileError),
    &["sync"],
    "of a file",
    &[
        no_error(&[Man("fsync(2)")]),
        OutcomeClass::fault(
            "eio",
            EIO,
            Does::Error(errno::EIO),
            Personalities::EVERY,
            &[Man("fsync(2)"), Microsoft("FlushFileBuffers function")],
        ),
        OutcomeClass::fault(
            "enospc",
            "no space left",
            Does::Error(errno::ENOSPC),
            Personalities::UNIX,
            &[Man("fsync(2)")],
        ),
    ],
);

pub(super) const READ: Transition = Transition::new(
    "read",
    StepKind::Effect,
    Some(Site::ReadSize),
    &["read_at"],
    "the file has n bytes at the offset that fit the buffer",
    &[
        OutcomeClass::full(&[Man("pread(2)")]),
        OutcomeClass::short(Does::One, Personalities::UNIX, SHORT_READ),
        OutcomeClass::short(Does::Half, Personalities::UNIX, SHORT_READ),
        OutcomeClass::short(Does::ButOne, Personalities::UNIX, SHORT_READ),
        IN_PARTS,
    ],
);

pub(super) const WRITE: Transition = Transition::new(
    "write",
    StepKind::Effect,
    Some(Site::WriteSize),
    &["write_at"],
    "n bytes are written to a file",
    &[
        OutcomeClass::full(&[Man("pwrite(2)")]),
        OutcomeClass::short(Does::One, Personalities::UNIX, SHORT_WRITE),
        OutcomeClass::short(Does::Half, Personalities::UNIX, SHORT_WRITE),
        OutcomeClass::short(Does::ButOne, Personalities::UNIX, SHORT_WRITE),
        IN_PARTS,
    ],
);
