//! The report of a failure, as text: verdict, deviations in words, lanes, logical stack, the nearest
//! passing run, and the command that repeats it. Equal failures give equal text.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use super::execution::{Line, Story};
use super::replay::{Replay, Taken};
use super::shrink::{Deviant, Shrunk};
use super::summary::deviations;
use crate::choice::EventId;
use crate::sim::Lane;

/// Rows of the lanes that are shown at most; of a longer story the beginning is left out.
const ROWS: usize = 80;

/// Frames of the logical stack that are shown at most; of a deeper one the middle is left out.
const FRAMES: usize = 16;

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
    let _ = lanes(&mut text, &case.shrunk.story);
    let _ = stack(&mut text, case, &names);
    let _ = command(&mut text, case);
    Report { text, deviations }
}

/// The events of a story by id.
struct Names<'a> {
    names: HashMap<EventId, &'a str>,
    submissions: HashMap<EventId, &'a Line>,
}

impl<'a> Names<'a> {
    fn of(story: &'a Story) -> Names<'a> {
        let mut names = Names {
            names: HashMap::new(),
            submissions: HashMap::new(),
        };
        for line in &story.lines {
            names.names.entry(line.event).or_insert(&line.name);
            if line.submission.is_some() {
                names.submissions.entry(line.event).or_insert(line);
            }
        }
        names
    }

    fn path(&self, event: EventId) -> String {
        match self.names.get(&event) {
            _ if event == EventId::ROOT => "0".to_owned(),
            Some(name) => (*name).to_owned(),
            None => format!("{event:?}"),
        }
    }

    /// `0.2 recv(c1, 64)`.
    fn what(&self, event: EventId) -> String {
        match self.submissions.get(&event) {
            Some(line) => format!("{} {}", line.name, line.text),
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
            // Steps that are no operation of their own, such as a late cancel, are only described.
            Some(first) if names.names.contains_key(first) => {
                format!(
                    "{} before {}: {label}",
                    names.path(*first),
                    names.path(*event)
                )
            }
            Some(_) => label.clone(),
            None => format!("{}: {label}", names.what(*event)),
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
fn lanes(text: &mut String, story: &Story) -> std::fmt::Result {
    if story.lines.is_empty() {
        return Ok(());
    }
    let head = ["at", "event", "handlers", "kernel", "source"];
    let mut rows = vec![head.map(str::to_owned)];
    let hidden = story.lines.len().saturating_sub(ROWS);
    let mut before = None;
    for line in &story.lines[hidden..] {
        let [mut at, mut handlers, mut kernel] = [const { String::new() }; 3];
        if before != Some(line.at) {
            at = format!("{:?}", Duration::from_nanos(line.at));
            before = Some(line.at);
        }
        let mark = if line.deviation { "! " } else { "" };
        let cell = format!("{mark}{}", line.text.lines().next().unwrap_or(""));
        match line.lane {
            Lane::User => handlers = cell,
            Lane::Kernel | Lane::Clock => kernel = cell,
        }
        let place = line
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        rows.push([at, line.name.clone(), handlers, kernel, place]);
    }
    writeln!(text, "\nWhat happened (! marks a deviation):")?;
    if hidden > 0 {
        writeln!(text, "  … {hidden} earlier steps")?;
    }
    table(text, &rows)
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
    while let Some(line) = names.submissions.get(&event) {
        let place = line
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        frames.push([line.name.clone(), line.text.clone(), place]);
        event = line.cause;
    }
    if event != EventId::ROOT {
        // The kernel sees no spawns and posts: the chain of operations ends there.
        let what = "a task or a posted handler".to_owned();
        frames.push([names.path(event), what, String::new()]);
    }
    if frames.len() > FRAMES {
        let hidden = frames.len() - FRAMES;
        let middle = FRAMES - FRAMES / 4;
        let note = format!("… {hidden} more");
        frames.splice(
            middle..middle + hidden,
            [["…".to_owned(), note, String::new()]],
        );
    }
    frames.push(["0".to_owned(), "the check's body".to_owned(), String::new()]);
    table(text, &frames)
}

/// Columns under each other, two blanks apart.
fn table<const N: usize>(text: &mut String, rows: &[[String; N]]) -> std::fmt::Result {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "  {cell:width$}")?;
        }
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
