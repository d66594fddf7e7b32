//! Every chapter is whole, and the lists that gather from them are up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proactor::sim::Oracle;
use proactor_book::{home, section, words};

/// Chapters 1 to 7, in order; the first page has a shape of its own.
const CHAPTERS: [&str; 7] = [
    "ready-or-done.md",
    "kernel-in-hand.md",
    "first-proactor.md",
    "engines.md",
    "lending.md",
    "framing.md",
    "never-block.md",
];

fn read(page: &str) -> String {
    fs::read_to_string(home().join("src").join(page)).unwrap()
}

/// A page's title.
fn title(page: &str) -> &str {
    let line = page.lines().next().unwrap_or_default();
    line.strip_prefix("# ").unwrap_or(line)
}

#[test]
fn no_chapter_is_too_short_or_too_long() {
    for page in CHAPTERS.iter().chain(&["start.md"]) {
        let count = words(&read(page));
        assert!((1200..=2000).contains(&count), "{page} has {count} words");
    }
}

#[test]
fn every_chapter_has_all_of_its_parts() {
    for (page, number) in CHAPTERS.iter().zip(1..) {
        let text = read(page);
        for fact in [
            "**You will be able to**",
            "**Time**",
            "**Before it**",
            "**Run it**",
        ] {
            let head = text.split("\n## ").next().unwrap();
            assert!(head.contains(fact), "{page}: its head does not say {fact}");
        }
        // The trap comes first, in the checker's own words: a conviction is shown before anything is explained.
        let (before, _) = text.split_once("\n## The idea").expect(page);
        let shown = before.split("{{#include output/").skip(1);
        let mut shown =
            shown.map(|rest| read(&format!("output/{}", rest.split("}}").next().unwrap())));
        assert!(
            shown
                .any(|report| report.starts_with("proactor: check `")
                    && report.contains("FAILS HERE")),
            "{page} does not begin with a conviction"
        );
        assert!(text.contains("```mermaid\n"), "{page} has no diagram");
        let quiz = section(&text, "Quiz").expect(page);
        let file = format!("{{{{#quiz quizzes/ch{number:02}.toml}}}}");
        assert!(quiz.contains(&file), "{page}: {file}");
        let exercise = section(&text, "Exercise").expect(page);
        let command = format!("\ncargo run --example ex{number:02}_");
        assert!(exercise.contains(&command), "{page}: {command}");
        let field = section(&text, "From the field").expect(page);
        let is_thread = |part: &str| {
            let mut parts = part.split('/').skip(2);
            let kind = matches!(parts.next(), Some("issues" | "pull"));
            kind && parts
                .next()
                .is_some_and(|it| it.starts_with(|first: char| first.is_ascii_digit()))
        };
        let mut links = field.split("https://github.com/").skip(1);
        assert!(links.any(is_thread), "{page}: no issue is named");
        let lines = section(&text, "Lines for your review").expect(page);
        assert!(lines.contains("\n- "), "{page}: no line is earned");
    }
}

/// The checklist has the lines of all chapters, word for word, under the title of each.
#[test]
fn the_checklist_has_every_line() {
    let list = read("checklist.md");
    for page in CHAPTERS {
        let text = read(page);
        let earned: Vec<String> = section(&text, "Lines for your review")
            .expect(page)
            .split("\n- ")
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<&str>>().join(" "))
            .map(|line| line.split(" ## ").next().unwrap_or_default().to_owned())
            .collect();
        let section = section(&list, title(&text)).expect(page);
        let gathered: Vec<&str> = section
            .lines()
            .filter_map(|row| row.strip_prefix("| ")?.split_once(" | "))
            .map(|(line, _)| line)
            .filter(|line| *line != "line")
            .collect();
        assert_eq!(gathered, earned, "checklist.md and {page}");
    }
}

/// What it names as an oracle is one, and each line says something.
#[test]
fn the_checklist_names_checks_that_exist() {
    let oracles: BTreeSet<&str> = Oracle::ALL.iter().map(|oracle| oracle.name()).collect();
    let list = read("checklist.md");
    let mut named = BTreeMap::new();
    for row in list
        .lines()
        .filter(|row| row.starts_with("| ") && !row.starts_with("| line"))
    {
        let check = row
            .trim_end_matches(" |")
            .rsplit(" | ")
            .next()
            .unwrap_or_default();
        assert!(!check.trim().is_empty(), "{row}");
        for name in check.split('`').skip(1).step_by(2) {
            // An oracle's name has a dash, or is one of these; other code has not.
            if name.contains('-') || ["race", "leak", "deadlock"].contains(&name) {
                named.insert(name.to_owned(), row.to_owned());
            }
        }
    }
    for (name, row) in &named {
        assert!(
            oracles.contains(name.as_str()),
            "{name} is no oracle: {row}"
        );
    }
    assert!(named.len() > 8, "{named:?}");
}

/// Items are numbered without a gap; a tick has a link to a heading, and no tick has none. That the links lead somewhere
/// is a check of the pages.
#[test]
fn the_coverage_table_ticks_what_is_there() {
    let text = read("coverage.md");
    let mut last = BTreeMap::new();
    for row in text
        .lines()
        .filter(|row| row.starts_with("| A") || row.starts_with("| B"))
    {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, _, place] = cells[..] else {
            panic!("not three cells: {row}");
        };
        let (name, ticked) = match name.strip_suffix(" ✓") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (article, number) = name.split_at(1);
        let number: u32 = number.parse().unwrap();
        let before = last.insert(article.to_owned(), number).unwrap_or(0);
        assert_eq!(number, before + 1, "{row}");
        match ticked {
            true => assert!(
                place.starts_with('[') && place.contains(".md#"),
                "a tick without a heading: {row}"
            ),
            false => assert!(
                place.starts_with("chapter ") && place.ends_with("not written yet"),
                "{row}"
            ),
        }
    }
    assert_eq!(last.get("A"), Some(&46));
    assert_eq!(last.get("B"), Some(&79));
}
