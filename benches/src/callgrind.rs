//! valgrind's callgrind: how it is called, and what its files say.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Is there a valgrind to run?
pub fn installed() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// This program under callgrind. `out` gets the counts.
pub fn command(program: &Path, out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program);
    command
}

/// Where the files go: beside the program, so below `target/`.
pub fn out_file(program: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = program.parent().unwrap_or(Path::new(".")).join("callgrind");
    fs::create_dir_all(&dir)?;
    Ok(dir.join(format!("{name}.out")))
}

/// Where instructions were counted: function, file, line.
pub type Place = (String, String, u32);

/// The counts of one run, of each place by itself (what it calls is not in them).
#[derive(Default)]
pub struct Counts {
    pub total: u64,
    pub places: HashMap<Place, u64>,
}

/// Reads a file of callgrind's.
pub fn read(path: &Path) -> io::Result<Counts> {
    let text = String::from_utf8_lossy(&fs::read(path)?).into_owned();
    parse(&text).ok_or_else(|| io::Error::other(format!("{}: no totals", path.display())))
}

/// The format: <https://valgrind.org/docs/manual/cl-format.html>. Names are given once with a number,
/// `fn=(3) main`, and by the number afterwards; line numbers may be relative.
fn parse(text: &str) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut total = None;
    let mut files = HashMap::new();
    let mut functions = HashMap::new();
    let mut file = String::new();
    let mut function = String::new();
    let mut line: u32 = 0;
    let mut of_a_call = false;
    for row in text.lines() {
        if let Some(rest) = row.strip_prefix("totals:") {
            total = rest.trim().parse().ok();
        } else if let Some((key, value)) = row.split_once('=') {
            match key {
                "fl" | "fi" | "fe" => file = name(&mut files, value),
                // Names may be introduced by a call as well.
                "cfi" | "cfl" => drop(name(&mut files, value)),
                "fn" => function = name(&mut functions, value),
                "cfn" => drop(name(&mut functions, value)),
                "calls" => of_a_call = true,
                _ => {}
            }
        } else if row.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let mut words = row.split_ascii_whitespace();
            let position = words.next()?;
            line = match position.as_bytes()[0] {
                b'*' => line,
                b'+' => line.checked_add(position[1..].parse().ok()?)?,
                b'-' => line.checked_sub(position[1..].parse().ok()?)?,
                _ => position.parse().ok()?,
            };
            // The line behind `calls=` holds the cost of the callee.
            if !std::mem::take(&mut of_a_call) {
                let cost: u64 = words.next().unwrap_or("0").parse().ok()?;
                *counts
                    .places
                    .entry((function.clone(), file.clone(), line))
                    .or_default() += cost;
            }
        }
    }
    counts.total = total?;
    Some(counts)
}

fn name(names: &mut HashMap<String, String>, value: &str) -> String {
    let Some((number, given)) = value.split_once(')') else {
        return value.to_owned();
    };
    if given.is_empty() {
        names.get(number).cloned().unwrap_or_default()
    } else {
        let given = given.trim_start().to_owned();
        names.insert(number.to_owned(), given.clone());
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_the_cost_of_each_place_by_itself() {
        let text = "version: 1\npositions: line\nevents: Ir\n\n\
            fl=(1) a.rs\nfn=(1) main\n16 400\n+2 20\ncfi=(2) b.rs\ncfn=(2) helper\ncalls=3 7\n* 300\n* 5\n\
            fi=(2)\n7 30\nfe=(1)\n-4 1\n\nfn=(2)\nfl=(2)\n8 300\ntotals: 756\n";
        let counts = parse(text).unwrap();
        assert_eq!(counts.total, 756);
        let cost = |function: &str, file: &str, line| {
            counts.places[&(function.to_owned(), file.to_owned(), line)]
        };
        assert_eq!(cost("main", "a.rs", 16), 400);
        assert_eq!(cost("main", "a.rs", 18), 25);
        assert_eq!(cost("main", "b.rs", 7), 30);
        assert_eq!(cost("main", "a.rs", 3), 1);
        assert_eq!(cost("helper", "b.rs", 8), 300);
        assert_eq!(counts.places.values().sum::<u64>(), 756);
    }

    #[test]
    fn a_file_without_totals_is_refused() {
        assert!(parse("fn=(1) main\n1 2\n").is_none());
    }
}
