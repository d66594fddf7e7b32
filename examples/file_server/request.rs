//! From bytes to a request: pure, without any I/O.
//!
//! `httparse` knows the grammar of a head. What stands here is what a server has to decide on top of
//! it: where a message ends (or that nobody can tell, which closes the connection), which file is
//! meant, which bytes of it.

use crate::response::Status;

/// More header fields than any honest client sends.
const MAX_FIELDS: usize = 64;

/// What the bytes at the start of a connection's input are.
#[derive(Debug, PartialEq)]
pub(crate) enum Parsed {
    /// The beginning of a head.
    Incomplete,
    /// A whole head, `length` bytes long.
    Complete { request: Request, length: usize },
    /// Nothing that can be answered and followed by another request: where this message ends is
    /// unknown, or in doubt. Answer with this status, then close (RFC 9112, 6.3 and 9.6).
    Refused { status: Status, head_only: bool },
}

/// A request whose end in the byte stream is known.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// What is asked for, or the status that refuses it. A refusal costs this request, not the
    /// connection.
    pub(crate) wanted: Result<Wanted, Status>,
    /// HEAD: the head of the answer, without its body.
    pub(crate) head_only: bool,
    /// The client speaks HTTP/1.0: keep-alive has to be confirmed.
    pub(crate) http_1_0: bool,
    /// The connection may serve another request afterwards.
    pub(crate) keep_alive: bool,
    /// So many bytes of body follow the head. They are thrown away.
    pub(crate) body: u64,
}

/// A part of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) target: Target,
    pub(crate) range: Option<Range>,
}

/// A path below the root: decoded, and free of everything that could lead out of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Target {
    /// `a/b`, no slash at either end; empty for the root.
    pub(crate) path: String,
    /// The request ended in a slash: its index is meant.
    pub(crate) directory: bool,
}

/// One range of bytes, as the client wrote it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Range {
    /// `bytes=first-last` and `bytes=first-` (last is then the largest number there is).
    Between { first: u64, last: u64 },
    /// `bytes=-length`
    Suffix { length: u64 },
}

/// Reads the head at the start of `input`. `max_head` and `max_body` bound what is waited for.
pub(crate) fn parse(input: &[u8], max_head: usize, max_body: u64) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let status = match head.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= max_head => {
            match Request::from_head(&head, max_body) {
                Ok(request) => return Parsed::Complete { request, length },
                Err(status) => status,
            }
        }
        Ok(httparse::Status::Partial) if input.len() < max_head => return Parsed::Incomplete,
        // Too long. Without the end of one line it is the target that is (RFC 9112, 3).
        Ok(_) if !input.trim_ascii_start().contains(&b'\n') => Status::UriTooLong,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Status::HeadTooLarge,
        Err(httparse::Error::Version) => Status::VersionNotSupported,
        Err(_) => Status::BadRequest,
    };
    Parsed::Refused {
        status,
        head_only: input.trim_ascii_start().starts_with(b"HEAD "),
    }
}

impl Request {
    /// `Err`: the connection can't go on after the answer.
    fn from_head(head: &httparse::Request<'_, '_>, max_body: u64) -> Result<Request, Status> {
        let fields = Fields(head.headers);
        let http_1_0 = head.version == Some(0);
        let method = head.method.unwrap_or_default();
        let target = head.path.unwrap_or_default();

        fields.check_host(http_1_0)?;
        let body = fields.body_length(http_1_0)?;
        if body > max_body {
            return Err(Status::ContentTooLarge);
        }
        let expectation = if http_1_0 {
            None
        } else {
            fields.only("expect")?
        };
        if expectation.is_some_and(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
            return Err(Status::ExpectationFailed);
        }
        // Who expects "100 Continue" and gets a final answer may send the body or leave it out:
        // from then on nobody knows where the next request starts (RFC 9110, 10.1.1).
        let unsure = expectation.is_some() && body > 0;
        let keep_alive = !fields.lists("connection", "close")
            && (!http_1_0 || fields.lists("connection", "keep-alive"));

        let head_only = method == "HEAD";
        let wanted = match method {
            "GET" | "HEAD" => parse_target(target.as_bytes()).map(|target| {
                // A range counts for GET alone (RFC 9110, 14.2). This server sends no validators,
                // so the condition of an If-Range never holds, and the range is ignored (13.1.5).
                let conditional = fields.all("if-range").next().is_some();
                let range = match fields.only("range") {
                    Ok(Some(value)) if !head_only && !conditional => parse_range(value),
                    _ => None,
                };
                Wanted { target, range }
            }),
            "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
                Err(Status::MethodNotAllowed)
            }
            _ => Err(Status::NotImplemented),
        };
        Ok(Request {
            wanted,
            head_only,
            http_1_0,
            keep_alive: keep_alive && !unsure,
            body: if unsure { 0 } else { body },
        })
    }
}

/// The header fields of one head. Names are compared without case (RFC 9110, 5.1).
struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    /// The value of a field that may appear once.
    fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Status> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Status::BadRequest),
        }
    }

    /// Whether the comma-separated lists of that name hold `token`.
    fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }

    /// HTTP/1.1: exactly one Host, and a possible one (RFC 9112, 3.2).
    fn check_host(&self, http_1_0: bool) -> Result<(), Status> {
        match self.only("host")? {
            None if !http_1_0 => Err(Status::BadRequest),
            Some(value) if !value.iter().all(|&byte| is_in_authority(byte)) => {
                Err(Status::BadRequest)
            }
            _ => Ok(()),
        }
    }

    /// How many bytes of body follow (RFC 9112, 6.3). Two parties that disagree on this can be made
    /// to disagree on what the next request is, so everything ambiguous is refused.
    fn body_length(&self, http_1_0: bool) -> Result<u64, Status> {
        let length = self.only("content-length")?;
        if self.all("transfer-encoding").next().is_some() {
            return Err(if http_1_0 || length.is_some() {
                Status::BadRequest
            } else {
                Status::NotImplemented
            });
        }
        match length {
            None => Ok(0),
            Some(digits) => number(digits).ok_or(Status::BadRequest),
        }
    }
}

/// 1*DIGIT and nothing else: `u64::from_str` would also take a plus sign. Numbers too large for
/// anything are as good as the largest one.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

/// A byte that a host and port can hold (RFC 3986, 3.2.2 and 3.2.3).
fn is_in_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%[]".contains(&byte)
}

/// The path that a request target names (RFC 9112, 3.2): origin form, or absolute form.
fn parse_target(target: &[u8]) -> Result<Target, Status> {
    let path = match target {
        [b'/', ..] => target,
        _ => after_authority(target).ok_or(Status::BadRequest)?,
    };
    if path.contains(&b'#') {
        return Err(Status::BadRequest);
    }
    let path = path.split(|&byte| byte == b'?').next().unwrap_or_default();

    // Decoded first, and once; only then looked at. "%2e%2e%2f" is "../" to the file system.
    let path = percent_decode(path).ok_or(Status::BadRequest)?;
    let path = String::from_utf8(path).map_err(|_| Status::BadRequest)?;
    if path.contains(['\0', '\\']) {
        return Err(Status::BadRequest);
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            ".." => return Err(Status::BadRequest),
            // No segment is empty, so the path can't turn absolute when it is joined to the root.
            "" | "." => {}
            name => segments.push(name),
        }
    }
    Ok(Target {
        directory: segments.is_empty() || path.ends_with('/') || path.ends_with("/."),
        path: segments.join("/"),
    })
}

/// `/path` of `http://authority/path`.
fn after_authority(target: &[u8]) -> Option<&[u8]> {
    let rest = match target.split_at_checked(7)? {
        (scheme, rest) if scheme.eq_ignore_ascii_case(b"http://") => rest,
        _ => return None,
    };
    let end = rest.iter().position(|&byte| !is_in_authority(byte));
    match rest.split_at(end.unwrap_or(rest.len())) {
        ([], _) => None,
        (_, []) => Some(b"/"),
        (_, path @ [b'/', ..]) => Some(path),
        (_, [b'?', ..]) => Some(b"/"),
        _ => None,
    }
}

fn percent_decode(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let [high, low, tail @ ..] = tail else {
            return None;
        };
        decoded.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = tail;
    }
    Some(decoded)
}

/// A single range of bytes. Anything else (other units, malformed, several ranges) is none: a server
/// may always answer with the whole file instead (RFC 9110, 14.2).
fn parse_range(value: &[u8]) -> Option<Range> {
    let equals = value.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = (&value[..equals], &value[equals + 1..]);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let dash = set.iter().position(|&byte| byte == b'-')?;
    match (&set[..dash], &set[dash + 1..]) {
        ([], length) => Some(Range::Suffix {
            length: number(length)?,
        }),
        (first, []) => Some(Range::Between {
            first: number(first)?,
            last: u64::MAX,
        }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            // "A int-range is invalid if the last-pos value is less than the first-pos" (14.1.1).
            (first <= last).then_some(Range::Between { first, last })
        }
    }
}
