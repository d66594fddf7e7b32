//! The report of a failure, as text: verdict, deviations in words, lanes, logical stack, the nearest
//! passing run, and the command that repeats it. Equal failures give equal text.

use std::collections::HashMap;
use std::fmt::Write;

use super::execution::{Line, Place, Story};
use super::lanes::{lanes, table};
use super::replay::{Replay, Taken};
use super::shrink::{Deviant, Shrunk};
use super::stop::RUNNER;
use super::summary::deviations;
use crate::choice::{EventId, Site};

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
    let _ = warnings(&mut text, &case.shrunk.story);
    let place = case.shrunk.fault.place.as_ref();
    let _ = lanes(&mut text, &case.shrunk.story, &marks(case.shrunk), place);
    let _ = stack(&mut text, case, &names);
    let _ = command(&mut text, case);
    Report { text, deviations }
}

/// The events of a story by id.
struct Names<'a> {
    names: HashMap<EventId, &'a str>,
    starts: HashMap<EventId, &'a Line>,
}

impl<'a> Names<'a> {
    fn of(story: &'a Story) -> Names<'a> {
        let mut names = Names {
            names: HashMap::new(),
            starts: HashMap::new(),
        };
        for line in &story.lines {
            names.names.entry(line.event).or_insert(&line.name);
            if line.start {
                names.starts.entry(line.event).or_insert(line);
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
        match self.starts.get(&event) {
            Some(line) => format!("{} {}", line.name, line.text),
            None if event == EventId::ROOT => "0 the check's body".to_owned(),
            None => self.path(event),
        }
    }
}

fn verdict(text: &mut String, case: &Case<'_>) -> std::fmt::Result {
    let fault = &case.shrunk.fault;
    match case.name {
        Some(name) => write!(text, "proactor: check `{name}` fails")?,
        None => write!(text, "proactor: the check fails")?,
    }
    write!(text, "{}: ", case.replay.setting)?;
    let (oracle, invariant) = (fault.oracle, fault.invariant);
    // Some have the name of what they guard.
    if oracle.name() != invariant.name() {
        write!(text, "{oracle}, ")?;
    }
    writeln!(text, "{invariant} ({})", invariant.promise())?;
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
        let turn = deviant.named.at.site == Site::Worker;
        match first {
            Some(first) if turn => {
                format!("{}: {label} {}", names.what(*event), names.what(*first))
            }
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
            "\nIt fails without any deviation: the kernel did nothing unusual."
        )?;
        return Ok(());
    }
    let shrunk = case.shrunk;
    let needed = match (shrunk.minimal, said.len()) {
        (false, _) => "not all may be needed",
        (true, 1) => "it is needed",
        (true, _) => "all are needed",
    };
    let does = if case.replay.setting.workers > 1 {
        "which a kernel and workers may do and seldom do"
    } else {
        "which a kernel may do and seldom does"
    };
    writeln!(
        text,
        "\nIt takes {}, {does}; {needed}:",
        deviations(said.len())
    )?;
    for (index, (say, deviant)) in said.iter().zip(&shrunk.deviations).enumerate() {
        writeln!(text, "  {}. {say}", index + 1)?;
        if let Some(other) = deviant.without.as_ref().filter(|_| shrunk.minimal) {
            let message = other.message.lines().next().unwrap_or("");
            writeln!(
                text,
                "     if it does not happen, something else fails: {}, {message}",
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
        [_] if said.len() == 1 => writeln!(text, "  It passes if that does not happen."),
        all if all.len() == said.len() => {
            writeln!(text, "  It passes if any one of them does not happen.")
        }
        some => {
            let numbers: Vec<String> = some.iter().map(usize::to_string).collect();
            let numbers = numbers.join(" does not happen, or if ");
            writeln!(text, "  It passes if {numbers} does not happen.")
        }
    }
}

/// What oracles whose level is `warn` found in the same execution.
fn warnings(text: &mut String, story: &Story) -> std::fmt::Result {
    if story.warnings.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nBefore that there were warnings:")?;
    for warning in &story.warnings {
        write!(text, "  {}", warning.oracle)?;
        if let Some(at) = warning.location {
            write!(text, " at {}", Place::of(at))?;
        }
        writeln!(text)?;
        for line in warning.message.lines() {
            writeln!(text, "    {line}")?;
        }
    }
    Ok(())
}

/// Which deviation each line of the story is, counted from 1.
pub(crate) fn marks(shrunk: &Shrunk) -> Vec<Option<usize>> {
    let mut open: Vec<Option<&Deviant>> = shrunk.deviations.iter().map(Some).collect();
    let mut number = |line: &Line| {
        let is_it = |deviant: &Option<&Deviant>| {
            deviant.is_some_and(|Deviant { taken, .. }| match taken.first {
                // A late cancel is an event of its own, and told at its target.
                Some(first) => line.event == first || line.text == taken.label,
                None => line.event == taken.event && line.text == taken.label,
            })
        };
        let found = open.iter().position(is_it)?;
        open[found] = None;
        Some(found + 1)
    };
    let lines = shrunk.story.lines.iter();
    lines
        .map(|line| if line.deviation { number(line) } else { None })
        .collect()
}

/// Who started the operation at which it was noticed, and who started that.
fn stack(text: &mut String, case: &Case<'_>, names: &Names<'_>) -> std::fmt::Result {
    let story = &case.shrunk.story;
    // A panic has no operation: it happened in the handler of the last completion.
    let noticed = case
        .shrunk
        .fault
        .event
        .filter(|event| names.starts.contains_key(event));
    let Some(mut event) = noticed.or_else(|| story.last_completion()) else {
        return Ok(());
    };
    let head = match noticed {
        Some(_) => "Who started that operation, and who started them, innermost first:",
        None => "The handler that ran last, and how it came to run, innermost first:",
    };
    writeln!(text, "\n{head}")?;
    let mut frames: Vec<Vec<String>> = Vec::new();
    let mut before: Option<(&Line, usize)> = None;
    while let Some(line) = names.starts.get(&event) {
        event = line.cause;
        // The steps of a composed operation, such as an exact read, are one to people.
        if let Some((last, times)) = &mut before
            && last.place == line.place
            && verb(last) == verb(line)
            && let Some(frame) = frames.last_mut()
        {
            *times += 1;
            frame[1] = format!("{}, {times} in a row", last.text);
            continue;
        }
        before = Some((line, 1));
        let place = line.place.as_ref().map(|place| format!("at {place}"));
        frames.push(vec![
            line.name.clone(),
            line.text.clone(),
            place.unwrap_or_default(),
        ]);
    }
    if frames.len() > FRAMES {
        let hidden = frames.len() - FRAMES;
        let middle = FRAMES - FRAMES / 4;
        let note = vec!["…".to_owned(), format!("… {hidden} more"), String::new()];
        frames.splice(middle..middle + hidden, [note]);
    }
    let outermost = if event == EventId::ROOT {
        ["0", "the check's body"]
    } else {
        ["…", "steps too long ago to be known"]
    };
    let [step, what] = outermost.map(str::to_owned);
    frames.push(vec![step, what, String::new()]);
    table(text, &frames)
}

/// What sort of operation a submission is.
fn verb(line: &Line) -> &str {
    line.text.split('(').next().unwrap_or("")
}

pub(crate) fn command(text: &mut String, case: &Case<'_>) -> std::fmt::Result {
    writeln!(text, "\n{}", case.found)?;
    if let Some(stale) = case.stale {
        writeln!(text, "{stale}")?;
    }
    // The string holds neither quotes nor blanks: names are cleaned, words are the kernel's.
    let replay = case.replay;
    let again = match (case.test, example()) {
        (Some(test), _) => format!("cargo test {test} -- --exact"),
        (None, Some(example)) => format!("cargo run --example {example}"),
        (None, None) => "cargo test".to_owned(),
    };
    writeln!(text, "Repeat it:\n  PROACTOR_REPLAY='{replay}' {again}")?;
    let again = again.replacen("cargo", &format!("cargo {RUNNER}"), 1);
    write!(
        text,
        "Stop where it fails, in a debugger:\n  PROACTOR_BREAK=fail PROACTOR_REPLAY='{replay}' {again}"
    )
}

/// The name of the example that this program is, if it is one: cargo puts them into a folder of that name.
fn example() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let is_example = program.parent()?.file_name()? == "examples";
    is_example.then(|| Some(program.file_stem()?.to_str()?.to_owned()))?
}
