//! Requests written by hand: what no decent client sends, and what is a matter of when.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use proactor_peers::{Directory, FileServer, Style, bytes};

fn directory() -> Directory {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"));
    directory.put("a.txt", b"alpha");
    directory.put("b.txt", b"beta");
    directory.put("large.bin", &LARGE);
    directory
}

/// More than the kernel's buffers of a connection hold.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| bytes(32 * 1024 * 1024));

fn for_both_styles(test: impl Fn(&FileServer)) {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        test(&server);
        server.finish();
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\n{fields}\r\n")
}

/// Reads one response: its status and its body.
fn response(stream: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(
            stream.read_line(&mut head).unwrap(),
            0,
            "it ends in {head:?}"
        );
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head[9..12].parse().unwrap(), body)
}

fn assert_ended(mut stream: impl Read) {
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

/// The statuses in what a whole connection has received.
fn statuses(answer: &str) -> Vec<&str> {
    answer
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|rest| &rest[..3])
        .collect()
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    for_both_styles(|server| {
        let mut stream = BufReader::new(server.connect());
        let requests: String = (0..200)
            .map(|number| get(if number % 3 == 0 { "/a.txt" } else { "/b.txt" }, ""))
            .collect();
        stream.get_mut().write_all(requests.as_bytes()).unwrap();
        for number in 0..200 {
            let expected = if number % 3 == 0 {
                &b"alpha"[..]
            } else {
                b"beta"
            };
            assert_eq!(response(&mut stream), (200, expected.to_vec()));
        }
    });
}

#[test]
fn a_request_may_come_byte_by_byte() {
    for_both_styles(|server| {
        let mut stream = server.connect();
        stream.set_nodelay(true).unwrap();
        for byte in get("/a.txt", "Connection: close\r\n").as_bytes() {
            stream.write_all(&[*byte]).unwrap();
        }
        let mut stream = BufReader::new(stream);
        assert_eq!(response(&mut stream), (200, b"alpha".to_vec()));
        assert_ended(stream);
    });
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answers() {
    for_both_styles(|server| {
        let mut stream = server.connect();
        let requests = get("/a.txt", "") + &get("/large.bin", "") + &get("/b.txt", "");
        stream.write_all(requests.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut stream = BufReader::new(stream);
        assert_eq!(response(&mut stream), (200, b"alpha".to_vec()));
        assert!(response(&mut stream) == (200, LARGE.clone()));
        assert_eq!(response(&mut stream), (200, b"beta".to_vec()));
        assert_ended(stream);
    });
}

#[test]
fn a_connection_closes_when_the_client_says_so() {
    for_both_styles(|server| {
        let close = get("/a.txt", "Connection: close\r\n") + &get("/b.txt", "");
        assert_eq!(statuses(&server.talk(close.as_bytes())), ["200"]);
        let old = "GET /a.txt HTTP/1.0\r\n\r\nGET /b.txt HTTP/1.0\r\n\r\n";
        assert_eq!(statuses(&server.talk(old.as_bytes())), ["200"]);
        let old =
            "GET /a.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b.txt HTTP/1.0\r\n\r\n";
        let answer = server.talk(old.as_bytes());
        assert_eq!(statuses(&answer), ["200", "200"]);
        assert_eq!(answer.matches("Connection: keep-alive").count(), 1);
        assert_eq!(answer.matches("Connection: close").count(), 1);
    });
}

#[test]
fn bodies_are_skipped_and_what_they_look_like_is_not_served() {
    for_both_styles(|server| {
        let inner = get("/b.txt", "");
        let fields = format!("Content-Length: {}\r\n", inner.len());
        let last = get("/nothing", "Connection: close\r\n");
        let requests = get("/a.txt", &fields) + &inner + &last;
        assert_eq!(statuses(&server.talk(requests.as_bytes())), ["200", "404"]);

        // 60 KB: more than the buffer for heads holds.
        let fields = "Content-Length: 60000\r\n";
        let requests = get("/a.txt", fields) + &"x".repeat(60_000) + &last;
        assert_eq!(statuses(&server.talk(requests.as_bytes())), ["200", "404"]);
    });
}

#[test]
fn messages_without_a_clear_end_end_the_connection() {
    for_both_styles(|server| {
        for (fields, status) in [
            ("Transfer-Encoding: chunked\r\n", "501"),
            ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "400"),
            ("Content-Length: 4\r\nContent-Length: 5\r\n", "400"),
            ("Content-Length: -4\r\n", "400"),
            ("Content-Length: 65537\r\n", "413"),
            ("Content-Length : 4\r\n", "400"),
            ("Expect: 100-continue\r\nContent-Length: 4\r\n", "200"),
        ] {
            let requests = get("/a.txt", fields) + "0\r\n\r\n" + &get("/b.txt", "");
            let answer = server.talk(requests.as_bytes());
            assert_eq!(statuses(&answer), [status], "{fields:?}");
            assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        }
    });
}

#[test]
fn heads_that_are_too_long_are_answered_not_reset() {
    for_both_styles(|server| {
        // A client that is still sending when the answer leaves: a reset would destroy the answer.
        let long = get("/a.txt", &format!("A: {}\r\n", "b".repeat(500_000)));
        assert_eq!(statuses(&server.talk(long.as_bytes())), ["431"]);
        let long = get(&format!("/{}", "a".repeat(500_000)), "");
        assert_eq!(statuses(&server.talk(long.as_bytes())), ["414"]);
        assert_eq!(
            statuses(&server.talk(b"\x16\x03\x01\x02\0\x01\0\x01")),
            ["400"]
        );
    });
}

#[test]
fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let directory = directory();
    for style in Style::BOTH {
        let idle = Duration::from_millis(300);
        let Some(server) = FileServer::with_idle_time(directory.path(), style, idle) else {
            return;
        };
        let mut stream = BufReader::new(server.connect());
        let begin = std::time::Instant::now();
        // Longer than the idle time in all, shorter between requests: no timer of an earlier wait
        // may hit a later request.
        while begin.elapsed() < 3 * idle {
            stream
                .get_mut()
                .write_all(get("/a.txt", "").as_bytes())
                .unwrap();
            assert_eq!(response(&mut stream), (200, b"alpha".to_vec()));
        }
        assert_ended(stream);
        server.finish();
    }
}

#[test]
fn shutting_down_finishes_what_has_begun() {
    for_both_styles(|server| {
        let mut idle = BufReader::new(server.connect());
        idle.get_mut()
            .write_all(get("/a.txt", "").as_bytes())
            .unwrap();
        assert_eq!(response(&mut idle), (200, b"alpha".to_vec()));

        let mut busy = BufReader::new(server.connect());
        let requests = get("/large.bin", "") + &get("/b.txt", "");
        busy.get_mut().write_all(requests.as_bytes()).unwrap();
        let mut first = [0; 1];
        busy.read_exact(&mut first).unwrap();
        assert_eq!(first, *b"H");

        server.stop();
        // The end of this one says that the server is shutting down, while the large file, most of
        // which fits in no buffer, is still on its way.
        assert_ended(idle);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            busy.read_line(&mut head).unwrap();
        }
        let mut body = vec![0; LARGE.len()];
        busy.read_exact(&mut body).unwrap();
        assert!(body == *LARGE);
        // The request behind it had been received: it is answered, and the last one.
        let (status, body) = response(&mut busy);
        assert_eq!((status, &body[..]), (200, &b"beta"[..]));
        assert_ended(busy);
        assert!(TcpStream::connect(server.addr()).is_err());
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_harms_nobody() {
    for_both_styles(|server| {
        for _ in 0..20 {
            let mut stream = server.connect();
            stream.write_all(get("/large.bin", "").as_bytes()).unwrap();
            stream.read_exact(&mut [0; 100]).unwrap();
        }
        let answer = server.talk(get("/a.txt", "Connection: close\r\n").as_bytes());
        assert_eq!(statuses(&answer), ["200"]);
    });
}
