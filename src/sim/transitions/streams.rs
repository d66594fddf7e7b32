//! Transfers of connected streams, and what goes wrong under them.

use super::Evidence::{Linux, Man, Microsoft, Other, Standard, Test, Wine};
use super::{Does, Evidence, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;
use crate::sim::errno;

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
            &[
                Microsoft("WSASend function"),
                Wine("a_large_send_waits_to_send_the_rest"),
            ],
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
            "no trouble",
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
        OutcomeClass::fault(
            "enobufs",
            "no buffer space, and the stream is as it was",
            Does::Error(errno::ENOBUFS),
            Personalities::PORT.and(Personalities::READINESS),
            &[
                // "Insufficient resources were available in the system to perform the operation."
                Standard("POSIX.1-2024, recv() and send()"),
                // "The operation may succeed when buffers become available."
                Other("FreeBSD's send(2), ERRORS"),
                Microsoft("WSASend function"),
                // WSAENOBUFS: "An operation on a socket could not be performed because the system lacked
                // sufficient buffer space".
                Microsoft("Windows Sockets Error Codes"),
            ],
        ),
        OutcomeClass::fault(
            "enomem",
            "out of memory, and the stream is as it was",
            Does::Error(errno::ENOMEM),
            Personalities::RING,
            &[
                Man("recv(2)"),
                Man("send(2)"),
                Linux("io_uring/net.c", "io_msg_alloc_async"),
            ],
        ),
    ],
);

pub(super) const ERROR: Transition = Transition::new(
    "error",
    StepKind::Effect,
    Some(Site::Error),
    &["recv", "send"],
    "a connection dies under a receive and a send of one side: one takes the error, the other finds \
     the stream at its end, or broken",
    &[
        OutcomeClass::new(
            "recv",
            "the receive takes the error",
            Does::Go,
            Personalities::EVERY,
            &[
                Linux("net/ipv4/tcp_input.c", "tcp_reset"),
                Linux("io_uring/poll.c", "io_poll_wake"),
            ],
        ),
        OutcomeClass::new(
            "send",
            "the send takes the error",
            Does::Late,
            Personalities::EVERY,
            &[
                Linux("net/ipv4/tcp.c", "do_error of tcp_sendmsg_locked"),
                Linux("io_uring/poll.c", "io_poll_wake"),
            ],
        ),
    ],
);

pub(super) const ABORT: Transition = Transition::new(
    "abort",
    StepKind::Effect,
    Some(Site::Abort),
    &[],
    "a side closes with a reset, and the peer has not read all that was sent before",
    &[
        OutcomeClass::new(
            "all",
            "all of it has arrived",
            Does::Go,
            Personalities::EVERY,
            &[
                Linux("net/ipv4/tcp.c", "tcp_recvmsg_locked"),
                Test("random_scripts_end_on_the_simulated_kernel_as_on_the_real_one"),
            ],
        ),
        OutcomeClass::new(
            "half",
            "half of it has arrived, the rest is thrown away",
            Does::Half,
            Personalities::EVERY,
            &[
                Man("socket(7)"),
                Linux("net/ipv4/tcp.c", "tcp_write_queue_purge"),
            ],
        ),
        OutcomeClass::new(
            "nothing",
            "nothing of it is left",
            Does::LosesParcel,
            Personalities::EVERY,
            &[
                Standard("RFC 9293, 3.10.7.4"),
                Linux("net/ipv4/tcp.c", "tcp_write_queue_purge"),
            ],
        ),
    ],
);
