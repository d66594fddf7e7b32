//! The results that the state of things decides: what an operation ends with if nothing is chosen.
//!
//! Every result that the kernel gives is one of these, or an error of a transition with a choice, or
//! ECANCELED; a debug build checks that ([`Kernel::witness`]).

use super::Evidence::{Linux, Man, Test};
use super::{Does, Evidence, OutcomeClass, Personalities, Rule, StepKind, TABLE, Transition};
use crate::sim::errno;
use crate::sim::kernel::Kernel;
use crate::sim::op::{NONBLOCK, Verb};

/// The transition with the results of a verb.
const fn of(verb: Verb) -> Rule {
    match verb {
        Verb::Recv => Rule::RecvResult,
        Verb::Send => Rule::SendResult,
        Verb::Accept => Rule::AcceptResult,
        Verb::Connect => Rule::ConnectResult,
        Verb::Shutdown => Rule::ShutdownResult,
        Verb::ReadAt => Rule::ReadResult,
        Verb::WriteAt => Rule::WriteResult,
        Verb::Append => Rule::AppendResult,
        Verb::SetLen => Rule::SetLenResult,
        Verb::Open => Rule::OpenResult,
        Verb::Rename | Verb::Remove | Verb::CreateDir => Rule::NameResult,
        Verb::Sync => Rule::SyncResult,
        Verb::Length => Rule::LengthResult,
        Verb::Wait => Rule::Event,
        Verb::Timer | Verb::Nop | Verb::Job => Rule::OtherResult,
    }
}

impl Kernel {
    /// Looks up the result of an operation that is over, and remembers the row.
    ///
    /// # Panics
    ///
    /// If there is none: the kernel does what its transitions do not allow.
    pub(in crate::sim) fn witness(&mut self, id: u32) {
        let op = &self.m.ops[id as usize];
        let (verb, result) = (op.verb, op.result);
        let does = match result {
            error if error == -errno::ECANCELED => return,
            // Of a call that does not wait, on the readiness face.
            error if error == -errno::EAGAIN && op.flags & NONBLOCK != 0 => return,
            error if error < 0 => Does::Error(-error),
            _ if matches!(verb, Verb::Accept | Verb::Open) => Does::Handle,
            0 => Does::Zero,
            _ => Does::Count,
        };
        let personality = self.config.personality;
        let rule = of(verb);
        let is_it = |row: &OutcomeClass| row.does == does && row.personalities.has(personality);
        if let Some(row) = rule.transition().outcomes.iter().position(is_it) {
            return self.decider.coverage.takes(rule, row);
        }
        let chosen = |transition: &Transition| {
            transition.operations.contains(&verb.name()) && transition.outcomes.iter().any(is_it)
        };
        assert!(
            TABLE.iter().any(|(_, transition)| chosen(transition)),
            "{} {} is no row of the transitions for the personality `{personality}`",
            self.m.describe(id),
            self.outcome(id),
        );
    }
}

/// A transition without a choice: the state says which of the results it is.
const fn results(
    name: &'static str,
    operations: &'static [&'static str],
    condition: &'static str,
    outcomes: &'static [OutcomeClass],
) -> Transition {
    Transition::new(
        name,
        StepKind::Effect,
        None,
        operations,
        condition,
        outcomes,
    )
}

const fn row(
    word: &'static str,
    label: &'static str,
    does: Does,
    evidence: &'static [Evidence],
) -> OutcomeClass {
    OutcomeClass::new(word, label, does, Personalities::EVERY, evidence)
}

pub(super) const RECV: Transition = results(
    "recv: result",
    &["recv"],
    "bytes are queued, or none will come, or the buffer is empty",
    &[
        row(
            "bytes",
            "1 to n bytes: what is queued, or less of it (see `recv`)",
            Does::Count,
            &[
                Man("recv(2)"),
                Test("bytes_come_in_order_and_whole_or_an_error_says_otherwise"),
            ],
        ),
        row(
            "zero",
            "0: the peer has ended its side, this side has shut down reading, the buffer is empty, or the connection is dead and has told its error",
            Does::Zero,
            &[
                Man("recv(2)"),
                Linux("net/ipv4/tcp.c", "tcp_recvmsg_locked"),
                Test("a_stream_that_ended_stays_at_its_end"),
            ],
        ),
        row(
            "econnreset",
            "the connection was reset; told once",
            Does::Error(errno::ECONNRESET),
            &[
                Linux("net/ipv4/tcp_input.c", "tcp_reset"),
                Test("a_reset_is_not_an_end_of_file"),
            ],
        ),
        row(
            "enotconn",
            "the socket is not connected",
            Does::Error(errno::ENOTCONN),
            &[Man("recv(2)")],
        ),
        row(
            "enotsock",
            "it is a file or an event",
            Does::Error(errno::ENOTSOCK),
            &[Man("recv(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("recv(2)")],
        ),
        row(
            "etimedout",
            "what was sent stayed unanswered until the kernel gave up; told once",
            Does::Error(errno::ETIMEDOUT),
            &[
                Man("tcp(7)"),
                Linux("net/ipv4/tcp_timer.c", "tcp_write_err"),
            ],
        ),
    ],
);

pub(super) const SEND: Transition = results(
    "send: result",
    &["send"],
    "there is room, or the connection is over for the sender, or the buffer is empty",
    &[
        row(
            "bytes",
            "1 to n bytes: what fits, or less of it (see `send`)",
            Does::Count,
            &[
                Man("send(2)"),
                Test("a_write_waits_while_the_peer_does_not_read"),
            ],
        ),
        row(
            "zero",
            "0: there was nothing to send",
            Does::Zero,
            &[
                Man("send(2)"),
                Test("an_empty_write_moves_nothing_and_is_ok"),
            ],
        ),
        row(
            "econnreset",
            "the connection was reset; told once",
            Does::Error(errno::ECONNRESET),
            &[Man("send(2)"), Linux("net/ipv4/tcp_input.c", "tcp_reset")],
        ),
        row(
            "epipe",
            "this side has shut down writing, or the connection is dead, or was never one",
            Does::Error(errno::EPIPE),
            &[
                Man("send(2)"),
                Linux("net/ipv4/tcp.c", "tcp_sendmsg_locked"),
                Test("a_stream_that_is_not_connected_any_more_says_so"),
            ],
        ),
        row(
            "enotsock",
            "it is a file or an event",
            Does::Error(errno::ENOTSOCK),
            &[Man("send(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("send(2)")],
        ),
        row(
            "etimedout",
            "what was sent stayed unanswered until the kernel gave up; told once",
            Does::Error(errno::ETIMEDOUT),
            &[
                Man("tcp(7)"),
                Linux("net/ipv4/tcp_timer.c", "tcp_write_err"),
            ],
        ),
    ],
);

pub(super) const ACCEPT: Transition = results(
    "accept: result",
    &["accept"],
    "a connection stands in the backlog, or none ever will",
    &[
        row(
            "stream",
            "the connection that stands there longest",
            Does::Handle,
            &[
                Man("accept(2)"),
                Linux("net/ipv4/inet_connection_sock.c", "inet_csk_accept"),
                Test("accepts_that_wait_each_get_one_connection"),
            ],
        ),
        row(
            "einval",
            "the socket does not listen, or does no more",
            Does::Error(errno::EINVAL),
            &[
                Man("accept(2)"),
                Linux("net/ipv4/inet_connection_sock.c", "inet_csk_accept"),
            ],
        ),
        row(
            "enotsock",
            "it is a file or an event",
            Does::Error(errno::ENOTSOCK),
            &[Man("accept(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("accept(2)")],
        ),
    ],
);

pub(super) const CONNECT: Transition = results(
    "connect: result",
    &["connect"],
    "somebody listens with room in the backlog, or nobody listens, or the time for it is over",
    &[
        row(
            "connected",
            "connected: before anybody accepts",
            Does::Zero,
            &[
                Man("listen(2)"),
                Linux("net/ipv4/tcp_input.c", "tcp_rcv_synsent_state_process"),
                Test("connections_wait_to_be_accepted_up_to_the_backlog"),
            ],
        ),
        row(
            "econnrefused",
            "nobody listens at the address",
            Does::Error(errno::ECONNREFUSED),
            &[
                Man("connect(2)"),
                Test("nobody_listens_is_a_refused_connection"),
            ],
        ),
        row(
            "etimedout",
            "the backlog stayed full, or nobody answered, for 127 s",
            Does::Error(errno::ETIMEDOUT),
            &[Man("connect(2)"), Man("tcp(7)")],
        ),
        row(
            "ehostunreach",
            "the neighbour whose address it is does not answer",
            Does::Error(errno::EHOSTUNREACH),
            &[Man("connect(2)"), Man("arp(7)")],
        ),
        row(
            "enetunreach",
            "there is no way to the address: it is nobody's",
            Does::Error(errno::ENETUNREACH),
            &[Man("connect(2)")],
        ),
        row(
            "ealready",
            "an attempt is under way on the socket",
            Does::Error(errno::EALREADY),
            &[Man("connect(2)")],
        ),
        row(
            "eisconn",
            "the socket is connected, or listens",
            Does::Error(errno::EISCONN),
            &[Man("connect(2)")],
        ),
        row(
            "enotsock",
            "it is a file or an event",
            Does::Error(errno::ENOTSOCK),
            &[Man("connect(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("connect(2)")],
        ),
    ],
);

pub(super) const SHUTDOWN: Transition = results(
    "shutdown: result",
    &["shutdown"],
    "always",
    &[
        row(
            "done",
            "done; of a listener: it listens no more",
            Does::Zero,
            &[
                Man("shutdown(2)"),
                Linux("net/ipv4/af_inet.c", "inet_shutdown"),
                Test("after_half_a_shutdown_the_other_direction_goes_on"),
            ],
        ),
        row(
            "enotconn",
            "the socket is not connected, or its connection is dead",
            Does::Error(errno::ENOTCONN),
            &[
                Man("shutdown(2)"),
                Linux("net/ipv4/af_inet.c", "inet_shutdown"),
            ],
        ),
        row(
            "einval",
            "neither reading nor writing is meant",
            Does::Error(errno::EINVAL),
            &[Man("shutdown(2)")],
        ),
        row(
            "enotsock",
            "it is a file or an event",
            Does::Error(errno::ENOTSOCK),
            &[Man("shutdown(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("shutdown(2)")],
        ),
    ],
);

pub(super) const READ: Transition = results(
    "read_at: result",
    &["read_at"],
    "always",
    &[
        row(
            "bytes",
            "1 to n bytes: what the file has there, or less of it (see `read`)",
            Does::Count,
            &[
                Man("pread(2)"),
                Test("what_is_written_at_an_offset_is_read_there"),
            ],
        ),
        row(
            "zero",
            "0: the file ends before that, or the buffer is empty",
            Does::Zero,
            &[Man("pread(2)"), Test("a_read_past_the_end_finds_nothing")],
        ),
        row(
            "eisdir",
            "it is a directory",
            Does::Error(errno::EISDIR),
            &[Man("read(2)"), Test("a_directory_is_no_file")],
        ),
        row(
            "einval",
            "the offset is beyond what any file has",
            Does::Error(errno::EINVAL),
            &[
                Man("pread(2)"),
                Test("an_offset_that_no_file_has_is_an_error_and_no_wrap"),
            ],
        ),
        row(
            "espipe",
            "it is a socket or an event",
            Does::Error(errno::ESPIPE),
            &[Man("pread(2)")],
        ),
        row(
            "ebadf",
            "the file is not open for reading, or the handle is closed",
            Does::Error(errno::EBADF),
            &[Man("read(2)"), Test("a_file_is_opened_for_what_was_said")],
        ),
    ],
);

pub(super) const WRITE: Transition = results(
    "write_at: result",
    &["write_at"],
    "always",
    &[
        row(
            "bytes",
            "1 to n bytes (see `write`)",
            Does::Count,
            &[
                Man("pwrite(2)"),
                Test("what_is_written_at_an_offset_is_read_there"),
            ],
        ),
        row(
            "zero",
            "0: there was nothing to write",
            Does::Zero,
            &[Man("write(2)")],
        ),
        row(
            "efbig",
            "the file would become too large: 1 GiB",
            Does::Error(errno::EFBIG),
            &[Man("write(2)")],
        ),
        row(
            "enospc",
            "the disk is full",
            Does::Error(errno::ENOSPC),
            &[Man("write(2)")],
        ),
        row(
            "einval",
            "the offset is beyond what any file has",
            Does::Error(errno::EINVAL),
            &[Man("pwrite(2)")],
        ),
        row(
            "espipe",
            "it is a socket or an event",
            Does::Error(errno::ESPIPE),
            &[Man("pwrite(2)")],
        ),
        row(
            "ebadf",
            "the file is not open for writing, or the handle is closed",
            Does::Error(errno::EBADF),
            &[Man("write(2)"), Test("a_file_is_opened_for_what_was_said")],
        ),
    ],
);

pub(super) const OPEN: Transition = results(
    "open: result",
    &["open"],
    "always",
    &[
        row("file", "the file", Does::Handle, &[Man("open(2)")]),
        row(
            "enoent",
            "there is no such file, or no such directory above it",
            Does::Error(errno::ENOENT),
            &[
                Man("open(2)"),
                Test("a_file_that_is_not_there_is_not_found"),
            ],
        ),
        row(
            "eacces",
            "it may not be opened, or a directory above it not searched",
            Does::Error(errno::EACCES),
            &[
                Man("open(2)"),
                Test("a_file_that_may_not_be_read_is_permission_denied"),
            ],
        ),
        row(
            "eexist",
            "it exists, and was to be created",
            Does::Error(errno::EEXIST),
            &[
                Man("open(2)"),
                Test("create_new_makes_and_never_takes_what_is_there"),
            ],
        ),
        row(
            "enotdir",
            "what stands above it is no directory",
            Does::Error(errno::ENOTDIR),
            &[Man("open(2)")],
        ),
        row(
            "eisdir",
            "it is a directory, and was to be written",
            Does::Error(errno::EISDIR),
            &[Man("open(2)")],
        ),
        row(
            "einval",
            "the options contradict each other",
            Does::Error(errno::EINVAL),
            &[
                Man("open(2)"),
                Test("options_that_make_no_sense_are_invalid_input"),
            ],
        ),
        row(
            "enametoolong",
            "the path or a name in it is too long",
            Does::Error(errno::ENAMETOOLONG),
            &[Man("path_resolution(7)")],
        ),
    ],
);

pub(super) const SYNC: Transition = results(
    "sync: result",
    &["sync"],
    "always",
    &[
        row("done", "done", Does::Zero, &[Man("fsync(2)")]),
        row(
            "eio",
            "an earlier sync failed, of another handle of the file; told once",
            Does::Error(errno::EIO),
            &[
                Man("fsync(2)"),
                Linux("lib/errseq.c", "errseq_check_and_advance"),
            ],
        ),
        row(
            "einval",
            "it is a socket or an event",
            Does::Error(errno::EINVAL),
            &[Man("fsync(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("fsync(2)")],
        ),
    ],
);

pub(super) const LENGTH: Transition = results(
    "length: result",
    &["length"],
    "always",
    &[
        row(
            "done",
            "the length stands in the buffer",
            Does::Zero,
            &[Man("statx(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("statx(2)")],
        ),
    ],
);

pub(super) const OTHER: Transition = results(
    "timer, nop: result",
    &["timer", "nop", "job"],
    "at once, or when the deadline has come",
    &[row(
        "done",
        "done",
        Does::Zero,
        &[Man("io_uring_enter(2)"), Test("a_sleep_never_ends_early")],
    )],
);

pub(super) const APPEND: Transition = results(
    "append: result",
    &["append"],
    "always",
    &[
        row(
            "bytes",
            "1 to n bytes, at the end of the file (see `write`)",
            Does::Count,
            &[
                Man("pwritev2(2)"),
                Test("an_append_goes_to_the_end_whoever_else_appends"),
            ],
        ),
        row(
            "zero",
            "0: there was nothing to write",
            Does::Zero,
            &[Man("write(2)")],
        ),
        row(
            "efbig",
            "the file is as large as one gets: 1 GiB",
            Does::Error(errno::EFBIG),
            &[Man("write(2)")],
        ),
        row(
            "enospc",
            "the disk is full",
            Does::Error(errno::ENOSPC),
            &[Man("write(2)")],
        ),
        row(
            "espipe",
            "it is a socket or an event",
            Does::Error(errno::ESPIPE),
            &[Man("pwrite(2)")],
        ),
        row(
            "ebadf",
            "the file is not open for writing, or the handle is closed",
            Does::Error(errno::EBADF),
            &[
                Man("write(2)"),
                Test("a_file_opened_for_appending_is_written_at_its_end_alone"),
            ],
        ),
    ],
);

pub(super) const SET_LEN: Transition = results(
    "set_len: result",
    &["set_len"],
    "always",
    &[
        row(
            "done",
            "done",
            Does::Zero,
            &[
                Man("ftruncate(2)"),
                Test("a_length_cuts_and_fills_with_zeros"),
            ],
        ),
        row(
            "einval",
            "it is not open for writing, or no file, or no file is so long",
            Does::Error(errno::EINVAL),
            &[
                Man("ftruncate(2)"),
                Test("a_length_cuts_and_fills_with_zeros"),
            ],
        ),
        row(
            "efbig",
            "the file would become too large: 1 GiB",
            Does::Error(errno::EFBIG),
            &[Man("ftruncate(2)")],
        ),
        row(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            &[Man("ftruncate(2)")],
        ),
    ],
);

pub(super) const NAME: Transition = results(
    "rename, remove, create_dir: result",
    &["rename", "remove", "create_dir"],
    "always",
    &[
        row(
            "done",
            "done",
            Does::Zero,
            &[
                Man("rename(2)"),
                Test("directories_are_made_renamed_synced_and_removed"),
                Test("the_simulated_file_system_does_what_the_real_one_does"),
            ],
        ),
        row(
            "enoent",
            "there is nothing of that name, or no directory above it",
            Does::Error(errno::ENOENT),
            &[Man("unlink(2)"), Test("a_rename_moves_and_replaces")],
        ),
        row(
            "eexist",
            "there is something of that name",
            Does::Error(errno::EEXIST),
            &[
                Man("mkdir(2)"),
                Test("directories_are_made_renamed_synced_and_removed"),
            ],
        ),
        row(
            "enotempty",
            "the directory is not empty",
            Does::Error(errno::ENOTEMPTY),
            &[
                Man("rmdir(2)"),
                Test("directories_are_made_renamed_synced_and_removed"),
            ],
        ),
        row(
            "enotdir",
            "what should be a directory is none",
            Does::Error(errno::ENOTDIR),
            &[
                Man("rmdir(2)"),
                Test("names_that_make_no_sense_are_refused"),
            ],
        ),
        row(
            "eisdir",
            "it is a directory, and should be none",
            Does::Error(errno::EISDIR),
            &[
                Man("unlink(2)"),
                Test("directories_are_made_renamed_synced_and_removed"),
            ],
        ),
        row(
            "einval",
            "a directory would become part of itself, or `.` be removed",
            Does::Error(errno::EINVAL),
            &[Man("rename(2)"), Man("rmdir(2)")],
        ),
        row(
            "ebusy",
            "it is the root",
            Does::Error(errno::EBUSY),
            &[Man("rename(2)"), Linux("fs/namei.c", "filename_rmdir")],
        ),
        row(
            "eacces",
            "a directory above it may not be searched",
            Does::Error(errno::EACCES),
            &[Man("path_resolution(7)")],
        ),
        row(
            "enametoolong",
            "the path or a name in it is too long",
            Does::Error(errno::ENAMETOOLONG),
            &[
                Man("path_resolution(7)"),
                Test("names_that_make_no_sense_are_refused"),
            ],
        ),
    ],
);
