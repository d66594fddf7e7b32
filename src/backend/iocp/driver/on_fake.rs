//! The driver's policies, each on a port that is told what to do: some want a second lane, a post that fails, a packet
//! that says just that, which no simulated run comes to.

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

use super::*;
use crate::backend::iocp::fake::Fake;
use crate::backend::{CANCELED, Lane, Raw, Submitted};
use crate::choice::EventId;

fn shared() -> Arc<Shared<Fake>> {
    Arc::new(Shared::new(Fake::default()))
}

fn lane(shared: &Arc<Shared<Fake>>, index: usize) -> Driver<Fake> {
    Driver::new(Arc::clone(shared), shared.desk(index))
}

/// One lane, and a socket.
fn alone() -> (Arc<Shared<Fake>>, Driver<Fake>, Raw) {
    let shared = shared();
    let lane = lane(&shared, 0);
    let raw = socket(&shared);
    (shared, lane, raw)
}

fn socket(shared: &Shared<Fake>) -> Raw {
    Raw(shared.adopt(Handle(5), Sort::Socket, false))
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
    // SAFETY: the port of these tests follows no pointer; segments stand where the test has put them.
    let submitted = unsafe { lane.submit(token(index), &op, &origin) };
    assert_eq!(submitted, Submitted::Pending);
}

fn recv(lane: &mut Driver<Fake>, index: u32, raw: Raw) {
    let op = Op {
        len: 9,
        ..Op::new(Code::Recv, raw)
    };
    submit(lane, index, op);
}

/// The packet that ends what was started as the `nth`.
fn end(shared: &Shared<Fake>, nth: usize, bytes: u32, error: u32) -> Packet {
    let packet = shared.port.script(|script| script.started[nth].0);
    Packet {
        bytes,
        error,
        ..packet
    }
}

fn comes(shared: &Shared<Fake>, packet: Packet) {
    shared
        .port
        .script(|script| script.packets.push_back(packet));
}

fn meanwhile(shared: &Shared<Fake>, what: impl FnOnce() + Send + 'static) {
    shared
        .port
        .script(|script| script.meanwhile = Some(Box::new(what)));
}

fn wait(lane: &mut Driver<Fake>, until: Until) -> Vec<(u32, i32)> {
    let mut batch = Vec::new();
    lane.wait(&mut batch, until).expect("the port works");
    batch
        .iter()
        .map(|completion| (completion.token.index(), completion.result))
        .collect()
}

fn looks(shared: &Shared<Fake>) -> Vec<Sleep> {
    shared.port.script(|script| script.looks.clone())
}

/// A packet of another's, whose pointer is one that we know.
fn foreign(packet: Packet) -> Packet {
    Packet {
        key: !packet.key,
        ..packet
    }
}

#[test]
pub(super) fn a_packet_may_be_taken_before_its_call_returns() {
    let (shared, mut lane, raw) = alone();
    let mut other = self::lane(&shared, 1);
    let port = Arc::clone(&shared);
    meanwhile(&shared, move || {
        comes(&port, end(&port, 0, 5, 0));
        assert_eq!(wait(&mut other, Until::Now), []);
    });
    recv(&mut lane, 1, raw);
    assert_eq!(wait(&mut lane, Until::Event), [(1, 5)]);
    assert_eq!(lane.in_flight(), 0);
}

#[test]
pub(super) fn a_packet_with_anothers_key_ends_nothing() {
    let (shared, mut lane, raw) = alone();
    recv(&mut lane, 1, raw);
    comes(&shared, foreign(end(&shared, 0, 3, 0)));
    assert_eq!(wait(&mut lane, Until::Now), []);
    assert_eq!(lane.in_flight(), 1);
    comes(&shared, end(&shared, 0, 5, 0));
    assert_eq!(wait(&mut lane, Until::Event), [(1, 5)]);
}

#[test]
pub(super) fn a_reset_that_comes_before_the_cancel_is_a_reset() {
    for error in [code::NETNAME_DELETED, code::WSAECONNRESET] {
        let (shared, mut lane, raw) = alone();
        recv(&mut lane, 1, raw);
        lane.cancel(token(1));
        comes(&shared, end(&shared, 0, 0, error));
        let reset = -(code::WSAECONNRESET as i32);
        assert_eq!(wait(&mut lane, Until::Event), [(1, reset)]);
    }
}

#[test]
fn an_abort_is_cancelled_if_it_was_asked_for_and_else_undone() {
    let (shared, mut lane, raw) = alone();
    recv(&mut lane, 1, raw);
    recv(&mut lane, 2, raw);
    lane.cancel(token(1));
    for nth in 0..2 {
        comes(&shared, end(&shared, nth, 0, code::OPERATION_ABORTED));
    }
    let mut batch = Vec::new();
    lane.wait(&mut batch, Until::Event).expect("the port works");
    assert_eq!((batch[0].token, batch[0].result), (token(1), CANCELED));
    assert_eq!(batch[1].token, token(2).with_tag(Tag::Undone));
}

#[test]
pub(super) fn a_ring_before_a_wait_ends_it() {
    let (shared, mut lane, _) = alone();
    shared.wake(0);
    assert_eq!(wait(&mut lane, Until::Event), []);
    // One look, and no packet: it was awake.
    assert_eq!(looks(&shared), [Sleep::No]);
    assert_eq!(shared.port.script(|script| script.posts), 0);
}

#[test]
pub(super) fn a_ring_in_its_sleep_ends_it() {
    let (shared, mut lane, _) = alone();
    let others = Arc::clone(&shared);
    meanwhile(&shared, move || others.wake(0));
    assert_eq!(wait(&mut lane, Until::Event), []);
    assert_eq!(looks(&shared), [Sleep::Forever]);
}

#[test]
pub(super) fn a_post_that_fails_is_made_again() {
    let (shared, mut lane, _) = alone();
    let others = Arc::clone(&shared);
    meanwhile(&shared, move || others.wake(0));
    shared.port.script(|script| script.failing = 3);
    assert_eq!(wait(&mut lane, Until::Event), []);
    assert_eq!(shared.port.script(|script| script.posts), 4);
}

#[test]
pub(super) fn a_wake_that_could_not_be_posted_is_late_and_not_lost() {
    let (shared, mut lane, _) = alone();
    let others = Arc::clone(&shared);
    meanwhile(&shared, move || others.wake(0));
    shared.port.script(|script| {
        script.failing = u32::MAX;
        script.longest_sleep = Some(Duration::from_nanos(500));
        script.time = 40;
    });
    assert_eq!(wait(&mut lane, Until::Event), []);
    assert_eq!(looks(&shared), [Sleep::Until(540)]);
}

#[test]
fn a_lane_that_only_looks_keeps_no_wake_of_one_that_sleeps() {
    let (shared, mut lane, _) = alone();
    let mut other = self::lane(&shared, 1);
    let port = Arc::clone(&shared);
    meanwhile(&shared, move || {
        port.wake(0);
        assert_eq!(wait(&mut other, Until::Now), []);
    });
    assert_eq!(wait(&mut lane, Until::Event), []);
    assert_eq!(looks(&shared), [Sleep::Forever, Sleep::No]);
    // With nobody in the port it was for nothing.
    comes(
        &shared,
        Packet {
            key: IO_KEY + 1,
            ..Packet::NONE
        },
    );
    assert_eq!(wait(&mut lane, Until::Now), []);
    assert_eq!(shared.port.script(|script| script.packets.len()), 0);
}

#[test]
fn a_sleep_that_panics_leaves_the_seat() {
    let (shared, mut lane, _) = alone();
    let slept = catch_unwind(AssertUnwindSafe(|| wait(&mut lane, Until::Event)));
    assert!(slept.is_err(), "nothing ends this sleep");
    assert!(!shared.seat.is_taken());
}

#[test]
fn what_is_done_at_once_hides_the_port_for_a_few_waits_only() {
    let shared = shared();
    shared.port.script(|script| {
        script.skips = true;
        script.starts = [Started::Done(3); 30].into();
    });
    let mut lane = lane(&shared, 0);
    let raw = socket(&shared);
    for index in 0..30 {
        recv(&mut lane, index, raw);
        assert_eq!(wait(&mut lane, Until::Event), [(index, 3)]);
    }
    // Of each nine waits one looks, whatever it finds.
    assert_eq!(looks(&shared), [Sleep::No; 3]);
}

#[test]
fn packets_of_others_hold_no_wait_beyond_its_time() {
    let (shared, mut lane, raw) = alone();
    recv(&mut lane, 1, raw);
    let packet = foreign(end(&shared, 0, 0, 0));
    shared.port.script(|script| script.endless = Some(packet));
    assert_eq!(wait(&mut lane, Until::Time(20)), []);
    assert_eq!(shared.port.now(), 20);
}

#[test]
fn empty_pieces_take_no_room() {
    let (shared, mut lane, raw) = alone();
    let mut segments: Vec<Segment> = (0..3 * PIECES)
        .map(|at| Segment {
            ptr: std::ptr::null_mut(),
            len: usize::from(at >= 2 * PIECES - 1),
        })
        .collect();
    let op = Op {
        ptr: segments.as_mut_ptr().cast(),
        len: segments.len() as u32,
        ..Op::new(Code::RecvVectored, raw)
    };
    submit(&mut lane, 1, op);
    let lens = shared.port.script(|script| script.started[0].1.clone());
    assert_eq!(lens, [1; PIECES]);
}

#[test]
fn a_success_is_told_once_whether_its_packet_is_skipped_or_not() {
    for skips in [false, true] {
        let shared = shared();
        shared.port.script(|script| {
            script.skips = skips;
            script.starts.push_back(Started::Done(3));
        });
        let mut lane = lane(&shared, 0);
        let raw = socket(&shared);
        recv(&mut lane, 1, raw);
        if !skips {
            assert_eq!(wait(&mut lane, Until::Now), []);
            comes(&shared, end(&shared, 0, 3, 0));
        }
        assert_eq!(wait(&mut lane, Until::Event), [(1, 3)]);
        assert_eq!(lane.in_flight(), 0);
    }
}

#[test]
fn a_wait_for_what_is_no_event_fails() {
    let (shared, mut lane, socket) = alone();
    let closed = shared.objects.event().expect("there is room");
    shared.close(closed);
    for (index, raw) in [(1, socket), (2, closed), (3, Raw::NONE)] {
        submit(&mut lane, index, Op::new(Code::Wait, raw));
        assert_eq!(wait(&mut lane, Until::Now), [(index, -10_022)]);
    }
    assert_eq!(lane.in_flight(), 0);
}
