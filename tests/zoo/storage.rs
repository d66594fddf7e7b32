//! Mistakes with files: what survives a loss of power, and what a write has really done.

use std::io;

use proactor::check::{Life, Sim};
use proactor::compose::write_all_at;
use proactor::fs::{self, Dir, File, OpenOptions};
use proactor::sim::{Config, Invariant};
use proactor::{Handle, Proactor};

use crate::animals::Animal;
use crate::tools::{Seen, seen, with};

pub(crate) const ANIMALS: fn() -> Vec<Animal> = || {
    vec![
        Animal::new(
            "answers before the sync",
            "a client is told that its order is safe, and then it is synced",
            Invariant::Panic,
            |sim| order(sim, false),
            |sim| order(sim, true),
        )
        .config(loses_power),
        Animal::new(
            "rename without directory sync",
            "a file is replaced by a rename that may still be undone",
            Invariant::Panic,
            |sim| replacing(sim, true, false),
            |sim| replacing(sim, true, true),
        )
        .config(loses_power),
        Animal::new(
            "rename before the sync",
            "the new name reaches the disk before what stands under it",
            Invariant::Panic,
            |sim| replacing(sim, false, true),
            |sim| replacing(sim, true, true),
        )
        .config(loses_power),
        Animal::new(
            "failed sync tried again",
            "after a sync that failed the next one succeeds, and has written nothing",
            Invariant::Panic,
            |sim| syncing(sim, true),
            |sim| syncing(sim, false),
        )
        .config(loses_power),
        Animal::new(
            "torn record believed",
            "recovery takes a record by its header, of which half was written",
            Invariant::Panic,
            |sim| recovering(sim, false),
            |sim| recovering(sim, true),
        )
        .config(loses_power),
        Animal::new(
            "appends at the length it saw",
            "two writers ask for the length of a log and write there",
            Invariant::Panic,
            |sim| appending(sim, false),
            |sim| appending(sim, true),
        ),
        Animal::new(
            "short write to a file",
            "a file is said to be saved although a part of it was written",
            Invariant::Panic,
            |sim| saving(sim, false),
            |sim| saving(sim, true),
        ),
        Animal::new(
            "quorum of completions",
            "failed replicas count as those that have it",
            Invariant::Panic,
            |sim| replicas(sim, true),
            |sim| replicas(sim, false),
        ),
        Animal::new(
            "rolls back under a write",
            "a write is given up, undone, and done after all",
            Invariant::Panic,
            |sim| rolling_back(sim, false),
            |sim| rolling_back(sim, true),
        ),
    ]
};

fn loses_power(config: &mut Config) {
    config.power_losses = 1;
    config.faults_per_operation = 1;
}

/// One life of the machine, which loses its power in the end if not before.
fn life(sim: &Sim, one: impl AsyncFnOnce(&Proactor) -> io::Result<()>) {
    sim.dir("/db");
    if let Life::Ended(_) = sim.boot(|proactor| proactor.block_on(one(proactor))) {
        sim.lose_power();
    }
}

/// What its name says is on the disk, as far as names go.
async fn sync_names(proactor: &Proactor) -> io::Result<()> {
    Dir::open(proactor, "/db").await?.sync().await
}

fn order(sim: &Sim, syncs_first: bool) {
    let told = seen(false);
    life(sim, async |proactor| {
        let log = File::create(proactor, "/db/log").await?;
        sync_names(proactor).await?;
        write_all_at(&log, "order", 0).await.0?;
        if !syncs_first {
            with(&told, |it| *it = true);
        }
        log.sync_data().await?;
        with(&told, |it| *it = true);
        Ok(())
    });
    if with(&told, |it| *it) {
        assert_eq!(text(sim, "/db/log"), "order");
    }
}

fn text(sim: &Sim, path: &str) -> String {
    let bytes = sim.read_file(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn replacing(sim: &Sim, syncs_file: bool, syncs_names: bool) {
    sim.file("/db/value", b"old");
    let told = seen(false);
    life(sim, async |proactor| {
        let file = File::create(proactor, "/db/value.new").await?;
        write_all_at(&file, "new", 0).await.0?;
        if syncs_file {
            file.sync_all().await?;
        }
        fs::rename(proactor, "/db/value.new", "/db/value").await?;
        if syncs_names {
            sync_names(proactor).await?;
        }
        with(&told, |it| *it = true);
        Ok(())
    });
    let found = text(sim, "/db/value");
    match with(&told, |it| *it) {
        true => assert_eq!(found, "new", "it was said to be replaced"),
        false => assert!(found == "old" || found == "new", "{found:?}"),
    }
}

fn syncing(sim: &Sim, again: bool) {
    let told = seen(false);
    life(sim, async |proactor| {
        let log = File::create(proactor, "/db/log").await?;
        sync_names(proactor).await?;
        write_all_at(&log, "order", 0).await.0?;
        while let Err(error) = log.sync_data().await {
            if !again {
                return Err(error); // nobody knows what is on the disk now
            }
        }
        with(&told, |it| *it = true);
        Ok(())
    });
    if with(&told, |it| *it) {
        assert_eq!(text(sim, "/db/log"), "order");
    }
}

const RECORD: usize = 1_024;

fn recovering(sim: &Sim, looks_at_its_end: bool) {
    life(sim, async |proactor| {
        let log = File::create(proactor, "/db/log").await?;
        log.set_len(RECORD as u64).await?;
        log.sync_all().await?;
        sync_names(proactor).await?;
        write_all_at(&log, vec![7; RECORD], 0).await.0.map(drop)
    });
    let log = sim.read_file("/db/log").unwrap_or_default();
    // Sectors reach the disk in any order: a sum, or as here a look at all of it, tells.
    let is_whole = match looks_at_its_end {
        true => log.iter().all(|byte| *byte == 7),
        false => log.first() == Some(&7),
    };
    if is_whole && !log.is_empty() {
        let good = log.iter().filter(|byte| **byte == 7).count();
        assert_eq!(good, RECORD, "a record is garbage");
    }
}

fn appending(sim: &Sim, by_the_kernel: bool) {
    let proactor = sim.proactor();
    let written = seen(0);
    sim.file("/log", b"");
    for name in ["one;", "two;"] {
        let (handle, written) = (proactor.handle(), written.clone());
        drop(proactor.spawn(async move {
            let wrote = append(&handle, name, by_the_kernel).await;
            with(&written, |it| *it += wrote.unwrap_or(0));
        }));
    }
    proactor.run().expect("it runs");
    let log = text(sim, "/log");
    assert_eq!(log.len(), with(&written, |it| *it), "{log:?}");
}

/// Gives how much of it there should be.
async fn append(proactor: &Handle, name: &'static str, by_the_kernel: bool) -> io::Result<usize> {
    let options = OpenOptions::new().write(true).append(by_the_kernel);
    let file = options.open(proactor, "/log").await?;
    if by_the_kernel {
        return file.append(name).await.0;
    }
    let at = file.len().await?;
    file.write_at(name, at).await.0
}

fn saving(sim: &Sim, all_of_it: bool) {
    let saved = sim.proactor().block_on(async {
        let file = File::create(sim.proactor(), "/save").await?;
        match all_of_it {
            true => write_all_at(&file, "everything", 0).await.0.map(drop),
            false => file.write_at("everything", 0).await.0.map(drop),
        }
    });
    if let Ok(Ok(())) = saved {
        assert_eq!(text(sim, "/save"), "everything");
    }
}

/// Three of them; with two the value is safe.
fn replicas(sim: &Sim, counts_all: bool) {
    let proactor = sim.proactor();
    let have: Seen<usize> = seen(0);
    for path in ["/a", "/b", "/c"] {
        let (handle, have) = (proactor.handle(), have.clone());
        drop(proactor.spawn(async move {
            let wrote = store(&handle, path).await;
            if wrote.is_ok() || counts_all {
                with(&have, |it| *it += 1);
            }
        }));
    }
    proactor.run().expect("it runs");
    let really = ["/a", "/b", "/c"].into_iter();
    let really = really.filter(|path| text(sim, path) == "value").count();
    let said = with(&have, |it| *it) >= 2;
    assert!(!said || really >= 2, "it is safe, in {really} places");
}

async fn store(proactor: &Handle, path: &str) -> io::Result<()> {
    let file = File::create(proactor, path).await?;
    write_all_at(&file, "value", 0).await.0.map(drop)
}

/// A write that takes too long is undone.
fn rolling_back(sim: &Sim, waits: bool) {
    sim.file("/account", b"old");
    let rolled_back = sim.proactor().block_on(async {
        let options = OpenOptions::new().write(true);
        let file = options.open(sim.proactor(), "/account").await?;
        let mut write = file.write_at("new", 0).into_future();
        let mut patience = sim
            .proactor()
            .sleep(std::time::Duration::ZERO)
            .into_future();
        match crate::tools::first_of(&mut write, &mut patience).await {
            crate::tools::Either::First(_) => return Ok(false),
            crate::tools::Either::Second(_) if waits => {
                write.cancel_handle().cancel();
                let _ = write.await;
            }
            crate::tools::Either::Second(_) => drop(write), // it is cancelled
        }
        write_all_at(&file, "old", 0).await.0?;
        // Others look when it has been closed.
        file.sync_all().await.map(|()| true)
    });
    let _ = sim.proactor().run();
    if let Ok(io::Result::Ok(true)) = rolled_back {
        assert_eq!(text(sim, "/account"), "old");
    }
}
