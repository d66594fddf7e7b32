//! What a readiness kernel says of an object, as a hint.

use super::Evidence::{Linux, Man};
use super::{Does, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

pub(super) const SPURIOUS: Transition = Transition::new(
    "readiness",
    StepKind::Effect,
    Some(Site::Spurious),
    &["wait"],
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
