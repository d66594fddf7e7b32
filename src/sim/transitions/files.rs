//! Files: how much a transfer moves, and what may fail.

use super::Evidence::{Linux, Man, Microsoft, Other, Test};
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
/// An error of a Unix system call, as its manual page lists it.
const fn error(
    word: &'static str,
    label: &'static str,
    number: i32,
    evidence: &'static [Evidence],
) -> OutcomeClass {
    OutcomeClass::fault(
        word,
        label,
        Does::Error(number),
        Personalities::UNIX,
        evidence,
    )
}

const EIO: &str = "input/output error";
const ENOSPC: &str = "no space left";

pub(super) const OPEN_ERROR: Transition = Transition::new(
    "open",
    StepKind::Effect,
    Some(Site::FileError),
    &["open"],
    "of a file that need not be made",
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
    &["write_at", "append"],
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
            ENOSPC,
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
    "of a directory, or of a file of which nothing waits to be written",
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
    &["write_at", "append"],
    "n bytes are written to a file",
    &[
        OutcomeClass::full(&[Man("pwrite(2)")]),
        OutcomeClass::short(Does::One, Personalities::UNIX, SHORT_WRITE),
        OutcomeClass::short(Does::Half, Personalities::UNIX, SHORT_WRITE),
        OutcomeClass::short(Does::ButOne, Personalities::UNIX, SHORT_WRITE),
        IN_PARTS,
    ],
);

pub(super) const CREATE_ERROR: Transition = Transition::new(
    "create",
    StepKind::Effect,
    Some(Site::FileError),
    &["open"],
    "of a file that is made if it is not there",
    &[
        no_error(&[Man("open(2)")]),
        error(
            "emfile",
            "too many open files",
            errno::EMFILE,
            &[Man("open(2)")],
        ),
        error("enospc", ENOSPC, errno::ENOSPC, &[Man("open(2)")]),
        error(
            "enfile",
            "too many open files in the system",
            errno::ENFILE,
            &[Man("open(2)")],
        ),
    ],
);

pub(super) const SET_LEN_ERROR: Transition = Transition::new(
    "set_len error",
    StepKind::Effect,
    Some(Site::FileError),
    &["set_len"],
    "of a file that is open for writing",
    &[
        no_error(&[Man("ftruncate(2)")]),
        error("eio", EIO, errno::EIO, &[Man("ftruncate(2)")]),
    ],
);

pub(super) const RENAME_ERROR: Transition = Transition::new(
    "rename error",
    StepKind::Effect,
    Some(Site::FileError),
    &["rename"],
    "always",
    &[
        no_error(&[Man("rename(2)")]),
        error("enospc", ENOSPC, errno::ENOSPC, &[Man("rename(2)")]),
    ],
);

pub(super) const REMOVE_ERROR: Transition = Transition::new(
    "remove error",
    StepKind::Effect,
    Some(Site::FileError),
    &["remove"],
    "always",
    &[
        no_error(&[Man("unlink(2)")]),
        error("eio", EIO, errno::EIO, &[Man("unlink(2)")]),
    ],
);

pub(super) const CREATE_DIR_ERROR: Transition = Transition::new(
    "create_dir error",
    StepKind::Effect,
    Some(Site::FileError),
    &["create_dir"],
    "always",
    &[
        no_error(&[Man("mkdir(2)")]),
        error("enospc", ENOSPC, errno::ENOSPC, &[Man("mkdir(2)")]),
    ],
);

pub(super) const SYNC_DIRTY_ERROR: Transition = Transition::new(
    "error of a sync with work",
    StepKind::Effect,
    Some(Site::FileError),
    &["sync"],
    "of a file that was changed since its last sync",
    &[
        no_error(&[Man("fsync(2)")]),
        error(
            "eio",
            "input/output error; what was to be written still waits",
            errno::EIO,
            &[Man("fsync(2)")],
        ),
        OutcomeClass::fault(
            "dropped",
            "input/output error; what was to be written is let go of, and the next sync succeeds",
            Does::Lose,
            Personalities::UNIX,
            &[
                Man("fsync(2)"),
                Linux("fs/buffer.c", "end_buffer_async_write"),
                Other("J. Corbet, PostgreSQL's fsync() surprise, LWN 752063"),
                Other("Rebello et al., Can applications recover from fsync failures?, ATC 2020"),
            ],
        ),
    ],
);
