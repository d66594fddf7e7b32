//! How connections come about.

use super::Evidence::{Linux, Man, Microsoft, Test};
use super::{Does, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;
use crate::sim::errno;

pub(super) const CONNECT: Transition = Transition::new(
    "connect",
    StepKind::Effect,
    Some(Site::Connect),
    &["connect"],
    "somebody listens at the address, with room in its backlog",
    &[
        OutcomeClass::new(
            "connected",
            "connected",
            Does::Go,
            Personalities::EVERY,
            &[Man("connect(2)")],
        ),
        OutcomeClass::fault(
            "refused",
            "refused",
            Does::Error(errno::ECONNREFUSED),
            Personalities::EVERY,
            &[
                Man("connect(2)"),
                Man("tcp(7)"),
                Linux("net/ipv4/tcp_minisocks.c", "tcp_check_req"),
            ],
        ),
        OutcomeClass::fault(
            "timeout",
            "nobody answers",
            Does::NoAnswer,
            Personalities::EVERY,
            &[Man("tcp(7)")],
        ),
        OutcomeClass::fault(
            "emfile",
            "no socket: too many open files",
            Does::Error(errno::EMFILE),
            Personalities::EVERY,
            &[
                Man("socket(2)"),
                Microsoft("WSASocketW function"),
                Test("without_a_descriptor_operations_fail_and_a_connection_stays_in_its_backlog"),
            ],
        ),
        OutcomeClass::fault(
            "enfile",
            "no socket: too many open files in the system",
            Does::Error(errno::ENFILE),
            Personalities::UNIX,
            &[Man("socket(2)")],
        ),
    ],
);

pub(super) const ACCEPT: Transition = Transition::new(
    "accept",
    StepKind::Effect,
    Some(Site::Accept),
    &["accept"],
    "a connection stands in the backlog; with an error it stays there",
    &[
        OutcomeClass::new(
            "accepted",
            "accepted",
            Does::Go,
            Personalities::EVERY,
            &[Man("accept(2)")],
        ),
        OutcomeClass::fault(
            "emfile",
            "too many open files",
            Does::Error(errno::EMFILE),
            Personalities::EVERY,
            &[
                Man("accept(2)"),
                Linux("io_uring/net.c", "io_accept"),
                Microsoft("WSASocketW function"),
                Test("without_a_descriptor_operations_fail_and_a_connection_stays_in_its_backlog"),
            ],
        ),
        OutcomeClass::fault(
            "enfile",
            "too many open files in the system",
            Does::Error(errno::ENFILE),
            Personalities::UNIX,
            &[
                Man("accept(2)"),
                Linux("fs/file_table.c", "alloc_empty_file"),
            ],
        ),
    ],
);
