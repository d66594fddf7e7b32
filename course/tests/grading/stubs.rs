//! The exercises come unsolved. Run by name, since a learner has solved some:
//! `cargo test -p proactor-course --test grading -- --ignored every_exercise_comes_unsolved`.

use std::fs;
use std::path::Path;

use proactor_course::{
    Check, EXERCISES, Verdict, engines, first_proactor, framing, kernel_in_hand, lending,
    never_block, ready_or_done, start,
};

use crate::{PATIENCE, passes};

#[path = "../../stubs/ex00_start.rs"]
#[allow(dead_code)]
mod ex00;
#[path = "../../stubs/ex01_ready_or_done.rs"]
#[allow(dead_code)]
mod ex01;
#[path = "../../stubs/ex02_kernel_in_hand.rs"]
#[allow(dead_code)]
mod ex02;
#[path = "../../stubs/ex03_echo.rs"]
#[allow(dead_code)]
mod ex03;
#[path = "../../stubs/ex04_engines.rs"]
#[allow(dead_code)]
mod ex04;
#[path = "../../stubs/ex05_lending.rs"]
#[allow(dead_code)]
mod ex05;
#[path = "../../stubs/ex06_framing.rs"]
#[allow(dead_code)]
mod ex06;
#[path = "../../stubs/ex07_never_block.rs"]
#[allow(dead_code)]
mod ex07;

#[test]
#[ignore = "a learner has changed them: .ci/run asks it of a fresh copy"]
fn every_exercise_comes_unsolved() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for exercise in EXERCISES {
        let path = format!("examples/{}.rs", exercise.name);
        let text = fs::read_to_string(root.join(&path)).unwrap();
        assert_eq!(
            text, exercise.stub,
            "{path} is not what `reset` would bring back"
        );
    }
    passes("ex00", start::check(ex00::greet));
    let stubs: [(&str, Check); 7] = [
        ("ex01", ready_or_done::check(ex01::may_touch)),
        ("ex02", kernel_in_hand::check(ex02::stop)),
        ("ex03", first_proactor::check(ex03::serve)),
        ("ex04", engines::check(ex04::next)),
        ("ex05", lending::check(ex05::announce)),
        ("ex06", framing::check(ex06::next_frame)),
        ("ex07", never_block::check(ex07::serve)),
    ];
    assert_eq!(stubs.len(), EXERCISES.len() - 1);
    for (name, check) in stubs {
        let verdict = check.within(PATIENCE);
        assert!(matches!(verdict, Verdict::NotYet(_)), "{name}: {verdict}");
        assert!(verdict.to_string().contains(name), "{verdict}");
    }
}

/// What every stub owes to whoever reads it.
#[test]
fn a_stub_is_short_says_what_is_to_be_done_and_where_to_read() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("../book/src");
    for exercise in EXERCISES {
        let (name, stub) = (exercise.name, exercise.stub);
        assert!(stub.lines().count() <= 60, "{name} is too long");
        assert!(
            stub.contains(&format!("cargo run --example {name}")),
            "{name} does not say how to check it"
        );
        assert!(
            exercise.number() == 0 || (stub.contains("// TODO: ") && stub.contains("todo!(")),
            "{name}"
        );
        assert!(!stub.contains("unsafe"), "{name} is unsafe");
        let chapter = fs::read_to_string(book.join(exercise.chapter)).unwrap();
        let title = chapter.lines().next().unwrap().trim_start_matches("# ");
        assert!(
            stub.contains(&format!("*{title}*")),
            "{name} does not name its chapter, {title}"
        );
        assert!(
            chapter.contains(name),
            "the chapter {title} does not name {name}"
        );
        let hints = exercise.hints;
        assert!(hints.iter().all(|hint| hint.len() > 20), "{name}");
        // Who solves it keeps the signature.
        let signature = |text: &str| {
            let line = text
                .lines()
                .find(|line| line.starts_with("pub fn "))
                .map(str::to_owned);
            line.unwrap_or_default()
        };
        assert_eq!(signature(stub), signature(exercise.solution), "{name}");
    }
}
