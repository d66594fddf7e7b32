//! The table of the zoo, `README.md` beside this file: how soon each mistake is found, by which strategy.

use std::fmt::Write;
use std::path::Path;

use proactor::check::{Checker, Failure, Strategy};

use crate::animals::Animal;
use crate::checker;

/// How it is made anew.
const COMMAND: &str = "cargo test --test zoo -- --ignored renew";

/// Seeds that the figures of random strategies are the median of.
const SEEDS: u64 = 5;

/// What is expected to stay as it is when the kernel learns more: all but the numbers of executions.
pub(crate) fn stable(animal: &Animal, failure: &Failure) -> String {
    format!(
        "| {} | {} | {} | {} ",
        animal.name,
        animal.shape,
        failure.oracle().map_or("", |oracle| oracle.name()),
        failure.deviations().len(),
    )
}

/// What is wrong with the table, if these are its rows.
pub(crate) fn differs(rows: &[String]) -> Option<String> {
    let table = include_str!("README.md");
    let missing: Vec<&String> = rows.iter().filter(|row| !table.contains(*row)).collect();
    let lines = table.lines().filter(|line| line.starts_with("| ")).count();
    if missing.is_empty() && lines == rows.len() + 1 {
        return None;
    }
    Some(format!(
        "tests/zoo/README.md is not up to date: {lines} rows; it lacks {missing:#?}\nRenew it: {COMMAND}"
    ))
}

/// Makes it anew.
pub(crate) fn renew(animals: &[Animal]) {
    let mut text = format!(
        "# The zoo\n\n\
         Small handlers with a mistake, each the shape of one that was made for real. The default campaign finds all of \
         them, and passes the mended twin of each.\n\n\
         *noticed by*: the [oracle](../../src/check/mod.rs). *story*: deviations from the kind run that are left after \
         shrinking. The other columns are executions up to the first failure: of the default campaign, of the bounded \
         search alone (up to 3 deviations), and of each random strategy alone (the median of {SEEDS} seeds); – where \
         10,000 were not enough. 1 is the kind run itself.\n\n\
         Made by `{COMMAND}`. A test looks after the first four columns.\n\n\
         | mistake | what the code does | noticed by | story | campaign | bounded |"
    );
    let strategies = [
        Strategy::Random,
        Strategy::Walk,
        Strategy::Pct,
        Strategy::Pos,
        Strategy::Surw,
    ];
    for strategy in strategies {
        let _ = write!(text, " {} |", strategy.name());
    }
    text.push_str("\n|---|---|---|--:|");
    text.push_str(&"--:|".repeat(2 + strategies.len()));
    for animal in animals {
        let usual = checker(animal, "zoo");
        let failure = usual.clone().run(animal.mistake).expect_err(animal.name);
        let _ = write!(
            text,
            "\n{}| {} |",
            stable(animal, &failure),
            failure.executions()
        );
        let bounded = usual.clone().drops(false).random(false).deviations(3);
        let _ = write!(text, " {} |", shown(first(bounded, animal)));
        for strategy in strategies {
            let mut found: Vec<u64> = (1..=SEEDS)
                .map(|seed| {
                    let alone = usual.clone().deviations(0).strategy(strategy);
                    first(alone.seed(seed), animal)
                })
                .collect();
            found.sort_unstable();
            let _ = write!(text, " {} |", shown(found[found.len() / 2]));
        }
    }
    text.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zoo/README.md");
    std::fs::write(path, text).expect("the source can be written");
}

/// Executions to the first failure; `u64::MAX`: there was none.
fn first(checker: Checker, animal: &Animal) -> u64 {
    match checker.executions(10_000).run(animal.mistake) {
        Ok(_) => u64::MAX,
        Err(failure) => failure.executions(),
    }
}

fn shown(executions: u64) -> String {
    match executions {
        u64::MAX => "–".to_owned(),
        found => found.to_string(),
    }
}
