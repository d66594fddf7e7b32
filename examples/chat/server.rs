//! The listener: accepting, and ending without cutting anybody off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proactor::Handle;
use proactor::net::{TcpListener, TcpStream};
use proactor::sync::atomic::{AtomicBool, Ordering};

use crate::connection::{Connection, Limits, SendBatch};
use crate::room::Room;

/// How long accepting pauses after an error such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A chat server. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Server(Arc<Shared>);

struct Shared {
    proactor: Handle,
    listener: TcpListener,
    room: Room,
    limits: Limits,
    send: SendBatch,
    is_stopping: AtomicBool,
}

impl Server {
    /// Serves whoever connects to `listener`. `send` is [`connection::send`](crate::connection::send).
    pub(crate) fn start(
        proactor: &Handle,
        listener: TcpListener,
        limits: Limits,
        send: SendBatch,
    ) -> Server {
        let server = Server(Arc::new(Shared {
            proactor: *proactor,
            listener,
            room: Room::new(proactor),
            limits,
            send,
            is_stopping: AtomicBool::new(false),
        }));
        server.clone().accept(1);
        server
    }

    /// Accepts nobody any more, and says goodbye to all. Returns at once; the proactor is out of work
    /// when all have left.
    pub(crate) fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        self.0.listener.close();
        self.0.room.close();
    }

    /// Waits for the guest with this number.
    fn accept(self, id: u64) {
        let accept = self.0.listener.accept();
        accept.then(move |result| self.accepted(id, result));
    }

    fn accepted(self, id: u64, result: io::Result<(TcpStream, SocketAddr)>) {
        match result {
            Ok((stream, _)) => {
                let Shared { room, limits, .. } = &*self.0;
                // A short line must not wait for the acknowledgement of the one before. What fails
                // here fails again, and better, at the first read.
                let _ = stream.set_nodelay(true);
                Connection::start(id, stream, room, limits.clone(), self.0.send);
                self.accept(id + 1);
            }
            Err(_) if self.0.is_stopping.load(Ordering::Acquire) => {}
            // Somebody has hung up before the handshake was seen, or the kernel is short of something:
            // neither is a reason to stop, nor to try again in a busy loop.
            Err(_) => {
                let pause = self.0.proactor.sleep(ACCEPT_PAUSE);
                pause.then(move |_| self.accept(id));
            }
        }
    }
}
