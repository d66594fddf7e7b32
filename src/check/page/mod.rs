//! The report of a failure as one HTML page: lanes that can be stepped through, forward and back.
//!
//! Everything stands in the one file: it opens from a disk, a mail or a CI's artefacts, asks no network,
//! and prints. The text report says the same; this one can be walked.

use std::fmt::Write;

use super::execution::{Column, Line};
use super::report::{Case, command, marks};
use crate::sim::words::duration;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page. `deviations` are those of the case, in words.
pub(crate) fn page(case: &Case<'_>, deviations: &[String]) -> String {
    let fault = &case.shrunk.fault;
    let name = case.name.unwrap_or("the check");
    let title = format!("{name} fails: {}", fault.invariant);
    let mut again = String::new();
    // Writing to a String never fails.
    let _ = command(&mut again, case);
    let mut list = String::new();
    for (number, said) in (1..).zip(deviations) {
        let _ = write!(
            list,
            "<li><button type=\"button\" data-mark=\"{number}\">{}</button></li>",
            escaped(said)
        );
    }
    let list = match deviations.is_empty() {
        true => "<p>None: the kernel did nothing unusual.</p>".to_owned(),
        false => format!("<ol class=\"deviations\">{list}</ol>"),
    };
    let place = fault.place.as_ref();
    let place = place.map_or(String::new(), |place| format!("\nat {place}"));
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'\">\n\
         <title>{title}</title><style>\n{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n<p class=\"promise\">{promise}</p>\n<pre>{message}</pre>\n\
         <h2>What a kernel did that it may do and seldom does</h2>\n{list}\n\
         <h2>What happened</h2>\n\
         <div class=\"controls\">\
         <button type=\"button\" id=\"first\" title=\"first step (Home)\">|&#9664;</button>\
         <button type=\"button\" id=\"back\" title=\"step back (left)\">&#9664;</button>\
         <button type=\"button\" id=\"on\" title=\"step forward (right)\">&#9654;</button>\
         <button type=\"button\" id=\"last\" title=\"last step (End)\">&#9654;|</button>\
         <button type=\"button\" id=\"next\" title=\"next deviation (n)\">next deviation</button>\
         <input type=\"range\" id=\"slider\" min=\"0\" value=\"0\" aria-label=\"step\">\
         <span id=\"said\" aria-live=\"polite\"></span></div>\n\
         <div class=\"scroll\"><table class=\"lanes\"><thead><tr></tr></thead><tbody></tbody></table></div>\n\
         <h2>This step</h2><div id=\"detail\"></div>\n\
         <h2>Once more</h2><pre>{again}</pre>\n\
         <script type=\"application/json\" id=\"story\">{story}</script>\n\
         <script>\n{SCRIPT}</script></body></html>\n",
        title = escaped(&title),
        promise = escaped(fault.invariant.promise()),
        message = escaped(&format!("{}{place}", fault.message)),
        again = escaped(again.trim()),
        story = story(case).replace("</", "<\\/"),
    )
}

/// The story as JSON: `lanes`, the objects in the order in which they come on stage, and `lines`.
pub(crate) fn story(case: &Case<'_>) -> String {
    let story = &case.shrunk.story;
    let mut lanes: Vec<&str> = Vec::new();
    for line in &story.lines {
        if let Column::Object(name) = &line.column
            && !lanes.contains(&name.as_str())
        {
            lanes.push(name);
        }
    }
    let lanes: Vec<String> = lanes.into_iter().map(quoted).collect();
    let marks = marks(case.shrunk);
    let lines: Vec<String> = story
        .lines
        .iter()
        .zip(marks)
        .map(|(line, mark)| object(line, mark))
        .collect();
    format!(
        "{{\"lanes\":[{}],\"forgotten\":{},\"lines\":[\n{}\n]}}",
        lanes.join(","),
        story.forgotten,
        lines.join(",\n")
    )
}

fn object(line: &Line, mark: Option<usize>) -> String {
    let lane = match &line.column {
        Column::Kernel => "\"kernel\"".to_owned(),
        Column::Program => "null".to_owned(),
        Column::Object(name) => quoted(name),
    };
    let place = line.place.as_ref();
    format!(
        "{{\"event\":\"{:016x}\",\"cause\":\"{:016x}\",\"name\":{},\"lane\":{lane},\"cell\":{},\"text\":{},\
         \"place\":{},\"at\":{},\"time\":{},\"start\":{},\"completion\":{},\"deviation\":{},\"mark\":{},\
         \"failure\":{}}}",
        line.event.0,
        line.cause.0,
        quoted(&line.name),
        quoted(&line.cell),
        quoted(&line.text),
        place.map_or("null".to_owned(), |place| quoted(&place.to_string())),
        line.at,
        quoted(&duration(line.at)),
        line.start,
        line.completion,
        line.deviation,
        mark.map_or("null".to_owned(), |mark| mark.to_string()),
        line.failure,
    )
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if (c as u32) < 0x20 => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\\n\u{1}"), "\"a\\\"b\\\\\\n\\u0001\"");
        assert_eq!(escaped("<b> & \"c\""), "&lt;b&gt; &amp; &quot;c&quot;");
    }
}
