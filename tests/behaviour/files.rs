//! Files.

use std::io::ErrorKind;

use proactor::IoBuf;
use proactor::fs::{File, OpenOptions};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::room;

#[test]
fn what_is_written_at_an_offset_is_read_there() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        proactor
            .block_on(async {
                let options = OpenOptions::new().read(true).write(true);
                let file = options.open(&proactor, &path).await.unwrap();
                assert_eq!(file.write_at("ab", 4).await.0.unwrap(), 2);
                assert_eq!(file.read_at(room(4), 3).await.1, b"3ab6");
                assert_eq!(file.read_at(room(64), 8).await.1, b"89");
                assert_eq!(file.write_at("z", 12).await.0.unwrap(), 1);
                assert_eq!(file.len().await.unwrap(), 13);
                file.sync_data().await.unwrap();
                file.sync_all().await.unwrap();
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap(), b"0123ab6789\0\0z");
    });
}

#[test]
fn a_read_past_the_end_finds_nothing() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let Ok(file) = File::open(&proactor, &path).await else {
                    return;
                };
                for offset in [3, 4, 1 << 40] {
                    let (read, buf) = file.read_at(room(8), offset).await;
                    assert_eq!((read.unwrap_or(0), buf.len()), (0, 0));
                }
            })
            .unwrap();
    });
}

#[test]
fn several_reads_of_one_file_at_once_are_independent() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        proactor
            .block_on(async {
                let file = File::open(&proactor, &path).await.unwrap();
                let mut reads: Vec<_> = (0..10).map(|at| file.read_at(room(1), at)).collect();
                reads.iter_mut().for_each(|read| drop(read.cancel_handle()));
                for (at, read) in reads.into_iter().enumerate() {
                    assert_eq!(read.await.1, [b'0' + at as u8]);
                }
            })
            .unwrap();
    });
}

#[test]
fn create_makes_and_empties() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (old, new) = (kernel.put("old", b"content"), kernel.path("new"));
        proactor
            .block_on(async {
                for path in [&old, &new] {
                    let file = File::create(&proactor, path).await.unwrap();
                    assert_eq!(file.len().await.unwrap(), 0);
                }
            })
            .unwrap();
        assert_eq!(kernel.content(&old).unwrap(), b"");
        assert_eq!(kernel.content(&new).unwrap(), b"");
    });
}

#[test]
fn create_without_truncate_keeps_what_is_there() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"content");
        let options = OpenOptions::new().write(true).create(true);
        let file = proactor
            .block_on(options.open(&proactor, &path))
            .unwrap()
            .unwrap();
        assert_eq!(proactor.block_on(file.len()).unwrap().unwrap(), 7);
    });
}

#[test]
fn create_new_makes_and_never_takes_what_is_there() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.path("file");
        let options = OpenOptions::new().write(true).create_new(true);
        let (first, second) = proactor
            .block_on(async {
                (
                    options.open(&proactor, &path).await,
                    options.open(&proactor, &path).await,
                )
            })
            .unwrap();
        first.unwrap();
        assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
}

#[test]
fn a_file_is_opened_for_what_was_said() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let readable = File::open(&proactor, &path).await.unwrap();
                assert!(readable.write_at("x", 0).await.0.is_err());
                let writable = OpenOptions::new()
                    .write(true)
                    .open(&proactor, &path)
                    .await
                    .unwrap();
                assert!(writable.read_at(room(8), 0).await.0.is_err());
                assert_eq!(writable.write_at("x", 0).await.0.unwrap(), 1);
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap(), b"xbc");
    });
}

#[test]
fn options_that_make_no_sense_are_invalid_input() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        let bad = [
            OpenOptions::new(),
            OpenOptions::new().create(true),
            OpenOptions::new().read(true).create(true),
            OpenOptions::new().read(true).create_new(true),
            OpenOptions::new().read(true).truncate(true),
            OpenOptions::new().read(true).read(false),
        ];
        for options in bad {
            let error = proactor
                .block_on(options.open(&proactor, &path))
                .unwrap()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{options:?}");
        }
        assert_eq!(kernel.content(&path).unwrap(), b"abc");
    });
}

#[test]
fn slices_of_a_buffer_are_read_and_written() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        proactor
            .block_on(async {
                let options = OpenOptions::new().read(true).write(true);
                let file = options.open(&proactor, &path).await.unwrap();
                let mut buf = room(64);
                for offset in [0, 4, 8] {
                    let end = buf.len();
                    buf = file
                        .read_at(buf.slice(end..end + 4), offset)
                        .await
                        .1
                        .into_inner();
                }
                assert_eq!(buf, b"0123456789");
                assert_eq!(
                    file.write_at(String::from("abc").slice(1..2), 0)
                        .await
                        .0
                        .unwrap(),
                    1
                );
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap()[..2], *b"b1");
    });
}

#[test]
fn a_file_closes_with_its_last_handle() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let file = File::open(&proactor, &path).await.unwrap();
                let clone = file.clone();
                drop(file);
                assert_eq!(clone.read_at(room(8), 0).await.1, b"abc");
                assert_eq!(proactor.stats().objects, 1);
                drop(clone);
                assert_eq!(proactor.stats().objects, 0);
            })
            .unwrap();
    });
}
