//! The report of a failure, as text: verdict, deviations in words, lanes, logical stack, the nearest
//! passing run, and the command that repeats it. Equal failures give equal text.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::execution::{Line, Story};
use super::replay::{Replay, Taken};
use super::shrink::{Deviant, Shrunk};
use super::summary::deviations;
use crate::choice::{EventId, Site};

/// Rows of the lanes that are shown at most; of a longer story the beginning is left out.
const ROWS: usize = 80;

/// What a report is made of.
pub(crate) struct Case<'a> {
    pub(crate) name: Option<&'a str>,
    /// The test's name, for the command.
    pub(crate) test: Option<&'a str>,
    pub(crate) shrunk: &'a Shrunk,
    pub(crate) replay: &'a Replay,
    /// How it was found, in words.
    pub(crate) found: &'a str,
    /// What a reader should know about the replay.
    pub(crate) stale: Option<&'a str>,
}

/// A report and its parts.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) deviations: Vec<String>,
}

/// Writes the report.
pub(crate) fn report(case: &Case<'_>) -> Report {
    let mut text = String::new();
    let names = Names::of(&case.shrunk.story);
    // Writing to a String never fails.
    let _ = verdict(&mut text, case);
    let deviations = words(case, &names);
    let _ = list(&mut text, case, &deviations);
    let _ = lanes(&mut text, &case.shrunk.story, &names);
    let _ = stack(&mut text, case, &names);
    let _ = command(&mut text, case);
    Report { text, deviations }
}

/// `0.3.1`: the first submission of the third submission of the check's body.
struct Names<'a> {
    submissions: HashMap<EventId, (String, &'a Line)>,
}

impl<'a> Names<'a> {
    fn of(story: &'a Story) -> Names<'a> {
        let mut names = Names {
            submissions: HashMap::new(),
        };
        for line in &story.lines {
            if let Some(nth) = line.submission {
                let path = format!("{}.{}", names.path(line.cause), nth + 1);
                names.submissions.entry(line.event).or_insert((path, line));
            }
        }
        names
    }

    fn path(&self, event: EventId) -> String {
        if event == EventId::ROOT {
            return "0".to_owned();
        }
        match self.submissions.get(&event) {
            Some((path, _)) => path.clone(),
            None => format!("{event:?}"),
        }
    }

    /// `0.2 recv(c1, 64)`.
    fn what(&self, event: EventId) -> String {
        match self.submissions.get(&event) {
            Some((path, line)) => format!("{path} {}", line.text),
            None if event == EventId::ROOT => "0 the check's body".to_owned(),
            None => self.path(event),
        }
    }
}

fn verdict(text: &mut String, case: &Case<'_>) -> std::fmt::Result {
    let fault = &case.shrunk.fault;
    match case.name {
        Some(name) => write!(text, "proactor: check `{name}` fails: ")?,
        None => write!(text, "proactor: the check fails: ")?,
    }
    writeln!(text, "{} ({})", fault.invariant, fault.invariant.promise())?;
    for line in fault.message.lines() {
        writeln!(text, "  {line}")?;
    }
    if let Some(place) = &fault.place {
        writeln!(text, "  at {place}")?;
    }
    Ok(())
}

/// Each deviation in a sentence.
fn words(case: &Case<'_>, names: &Names<'_>) -> Vec<String> {
    let say = |deviant: &Deviant| {
        let Taken {
            event,
            label,
            first,
            ..
        } = &deviant.taken;
        match first {
            Some(first) if deviant.named.at.site == Site::NextStep => {
                format!("{} goes before {}", names.what(*first), names.what(*event))
            }
            _ => format!("{}: {label}", names.what(*event)),
        }
    };
    case.shrunk.deviations.iter().map(say).collect()
}

fn list(text: &mut String, case: &Case<'_>, said: &[String]) -> std::fmt::Result {
    if said.is_empty() {
        writeln!(
            text,
            "\nIt fails without any deviation: the kernel was kind throughout."
        )?;
        return Ok(());
    }
    let shrunk = case.shrunk;
    let minimal = if shrunk.minimal {
        "none can be left out"
    } else {
        "not all may be needed"
    };
    writeln!(
        text,
        "\n{} from a kind kernel, {minimal}:",
        deviations(said.len())
    )?;
    for (index, (say, deviant)) in said.iter().zip(&shrunk.deviations).enumerate() {
        writeln!(text, "  {}. {say}", index + 1)?;
        if let Some(other) = deviant.without.as_ref().filter(|_| shrunk.minimal) {
            let message = other.message.lines().next().unwrap_or("");
            writeln!(
                text,
                "     without it, another failure: {}, {message}",
                other.invariant
            )?;
        }
    }
    // The nearest passing run differs in one deviation.
    let passing: Vec<usize> = (1..)
        .zip(&shrunk.deviations)
        .filter_map(|(number, deviant)| deviant.without.is_none().then_some(number))
        .collect();
    match passing.as_slice() {
        _ if !shrunk.minimal => Ok(()),
        [] => Ok(()),
        [_] if said.len() == 1 => writeln!(text, "  Without it, it passes."),
        all if all.len() == said.len() => writeln!(text, "  Without any one of them it passes."),
        some => {
            let numbers: Vec<String> = some.iter().map(usize::to_string).collect();
            writeln!(
                text,
                "  It passes without {}.",
                numbers.join(", or without ")
            )
        }
    }
}

/// The lanes side by side: who did what, from top to bottom.
fn lanes(text: &mut String, story: &Story, names: &Names<'_>) -> std::fmt::Result {
    if story.lines.is_empty() {
        return Ok(());
    }
    let mut lanes: Vec<&str> = Vec::new();
    for line in &story.lines {
        if !lanes.contains(&line.lane.as_str()) {
            lanes.push(&line.lane);
        }
    }
    let mut head = vec!["at".to_owned(), "event".to_owned()];
    head.extend(lanes.iter().map(|lane| (*lane).to_owned()));
    head.push("source".to_owned());
    let hidden = story.lines.len().saturating_sub(ROWS);
    let mut rows = vec![head];
    let mut before = None;
    for line in &story.lines[hidden..] {
        let mut row = vec![String::new(); lanes.len() + 3];
        if before != Some(line.at) {
            row[0] = format!("{:?}", Duration::from_nanos(line.at));
            before = Some(line.at);
        }
        row[1] = names.path(line.event);
        let lane = lanes
            .iter()
            .position(|lane| *lane == line.lane)
            .unwrap_or(0);
        row[lane + 2] = if line.deviation {
            format!("! {}", line.text)
        } else {
            line.text.replace('\n', " ")
        };
        if let Some(place) = &line.place {
            row[lanes.len() + 2] = place.to_string();
        }
        rows.push(row);
    }
    writeln!(text, "\nWhat happened (! marks a deviation):")?;
    if hidden > 0 {
        writeln!(text, "  … {hidden} earlier steps")?;
    }
    let widths: Vec<usize> = (0..lanes.len() + 3)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "  {cell:width$}")?;
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Who started the operation at which it was noticed, and who started that.
fn stack(text: &mut String, case: &Case<'_>, names: &Names<'_>) -> std::fmt::Result {
    let story = &case.shrunk.story;
    // A panic has no operation: it happened in the handler of the last completion.
    let noticed = case
        .shrunk
        .fault
        .event
        .filter(|event| names.submissions.contains_key(event));
    let Some(mut event) = noticed.or_else(|| story.last_completion()) else {
        return Ok(());
    };
    writeln!(text, "\nHow it came to that, innermost first:")?;
    let mut frames = Vec::new();
    while let Some((path, line)) = names.submissions.get(&event) {
        let place = line
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        frames.push((path.clone(), line.text.clone(), place));
        event = line.cause;
    }
    frames.push(("0".to_owned(), "the check's body".to_owned(), String::new()));
    let width = |of: fn(&(String, String, String)) -> &String| {
        frames
            .iter()
            .map(|frame| of(frame).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (paths, texts) = (width(|frame| &frame.0), width(|frame| &frame.1));
    for (path, what, place) in &frames {
        let line = format!("  {path:paths$}  {what:texts$}  {place}");
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

fn command(text: &mut String, case: &Case<'_>) -> std::fmt::Result {
    writeln!(text, "\n{}", case.found)?;
    if let Some(stale) = case.stale {
        writeln!(text, "{stale}")?;
    }
    let test = case.test.map(|test| format!(" {test}")).unwrap_or_default();
    // The string holds neither quotes nor blanks: names are cleaned, words are the kernel's.
    write!(
        text,
        "Repeat it:\n  PROACTOR_REPLAY='{}' cargo test{test}",
        case.replay
    )
}
