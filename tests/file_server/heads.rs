//! What a response says: `response.rs` without any I/O.

use std::io;
use std::path::Path;

use crate::request::{Range, Target};
use crate::response::{Part, Persistence, Status, file_head, redirect, refusal};

fn between(first: u64, last: u64, total: u64) -> Part {
    Part::select(Some(Range::Between { first, last }), total)
}

fn suffix(length: u64, total: u64) -> Part {
    Part::select(Some(Range::Suffix { length }), total)
}

#[track_caller]
fn assert_part(part: Part, status: Status, offset: u64, length: u64) {
    let total = part.total;
    assert_eq!(
        part,
        Part {
            status,
            offset,
            length,
            total
        }
    );
}

#[test]
fn a_range_selects_a_part() {
    assert_part(Part::select(None, 10), Status::Ok, 0, 10);
    assert_part(between(0, 0, 10), Status::PartialContent, 0, 1);
    assert_part(between(9, 9, 10), Status::PartialContent, 9, 1);
    assert_part(between(2, 5, 10), Status::PartialContent, 2, 4);
    assert_part(between(2, 10, 10), Status::PartialContent, 2, 8);
    assert_part(between(0, u64::MAX, 10), Status::PartialContent, 0, 10);
    assert_part(between(10, 10, 10), Status::RangeNotSatisfiable, 0, 0);
    assert_part(
        between(u64::MAX, u64::MAX, 10),
        Status::RangeNotSatisfiable,
        0,
        0,
    );
    assert_part(between(0, 0, 0), Status::RangeNotSatisfiable, 0, 0);
    assert_part(suffix(3, 10), Status::PartialContent, 7, 3);
    assert_part(suffix(10, 10), Status::PartialContent, 0, 10);
    assert_part(suffix(u64::MAX, 10), Status::PartialContent, 0, 10);
    assert_part(suffix(0, 10), Status::RangeNotSatisfiable, 0, 0);
    assert_part(suffix(0, 0), Status::RangeNotSatisfiable, 0, 0);
    assert_part(suffix(5, 0), Status::Ok, 0, 0);
    let all = Part::select(
        Some(Range::Between {
            first: 0,
            last: u64::MAX,
        }),
        u64::MAX,
    );
    assert_part(all, Status::PartialContent, 0, u64::MAX);
}

#[test]
fn every_part_lies_within_its_file() {
    for total in 0..6 {
        for a in 0..7 {
            for b in a..7 {
                for part in [between(a, b, total), suffix(a, total)] {
                    assert!(part.offset + part.length <= total, "{part:?}");
                }
            }
        }
    }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn file_heads() {
    let head = |path: &str, part, persistence| {
        text(|out| file_head(out, Path::new(path), part, persistence))
    };
    assert_eq!(
        head("a.html", Part::select(None, 7), Persistence::Open),
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nAccept-Ranges: bytes\r\n\
         Content-Length: 7\r\n\r\n"
    );
    assert_eq!(
        head("A.PNG", between(1, 3, 7), Persistence::OpenAndSaid),
        "HTTP/1.1 206 Partial Content\r\nConnection: keep-alive\r\nContent-Range: bytes 1-3/7\r\n\
         Content-Type: image/png\r\nAccept-Ranges: bytes\r\nContent-Length: 3\r\n\r\n"
    );
    assert_eq!(
        head("noname", between(7, 9, 7), Persistence::Close),
        "HTTP/1.1 416 Range Not Satisfiable\r\nConnection: close\r\nContent-Range: bytes */7\r\n\
         Accept-Ranges: bytes\r\nContent-Length: 0\r\n\r\n"
    );
    let plain = head("noname", Part::select(None, 0), Persistence::Open);
    assert!(
        plain.contains("Content-Type: application/octet-stream\r\n"),
        "{plain}"
    );
}

#[test]
fn refusals() {
    assert_eq!(
        text(|out| refusal(out, Status::NotFound, false, Persistence::Open)),
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 14\r\n\r\n404 Not Found\n"
    );
    // The same head as for GET, without the body (RFC 9110, 9.3.2).
    assert_eq!(
        text(|out| refusal(out, Status::MethodNotAllowed, true, Persistence::Close)),
        "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET, HEAD\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: 23\r\n\r\n"
    );
}

#[test]
fn a_redirect_stays_on_this_server_and_in_its_line() {
    let location = |path: &str| {
        let target = Target {
            path: path.into(),
            directory: false,
        };
        let head = text(|out| redirect(out, &target, true, Persistence::Open));
        let location = head.lines().find(|line| line.starts_with("Location: "));
        location.unwrap().to_string()
    };
    assert_eq!(location("a/b"), "Location: /a/b/");
    assert_eq!(location("a b\r\nX: y"), "Location: /a%20b%0D%0AX%3A%20y/");
    assert_eq!(location("100%ä"), "Location: /100%25%C3%A4/");
}

#[test]
fn errors_of_files() {
    let status = |kind: io::ErrorKind| Status::of_error(&kind.into());
    assert_eq!(status(io::ErrorKind::NotFound), Status::NotFound);
    assert_eq!(status(io::ErrorKind::NotADirectory), Status::NotFound);
    assert_eq!(status(io::ErrorKind::PermissionDenied), Status::Forbidden);
    assert_eq!(
        status(io::ErrorKind::UnexpectedEof),
        Status::InternalServerError
    );
    #[cfg(target_os = "linux")]
    {
        let errno = |code| Status::of_error(&io::Error::from_raw_os_error(code));
        const EIO: i32 = 5;
        const EMFILE: i32 = 24;
        const ENAMETOOLONG: i32 = 36;
        assert_eq!(errno(EIO), Status::InternalServerError);
        assert_eq!(errno(EMFILE), Status::Unavailable);
        assert_eq!(errno(ENAMETOOLONG), Status::NotFound);
    }
}
