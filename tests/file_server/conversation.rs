//! A client and the file server on one simulated kernel.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::choice::Site as Decision;
use proactor::net::{TcpListener, TcpStream};
use proactor::sim::World;
use proactor::{Handle, Proactor, RunEnd, compose};

use crate::exchange::{Limits, Site};
use crate::model::{self, Ask};
use crate::server::{Serve, Server};

/// Small enough that a poem takes three pieces and a long head is soon too long.
const CHUNK: usize = 16;
const HEAD: usize = 256;
/// The same for every wait, so that the clock says whether anybody was late.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the client sends, and what it expects.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) asks: &'static [Ask],
    /// Where the bytes of all requests are cut into separate writes.
    pub(crate) cuts: &'static [usize],
}

impl Conversation {
    /// Holds it once. Panics if the client gets to see what it must not.
    pub(crate) fn hold(&self, proactor: &Proactor, world: &World, serve: Serve) {
        for (path, content) in model::FILES {
            world.add_file(path, content);
        }
        let site = Site {
            root: "/site".into(),
            limits: Limits {
                head: HEAD,
                skipped_body: 64,
                chunk: CHUNK,
                idle: PATIENCE,
                receive: PATIENCE,
                stall: PATIENCE,
                linger: PATIENCE,
                connections: 4,
            },
        };
        let listener = TcpListener::bind(proactor, "10.0.0.1:80").expect("the port is free");
        let addr = listener.local_addr().expect("it has an address");
        let server = Server::start(proactor, listener, site, serve);

        let received = Arc::new(Mutex::new(None));
        let client = client(proactor.handle(), addr, self.pieces());
        let to = received.clone();
        drop(proactor.spawn(async move {
            *to.lock().unwrap() = client.await;
            server.stop();
        }));
        assert_eq!(proactor.run().expect("it runs"), RunEnd::OutOfWork);

        let received = received.lock().unwrap().take();
        let Some(received) = received else {
            assert!(!self.is_untroubled(world), "the server has to be there");
            return;
        };
        if let Err(why) = model::judge(self.asks, &received, self.is_untroubled(world)) {
            panic!("{why}");
        }
    }

    /// Whether the kernel has let nothing go wrong, and its clock has overtaken nobody.
    fn is_untroubled(&self, world: &World) -> bool {
        let troubles = [Decision::Connect, Decision::Reset, Decision::FileError];
        let coverage = world.coverage();
        troubles
            .iter()
            .all(|&trouble| coverage.deviated(trouble) == 0)
            && u128::from(world.now()) < PATIENCE.as_nanos()
    }

    fn pieces(&self) -> Vec<Vec<u8>> {
        let bytes: Vec<u8> = self.asks.iter().flat_map(Ask::bytes).collect();
        let mut from = 0;
        let mut pieces = Vec::new();
        for &to in self.cuts.iter().chain([&bytes.len()]) {
            pieces.push(bytes[from..to].to_vec());
            from = to;
        }
        pieces
    }
}

/// Sends the pieces and receives until the server closes. None: it never got in.
async fn client(proactor: Handle, addr: SocketAddr, pieces: Vec<Vec<u8>>) -> Option<Vec<u8>> {
    let stream = TcpStream::connect(&proactor, addr).await.ok()?;
    for piece in pieces {
        // If the server takes no more, what it has answered before is still there to be read.
        if compose::write_all(&stream, piece).await.0.is_err() {
            break;
        }
    }
    let (_, received) = compose::read_to_end(&stream, Vec::new(), 1 << 16).await;
    Some(received)
}
