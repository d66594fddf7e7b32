//! The checks of the pages as they are built: links lead somewhere, and no page asks another machine for
//! anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Fault, files};

/// Made by mdBook for printing, with the links of all chapters in one page.
const PRINT: &str = "print.html";

/// What is wrong with the pages below this directory.
///
/// - A link within the book leads to a file, or to a fragment, that is not there.
/// - A script, style, font or image comes from another machine. (Links for people to follow may lead
///   anywhere.)
/// - A directive of mdBook's was left as it is.
///
/// # Errors
///
/// A page can't be read.
pub fn pages(below: &Path) -> io::Result<Vec<Fault>> {
    let mut texts = BTreeMap::new();
    for page in files(below, "html")? {
        texts.insert(page.clone(), fs::read_to_string(&page)?);
    }
    let ids: BTreeMap<&PathBuf, BTreeSet<&str>> = texts
        .iter()
        .map(|(page, text)| (page, attributes(text, "id").collect()))
        .collect();
    let mut faults = Vec::new();
    for style in files(below, "css")? {
        if let Some(from) = elsewhere(&fs::read_to_string(&style)?) {
            let place = style.strip_prefix(below).unwrap_or(&style);
            let (place, what) = (
                place.display().to_string(),
                format!("asks another machine for {from}"),
            );
            faults.push(Fault { place, what });
        }
    }
    for (page, text) in &texts {
        let name = page
            .strip_prefix(below)
            .unwrap_or(page)
            .display()
            .to_string();
        let mut fault = |what: String| {
            let place = name.clone();
            faults.push(Fault { place, what });
        };
        if text.contains("{{#") {
            fault("a directive that mdBook did not carry out".to_owned());
        }
        for from in attributes(text, "src").chain(stylesheets(text)) {
            if from.starts_with("http") || from.starts_with("//") {
                fault(format!("asks another machine for {from}"));
            }
        }
        for link in attributes(text, "href").chain(attributes(text, "src")) {
            let is_elsewhere =
                link.contains("://") || link.starts_with("mailto:") || link.is_empty();
            if is_elsewhere || link.starts_with("data:") || name == PRINT {
                continue;
            }
            let (path, fragment) = match link.split_once('#') {
                Some((path, fragment)) => (path, Some(fragment)),
                None => (link, None),
            };
            let target = match path {
                "" => page.clone(),
                _ => clean(&page.parent().unwrap_or(below).join(path)),
            };
            if !target.exists() {
                fault(format!("links to {link}, which is not there"));
            } else if let Some(fragment) = fragment.filter(|it| !it.is_empty())
                && ids.get(&target).is_some_and(|ids| !ids.contains(fragment))
            {
                fault(format!(
                    "links to {link}: there is no such place in that page"
                ));
            }
        }
    }
    faults.sort();
    faults.dedup();
    Ok(faults)
}

/// The values of an attribute, wherever it stands in a tag.
fn attributes<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    let starts: Vec<usize> = text
        .match_indices(&begin)
        .map(|(at, it)| at + it.len())
        .collect();
    starts
        .into_iter()
        .filter_map(move |at| text[at..].split_once('"').map(|(value, _)| value))
}

fn stylesheets(text: &str) -> impl Iterator<Item = &str> {
    text.split("<link ")
        .skip(1)
        .filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag))
        .filter_map(|tag| {
            tag.split_once("href=\"")?
                .1
                .split_once('"')
                .map(|(href, _)| href)
        })
}

/// What a style sheet fetches from another machine.
fn elsewhere(style: &str) -> Option<&str> {
    let targets = style
        .split("url(")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let mut targets = targets.map(|target| target.trim_matches(['"', '\'', ' ']));
    targets.find(|target| target.starts_with("http") || target.starts_with("//"))
}

/// The same path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                clean.pop();
            }
            std::path::Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_and_pages_that_call_home_are_found() {
        let home = std::env::temp_dir().join(format!("book-pages-{}", std::process::id()));
        fs::create_dir_all(home.join("deep")).unwrap();
        let good = "<h1 id=\"top\">A</h1><a href=\"deep/b.html#here\">b</a><a href=\"https://example.com\">c</a>";
        fs::write(home.join("a.html"), good).unwrap();
        let bad = "<h1 id=\"here\">B</h1><a href=\"../a.html#bottom\">a</a><a href=\"../c.html\">c</a>\
                   <script src=\"https://example.com/x.js\"></script>{{#include x}}";
        fs::write(home.join("deep/b.html"), bad).unwrap();
        let styles = "a { src: url(\"a.woff2\") } b { src: url('https://example.com/b.woff2') }";
        fs::write(home.join("a.css"), styles).unwrap();
        let faults = pages(&home).unwrap();
        fs::remove_dir_all(&home).unwrap();
        let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.css: asks another machine for https://example.com/b.woff2",
                "deep/b.html: a directive that mdBook did not carry out",
                "deep/b.html: asks another machine for https://example.com/x.js",
                "deep/b.html: links to ../a.html#bottom: there is no such place in that page",
                "deep/b.html: links to ../c.html, which is not there",
            ]
        );
    }
}
