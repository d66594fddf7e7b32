//! A connection: its reads, its queue of outgoing lines and its writes all run on its strand.
//!
//! So a handler never has to think of another one of the same connection running beside it, on however
//! many workers: it looks, and acts upon what it saw.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use proactor::net::TcpStream;
use proactor::{Cancel, Strand, StrandCell, compose};

use crate::lines::{Input, LONGEST, Lines};
use crate::outbox::Outbox;
use crate::room::{Line, Room};

/// The bounds that keep one client from costing more than its share.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Lines that may wait for a client to read them.
    pub(crate) waiting: usize,
    /// How long the write of what waited may take.
    pub(crate) stall: Duration,
    /// How long who is sent home may take to close its side.
    pub(crate) linger: Duration,
    /// How much one read brings at most, in bytes.
    pub(crate) read: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            waiting: 4096,
            stall: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            read: 4096,
        }
    }
}

/// Starts the write of a batch of lines, whose handler calls [`Connection::sent`]: [`send`], or one with
/// a mistake, in tests.
pub(crate) type SendBatch = fn(&Arc<Connection>, Vec<u8>);

/// One client.
pub(crate) struct Connection {
    id: u64,
    pub(crate) stream: TcpStream,
    pub(crate) strand: Strand,
    pub(crate) limits: Limits,
    room: Room,
    send: SendBatch,
    outbox: Outbox,
    state: StrandCell<State>,
}

#[derive(Default)]
struct State {
    lines: Lines,
    /// It hears and is told nothing any more.
    is_leaving: bool,
    /// Closes the stream if the client does not.
    linger: Option<Cancel>,
}

/// Writes a batch. Its handler is one of the connection's as every other.
pub(crate) fn send(connection: &Arc<Connection>, batch: Vec<u8>) {
    let sender = connection.clone();
    compose::write_all(&connection.stream, batch)
        .timeout(connection.limits.stall)
        .on(&connection.strand)
        .then(move |(result, _)| sender.sent(result));
}

impl Connection {
    /// Serves a client, from the first line to the last.
    pub(crate) fn start(id: u64, stream: TcpStream, room: &Room, limits: Limits, send: SendBatch) {
        let strand = Strand::new(&stream.handle());
        let buf = Vec::with_capacity(limits.read);
        let connection = Arc::new(Connection {
            id,
            stream,
            outbox: Outbox::new(limits.waiting),
            state: StrandCell::new(&strand, State::default()),
            strand,
            limits,
            room: room.clone(),
            send,
        });
        room.join(connection.clone());
        connection.read(buf);
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    fn read(self: Arc<Self>, buf: Vec<u8>) {
        let read = self.stream.read(buf).on(&self.strand);
        read.then(move |(result, buf)| self.has_read(result, buf));
    }

    fn has_read(self: Arc<Self>, result: io::Result<usize>, mut buf: Vec<u8>) {
        let inputs = self.state.with(|state| match result {
            Ok(1..) if !state.is_leaving => state.lines.take(&buf),
            _ => Vec::new(),
        });
        for input in inputs {
            self.hear(input);
        }
        if let Ok(1..) = result {
            buf.clear();
            self.read(buf);
        } else {
            self.leave();
        }
    }

    fn hear(self: &Arc<Self>, input: Input) {
        let Input::Line(text) = input else {
            let message = format!("* a line has at most {LONGEST} bytes: yours was left out\n");
            return self.push(message.into());
        };
        let Some(command) = text.strip_prefix('/') else {
            return self.room.say(self.id, text);
        };
        match command.split_once(' ').unwrap_or((command, "")) {
            ("name", name) => self.room.rename(self.id, name.trim().to_owned()),
            ("quit", _) => self.goodbye("* goodbye\n".into()),
            (other, _) => {
                let message = format!("* there is no /{other}, but /name NAME and /quit\n");
                self.push(message.into());
            }
        }
    }

    /// The client's side has ended. What waits for it is sent still; then the last handler drops the
    /// connection, and that closes it.
    fn leave(&self) {
        let linger = self.state.with(|state| {
            state.is_leaving = true;
            state.linger.take()
        });
        if let Some(linger) = linger {
            linger.cancel();
        }
        self.room.leave(self.id);
    }

    /// Tells the client a line. From anywhere.
    pub(crate) fn tell(connection: &Arc<Connection>, line: Line) {
        let told = connection.clone();
        connection.strand.dispatch(move || told.push(line));
    }

    /// Sends the client home, and says why. From anywhere.
    pub(crate) fn dismiss(connection: &Arc<Connection>, why: &str) {
        let line: Line = format!("* {why}; goodbye\n").into();
        let told = connection.clone();
        connection.strand.dispatch(move || told.goodbye(line));
    }

    fn push(self: &Arc<Self>, line: Line) {
        if self.state.with(|state| state.is_leaving) {
            return;
        }
        if self.outbox.push(line) {
            return self.write_more();
        }
        let count = self.outbox.clear() + 1;
        let line = format!("* you read too slowly: {count} lines were left out; goodbye\n");
        self.goodbye(line.into());
    }

    /// One last line. The other side has to close first, or bytes of it that are still under way would
    /// be answered by a reset, which may overtake that line (RFC 2525, 2.17): so this ends one half.
    fn goodbye(self: &Arc<Self>, line: Line) {
        let is_leaving = |state: &mut State| std::mem::replace(&mut state.is_leaving, true);
        if self.state.with(is_leaving) {
            return;
        }
        self.outbox.end(line);
        self.write_more();
        self.room.leave(self.id);
        let stream = self.stream.clone();
        let sleep = stream.handle().sleep(self.limits.linger);
        let linger = sleep.on(&self.strand).then(move |slept| {
            if slept.is_ok() {
                stream.close();
            }
        });
        self.state.with(|state| state.linger = Some(linger));
    }

    /// Writes what waits, unless a write is under way: its end comes here again.
    fn write_more(self: &Arc<Self>) {
        if self.outbox.is_writing.get() {
            return;
        }
        if let Some(batch) = self.outbox.take() {
            self.outbox.is_writing.set(true);
            (self.send)(self, batch);
        } else if self.outbox.is_ending.get() {
            self.stream.shutdown(Shutdown::Write).then(|_| ());
        }
    }

    /// A write has ended.
    pub(crate) fn sent(self: &Arc<Self>, result: io::Result<usize>) {
        self.outbox.is_writing.set(false);
        match result {
            Ok(_) => self.write_more(),
            // The client is gone, or takes nothing any more: the read in flight ends with this.
            Err(_) => self.stream.close(),
        }
    }
}
