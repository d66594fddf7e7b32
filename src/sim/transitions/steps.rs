//! Which step comes next, effects that come late, cancels, time, and whose code runs.

use super::Evidence::{Linux, Man, Microsoft, Other, Standard};
use super::{Does, OutcomeClass, Personalities, StepKind, Transition};
use crate::choice::Site;

pub(super) const COMPLETE: Transition = Transition::new(
    "complete",
    StepKind::Complete,
    Some(Site::NextStep),
    &[],
    "the completion is queued",
    &[OutcomeClass::new(
        "completed",
        "its completion is handed out, the oldest or any other",
        Does::Go,
        Personalities::EVERY,
        &[
            Man("io_uring(7)"),
            Microsoft("I/O Completion Ports"),
            Man("epoll(7)"),
        ],
    )],
);

pub(super) const READY: Transition = Transition::new(
    "ready",
    StepKind::Complete,
    Some(Site::ReadyAtFirstPoll),
    &[],
    "the effect came inside the submission, and the submitter is a task that polls",
    &[
        OutcomeClass::new(
            "pending",
            "pending at first poll",
            Does::Go,
            Personalities::EVERY,
            &[Man("io_uring_enter(2)")],
        ),
        OutcomeClass::new(
            "ready",
            "ready at first poll",
            Does::Ready,
            Personalities::EVERY,
            &[
                Man("io_uring_enter(2)"),
                Microsoft("SetFileCompletionNotificationModes function"),
            ],
        ),
    ],
);

pub(super) const LATE: Transition = Transition::new(
    "effect",
    StepKind::Effect,
    Some(Site::EffectLate),
    &[],
    "the effect, be it an error, has become possible",
    &[
        OutcomeClass::new(
            "now",
            "effect at once",
            Does::Go,
            Personalities::EVERY,
            &[Linux("io_uring/io_uring.c", "io_issue_sqe")],
        ),
        OutcomeClass::new(
            "late",
            "effect later",
            Does::Late,
            Personalities::EVERY,
            &[
                Linux("io_uring/poll.c", "io_poll_task_func"),
                Linux("io_uring/io-wq.c", "io_wq_enqueue"),
                Man("epoll_wait(2)"),
            ],
        ),
    ],
);

pub(super) const LATE_EFFECT: Transition = Transition::new(
    "late effect",
    StepKind::Effect,
    Some(Site::NextStep),
    &[],
    "the effect was left for later",
    &[OutcomeClass::new(
        "effect",
        "it happens, if no other operation took what it needs; else it waits again",
        Does::Go,
        Personalities::EVERY,
        &[
            Linux("io_uring/poll.c", "io_poll_check_events"),
            Man("io_uring(7)"),
        ],
    )],
);

pub(super) const CANCEL: Transition = Transition::new(
    "cancel",
    StepKind::Cancel,
    Some(Site::Cancel),
    &[],
    "a cancel was asked for, and the target waits for its effect to be possible",
    &[
        OutcomeClass::new(
            "won",
            "cancelled",
            Does::Go,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Microsoft("CancelIoEx function"),
            ],
        ),
        OutcomeClass::new(
            "late",
            "the cancel is processed late",
            Does::Late,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Microsoft("CancelIoEx function"),
            ],
        ),
    ],
);

pub(super) const CANCEL_ARMED: Transition = Transition::new(
    "cancel of a late effect",
    StepKind::Cancel,
    Some(Site::Cancel),
    &[],
    "a cancel was asked for, and the effect of the target was left for later",
    &[
        OutcomeClass::new(
            "won",
            "cancelled",
            Does::Go,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Microsoft("CancelIoEx function"),
            ],
        ),
        OutcomeClass::new(
            "late",
            "the cancel is processed late",
            Does::Late,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Microsoft("CancelIoEx function"),
            ],
        ),
        OutcomeClass::new(
            "lost",
            "too late: the effect came first",
            Does::Lost,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Linux("io_uring/cancel.c", "io_async_cancel_one"),
                Microsoft("CancelIoEx function"),
            ],
        ),
    ],
);

pub(super) const LATE_CANCEL: Transition = Transition::new(
    "late cancel",
    StepKind::Cancel,
    Some(Site::NextStep),
    &[],
    "a cancel was left for later, and the target has not had its effect since",
    &[OutcomeClass::new(
        "cancelled",
        "the target is cancelled",
        Does::Go,
        Personalities::EVERY,
        &[Man("io_uring_cancelation(7)")],
    )],
);

pub(super) const CLOCK: Transition = Transition::new(
    "clock",
    StepKind::Clock,
    Some(Site::NextStep),
    &["timer"],
    "there is a deadline",
    &[OutcomeClass::new(
        "due",
        "time moves to it, whatever else is queued; everything that is due is queued too",
        Does::Go,
        Personalities::EVERY,
        &[
            Man("timer_settime(2)"),
            Standard("POSIX, Clocks and Timers: never early, late without a bound"),
        ],
    )],
);

pub(super) const SEGMENT: Transition = Transition::new(
    "segment",
    StepKind::Segment,
    Some(Site::Worker),
    &[],
    "a handler is at a switch point, and another worker could run",
    &[
        OutcomeClass::new(
            "stays",
            "it goes on",
            Does::Go,
            Personalities::EVERY,
            &[Man("sched(7)")],
        ),
        OutcomeClass::new(
            "switches",
            "another worker runs",
            Does::Late,
            Personalities::EVERY,
            &[Man("sched(7)"), Other("a thread may be preempted anywhere")],
        ),
    ],
);
