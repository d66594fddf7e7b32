//! The lanes of a report: a table with a column for each object as far as there is room, and one for
//! the kernel and all else.

use std::fmt::Write;

use super::execution::{Column, Line, Place, Story};
use crate::sim::words::{duration, plural};

/// Rows that are shown at most; of a longer story the beginning is left out.
const ROWS: usize = 80;

/// Characters that a line may have, if the lanes of single objects are to pay for it.
const WIDTH: usize = 100;

/// Writes the table. `marks` says which deviation, counted from 1, a line is, if any; `failed` where
/// in the source it fails.
pub(crate) fn lanes(
    text: &mut String,
    story: &Story,
    marks: &[Option<usize>],
    failed: Option<&Place>,
) -> std::fmt::Result {
    if story.lines.is_empty() {
        return Ok(());
    }
    writeln!(
        text,
        "\nWhat happened, from top to bottom (! and its number mark a deviation, X where it fails):"
    )?;
    let left_out = story.lines.len().saturating_sub(ROWS);
    let hidden = left_out + story.forgotten;
    if hidden > 0 {
        writeln!(text, "  … {} before", plural(hidden as u64, "step"))?;
    }
    let (lines, marks) = (&story.lines[left_out..], &marks[left_out..]);
    let objects = objects(lines);
    let fitting = (0..=objects.len()).rev().find_map(|lanes| {
        let rows = rows(lines, marks, failed, &objects[..lanes]);
        (lanes == 0 || width(&rows) <= WIDTH).then_some(rows)
    });
    table(text, &fitting.unwrap_or_default())
}

/// The objects of the story, the busiest first.
fn objects(lines: &[Line]) -> Vec<&str> {
    let mut busy: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        if let Column::Object(name) = &line.column {
            match busy.iter_mut().find(|(known, _)| known == name) {
                Some((_, times)) => *times += 1,
                None => busy.push((name, 1)),
            }
        }
    }
    // Stable: of two that are equally busy, the one that came first.
    busy.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    busy.into_iter().map(|(name, _)| name).collect()
}

/// The table with lanes for these objects: mark, time, step, kernel, lanes, all else, source.
fn rows(
    lines: &[Line],
    marks: &[Option<usize>],
    failed: Option<&Place>,
    lanes: &[&str],
) -> Vec<Vec<String>> {
    // In the order in which they come on stage.
    let stage = |name: &&str| lines.iter().position(|line| is_on(line, name));
    let mut lanes = lanes.to_vec();
    lanes.sort_by_key(stage);
    let columns = lanes.len() + 6;
    // Each row has one cell: all else can stand with the kernel, and leave the room to the lanes.
    let (kernel, source) = (3, columns - 1);
    let rest = if lanes.is_empty() {
        columns - 2
    } else {
        kernel
    };
    let folder = folder(lines);
    let mut head = vec![String::new(); columns];
    head[1] = "time".to_owned();
    head[2] = "step".to_owned();
    head[kernel] = "kernel".to_owned();
    for (cell, lane) in head[kernel + 1..].iter_mut().zip(&lanes) {
        (*lane).clone_into(cell);
    }
    let name = if lanes.is_empty() {
        "program"
    } else {
        "kernel, rest"
    };
    head[rest] = name.to_owned();
    head[source] = match folder {
        "" => "source".to_owned(),
        folder => format!("source in {folder}"),
    };
    let mut rows = vec![head];
    let mut before = None;
    for (line, mark) in lines.iter().zip(marks) {
        let mut row = vec![String::new(); columns];
        row[0] = match mark {
            _ if line.failure => "X".to_owned(),
            Some(number) => format!("!{number}"),
            None if line.deviation => "!".to_owned(),
            None => String::new(),
        };
        if before != Some(line.at) {
            row[1] = duration(line.at);
            before = Some(line.at);
        }
        if line.event != crate::choice::EventId::ROOT {
            row[2].clone_from(&line.name);
        }
        let lane = lanes.iter().position(|lane| is_on(line, lane));
        match (&line.column, lane) {
            (Column::Kernel, _) => row[kernel].clone_from(&line.cell),
            (_, Some(lane)) => row[kernel + 1 + lane].clone_from(&line.cell),
            (Column::Program, _) => row[rest].clone_from(&line.cell),
            // What is done there is done nowhere else: its long name would say no more.
            (Column::Object(name), None) if name.starts_with("listener ") => {
                row[rest].clone_from(&line.cell);
            }
            (Column::Object(name), None) => row[rest] = format!("{name}: {}", line.cell),
        }
        let failed = failed.filter(|_| line.failure);
        if let Some(place) = line.place.as_ref().or(failed) {
            let place = short(place);
            row[source] = place.strip_prefix(folder).unwrap_or(&place).to_owned();
        }
        rows.push(row);
    }
    let empty = |column: usize| rows[1..].iter().all(|row| row[column].is_empty());
    let kept: Vec<bool> = (0..columns).map(|column| !empty(column)).collect();
    for row in &mut rows {
        let mut kept = kept.iter();
        row.retain(|_| kept.next() == Some(&true));
    }
    split_heads(&mut rows);
    rows
}

fn is_on(line: &Line, lane: &str) -> bool {
    matches!(&line.column, Column::Object(name) if name == lane)
}

/// `file:line`: the column would only take room here.
fn short(place: &Place) -> String {
    let whole = place.to_string();
    let end = whole.rfind(':').unwrap_or(whole.len());
    whole[..end].to_owned()
}

/// The folder that all places are in, with the slash behind it.
fn folder(lines: &[Line]) -> &str {
    let mut places = lines.iter().filter_map(|line| line.place.as_ref());
    let folder_of = |place: &'_ Place| place.file.rfind(['/', '\\']).map_or(0, |slash| slash + 1);
    let Some(first) = places.next() else {
        return "";
    };
    let folder = &first.file[..folder_of(first)];
    let same = |place: &Place| place.file[..folder_of(place)] == *folder;
    // A place prints with slashes; a folder with others would not be found in it again.
    if !folder.contains('\\') && places.all(same) {
        folder
    } else {
        ""
    }
}

/// A head that is wider than its column takes two lines, if it has a blank to break at.
fn split_heads(rows: &mut Vec<Vec<String>>) {
    let columns = rows[0].len();
    let mut upper = vec![String::new(); columns];
    for column in 0..columns {
        let cells = rows[1..].iter().map(|row| row[column].chars().count());
        let width = cells.max().unwrap_or(0);
        let head = &rows[0][column];
        if head.chars().count() > width
            && let Some((first, rest)) = head.rsplit_once(' ')
        {
            let (first, rest) = (first.to_owned(), rest.to_owned());
            upper[column] = first;
            rows[0][column] = rest;
        }
    }
    if upper.iter().any(|cell| !cell.is_empty()) {
        rows.insert(0, upper);
    }
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect()
}

/// Columns stand two blanks apart, and from the margin.
fn width(rows: &[Vec<String>]) -> usize {
    widths(rows).into_iter().map(|width| width + 2).sum()
}

/// Writes columns under each other.
pub(crate) fn table(text: &mut String, rows: &[Vec<String>]) -> std::fmt::Result {
    let widths = widths(rows);
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "  {cell:width$}")?;
        }
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}
