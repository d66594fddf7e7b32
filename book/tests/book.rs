//! The book is built, and everything in it leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use proactor_book::Fault;

fn built() -> PathBuf {
    let into = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("book");
    fs::create_dir_all(&into).unwrap();
    proactor_book::build(&proactor_book::home(), &into).unwrap();
    into
}

fn size(below: &Path) -> u64 {
    let entries = fs::read_dir(below)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.is_dir() {
            true => size(&path),
            false => fs::metadata(&path).unwrap().len(),
        })
        .sum()
}

#[track_caller]
fn none(faults: &[Fault]) {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_book_is_whole() {
    // Before it is built: a slip in a diagram or a quiz stops the build.
    none(&proactor_book::sources(&proactor_book::home().join("src")).unwrap());
    let into = built();
    none(&proactor_book::pages(&into).unwrap());
    assert!(into.join("index.html").exists());
    assert!(size(&into) < 8 << 20, "the book is more than 8 MB");
}
