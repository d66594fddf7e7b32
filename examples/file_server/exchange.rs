//! What a connection is and what it decides, without the I/O: the part that both styles share.
//! `connection.rs` and `connection_async.rs` hold the operations, and nothing else.

use std::io::{self, ErrorKind};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proactor::fs::File;
use proactor::net::TcpStream;
use proactor::time::Instant;
use proactor::{Handle, IoBuf, Slice};

use crate::request::{self, Parsed, Request, Target};
use crate::response::{self, Part, Persistence, Status};
use crate::server::Guest;

/// What is served, and within which bounds.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Every file below it is served. Symbolic links are followed: who may put a link there may
    /// publish what it points at.
    pub(crate) root: PathBuf,
    pub(crate) limits: Limits,
}

/// The bounds that keep one client from costing more than its share.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The longest head, in bytes.
    pub(crate) head: usize,
    /// The longest request body that is received only to be thrown away.
    pub(crate) skipped_body: u64,
    /// A file is read and sent in pieces of this size, one at a time: a connection never holds more
    /// than one, however slow its client.
    pub(crate) chunk: usize,
    /// How long a connection may stay open without a request.
    pub(crate) idle: Duration,
    /// How long a head, and then a body, may take from its first byte to its last.
    pub(crate) receive: Duration,
    /// How long a client may take none of the bytes that are sent to it.
    pub(crate) stall: Duration,
    /// How long a client has to take note that the server has closed.
    pub(crate) linger: Duration,
    /// How many clients are served at a time. The others wait in the listener's backlog.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: 16 * 1024,
            skipped_body: 64 * 1024,
            chunk: 64 * 1024,
            idle: Duration::from_secs(15),
            receive: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            linger: Duration::from_secs(2),
            connections: 1024,
        }
    }
}

impl Site {
    /// The file that a target names.
    pub(crate) fn locate(&self, target: &Target) -> PathBuf {
        let mut path = self.root.join(&target.path);
        if target.directory {
            path.push("index.html");
        }
        path
    }
}

/// One client's connection, between two operations. Whoever starts an operation owns it, and passes
/// it on to the handler: that two handlers meet in here can't even be written down.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) proactor: Handle,
    /// The last user handle: dropping the connection closes the stream.
    pub(crate) stream: TcpStream,
    pub(crate) site: Arc<Site>,
    pub(crate) guest: Arc<Guest>,
    /// What was received and not yet used. Pipelined requests wait here.
    pub(crate) input: Vec<u8>,
    /// What is being sent.
    pub(crate) output: Vec<u8>,
    /// When the head that has begun to arrive must be complete.
    pub(crate) head_deadline: Option<Instant>,
}

/// What is still to be read of a file, and to be sent.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) left: u64,
    pub(crate) keep_alive: bool,
}

/// What comes after `Connection::output` is sent: a piece of a file, or another request, or the end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) body: Option<Body>,
    pub(crate) keep_alive: bool,
}

/// What the input holds.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Not a whole head: receive more, for so long.
    Incomplete(Duration),
    /// A head that took too long, or that can't be understood.
    Refused {
        status: Status,
        head_only: bool,
    },
    Complete(Request),
}

impl Connection {
    pub(crate) fn new(
        proactor: Handle,
        stream: TcpStream,
        site: Arc<Site>,
        guest: Arc<Guest>,
    ) -> Connection {
        let input = Vec::with_capacity(site.limits.head);
        Connection {
            proactor,
            stream,
            site,
            guest,
            input,
            output: Vec::new(),
            head_deadline: None,
        }
    }

    /// Takes the next request out of the input. What follows it stays.
    pub(crate) fn take_request(&mut self) -> Taken {
        let limits = &self.site.limits;
        match request::parse(&self.input, limits.head, limits.skipped_body) {
            Parsed::Complete { request, length } => {
                self.input.drain(..length);
                self.head_deadline = None;
                Taken::Complete(request)
            }
            Parsed::Refused { status, head_only } => Taken::Refused { status, head_only },
            Parsed::Incomplete if self.input.is_empty() => Taken::Incomplete(limits.idle),
            Parsed::Incomplete => {
                // Counted from its first byte: a client that sends a byte now and then would keep
                // the connection for ever if each byte bought it more time.
                let now = self.proactor.now();
                let deadline = *self.head_deadline.get_or_insert(now + limits.receive);
                match time_left(now, deadline) {
                    Some(left) => Taken::Incomplete(left),
                    None => Taken::Refused {
                        status: Status::RequestTimeout,
                        head_only: false,
                    },
                }
            }
        }
    }

    /// Throws body away that is in the input already. True once all of it is gone.
    pub(crate) fn discard_body(&mut self, request: &mut Request) -> bool {
        let here = self
            .input
            .len()
            .min(usize::try_from(request.body).unwrap_or(usize::MAX));
        self.input.drain(..here);
        request.body -= here as u64;
        request.body == 0
    }

    /// The free part of the input, to be lent to a read.
    pub(crate) fn free_input(&mut self) -> Slice<Vec<u8>> {
        let input = mem::take(&mut self.input);
        let used = input.len();
        input.slice(used..self.site.limits.head)
    }

    /// Prepares a response without a file.
    pub(crate) fn refuse(
        &mut self,
        status: Status,
        head_only: bool,
        persistence: Persistence,
    ) -> Reply {
        self.output.clear();
        response::refusal(&mut self.output, status, head_only, persistence);
        Reply::complete(persistence)
    }

    /// Prepares the response for a file that could not be opened, measured or read.
    pub(crate) fn refuse_file(&mut self, request: &Request, error: &io::Error) -> Reply {
        let persistence = self.persistence(request);
        match &request.wanted {
            Ok(wanted) if is_directory(error) && !wanted.target.directory => {
                self.output.clear();
                let (target, head_only) = (&wanted.target, request.head_only);
                response::redirect(&mut self.output, target, head_only, persistence);
                Reply::complete(persistence)
            }
            _ => self.refuse(Status::of_error(error), request.head_only, persistence),
        }
    }

    /// Prepares the head of a response that carries a file of `total` bytes.
    pub(crate) fn begin_file(&mut self, request: &Request, file: File, total: u64) -> Body {
        let Ok(wanted) = &request.wanted else {
            unreachable!("a request that is refused opens no file");
        };
        let part = Part::select(wanted.range, total);
        let persistence = self.persistence(request);
        let path = self.site.locate(&wanted.target);
        self.output.clear();
        response::file_head(&mut self.output, &path, part, persistence);
        Body {
            file,
            offset: part.offset,
            left: if request.head_only { 0 } else { part.length },
            keep_alive: persistence != Persistence::Close,
        }
    }

    /// The room for the next piece of a file, behind what the output holds.
    ///
    /// It has room for a byte even when none is left to send: the first read is also what tells a
    /// file from a directory, and one that can be read from one that can't.
    pub(crate) fn free_output(&mut self, body: &Body) -> Slice<Vec<u8>> {
        let chunk = self.site.limits.chunk as u64;
        let mut output = mem::take(&mut self.output);
        let used = output.len();
        let room = body.left.clamp(1, chunk) as usize;
        output.reserve(room);
        output.slice(used..used + room)
    }

    /// Takes note of `read` bytes of a file that stand in the output behind `head`. When they are the
    /// last ones the file is closed.
    pub(crate) fn take_piece(
        &mut self,
        head: usize,
        read: usize,
        mut body: Body,
    ) -> io::Result<Reply> {
        let piece = body.left.min(read as u64);
        self.output.truncate(head + piece as usize);
        if piece == 0 && body.left > 0 {
            // Somebody has cut it since it was measured.
            return Err(ErrorKind::UnexpectedEof.into());
        }
        body.offset += piece;
        body.left -= piece;
        Ok(Reply {
            keep_alive: body.keep_alive,
            body: (body.left > 0).then_some(body),
        })
    }

    /// What to tell the client about the connection.
    pub(crate) fn persistence(&self, request: &Request) -> Persistence {
        if !request.keep_alive || self.guest.is_asked_to_leave() {
            Persistence::Close
        } else if request.http_1_0 {
            Persistence::OpenAndSaid
        } else {
            Persistence::Open
        }
    }
}

impl Reply {
    /// All of it is in the output.
    fn complete(persistence: Persistence) -> Reply {
        Reply {
            body: None,
            keep_alive: persistence != Persistence::Close,
        }
    }
}

/// How long it is until `deadline`; nothing if that has come.
pub(crate) fn time_left(now: Instant, deadline: Instant) -> Option<Duration> {
    let left = deadline - now;
    (!left.is_zero()).then_some(left)
}

fn is_directory(error: &io::Error) -> bool {
    error.kind() == ErrorKind::IsADirectory
}
