//! A file of 1 GiB for many clients at once.

use std::io::Read;
use std::thread;

use proactor_peers::{Directory, FileServer, Style};

const GIB: u64 = 1 << 30;
const MARKS: [(u64, &[u8]); 4] = [
    (0, b"the first bytes"),
    (65_530, b"across the end of a piece"),
    (GIB / 2, b"the middle"),
    (GIB - 14, b"the last bytes"),
];

#[test]
#[ignore = "moves 16 GiB, about a minute in release: \
            cargo test --release -p proactor-peers --test soak -- --ignored"]
fn eight_clients_get_a_gibibyte_each() {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"));
    directory.put_sparse("large.bin", GIB, &MARKS);
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let response = ureq::get(server.url("/large.bin")).call().unwrap();
                    assert_whole(response.into_body().into_reader());
                });
            }
        });
        server.finish();
    }
}

/// Compares what arrives with the file, without ever holding it.
fn assert_whole(mut reader: impl Read) {
    let mut expected = vec![0; 1 << 16];
    let mut received = vec![0; 1 << 16];
    for piece in 0..GIB >> 16 {
        reader.read_exact(&mut received).unwrap();
        expected.fill(0);
        for (offset, mark) in MARKS {
            for (at, &byte) in (offset..).zip(mark) {
                if at >> 16 == piece {
                    expected[(at & 0xffff) as usize] = byte;
                }
            }
        }
        assert!(received == expected, "piece {piece}");
    }
    assert_eq!(reader.read(&mut received).unwrap(), 0);
}
