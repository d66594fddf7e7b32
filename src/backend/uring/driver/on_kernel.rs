//! The driver on the kernel's own ring, at every level that this kernel has.

mod looking;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::*;
use crate::backend::uring::kernel::{KernelRing, Level};
use crate::backend::uring::{Options, Uring};
use crate::backend::{
    Backend, CANCELED, Code, ConnectAddr, LENGTH_OFFSET, Lane, ListenOptions, Notified, Origin,
    Segment, Waited, open_flags,
};
use crate::choice::EventId;

const SMALL: Options = Options {
    submissions: 8,
    completions: 16,
};

/// Runs the body at every level. Says so where io_uring, or a level, is refused.
fn at_every_level(body: impl Fn(&Uring, &mut Driver<KernelRing>)) {
    if let Err(refused) = Uring::new(SMALL) {
        eprintln!("skipped: {refused}");
        return;
    }
    for level in Level::ALL {
        match Uring::at(level, SMALL) {
            Ok(uring) => body(&uring, &mut uring.driver(0).unwrap()),
            Err(error) => eprintln!("skipped at {level:?}: {error}"),
        }
    }
}

fn origin() -> Origin {
    Origin {
        event: EventId::ROOT,
        cause: EventId::ROOT,
        location: Location::caller(),
        writable: true,
        may_be_ready: false,
    }
}

fn token(index: u32) -> Token {
    Token::new(index, 1, Tag::Operation)
}

/// Submits under a token with this index. The tests keep all memory until they end.
fn submit(lane: &mut impl Lane, index: u32, op: Op) {
    // SAFETY: see above (I4).
    unsafe { lane.submit(token(index), Box::leak(Box::new(op)), &origin()) };
}

/// Waits for the one completion that is due.
fn one(lane: &mut impl Lane) -> (u32, i32) {
    let mut batch = Vec::new();
    while batch.is_empty() {
        assert_eq!(
            lane.wait(&mut batch, Until::Event).unwrap(),
            Waited::Returned
        );
    }
    assert_eq!(batch.len(), 1, "{batch:?}");
    (batch[0].token.index(), batch[0].result)
}

fn run(lane: &mut impl Lane, op: Op) -> i32 {
    submit(lane, 0, op);
    one(lane).1
}

fn bytes(code: Code, raw: Raw, buffer: &mut [u8]) -> Op {
    Op {
        ptr: buffer.as_mut_ptr(),
        len: buffer.len() as u32,
        ..Op::new(code, raw)
    }
}

fn listener(uring: &Uring) -> (Raw, SocketAddr) {
    let options = ListenOptions {
        backlog: 8,
        reuse_address: true,
        reuse_port: false,
    };
    let raw = uring
        .listen("127.0.0.1:0".parse().unwrap(), options)
        .unwrap();
    (raw, uring.local_addr(raw).unwrap())
}

/// A connection: one end the ring's, the other a plain socket.
fn connection(uring: &Uring, lane: &mut impl Lane) -> (Raw, TcpStream) {
    let (listening, addr) = listener(uring);
    submit(lane, 0, Op::new(Code::Accept, listening));
    let peer = TcpStream::connect(addr).unwrap();
    let (_, handle) = one(lane);
    assert!(handle >= 0, "{handle}");
    uring.close(listening);
    (Raw(handle), peer)
}

#[test]
fn bytes_come_back_from_an_echo() {
    at_every_level(|uring, lane| {
        let (near, mut peer) = connection(uring, lane);
        let mut buffer = [0; 16];
        for round in 0..20 {
            let sent = [round; 9];
            submit(lane, 1, bytes(Code::Recv, near, &mut buffer));
            peer.write_all(&sent).unwrap();
            assert_eq!(one(lane), (1, 9));
            assert_eq!(run(lane, bytes(Code::Send, near, &mut buffer[..9])), 9);
            let mut received = [0; 9];
            peer.read_exact(&mut received).unwrap();
            assert_eq!(received, sent);
        }
        drop(peer);
        assert_eq!(run(lane, bytes(Code::Recv, near, &mut buffer)), 0);
        assert_eq!(run(lane, bytes(Code::Recv, near, &mut [])), 0);
        lane.close(near);
        assert_eq!(lane.in_flight(), 0);
    });
}

#[test]
fn a_connect_leads_to_an_accept_and_a_vectored_send_to_a_vectored_receive() {
    at_every_level(|uring, lane| {
        let (listening, addr) = listener(uring);
        let far = uring.stream(addr, None).unwrap();
        let mut to = ConnectAddr {
            addr,
            scratch: [0; 4],
        };
        submit(lane, 1, Op::new(Code::Accept, listening));
        submit(
            lane,
            2,
            Op {
                ptr: (&raw mut to).cast(),
                ..Op::new(Code::Connect, far)
            },
        );
        let mut near = Raw::NONE;
        for _ in 0..2 {
            match one_of(lane) {
                (1, handle) if handle >= 0 => near = Raw(handle),
                other => assert_eq!(other, (2, 0)),
            }
        }
        assert_eq!(uring.peer_addr(far).unwrap(), addr);
        uring.set_nodelay(far, true).unwrap();
        assert!(uring.nodelay(far).unwrap());

        let (mut one, mut two) = (*b"forty", *b"-two");
        let pieces = |one: &mut [u8], two: &mut [u8]| {
            [one, two].map(|piece| Segment {
                ptr: piece.as_mut_ptr(),
                len: piece.len(),
            })
        };
        let mut out = pieces(&mut one, &mut two);
        let vectored = |code, raw, pieces: &mut [Segment; 2]| Op {
            ptr: pieces.as_mut_ptr().cast(),
            len: 2,
            ..Op::new(code, raw)
        };
        assert_eq!(run(lane, vectored(Code::SendVectored, far, &mut out)), 9);
        let (mut three, mut four) = ([0; 3], [0; 8]);
        let mut into = pieces(&mut three, &mut four);
        assert_eq!(run(lane, vectored(Code::RecvVectored, near, &mut into)), 9);
        assert_eq!((&three, &four[..6]), (b"for", &b"ty-two"[..]));

        // The peer is told the end, and sending to one that is gone is a result, not a signal.
        assert_eq!(
            run(
                lane,
                Op {
                    flags: 1,
                    ..Op::new(Code::Shutdown, near)
                }
            ),
            0
        );
        assert_eq!(run(lane, bytes(Code::Recv, far, &mut three)), 0);
        assert_eq!(run(lane, bytes(Code::Send, near, &mut three)), -libc::EPIPE);
        assert_eq!(
            run(lane, vectored(Code::SendVectored, near, &mut out)),
            -libc::EPIPE
        );
        for raw in [listening, near, far] {
            lane.close(raw);
        }
    });
}

/// One completion, of perhaps several.
fn one_of(lane: &mut Driver<KernelRing>) -> (u32, i32) {
    let mut batch = Vec::new();
    lane.wait(&mut batch, Until::Event).unwrap();
    let first = batch.remove(0);
    // The others are handed out next time.
    lane.in_flight += batch.len();
    lane.ready.append(&mut batch);
    (first.token.index(), first.result)
}

#[test]
fn a_connection_that_nobody_accepts_is_refused() {
    at_every_level(|uring, lane| {
        let (listening, addr) = listener(uring);
        uring.close(listening);
        let far = uring.stream(addr, None).unwrap();
        let mut to = ConnectAddr {
            addr,
            scratch: [0; 4],
        };
        let result = run(
            lane,
            Op {
                ptr: (&raw mut to).cast(),
                ..Op::new(Code::Connect, far)
            },
        );
        assert_eq!(
            uring.error(-result).kind(),
            io::ErrorKind::ConnectionRefused
        );
        uring.close(far);
    });
}

#[test]
fn pending_operations_end_canceled_and_stale_cancels_hit_nobody() {
    at_every_level(|uring, lane| {
        let (listening, _) = listener(uring);
        submit(lane, 1, Op::new(Code::Accept, listening));
        // In the queue only, then in the kernel.
        lane.cancel(token(1));
        assert_eq!(one(lane), (1, CANCELED));
        submit(lane, 1, Op::new(Code::Accept, listening));
        lane.wait(&mut Vec::new(), Until::Now).unwrap();
        lane.cancel(Token::new(1, 2, Tag::Operation));
        lane.cancel(Token::new(900, 1, Tag::Operation));
        lane.cancel(token(1));
        lane.cancel(token(1));
        assert_eq!(one(lane), (1, CANCELED));
        lane.cancel(token(1));
        assert_eq!(run(lane, Op::new(Code::Nop, Raw::NONE)), 0);
        uring.close(listening);
    });
}

#[test]
fn a_cancel_that_races_its_target_loses_no_byte() {
    at_every_level(|uring, lane| {
        let (near, mut peer) = connection(uring, lane);
        let (mut sent, mut received) = (0, 0);
        let mut buffer = [0; 1];
        for _ in 0..500 {
            submit(lane, 1, bytes(Code::Recv, near, &mut buffer));
            // To the kernel, which may complete it, with a byte of an earlier round.
            lane.flush();
            peer.write_all(&[0]).unwrap();
            sent += 1;
            lane.cancel(token(1));
            match one(lane) {
                (1, 1) => received += 1,
                other => assert_eq!(other, (1, CANCELED)),
            }
        }
        while received < sent {
            assert_eq!(run(lane, bytes(Code::Recv, near, &mut buffer)), 1);
            received += 1;
        }
        lane.close(near);
    });
}

#[test]
fn ten_thousand_operations_go_through_an_eight_entry_ring() {
    at_every_level(|_, lane| {
        for index in 0..10_000 {
            submit(lane, index, Op::new(Code::Nop, Raw::NONE));
        }
        assert_eq!(lane.in_flight(), 10_000);
        let (mut batch, mut seen) = (Vec::new(), vec![false; 10_000]);
        while lane.in_flight() > 0 {
            lane.wait(&mut batch, Until::Event).unwrap();
            for completion in batch.drain(..) {
                assert_eq!(completion.result, 0);
                assert!(!std::mem::replace(
                    &mut seen[completion.token.index() as usize],
                    true
                ));
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    });
}

#[test]
fn a_thousand_timers_fire_in_order_and_none_early() {
    at_every_level(|uring, lane| {
        let start = uring.now();
        let deadline = |index: u32| start + u64::from(index * 7919 % 1_000) * 20_000;
        for index in 0..1_000 {
            submit(
                lane,
                index,
                Op {
                    offset: deadline(index),
                    ..Op::new(Code::Timer, Raw::NONE)
                },
            );
        }
        for index in (0..1_000).step_by(2) {
            lane.disarm(token(index));
        }
        // One that is canceled; its completion comes like any other.
        submit(
            lane,
            2_000,
            Op {
                offset: u64::MAX,
                ..Op::new(Code::Timer, Raw::NONE)
            },
        );
        lane.cancel(token(2_000));
        let (mut batch, mut last, mut fired) = (Vec::new(), 0, 0);
        while lane.in_flight() > 0 {
            lane.wait(&mut batch, Until::Event).unwrap();
            let now = uring.now();
            for completion in batch.drain(..) {
                if completion.token == token(2_000) {
                    assert_eq!(completion.result, CANCELED);
                    continue;
                }
                let deadline = deadline(completion.token.index());
                assert!(last <= deadline && deadline <= now);
                last = deadline;
                fired += 1;
            }
        }
        assert_eq!(fired, 500);
        // A wait with a deadline returns at it and not before, with entries to submit or without.
        for submit_too in [false, true] {
            if submit_too {
                let (listening, _) = listener(uring);
                submit(lane, 1, Op::new(Code::Accept, listening));
            }
            let until = uring.now() + 2_000_000;
            lane.wait(&mut batch, Until::Time(until)).unwrap();
            assert!(uring.now() >= until && batch.is_empty());
        }
        lane.cancel(token(1));
        assert_eq!(one(lane), (1, CANCELED));
    });
}

#[test]
fn files_are_created_written_measured_and_read() {
    let dir = std::env::temp_dir().join(format!("proactor-uring-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    at_every_level(|uring, lane| {
        let path = dir.join("file");
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let open = |flags| Op {
            ptr: name.as_ptr().cast_mut().cast(),
            len: name.count_bytes() as u32,
            flags,
            offset: 0o600,
            ..Op::new(Code::Open, Raw::NONE)
        };
        assert_eq!(run(lane, open(open_flags::READ)), -libc::ENOENT);
        let flags = open_flags::READ | open_flags::WRITE | open_flags::CREATE_NEW;
        let file = Raw(run(lane, open(flags)));
        assert!(file.0 >= 0);
        assert_eq!(run(lane, open(flags)), -libc::EEXIST);
        let mut text = *b"0123456789";
        let at = |offset, op| Op { offset, ..op };
        assert_eq!(run(lane, at(5, bytes(Code::WriteAt, file, &mut text))), 10);
        assert_eq!(
            run(
                lane,
                Op {
                    flags: 1,
                    ..Op::new(Code::Sync, file)
                }
            ),
            0
        );
        assert_eq!(run(lane, Op::new(Code::Sync, file)), 0);
        let mut statx = [0_u64; 32];
        let length = Op {
            ptr: statx.as_mut_ptr().cast(),
            ..Op::new(Code::Length, file)
        };
        assert_eq!(run(lane, length), 0);
        assert_eq!(statx[LENGTH_OFFSET / 8], 15);
        let mut buffer = [1; 8];
        assert_eq!(run(lane, at(4, bytes(Code::ReadAt, file, &mut buffer))), 8);
        assert_eq!(&buffer, b"\x000123456");
        assert_eq!(run(lane, at(15, bytes(Code::ReadAt, file, &mut buffer))), 0);
        let last = run(
            lane,
            at(u64::MAX - 1, bytes(Code::ReadAt, file, &mut buffer)),
        );
        assert_eq!(last, -libc::EINVAL);
        lane.close(file);
        let again = run(lane, open(open_flags::WRITE | open_flags::TRUNCATE));
        uring.close(Raw(again));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
        std::fs::remove_file(&path).unwrap();
    });
    std::fs::remove_dir(&dir).unwrap();
}

#[test]
fn a_close_has_its_effect_also_if_the_lane_is_dropped_before_it_is_submitted() {
    at_every_level(|uring, lane| {
        let (near, mut peer) = connection(uring, lane);
        lane.close(near);
        lane.wait(&mut Vec::new(), Until::Now).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);

        let mut other = uring.driver(1).unwrap();
        let (near, mut peer) = connection(uring, &mut other);
        other.close(near);
        drop(other);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_lane_dropped_with_operations_in_flight_neither_hangs_nor_keeps_the_connection() {
    at_every_level(|uring, _| {
        for elsewhere in [false, true] {
            let mut lane = uring.driver(1).unwrap();
            let (near, mut peer) = connection(uring, &mut lane);
            // The kernel may touch it until it has cancelled the receive: leaked (I4).
            let buffer = Box::leak(Box::new([0; 8]));
            submit(&mut lane, 1, bytes(Code::Recv, near, buffer));
            lane.wait(&mut Vec::new(), Until::Now).unwrap();
            uring.close(near);
            if elsewhere {
                std::thread::scope(|scope| {
                    scope.spawn(|| drop(lane));
                });
            } else {
                drop(lane);
                // The receive holds the socket until the kernel has cancelled it.
                assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            }
        }
    });
}

#[test]
fn a_lane_is_made_on_one_thread_used_on_another_and_dropped_on_a_third() {
    at_every_level(|uring, _| {
        let mut lane = uring.driver(1).unwrap();
        let lane = std::thread::scope(|scope| {
            let used = scope.spawn(move || {
                assert_eq!(run(&mut lane, Op::new(Code::Nop, Raw::NONE)), 0);
                lane
            });
            used.join().unwrap()
        });
        drop(lane);
    });
}

#[test]
fn no_wake_is_lost() {
    at_every_level(|uring, lane| {
        // Before the wait.
        uring.wake(0);
        lane.wait(&mut Vec::new(), Until::Event).unwrap();
        // During waits: each side waits for the other, so one lost wake would hang the test.
        let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=2_000 {
                    asked.store(round, Ordering::Release);
                    uring.wake(0);
                    while answered.load(Ordering::Acquire) < round {
                        std::thread::yield_now();
                    }
                }
            });
            let mut done = 0;
            while done < 2_000 {
                lane.wait(&mut Vec::new(), Until::Event).unwrap();
                done = asked.load(Ordering::Acquire);
                answered.store(done, Ordering::Release);
            }
        });
    });
}

/// A waker that a thread can wait for.
struct Woken {
    thread: std::thread::Thread,
    count: AtomicUsize,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

#[test]
fn a_foreign_executor_is_woken_for_completions_wakes_and_deadlines() {
    at_every_level(|uring, lane| {
        let woken = Arc::new(Woken {
            thread: std::thread::current(),
            count: AtomicUsize::new(0),
        });
        let waker = Waker::from(Arc::clone(&woken));
        let mut expected = 0;
        // What an executor does: arm, sleep, look; and again, for a wake may come for nothing.
        let mut drive = |lane: &mut Driver<KernelRing>, until, over: &dyn Fn() -> bool| {
            loop {
                if let Notified::Now(waker) = lane.notify(waker.clone(), until).unwrap() {
                    waker.wake();
                }
                expected += 1;
                while woken.count.load(Ordering::Acquire) < expected {
                    std::thread::park();
                }
                let mut batch = Vec::new();
                lane.wait(&mut batch, Until::Now).unwrap();
                if !batch.is_empty() || over() {
                    return batch;
                }
            }
        };
        let never = || false;
        let (near, peer) = connection(uring, lane);
        let mut buffer = [0; 8];
        for _ in 0..50 {
            submit(lane, 1, bytes(Code::Recv, near, &mut buffer));
            std::thread::scope(|scope| {
                scope.spawn(|| (&peer).write_all(&[0]).unwrap());
                let batch = drive(lane, Until::Event, &never);
                assert_eq!(
                    batch,
                    [Completion {
                        token: token(1),
                        result: 1
                    }]
                );
            });
            // Its own deadline, and a timer's.
            let soon = uring.now() + 100_000;
            let batch = drive(lane, Until::Time(soon), &|| uring.now() >= soon);
            assert!(batch.is_empty());
            let soon = uring.now() + 100_000;
            submit(
                lane,
                2,
                Op {
                    offset: soon,
                    ..Op::new(Code::Timer, Raw::NONE)
                },
            );
            let batch = drive(lane, Until::Event, &never);
            assert_eq!(
                batch,
                [Completion {
                    token: token(2),
                    result: 0
                }]
            );
            assert!(uring.now() >= soon);
            // A wake from elsewhere, at any moment.
            let rung = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    rung.store(1, Ordering::Release);
                    uring.wake(0);
                });
                drive(lane, Until::Event, &|| rung.load(Ordering::Acquire) == 1);
            });
            // What is there already.
            submit(lane, 1, Op::new(Code::Nop, Raw::NONE));
            assert_eq!(drive(lane, Until::Event, &never).len(), 1);
        }
        lane.close(near);
    });
}

#[test]
fn each_level_says_what_it_is() {
    at_every_level(|uring, _| assert!(uring.describe().starts_with("io_uring (")));
}

/// Not a test but a measure: run it under `valgrind --tool=callgrind` with two values of ROUNDS, and
/// divide the difference of the instructions by that of the operations, 32 a round.
#[test]
#[ignore = "a measure, to be run under callgrind"]
fn nops_in_batches_of_32() {
    let rounds = std::env::var("ROUNDS").map_or(1_000, |rounds| rounds.parse().unwrap());
    let uring = Uring::new(Options::default()).unwrap();
    let mut lane = uring.lane(0).unwrap();
    let mut batch = Vec::new();
    let origin = origin();
    for _ in 0..rounds {
        for index in 0..32 {
            let op = std::hint::black_box(Op::new(Code::Nop, Raw::NONE));
            // SAFETY: it points at nothing.
            unsafe { lane.submit(token(index), &op, &origin) };
        }
        while lane.in_flight() > 0 {
            lane.wait(&mut batch, Until::Event).unwrap();
        }
        assert_eq!(std::hint::black_box(&batch).len(), 32);
        batch.clear();
    }
}
