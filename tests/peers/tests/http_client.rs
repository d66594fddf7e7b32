//! A Rust HTTP client, which shares no code with the server.

use std::thread;

use proactor_peers::{Directory, FileServer, Style, bytes};
use ureq::http::StatusCode;
use ureq::{Agent, Body, http::Response};

/// The sizes at which pieces of 64 KiB begin, end, and do not matter.
const SIZES: [usize; 7] = [0, 1, 2, 65_535, 65_536, 65_537, 1_000_003];

fn directory() -> Directory {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"));
    for size in SIZES {
        directory.put(&format!("{size}.bin"), &bytes(size));
    }
    directory.put("index.html", b"<p>the root</p>");
    directory.put("docs/index.html", b"<p>the docs</p>");
    directory.put("with space/100%.txt", b"percent");
    std::fs::create_dir(directory.path().join("empty")).unwrap();
    directory
}

/// A client that takes a status of 404 for an answer, and a redirect for one too.
fn client() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn content(response: &mut Response<Body>) -> Vec<u8> {
    response.body_mut().read_to_vec().unwrap()
}

#[test]
fn files_arrive_byte_by_byte() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        let client = client();
        for size in SIZES {
            let url = server.url(&format!("/{size}.bin"));
            let mut response = client.get(&url).call().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(header(&response, "content-length"), size.to_string());
            assert_eq!(
                header(&response, "content-type"),
                "application/octet-stream"
            );
            assert!(
                content(&mut response) == bytes(size),
                "{size} bytes, {style:?}"
            );

            let mut response = client.head(&url).call().unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(header(&response, "content-length"), size.to_string());
            assert!(content(&mut response).is_empty());
        }
        server.finish();
    }
}

#[test]
fn ranges_arrive_byte_by_byte() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        let client = client();
        let whole = bytes(1_000_003);
        for (range, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=65535-65536", 65_535, 65_537),
            ("bytes=1000000-", 1_000_000, 1_000_003),
            ("bytes=999999-5000000", 999_999, 1_000_003),
            ("bytes=-70000", 930_003, 1_000_003),
            ("bytes=-5000000", 0, 1_000_003),
        ] {
            let request = client
                .get(server.url("/1000003.bin"))
                .header("range", range);
            let mut response = request.call().unwrap();
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            let expected = format!("bytes {from}-{}/1000003", to - 1);
            assert_eq!(header(&response, "content-range"), expected);
            assert!(
                content(&mut response) == whole[from..to],
                "{range}, {style:?}"
            );
        }
        for range in ["bytes=1000003-", "bytes=-0"] {
            let request = client
                .get(server.url("/1000003.bin"))
                .header("range", range);
            let mut response = request.call().unwrap();
            assert_eq!(
                response.status(),
                StatusCode::RANGE_NOT_SATISFIABLE,
                "{range}"
            );
            assert_eq!(header(&response, "content-range"), "bytes */1000003");
            assert!(content(&mut response).is_empty());
        }
        for range in ["bytes=5-2", "bytes=0-1,5-6", "pages=1-2"] {
            let request = client.get(server.url("/65537.bin")).header("range", range);
            let mut response = request.call().unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{range}");
            assert!(content(&mut response) == bytes(65_537), "{range}");
        }
        server.finish();
    }
}

#[test]
fn names_that_are_files_directories_and_nothing() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        let client = client();
        let get = |path: &str| {
            let mut response = client.get(server.url(path)).call().unwrap();
            let content = String::from_utf8(content(&mut response)).unwrap();
            (response.status().as_u16(), content)
        };
        assert_eq!(get("/"), (200, "<p>the root</p>".into()));
        assert_eq!(get("/docs/"), (200, "<p>the docs</p>".into()));
        assert_eq!(
            get("/docs/index.html?x=/../y"),
            (200, "<p>the docs</p>".into())
        );
        assert_eq!(get("/with%20space/100%25.txt"), (200, "percent".into()));
        assert_eq!(get("/nothing").0, 404);
        assert_eq!(get("/empty/").0, 404);
        assert_eq!(get("/index.html/").0, 404);
        assert_eq!(get("/index.html/below").0, 404);
        assert_eq!(get(&format!("/{}", "long".repeat(200))).0, 404);
        assert_eq!(get("/%2e%2e/%2e%2e/etc/hostname").0, 400);

        for method in ["GET", "HEAD"] {
            let request = ureq::http::Request::builder().method(method);
            let request = request.uri(server.url("/docs")).body(()).unwrap();
            let response = client.run(request).unwrap();
            assert_eq!(response.status(), StatusCode::MOVED_PERMANENTLY);
            assert_eq!(header(&response, "location"), "/docs/");
        }
        let response = client
            .post(server.url("/"))
            .send("to be thrown away")
            .unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&response, "allow"), "GET, HEAD");
        server.finish();
    }
}

#[test]
fn a_hundred_clients_at_once() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        thread::scope(|scope| {
            for number in 0..100 {
                let server = &server;
                scope.spawn(move || {
                    let client = client();
                    for turn in 0..6 {
                        let size = SIZES[(number + turn) % SIZES.len()];
                        let url = server.url(&format!("/{size}.bin"));
                        let mut response = client.get(url).call().unwrap();
                        assert_eq!(response.status(), StatusCode::OK);
                        assert!(content(&mut response) == bytes(size), "{size} bytes");
                    }
                });
            }
        });
        server.finish();
    }
}
