//! `cargo run --example course`: what is solved, what comes next, hints, solutions, and starting over.
//!
//! Nothing is written down about who has come how far: the exercises are graded, and that is it.

mod cargo;
mod watch;

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

pub use cargo::Cargo;

use crate::exercises::{EXERCISES, Exercise};

/// What can be said to the command.
const USAGE: &str = "\
cargo run --example course                    how far you are, and what comes next
cargo run --example course -- check [N]       grade exercise N, or the next one
cargo run --example course -- hint [N] [1-3]  a hint: a nudge, the invariant, the shape of the code
cargo run --example course -- solution N      a solution, once yours passes (--anyway: now)
cargo run --example course -- reset N         the exercise as it came (--yes: without asking)
cargo run --example course -- watch [N]       grade again whenever you save";

/// How an exercise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It passes.
    Passes,
    /// It is wrong, or not even finished in time.
    Fails,
    /// It has a `todo!()` in it.
    NotYet,
    /// It does not compile.
    DoesNotCompile,
}

/// An exercise that was graded.
#[derive(Clone, Debug)]
pub struct Graded {
    /// How it stands.
    pub standing: Standing,
    /// Everything that its grader said.
    pub said: String,
}

/// Who grades: cargo, or a test.
pub trait Grader {
    /// Grades exercises, in their order. Said aloud is only what keeps one from compiling, if `aloud`.
    fn grade(&mut self, exercises: &[Exercise], aloud: bool) -> io::Result<Vec<Graded>>;
}

/// Where a learner works: the folder with `examples`, who grades, whom to ask and to tell.
pub struct Workshop<'a> {
    /// The folder that has `examples` in it.
    pub root: PathBuf,
    /// Who grades.
    pub grader: &'a mut dyn Grader,
    /// Where answers to questions come from.
    pub answers: &'a mut dyn BufRead,
    /// What the learner reads.
    pub out: &'a mut dyn Write,
    /// How often `watch` looks before it leaves: for ever without a number.
    pub looks: Option<u64>,
}

/// The first exercise that does not pass, when all were graded.
fn next(graded: &[Graded]) -> Option<&'static Exercise> {
    let mut all = EXERCISES.iter().zip(graded);
    let (exercise, _) = all.find(|(_, it)| it.standing != Standing::Passes)?;
    Some(exercise)
}

impl Workshop<'_> {
    /// Does what was asked for. False: it was not understood, or not done.
    ///
    /// # Errors
    ///
    /// What the file system, the terminal or cargo says.
    pub fn run(&mut self, words: &[String]) -> io::Result<bool> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (flags, words): (Vec<&str>, Vec<&str>) =
            words.iter().partition(|it| it.starts_with("--"));
        let flag = |name: &str| flags.contains(&name);
        let known = flags
            .iter()
            .all(|it| ["--anyway", "--yes", "--help"].contains(it));
        match words.as_slice() {
            _ if flag("--help") || !known => self.usage(known),
            [] => self.progress(),
            ["help"] => self.usage(true),
            ["check"] => self.next_or_all_done(Workshop::check),
            ["hint"] => self.next_or_all_done(|it, exercise| it.hint(exercise, 1)),
            ["watch"] => self.next_or_all_done(Workshop::watch),
            [
                verb @ ("check" | "hint" | "watch" | "solution" | "reset"),
                which,
                rest @ ..,
            ] => {
                let Some(exercise) = Exercise::find(which) else {
                    let last = EXERCISES.len() - 1;
                    writeln!(
                        self.out,
                        "There is no exercise `{which}`: they are 0 to {last}."
                    )?;
                    return Ok(false);
                };
                match (*verb, rest) {
                    ("check", []) => self.check(exercise),
                    ("hint", []) => self.hint(exercise, 1),
                    ("hint", [level @ ("1" | "2" | "3")]) => {
                        self.hint(exercise, level.parse().unwrap_or(1))
                    }
                    ("watch", []) => self.watch(exercise),
                    ("solution", []) => self.solution(exercise, flag("--anyway")),
                    ("reset", []) => self.reset(exercise, flag("--yes")),
                    _ => self.usage(false),
                }
            }
            _ => self.usage(false),
        }
    }

    fn usage(&mut self, asked: bool) -> io::Result<bool> {
        writeln!(self.out, "{USAGE}")?;
        Ok(asked)
    }

    fn path(&self, exercise: &Exercise) -> PathBuf {
        self.root
            .join("examples")
            .join(exercise.name)
            .with_extension("rs")
    }

    fn grade(&mut self, exercise: &Exercise, aloud: bool) -> io::Result<Graded> {
        let graded = self.grader.grade(std::slice::from_ref(exercise), aloud)?;
        graded
            .into_iter()
            .next()
            .ok_or_else(|| io::Error::other("it was not graded"))
    }

    fn next_or_all_done(
        &mut self,
        then: impl FnOnce(&mut Self, &Exercise) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let graded = self.grader.grade(&EXERCISES, false)?;
        match next(&graded) {
            Some(exercise) => then(self, exercise),
            None => {
                writeln!(self.out, "All {} exercises pass.", EXERCISES.len())?;
                Ok(true)
            }
        }
    }

    fn progress(&mut self) -> io::Result<bool> {
        let graded = self.grader.grade(&EXERCISES, false)?;
        let passed = graded
            .iter()
            .filter(|it| it.standing == Standing::Passes)
            .count();
        let all = EXERCISES.len();
        let bar = ["#".repeat(passed), "-".repeat(all - passed)].concat();
        writeln!(self.out, "The course  [{bar}]  {passed} of {all} pass\n")?;
        for (exercise, graded) in EXERCISES.iter().zip(&graded) {
            let (sign, said) = match graded.standing {
                Standing::Passes => ('+', "passes"),
                Standing::NotYet => (' ', "not written yet"),
                Standing::DoesNotCompile => ('!', "does not compile"),
                Standing::Fails => ('x', graded.said.lines().next().unwrap_or("fails")),
            };
            writeln!(
                self.out,
                "  {sign} {:<22}{:<38}{said}",
                exercise.name, exercise.title
            )?;
        }
        match next(&graded) {
            None => writeln!(
                self.out,
                "\nAll of them pass. What is next is code of your own: book/src/check-your-own.md"
            )?,
            Some(exercise) => {
                let Exercise {
                    name,
                    title,
                    chapter,
                    ..
                } = exercise;
                let number = exercise.number();
                writeln!(
                    self.out,
                    "\nNext: {title}\n  read   book/src/{chapter}  (cargo run -p proactor-book builds the book)\n  \
                     write  examples/{name}.rs\n  check  cargo run --example {name}\n  \
                     stuck? cargo run --example course -- hint {number}"
                )?;
            }
        }
        Ok(true)
    }

    fn check(&mut self, exercise: &Exercise) -> io::Result<bool> {
        let graded = self.grade(exercise, true)?;
        writeln!(self.out, "{}: {}", exercise.name, graded.said.trim_end())?;
        Ok(graded.standing == Standing::Passes)
    }

    fn hint(&mut self, exercise: &Exercise, level: usize) -> io::Result<bool> {
        let hint = exercise.hints.get(level - 1).copied().unwrap_or_default();
        writeln!(self.out, "{}, hint {level} of 3: {hint}", exercise.name)?;
        let number = exercise.number();
        match level {
            3 => writeln!(
                self.out,
                "\nStill stuck? cargo run --example course -- solution {number} --anyway"
            ),
            _ => writeln!(
                self.out,
                "\nMore: cargo run --example course -- hint {number} {}",
                level + 1
            ),
        }?;
        Ok(true)
    }

    fn solution(&mut self, exercise: &Exercise, anyway: bool) -> io::Result<bool> {
        if !anyway && self.grade(exercise, false)?.standing != Standing::Passes {
            writeln!(
                self.out,
                "Yours does not pass yet. A hint may be enough: cargo run --example course -- hint {0}\nTo see \
                 the solution now: cargo run --example course -- solution {0} --anyway",
                exercise.number()
            )?;
            return Ok(false);
        }
        writeln!(self.out, "{}", exercise.solution.trim_end())?;
        Ok(true)
    }

    fn reset(&mut self, exercise: &Exercise, yes: bool) -> io::Result<bool> {
        let path = self.path(exercise);
        let shown = Path::new("examples")
            .join(exercise.name)
            .with_extension("rs");
        let shown = shown.display();
        if fs::read_to_string(&path).is_ok_and(|text| text == exercise.stub) {
            writeln!(self.out, "{shown} is as it came.")?;
            return Ok(true);
        }
        if !yes {
            write!(
                self.out,
                "What you have written in {shown} will be gone. Go on? [y/n] "
            )?;
            self.out.flush()?;
            let mut answer = String::new();
            self.answers.read_line(&mut answer)?;
            if !matches!(answer.trim(), "y" | "yes") {
                writeln!(self.out, "Nothing was changed.")?;
                return Ok(false);
            }
        }
        fs::write(&path, exercise.stub)?;
        writeln!(self.out, "{shown} is as it came.")?;
        Ok(true)
    }
}
