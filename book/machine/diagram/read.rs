//! Mermaid's text is read: lanes, and what happens on them from top to bottom.

use super::{Diagram, Lane, Row, Side, Slip};

/// What begins a frame around some rows.
const BLOCKS: [&str; 3] = ["loop", "opt", "alt"];

/// The diagram that a text means, or its first slip.
pub(super) fn read(text: &str) -> Result<Diagram, Slip> {
    let mut diagram = Diagram {
        title: String::new(),
        lanes: Vec::new(),
        rows: Vec::new(),
    };
    let mut begun = false;
    // The blocks that are open, and how many bars stand on each lane.
    let mut open: Vec<&str> = Vec::new();
    let mut bars: Vec<usize> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with("%%") {
            continue;
        }
        let slip = |what: &str| (number, format!("{what}: {line:?}"));
        if !begun {
            if line != "sequenceDiagram" {
                return Err(slip("a diagram begins with `sequenceDiagram`"));
            }
            begun = true;
            continue;
        }
        let first = diagram.rows.len();
        diagram.line(line, &mut open).map_err(|what| slip(&what))?;
        bars.resize(diagram.lanes.len(), 0);
        for row in &diagram.rows[first..] {
            match *row {
                Row::Bar(lane, true) => bars[lane] += 1,
                Row::Bar(lane, false) if bars[lane] == 0 => {
                    return Err(slip("ends a bar that never began"));
                }
                Row::Bar(lane, false) => bars[lane] -= 1,
                _ => {}
            }
        }
    }
    let last = text.lines().count();
    if let Some(kind) = open.last() {
        return Err((last, format!("a `{kind}` without its `end`")));
    }
    if let Some(lane) = bars.iter().position(|count| *count > 0) {
        let name = &diagram.lanes[lane].name;
        return Err((last, format!("the bar of {name} never ends")));
    }
    if diagram.title.is_empty() {
        return Err((0, "no `accTitle:` for who can't see it".to_owned()));
    }
    if diagram.rows.is_empty() {
        return Err((last, "nothing happens in it".to_owned()));
    }
    Ok(diagram)
}

impl Diagram {
    fn line(&mut self, line: &str, open: &mut Vec<&'static str>) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "accTitle:" => self.title = rest.trim().to_owned(),
            "participant" => {
                let (name, label) = rest.split_once(" as ").unwrap_or((rest, rest));
                let (name, label) = (name.trim().to_owned(), label.trim().to_owned());
                if name.is_empty() || self.lanes.iter().any(|lane| lane.name == name) {
                    return Err("a participant without a name, or twice".to_owned());
                }
                self.lanes.push(Lane { name, label });
            }
            "activate" => self.rows.push(Row::Bar(self.lane(rest)?, true)),
            "deactivate" => self.rows.push(Row::Bar(self.lane(rest)?, false)),
            "Note" | "note" => self.note(rest)?,
            "else" if open.last() == Some(&"alt") => self.rows.push(Row::Else(rest.to_owned())),
            "end" if rest.is_empty() => {
                open.pop().ok_or("an `end` of nothing")?;
                self.rows.push(Row::Close);
            }
            _ => match BLOCKS.iter().find(|kind| **kind == word) {
                Some(kind) => {
                    open.push(kind);
                    let text = rest.to_owned();
                    self.rows.push(Row::Open { kind, text });
                }
                None => self.message(line)?,
            },
        }
        Ok(())
    }

    fn lane(&self, name: &str) -> Result<usize, String> {
        let name = name.trim();
        let found = self.lanes.iter().position(|lane| lane.name == name);
        found.ok_or_else(|| format!("no participant {name:?}"))
    }

    fn note(&mut self, rest: &str) -> Result<(), String> {
        let (place, text) = rest.split_once(':').ok_or("a note without a text")?;
        let sides = [
            ("over ", Side::Over),
            ("left of ", Side::Left),
            ("right of ", Side::Right),
        ];
        let found = sides
            .iter()
            .find_map(|(word, side)| Some((place.strip_prefix(word)?, *side)));
        let (lanes, side) = found.ok_or("a note is `over`, `left of` or `right of`")?;
        let (first, last) = lanes.split_once(',').unwrap_or((lanes, lanes));
        let (first, last) = (self.lane(first)?, self.lane(last)?);
        self.rows.push(Row::Note {
            first: first.min(last),
            last: first.max(last),
            side,
            text: text.trim().to_owned(),
        });
        Ok(())
    }

    fn message(&mut self, line: &str) -> Result<(), String> {
        // The longest first: `-->>` contains `->>`.
        let arrows = [
            ("-->>", true, false),
            ("--x", true, true),
            ("->>", false, false),
            ("-x", false, true),
        ];
        let found = arrows.iter().find_map(|(arrow, dashed, lost)| {
            let (from, rest) = line.split_once(arrow)?;
            Some((from, rest, *dashed, *lost))
        });
        let (from, rest, dashed, lost) = found.ok_or("neither a message nor a known word")?;
        let (to, text) = rest.split_once(':').ok_or("a message without a text")?;
        let from = self.lane(from)?;
        let (begins, ends) = (to.strip_prefix('+'), to.strip_prefix('-'));
        let to = self.lane(begins.or(ends).unwrap_or(to))?;
        self.rows.push(Row::Message {
            from,
            to,
            dashed,
            lost,
            text: text.trim().to_owned(),
        });
        if begins.is_some() {
            self.rows.push(Row::Bar(to, true));
        }
        if ends.is_some() {
            self.rows.push(Row::Bar(from, false));
        }
        Ok(())
    }
}
