//! Heads of responses, and which bytes of a file a response carries: pure, without any I/O.
//!
//! Every response has a Content-Length, so its end is known without closing the connection. There is
//! no Date: the connection knows no clock but its proactor's, which is virtual in a simulation, and
//! a server without a clock must not invent one (RFC 9110, 6.6.1).

use std::io::Write as _;
use std::path::Path;

use crate::request::{Range, Target};

/// Every status that this server answers with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Status {
    Ok = 200,
    PartialContent = 206,
    MovedPermanently = 301,
    BadRequest = 400,
    Forbidden = 403,
    NotFound = 404,
    MethodNotAllowed = 405,
    RequestTimeout = 408,
    ContentTooLarge = 413,
    UriTooLong = 414,
    RangeNotSatisfiable = 416,
    ExpectationFailed = 417,
    HeadTooLarge = 431,
    InternalServerError = 500,
    NotImplemented = 501,
    Unavailable = 503,
    VersionNotSupported = 505,
}

impl Status {
    fn reason(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::PartialContent => "Partial Content",
            Status::MovedPermanently => "Moved Permanently",
            Status::BadRequest => "Bad Request",
            Status::Forbidden => "Forbidden",
            Status::NotFound => "Not Found",
            Status::MethodNotAllowed => "Method Not Allowed",
            Status::RequestTimeout => "Request Timeout",
            Status::ContentTooLarge => "Content Too Large",
            Status::UriTooLong => "URI Too Long",
            Status::RangeNotSatisfiable => "Range Not Satisfiable",
            Status::ExpectationFailed => "Expectation Failed",
            Status::HeadTooLarge => "Request Header Fields Too Large",
            Status::InternalServerError => "Internal Server Error",
            Status::NotImplemented => "Not Implemented",
            Status::Unavailable => "Service Unavailable",
            Status::VersionNotSupported => "HTTP Version Not Supported",
        }
    }

    /// The status for a file that can't be opened or read.
    pub(crate) fn of_error(error: &std::io::Error) -> Status {
        use std::io::ErrorKind;
        match error.kind() {
            // A name too long, or one below a file that is no directory, names nothing.
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                Status::NotFound
            }
            ErrorKind::PermissionDenied => Status::Forbidden,
            // Out of file descriptors (ENFILE, EMFILE) or memory: later it may work.
            ErrorKind::OutOfMemory => Status::Unavailable,
            _ if cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)) => Status::Unavailable,
            _ => Status::InternalServerError,
        }
    }
}

/// What a client may count on after a response.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Persistence {
    /// The connection stays open, as HTTP/1.1 assumes.
    Open,
    /// The connection stays open, and an HTTP/1.0 client has to be told (RFC 9112, 9.3).
    OpenAndSaid,
    /// No further request will be read.
    Close,
}

/// The bytes of a file that a response carries: `length` from `offset` on, of `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) status: Status,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) total: u64,
}

impl Part {
    /// What `range` selects of a file that is `total` bytes long (RFC 9110, 14.1.2).
    pub(crate) fn select(range: Option<Range>, total: u64) -> Part {
        let part = |status, offset, length| Part {
            status,
            offset,
            length,
            total,
        };
        match range {
            None => part(Status::Ok, 0, total),
            Some(Range::Between { first, last }) if first < total => {
                let length = last.min(total - 1) - first + 1;
                part(Status::PartialContent, first, length)
            }
            // The last n bytes of nothing are nothing, which Content-Range can't say.
            Some(Range::Suffix { length: 1.. }) if total == 0 => part(Status::Ok, 0, 0),
            Some(Range::Suffix {
                length: length @ 1..,
            }) => {
                let length = length.min(total);
                part(Status::PartialContent, total - length, length)
            }
            Some(_) => part(Status::RangeNotSatisfiable, 0, 0),
        }
    }
}

/// Writes the head of a response that carries a part of a file (or, for 416, says why it does not).
pub(crate) fn file_head(out: &mut Vec<u8>, path: &Path, part: Part, persistence: Persistence) {
    status_line(out, part.status, persistence);
    let Part {
        offset,
        length,
        total,
        ..
    } = part;
    match part.status {
        Status::RangeNotSatisfiable => put(out, format_args!("Content-Range: bytes */{total}\r\n")),
        Status::PartialContent => put(
            out,
            format_args!(
                "Content-Range: bytes {offset}-{}/{total}\r\n",
                offset + length - 1
            ),
        ),
        _ => {}
    }
    if part.status != Status::RangeNotSatisfiable {
        put(
            out,
            format_args!("Content-Type: {}\r\n", content_type(path)),
        );
    }
    put(
        out,
        format_args!("Accept-Ranges: bytes\r\nContent-Length: {length}\r\n\r\n"),
    );
}

/// Writes a whole response that carries no file: its body is its own name, for the people who see it.
pub(crate) fn refusal(
    out: &mut Vec<u8>,
    status: Status,
    head_only: bool,
    persistence: Persistence,
) {
    status_line(out, status, persistence);
    if status == Status::MethodNotAllowed {
        put(out, format_args!("Allow: GET, HEAD\r\n"));
    }
    finish(out, status, head_only);
}

/// Writes the whole response that sends a client from `/directory` to `/directory/`, where the
/// relative links of an index page lead to the right places.
pub(crate) fn redirect(out: &mut Vec<u8>, to: &Target, head_only: bool, persistence: Persistence) {
    status_line(out, Status::MovedPermanently, persistence);
    put(out, format_args!("Location: /"));
    // From the decoded path, not from what the client wrote: "//elsewhere" would lead elsewhere.
    for &byte in to.path.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(byte);
        } else {
            put(out, format_args!("%{byte:02X}"));
        }
    }
    put(out, format_args!("/\r\n"));
    finish(out, Status::MovedPermanently, head_only);
}

fn status_line(out: &mut Vec<u8>, status: Status, persistence: Persistence) {
    put(
        out,
        format_args!("HTTP/1.1 {} {}\r\n", status as u16, status.reason()),
    );
    match persistence {
        Persistence::Open => {}
        Persistence::OpenAndSaid => put(out, format_args!("Connection: keep-alive\r\n")),
        Persistence::Close => put(out, format_args!("Connection: close\r\n")),
    }
}

fn finish(out: &mut Vec<u8>, status: Status, head_only: bool) {
    let (code, reason) = (status as u16, status.reason());
    // The code, a space, the reason, a line feed.
    let length = 3 + 1 + reason.len() + 1;
    put(
        out,
        format_args!("Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"),
    );
    if !head_only {
        put(out, format_args!("{code} {reason}\n"));
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

/// The media type that a file's extension stands for.
fn content_type(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" | "rs" | "toml" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/vnd.microsoft.icon",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
