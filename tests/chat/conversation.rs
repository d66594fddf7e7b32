//! A few words in the chat, on a simulated kernel: one client listens, another speaks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proactor::check::Sim;
use proactor::choice::Site;
use proactor::net::{TcpListener, TcpStream};
use proactor::{Handle, RunEnd, compose};

use crate::connection::{Limits, SendBatch};
use crate::server::Server;

/// The same for every wait, so that the clock says whether anybody was late.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What the second guest says, in one go, before it leaves.
const SAID: &str = "one\ntwo\nthree\n";

/// What the first guest is to see.
pub(crate) const SCREEN: &str = "\
* you are guest1; /name NAME changes that; nobody else is here
* guest2 joined
<guest2> one
<guest2> two
<guest2> three
* guest2 left
";

/// Looks at the lines that the first guest has seen so far, or, if that is true, at all that it was to see.
pub(crate) type Judge = fn(&str, bool);

/// Holds the conversation once.
pub(crate) fn hold(sim: &Sim, send: SendBatch, judge: Judge) {
    let proactor = sim.proactor();
    let listener = TcpListener::bind(proactor, "10.0.0.1:7").expect("the port is free");
    let limits = Limits {
        waiting: 8,
        stall: PATIENCE,
        linger: PATIENCE,
        read: 64,
    };
    let server = Server::start(proactor, listener, limits, send);
    let screen = Arc::new(Mutex::new(String::new()));
    let clients = clients(proactor.handle(), screen.clone(), judge);
    drop(proactor.spawn(async move {
        clients.await;
        server.stop();
    }));
    assert_eq!(proactor.run().expect("it runs"), RunEnd::OutOfWork);

    let coverage = sim.world().coverage();
    let is_untroubled = [Site::Connect, Site::Reset]
        .iter()
        .all(|&trouble| coverage.deviated(trouble) == 0)
        && sim.now() < PATIENCE;
    let screen = screen.lock().expect("no panic");
    judge(whole(&screen), is_untroubled);
}

async fn clients(proactor: Handle, screen: Arc<Mutex<String>>, judge: Judge) {
    let Ok(first) = TcpStream::connect(&proactor, "10.0.0.1:7").await else {
        return;
    };
    let guest = Guest {
        stream: first,
        screen,
        judge,
    };
    if !guest.sees("nobody else is here\n").await {
        return;
    }
    let Ok(second) = TcpStream::connect(&proactor, "10.0.0.1:7").await else {
        return;
    };
    if !guest.sees("* guest2 joined\n").await {
        return;
    }
    let _ = compose::write_all(&second, SAID).await;
    let _ = second.shutdown(std::net::Shutdown::Write).await;
    guest.sees("* guest2 left\n").await;
}

/// The first guest.
struct Guest {
    stream: TcpStream,
    screen: Arc<Mutex<String>>,
    judge: Judge,
}

impl Guest {
    /// Reads until the screen ends with this. False: the connection has ended before, or it takes too
    /// long.
    async fn sees(&self, last: &str) -> bool {
        loop {
            let read = self.stream.read(Vec::with_capacity(256)).timeout(PATIENCE);
            let (Ok(1..), bytes) = read.await else {
                return false;
            };
            let mut screen = self.screen.lock().expect("no panic");
            screen.push_str(std::str::from_utf8(&bytes).expect("all of it is ASCII"));
            (self.judge)(whole(&screen), false);
            if screen.ends_with(last) {
                return true;
            }
        }
    }
}

/// Without a line that has begun and not ended.
fn whole(screen: &str) -> &str {
    &screen[..screen.rfind('\n').map_or(0, |at| at + 1)]
}

/// Every line whole, once, in its order.
pub(crate) fn everything(seen: &str, is_all: bool) {
    // If the second guest was cut off it has left before its last words.
    let until_it_left = seen.strip_suffix("* guest2 left\n").unwrap_or(seen);
    if !SCREEN.starts_with(until_it_left) || is_all && seen != SCREEN {
        panic!("the first guest saw\n{seen}instead of\n{SCREEN}");
    }
}

/// Every line whole, in whatever order.
pub(crate) fn whole_lines(seen: &str, _: bool) {
    for line in seen.lines() {
        let is_known = SCREEN.lines().any(|known| known == line);
        assert!(is_known, "a torn line: {line}");
    }
}
