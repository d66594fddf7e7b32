//! Where the simulation differs from real kernels, as typed entries. Each has a test that shows it.

use std::fmt;

/// To which side the simulation differs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// A real kernel does more than that: a check that passes says nothing about it.
    Kinder,
    /// A real kernel does not do that: what a check finds may need it. There should be none.
    Crueller,
    /// Neither: it looks different, and a handler that keeps to the documentation can't tell.
    Other,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Kinder => "kinder",
            Side::Crueller => "crueller",
            Side::Other => "other",
        })
    }
}

/// One difference between the simulation and real kernels.
#[derive(Debug)]
pub struct Divergence {
    /// A name for it.
    pub name: &'static str,
    /// To which side.
    pub side: Side,
    /// What the simulation does, and what a real kernel does.
    pub what: &'static str,
    /// The test that shows it.
    pub test: &'static str,
}

impl Divergence {
    const fn kinder(name: &'static str, what: &'static str, test: &'static str) -> Divergence {
        Divergence {
            name,
            side: Side::Kinder,
            what,
            test,
        }
    }

    const fn other(name: &'static str, what: &'static str, test: &'static str) -> Divergence {
        Divergence {
            name,
            side: Side::Other,
            what,
            test,
        }
    }
}

/// Every difference that is known.
pub(super) static DIVERGENCES: &[Divergence] = &[
    Divergence::kinder(
        "links",
        "A sender over a link knows how much room its peer has when it sends, not when that was last told; nothing \
         delays a small write (Nagle) or an acknowledgement; a link has no bandwidth, and no congestion.",
        "a_link_has_no_bandwidth",
    ),
    Divergence::kinder(
        "restart",
        "A host that has restarted (`Host::reset_connections`) still has its listeners, and its programs.",
        "a_host_that_has_restarted_still_listens",
    ),
    Divergence::kinder(
        "linger",
        "A linger time above zero makes no difference. Nobody waits for a close here; but Windows resets when it is \
         over.",
        "a_linger_time_above_zero_makes_no_difference",
    ),
    Divergence::kinder(
        "cancelled connect",
        "A cancelled connect leaves a fresh socket behind; on Linux the attempt goes on in the background, and \
         the next connect of that socket finds it (EALREADY).",
        "a_cancelled_connect_leaves_a_fresh_socket",
    ),
    Divergence::kinder(
        "TIME_WAIT",
        "There is none: a port is free as soon as its listener is closed, with or without SO_REUSEADDR. Ephemeral \
         ports run out by decision only.",
        "a_port_is_free_at_once",
    ),
    Divergence::kinder(
        "memory",
        "Only receiving, sending, connecting and accepting run out of memory: nothing else ends with ENOMEM.",
        "no_operation_but_on_a_socket_ends_for_want_of_memory",
    ),
    Divergence::other(
        "interruptions",
        "EINTR and EAGAIN reach no handler, on the simulation as on real kernels: the drivers take operations \
         that end so for cancelled, or not begun, and start them again. They belong below a driver.",
        "no_outcome_is_an_interruption",
    ),
    Divergence::other(
        "error numbers",
        "Under every personality errors have the numbers of Linux: what Windows calls WSAECONNABORTED or \
         ERROR_NETNAME_DELETED is ECONNRESET.",
        "a_reset_has_linux_number_everywhere",
    ),
    Divergence::kinder(
        "files",
        "Files have no permissions but `World::deny`, no links, no times, and end at 1 GiB (EFBIG).",
        "a_file_ends_at_its_largest_size",
    ),
    Divergence::kinder(
        "disk",
        "On a full disk (`World::disk_quota`) bytes that were written take room, names and lengths none.",
        "a_full_disk_takes_what_fits",
    ),
    Divergence::kinder(
        "failed syncs",
        "What a failed sync has let go of can be read until the power is lost, as on ext4; XFS and btrfs may read \
         the disk again.",
        "a_failed_sync_is_heard_of_once_by_each_handle",
    ),
    Divergence::kinder(
        "unsynced changes",
        "What is lost with the power reads as zeros or as what was there before, never as a stranger's bytes. Nothing \
         is written back in time; but after 1,000 changes without a sync the older half is.",
        "changes_that_wait_are_bounded",
    ),
    Divergence::kinder(
        "power",
        "The power goes for the whole machine at once, all its hosts, and with several workers only where no handler is \
         suspended.",
        "several_workers_lose_their_power_together",
    ),
    Divergence::kinder(
        "switch points",
        "Several workers give way to each other only at calls of the library, not between two accesses of \
         plain memory, and see each other's writes in one order: what rests on that, loom is for.",
        "plain_memory_is_no_switch_point",
    ),
    Divergence::kinder(
        "not yet",
        "A poll that finds nothing never finds \"not yet\" as a decision of its own; after 1,000 of them in a row \
         time runs by 1 ms a poll, so that a loop that polls sees time pass, but only then.",
        "who_polls_without_end_sees_time_pass",
    ),
];
