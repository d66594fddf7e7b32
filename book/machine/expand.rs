//! What stands in a chapter and is no Markdown: diagrams, quizzes and players, put in its place as HTML.
//!
//! - a fenced block `mermaid` becomes a drawing ([`diagram`](super::diagram));
//! - a line `{{#quiz quizzes/ch04.toml}}`, relative to the chapter, becomes a form ([`quiz`](super::quiz));
//! - a line `{{#player cancel-race}}` becomes a [player](super::player).
//!
//! It is a preprocessor of mdBook, in this process, or in one of its own where the tool `mdbook` calls it.

use std::path::Path;

use mdbook_driver::book::{Book, BookItem};
use mdbook_preprocessor::errors::{Error, Result};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::{diagram, player, quiz};

/// The preprocessor; `book.toml` declares it under the same name.
pub struct Expand;

impl Preprocessor for Expand {
    fn name(&self) -> &'static str {
        "proactor-book"
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let source = context.root.join(&context.config.book.src);
        let mut faults = Vec::new();
        book.for_each_mut(|item| {
            if let BookItem::Chapter(chapter) = item
                && let Some(path) = &chapter.source_path
            {
                let (text, slips) = expand(&source.join(path), &chapter.content);
                chapter.content = text;
                faults.extend(
                    slips
                        .into_iter()
                        .map(|(line, what)| format!("{}:{}: {what}", path.display(), line + 1)),
                );
            }
        });
        match faults.is_empty() {
            true => Ok(book),
            false => Err(Error::msg(faults.join("\n"))),
        }
    }
}

/// The chapter with everything in its place, and what could not be: line (from 0) and why.
pub(crate) fn expand(chapter: &Path, text: &str) -> (String, Vec<(usize, String)>) {
    let mut out = String::new();
    let mut slips = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut fenced = false;
    while let Some((number, line)) = lines.next() {
        let fence = line.trim_start().strip_prefix("```");
        if !fenced && fence.is_some_and(|kind| kind.trim() == "mermaid") {
            let inside = lines.by_ref().map(|(_, line)| line);
            let inside: Vec<&str> = inside.take_while(|line| line.trim() != "```").collect();
            match diagram::draw(&inside.join("\n")) {
                Ok(svg) => out += &framed(&svg),
                Err((at, what)) => slips.push((number + 1 + at, what)),
            }
            continue;
        }
        fenced ^= fence.is_some();
        match line.trim().strip_prefix("{{#quiz ") {
            Some(rest) if !fenced => {
                let path = rest.trim_end_matches("}}").trim();
                let file = chapter.parent().unwrap_or(Path::new("")).join(path);
                let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
                match read.and_then(|text| quiz::quiz(&text)) {
                    Ok(questions) => out += &(quiz::form(&questions) + "\n"),
                    Err(what) => slips.push((number, format!("{path}: {what}"))),
                }
            }
            _ => match line.trim().strip_prefix("{{#player ") {
                Some(rest) if !fenced => match player::player(rest.trim_end_matches("}}").trim()) {
                    Ok(figure) => out += &(figure + "\n"),
                    Err(what) => slips.push((number, what)),
                },
                _ => {
                    out += line;
                    out.push('\n');
                }
            },
        }
    }
    (out, slips)
}

/// A drawing that is wider than the page can be moved, with the keys as well.
fn framed(svg: &str) -> String {
    format!("<figure class=\"diagram\" tabindex=\"0\">\n{svg}\n</figure>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagrams_and_quizzes_stand_where_they_were_named() {
        let text = "# A\n\n```mermaid\nsequenceDiagram\naccTitle: B\nparticipant C\nC->>C: d\n```\n\nend\n";
        let (out, slips) = expand(Path::new("a.md"), text);
        assert!(slips.is_empty(), "{slips:?}");
        assert!(out.starts_with("# A\n\n<figure") && out.ends_with("</figure>\n\nend\n"));
    }

    #[test]
    fn slips_are_told_with_the_line_of_the_chapter() {
        let text = "# A\n\n```mermaid\nsequenceDiagram\nC->>C: d\n```\n{{#quiz nowhere.toml}}\n";
        let (_, slips) = expand(Path::new("a.md"), text);
        assert_eq!(slips[0].0, 4, "{slips:?}");
        assert_eq!(slips[1].0, 6, "{slips:?}");
        assert!(slips[1].1.starts_with("nowhere.toml: "), "{slips:?}");
    }
}
