//! A run as a Chrome trace, for Perfetto (`ui.perfetto.dev`) and `chrome://tracing`.
//!
//! The *Trace Event Format*: one process; a thread for the kernel, one for each object, one for all else.
//! An operation is an asynchronous span from its submission to its completion, a step without an end an
//! instant. Virtual nanoseconds are microseconds there, with three digits behind the point.

use std::collections::HashMap;

use super::execution::{Column, Line, Story};
use super::page::quoted;
use crate::choice::EventId;

/// Writes the trace.
pub(crate) fn perfetto(story: &Story) -> String {
    let mut tracks = Tracks::default();
    let mut begun: HashMap<EventId, usize> = HashMap::new();
    let mut events = Vec::new();
    for line in &story.lines {
        let track = tracks.of(&line.column);
        let common = format!(
            "\"name\":{},\"cat\":\"operation\",\"pid\":1,\"tid\":{track},\"ts\":{}.{:03},\"args\":{{\"step\":{},\
             \"source\":{}}}",
            quoted(&line.text),
            line.at / 1_000,
            line.at % 1_000,
            quoted(&line.name),
            quoted(
                &line
                    .place
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default()
            ),
        );
        let id = line.event.0;
        let ends = line.completion && begun.remove(&line.event).is_some();
        events.push(match phase(line, ends) {
            Phase::Begins => {
                begun.insert(line.event, track);
                format!("{{\"ph\":\"b\",\"id\":\"{id:x}\",{common}}}")
            }
            Phase::Ends => format!("{{\"ph\":\"e\",\"id\":\"{id:x}\",{common}}}"),
            Phase::Instant => format!("{{\"ph\":\"i\",\"s\":\"t\",{common}}}"),
        });
    }
    let names = tracks.names.iter().enumerate().map(|(track, name)| {
        format!(
            "{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":{track},\"args\":{{\"name\":{}}}}}",
            quoted(name)
        )
    });
    let all: Vec<String> = names.chain(events).collect();
    format!(
        "{{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{}\n]}}\n",
        all.join(",\n")
    )
}

enum Phase {
    Begins,
    Ends,
    Instant,
}

fn phase(line: &Line, ends: bool) -> Phase {
    match (ends, line.start && !line.completion) {
        (true, _) => Phase::Ends,
        (false, true) => Phase::Begins,
        (false, false) => Phase::Instant,
    }
}

#[derive(Default)]
struct Tracks {
    names: Vec<String>,
}

impl Tracks {
    fn of(&mut self, column: &Column) -> usize {
        let name = match column {
            Column::Kernel => "kernel",
            Column::Program => "rest",
            Column::Object(name) => name,
        };
        match self.names.iter().position(|known| known == name) {
            Some(track) => track,
            None => {
                self.names.push(name.to_owned());
                self.names.len() - 1
            }
        }
    }
}
