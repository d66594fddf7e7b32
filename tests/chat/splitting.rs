//! Lines out of bytes: `lines.rs` without any I/O.

use crate::lines::{Input, LONGEST, Lines};

/// Feeds the pieces.
fn inputs(pieces: &[&[u8]]) -> Vec<Input> {
    let mut lines = Lines::default();
    pieces.iter().flat_map(|it| lines.take(it)).collect()
}

fn line(text: &str) -> Input {
    Input::Line(text.to_owned())
}

#[test]
fn lines_end_with_lf_or_crlf_and_empty_ones_are_left_out() {
    let said = inputs(&[b"one\r\ntwo\n\n\r\n  \nthree\r\n"]);
    assert_eq!(said, [line("one"), line("two"), line("three")]);
}

#[test]
fn it_makes_no_difference_where_reads_cut() {
    let text = "añb\r\n\r\nc\rd\nunfinished".as_bytes();
    let whole = inputs(&[text]);
    assert_eq!(whole, [line("añb"), line("c\u{fffd}d")]);
    for a in 0..=text.len() {
        for b in a..=text.len() {
            assert_eq!(inputs(&[&text[..a], &text[a..b], &text[b..]]), whole);
        }
    }
}

#[test]
fn what_is_no_utf8_or_controls_a_terminal_is_replaced() {
    assert_eq!(inputs(&[b"a\xffb\n"]), [line("a\u{fffd}b")]);
    assert_eq!(inputs(&[b"\x1b[2Jx\ty\n"]), [line("\u{fffd}[2Jx\ty")]);
}

#[test]
fn a_line_that_is_too_long_is_told_once_and_skipped() {
    let full = "x".repeat(LONGEST);
    assert_eq!(inputs(&[full.as_bytes(), b"\r\n"]), [line(&full)]);
    let long = format!("{full}x\nnext\n");
    let expected = [Input::TooLong, line("next")];
    assert_eq!(inputs(&[long.as_bytes()]), expected);
    for cut in 0..long.len() {
        let (a, b) = long.as_bytes().split_at(cut);
        assert_eq!(inputs(&[a, b]), expected);
    }
    let endless = [full.as_bytes(); 8].concat();
    assert_eq!(inputs(&[&endless, &endless, b"\nnext\n"]), expected);
}
