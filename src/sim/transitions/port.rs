//! What only the driver of a completion port sees: how a call returns, and what a look at the port brings.
//!
//! They are asked only where that very driver stands above the kernel ([`Door::Port`](super::super::Door::Port)). What
//! else it sees is not chosen: a cancel finds what is not over, and a packet is queued before the call that
//! started its operation returns if that was done at once.

use super::Evidence::{Microsoft, Wine};
use super::{Does, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

pub(super) const PORT_CALL: Transition = Transition::new(
    "call",
    StepKind::Complete,
    Some(Site::Port),
    &[],
    "the effect came inside the call, on a completion port",
    &[
        OutcomeClass::new(
            "pending",
            "the call says pending; the packet is there before it returns",
            Does::Go,
            Personalities::PORT,
            &[
                Microsoft("WSARecv function (winsock2.h)"),
                Microsoft("Synchronous and Asynchronous I/O"),
                Wine("a_receive_that_waits_ends_by_a_packet_with_what_came_or_aborted"),
            ],
        ),
        OutcomeClass::new(
            "done",
            "the call says done: no packet comes if the handle skips those, else it does",
            Does::Ready,
            Personalities::PORT,
            &[
                Microsoft("SetFileCompletionNotificationModes function"),
                Microsoft("WSARecv function (winsock2.h)"),
                Microsoft("ReadFile function (fileapi.h)"),
                Wine("what_is_done_at_once_brings_a_packet_unless_that_is_skipped"),
            ],
        ),
    ],
);

pub(super) const PORT_SKIP: Transition = Transition::new(
    "association",
    StepKind::Effect,
    Some(Site::Port),
    &[],
    "a handle is associated with a completion port",
    &[
        OutcomeClass::new(
            "skips",
            "it can be told to skip the packets of what is done at once",
            Does::Go,
            Personalities::PORT,
            &[
                Microsoft("SetFileCompletionNotificationModes function"),
                Wine("what_is_done_at_once_brings_a_packet_unless_that_is_skipped"),
            ],
        ),
        OutcomeClass::new(
            "no skip",
            "it can't: its provider has no handles of the file system's",
            Does::Late,
            Personalities::PORT,
            &[Microsoft("SetFileCompletionNotificationModes function")],
        ),
        OutcomeClass::new(
            "foreign",
            "it can; and somebody who knows the port posts a packet of his own",
            Does::Zero,
            Personalities::PORT,
            &[
                Microsoft("PostQueuedCompletionStatus function"),
                Wine("packets_come_in_batches_and_those_of_others_are_not_followed"),
            ],
        ),
    ],
);

pub(super) const PORT_BATCH: Transition = Transition::new(
    "dequeue",
    StepKind::Complete,
    Some(Site::Port),
    &[],
    "a packet is taken out of a completion port, and there may be another",
    &[
        OutcomeClass::new(
            "one",
            "it comes alone",
            Does::Go,
            Personalities::PORT,
            &[
                Microsoft("GetQueuedCompletionStatusEx function"),
                Wine("packets_come_in_batches_and_those_of_others_are_not_followed"),
            ],
        ),
        OutcomeClass::new(
            "more",
            "the next comes with it, if there is one",
            Does::Ahead,
            Personalities::PORT,
            &[
                Microsoft("GetQueuedCompletionStatusEx function"),
                Wine("packets_come_in_batches_and_those_of_others_are_not_followed"),
            ],
        ),
    ],
);
