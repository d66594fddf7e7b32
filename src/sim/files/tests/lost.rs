//! What a loss of power leaves, worked by hand: each class, what syncs keep, and that it is legal.

use super::super::disk::{By, Change, Disk, Fate, Loss, SECTOR};
use super::super::*;
use crate::choice::{EventId, Site};
use crate::sim::Config;
use crate::sim::errno::*;
use crate::sim::op::Verb;
use crate::sim::steps::{Stepped, Until};
use crate::sim::tests::{Hand, Random};

const NOBODY: By = By {
    event: EventId::ROOT,
    location: None,
};

fn write(offset: u64, byte: u8, len: usize) -> Change {
    Change::Write {
        offset,
        bytes: vec![byte; len],
    }
}

/// A disk with two synced sectors of ones, and these changes.
fn disk(changes: &[Change]) -> (Disk, data::Data) {
    let mut data = data::Data::default();
    data.write(0, 1024, |to| to.fill(1));
    let mut disk = Disk::new(data.clone());
    for change in changes {
        match change {
            Change::Write { offset, bytes } => {
                data.write(*offset, bytes.len(), |to| to.copy_from_slice(bytes));
            }
            Change::SetLen(len) => {
                data.set_len(*len);
            }
        }
        disk.add(NOBODY, change.clone());
    }
    (disk, data)
}

/// Runs of equal bytes: `1x512 3x20`.
fn runs(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b);
    let runs: Vec<String> = runs
        .map(|run| format!("{}x{}", run[0], run.len()))
        .collect();
    runs.join(" ")
}

fn left(disk: &Disk, loss: Loss) -> String {
    let fates = disk.fates(loss);
    runs(&disk.left(|at| &fates[at]).to_vec())
}

#[test]
fn each_class_leaves_what_it_says() {
    let overwrite = write(0, 2, 1024);
    let grows = write(1024, 3, 1536);
    let (disk, data) = disk(&[overwrite, grows]);
    let classes: Vec<_> = disk.losses().into_iter().map(Loss::word).collect();
    assert_eq!(
        classes,
        [
            "kept", "lost", "last", "torn-1", "torn-n-1", "tail", "zeros", "first", "apart"
        ]
    );
    assert_eq!(left(&disk, Loss::Kept), runs(&data.to_vec()));
    assert_eq!(left(&disk, Loss::Lost), "1x1024");
    assert_eq!(left(&disk, Loss::LastLost), "2x1024");
    assert_eq!(left(&disk, Loss::Torn("torn-1", 1)), "2x1024 3x512");
    assert_eq!(left(&disk, Loss::Tail), "2x1024 0x1024 3x512");
    assert_eq!(left(&disk, Loss::Zeros), "2x1024 0x1536");
    assert_eq!(left(&disk, Loss::FirstLost), "1x1024 3x1536");
}

#[test]
fn a_length_is_kept_up_to_some_point_and_not_beyond() {
    // Cut, and grown again: who loses the cut has the old bytes and nothing of what came later beyond it.
    let (cut, _) = disk(&[Change::SetLen(100), write(100, 5, 600), write(0, 6, 50)]);
    let lost = [Fate::Lost, Fate::Kept, Fate::Kept];
    assert_eq!(runs(&cut.left(|at| &lost[at]).to_vec()), "6x50 1x974");
    let kept = [Fate::Kept, Fate::Lost, Fate::Kept];
    assert_eq!(runs(&cut.left(|at| &kept[at]).to_vec()), "6x50 1x50");
    // Grown twice: without the first the second has nowhere to be.
    let (grown, _) = disk(&[write(1024, 5, 512), write(1536, 6, 512)]);
    let lost = [Fate::Lost, Fate::Kept];
    assert_eq!(runs(&grown.left(|at| &lost[at]).to_vec()), "1x1024");
    let zeros = [Fate::Length, Fate::Kept];
    assert_eq!(
        runs(&grown.left(|at| &zeros[at]).to_vec()),
        "1x1024 0x512 6x512"
    );
}

#[test]
fn every_sector_is_what_some_of_the_writes_left_there() {
    let mut state = 1u64;
    let mut next = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(99);
        (state >> 33) % below
    };
    for _ in 0..3_000 {
        let changes: Vec<Change> = (0..1 + next(4))
            .map(|at| match next(5) {
                0 => Change::SetLen(next(2_600)),
                _ => write(next(2_000), at as u8 + 2, 1 + next(1_400) as usize),
            })
            .collect();
        let (disk, data) = disk(&changes);
        let losses = disk.losses();
        let fates: Vec<Fate> = match losses[next(losses.len() as u64) as usize] {
            Loss::Apart => {
                let own: Vec<_> = disk.at_risk().map(|it| it.fates()).collect();
                let pick =
                    |fates: Vec<(&str, Fate)>| fates[next(fates.len() as u64) as usize].1.clone();
                own.into_iter().map(pick).collect()
            }
            loss => disk.fates(loss),
        };
        let left = disk.left(|at| &fates[at]).to_vec();
        if fates.iter().all(|fate| *fate == Fate::Kept) {
            assert_eq!(left, data.to_vec());
        }
        let durable = [1u8; 1024];
        for (at, &byte) in left.iter().enumerate() {
            // Nobody else's bytes, none torn within a sector by the write that covers it whole.
            let mut possible = vec![0, durable.get(at).copied().unwrap_or(0)];
            for change in &changes {
                if let Change::Write { offset, bytes } = change
                    && (*offset..offset + bytes.len() as u64).contains(&(at as u64))
                {
                    possible.push(bytes[0]);
                }
            }
            assert!(
                possible.contains(&byte),
                "{changes:?} {fates:?}: {byte} at {at}"
            );
        }
        for (sector, bytes) in left.chunks_exact(SECTOR as usize).enumerate() {
            let covers = |change: &&Change| match change {
                Change::Write { offset, bytes } => {
                    *offset <= sector as u64 * SECTOR
                        && offset + bytes.len() as u64 >= (sector as u64 + 1) * SECTOR
                }
                Change::SetLen(_) => false,
            };
            let touches = changes.iter().filter(|change| match change {
                Change::Write { offset, bytes } => {
                    *offset < (sector as u64 + 1) * SECTOR
                        && offset + bytes.len() as u64 > sector as u64 * SECTOR
                }
                Change::SetLen(_) => true,
            });
            if touches.count() == changes.iter().filter(covers).count() {
                assert_eq!(runs(bytes).split(' ').count(), 1, "{changes:?} {fates:?}");
            }
        }
    }
}

#[test]
fn a_dropped_page_is_lost_although_the_next_sync_succeeds() {
    let (mut it, _) = disk(&[write(0, 2, 100), write(5_000, 3, 100)]);
    it.drop_dirty();
    assert_eq!((it.at_risk().count(), it.dropped_bytes()), (0, 200));
    it.sync();
    assert_eq!(left(&it, Loss::Kept), "1x1024");
    // What shares a page with it is written with it.
    it.add(NOBODY, write(5_050, 4, 10));
    it.sync();
    assert_eq!(it.dropped_bytes(), 100);
    assert_eq!(left(&it, Loss::Kept), "1x1024 0x3976 3x50 4x10 3x40");
    it.add(NOBODY, Change::SetLen(50));
    assert_eq!(it.dropped_bytes(), 50);
}

#[test]
fn changes_that_wait_are_bounded() {
    let (mut it, _) = disk(&[]);
    for at in 0..5_000 {
        it.add(NOBODY, write(at, 2, 1));
    }
    assert!(it.at_risk().count() <= 1_001);
    assert_eq!(left(&it, Loss::Lost), "2x4000");
}

impl Hand {
    fn sync(&mut self, handle: i32) -> i32 {
        let sync = self.submit(Verb::Sync, handle, 0, 0, Vec::new());
        self.result(sync)
    }

    fn crash(&mut self) {
        self.world.lose_power();
        assert!(!self.world.has_power());
        self.world.boot();
    }
}

fn booted(script: &[(Site, usize, usize)]) -> Hand {
    let hand = Hand::script(script);
    hand.world.add_file("/db/old", b"old");
    hand.world.boot();
    hand
}

#[test]
fn the_kind_way_loses_nothing_and_all_handles_go() {
    let mut hand = booted(&[]);
    let file = hand.open("/db/new", WRITE | CREATE);
    assert_eq!(hand.write_at(file, b"abc", 0), 3);
    assert_eq!(hand.on_path(Verb::Rename, 0, "/db/old\0/db/older"), 0);
    hand.crash();
    assert_eq!(hand.world.file("/db/new").unwrap(), b"abc");
    assert_eq!(hand.world.file("/db/older").unwrap(), b"old");
    let again = hand.open("/db/new", READ);
    assert_eq!(again, file);
    hand.end(&[again]);
}

#[test]
fn what_is_synced_is_kept_and_a_name_needs_its_directory() {
    // Names all lost.
    let mut hand = booted(&[(Site::Loss, 0, 1)]);
    let file = hand.open("/db/new", WRITE | CREATE);
    assert_eq!(hand.write_at(file, b"abc", 0), 3);
    assert_eq!(hand.sync(file), 0);
    hand.crash();
    assert_eq!(hand.world.file("/db/new"), None);
    // Its directory synced: there is nothing left to choose.
    let file = hand.open("/db/new", WRITE | CREATE);
    let dir = hand.open("/db", READ | DIRECTORY);
    assert_eq!(hand.write_at(file, b"abc", 0), 3);
    assert_eq!((hand.sync(file), hand.sync(dir)), (0, 0));
    assert_eq!(hand.on_path(Verb::CreateDir, 0, "/db/sub"), 0);
    let sub = hand.open("/db/sub/f", WRITE | CREATE);
    let sub_dir = hand.open("/db/sub", READ | DIRECTORY);
    assert_eq!((hand.sync(sub), hand.sync(sub_dir)), (0, 0));
    hand.crash();
    assert_eq!(hand.world.file("/db/new").unwrap(), b"abc");
    assert_eq!(hand.world.file("/db/sub/f").unwrap(), b"");
    hand.end(&[]);
}

#[test]
fn a_directory_is_as_lost_as_its_name() {
    let mut hand = booted(&[(Site::Loss, 0, 1)]);
    assert_eq!(hand.on_path(Verb::CreateDir, 0, "/db/sub"), 0);
    let file = hand.open("/db/sub/f", WRITE | CREATE);
    let dir = hand.open("/db/sub", READ | DIRECTORY);
    assert_eq!((hand.sync(file), hand.sync(dir)), (0, 0));
    hand.crash();
    assert_eq!(hand.world.file("/db/sub/f"), None);
    assert_eq!(hand.on_path(Verb::CreateDir, 0, "/db/sub"), 0);
    hand.end(&[]);
}

#[test]
fn a_rename_is_whole_or_not_at_all_and_what_builds_on_it_goes_with_it() {
    let names = |hand: &Hand| {
        ["/db/old", "/db/a", "/db/b", "/c"].map(|path| hand.world.file(path).is_some())
    };
    let go = |script: &[(Site, usize, usize)]| {
        let mut hand = booted(script);
        assert_eq!(hand.on_path(Verb::Rename, 0, "/db/old\0/db/a"), 0);
        assert_eq!(hand.on_path(Verb::Rename, 0, "/db/a\0/db/b"), 0);
        let c = hand.open("/c", WRITE | CREATE);
        hand.crash();
        let _ = c;
        names(&hand)
    };
    assert_eq!(go(&[]), [false, false, true, true]);
    assert_eq!(go(&[(Site::Loss, 0, 1)]), [true, false, false, false]);
    // The last, the first and what builds on it, and one apart.
    assert_eq!(go(&[(Site::Loss, 0, 2)]), [false, false, true, false]);
    assert_eq!(go(&[(Site::Loss, 0, 3)]), [true, false, false, true]);
    assert_eq!(
        go(&[(Site::Loss, 0, 4), (Site::Loss, 1, 1)]),
        [false, true, false, true]
    );
}

#[test]
fn a_removed_name_comes_back_with_what_was_synced() {
    let mut hand = booted(&[(Site::Loss, 0, 1), (Site::Loss, 0, 1)]);
    let file = hand.open("/db/old", WRITE);
    assert_eq!(hand.write_at(file, b"new!", 0), 4);
    assert_eq!(hand.on_path(Verb::Remove, 0, "/db/old"), 0);
    hand.close(file);
    let other = hand.open("/db/other", WRITE | CREATE);
    assert_eq!(hand.write_at(other, b"x", 0), 1);
    hand.crash();
    assert_eq!(hand.world.file("/db/old").unwrap(), b"old");
    assert_eq!(hand.world.file("/db/other"), None);
    hand.end(&[]);
}

#[test]
fn a_failed_sync_is_heard_of_once_by_each_handle() {
    // A sync of what is dirty: let go of.
    let mut hand = booted(&[(Site::FileError, 3, 2)]);
    let (one, other) = (hand.open("/db/old", WRITE), hand.open("/db/old", WRITE));
    assert_eq!(hand.write_at(one, b"new", 0), 3);
    assert_eq!(hand.sync(one), -EIO);
    assert_eq!(
        (hand.sync(one), hand.sync(other), hand.sync(other)),
        (0, -EIO, 0)
    );
    assert_eq!(hand.world.file("/db/old").unwrap(), b"new");
    let later = hand.open("/db/old", WRITE);
    assert_eq!(hand.sync(later), 0);
    hand.crash();
    assert_eq!(hand.world.file("/db/old").unwrap(), b"old");
    hand.end(&[]);
}

#[test]
fn nothing_completes_without_power_and_a_teardown_drains() {
    let mut hand = booted(&[]);
    let timer = hand.timer(1_000);
    let file = hand.open("/db/old", WRITE);
    let write = hand.submit(Verb::WriteAt, file, 0, 0, b"new".to_vec());
    hand.world.lose_power();
    for until in [Until::Now, Until::Event, Until::Time(5_000)] {
        assert_eq!(hand.step(until), Stepped::PowerLost);
    }
    // What is started now never happens, and closing is nothing.
    let late = hand.submit(Verb::WriteAt, file, 0, 0, b"late".to_vec());
    hand.close(file);
    hand.world.with(|kernel| kernel.tears_down());
    let mut ended: Vec<_> = (0..3)
        .map(|_| match hand.step(Until::Now) {
            Stepped::Completion(token, _) => token as u32,
            other => panic!("{other:?}"),
        })
        .collect();
    ended.sort_unstable();
    assert_eq!(ended, [timer, write, late]);
    assert_eq!(hand.step(Until::Now), Stepped::Nothing);
    hand.world.boot();
    assert_eq!(hand.world.file("/db/old").unwrap(), b"new");
    hand.end(&[]);
}

#[test]
fn a_directory_does_not_go_before_it_is_empty() {
    // The removal of the file is lost, and with it that of the directory; the other way round not.
    for (pick, kept) in [(2, false), (3, true)] {
        let mut hand = booted(&[(Site::Loss, 0, pick)]);
        assert_eq!(hand.on_path(Verb::Remove, 0, "/db/old"), 0);
        assert_eq!(hand.on_path(Verb::Remove, IS_DIRECTORY, "/db"), 0);
        hand.crash();
        assert_eq!(hand.world.file("/db/old").is_some(), kept);
        assert_eq!(hand.on_path(Verb::CreateDir, 0, "/db"), -EEXIST);
        hand.end(&[]);
    }
}

#[test]
fn power_that_goes_in_a_teardown_lets_it_end() {
    let mut hand = booted(&[]);
    let timer = hand.timer(1_000);
    hand.world.with(|kernel| kernel.tears_down());
    hand.world.lose_power();
    assert_eq!(
        hand.step(Until::Time(5)),
        Stepped::Completion(u64::from(timer), -ECANCELED)
    );
    assert_eq!(hand.step(Until::Time(5)), Stepped::Nothing);
    hand.end(&[]);
}

#[test]
fn random_lives_keep_what_they_synced() {
    for seed in 0..300 {
        let config = Config {
            power_losses: 2,
            ..Config::default()
        };
        let mut hand = Hand::with(config, Random::new(seed, 60));
        hand.world.add_dir("/db");
        hand.world.boot();
        let mut synced: Option<Vec<u8>> = None;
        for round in 0..6u8 {
            let ended = |hand: &mut Hand, verb, handle, flags, bytes: &[u8]| {
                let op = hand.submit(verb, handle, flags, 0, bytes.to_vec());
                loop {
                    match hand.step(Until::Event) {
                        Stepped::Completion(token, result) if token as u32 == op => {
                            return Some(result);
                        }
                        Stepped::Completion(..) => {}
                        Stepped::PowerLost => return None,
                        other => panic!("{other:?}"),
                    }
                }
            };
            let mut live = || {
                let file = ended(&mut hand, Verb::Open, -1, READ | WRITE | CREATE, b"/db/f")?;
                let dir = ended(&mut hand, Verb::Open, -1, READ | DIRECTORY, b"/db")?;
                if file < 0 || dir < 0 {
                    return Some(());
                }
                let wrote = ended(&mut hand, Verb::WriteAt, file, 0, &[round + 1; 2_000])?;
                let ok = ended(&mut hand, Verb::Sync, file, 0, b"")? == 0
                    && ended(&mut hand, Verb::Sync, dir, 0, b"")? == 0;
                if ok && wrote == 2_000 {
                    synced = Some(vec![round + 1; 2_000]);
                }
                Some(())
            };
            if live().is_none() {
                hand.world.with(|kernel| kernel.tears_down());
                while let Stepped::Completion(..) = hand.step(Until::Now) {}
                hand.world.boot();
                // The synced bytes, or later ones over them.
                if let Some(synced) = &synced {
                    let found = hand.world.file("/db/f").expect("its name was synced");
                    let is_later = |(&now, &then): (&u8, &u8)| now >= then;
                    assert!(found.len() == 2_000 && found.iter().zip(synced).all(is_later));
                }
                synced = None;
            }
        }
        assert_eq!(hand.world.violation(), None);
    }
}
