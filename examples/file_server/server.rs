//! The listener and its guests: accepting, counting, and shutting down without cutting anybody off.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proactor::net::{TcpListener, TcpStream};
use proactor::{Cancel, Handle};

use crate::exchange::{Connection, Site};

/// How long accepting pauses after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Starts to serve a connection: `connection::serve`, or its async twin.
pub(crate) type Serve = fn(Connection);

/// A file server. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Server(Arc<Shared>);

struct Shared {
    proactor: Handle,
    site: Arc<Site>,
    serve: Serve,
    state: Mutex<State>,
}

struct State {
    /// None once the server shuts down.
    listener: Option<TcpListener>,
    /// An accept is in flight, or will be after a pause.
    accepting: bool,
    /// Who is connected, and how to wake who waits for a request. In order, for a simulation must
    /// do the same thing each time.
    guests: BTreeMap<u64, Option<Cancel>>,
    next_guest: u64,
}

impl Server {
    /// Serves whoever connects to `listener`.
    pub(crate) fn start(
        proactor: &Handle,
        listener: TcpListener,
        site: Site,
        serve: Serve,
    ) -> Server {
        let server = Server(Arc::new(Shared {
            proactor: *proactor,
            site: Arc::new(site),
            serve,
            state: Mutex::new(State {
                listener: Some(listener),
                accepting: false,
                guests: BTreeMap::new(),
                next_guest: 0,
            }),
        }));
        server.accept();
        server
    }

    /// Shuts down: accepts nobody any more, lets responses in flight finish, closes the connections
    /// that wait for a request. Returns at once; the proactor is out of work when all have left.
    pub(crate) fn stop(&self) {
        let (listener, idle) = {
            let mut state = self.state();
            let idle: Vec<Cancel> = state.guests.values_mut().filter_map(Option::take).collect();
            (state.listener.take(), idle)
        };
        if let Some(listener) = listener {
            // Ends the accept in flight, too.
            listener.close();
        }
        for read in idle {
            // A read that ends at this very moment with a request in hand is answered all the same:
            // a cancel is a request, and its result says what happened.
            read.cancel();
        }
    }

    fn accept(&self) {
        let listener = {
            let mut state = self.state();
            if state.accepting || state.guests.len() >= self.0.site.limits.connections {
                return;
            }
            let Some(listener) = state.listener.clone() else {
                return;
            };
            state.accepting = true;
            listener
        };
        let server = self.clone();
        listener
            .accept()
            .then(move |result| server.accepted(result));
    }

    fn accepted(&self, result: io::Result<(TcpStream, SocketAddr)>) {
        match result {
            Ok((stream, _)) => {
                self.state().accepting = false;
                self.welcome(stream);
            }
            // Somebody has hung up in the backlog, or the kernel is short of something: neither is
            // a reason to stop, nor to try again in a busy loop. (A closed listener ends it.)
            Err(_) => {
                if self.state().listener.is_none() {
                    return;
                }
                let server = self.clone();
                self.0.proactor.sleep(ACCEPT_PAUSE).then(move |_| {
                    server.state().accepting = false;
                    server.accept();
                });
            }
        }
    }

    fn welcome(&self, stream: TcpStream) {
        let id = {
            let mut state = self.state();
            if state.listener.is_none() {
                return;
            }
            let id = state.next_guest;
            state.next_guest += 1;
            state.guests.insert(id, None);
            id
        };
        let guest = Arc::new(Guest {
            server: self.clone(),
            id,
        });
        // A response's last piece must not wait for the acknowledgement of the one before. What
        // fails here fails again, and better, at the first read.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(self.0.proactor, stream, self.0.site.clone(), guest);
        // The next guest first: a task begins only after this handler, and which style serves must
        // make no difference to the kernel.
        self.accept();
        (self.0.serve)(connection);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place at the server. Dropping it makes room for the next one.
pub(crate) struct Guest {
    server: Server,
    id: u64,
}

impl Guest {
    /// Says that this connection waits for a request, and how to end that wait.
    pub(crate) fn is_idle(&self, read: Cancel) {
        let mut state = self.server.state();
        if state.listener.is_none() {
            drop(state);
            read.cancel();
        } else if let Some(idle) = state.guests.get_mut(&self.id) {
            // The one from before is of no use any more: that read has ended.
            *idle = Some(read);
        }
    }

    /// Whether the server is shutting down.
    pub(crate) fn is_asked_to_leave(&self) -> bool {
        self.server.state().listener.is_none()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.server.state().guests.remove(&self.id);
        self.server.accept();
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guests = self.state().guests.len();
        f.debug_struct("Server")
            .field("guests", &guests)
            .finish_non_exhaustive()
    }
}
