//! The checks of the chapters as they are written: what they include is there, and no code is typed by hand.

use std::fs;
use std::io;
use std::path::Path;

use crate::{Fault, expand, files};

/// What is wrong with the chapters below this directory.
///
/// - A file that is included, or its anchor, is missing or empty. (mdBook leaves the directive in the page,
///   or an empty block.)
/// - A block of Rust, or of output (`text`), has a line that is no directive: code comes from examples that
///   are compiled, output from runs that a test repeats. What is typed by hand is marked as `sh`, `toml` or
///   `ignore`.
/// - A diagram or a quiz has a slip in it.
///
/// # Errors
///
/// A chapter can't be read.
pub fn sources(below: &Path) -> io::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for chapter in files(below, "md")? {
        let text = fs::read_to_string(&chapter)?;
        let name = chapter.strip_prefix(below).unwrap_or(&chapter);
        let mut fault = |line: usize, what: String| {
            let place = format!("{}:{}", name.display(), line + 1);
            faults.push(Fault { place, what });
        };
        let mut block: Option<&str> = None;
        for (number, line) in text.lines().enumerate() {
            if let Some(fence) = line.trim_start().strip_prefix("```") {
                block = match block {
                    Some(_) => None,
                    None => Some(fence.trim()),
                };
                continue;
            }
            if let Some(what) = missing(&chapter, line) {
                fault(number, what);
            }
            let by_hand = matches!(block, Some("rust" | "text"))
                && !line.trim().is_empty()
                && included(line).is_none();
            if by_hand {
                fault(
                    number,
                    "code or output that is typed by hand: include it from an example, or from a run"
                        .to_owned(),
                );
            }
        }
        for (line, what) in expand::expand(&chapter, &text).1 {
            fault(line, what);
        }
        if block.is_some() {
            fault(
                text.lines().count(),
                "a block of code never ends".to_owned(),
            );
        }
    }
    Ok(faults)
}

/// What a directive includes: the path, and the anchor if there is one.
fn included(line: &str) -> Option<(&str, Option<&str>)> {
    let (_, rest) = line.split_once("{{#")?;
    let (kind, rest) = rest.split_once(' ')?;
    let (what, _) = rest.split_once("}}")?;
    matches!(kind, "include" | "rustdoc_include").then(|| match what.trim().split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (what.trim(), None),
    })
}

/// What of that is not there.
fn missing(chapter: &Path, line: &str) -> Option<String> {
    let (path, anchor) = included(line)?;
    let file = chapter.parent()?.join(path);
    let Ok(text) = fs::read_to_string(&file) else {
        return Some(format!("includes {path}, which is not there"));
    };
    let anchor = anchor?;
    let begin = text.split_once(&format!("ANCHOR: {anchor}\n"));
    let inside = begin.and_then(|(_, rest)| rest.split_once(&format!("ANCHOR_END: {anchor}")));
    match inside {
        None => Some(format!(
            "includes the anchor {anchor} of {path}, which is not there"
        )),
        Some((inside, _)) if inside.lines().count() < 2 => Some(format!(
            "includes the anchor {anchor} of {path}, which is empty"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The faults of one chapter with this text, beside a file `code.rs`.
    fn faults(name: &str, chapter: &str) -> Vec<String> {
        let home = std::env::temp_dir().join(format!("book-{}-{name}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let code = "// ANCHOR: main\nfn main() {}\n// ANCHOR_END: main\n// ANCHOR: no\n// ANCHOR_END: no\n";
        fs::write(home.join("code.rs"), code).unwrap();
        fs::write(home.join("chapter.md"), chapter).unwrap();
        let faults = sources(&home).unwrap();
        fs::remove_dir_all(home).unwrap();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_included_is_there() {
        let good = "# A\n```rust\n{{#include code.rs:main}}\n```\n```sh\ncargo test\n```\n";
        assert_eq!(faults("good", good), [""; 0]);
        for (name, line, fault) in [
            ("file", "{{#include nowhere.rs}}", "which is not there"),
            ("anchor", "{{#include code.rs:nowhere}}", "anchor nowhere"),
            ("empty", "{{#rustdoc_include code.rs:no}}", "which is empty"),
        ] {
            let found = faults(name, &format!("# A\n\n{line}\n"));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with("chapter.md:3: ") && found[0].contains(fault),
                "{found:?}"
            );
        }
    }

    #[test]
    fn no_code_is_typed_by_hand() {
        for (name, kind) in [("rust", "rust"), ("text", "text")] {
            let found = faults(name, &format!("```{kind}\nlet x = 1;\n```\n"));
            assert!(
                found[0].contains("chapter.md:2: code or output that is typed"),
                "{found:?}"
            );
        }
        assert!(faults("open", "```sh\ncargo test\n")[0].contains("never ends"));
    }
}
