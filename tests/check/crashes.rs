//! Programs that should survive a loss of power: each mistake in them is found, the mended ones pass.

use std::io;
use std::sync::{Arc, Mutex};

use proactor::check::{Checker, Failure, Life, Sim, Summary};
use proactor::fs::{self, Dir, File, OpenOptions};
use proactor::{Proactor, RunError, compose};

/// What clients were told is safe.
type Told = Arc<Mutex<Vec<u8>>>;

/// A write-ahead log of records of this size: a header of 8 bytes, then the value, repeated.
const RECORD: usize = 1_024;
/// Made once, at full length, so that a record is written over zeros.
const LOG: u64 = 4 * RECORD as u64;

/// What a program forgets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forgets {
    Nothing,
    /// To sync before it tells its client.
    Sync,
    /// To sync the directory in which it made or renamed a file.
    Dir,
    /// To sync a file before it is renamed.
    FileBeforeRename,
    /// To check that a record is whole.
    Checksum,
    /// That a sync that failed is not to be tried again.
    FailedSync,
}

fn record(value: u8) -> Vec<u8> {
    let mut record = vec![value; RECORD];
    let sum: u32 = record[8..].iter().map(|&byte| u32::from(byte)).sum();
    record[..4].copy_from_slice(&(RECORD as u32).to_le_bytes());
    record[4..8].copy_from_slice(&sum.to_le_bytes());
    record
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().unwrap())
}

/// The values of the records, up to the first that is none.
fn values(log: &[u8], forgets: Forgets) -> Vec<u8> {
    let mut values = Vec::new();
    for record in log.chunks_exact(RECORD) {
        let sum: u32 = record[8..].iter().map(|&byte| u32::from(byte)).sum();
        let is_whole = forgets == Forgets::Checksum || word(&record[4..8]) == sum;
        if word(&record[..4]) != RECORD as u32 || !is_whole {
            break;
        }
        // A reader makes of it what it can.
        values.push(record[8..].iter().fold(record[8], |all, byte| all & byte));
    }
    values
}

/// One life of the log's server: reads what is there, tells the truth of it, writes more.
async fn log(proactor: &Proactor, told: &Told, forgets: Forgets) -> io::Result<()> {
    let options = OpenOptions::new().read(true).write(true).create(true);
    let file = options.open(proactor, "/db/log").await?;
    if file.len().await? < LOG {
        file.set_len(LOG).await?;
        file.sync_all().await?;
        if forgets != Forgets::Dir {
            Dir::open(proactor, "/db").await?.sync().await?;
        }
    }
    let (read, bytes) = compose::read_exact_at(&file, Vec::with_capacity(LOG as usize), 0).await;
    read?;
    // What an earlier life wrote, and nobody was told of, need not be on the disk yet.
    file.sync_data().await?;
    let found = values(&bytes, forgets);
    check_found(&found, told);
    // A client that asks now is told so.
    *told.lock().unwrap() = found.clone();
    for at in found.len()..3 {
        let offset = (at * RECORD) as u64;
        let written = compose::write_all_at(&file, record(at as u8 + 1), offset).await;
        written.0?;
        match forgets {
            Forgets::Sync => {}
            Forgets::FailedSync => while file.sync_data().await.is_err() {},
            _ => file.sync_data().await?,
        }
        told.lock().unwrap().push(at as u8 + 1);
    }
    Ok(())
}

fn check_found(found: &[u8], told: &Told) {
    let told = told.lock().unwrap();
    assert!(found.starts_with(&told), "told {told:?}, found {found:?}");
    assert!(
        found.iter().zip(1..).all(|(&found, at)| found == at),
        "{found:?} is garbage"
    );
}

/// One life of a server that replaces a small file as a whole.
async fn replace(proactor: &Proactor, told: &Told, forgets: Forgets) -> io::Result<()> {
    let known = told.lock().unwrap().len();
    let old = match File::open(proactor, "/db/value").await {
        Ok(file) => file.read_at(Vec::with_capacity(16), 0).await.1,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    assert!(
        old.len() >= known,
        "told {known} bytes, found {}",
        old.len()
    );
    let mut new = old;
    while new.len() < 3 {
        new.push(7);
        let file = File::create(proactor, "/db/value.new").await?;
        compose::write_all_at(&file, new.clone(), 0).await.0?;
        if forgets != Forgets::FileBeforeRename {
            file.sync_all().await?;
        }
        fs::rename(proactor, "/db/value.new", "/db/value").await?;
        if forgets != Forgets::Dir {
            Dir::open(proactor, "/db").await?.sync().await?;
        }
        *told.lock().unwrap() = new.clone();
    }
    Ok(())
}

/// Lives, until one ends by itself; one more than power can be lost.
fn lives<F>(sim: &Sim, one: impl Fn(Told) -> F)
where
    F: FnOnce(&Proactor) -> Result<io::Result<()>, RunError>,
{
    let told = Told::default();
    sim.dir("/db");
    for _ in 0..3 {
        if let Life::Ended(_) = sim.boot(one(told.clone())) {
            // And what the next one finds is what they were told.
            sim.lose_power();
        }
    }
}

fn checker(faults: u32) -> Checker {
    Checker::new()
        .power_losses(2)
        .faults_per_operation(faults)
        .executions(6_000)
}

fn check_log(forgets: Forgets, faults: u32) -> Result<Summary, Box<Failure>> {
    checker(faults)
        .name(&format!("log-{forgets:?}"))
        .run(move |sim| {
            lives(sim, |told| {
                move |proactor: &Proactor| proactor.block_on(log(proactor, &told, forgets))
            });
        })
}

fn check_replace(forgets: Forgets) -> Result<Summary, Box<Failure>> {
    checker(0)
        .name(&format!("replace-{forgets:?}"))
        .run(move |sim| {
            lives(sim, |told| {
                move |proactor: &Proactor| proactor.block_on(replace(proactor, &told, forgets))
            });
        })
}

#[track_caller]
fn found(result: Result<Summary, Box<Failure>>, words: &[&str]) {
    let failure = result.expect_err("a mistake");
    let text = failure.to_string();
    assert!(failure.deviations().len() <= 3, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in\n{text}");
    }
}

#[test]
fn a_log_that_forgets_nothing_passes() {
    let summary = check_log(Forgets::Nothing, 0).unwrap_or_else(|failure| panic!("{failure}"));
    let (offered, lost) = summary.coverage(proactor::choice::Site::Crash);
    assert!(offered > 0 && lost > 100, "{summary}");
    assert!(
        summary.coverage(proactor::choice::Site::Loss).1 > 100,
        "{summary}"
    );
}

#[test]
fn a_missing_sync_is_found() {
    found(
        check_log(Forgets::Sync, 0),
        &[
            "power lost",
            "the write of 1,024 bytes at 0 of /db/log is lost",
        ],
    );
}

#[test]
fn a_missing_sync_of_the_directory_is_found() {
    found(
        check_log(Forgets::Dir, 0),
        &["the making of /db/log is lost"],
    );
    found(
        check_replace(Forgets::Dir),
        &["the rename of /db/value.new to /db/value is lost"],
    );
}

#[test]
fn a_torn_record_without_a_checksum_is_found() {
    found(
        check_log(Forgets::Checksum, 0),
        // Half of it had been written when the power went.
        &["512 of 1024 bytes first", "power lost"],
    );
}

#[test]
fn a_sync_that_failed_and_is_tried_again_is_found() {
    found(
        check_log(Forgets::FailedSync, 1),
        &["the next sync succeeds", "power lost"],
    );
}

#[test]
fn a_file_renamed_before_it_is_synced_is_found() {
    found(
        check_replace(Forgets::FileBeforeRename),
        &["of /db/value", "is lost"],
    );
}

#[test]
fn a_file_that_is_replaced_as_a_whole_passes() {
    let summary = check_replace(Forgets::Nothing).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(
        summary.coverage(proactor::choice::Site::Crash).1 > 100,
        "{summary}"
    );
}

#[test]
fn a_failure_is_repeated_by_its_replay() {
    let failure = check_log(Forgets::Sync, 0).expect_err("a mistake");
    let again = check_log(Forgets::Sync, 0).expect_err("a mistake");
    assert_eq!(failure.to_string(), again.to_string());
    assert!(failure.to_string().contains("PROACTOR_REPLAY"), "{failure}");
}

#[test]
fn a_life_that_ends_well_leaves_its_page_cache() {
    proactor::check(|sim| {
        let write = |proactor: &Proactor| {
            proactor.block_on(async {
                let file = File::create(proactor, "/f").await?;
                compose::write_all_at(&file, "abc", 0).await.0.map(drop)
            })
        };
        let written = sim.boot(write);
        let written = matches!(written, Life::Ended(Ok(Ok(()))));
        let len = sim.boot(|proactor| {
            proactor.block_on(async { File::open(proactor, "/f").await?.len().await })
        });
        match len {
            Life::Ended(Ok(Ok(len))) => assert!(!written || len == 3),
            Life::Ended(Ok(Err(_))) => {}
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn handlers_hear_of_nothing_after_the_power_is_lost() {
    let checked = Checker::new().power_losses(1).executions(3_000).run(|sim| {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (tell, world) = (heard.clone(), sim.world().clone());
        let life = sim.boot(move |proactor| {
            let handle = proactor.handle();
            proactor.post(move || {
                File::create(&handle, "/f").then(move |file| {
                    tell.lock().unwrap().push(world.has_power());
                    let Ok(file) = file else { return };
                    for at in 0..3 {
                        let (tell, world) = (tell.clone(), world.clone());
                        file.write_at("abc", at * 3).then(move |_| {
                            tell.lock().unwrap().push(world.has_power());
                        });
                    }
                });
            });
            proactor
                .run()
                .map_err(|error| matches!(error, RunError::PowerLost))
        });
        assert!(heard.lock().unwrap().iter().all(|&powered| powered));
        if let Life::Ended(end) = life {
            assert!(end.is_ok() && sim.world().has_power());
        }
        // Another life, and everything of the last one is gone.
        let open = sim.boot(|proactor| proactor.stats().objects);
        assert_eq!(open, Life::Ended(0));
    });
    checked.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn several_workers_lose_their_power_together() {
    let checked = Checker::new()
        .workers(2)
        .power_losses(1)
        .executions(1_500)
        .run(|sim| {
            let told = Told::default();
            let (one, other) = (told.clone(), told.clone());
            let life = sim.boot(move |proactor| {
                for (name, told) in [("/a", one), ("/b", other)] {
                    let handle = proactor.handle();
                    let task = proactor.spawn(async move {
                        let Ok(file) = File::create(&handle, name).await else {
                            return;
                        };
                        let Ok(_) = file.append(vec![1u8]).await.0 else {
                            return;
                        };
                        let Ok(()) = file.sync_all().await else {
                            return;
                        };
                        let Ok(dir) = Dir::open(&handle, "/").await else {
                            return;
                        };
                        if dir.sync().await.is_ok() {
                            told.lock().unwrap().push(name.as_bytes()[1]);
                        }
                    });
                    drop(task);
                }
                proactor.run()
            });
            drop(life);
            for &name in told.lock().unwrap().iter() {
                let path = format!("/{}", char::from(name));
                assert_eq!(sim.read_file(&path).as_deref(), Some(&[1][..]));
            }
        });
    let summary = checked.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(
        summary.coverage(proactor::choice::Site::Crash).1 > 0,
        "{summary}"
    );
}
