//! The command, in a workshop of its own: a folder of copies, and a grader that reads the answer in the file.

use std::fs;
use std::io::{self, Cursor};
use std::path::PathBuf;

use proactor_course::command::{Graded, Grader, Standing, Workshop};
use proactor_course::{EXERCISES, Exercise};

/// Grades by what stands in the file.
struct Reads(PathBuf);

impl Grader for Reads {
    fn grade(&mut self, exercises: &[Exercise], _: bool) -> io::Result<Vec<Graded>> {
        let grade = |exercise: &Exercise| {
            let text = fs::read_to_string(
                self.0
                    .join("examples")
                    .join(exercise.name)
                    .with_extension("rs"),
            )?;
            let (standing, said) = match text.as_str() {
                "wrong" => (Standing::Fails, "Not yet right: I2, nobody touches."),
                "broken" => (Standing::DoesNotCompile, "It does not compile."),
                text if text.contains("todo!(") => (Standing::NotYet, "Not written yet."),
                _ => (Standing::Passes, "It passes."),
            };
            Ok(Graded {
                standing,
                said: said.to_owned(),
            })
        };
        exercises.iter().map(grade).collect()
    }
}

/// A folder with the exercises as they come.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("course-{name}-{}", std::process::id()));
        fs::create_dir_all(root.join("examples")).unwrap();
        let folder = Folder(root);
        for exercise in EXERCISES {
            folder.write(&exercise, exercise.stub);
        }
        folder
    }

    fn path(&self, exercise: &Exercise) -> PathBuf {
        self.0
            .join("examples")
            .join(exercise.name)
            .with_extension("rs")
    }

    fn write(&self, exercise: &Exercise, text: &str) {
        fs::write(self.path(exercise), text).unwrap();
    }

    fn read(&self, exercise: &Exercise) -> String {
        fs::read_to_string(self.path(exercise)).unwrap()
    }

    /// What the command says, and whether it was done.
    fn says(&self, words: &str, answers: &str) -> (bool, String) {
        self.says_to(words, answers, &mut Reads(self.0.clone()))
    }

    fn says_to(&self, words: &str, answers: &str, grader: &mut dyn Grader) -> (bool, String) {
        let mut out = Vec::new();
        let mut workshop = Workshop {
            root: self.0.clone(),
            grader,
            answers: &mut Cursor::new(answers.to_owned()),
            out: &mut out,
            looks: Some(0),
        };
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let done = workshop.run(&words).unwrap();
        (done, String::from_utf8(out).unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn progress_is_what_the_graders_say() {
    let folder = Folder::new("progress");
    let all = EXERCISES.len();
    let (_, said) = folder.says("", "");
    assert!(said.contains(&format!("1 of {all} pass")), "{said}");
    assert!(said.contains("Next: whose is the buffer now?"), "{said}");
    assert!(
        said.contains("cargo run --example course -- hint 1"),
        "{said}"
    );

    folder.write(&EXERCISES[1], "solved");
    folder.write(&EXERCISES[2], "wrong");
    folder.write(&EXERCISES[3], "broken");
    let (_, said) = folder.says("", "");
    assert!(said.contains(&format!("2 of {all} pass")), "{said}");
    let line = |name: &str| {
        said.lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_owned()
    };
    assert!(
        line("ex01").contains("+ ex01") && line("ex01").contains("passes"),
        "{said}"
    );
    assert!(
        line("ex02").contains("x ex02") && line("ex02").contains("I2, nobody touches"),
        "{said}"
    );
    assert!(
        line("ex03").contains("! ex03") && line("ex03").contains("does not compile"),
        "{said}"
    );
    assert!(said.contains("Next: stop a receive"), "{said}");

    for exercise in EXERCISES {
        folder.write(&exercise, "solved");
    }
    assert!(folder.says("", "").1.contains("All of them pass."));
    assert!(folder.says("check", "").1.contains("exercises pass."));
}

#[test]
fn hints_come_one_by_one_and_after_success_too() {
    let folder = Folder::new("hints");
    for exercise in EXERCISES {
        let number = exercise.number();
        for level in 1..=3 {
            let (done, said) = folder.says(&format!("hint {number} {level}"), "");
            assert!(done && said.contains(exercise.hints[level - 1]), "{said}");
        }
    }
    assert!(
        folder
            .says("hint", "")
            .1
            .starts_with("ex01_ready_or_done, hint 1 of 3")
    );
    assert!(
        folder
            .says("hint ex03_echo", "")
            .1
            .starts_with("ex03_echo, hint 1 of 3")
    );
    assert!(!folder.says("hint 99", "").0);
    assert!(!folder.says("hint 1 4", "").0);
}

#[test]
fn a_solution_is_shown_to_whom_has_one_or_insists() {
    let folder = Folder::new("solution");
    let (done, said) = folder.says("solution 3", "");
    assert!(
        !done && said.contains("does not pass yet") && !said.contains("write_all"),
        "{said}"
    );
    let (done, said) = folder.says("solution 3 --anyway", "");
    assert!(done && said.contains("write_all"), "{said}");
    folder.write(&EXERCISES[3], "solved");
    assert!(folder.says("solution 3", "").0);
}

#[test]
fn reset_asks_before_it_throws_work_away() {
    let folder = Folder::new("reset");
    let exercise = &EXERCISES[2];
    assert!(folder.says("reset 2", "").1.contains("is as it came"));
    folder.write(exercise, "an evening's work");
    for answer in ["", "n\n", "why?\n"] {
        assert!(!folder.says("reset 2", answer).0);
        assert_eq!(folder.read(exercise), "an evening's work");
    }
    assert!(folder.says("reset 2", "y\n").0);
    assert_eq!(folder.read(exercise), exercise.stub);
    folder.write(exercise, "another evening's");
    assert!(folder.says("reset 2 --yes", "").0);
    assert_eq!(folder.read(exercise), exercise.stub);
}

#[test]
fn watch_grades_what_was_saved_and_goes_on_when_it_passes() {
    let folder = Folder::new("watch");
    folder.write(&EXERCISES[1], "wrong");
    let (_, said) = folder.says("watch", "");
    assert!(
        said.contains("cargo run --example ex01_ready_or_done"),
        "by hand: {said}"
    );
    assert!(
        said.contains("ex01_ready_or_done: Not yet right: I2"),
        "{said}"
    );
    assert!(!said.contains("ex02"), "{said}");
    folder.write(&EXERCISES[1], "solved");
    let (_, said) = folder.says("watch 1", "");
    assert!(said.contains("ex01_ready_or_done: It passes."), "{said}");
    assert!(
        said.contains("Watching examples/ex02_kernel_in_hand.rs"),
        "{said}"
    );
    assert!(
        said.contains("ex02_kernel_in_hand: Not written yet."),
        "{said}"
    );
}

#[test]
fn what_is_not_understood_is_answered_by_what_can_be_said() {
    let folder = Folder::new("usage");
    for words in [
        "dance",
        "check 1 2",
        "reset",
        "solution",
        "hint 1 2 3",
        "--loud",
    ] {
        let (done, said) = folder.says(words, "");
        assert!(
            !done && said.contains("cargo run --example course"),
            "{words}: {said}"
        );
    }
    assert!(folder.says("help", "").0);
    assert!(folder.says("--help", "").0);
    assert!(!folder.says("check 99", "").0);
}

/// A check that never comes back is told, within its time, and the terminal is free. The threads of these sleep until
/// the test's program ends.
#[test]
fn what_never_ends_is_told() {
    fn parks(_: proactor::net::TcpStream) {
        loop {
            std::thread::park();
        }
    }
    fn waits(_: proactor::net::TcpStream) {
        let (ask, answer) = std::sync::mpsc::channel::<u8>();
        let _ = answer.recv();
        drop(ask);
    }
    for serve in [parks as fn(_), waits] {
        let verdict = proactor_course::never_block::check(serve)
            .within(std::time::Duration::from_millis(300));
        assert_eq!(verdict.code(), 3, "{verdict}");
        assert!(verdict.to_string().contains("never ends: I9"), "{verdict}");
        assert!(
            verdict.to_string().contains("the first execution"),
            "{verdict}"
        );
    }
}

/// So is one that hangs only when the kernel does something unusual: patience is with an execution, not with all of them.
#[test]
fn what_seldom_ends_is_told() {
    fn greets_or_parks(stream: proactor::net::TcpStream) {
        let greeting = proactor_course::start::GREETING;
        proactor::compose::write_all(&stream, greeting).then(move |(written, _)| {
            while written.is_err() {
                std::thread::park();
            }
            drop(stream);
        });
    }
    // Longer than a busy machine keeps the first execution from its end.
    let verdict =
        proactor_course::start::check(greets_or_parks).within(std::time::Duration::from_secs(3));
    assert_eq!(verdict.code(), 3, "{verdict}");
    assert!(
        verdict
            .to_string()
            .contains("had come to their ends before"),
        "{verdict}"
    );
}
