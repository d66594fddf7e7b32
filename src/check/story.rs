//! From the kernel's trace to the lines of a report: what is told, where it stands, and in which words.

use std::collections::{HashMap, HashSet};

use super::execution::{Column, Line, Place};
use crate::choice::{EventId, Site};
use crate::sim::{EventNames, TraceEvent, What};

/// The lines of a report: up to the failure, without the decisions that were kind. An effect is told
/// only where the kernel made it late: otherwise the completion says all.
pub(crate) fn lines(trace: &[TraceEvent]) -> Vec<Line> {
    let end = trace
        .iter()
        .position(|step| step.what == What::Violation)
        .map_or(trace.len(), |violation| violation + 1);
    let trace = &trace[..end];
    let names = EventNames::of(trace);
    let objects = Objects::of(trace);
    let is_late = |step: &&TraceEvent| match step.what {
        What::Decision { site, deviation } => {
            deviation && matches!(site, Site::EffectLate | Site::Cancel)
        }
        _ => false,
    };
    let late: HashSet<EventId> = trace
        .iter()
        .filter(is_late)
        .map(|step| step.event)
        .collect();
    let is_news = |step: &&TraceEvent| match step.what {
        What::Decision { deviation, .. } => deviation,
        What::Effect => late.contains(&step.event),
        _ => true,
    };
    let told = trace.iter().filter(is_news);
    told.map(|step| line(step, &names, &objects)).collect()
}

/// What the operations of a trace are called, and what they are on.
struct Objects<'a> {
    verbs: HashMap<EventId, &'a str>,
    /// A socket is another object once it is connected: told as what it becomes.
    becomes: HashMap<EventId, &'a str>,
}

impl<'a> Objects<'a> {
    fn of(trace: &'a [TraceEvent]) -> Objects<'a> {
        let mut objects = Objects {
            verbs: HashMap::new(),
            becomes: HashMap::new(),
        };
        for step in trace {
            if matches!(step.what, What::Submit { .. }) {
                let verb = step.text.split('(').next().unwrap_or("");
                objects.verbs.insert(step.event, verb);
            }
            if let Some(object) = &step.object
                && objects.verbs.get(&step.event) == Some(&"connect")
            {
                objects.becomes.insert(step.event, object);
            }
        }
        objects
    }
}

fn line(step: &TraceEvent, names: &EventNames, objects: &Objects<'_>) -> Line {
    let start = matches!(step.what, What::Submit { .. } | What::Began { .. });
    // A place says who asked for something; on what comes of it, it would only repeat itself.
    let is_turn = matches!(step.what, What::Segment)
        || matches!(
            step.what,
            What::Decision {
                site: Site::Worker,
                ..
            }
        );
    let asks = start
        || is_turn
        || matches!(
            step.what,
            What::CancelAsked | What::Close | What::Violation | What::Warning
        );
    let verb = objects.verbs.get(&step.event).copied().unwrap_or("");
    let deviation = matches!(step.what, What::Decision { .. });
    let object = objects.becomes.get(&step.event).copied();
    let object = object.or(step.object.as_deref());
    let column = match (&step.what, object) {
        _ if is_turn => Column::Program,
        (
            What::Decision { .. } | What::Violation | What::Warning | What::Clock | What::Power,
            _,
        ) => Column::Kernel,
        (_, Some(object)) => Column::Object(object.to_owned()),
        (_, None) => Column::Program,
    };
    let cell = match step.what {
        What::Submit { .. } => without_object(step),
        What::Complete { result: 0 } if matches!(verb, "timer" | "timeout") => {
            format!("{verb} ends")
        }
        What::Complete { .. } => format!("{verb} {}", step.text),
        What::Effect => format!("{verb} takes effect"),
        What::CancelAsked => format!("cancel {verb}"),
        What::Cancelled => format!("{verb} is cancelled"),
        What::Close => "close".to_owned(),
        What::Clock => "time moves on".to_owned(),
        What::Decision {
            site: Site::NextStep,
            ..
        } => "comes first".to_owned(),
        // Who goes first is the decision's cause.
        What::Decision {
            site: Site::Worker, ..
        } if step.cause != EventId::ROOT => format!("{} {}", step.text, names.get(step.cause)),
        What::Violation => "FAILS HERE".to_owned(),
        What::Warning => format!("warning: {}", step.text.split(':').next().unwrap_or("")),
        What::Began { .. } | What::Segment | What::Decision { .. } | What::Note | What::Power => {
            step.text.clone()
        }
    };
    Line {
        column,
        cell,
        event: step.event,
        name: names.get(step.event),
        cause: step.cause,
        start,
        completion: matches!(step.what, What::Complete { .. }),
        text: step.text.clone(),
        place: step.location.filter(|_| asks).map(Place::of),
        at: step.at,
        content: step.content,
        deviation,
        failure: step.what == What::Violation,
    }
}

/// `recv(c1 client, 64)` as `recv(64)`, `accept(listener 10.0.0.1:80)` as `accept`.
fn without_object(step: &TraceEvent) -> String {
    let Some(object) = &step.object else {
        return step.text.clone();
    };
    let text = step.text.replacen(object.as_str(), "", 1);
    text.replacen("(, ", "(", 1).replacen("()", "", 1)
}
