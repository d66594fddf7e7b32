//! Exercise 4: a proactor on a kernel that only says what is ready.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Duration;

use proactor::sim::hand::{Interest, Stream};
use proactor::sim::{Config, Hand, Invariant};

use crate::held::{Broken, ENDLESS, Fate, connected, search};
use crate::verdict::Check;

/// Who asks so often for one completion does nothing but ask.
const VAIN: u32 = 200;

/// A read that was initiated and has not ended.
#[derive(Debug)]
pub struct Read {
    /// Whose it is.
    pub ticket: u32,
    /// Where from.
    pub stream: Stream,
    /// Where to.
    pub buffer: Vec<u8>,
}

/// The end of a read.
#[derive(Debug)]
pub struct Done {
    /// Of the read.
    pub ticket: u32,
    /// How many bytes, 0 at the end of the stream; or what went wrong.
    pub result: io::Result<usize>,
    /// Back again.
    pub buffer: Vec<u8>,
}

/// What the learner writes: the next read that ends, taken out of those that wait. Nothing: none ever will.
pub type Next = fn(&mut Readiness, &mut Vec<Read>) -> Option<Done>;

/// A kernel that has no operations: it says what is ready, and reads at once or not at all.
pub struct Readiness {
    hand: Hand,
    fate: Fate,
    /// What the peers will do, one after the other, whenever somebody waits.
    peers: VecDeque<Peer>,
    /// Of these streams a hint was false: somebody else was faster.
    false_hints: Vec<Stream>,
    /// The connection of this stream was reset.
    reset: Option<Stream>,
    calls: u32,
}

/// What a peer does.
enum Peer {
    Sends(Stream, &'static str),
    Ends(Stream),
    /// Sends, or resets the connection instead.
    SendsOrResets(Stream, &'static str),
}

impl Readiness {
    /// Waits until a read of one of these streams is worth a try, and gives those. It is a hint: by the time you
    /// try, there may be nothing. Empty: nothing will ever come.
    pub fn wait(&mut self, streams: &[Stream]) -> Vec<Stream> {
        self.count();
        let mut interests: Vec<_> = streams
            .iter()
            .map(|&it| (it.into(), Interest::Read))
            .collect();
        interests.dedup();
        loop {
            let ready = self.hand.wait(&interests, Duration::ZERO);
            let is_ready = |stream: &&Stream| {
                ready.iter().any(|it| {
                    it.object == (**stream).into() && (it.readable || it.failed || it.hung_up)
                })
            };
            let mut found: Vec<Stream> = Vec::new();
            for stream in streams.iter().filter(is_ready) {
                if !found.contains(stream) {
                    found.push(*stream);
                }
            }
            if found.len() > 1
                && self
                    .fate
                    .choose(2, |_| "the other one is told first".to_owned())
                    == 1
            {
                found.reverse();
            }
            if let Some(&first) = found.first() {
                let words = |_| format!("{}: somebody else reads first", self.hand.name(first));
                if self.fate.choose(2, words) == 1 {
                    self.false_hints.push(first);
                }
                let names: Vec<String> = found.iter().map(|it| self.hand.name(*it)).collect();
                self.fate.tell(format!("wait says: {}", names.join(", ")));
                return found;
            }
            let Some(peer) = self.peers.pop_front() else {
                self.fate
                    .tell("wait says: nothing will ever come".to_owned());
                return Vec::new();
            };
            self.acts(peer);
        }
    }

    /// Reads what is there into the buffer, from its start; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](ErrorKind::WouldBlock): nothing is there now. Anything else is how the connection ended.
    pub fn try_read(&mut self, stream: Stream, buffer: &mut [u8]) -> io::Result<usize> {
        self.count();
        let name = self.hand.name(stream);
        if let Some(at) = self.false_hints.iter().position(|it| *it == stream) {
            self.false_hints.swap_remove(at);
            self.fate.tell(format!("try_read({name}): would block"));
            return Err(ErrorKind::WouldBlock.into());
        }
        let room = match self
            .fate
            .choose(2, |_| format!("{name}: 2 bytes and no more"))
        {
            0 => buffer.len(),
            _ => buffer.len().min(2),
        };
        let read = self.hand.try_read(stream, &mut buffer[..room]);
        let end = match &read {
            Ok(count) => format!("{count} bytes"),
            Err(error) => error.kind().to_string(),
        };
        self.fate.tell(format!("try_read({name}): {end}"));
        read
    }

    fn count(&mut self) {
        self.calls += 1;
        assert!(
            self.calls < VAIN,
            "{ENDLESS} of this: the kernel was asked {VAIN} times for one completion. Who has nothing to do waits"
        );
    }

    fn acts(&mut self, peer: Peer) {
        let (stream, words, text) = match peer {
            Peer::Sends(stream, text) => (stream, format!("a peer sends {text:?}"), text),
            Peer::Ends(stream) => {
                let _ = self.hand.try_shutdown(stream, std::net::Shutdown::Write);
                return self
                    .fate
                    .tell(format!("the peer {} has ended", self.hand.name(stream)));
            }
            Peer::SendsOrResets(stream, text) => {
                if self
                    .fate
                    .choose(2, |_| "a peer resets its connection".to_owned())
                    == 1
                {
                    let _ = self.hand.set_linger(stream, Some(Duration::ZERO));
                    let _ = self.hand.close(stream);
                    self.reset = Some(stream);
                    return;
                }
                (stream, format!("a peer sends {text:?}"), text)
            }
        };
        let _ = self.hand.try_write(stream, text.as_bytes());
        self.fate.tell(words);
    }
}

/// Checks it.
pub fn check(next: Next) -> Check {
    Check::new(move |ended| search("ex04_engines", ended, |fate| world(fate, next)))
}

/// Two connections, and three reads: the first and the last on the same one.
fn world(fate: Fate, next: Next) -> Result<(), Broken> {
    let mut hand = Hand::new(Config::default());
    let (left_peer, left) = connected(&mut hand);
    let (right_peer, right) = connected(&mut hand);
    let mut kernel = Readiness {
        hand,
        fate: fate.clone(),
        peers: VecDeque::from([
            Peer::Sends(left_peer, "alpha"),
            Peer::SendsOrResets(right_peer, "beta"),
            Peer::Sends(left_peer, "gamma"),
            Peer::Ends(left_peer),
        ]),
        false_hints: Vec::new(),
        reset: None,
        calls: 0,
    };
    let streams = [left, right, left];
    let mut waiting: Vec<Read> = (0..3)
        .map(|ticket| Read {
            ticket,
            stream: streams[ticket as usize],
            buffer: vec![0; 8],
        })
        .collect();
    for read in &waiting {
        fate.tell(format!(
            "read {} is initiated, on {}",
            read.ticket,
            kernel.hand.name(read.stream)
        ));
    }
    let mut ends: [Option<Vec<u8>>; 3] = [None, None, None];
    loop {
        kernel.calls = 0;
        let Some(Done {
            ticket,
            result,
            buffer,
        }) = next(&mut kernel, &mut waiting)
        else {
            break;
        };
        fate.tell(format!(
            "your function returns the end of read {ticket}: {result:?}"
        ));
        let Some(end) = ends.get_mut(ticket as usize) else {
            return Err((Invariant::I1, format!("read {ticket} was never initiated")));
        };
        if end.is_some() {
            return Err((Invariant::I1, format!("read {ticket} has ended twice")));
        }
        if result
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        {
            let said = format!(
                "read {ticket} ended with \"would block\": that is a false hint, and no end of a read"
            );
            return Err((Invariant::I1, said));
        }
        if ticket == 1 && kernel.reset.is_some() && result.is_ok() {
            let said = "read 1 ended in good order, and its connection was reset: the error was told once, and is lost";
            return Err((Invariant::I7, said.to_owned()));
        }
        let count = result.unwrap_or(0);
        if count > buffer.len() {
            return Err((
                Invariant::I2,
                format!(
                    "read {ticket} brings {count} bytes, in a buffer of {}",
                    buffer.len()
                ),
            ));
        }
        *end = Some(buffer[..count].to_vec());
    }
    for (ticket, end) in ends.iter().enumerate() {
        if end.is_none() {
            let said = format!("read {ticket} was initiated, and nobody is ever told how it ended");
            return Err((Invariant::I7, said));
        }
    }
    let [first, second, third] = ends.map(Option::unwrap_or_default);
    let heard = [first, third].concat();
    if !b"alphagamma".starts_with(heard.as_slice()) || heard.is_empty() {
        let said = format!(
            "reads 0 and 2 of one stream bring, in their order, {:?}: the peer sent \"alpha\", then \"gamma\"",
            String::from_utf8_lossy(&heard)
        );
        return Err((Invariant::Order, said));
    }
    if !b"beta".starts_with(second.as_slice()) {
        return Err((
            Invariant::I8,
            format!(
                "read 1 brings {:?} instead of \"beta\"",
                String::from_utf8_lossy(&second)
            ),
        ));
    }
    Ok(())
}
