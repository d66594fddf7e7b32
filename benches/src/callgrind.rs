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

/// This program under callgrind. `out` gets the counts, if `fine` of every instruction.
pub fn command(program: &Path, out: &Path, fine: bool) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(format!("--dump-instr={}", if fine { "yes" } else { "no" }))
        .arg(program);
    command
}

/// Where the files go: beside the program, so below `target/`.
pub fn out_file(program: &Path, name: &str) -> io::Result<PathBuf> {
    let dir = program.parent().unwrap_or(Path::new(".")).join("callgrind");
    fs::create_dir_all(&dir)?;
    Ok(dir.join(format!("{name}.out")))
}

/// Where instructions were counted, as the compiler laid them out: what was inlined counts for the
/// function that it was inlined into.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    pub function: String,
    /// The program or library.
    pub object: String,
    /// Of the instruction in that file, if the run recorded it.
    pub address: Option<u64>,
}

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
/// `fn=(3) main`, and by the number afterwards; positions may be relative to the row before.
fn parse(text: &str) -> Option<Counts> {
    let mut counts = Counts::default();
    let mut total = None;
    let mut functions = HashMap::new();
    let mut function = String::new();
    let mut objects = HashMap::new();
    let mut object = String::new();
    let mut with_addresses = false;
    let mut address = 0;
    let mut of_a_call = false;
    for row in text.lines() {
        if let Some(rest) = row.strip_prefix("totals:") {
            total = rest.trim().parse().ok();
        } else if let Some(rest) = row.strip_prefix("positions:") {
            with_addresses = rest.contains("instr");
        } else if row.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            let mut words = row.split_ascii_whitespace();
            if with_addresses {
                address = position(words.next()?, address)?;
            }
            let _line = words.next()?;
            // The row behind `calls=` holds the cost of the callee.
            if !std::mem::take(&mut of_a_call) {
                let place = Place {
                    function: function.clone(),
                    object: object.clone(),
                    address: with_addresses.then_some(address),
                };
                let cost: u64 = words.next().unwrap_or("0").parse().ok()?;
                *counts.places.entry(place).or_default() += cost;
            }
        } else if let Some((key, value)) = row.split_once('=') {
            match key {
                "fn" => function = name(&mut functions, value),
                // Names may be introduced by a call as well.
                "cfn" => drop(name(&mut functions, value)),
                "ob" => object = name(&mut objects, value),
                "cob" => drop(name(&mut objects, value)),
                "calls" => of_a_call = true,
                _ => {}
            }
        }
    }
    counts.total = total?;
    Some(counts)
}

fn position(word: &str, before: u64) -> Option<u64> {
    if let Some(hex) = word.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    match word.as_bytes()[0] {
        b'*' => Some(before),
        b'+' => before.checked_add(word[1..].parse().ok()?),
        b'-' => before.checked_sub(word[1..].parse().ok()?),
        _ => word.parse().ok(),
    }
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
        let text = "version: 1\npositions: instr line\nevents: Ir\n\nob=(1) a.out\n\
            fl=(1) a.rs\nfn=(1) main\n0x10 16 400\n+2 +2 20\ncfi=(2) b.rs\ncob=(1)\ncfn=(2) helper\n\
            calls=3 0x30 7\n* * 300\n* * 5\nfi=(2)\n-1 7 30\nfe=(1)\n0x40 -4 1\n\n\
            fn=(2)\nfl=(2)\n0x30 8 300\ntotals: 756\n";
        let counts = parse(text).unwrap();
        assert_eq!(counts.total, 756);
        let cost = |function: &str, address| {
            counts.places[&Place {
                function: function.to_owned(),
                object: "a.out".to_owned(),
                address: Some(address),
            }]
        };
        assert_eq!(cost("main", 0x10), 400);
        assert_eq!(cost("main", 0x12), 25);
        assert_eq!(cost("main", 0x11), 30);
        assert_eq!(cost("main", 0x40), 1);
        assert_eq!(cost("helper", 0x30), 300);
        assert_eq!(counts.places.values().sum::<u64>(), 756);
    }

    #[test]
    fn without_addresses_a_place_is_a_function() {
        let text = "positions: line\nfn=(1) main\n16 400\n+3 20\ntotals: 420\n";
        let counts = parse(text).unwrap();
        let main = Place {
            function: "main".to_owned(),
            object: String::new(),
            address: None,
        };
        assert_eq!(counts.places[&main], 420);
    }

    #[test]
    fn a_file_without_totals_is_refused() {
        assert!(parse("fn=(1) main\n1 2\n").is_none());
    }
}
