//! Serves the built book to browsers on this machine: for who reads it over a port, not as files.
//!
//! A thread per connection, one request each. The first chapter says when that is enough.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// A request line and its headers are at most so long.
const LONGEST: u64 = 16 << 10;

/// Answers requests for files below `root`, for ever.
pub fn serve(listener: &TcpListener, root: &Path) {
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            // A browser that goes away is nobody's concern.
            scope.spawn(move || answer(&stream, root));
        }
    });
}

fn answer(mut stream: &TcpStream, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.take(LONGEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let mut words = first.split(' ');
    let (status, kind, body) = match (words.next(), words.next()) {
        (Some("GET" | "HEAD"), Some(path)) => match file(root, path) {
            Some((kind, body)) => ("200 OK", kind, body),
            None => ("404 Not Found", "text/plain", b"not in the book\n".to_vec()),
        },
        _ => ("400 Bad Request", "text/plain", b"GET /path\n".to_vec()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    match first.starts_with("HEAD") {
        true => Ok(()),
        false => stream.write_all(&body),
    }
}

/// The file that a path means, and of which kind it is; nothing outside of `root`.
fn file(root: &Path, path: &str) -> Option<(&'static str, Vec<u8>)> {
    let path = path.split(['?', '#']).next()?.trim_start_matches('/');
    let path = PathBuf::from(path.replace("%20", " "));
    if !path
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return None;
    }
    let mut path = root.join(path);
    if path.is_dir() {
        path.push("index.html");
    }
    let kind = match path.extension()?.to_str()? {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css",
        "js" => "text/javascript",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    };
    Some((kind, fs::read(path).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_book_is_served_and_nothing_else() {
        let home = std::env::temp_dir().join(format!("book-serve-{}", std::process::id()));
        fs::create_dir_all(home.join("book/deep")).unwrap();
        fs::write(home.join("book/index.html"), "the book").unwrap();
        fs::write(home.join("book/deep/a.css"), "a {}").unwrap();
        fs::write(home.join("secret.html"), "not the book").unwrap();
        let root = home.join("book");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let ask = |request: &str| {
            std::thread::scope(|scope| {
                let server = scope.spawn(|| answer(&listener.accept().unwrap().0, &root));
                let mut stream = TcpStream::connect(addr).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                let mut told = String::new();
                stream.read_to_string(&mut told).unwrap();
                server.join().unwrap().unwrap();
                told
            })
        };
        assert!(ask("GET / HTTP/1.1\r\n\r\n").ends_with("\r\n\r\nthe book"));
        assert!(
            ask("HEAD / HTTP/1.1\r\n\r\n")
                .ends_with("Content-Length: 8\r\nConnection: close\r\n\r\n")
        );
        assert!(ask("GET /deep/a.css?v=1 HTTP/1.1\r\nHost: a\r\n\r\n").contains("text/css"));
        assert!(ask("GET /../secret.html HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask("GET /deep HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask("hello\r\n\r\n").starts_with("HTTP/1.1 400"));
        fs::remove_dir_all(home).unwrap();
    }
}
