//! A player as it stands in a page: the kind story as a table, and all stories as data for `assets/player.js`.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::stage::Owner;
use super::tree::{Node, Tree};
use crate::escaped;

/// The figure: HTML without an empty line.
pub(crate) fn figure(name: &str, tree: &Tree) -> String {
    let Tree {
        title,
        about,
        lanes,
        ..
    } = tree;
    let has_buffer = tree.nodes.iter().any(|node| node.buffer != Owner::None);
    let mut page = String::new();
    // Writing to a String never fails.
    let _ = write!(
        page,
        "<figure class=\"player\" id=\"player-{name}\" aria-label=\"{}\">\n\
         <figcaption><strong>{}</strong> {}</figcaption>\n\
         <div class=\"player-scroll\" tabindex=\"0\" role=\"group\" aria-label=\"What has happened\">\n<table>\n<thead><tr>",
        escaped(title),
        escaped(title),
        escaped(about)
    );
    for lane in *lanes {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(lane));
    }
    if has_buffer {
        page += "<th scope=\"col\">the buffer is</th>";
    }
    page += "</tr></thead>\n<tbody>\n";
    for node in tree.kind() {
        page += &row(node, lanes.len(), has_buffer);
    }
    let _ = write!(
        page,
        "</tbody>\n</table>\n</div>\n\
         <p class=\"player-script\">This is the kind one of {} stories; with a script you choose what comes next.</p>\n\
         <script type=\"application/json\">{}</script>\n</figure>\n",
        tree.stories(),
        data(tree)
    );
    page
}

/// One step, and what else might have come after it.
fn row(node: &Node, lanes: usize, has_buffer: bool) -> String {
    let mut row = String::from("<tr>");
    for lane in 0..lanes {
        let text = if lane == node.lane {
            escaped(&node.text)
        } else {
            String::new()
        };
        let _ = write!(row, "<td>{text}</td>");
    }
    if has_buffer {
        let _ = write!(row, "<td>{}</td>", whose(node.buffer));
    }
    row += "</tr>\n";
    if let (Some(asked), [first, others @ ..]) = (&node.asked, node.next.as_slice()) {
        let others: Vec<String> = others.iter().map(|choice| escaped(&choice.label)).collect();
        let _ = writeln!(
            row,
            "<tr class=\"player-asked\"><td colspan=\"{}\">{} <em>{}</em> (or: {})</td></tr>",
            lanes + usize::from(has_buffer),
            escaped(asked),
            escaped(&first.label),
            others.join("; ")
        );
    }
    row
}

fn whose(owner: Owner) -> &'static str {
    match owner {
        Owner::None => "",
        Owner::Program => "yours",
        Owner::Kernel => "the kernel’s",
        Owner::Queue => "in the queue",
    }
}

/// The tree as JSON, safe inside a `script` element: `texts`, and `nodes` as `[lane, text, buffer, nanoseconds, question or -1,
/// [[label or -1, node]…]]`, where texts, questions and labels are places in `texts`.
fn data(tree: &Tree) -> String {
    let mut texts: Vec<&str> = Vec::new();
    let mut places = HashMap::new();
    let mut at = |text| {
        *places.entry(text).or_insert_with(|| {
            texts.push(text);
            texts.len() - 1
        })
    };
    let mut nodes: Vec<Value> = Vec::new();
    for node in &tree.nodes {
        let text = at(node.text.as_str());
        let asked = node.asked.as_deref().map(&mut at);
        let mut next: Vec<Value> = Vec::new();
        for choice in &node.next {
            let label = match choice.label.as_str() {
                "" => json!(-1),
                label => json!(at(label)),
            };
            next.push(json!([label, choice.node]));
        }
        let asked = asked.map_or(json!(-1), |asked| json!(asked));
        nodes.push(json!([
            node.lane,
            text,
            whose(node.buffer),
            node.at,
            asked,
            next
        ]));
    }
    let lanes = tree.lanes;
    json!({ "lanes": lanes, "texts": texts, "nodes": nodes })
        .to_string()
        .replace("</", "<\\/")
}
