//! Scripted peers: other ends of connections that act inside the kernel, without a proactor.
//!
//! A peer does one thing after the other: each is an operation of the kernel like any other, so when it
//! happens and when the peer hears of it are decisions. Its completions are not handed out: the peer
//! goes on with its script instead. What it does itself suffers no free faults; what the kernel does to the
//! model's side of its connection it sees like any other host.
//!
//! An expectation that is not met is a violation, at the place in the test that expects it: unless the
//! kernel itself has reset the connection or failed one of its transfers, or the peer is lenient. Then the
//! script ends.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::SocketAddr;
use std::panic::Location;

use super::errno;
use super::handles::Object;
use super::kernel::Kernel;
use super::op::{Request, Verb};
use super::oracle::Oracle;
use super::steps::{Stepped, Until};
use super::trace::{PEERS, What};
use super::words::plural;
use crate::choice::EventId;

/// Places of operations that are kept for peers: so many at a time.
pub(crate) const MOST: u32 = 64;

type Place = &'static Location<'static>;

/// One line of a script.
#[derive(Debug)]
pub(crate) enum Act {
    Connect(SocketAddr),
    /// On this listener, by its place in `Peers::listeners`.
    Accept(usize),
    Send(Vec<u8>),
    Expect(Vec<u8>),
    ExpectEnd,
    ExpectReset,
    ReadSome(usize),
    HalfClose,
    Reset,
    /// For so many nanoseconds.
    Stall(u64),
    Close,
}

/// Which peer of which run: a handle that outlives its run reaches nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerId {
    run: u64,
    slot: u32,
    number: u32,
}

/// A listener whose connections are scripted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListenerId {
    run: u64,
    place: usize,
}

struct Peer {
    number: u32,
    event: EventId,
    /// Operations that it has submitted.
    ops: u32,
    script: VecDeque<(Act, Place)>,
    current: Option<(Act, Place)>,
    /// Its operation is in flight.
    busy: bool,
    /// Nothing will be added to the script.
    complete: bool,
    lenient: bool,
    /// It saw the end, or a reset: what the next expectation is told.
    seen: Option<Seen>,
    /// It has ended its own side.
    half_closed: bool,
    raw: i32,
    buf: Vec<u8>,
    addr: Vec<SocketAddr>,
    /// Bytes of the current act.
    done: usize,
    received: Vec<u8>,
    /// The event that is set when its script is over.
    ended: i32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    End,
    Reset,
}

struct Listening {
    raw: i32,
    /// Its handle, and peers that are to be accepted.
    users: u32,
}

/// All peers of a run.
#[derive(Default)]
pub(super) struct Peers {
    run: u64,
    slots: Vec<Option<Box<Peer>>>,
    begun: u32,
    /// How many there are now.
    pub(super) acting: u32,
    /// How many of them have an operation in flight.
    busy: u32,
    listeners: Vec<Listening>,
}

impl Peers {
    pub(super) fn clear(&mut self) {
        self.run += 1;
        self.slots.clear();
        self.begun = 0;
        self.acting = 0;
        self.busy = 0;
        self.listeners.clear();
    }
}

/// What becomes of an act.
enum Goes {
    /// It is over, the script goes on.
    On,
    /// Another operation for the same act.
    Again,
    Fails(String),
    /// The connection was taken from it: no fault of the model.
    Excused,
}

impl Kernel {
    /// A peer whose script begins with `first`.
    pub(crate) fn peer(&mut self, first: Act, location: Place) -> Option<PeerId> {
        let slots = &mut self.peers.slots;
        let free = slots.iter().position(Option::is_none);
        let slot = free.unwrap_or(slots.len());
        if slot == MOST as usize {
            let message = format!("there are more than {MOST} scripted peers at a time");
            self.contradiction(message, EventId::ROOT, location);
            return None;
        }
        let number = self.peers.begun;
        self.peers.begun += 1;
        self.peers.acting += 1;
        let nth = PEERS + number;
        let event = EventId::ROOT.child(nth);
        if let Act::Accept(place) = first {
            self.peers.listeners[place].users += 1;
        }
        let peer = Box::new(Peer {
            number,
            event,
            ops: 0,
            script: VecDeque::from([(first, location)]),
            current: None,
            busy: false,
            complete: false,
            lenient: false,
            seen: None,
            half_closed: false,
            raw: -1,
            buf: Vec::new(),
            addr: Vec::new(),
            done: 0,
            received: Vec::new(),
            ended: -1,
        });
        match self.peers.slots.get_mut(slot) {
            Some(free) => *free = Some(peer),
            None => self.peers.slots.push(Some(peer)),
        }
        if self.recorder.on {
            let (root, text) = (EventId::ROOT, format!("peer {}", number + 1));
            let what = What::Began { nth };
            self.recorder
                .push(event, root, what, None, text, Some(location), self.m.now);
        }
        self.peer_acts(slot);
        Some(PeerId {
            run: self.peers.run,
            slot: slot as u32,
            number,
        })
    }

    /// A listener for scripted servers, or the error of bind.
    pub(crate) fn peer_listener(&mut self, addr: SocketAddr) -> Result<ListenerId, i32> {
        let raw = self.listen(addr, 128, false)?;
        self.peers.listeners.push(Listening { raw, users: 1 });
        Ok(ListenerId {
            run: self.peers.run,
            place: self.peers.listeners.len() - 1,
        })
    }

    /// A peer that is the next to be accepted there.
    pub(crate) fn peer_accept(&mut self, listener: ListenerId, location: Place) -> Option<PeerId> {
        (listener.run == self.peers.run)
            .then(|| self.peer(Act::Accept(listener.place), location))
            .flatten()
    }

    pub(crate) fn peer_listener_addr(&self, listener: ListenerId) -> Option<SocketAddr> {
        let listening = self.peers.listeners.get(listener.place)?;
        self.local_addr(listening.raw)
            .ok()
            .filter(|_| listener.run == self.peers.run)
    }

    /// Its handle is gone: it closes once who is to be accepted has been.
    pub(crate) fn peer_listener_dropped(&mut self, listener: ListenerId) {
        if listener.run == self.peers.run {
            self.listener_used(listener.place);
        }
    }

    fn listener_used(&mut self, place: usize) {
        let listening = &mut self.peers.listeners[place];
        listening.users -= 1;
        let raw = listening.raw;
        if listening.users == 0 && self.m.handles.get(raw).is_some() {
            self.close(raw);
        }
    }

    fn known(&mut self, id: PeerId) -> Option<&mut Peer> {
        let run = self.peers.run;
        let peer = self.peers.slots.get_mut(id.slot as usize)?.as_mut()?;
        (id.run == run && peer.number == id.number).then_some(peer)
    }

    /// Adds to a script.
    pub(crate) fn peer_does(&mut self, id: PeerId, act: Act, location: Place) {
        if let Some(peer) = self.known(id) {
            peer.script.push_back((act, location));
            self.peer_acts(id.slot as usize);
        }
    }

    pub(crate) fn peer_is_lenient(&mut self, id: PeerId) {
        if let Some(peer) = self.known(id) {
            peer.lenient = true;
        }
    }

    /// Nothing will be added to its script.
    pub(crate) fn peer_is_complete(&mut self, id: PeerId) {
        if let Some(peer) = self.known(id) {
            peer.complete = true;
            self.peer_acts(id.slot as usize);
        }
    }

    /// Sets this event when the script is over.
    pub(crate) fn peer_tells(&mut self, id: PeerId, event: i32) {
        match self.known(id) {
            Some(peer) => peer.ended = event,
            None => self.set(event),
        }
    }

    /// What its `read_some`s have received so far.
    pub(crate) fn peer_received(&mut self, id: PeerId) -> Vec<u8> {
        self.known(id)
            .map_or_else(Vec::new, |peer| peer.received.clone())
    }

    /// At the end of a run, when nothing of the model's is left: the scripts come to their ends.
    pub(super) fn end_peers(&mut self) {
        for slot in 0..self.peers.slots.len() {
            if let Some(peer) = &mut self.peers.slots[slot] {
                peer.complete = true;
                self.peer_acts(slot);
            }
        }
        let step = |kernel: &mut Kernel| {
            kernel.peers.busy > 0
                && kernel.in_flight_of_the_model() == 0
                && kernel.step(Until::Event) == Stepped::Nothing
        };
        while step(self) {}
        if self.is_dropped() && self.peers.busy > 0 {
            // Nobody will ever do what they wait for.
            self.drain();
            while step(self) {}
        }
        if self.peers.busy > 0 && self.in_flight_of_the_model() == 0 {
            self.report_stuck();
        }
        if self.verdict.is_none() {
            for place in 0..self.peers.listeners.len() {
                let raw = self.peers.listeners[place].raw;
                if self.m.handles.get(raw).is_some_and(|it| it.in_flight == 0) {
                    self.close(raw);
                }
            }
        }
    }

    /// Whoever was to be talked with is gone: the scripts end as soon as they can.
    pub(super) fn peers_are_dismissed(&mut self) {
        for slot in 0..self.peers.slots.len() {
            self.peer_gives_up(slot);
            self.peer_acts(slot);
        }
    }

    /// Operations that are not the peers'.
    #[inline]
    pub(crate) fn in_flight_of_the_model(&self) -> usize {
        self.in_flight() - self.peers.busy as usize
    }

    // ---- acting

    /// Goes on with a script until an operation is in flight.
    fn peer_acts(&mut self, slot: usize) {
        loop {
            let Some(peer) = self.peers.slots[slot].as_mut().filter(|peer| !peer.busy) else {
                return;
            };
            if peer.current.is_none() {
                peer.done = 0;
                peer.current = peer.script.pop_front();
            }
            if peer.current.is_none() {
                if peer.complete {
                    self.peer_ends(slot);
                }
                return;
            }
            match self.peer_begins(slot) {
                None => return,
                Some(Goes::Again) => {}
                Some(goes) => self.peer_went(slot, goes),
            }
        }
    }

    fn peer_went(&mut self, slot: usize, goes: Goes) {
        let Some(peer) = self.peers.slots[slot].as_mut() else {
            return;
        };
        if matches!(goes, Goes::Again) {
            return;
        }
        let act = peer.current.take();
        if let Some((Act::Accept(place), _)) = act {
            self.listener_used(place);
        }
        match goes {
            Goes::On | Goes::Again => {}
            Goes::Excused => self.peer_gives_up(slot),
            Goes::Fails(message) => {
                if let (Some((_, location)), Some(peer)) = (act, &self.peers.slots[slot]) {
                    let message = format!("{} {message}", self.peer_name(peer));
                    let event = peer.event;
                    self.contradiction(message, event, location);
                }
                self.peer_gives_up(slot);
            }
        }
    }

    fn peer_gives_up(&mut self, slot: usize) {
        let mut accepts = Vec::new();
        if let Some(peer) = self.peers.slots[slot].as_mut() {
            peer.complete = true;
            for (act, _) in peer.script.drain(..) {
                if let Act::Accept(place) = act {
                    accepts.push(place);
                }
            }
        }
        accepts
            .into_iter()
            .for_each(|place| self.listener_used(place));
    }

    fn peer_ends(&mut self, slot: usize) {
        let Some(peer) = self.peers.slots[slot].take() else {
            return;
        };
        self.peers.acting -= 1;
        if peer.raw >= 0 {
            self.close(peer.raw);
        }
        if peer.ended >= 0 {
            self.set(peer.ended);
        }
    }

    fn peer_name(&self, peer: &Peer) -> String {
        if peer.raw < 0 {
            format!("peer {}", peer.number + 1)
        } else {
            format!(
                "peer {} ({})",
                peer.number + 1,
                self.m.object_name(peer.raw)
            )
        }
    }

    fn contradiction(&mut self, message: String, event: EventId, location: Place) {
        self.fail(Oracle::Always, message, event, Some(location));
    }

    /// Whether an operation in flight is a scripted peer's.
    pub(super) fn is_of_a_peer(&self, id: u32) -> bool {
        let slot = self.peers.slots.get(id as usize).map(Option::as_ref);
        slot.flatten().is_some_and(|peer| peer.busy)
    }

    /// Whether it is no fault of the model that its connection is gone.
    fn excused(&self, peer: &Peer) -> bool {
        peer.lenient
            || self.is_dropped()
            || match self.m.handles.object(peer.raw) {
                Object::Stream { conn, .. } => self.m.tcp.conns[conn as usize].forced,
                _ => false,
            }
    }

    /// Begins the current act. Nothing: its operation is in flight.
    fn peer_begins(&mut self, slot: usize) -> Option<Goes> {
        if self.verdict.is_some() || self.is_dropped() {
            return Some(Goes::Excused);
        }
        let now = self.m.now;
        let mut peer = self.peers.slots[slot].take()?;
        let goes = self.peer_asks(&mut peer, now);
        let request = match goes {
            Ok(request) => request,
            Err(goes) => {
                self.peers.slots[slot] = Some(peer);
                return Some(goes);
            }
        };
        peer.busy = true;
        self.peers.busy += 1;
        self.peers.slots[slot] = Some(peer);
        // What is not the model's doing suffers no faults, so that it says something about the model.
        let faults = std::mem::take(&mut self.config.faults_per_operation);
        // SAFETY: what is lent is on the heap and the peer's, who leaves it alone while it is busy: until the
        // completion, or until this kernel forgets both.
        unsafe { self.submit(slot as u32, &request) };
        self.config.faults_per_operation = faults;
        None
    }

    /// The operation of the current act, or what becomes of it without one.
    fn peer_asks(&mut self, peer: &mut Peer, now: u64) -> Result<Request, Goes> {
        let Some((act, location)) = &peer.current else {
            return Err(Goes::On);
        };
        let mut request = Request {
            verb: Verb::Recv,
            vectored: false,
            writable: false,
            may_be_ready: false,
            handle: peer.raw,
            len: 0,
            flags: 0,
            ptr: std::ptr::null_mut(),
            offset: 0,
            token: u64::MAX,
            event: peer.event.child(peer.ops),
            cause: peer.event,
            location,
        };
        let needs = !matches!(
            act,
            Act::Connect(_) | Act::Accept(_) | Act::Stall(_) | Act::Close
        );
        let sends = matches!(act, Act::Send(_) | Act::HalfClose);
        let after = match peer.raw {
            ..0 if needs => Some("closed"),
            0.. if sends && peer.half_closed => Some("half-closed"),
            _ => None,
        };
        if let Some(after) = after {
            return Err(Goes::Fails(format!(
                "contradicts itself: it is to {} after it has {after}",
                words(act)
            )));
        }
        let room = match act {
            Act::Connect(addr) => {
                let socket = self.socket(None);
                peer.raw = socket.map_err(|error| {
                    Goes::Fails(format!("has no socket: {}", errno::name(error)))
                })?;
                peer.addr = vec![*addr];
                request.verb = Verb::Connect;
                request.handle = peer.raw;
                request.ptr = peer.addr.as_mut_ptr().cast();
                0
            }
            Act::Accept(place) => {
                request.verb = Verb::Accept;
                request.handle = self.peers.listeners[*place].raw;
                0
            }
            Act::Send(bytes) => {
                if peer.seen == Some(Seen::Reset) || peer.done == bytes.len() {
                    return Err(Goes::On);
                }
                peer.buf.clear();
                peer.buf.extend_from_slice(&bytes[peer.done..]);
                request.verb = Verb::Send;
                request.ptr = peer.buf.as_mut_ptr();
                request.len = peer.buf.len() as u32;
                0
            }
            Act::HalfClose => {
                peer.half_closed = true;
                request.verb = Verb::Shutdown;
                request.flags = 1;
                0
            }
            Act::Stall(nanos) => {
                request.verb = Verb::Timer;
                request.handle = -1;
                request.offset = now.saturating_add(*nanos);
                0
            }
            Act::Reset => {
                let _ = self.set_linger(peer.raw, Some(0));
                self.close(std::mem::replace(&mut peer.raw, -1));
                return Err(Goes::On);
            }
            Act::Close => {
                if peer.raw >= 0 {
                    self.close(std::mem::replace(&mut peer.raw, -1));
                }
                return Err(Goes::On);
            }
            Act::Expect(bytes) if peer.done == bytes.len() => return Err(Goes::On),
            Act::Expect(bytes) => bytes.len() - peer.done,
            Act::ReadSome(0) => return Err(Goes::On),
            Act::ReadSome(most) => *most,
            Act::ExpectEnd | Act::ExpectReset => 256,
        };
        if room > 0 {
            if let Some(seen) = peer.seen {
                let goes = self.met(peer, seen);
                return Err(goes);
            }
            peer.buf.clear();
            peer.buf.resize(room, 0);
            request.ptr = peer.buf.as_mut_ptr();
            request.len = room as u32;
        }
        peer.ops += 1;
        Ok(request)
    }

    /// The operation of a peer has completed. True: it was one.
    #[cold]
    pub(super) fn peer_hears(&mut self, id: u32, result: i32) -> bool {
        let slot = id as usize;
        let busy = |it: &&mut Option<Box<Peer>>| it.as_ref().is_some_and(|peer| peer.busy);
        let Some(place) = self.peers.slots.get_mut(slot).filter(busy) else {
            return false;
        };
        let Some(mut peer) = place.take() else {
            return false;
        };
        peer.busy = false;
        self.peers.busy -= 1;
        let goes = if self.verdict.is_some() {
            Goes::Excused
        } else {
            self.judge(&mut peer, result)
        };
        self.peers.slots[slot] = Some(peer);
        self.peer_went(slot, goes);
        self.peer_acts(slot);
        true
    }

    fn judge(&mut self, peer: &mut Peer, result: i32) -> Goes {
        let count = usize::try_from(result).unwrap_or(0);
        let Some((act, _)) = &peer.current else {
            return Goes::On;
        };
        match act {
            Act::Connect(_) | Act::Accept(_) if result < 0 => {
                let why = errno::name(-result);
                match self.excused(peer) {
                    true => Goes::Excused,
                    false => Goes::Fails(format!("could not {}: {why}", words(act))),
                }
            }
            Act::Connect(_) => {
                self.scripted(peer.raw);
                Goes::On
            }
            Act::Accept(_) => {
                peer.raw = result;
                self.scripted(result);
                Goes::On
            }
            Act::Send(_) if result < 0 => {
                // Its reason is for an expectation to see.
                peer.seen = Some(Seen::Reset);
                Goes::On
            }
            Act::Send(_) => {
                peer.done += count;
                Goes::Again
            }
            Act::HalfClose | Act::Stall(_) | Act::Reset | Act::Close => Goes::On,
            _ if result <= 0 => {
                let seen = if result == 0 { Seen::End } else { Seen::Reset };
                peer.seen = Some(seen);
                self.met(peer, seen)
            }
            Act::ReadSome(_) => {
                peer.received.extend_from_slice(&peer.buf[..count]);
                Goes::On
            }
            Act::ExpectReset => Goes::Again,
            Act::ExpectEnd => Goes::Fails(format!(
                "expected the end of the stream, and {} came: \"{}\"",
                plural(count as u64, "byte"),
                peer.buf[..count].escape_ascii()
            )),
            Act::Expect(bytes) => {
                let came = &peer.buf[..count];
                if bytes[peer.done..].starts_with(came) {
                    peer.done += count;
                    return Goes::Again;
                }
                let mut all = bytes[..peer.done].to_vec();
                all.extend_from_slice(came);
                Goes::Fails(difference(bytes, &all, "other bytes came"))
            }
        }
    }

    /// What it means for the current act that there is nothing more to read.
    fn met(&self, peer: &Peer, seen: Seen) -> Goes {
        let Some((act, _)) = &peer.current else {
            return Goes::On;
        };
        match (act, seen) {
            (Act::ExpectEnd, Seen::End) | (Act::ExpectReset, Seen::Reset) => Goes::On,
            (Act::ReadSome(_), Seen::End) => Goes::On,
            _ if self.excused(peer) => Goes::Excused,
            (Act::Expect(bytes), _) => {
                let why = match seen {
                    Seen::End => "the stream ended",
                    Seen::Reset => "the connection was reset",
                };
                Goes::Fails(difference(bytes, &bytes[..peer.done], why))
            }
            (_, Seen::End) => Goes::Fails(format!(
                "was to {}, and the stream ended in good order",
                words(act)
            )),
            (_, Seen::Reset) => Goes::Fails(format!(
                "was to {}, and the connection was reset",
                words(act)
            )),
        }
    }

    fn scripted(&mut self, raw: i32) {
        if let Object::Stream { conn, side } = self.m.handles.object(raw) {
            self.m.tcp.conns[conn as usize].sides[usize::from(side)].scripted = true;
        }
    }
}

fn words(act: &Act) -> String {
    match act {
        Act::Connect(addr) => format!("connect to {addr}"),
        Act::Accept(_) => "accept a connection".to_owned(),
        Act::Send(bytes) => format!("send {}", plural(bytes.len() as u64, "byte")),
        Act::Expect(bytes) => format!("receive {}", plural(bytes.len() as u64, "byte")),
        Act::ExpectEnd => "see the end of the stream".to_owned(),
        Act::ExpectReset => "see the connection reset".to_owned(),
        Act::ReadSome(most) => format!("read up to {}", plural(*most as u64, "byte")),
        Act::HalfClose => "half-close".to_owned(),
        Act::Reset => "reset".to_owned(),
        Act::Stall(_) => "stall".to_owned(),
        Act::Close => "close".to_owned(),
    }
}

/// Both texts one above the other around the first byte that is different, with a mark below it.
fn difference(expected: &[u8], came: &[u8], why: &str) -> String {
    const BEFORE: usize = 24;
    const SHOWN: usize = 48;
    let same = expected
        .iter()
        .zip(came)
        .take_while(|(a, b)| a == b)
        .count();
    let from = same.saturating_sub(BEFORE);
    let shown = |bytes: &[u8]| {
        let end = bytes.len().min(from + SHOWN);
        let lead = if from > 0 { "…" } else { "" };
        let tail = if end < bytes.len() { "…" } else { "" };
        format!("{lead}\"{}\"{tail}", bytes[from..end].escape_ascii())
    };
    let at = usize::from(from > 0) + 1 + expected[from..same].escape_ascii().count();
    let mut text = format!(
        "expected {}, and {why} after {same}",
        plural(expected.len() as u64, "byte")
    );
    let _ = write!(
        text,
        "\n  expected: {}\n  came:     {}\n            {}^ byte {same}",
        shown(expected),
        shown(came),
        " ".repeat(at)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_where_it_is() {
        assert_eq!(
            difference(b"hello", b"heLlo", "other bytes came"),
            "expected 5 bytes, and other bytes came after 2\n  \
               expected: \"hello\"\n  \
               came:     \"heLlo\"\n               ^ byte 2"
        );
        let long = [b'a'; 100];
        let text = difference(&long, &long[..70], "the stream ended");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "expected 100 bytes, and the stream ended after 70"
        );
        assert!(lines[1].starts_with("  expected: …\"aaa"), "{text}");
        let mark = lines[3].chars().position(|c| c == '^').unwrap();
        assert_eq!(
            lines[2].chars().nth(mark),
            Some('"'),
            "behind the last: {text}"
        );
    }
}
