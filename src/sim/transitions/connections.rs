//! How connections come about.

use super::Evidence::{Linux, Man, Microsoft, Other, Standard, Test, Wine};
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
            "unreachable",
            "no route to the host",
            Does::Error(errno::EHOSTUNREACH),
            Personalities::EVERY,
            &[
                Man("ip(7)"),
                Linux("net/ipv4/tcp_ipv4.c", "tcp_v4_err"),
                Microsoft("connect function (winsock2.h)"),
            ],
        ),
        OutcomeClass::fault(
            "no-port",
            "all ephemeral ports are in use",
            Does::Error(errno::EADDRNOTAVAIL),
            Personalities::EVERY,
            &[
                Man("connect(2)"),
                Linux("net/ipv4/inet_hashtables.c", "__inet_hash_connect"),
                Microsoft("connect function (winsock2.h)"),
            ],
        ),
        OutcomeClass::fault(
            "emfile",
            "too many open files, for the socket",
            Does::Error(errno::EMFILE),
            Personalities::EVERY,
            &[
                Man("socket(2)"),
                Microsoft("WSASocketW function"),
                Test("without_a_descriptor_operations_fail_and_a_connection_stays_in_its_backlog"),
            ],
        ),
        OutcomeClass::fault(
            "enobufs",
            "no buffer space",
            Does::Error(errno::ENOBUFS),
            Personalities::EVERY,
            &[
                Linux("net/ipv4/tcp_output.c", "tcp_connect"),
                Microsoft("connect function (winsock2.h)"),
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
        OutcomeClass::fault(
            "enobufs",
            "no buffer space",
            Does::Error(errno::ENOBUFS),
            Personalities::EVERY,
            &[Man("accept(2)"), Microsoft("accept function (winsock2.h)")],
        ),
        OutcomeClass::fault(
            "enomem",
            "out of memory",
            Does::Error(errno::ENOMEM),
            Personalities::UNIX,
            &[Man("accept(2)")],
        ),
    ],
);

pub(super) const ACCEPT_RESET: Transition = Transition::new(
    "accept of a reset connection",
    StepKind::Effect,
    Some(Site::Accept),
    &["accept"],
    "the connection was reset while it stood in the backlog",
    &[
        OutcomeClass::new(
            "accepted",
            "accepted, and its first operation takes the error",
            Does::Go,
            Personalities::EVERY,
            &[
                Linux("net/ipv4/inet_connection_sock.c", "inet_csk_accept"),
                Test("listening::a_connection_that_was_reset_before_it_is_accepted_is_an_abort"),
            ],
        ),
        OutcomeClass::new(
            "econnaborted",
            "the connection is gone",
            Does::Error(errno::ECONNABORTED),
            Personalities::PORT.and(Personalities::READINESS),
            &[
                Standard("POSIX.1-2024, accept()"),
                Other("FreeBSD's accept(2), ERRORS"),
                Microsoft("accept function (winsock2.h)"),
                Wine("listening::a_connection_that_was_reset_before_it_is_accepted_is_an_abort"),
            ],
        ),
    ],
);
