//! What a [`Hand`](super::Hand) is given and gives back: objects, requests, completions.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::time::Duration;

use super::super::files;
use super::super::op::Verb;
use super::super::words::nanos;
use super::error::HandError;

/// A socket that listens. A copy is the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Listener(pub(super) i32);

/// A socket that is, or can be, connected. A copy is the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Stream(pub(super) i32);

/// An open file. A copy is the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct File(pub(super) i32);

/// A user event. A copy is the same one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event(pub(super) i32);

/// One of the objects.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Object {
    /// A socket that listens.
    Listener(Listener),
    /// A connection, or what becomes one.
    Stream(Stream),
    /// A file.
    File(File),
    /// A user event.
    Event(Event),
}

impl Object {
    pub(super) fn raw(self) -> i32 {
        match self {
            Object::Listener(Listener(raw)) | Object::Stream(Stream(raw)) => raw,
            Object::File(File(raw)) | Object::Event(Event(raw)) => raw,
        }
    }
}

impl From<Listener> for Object {
    fn from(listener: Listener) -> Object {
        Object::Listener(listener)
    }
}

impl From<Stream> for Object {
    fn from(stream: Stream) -> Object {
        Object::Stream(stream)
    }
}

impl From<File> for Object {
    fn from(file: File) -> Object {
        Object::File(file)
    }
}

impl From<Event> for Object {
    fn from(event: Event) -> Object {
        Object::Event(event)
    }
}

/// An operation that was submitted: `op 1` is the first. Tries have numbers too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OpId(pub(super) u32);

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}", self.0)
    }
}

/// The end of an operation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Completion {
    /// Which.
    pub op: OpId,
    /// What it did, or the error that a real kernel would give.
    pub result: io::Result<Done>,
    /// The buffer that was lent, yours again: of a receive or a read as long as what arrived. Empty for
    /// an operation that lends none.
    pub buf: Vec<u8>,
}

impl Completion {
    /// How many bytes were transferred, if it is a transfer that did not fail.
    #[must_use]
    pub fn bytes(&self) -> Option<usize> {
        match self.result {
            Ok(Done::Bytes(count)) => Some(count),
            _ => None,
        }
    }

    /// The connection that was accepted.
    #[must_use]
    pub fn stream(&self) -> Option<Stream> {
        match self.result {
            Ok(Done::Accepted(stream)) => Some(stream),
            _ => None,
        }
    }

    /// The file that was opened.
    #[must_use]
    pub fn file(&self) -> Option<File> {
        match self.result {
            Ok(Done::Opened(file)) => Some(file),
            _ => None,
        }
    }
}

/// What an operation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Done {
    /// What it is for: connected, shut down, synced, renamed, the time has come.
    Nothing,
    /// So many bytes were transferred. 0 of a receive or a read is the end, or nothing was asked for.
    Bytes(usize),
    /// A connection was accepted.
    Accepted(Stream),
    /// A file was opened.
    Opened(File),
    /// So long is the file.
    Length(u64),
}

/// An operation to [submit](super::Hand::submit). A buffer moves in, and comes out with the completion.
#[derive(Debug)]
#[must_use = "a request does nothing until it is submitted"]
pub struct Request {
    pub(super) verb: Verb,
    pub(super) object: Option<i32>,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) lent: Lent,
    pub(super) location: &'static Location<'static>,
}

impl Request {
    #[track_caller]
    fn new(verb: Verb, object: Option<i32>, lent: Lent) -> Request {
        Request {
            verb,
            object,
            flags: 0,
            offset: 0,
            lent,
            location: Location::caller(),
        }
    }

    /// Completes with nothing done.
    #[track_caller]
    pub fn nop() -> Request {
        Request::new(Verb::Nop, None, Lent::Nothing)
    }

    /// Completes when the virtual clock comes to `at`, counted from the start.
    #[track_caller]
    pub fn timer(at: Duration) -> Request {
        Request {
            offset: nanos(at),
            ..Request::new(Verb::Timer, None, Lent::Nothing)
        }
    }

    /// Completes when the event [is set](super::Hand::set), and takes the set.
    #[track_caller]
    pub fn wait(event: Event) -> Request {
        Request::new(Verb::Wait, Some(event.0), Lent::Nothing)
    }

    /// Receives into the capacity of `buf`, from its start.
    #[track_caller]
    pub fn recv(stream: Stream, buf: Vec<u8>) -> Request {
        Request::new(Verb::Recv, Some(stream.0), Lent::Room(buf))
    }

    /// Sends bytes.
    #[track_caller]
    pub fn send(stream: Stream, bytes: impl Into<Vec<u8>>) -> Request {
        Request::new(Verb::Send, Some(stream.0), Lent::Bytes(bytes.into()))
    }

    /// Accepts a connection.
    #[track_caller]
    pub fn accept(listener: Listener) -> Request {
        Request::new(Verb::Accept, Some(listener.0), Lent::Nothing)
    }

    /// Connects a [socket](super::Hand::socket).
    #[track_caller]
    pub fn connect(socket: Stream, addr: SocketAddr) -> Request {
        Request::new(Verb::Connect, Some(socket.0), Lent::Addr(vec![addr]))
    }

    /// Ends one direction of a stream, or both.
    #[track_caller]
    pub fn shutdown(stream: Stream, how: std::net::Shutdown) -> Request {
        Request {
            flags: self::how(how),
            ..Request::new(Verb::Shutdown, Some(stream.0), Lent::Nothing)
        }
    }

    /// Opens a file that exists, for reading.
    #[track_caller]
    pub fn open(path: &str) -> Request {
        Request::opening(path, files::READ)
    }

    /// Opens a file for reading and writing; makes it if there is none.
    #[track_caller]
    pub fn create(path: &str) -> Request {
        Request::opening(path, files::READ | files::WRITE | files::CREATE)
    }

    /// Makes a file, for reading and writing. It must not be there.
    #[track_caller]
    pub fn create_new(path: &str) -> Request {
        Request::opening(path, files::READ | files::WRITE | files::CREATE_NEW)
    }

    /// Opens a file for reading and writing, and cuts it to nothing; makes it if there is none.
    #[track_caller]
    pub fn truncate(path: &str) -> Request {
        let flags = files::READ | files::WRITE | files::CREATE | files::TRUNCATE;
        Request::opening(path, flags)
    }

    /// Opens a file for reading, and writing at its end; makes it if there is none.
    #[track_caller]
    pub fn open_append(path: &str) -> Request {
        Request::opening(path, files::READ | files::APPEND | files::CREATE)
    }

    /// Opens a directory, to be [synced](Request::sync).
    #[track_caller]
    pub fn open_dir(path: &str) -> Request {
        Request::opening(path, files::READ | files::DIRECTORY)
    }

    /// Gives a file or directory another name; what had that name is gone.
    #[track_caller]
    pub fn rename(from: &str, to: &str) -> Request {
        let paths = [from, "\0", to].concat();
        Request::new(Verb::Rename, None, Lent::Path(paths.into()))
    }

    /// Takes the name of a file away.
    #[track_caller]
    pub fn remove_file(path: &str) -> Request {
        Request::new(Verb::Remove, None, Lent::Path(path.into()))
    }

    /// Takes an empty directory away.
    #[track_caller]
    pub fn remove_dir(path: &str) -> Request {
        Request {
            flags: files::IS_DIRECTORY,
            ..Request::remove_file(path)
        }
    }

    /// Makes a directory.
    #[track_caller]
    pub fn create_dir(path: &str) -> Request {
        Request::new(Verb::CreateDir, None, Lent::Path(path.into()))
    }

    /// Whether its paths are some.
    pub(super) fn check_paths(&self) -> Result<(), HandError> {
        let Lent::Path(bytes) = &self.lent else {
            return Ok(());
        };
        let between = usize::from(self.verb == Verb::Rename);
        if bytes.iter().filter(|byte| **byte == 0).count() == between {
            return Ok(());
        }
        Err(HandError::NulInPath {
            path: String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    #[track_caller]
    fn opening(path: &str, flags: u32) -> Request {
        Request {
            flags,
            ..Request::new(Verb::Open, None, Lent::Path(path.into()))
        }
    }

    /// Reads into the capacity of `buf`, from this place of a file on.
    #[track_caller]
    pub fn read_at(file: File, buf: Vec<u8>, offset: u64) -> Request {
        Request {
            offset,
            ..Request::new(Verb::ReadAt, Some(file.0), Lent::Room(buf))
        }
    }

    /// Writes bytes to a file, from this place on.
    #[track_caller]
    pub fn write_at(file: File, bytes: impl Into<Vec<u8>>, offset: u64) -> Request {
        Request {
            offset,
            ..Request::new(Verb::WriteAt, Some(file.0), Lent::Bytes(bytes.into()))
        }
    }

    /// Writes bytes to the end of a file, wherever that is by then.
    #[track_caller]
    pub fn append(file: File, bytes: impl Into<Vec<u8>>) -> Request {
        Request::new(Verb::Append, Some(file.0), Lent::Bytes(bytes.into()))
    }

    /// Cuts a file, or makes it longer with zeros.
    #[track_caller]
    pub fn set_len(file: File, len: u64) -> Request {
        Request {
            offset: len,
            ..Request::new(Verb::SetLen, Some(file.0), Lent::Nothing)
        }
    }

    /// Brings a file to the disk; of a directory, the names in it.
    #[track_caller]
    pub fn sync(file: File) -> Request {
        Request::new(Verb::Sync, Some(file.0), Lent::Nothing)
    }

    /// Asks how long a file is.
    #[track_caller]
    pub fn length(file: File) -> Request {
        Request::new(Verb::Length, Some(file.0), Lent::Length(vec![0; 8]))
    }
}

/// The number of a direction, as shutdown(2) has it.
pub(super) fn how(how: std::net::Shutdown) -> u32 {
    match how {
        std::net::Shutdown::Read => 0,
        std::net::Shutdown::Write => 1,
        std::net::Shutdown::Both => 2,
    }
}

/// What a request lends: always on the heap, in a `Vec`, so that it stays where it is while its owner moves.
#[derive(Debug)]
pub(super) enum Lent {
    Nothing,
    /// To be written by the kernel.
    Room(Vec<u8>),
    /// To be read by the kernel.
    Bytes(Vec<u8>),
    Addr(Vec<SocketAddr>),
    /// One path, or two with a NUL between them.
    Path(Vec<u8>),
    Length(Vec<u8>),
}

impl Lent {
    /// Where it is, how long, and whether all of it may be written.
    pub(super) fn lend(&mut self) -> (*mut u8, u32, bool) {
        let short = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        match self {
            Lent::Nothing => (std::ptr::null_mut(), 0, false),
            Lent::Room(buf) => (buf.as_mut_ptr(), short(buf.capacity()), true),
            Lent::Bytes(buf) | Lent::Path(buf) => (buf.as_mut_ptr(), short(buf.len()), false),
            Lent::Length(buf) => (buf.as_mut_ptr(), short(buf.len()), false),
            Lent::Addr(addr) => (addr.as_mut_ptr().cast(), 0, false),
        }
    }

    /// What came of it, and the buffer.
    ///
    /// # Safety
    ///
    /// The operation that it was lent to was handed out with this result: the kernel has let go of it, and
    /// if it is to be written has written as many bytes as the result says.
    pub(super) unsafe fn back(self, verb: Verb, result: i32) -> (Done, Vec<u8>) {
        let count = usize::try_from(result).unwrap_or(0);
        match self {
            Lent::Room(mut buf) => {
                if result >= 0 {
                    // SAFETY: the caller's promise; no more was lent than the capacity.
                    unsafe { buf.set_len(count) };
                }
                (Done::Bytes(count), buf)
            }
            Lent::Bytes(buf) => (Done::Bytes(count), buf),
            Lent::Length(bytes) => {
                let length = bytes.try_into().map_or(0, u64::from_ne_bytes);
                (Done::Length(length), Vec::new())
            }
            Lent::Path(_) if verb == Verb::Open => (Done::Opened(File(result)), Vec::new()),
            Lent::Nothing if verb == Verb::Accept => (Done::Accepted(Stream(result)), Vec::new()),
            Lent::Nothing | Lent::Addr(_) | Lent::Path(_) => (Done::Nothing, Vec::new()),
        }
    }
}
