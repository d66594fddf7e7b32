//! Sequence diagrams: mermaid's text is read, checked, and drawn as SVG while the book is built.
//!
//! The pages need no script for them and follow the reader's theme; and a slip of the pen is a fault of the book, not
//! a red box in somebody's browser. Of mermaid's `sequenceDiagram` this is what the book uses: `accTitle`
//! (required), `participant`, messages (`->>`, `-->>`, `-x`, `--x`, with `+` and `-` to begin and end a bar), `activate`,
//! `deactivate`, `Note over`, `Note left of`, `Note right of`, the blocks `loop`, `opt`, `alt` with `else`, and `%%`.

mod canvas;
mod read;

use canvas::Canvas;

/// A line of the diagram, from 0, and what is wrong with it.
pub(crate) type Slip = (usize, String);

/// The diagram as SVG, or why it can't be drawn.
pub(crate) fn draw(text: &str) -> Result<String, Slip> {
    let diagram = read::read(text)?;
    Ok(Canvas::new(&diagram).draw(&diagram))
}

struct Diagram {
    title: String,
    lanes: Vec<Lane>,
    rows: Vec<Row>,
}

struct Lane {
    name: String,
    label: String,
}

enum Row {
    Message {
        from: usize,
        to: usize,
        dashed: bool,
        lost: bool,
        text: String,
    },
    Note {
        first: usize,
        last: usize,
        side: Side,
        text: String,
    },
    /// A bar begins (true) or ends.
    Bar(usize, bool),
    Open {
        kind: &'static str,
        text: String,
    },
    Else(String),
    Close,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Over,
    Left,
    Right,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "sequenceDiagram\naccTitle: A read\nparticipant S as server\nparticipant K as kernel\n\
        S->>+K: recv(buffer)\nNote right of K: bytes arrive\nloop until full\nK-->>-S: completion<br/>4 < 64\nend\n\
        alt enough\nS->>S: done\nelse not yet\nS-xK: lost\nend\n";

    #[test]
    fn a_diagram_is_drawn_with_all_that_it_says() {
        let svg = draw(GOOD).unwrap();
        for text in [
            "aria-label=\"A read\"",
            ">server<",
            ">kernel<",
            ">recv(buffer)<",
            ">bytes arrive<",
            ">4 &lt; 64<",
            ">loop<",
            "not yet",
            "dg-bar",
        ] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
        assert!(
            !svg.contains("\n\n"),
            "an empty line would end the block of HTML"
        );
    }

    #[test]
    fn slips_are_told_with_their_line() {
        let head = "sequenceDiagram\naccTitle: A\nparticipant S\nparticipant K\n";
        for (text, line, what) in [
            ("graph TD", 0, "begins with"),
            (&format!("{head}S->>X: hello"), 4, "no participant \"X\""),
            (&format!("{head}S>>K: hello"), 4, "neither a message"),
            (&format!("{head}S->>K hello"), 4, "without a text"),
            (
                &format!("{head}S->>K: a\nloop twice"),
                6,
                "without its `end`",
            ),
            (&format!("{head}S->>K: a\nend"), 5, "an `end` of nothing"),
            (&format!("{head}S->>+K: a"), 5, "never ends"),
            (&format!("{head}S->>-K: a"), 4, "never began"),
            (&format!("{head}Note above S: a"), 4, "a note is"),
            (&format!("{head}participant S"), 4, "twice"),
            (head, 4, "nothing happens"),
            ("sequenceDiagram\nparticipant S\nS->>S: a", 0, "accTitle"),
        ] {
            let (at, why) = draw(text).map(|_| ()).unwrap_err();
            assert!(why.contains(what), "{text}: {why}");
            assert_eq!(at, line, "{text}: {why}");
        }
    }
}
