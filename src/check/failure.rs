//! What a check hands back when it does not pass.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::execution::Fault;
use super::regressions::Regressions;
use crate::sim::{Invariant, Oracle};

/// Why a check does not pass. Its [`Display`](fmt::Display) is the whole report.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) report: String,
    pub(crate) fault: Option<Fault>,
    pub(crate) deviations: Vec<String>,
    pub(crate) replay: Option<String>,
    pub(crate) executions: u64,
    pub(crate) pages: Option<Pages>,
}

/// The same report in other forms.
#[derive(Clone, Debug)]
pub(crate) struct Pages {
    /// Of the files: the check's name, or the test's.
    pub(crate) name: String,
    pub(crate) html: String,
    pub(crate) json: String,
    pub(crate) perfetto: String,
}

/// What sort of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// An execution breaks an invariant, or panics.
    Broken,
    /// The model does not do the same twice under the same decisions.
    NonDeterministic,
    /// Two steps that were said to touch nothing in common come to something else the other way round: what
    /// [was promised](super::Checker::strands_share_only_tracked) does not hold.
    Dependent,
    /// A replay passes, but parts of it no longer exist: it says nothing about the old failure.
    Stale,
    /// Nothing fails, but a goal that was [required](super::Checker::require_goals) was never reached.
    Unreached,
    /// The check was not run: something about how it was asked for is wrong.
    Refused,
}

impl Failure {
    pub(crate) fn refused(name: Option<&str>, why: &str) -> Box<Failure> {
        Failure::plain(FailureKind::Refused, name, "can't run", why)
    }

    /// A failure that is told in a paragraph.
    pub(crate) fn plain(
        kind: FailureKind,
        name: Option<&str>,
        verdict: &str,
        why: &str,
    ) -> Box<Failure> {
        let mut report = match name {
            Some(name) => format!("proactor: check `{name}` {verdict}"),
            None => format!("proactor: the check {verdict}"),
        };
        for line in why.lines() {
            report.push_str("\n  ");
            report.push_str(line);
        }
        Box::new(Failure {
            kind,
            report,
            fault: None,
            deviations: Vec::new(),
            replay: None,
            executions: 0,
            pages: None,
        })
    }

    /// Writes it down, if it can be repeated, and says so.
    pub(crate) fn keep(&mut self, kept: &Regressions) {
        let (Some(replay), Some(fault)) = (&self.replay, &self.fault) else {
            return;
        };
        let what = format!("{}: {}", fault.oracle, fault.message);
        let said = match kept.add(replay, &what) {
            Ok(()) => format!("Kept in {}, and run first from now on.", kept.shown()),
            Err(error) => format!("It could not be kept in {}: {error}", kept.shown()),
        };
        self.report.push('\n');
        self.report.push_str(&said);
    }

    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// The invariant that is broken.
    #[must_use]
    pub fn invariant(&self) -> Option<Invariant> {
        self.fault.as_ref().map(|fault| fault.invariant)
    }

    /// The oracle that found it.
    #[must_use]
    pub fn oracle(&self) -> Option<Oracle> {
        self.fault.as_ref().map(|fault| fault.oracle)
    }

    /// How it is broken, or the message of the panic.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.fault.as_ref().map(|fault| fault.message.as_str())
    }

    /// What the kernel did unkindly, in words: all of it is needed for this failure.
    #[must_use]
    pub fn deviations(&self) -> &[String] {
        &self.deviations
    }

    /// The value of `PROACTOR_REPLAY` that repeats it.
    #[must_use]
    pub fn replay(&self) -> Option<&str> {
        self.replay.as_deref()
    }

    /// The report as one HTML page, which asks no network: its lanes can be stepped through.
    #[must_use]
    pub fn html(&self) -> Option<&str> {
        self.pages.as_ref().map(|pages| pages.html.as_str())
    }

    /// The failing execution as JSON: `lanes`, the objects, and `lines`, each with its `event`, its `cause`,
    /// what it says (`text`), its source (`place`), virtual nanoseconds (`at`), and which deviation it is
    /// (`mark`).
    #[must_use]
    pub fn json(&self) -> Option<&str> {
        self.pages.as_ref().map(|pages| pages.json.as_str())
    }

    /// The failing execution as a Chrome trace, which Perfetto shows.
    #[must_use]
    pub fn perfetto(&self) -> Option<&str> {
        self.pages.as_ref().map(|pages| pages.perfetto.as_str())
    }

    /// Writes the report into a folder, which is made if it is not there: `NAME.txt`, and where there is an
    /// execution to show `NAME.html`, `NAME.json`, `NAME.perfetto.json`. Gives the path of the page, or of
    /// the text if there is no page. Files of an earlier failure of the same name are replaced.
    ///
    /// # Errors
    ///
    /// What the file system says, with the path.
    pub fn save(&self, folder: impl AsRef<Path>) -> io::Result<PathBuf> {
        let folder = folder.as_ref();
        let about = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        std::fs::create_dir_all(folder).map_err(|error| about(folder, error))?;
        let name = self.pages.as_ref().map_or("check", |pages| &pages.name);
        let write = |ending: &str, text: &str| {
            let path = folder.join(format!("{name}.{ending}"));
            std::fs::write(&path, text).map_err(|error| about(&path, error))?;
            Ok(path)
        };
        let text = write("txt", &self.report)?;
        let Some(pages) = &self.pages else {
            return Ok(text);
        };
        write("json", &pages.json)?;
        write("perfetto.json", &pages.perfetto)?;
        write("html", &pages.html)
    }

    /// How many executions it took to find, shrinking apart.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.report)
    }
}

impl std::error::Error for Failure {}
