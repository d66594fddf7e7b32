//! Which step comes next, effects that come late, cancels, time, and whose code runs.

use super::Evidence::{Linux, Man, Microsoft, Other, Standard, Test, Wine};
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

/// The driver itself keeps what waits: who asks for a cancel takes it out there and then.
const IN_THE_DRIVER: super::Evidence = Other(
    "readiness: what waits is in the driver's own list, from which a cancel takes it (as Asio's \
     epoll_reactor::cancel_ops)",
);

const WON: OutcomeClass = OutcomeClass::new(
    "won",
    "cancelled",
    Does::Go,
    Personalities::EVERY,
    &[
        Man("io_uring_cancelation(7)"),
        Microsoft("CancelIoEx function"),
        Wine("a_receive_that_waits_ends_by_a_packet_with_what_came_or_aborted"),
        IN_THE_DRIVER,
        Test("everything_that_waits_can_be_cancelled"),
    ],
);

const PROCESSED_LATE: OutcomeClass = OutcomeClass::new(
    "late",
    "the cancel is processed late",
    Does::Late,
    Personalities::OWNING,
    &[
        Man("io_uring_cancelation(7)"),
        Microsoft("CancelIoEx function"),
    ],
);

pub(super) const CANCEL: Transition = Transition::new(
    "cancel of what waits",
    StepKind::Cancel,
    Some(Site::Cancel),
    &[],
    "a cancel was asked for, and the effect of the target is not possible yet, or only in part: what has \
     moved is the result then",
    &[WON, PROCESSED_LATE],
);

pub(super) const CANCEL_ARMED: Transition = Transition::new(
    "cancel of what is under way",
    StepKind::Cancel,
    Some(Site::Cancel),
    &[
        "recv", "send", "accept", "connect", "shutdown", "timer", "wait",
    ],
    "a cancel was asked for, and the effect of the target is possible and was left for later",
    &[
        WON,
        PROCESSED_LATE,
        OutcomeClass::new(
            "lost",
            "too late: the effect came first",
            Does::Lost,
            Personalities::OWNING,
            &[
                Man("io_uring_cancelation(7)"),
                Linux("io_uring/cancel.c", "io_async_cancel_one"),
                Test("cancel_then_await_tells_the_true_outcome_of_a_race"),
                Microsoft("CancelIoEx function"),
            ],
        ),
    ],
);

pub(super) const CANCEL_FILE: Transition = Transition::new(
    "cancel of a file operation",
    StepKind::Cancel,
    Some(Site::Cancel),
    &["read_at", "write_at", "open", "sync", "length"],
    "a cancel was asked for, and the target was left for later, or has moved its first part",
    &[
        OutcomeClass::new(
            "won",
            "cancelled",
            Does::Go,
            Personalities::EVERY,
            &[
                Linux("io_uring/io-wq.c", "io_wq_cancel_pending_work"),
                Linux("io_uring/rw.c", "io_rw_fail"),
                Microsoft("CancelIoEx function"),
                Other("readiness: no thread has begun it"),
            ],
        ),
        PROCESSED_LATE,
        OutcomeClass::new(
            "lost",
            "too late: it is being done",
            Does::Lost,
            Personalities::EVERY,
            &[
                Man("io_uring_cancelation(7)"),
                Man("io_uring_prep_cancel(3)"),
                Microsoft("Canceling Pending I/O Operations"),
                Other("readiness: a thread is at it"),
            ],
        ),
    ],
);

pub(super) const LATE_CANCEL: Transition = Transition::new(
    "late cancel",
    StepKind::Cancel,
    Some(Site::NextStep),
    &[],
    "a cancel was left for later, and the target is not over since",
    &[OutcomeClass::new(
        "cancelled",
        "the target is cancelled",
        Does::Go,
        Personalities::OWNING,
        &[
            Man("io_uring_cancelation(7)"),
            Microsoft("CancelIoEx function"),
        ],
    )],
);

pub(super) const LINE: Transition = Transition::new(
    "line",
    StepKind::Effect,
    Some(Site::Line),
    &["recv", "send", "accept", "wait"],
    "it has to wait, and others of its kind wait for the same already",
    &[
        OutcomeClass::new(
            "behind",
            "behind those that wait",
            Does::Go,
            Personalities::EVERY,
            &[Man("io_uring(7)")],
        ),
        OutcomeClass::new(
            "ahead",
            "ahead of those that wait: they were submitted late, or are woken later",
            Does::Ahead,
            Personalities::OWNING,
            &[
                Man("io_uring(7)"),
                Linux("kernel/sched/wait.c", "add_wait_queue"),
                Microsoft("I/O Completion Ports"),
            ],
        ),
    ],
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
            Test("sleeps_end_in_the_order_of_their_deadlines"),
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
