//! Line clients over plain sockets, and a server for them on this machine's own kernel.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use proactor::net::TcpListener;
use proactor::{Proactor, RunEnd};

use crate::connection::{Limits, SendBatch};
use crate::server::Server;

/// Longer than anything takes, on however busy a machine: so that a lost line is told, and does not hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a server while `body` uses it. None: there is no kernel for it here.
pub(crate) fn with_server<T>(
    workers: usize,
    limits: Limits,
    send: SendBatch,
    body: impl FnOnce(&Running) -> T,
) -> Option<T> {
    let proactor = match Proactor::builder().workers(workers).build() {
        Ok(proactor) => proactor,
        Err(why) => {
            eprintln!("The real kernel was left out: {why}");
            return None;
        }
    };
    let listener = TcpListener::bind(&proactor, "127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it listens");
    let server = Server::start(&proactor, listener, limits, send);
    Some(thread::scope(|scope| {
        let running = scope.spawn(move || proactor.run());
        let server = Running { addr, server };
        let result = body(&server);
        // Also if the body panics: the server's end is what the scope waits for.
        drop(server);
        let end = running.join().expect("no handler panics");
        assert_eq!(end.expect("it runs"), RunEnd::OutOfWork);
        result
    }))
}

/// A server, until it is dropped.
pub(crate) struct Running {
    pub(crate) addr: SocketAddr,
    pub(crate) server: Server,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.stop();
    }
}

/// A client as nc is one.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) stream: TcpStream,
    lines: BufReader<TcpStream>,
}

impl Client {
    /// Connects, and waits until the room knows it.
    pub(crate) fn join(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        let lines = BufReader::new(stream.try_clone().expect("another handle"));
        let mut client = Client {
            name: String::new(),
            stream,
            lines,
        };
        let welcome = client.hear();
        let name = welcome
            .strip_prefix("* you are ")
            .and_then(|rest| rest.split_once("; "));
        client.name = name.expect("a welcome").0.to_owned();
        client
    }

    pub(crate) fn say(&self, text: impl AsRef<[u8]>) {
        (&self.stream)
            .write_all(text.as_ref())
            .expect("it is connected");
    }

    pub(crate) fn try_hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line)
    }

    /// The next line without its end; empty: the server has closed.
    pub(crate) fn hear(&mut self) -> String {
        let line = self.try_hear().expect("a line");
        line.strip_suffix('\n').unwrap_or(&line).to_owned()
    }

    pub(crate) fn hear_to_the_end(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.hear()).filter(|line| !line.is_empty())).collect()
    }
}
