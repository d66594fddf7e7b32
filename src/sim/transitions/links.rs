//! What a link between two hosts does to what travels over it.

use super::Evidence::{Linux, Man, Standard};
use super::{Does, Evidence, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

/// IP promises nothing; who sends finds out by a timer.
const LOSS: &[Evidence] = &[
    Standard("RFC 9293, 3.8.1"),
    Linux("net/ipv4/tcp_timer.c", "tcp_retransmit_timer"),
    Man("tcp(7)"),
];

pub(super) const LINK: Transition = Transition::new(
    "link",
    StepKind::Clock,
    Some(Site::Link),
    &[],
    "a parcel sets out over a link that the model says may be lost",
    &[
        OutcomeClass::new(
            "arrives",
            "it arrives",
            Does::Go,
            Personalities::EVERY,
            &[Standard("RFC 9293, 3.8.1")],
        ),
        OutcomeClass::fault(
            "lost",
            "it is lost on the way",
            Does::LosesParcel,
            Personalities::EVERY,
            LOSS,
        ),
        OutcomeClass::fault(
            "one-way",
            "the link is lost for a while, that way",
            Does::LosesOneWay,
            Personalities::EVERY,
            LOSS,
        ),
        OutcomeClass::fault(
            "both-ways",
            "the link is lost for a while",
            Does::LosesBothWays,
            Personalities::EVERY,
            LOSS,
        ),
    ],
);

pub(super) const LATENCY: Transition = Transition::new(
    "latency",
    StepKind::Clock,
    Some(Site::Latency),
    &[],
    "a parcel sets out over a link that takes time",
    &[
        OutcomeClass::new(
            "1",
            "it takes its time",
            Does::Go,
            Personalities::EVERY,
            &[Standard("RFC 9293, 3.8.1")],
        ),
        OutcomeClass::new(
            "2",
            "it takes twice its time",
            Does::Times(2),
            Personalities::EVERY,
            &[Standard("RFC 6298, 2"), Man("tcp(7)")],
        ),
        OutcomeClass::new(
            "10",
            "it takes ten times its time",
            Does::Times(10),
            Personalities::EVERY,
            &[Standard("RFC 6298, 2"), Man("tcp(7)")],
        ),
    ],
);
