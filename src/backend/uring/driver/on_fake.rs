//! The driver's policies, each on a ring that is told what to do.

use std::panic::Location;

use super::*;
use crate::backend::uring::fake::{Fake, Step};
use crate::backend::uring::ring::opcode;
use crate::backend::{CANCELED, Code, Lane, Origin, Submitted};
use crate::choice::EventId;

/// A driver over a ring with this many entries, one of which is its own read for wakes.
fn driver(capacity: u32) -> Driver<Fake> {
    Driver::new(Fake::new(capacity), Arc::new(Bell::new().unwrap()))
}

/// The same, after its first turn: the read is the kernel's, the queue is empty.
fn started(capacity: u32) -> Driver<Fake> {
    let mut lane = driver(capacity);
    assert_eq!(wait(&mut lane, Until::Now), []);
    lane.ring.enters.clear();
    lane.ring.taken.clear();
    lane
}

fn token(index: u32) -> Token {
    Token::new(index, 1, Tag::Operation)
}

fn submit(lane: &mut Driver<Fake>, index: u32, op: Op) {
    let origin = Origin {
        event: EventId::ROOT,
        cause: EventId::ROOT,
        location: Location::caller(),
        writable: false,
        may_be_ready: false,
    };
    // SAFETY: nobody looks at what the operations of these tests point at.
    let submitted = unsafe { lane.submit(token(index), Box::leak(Box::new(op)), &origin) };
    assert_eq!(submitted, Submitted::Pending);
}

fn nop(lane: &mut Driver<Fake>, index: u32) {
    submit(lane, index, Op::new(Code::Nop, Raw::NONE));
}

fn timer(lane: &mut Driver<Fake>, index: u32, deadline: u64) {
    submit(
        lane,
        index,
        Op {
            offset: deadline,
            ..Op::new(Code::Timer, Raw::NONE)
        },
    );
}

fn cqe(index: u32, result: i32) -> Cqe {
    Cqe {
        user_data: token(index).0,
        result,
    }
}

fn wait(lane: &mut Driver<Fake>, until: Until) -> Vec<(u32, i32)> {
    let mut batch = Vec::new();
    lane.wait(&mut batch, until).unwrap();
    batch
        .iter()
        .map(|completion| (completion.token.index(), completion.result))
        .collect()
}

/// What the kernel took: the index of each operation, and what is the driver's own by its opcode.
fn taken(lane: &Driver<Fake>) -> Vec<String> {
    let name = |sqe: &Sqe| match sqe.opcode() {
        opcode::ASYNC_CANCEL => format!("cancel {}", Token(sqe.address).index()),
        opcode::CLOSE => format!("close {}", sqe.fd),
        opcode::READ if sqe.user_data == LISTEN.0 => "listen".to_owned(),
        _ => Token(sqe.user_data).index().to_string(),
    };
    lane.ring.taken.iter().map(name).collect()
}

#[test]
fn a_turn_is_one_enter_that_submits_and_sleeps() {
    let mut lane = driver(8);
    nop(&mut lane, 1);
    nop(&mut lane, 2);
    lane.ring.script = [Step::Complete(cqe(1, 0))].into();
    assert_eq!(wait(&mut lane, Until::Event), [(1, 0)]);
    assert_eq!(
        lane.ring.registered,
        [Register::Enable, Register::Descriptor]
    );
    assert_eq!(lane.ring.enters, [(3, Enter::Sleep(None))]);
    assert_eq!(lane.in_flight(), 1);
    // What is there is handed out without a call.
    lane.ring.completions.push_back(cqe(2, 7));
    assert_eq!(wait(&mut lane, Until::Event), [(2, 7)]);
    assert_eq!(lane.ring.enters.len(), 1);
    assert_eq!(lane.in_flight(), 0);
}

#[test]
fn a_look_calls_the_kernel_only_if_that_might_bring_something() {
    let mut lane = started(8);
    lane.ring.has_news = false;
    assert_eq!(wait(&mut lane, Until::Now), []);
    assert_eq!(lane.ring.enters, []);
    // What is to be submitted is, and what is ready needs no call.
    nop(&mut lane, 1);
    lane.ring.script = [Step::Complete(cqe(1, 0))].into();
    assert_eq!(wait(&mut lane, Until::Now), [(1, 0)]);
    assert_eq!(lane.ring.enters, [(1, Enter::Collect)]);
    // Work for a completion, and one that found the queue full.
    lane.ring.has_news = true;
    assert_eq!(wait(&mut lane, Until::Now), []);
    assert_eq!(lane.ring.enters.len(), 2);
    lane.ring.has_news = false;
    nop(&mut lane, 2);
    wait(&mut lane, Until::Now);
    lane.ring.overflow.push_back(cqe(2, 0));
    assert_eq!(wait(&mut lane, Until::Now), [(2, 0)]);
    // A sleep is one in any case.
    timer(&mut lane, 3, 50);
    assert_eq!(wait(&mut lane, Until::Event), [(3, 0)]);
    assert_eq!(lane.ring.enters.last(), Some(&(0, Enter::Sleep(Some(50)))));
}

#[test]
fn a_signal_ends_no_wait() {
    let mut lane = started(8);
    nop(&mut lane, 1);
    lane.ring.script = [
        Step::Fail(libc::EINTR),
        Step::Fail(libc::EINTR),
        Step::Complete(cqe(1, 0)),
    ]
    .into();
    assert_eq!(wait(&mut lane, Until::Event), [(1, 0)]);
    assert_eq!(lane.ring.enters, [(1, Enter::Sleep(None)); 3]);
}

#[test]
fn a_kernel_without_room_is_relieved_and_asked_again() {
    for error in [libc::EAGAIN, libc::EBUSY] {
        let mut lane = started(8);
        nop(&mut lane, 1);
        nop(&mut lane, 2);
        lane.ring.script = [Step::Fail(error), Step::Complete(cqe(9, 0))].into();
        lane.in_flight += 1;
        assert_eq!(wait(&mut lane, Until::Event), [(9, 0)]);
        // The second only collects. What was to be submitted still is, in order.
        assert_eq!(
            lane.ring.enters,
            [(2, Enter::Sleep(None)), (0, Enter::Collect)]
        );
        assert_eq!(lane.ring.queue.len(), 2);
        wait(&mut lane, Until::Now);
        assert_eq!(taken(&lane), ["1", "2"]);
    }
}

#[test]
fn what_the_kernel_did_not_take_stays_queued_in_order() {
    let mut lane = started(8);
    (1..=5).for_each(|index| nop(&mut lane, index));
    lane.ring.script = [Step::Take(2), Step::Take(1), Step::Complete(cqe(5, 0))].into();
    assert_eq!(wait(&mut lane, Until::Event), [(5, 0)]);
    assert_eq!(taken(&lane), ["1", "2", "3", "4", "5"]);
    let asked: Vec<u32> = lane.ring.enters.iter().map(|(count, _)| *count).collect();
    assert_eq!(asked, [5, 3, 2]);
}

#[test]
fn a_full_queue_is_flushed_and_no_operation_is_overtaken() {
    let mut lane = started(2);
    (1..=3).for_each(|index| nop(&mut lane, index));
    assert_eq!(lane.ring.enters, [(2, Enter::Flush)]);
    assert_eq!(taken(&lane), ["1", "2"]);
    // Now the kernel takes nothing: the others wait here, and a sleep would be too early.
    lane.ring.script = [Step::Fail(libc::EBUSY), Step::Fail(libc::EBUSY)].into();
    (4..=7).for_each(|index| nop(&mut lane, index));
    assert_eq!(lane.ring.queue.len(), 2);
    assert!(lane.backlog());
    lane.ring.script.clear();
    assert!(wait(&mut lane, Until::Time(1)).is_empty());
    assert_eq!(taken(&lane), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(lane.in_flight(), 7);
}

#[test]
fn a_cancel_goes_before_all_but_its_target() {
    let mut lane = started(2);
    nop(&mut lane, 1);
    nop(&mut lane, 2);
    // Nothing gets through for now.
    lane.ring.script = (0..9).map(|_| Step::Fail(libc::EBUSY)).collect();
    nop(&mut lane, 3);
    nop(&mut lane, 4);
    lane.close(Raw(99));
    lane.cancel(token(2));
    lane.cancel(token(1));
    lane.ring.script.clear();
    while lane.backlog() || lane.ring.unsubmitted() > 0 {
        wait(&mut lane, Until::Now);
    }
    assert_eq!(
        taken(&lane),
        ["1", "2", "cancel 2", "cancel 1", "3", "4", "close 99"]
    );
}

#[test]
fn an_operation_that_the_kernel_has_not_seen_is_canceled_on_the_spot() {
    let mut lane = started(1);
    nop(&mut lane, 1);
    lane.ring.script = [Step::Fail(libc::EBUSY), Step::Fail(libc::EBUSY)].into();
    nop(&mut lane, 2);
    nop(&mut lane, 3);
    lane.ring.script.clear();
    lane.cancel(token(2));
    assert_eq!(wait(&mut lane, Until::Event), [(2, CANCELED)]);
    wait(&mut lane, Until::Now);
    assert_eq!(taken(&lane), ["1", "3"]);
    assert_eq!(lane.in_flight(), 2);
}

#[test]
fn completions_that_found_no_room_are_fetched() {
    let mut lane = started(8);
    (1..=3).for_each(|index| nop(&mut lane, index));
    lane.ring.completions.push_back(cqe(1, 0));
    wait(&mut lane, Until::Now);
    lane.ring.completions.push_back(cqe(2, 0));
    lane.ring.overflow.push_back(cqe(3, 0));
    assert_eq!(wait(&mut lane, Until::Event), [(2, 0), (3, 0)]);
}

#[test]
fn a_loss_stops_the_lane_and_is_named() {
    let mut lane = started(8);
    nop(&mut lane, 1);
    lane.ring.script = [Step::Fail(libc::EBADR)].into();
    let error = lane
        .wait(&mut Vec::new(), Until::Event)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("EBADR") && error.contains("1 operations in flight"),
        "{error}"
    );
}

#[test]
fn an_interrupted_operation_is_handed_out_as_undone() {
    let mut lane = started(8);
    nop(&mut lane, 1);
    nop(&mut lane, 2);
    nop(&mut lane, 3);
    wait(&mut lane, Until::Now);
    lane.cancel(token(2));
    // Whether one was meant by it, and whether it may be made twice, is for the caller to know.
    let interrupted = [cqe(1, -libc::EINTR), cqe(2, -512), cqe(3, -libc::EPIPE)];
    lane.ring.completions.extend(interrupted);
    let mut batch = Vec::new();
    lane.wait(&mut batch, Until::Now).unwrap();
    let undone: Vec<_> = batch
        .iter()
        .map(|completion| completion.token.has_tag(Tag::Undone))
        .collect();
    assert_eq!(undone, [true, true, false]);
    assert_eq!(lane.in_flight(), 0);
    assert_eq!(taken(&lane), ["1", "2", "3", "cancel 2"]);
}

#[test]
fn timers_bound_the_sleep_and_fire_at_their_deadline_only() {
    let mut lane = started(8);
    timer(&mut lane, 1, 300);
    timer(&mut lane, 2, 200);
    timer(&mut lane, 3, 100);
    lane.disarm(token(3));
    assert!(wait(&mut lane, Until::Time(150)).is_empty());
    assert_eq!(lane.ring.enters, [(0, Enter::Sleep(Some(150)))]);
    assert_eq!(wait(&mut lane, Until::Time(1_000)), [(2, 0)]);
    assert_eq!(lane.ring.time, 200);
    lane.cancel(token(1));
    assert_eq!(wait(&mut lane, Until::Event), [(1, CANCELED)]);
    assert_eq!(lane.in_flight(), 0);
    // Nothing of this came to the kernel.
    assert!(taken(&lane).is_empty());
}

#[test]
fn a_timer_that_is_due_is_not_held_back_by_completions() {
    let mut lane = started(8);
    timer(&mut lane, 1, 10);
    nop(&mut lane, 2);
    lane.ring.time = 10;
    lane.ring.completions.push_back(cqe(2, 0));
    assert_eq!(wait(&mut lane, Until::Event), [(2, 0), (1, 0)]);
}

#[test]
fn a_wake_ends_a_wait_and_the_lane_listens_again() {
    let mut lane = started(8);
    lane.bell.ring();
    assert_eq!(wait(&mut lane, Until::Event), []);
    assert_eq!(lane.ring.enters, [(0, Enter::Collect)]);
    // The read alone ends none: the mark does.
    nop(&mut lane, 1);
    let rang = Cqe {
        user_data: LISTEN.0,
        result: 8,
    };
    lane.ring.script = [Step::Complete(rang), Step::Complete(cqe(1, 0))].into();
    assert_eq!(wait(&mut lane, Until::Event), [(1, 0)]);
    assert_eq!(taken(&lane), ["1", "listen"]);
}

#[test]
fn a_refusal_is_the_operations_completion() {
    let mut lane = started(8);
    submit(&mut lane, 1, Op::new(Code::Open, Raw::NONE));
    assert_eq!(wait(&mut lane, Until::Event), [(1, -libc::EINVAL)]);
    assert!(taken(&lane).is_empty());
}

#[test]
fn a_backend_that_lost_its_bell_says_so() {
    let mut lane = started(8);
    lane.ring.completions.push_back(Cqe {
        user_data: LISTEN.0,
        result: -libc::EBADF,
    });
    let error = lane.wait(&mut Vec::new(), Until::Event).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}
