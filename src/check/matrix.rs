//! The matrix of outcomes by operations: how often each was offered, and how often taken.

use std::fmt;

use crate::choice::Site;
use crate::sim::matrix::{Cell, End, Matrix as Counts};
use crate::sim::words::{grouped, plural};
use crate::sim::{OutcomeClass, Personality, Transition, legality};

/// Which outcomes were offered to which kinds of operations in the executions of a check, how often, and how often the
/// kernel took them: see [`Summary::matrix`](super::Summary::matrix).
///
/// Its [`Display`](fmt::Display) is a table. A column is a kind of operation that the model uses, a row an outcome: `taken/offered`;
/// `-` where the kernel has no such outcome for it, `.` where it has, and never was in a state to offer it. The last rows tell how operations
/// ended, whoever decided that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix {
    counts: Counts,
    personality: Personality,
}

/// One row of the table, and a place for each operation.
struct Row {
    label: String,
    /// `None`: not legal.
    cells: Vec<Option<(u64, u64)>>,
}

impl Matrix {
    pub(crate) fn new(counts: Counts, personality: Personality) -> Matrix {
        Matrix {
            counts,
            personality,
        }
    }

    /// How often this outcome was offered to this kind of operation, and how often it was taken: by the names that the table
    /// has.
    ///
    /// ```
    /// use proactor::fs::File;
    ///
    /// let summary = proactor::check::Checker::new()
    ///     .run(|sim| {
    ///         sim.file("/etc/motd", b"be kind");
    ///         let read = async {
    ///             let file = File::open(sim.proactor(), "/etc/motd").await.ok()?;
    ///             file.read_at(vec![0; 16], 0).await.0.ok()
    ///         };
    ///         sim.proactor().block_on(read).unwrap();
    ///     })
    ///     .unwrap();
    /// let (offered, taken) = summary.matrix().of("read_at", "half");
    /// assert!(offered > taken && taken > 0);
    /// println!("{}", summary.matrix());
    /// ```
    #[must_use]
    pub fn of(&self, operation: &str, outcome: &str) -> (u64, u64) {
        let is_it = |cell: &&Cell| {
            let (transition, class) = class(cell);
            cell.operation == operation && label(transition, class) == outcome
        };
        let cells = self.counts.cells();
        let add = |sum: (u64, u64), cell: &Cell| (sum.0 + cell.offered, sum.1 + cell.taken);
        cells.iter().filter(is_it).fold((0, 0), add)
    }

    /// What was offered, and never taken: the operation, the outcome, how often.
    #[must_use]
    pub fn never_taken(&self) -> Vec<(&str, String, u64)> {
        let mut never: Vec<(&str, String, u64)> = Vec::new();
        for cell in self.counts.cells() {
            let (transition, class) = class(&cell);
            let label = label(transition, class);
            let of = self.of(cell.operation, &label);
            let is_known =
                |known: &(&str, String, u64)| (known.0, &known.1) == (cell.operation, &label);
            if of.1 == 0 && !never.iter().any(is_known) {
                never.push((cell.operation, label, of.0));
            }
        }
        never
    }

    fn rows(&self) -> Vec<Row> {
        let operations = self.counts.operations();
        let mut rows: Vec<(bool, Row)> = Vec::new();
        let mut enter =
            |transition: &Transition, class: &OutcomeClass, operation: &str, times: (u64, u64)| {
                if !is_told(transition, class, self.personality) {
                    return;
                }
                let Some(column) = operations.iter().position(|it| *it == operation) else {
                    return;
                };
                let label = label(transition, class);
                let at = match rows.iter().position(|(_, row)| row.label == label) {
                    Some(at) => at,
                    None => {
                        let cells = vec![None; operations.len()];
                        let is_size = transition.site.is_some_and(is_size);
                        rows.push((!is_size, Row { label, cells }));
                        rows.len() - 1
                    }
                };
                let (offered, taken) = rows[at].1.cells[column].get_or_insert((0, 0));
                *offered += times.0;
                *taken += times.1;
            };
        for transition in legality().transitions().filter(|it| it.site.is_some()) {
            for class in transition.outcomes {
                for operation in transition.operations {
                    enter(transition, class, operation, (0, 0));
                }
            }
        }
        for cell in self.counts.cells() {
            let (transition, class) = class(&cell);
            enter(
                transition,
                class,
                cell.operation,
                (cell.offered, cell.taken),
            );
        }
        // Sizes first.
        rows.sort_by_key(|(is_size, _)| *is_size);
        let rows = rows.into_iter().map(|(_, row)| row);
        // What none of the operations has ever been offered says nothing.
        rows.filter(|row| row.cells.iter().any(|cell| cell.is_some_and(|it| it.0 > 0)))
            .collect()
    }
}

/// The transition and the outcome that a cell counts.
fn class(cell: &Cell) -> (&'static Transition, &'static OutcomeClass) {
    let transition = crate::sim::transition(cell.rule);
    (transition, &transition.outcomes[cell.outcome])
}

/// Whether a decision of this site is about how much is moved.
fn is_size(site: Site) -> bool {
    matches!(
        site,
        Site::RecvSize | Site::SendSize | Site::ReadSize | Site::WriteSize
    )
}

/// Whether an outcome has a row: of what is no size only what is unkind does.
fn is_told(transition: &Transition, class: &OutcomeClass, personality: Personality) -> bool {
    let has = |it: &&OutcomeClass| it.personalities.has(personality);
    let kind = transition.outcomes.iter().find(has);
    let is_kind = kind.is_some_and(|kind| std::ptr::eq(kind, class));
    has(&class) && (!is_kind || transition.site.is_some_and(is_size))
}

/// What people call it: its word, and what it is about where the word alone would not say that.
fn label(transition: &Transition, class: &OutcomeClass) -> String {
    match transition.site {
        Some(Site::Cancel) => format!("cancel {}", class.word),
        Some(Site::Error) => format!("error to {}", class.word),
        Some(Site::Spurious) => format!("spuriously {}", class.word),
        _ => class.word.to_owned(),
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.counts.operations();
        if operations.is_empty() {
            return f.write_str("no operation was started");
        }
        let mut table = vec![vec!["taken/offered".to_owned()]];
        table[0].extend(operations.iter().map(|it| (*it).to_owned()));
        for row in self.rows() {
            let mut line = vec![row.label];
            line.extend(row.cells.iter().map(|cell| match cell {
                None => "-".to_owned(),
                Some((0, _)) => ".".to_owned(),
                Some((offered, taken)) => format!("{}/{}", grouped(*taken), grouped(*offered)),
            }));
            table.push(line);
        }
        for (end, label) in [
            (End::Some, "ended well"),
            (End::Zero, "ended with 0"),
            (End::Canceled, "cancelled"),
            (End::Error, "other errors"),
        ] {
            let mut line = vec![label.to_owned()];
            let counts = operations.iter().map(|it| self.counts.ended(it, end));
            line.extend(counts.map(|count| match count {
                0 => ".".to_owned(),
                count => grouped(count),
            }));
            table.push(line);
        }
        let width = |column: usize| {
            let cells = table.iter().map(|line| line[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
        for (nth, line) in table.iter().enumerate() {
            let mut text = format!("{:<1$}", line[0], widths[0]);
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            let lead = if nth == 0 { "" } else { "\n" };
            write!(f, "{lead}{}", text.trim_end())?;
        }
        for (operation, outcome, times) in self.never_taken() {
            let times = plural(times, "time");
            write!(f, "\nnot covered: {operation} {outcome} (offered {times})")?;
        }
        Ok(())
    }
}
