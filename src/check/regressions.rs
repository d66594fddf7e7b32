//! The regressions file: failures that a check has met are run first from then on, until their lines are
//! taken out.
//!
//! `tests/proactor-regressions/echo.txt` for the checks of `tests/echo.rs`: a line a failure, the check's name or the
//! test's, the replay, and a comment for people. It is meant to be committed.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// What stands at the top of a file that is made.
const HEAD: &str = "\
# Failures that checks of the source file of this name have met: check, replay, what failed. They are run first.
# Commit this file. A line whose decisions no longer exist is reported: take it out then.
";

/// Whether they are used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    Off,
    /// New ones are not written down.
    Read,
}

/// The regressions of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Regressions {
    path: PathBuf,
    /// The path as people of this package see it.
    shown: String,
    /// The check.
    key: String,
    pub(crate) writes: bool,
}

/// A line of the file.
pub(crate) struct Known {
    /// The file, and the number of the line.
    pub(crate) at: String,
    pub(crate) replay: String,
}

impl Regressions {
    /// Of the check of this name in this source file. `None` where that is not to be found: the program was moved
    /// to another machine, say, or is a documentation test.
    pub(crate) fn beside(location: &Location<'_>, key: &str) -> Option<Regressions> {
        let here = std::env::current_dir().ok()?;
        Regressions::found(&here, Path::new(location.file()), key)
    }

    fn found(here: &Path, source: &Path, key: &str) -> Option<Regressions> {
        // The compiler was called in the workspace's folder, the test runs in its package's.
        let root = here
            .ancestors()
            .find(|folder| folder.join(source).is_file())?;
        let shown = source
            .parent()?
            .join("proactor-regressions")
            .join(source.file_stem()?)
            .with_extension("txt");
        Some(Regressions {
            path: root.join(&shown),
            shown: shown.display().to_string().replace('\\', "/"),
            key: key.replace(char::is_whitespace, "-"),
            writes: true,
        })
    }

    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// What this check has met. A file that is not there holds nothing.
    pub(crate) fn known(&self) -> io::Result<Vec<Known>> {
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let of_this_check = |(number, line): (usize, &str)| {
            let mut words = line.split_whitespace();
            let is_ours = words.next()? == self.key;
            is_ours.then(|| Known {
                at: format!("{}:{}", self.shown, number + 1),
                replay: words.next().unwrap_or_default().to_owned(),
            })
        };
        Ok(text.lines().enumerate().filter_map(of_this_check).collect())
    }

    /// Writes a failure down.
    pub(crate) fn add(&self, replay: &str, what: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        let head = if file.metadata()?.len() == 0 {
            HEAD
        } else {
            ""
        };
        let what = what.lines().next().unwrap_or("");
        // In one piece: other checks of the file may fail at the same time.
        file.write_all(format!("{head}{} {replay} # {what}\n", self.key).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_finds_its_own_lines_beside_its_source() {
        let root = std::env::temp_dir().join(format!("proactor-{}", std::process::id()));
        let package = root.join("member");
        std::fs::create_dir_all(package.join("tests")).expect("a folder");
        std::fs::write(package.join("tests/echo.rs"), "").expect("a file");
        let of = |key| Regressions::found(&package, Path::new("member/tests/echo.rs"), key);
        let ours = of("echo::one").expect("the source is there");
        assert_eq!(ours.shown(), "member/tests/proactor-regressions/echo.txt");
        assert!(ours.known().expect("it is not there").is_empty());
        ours.add("1;a", "it fails\nbadly").expect("it is written");
        of("other")
            .expect("the same")
            .add("1;b", "")
            .expect("written");
        ours.add("1;c", "again").expect("it is written");
        let known = ours.known().expect("it is there");
        let seen: Vec<_> = known.iter().map(|it| (&*it.at, &*it.replay)).collect();
        let file = ours.shown();
        assert_eq!(
            seen,
            [
                (&*format!("{file}:3"), "1;a"),
                (&*format!("{file}:5"), "1;c")
            ]
        );
        let text = std::fs::read_to_string(&ours.path).expect("it is there");
        assert!(text.contains("echo::one 1;a # it fails\n"), "{text}");
        std::fs::write(&ours.path, [0xff]).expect("it is written");
        assert!(ours.known().is_err(), "no text");
        std::fs::remove_dir_all(&root).expect("it goes");
        assert_eq!(of("echo::one"), None);
    }
}
