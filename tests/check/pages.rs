//! The files of a failure: the page, the trace as JSON and for Perfetto.

use proactor::check::{Checker, Failure};

use crate::models::{frame, one_read};

fn failure() -> Box<Failure> {
    let checker = Checker::new().name("frames/one read");
    checker.run(|sim| frame(sim, one_read)).expect_err("found")
}

#[test]
fn a_page_holds_the_story_and_asks_no_network() {
    let failure = failure();
    let page = failure.html().expect("an execution to show");
    for needed in [
        "<!doctype html>",
        "id=\"story\"",
        "short (",
        "PROACTOR_REPLAY=",
    ] {
        assert!(page.contains(needed), "{needed} is missing");
    }
    // What could make a browser ask somebody for something.
    for asks in [
        "http:", "https:", "src=", "url(", "@import", "fetch(", "<link",
    ] {
        assert!(!page.contains(asks), "the page has {asks}");
    }
}

#[test]
fn its_json_has_the_lines_of_the_report() {
    let failure = failure();
    let json = failure.json().expect("an execution to show");
    let lines = json
        .lines()
        .filter(|line| line.contains("\"event\""))
        .count();
    assert!(lines > 5, "{json}");
    assert_eq!(json.matches("\"mark\":1").count(), 1, "{json}");
    for (open, close) in [('{', '}'), ('[', ']')] {
        assert_eq!(json.matches(open).count(), json.matches(close).count());
    }
}

#[test]
fn for_perfetto_each_operation_that_begins_ends_once() {
    let failure = failure();
    let trace = failure.perfetto().expect("an execution to show");
    let count = |phase: &str| trace.matches(&format!("\"ph\":\"{phase}\"")).count();
    assert!(count("b") > 0);
    assert!(count("e") <= count("b"));
    assert!(count("M") >= 3, "a track for the kernel and each side");
}

#[test]
fn it_is_saved_under_its_name() {
    let folder = std::env::temp_dir().join(format!("proactor-pages-{}", std::process::id()));
    let page = failure().save(&folder).expect("a folder of our own");
    assert_eq!(page, folder.join("frames_one-read.html"));
    for ending in ["txt", "html", "json", "perfetto.json"] {
        let path = folder.join(format!("frames_one-read.{ending}"));
        assert!(
            std::fs::metadata(&path).is_ok_and(|it| it.len() > 0),
            "{ending}"
        );
    }
    std::fs::remove_dir_all(&folder).expect("our own folder");
    // A folder that can't be made is told with its path.
    let error = failure().save(file!()).expect_err("this is a file");
    assert!(error.to_string().contains("pages.rs"), "{error}");
}

#[test]
#[ignore = "writes a page to look at: cargo test --test check -- --ignored --nocapture a_page_to_look_at"]
fn a_page_to_look_at() {
    let page = failure().save(std::env::temp_dir().join("proactor-pages"));
    println!("{}", page.expect("a folder of our own").display());
}
