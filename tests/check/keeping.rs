//! Failures are kept beside the test, and run first; parts of the random executions; a replay in a debugger.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use proactor::check::{Checker, FailureKind};

use crate::models::{frame, one_read, whole_frame};

/// What the child processes run.
#[test]
#[ignore = "fails by design; the tests below run it in a process of their own"]
fn planted() {
    let serve = match std::env::var_os("MENDED") {
        Some(_) => whole_frame,
        None => one_read,
    };
    match Checker::new()
        .name("frames")
        .regressions(true)
        .run(move |sim| frame(sim, serve))
    {
        Ok(summary) => println!("{summary}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// A folder that holds this source file, as a package would.
struct Package(PathBuf);

impl Package {
    fn new(name: &str) -> Package {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&root);
        let source = root.join(file!());
        std::fs::create_dir_all(source.parent().expect("it is in a folder")).expect("a folder");
        std::fs::write(source, "").expect("a file");
        Package(root)
    }

    fn file(&self) -> PathBuf {
        let folder = self.0.join(file!()).with_file_name("proactor-regressions");
        folder.join("keeping.txt")
    }

    /// Runs `planted` there. What it said.
    fn runs(&self, variables: &[(&str, &str)]) -> String {
        let output = planted_in(Command::new(std::env::current_exe().expect("it is known")))
            .current_dir(&self.0)
            .envs(variables.iter().copied())
            .output()
            .expect("the test binary runs");
        let said = [output.stdout, output.stderr];
        said.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat()
    }
}

impl Drop for Package {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn planted_in(mut command: Command) -> Command {
    command.args(["--ignored", "--exact", "keeping::planted", "--nocapture"]);
    command
}

#[test]
fn a_failure_is_kept_and_run_first_and_told_when_it_is_stale() {
    let package = Package::new("kept");
    let kept = "Kept in tests/check/proactor-regressions/keeping.txt";
    for (variable, writes) in [("off", false), ("read", false), ("", true)] {
        let said = package.runs(&[("PROACTOR_REGRESSIONS", variable)]);
        assert!(said.contains("the answer ends after"), "{said}");
        assert_eq!(said.contains(kept), writes, "{said}");
        assert_eq!(package.file().exists(), writes);
    }
    let text = std::fs::read_to_string(package.file()).expect("it is there");
    let line = text.lines().last().expect("a line");
    assert!(line.starts_with("frames 1;for=frames;x256pp:"), "{text}");
    assert!(line.contains(" # panic: "), "{text}");

    // The next run does not search.
    let said = package.runs(&[]);
    let at = format!(
        "keeping.txt:{}, where it was met before.",
        text.lines().count()
    );
    assert!(said.contains(&at), "{said}");
    let again = std::fs::read_to_string(package.file()).expect("it is there");
    assert_eq!(again, text, "it is kept once");
    let said = package.runs(&[("PROACTOR_REGRESSIONS", "off")]);
    assert!(said.contains("Found by execution"), "{said}");

    // Mended, the server does other things: that line is stale. One is of another check, one of other workers,
    // one is no replay, and one passes.
    let seed = "x256pp:0000000000000000";
    let others = format!(
        "other 1;nonsense\nframes 1;workers=2;{seed}\nframes 2;{seed}\nframes 1;{seed} # kind\n"
    );
    let stale = line.replace("send@", "send@00000000#7=half;send@");
    std::fs::write(package.file(), format!("{text}{stale}\n{others}")).expect("it can be written");
    let said = package.runs(&[("MENDED", "")]);
    for word in [
        "check `frames` passes",
        "of tests/check/proactor-regressions/keeping.txt no more",
        "is stale: its decisions no longer come up. Take the line out",
        "is stale: recorded with 2 workers on the personality `any`",
        "can't be read at character 1, `2`",
    ] {
        assert!(said.contains(word), "no `{word}` in\n{said}");
    }
    assert!(!said.contains("nonsense"), "{said}");
}

#[test]
fn a_replay_stops_where_a_debugger_is_wanted() {
    let package = Package::new("stopped");
    let failure = Checker::new()
        .name("frames")
        .run(|sim| frame(sim, one_read))
        .expect_err("it is found");
    let replay = failure.replay().expect("it can be repeated");
    let stop = |step| package.runs(&[("PROACTOR_REPLAY", replay), ("PROACTOR_BREAK", step)]);
    for (step, words) in [
        ("fail", "PROACTOR_BREAK: it fails here"),
        ("0.1", "PROACTOR_BREAK: the step is here"),
        (
            "0.9^9",
            "can't run\n  PROACTOR_BREAK=0.9^9: the execution has no step of this name",
        ),
    ] {
        let said = stop(step);
        assert!(said.contains(words), "{step}: {said}");
    }
    let text = failure.to_string();
    assert!(
        text.contains("PROACTOR_BREAK=fail PROACTOR_REPLAY='"),
        "{text}"
    );

    // In a real one.
    let mut gdb = Command::new("gdb");
    for argument in [
        "-batch",
        "-nx",
        "-ex",
        "break proactor_break",
        "-ex",
        "run",
        "-ex",
        "bt",
        "--args",
    ] {
        gdb.arg(argument);
    }
    gdb.arg(std::env::current_exe().expect("it is known"));
    let output = planted_in(gdb)
        .current_dir(&package.0)
        .env("PROACTOR_REPLAY", replay)
        .env("PROACTOR_BREAK", "fail")
        .output();
    let said = match output {
        Ok(output) => [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat(),
        Err(error) => return eprintln!("skipped: gdb: {error}"),
    };
    if said.contains("ptrace") || said.contains("not supported") {
        return eprintln!("skipped: gdb may not trace here: {said}");
    }
    assert!(said.contains("hit Breakpoint 1"), "{said}");
    // The frame of the model's own code, in which it panics.
    assert!(said.contains("check::models::"), "{said}");
}

/// The numbers that the models of a check drew, in no order.
fn drawn(variables: Option<&str>) -> Vec<u64> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let draws = all.clone();
    let mut checker = Checker::new().deviations(0).executions(100).repeat_every(0);
    if let Some(part) = variables {
        let (part, of) = part.split_once('/').expect("two numbers");
        checker = checker.part(
            part.parse().expect("a number"),
            of.parse().expect("a number"),
        );
    }
    checker
        .run(move |sim| {
            use rand::Rng;
            draws
                .lock()
                .expect("nobody panics")
                .push(sim.rng().next_u64());
        })
        .expect("nothing can fail");
    let mut all = std::mem::take(&mut *all.lock().expect("nobody panics"));
    all.sort_unstable();
    all.dedup();
    all
}

#[test]
fn parts_draw_from_seeds_of_their_own() {
    let whole = drawn(None);
    assert_eq!(drawn(Some("1/3")), whole);
    let parts = ["1/3", "2/3", "3/3"].map(|part| drawn(Some(part)));
    let mut all = parts.concat();
    all.sort_unstable();
    let count = all.len();
    all.dedup();
    // What they have in common is the kind execution's.
    assert_eq!(all.len(), count - 2);
    let part = Checker::new().part(4, 3).run(|_| ());
    let refused = part.expect_err("there is no such part");
    assert_eq!(refused.kind(), FailureKind::Refused, "{refused}");
}
