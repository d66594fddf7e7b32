//! What a readiness kernel says of an object, as a hint; and user events.

use super::Evidence::{Linux, Man, Microsoft, Test};
use super::{Does, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;
use crate::sim::errno;

pub(super) const SPURIOUS: Transition = Transition::new(
    "readiness",
    StepKind::Effect,
    Some(Site::Spurious),
    &["poll"],
    "somebody asks whether a stream is readable or a listener has a connection, and it is not so",
    &[
        OutcomeClass::new(
            "not ready",
            "not ready",
            Does::Go,
            Personalities::READINESS,
            &[Man("poll(2)"), Man("epoll(7)")],
        ),
        OutcomeClass::fault(
            "ready",
            "said to be ready, and is not",
            Does::Ready,
            Personalities::READINESS,
            &[
                // "a subsequent read blocks [...] data has arrived but upon examination has the wrong checksum"
                Man("select(2), BUGS"),
                // "the connection might have been removed by an asynchronous network error"
                Man("accept(2), NOTES"),
                Linux("net/ipv4/tcp_input.c", "tcp_data_ready"),
            ],
        ),
    ],
);

pub(super) const EVENT: Transition = Transition::new(
    "event",
    StepKind::Effect,
    None,
    &["wait"],
    "the event is set, and no other wait has taken that",
    &[
        OutcomeClass::new(
            "taken",
            "it is taken, however often it was set; who of several takes it follows from who is late",
            Does::Count,
            Personalities::EVERY,
            &[
                Man("eventfd(2)"),
                Linux("fs/eventfd.c", "eventfd_ctx_do_read"),
                Microsoft("SetEvent function"),
                Test("events::what_nobody_waits_for_stays_and_counts_once"),
            ],
        ),
        OutcomeClass::new(
            "einval",
            "it is no event",
            Does::Error(errno::EINVAL),
            Personalities::EVERY,
            &[Man("read(2)")],
        ),
        OutcomeClass::new(
            "ebadf",
            "the handle is closed (and an oracle speaks, I4)",
            Does::Error(errno::EBADF),
            Personalities::EVERY,
            &[Man("read(2)")],
        ),
    ],
);
