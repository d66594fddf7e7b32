//! Transfers of connected streams, and the resets under them.

use super::Evidence::{Linux, Man, Microsoft, Standard};
use super::{Does, Evidence, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

const SHORT_RECV: &[Evidence] = &[
    Man("recv(2)"),
    Linux("net/ipv4/tcp.c", "tcp_recvmsg_locked"),
];
const SHORT_SEND: &[Evidence] = &[
    Man("send(2)"),
    Linux("net/ipv4/tcp.c", "tcp_sendmsg_locked"),
];

pub(super) const RECV: Transition = Transition::new(
    "recv",
    StepKind::Effect,
    Some(Site::RecvSize),
    &["recv"],
    "n bytes are queued and fit the buffer",
    &[
        OutcomeClass::full(&[Man("recv(2)")]),
        OutcomeClass::short(Does::One, Personalities::EVERY, SHORT_RECV),
        OutcomeClass::short(Does::Half, Personalities::EVERY, SHORT_RECV),
        OutcomeClass::short(Does::ButOne, Personalities::EVERY, SHORT_RECV),
    ],
);

pub(super) const SEND: Transition = Transition::new(
    "send",
    StepKind::Effect,
    Some(Site::SendSize),
    &["send"],
    "n bytes fit the buffer of the stream",
    &[
        OutcomeClass::full(&[Man("send(2)")]),
        OutcomeClass::short(Does::One, Personalities::UNIX, SHORT_SEND),
        OutcomeClass::short(Does::Half, Personalities::UNIX, SHORT_SEND),
        OutcomeClass::short(Does::ButOne, Personalities::UNIX, SHORT_SEND),
    ],
);

pub(super) const SEND_REST: Transition = Transition::new(
    "send more than fits",
    StepKind::Effect,
    Some(Site::SendSize),
    &["send"],
    "all that fits the buffer of the stream has been sent, and it was not all there is to send",
    &[
        OutcomeClass::new(
            "fits",
            "it ends with what fitted",
            Does::Go,
            Personalities::UNIX,
            SHORT_SEND,
        ),
        OutcomeClass::new(
            "rest",
            "it waits to send the rest",
            Does::Rest,
            Personalities::PORT,
            &[Microsoft("WSASend function")],
        ),
    ],
);

pub(super) const RESET: Transition = Transition::new(
    "reset",
    StepKind::Effect,
    Some(Site::Reset),
    &["recv", "send"],
    "under a transfer of a connection that is not over",
    &[
        OutcomeClass::new(
            "none",
            "no reset",
            Does::Go,
            Personalities::EVERY,
            &[Standard("RFC 9293, 3.5.2")],
        ),
        OutcomeClass::fault(
            "reset",
            "connection reset",
            Does::Reset,
            Personalities::EVERY,
            &[
                Standard("RFC 9293, 3.5.2"),
                Linux("net/ipv4/tcp_input.c", "tcp_reset"),
            ],
        ),
    ],
);
