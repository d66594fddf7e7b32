//! The file server of `examples/file_server` in a thread of its own, for tests that talk to it the
//! way its clients do.

#[path = "../../../examples/file_server/connection.rs"]
mod connection;
#[path = "../../../examples/file_server/connection_async.rs"]
mod connection_async;
#[path = "../../../examples/file_server/exchange.rs"]
mod exchange;
#[path = "../../../examples/file_server/request.rs"]
mod request;
#[path = "../../../examples/file_server/response.rs"]
mod response;
#[path = "../../../examples/file_server/server.rs"]
mod server;

mod directory;

pub use directory::{Directory, bytes};

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use proactor::net::TcpListener;
use proactor::{Handle, Proactor, RunEnd};

use exchange::{Limits, Site};
use server::Server;

/// Which of the file server's two connections serves.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// `connection.rs`
    Callback,
    /// `connection_async.rs`
    Async,
}

impl Style {
    /// Both of them: what holds for one has to hold for the other.
    pub const BOTH: [Style; 2] = [Style::Callback, Style::Async];
}

/// The proactor of this machine's own kernel. None, and a line that says why, where that is refused.
#[must_use]
pub fn proactor() -> Option<Proactor> {
    match Proactor::new() {
        Ok(proactor) => Some(proactor),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// A file server that has begun to serve on a proactor of the caller's.
#[derive(Clone, Debug)]
pub struct Serving {
    server: Server,
    addr: SocketAddr,
}

impl Serving {
    /// Starts to serve `root` at a free port of this machine. `idle` is how long a connection may
    /// wait for a request.
    ///
    /// # Panics
    ///
    /// If there is no port to be had.
    pub fn start(proactor: &Handle, root: &Path, style: Style, idle: Duration) -> Serving {
        let listener = TcpListener::bind(proactor, "127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("a listener has an address");
        let site = Site {
            root: root.to_path_buf(),
            limits: Limits {
                idle,
                ..Limits::default()
            },
        };
        let serve = match style {
            Style::Callback => connection::serve,
            Style::Async => connection_async::serve,
        };
        let server = Server::start(proactor, listener, site, serve);
        Serving { server, addr }
    }

    /// Where it serves.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Shuts down as after ctrl-c. To be called by a handler or task of the server's proactor.
    pub fn stop(&self) {
        self.server.stop();
    }
}

/// A file server that runs in a thread of its own.
#[derive(Debug)]
pub struct FileServer {
    serving: Serving,
    proactor: Handle,
    thread: thread::JoinHandle<RunEnd>,
}

impl FileServer {
    /// Starts it. None where this machine has no kernel to run it on.
    #[must_use]
    pub fn start(root: &Path, style: Style) -> Option<FileServer> {
        FileServer::with_idle_time(root, style, Duration::from_secs(15))
    }

    /// The same, with another time that a connection may wait for a request.
    #[must_use]
    pub fn with_idle_time(root: &Path, style: Style, idle: Duration) -> Option<FileServer> {
        let (ready, started) = mpsc::channel();
        let root = root.to_path_buf();
        let thread = thread::spawn(move || {
            let Some(proactor) = proactor() else {
                return RunEnd::Stopped;
            };
            let serving = Serving::start(&proactor, &root, style, idle);
            ready
                .send((serving, proactor.handle()))
                .expect("the test waits for it");
            proactor.run().expect("the server runs")
        });
        let (serving, proactor) = started.recv().ok()?;
        Some(FileServer {
            serving,
            proactor,
            thread,
        })
    }

    /// Where it serves.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.serving.addr
    }

    /// The URL of a path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.serving.addr)
    }

    /// Connects, as a client that writes its requests by hand.
    ///
    /// # Panics
    ///
    /// If the server is not there.
    #[must_use]
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr()).expect("the server listens");
        // A server that does not answer fails the test instead of hanging it.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a timeout can be set");
        stream
    }

    /// Sends bytes, and receives all that comes until the server closes.
    ///
    /// # Panics
    ///
    /// If the connection breaks.
    #[must_use]
    pub fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("the server receives");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("the server closes properly");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Begins to shut down, as ctrl-c does.
    pub fn stop(&self) {
        let serving = self.serving.clone();
        self.proactor.post(move || serving.stop());
    }

    /// Shuts down and waits for the end.
    ///
    /// # Panics
    ///
    /// If the server's thread has panicked, or work is left over.
    pub fn finish(self) {
        self.stop();
        let end = self.thread.join().expect("the server's thread ends well");
        assert_eq!(end, RunEnd::OutOfWork);
    }
}
