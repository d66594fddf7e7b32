//! What a chapter is made of, besides code and pictures: its words and its headings.

/// How many words a reader reads: without code, output, diagrams, quizzes and HTML.
#[must_use]
pub fn words(chapter: &str) -> usize {
    let mut fenced = false;
    let mut count = 0;
    for line in chapter.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with(['{', '<']) {
            let words = line.split_whitespace();
            count += words
                .filter(|word| word.contains(char::is_alphanumeric))
                .count();
        }
    }
    count
}

/// The text below a heading of the second level, up to the next one. None: there is no such heading.
#[must_use]
pub fn section<'a>(chapter: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = chapter.split_once(&format!("\n## {heading}\n"))?;
    Some(rest.split("\n## ").next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "# A title\n\n<div class=\"facts\">\n\nTwo words\n\n</div>\n\n```rust\nlet x = 1;\n```\n\n\
        ## First\n\none – two\n\n{{#quiz a.toml}}\n\n## Second\n\n- a line\n";

    #[test]
    fn code_and_html_are_no_words() {
        // A, title, Two, words, First, one, two, Second, a, line: marks and dashes are none.
        assert_eq!(words(CHAPTER), 10);
    }

    #[test]
    fn a_section_ends_at_the_next() {
        assert_eq!(section(CHAPTER, "Second"), Some("\n- a line\n"));
        assert!(
            section(CHAPTER, "First")
                .unwrap()
                .ends_with("{{#quiz a.toml}}\n")
        );
        assert_eq!(section(CHAPTER, "Third"), None);
    }
}
