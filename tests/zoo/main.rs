//! The zoo: small handlers with a mistake, each the shape of one that was made for real, and beside each
//! its mended twin. The checker's usual campaign finds every mistake and passes every twin.
//!
//! A mistake that the API makes impossible does not count here: it is a `compile_fail` example in the
//! documentation of what prevents it.

mod animals;
mod cancelling;
mod crowds;
mod ending;
mod listening;
mod protocol;
mod sharing;
mod storage;
mod table;
mod tools;
mod transfers;

use animals::{Animal, animals};
use proactor::check::Checker;

/// What a check of this animal is made with: the usual, and what its world needs.
fn checker(animal: &Animal, name: &str) -> Checker {
    Checker::new()
        .name(name)
        .config(animal.config.clone())
        .workers(animal.workers)
}

#[test]
fn every_mistake_is_found() {
    let mut lengths = Vec::new();
    let mut missed = Vec::new();
    let mut rows = Vec::new();
    for animal in animals() {
        let (name, mistake) = (format!("zoo/{}", animal.name), animal.mistake);
        match checker(&animal, &name).run(mistake) {
            Ok(_) => missed.push(animal.name),
            Err(failure) => {
                if failure.invariant() != Some(animal.breaks) {
                    println!("{failure}");
                    missed.push(animal.name);
                }
                rows.push(table::stable(&animal, &failure));
                lengths.push(failure.deviations().len());
            }
        }
    }
    assert!(missed.is_empty(), "not found: {missed:?}");
    lengths.sort_unstable();
    assert!(lengths.len() >= 40, "the zoo has {}", lengths.len());
    let median = lengths[lengths.len() / 2];
    assert!(median <= 3, "stories have grown long: {lengths:?}");
    if let Some(why) = table::differs(&rows) {
        panic!("{why}");
    }
}

/// Takes a minute: not a test, but the way to write the table.
#[test]
#[ignore = "it writes tests/zoo/README.md"]
fn renew() {
    table::renew(&animals());
}

#[test]
fn every_twin_passes() {
    let mut failing = Vec::new();
    for animal in animals() {
        let name = format!("zoo/{}, mended", animal.name);
        if let Err(failure) = checker(&animal, &name).run(animal.mended) {
            println!("{}: its twin is no better\n{failure}", animal.name);
            failing.push(animal.name);
        }
    }
    assert!(failing.is_empty(), "these twins are no better: {failing:?}");
}
