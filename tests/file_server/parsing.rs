//! What the bytes of a request mean: `request.rs` without any I/O.

use crate::request::{Parsed, Range, Request, Target, Wanted, parse};
use crate::response::Status;

const MAX_HEAD: usize = 1024;
const MAX_BODY: u64 = 100;

#[track_caller]
fn request(head: &str) -> Request {
    match parse(head.as_bytes(), MAX_HEAD, MAX_BODY) {
        Parsed::Complete { request, length } => {
            assert_eq!(length, head.len(), "{head:?}");
            request
        }
        other => panic!("{head:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(head: &str) -> Status {
    match parse(head.as_bytes(), MAX_HEAD, MAX_BODY) {
        Parsed::Refused { status, .. } => status,
        other => panic!("{head:?}: {other:?}"),
    }
}

/// The request for `target` with some more fields.
fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: here\r\n{fields}\r\n")
}

#[track_caller]
fn target(target: &str) -> Result<(String, bool), Status> {
    let wanted = request(&get(target, "")).wanted?;
    Ok((wanted.target.path, wanted.target.directory))
}

#[track_caller]
fn range(fields: &str) -> Option<Range> {
    request(&get("/", fields)).wanted.unwrap().range
}

#[test]
fn a_plain_request() {
    assert_eq!(
        request(&get("/a/b.txt?version=2", "")),
        Request {
            wanted: Ok(Wanted {
                target: Target {
                    path: "a/b.txt".into(),
                    directory: false
                },
                range: None,
            }),
            head_only: false,
            http_1_0: false,
            keep_alive: true,
            body: 0,
        }
    );
    assert!(request("HEAD / HTTP/1.1\r\nHost: here\r\n\r\n").head_only);
}

#[test]
fn what_follows_a_head_is_not_part_of_it() {
    let first = get("/1", "");
    let both = format!("{first}{}", get("/2", ""));
    let Parsed::Complete { length, .. } = parse(both.as_bytes(), MAX_HEAD, MAX_BODY) else {
        panic!("it is complete");
    };
    assert_eq!(length, first.len());
}

#[test]
fn every_beginning_of_a_head_is_incomplete() {
    let head = get("/a", "Range: bytes=1-2\r\n");
    for end in 0..head.len() {
        let parsed = parse(&head.as_bytes()[..end], MAX_HEAD, MAX_BODY);
        assert_eq!(parsed, Parsed::Incomplete, "{:?}", &head[..end]);
    }
}

#[test]
fn targets_are_decoded_and_cleaned() {
    let file = |path: &str| Ok((path.to_string(), false));
    let directory = |path: &str| Ok((path.to_string(), true));
    assert_eq!(target("/"), directory(""));
    assert_eq!(target("/a/"), directory("a"));
    assert_eq!(target("/a/."), directory("a"));
    assert_eq!(target("//a///b"), file("a/b"));
    assert_eq!(target("/./a/./b"), file("a/b"));
    assert_eq!(target("/a%20b%2Fc"), file("a b/c"));
    assert_eq!(target("/%c3%a4"), file("ä"));
    assert_eq!(target("/a?b=../c"), file("a"));
    assert_eq!(target("/..a/b.."), file("..a/b.."));
    // Decoded once: this is a name with a percent sign.
    assert_eq!(target("/%252e%252e"), file("%2e%2e"));
    // The absolute form that proxies send (RFC 9112, 3.2.2).
    assert_eq!(target("http://here:80/a"), file("a"));
    assert_eq!(target("HTTP://here"), directory(""));
    assert_eq!(target("http://here?q"), directory(""));
}

#[test]
fn targets_that_lead_out_of_the_root_are_refused() {
    for bad in [
        "/..",
        "/../etc/passwd",
        "/a/../../b",
        "/a/..",
        "/%2e%2e/a",
        "/%2E./a",
        "/a%2f..%2f..%2fb",
        "/..%2fa",
        "/a\\b",
        "/..%5ca",
        "/a%00.txt",
        "/%",
        "/%4",
        "/%zz",
        "/%+1",
        "/%ff",
        "/a#b",
        "a",
        "*",
        "http://",
        "http:///a",
        "ftp://here/a",
        "http://he^re",
    ] {
        let head = get(bad, "");
        match parse(head.as_bytes(), MAX_HEAD, MAX_BODY) {
            Parsed::Complete { request, .. } => {
                assert_eq!(request.wanted, Err(Status::BadRequest), "{bad}");
            }
            Parsed::Refused { status, .. } => assert_eq!(status, Status::BadRequest, "{bad}"),
            Parsed::Incomplete => panic!("{bad}"),
        }
    }
}

#[test]
fn ranges() {
    let between = |first, last| Some(Range::Between { first, last });
    assert_eq!(range(""), None);
    assert_eq!(range("Range: bytes=0-0\r\n"), between(0, 0));
    assert_eq!(range("range: Bytes=5-9\r\n"), between(5, 9));
    assert_eq!(range("Range: bytes=5-\r\n"), between(5, u64::MAX));
    let suffix = |length| Some(Range::Suffix { length });
    assert_eq!(range("Range: bytes=-7\r\n"), suffix(7));
    assert_eq!(range("Range: bytes=-0\r\n"), suffix(0));
    let huge = "9".repeat(40);
    assert_eq!(
        range(&format!("Range: bytes=1-{huge}\r\n")),
        between(1, u64::MAX)
    );
    assert_eq!(
        range(&format!("Range: bytes=-{huge}\r\n")),
        suffix(u64::MAX)
    );
}

#[test]
fn ranges_that_are_none_are_ignored() {
    for value in [
        "bytes=",
        "bytes=-",
        "bytes=5",
        "bytes=9-5",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=1-+2",
        "bytes=--2",
        "bytes=1-2-3",
        "bytes=0x1-2",
        "bytes=1-2,4-5",
        "bytes 1-2",
        "lines=1-2",
        "1-2",
    ] {
        assert_eq!(range(&format!("Range: {value}\r\n")), None, "{value}");
    }
    assert_eq!(range("Range: bytes=1-2\r\nRange: bytes=4-5\r\n"), None);
    assert_eq!(range("Range: bytes=1-2\r\nIf-Range: \"tag\"\r\n"), None);
    let head = request("HEAD / HTTP/1.1\r\nHost: here\r\nRange: bytes=1-2\r\n\r\n");
    assert_eq!(head.wanted.unwrap().range, None);
}

#[test]
fn connections_persist_as_rfc_9112_says() {
    let keep_alive = |version: &str, fields: &str| {
        request(&format!("GET / {version}\r\nHost: here\r\n{fields}\r\n")).keep_alive
    };
    assert!(keep_alive("HTTP/1.1", ""));
    assert!(!keep_alive("HTTP/1.1", "Connection: close\r\n"));
    assert!(!keep_alive("HTTP/1.1", "connection: Upgrade , CLOSE\r\n"));
    assert!(!keep_alive(
        "HTTP/1.1",
        "Connection: upgrade\r\nConnection: close\r\n"
    ));
    assert!(keep_alive("HTTP/1.1", "Connection: close-not\r\n"));
    assert!(!keep_alive("HTTP/1.0", ""));
    assert!(keep_alive("HTTP/1.0", "Connection: keep-alive\r\n"));
    assert!(!keep_alive("HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn bodies_have_one_length_or_the_connection_ends() {
    let length = |fields: &str| request(&get("/", fields)).body;
    assert_eq!(length("Content-Length: 100\r\n"), 100);
    assert_eq!(length("Content-Length: 000\r\n"), 0);
    let old = "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old), Status::BadRequest);
    let refused = |fields: &str| refused(&get("/", fields));
    assert_eq!(refused("Content-Length: 101\r\n"), Status::ContentTooLarge);
    let huge = "9".repeat(40);
    assert_eq!(
        refused(&format!("Content-Length: {huge}\r\n")),
        Status::ContentTooLarge
    );
    for bad in ["", "+5", "-5", "5,5", "5, 5", "0x5", "5 5", "five"] {
        let status = refused(&format!("Content-Length: {bad}\r\n"));
        assert_eq!(status, Status::BadRequest, "{bad:?}");
    }
    let twice = "Content-Length: 5\r\nContent-Length: 5\r\n";
    assert_eq!(refused(twice), Status::BadRequest);
    assert_eq!(
        refused("Transfer-Encoding: chunked\r\n"),
        Status::NotImplemented
    );
    assert_eq!(
        refused("Transfer-Encoding: xchunked\r\n"),
        Status::NotImplemented
    );
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    assert_eq!(refused(both), Status::BadRequest);
}

#[test]
fn who_waits_for_a_continue_gets_the_answer_and_the_end() {
    let waits = request(&get("/", "Expect: 100-Continue\r\nContent-Length: 5\r\n"));
    assert!(!waits.keep_alive);
    assert_eq!(waits.body, 0);
    // Nothing to wait for: no reason to close.
    assert!(request(&get("/", "Expect: 100-continue\r\n")).keep_alive);
    let old = "GET / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(request(old).body, 5);
    assert_eq!(
        refused(&get("/", "Expect: miracles\r\n")),
        Status::ExpectationFailed
    );
}

#[test]
fn hosts() {
    let head = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    assert_eq!(refused(&head("")), Status::BadRequest);
    assert_eq!(refused(&head("Host: a\r\nHost: a\r\n")), Status::BadRequest);
    assert_eq!(refused(&head("Host: a b\r\n")), Status::BadRequest);
    assert_eq!(refused(&head("Host: a/b\r\n")), Status::BadRequest);
    request(&head("Host:\r\n"));
    request(&head("Host: [::1]:8080\r\n"));
    request("GET / HTTP/1.0\r\n\r\n");
}

#[test]
fn methods() {
    let status = |method: &str| {
        let head = format!("{method} / HTTP/1.1\r\nHost: here\r\n\r\n");
        request(&head).wanted.unwrap_err()
    };
    assert_eq!(status("POST"), Status::MethodNotAllowed);
    assert_eq!(status("OPTIONS"), Status::MethodNotAllowed);
    assert_eq!(status("BREW"), Status::NotImplemented);
    // Methods are case-sensitive (RFC 9110, 9.1).
    assert_eq!(status("get"), Status::NotImplemented);
}

#[test]
fn heads_that_are_too_long() {
    // The whole head may fill the limit, and no more.
    let fits = get("/", "");
    let fits = get(
        "/",
        &format!("a: {}\r\n", "b".repeat(MAX_HEAD - fits.len() - 5)),
    );
    assert_eq!(fits.len(), MAX_HEAD);
    request(&fits);
    let long = get("/", &format!("a: {}\r\n", "b".repeat(MAX_HEAD)));
    assert_eq!(refused(&long), Status::HeadTooLarge);
    assert_eq!(refused(&long[..MAX_HEAD]), Status::HeadTooLarge);
    assert_eq!(
        refused(&get("/", &"a: b\r\n".repeat(65))),
        Status::HeadTooLarge
    );
    assert_eq!(refused(&"\r\n".repeat(MAX_HEAD)), Status::UriTooLong);
    let target = get(&format!("/{}", "a".repeat(MAX_HEAD)), "");
    assert_eq!(refused(&target[..MAX_HEAD]), Status::UriTooLong);
}

#[test]
fn what_is_no_http_is_refused() {
    for (head, status) in [
        ("GET /\r\n\r\n", Status::BadRequest),
        ("GET / HTTP/2.0\r\n\r\n", Status::VersionNotSupported),
        ("GET / HTTP/0.9\r\n\r\n", Status::VersionNotSupported),
        ("\x16\x03\x01\x02\0\x01", Status::BadRequest),
        ("GET / HTTP/1.1\r\nHost : here\r\n\r\n", Status::BadRequest),
        (
            "GET / HTTP/1.1\r\nHost: here\r\n folded\r\n\r\n",
            Status::BadRequest,
        ),
        ("GET / HTTP/1.1\r\nHost: he\0re\r\n\r\n", Status::BadRequest),
        (
            "GET / HTTP/1.1\r\nHost: here\rX: y\r\n\r\n",
            Status::BadRequest,
        ),
    ] {
        assert_eq!(refused(head), status, "{head:?}");
    }
}

#[test]
fn a_refused_head_request_is_still_one() {
    let parsed = parse(b"\r\nHEAD / HTTP/1.1\r\n\r\n", MAX_HEAD, MAX_BODY);
    let status = Status::BadRequest;
    assert_eq!(
        parsed,
        Parsed::Refused {
            status,
            head_only: true
        }
    );
}
