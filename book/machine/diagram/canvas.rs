//! A diagram is drawn as SVG: the lanes first, then row after row.

use std::fmt::Write;

use super::{Diagram, Row, Side};
use crate::escaped;

/// About so wide is a letter, and so high a line, of the font that the style sheet sets.
const LETTER: f32 = 6.7;
const LINE: f32 = 17.0;
/// What is above the first row.
const HEAD: f32 = 44.0;
const MARGIN: f32 = 12.0;

/// What is drawn so far.
pub(super) struct Canvas {
    /// The middle of each lane.
    middle: Vec<f32>,
    width: f32,
    out: String,
}

fn lines(text: &str) -> Vec<&str> {
    let lines = text.split("<br/>").map(str::trim);
    lines.collect()
}

fn width(text: &str) -> f32 {
    let longest = lines(text).iter().map(|line| line.chars().count()).max();
    longest.unwrap_or(0) as f32 * LETTER
}

impl Canvas {
    /// Lanes as far apart as what is written between them needs.
    pub(super) fn new(diagram: &Diagram) -> Canvas {
        let half = |lane: usize| width(&diagram.lanes[lane].label) / 2.0 + 12.0;
        let count = diagram.lanes.len();
        let mut gaps: Vec<f32> = (1..count)
            .map(|lane| (half(lane - 1) + half(lane) + 10.0).max(100.0))
            .collect();
        let (mut before, mut behind) = (half(0), half(count - 1));
        for row in &diagram.rows {
            let (first, last, need) = match row {
                Row::Message { from, to, text, .. } if from == to => {
                    (*from, from + 1, width(text) + 46.0)
                }
                Row::Message { from, to, text, .. } => {
                    (*from.min(to), *from.max(to), width(text) + 26.0)
                }
                Row::Note {
                    first,
                    side: Side::Left,
                    text,
                    ..
                } => match first.checked_sub(1) {
                    Some(left) => (left, *first, width(text) + 36.0),
                    None => {
                        before = before.max(width(text) + 30.0);
                        continue;
                    }
                },
                Row::Note {
                    last,
                    side: Side::Right,
                    text,
                    ..
                } => (*last, last + 1, width(text) + 36.0),
                Row::Note {
                    first, last, text, ..
                } if first < last => (*first, *last, width(text) - 20.0),
                _ => continue,
            };
            if last == count {
                behind = behind.max(need);
                continue;
            }
            let now: f32 = gaps[first..last].iter().sum();
            let more = (need - now).max(0.0) / (last - first) as f32;
            gaps[first..last].iter_mut().for_each(|gap| *gap += more);
        }
        let mut middle = vec![MARGIN + before];
        for gap in gaps {
            middle.push(middle[middle.len() - 1] + gap);
        }
        let width = middle[count - 1] + behind + MARGIN;
        Canvas {
            middle,
            width,
            out: String::new(),
        }
    }

    pub(super) fn draw(mut self, diagram: &Diagram) -> String {
        // Bars and frames lie under the text: they are known only when they end, so they are drawn apart.
        let mut under = String::new();
        let mut bars: Vec<(usize, f32)> = Vec::new();
        let mut frames: Vec<(f32, Vec<f32>)> = Vec::new();
        let mut y = HEAD;
        for row in &diagram.rows {
            match row {
                Row::Message {
                    from,
                    to,
                    dashed,
                    lost,
                    text,
                } => y = self.message(y, *from, *to, *dashed, *lost, text),
                Row::Note {
                    first,
                    last,
                    side,
                    text,
                } => y = self.note(y, *first, *last, *side, text),
                Row::Bar(lane, true) => bars.push((*lane, y - 8.0)),
                Row::Bar(lane, false) => {
                    let at = bars.iter().rposition(|(it, _)| it == lane);
                    let (lane, from) = bars.remove(at.expect("read counts them"));
                    let _ = writeln!(
                        under,
                        "<rect class=\"dg-bar\" x=\"{:.0}\" y=\"{from:.0}\" width=\"10\" height=\"{:.0}\"/>",
                        self.middle[lane] - 5.0,
                        y - 8.0 - from
                    );
                }
                Row::Open { kind, text } => {
                    frames.push((y, Vec::new()));
                    self.frame_text(y, frames.len(), kind, text);
                    y += LINE + 12.0;
                }
                Row::Else(text) => {
                    let depth = frames.len();
                    if let Some((_, parts)) = frames.last_mut() {
                        parts.push(y);
                    }
                    self.frame_text(y, depth, "else", text);
                    y += LINE + 10.0;
                }
                Row::Close => {
                    let inset = frames.len() as f32 * 4.0;
                    if let Some((from, parts)) = frames.pop() {
                        let (x, wide) = (inset, self.width - 2.0 * inset);
                        let _ = writeln!(
                            under,
                            "<rect class=\"dg-frame\" x=\"{x:.0}\" y=\"{from:.0}\" width=\"{wide:.0}\" height=\"{:.0}\"/>",
                            y - from
                        );
                        for part in parts {
                            let _ = writeln!(
                                under,
                                "<path class=\"dg-frame\" d=\"M{x:.0} {part:.0}h{wide:.0}\"/>"
                            );
                        }
                    }
                    y += 12.0;
                }
            }
        }
        let mut svg = format!(
            "<svg class=\"dg\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{0}\" \
             width=\"{1:.0}\" height=\"{2:.0}\" viewBox=\"0 0 {1:.0} {2:.0}\">\n",
            escaped(&diagram.title),
            self.width,
            y + 4.0
        );
        for (lane, x) in diagram.lanes.iter().zip(&self.middle) {
            let wide = width(&lane.label) + 20.0;
            let _ = write!(
                svg,
                "<path class=\"dg-life\" d=\"M{x:.0} 30V{y:.0}\"/>\n\
                 <rect class=\"dg-lane\" x=\"{:.0}\" y=\"4\" width=\"{wide:.0}\" height=\"26\" rx=\"4\"/>\n\
                 <text class=\"dg-name\" x=\"{x:.0}\" y=\"22\">{}</text>\n",
                x - wide / 2.0,
                escaped(&lane.label)
            );
        }
        svg + &under + &self.out + "</svg>"
    }

    /// The lines of a text, centred, the first at `y`.
    fn text(&mut self, class: &str, x: f32, y: f32, text: &str) {
        for (line, nth) in lines(text).iter().zip(0u8..) {
            let y = y + f32::from(nth) * LINE;
            let line = escaped(line);
            let _ = writeln!(
                self.out,
                "<text class=\"{class}\" x=\"{x:.0}\" y=\"{y:.0}\">{line}</text>"
            );
        }
    }

    fn message(
        &mut self,
        y: f32,
        from: usize,
        to: usize,
        dashed: bool,
        lost: bool,
        text: &str,
    ) -> f32 {
        let class = if dashed {
            "dg-line dg-dashed"
        } else {
            "dg-line"
        };
        let high = lines(text).len() as f32 * LINE;
        let (a, b) = (self.middle[from], self.middle[to]);
        if from == to {
            self.text("dg-self", a + 36.0, y + 10.0, text);
            let (top, low) = (y + 4.0, y + 4.0 + high.max(14.0));
            let _ = writeln!(
                self.out,
                "<path class=\"{class}\" d=\"M{:.0} {top:.0}h24V{low:.0}h-22\"/>",
                a + 6.0
            );
            self.head(a + 6.0, low, -1.0, lost);
            return low + 16.0;
        }
        let way = (b - a).signum();
        let at = y + high - 2.0;
        self.text("dg-text", (a + b) / 2.0, y + 8.0, text);
        let (begin, end) = (a + way * 6.0, b - way * 7.0);
        let _ = writeln!(
            self.out,
            "<path class=\"{class}\" d=\"M{begin:.0} {at:.0}H{end:.0}\"/>"
        );
        self.head(end, at, way, lost);
        at + 22.0
    }

    /// What an arrow ends with, pointing the way it goes.
    fn head(&mut self, x: f32, y: f32, way: f32, lost: bool) {
        let _ = match lost {
            false => writeln!(
                self.out,
                "<path class=\"dg-head\" d=\"M{x:.0} {y:.0}l{0:.0} -4.5v9z\"/>",
                way * -9.0
            ),
            true => writeln!(
                self.out,
                "<path class=\"dg-line\" d=\"M{:.0} {:.0}l8 8m0 -8l-8 8\"/>",
                x - 4.0,
                y - 4.0
            ),
        };
    }

    fn note(&mut self, y: f32, first: usize, last: usize, side: Side, text: &str) -> f32 {
        let wide = width(text) + 16.0;
        let high = lines(text).len() as f32 * LINE + 8.0;
        let middle = match side {
            Side::Over => (self.middle[first] + self.middle[last]) / 2.0,
            Side::Left => self.middle[first] - 10.0 - wide / 2.0,
            Side::Right => self.middle[last] + 10.0 + wide / 2.0,
        };
        let wide = match first < last {
            true => wide.max(self.middle[last] - self.middle[first] + 40.0),
            false => wide,
        };
        // Never beyond the edge.
        let x = (middle - wide / 2.0).clamp(2.0, (self.width - wide - 2.0).max(2.0));
        let y = y - 6.0;
        let _ = writeln!(
            self.out,
            "<rect class=\"dg-note\" x=\"{x:.0}\" y=\"{y:.0}\" width=\"{wide:.0}\" height=\"{high:.0}\" rx=\"3\"/>"
        );
        self.text("dg-text", x + wide / 2.0, y + 16.0, text);
        y + high + 20.0
    }

    fn frame_text(&mut self, y: f32, depth: usize, kind: &str, text: &str) {
        let x = depth as f32 * 4.0 + 8.0;
        let (kind, text) = (escaped(kind), escaped(text));
        let _ = writeln!(
            self.out,
            "<text class=\"dg-block\" x=\"{x:.0}\" y=\"{:.0}\"><tspan class=\"dg-kind\">{kind}</tspan> {text}</text>",
            y + 14.0
        );
    }
}
