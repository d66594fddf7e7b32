//! Grading by cargo: the exercises are built, and run as programs of their own. One that does not compile, dies or
//! hangs takes nobody with it.

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Graded, Grader, Standing};
use crate::exercises::Exercise;

/// A grader gives up by itself. What has not by then is ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// The grader that learners have.
pub struct Cargo {
    /// The folder of the project.
    pub root: PathBuf,
}

impl Grader for Cargo {
    fn grade(&mut self, exercises: &[Exercise], aloud: bool) -> io::Result<Vec<Graded>> {
        if !aloud {
            // The first time that takes a while.
            eprintln!("(building the exercises)");
        }
        let programs = self.build(exercises, aloud)?;
        let grade = |exercise: &Exercise| {
            let program = programs.iter().find(|(name, _)| name == exercise.name);
            match program {
                Some((_, program)) => self.run(program),
                None => Ok(Graded {
                    standing: Standing::DoesNotCompile,
                    said: "It does not compile.".to_owned(),
                }),
            }
        };
        exercises.iter().map(grade).collect()
    }
}

impl Cargo {
    /// Builds what can be built, in one go: names and programs.
    fn build(&self, exercises: &[Exercise], aloud: bool) -> io::Result<Vec<(String, PathBuf)>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .current_dir(&self.root)
            .args(["build", "--quiet", "--keep-going"]);
        build.arg("--message-format=json-render-diagnostics");
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        for exercise in exercises {
            build.args(["--example", exercise.name]);
        }
        build.stderr(if aloud {
            Stdio::inherit()
        } else {
            Stdio::null()
        });
        let built = build.output()?;
        let lines = String::from_utf8_lossy(&built.stdout).into_owned();
        let programs = lines.lines().filter_map(|line| {
            let name = field(line, "\"name\":\"")?;
            let program = field(line, "\"executable\":\"")?;
            Some((name, PathBuf::from(program)))
        });
        Ok(programs.collect())
    }

    fn run(&self, program: &PathBuf) -> io::Result<Graded> {
        let mut child = Command::new(program)
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let output = child.stdout.take();
        let reader = thread::spawn(move || {
            let mut said = String::new();
            // What is not text, or was cut off, is left out.
            let _ = output.map(|mut output| output.read_to_string(&mut said));
            said
        });
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break Some(status),
                None if Instant::now() > end => {
                    child.kill()?;
                    child.wait()?;
                    break None;
                }
                None => thread::sleep(Duration::from_millis(2)),
            }
        };
        let said = reader.join().unwrap_or_default();
        Ok(graded(status, said))
    }
}

fn graded(status: Option<ExitStatus>, said: String) -> Graded {
    let (standing, said) = match status.map(|status| (status, status.code())) {
        Some((_, Some(0))) => (Standing::Passes, said),
        Some((_, Some(2))) => (Standing::NotYet, said),
        Some((_, Some(1 | 3))) => (Standing::Fails, said),
        Some((status, _)) => (
            Standing::Fails,
            format!("It died: {status}. A recursion without an end overflows the stack.\n{said}"),
        ),
        None => (Standing::Fails, format!("It never ends.\n{said}")),
    };
    Graded { standing, said }
}

/// The string behind this key in a line of JSON, as cargo writes it.
fn field(line: &str, key: &str) -> Option<String> {
    let (_, rest) = line.split_once(key)?;
    let mut value = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(value),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_tells_of_a_program_is_read() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["example"],"name":"ex03_echo"},"executable":"C:\\target\\ex03_echo.exe","fresh":true}"#;
        assert_eq!(field(line, "\"name\":\"").as_deref(), Some("ex03_echo"));
        assert_eq!(
            field(line, "\"executable\":\"").as_deref(),
            Some("C:\\target\\ex03_echo.exe")
        );
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"proactor"},"executable":null}"#;
        assert_eq!(field(library, "\"executable\":\""), None);
    }
}
