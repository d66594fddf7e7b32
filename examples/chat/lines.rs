//! Lines out of the bytes that reads bring, without any I/O.
//!
//! A read may bring a part of a line, or many. Lines end with LF or CRLF; what has no end when the client
//! leaves is no line, for nobody knows whether it is whole. What is no UTF-8, and what would control
//! somebody's terminal, is replaced.

use std::mem;

/// How long a line may be, in bytes without its end.
pub(crate) const LONGEST: usize = 1024;

/// What came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    Line(String),
    /// A line longer than [`LONGEST`]. It is told once, and the rest of it is skipped.
    TooLong,
}

/// The line that has begun and not ended: never more of it than [`LONGEST`] bytes and a CR.
#[derive(Default, Debug)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    /// The line is too long already.
    skipping: bool,
}

impl Lines {
    /// Takes the bytes of a read. Empty lines are left out.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Input> {
        let mut inputs = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(last) => {
                    self.append(last, &mut inputs);
                    inputs.extend(self.finish());
                }
                None => self.append(part, &mut inputs),
            }
        }
        inputs
    }

    /// The line ends here.
    fn finish(&mut self) -> Option<Input> {
        let line = mem::take(&mut self.begun);
        if mem::take(&mut self.skipping) {
            return None;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.len() > LONGEST {
            return Some(Input::TooLong);
        }
        let text = String::from_utf8_lossy(line);
        let text = text.replace(|c: char| c.is_control() && c != '\t', "\u{fffd}");
        (!text.trim().is_empty()).then_some(Input::Line(text))
    }

    fn append(&mut self, part: &[u8], inputs: &mut Vec<Input>) {
        if self.skipping {
            return;
        }
        // The CR of a line of the full length does not count.
        if self.begun.len() + part.len() > LONGEST + 1 {
            self.skipping = true;
            self.begun.clear();
            inputs.push(Input::TooLong);
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}
