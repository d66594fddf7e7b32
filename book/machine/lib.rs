//! The machine that builds the book and keeps it true: mdBook as a library, and the checks that it has not.
//!
//! mdBook builds a page without a word when a file that it includes is missing, when a link leads
//! nowhere, when an anchor is empty. [`sources`] and [`pages`] say so. [`Expand`] puts diagrams, quizzes and
//! [players](player) into the pages, so that they need nothing from elsewhere.

mod diagram;
mod expand;
mod pages;
pub mod player;
mod prose;
mod quiz;
mod serve;
mod sources;

use std::io;
use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;

pub use expand::Expand;
pub use pages::pages;
pub use prose::{section, words};
pub use quiz::{Asked, quiz};
pub use serve::serve;
pub use sources::sources;

/// What is wrong, and where: one line for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Which file, and where in it as far as known.
    pub place: String,
    /// What is wrong with it, and what to do.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Where the book's own files are: the directory of its `book.toml`.
#[must_use]
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Builds the book into a directory, which is emptied first.
///
/// # Errors
///
/// What mdBook says: a `book.toml` or `SUMMARY.md` that it can't read, a chapter that is not there; a diagram or a
/// quiz with a slip in it; or the disk.
pub fn build(home: &Path, into: &Path) -> io::Result<()> {
    let mut book = MDBook::load(home).map_err(io::Error::other)?;
    // In place of the command of that name, which is for the tool `mdbook`.
    book.with_preprocessor(Expand);
    book.config.build.build_dir = into.to_owned();
    book.build().map_err(io::Error::other)
}

/// A text as it stands in HTML and in SVG, also in an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

/// All files below a directory with this extension, in the order of their names.
pub(crate) fn files(below: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(below)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
