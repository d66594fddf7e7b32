//! curl and wget, where they are installed.

use std::process::{Command, Output, Stdio};

use proactor_peers::{Directory, FileServer, Style, bytes};

const SIZES: [usize; 4] = [0, 1, 65_537, 3_000_000];

/// Runs a program. None, and a line that says so, where it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) => Some(output),
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

fn directory() -> Directory {
    let directory = Directory::new(env!("CARGO_TARGET_TMPDIR"));
    for size in SIZES {
        directory.put(&format!("{size}.bin"), &bytes(size));
    }
    directory.put("docs/index.html", b"<p>the docs</p>");
    directory
}

#[test]
fn curl_gets_the_same_bytes() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        for size in SIZES {
            let url = server.url(&format!("/{size}.bin"));
            let Some(output) = run("curl", &["--noproxy", "*", "-sSf", &url]) else {
                return server.finish();
            };
            assert!(output.status.success(), "{output:?}");
            assert!(output.stdout == bytes(size), "{size} bytes");
        }
        // Two files over one connection, from where a download had stopped, and a redirect.
        let url = server.url("/[65537-65537].bin");
        let arguments = ["--noproxy", "*", "-sSf", "-C", "65000", &url, &url];
        let output = run("curl", &arguments).expect("it has run before");
        let end = &bytes(65_537)[65_000..];
        assert!(output.stdout == [end, end].concat(), "{:?}", output.status);
        let arguments = ["--noproxy", "*", "-sSfL", &server.url("/docs")];
        let output = run("curl", &arguments).expect("it has run before");
        assert_eq!(output.stdout, b"<p>the docs</p>");
        let body = "x".repeat(2_000);
        // With a body that long, curl asks whether to send it: "Expect: 100-continue".
        let url = server.url("/1.bin");
        let arguments = [
            "--noproxy",
            "*",
            "-sS",
            "-o",
            "-",
            "-w",
            "%{http_code}",
            "-H",
            "Expect: 100-continue",
            "-d",
            &body,
            &url,
        ];
        let output = run("curl", &arguments).expect("it has run before");
        assert!(output.stdout.ends_with(b"405"), "{output:?}");
        server.finish();
    }
}

#[test]
fn wget_gets_the_same_bytes() {
    let directory = directory();
    for style in Style::BOTH {
        let Some(server) = FileServer::start(directory.path(), style) else {
            return;
        };
        for size in SIZES {
            let url = server.url(&format!("/{size}.bin"));
            let Some(output) = run("wget", &["--no-proxy", "-q", "-O", "-", &url]) else {
                return server.finish();
            };
            assert!(output.status.success(), "{output:?}");
            assert!(output.stdout == bytes(size), "{size} bytes");
        }
        server.finish();
    }
}
