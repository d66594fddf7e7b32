//! Numbers and places as people read them, and durations as the kernel counts them.

use std::panic::Location;

pub(crate) use crate::time::nanos;

/// `2 ms`, `1.5 s`, `10 us`: in the largest unit that is not below one, to the last nanosecond.
pub(crate) fn duration(nanos: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let (size, unit) = UNITS
        .into_iter()
        .find(|(size, _)| nanos >= *size)
        .unwrap_or((1, "ns"));
    let (whole, rest) = (nanos / size, nanos % size);
    let digits = size.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    match fraction.trim_end_matches('0') {
        "" => format!("{whole} {unit}"),
        fraction => format!("{whole}.{fraction} {unit}"),
    }
}

/// `1 byte`, `48,213 bytes`.
pub(crate) fn plural(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        n => format!("{} {noun}s", grouped(n)),
    }
}

/// `48213` as `48,213`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `src/main.rs:7`.
pub(crate) fn place(location: &Location<'_>) -> String {
    format!("{}:{}", file(location.file()), location.line())
}

/// `tests/chat/../../examples/chat/room.rs`, as the compiler calls a module with a `#[path]`, as
/// `examples/chat/room.rs`. Under a folder that is a link that is another one: it is for reading only.
pub(crate) fn file(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match parts.last() {
            Some(&last) if part == ".." && !matches!(last, "" | "." | "..") => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let said = [0, 7, 10_000, 2_000_000, 1_500_000_000, 1_000_000_001];
        let said = said.map(duration);
        assert_eq!(
            said,
            ["0 ns", "7 ns", "10 us", "2 ms", "1.5 s", "1.000000001 s"]
        );
        assert_eq!(plural(1, "byte"), "1 byte");
        assert_eq!(plural(0, "byte"), "0 bytes");
        assert_eq!(plural(48_213, "step"), "48,213 steps");
    }

    #[test]
    fn files_read_well() {
        assert_eq!(file("tests/a/../../examples/b/c.rs"), "examples/b/c.rs");
        for same in [
            "../a.rs",
            "/../a.rs",
            "./../a.rs",
            "../../a.rs",
            "src/a.rs",
            r"src\a.rs",
        ] {
            assert_eq!(file(same), same);
        }
    }
}
