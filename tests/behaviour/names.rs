//! Names and ends of files: append, set_len, rename, remove, directories and their syncing.

use std::io::ErrorKind;

use proactor::fs::{self, Dir, File, OpenOptions};

use crate::kernels::{in_any_order, on_every_kernel, whatever_happens};
use crate::tools::room;

fn for_all() -> OpenOptions {
    OpenOptions::new().read(true).write(true).create(true)
}

#[test]
fn an_append_goes_to_the_end_whoever_else_appends() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("log", b"0");
        proactor
            .block_on(async {
                let one = for_all().open(&proactor, &path).await.unwrap();
                let other = for_all().open(&proactor, &path).await.unwrap();
                let mut appends: Vec<_> = (0..10)
                    .map(|at| if at % 2 == 0 { &one } else { &other }.append(vec![b'a' + at; 3]))
                    .collect();
                appends
                    .iter_mut()
                    .for_each(|append| drop(append.cancel_handle()));
                for append in appends {
                    assert_eq!(append.await.0.unwrap(), 3);
                }
                assert_eq!(one.len().await.unwrap(), 31);
            })
            .unwrap();
        let content = kernel.content(&path).unwrap();
        // No byte of another append is overwritten. Whole records follow each other only where no write
        // comes out short: io_uring goes on with one that did, at the end as it then is (`need_complete_io`,
        // io_uring/rw.c; IOCB_APPEND).
        let mut bytes = content[1..].to_vec();
        bytes.sort_unstable();
        let expected: Vec<u8> = (0..30).map(|at| b'a' + at / 3).collect();
        assert_eq!((content[0], bytes), (b'0', expected), "{content:?}");
    });
}

#[test]
fn a_file_opened_for_appending_is_written_at_its_end_alone() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("log", b"abc");
        proactor
            .block_on(async {
                let options = OpenOptions::new().append(true).read(true);
                let log = options.open(&proactor, &path).await.unwrap();
                assert_eq!(log.write_at("d", 0).await.0.unwrap(), 1);
                assert_eq!(log.append("e").await.0.unwrap(), 1);
                log.set_len(4).await.unwrap();
                assert_eq!(log.write_at("f", 100).await.0.unwrap(), 1);
                assert_eq!(log.read_at(room(9), 0).await.1, b"abcdf");
                let options = OpenOptions::new().append(true).create_new(true);
                let new = options.open(&proactor, kernel.path("new")).await.unwrap();
                assert!(new.read_at(room(1), 0).await.0.is_err());
            })
            .unwrap();
    });
}

#[test]
fn a_length_cuts_and_fills_with_zeros() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        proactor
            .block_on(async {
                let file = for_all().open(&proactor, &path).await.unwrap();
                file.set_len(4).await.unwrap();
                file.set_len(6).await.unwrap();
                assert_eq!(file.len().await.unwrap(), 6);
                file.set_len(u64::MAX).await.unwrap_err();
                let readable = File::open(&proactor, &path).await.unwrap();
                let refused = readable.set_len(0).await.unwrap_err();
                match refused.kind() {
                    ErrorKind::PermissionDenied => assert!(kernel.is_windows()),
                    refused => assert_eq!(refused, ErrorKind::InvalidInput),
                }
            })
            .unwrap();
        assert_eq!(kernel.content(&path).unwrap(), b"0123\0\0");
    });
}

#[test]
fn a_rename_moves_and_replaces() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (old, new) = (kernel.put("old", b"old"), kernel.put("new", b"new"));
        proactor
            .block_on(async {
                let replaced = File::open(&proactor, &new).await.unwrap();
                if kernel.is_wine() {
                    let denied = fs::rename(&proactor, &old, &new).await.unwrap_err();
                    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
                    replaced.close();
                    fs::rename(&proactor, &old, &new).await.unwrap();
                    return;
                }
                fs::rename(&proactor, &old, &new).await.unwrap();
                assert_eq!(replaced.read_at(room(8), 0).await.1, b"new");
                let again = fs::rename(&proactor, &old, &new).await.unwrap_err();
                assert_eq!(again.kind(), ErrorKind::NotFound);
                fs::rename(&proactor, &new, &new).await.unwrap();
            })
            .unwrap();
        assert_eq!(kernel.content(&old), None);
        assert_eq!(kernel.content(&new).unwrap(), b"old");
    });
}

#[test]
fn a_removed_file_is_kept_by_those_who_have_it_open() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"abc");
        proactor
            .block_on(async {
                let file = for_all().open(&proactor, &path).await.unwrap();
                fs::remove_file(&proactor, &path).await.unwrap();
                if !kernel.is_wine() {
                    let gone = fs::remove_file(&proactor, &path).await.unwrap_err();
                    assert_eq!(gone.kind(), ErrorKind::NotFound);
                }
                assert_eq!(file.append("d").await.0.unwrap(), 1);
                assert_eq!(file.read_at(room(8), 0).await.1, b"abcd");
                if kernel.is_wine() {
                    file.close();
                    let gone = File::open(&proactor, &path).await.unwrap_err();
                    assert_eq!(gone.kind(), ErrorKind::NotFound);
                    return;
                }
                let other = File::create(&proactor, &path).await.unwrap();
                assert_eq!(other.len().await.unwrap(), 0);
                assert_eq!(file.len().await.unwrap(), 4);
            })
            .unwrap();
    });
}

#[test]
fn directories_are_made_renamed_synced_and_removed() {
    in_any_order(|kernel| {
        let proactor = kernel.proactor();
        let (dir, moved) = (kernel.path("dir"), kernel.path("moved"));
        proactor
            .block_on(async {
                fs::create_dir(&proactor, &dir).await.unwrap();
                let taken = fs::create_dir(&proactor, &dir).await.unwrap_err();
                assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
                drop(File::create(&proactor, dir.join("file")).await.unwrap());
                let open = Dir::open(&proactor, &dir).await.unwrap();
                open.sync().await.unwrap();
                fs::rename(&proactor, &dir, &moved).await.unwrap();
                open.sync().await.unwrap();
                let full = fs::remove_dir(&proactor, &moved).await.unwrap_err();
                assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
                let directory = fs::remove_file(&proactor, &moved).await.unwrap_err();
                assert_eq!(directory.kind(), ErrorKind::IsADirectory);
                fs::remove_file(&proactor, moved.join("file"))
                    .await
                    .unwrap();
                if kernel.is_windows() {
                    open.close();
                }
                fs::remove_dir(&proactor, &moved).await.unwrap();
                let gone = Dir::open(&proactor, &moved).await.unwrap_err();
                assert_eq!(gone.kind(), ErrorKind::NotFound);
            })
            .unwrap();
        assert_eq!(proactor.stats().objects, 0);
    });
}

#[test]
fn names_that_make_no_sense_are_refused() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let (file, nul) = (kernel.put("file", b"abc"), kernel.path("a\0b"));
        proactor
            .block_on(async {
                let errors = [
                    (
                        fs::rename(&proactor, &file, &nul).await,
                        ErrorKind::InvalidInput,
                    ),
                    (
                        fs::rename(&proactor, &nul, &file).await,
                        ErrorKind::InvalidInput,
                    ),
                    (
                        fs::remove_file(&proactor, &nul).await,
                        ErrorKind::InvalidInput,
                    ),
                    (
                        fs::remove_dir(&proactor, &nul).await,
                        ErrorKind::InvalidInput,
                    ),
                    (
                        fs::create_dir(&proactor, &nul).await,
                        ErrorKind::InvalidInput,
                    ),
                    (
                        Dir::open(&proactor, &nul).await.map(drop),
                        ErrorKind::InvalidInput,
                    ),
                    (
                        Dir::open(&proactor, &file).await.map(drop),
                        ErrorKind::NotADirectory,
                    ),
                    (
                        fs::remove_dir(&proactor, &file).await,
                        ErrorKind::NotADirectory,
                    ),
                    (
                        fs::create_dir(&proactor, file.join("x")).await,
                        match kernel.is_windows() {
                            true => ErrorKind::NotFound,
                            false => ErrorKind::NotADirectory,
                        },
                    ),
                    (
                        fs::create_dir(&proactor, kernel.path("x/y")).await,
                        ErrorKind::NotFound,
                    ),
                    (
                        fs::create_dir(&proactor, kernel.path(&"x".repeat(256))).await,
                        match kernel.is_wine() {
                            true => ErrorKind::NotFound,
                            false => ErrorKind::InvalidFilename,
                        },
                    ),
                ];
                for (at, (result, kind)) in errors.into_iter().enumerate() {
                    let error = result.unwrap_err();
                    assert_eq!(error.kind(), kind, "number {at}: {error}");
                }
                let options = OpenOptions::new().append(true).truncate(true);
                let refused = options.open(&proactor, &file).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            })
            .unwrap();
        assert_eq!(kernel.content(&file).unwrap(), b"abc");
    });
}

#[test]
fn a_path_may_be_long() {
    on_every_kernel(|kernel| {
        let proactor = kernel.proactor();
        let mut dir = kernel.path("");
        proactor
            .block_on(async {
                for _ in 0..4 {
                    dir = dir.join("d".repeat(100));
                    fs::create_dir(&proactor, &dir).await.unwrap();
                }
                let (old, new) = (dir.join("old"), dir.join("new"));
                let file = File::create(&proactor, &old).await.unwrap();
                assert_eq!(file.write_at("abc", 0).await.0.unwrap(), 3);
                drop(file);
                fs::rename(&proactor, &old, &new).await.unwrap();
                let file = File::open(&proactor, &new).await.unwrap();
                assert_eq!(file.len().await.unwrap(), 3);
                file.close();
                fs::remove_file(&proactor, &new).await.unwrap();
                Dir::open(&proactor, &dir)
                    .await
                    .unwrap()
                    .sync()
                    .await
                    .unwrap();
                fs::remove_dir(&proactor, &dir).await.unwrap();
            })
            .unwrap();
    });
}

#[test]
fn what_is_dropped_or_cancelled_has_happened_or_not() {
    whatever_happens(|kernel| {
        let proactor = kernel.proactor();
        let path = kernel.put("file", b"0123456789");
        let (dir, moved) = (kernel.path("dir"), kernel.path("moved"));
        let ended = proactor.block_on(async {
            let file = for_all().open(&proactor, &path).await.ok()?;
            let mut cut = file.set_len(5);
            cut.cancel_handle().cancel();
            let _ = cut.await;
            drop(fs::create_dir(&proactor, &dir));
            let mut made = fs::create_dir(&proactor, &dir);
            drop(made.cancel_handle());
            drop(made);
            let mut renamed = fs::rename(&proactor, &path, &moved);
            drop(renamed.cancel_handle());
            drop(renamed);
            let mut opened = Dir::open(&proactor, &dir);
            drop(opened.cancel_handle());
            drop(opened);
            Some(file.len().await)
        });
        if let Some(Ok(len)) = ended.unwrap() {
            assert!(len == 5 || len == 10, "{len}");
        }
        proactor.run().unwrap();
        let both = (kernel.content(&path), kernel.content(&moved));
        assert!(both.0.is_some() != both.1.is_some(), "{both:?}");
        assert_eq!(proactor.stats().objects, 0);
    });
}
