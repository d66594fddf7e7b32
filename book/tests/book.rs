//! The book is built, and everything in it leads somewhere.

use std::fs;
use std::path::{Path, PathBuf};

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

#[test]
fn the_book_is_whole() {
    let mut faults = proactor_book::sources(&proactor_book::home().join("src")).unwrap();
    let into = built();
    faults.extend(proactor_book::pages(&into).unwrap());
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(into.join("index.html").exists());
    assert!(size(&into) < 8 << 20, "the book is more than 8 MB");
}
