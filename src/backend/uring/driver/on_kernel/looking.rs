//! A lane that has always something else to do: it looks for completions and never sleeps.

use std::io::Write;

use super::{CANCELED, bytes, connection, submit, token};
use super::{Code, Lane, Op, Raw, Until, Waited, at_every_level, open_flags};
use crate::backend::Backend;

/// The completions of so many operations, by a lane that never sleeps: it looks, and calls the kernel
/// only if that says that it has something to do.
fn by_looks(lane: &mut impl Lane, count: usize) -> Vec<(u32, i32)> {
    let mut batch = Vec::new();
    while batch.len() < count {
        lane.wait(&mut batch, Until::Now).unwrap();
        std::thread::yield_now();
    }
    batch
        .iter()
        .map(|completion| (completion.token.index(), completion.result))
        .collect()
}

#[test]
fn a_lane_that_only_looks_misses_nothing() {
    at_every_level(|uring, lane| {
        // What another thread brings about, long after the submission.
        let (near, mut peer) = connection(uring, lane);
        let mut buffer = [0; 16];
        submit(lane, 1, bytes(Code::Recv, near, &mut buffer));
        let mut batch = Vec::new();
        for _ in 0..100 {
            lane.wait(&mut batch, Until::Now).unwrap();
        }
        assert!(batch.is_empty());
        let thread = std::thread::spawn(move || {
            peer.write_all(b"late").unwrap();
            peer
        });
        assert_eq!(by_looks(lane, 1), [(1, 4)]);
        let peer = thread.join().unwrap();
        // What a thread of the kernel's does: a file that is created.
        let dir = std::env::temp_dir().join(format!("proactor-looks-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = std::ffi::CString::new(dir.join("file").to_str().unwrap()).unwrap();
        let open = Op {
            ptr: path.as_ptr().cast_mut().cast(),
            len: path.count_bytes() as u32,
            flags: open_flags::WRITE | open_flags::CREATE_NEW,
            offset: 0o600,
            ..Op::new(Code::Open, Raw::NONE)
        };
        submit(lane, 2, open);
        let opened = by_looks(lane, 1);
        assert!(opened[0].1 >= 0, "{opened:?}");
        lane.close(Raw(opened[0].1));
        std::fs::remove_dir_all(&dir).unwrap();
        // A cancel, and more completions than the queue has room for.
        submit(lane, 3, bytes(Code::Recv, near, &mut buffer));
        lane.wait(&mut batch, Until::Now).unwrap();
        lane.cancel(token(3));
        assert_eq!(by_looks(lane, 1), [(3, CANCELED)]);
        (10..110).for_each(|index| submit(lane, index, Op::new(Code::Nop, Raw::NONE)));
        assert_eq!(by_looks(lane, 100).len(), 100);
        // A wake, and what the other end does.
        uring.wake(0);
        assert_eq!(lane.wait(&mut batch, Until::Now).unwrap(), Waited::Returned);
        submit(lane, 4, bytes(Code::Recv, near, &mut buffer));
        lane.wait(&mut batch, Until::Now).unwrap();
        drop(peer);
        assert_eq!(by_looks(lane, 1), [(4, 0)]);
        lane.close(near);
        assert_eq!(lane.in_flight(), 0);
    });
}
