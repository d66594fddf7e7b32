//! The file server as a plain function from a conversation to the bytes that a client receives. It
//! knows HTTP from the RFCs and shares no code with the server.

/// The files that are served.
pub(crate) const FILES: [(&str, &[u8]); 4] = [
    ("/site/index.html", b"<p>hello</p>"),
    ("/site/poem.txt", b"so much depends upon a red wheel barrow"),
    ("/site/empty.txt", b""),
    ("/site/docs/index.html", b"<p>docs</p>"),
];

/// A request as a client means it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// The value of a Range field.
    pub(crate) range: Option<&'static str>,
    /// A body to go with it.
    pub(crate) body: &'static str,
    /// Whether it is the last one.
    pub(crate) close: bool,
}

/// A GET of `path`.
pub(crate) const fn get(path: &'static str) -> Ask {
    Ask {
        method: "GET",
        path,
        range: None,
        body: "",
        close: false,
    }
}

impl Ask {
    /// The bytes of the request.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: simulated\r\n",
            self.method, self.path
        );
        if let Some(range) = self.range {
            text += &format!("Range: {range}\r\n");
        }
        if !self.body.is_empty() {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        if self.close {
            text += "Connection: close\r\n";
        }
        (text + "\r\n" + self.body).into_bytes()
    }

    /// The bytes of the answer.
    pub(crate) fn answer(&self) -> Vec<u8> {
        if self.method != "GET" && self.method != "HEAD" {
            return self.plain("405 Method Not Allowed", "Allow: GET, HEAD\r\n");
        }
        let mut name = format!("/site{}", self.path);
        if name.ends_with('/') {
            name += "index.html";
        }
        let Some((_, content)) = FILES.iter().find(|(path, _)| *path == name) else {
            return self.plain("404 Not Found", "");
        };
        let total = content.len();
        let (status, selected) = match self.range {
            None => ("200 OK".to_string(), *content),
            Some(range) => {
                let (first, last) = range["bytes=".len()..].split_once('-').unwrap();
                let first: usize = first.parse().unwrap();
                if first >= total {
                    return self.head(
                        "416 Range Not Satisfiable",
                        &format!("Content-Range: bytes */{total}\r\nAccept-Ranges: bytes\r\n"),
                        b"",
                    );
                }
                let last = last.parse().unwrap_or(usize::MAX).min(total - 1);
                (
                    format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{total}"),
                    &content[first..=last],
                )
            }
        };
        // The Connection field stands before the others.
        let (status, content_range) = status.split_once("\r\n").unwrap_or((&status, ""));
        let mut fields = String::new();
        if !content_range.is_empty() {
            fields += &format!("{content_range}\r\n");
        }
        let kind = if name.ends_with(".html") {
            "html"
        } else {
            "plain"
        };
        fields += &format!("Content-Type: text/{kind}; charset=utf-8\r\nAccept-Ranges: bytes\r\n");
        self.head(status, &fields, selected)
    }

    /// What else the answer may be when the file can't be read.
    fn excuses(&self) -> Vec<Vec<u8>> {
        let statuses = [
            "403 Forbidden",
            "404 Not Found",
            "500 Internal Server Error",
            "503 Service Unavailable",
        ];
        statuses
            .iter()
            .map(|status| self.plain(status, ""))
            .collect()
    }

    /// What the answer is, and the last one, when the request has taken too long.
    fn late() -> Vec<u8> {
        let ask = Ask {
            close: true,
            ..get("")
        };
        ask.plain("408 Request Timeout", "")
    }

    fn plain(&self, status: &str, fields: &str) -> Vec<u8> {
        let fields = format!("{fields}Content-Type: text/plain; charset=utf-8\r\n");
        self.head(status, &fields, format!("{status}\n").as_bytes())
    }

    fn head(&self, status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
        let close = if self.close {
            "Connection: close\r\n"
        } else {
            ""
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{close}{fields}Content-Length: {length}\r\n\r\n");
        let body = if self.method == "HEAD" { b"" } else { body };
        [head.as_bytes(), body].concat()
    }
}

/// Whether `received` is what a client may get to see for these requests. `Err` says what is wrong.
///
/// `whole`: nothing has gone wrong and nobody was late, so nothing may be missing. Else the answers
/// may end anywhere, for the connection may, and a file may have been unreadable; but what is there
/// has to be right.
pub(crate) fn judge(asks: &[Ask], received: &[u8], whole: bool) -> Result<(), String> {
    let mut rest = received;
    for (number, ask) in asks.iter().enumerate() {
        let answer = ask.answer();
        if let Some(after) = rest.strip_prefix(&answer[..]) {
            rest = after;
            continue;
        }
        let excuses = if whole { Vec::new() } else { ask.excuses() };
        if let Some(after) = excuses
            .iter()
            .find_map(|excuse| rest.strip_prefix(&excuse[..]))
        {
            rest = after;
            continue;
        }
        let mut last_words = [answer.clone(), Ask::late()].into_iter().chain(excuses);
        if !whole && last_words.any(|words| words.starts_with(rest)) {
            return Ok(());
        }
        let (answer, rest) = (answer.escape_ascii(), rest.escape_ascii());
        return Err(format!(
            "answer {number} should be\n{answer}\nbut is\n{rest}"
        ));
    }
    if rest.is_empty() {
        return Ok(());
    }
    Err(format!("nobody has asked for\n{}", rest.escape_ascii()))
}
